//! When snapshots are due by `snapshots.schedule`.

use std::ops::RangeInclusive;

use crate::clock::{Moment, civil};

/// In minutes.
const DAY: i64 = 1440;

/// No schedule is followed back further than this: a year, in minutes.
const LOOKED_BACK: i64 = 366 * DAY;

/// Whether a schedule has a time after `before` and up to `now`.
pub(crate) fn is_due(schedule: &str, before: Moment, now: Moment) -> bool {
    let patterns: Vec<&str> = schedule.split(", ").map(|part| alias(part).unwrap_or(part)).collect();
    let (first, last) = (before.minutes() + 1, now.minutes());
    let first = first.max(last - LOOKED_BACK);
    // Most days are none of a schedule's, and need no look at their minutes.
    (first.div_euclid(DAY)..=last.div_euclid(DAY)).any(|day| {
        let minutes = (first - day * DAY).max(0)..=(last - day * DAY).min(DAY - 1);
        patterns.iter().any(|pattern| matches(pattern, day, minutes.clone()))
    })
}

fn alias(name: &str) -> Option<&'static str> {
    Some(match name.to_ascii_lowercase().as_str() {
        "@hourly" => "0 * * * *",
        "@daily" | "@midnight" => "0 0 * * *",
        "@weekly" => "0 0 * * 0",
        "@monthly" => "0 0 1 * *",
        "@annually" | "@yearly" => "0 0 1 1 *",
        // Instances have more of them, volumes don't.
        _ => return None,
    })
}

/// Whether a pattern has one of these minutes of a day, which is counted since 1970.
fn matches(pattern: &str, days: i64, mut minutes: RangeInclusive<i64>) -> bool {
    let fields: Vec<&str> = pattern.split_whitespace().collect();
    let [of_hour, of_day, of_month, month, of_week] = fields[..] else { return false };
    let (_, month_now, day_now) = civil(days);
    let weekday = (days + 4).rem_euclid(7);
    let (day, week) =
        (field(of_month, day_now.into()), field(of_week, weekday) || weekday == 0 && field(of_week, 7));
    // Where both are given either does, as cron has it.
    let today = if of_month != "*" && of_week != "*" { day || week } else { day && week };
    today
        && field(month, month_now.into())
        && minutes.any(|minute| field(of_day, minute / 60) && field(of_hour, minute % 60))
}

fn number(text: &str) -> Option<i64> {
    named(text).map(|(value, _)| value).or_else(|| text.parse().ok())
}

/// Whether a value is one of a field's: a list of numbers and ranges, with steps.
fn field(field: &str, value: i64) -> bool {
    field.split(',').any(|part| {
        let (range, step) = part.split_once('/').unwrap_or((part, "1"));
        let Ok(step) = step.parse::<i64>() else { return false };
        let (first, last) = match range.split_once('-') {
            _ if range.starts_with(['*', '?']) => (Some(0), Some(i64::MAX)),
            Some((first, last)) => (number(first), number(last)),
            None => (number(range), number(range)),
        };
        let (Some(first), Some(last)) = (first, last) else { return false };
        step > 0 && (first..=last).contains(&value) && (value - first) % step == 0
    })
}

/// The fields of a pattern, with their least and greatest values.
const RANGES: [(i64, i64); 5] = [(0, 59), (0, 23), (1, 31), (1, 12), (0, 6)];

/// Judges a schedule, and complains as the servers do.
pub(crate) fn check(schedule: &str) -> Result<(), String> {
    schedule.split(", ").filter(|part| alias(part).is_none()).try_for_each(check_pattern)
}

fn check_pattern(pattern: &str) -> Result<(), String> {
    let fields: Vec<&str> = pattern.split(' ').collect();
    if fields.len() != RANGES.len() {
        let form = "Schedule must be of the form: <minute> <hour> <day-of-month> <month> <day-of-week>";
        return Err(form.to_owned());
    }
    if pattern.starts_with('@') {
        return Err(format!("Error parsing schedule: unrecognized descriptor: {pattern}"));
    }
    for (field, range) in fields.iter().zip(RANGES) {
        for part in field.split(',') {
            check_part(part, range).map_err(|why| format!("Error parsing schedule: {why}"))?;
        }
    }
    Ok(())
}

/// Months and days of the week by their names, with the greatest value of their field.
fn named(text: &str) -> Option<(i64, i64)> {
    let months = ["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"];
    let days = ["sun", "mon", "tue", "wed", "thu", "fri", "sat"];
    let lower = text.to_ascii_lowercase();
    let place = |names: &[&str]| names.iter().position(|name| *name == lower);
    let month = place(&months).and_then(|month| i64::try_from(month + 1).ok()).map(|month| (month, 12));
    month.or_else(|| Some((i64::try_from(place(&days)?).ok()?, 6)))
}

fn check_part(part: &str, (least, greatest): (i64, i64)) -> Result<(), String> {
    let has_names = matches!(greatest, 6 | 12);
    let number = |text: &str| {
        let wrong =
            || format!("failed to parse int from {text}: strconv.Atoi: parsing {text:?}: invalid syntax");
        let name = named(text).filter(|(_, of)| has_names && *of == greatest).map(|(value, _)| value);
        name.or_else(|| text.parse().ok()).ok_or_else(wrong)
    };
    let (range, step) = part.split_once('/').map_or((part, None), |(range, step)| (range, Some(step)));
    if step.is_some_and(|step| step.contains('/')) {
        return Err(format!("too many slashes: {part}"));
    }
    let (first, last) = match range.split_once('-') {
        _ if matches!(range.split('-').next(), Some("*" | "?")) => (least, greatest),
        Some((_, last)) if last.contains('-') => return Err(format!("too many hyphens: {part}")),
        Some((first, last)) => (number(first)?, number(last)?),
        None => {
            let only = number(range)?;
            (only, if step.is_some() { greatest } else { only })
        }
    };
    if step.map(number).transpose()? == Some(0) {
        return Err(format!("step of range should be a positive number: {part}"));
    }
    if first < least {
        return Err(format!("beginning of range ({first}) below minimum ({least}): {part}"));
    }
    if last > greatest {
        return Err(format!("end of range ({last}) above maximum ({greatest}): {part}"));
    }
    if first > last {
        return Err(format!("beginning of range ({first}) beyond end of range ({last}): {part}"));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn due(schedule: &str, before: &str, now: &str) -> bool {
        let at = |text: &str| Moment::parse(text).unwrap().unwrap();
        is_due(schedule, at(before), at(now))
    }

    #[test]
    fn a_schedule_is_due_once_its_time_has_passed() {
        assert!(due("@hourly", "2026-11-25T01:59:58Z", "2026-11-25T02:00:03Z"));
        assert!(!due("@hourly", "2026-11-25T02:00:03Z", "2026-11-25T02:59:00Z"));
        assert!(due("30 1 * * *, @Daily", "2026-11-25T02:00:00Z", "2026-11-26T00:00:00Z"));
        assert!(!due("30 1 * * *, @Daily", "2026-11-25T02:00:00Z", "2026-11-25T20:00:00Z"));
        assert!(due("59 23 31 12 *", "2026-11-25T02:00:00Z", "2028-01-01T00:00:00Z"));
        assert!(!due("* * 31 2 *", "2026-11-25T02:00:00Z", "9999-12-31T00:00:00Z"));
    }

    #[test]
    fn schedules_are_refused_in_the_servers_words() {
        assert_eq!(check("@hourly, @daily"), Ok(()));
        assert_eq!(check("*/5 1-3,7 * jan MON"), Ok(()));
        assert!(check("@hourly,@daily").is_err() && check("@never").is_err());
        assert!(check("abc").unwrap_err().starts_with("Schedule must be of the form"));
        assert_eq!(
            check("61 * * * *").unwrap_err(),
            "Error parsing schedule: end of range (61) above maximum (59): 61"
        );
    }

    #[test]
    fn fields_are_lists_of_ranges_with_steps() {
        // A Wednesday.
        let at = |schedule: &str| due(schedule, "2026-11-25T02:29:30Z", "2026-11-25T02:30:30Z");
        assert!(at("30 2 * * *") && at("*/15 1-3 25 11 3") && at("0,30 * * * 1-5") && at("30 2 1 * 3"));
        assert!(!at("31 2 * * *") && !at("30 2 * * 4") && !at("30 2 26 * *") && !at("30 2 * 12 *"));
    }
}
