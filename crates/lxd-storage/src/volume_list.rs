//! Lists of volumes, of one pool or of all, narrowed down and with as much along with them as is asked for.

use std::future::IntoFuture;

use lxd_types::{StorageVolume, StorageVolumeFull, StorageVolumeState, VolumeType};

use crate::{
    Client, Error, Filter, PoolHandle, Volume, VolumeFull, Volumes,
    at_once::some_at_once,
    full::{self, state_if_known},
    listing::{Entry, Selection, list, list_of_pool},
    pending::BoxFuture,
    route::Route,
};

/// A pool that is there, and whose volumes are not found, is asked so often.
const POOL_TRIES: usize = 4;

/// A list of volumes about to be asked for: those of one pool ([`Volumes::list`]) or of all pools of a server
/// ([`Client::volumes`]). Await it for the volumes, or end it with [`full`](Self::full) or
/// [`with_usage`](Self::with_usage).
///
/// The volumes of one pool come in one request, also over all projects. Those of all pools do where the server has a
/// list of them (`GET /1.0/storage-volumes`, LXD with the API extension `storage_volumes_all`); elsewhere it is one
/// request per pool, a few at a time.
///
/// ```
/// # async fn example(client: lxd_storage::Client) -> Result<(), lxd_storage::Error> {
/// use lxd_storage::{Field, types::VolumeType};
///
/// let mine = Field::config("user.owner").eq("backup");
/// for volume in client.volumes().filtered(mine.clone()).all_projects().await? {
///     println!("{} {} {}", volume.project(), volume.pool().name(), volume.name());
/// }
/// let fast = client.storage_pool("fast").volumes();
/// for full in fast.of_type(VolumeType::Custom).filtered(mine).all_projects().full().await? {
///     println!("{}: {} snapshots", full.volume.name(), full.snapshots.len());
/// }
/// # Ok(()) }
/// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doc/server.rs"));
/// # fn main() { on_emulator!(example(client)) }
/// ```
///
/// # Errors
/// Of all its ends: [`InvalidInput`](crate::ErrorKind::InvalidInput) for a filter on what no volume has, before anything
/// is sent, and for a type that the server doesn't know; [`NotFound`](crate::ErrorKind::NotFound) for the project, and
/// for the pool where one is named; [`UnsupportedExtension`](crate::ErrorKind::UnsupportedExtension); trouble on the way,
/// of any of the requests.
#[derive(Clone, Debug)]
#[must_use = "nothing is asked for until it is awaited or ended"]
pub struct VolumeList {
    reach: Reach,
    selection: Selection,
}

#[derive(Clone, Debug)]
enum Reach {
    Pool(PoolHandle),
    AllPools(Client),
}

/// A volume and how full it is.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct VolumeUsage {
    /// The volume.
    pub volume: Volume,
    /// How full it is; `None` where the server doesn't know.
    pub state: Option<StorageVolumeState>,
}

impl VolumeList {
    pub(crate) fn of_pool(pool: PoolHandle) -> Self {
        Self { reach: Reach::Pool(pool), selection: Selection::default() }
    }

    pub(crate) fn of_all_pools(client: Client) -> Self {
        Self { reach: Reach::AllPools(client), selection: Selection::default() }
    }

    /// Of one type only.
    pub fn of_type(mut self, volume_type: impl Into<VolumeType>) -> Self {
        self.selection.volume_type = Some(volume_type.into());
        self
    }

    /// Those that are wanted only; with several filters, those that meet all of them.
    pub fn filtered(mut self, filter: Filter) -> Self {
        self.selection.filter(filter);
        self
    }

    /// Of all projects that the caller may see. Each volume's own calls go to its project, and to its cluster member.
    /// Needs the API extension `storage_volumes_all_projects`.
    pub fn all_projects(mut self) -> Self {
        self.selection.all_projects = true;
        self
    }

    /// The volumes, as full objects and without snapshots, which most servers mix into such lists. A pool that goes
    /// while the volumes of all are listed is no error. The same as awaiting the list.
    ///
    /// # Errors
    /// See [`VolumeList`].
    pub async fn all(&self) -> Result<Vec<Volume>, Error> {
        let listed: Vec<(PoolHandle, StorageVolume)> = match &self.reach {
            Reach::AllPools(client) if client.server().await?.api_extensions.has("storage_volumes_all") => {
                self.listed_at_once(client).await?
            }
            _ => self.listed().await?,
        };
        Ok(listed.into_iter().map(|(home, object)| Volume::from_list(&home, object)).collect())
    }

    /// The volumes with how full they are, their snapshots and their backups: in the same requests with the API
    /// extension `storage_volume_full` (Incus), else by three more per volume, a few at a time.
    ///
    /// # Errors
    /// See [`VolumeList`].
    pub async fn full(&self) -> Result<Vec<VolumeFull>, Error> {
        if !self.client().server().await?.api_extensions.has(full::EXTENSION) {
            return VolumeFull::compose_all(self.all().await?).await;
        }
        let listed: Vec<(PoolHandle, StorageVolumeFull)> = self.listed().await?;
        let full = |(home, mut full): (PoolHandle, StorageVolumeFull)| {
            let object = std::mem::take(&mut full.volume);
            VolumeFull::new(Volume::from_list(&home, object), full)
        };
        Ok(listed.into_iter().map(full).collect())
    }

    /// The volumes with how full each is: in the same requests with the API extension `storage_volume_full` (Incus), else
    /// by one more per volume, a few at a time. A driver that doesn't count is no error.
    ///
    /// # Errors
    /// See [`VolumeList`].
    pub async fn with_usage(&self) -> Result<Vec<VolumeUsage>, Error> {
        if self.client().server().await?.api_extensions.has(full::EXTENSION) {
            let usage = |full: VolumeFull| VolumeUsage { volume: full.volume, state: full.state };
            return Ok(self.full().await?.into_iter().map(usage).collect());
        }
        some_at_once(self.all().await?, |volume| async move {
            Ok(VolumeUsage { state: state_if_known(volume.handle()).await?, volume })
        })
        .await
    }

    fn client(&self) -> &Client {
        match &self.reach {
            Reach::Pool(pool) => pool.client(),
            Reach::AllPools(client) => client,
        }
    }

    /// The entries with the pools that they are in, by one request per pool.
    async fn listed<E: Entry<Object = StorageVolume>>(&self) -> Result<Vec<(PoolHandle, E)>, Error> {
        let client = match &self.reach {
            Reach::Pool(pool) => return list_of_pool(pool, pool.volumes().route(), &self.selection).await,
            Reach::AllPools(client) => client,
        };
        self.selection.check::<E>()?;
        let pools = client.storage_pools().all().await?;
        let lists = some_at_once(pools, |pool| {
            let selection = self.selection.clone();
            async move { of_one_of_many(pool.handle(), &selection).await }
        });
        Ok(lists.await?.into_iter().flatten().collect())
    }

    /// The volumes with the pools that they are in, in one request.
    async fn listed_at_once(&self, client: &Client) -> Result<Vec<(PoolHandle, StorageVolume)>, Error> {
        let route = Ok(Route::new("/1.0/storage-volumes"));
        let objects: Vec<StorageVolume> = list(client, route, &self.selection).await?;
        let homed = |object: StorageVolume| {
            let pool = client.storage_pool(object.pool.as_deref().unwrap_or_default());
            (self.selection.home_of(&pool, &object), object)
        };
        Ok(objects.into_iter().map(homed).collect())
    }
}

/// Nothing from a pool that is gone since the pools were listed.
async fn of_one_of_many<E: Entry<Object = StorageVolume>>(
    pool: &PoolHandle,
    selection: &Selection,
) -> Result<Vec<(PoolHandle, E)>, Error> {
    let mut tries = 0;
    loop {
        tries += 1;
        match list_of_pool(pool, pool.volumes().route(), selection).await {
            // Gone, and its volumes with it; or gone and made anew under its old name; or the project is gone, of which
            // Incus says that it has all pools and also, asked for one, that it has none. Only the list of pools tells
            // these apart.
            Err(error) if error.is_not_found() && tries < POOL_TRIES => {
                let listed = pool.client().storage_pools().all().await?;
                if listed.iter().all(|one| one.name() != pool.name()) {
                    return Ok(Vec::new());
                }
            }
            answered => return answered,
        }
    }
}

impl IntoFuture for VolumeList {
    type Output = Result<Vec<Volume>, Error>;
    type IntoFuture = BoxFuture<Result<Vec<Volume>, Error>>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(async move { self.all().await })
    }
}

impl Volumes {
    /// All volumes of all types, to be narrowed down or to come with more. See [`VolumeList`].
    pub fn list(&self) -> VolumeList {
        VolumeList::of_pool(self.pool().clone())
    }

    /// The volumes of one type (`GET .../volumes/<type>?recursion=1`). Await it, or see [`VolumeList`].
    pub fn of_type(&self, volume_type: impl Into<VolumeType>) -> VolumeList {
        self.list().of_type(volume_type)
    }

    /// The volumes that are wanted, of all types. Await it, or see [`VolumeList`].
    pub fn filtered(&self, filter: Filter) -> VolumeList {
        self.list().filtered(filter)
    }

    /// The volumes of all projects that the caller may see. Await it, or see [`VolumeList`].
    pub fn all_projects(&self) -> VolumeList {
        self.list().all_projects()
    }

    /// All volumes with how full they are, their snapshots and their backups. See [`VolumeList::full`].
    ///
    /// # Errors
    /// See [`VolumeList`].
    pub async fn full(&self) -> Result<Vec<VolumeFull>, Error> {
        self.list().full().await
    }

    /// All volumes with how full each is. See [`VolumeList::with_usage`].
    ///
    /// # Errors
    /// See [`VolumeList`].
    pub async fn with_usage(&self) -> Result<Vec<VolumeUsage>, Error> {
        self.list().with_usage().await
    }
}
