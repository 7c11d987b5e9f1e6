//! Snapshots of volumes: what is read, what replaces, what creates and renames.

use crate::{Config, ContentType, Expiry, StorageVolumePostTarget, Timestamp};

object! {
    /// A snapshot of a volume, as `GET .../snapshots/<snapshot>` describes it.
    pub struct StorageVolumeSnapshot {
        /// `volume/snapshot` in lists, `snapshot` on its own; see [`short_name`](Self::short_name).
        pub name: String = "name",
        /// Free text.
        pub description: String = "description",
        /// Filesystem, block or iso; empty in lists.
        pub content_type: ContentType = "content_type",
        /// When it was taken, on servers with `storage_volumes_created_at`.
        pub created_at: Option<Timestamp> = time "created_at",
        /// When the server removes it; `None` is never. See [`expiry`](Self::expiry).
        pub expires_at: Option<Timestamp> = time "expires_at",
        /// The volume's keys at that time.
        pub config: Config = "config",
    }
}

impl StorageVolumeSnapshot {
    /// The name without the volume's in front.
    #[must_use]
    pub fn short_name(&self) -> &str {
        self.name.rsplit('/').next().unwrap_or(&self.name)
    }

    /// When the server removes it.
    #[must_use]
    pub fn expiry(&self) -> Expiry {
        self.expires_at.into()
    }

    /// The part that a `PUT` replaces.
    #[must_use]
    pub fn to_put(&self) -> StorageVolumeSnapshotPut {
        StorageVolumeSnapshotPut {
            description: self.description.clone(),
            expires_at: self.expires_at,
            extra: self.extra.clone(),
        }
    }
}

object! {
    /// What `PUT` on a snapshot takes. It replaces: what is missing here is cleared.
    pub struct StorageVolumeSnapshotPut {
        /// Free text.
        pub description: String = "description",
        /// When the server removes it; `None` is never.
        pub expires_at: Option<Timestamp> = time "expires_at",
    }
}

impl StorageVolumeSnapshotPut {
    /// Sets when the server removes it.
    pub fn set_expiry(&mut self, expiry: impl Into<Expiry>) -> &mut Self {
        self.expires_at = expiry.into().time();
        self
    }
}

object! {
    /// What `POST .../snapshots` takes.
    pub struct StorageVolumeSnapshotsPost {
        /// The snapshot's name without the volume's; empty lets the server choose one.
        pub name: String = "name",
        /// Free text. LXD 5.21 and later take it along; the high-level client sets it afterwards on others.
        pub description: Option<String> = optional "description",
        /// When the server removes it; `None` leaves that to the volume's key `snapshots.expiry`.
        pub expires_at: Option<Expiry> = optional "expires_at",
    }
}

impl StorageVolumeSnapshotsPost {
    /// A snapshot with this name.
    ///
    /// ```
    /// use lxd_types::{Expiry, StorageVolumeSnapshotsPost};
    ///
    /// let post = StorageVolumeSnapshotsPost::new("before-upgrade").with_expiry(Expiry::Never);
    /// assert_eq!(serde_json::to_string(&post)?, r#"{"name":"before-upgrade","expires_at":"0001-01-01T00:00:00Z"}"#);
    /// # Ok::<(), serde_json::Error>(())
    /// ```
    #[must_use]
    pub fn new(name: impl Into<String>) -> Self {
        Self { name: name.into(), ..Self::default() }
    }

    /// A snapshot that is named by the server.
    #[must_use]
    pub fn automatic() -> Self {
        Self::default()
    }

    /// Sets the description.
    #[must_use]
    pub fn with_description(mut self, description: impl Into<String>) -> Self {
        self.description = Some(description.into());
        self
    }

    /// Sets when the server removes it. [`Expiry::Never`] overrides the volume's key `snapshots.expiry`.
    #[must_use]
    pub fn with_expiry(mut self, expiry: impl Into<Expiry>) -> Self {
        self.expires_at = Some(expiry.into());
        self
    }
}

object! {
    /// What `POST` on a snapshot takes: a rename, or the source side of a migration.
    pub struct StorageVolumeSnapshotPost {
        /// The new name, without the volume's.
        pub name: String = "name",
        /// Whether this is the source side of a migration. Needs `storage_api_remote_volume_snapshot_copy`; servers
        /// without it rename instead.
        pub migration: Option<bool> = optional "migration",
        /// Where to push to; none lets the target pull.
        pub target: Option<StorageVolumePostTarget> = optional "target",
    }
}

impl StorageVolumeSnapshotPost {
    /// A rename in place.
    #[must_use]
    pub fn rename(name: impl Into<String>) -> Self {
        Self { name: name.into(), ..Self::default() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_put_carries_along_what_is_not_known_here() {
        let snapshot: StorageVolumeSnapshot =
            serde_json::from_str(r#"{"name":"s","description":"d","kept":true}"#).unwrap();
        assert_eq!(serde_json::to_string(&snapshot.to_put()).unwrap(), r#"{"description":"d","kept":true}"#);
    }

    #[test]
    fn a_put_without_expiry_leaves_it_out() {
        let mut put = StorageVolumeSnapshotPut::default();
        assert_eq!(serde_json::to_string(&put).unwrap(), r#"{"description":""}"#);
        put.set_expiry(Expiry::At("2030-01-02T03:04:05Z".parse().unwrap()));
        assert!(serde_json::to_string(&put).unwrap().contains("2030-01-02T03:04:05Z"));
    }
}
