//! What is refused before it is sent. Everything else is the server's to judge.

use lxd_types::{Config, drivers};

use crate::Error;

/// Refuses sizes that no server can read.
///
/// Servers answer 500 for these, some only after having begun; a size is also the one value whose exact rules are
/// known here.
pub(crate) fn sizes(config: &Config) -> Result<(), Error> {
    for key in ["size", "volume.size"] {
        config.size(key).map_err(|error| Error::invalid(error.to_string()))?;
    }
    Ok(())
}

/// Refuses an empty driver.
pub(crate) fn driver(driver: &str) -> Result<(), Error> {
    if driver.is_empty() { Err(Error::invalid("the driver of the storage pool is empty")) } else { Ok(()) }
}

/// Whether each member of a cluster has the key of a pool for itself.
pub(crate) fn is_of_a_member(key: &str) -> bool {
    const KEYS: [&str; 9] = [
        "lvm.thinpool_name",
        "lvm.vg.force_reuse",
        "lvm.vg_name",
        "size",
        "source",
        "source.recover",
        "source.wipe",
        "volatile.initial_source",
        "zfs.pool_name",
    ];
    KEYS.contains(&key)
}

/// Refuses an optimized backup from a driver of which it is known that it has none. Servers would make an ordinary one
/// and say nothing.
pub(crate) fn packs_by_itself(driver: &str) -> Result<(), Error> {
    if drivers::find(driver).is_none_or(|known| known.optimized_backup) {
        return Ok(());
    }
    let message = format!("the driver {driver:?} has no optimized backups; leave `optimized` out");
    Err(Error::invalid(message))
}

#[cfg(test)]
mod tests {
    use super::packs_by_itself;

    #[test]
    fn unknown_drivers_get_the_benefit_of_the_doubt() {
        assert!(["btrfs", "zfs", "quilt"].iter().all(|driver| packs_by_itself(driver).is_ok()));
        assert!(["dir", "lvm", "ceph", "pure"].iter().all(|driver| packs_by_itself(driver).is_err()));
    }
}
