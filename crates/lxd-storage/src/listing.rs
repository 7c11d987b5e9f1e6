//! Lists that reach further than one pool: over all pools, all projects, and with usage.

use std::sync::Arc;

use lxd_types::{StorageVolume, StorageVolumeFull, StorageVolumeState, VolumeType};
use serde::de::DeserializeOwned;
use tokio::{sync::Semaphore, task::JoinSet};

use crate::{
    Client, Error, Filter, PoolHandle, Volume, VolumeFull, Volumes,
    full::{self, state_if_known},
    route::Route,
};

/// So many requests of one list are under way at a time.
const AT_ONCE: usize = 8;

/// A pool that is there, and whose volumes are not found, is asked so often.
const POOL_TRIES: usize = 4;

/// The volumes of all pools of a server.
///
/// One request where the server has a list of them (`GET /1.0/storage-volumes`, LXD with the API extension
/// `storage_volumes_all`); elsewhere one per pool, a few at a time.
///
/// ```no_run
/// # async fn example(client: lxd_storage::Client) -> Result<(), lxd_storage::Error> {
/// use lxd_storage::Field;
///
/// let mine = client.volumes().filtered(Field::config("user.owner").eq("backup")).all_projects().all().await?;
/// for volume in mine {
///     println!("{} {} {}", volume.project(), volume.pool().name(), volume.name());
/// }
/// # Ok(()) }
/// ```
#[derive(Clone, Debug)]
#[must_use]
pub struct AllVolumes {
    client: Client,
    selection: Selection,
}

/// Which volumes of a list.
#[derive(Clone, Debug, Default)]
pub(crate) struct Selection {
    pub(crate) volume_type: Option<VolumeType>,
    pub(crate) filter: Option<Filter>,
    pub(crate) all_projects: bool,
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

impl AllVolumes {
    pub(crate) fn new(client: Client) -> Self {
        Self { client, selection: Selection::default() }
    }

    /// Of one type only.
    pub fn of_type(mut self, volume_type: impl Into<VolumeType>) -> Self {
        self.selection.volume_type = Some(volume_type.into());
        self
    }

    /// Those that are wanted only.
    pub fn filtered(mut self, filter: Filter) -> Self {
        self.selection.filter = Some(filter);
        self
    }

    /// Of all projects that the caller may see. Each volume's own calls go to its project, and to its cluster member.
    /// Needs the API extension `storage_volumes_all_projects`.
    pub fn all_projects(mut self) -> Self {
        self.selection.all_projects = true;
        self
    }

    /// The volumes, as full objects and without snapshots. A pool that goes while they are listed is no error.
    ///
    /// # Errors
    /// [`InvalidInput`](crate::ErrorKind::InvalidInput) for a filter on what no volume has;
    /// [`UnsupportedExtension`](crate::ErrorKind::UnsupportedExtension); trouble on the way, of any of the requests.
    pub async fn all(&self) -> Result<Vec<Volume>, Error> {
        if self.client.server().await?.api_extensions.has("storage_volumes_all") {
            let objects = list(&self.client, Ok(Route::new("/1.0/storage-volumes")), &self.selection).await?;
            let named = |object: StorageVolume| {
                let pool = self.client.storage_pool(object.pool.as_deref().unwrap_or_default());
                placed(&pool, object, &self.selection)
            };
            return Ok(objects.into_iter().map(named).collect());
        }
        let selection = self.shared_selection();
        let lists = self.per_pool(move |volumes| {
            let selection = Arc::clone(&selection);
            async move { volumes.select(&selection).await }
        });
        Ok(lists.await?.into_iter().flatten().collect())
    }

    pub(crate) fn client(&self) -> &Client {
        &self.client
    }

    pub(crate) fn shared_selection(&self) -> Arc<Selection> {
        Arc::new(self.selection.clone())
    }

    /// Asks something of the volumes of each pool, a few at a time.
    pub(crate) async fn per_pool<T, F>(
        &self,
        ask: impl Fn(Volumes) -> F + Clone + Send + 'static,
    ) -> Result<Vec<T>, Error>
    where
        T: Default + Send + 'static,
        F: Future<Output = Result<T, Error>> + Send + 'static,
    {
        let pools = self.client.storage_pools().all().await?;
        some_at_once(pools, move |pool| {
            let ask = ask.clone();
            async move {
                let mut tries = 0;
                loop {
                    tries += 1;
                    match ask(pool.volumes()).await {
                        // Gone since the pools were listed, and its volumes with it; or gone and made anew under its
                        // old name; or the project is gone, of which Incus says that it has all pools and also, asked
                        // for one, that it has none. Only the list of pools tells these apart.
                        Err(error) if error.is_not_found() && tries < POOL_TRIES => {
                            let listed = pool.handle().client().storage_pools().all().await?;
                            if listed.iter().all(|one| one.name() != pool.name()) {
                                return Ok(T::default());
                            }
                        }
                        answered => return answered,
                    }
                }
            }
        })
        .await
    }

    /// The same with how full each volume is: in the same requests with the API extension `storage_volume_full`, else
    /// by one more per volume, a few at a time.
    ///
    /// # Errors
    /// As [`all`](Self::all).
    pub async fn with_usage(&self) -> Result<Vec<VolumeUsage>, Error> {
        if self.client.server().await?.api_extensions.has(full::EXTENSION) {
            return Ok(usage_only(self.full().await?));
        }
        usage_of(self.all().await?).await
    }
}

impl Volumes {
    /// The volumes of all types that are wanted, in one request.
    ///
    /// # Errors
    /// [`InvalidInput`](crate::ErrorKind::InvalidInput) for a filter on what no volume has; those of
    /// [`all`](Self::all).
    pub async fn filtered(&self, filter: Filter) -> Result<Vec<Volume>, Error> {
        self.select(&Selection { filter: Some(filter), ..Selection::default() }).await
    }

    /// All volumes of all projects that the caller may see, in one request. Each volume's own calls go to its project.
    /// Needs the API extension `storage_volumes_all_projects`.
    ///
    /// # Errors
    /// Those of [`all`](Self::all).
    pub async fn all_projects(&self) -> Result<Vec<Volume>, Error> {
        self.select(&Selection { all_projects: true, ..Selection::default() }).await
    }

    /// All volumes with how full each is: in one request with the API extension `storage_volume_full`, else by one more
    /// per volume, a few at a time.
    ///
    /// # Errors
    /// Those of [`all`](Self::all). A driver that doesn't count is no error.
    pub async fn with_usage(&self) -> Result<Vec<VolumeUsage>, Error> {
        if self.pool().client().server().await?.api_extensions.has(full::EXTENSION) {
            return Ok(usage_only(self.full().await?));
        }
        usage_of(self.all().await?).await
    }

    pub(crate) async fn select(&self, selection: &Selection) -> Result<Vec<Volume>, Error> {
        let objects = list(self.pool().client(), self.route(), selection).await?;
        Ok(objects.into_iter().map(|object| placed(self.pool(), object, selection)).collect())
    }
}

/// A volume out of a list, in its own project where the list is over all.
pub(crate) fn placed(pool: &PoolHandle, object: StorageVolume, selection: &Selection) -> Volume {
    if selection.all_projects && !object.project.is_empty() {
        return Volume::from_list(&pool.with_project(&*object.project), object);
    }
    Volume::from_list(pool, object)
}

/// An entry of a list of volumes.
pub(crate) trait Entry: DeserializeOwned {
    /// How deep the list must go to have such entries.
    const RECURSION: &'static str;

    fn volume(&self) -> &StorageVolume;
}

impl Entry for StorageVolume {
    const RECURSION: &'static str = "1";

    fn volume(&self) -> &StorageVolume {
        self
    }
}

impl Entry for StorageVolumeFull {
    const RECURSION: &'static str = "2";

    fn volume(&self) -> &StorageVolume {
        &self.volume
    }
}

/// One list, without the snapshots that most servers mix into it.
pub(crate) async fn list<E: Entry>(
    client: &Client,
    route: Result<Route, Error>,
    selection: &Selection,
) -> Result<Vec<E>, Error> {
    let mut route = route?;
    if let Some(volume_type) = &selection.volume_type {
        route = route.name("volume type", volume_type.as_str())?;
    }
    route = route.query("recursion", E::RECURSION);
    let mut extensions = Vec::new();
    route = if selection.all_projects {
        extensions.push("storage_volumes_all_projects");
        // Servers refuse a project beside it.
        client.scoped_target(route.query("all-projects", "true"))
    } else {
        client.scoped(route)
    };
    if let Some(filter) = &selection.filter {
        filter.check_for_volumes()?;
        if let Some(sent) = filter.plan().sent
            && client.server().await?.api_extensions.has("storage_volume_api_filtering")
        {
            route = route.query("filter", &sent);
        }
    }
    let objects: Option<Vec<E>> = client.get(Ok(route), &extensions).await?.decode()?;
    let wanted = |entry: &E| {
        let object = entry.volume();
        !object.is_snapshot() && selection.filter.as_ref().is_none_or(|filter| filter.matches_volume(object))
    };
    Ok(objects.unwrap_or_default().into_iter().filter(wanted).collect())
}

async fn usage_of(volumes: Vec<Volume>) -> Result<Vec<VolumeUsage>, Error> {
    some_at_once(volumes, |volume| async move {
        Ok(VolumeUsage { state: state_if_known(volume.handle()).await?, volume })
    })
    .await
}

fn usage_only(full: Vec<VolumeFull>) -> Vec<VolumeUsage> {
    full.into_iter().map(|full| VolumeUsage { volume: full.volume, state: full.state }).collect()
}

/// Does something with each, a few at a time, and gives the results in order. The first error ends it all.
pub(crate) async fn some_at_once<T, U, F>(items: Vec<T>, work: impl Fn(T) -> F) -> Result<Vec<U>, Error>
where
    F: Future<Output = Result<U, Error>> + Send + 'static,
    U: Send + 'static,
{
    let places = Arc::new(Semaphore::new(AT_ONCE));
    let mut tasks = JoinSet::new();
    for (index, item) in items.into_iter().enumerate() {
        let (places, work) = (Arc::clone(&places), work(item));
        tasks.spawn(async move {
            // It is never closed.
            let _place = places.acquire().await;
            (index, work.await)
        });
    }
    let mut results = Vec::new();
    while let Some(done) = tasks.join_next().await {
        let (index, result) = done.map_err(|error| {
            Error::new(crate::ErrorKind::Interrupted, "one request of a list was stopped").with_source(error)
        })?;
        results.push((index, result?));
    }
    results.sort_by_key(|(index, _)| *index);
    Ok(results.into_iter().map(|(_, result)| result).collect())
}
