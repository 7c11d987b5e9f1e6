//! Refusals: a status code and the text that the servers say with it.

use std::{error::Error, fmt, io};

/// What an error answer, or a failed operation, carries.
#[derive(Clone, Debug)]
pub(crate) struct Failure {
    pub(crate) code: u16,
    pub(crate) text: String,
}

impl Failure {
    pub(crate) fn new(code: u16, text: impl Into<String>) -> Self {
        Self { code, text: text.into() }
    }

    pub(crate) fn bad_request(text: impl Into<String>) -> Self {
        Self::new(400, text)
    }

    pub(crate) fn forbidden(text: impl Into<String>) -> Self {
        Self::new(403, text)
    }

    pub(crate) fn not_found(text: impl Into<String>) -> Self {
        Self::new(404, text)
    }

    pub(crate) fn conflict(text: impl Into<String>) -> Self {
        Self::new(409, text)
    }

    /// Most of what a storage driver refuses, whoever is to blame.
    pub(crate) fn internal(text: impl Into<String>) -> Self {
        Self::new(500, text)
    }

    /// The same with the place in front, as Go wraps errors; the code stays.
    pub(crate) fn within(self, context: &str) -> Self {
        Self { code: self.code, text: format!("{context}: {}", self.text) }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl Error for Failure {}

impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        Self::internal(error.to_string())
    }
}
