//! Sizes in bytes, written and read by LXD's own rules.

use std::{fmt, str::FromStr};

use crate::ParseError;

/// A number of bytes, as config keys such as `size` hold it: `10GiB`, `500MB`, `1048576`.
///
/// Parsing follows the servers exactly: decimal digits, then nothing, `B`, ` bytes`, or one of `kB MB GB TB PB EB`
/// (powers of 1000) and `KiB MiB GiB TiB PiB EiB` (powers of 1024), case and spacing as shown; no sign, no fraction;
/// at most 2⁶³-1 bytes; empty text is zero. [`Display`](fmt::Display) writes the shortest text that parses back to
/// the same number.
///
/// ```
/// use lxd_types::Size;
///
/// const DISK: Size = Size::gib(10);
///
/// assert_eq!("10GiB".parse::<Size>()?, DISK);
/// assert_eq!("500MB".parse::<Size>()?.bytes(), 500_000_000);
/// assert_eq!(Size::mib(1536).to_string(), "1536MiB");
/// assert_eq!("10 GiB".parse::<Size>().unwrap_err().to_string(), "\"10 GiB\" is not a size: unknown unit \" GiB\"");
/// # Ok::<(), lxd_types::ParseError>(())
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Size(i64);

const UNITS: [(&str, i64); 15] = [
    ("", 1),
    ("B", 1),
    (" bytes", 1),
    ("kB", 1000),
    ("MB", 1000_i64.pow(2)),
    ("GB", 1000_i64.pow(3)),
    ("TB", 1000_i64.pow(4)),
    ("PB", 1000_i64.pow(5)),
    ("EB", 1000_i64.pow(6)),
    ("KiB", 1 << 10),
    ("MiB", 1 << 20),
    ("GiB", 1 << 30),
    ("TiB", 1 << 40),
    ("PiB", 1 << 50),
    ("EiB", 1 << 60),
];

impl Size {
    /// So many bytes; `None` over 2⁶³-1, which no server accepts.
    #[must_use]
    pub const fn new(bytes: u64) -> Option<Self> {
        if bytes <= i64::MAX.unsigned_abs() { Some(Self(bytes.cast_signed())) } else { None }
    }

    /// So many KiB (2¹⁰ bytes).
    #[must_use]
    pub const fn kib(count: u32) -> Self {
        Self((count as i64) << 10)
    }

    /// So many MiB (2²⁰ bytes).
    #[must_use]
    pub const fn mib(count: u32) -> Self {
        Self((count as i64) << 20)
    }

    /// So many GiB (2³⁰ bytes). As many as a `u32` holds are 4 EiB, half of what servers accept.
    #[must_use]
    pub const fn gib(count: u32) -> Self {
        Self((count as i64) << 30)
    }

    /// So many TiB (2⁴⁰ bytes). As many as a `u16` holds are 64 PiB; a `u32` could hold more than servers accept.
    #[must_use]
    pub const fn tib(count: u16) -> Self {
        Self((count as i64) << 40)
    }

    /// The number of bytes.
    #[must_use]
    pub const fn bytes(self) -> u64 {
        self.0.unsigned_abs()
    }

    /// The size for people, in powers of 1024 with `precision` decimals, as the servers write it in their
    /// messages (`1.50GiB`). It loses digits: never put it into a config.
    #[must_use]
    pub fn human(self, precision: usize) -> String {
        if self.0 < 1024 {
            return format!("{}B", self.0);
        }
        // A float has 53 bits; for text with a few decimals that is enough.
        #[allow(clippy::cast_precision_loss)]
        let mut value = self.0 as f64;
        let mut unit = "B";
        for next in ["KiB", "MiB", "GiB", "TiB", "PiB", "EiB"] {
            value /= 1024.0;
            unit = next;
            if value < 1024.0 {
                break;
            }
        }
        format!("{value:.precision$}{unit}")
    }
}

impl fmt::Display for Size {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Plain bytes where no unit divides the number, so that nothing is ever rounded.
        let exact = UNITS.iter().skip(3).filter(|(_, unit)| self.0 != 0 && self.0 % unit == 0);
        match exact.min_by_key(|(_, unit)| self.0 / unit) {
            Some((suffix, unit)) => f.pad(&format!("{}{suffix}", self.0 / unit)),
            None => f.pad(&self.0.to_string()),
        }
    }
}

impl FromStr for Size {
    type Err = ParseError;

    fn from_str(text: &str) -> Result<Self, ParseError> {
        if text.is_empty() {
            return Ok(Self(0));
        }
        let fail = |problem: &str| Err(ParseError::new(text, format!("is not a size: {problem}")));
        let digits = text.bytes().take_while(u8::is_ascii_digit).count();
        let (number, suffix) = text.split_at(digits);
        if number.is_empty() {
            return fail("it has to begin with a digit");
        }
        let Some((_, unit)) = UNITS.iter().find(|(name, _)| *name == suffix) else {
            return fail(&format!("unknown unit {suffix:?}"));
        };
        match number.parse::<i64>().ok().and_then(|number| number.checked_mul(*unit)) {
            Some(bytes) => Ok(Self(bytes)),
            None => fail("it is over 2^63-1 bytes"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn bytes(text: &str) -> Option<u64> {
        text.parse::<Size>().ok().map(Size::bytes)
    }

    #[test]
    fn reads_what_the_servers_read() {
        for (text, expected) in [
            ("", 0),
            ("0", 0),
            ("7", 7),
            ("007", 7),
            ("7B", 7),
            ("7 bytes", 7),
            ("1kB", 1000),
            ("1KiB", 1024),
            ("500MB", 500_000_000),
            ("10GiB", 10 << 30),
            ("2TB", 2_000_000_000_000),
            ("3PiB", 3 << 50),
            ("7EiB", 7 << 60),
            ("9223372036854775807", i64::MAX.unsigned_abs()),
        ] {
            assert_eq!(bytes(text), Some(expected), "{text:?}");
        }
    }

    #[test]
    fn refuses_what_the_servers_refuse() {
        for text in [
            "GiB",
            "-1",
            "+1",
            "1.5GiB",
            "1 GiB",
            "1K",
            "1k",
            "1KB",
            "1gib",
            "10GiB ",
            " 1",
            "8EiB",
            "1bytes",
            "9223372036854775808",
            "١",
        ] {
            assert_eq!(bytes(text), None, "{text:?}");
        }
    }

    #[test]
    fn writes_the_shortest_exact_text() {
        for (bytes, text) in [
            (0, "0"),
            (1, "1"),
            (1000, "1kB"),
            (1024, "1KiB"),
            (1536, "1536"),
            (10 << 30, "10GiB"),
            (500_000_000, "500MB"),
            (1_048_577, "1048577"),
        ] {
            assert_eq!(Size::new(bytes).unwrap().to_string(), text);
        }
    }

    #[test]
    fn the_largest_counts_fit() {
        assert_eq!(Size::kib(1).bytes(), 1024);
        assert_eq!(Size::mib(u32::MAX).bytes(), u64::from(u32::MAX) << 20);
        assert_eq!(Size::gib(u32::MAX).bytes(), u64::from(u32::MAX) << 30);
        assert_eq!(Size::tib(u16::MAX).bytes(), u64::from(u16::MAX) << 40);
        assert_eq!(Size::new(i64::MAX.unsigned_abs() + 1), None);
    }

    #[test]
    fn writes_for_people_as_the_servers_do() {
        for (bytes, text) in [(5, "5B"), (1024, "1.00KiB"), (1536 << 20, "1.50GiB"), (7 << 60, "7.00EiB")] {
            assert_eq!(Size::new(bytes).unwrap().human(2), text);
        }
    }

    proptest! {
        #[test]
        fn text_of_any_size_parses_back(bytes in 0..=i64::MAX) {
            let size = Size::new(bytes.unsigned_abs()).unwrap();
            prop_assert_eq!(size.to_string().parse::<Size>().unwrap(), size);
        }

        #[test]
        fn no_text_panics(text in ".{0,40}") {
            let _ = text.parse::<Size>();
        }
    }
}
