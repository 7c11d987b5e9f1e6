//! One key of a bucket: [`BucketKeyHandle`] says which, [`BucketKey`] also holds what was read of it.

use std::{ops::Deref, sync::Arc};

use lxd_types::{BucketKeyRole, Config, Secret, StorageBucketKey, StorageBucketKeyPut};

use super::BucketHandle;
use crate::{
    Change, Client, ETag, Error, check,
    object::{Address, Local},
    route::Route,
};

/// A key has no config.
static NO_KEYS: Config = Config::new();

/// A key by its bucket and name, whether it exists or not. Making one does no I/O; it is cheap to clone and keep.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BucketKeyHandle {
    bucket: BucketHandle,
    name: Arc<str>,
}

impl BucketKeyHandle {
    pub(crate) fn new(bucket: BucketHandle, name: Arc<str>) -> Self {
        Self { bucket, name }
    }

    /// The key's name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The bucket that it opens.
    #[must_use]
    pub fn bucket(&self) -> &BucketHandle {
        &self.bucket
    }

    /// Reads the key with its credentials (`GET .../keys/<key>`).
    ///
    /// # Errors
    /// [`NotFound`](crate::ErrorKind::NotFound).
    pub async fn get(&self) -> Result<BucketKey, Error> {
        Ok(BucketKey { local: self.read().await?, handle: self.clone() })
    }

    /// Whether the key exists. Only [`NotFound`](crate::ErrorKind::NotFound) counts as no.
    ///
    /// # Errors
    /// All others.
    pub async fn exists(&self) -> Result<bool, Error> {
        self.is_there().await
    }

    /// Replaces description, role and credentials, and nothing else: no ETag, no reading back (`PUT .../keys/<key>`).
    /// Without credentials in `put` the server makes new ones.
    ///
    /// # Errors
    /// [`InvalidInput`](crate::ErrorKind::InvalidInput) for an unknown role, before anything is sent.
    pub fn raw_put(&self, put: &StorageBucketKeyPut) -> Change<()> {
        self.replace(put)
    }

    /// Reads the key, lets `change` edit it, and writes it back if it changed; begins again if somebody else changed it
    /// meanwhile. Servers have no `PATCH` for keys, and don't look at their ETags: they are compared here, right before
    /// the request goes out.
    ///
    /// ```
    /// # async fn example(key: lxd_storage::BucketKeyHandle) -> Result<(), lxd_storage::Error> {
    /// let renewed = key.edit(|put| { put.renew_credentials(); }).await?;
    /// # Ok(()) }
    /// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doc/server.rs"));
    /// # fn main() { on_emulator!(example(key)) }
    /// ```
    ///
    /// # Errors
    /// [`PreconditionFailed`](crate::ErrorKind::PreconditionFailed) after losing a great many races; those of
    /// reading and writing.
    pub async fn edit(
        &self,
        change: impl FnMut(&mut StorageBucketKeyPut) + Send,
    ) -> Result<BucketKey, Error> {
        Ok(BucketKey { local: self.edit_until_won(change).await?, handle: self.clone() })
    }

    /// Deletes the key (`DELETE .../keys/<key>`). What was signed with it is refused from then on.
    ///
    /// # Errors
    /// [`NotFound`](crate::ErrorKind::NotFound).
    pub fn delete(&self) -> Change<()> {
        self.remove()
    }
}

impl Address for BucketKeyHandle {
    type Object = StorageBucketKey;
    type Put = StorageBucketKeyPut;

    const NEEDS: &'static [&'static str] = &["storage_buckets"];
    const ONE_WAY: &'static [&'static str] = &["access-key", "secret-key"];
    /// Every server takes any `If-Match` here.
    const GUARDED: bool = false;

    fn server(&self) -> &Client {
        self.bucket.client()
    }

    fn path(&self) -> Result<Route, Error> {
        self.bucket.path()?.literal("keys").name("key", &self.name)
    }

    fn in_words(&self) -> String {
        format!("key {:?} of {}", self.name, self.bucket.in_words())
    }

    fn description(object: &StorageBucketKey) -> &str {
        &object.description
    }

    fn config(_object: &StorageBucketKey) -> &Config {
        &NO_KEYS
    }

    fn to_put(object: &StorageBucketKey) -> StorageBucketKeyPut {
        object.to_put()
    }

    fn put_config(_put: &StorageBucketKeyPut) -> &Config {
        &NO_KEYS
    }

    fn own_etag(object: &StorageBucketKey) -> Option<ETag> {
        ETag::of_bucket_key(object)
    }

    fn check(put: &StorageBucketKeyPut) -> Result<(), Error> {
        check::role(&put.role)
    }

    fn secrets(put: &StorageBucketKeyPut) -> Vec<Secret> {
        vec![put.access_key.clone(), put.secret_key.clone()]
    }

    fn is_same(then: &StorageBucketKey, now: &StorageBucketKey) -> bool {
        then.to_put() == now.to_put()
    }
}

/// A key of a bucket, as it was read. It dereferences to its [`BucketKeyHandle`].
///
/// [`Debug`] shows that there are credentials, and never which.
///
/// ```
/// # async fn example(bucket: lxd_storage::BucketHandle) -> Result<(), lxd_storage::Error> {
/// use lxd_storage::types::BucketKeyRole;
///
/// let mut key = bucket.keys().get("viewer").await?;
/// key.set_role(BucketKeyRole::Admin);
/// key.renew_credentials();
/// key.save().await?;
/// # Ok(()) }
/// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doc/server.rs"));
/// # fn main() { on_emulator!(example(bucket)) }
/// ```
#[derive(Clone, Debug)]
pub struct BucketKey {
    handle: BucketKeyHandle,
    local: Local<BucketKeyHandle>,
}

impl BucketKey {
    pub(crate) fn from_list(bucket: &BucketHandle, object: StorageBucketKey) -> Self {
        Self { handle: bucket.key(object.name.as_str()), local: Local::listed(object) }
    }

    /// The whole object as it was read or edited, with the fields that this crate doesn't know.
    #[must_use]
    pub fn object(&self) -> &StorageBucketKey {
        self.local.object()
    }

    /// Which key this is, without its state.
    #[must_use]
    pub fn handle(&self) -> &BucketKeyHandle {
        &self.handle
    }

    /// The description.
    #[must_use]
    pub fn description(&self) -> &str {
        &self.object().description
    }

    /// What the key may do.
    #[must_use]
    pub fn role(&self) -> &BucketKeyRole {
        &self.object().role
    }

    /// What an S3 client shows as its user name.
    #[must_use]
    pub fn access_key(&self) -> &Secret {
        &self.object().access_key
    }

    /// What an S3 client signs its requests with.
    #[must_use]
    pub fn secret_key(&self) -> &Secret {
        &self.object().secret_key
    }

    /// The version that was read; `None` for keys out of a list.
    #[must_use]
    pub fn etag(&self) -> Option<ETag> {
        self.local.etag()
    }

    /// Sets the description, until [`save`](Self::save).
    pub fn set_description(&mut self, description: impl Into<String>) {
        self.local.object_mut().description = description.into();
    }

    /// Sets what the key may do, until [`save`](Self::save).
    pub fn set_role(&mut self, role: BucketKeyRole) {
        self.local.object_mut().role = role;
    }

    /// Sets the credentials, until [`save`](Self::save).
    pub fn set_credentials(&mut self, access_key: impl Into<Secret>, secret_key: impl Into<Secret>) {
        let object = self.local.object_mut();
        (object.access_key, object.secret_key) = (access_key.into(), secret_key.into());
    }

    /// Lets the server make new credentials with the next [`save`](Self::save), which reads them.
    pub fn renew_credentials(&mut self) {
        self.set_credentials("", "");
    }

    /// Reads the key anew. Edits that weren't saved are gone.
    ///
    /// # Errors
    /// [`NotFound`](crate::ErrorKind::NotFound), also after [`delete`](Self::delete).
    pub async fn sync(&mut self) -> Result<(), Error> {
        self.local.sync(&self.handle).await
    }

    /// Writes the edits back and reads the key anew (`PUT`). The ETag is compared here, since no server does.
    ///
    /// # Errors
    /// [`PreconditionFailed`](crate::ErrorKind::PreconditionFailed) if somebody changed the key since it was read;
    /// [`InvalidInput`](crate::ErrorKind::InvalidInput) for an unknown role, before anything is sent.
    pub async fn save(&mut self) -> Result<(), Error> {
        self.local.save(&self.handle).await
    }

    /// Replaces description, role and credentials, and reads the key anew (`PUT`, after comparing the ETag).
    ///
    /// # Errors
    /// As [`save`](Self::save).
    pub async fn put(&mut self, put: &StorageBucketKeyPut) -> Result<(), Error> {
        self.local.put(&self.handle, put).await
    }

    /// Deletes the key. This object says so to whoever uses it afterwards.
    ///
    /// # Errors
    /// As [`BucketKeyHandle::delete`].
    pub async fn delete(&mut self) -> Result<(), Error> {
        self.local.delete(&self.handle).await
    }
}

impl Deref for BucketKey {
    type Target = BucketKeyHandle;

    fn deref(&self) -> &BucketKeyHandle {
        &self.handle
    }
}
