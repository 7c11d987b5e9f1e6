//! Storage pools and the space in them.

use crate::{Config, Size};

open_enum! {
    /// How a pool stands.
    pub enum PoolStatus {
        /// Defined on some members of a cluster and not yet created.
        Pending = "Pending",
        /// Ready.
        Created = "Created",
        /// Its creation failed on some member.
        Errored = "Errored",
        /// The server can't tell: it says `Unknown`. What this crate doesn't know is something else, see
        /// [`is_unknown`](Self::is_unknown).
        Undetermined = "Unknown",
        /// It could not be mounted here.
        Unavailable = "Unavailable",
    }
}

object! {
    /// A storage pool, as `GET /1.0/storage-pools/<pool>` describes it.
    pub struct StoragePool {
        /// The name, unique on the server. No server renames a pool.
        pub name: String = "name",
        /// `dir`, `btrfs`, `zfs`, `lvm`, `ceph`, ...
        pub driver: String = "driver",
        /// Free text.
        pub description: String = "description",
        /// The keys. Empty for a caller who may not edit the pool; in a cluster, keys that each member has for itself
        /// appear only when one member is asked.
        pub config: Config = "config",
        /// URLs of what uses the pool, as the server wrote them; see [`Reference`](crate::Reference) for their meaning.
        pub used_by: Vec<String> = "used_by",
        /// How the pool stands; a cluster has one answer for all members.
        pub status: PoolStatus = "status",
        /// The members that have the pool; `none` outside a cluster.
        pub locations: Vec<String> = "locations",
        /// Whether the daemon looks after the pool. Only old servers say.
        pub managed: Option<bool> = optional "managed",
        /// What the caller may do with it, such as `can_edit`. Only in answers to a query `with-access-entitlements`, which
        /// needs `entities_with_entitlements` (LXD).
        pub access_entitlements: Option<Vec<String>> = optional "access_entitlements",
    }
}

impl StoragePool {
    /// The part that a `PUT` replaces, with everything in it that the server sent.
    #[must_use]
    pub fn to_put(&self) -> StoragePoolPut {
        StoragePoolPut {
            description: self.description.clone(),
            config: self.config.clone(),
            extra: self.extra.clone(),
        }
    }
}

object! {
    /// What `PUT` and `PATCH /1.0/storage-pools/<pool>` take. `PUT` replaces: a key that is missing here is removed.
    pub struct StoragePoolPut {
        /// Free text. A `PATCH` without it clears it.
        pub description: String = "description",
        /// The keys.
        pub config: Config = "config",
    }
}

config_setters!(StoragePoolPut);

object! {
    /// What `POST /1.0/storage-pools` takes: the whole of a new pool.
    pub struct StoragePoolsPost {
        /// The new pool's name.
        pub name: String = "name",
        /// Its driver.
        pub driver: String = "driver",
        /// Free text.
        pub description: String = "description",
        /// Its keys.
        pub config: Config = "config",
    }
}

config_setters!(StoragePoolsPost);

impl StoragePoolsPost {
    /// A pool with the driver's own defaults.
    ///
    /// ```
    /// use lxd_types::{Size, StoragePoolsPost};
    ///
    /// let post = StoragePoolsPost::new("fast", "btrfs")
    ///     .with_size(Size::gib(5))
    ///     .with_description("scratch space")
    ///     .with_config("btrfs.mount_options", "noatime");
    /// assert_eq!(post.config["size"], "5GiB");
    /// ```
    #[must_use]
    pub fn new(name: impl Into<String>, driver: impl Into<String>) -> Self {
        Self { name: name.into(), driver: driver.into(), ..Self::default() }
    }

    /// Sets the key `size`: how large the pool's own loop file, volume group or dataset becomes.
    #[must_use]
    pub fn with_size(mut self, size: Size) -> Self {
        self.config.set("size", size);
        self
    }
}

object! {
    /// Space in a pool.
    pub struct PoolSpace {
        /// Bytes in use. A server leaves it out when it is zero.
        pub used: u64 = "used",
        /// Bytes in all.
        pub total: u64 = "total",
    }
}

object! {
    /// Inodes in a pool; zero of zero where the driver doesn't count them.
    pub struct PoolInodes {
        /// In use.
        pub used: u64 = "used",
        /// In all.
        pub total: u64 = "total",
    }
}

object! {
    /// How full a pool is, as `GET /1.0/storage-pools/<pool>/resources` describes it. Read only.
    pub struct ResourcesStoragePool {
        /// Bytes.
        pub space: PoolSpace = "space",
        /// Inodes.
        pub inodes: PoolInodes = "inodes",
    }
}
