//! When the server does something by itself, again and again.

use std::{borrow::Cow, fmt, str::FromStr};

/// When the server takes snapshots, as the key `snapshots.schedule` holds it: an alias, a cron expression of five
/// fields, or several of both with `, ` between them.
///
/// What is checked here is the form. Which numbers a field may hold is the server's to judge.
///
/// ```
/// use lxd_types::Schedule;
///
/// let schedule: Schedule = "@daily, 0 */6 * * mon-fri".parse()?;
/// assert_eq!(schedule.triggers().collect::<Vec<_>>(), ["@daily", "0 */6 * * mon-fri"]);
/// assert_eq!(Schedule::HOURLY.as_str(), "@hourly");
/// assert!("@never".parse::<Schedule>().is_err()); // that alias is for instances: leave the key out instead
/// # Ok::<(), lxd_types::schedule::ParseScheduleError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Schedule(Cow<'static, str>);

/// What servers read in the place of an expression.
const ALIASES: [&str; 7] = ["@hourly", "@daily", "@midnight", "@weekly", "@monthly", "@annually", "@yearly"];

impl Schedule {
    /// At the beginning of each hour.
    pub const HOURLY: Self = Self(Cow::Borrowed("@hourly"));
    /// At midnight.
    pub const DAILY: Self = Self(Cow::Borrowed("@daily"));
    /// At midnight before Sunday.
    pub const WEEKLY: Self = Self(Cow::Borrowed("@weekly"));
    /// At midnight before the first of a month.
    pub const MONTHLY: Self = Self(Cow::Borrowed("@monthly"));
    /// At midnight before the first of January.
    pub const YEARLY: Self = Self(Cow::Borrowed("@yearly"));

    /// The text as it stands in a config.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The aliases and expressions of which it is made; each of them is reason enough.
    pub fn triggers(&self) -> impl Iterator<Item = &str> {
        self.0.split(", ")
    }
}

impl fmt::Display for Schedule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

impl FromStr for Schedule {
    type Err = ParseScheduleError;

    fn from_str(text: &str) -> Result<Self, ParseScheduleError> {
        match text.split(", ").find(|trigger| !is_trigger(trigger)) {
            None => Ok(Self(Cow::Owned(text.to_owned()))),
            Some(trigger) => Err(ParseScheduleError { trigger: trigger.to_owned() }),
        }
    }
}

fn is_trigger(trigger: &str) -> bool {
    let in_field = |c: char| c.is_ascii_alphanumeric() || "*/,-?".contains(c);
    let is_field = |field: &str| !field.is_empty() && field.chars().all(in_field);
    ALIASES.contains(&trigger) || (trigger.split(' ').count() == 5 && trigger.split(' ').all(is_field))
}

/// Text that is not a schedule.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ParseScheduleError {
    trigger: String,
}

impl fmt::Display for ParseScheduleError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{:?} is neither a cron expression of five fields nor one of {}",
            self.trigger,
            ALIASES.join(", ")
        )
    }
}

impl std::error::Error for ParseScheduleError {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_kept() {
        for text in ["@daily", "0 0 * * *", "*/5 1-3 1,2 jan sun, @hourly"] {
            assert_eq!(text.parse::<Schedule>().unwrap().to_string(), text);
        }
    }

    #[test]
    fn refuses_what_is_none() {
        for text in [
            "",
            "@startup",
            "@never",
            "daily",
            "* * * *",
            "* * * * * *",
            "*  * * *",
            "@daily,@hourly",
            "@daily, ",
        ] {
            assert!(text.parse::<Schedule>().is_err(), "{text:?}");
        }
    }

    #[test]
    fn constants_are_schedules() {
        use Schedule as S;
        for schedule in [S::HOURLY, S::DAILY, S::WEEKLY, S::MONTHLY, S::YEARLY] {
            assert_eq!(schedule.as_str().parse::<S>().unwrap(), schedule);
        }
    }
}
