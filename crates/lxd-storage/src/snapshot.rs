//! One snapshot of a volume: [`SnapshotHandle`] says which, [`Snapshot`] also holds what was read of it.

use std::{fmt, ops::Deref, sync::Arc};

use http::Method;
use lxd_types::{
    Config, Expiry, StorageVolumeSnapshot, StorageVolumeSnapshotPost, StorageVolumeSnapshotPut, Timestamp,
};

use crate::{
    Change, Client, ETag, Error, Migration, PoolHandle, VolumeHandle, doubt,
    object::{Address, Local},
    route::Route,
    snapshots::check_snapshot_name,
};

/// What a `PUT` on a snapshot cannot change.
static NO_KEYS: Config = Config::new();

/// A snapshot by its volume and name, whether it exists or not. Making one does no I/O; it is cheap to clone and keep.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SnapshotHandle {
    volume: VolumeHandle,
    name: Arc<str>,
}

impl SnapshotHandle {
    pub(crate) fn new(volume: VolumeHandle, name: Arc<str>) -> Self {
        Self { volume, name }
    }

    /// The snapshot's name, without the volume's.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The volume that it is of.
    #[must_use]
    pub fn volume(&self) -> &VolumeHandle {
        &self.volume
    }

    /// Reads the snapshot (`GET .../snapshots/<snapshot>`).
    ///
    /// # Errors
    /// [`NotFound`](crate::ErrorKind::NotFound).
    pub async fn get(&self) -> Result<Snapshot, Error> {
        Ok(Snapshot { local: self.read().await?, handle: self.clone() })
    }

    /// Whether the snapshot exists. Only [`NotFound`](crate::ErrorKind::NotFound) counts as no.
    ///
    /// # Errors
    /// All others.
    pub async fn exists(&self) -> Result<bool, Error> {
        self.is_there().await
    }

    /// Replaces description and expiry, and nothing else: no ETag, no reading back (`PUT .../snapshots/<snapshot>`).
    pub fn raw_put(&self, put: &StorageVolumeSnapshotPut) -> Change<()> {
        self.replace(put)
    }

    /// Reads the snapshot, lets `change` edit description and expiry, and writes them back if they changed; begins
    /// again if somebody else changed it meanwhile.
    ///
    /// ```
    /// # async fn example(snapshot: lxd_storage::SnapshotHandle) -> Result<(), lxd_storage::Error> {
    /// use lxd_storage::types::Expiry;
    ///
    /// let kept = snapshot.edit(|put| { put.set_expiry(Expiry::Never); }).await?;
    /// # Ok(()) }
    /// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doc/server.rs"));
    /// # fn main() { on_emulator!(example(snapshot)) }
    /// ```
    ///
    /// # Errors
    /// [`PreconditionFailed`](crate::ErrorKind::PreconditionFailed) after losing a great many races; those of
    /// reading and writing.
    pub async fn edit(
        &self,
        change: impl FnMut(&mut StorageVolumeSnapshotPut) + Send,
    ) -> Result<Snapshot, Error> {
        Ok(Snapshot { local: self.edit_until_won(change).await?, handle: self.clone() })
    }

    /// Renames the snapshot and gives the handle of the new name (`POST .../snapshots/<snapshot>`, always in the
    /// background).
    ///
    /// # Errors
    /// [`AlreadyExists`](crate::ErrorKind::AlreadyExists); [`InvalidInput`](crate::ErrorKind::InvalidInput) for a bad
    /// name, before anything is sent.
    pub fn rename(&self, name: impl AsRef<str>) -> Change<SnapshotHandle> {
        let name: Arc<str> = name.as_ref().into();
        let renamed = Self { name, ..self.clone() };
        let request = check_snapshot_name(&renamed.name).and_then(|()| {
            let post = StorageVolumeSnapshotPost::rename(&*renamed.name);
            // Servers leave it to the file system to notice a taken name, which replaces an empty folder.
            let request = self.request(Method::POST)?.json(&post)?;
            let request = request.leaving(doubt::moved(&self.in_words(), &renamed.in_words()));
            Ok(request.if_free(renamed.scoped()?, renamed.in_words()))
        });
        Change::new(self.server(), request, |_| async { Ok(renamed) })
    }

    /// Deletes the snapshot (`DELETE .../snapshots/<snapshot>`, always in the background).
    ///
    /// # Errors
    /// [`NotFound`](crate::ErrorKind::NotFound); [`OperationFailed`](crate::ErrorKind::OperationFailed) where later
    /// snapshots or clones depend on it (zfs, btrfs).
    pub fn delete(&self) -> Change<()> {
        self.remove()
    }

    /// Takes the volume back to this snapshot. The same as [`VolumeHandle::restore`].
    ///
    /// # Errors
    /// As [`VolumeHandle::restore`].
    pub fn restore(&self) -> Change<()> {
        self.volume.restore(&self.name)
    }

    /// Makes a volume of the snapshot in a pool of another server. See [`Migration`].
    ///
    /// ```
    /// # async fn example(data: lxd_storage::VolumeHandle, there: lxd_storage::Client) -> Result<(), lxd_storage::Error> {
    /// let archive = there.storage_pool("archive");
    /// let volume = data.snapshot("nightly").copy_to_server(&archive).with_name("data-nightly").await?;
    /// # Ok(()) }
    /// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doc/server.rs"));
    /// # fn main() { on_emulator!(example(data, there)) }
    /// ```
    pub fn copy_to_server(&self, pool: &PoolHandle) -> Migration {
        Migration::of_snapshot(self.clone(), pool.clone())
    }

    /// Reads a new snapshot, and sets the description on servers that didn't take it along.
    pub(crate) async fn get_described(&self, description: Option<String>) -> Result<Snapshot, Error> {
        let snapshot = self.get().await?;
        match description {
            Some(wanted) if wanted != snapshot.description() => {
                self.edit(|put| put.description.clone_from(&wanted)).await
            }
            _ => Ok(snapshot),
        }
    }
}

/// `pool/type/volume/snapshot`, for people and logs.
impl fmt::Display for SnapshotHandle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.volume, self.name)
    }
}

impl Address for SnapshotHandle {
    type Object = StorageVolumeSnapshot;
    type Put = StorageVolumeSnapshotPut;

    fn server(&self) -> &Client {
        self.volume.client()
    }

    fn path(&self) -> Result<Route, Error> {
        self.volume.path()?.literal("snapshots").name("snapshot", &self.name)
    }

    fn in_words(&self) -> String {
        format!("snapshot {:?} of {}", self.name, self.volume.in_words())
    }

    fn takes(&self, method: &Method) -> Result<(), Error> {
        match *method {
            Method::POST => self.volume.only_custom("rename a snapshot of"),
            Method::DELETE => self.volume.only_custom("delete a snapshot of"),
            _ => Ok(()),
        }
    }

    fn description(object: &StorageVolumeSnapshot) -> &str {
        &object.description
    }

    fn config(_object: &StorageVolumeSnapshot) -> &Config {
        &NO_KEYS
    }

    fn to_put(object: &StorageVolumeSnapshot) -> StorageVolumeSnapshotPut {
        object.to_put()
    }

    fn put_config(_put: &StorageVolumeSnapshotPut) -> &Config {
        &NO_KEYS
    }

    /// Every server sends it.
    fn own_etag(_object: &StorageVolumeSnapshot) -> Option<ETag> {
        None
    }
}

/// A snapshot of a volume, as it was read. It dereferences to its [`SnapshotHandle`].
///
/// ```
/// # async fn example(volume: lxd_storage::VolumeHandle) -> Result<(), lxd_storage::Error> {
/// use lxd_storage::types::Expiry;
///
/// for mut snapshot in volume.snapshots().all().await? {
///     println!("{} of {:?}, expires: {:?}", snapshot.name(), snapshot.created_at(), snapshot.expiry());
///     snapshot.set_expiry(Expiry::Never);
///     snapshot.save().await?;
/// }
/// # Ok(()) }
/// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doc/server.rs"));
/// # fn main() { on_emulator!(example(volume)) }
/// ```
///
/// What changes it here waits for the end and notes what it changed. The [`handle`](Self::handle) has the same calls as
/// [`Change`]s, with deadline, progress and `start`: `snapshot.handle().delete()`.
#[derive(Clone, Debug)]
pub struct Snapshot {
    handle: SnapshotHandle,
    local: Local<SnapshotHandle>,
}

impl Snapshot {
    pub(crate) fn from_list(volume: &VolumeHandle, object: StorageVolumeSnapshot) -> Self {
        Self { handle: volume.snapshot(object.short_name()), local: Local::listed(object) }
    }

    /// The whole object as it was read or edited, with the fields that this crate doesn't know.
    #[must_use]
    pub fn object(&self) -> &StorageVolumeSnapshot {
        self.local.object()
    }

    /// Which snapshot this is, without its state.
    #[must_use]
    pub fn handle(&self) -> &SnapshotHandle {
        &self.handle
    }

    /// The description.
    #[must_use]
    pub fn description(&self) -> &str {
        &self.object().description
    }

    /// When the server removes it by itself.
    #[must_use]
    pub fn expiry(&self) -> Expiry {
        self.object().expiry()
    }

    /// When it was taken, on servers with `storage_volumes_created_at`.
    #[must_use]
    pub fn created_at(&self) -> Option<Timestamp> {
        self.object().created_at
    }

    /// The volume's keys at that time.
    #[must_use]
    pub fn config(&self) -> &Config {
        &self.object().config
    }

    /// The version that was read; `None` for snapshots out of a list.
    #[must_use]
    pub fn etag(&self) -> Option<ETag> {
        self.local.etag()
    }

    /// Sets the description, until [`save`](Self::save).
    pub fn set_description(&mut self, description: impl Into<String>) {
        self.local.object_mut().description = description.into();
    }

    /// Sets when the server removes it, until [`save`](Self::save).
    pub fn set_expiry(&mut self, expiry: impl Into<Expiry>) {
        self.local.object_mut().expires_at = expiry.into().time();
    }

    /// Reads the snapshot anew. Edits that weren't saved are gone.
    ///
    /// # Errors
    /// [`NotFound`](crate::ErrorKind::NotFound), also after [`delete`](Self::delete).
    pub async fn sync(&mut self) -> Result<(), Error> {
        self.local.sync(&self.handle).await
    }

    /// Writes the edits back and reads the snapshot anew (`PUT`, with the ETag).
    ///
    /// # Errors
    /// [`PreconditionFailed`](crate::ErrorKind::PreconditionFailed) if somebody changed it since it was read.
    pub async fn save(&mut self) -> Result<(), Error> {
        self.local.save(&self.handle).await
    }

    /// Replaces description and expiry, and reads the snapshot anew (`PUT`, with the ETag).
    ///
    /// # Errors
    /// As [`save`](Self::save).
    pub async fn put(&mut self, put: &StorageVolumeSnapshotPut) -> Result<(), Error> {
        self.local.put(&self.handle, put).await
    }

    /// Renames the snapshot and reads it under its new name. On failure this object keeps the old one.
    ///
    /// # Errors
    /// As [`SnapshotHandle::rename`].
    pub async fn rename(&mut self, name: impl AsRef<str>) -> Result<(), Error> {
        self.local.alive(&self.handle)?;
        self.handle = self.handle.rename(name).await?;
        self.sync().await.map_err(doubt::after)
    }

    /// Deletes the snapshot. This object says so to whoever uses it afterwards.
    ///
    /// # Errors
    /// As [`SnapshotHandle::delete`].
    pub async fn delete(&mut self) -> Result<(), Error> {
        self.local.delete(&self.handle).await
    }
}

impl Deref for Snapshot {
    type Target = SnapshotHandle;

    fn deref(&self) -> &SnapshotHandle {
        &self.handle
    }
}
