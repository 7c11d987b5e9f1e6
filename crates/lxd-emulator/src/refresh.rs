//! What a refresh does to snapshots: those that the source lacks go, and those that are missing come.

use crate::state::Snapshot;

/// Snapshots of a copy beside those of its source.
pub(crate) struct Refresh {
    /// Those of the copy to be removed.
    pub(crate) gone: Vec<Snapshot>,
    /// Those of the source to be copied.
    pub(crate) missing: Vec<Snapshot>,
}

impl Refresh {
    pub(crate) fn new(there: &[Snapshot], source: &[Snapshot], exclude_older: bool) -> Self {
        let is_in = |all: &[Snapshot], one: &Snapshot| {
            all.iter().any(|other| other.name == one.name && other.created_at == one.created_at)
        };
        let newest = there.iter().filter_map(|one| one.created_at).max();
        let is_wanted = |one: &&Snapshot| !exclude_older || one.created_at >= newest;
        Self {
            gone: there.iter().filter(|one| !is_in(source, one)).cloned().collect(),
            missing: source.iter().filter(|one| !is_in(there, one)).filter(is_wanted).cloned().collect(),
        }
    }
}
