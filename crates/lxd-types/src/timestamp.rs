//! Points in time as the servers write them: RFC 3339 with up to nine decimals and any offset.

use std::{
    fmt,
    str::FromStr,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::ParseError;

/// A point in time with nanoseconds and the offset it was written with.
///
/// It is our own type so that no feature can change what a field holds; it converts to and from [`SystemTime`], and
/// through its RFC 3339 text to any date library. Two timestamps are equal when they name the same instant, whatever
/// their offsets.
///
/// ```
/// use lxd_types::Timestamp;
///
/// let time: Timestamp = "2026-08-22T10:15:30.25+02:00".parse()?;
/// assert_eq!(time.to_string(), "2026-08-22T10:15:30.25+02:00");
/// assert_eq!(time, "2026-08-22T08:15:30.25Z".parse()?);
/// assert_eq!(time.unix_seconds(), 1_787_386_530);
/// # Ok::<(), lxd_types::ParseError>(())
/// ```
#[derive(Clone, Copy)]
pub struct Timestamp {
    seconds: i64,
    nanos: u32,
    offset_minutes: i16,
}

const SECONDS_PER_DAY: i64 = 86_400;

impl Timestamp {
    /// The last whole second that can be written, `9999-12-31T23:59:59Z`.
    const LAST: Self = Self { seconds: 253_402_300_799, nanos: 0, offset_minutes: 0 };

    /// So many seconds since 1970-01-01T00:00:00Z, with offset `Z`; `None` outside the years 0 to 9999.
    #[must_use]
    pub fn from_unix(seconds: i64, nanos: u32) -> Option<Self> {
        let (first, last) =
            (days_from_civil(0, 1, 1) * SECONDS_PER_DAY, days_from_civil(10_000, 1, 1) * SECONDS_PER_DAY);
        ((first..last).contains(&seconds) && nanos < 1_000_000_000).then_some(Self {
            seconds,
            nanos,
            offset_minutes: 0,
        })
    }

    /// What this machine's clock says, with offset `Z`.
    ///
    /// ```
    /// use lxd_types::Timestamp;
    ///
    /// assert!(Timestamp::now() > "2025-01-01T00:00:00Z".parse()?);
    /// # Ok::<(), lxd_types::ParseError>(())
    /// ```
    #[must_use]
    pub fn now() -> Self {
        // Beyond the year 9999 there is no way to write it.
        Self::try_from(SystemTime::now()).unwrap_or(Self::LAST)
    }

    /// So much later, with the same offset; the last second of the year 9999 where it would be after that.
    #[must_use]
    pub fn saturating_add(self, duration: Duration) -> Self {
        let nanos = self.nanos + duration.subsec_nanos();
        let seconds = i64::try_from(duration.as_secs()).ok().and_then(|seconds| {
            seconds.checked_add(self.seconds)?.checked_add(i64::from(nanos / 1_000_000_000))
        });
        let later = seconds.and_then(|seconds| Self::from_unix(seconds, nanos % 1_000_000_000));
        // East of Greenwich the year 10000 begins earlier.
        let local =
            later.and_then(|time| Self::from_unix(time.seconds + i64::from(self.offset_minutes) * 60, 0));
        match (later, local) {
            (Some(time), Some(_)) => Self { offset_minutes: self.offset_minutes, ..time },
            _ => Self::LAST,
        }
    }

    /// Whole seconds since 1970-01-01T00:00:00Z, rounded down.
    #[must_use]
    pub fn unix_seconds(self) -> i64 {
        self.seconds
    }

    /// Nanoseconds after the whole second.
    #[must_use]
    pub fn subsec_nanos(self) -> u32 {
        self.nanos
    }

    /// Whether this is Go's zero time, `0001-01-01T00:00:00Z`, with which the servers say "never" or "not known".
    #[must_use]
    pub fn is_zero(self) -> bool {
        self.seconds == days_from_civil(1, 1, 1) * SECONDS_PER_DAY && self.nanos == 0
    }
}

impl PartialEq for Timestamp {
    fn eq(&self, other: &Self) -> bool {
        (self.seconds, self.nanos) == (other.seconds, other.nanos)
    }
}

impl Eq for Timestamp {}

impl PartialOrd for Timestamp {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Timestamp {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        (self.seconds, self.nanos).cmp(&(other.seconds, other.nanos))
    }
}

impl std::hash::Hash for Timestamp {
    fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
        (self.seconds, self.nanos).hash(state);
    }
}

impl From<Timestamp> for SystemTime {
    fn from(time: Timestamp) -> Self {
        let whole = Duration::from_secs(time.seconds.unsigned_abs());
        let start = if time.seconds < 0 { UNIX_EPOCH - whole } else { UNIX_EPOCH + whole };
        start + Duration::from_nanos(u64::from(time.nanos))
    }
}

impl TryFrom<SystemTime> for Timestamp {
    type Error = ParseError;

    /// # Errors
    /// [`ParseError`] outside the years 0 to 9999.
    fn try_from(time: SystemTime) -> Result<Self, ParseError> {
        let (seconds, nanos) = match time.duration_since(UNIX_EPOCH) {
            Ok(after) => (i64::try_from(after.as_secs()).ok(), after.subsec_nanos()),
            Err(before) => {
                let before = before.duration();
                let borrow = i64::from(before.subsec_nanos() > 0);
                let whole = i64::try_from(before.as_secs()).ok().map(|seconds| -seconds - borrow);
                (whole, (1_000_000_000 - before.subsec_nanos()) % 1_000_000_000)
            }
        };
        seconds
            .and_then(|seconds| Self::from_unix(seconds, nanos))
            .ok_or_else(|| not_a_time(format!("{time:?}")))
    }
}

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let local = self.seconds + i64::from(self.offset_minutes) * 60;
        let (year, month, day) = civil_from_days(local.div_euclid(SECONDS_PER_DAY));
        let second = local.rem_euclid(SECONDS_PER_DAY);
        let (hour, minute, second) = (second / 3600, second / 60 % 60, second % 60);
        write!(f, "{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}")?;
        if self.nanos > 0 {
            let digits = format!("{:09}", self.nanos);
            write!(f, ".{}", digits.trim_end_matches('0'))?;
        }
        match self.offset_minutes {
            0 => f.write_str("Z"),
            offset => {
                let sign = if offset < 0 { '-' } else { '+' };
                write!(f, "{sign}{:02}:{:02}", offset.abs() / 60, offset.abs() % 60)
            }
        }
    }
}

impl fmt::Debug for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for Timestamp {
    type Err = ParseError;

    fn from_str(text: &str) -> Result<Self, ParseError> {
        parse(text.as_bytes()).ok_or_else(|| not_a_time(text))
    }
}

fn not_a_time(text: impl Into<String>) -> ParseError {
    ParseError::new(text, "is not an RFC 3339 time of the years 0 to 9999")
}

fn parse(text: &[u8]) -> Option<Timestamp> {
    let (date_time, rest) = text.split_at_checked(19)?;
    let separators = [(4, b'-'), (7, b'-'), (10, b'T'), (13, b':'), (16, b':')];
    if separators.iter().any(|&(at, byte)| date_time[at].to_ascii_uppercase() != byte) {
        return None;
    }
    let part = |range: std::ops::Range<usize>| number(&date_time[range]);
    let (year, month, day) = (part(0..4)?, part(5..7)?, part(8..10)?);
    let (hour, minute, second) = (part(11..13)?, part(14..16)?, part(17..19)?);
    let in_range = (1..=12).contains(&month)
        && (1..=days_in_month(year, month)).contains(&day)
        && hour < 24
        && minute < 60
        && second < 60;
    if !in_range {
        return None;
    }
    let (nanos, offset) = match rest.strip_prefix(b".") {
        Some(fraction) => {
            let digits = fraction.iter().take_while(|byte| byte.is_ascii_digit()).count();
            let kept = digits.min(9);
            let scale = 10_i64.pow(u32::try_from(9 - kept).ok()?);
            (u32::try_from(number(&fraction[..kept])? * scale).ok()?, &fraction[digits..])
        }
        None => (0, rest),
    };
    let offset_minutes = match offset {
        [b'Z' | b'z'] => 0,
        [sign @ (b'+' | b'-'), h1, h2, b':', m1, m2] => {
            let (hours, minutes) = (number(&[*h1, *h2])?, number(&[*m1, *m2])?);
            if hours > 23 || minutes > 59 {
                return None;
            }
            let minutes = hours * 60 + minutes;
            if *sign == b'-' { -minutes } else { minutes }
        }
        _ => return None,
    };
    let days = days_from_civil(year, month, day);
    let seconds = days * SECONDS_PER_DAY + hour * 3600 + minute * 60 + second - offset_minutes * 60;
    Some(Timestamp { seconds, nanos, offset_minutes: i16::try_from(offset_minutes).ok()? })
}

fn number(digits: &[u8]) -> Option<i64> {
    let all_digits = !digits.is_empty() && digits.iter().all(u8::is_ascii_digit);
    all_digits.then(|| digits.iter().fold(0, |value, digit| value * 10 + i64::from(digit - b'0')))
}

fn days_in_month(year: i64, month: i64) -> i64 {
    let next =
        if month == 12 { days_from_civil(year + 1, 1, 1) } else { days_from_civil(year, month + 1, 1) };
    next - days_from_civil(year, month, 1)
}

/// Days from 1970-01-01 to a date of the Gregorian calendar. Years are counted from March, so that the leap day is
/// the last of its year and every month before it has a fixed place.
fn days_from_civil(year: i64, month: i64, day: i64) -> i64 {
    let march_year = if month <= 2 { year - 1 } else { year };
    let month_from_march = (month + 9) % 12;
    let day_of_year = (153 * month_from_march + 2) / 5 + day - 1;
    let leap_days = march_year.div_euclid(4) - march_year.div_euclid(100) + march_year.div_euclid(400);
    march_year * 365 + leap_days + day_of_year - 719_468
}

/// The inverse of [`days_from_civil`].
fn civil_from_days(days: i64) -> (i64, i64, i64) {
    // The mean Gregorian year gives the year to within one; the two steps after it make it exact.
    let mut year =
        (days + 719_468).div_euclid(146_097) * 400 + (days + 719_468).rem_euclid(146_097) * 400 / 146_097;
    while days_from_civil(year + 1, 3, 1) <= days {
        year += 1;
    }
    while days_from_civil(year, 3, 1) > days {
        year -= 1;
    }
    let day_of_year = days - days_from_civil(year, 3, 1);
    let month_from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = (month_from_march + 2) % 12 + 1;
    (if month <= 2 { year + 1 } else { year }, month, day)
}

impl Serialize for Timestamp {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Timestamp {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct TextVisitor;
        impl serde::de::Visitor<'_> for TextVisitor {
            type Value = Timestamp;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an RFC 3339 time")
            }
            fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<Timestamp, E> {
                text.parse().map_err(E::custom)
            }
        }
        deserializer.deserialize_str(TextVisitor)
    }
}

/// Decodes a time for which the servers write Go's zero value when there is none. Empty text counts as none too.
pub(crate) struct ZeroIsNone(pub(crate) Option<Timestamp>);

impl<'de> Deserialize<'de> for ZeroIsNone {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct TextVisitor;
        impl serde::de::Visitor<'_> for TextVisitor {
            type Value = ZeroIsNone;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an RFC 3339 time or nothing")
            }
            fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<ZeroIsNone, E> {
                if text.is_empty() {
                    return Ok(ZeroIsNone(None));
                }
                let time: Timestamp = text.parse().map_err(E::custom)?;
                Ok(ZeroIsNone((!time.is_zero()).then_some(time)))
            }
        }
        deserializer.deserialize_str(TextVisitor)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn text_comes_back_as_it_was() {
        for text in [
            "0001-01-01T00:00:00Z",
            "1970-01-01T00:00:00Z",
            "2000-02-29T23:59:59.123456789Z",
            "2026-08-22T10:15:30.25+02:00",
            "1969-12-31T23:59:59.5-09:30",
            "9999-12-31T23:59:59Z",
        ] {
            assert_eq!(text.parse::<Timestamp>().unwrap().to_string(), text);
        }
    }

    #[test]
    fn what_is_no_time_is_refused() {
        for text in [
            "",
            "2026",
            "2026-13-01T00:00:00Z",
            "2026-02-29T00:00:00Z",
            "2026-01-00T00:00:00Z",
            "2026-01-01T24:00:00Z",
            "2026-01-01T00:00:00",
            "2026-01-01T00:00:00.Z",
            "2026-01-01T00:00:00+1:00",
            "2026-01-01 00:00:00Z",
            "2026-01-01T00:00:00ZZ",
            "２026-01-01T00:00:00Z",
        ] {
            assert!(text.parse::<Timestamp>().is_err(), "{text}");
        }
    }

    #[test]
    fn only_gos_zero_is_zero() {
        assert!("0001-01-01T00:00:00Z".parse::<Timestamp>().unwrap().is_zero());
        assert!(!"0001-01-01T00:00:00.1Z".parse::<Timestamp>().unwrap().is_zero());
    }

    #[test]
    fn system_time_goes_both_ways_before_and_after_1970() {
        for text in ["1969-12-31T23:59:59.25Z", "1960-01-01T00:00:00Z", "2026-08-22T08:15:30.25Z"] {
            let time: Timestamp = text.parse().unwrap();
            assert_eq!(Timestamp::try_from(SystemTime::from(time)).unwrap(), time, "{text}");
        }
    }

    #[test]
    fn time_is_added_up_to_the_last_second() {
        let time: Timestamp = "2026-08-22T10:15:30.75+02:00".parse().unwrap();
        assert_eq!(
            time.saturating_add(Duration::from_millis(86_400_500)).to_string(),
            "2026-08-23T10:15:31.25+02:00"
        );
        let eve: Timestamp = "9999-12-31T23:59:59+02:00".parse().unwrap();
        assert_eq!(eve.saturating_add(Duration::from_secs(1)), Timestamp::LAST);
        for long in [Duration::MAX, Duration::from_secs(u64::from(u32::MAX) * 100)] {
            assert_eq!(time.saturating_add(long).to_string(), "9999-12-31T23:59:59Z");
        }
    }

    proptest! {
        #[test]
        fn agrees_with_a_date_library(seconds in -62_135_596_800_i64..253_402_300_799, nanos in 0_u32..1_000_000_000) {
            let ours = Timestamp::from_unix(seconds, nanos).unwrap();
            let theirs: jiff::Timestamp = ours.to_string().parse().unwrap();
            // The library counts towards zero before 1970; whole nanoseconds compare without that difference.
            prop_assert_eq!(theirs.as_nanosecond(), i128::from(seconds) * 1_000_000_000 + i128::from(nanos));
            prop_assert_eq!(theirs.to_string().parse::<Timestamp>().unwrap(), ours);
        }

        #[test]
        fn no_text_panics(text in "[-0-9T:Z.+é]{0,40}") {
            let _ = text.parse::<Timestamp>();
        }
    }
}
