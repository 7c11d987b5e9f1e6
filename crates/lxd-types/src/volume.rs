//! Storage volumes: what is read, what replaces, what creates, copies, moves and migrates.

use crate::{Config, Secrets, Size, Timestamp};

open_enum! {
    /// What a volume belongs to. Together with the name it identifies a volume in its pool.
    pub enum VolumeType {
        /// A volume made by and for users.
        Custom = "custom",
        /// The root of a container.
        Container = "container",
        /// The disk of a virtual machine.
        VirtualMachine = "virtual-machine",
        /// An unpacked image.
        Image = "image",
    }
}

open_enum! {
    /// What is in a volume.
    pub enum ContentType {
        /// Files and folders.
        Filesystem = "filesystem",
        /// A raw block device.
        Block = "block",
        /// An ISO image, read only. Needs the API extension `custom_volume_iso`.
        Iso = "iso",
    }
}

open_enum! {
    /// Where the content of a new volume comes from.
    pub enum SourceType {
        /// Another volume of the same server or cluster.
        Copy = "copy",
        /// A volume of another server.
        Migration = "migration",
    }
}

open_enum! {
    /// Who connects to whom in a migration.
    pub enum MigrationMode {
        /// The target connects to the source.
        Pull = "pull",
        /// The source connects to the target.
        Push = "push",
    }
}

object! {
    /// A volume, as `GET /1.0/storage-pools/<pool>/volumes/<type>/<name>` describes it.
    pub struct StorageVolume {
        /// The name; in lists of most servers also `volume/snapshot`, see [`is_snapshot`](Self::is_snapshot).
        pub name: String = "name",
        /// The type.
        pub volume_type: VolumeType = "type",
        /// Filesystem, block or iso; empty for snapshots in lists.
        pub content_type: ContentType = "content_type",
        /// Free text. The ETag doesn't cover it.
        pub description: String = "description",
        /// The keys, with the pool's defaults that were copied in when the volume was made.
        pub config: Config = "config",
        /// The pool, on servers with `storage_volumes_all`; else empty.
        pub pool: Option<String> = optional "pool",
        /// The project that holds the volume, which is `default` for projects that share its volumes.
        pub project: String = "project",
        /// The cluster member that holds it; `none` outside a cluster, empty for drivers that all members share.
        pub location: String = "location",
        /// When it was made, on servers with `storage_volumes_created_at`.
        pub created_at: Option<Timestamp> = time "created_at",
        /// URLs of what uses the volume, as the server wrote them.
        pub used_by: Vec<String> = "used_by",
        /// What the caller may do with it, such as `can_edit`. Only in answers to a query `with-access-entitlements`, which
        /// needs `entities_with_entitlements` (LXD).
        pub access_entitlements: Option<Vec<String>> = optional "access_entitlements",
    }
}

impl StorageVolume {
    /// Whether this entry of a list is a snapshot. Servers before Incus 6.19 mix the snapshots of custom volumes
    /// into lists, under the name `volume/snapshot`; no volume has a slash in its name.
    #[must_use]
    pub fn is_snapshot(&self) -> bool {
        self.name.contains('/')
    }

    /// The part that a `PUT` replaces, with everything in it that the server sent.
    #[must_use]
    pub fn to_put(&self) -> StorageVolumePut {
        StorageVolumePut {
            description: self.description.clone(),
            config: self.config.clone(),
            restore: None,
            extra: self.extra.clone(),
        }
    }
}

object! {
    /// What `PUT` and `PATCH` on a volume take. `PUT` replaces: what is missing here is removed.
    pub struct StorageVolumePut {
        /// Free text. A `PATCH` without it clears it on every server.
        pub description: String = "description",
        /// The keys.
        pub config: Config = "config",
        /// The short name of a snapshot to go back to. Only in a `PUT` on a custom volume.
        pub restore: Option<String> = optional "restore",
    }
}

config_setters!(StorageVolumePut);

impl StorageVolumePut {
    /// Goes back to a snapshot, by its short name.
    #[must_use]
    pub fn with_restore(mut self, snapshot: impl Into<String>) -> Self {
        self.restore = Some(snapshot.into());
        self
    }
}

object! {
    /// What `POST .../volumes/custom` takes: the whole of a new volume.
    pub struct StorageVolumesPost {
        /// The new volume's name.
        pub name: String = "name",
        /// The type; servers make `custom` volumes only.
        pub volume_type: VolumeType = "type",
        /// Filesystem, block or iso.
        pub content_type: ContentType = "content_type",
        /// Free text.
        pub description: String = "description",
        /// The keys.
        pub config: Config = "config",
        /// Where the content comes from; none for an empty volume.
        pub source: Option<StorageVolumeSource> = optional "source",
    }
}

config_setters!(StorageVolumesPost);

impl StorageVolumesPost {
    /// An empty custom volume with a filesystem.
    ///
    /// ```
    /// use lxd_types::{ContentType, Size, StorageVolumesPost};
    ///
    /// let post = StorageVolumesPost::new("disk")
    ///     .with_content_type(ContentType::Block)
    ///     .with_size(Size::gib(1))
    ///     .with_config("security.shared", true);
    /// assert_eq!((&*post.config["size"], &*post.config["security.shared"]), ("1GiB", "true"));
    /// ```
    #[must_use]
    pub fn new(name: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            volume_type: VolumeType::Custom,
            content_type: ContentType::Filesystem,
            ..Self::default()
        }
    }

    /// Sets the content type.
    #[must_use]
    pub fn with_content_type(mut self, content_type: ContentType) -> Self {
        self.content_type = content_type;
        self
    }

    /// Sets the key `size`: the quota of a filesystem, the length of a block device.
    #[must_use]
    pub fn with_size(mut self, size: Size) -> Self {
        self.config.set("size", size);
        self
    }

    /// Sets where the content comes from.
    #[must_use]
    pub fn with_source(mut self, source: StorageVolumeSource) -> Self {
        self.source = Some(source);
        self
    }
}

object! {
    /// Where the content of a new volume comes from.
    pub struct StorageVolumeSource {
        /// Copy or migration.
        pub source_type: SourceType = "type",
        /// The source volume, or `volume/snapshot`.
        pub name: String = "name",
        /// The source's pool; a copy without it fails.
        pub pool: String = "pool",
        /// The source's project, where it is another. Needs `storage_api_project`.
        pub project: Option<String> = optional "project",
        /// The source's cluster member. Needs `cluster_internal_custom_volume_copy`.
        pub location: Option<String> = optional "location",
        /// Leave the snapshots behind.
        pub volume_only: bool = "volume_only",
        /// Bring an existing target up to date. Needs `custom_volume_refresh`.
        pub refresh: bool = "refresh",
        /// Leave out snapshots that are older than the target's newest. Needs
        /// `custom_volume_refresh_exclude_older_snapshots`, which only Incus has.
        pub refresh_exclude_older: Option<bool> = optional "refresh_exclude_older",
        /// Pull or push, for a migration.
        pub mode: Option<MigrationMode> = optional "mode",
        /// The absolute URL of the source's operation, for a migration in pull mode.
        pub operation: Option<String> = optional "operation",
        /// The secrets of that operation's websockets.
        pub secrets: Option<Secrets> = optional "secrets",
        /// The source server's certificate as PEM, for a migration in pull mode.
        pub certificate: Option<String> = optional "certificate",
    }
}

object! {
    /// What `POST` on a volume takes: a rename, a move or the source side of a migration.
    pub struct StorageVolumePost {
        /// The new name; the present one where only the place changes. Servers insist on it.
        pub name: String = "name",
        /// The pool to move to.
        pub pool: Option<String> = optional "pool",
        /// The project to move to. Needs `storage_volume_project_move`.
        pub project: Option<String> = optional "project",
        /// Whether this is the source side of a migration.
        pub migration: bool = "migration",
        /// Where to push to; none lets the target pull.
        pub target: Option<StorageVolumePostTarget> = optional "target",
        /// Leave the snapshots behind.
        pub volume_only: bool = "volume_only",
        /// For a move between cluster members: its `location` says where the volume is now. Needs
        /// `cluster_internal_custom_volume_copy`.
        pub source: Option<StorageVolumeSource> = optional "source",
    }
}

impl StorageVolumePost {
    /// A rename in place.
    #[must_use]
    pub fn rename(name: impl Into<String>) -> Self {
        Self { name: name.into(), ..Self::default() }
    }
}

object! {
    /// The sink of a migration in push mode.
    pub struct StorageVolumePostTarget {
        /// The sink server's certificate as PEM.
        pub certificate: String = "certificate",
        /// The absolute URL of the sink's operation.
        pub operation: Option<String> = optional "operation",
        /// The secrets of that operation's websockets.
        pub secrets: Option<Secrets> = optional "secrets",
    }
}

object! {
    /// How full a volume is.
    pub struct StorageVolumeUsage {
        /// Bytes in use. Servers leave it out when it is zero.
        pub used: u64 = "used",
        /// Bytes that fit; zero or less without a limit. Needs `storage_volume_state_total`.
        pub total: i64 = "total",
    }
}

object! {
    /// The state of a volume, as `GET .../volumes/<type>/<name>/state` describes it.
    pub struct StorageVolumeState {
        /// How full it is; none on drivers that don't count.
        pub usage: Option<StorageVolumeUsage> = optional "usage",
    }
}
