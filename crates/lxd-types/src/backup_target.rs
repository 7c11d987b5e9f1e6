//! Where a server puts a backup that it does not keep.

use crate::Secret;

open_enum! {
    /// How a server uploads a backup.
    pub enum BackupProtocol {
        /// As an object in a bucket that speaks S3.
        S3 = "s3",
    }
}

object! {
    /// Where a server is to upload a backup instead of keeping it. Needs the API extension `backup_s3_upload` (Incus).
    pub struct BackupTarget {
        /// How it is uploaded.
        pub protocol: BackupProtocol = "protocol",
        /// Where the S3 server is, as `https://host:port`: the server of the volume must reach it, and trust its
        /// certificate.
        pub url: String = "url",
        /// The bucket, which must be there.
        pub bucket_name: String = "bucket_name",
        /// The object's name in the bucket. An object that is there is replaced.
        pub path: String = "path",
        /// The access key.
        pub access_key: Secret = "access_key",
        /// The secret key.
        pub secret_key: Secret = "secret_key",
    }
}

impl BackupTarget {
    /// An object in a bucket behind an S3 server, such as `https://s3.example.org`.
    ///
    /// ```
    /// use lxd_types::BackupTarget;
    ///
    /// let target = BackupTarget::s3("https://s3.example.org", "backups", "2026/data.tar.gz")
    ///     .with_credentials("access", "c0ffee");
    /// assert!(!format!("{target:?}").contains("c0ffee"));
    /// ```
    #[must_use]
    pub fn s3(url: impl Into<String>, bucket_name: impl Into<String>, path: impl Into<String>) -> Self {
        Self {
            protocol: BackupProtocol::S3,
            url: url.into(),
            bucket_name: bucket_name.into(),
            path: path.into(),
            ..Self::default()
        }
    }

    /// Sets what opens the bucket for writing.
    #[must_use]
    pub fn with_credentials(mut self, access_key: impl Into<Secret>, secret_key: impl Into<Secret>) -> Self {
        (self.access_key, self.secret_key) = (access_key.into(), secret_key.into());
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::StorageVolumeBackupsPost;

    #[test]
    fn it_goes_out_with_its_credentials_and_shows_none() {
        let target = BackupTarget::s3("https://h:1", "b", "p").with_credentials("AKAKAK", "SKSKSK");
        let post = StorageVolumeBackupsPost::automatic().with_target(target);
        let json = serde_json::to_string(&post).unwrap();
        let target = r#""target":{"protocol":"s3","url":"https://h:1","bucket_name":"b","path":"p","access_key":"AKAKAK","secret_key":"SKSKSK"}"#;
        assert!(json.contains(target), "{json}");
        let debug = format!("{post:?} {post:#?}");
        assert!(debug.contains("***") && !debug.contains("AKAKAK") && !debug.contains("SKSKSK"), "{debug}");
        assert!(!serde_json::to_string(&StorageVolumeBackupsPost::new("b")).unwrap().contains("target"));
    }
}
