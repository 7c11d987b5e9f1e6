//! What a server tells of itself while it happens.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::{Operation, Timestamp};

open_enum! {
    /// What an event is about.
    pub enum EventType {
        /// An operation began, went on or ended.
        Operation = "operation",
        /// An object was made, changed or deleted.
        Lifecycle = "lifecycle",
        /// A line of the server's log; for administrators only. With debugging on it can hold secrets.
        Logging = "logging",
    }
}

open_enum! {
    /// What happened to an object. Those of storage are named; others stay readable as text.
    pub enum LifecycleAction {
        /// A pool was created.
        StoragePoolCreated = "storage-pool-created",
        /// A pool was changed.
        StoragePoolUpdated = "storage-pool-updated",
        /// A pool was deleted.
        StoragePoolDeleted = "storage-pool-deleted",
        /// A volume was created.
        StorageVolumeCreated = "storage-volume-created",
        /// A volume was changed.
        StorageVolumeUpdated = "storage-volume-updated",
        /// A volume was renamed.
        StorageVolumeRenamed = "storage-volume-renamed",
        /// A volume was taken back to a snapshot.
        StorageVolumeRestored = "storage-volume-restored",
        /// A volume was deleted.
        StorageVolumeDeleted = "storage-volume-deleted",
        /// A snapshot was taken.
        StorageVolumeSnapshotCreated = "storage-volume-snapshot-created",
        /// A snapshot was renamed.
        StorageVolumeSnapshotRenamed = "storage-volume-snapshot-renamed",
        /// A snapshot was changed.
        StorageVolumeSnapshotUpdated = "storage-volume-snapshot-updated",
        /// A snapshot was deleted.
        StorageVolumeSnapshotDeleted = "storage-volume-snapshot-deleted",
        /// A backup was packed.
        StorageVolumeBackupCreated = "storage-volume-backup-created",
        /// A backup was renamed.
        StorageVolumeBackupRenamed = "storage-volume-backup-renamed",
        /// A backup was fetched.
        StorageVolumeBackupRetrieved = "storage-volume-backup-retrieved",
        /// A backup was deleted.
        StorageVolumeBackupDeleted = "storage-volume-backup-deleted",
        /// A bucket was created.
        StorageBucketCreated = "storage-bucket-created",
        /// A bucket was changed.
        StorageBucketUpdated = "storage-bucket-updated",
        /// A bucket was deleted.
        StorageBucketDeleted = "storage-bucket-deleted",
        /// A key of a bucket was created.
        StorageBucketKeyCreated = "storage-bucket-key-created",
        /// A key of a bucket was changed.
        StorageBucketKeyUpdated = "storage-bucket-key-updated",
        /// A key of a bucket was deleted.
        StorageBucketKeyDeleted = "storage-bucket-key-deleted",
        /// A backup of a bucket was packed (Incus).
        StorageBucketBackupCreated = "storage-bucket-backup-created",
        /// A backup of a bucket was renamed (Incus).
        StorageBucketBackupRenamed = "storage-bucket-backup-renamed",
        /// A backup of a bucket was fetched (Incus).
        StorageBucketBackupRetrieved = "storage-bucket-backup-retrieved",
        /// A backup of a bucket was deleted (Incus).
        StorageBucketBackupDeleted = "storage-bucket-backup-deleted",
        /// A file in a volume was written (Incus).
        StorageVolumeFilePushed = "storage-volume-file-pushed",
        /// A file in a volume was read (Incus).
        StorageVolumeFileRetrieved = "storage-volume-file-retrieved",
        /// A file in a volume was deleted (Incus).
        StorageVolumeFileDeleted = "storage-volume-file-deleted",
    }
}

impl LifecycleAction {
    /// Whether it is about storage.
    #[must_use]
    pub fn is_storage(&self) -> bool {
        self.as_str().starts_with("storage-")
    }
}

object! {
    /// One event, as `GET /1.0/events` sends it.
    pub struct Event {
        /// What it is about.
        pub event_type: EventType = "type",
        /// When it happened.
        pub timestamp: Option<Timestamp> = time "timestamp",
        /// What happened; see [`operation`](Self::operation) and [`lifecycle`](Self::lifecycle).
        pub metadata: Value = "metadata",
        /// The cluster member that it happened on; `none` outside a cluster.
        pub location: Option<String> = optional "location",
        /// The project that it happened in. Needs `event_project`.
        pub project: Option<String> = optional "project",
    }
}

impl Event {
    /// The operation, in an event about one. Servers send these side by side, so that "running" can come before
    /// "pending", and after "success" nothing counts any more.
    #[must_use]
    pub fn operation(&self) -> Option<Operation> {
        (self.event_type == EventType::Operation)
            .then(|| serde_json::from_value(self.metadata.clone()).ok())?
    }

    /// What happened to an object, in an event about that.
    ///
    /// ```
    /// use lxd_types::{Event, LifecycleAction};
    ///
    /// let event: Event = serde_json::from_str(r#"{"type":"lifecycle","metadata":{"action":"storage-pool-created",
    ///     "source":"/1.0/storage-pools/fast"},"project":"default"}"#)?;
    /// assert_eq!(event.lifecycle().unwrap().action, LifecycleAction::StoragePoolCreated);
    /// # Ok::<(), serde_json::Error>(())
    /// ```
    #[must_use]
    pub fn lifecycle(&self) -> Option<Lifecycle> {
        (self.event_type == EventType::Lifecycle)
            .then(|| serde_json::from_value(self.metadata.clone()).ok())?
    }
}

object! {
    /// What happened to an object.
    pub struct Lifecycle {
        /// What happened.
        pub action: LifecycleAction = "action",
        /// The object's URL as the server calls it inside: the name of a volume may have its project in front. Not safe to
        /// send back; see [`Event::reference`] for what it means.
        pub source: String = "source",
        /// What else the server says, such as the old name after a rename.
        pub context: BTreeMap<String, Value> = "context",
        /// The object's name, on servers that fill it in, which none does for storage; see [`Event::reference`]. Needs
        /// `event_lifecycle_name_and_project`.
        pub name: Option<String> = optional "name",
        /// The object's project, likewise.
        pub project: Option<String> = optional "project",
        /// Who asked for it.
        pub requestor: Option<Requestor> = optional "requestor",
    }
}

object! {
    /// Who asked for something.
    pub struct Requestor {
        /// The name, or the fingerprint of the certificate.
        pub username: String = "username",
        /// `unix`, `tls`, `oidc`, ...
        pub protocol: String = "protocol",
        /// Where from. Needs `event_lifecycle_requestor_address`.
        pub address: Option<String> = optional "address",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_event_of_another_kind_is_neither() {
        let event: Event =
            serde_json::from_str(r#"{"type":"logging","timestamp":null,"metadata":{"message":"m"}}"#)
                .unwrap();
        assert!(event.operation().is_none() && event.lifecycle().is_none());
        assert!(LifecycleAction::from("storage-volume-teleported").is_storage());
        assert!(!LifecycleAction::from("storage-bucket-backup-retrieved").is_unknown());
    }

    #[test]
    fn an_operation_comes_out_whole() {
        let text = r#"{"type":"operation","metadata":{"id":"x","status_code":200},"project":"default"}"#;
        let operation = serde_json::from_str::<Event>(text).unwrap().operation().unwrap();
        assert!(operation.id == "x" && operation.status_code.is_final());
    }
}
