//! Buckets together with all that belongs to them: keys and backups.

use lxd_types::{StorageBucket, StorageBucketFull};

use super::{Bucket, BucketBackup, BucketHandle, BucketKey};
use crate::{Error, ErrorKind, at_once::some_at_once, object::Address as _};

/// The API extension of servers that answer with all of it at once.
pub(super) const EXTENSION: &str = "storage_bucket_full";

/// A bucket with its keys and backups.
///
/// Servers with the API extension `storage_bucket_full` (Incus) give all of it along with the bucket or with the list
/// of buckets. Others are asked twice more per bucket, a few at a time.
///
/// ```
/// # async fn example(client: lxd_storage::Client) -> Result<(), lxd_storage::Error> {
/// for full in client.storage_pool("fast").buckets().full().await? {
///     println!("{}: {} keys", full.bucket.name(), full.keys.len());
/// }
/// # Ok(()) }
/// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doc/server.rs"));
/// # fn main() { on_emulator!(example(client)) }
/// ```
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct BucketFull {
    /// The bucket.
    pub bucket: Bucket,
    /// Its keys, with their credentials.
    pub keys: Vec<BucketKey>,
    /// Its backups; `None` from servers that don't list them: LXD, which has none, and Incus 6.0 up to 6.0.5.
    pub backups: Option<Vec<BucketBackup>>,
}

impl BucketFull {
    pub(super) fn new(bucket: Bucket, full: StorageBucketFull) -> Self {
        let handle = bucket.handle();
        let keys = full.keys.into_iter().map(|object| BucketKey::from_list(handle, object)).collect();
        let backups = full.backups.into_iter();
        let backups = backups.map(|object| BucketBackup::new(handle.backup(object.short_name()), object));
        Self { keys, backups: Some(backups.collect()), bucket }
    }

    /// Of a server that doesn't tell it all at once; `None` for a bucket that is gone by now.
    async fn compose(bucket: Bucket) -> Result<Option<Self>, Error> {
        let handle = bucket.handle().clone();
        let parts = async {
            let keys = handle.keys().all().await?;
            let backups = match handle.backups().all().await {
                Ok(backups) => Some(backups),
                Err(error) if error.kind() == ErrorKind::UnsupportedExtension => None,
                Err(error) => return Err(error),
            };
            Ok((keys, backups))
        };
        match parts.await {
            Ok((keys, backups)) => Ok(Some(Self { bucket, keys, backups })),
            Err(error) if Error::is_not_found(&error) && !handle.exists().await? => Ok(None),
            Err(error) => Err(error),
        }
    }
}

impl BucketHandle {
    /// The bucket with its keys and backups: one request with the API extension `storage_bucket_full`
    /// (`GET .../buckets/<bucket>?recursion=1`), else three.
    ///
    /// # Errors
    /// [`NotFound`](ErrorKind::NotFound).
    pub async fn full(&self) -> Result<BucketFull, Error> {
        if self.client().server().await?.api_extensions.has(EXTENSION) {
            let mut full = self.read_full().await?;
            let object: StorageBucket = std::mem::take(&mut full.bucket);
            return Ok(BucketFull::new(Bucket::from_list(self.pool(), object), full));
        }
        let gone = || Error::new(ErrorKind::NotFound, format!("the {} was deleted", self.in_words()));
        BucketFull::compose(self.get().await?).await?.ok_or_else(gone)
    }

    pub(super) async fn read_full(&self) -> Result<StorageBucketFull, Error> {
        let client = self.client();
        let route = self.path().map(|route| client.scoped(route.query("recursion", "1")));
        client.get(route, &[EXTENSION]).await?.decode()
    }
}

/// All that belongs to each, from a server that doesn't tell it all at once.
pub(super) async fn compose(buckets: Vec<Bucket>) -> Result<Vec<BucketFull>, Error> {
    Ok(some_at_once(buckets, BucketFull::compose).await?.into_iter().flatten().collect())
}
