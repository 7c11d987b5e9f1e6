//! One bucket: [`BucketHandle`] says which, [`Bucket`] also holds what was read of it.

use std::{fmt, ops::Deref, sync::Arc};

use lxd_types::{Config, Patch, StorageBucket, StorageBucketPut};

use super::{BucketBackupHandle, BucketBackups, BucketExport, BucketKeyHandle, BucketKeys};
use crate::{
    Change, Client, ETag, Error, PoolHandle,
    object::{Address, Local},
    route::Route,
};

/// A bucket by its pool and name, whether it exists or not. Making one does no I/O; it is cheap to clone and keep.
///
/// What needs no knowledge of the bucket's present state is done from here. [`get`](Self::get) gives a [`Bucket`],
/// which has the state too. All needs the API extension `storage_buckets`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BucketHandle {
    pool: PoolHandle,
    name: Arc<str>,
}

impl BucketHandle {
    pub(crate) fn new(pool: PoolHandle, name: Arc<str>) -> Self {
        Self { pool, name }
    }

    /// The bucket's name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The pool that the bucket is in.
    #[must_use]
    pub fn pool(&self) -> &PoolHandle {
        &self.pool
    }

    /// The server that the bucket is on, with project and cluster member.
    #[must_use]
    pub fn client(&self) -> &Client {
        self.pool.client()
    }

    /// The same name in a project.
    #[must_use]
    pub fn with_project(&self, project: impl AsRef<str>) -> Self {
        Self { pool: self.pool.with_project(project), name: Arc::clone(&self.name) }
    }

    /// The same name on a cluster member.
    #[must_use]
    pub fn with_target(&self, member: impl AsRef<str>) -> Self {
        Self { pool: self.pool.with_target(member), name: Arc::clone(&self.name) }
    }

    /// Reads the bucket (`GET .../buckets/<bucket>`).
    ///
    /// # Errors
    /// [`NotFound`](crate::ErrorKind::NotFound).
    pub async fn get(&self) -> Result<Bucket, Error> {
        Ok(Bucket { local: self.read().await?, handle: self.clone() })
    }

    /// Whether the bucket exists. Only [`NotFound`](crate::ErrorKind::NotFound) counts as no.
    ///
    /// # Errors
    /// All others.
    pub async fn exists(&self) -> Result<bool, Error> {
        self.is_there().await
    }

    /// Replaces description and config, and nothing else: no ETag, no reading back (`PUT .../buckets/<bucket>`). What
    /// is missing in `put` is removed on the server.
    pub fn raw_put(&self, put: &StorageBucketPut) -> Change<()> {
        self.replace(put)
    }

    /// Changes some keys of the config, and nothing else: no ETag, no reading back (`PATCH .../buckets/<bucket>`).
    ///
    /// A patch without a description clears it, on every server. [`Bucket::patch`] fills in the present one.
    pub fn raw_patch(&self, patch: &Patch) -> Change<()> {
        self.change_some(patch)
    }

    /// Deletes the bucket with all objects in it, its keys and its backups (`DELETE .../buckets/<bucket>`).
    ///
    /// # Errors
    /// [`NotFound`](crate::ErrorKind::NotFound).
    pub fn delete(&self) -> Change<()> {
        self.remove()
    }

    /// Reads the bucket, lets `change` edit description and config, and writes them back if they changed; begins again
    /// if somebody else changed the bucket meanwhile. Gives the bucket as it is afterwards.
    ///
    /// What [`PoolHandle::edit`] says of turns and other programs holds here too. Incus doesn't look at ETags of
    /// buckets, so they are compared here, right before the request goes out.
    ///
    /// ```
    /// # async fn example(bucket: lxd_storage::BucketHandle) -> Result<(), lxd_storage::Error> {
    /// use lxd_storage::types::Size;
    ///
    /// let larger = bucket.edit(|put| { put.config.set("size", Size::gib(20)); }).await?;
    /// # Ok(()) }
    /// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doc/server.rs"));
    /// # fn main() { on_emulator!(example(bucket)) }
    /// ```
    ///
    /// # Errors
    /// [`PreconditionFailed`](crate::ErrorKind::PreconditionFailed) after losing a great many races; those of
    /// reading and writing.
    pub async fn edit(&self, change: impl FnMut(&mut StorageBucketPut) + Send) -> Result<Bucket, Error> {
        Ok(Bucket { local: self.edit_until_won(change).await?, handle: self.clone() })
    }

    /// The keys that open the bucket.
    #[must_use]
    pub fn keys(&self) -> BucketKeys {
        BucketKeys::new(self.clone())
    }

    /// One key of the bucket, by its name. No I/O: whether it exists shows when it is used.
    #[must_use]
    pub fn key(&self, name: impl AsRef<str>) -> BucketKeyHandle {
        BucketKeyHandle::new(self.clone(), name.as_ref().into())
    }

    /// The backups of the bucket that its server keeps (Incus).
    #[must_use]
    pub fn backups(&self) -> BucketBackups {
        BucketBackups::new(self.clone())
    }

    /// One backup of the bucket, by its name. No I/O: whether it exists shows when it is used.
    #[must_use]
    pub fn backup(&self, name: impl AsRef<str>) -> BucketBackupHandle {
        BucketBackupHandle::new(self.clone(), name.as_ref().into())
    }

    /// Exports the bucket into a file, a writer or a stream, with nothing left on the server. See [`BucketExport`].
    pub fn export(&self) -> BucketExport {
        BucketExport::new(self.clone())
    }
}

/// `pool/bucket`, for people and logs.
impl fmt::Display for BucketHandle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.pool, self.name)
    }
}

impl Address for BucketHandle {
    type Object = StorageBucket;
    type Put = StorageBucketPut;

    const NEEDS: &'static [&'static str] = &["storage_buckets"];
    /// Incus takes any `If-Match` here.
    const GUARDED: bool = false;

    fn server(&self) -> &Client {
        self.pool.client()
    }

    fn path(&self) -> Result<Route, Error> {
        self.pool.path()?.literal("buckets").name("bucket", &self.name)
    }

    fn in_words(&self) -> String {
        format!("bucket {:?} in pool {:?}", self.name, self.pool.name())
    }

    fn description(object: &StorageBucket) -> &str {
        &object.description
    }

    fn config(object: &StorageBucket) -> &Config {
        &object.config
    }

    fn to_put(object: &StorageBucket) -> StorageBucketPut {
        object.to_put()
    }

    fn put_config(put: &StorageBucketPut) -> &Config {
        &put.config
    }

    fn own_etag(object: &StorageBucket) -> Option<ETag> {
        ETag::of_bucket(object)
    }
}

/// A bucket, as it was read.
///
/// It dereferences to its [`BucketHandle`] for everything that needs no state. Edit it in place and
/// [`save`](Self::save) it:
///
/// ```
/// # async fn example(client: lxd_storage::Client) -> Result<(), lxd_storage::Error> {
/// let mut photos = client.storage_pool("fast").buckets().get("photos").await?;
/// photos.set_description("of the summer");
/// photos.save().await?;
/// photos.delete().await?;
/// # Ok(()) }
/// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doc/server.rs"));
/// # fn main() { on_emulator!(example(client)) }
/// ```
#[derive(Clone, Debug)]
pub struct Bucket {
    handle: BucketHandle,
    local: Local<BucketHandle>,
}

impl Bucket {
    pub(crate) fn from_list(pool: &PoolHandle, object: StorageBucket) -> Self {
        // As volumes are: in a cluster a local bucket is found on its own member only.
        let pool = match &*object.location {
            "" | "none" => pool.clone(),
            member => pool.with_target(member),
        };
        Self { handle: pool.bucket(object.name.as_str()), local: Local::listed(object) }
    }

    /// The whole object as it was read or edited, with the fields that this crate doesn't know.
    #[must_use]
    pub fn object(&self) -> &StorageBucket {
        self.local.object()
    }

    /// Which bucket this is, without its state.
    #[must_use]
    pub fn handle(&self) -> &BucketHandle {
        &self.handle
    }

    /// The description.
    #[must_use]
    pub fn description(&self) -> &str {
        &self.object().description
    }

    /// The keys of its config.
    #[must_use]
    pub fn config(&self) -> &Config {
        &self.object().config
    }

    /// Where S3 clients find the bucket; `None` where the server has no address for buckets.
    #[must_use]
    pub fn s3_url(&self) -> Option<&str> {
        Some(&*self.object().s3_url).filter(|url| !url.is_empty())
    }

    /// The project that holds the bucket, on servers with `storage_buckets_all_projects`; elsewhere empty.
    #[must_use]
    pub fn project(&self) -> &str {
        &self.object().project
    }

    /// The cluster member that holds the bucket; `none` outside a cluster, empty for drivers that all members share.
    #[must_use]
    pub fn location(&self) -> &str {
        &self.object().location
    }

    /// The version that was read; `None` for buckets out of a list.
    #[must_use]
    pub fn etag(&self) -> Option<ETag> {
        self.local.etag()
    }

    /// Sets the description, until [`save`](Self::save).
    pub fn set_description(&mut self, description: impl Into<String>) {
        self.local.object_mut().description = description.into();
    }

    /// The keys of its config, to be edited until [`save`](Self::save).
    pub fn config_mut(&mut self) -> &mut Config {
        &mut self.local.object_mut().config
    }

    /// Reads the bucket anew. Edits that weren't saved are gone.
    ///
    /// # Errors
    /// [`NotFound`](crate::ErrorKind::NotFound), also after [`delete`](Self::delete).
    pub async fn sync(&mut self) -> Result<(), Error> {
        self.local.sync(&self.handle).await
    }

    /// Writes the edits back and reads the bucket anew (`PUT`, with the ETag, which is compared here too).
    ///
    /// # Errors
    /// [`PreconditionFailed`](crate::ErrorKind::PreconditionFailed) if somebody changed the bucket since it was read;
    /// the edits stay here, [`sync`](Self::sync) drops them. [`Server`](crate::ErrorKind::Server) for a size that the
    /// driver can't set.
    pub async fn save(&mut self) -> Result<(), Error> {
        self.local.save(&self.handle).await
    }

    /// Replaces description and config, and reads the bucket anew (`PUT`, with the ETag).
    ///
    /// # Errors
    /// As [`save`](Self::save).
    pub async fn put(&mut self, put: &StorageBucketPut) -> Result<(), Error> {
        self.local.put(&self.handle, put).await
    }

    /// Changes some keys of the config and reads the bucket anew (`PATCH`). The description stays unless the patch has
    /// one.
    ///
    /// # Errors
    /// Those of reading and writing.
    pub async fn patch(&mut self, patch: &Patch) -> Result<(), Error> {
        self.local.patch(&self.handle, patch).await
    }

    /// Deletes the bucket with all that is in it. This object says so to whoever uses it afterwards.
    ///
    /// # Errors
    /// As [`BucketHandle::delete`].
    pub async fn delete(&mut self) -> Result<(), Error> {
        self.local.delete(&self.handle).await
    }
}

impl Deref for Bucket {
    type Target = BucketHandle;

    fn deref(&self) -> &BucketHandle {
        &self.handle
    }
}
