//! Config keys: which of them a driver knows for pools and volumes, by the table that the real servers proved, and what
//! their values may be.

use lxd_types::drivers::{self, Kind};

use crate::{config::Config, core::Core, failure::Failure, size, state::ContentType};

/// Drivers whose pools are made of loop files of some size where nothing else is named.
pub(crate) fn has_size(driver: &str) -> bool {
    matches!(driver, "btrfs" | "zfs" | "lvm")
}

/// The kind of a key of a driver's pools.
fn pool_key(core: &Core, driver: &str, key: &str) -> Option<Kind> {
    if key.starts_with("user.") || key == "volatile.initial_source" {
        return Some(Kind::Text);
    }
    let known = drivers::find(driver)?.pool_key(key)?;
    known.is_known_by(core.behaviour.release).then_some(known.kind)
}

/// The kind of a key of a driver's volumes.
fn volume_kind(core: &Core, driver: &str, key: &str) -> Option<Kind> {
    let known = drivers::find(driver)?.volume_key(key)?;
    known.is_known_by(core.behaviour.release).then_some(known.kind)
}

/// The kind of a key of a volume with such content.
fn volume_key(core: &Core, driver: &str, content_type: ContentType, key: &str) -> Option<Kind> {
    let filesystem = content_type == ContentType::Filesystem;
    match key {
        key if key.starts_with("user.") => Some(Kind::Text),
        "security.shifted" | "security.unmapped" | "initial.uid" | "initial.gid" | "initial.mode"
            if !filesystem =>
        {
            None
        }
        "security.shared" if filesystem => None,
        "volatile.idmap.last" | "volatile.idmap.next" => Some(Kind::Text),
        key => volume_kind(core, driver, key),
    }
}

/// Whether such a volume may have that key.
pub(crate) fn fits(core: &Core, driver: &str, content_type: ContentType, key: &str) -> bool {
    volume_key(core, driver, content_type, key).is_some()
}

/// Judges a pool's config.
pub(crate) fn check_pool(core: &Core, driver: &str, config: &Config) -> Result<(), Failure> {
    for (key, value) in config {
        let kind = pool_key(core, driver, key)
            .ok_or_else(|| Failure::internal(format!("Invalid option {key:?}")))?;
        check(kind, value)
            .map_err(|why| Failure::internal(format!("Invalid value for option {key:?}: {why}")))?;
    }
    Ok(())
}

/// Judges the config of a volume that is called like this.
pub(crate) fn check_volume(
    core: &Core,
    driver: &str,
    content_type: ContentType,
    config: &Config,
    called: &str,
) -> Result<(), Failure> {
    for (key, value) in config {
        let kind = volume_key(core, driver, content_type, key).ok_or_else(|| {
            Failure::internal(format!("Invalid option for volume {called:?} option {key:?}"))
        })?;
        check(kind, value).map_err(|why| {
            Failure::internal(format!("Invalid value for volume {called:?} option {key:?}: {why}"))
        })?;
        let mode = matches!(kind, Kind::FileMode) && !value.is_empty();
        if mode && u32::from_str_radix(value, 8).is_err() {
            return Err(Failure::internal(format!("strconv.ParseInt: parsing {value:?}: invalid syntax")));
        }
    }
    Ok(())
}

fn check(kind: Kind, value: &str) -> Result<(), String> {
    if value.is_empty() {
        return Ok(());
    }
    match kind {
        Kind::Bool => {
            let known = ["true", "false", "1", "0", "yes", "no", "on", "off"];
            let lower = value.to_ascii_lowercase();
            if known.contains(&lower.as_str()) {
                Ok(())
            } else {
                Err(format!("Invalid value for a boolean {value:?}"))
            }
        }
        Kind::Size => size::parse(value).map(drop),
        Kind::Int | Kind::FileMode => match value.parse::<i64>() {
            Ok(_) => Ok(()),
            Err(_) => Err(format!("Invalid value for an integer {value:?}")),
        },
        Kind::Lifespan => {
            value.parse::<lxd_types::Lifespan>().map(drop).map_err(|_| "Invalid expiry expression".to_owned())
        }
        Kind::Schedule => crate::schedule::check(value),
        // What else there is the servers hand on as it is, or look at later.
        _ => Ok(()),
    }
}
