//! Work on the files of a volume waits for its turn: what writes them for everybody, what reads them for writers.

use std::{
    collections::BTreeMap,
    fmt,
    sync::{Arc, Mutex, PoisonError},
};

use tokio::sync::{OwnedRwLockReadGuard, OwnedRwLockWriteGuard, RwLock};

use crate::state::VolumeKey;

/// Who works on which volume.
#[derive(Default)]
pub(crate) struct Turns(Mutex<BTreeMap<VolumeKey, Arc<RwLock<()>>>>);

impl fmt::Debug for Turns {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Turns").finish_non_exhaustive()
    }
}

/// Keeps others away for as long as it lives.
#[must_use]
pub(crate) enum Turn {
    Reading(#[allow(dead_code, reason = "it is held")] OwnedRwLockReadGuard<()>),
    Writing(#[allow(dead_code, reason = "it is held")] OwnedRwLockWriteGuard<()>),
}

impl Turns {
    /// Waits until nobody writes the files of a volume.
    pub(crate) async fn read(&self, key: &VolumeKey) -> Turn {
        Turn::Reading(self.of(key).read_owned().await)
    }

    /// Waits until nobody reads or writes the files of a volume.
    pub(crate) async fn write(&self, key: &VolumeKey) -> Turn {
        Turn::Writing(self.of(key).write_owned().await)
    }

    /// Both, of two volumes that can be the same. In one order for all, so that no two wait for each other.
    pub(crate) async fn read_and_write(&self, from: &VolumeKey, to: &VolumeKey) -> Vec<Turn> {
        match from.cmp(to) {
            std::cmp::Ordering::Less => vec![self.read(from).await, self.write(to).await],
            std::cmp::Ordering::Equal => vec![self.write(to).await],
            std::cmp::Ordering::Greater => vec![self.write(to).await, self.read(from).await],
        }
    }

    /// Writing of two volumes.
    pub(crate) async fn write_both(&self, one: &VolumeKey, other: &VolumeKey) -> Vec<Turn> {
        let mut keys = vec![one, other];
        keys.sort();
        keys.dedup();
        let mut turns = Vec::new();
        for key in keys {
            turns.push(self.write(key).await);
        }
        turns
    }

    fn of(&self, key: &VolumeKey) -> Arc<RwLock<()>> {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        // Those that nobody holds or waits for.
        known.retain(|_, lock| Arc::strong_count(lock) > 1);
        Arc::clone(known.entry(key.clone()).or_default())
    }
}
