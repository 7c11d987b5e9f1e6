//! JSON as Go writes it: with sorted keys, and `<`, `>` and `&` escaped unless that is turned off.

use serde::Serialize;

use crate::failure::Failure;

/// A value's text as it goes into answers, which leave these characters alone.
pub(crate) fn plain(value: &impl Serialize) -> Result<String, Failure> {
    serde_json::to_string(value).map_err(|error| Failure::internal(error.to_string()))
}

/// A value's text as it goes into errors, into events, and into what ETags are computed of.
pub(crate) fn text(value: &impl Serialize) -> Result<String, Failure> {
    let plain = plain(value)?;
    if !plain.contains(['<', '>', '&', '\u{2028}', '\u{2029}']) {
        return Ok(plain);
    }
    // Outside of strings JSON has none of these characters.
    let mut escaped = String::with_capacity(plain.len() + 16);
    for c in plain.chars() {
        match c {
            '<' | '>' | '&' | '\u{2028}' | '\u{2029}' => {
                escaped.push_str(&format!("\\u{:04x}", u32::from(c)))
            }
            _ => escaped.push(c),
        }
    }
    Ok(escaped)
}

#[cfg(test)]
mod tests {
    use super::text;

    #[test]
    fn angle_brackets_and_ampersands_are_escaped() {
        assert_eq!(text(&"a<b>&c é").unwrap(), r#""a\u003cb\u003e\u0026c é""#);
    }
}
