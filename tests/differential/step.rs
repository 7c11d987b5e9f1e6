//! One request of a sequence.

use std::fmt;

use serde_json::Value;

/// A request. `#` in path and body stands for a prefix that tells this run's objects from others.
#[derive(Clone)]
pub(crate) struct Step {
    pub(crate) method: &'static str,
    pub(crate) path: String,
    pub(crate) body: Option<String>,
    pub(crate) if_match: Option<&'static str>,
}

impl Step {
    pub(crate) fn get(path: impl Into<String>) -> Self {
        Self { method: "GET", path: path.into(), body: None, if_match: None }
    }

    pub(crate) fn new(method: &'static str, path: impl Into<String>, body: &Value) -> Self {
        Self::raw(method, path, &body.to_string())
    }

    /// With a body that need not be JSON.
    pub(crate) fn raw(method: &'static str, path: impl Into<String>, body: &str) -> Self {
        Self { method, path: path.into(), body: Some(body.to_owned()), if_match: None }
    }

    pub(crate) fn delete(path: impl Into<String>) -> Self {
        Self { method: "DELETE", path: path.into(), body: None, if_match: None }
    }

    pub(crate) fn if_match(mut self, etag: &'static str) -> Self {
        self.if_match = Some(etag);
        self
    }
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.method, self.path)?;
        if let Some(body) = &self.body {
            write!(f, " {body}")?;
        }
        self.if_match.map_or(Ok(()), |etag| write!(f, " If-Match: {etag}"))
    }
}
