//! The storage pools of a server: list, get, create.

use http::Method;
use lxd_types::{StoragePool, StoragePoolsPost};

use crate::{
    Change, Client, Error, ErrorKind, Filter, Pool, check, doubt,
    object::Address as _,
    pending::ChangeRequest,
    route::{Route, check_name},
};

/// So often is a list read again into which a deletion came.
const LIST_AGAIN: usize = 8;

/// The storage pools of a server (`/1.0/storage-pools`).
///
/// ```
/// # async fn example(client: lxd_storage::Client) -> Result<(), lxd_storage::Error> {
/// use lxd_storage::types::StoragePoolsPost;
///
/// let pools = client.storage_pools();
/// if !pools.exists("fast").await? {
///     pools.create(StoragePoolsPost::new("fast", "dir").with_description("scratch")).await?;
/// }
/// let names: Vec<String> = pools.all().await?.iter().map(|pool| pool.name().to_owned()).collect();
/// # Ok(()) }
/// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doc/server.rs"));
/// # fn main() { on_emulator!(example(client)) }
/// ```
#[derive(Clone, Debug)]
pub struct StoragePools {
    client: Client,
}

impl StoragePools {
    pub(crate) fn new(client: Client) -> Self {
        Self { client }
    }

    /// All pools, as full objects, in one request (`GET /1.0/storage-pools?recursion=1`).
    ///
    /// # Errors
    /// Trouble on the way; [`Forbidden`](crate::ErrorKind::Forbidden).
    pub async fn all(&self) -> Result<Vec<Pool>, Error> {
        self.list(None).await
    }

    /// The pools that are wanted, in one request. The server filters with the API extension `api_filtering_extended`,
    /// which only Incus has; elsewhere it is done here.
    ///
    /// ```
    /// # async fn example(client: lxd_storage::Client) -> Result<(), lxd_storage::Error> {
    /// use lxd_storage::Field;
    ///
    /// let fast = client.storage_pools().filtered(&Field::Driver.eq("zfs").or(Field::Driver.eq("btrfs"))).await?;
    /// # Ok(()) }
    /// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doc/server.rs"));
    /// # fn main() { on_emulator!(example(client)) }
    /// ```
    ///
    /// # Errors
    /// [`InvalidInput`](ErrorKind::InvalidInput) for a filter on what no pool has; those of [`all`](Self::all).
    pub async fn filtered(&self, filter: &Filter) -> Result<Vec<Pool>, Error> {
        filter.check_for_pools()?;
        let extended = self.client.server().await?.api_extensions.has("api_filtering_extended");
        let sent = if extended { filter.plan().sent } else { None };
        let mut pools = self.list(sent.as_deref()).await?;
        pools.retain(|pool| filter.matches_pool(pool.object()));
        Ok(pools)
    }

    pub(crate) fn client(&self) -> &Client {
        &self.client
    }

    async fn list(&self, filter: Option<&str>) -> Result<Vec<Pool>, Error> {
        let mut route = self.client.scoped(Route::new("/1.0/storage-pools").query("recursion", "1"));
        if let Some(filter) = filter {
            route = route.query("filter", filter);
        }
        let mut answer = self.client.get(Ok(route.clone()), &[]).await;
        // The server reads the names first and then pool by pool; one that is deleted in between makes the whole list
        // "not found". A list that is read again a few times is no worse off than one read a moment later.
        for _ in 0..LIST_AGAIN {
            match &answer {
                Err(error) if error.kind() == ErrorKind::NotFound => {
                    answer = self.client.get(Ok(route.clone()), &[]).await;
                }
                _ => break,
            }
        }
        let answer = answer?;
        // `null` where there is none, from some servers.
        let objects: Option<Vec<StoragePool>> = answer.decode()?;
        let pools = objects.unwrap_or_default().into_iter();
        Ok(pools.map(|object| Pool::from_list(self.client.storage_pool(&*object.name), object)).collect())
    }

    /// One pool (`GET /1.0/storage-pools/<name>`).
    ///
    /// # Errors
    /// [`NotFound`](crate::ErrorKind::NotFound).
    pub async fn get(&self, name: &str) -> Result<Pool, Error> {
        self.client.storage_pool(name).get().await
    }

    /// Whether there is a pool of this name. Only [`NotFound`](crate::ErrorKind::NotFound) counts as no.
    ///
    /// # Errors
    /// All others.
    pub async fn exists(&self, name: &str) -> Result<bool, Error> {
        self.client.storage_pool(name).exists().await
    }

    /// Creates a pool from the whole of its object, and reads it back (`POST /1.0/storage-pools`).
    ///
    /// Newer servers do it in the background. In a cluster, this is one step of several, which
    /// [`create_on_members`](Self::create_on_members) takes together.
    ///
    /// # Errors
    /// [`AlreadyExists`](crate::ErrorKind::AlreadyExists); [`InvalidInput`](crate::ErrorKind::InvalidInput) for an
    /// empty name or driver, or a size that doesn't parse, before anything is sent.
    pub fn create(&self, pool: StoragePoolsPost) -> Change<Pool> {
        let request = self.create_request(&pool);
        let handle = self.client.storage_pool(pool.name);
        Change::new(&self.client, request, |_| async move { handle.get().await })
    }

    fn create_request(&self, pool: &StoragePoolsPost) -> Result<ChangeRequest, Error> {
        check_name("storage pool", &pool.name)?;
        check::driver(&pool.driver)?;
        check::sizes(&pool.config)?;
        let route = self.client.scoped(Route::new("/1.0/storage-pools"));
        let made = self.client.storage_pool(&*pool.name);
        Ok(ChangeRequest::new(Method::POST, route).json(pool)?.leaving(doubt::made(&made.in_words())))
    }
}
