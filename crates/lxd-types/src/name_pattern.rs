//! How the server names what nobody gave a name.

use std::{fmt, str::FromStr};

use crate::ParseError;

/// How the server names snapshots, as the key `snapshots.pattern` holds it: `snap%d`, or a template such as
/// `{{ creation_date|date:'2006-01-02' }}`.
///
/// The server puts the next free number for `%d`, and replaces what stands between braces by its own template rules,
/// which are not checked here: braces have to be closed, and `%d` may be there once.
///
/// ```
/// use lxd_types::NamePattern;
///
/// let pattern: NamePattern = "nightly-%d".parse()?;
/// assert!(pattern.counts());
/// assert!("a%d-b%d".parse::<NamePattern>().is_err());
/// # Ok::<(), lxd_types::ParseError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct NamePattern(String);

impl NamePattern {
    /// The text as it stands in a config.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether names are told apart by a number. Without one, a template has to give another name each time.
    #[must_use]
    pub fn counts(&self) -> bool {
        self.0.contains("%d")
    }
}

impl fmt::Display for NamePattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

impl FromStr for NamePattern {
    type Err = ParseError;

    fn from_str(text: &str) -> Result<Self, ParseError> {
        let fail = |problem| Err(ParseError::new(text, format!("is not a pattern for names: {problem}")));
        if text.is_empty() {
            return fail("it is empty");
        }
        if text.matches("%d").count() > 1 {
            return fail("`%d` is there more than once");
        }
        if text.matches("{{").count() != text.matches("}}").count() {
            return fail("its braces don't match");
        }
        Ok(Self(text.to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_kept() {
        for text in ["snap%d", "{{ creation_date }}", "at-{{ creation_date|date:'15-04' }}-%d", "fixed"] {
            assert_eq!(text.parse::<NamePattern>().unwrap().to_string(), text);
        }
    }

    #[test]
    fn refuses_what_cannot_name() {
        for text in ["", "%d%d", "{{ creation_date"] {
            assert!(text.parse::<NamePattern>().is_err(), "{text:?}");
        }
    }
}
