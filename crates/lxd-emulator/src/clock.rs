//! Time, which a test can stop and drive.

use std::{
    fmt,
    sync::{Mutex, PoisonError},
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use serde::{Deserialize, Serialize};

/// A point in time: nanoseconds since 1970.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(crate) struct Moment(pub(crate) i64);

/// Go's zero time, with which the servers say "never" and "not known".
pub(crate) const ZERO_TIME: &str = "0001-01-01T00:00:00Z";

impl Moment {
    pub(crate) fn plus(self, time: Duration) -> Self {
        Self(self.0.saturating_add(i64::try_from(time.as_nanos()).unwrap_or(i64::MAX)))
    }

    /// Without the fractions of a second.
    pub(crate) fn whole_seconds(self) -> Self {
        Self(self.0.div_euclid(1_000_000_000) * 1_000_000_000)
    }

    /// Reads what RFC 3339 allows; Go's zero time is `None`.
    pub(crate) fn parse(text: &str) -> Option<Option<Self>> {
        let time: lxd_types::Timestamp = text.parse().ok()?;
        if time.is_zero() {
            return Some(None);
        }
        let nanos =
            time.unix_seconds().checked_mul(1_000_000_000)?.checked_add(time.subsec_nanos().into())?;
        Some(Some(Self(nanos)))
    }
}

impl fmt::Display for Moment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let nanos = u32::try_from(self.0.rem_euclid(1_000_000_000)).unwrap_or_default();
        match lxd_types::Timestamp::from_unix(self.0.div_euclid(1_000_000_000), nanos) {
            Some(time) => time.fmt(f),
            None => f.write_str(ZERO_TIME),
        }
    }
}

/// An optional time as the servers write it.
pub(crate) fn text(moment: Option<Moment>) -> String {
    moment.map_or_else(|| ZERO_TIME.to_owned(), |moment| moment.to_string())
}

/// Where the time comes from.
#[derive(Debug, Default)]
pub(crate) struct Clock {
    /// How far time was driven, where it is.
    driven: Mutex<Option<Moment>>,
}

impl Clock {
    pub(crate) fn now(&self) -> Moment {
        let driven = *self.driven.lock().unwrap_or_else(PoisonError::into_inner);
        driven.unwrap_or_else(|| {
            let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
            Moment(i64::try_from(since.as_nanos()).unwrap_or(i64::MAX))
        })
    }

    /// Stops time, if it still goes by itself, and moves it on.
    pub(crate) fn advance(&self, time: Duration) {
        let now = self.now();
        *self.driven.lock().unwrap_or_else(PoisonError::into_inner) = Some(now.plus(time));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn driven_time_stands_still_until_it_is_moved() {
        let clock = Clock::default();
        clock.advance(Duration::ZERO);
        let before = clock.now();
        assert_eq!(clock.now(), before);
        clock.advance(Duration::from_secs(60));
        assert_eq!(clock.now(), before.plus(Duration::from_secs(60)));
    }

    #[test]
    fn times_are_written_as_go_does() {
        let moment = Moment::parse("2026-11-25T02:01:34.11986638Z").unwrap();
        assert_eq!(text(moment), "2026-11-25T02:01:34.11986638Z");
        assert_eq!(text(Moment::parse(ZERO_TIME).unwrap()), ZERO_TIME);
        assert_eq!(Moment::parse(""), None);
    }
}
