//! The one error of all that is read from text.

use std::fmt;

/// Text that is not what it was taken for: a [`Size`](crate::Size), a [`Lifespan`](crate::Lifespan), a
/// [`Timestamp`](crate::Timestamp), ... It says what the text is and what is wrong with it.
///
/// ```
/// let error = "10 GiB".parse::<lxd_types::Size>().unwrap_err();
/// assert_eq!(error.text(), "10 GiB");
/// assert_eq!(error.to_string(), "\"10 GiB\" is not a size: unknown unit \" GiB\"");
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ParseError {
    text: String,
    complaint: String,
}

impl ParseError {
    /// `complaint` goes on after the text in quotes: "is not a size: ...".
    pub(crate) fn new(text: impl Into<String>, complaint: impl Into<String>) -> Self {
        Self { text: text.into(), complaint: complaint.into() }
    }

    /// The text.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.text
    }
}

impl fmt::Display for ParseError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?} {}", self.text, self.complaint)
    }
}

impl std::error::Error for ParseError {}
