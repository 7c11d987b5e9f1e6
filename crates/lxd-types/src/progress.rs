//! How far long work has come, read out of the texts that the servers write for people.

use std::fmt;

use serde_json::Value;

/// How far an operation says it has come.
///
/// The servers report in free text (`data: 272.56MB (272.45MB/s)`) or as an object of strings; what can be read out
/// of either is typed here, and the text itself is kept. Numbers of bytes are rounded as the server rounded them.
///
/// ```
/// use lxd_types::Progress;
///
/// let progress = Progress::from_text("fs_progress", "data: 272.56MB (12.00MB/s)");
/// assert_eq!(progress.stage, "fs");
/// assert_eq!(progress.processed_bytes, Some(272_560_000));
/// assert_eq!(progress.bytes_per_second, Some(12_000_000));
/// assert_eq!(progress.percent, None);
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Progress {
    /// What is going on: the metadata key without `_progress`, or the stage that the server names.
    pub stage: String,
    /// How much of the whole is done, 0 to 100, where the server knows.
    pub percent: Option<u8>,
    /// Bytes done so far, where the server says.
    pub processed_bytes: Option<u64>,
    /// Bytes per second, where the server says.
    pub bytes_per_second: Option<u64>,
    /// The server's own text.
    pub text: String,
}

impl Progress {
    /// Bytes that were counted here rather than by a server.
    #[must_use]
    pub fn of_bytes(stage: &str, bytes: u64) -> Self {
        let text = format!("{stage}: {bytes} bytes");
        Self { stage: stage.to_owned(), processed_bytes: Some(bytes), text, ..Self::default() }
    }

    /// Reads a `*_progress` entry of an operation's metadata.
    #[must_use]
    pub fn from_text(key: &str, text: &str) -> Self {
        let stage = key.strip_suffix("_progress").unwrap_or(key).to_owned();
        let mut progress = Self { stage, text: text.to_owned(), ..Self::default() };
        for word in text.split([' ', '(', ')']) {
            if let Some(rate) = word.strip_suffix("/s") {
                progress.bytes_per_second = rounded_bytes(rate);
            } else if let Some(percent) = word.strip_suffix('%') {
                progress.percent = percent.parse().ok().filter(|percent| *percent <= 100);
            } else if let Some(bytes) = rounded_bytes(word) {
                progress.processed_bytes = Some(bytes);
            }
        }
        progress
    }

    /// Reads the `progress` object of an operation's metadata: strings `stage`, `percent`, `processed` and `speed`.
    #[must_use]
    pub fn from_object(object: &Value) -> Option<Self> {
        let field = |name: &str| object.get(name).and_then(Value::as_str);
        let stage = field("stage")?.to_owned();
        let text = match (field("percent"), field("processed")) {
            (Some(percent), _) => format!("{stage}: {percent}%"),
            (None, Some(processed)) => format!("{stage}: {processed} bytes"),
            (None, None) => stage.clone(),
        };
        Some(Self {
            percent: field("percent")
                .and_then(|percent| percent.parse().ok())
                .filter(|percent| *percent <= 100),
            processed_bytes: field("processed").and_then(|processed| processed.parse().ok()),
            bytes_per_second: field("speed").and_then(|speed| speed.parse().ok()),
            stage,
            text,
        })
    }
}

impl fmt::Display for Progress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.text)
    }
}

/// `272.56MB` as bytes. The servers write powers of 1000 here, with at most a few decimals.
fn rounded_bytes(word: &str) -> Option<u64> {
    let unit_at = word.find(|c: char| c.is_ascii_alphabetic())?;
    let (number, unit) = word.split_at(unit_at);
    let power = ["B", "kB", "MB", "GB", "TB", "PB", "EB"].iter().position(|name| *name == unit)?;
    let number: f64 = number.parse().ok().filter(|number: &f64| number.is_finite() && *number >= 0.0)?;
    // A cast from a float saturates, so that no text can overflow here.
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
    let bytes = (number * 1000_f64.powi(i32::try_from(power).ok()?)).round() as u64;
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn reads_percent_and_rate() {
        let progress = Progress::from_text("download_progress", "rootfs: 37% (1.50MB/s)");
        assert_eq!(progress.percent, Some(37));
        assert_eq!(progress.bytes_per_second, Some(1_500_000));
        assert_eq!(progress.processed_bytes, None);
    }

    #[test]
    fn reads_the_object_form() {
        let object =
            serde_json::json!({"stage": "fs_progress", "percent": "12", "processed": "1024", "speed": "99"});
        let progress = Progress::from_object(&object).unwrap();
        assert_eq!(
            (progress.percent, progress.processed_bytes, progress.bytes_per_second),
            (Some(12), Some(1024), Some(99))
        );
        assert_eq!(Progress::from_object(&Value::Null), None);
    }

    proptest! {
        #[test]
        fn no_text_panics(key in ".{0,12}", text in ".{0,60}") {
            let _ = Progress::from_text(&key, &text);
        }
    }
}
