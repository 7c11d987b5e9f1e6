//! Time, which a test can stop and drive.

use std::{
    fmt,
    sync::{Mutex, PoisonError},
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use serde::{Deserialize, Serialize};

/// A point in time: nanoseconds since 1970.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(crate) struct Moment(pub(crate) i128);

/// The end of the year 9999, after which RFC 3339 has no years.
const LAST: i128 = 253_402_300_800 * 1_000_000_000;

/// Go's zero time, with which the servers say "never" and "not known".
pub(crate) const ZERO_TIME: &str = "0001-01-01T00:00:00Z";

impl Moment {
    pub(crate) fn plus(self, time: Duration) -> Self {
        Self(self.0.saturating_add(i128::try_from(time.as_nanos()).unwrap_or(i128::MAX)))
    }

    /// The whole minutes since 1970.
    pub(crate) fn minutes(self) -> i64 {
        i64::try_from(self.0.div_euclid(60 * 1_000_000_000)).unwrap_or(i64::MAX)
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
        Some(Some(Self(i128::from(time.unix_seconds()) * 1_000_000_000 + i128::from(time.subsec_nanos()))))
    }
}

impl fmt::Display for Moment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let nanos = u32::try_from(self.0.rem_euclid(1_000_000_000)).unwrap_or_default();
        let seconds = i64::try_from(self.0.div_euclid(1_000_000_000)).unwrap_or(i64::MAX);
        match lxd_types::Timestamp::from_unix(seconds, nanos) {
            Some(time) => time.fmt(f),
            None => f.write_str(ZERO_TIME),
        }
    }
}

/// An optional time as the servers write it.
pub(crate) fn text(moment: Option<Moment>) -> String {
    moment.map_or_else(|| ZERO_TIME.to_owned(), |moment| moment.to_string())
}

/// A time so much later as a lifespan says, by the calendar as Go's `AddDate` counts; `None` for no lifespan at all, and
/// for one that ends after the last year that can be written.
pub(crate) fn after(now: Moment, lifespan: lxd_types::Lifespan) -> Option<Moment> {
    if lifespan == lxd_types::Lifespan::new() {
        return None;
    }
    const DAY: u64 = 86_400;
    let months = lifespan.years().checked_mul(12)?.checked_add(lifespan.months())?;
    let days = lifespan.weeks().checked_mul(7)?.checked_add(lifespan.days())?;
    let seconds = lifespan.hours().checked_mul(3600)?.checked_add(lifespan.minutes().checked_mul(60)?)?;
    let (today, of_day) =
        (now.0.div_euclid(1_000_000_000 * 86_400), now.0.rem_euclid(1_000_000_000 * 86_400));
    let (year, month, day) = civil(i64::try_from(today).ok()?);
    let month = (i64::from(month) - 1).checked_add(i64::try_from(months).ok()?)?;
    let year = year.checked_add(month.div_euclid(12)).filter(|year| *year <= 9999)?;
    let first = days_from_civil(year, u32::try_from(month.rem_euclid(12)).ok()? + 1);
    let moved = first + i64::from(day) - 1;
    let since = i128::from(moved) * 1_000_000_000 * 86_400 + of_day;
    let end = Moment(since).plus(Duration::from_secs(days.checked_mul(DAY)?.checked_add(seconds)?));
    (end < Moment(LAST)).then_some(end)
}

/// Year, month and day of a day counted from 1970-01-01.
pub(crate) fn civil(days: i64) -> (i64, u32, u32) {
    let mut year = 1970 + days.div_euclid(366);
    while days_from_civil(year + 1, 1) <= days {
        year += 1;
    }
    let mut month = 1;
    while month < 12 && days_from_civil(year, month + 1) <= days {
        month += 1;
    }
    (year, month, u32::try_from(days - days_from_civil(year, month)).unwrap_or_default() + 1)
}

/// The first day of a month, counted from 1970-01-01.
fn days_from_civil(year: i64, month: u32) -> i64 {
    let before = year - 1;
    let leap_days = |year: i64| year.div_euclid(4) - year.div_euclid(100) + year.div_euclid(400);
    let leap = leap_days(year) - leap_days(before);
    let lengths = [31, 28 + leap, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];
    let months: i64 = lengths.iter().take(month as usize - 1).sum();
    before * 365 + leap_days(before) - (1969 * 365 + leap_days(1969)) + months
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
            Moment(i128::try_from(since.as_nanos()).unwrap_or(i128::MAX))
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
    fn lifespans_are_counted_by_the_calendar() {
        let at = |text: &str| Moment::parse(text).unwrap().unwrap();
        let after = |from: &str, span: &str| after(at(from), span.parse().unwrap()).unwrap();
        assert_eq!(after("2024-01-31T10:00:00Z", "1m"), at("2024-03-02T10:00:00Z"));
        assert_eq!(after("2026-12-25T00:00:00Z", "1w 1H"), at("2027-01-01T01:00:00Z"));
        assert_eq!(after("2024-02-29T00:00:00Z", "1y"), at("2025-03-01T00:00:00Z"));
        assert_eq!(super::after(at("2024-02-29T00:00:00Z"), lxd_types::Lifespan::new()), None);
        for endless in ["8000y", "100000000000000000y", "999999999999999999m", "9999999w", "99999999999H"] {
            assert_eq!(super::after(at("2024-02-29T00:00:00Z"), endless.parse().unwrap()), None, "{endless}");
        }
    }

    #[test]
    fn times_are_written_as_go_does() {
        let moment = Moment::parse("2026-11-25T02:01:34.11986638Z").unwrap();
        assert_eq!(text(moment), "2026-11-25T02:01:34.11986638Z");
        assert_eq!(text(Moment::parse(ZERO_TIME).unwrap()), ZERO_TIME);
        assert_eq!(Moment::parse(""), None);
    }
}
