//! The backups of a bucket that its server keeps: list, get, create.

use lxd_types::{StorageBucketBackup, StorageBucketBackupsPost, Timestamp};
use serde_json::Value;

use super::{BucketBackup, BucketHandle};
use crate::{
    Change, Error, ErrorKind,
    kept::{self, Packable},
    pending::ChangeRequest,
};

/// The backups of a bucket (`.../buckets/<bucket>/backups`): files that the server packs and keeps until they are
/// deleted or expire. Needs the API extension `storage_bucket_backup`, which only Incus has.
///
/// To get a bucket into a file in one step, use [`BucketHandle::export`].
///
/// ```
/// # async fn example(bucket: lxd_storage::BucketHandle) -> Result<(), lxd_storage::Error> {
/// use lxd_storage::types::StorageBucketBackupsPost;
///
/// let backup = bucket.backups().create(StorageBucketBackupsPost::new("nightly")).await?;
/// backup.download().await?.save_to("nightly.tar.gz").await?;
/// backup.delete().await?;
/// # Ok(()) }
/// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doc/server.rs"));
/// # fn main() { on_emulator!(example(bucket)) }
/// ```
#[derive(Clone, Debug)]
pub struct BucketBackups {
    bucket: BucketHandle,
}

impl BucketBackups {
    pub(crate) fn new(bucket: BucketHandle) -> Self {
        Self { bucket }
    }

    /// All backups, in one request (`GET .../backups?recursion=1`).
    ///
    /// # Errors
    /// [`NotFound`](ErrorKind::NotFound) for the bucket. [`UnsupportedExtension`](ErrorKind::UnsupportedExtension) with
    /// `storage_bucket_full` from Incus 6.0 up to 6.0.5, which answer with the bucket instead: there each backup can be
    /// looked up by its name only.
    pub async fn all(&self) -> Result<Vec<BucketBackup>, Error> {
        let client = self.bucket.client();
        let route = self.bucket.backups_path().map(|route| client.scoped(route.query("recursion", "1")));
        let answer = client.get(route, &[BucketHandle::BACKUPS]).await?;
        let objects = match answer.decode()? {
            Value::Object(_) => self.of_the_bucket().await?,
            _ => answer.decode::<Option<Vec<StorageBucketBackup>>>()?.unwrap_or_default(),
        };
        let handle = |object: &StorageBucketBackup| self.bucket.backup(object.short_name());
        Ok(objects.into_iter().map(|object| BucketBackup::new(handle(&object), object)).collect())
    }

    /// The backups by another way, for servers that answer the list of them with the bucket.
    async fn of_the_bucket(&self) -> Result<Vec<StorageBucketBackup>, Error> {
        let full = self.bucket.read_full().await.map_err(|error| match error.kind() {
            ErrorKind::UnsupportedExtension => {
                error.with_note("it answers the list of a bucket's backups with the bucket")
            }
            _ => error,
        })?;
        Ok(full.backups)
    }

    /// One backup (`GET .../backups/<backup>`).
    ///
    /// # Errors
    /// [`NotFound`](ErrorKind::NotFound).
    pub async fn get(&self, name: &str) -> Result<BucketBackup, Error> {
        self.bucket.backup(name).get().await
    }

    /// Whether there is a backup of this name. Only [`NotFound`](ErrorKind::NotFound) counts as no.
    ///
    /// # Errors
    /// All others.
    pub async fn exists(&self, name: &str) -> Result<bool, Error> {
        self.bucket.backup(name).exists().await
    }

    /// Packs the bucket, its keys included, and reads back what the server says of the backup (`POST .../backups`,
    /// always in the background). With an empty name the server numbers it.
    ///
    /// # Errors
    /// [`AlreadyExists`](ErrorKind::AlreadyExists); [`InvalidInput`](ErrorKind::InvalidInput) for a compressor that the
    /// server lacks; [`OperationFailed`](ErrorKind::OperationFailed) where the disk is full.
    pub fn create(&self, backup: StorageBucketBackupsPost) -> Change<BucketBackup> {
        let request = self.bucket.packing(&backup);
        let bucket = self.bucket.clone();
        Change::new(self.bucket.client(), request, move |done| async move {
            bucket.backup(kept::name(backup.name, done)?).get().await
        })
    }
}

impl Packable for BucketHandle {
    type Post = StorageBucketBackupsPost;

    const BACKUPS: &'static str = "storage_bucket_backup";

    fn packing(&self, post: &StorageBucketBackupsPost) -> Result<ChangeRequest, Error> {
        kept::packing(self, post, &post.name)
    }

    fn temporary(post: &mut StorageBucketBackupsPost, name: &str, expires_at: Option<Timestamp>) {
        (post.name, post.expires_at) = (name.to_owned(), expires_at);
    }
}
