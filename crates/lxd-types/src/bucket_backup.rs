//! Backups of buckets: files that Incus packs and keeps until they are fetched.

use crate::{Compression, Expiry, Timestamp};

object! {
    /// A backup of a bucket, as `GET .../buckets/<bucket>/backups/<backup>` describes it. Its size is known only from
    /// its export.
    pub struct StorageBucketBackup {
        /// The name; Incus 6.0 puts the bucket's in front, see [`short_name`](Self::short_name).
        pub name: String = "name",
        /// When it was made, to the second; Incus 6.0 doesn't say.
        pub created_at: Option<Timestamp> = time "created_at",
        /// When the server removes it; `None` is never.
        pub expires_at: Option<Timestamp> = time "expires_at",
        /// Only Incus 6.0 has this, and leaves it empty.
        pub compression_algorithm: Option<Compression> = optional "compression_algorithm",
    }
}

impl StorageBucketBackup {
    /// The name without the bucket's in front.
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

object! {
    /// What `POST .../buckets/<bucket>/backups` takes.
    pub struct StorageBucketBackupsPost {
        /// The backup's name; empty lets the server number it.
        pub name: String = "name",
        /// When the server removes it; `None` is never.
        pub expires_at: Option<Timestamp> = time "expires_at",
        /// How to compress it; `None` leaves that to the server's key `backups.compression_algorithm`.
        pub compression_algorithm: Option<Compression> = optional "compression_algorithm",
    }
}

impl StorageBucketBackupsPost {
    /// A backup with this name, compressed as the server likes.
    ///
    /// ```
    /// use lxd_types::{Compression, StorageBucketBackupsPost};
    ///
    /// let post = StorageBucketBackupsPost::new("nightly").with_compression(Compression::Zstd);
    /// assert_eq!(serde_json::to_string(&post)?, r#"{"name":"nightly","compression_algorithm":"zstd"}"#);
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
}

object! {
    /// What `POST` on a backup of a bucket takes: a rename.
    pub struct StorageBucketBackupPost {
        /// The new name.
        pub name: String = "name",
    }
}

impl StorageBucketBackupPost {
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
    fn the_form_of_incus_6_0_is_read() {
        let text = r#"{"name":"photos/b é%","expires_at":"2030-01-01T00:00:00Z","compression_algorithm":""}"#;
        let backup: StorageBucketBackup = serde_json::from_str(text).unwrap();
        assert_eq!((backup.short_name(), backup.created_at), ("b é%", None));
        assert_eq!(backup.expiry(), Expiry::At("2030-01-01T00:00:00Z".parse().unwrap()));
    }
}
