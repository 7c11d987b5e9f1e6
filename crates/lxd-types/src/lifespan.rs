//! How long something lives, in the units of a calendar.

use std::{fmt, str::FromStr};

use crate::ParseError;

/// How long snapshots live, as the key `snapshots.expiry` holds it: `1M 2H 3d` is a minute, two hours and three days.
///
/// Months and years are those of the calendar, so this is no number of seconds. Parsing follows the servers: a number
/// up to 2⁶³-1 and a unit without anything between them, one space between the pairs, each unit once; the case of a unit counts.
///
/// ```
/// use lxd_types::Lifespan;
///
/// let kept = Lifespan::new().with_weeks(2).with_hours(12);
/// assert_eq!(kept.to_string(), "12H 2w");
/// assert_eq!("2w 12H".parse::<Lifespan>()?, kept);
/// assert_eq!("2W".parse::<Lifespan>().unwrap_err().to_string(), "\"2W\" is not a lifespan: \"2W\" is no number with one of S, M, H, d, w, m, y");
/// # Ok::<(), lxd_types::ParseError>(())
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Lifespan([u64; 7]);

/// The letters of the fields, from the shortest to the longest.
const UNITS: [char; 7] = ['S', 'M', 'H', 'd', 'w', 'm', 'y'];

macro_rules! units {
    ($($index:literal $unit:ident $with:ident $word:literal $letter:literal,)*) => {
        $(
            #[doc = concat!("So many ", $word, ", `", $letter, "`.")]
            #[must_use]
            pub const fn $unit(self) -> u64 {
                self.0[$index]
            }

            #[doc = concat!("Sets how many ", $word, ", `", $letter, "`.")]
            #[must_use]
            pub const fn $with(mut self, count: u64) -> Self {
                self.0[$index] = count;
                self
            }
        )*
    };
}

impl Lifespan {
    /// No time at all.
    #[must_use]
    pub const fn new() -> Self {
        Self([0; 7])
    }

    units! {
        0 seconds with_seconds "seconds" "S",
        1 minutes with_minutes "minutes" "M",
        2 hours with_hours "hours" "H",
        3 days with_days "days" "d",
        4 weeks with_weeks "weeks" "w",
        5 months with_months "months" "m",
        6 years with_years "years" "y",
    }
}

impl fmt::Display for Lifespan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let fields = self.0.iter().zip(UNITS).filter(|(count, _)| **count > 0);
        let text = fields.map(|(count, unit)| format!("{count}{unit}")).collect::<Vec<_>>().join(" ");
        // Empty text would unset the key.
        f.pad(if text.is_empty() { "0M" } else { &text })
    }
}

impl FromStr for Lifespan {
    type Err = ParseError;

    fn from_str(text: &str) -> Result<Self, ParseError> {
        let fail = |problem: String| ParseError::new(text, format!("is not a lifespan: {problem}"));
        let mut counts = [None; 7];
        for word in text.trim().split(' ') {
            let no_field = || fail(format!("{word:?} is no number with one of S, M, H, d, w, m, y"));
            let unit = word.chars().next_back().ok_or_else(no_field)?;
            let index = UNITS.iter().position(|known| *known == unit).ok_or_else(no_field)?;
            let digits = word.strip_suffix(unit).filter(|digits| digits.bytes().all(|b| b.is_ascii_digit()));
            let count = digits.and_then(|digits| digits.parse::<i64>().ok()).ok_or_else(no_field)?;
            let field = counts.get_mut(index).ok_or_else(no_field)?;
            if field.replace(count.unsigned_abs()).is_some() {
                return Err(fail(format!("the unit {unit} is there twice")));
            }
        }
        Ok(Self(counts.map(Option::unwrap_or_default)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn months_and_minutes_differ() {
        let lifespan: Lifespan = "1M 2m 3S".parse().unwrap();
        assert_eq!((lifespan.minutes(), lifespan.months(), lifespan.seconds()), (1, 2, 3));
        assert_eq!(Lifespan::new().to_string().parse::<Lifespan>().unwrap(), Lifespan::new());
    }

    #[test]
    fn refuses_what_is_none() {
        for text in [
            "",
            " ",
            "d",
            "1",
            "1 d",
            "1d  2H",
            "-1d",
            "+1d",
            "1.5d",
            "1D",
            "1d 2d",
            "1d,2H",
            "9223372036854775808d",
        ] {
            assert!(text.parse::<Lifespan>().is_err(), "{text:?}");
        }
    }

    proptest! {
        #[test]
        fn text_of_any_lifespan_parses_back(counts: [u32; 7]) {
            let lifespan = Lifespan(counts.map(u64::from));
            prop_assert_eq!(lifespan.to_string().parse::<Lifespan>().unwrap(), lifespan);
        }

        #[test]
        fn no_text_panics(text in ".{0,20}") {
            let _ = text.parse::<Lifespan>();
        }
    }
}
