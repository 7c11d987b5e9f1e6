//! Backups of custom volumes: files that the server packs and keeps until they are fetched.

use crate::{BackupTarget, Expiry, Timestamp};

object! {
    /// A backup of a volume, as `GET .../backups/<backup>` describes it. Its size is known only from its export.
    pub struct StorageVolumeBackup {
        /// The name; LXD may put the volume's in front, see [`short_name`](Self::short_name).
        pub name: String = "name",
        /// When it was made, to the second.
        pub created_at: Option<Timestamp> = time "created_at",
        /// When the server removes it; `None` is never.
        pub expires_at: Option<Timestamp> = time "expires_at",
        /// Whether the snapshots were left out.
        pub volume_only: bool = "volume_only",
        /// Whether it is in the driver's own format and can be imported into that driver only. Servers store `false`
        /// where the driver has no such format.
        pub optimized_storage: bool = "optimized_storage",
    }
}

impl StorageVolumeBackup {
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
}

open_enum! {
    /// The programs that can compress a backup. The server must have the one that is asked for.
    pub enum Compression {
        /// As it is.
        None = "none",
        /// bzip2.
        Bzip2 = "bzip2",
        /// gzip, which is the default of most servers.
        Gzip = "gzip",
        /// lz4, Incus only.
        Lz4 = "lz4",
        /// lzma.
        Lzma = "lzma",
        /// gzip on all processors.
        Pigz = "pigz",
        /// xz on all processors, Incus only.
        Pxz = "pxz",
        /// zstd on all processors.
        Pzstd = "pzstd",
        /// A squashfs image.
        Squashfs = "squashfs",
        /// A squashfs image, made from the tarball itself, Incus only.
        Tar2sqfs = "tar2sqfs",
        /// xz.
        Xz = "xz",
        /// zstd.
        Zstd = "zstd",
    }
}

object! {
    /// What `POST .../backups` takes.
    pub struct StorageVolumeBackupsPost {
        /// The backup's name; empty lets the server number it.
        pub name: String = "name",
        /// When the server removes it; `None` is never.
        pub expires_at: Option<Timestamp> = time "expires_at",
        /// Leave the snapshots out.
        pub volume_only: bool = "volume_only",
        /// In the driver's own format, which is quicker and can be imported into that driver only.
        pub optimized_storage: bool = "optimized_storage",
        /// How to compress it; `None` leaves that to the server's key `backups.compression_algorithm`.
        pub compression_algorithm: Option<Compression> = optional "compression_algorithm",
        /// Which version of the metadata inside. Needs `backup_metadata_version`; version 1 can be read by every LXD
        /// and by Incus.
        pub version: Option<u32> = optional "version",
        /// Where to upload it instead of keeping it; such a backup has neither name nor expiry. Needs
        /// `backup_s3_upload`.
        pub target: Option<BackupTarget> = optional "target",
    }
}

impl StorageVolumeBackupsPost {
    /// A backup with this name, snapshots included, compressed as the server likes.
    ///
    /// ```
    /// use lxd_types::{Compression, StorageVolumeBackupsPost};
    ///
    /// let post = StorageVolumeBackupsPost::new("nightly").with_compression(Compression::Zstd);
    /// assert!(serde_json::to_string(&post)?.contains(r#""compression_algorithm":"zstd""#));
    /// # Ok::<(), serde_json::Error>(())
    /// ```
    #[must_use]
    pub fn new(name: impl Into<String>) -> Self {
        Self { name: name.into(), ..Self::default() }
    }

    /// A backup that is named by the server.
    #[must_use]
    pub fn automatic() -> Self {
        Self::default()
    }

    /// Sets when the server removes it.
    #[must_use]
    pub fn with_expiry(mut self, expiry: impl Into<Expiry>) -> Self {
        self.expires_at = expiry.into().time();
        self
    }

    /// Sets how to compress it.
    #[must_use]
    pub fn with_compression(mut self, compression: Compression) -> Self {
        self.compression_algorithm = Some(compression);
        self
    }

    /// Sets which version the metadata inside is to have. Version 1 can be read by every LXD and by Incus. Needs the API
    /// extension `backup_metadata_version`; servers without it write version 1.
    #[must_use]
    pub fn with_metadata_version(mut self, version: u32) -> Self {
        self.version = Some(version);
        self
    }

    /// Leaves the snapshots out.
    #[must_use]
    pub fn volume_only(mut self) -> Self {
        self.volume_only = true;
        self
    }

    /// Asks for the driver's own format.
    #[must_use]
    pub fn optimized(mut self) -> Self {
        self.optimized_storage = true;
        self
    }

    /// Lets the server upload it instead of keeping it.
    #[must_use]
    pub fn with_target(mut self, target: BackupTarget) -> Self {
        self.target = Some(target);
        self
    }
}

object! {
    /// What `POST` on a backup takes: a rename.
    pub struct StorageVolumeBackupPost {
        /// The new name.
        pub name: String = "name",
    }
}

impl StorageVolumeBackupPost {
    /// A rename in place.
    #[must_use]
    pub fn rename(name: impl Into<String>) -> Self {
        Self { name: name.into(), ..Self::default() }
    }
}
