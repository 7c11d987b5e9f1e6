//! How long a call may take, phase by phase.

use std::time::Duration;

use crate::{Error, Phase};

/// The time limits of one call. `None` is no limit. Dialling has a limit of its own, on the transport.
///
/// ```
/// use lxd_transport::Limits;
/// use std::time::Duration;
///
/// let patient = Limits::METADATA.with_first_byte(Duration::from_secs(120)).with_total(None);
/// assert_eq!(patient.first_byte, Some(Duration::from_secs(120)));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Limits {
    /// From the request, or the last chunk of it that was sent, to the head of the answer.
    pub first_byte: Option<Duration>,
    /// Between two chunks of the answer.
    pub idle: Option<Duration>,
    /// The whole call, from dialling to the end of the answer.
    pub total: Option<Duration>,
}

impl Limits {
    /// For small requests and answers: 30 s for the first byte, 30 s of silence, no total.
    pub const METADATA: Self =
        Self { first_byte: Some(Duration::from_secs(30)), idle: Some(Duration::from_secs(30)), total: None };

    /// For uploads and downloads: 60 s for the first byte, 60 s of silence, no total.
    pub const TRANSFER: Self =
        Self { first_byte: Some(Duration::from_secs(60)), idle: Some(Duration::from_secs(60)), total: None };

    /// No limit at all.
    pub const UNLIMITED: Self = Self { first_byte: None, idle: None, total: None };

    /// For a request that the server answers after `slice` at the latest: 15 s more than that.
    #[must_use]
    pub const fn long_poll(slice: Duration) -> Self {
        let limit = slice.saturating_add(Duration::from_secs(15));
        Self { first_byte: Some(limit), idle: Some(limit), total: None }
    }

    /// Sets the limit for the first byte.
    #[must_use]
    pub fn with_first_byte(mut self, limit: impl Into<Option<Duration>>) -> Self {
        self.first_byte = limit.into();
        self
    }

    /// Sets the limit for silence in the answer.
    #[must_use]
    pub fn with_idle(mut self, limit: impl Into<Option<Duration>>) -> Self {
        self.idle = limit.into();
        self
    }

    /// Sets the limit for the whole call.
    #[must_use]
    pub fn with_total(mut self, limit: impl Into<Option<Duration>>) -> Self {
        self.total = limit.into();
        self
    }

    /// Refuses limits of zero, which no call could keep.
    pub(crate) fn check(&self) -> Result<(), Error> {
        let named =
            [(Phase::FirstByte, self.first_byte), (Phase::Idle, self.idle), (Phase::Total, self.total)];
        match named.into_iter().find(|(_, limit)| *limit == Some(Duration::ZERO)) {
            Some((phase, _)) => {
                Err(Error::invalid(format!("the time limit {phase:?} is zero; None stands for no limit")))
            }
            None => Ok(()),
        }
    }
}
