//! Volumes together with all that belongs to them: usage, snapshots and backups.

use std::sync::Arc;

use lxd_types::{StorageVolumeFull, StorageVolumeState, VolumeType};

use crate::{
    Backup, Error, Snapshot, Volume, VolumeHandle, at_once::some_at_once, object::Address,
    snapshots::VolumeLists,
};

/// The API extension of servers that answer with all of it at once.
pub(crate) const EXTENSION: &str = "storage_volume_full";

/// A volume with how full it is, its snapshots and its backups.
///
/// Servers with the API extension `storage_volume_full` (Incus) give all of it along with the volume or with the list
/// of volumes. Others are asked three times more per volume, a few at a time.
///
/// ```
/// # async fn example(client: lxd_storage::Client) -> Result<(), lxd_storage::Error> {
/// for full in client.storage_pool("fast").volumes().full().await? {
///     let used = full.state.as_ref().and_then(|state| state.usage.as_ref()).map(|usage| usage.used);
///     println!("{}: {used:?} bytes, {} snapshots", full.volume.name(), full.snapshots.len());
/// }
/// # Ok(()) }
/// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doc/server.rs"));
/// # fn main() { on_emulator!(example(client)) }
/// ```
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct VolumeFull {
    /// The volume.
    pub volume: Volume,
    /// How full it is; `None` where the server doesn't know.
    pub state: Option<StorageVolumeState>,
    /// Its snapshots, oldest first.
    pub snapshots: Vec<Snapshot>,
    /// Its backups. Only custom volumes have any.
    pub backups: Vec<Backup>,
}

impl VolumeFull {
    pub(crate) fn new(volume: Volume, full: StorageVolumeFull) -> Self {
        let handle = volume.handle();
        let mut snapshots = full.snapshots;
        snapshots.sort_by_key(|snapshot| snapshot.created_at);
        let snapshots = snapshots.into_iter().map(|object| Snapshot::from_list(handle, object)).collect();
        let backup =
            |object: lxd_types::StorageVolumeBackup| Backup::new(handle.backup(object.short_name()), object);
        let backups = full.backups.into_iter().map(backup).collect();
        Self { state: full.state, snapshots, backups, volume }
    }

    /// Of a server that doesn't tell it all at once; `None` for a volume that is gone by now.
    async fn compose(volume: Volume, lists: &VolumeLists) -> Result<Option<Self>, Error> {
        let custom = *volume.volume_type() == VolumeType::Custom;
        let handle = volume.handle().clone();
        let parts = async {
            let state = state_if_known(&handle).await?;
            let snapshots = match volume.volume_type() {
                VolumeType::Image => Vec::new(),
                // That it is still there shows in its backups.
                VolumeType::Custom => handle.snapshots().all_among(lists).await?,
                _ => handle.snapshots().all().await?,
            };
            let backups = if custom { handle.backups().all().await? } else { Vec::new() };
            Ok((state, snapshots, backups))
        };
        match parts.await {
            Ok((state, snapshots, backups)) => Ok(Some(Self { volume, state, snapshots, backups })),
            Err(error) if Error::is_not_found(&error) && !handle.exists().await? => Ok(None),
            Err(error) => Err(error),
        }
    }

    pub(crate) async fn compose_all(volumes: Vec<Volume>) -> Result<Vec<Self>, Error> {
        let lists = Arc::new(VolumeLists::default());
        let compose = move |volume| {
            let lists = Arc::clone(&lists);
            async move { Self::compose(volume, &lists).await }
        };
        Ok(some_at_once(volumes, compose).await?.into_iter().flatten().collect())
    }
}

/// How full a volume is, where its server knows.
pub(crate) async fn state_if_known(volume: &VolumeHandle) -> Result<Option<StorageVolumeState>, Error> {
    if *volume.volume_type() == VolumeType::Image {
        return Ok(None);
    }
    match volume.state().await {
        Ok(state) => Ok(Some(state)),
        // LXD 5.0 says so where the driver doesn't count; another may be gone by now.
        Err(error) if error.server_message().is_some() && !error.is_forbidden() => Ok(None),
        Err(error) => Err(error),
    }
}

impl VolumeHandle {
    /// The volume with how full it is, its snapshots and its backups: one request with the API extension
    /// `storage_volume_full` (`GET .../volumes/<type>/<name>?recursion=1`), else four.
    ///
    /// # Errors
    /// [`NotFound`](crate::ErrorKind::NotFound).
    pub async fn full(&self) -> Result<VolumeFull, Error> {
        let client = self.client();
        if client.server().await?.api_extensions.has(EXTENSION) {
            let route = self.path().map(|route| client.scoped(route.query("recursion", "1")));
            let mut full: StorageVolumeFull = client.get(route, &[EXTENSION]).await?.decode()?;
            let object = std::mem::take(&mut full.volume);
            return Ok(VolumeFull::new(Volume::from_list(self.pool(), object), full));
        }
        let volume = self.get().await?;
        let gone = || Error::new(crate::ErrorKind::NotFound, format!("the {} was deleted", self.in_words()));
        VolumeFull::compose(volume, &VolumeLists::default()).await?.ok_or_else(gone)
    }
}
