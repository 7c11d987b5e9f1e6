//! One list of volumes or buckets: what of it is wanted, and how it is asked for.

use lxd_types::{StorageBucket, StorageBucketFull, StorageVolume, StorageVolumeFull, VolumeType};
use serde::de::DeserializeOwned;

use crate::{Client, Error, Filter, PoolHandle, route::Route};

/// Which objects of a list.
#[derive(Clone, Debug, Default)]
pub(crate) struct Selection {
    pub(crate) volume_type: Option<VolumeType>,
    pub(crate) filter: Option<Filter>,
    pub(crate) all_projects: bool,
}

impl Selection {
    /// Those that meet one more filter.
    pub(crate) fn filter(&mut self, filter: Filter) {
        self.filter = Some(match self.filter.take() {
            Some(before) => before.and(filter),
            None => filter,
        });
    }

    /// Refuses a filter on what such objects don't have.
    pub(crate) fn check<E: Entry>(&self) -> Result<(), Error> {
        self.filter.as_ref().map_or(Ok(()), E::Object::check)
    }

    /// The pool of an object out of a list, in the object's own project where the list is over all.
    pub(crate) fn home_of(&self, pool: &PoolHandle, object: &impl Listed) -> PoolHandle {
        match object.project() {
            project if self.all_projects && !project.is_empty() => pool.with_project(project),
            _ => pool.clone(),
        }
    }
}

/// What there are lists of.
pub(crate) trait Listed {
    /// The API extension that the list needs.
    const NEEDS: &'static [&'static str];
    /// The one for a list over all projects.
    const ALL_PROJECTS: &'static str;
    /// The one with which servers filter.
    const FILTERING: &'static str;

    fn check(filter: &Filter) -> Result<(), Error>;
    fn matches(&self, filter: &Filter) -> bool;
    fn project(&self) -> &str;

    /// Whether servers mix it into a list that it doesn't belong to.
    fn is_foreign(&self) -> bool {
        false
    }
}

impl Listed for StorageVolume {
    const NEEDS: &'static [&'static str] = &[];
    const ALL_PROJECTS: &'static str = "storage_volumes_all_projects";
    const FILTERING: &'static str = "storage_volume_api_filtering";

    fn check(filter: &Filter) -> Result<(), Error> {
        filter.check_for_volumes()
    }

    fn matches(&self, filter: &Filter) -> bool {
        filter.matches_volume(self)
    }

    fn project(&self) -> &str {
        &self.project
    }

    fn is_foreign(&self) -> bool {
        self.is_snapshot()
    }
}

impl Listed for StorageBucket {
    const NEEDS: &'static [&'static str] = &["storage_buckets"];
    const ALL_PROJECTS: &'static str = "storage_buckets_all_projects";
    const FILTERING: &'static str = "api_filtering_extended";

    fn check(filter: &Filter) -> Result<(), Error> {
        filter.check_for_buckets()
    }

    fn matches(&self, filter: &Filter) -> bool {
        filter.matches_bucket(self)
    }

    fn project(&self) -> &str {
        &self.project
    }
}

/// An entry of a list.
pub(crate) trait Entry: DeserializeOwned + Send + 'static {
    type Object: Listed;

    /// How deep the list must go to have such entries.
    const RECURSION: &'static str;

    fn object(&self) -> &Self::Object;
}

impl Entry for StorageVolume {
    type Object = Self;

    const RECURSION: &'static str = "1";

    fn object(&self) -> &Self {
        self
    }
}

impl Entry for StorageVolumeFull {
    type Object = StorageVolume;

    const RECURSION: &'static str = "2";

    fn object(&self) -> &StorageVolume {
        &self.volume
    }
}

impl Entry for StorageBucket {
    type Object = Self;

    const RECURSION: &'static str = "1";

    fn object(&self) -> &Self {
        self
    }
}

impl Entry for StorageBucketFull {
    type Object = StorageBucket;

    const RECURSION: &'static str = "2";

    fn object(&self) -> &StorageBucket {
        &self.bucket
    }
}

/// One list, filtered by the server as far as it can and then here.
pub(crate) async fn list<E: Entry>(
    client: &Client,
    route: Result<Route, Error>,
    selection: &Selection,
) -> Result<Vec<E>, Error> {
    selection.check::<E>()?;
    let mut route = route?;
    if let Some(volume_type) = &selection.volume_type {
        route = route.name("volume type", volume_type.as_str())?;
    }
    route = route.query("recursion", E::RECURSION);
    let mut extensions = E::Object::NEEDS.to_vec();
    route = if selection.all_projects {
        extensions.push(E::Object::ALL_PROJECTS);
        // Servers refuse a project beside it.
        client.scoped_target(route.query("all-projects", "true"))
    } else {
        client.scoped(route)
    };
    if let Some(filter) = &selection.filter
        && let Some(sent) = filter.plan().sent
        && client.server().await?.api_extensions.has(E::Object::FILTERING)
    {
        route = route.query("filter", &sent);
    }
    let entries: Option<Vec<E>> = client.get(Ok(route), &extensions).await?.decode()?;
    let wanted = |entry: &E| {
        let object = entry.object();
        !object.is_foreign() && selection.filter.as_ref().is_none_or(|filter| object.matches(filter))
    };
    Ok(entries.unwrap_or_default().into_iter().filter(wanted).collect())
}

/// The list of one pool, each entry with the pool in its own project.
pub(crate) async fn list_of_pool<E: Entry>(
    pool: &PoolHandle,
    route: Result<Route, Error>,
    selection: &Selection,
) -> Result<Vec<(PoolHandle, E)>, Error> {
    let entries: Vec<E> = list(pool.client(), route, selection).await?;
    Ok(entries.into_iter().map(|entry| (selection.home_of(pool, entry.object()), entry)).collect())
}
