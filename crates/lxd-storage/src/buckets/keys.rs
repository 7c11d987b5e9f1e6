//! The keys of a bucket: list, get, create.

use http::Method;
use lxd_types::{StorageBucketKey, StorageBucketKeysPost};

use super::{BucketHandle, BucketKey};
use crate::{
    Change, Error, check, doubt,
    object::Address as _,
    pending::ChangeRequest,
    route::{Route, check_name},
};

/// The keys of a bucket (`.../buckets/<bucket>/keys`), each with credentials for S3 clients and a role. Needs the API
/// extension `storage_buckets`.
///
/// ```
/// # async fn example(bucket: lxd_storage::BucketHandle) -> Result<(), lxd_storage::Error> {
/// use lxd_storage::types::{BucketKeyRole, StorageBucketKeysPost};
///
/// let guest = bucket.keys().create(StorageBucketKeysPost::new("guest", BucketKeyRole::ReadOnly)).await?;
/// println!("{} {}", guest.access_key().expose(), guest.secret_key().expose());
/// for key in bucket.keys().all().await? {
///     println!("{} may {}", key.name(), key.role());
/// }
/// # Ok(()) }
/// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doc/server.rs"));
/// # fn main() { on_emulator!(example(bucket)) }
/// ```
#[derive(Clone, Debug)]
pub struct BucketKeys {
    bucket: BucketHandle,
}

impl BucketKeys {
    pub(crate) fn new(bucket: BucketHandle) -> Self {
        Self { bucket }
    }

    /// All keys with their credentials, in one request (`GET .../keys?recursion=1`).
    ///
    /// # Errors
    /// [`NotFound`](crate::ErrorKind::NotFound) for the bucket.
    pub async fn all(&self) -> Result<Vec<BucketKey>, Error> {
        let client = self.bucket.client();
        let route = self.route().map(|route| client.scoped(route.query("recursion", "1")));
        let objects: Option<Vec<StorageBucketKey>> =
            client.get(route, &["storage_buckets"]).await?.decode()?;
        let key = |object| BucketKey::from_list(&self.bucket, object);
        Ok(objects.unwrap_or_default().into_iter().map(key).collect())
    }

    /// One key (`GET .../keys/<key>`).
    ///
    /// # Errors
    /// [`NotFound`](crate::ErrorKind::NotFound).
    pub async fn get(&self, name: &str) -> Result<BucketKey, Error> {
        self.bucket.key(name).get().await
    }

    /// Whether there is a key of this name. Only [`NotFound`](crate::ErrorKind::NotFound) counts as no.
    ///
    /// # Errors
    /// All others.
    pub async fn exists(&self, name: &str) -> Result<bool, Error> {
        self.bucket.key(name).exists().await
    }

    /// Creates a key, with credentials of yours or of the server's making, and reads it back (`POST .../keys`).
    ///
    /// # Errors
    /// [`AlreadyExists`](crate::ErrorKind::AlreadyExists); [`InvalidInput`](crate::ErrorKind::InvalidInput) for an
    /// unknown role, before anything is sent; [`Server`](crate::ErrorKind::Server) for credentials that the server's
    /// MinIO doesn't take, such as a secret key of less than 8 characters or an access key that is in use.
    pub fn create(&self, key: StorageBucketKeysPost) -> Change<BucketKey> {
        let request = self.create_request(&key);
        let handle = self.bucket.key(key.name);
        let request = request.map(|request| request.leaving(doubt::made(&handle.in_words())));
        Change::new(self.bucket.client(), request, |_| async move { handle.get().await })
    }

    fn create_request(&self, key: &StorageBucketKeysPost) -> Result<ChangeRequest, Error> {
        check_name("key", &key.name)?;
        check::role(&key.role)?;
        let route = self.bucket.client().scoped(self.route()?);
        let request = ChangeRequest::new(Method::POST, route).json(key)?.needs("storage_buckets");
        Ok(request.hiding(vec![key.access_key.clone(), key.secret_key.clone()]))
    }

    fn route(&self) -> Result<Route, Error> {
        Ok(self.bucket.path()?.literal("keys"))
    }
}
