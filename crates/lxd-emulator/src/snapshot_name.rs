//! Names for snapshots that come without one.

use crate::{core::Core, failure::Failure, state::Volume};

/// The next free name: by the volume's `snapshots.pattern` where the server heeds that for snapshots that somebody asks
/// for, else `snap0`, `snap1` and so on.
///
/// # Errors
/// Incus 6.0 needs a pattern with a place for the number: without one it makes an impossible name, or panics.
pub(crate) fn next_name(core: &Core, volume: &Volume) -> Result<String, Failure> {
    let pattern = volume.config.get("snapshots.pattern").filter(|_| core.behaviour.incus);
    if pattern.is_some_and(|pattern| !pattern.contains("%d")) {
        return Err(match volume.snapshots.is_empty() {
            true => Failure::bad_request("Storage name cannot contain white space"),
            false => Failure::internal("Incus panics where a pattern has no number"),
        });
    }
    Ok(name_by(core, volume, pattern))
}

/// The next free name for a snapshot that nobody asks for: by the volume's pattern everywhere.
pub(crate) fn automatic_name(core: &Core, volume: &Volume) -> String {
    name_by(core, volume, volume.config.get("snapshots.pattern"))
}

fn name_by(core: &Core, volume: &Volume, pattern: Option<&String>) -> String {
    let now = core.clock.now().whole_seconds().to_string();
    let name = filled(pattern.map_or("snap%d", String::as_str), &now);
    match name.split_once("%d") {
        Some((before, after)) => {
            let next = volume.snapshots.iter().filter_map(|one| number_after(&one.name, before, after)).max();
            format!("{before}{}{after}", next.unwrap_or_default())
        }
        None if volume.snapshots.iter().all(|one| one.name != name) => name,
        None => {
            let before = format!("{name}-");
            let next = volume.snapshots.iter().filter_map(|one| number_after(&one.name, &before, "")).max();
            format!("{before}{}", next.unwrap_or_default())
        }
    }
}

/// The number that follows the one in a name. A name with the last number of all counts as one without.
pub(crate) fn number_after(name: &str, before: &str, after: &str) -> Option<u64> {
    name.strip_prefix(before)?.strip_suffix(after)?.parse::<u64>().ok()?.checked_add(1)
}

/// A pattern with the date in it, of whose formats only the plain one is known here.
fn filled(pattern: &str, now: &str) -> String {
    match (pattern.find("{{"), pattern.find("}}")) {
        (Some(start), Some(end)) if start < end => {
            let (before, after) = (pattern.get(..start), pattern.get(end + 2..));
            format!("{}{now}{}", before.unwrap_or_default(), after.unwrap_or_default())
        }
        _ => pattern.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_read_between_what_is_around_them() {
        assert_eq!(number_after("snap12", "snap", ""), Some(13));
        assert_eq!(number_after("snapshot", "snap", ""), None);
        assert_eq!(number_after("snap18446744073709551615", "snap", ""), None);
    }

    #[test]
    fn a_pattern_takes_the_date() {
        assert_eq!(filled("auto-{{ creation_date }}-x", "NOW"), "auto-NOW-x");
        assert_eq!(filled("snap%d", "NOW"), "snap%d");
    }
}
