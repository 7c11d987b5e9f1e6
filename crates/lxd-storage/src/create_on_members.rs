//! A pool on all members of a cluster.

use std::{
    collections::{BTreeMap, BTreeSet},
    future::IntoFuture,
};

use http::Method;
use lxd_types::{Config, PoolStatus, StoragePoolsPost};

use crate::{
    Change, Client, Error, ErrorKind, Pool, PoolHandle, StoragePools, check,
    pending::BoxFuture,
    pending::ChangeRequest,
    route::{Route, check_name},
};

/// A pool on all members of a cluster, about to be created. Await it.
///
/// A cluster wants one request for each member, with the keys that are the member's own (`size`, `source`,
/// `zfs.pool_name`, ...), and a last one with all others. This sends them all. Keys of the pool that belong to a member
/// go to every one, unless the member has been given its own. On a server that stands alone it is one request.
///
/// If one of the requests fails, what this call has begun is taken back, and the error says so where even that failed.
/// A pool that somebody else is creating at the same time is left to them.
/// If the call was interrupted (the program ended, the connection was lost for good) the pool stays `Pending` on some
/// members; calling again with the same keys goes on from there.
///
/// ```
/// # async fn example(client: lxd_storage::Client) -> Result<(), lxd_storage::Error> {
/// use lxd_storage::types::StoragePoolsPost;
///
/// let pool = StoragePoolsPost::new("fast", "zfs").with_config("rsync.bwlimit", "10MB");
/// let fast = client
///     .storage_pools()
///     .create_on_members(pool)
///     .with_member("node1", [("source", "/dev/sdb")])
///     .with_member("node2", [("source", "/dev/nvme1n1")])
///     .await?;
/// assert_eq!(fast.locations().len(), 2);
/// # Ok(()) }
/// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doc/server.rs"));
/// # fn main() { on_emulator!(example(client) in cluster) }
/// ```
///
/// # Errors
/// [`AlreadyExists`](ErrorKind::AlreadyExists); [`InvalidInput`](ErrorKind::InvalidInput) for a member that the cluster
/// doesn't have or for a pool that is pending with other keys than these, before anything is sent; those of
/// [`create`](StoragePools::create).
#[derive(Clone, Debug)]
#[must_use = "nothing is sent until it is awaited"]
pub struct CreateOnMembers {
    client: Client,
    pool: StoragePoolsPost,
    members: BTreeMap<String, Config>,
}

impl StoragePools {
    /// Creates a pool on all members of a cluster, and reads it back (`POST /1.0/storage-pools?target=<member>` for
    /// each and then without). Works on a server that stands alone too.
    pub fn create_on_members(&self, pool: StoragePoolsPost) -> CreateOnMembers {
        CreateOnMembers { client: self.client().without_target(), pool, members: BTreeMap::new() }
    }
}

impl CreateOnMembers {
    /// Keys that one member alone has, in place of the pool's. Say it once for each member that differs.
    pub fn with_member(mut self, member: impl Into<String>, keys: impl Into<Config>) -> Self {
        self.members.insert(member.into(), keys.into());
        self
    }

    async fn run(self) -> Result<Pool, Error> {
        check_name("storage pool", &self.pool.name)?;
        check::driver(&self.pool.driver)?;
        for config in self.members.values().chain([&self.pool.config]) {
            check::sizes(config)?;
        }
        if let Some((member, key)) = self.members.iter().find_map(|(member, config)| {
            Some((member, config.keys().find(|key| !check::is_of_a_member(&self.pool.driver, key))?))
        }) {
            return Err(Error::invalid(format!(
                "key {key:?} is the same on all members, so it cannot be given for {member:?}; put it on the pool"
            )));
        }
        let cluster = self.client.cluster();
        let names: BTreeSet<String> =
            cluster.members().await?.into_iter().map(|member| member.server_name).collect();
        if let Some(stranger) = self.members.keys().find(|name| !names.contains(*name)) {
            let known: Vec<&str> = names.iter().map(String::as_str).collect();
            let message = format!("the cluster has no member {stranger:?}; it has {known:?}");
            return Err(Error::invalid(message));
        }
        if names.is_empty() {
            return self.client.storage_pools().create(self.pool).await;
        }
        self.run_on(&names).await
    }

    async fn run_on(self, names: &BTreeSet<String>) -> Result<Pool, Error> {
        let handle = self.client.storage_pool(&*self.pool.name);
        let begun = self.begun_before(&handle).await?;
        let is_new = begun.is_empty();
        let mut reached: Vec<&str> = begun.iter().map(String::as_str).collect();
        for name in names.difference(&begun) {
            if let Err(error) = self.send(Some(name), self.config_of(name)).await {
                return Err(take_back(error, &handle, &reached, is_new).await);
            }
            reached.push(name);
        }
        let (_, global) = split(&self.pool);
        if let Err(error) = self.send(None, global).await {
            return Err(take_back(error, &handle, &reached, is_new).await);
        }
        let pool = handle.get().await?;
        if pool.description() == self.pool.description {
            return Ok(pool);
        }
        // LXD 5.0 makes nothing of the description in any of these requests.
        handle.edit(|put| put.description.clone_from(&self.pool.description)).await
    }

    /// The members on which an earlier call has left the pool pending.
    async fn begun_before(&self, handle: &PoolHandle) -> Result<BTreeSet<String>, Error> {
        let found = match handle.get().await {
            Err(error) if error.is_not_found() => return Ok(BTreeSet::new()),
            found => found?,
        };
        // A creation that failed on some members may be asked for again, and goes on with the others.
        if !matches!(found.status(), PoolStatus::Pending | PoolStatus::Errored) {
            let message = format!("storage pool {:?}", found.name());
            return Err(Error::new(ErrorKind::AlreadyExists, message));
        }
        if found.driver() != self.pool.driver {
            return Err(Error::invalid(format!(
                "storage pool {:?} is pending with driver {:?}, not {:?}; delete it to begin anew",
                found.name(),
                found.driver(),
                self.pool.driver
            )));
        }
        for member in found.locations() {
            let there = handle.with_target(member.as_str()).get().await?;
            let wanted = self.config_of(member);
            let differs = wanted.iter().find(|(key, value)| there.config().get(*key) != Some(*value));
            if let Some((key, value)) = differs {
                return Err(Error::invalid(format!(
                    "storage pool {:?} is pending on {member:?} with {key:?} as {}, not {}; delete it to begin anew",
                    found.name(),
                    there.config().text(key).map_or("unset".to_owned(), |is| check::shown(key, is)),
                    check::shown(key, value),
                )));
            }
        }
        Ok(found.locations().iter().cloned().collect())
    }

    fn config_of(&self, member: &str) -> Config {
        let (mut local, _) = split(&self.pool);
        local.extend(self.members.get(member).cloned().unwrap_or_default());
        local
    }

    async fn send(&self, member: Option<&str>, config: Config) -> Result<(), Error> {
        let mut post = self.pool.clone();
        post.config = config;
        let client = match member {
            Some(member) => self.client.with_target(member),
            None => self.client.clone(),
        };
        let route = client.scoped(Route::new("/1.0/storage-pools"));
        let request = ChangeRequest::new(Method::POST, route).json(&post);
        Change::new(&client, request, |_| async { Ok(()) }).await
    }
}

impl IntoFuture for CreateOnMembers {
    type Output = Result<Pool, Error>;
    type IntoFuture = BoxFuture<Result<Pool, Error>>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(self.run())
    }
}

/// The keys that each member has for itself, and the others.
fn split(pool: &StoragePoolsPost) -> (Config, Config) {
    let (mut local, mut global) = (Config::default(), Config::default());
    for (key, value) in &pool.config {
        let side = if check::is_of_a_member(&pool.driver, key) { &mut local } else { &mut global };
        side.set(key.clone(), value.clone());
    }
    (local, global)
}

/// Deletes what this call has begun. What an earlier one began is left to whoever calls next, and what somebody else
/// takes part in to them.
async fn take_back(error: Error, handle: &PoolHandle, reached: &[&str], is_new: bool) -> Error {
    if reached.is_empty() {
        return error;
    }
    if error.is_already_exists() {
        return error.with_note(format!(
            "somebody else is creating the pool at the same time, so what was begun on {reached:?} is left to them"
        ));
    }
    if !is_new || matches!(error.kind(), ErrorKind::Timeout(_) | ErrorKind::Interrupted) {
        return error.with_note(format!(
            "the pool is pending on {reached:?}; create it again with the same keys to go on, or delete it"
        ));
    }
    match only_begun_here(handle, reached).await {
        Ok(true) => {}
        Ok(false) => {
            return error.with_note("somebody else takes part in creating the pool, so it is left to them");
        }
        Err(look) if look.is_not_found() => return error,
        Err(look) => {
            return error
                .with_note(format!("the pool is left on {reached:?}, since nobody could look: {look}"));
        }
    }
    match handle.delete().await {
        Ok(()) => error,
        Err(cleanup) if cleanup.is_not_found() => error,
        Err(cleanup) => {
            error.with_note(format!("the pool is left on {reached:?} and could not be deleted: {cleanup}"))
        }
    }
}

/// Whether the pool is still unfinished, and on those members only that this call has reached.
async fn only_begun_here(handle: &PoolHandle, reached: &[&str]) -> Result<bool, Error> {
    let pool = handle.get().await?;
    let here: BTreeSet<&str> = pool.locations().iter().map(String::as_str).collect();
    Ok(matches!(pool.status(), PoolStatus::Pending | PoolStatus::Errored)
        && here == reached.iter().copied().collect())
}
