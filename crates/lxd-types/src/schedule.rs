//! When the server does something by itself, again and again.

use std::{borrow::Cow, fmt, str::FromStr};

use crate::ParseError;

/// When the server takes snapshots, as the key `snapshots.schedule` holds it: an alias, a cron expression of five
/// fields, or several of both with `, ` between them.
///
/// Parsing follows the servers: the case of letters doesn't count, months and days of the week may be written by their
/// first three letters, and days of the week go from 0, which is Sunday, to 6. Incus 7 reads more than that, such as a
/// sixth field, `7` for Sunday or `L` for the last day of a month; what no other server reads is refused here, and can
/// be read and set as text.
///
/// ```
/// use lxd_types::Schedule;
///
/// let schedule: Schedule = "@daily, 0 */6 * * mon-fri".parse()?;
/// assert_eq!(schedule.triggers().collect::<Vec<_>>(), ["@daily", "0 */6 * * mon-fri"]);
/// assert_eq!(Schedule::HOURLY.as_str(), "@hourly");
/// assert!("@never".parse::<Schedule>().is_err()); // that alias is for instances: leave the key out instead
/// # Ok::<(), lxd_types::ParseError>(())
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
    type Err = ParseError;

    fn from_str(text: &str) -> Result<Self, ParseError> {
        match text.split(", ").find(|trigger| !is_trigger(trigger)) {
            None => Ok(Self(Cow::Owned(text.to_owned()))),
            Some(trigger) => {
                let aliases = ALIASES.join(", ");
                let complaint = format!("is neither a cron expression of five fields nor one of {aliases}");
                Err(ParseError::new(trigger, complaint))
            }
        }
    }
}

/// A field of an expression: its lowest and highest number, and the names for numbers from the lowest on.
struct Field(u32, u32, &'static [&'static str]);

const FIELDS: [Field; 5] = [
    Field(0, 59, &[]),
    Field(0, 23, &[]),
    Field(1, 31, &[]),
    Field(1, 12, &["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"]),
    Field(0, 6, &["sun", "mon", "tue", "wed", "thu", "fri", "sat"]),
];

fn is_trigger(trigger: &str) -> bool {
    let trigger = trigger.to_lowercase();
    let fields: Vec<&str> = trigger.split(' ').collect();
    let is_expression = || fields.iter().zip(&FIELDS).all(|(text, field)| field.takes(text));
    ALIASES.contains(&&*trigger) || (fields.len() == FIELDS.len() && is_expression())
}

impl Field {
    /// A list of ranges, each perhaps with a step: `*/5`, `1-10/2,15`.
    fn takes(&self, text: &str) -> bool {
        text.split(',').all(|part| {
            let (range, step) = part.split_once('/').unwrap_or((part, "1"));
            self.is_range(range) && step.parse::<u32>().is_ok_and(|step| step > 0)
        })
    }

    fn is_range(&self, text: &str) -> bool {
        let (low, high) = text.split_once('-').unwrap_or((text, text));
        let ends = self.value(low).zip(self.value(high));
        ["*", "?"].contains(&low) || ends.is_some_and(|(low, high)| low <= high)
    }

    fn value(&self, text: &str) -> Option<u32> {
        let named = (self.0..).zip(self.2).find(|(_, name)| **name == text).map(|(value, _)| value);
        named.or_else(|| text.parse().ok()).filter(|value| (self.0..=self.1).contains(value))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_kept() {
        for text in ["@daily", "0 0 * * *", "*/5 1-3 1,2/3 jan SUN-mon, @Hourly"] {
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
