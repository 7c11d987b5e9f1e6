//! Lists of buckets, narrowed down and with as much along with them as is asked for.

use std::future::IntoFuture;

use lxd_types::{StorageBucket, StorageBucketFull};

use super::{
    Bucket, BucketFull, Buckets,
    full::{self, compose},
};
use crate::{
    Error, Filter, PoolHandle,
    listing::{Entry, Selection, list_of_pool},
    pending::BoxFuture,
};

/// A list of the buckets of a pool about to be asked for. Await it for the buckets, or end it with
/// [`full`](Self::full).
///
/// ```
/// # async fn example(pool: lxd_storage::PoolHandle) -> Result<(), lxd_storage::Error> {
/// use lxd_storage::Field;
///
/// let mine = Field::config("user.owner").eq("backup");
/// for full in pool.buckets().filtered(mine).all_projects().full().await? {
///     println!("{} {}: {} keys", full.bucket.project(), full.bucket.name(), full.keys.len());
/// }
/// # Ok(()) }
/// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doc/server.rs"));
/// # fn main() { on_emulator!(example(pool)) }
/// ```
///
/// # Errors
/// Of all its ends: [`InvalidInput`](crate::ErrorKind::InvalidInput) for a filter on what no bucket has, before anything
/// is sent; [`NotFound`](crate::ErrorKind::NotFound) for the pool or the project;
/// [`UnsupportedExtension`](crate::ErrorKind::UnsupportedExtension); trouble on the way.
#[derive(Clone, Debug)]
#[must_use = "nothing is asked for until it is awaited or ended"]
pub struct BucketList {
    pool: PoolHandle,
    selection: Selection,
}

impl BucketList {
    /// Those that are wanted only; with several filters, those that meet all of them. The server filters too where it
    /// can (API extension `api_filtering_extended`, Incus).
    pub fn filtered(mut self, filter: Filter) -> Self {
        self.selection.filter(filter);
        self
    }

    /// Of all projects that the caller may see. Needs the API extension `storage_buckets_all_projects`.
    pub fn all_projects(mut self) -> Self {
        self.selection.all_projects = true;
        self
    }

    /// The buckets, as full objects, in one request (`GET .../buckets?recursion=1`). The same as awaiting the list.
    ///
    /// # Errors
    /// See [`BucketList`].
    pub async fn all(&self) -> Result<Vec<Bucket>, Error> {
        let listed: Vec<(PoolHandle, StorageBucket)> = self.listed().await?;
        Ok(listed.into_iter().map(|(home, object)| Bucket::from_list(&home, object)).collect())
    }

    /// The buckets with their keys and backups: one request with the API extension `storage_bucket_full`
    /// (`GET .../buckets?recursion=2`), else two more per bucket, a few at a time.
    ///
    /// # Errors
    /// See [`BucketList`].
    pub async fn full(&self) -> Result<Vec<BucketFull>, Error> {
        if !self.pool.client().server().await?.api_extensions.has(full::EXTENSION) {
            return compose(self.all().await?).await;
        }
        let listed: Vec<(PoolHandle, StorageBucketFull)> = self.listed().await?;
        let full = |(home, mut full): (PoolHandle, StorageBucketFull)| {
            let object = std::mem::take(&mut full.bucket);
            BucketFull::new(Bucket::from_list(&home, object), full)
        };
        Ok(listed.into_iter().map(full).collect())
    }

    async fn listed<E: Entry<Object = StorageBucket>>(&self) -> Result<Vec<(PoolHandle, E)>, Error> {
        list_of_pool(&self.pool, self.pool.buckets().route(), &self.selection).await
    }
}

impl IntoFuture for BucketList {
    type Output = Result<Vec<Bucket>, Error>;
    type IntoFuture = BoxFuture<Result<Vec<Bucket>, Error>>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(async move { self.all().await })
    }
}

impl Buckets {
    /// All buckets, to be narrowed down or to come with more. See [`BucketList`].
    pub fn list(&self) -> BucketList {
        BucketList { pool: self.pool.clone(), selection: Selection::default() }
    }

    /// The buckets that are wanted. Await it, or see [`BucketList`].
    ///
    /// ```
    /// # async fn example(pool: lxd_storage::PoolHandle) -> Result<(), lxd_storage::Error> {
    /// use lxd_storage::Field;
    ///
    /// let mine = pool.buckets().filtered(Field::config("user.owner").eq("backup")).await?;
    /// # Ok(()) }
    /// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doc/server.rs"));
    /// # fn main() { on_emulator!(example(pool)) }
    /// ```
    pub fn filtered(&self, filter: Filter) -> BucketList {
        self.list().filtered(filter)
    }

    /// The buckets of all projects that the caller may see. Await it, or see [`BucketList`].
    pub fn all_projects(&self) -> BucketList {
        self.list().all_projects()
    }

    /// All buckets with their keys and backups. See [`BucketList::full`].
    ///
    /// # Errors
    /// See [`BucketList`].
    pub async fn full(&self) -> Result<Vec<BucketFull>, Error> {
        self.list().full().await
    }
}
