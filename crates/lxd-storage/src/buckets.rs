//! The buckets of a pool: list, get, create.

mod backup;
mod backups;
mod bucket;
mod export;
mod full;
mod import;
mod key;
mod keys;
mod list;

use http::Method;
use lxd_types::{StorageBucketKey, StorageBucketsPost};

pub use self::{
    backup::{BucketBackup, BucketBackupHandle},
    backups::BucketBackups,
    bucket::{Bucket, BucketHandle},
    export::BucketExport,
    full::BucketFull,
    key::{BucketKey, BucketKeyHandle},
    keys::BucketKeys,
    list::BucketList,
};
use crate::{
    Change, Error, ErrorKind, PoolHandle, check, doubt,
    object::Address as _,
    pending::{ChangeRequest, Done},
    route::Route,
};

impl PoolHandle {
    /// The buckets of the pool.
    #[must_use]
    pub fn buckets(&self) -> Buckets {
        Buckets { pool: self.clone() }
    }

    /// One bucket of the pool, by its name. No I/O: whether it exists shows when it is used.
    #[must_use]
    pub fn bucket(&self, name: impl AsRef<str>) -> BucketHandle {
        BucketHandle::new(self.clone(), name.as_ref().into())
    }
}

/// The buckets of a pool (`/1.0/storage-pools/<pool>/buckets`), which keep objects behind the S3 protocol. Needs the
/// API extension `storage_buckets`, which LXD 5.0 lacks.
///
/// Buckets in pools of the drivers `dir`, `btrfs`, `lvm` and `zfs` need the API extension `storage_buckets_local` and the
/// server's key `core.storage_buckets_address`, and up to Incus 6 MinIO on the server; those of `cephobject` don't.
///
/// ```
/// # async fn example(client: lxd_storage::Client) -> Result<(), lxd_storage::Error> {
/// use lxd_storage::types::{BucketKeyRole, Size, StorageBucketKeysPost, StorageBucketsPost};
///
/// let buckets = client.storage_pool("fast").buckets();
/// let created = buckets.create(StorageBucketsPost::new("photos").with_size(Size::gib(5))).await?;
/// println!("{:?} is at {:?}", created.bucket.name(), created.bucket.s3_url());
/// if let Some(admin) = &created.admin_key {
///     println!("access key {}", admin.access_key.expose());
/// }
/// let viewer = StorageBucketKeysPost::new("viewer", BucketKeyRole::ReadOnly);
/// let viewer = created.bucket.keys().create(viewer).await?;
/// # Ok(()) }
/// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doc/server.rs"));
/// # fn main() { on_emulator!(example(client) in with_pools) }
/// ```
#[derive(Clone, Debug)]
pub struct Buckets {
    pool: PoolHandle,
}

/// A new bucket, and what opens it.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct CreatedBucket {
    /// The bucket.
    pub bucket: Bucket,
    /// The key of role `admin` that the server made along with it; `None` where it lacks the API extension
    /// `storage_buckets_create_credentials`. It can be read again later, from the bucket's [`keys`](BucketHandle::keys).
    pub admin_key: Option<StorageBucketKey>,
}

impl Buckets {
    /// All buckets, as full objects, in one request (`GET .../buckets?recursion=1`).
    ///
    /// # Errors
    /// [`NotFound`](ErrorKind::NotFound) for the pool or the project;
    /// [`UnsupportedExtension`](ErrorKind::UnsupportedExtension).
    pub async fn all(&self) -> Result<Vec<Bucket>, Error> {
        self.list().await
    }

    /// One bucket (`GET .../buckets/<bucket>`).
    ///
    /// # Errors
    /// [`NotFound`](ErrorKind::NotFound).
    pub async fn get(&self, name: &str) -> Result<Bucket, Error> {
        self.pool.bucket(name).get().await
    }

    /// Whether there is a bucket of this name. Only [`NotFound`](ErrorKind::NotFound) counts as no.
    ///
    /// # Errors
    /// All others.
    pub async fn exists(&self, name: &str) -> Result<bool, Error> {
        self.pool.bucket(name).exists().await
    }

    /// Creates a bucket, and gives it with the key that opens it (`POST .../buckets`).
    ///
    /// The name and what the driver can do are looked at first, since servers begin a bucket before they notice that
    /// it cannot be.
    ///
    /// # Errors
    /// [`AlreadyExists`](ErrorKind::AlreadyExists); [`InvalidInput`](ErrorKind::InvalidInput) for a name against the
    /// rules of S3, a size that doesn't parse or that the driver can't set, or a driver without buckets;
    /// [`UnsupportedExtension`](ErrorKind::UnsupportedExtension), all before anything is sent;
    /// [`Server`](ErrorKind::Server) where the server needs MinIO and has none.
    pub fn create(&self, bucket: StorageBucketsPost) -> Change<CreatedBucket> {
        let request = self.create_request(&bucket);
        let handle = self.pool.bucket(bucket.name);
        Change::new(self.pool.client(), request, |done| async move {
            let admin_key = admin_key(done)?;
            Ok(CreatedBucket { bucket: handle.get().await?, admin_key })
        })
    }

    fn create_request(&self, bucket: &StorageBucketsPost) -> Result<ChangeRequest, Error> {
        check::bucket_name(&bucket.name)?;
        check::sizes(&bucket.config)?;
        let route = self.pool.client().scoped(self.route()?);
        let request = ChangeRequest::new(Method::POST, route).json(bucket)?.needs("storage_buckets");
        let made = self.pool.bucket(&*bucket.name);
        let request = request.leaving(doubt::made(&made.in_words()));
        Ok(request.if_driver_has_buckets(self.pool.scoped()?, &bucket.config))
    }

    fn route(&self) -> Result<Route, Error> {
        Ok(self.pool.path()?.literal("buckets"))
    }
}

/// The key that came with a new bucket: as the answer, or with the operation where the server works in the background.
fn admin_key(done: Done) -> Result<Option<StorageBucketKey>, Error> {
    let key: Option<StorageBucketKey> = match done {
        Done::AtOnce(answer) => answer.decode()?,
        Done::Operation(operation) => match operation.metadata.get("key") {
            // Its own error could quote the secret.
            Some(key) => Some(serde_json::from_value(key.clone()).map_err(|_| {
                Error::new(
                    ErrorKind::Decode,
                    "the bucket was made; its key cannot be read from the operation",
                )
                .with_reached(lxd_transport::Reached::Yes)
                .with_operation(&operation.id)
            })?),
            None => None,
        },
    };
    Ok(key.filter(|key| !key.secret_key.is_empty()))
}
