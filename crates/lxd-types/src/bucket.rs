//! Buckets, which keep objects behind the S3 protocol, and the keys that open them.

use crate::{Config, Secret, Size};

/// What LXD and Incus 6.0 let out of their databases into the answer about one bucket.
const LEAKED: [&str; 3] = ["ID", "PoolID", "PoolName"];

object! {
    /// A bucket, as `GET /1.0/storage-pools/<pool>/buckets/<bucket>` describes it.
    pub struct StorageBucket {
        /// The name.
        pub name: String = "name",
        /// Free text.
        pub description: String = "description",
        /// Where S3 clients find it; empty where the server has no address for buckets.
        pub s3_url: String = "s3_url",
        /// The cluster member that holds it; `none` outside a cluster, empty for drivers that all members share.
        pub location: String = "location",
        /// The keys of its config.
        pub config: Config = "config",
        /// The project that holds it, on servers with `storage_buckets_all_projects`.
        pub project: String = "project",
        /// What the caller may do with it, such as `can_edit`. Only in answers to a query `with-access-entitlements`, which
        /// needs `entities_with_entitlements` (LXD).
        pub access_entitlements: Option<Vec<String>> = optional "access_entitlements",
    }
}

impl StorageBucket {
    /// The part that a `PUT` replaces, with everything in it that the server sent.
    #[must_use]
    pub fn to_put(&self) -> StorageBucketPut {
        let mut extra = self.extra.clone();
        extra.retain(|name, _| !LEAKED.contains(&&**name));
        StorageBucketPut { description: self.description.clone(), config: self.config.clone(), extra }
    }
}

object! {
    /// What `PUT` on a bucket takes. It replaces: what is missing here is removed.
    pub struct StorageBucketPut {
        /// Free text.
        pub description: String = "description",
        /// The keys of its config.
        pub config: Config = "config",
    }
}

config_setters!(StorageBucketPut);

object! {
    /// What `POST .../buckets` takes: the whole of a new bucket.
    pub struct StorageBucketsPost {
        /// The name, by the rules of S3: 3 to 63 lowercase letters, digits, dots and hyphens.
        pub name: String = "name",
        /// Free text.
        pub description: String = "description",
        /// The keys of its config.
        pub config: Config = "config",
    }
}

config_setters!(StorageBucketsPost);

impl StorageBucketsPost {
    /// A bucket with this name.
    ///
    /// ```
    /// use lxd_types::{Size, StorageBucketsPost};
    ///
    /// let post = StorageBucketsPost::new("photos").with_size(Size::gib(5));
    /// assert_eq!(serde_json::to_string(&post)?, r#"{"name":"photos","description":"","config":{"size":"5GiB"}}"#);
    /// # Ok::<(), serde_json::Error>(())
    /// ```
    #[must_use]
    pub fn new(name: impl Into<String>) -> Self {
        Self { name: name.into(), ..Self::default() }
    }

    /// Sets how many bytes the bucket may hold. Buckets of driver `dir` have no such limit.
    #[must_use]
    pub fn with_size(mut self, size: Size) -> Self {
        self.config.set("size", size);
        self
    }
}

open_enum! {
    /// What a key may do with its bucket.
    pub enum BucketKeyRole {
        /// All.
        Admin = "admin",
        /// List and read.
        ReadOnly = "read-only",
    }
}

object! {
    /// A key of a bucket, as `GET .../buckets/<bucket>/keys/<key>` describes it.
    pub struct StorageBucketKey {
        /// The key's name.
        pub name: String = "name",
        /// Free text.
        pub description: String = "description",
        /// What it may do.
        pub role: BucketKeyRole = "role",
        /// What an S3 client shows as its user name.
        pub access_key: Secret = "access-key",
        /// What an S3 client signs its requests with.
        pub secret_key: Secret = "secret-key",
    }
}

impl StorageBucketKey {
    /// The part that a `PUT` replaces: the credentials stay.
    #[must_use]
    pub fn to_put(&self) -> StorageBucketKeyPut {
        StorageBucketKeyPut {
            description: self.description.clone(),
            role: self.role.clone(),
            access_key: self.access_key.clone(),
            secret_key: self.secret_key.clone(),
            extra: self.extra.clone(),
        }
    }
}

object! {
    /// What `PUT` on a key takes. It replaces: without credentials the server makes new ones.
    pub struct StorageBucketKeyPut {
        /// Free text.
        pub description: String = "description",
        /// What the key may do. Servers insist on it.
        pub role: BucketKeyRole = "role",
        /// The access key; empty for one of the server's making.
        pub access_key: Secret = "access-key",
        /// The secret key; empty for one of the server's making.
        pub secret_key: Secret = "secret-key",
    }
}

impl StorageBucketKeyPut {
    /// Lets the server make new credentials.
    pub fn renew_credentials(&mut self) -> &mut Self {
        (self.access_key, self.secret_key) = (Secret::default(), Secret::default());
        self
    }
}

object! {
    /// What `POST .../buckets/<bucket>/keys` takes.
    pub struct StorageBucketKeysPost {
        /// The key's name.
        pub name: String = "name",
        /// Free text.
        pub description: String = "description",
        /// What the key may do. Servers insist on it.
        pub role: BucketKeyRole = "role",
        /// The access key; empty for one of the server's making.
        pub access_key: Secret = "access-key",
        /// The secret key; empty for one of the server's making.
        pub secret_key: Secret = "secret-key",
    }
}

impl StorageBucketKeysPost {
    /// A key with credentials of the server's making.
    ///
    /// ```
    /// use lxd_types::{BucketKeyRole, StorageBucketKeysPost};
    ///
    /// let post = StorageBucketKeysPost::new("viewer", BucketKeyRole::ReadOnly).with_description("for the web site");
    /// assert_eq!(post.role.as_str(), "read-only");
    /// ```
    #[must_use]
    pub fn new(name: impl Into<String>, role: BucketKeyRole) -> Self {
        Self { name: name.into(), role, ..Self::default() }
    }

    /// Sets the description.
    #[must_use]
    pub fn with_description(mut self, description: impl Into<String>) -> Self {
        self.description = description.into();
        self
    }

    /// Sets the credentials. Servers take an access key for one bucket only.
    #[must_use]
    pub fn with_credentials(mut self, access_key: impl Into<Secret>, secret_key: impl Into<Secret>) -> Self {
        (self.access_key, self.secret_key) = (access_key.into(), secret_key.into());
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: &str = r#"{"description":"Admin user","role":"admin","access-key":"AKAKAKAK","secret-key":"SKSKSKSK","name":"admin"}"#;

    #[test]
    fn credentials_are_read_written_and_not_shown() {
        let key: StorageBucketKey = serde_json::from_str(KEY).unwrap();
        assert_eq!((key.role.clone(), key.secret_key.expose()), (BucketKeyRole::Admin, "SKSKSKSK"));
        let put = key.to_put();
        let json = serde_json::to_string(&put).unwrap();
        assert!(json.contains(r#""access-key":"AKAKAKAK","secret-key":"SKSKSKSK""#), "{json}");
        let post =
            StorageBucketKeysPost::new("k", BucketKeyRole::Admin).with_credentials("AKAKAKAK", "SKSKSKSK");
        let debug = format!("{key:?} {key:#?} {put:?} {post:?}");
        assert!(debug.contains("***") && !debug.contains("AKAK") && !debug.contains("SKSK"), "{debug}");
    }

    #[test]
    fn renewed_credentials_go_out_empty() {
        let mut put = serde_json::from_str::<StorageBucketKey>(KEY).unwrap().to_put();
        put.renew_credentials();
        assert!(serde_json::to_string(&put).unwrap().contains(r#""access-key":"","secret-key":"""#));
    }

    #[test]
    fn entitlements_are_read_and_not_put() {
        let text = r#"{"name":"b","access_entitlements":["can_edit"]}"#;
        let bucket: StorageBucket = serde_json::from_str(text).unwrap();
        assert_eq!(bucket.access_entitlements.as_deref(), Some(&["can_edit".to_owned()][..]));
        assert!(serde_json::to_string(&bucket).unwrap().contains("can_edit"));
        assert!(!serde_json::to_string(&bucket.to_put()).unwrap().contains("can_edit"));
    }

    #[test]
    fn what_leaked_from_the_database_does_not_go_back() {
        let text = r#"{"name":"b","config":{"user.a":"1"},"s3_url":"","ID":1,"PoolID":2,"PoolName":"p","colour":"blue"}"#;
        let bucket: StorageBucket = serde_json::from_str(text).unwrap();
        assert_eq!(bucket.extra["PoolID"], 2);
        assert_eq!(
            serde_json::to_string(&bucket.to_put()).unwrap(),
            r#"{"description":"","config":{"user.a":"1"},"colour":"blue"}"#
        );
    }
}
