//! A pool as it is wanted.

use std::collections::BTreeMap;

use lxd_types::{
    Config, PoolStatus, StoragePoolsPost,
    drivers::{self, Key},
};

use super::{
    Attempt, Diff, Drift, Ensured,
    compare::{self, Allowed, Keys, Options},
    diff,
};
use crate::{Error, Pool, PoolHandle, StoragePools, check};

/// A pool that is to be there, with these keys, on all members where the server is a cluster. Await it, or look at the
/// [`diff`](Self::diff) first.
///
/// It is created if it is absent, and a creation that was interrupted goes on. Keys that differ are set, and the
/// description if one is wanted; keys that aren't mentioned stay, a key with an empty value is unset. Keys that each
/// member of a cluster has for itself are compared and set on each. Where nothing differs nothing is sent.
/// Of two that want the same at once one creates it and the other takes it as it is and looks what differs.
///
/// ```
/// # async fn example(client: lxd_storage::Client) -> Result<(), lxd_storage::Error> {
/// use lxd_storage::types::{Size, StoragePoolsPost};
///
/// let wanted = StoragePoolsPost::new("fast", "btrfs").with_size(Size::gib(20));
/// let diff = client.storage_pools().ensure(wanted).diff().await?;
/// if !diff.is_empty() {
///     diff.changes().iter().for_each(|change| println!("will change: {change}"));
///     let fast = diff.apply().await?.object;
/// }
/// # Ok(()) }
/// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doc/server.rs"));
/// # fn main() { on_emulator!(example(client) in bare) }
/// ```
///
/// # Errors
/// [`InvalidInput`](crate::ErrorKind::InvalidInput) where it would take more than was said: another driver, a smaller
/// size, a key that stays as it was at creation. Those of creating and editing.
#[derive(Clone, Debug)]
#[must_use = "nothing is sent until it is awaited"]
pub struct EnsurePool {
    pools: StoragePools,
    wanted: StoragePoolsPost,
    members: BTreeMap<String, Config>,
    options: Options,
}

impl StoragePools {
    /// Sees to it that there is such a pool. See [`EnsurePool`].
    pub fn ensure(&self, pool: StoragePoolsPost) -> EnsurePool {
        EnsurePool {
            pools: self.clone(),
            wanted: pool,
            members: BTreeMap::new(),
            options: Options::default(),
        }
    }
}

impl PoolHandle {
    /// Sees to it that there is no such pool; says whether there was one.
    ///
    /// # Errors
    /// As [`delete`](Self::delete), without [`NotFound`](crate::ErrorKind::NotFound).
    pub async fn ensure_absent(&self) -> Result<bool, Error> {
        match self.delete().await {
            Ok(()) => Ok(true),
            Err(error) if error.is_not_found() => Ok(false),
            Err(error) => Err(error),
        }
    }
}

impl EnsurePool {
    /// Keys that one cluster member alone has, in place of the pool's. Say it once for each member that differs.
    pub fn with_member(mut self, member: impl Into<String>, keys: impl Into<Config>) -> Self {
        self.members.insert(member.into(), keys.into());
        self
    }

    /// Unsets the keys that aren't mentioned, but for size and source and those that the server sets.
    pub fn exactly(mut self) -> Self {
        self.options.exactly = true;
        self
    }

    /// Lets the size become smaller, which can destroy data; most drivers refuse it.
    pub fn allow_shrinking(mut self) -> Self {
        self.options.may_shrink = true;
        self
    }

    /// What would have to be changed. Changes nothing.
    ///
    /// # Errors
    /// As for [`EnsurePool`] itself.
    pub async fn diff(self) -> Result<Diff<Self>, Error> {
        diff(self).await
    }

    fn handle(&self) -> PoolHandle {
        self.pools.client().without_target().storage_pool(&*self.wanted.name)
    }

    /// The pool, unless it isn't there or only begun.
    async fn look(&self) -> Result<Option<Pool>, Error> {
        check::driver(&self.wanted.driver)?;
        check::sizes(&self.wanted.config)?;
        let pool = match self.handle().get().await {
            Err(error) if error.is_not_found() => return Ok(None),
            found => found?,
        };
        if pool.driver() != self.wanted.driver {
            return Err(Error::invalid(format!(
                "storage pool {:?} has driver {:?}, wanted {:?}; that stays as it was at creation",
                pool.name(),
                pool.driver(),
                self.wanted.driver
            )));
        }
        let begun = matches!(pool.status(), PoolStatus::Pending | PoolStatus::Errored);
        Ok(Some(pool).filter(|_| !begun))
    }

    /// The keys that are compared in one place: all of a server that stands alone, else those of one side.
    fn wanted_at(&self, member: Option<&str>, clustered: bool) -> Config {
        let is_local = |key: &str| check::is_of_a_member(&self.wanted.driver, key);
        let mut config: Config = self
            .wanted
            .config
            .iter()
            .filter(|(key, _)| !clustered || is_local(key) == member.is_some())
            .map(|(key, value)| (&**key, &**value))
            .collect();
        if let Some(own) = member.and_then(|member| self.members.get(member)) {
            config.extend(own.clone());
        }
        config
    }

    fn changes(
        &self,
        pool: (&str, &Config),
        member: Option<&str>,
        clustered: bool,
    ) -> Result<Vec<Drift>, Error> {
        let wanted = self.wanted_at(member, clustered);
        // A member shows the keys of all too; those are compared once and for all.
        let options = Options { exactly: self.options.exactly && member.is_none(), ..self.options.clone() };
        let keys = DriverKeys(&self.wanted.driver);
        let mut changes = compare::config(&wanted, pool.1, &keys, member, &options)?;
        if member.is_none() {
            changes.extend(compare::description(&self.wanted.description, pool.0));
        }
        Ok(changes)
    }

    /// Whether the pool is one of a cluster, and its members with what each is to have for itself.
    async fn members_of(&self, pool: &Pool) -> Result<(bool, Vec<String>), Error> {
        let clustered = self.pools.client().cluster().is_clustered().await?;
        let has_own = |member: &String| !self.wanted_at(Some(member), true).is_empty();
        let mut members: Vec<String> =
            pool.locations().iter().filter(|member| has_own(member)).cloned().collect();
        members.sort();
        if !clustered {
            members.clear();
        }
        if let Some(stranger) = self.members.keys().find(|name| !pool.locations().contains(name)) {
            let message = format!("storage pool {:?} is on no cluster member {stranger:?}", pool.name());
            return Err(Error::invalid(message));
        }
        Ok((clustered, members))
    }

    async fn change_at(
        &self,
        handle: &PoolHandle,
        member: Option<&str>,
        clustered: bool,
        allowed: &Allowed,
    ) -> Result<Vec<Drift>, Error> {
        let mut outcome = Ok(Vec::new());
        handle
            .edit(|put| {
                // Compared again with what is there now: the edit may have lost a race.
                outcome =
                    self.changes((&put.description, &put.config), member, clustered).and_then(|changes| {
                        allowed.check(&changes)?;
                        Ok(changes)
                    });
                if let Ok(changes) = &outcome {
                    compare::make(changes, &mut put.description, &mut put.config);
                }
            })
            .await?;
        outcome
    }
}

struct DriverKeys<'a>(&'a str);

impl Keys for DriverKeys<'_> {
    fn key(&self, name: &str) -> Option<&'static Key> {
        let driver = drivers::find(self.0)?;
        driver.pool_key(name)
    }

    fn inherited(&self, _name: &str) -> Option<&str> {
        None
    }
}

impl Attempt for EnsurePool {
    type Object = Pool;

    async fn drift(&self) -> Result<Vec<Drift>, Error> {
        let Some(pool) = self.look().await? else { return Ok(vec![Drift::Absent]) };
        let (clustered, members) = self.members_of(&pool).await?;
        let mut changes = self.changes((pool.description(), pool.config()), None, clustered)?;
        for member in members {
            let there = self.handle().with_target(&*member).get().await?;
            changes.extend(self.changes((there.description(), there.config()), Some(&member), clustered)?);
        }
        Ok(changes)
    }

    async fn once(&self, allowed: &Allowed) -> Result<Ensured<Pool>, Error> {
        let Some(pool) = self.look().await? else {
            let changes = vec![Drift::Absent];
            allowed.check(&changes)?;
            let mut creation = self.pools.create_on_members(self.wanted.clone());
            for (member, config) in &self.members {
                creation = creation.with_member(member, config.clone());
            }
            return Ok(Ensured { object: creation.await?, changes });
        };
        let (clustered, members) = self.members_of(&pool).await?;
        // What would be refused is refused before anything is changed.
        let found = self.drift().await?;
        allowed.check(&found)?;
        if found.is_empty() {
            return Ok(Ensured { object: pool, changes: found });
        }
        let handle = self.handle();
        let mut changes = self.change_at(&handle, None, clustered, allowed).await?;
        for member in members {
            let there = handle.with_target(&*member);
            changes.extend(self.change_at(&there, Some(&member), clustered, allowed).await?);
        }
        Ok(Ensured { object: handle.get().await?, changes })
    }
}
