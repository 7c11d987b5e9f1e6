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

/// Whether each member of a cluster has the key of a pool for itself. One that any family keeps per member counts: the
/// others have no such key, or take it either way.
pub(crate) fn is_of_a_member(driver: &str, key: &str) -> bool {
    drivers::find(driver)
        .and_then(|driver| driver.pool_key(key))
        .is_some_and(|key| key.scope != drivers::Scope::Global)
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
