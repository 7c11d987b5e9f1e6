//! When the server removes something by itself.

use std::{fmt, time::Duration};

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::Timestamp;

/// What the servers write where nothing expires.
const NEVER: &str = "0001-01-01T00:00:00Z";

/// When the server removes a snapshot or backup by itself.
///
/// On the wire "never" is a time in the year 1; leaving the field out means something else for a new snapshot: the
/// rule in the volume's key `snapshots.expiry`.
///
/// ```
/// use std::time::Duration;
/// use lxd_types::{Expiry, Timestamp};
///
/// assert_eq!(serde_json::to_string(&Expiry::Never)?, r#""0001-01-01T00:00:00Z""#);
/// let at: Expiry = serde_json::from_str(r#""2030-01-02T03:04:05Z""#)?;
/// assert_eq!(at, Expiry::At("2030-01-02T03:04:05Z".parse::<Timestamp>().unwrap()));
/// assert_eq!((at.to_string(), Expiry::Never.to_string()), ("2030-01-02T03:04:05Z".into(), "never".into()));
///
/// let in_two_days = Expiry::after(Duration::from_secs(2 * 24 * 3600));
/// assert!(in_two_days.time() > Some(Timestamp::now()));
/// # Ok::<(), serde_json::Error>(())
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[allow(clippy::exhaustive_enums, reason = "there is no third way to expire")]
pub enum Expiry {
    /// It stays until somebody deletes it.
    #[default]
    Never,
    /// At this time, or at the next round of the server's cleaning after it, which comes about once a minute.
    At(Timestamp),
}

impl Expiry {
    /// So long from now on, by this machine's clock: servers are told a time and no duration. A time that would be after
    /// the year 9999, which no server takes, becomes its end.
    #[must_use]
    pub fn after(lifetime: Duration) -> Self {
        Self::At(Timestamp::now().saturating_add(lifetime))
    }

    /// The time; `None` for never.
    #[must_use]
    pub fn time(self) -> Option<Timestamp> {
        match self {
            Self::Never => None,
            Self::At(time) => Some(time),
        }
    }
}

/// `never`, or the time.
impl fmt::Display for Expiry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Never => f.pad("never"),
            Self::At(time) => f.pad(&time.to_string()),
        }
    }
}

impl From<Timestamp> for Expiry {
    fn from(time: Timestamp) -> Self {
        if time.is_zero() { Self::Never } else { Self::At(time) }
    }
}

impl From<Option<Timestamp>> for Expiry {
    fn from(time: Option<Timestamp>) -> Self {
        time.map_or(Self::Never, Self::from)
    }
}

impl Serialize for Expiry {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Never => serializer.serialize_str(NEVER),
            Self::At(time) => time.serialize(serializer),
        }
    }
}

impl<'de> Deserialize<'de> for Expiry {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Option::<Timestamp>::deserialize(deserializer).map(Self::from)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lifetime_ends_at_a_time_that_can_be_written() {
        let before = Timestamp::now();
        let Expiry::At(time) = Expiry::after(Duration::from_secs(60)) else { panic!() };
        assert!(time >= before.saturating_add(Duration::from_secs(60)));
        assert_eq!(Expiry::after(Duration::MAX).to_string(), "9999-12-31T23:59:59Z");
    }

    #[test]
    fn null_and_the_zero_time_are_never() {
        for text in ["null", r#""0001-01-01T00:00:00Z""#] {
            assert_eq!(serde_json::from_str::<Expiry>(text).unwrap(), Expiry::Never);
        }
        assert_eq!(Expiry::from(None).time(), None);
    }
}
