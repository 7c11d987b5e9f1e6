//! Config keys: which of them a driver knows for pools and volumes, and what their values may be.

use crate::{config::Config, core::Core, failure::Failure, size, state::ContentType};

/// What a value has to be.
#[derive(Clone, Copy)]
enum Kind {
    Any,
    Flag,
    Size,
    Expiry,
    Schedule,
    Integer,
    /// Permissions in octal digits, of which only that they are digits is said in the usual way.
    Mode,
}

/// Keys of every volume.
const VOLUME: [(&str, Kind); 7] = [
    ("security.shifted", Kind::Flag),
    ("security.unmapped", Kind::Flag),
    ("size", Kind::Size),
    ("snapshots.expiry", Kind::Expiry),
    ("snapshots.pattern", Kind::Any),
    ("snapshots.schedule", Kind::Schedule),
    ("volatile.uuid", Kind::Any),
];

/// Keys of every pool.
const POOL: [(&str, Kind); 4] = [
    ("source", Kind::Any),
    ("volatile.initial_source", Kind::Any),
    ("rsync.bwlimit", Kind::Size),
    ("rsync.compression", Kind::Flag),
];

/// Drivers whose pools are made of loop files of some size where nothing else is named.
pub(crate) fn has_size(driver: &str) -> bool {
    matches!(driver, "btrfs" | "zfs" | "lvm")
}

/// The kind of a key of a driver's pools.
fn pool_key(core: &Core, driver: &str, key: &str) -> Option<Kind> {
    if key.starts_with("user.") {
        return Some(Kind::Any);
    }
    if let Some((_, kind)) = POOL.iter().find(|(known, _)| *known == key) {
        return Some(*kind);
    }
    match key {
        "size" if has_size(driver) => Some(Kind::Size),
        "source.wipe" if core.has("storage_pool_source_wipe") => Some(Kind::Flag),
        "btrfs.mount_options" if driver == "btrfs" => Some(Kind::Any),
        _ => match key.strip_prefix("volume.") {
            Some("volatile.uuid") => None,
            Some(volume_key) => volume_kind(core, driver, volume_key),
            None if matches!(driver, "dir" | "btrfs") => None,
            None => key.split('.').next().filter(|first| driver.starts_with(first)).map(|_| Kind::Any),
        },
    }
}

/// The kind of a key of a driver's volumes.
fn volume_kind(core: &Core, driver: &str, key: &str) -> Option<Kind> {
    match key {
        "security.shared" => core.has("shared_custom_block_volumes").then_some(Kind::Flag),
        "volatile.uuid" if !core.has("storage_volatile_uuid") => None,
        "initial.uid" | "initial.gid" => core.has("storage_initial_owner").then_some(Kind::Integer),
        "initial.mode" => core.has("storage_initial_owner").then_some(Kind::Mode),
        _ => match VOLUME.iter().find(|(known, _)| *known == key) {
            Some((_, kind)) => Some(*kind),
            None if matches!(driver, "dir" | "btrfs") => None,
            None => {
                let first = key.split('.').next().unwrap_or_default();
                (first == "block" || driver.starts_with(first)).then_some(Kind::Any)
            }
        },
    }
}

/// The kind of a key of a volume with such content.
fn volume_key(core: &Core, driver: &str, content_type: ContentType, key: &str) -> Option<Kind> {
    let filesystem = content_type == ContentType::Filesystem;
    match key {
        key if key.starts_with("user.") => Some(Kind::Any),
        "security.shifted" | "security.unmapped" | "initial.uid" | "initial.gid" | "initial.mode"
            if !filesystem =>
        {
            None
        }
        "security.shared" if filesystem => None,
        "volatile.idmap.last" | "volatile.idmap.next" => Some(Kind::Any),
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
        let mode = matches!(kind, Kind::Mode) && !value.is_empty();
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
        Kind::Any => Ok(()),
        Kind::Flag => {
            let known = ["true", "false", "1", "0", "yes", "no", "on", "off"];
            let lower = value.to_ascii_lowercase();
            if known.contains(&lower.as_str()) {
                Ok(())
            } else {
                Err(format!("Invalid value for a boolean {value:?}"))
            }
        }
        Kind::Size => size::parse(value).map(drop),
        Kind::Integer | Kind::Mode => match value.parse::<i64>() {
            Ok(_) => Ok(()),
            Err(_) => Err(format!("Invalid value for an integer {value:?}")),
        },
        Kind::Expiry => {
            value.parse::<lxd_types::Lifespan>().map(drop).map_err(|_| "Invalid expiry expression".to_owned())
        }
        Kind::Schedule => crate::schedule::check(value),
    }
}
