//! Texts with a form: sizes, times, schedules, patterns, modes, paths. What is read is written so that it is read again
//! as the same.
#![no_main]

use std::{fmt::Display, str::FromStr};

use libfuzzer_sys::fuzz_target;
use lxd_storage::types::{FileMode, Lifespan, NamePattern, Schedule, Size, Timestamp, VolumePath};

fn there_and_back<T: FromStr + Display + PartialEq>(text: &str) {
    let Ok(value) = text.parse::<T>() else { return };
    let written = value.to_string();
    let again = written.parse::<T>().ok().unwrap_or_else(|| panic!("{text:?} was read, {written:?} is not"));
    assert!(again == value, "{text:?} was written as {written:?}, which is something else");
}

fuzz_target!(|text: &str| {
    there_and_back::<Size>(text);
    there_and_back::<Lifespan>(text);
    there_and_back::<Timestamp>(text);
    there_and_back::<Schedule>(text);
    there_and_back::<NamePattern>(text);
    there_and_back::<FileMode>(text);
    there_and_back::<VolumePath>(text);
});
