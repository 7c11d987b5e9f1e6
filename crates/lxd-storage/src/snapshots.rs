//! The snapshots of a volume: list, get, create.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, Mutex, PoisonError},
};

use http::Method;
use lxd_types::{Operation, StorageVolume, StorageVolumeSnapshot, StorageVolumeSnapshotsPost};
use tokio::sync::OnceCell;

use crate::{
    Change, Error, ErrorKind, Snapshot, SnapshotHandle, VolumeHandle,
    at_once::some_at_once,
    created::{server_tells_names, told_name},
    doubt,
    object::Address,
    pending::{ChangeRequest, Done},
    replacing,
    route::{Route, check_name},
};

/// So often a free number is looked for while others take them.
const NUMBER_AGAIN: usize = 16;

/// The snapshots of a volume (`.../volumes/<type>/<volume>/snapshots`). Needs the API extension
/// `storage_api_volume_snapshots`.
///
/// Snapshots of custom volumes are made here. Those of containers and virtual machines can be read; they are made
/// together with their instance.
///
/// ```
/// # async fn example(client: lxd_storage::Client) -> Result<(), lxd_storage::Error> {
/// use lxd_storage::types::{Expiry, StorageVolumeSnapshotsPost, VolumeType};
///
/// let data = client.storage_pool("fast").volume(VolumeType::Custom, "data");
/// let before = data.snapshots().create(StorageVolumeSnapshotsPost::new("before").with_expiry(Expiry::Never)).await?;
/// let next = data.snapshots().create_automatic(StorageVolumeSnapshotsPost::automatic()).await?;
/// println!("{} was taken after {}", next.name(), before.name());
/// data.restore(before.name()).await?;
/// # Ok(()) }
/// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doc/server.rs"));
/// # fn main() { on_emulator!(example(client)) }
/// ```
#[derive(Clone, Debug)]
pub struct Snapshots {
    volume: VolumeHandle,
}

impl Snapshots {
    pub(crate) fn new(volume: VolumeHandle) -> Self {
        Self { volume }
    }

    pub(crate) fn volume(&self) -> &VolumeHandle {
        &self.volume
    }

    /// All snapshots with their details, oldest first, in one request (`GET .../snapshots?recursion=1`).
    ///
    /// # Errors
    /// [`NotFound`](ErrorKind::NotFound) for the volume, also where the server itself gives an empty list.
    pub async fn all(&self) -> Result<Vec<Snapshot>, Error> {
        let objects = self.list().await?;
        if objects.is_empty() && !self.volume.exists().await? {
            let message = format!("there is no volume {:?}", self.volume.name());
            return Err(Error::new(ErrorKind::NotFound, message));
        }
        Ok(self.listed(objects))
    }

    /// The same of a volume that was just seen, along with those of others.
    pub(crate) async fn all_among(&self, lists: &VolumeLists) -> Result<Vec<Snapshot>, Error> {
        Ok(self.listed(self.list_among(lists).await?))
    }

    fn listed(&self, objects: Vec<StorageVolumeSnapshot>) -> Vec<Snapshot> {
        objects.into_iter().map(|object| Snapshot::from_list(&self.volume, object)).collect()
    }

    /// One snapshot by its name without the volume's (`GET .../snapshots/<snapshot>`).
    ///
    /// # Errors
    /// [`NotFound`](ErrorKind::NotFound).
    pub async fn get(&self, name: &str) -> Result<Snapshot, Error> {
        self.volume.snapshot(name).get().await
    }

    /// Whether there is a snapshot of this name. Only [`NotFound`](ErrorKind::NotFound) counts as no.
    ///
    /// # Errors
    /// All others.
    pub async fn exists(&self, name: &str) -> Result<bool, Error> {
        self.volume.snapshot(name).exists().await
    }

    /// Takes a snapshot under a name, and reads it back (`POST .../snapshots`, always in the background).
    ///
    /// A description is set afterwards on servers that don't take it along. An expiry needs the API extension
    /// `custom_volume_snapshot_expiry`.
    ///
    /// # Errors
    /// [`AlreadyExists`](ErrorKind::AlreadyExists); [`InvalidInput`](ErrorKind::InvalidInput) for a bad name, also an
    /// empty one, for which [`create_automatic`](Self::create_automatic) is made.
    pub fn create(&self, snapshot: StorageVolumeSnapshotsPost) -> Change<Snapshot> {
        let request = check_snapshot_name(&snapshot.name).and_then(|()| self.create_request(&snapshot));
        let handle = self.volume.snapshot(snapshot.name);
        let request = request.map(|request| request.leaving(doubt::made(&handle.in_words())));
        Change::new(self.volume.client(), request, |_| async move {
            handle.get_described(snapshot.description).await
        })
    }

    /// Takes a snapshot under a name that may be taken, and reads it back: one that is there is replaced.
    ///
    /// The one that is there is renamed first, and deleted once the new one is taken; if that fails it gets its name back.
    /// All of it goes on to its end even if nobody waits for it.
    ///
    /// ```
    /// # async fn example(volume: lxd_storage::VolumeHandle) -> Result<(), lxd_storage::Error> {
    /// use lxd_storage::types::StorageVolumeSnapshotsPost;
    ///
    /// let latest = volume.snapshots().create_replacing(StorageVolumeSnapshotsPost::new("latest")).await?;
    /// # Ok(()) }
    /// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doc/server.rs"));
    /// # fn main() { on_emulator!(example(volume)) }
    /// ```
    ///
    /// # Errors
    /// Those of [`create`](Self::create), of renaming and deleting; where something stays under another name, the error
    /// tells which.
    pub async fn create_replacing(&self, snapshot: StorageVolumeSnapshotsPost) -> Result<Snapshot, Error> {
        let snapshots = self.clone();
        let task = tokio::spawn(async move { replacing::create(&snapshots, snapshot).await });
        task.await.unwrap_or_else(|error| {
            let message = "the replacing of a snapshot was stopped";
            Err(Error::new(ErrorKind::Interrupted, message).with_source(error))
        })
    }

    /// Takes a snapshot that is named by the server, and reads it back.
    ///
    /// Incus, and LXD with the API extension `operation_metadata_entity_url`, name it by the volume's key
    /// `snapshots.pattern`. Other servers don't tell which name they chose; there it is the next number in the row
    /// `snap0`, `snap1`, ..., as they would choose themselves.
    ///
    /// # Errors
    /// As [`create`](Self::create).
    pub async fn create_automatic(&self, snapshot: StorageVolumeSnapshotsPost) -> Result<Snapshot, Error> {
        if !snapshot.name.is_empty() {
            let message = format!("a snapshot that is named by the server and the name {:?}", snapshot.name);
            return Err(Error::invalid(message));
        }
        if server_tells_names(self.volume.client()).await? {
            return self.create_told(snapshot).await;
        }
        let mut post = snapshot;
        for _ in 0..NUMBER_AGAIN {
            let listed = self.list().await?;
            post.name = format!("snap{}", next_number(listed.iter().map(StorageVolumeSnapshot::short_name)));
            match self.create(post.clone()).await {
                Err(error) if error.is_already_exists() => {}
                done => return done,
            }
        }
        Err(Error::new(ErrorKind::AlreadyExists, "every number was taken by somebody else at that moment"))
    }

    async fn create_told(&self, snapshot: StorageVolumeSnapshotsPost) -> Result<Snapshot, Error> {
        let request = self.create_request(&snapshot);
        let named: Change<Operation> = Change::new(self.volume.client(), request, |done| async {
            match done {
                Done::Operation(operation) => Ok(*operation),
                Done::AtOnce(answer) => answer.decode(),
            }
        });
        let operation = named.await?;
        let name = told_name(&operation, "storage_volume_snapshots").ok_or_else(|| {
            Error::new(ErrorKind::Decode, "the server doesn't say how it named the snapshot")
        })?;
        self.volume.snapshot(name).get_described(snapshot.description).await
    }

    fn create_request(&self, snapshot: &StorageVolumeSnapshotsPost) -> Result<ChangeRequest, Error> {
        self.volume.only_custom("take a snapshot of")?;
        let route = self.volume.client().scoped(self.route()?);
        let request =
            ChangeRequest::new(Method::POST, route).json(snapshot)?.needs("storage_api_volume_snapshots");
        Ok(match snapshot.expires_at {
            Some(_) => request.needs("custom_volume_snapshot_expiry"),
            None => request,
        })
    }

    fn route(&self) -> Result<Route, Error> {
        Ok(self.volume.path()?.literal("snapshots"))
    }

    /// What the server lists, which is nothing for a volume that LXD 5.0 doesn't know.
    pub(crate) async fn list(&self) -> Result<Vec<StorageVolumeSnapshot>, Error> {
        self.list_among(&VolumeLists::default()).await
    }

    async fn list_among(&self, lists: &VolumeLists) -> Result<Vec<StorageVolumeSnapshot>, Error> {
        let client = self.volume.client();
        let route = self.route().map(|route| client.scoped(route.query("recursion", "1")));
        let answer = client.get(route, &["storage_api_volume_snapshots"]).await?;
        let objects: Vec<StorageVolumeSnapshot> = answer.decode::<Option<_>>()?.unwrap_or_default();
        if objects.is_empty() && client.cluster().is_clustered().await? {
            return self.list_elsewhere(lists).await;
        }
        Ok(objects)
    }

    /// The snapshots according to the list of volumes. Members of a cluster of LXD 5.0 list none of a volume that
    /// another member has, though they show each one, and to act on that would lose snapshots.
    async fn list_elsewhere(&self, lists: &VolumeLists) -> Result<Vec<StorageVolumeSnapshot>, Error> {
        let client = self.volume.client();
        let volumes = self.volume.pool().volumes();
        let route = client.scoped(volumes.route()?.literal("custom").query("recursion", "1"));
        let list = lists.of(&route.clone().uri()?.to_string());
        let listed = list.get_or_try_init(|| async {
            let listed: Option<Vec<StorageVolume>> = client.get(Ok(route), &[]).await?.decode()?;
            Ok::<_, Error>(listed.unwrap_or_default())
        });
        let mut names = BTreeSet::new();
        for object in listed.await? {
            let of_this = object.name.split_once('/').filter(|(volume, _)| *volume == self.volume.name());
            names.extend(of_this.map(|(_, snapshot)| snapshot.to_owned()));
        }
        let handles = names.into_iter().map(|name| self.volume.snapshot(name)).collect();
        let read = |handle: SnapshotHandle| async move {
            match handle.get().await {
                // Of a volume with the same name on yet another member.
                Err(error) if error.is_not_found() => Ok(None),
                found => found.map(|snapshot| Some(snapshot.object().clone())),
            }
        };
        Ok(some_at_once(handles, read).await?.into_iter().flatten().collect())
    }
}

/// Lists of volumes, each read once for all whose snapshots are looked for.
#[derive(Debug, Default)]
pub(crate) struct VolumeLists(Mutex<BTreeMap<String, VolumeList>>);

type VolumeList = Arc<OnceCell<Vec<StorageVolume>>>;

impl VolumeLists {
    fn of(&self, uri: &str) -> VolumeList {
        let mut lists = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(lists.entry(uri.to_owned()).or_default())
    }
}

/// Snapshot names go into paths and into names of the drivers, so servers take no space in them.
pub(crate) fn check_snapshot_name(name: &str) -> Result<(), Error> {
    check_name("snapshot", name)?;
    if name.chars().any(char::is_whitespace) {
        return Err(Error::invalid(format!("the name {name:?} of the snapshot has a space in it")));
    }
    Ok(())
}

/// One more than the highest number in the row `snap0`, `snap1`, ...
fn next_number<'a>(names: impl Iterator<Item = &'a str>) -> u64 {
    let numbers = names.filter_map(|name| name.strip_prefix("snap")?.parse::<u64>().ok());
    numbers.max().map_or(0, |highest| highest.saturating_add(1))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_go_on_after_the_highest() {
        assert_eq!(next_number([].into_iter()), 0);
        assert_eq!(next_number(["snap0", "snap7", "snapx", "other9", "snap-3"].into_iter()), 8);
    }

    #[test]
    fn names_with_spaces_or_slashes_are_refused() {
        for name in ["", "a b", "a\tb", "v/s"] {
            assert_eq!(check_snapshot_name(name).unwrap_err().kind(), ErrorKind::InvalidInput, "{name:?}");
        }
        assert!(check_snapshot_name("snap-1.é%").is_ok());
    }
}
