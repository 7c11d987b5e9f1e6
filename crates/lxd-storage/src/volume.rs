//! One volume: [`VolumeHandle`] says which, [`Volume`] also holds what was read of it.

use std::{fmt, ops::Deref, sync::Arc};

use http::Method;
use lxd_types::{
    Config, ContentType, Patch, Reference, StorageVolume, StorageVolumePost, StorageVolumePut,
    StorageVolumeState, Timestamp, VolumeType,
};

use crate::{
    BackupHandle, Backups, Change, Client, ETag, Error, Export, Migration, MoveTo, PoolHandle,
    SnapshotHandle, Snapshots, check, doubt,
    object::{Address, Local},
    route::{Route, check_name},
    snapshots::check_snapshot_name,
    used_by::references,
};

/// A volume by its pool, type and name, whether it exists or not. Making one does no I/O; it is cheap to clone and
/// keep.
///
/// What needs no knowledge of the volume's present state is done from here. [`get`](Self::get) gives a [`Volume`],
/// which has the state too.
///
/// What is legal depends on the type, since all but `custom` volumes belong to instances and images. The rest is
/// refused as [`InvalidInput`](crate::ErrorKind::InvalidInput) before anything is sent.
///
/// | | `custom` | `container`, `virtual-machine` | `image` |
/// |---|---|---|---|
/// | list, get, exists, used by | yes | yes | yes |
/// | put, save, edit | yes | yes | yes |
/// | state | yes | yes | no |
/// | list and get snapshots | yes | yes | has none |
/// | patch, rename, move, copy, migrate, rebuild | yes | no | no |
/// | delete | yes | with its instance | yes |
/// | take, rename, delete, restore snapshots | yes | with its instance | no |
/// | backups, export | yes | no | no |
/// | files, when it is a filesystem | yes | no | no |
/// | attach to instances and profiles | yes | yes, on newer servers | no |
///
/// Custom volumes differ by what is in them. A handle doesn't know that, so some of this shows when the server refuses
/// it: with nothing begun, unless the table says otherwise. What is refused here is in italics.
///
/// | | `filesystem` | `block` | `iso` |
/// |---|---|---|---|
/// | create without a source | yes | yes | no, see [`import_iso`](crate::Volumes::import_iso) |
/// | description, rename, move, copy, migrate, delete | yes | yes | yes |
/// | change keys, such as `size` | yes | yes, but it doesn't shrink | *no* (where its [`Volume`] is used) |
/// | take and restore snapshots | yes | yes | no |
/// | refresh a copy | yes | yes | no |
/// | backups, export | yes | yes | *with `backup_iso`*; what comes is the image itself |
/// | files, SFTP | yes | *no* | *no* |
/// | NBD | *no* | yes | *no* |
/// | bitmaps | no | yes | no |
/// | attach to virtual machines | yes | yes | yes |
/// | attach to containers | yes | *no* | *no* |
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VolumeHandle {
    pool: PoolHandle,
    volume_type: VolumeType,
    name: Arc<str>,
}

impl VolumeHandle {
    pub(crate) fn new(pool: PoolHandle, volume_type: VolumeType, name: Arc<str>) -> Self {
        Self { pool, volume_type, name }
    }

    /// The volume's name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The volume's type.
    #[must_use]
    pub fn volume_type(&self) -> &VolumeType {
        &self.volume_type
    }

    /// The pool that the volume is in.
    #[must_use]
    pub fn pool(&self) -> &PoolHandle {
        &self.pool
    }

    /// The server that the volume is on, with project and cluster member.
    #[must_use]
    pub fn client(&self) -> &Client {
        self.pool.client()
    }

    /// The same name in a project.
    #[must_use]
    pub fn with_project(&self, project: impl AsRef<str>) -> Self {
        Self { pool: self.pool.with_project(project), ..self.clone() }
    }

    /// The same name on a cluster member.
    #[must_use]
    pub fn with_target(&self, member: impl AsRef<str>) -> Self {
        Self { pool: self.pool.with_target(member), ..self.clone() }
    }

    /// Reads the volume (`GET .../volumes/<type>/<name>`). In a cluster a volume of a local driver stays on the member
    /// that it was found on: what is done with the [`Volume`] is done there.
    ///
    /// # Errors
    /// [`NotFound`](crate::ErrorKind::NotFound); [`Server`](crate::ErrorKind::Server) where several members of a
    /// cluster have a volume of this name and none is said ([`with_target`](Self::with_target),
    /// [`locate`](Self::locate)).
    pub async fn get(&self) -> Result<Volume, Error> {
        Ok(self.held(self.read().await?))
    }

    fn held(&self, local: Local<Self>) -> Volume {
        Volume { handle: self.found(local.object()), local }
    }

    /// Whether the volume exists. Only [`NotFound`](crate::ErrorKind::NotFound) counts as no.
    ///
    /// # Errors
    /// All others.
    pub async fn exists(&self) -> Result<bool, Error> {
        self.is_there().await
    }

    /// How full the volume is (`GET .../volumes/<type>/<name>/state`). Needs the API extension
    /// `storage_volume_state`.
    ///
    /// # Errors
    /// [`Server`](crate::ErrorKind::Server) from LXD 5.0 on drivers that don't count; newer servers answer without
    /// usage there. [`InvalidInput`](crate::ErrorKind::InvalidInput) for an image.
    pub async fn state(&self) -> Result<StorageVolumeState, Error> {
        if self.volume_type == VolumeType::Image {
            return Err(Error::invalid(format!("volume {:?} is an image, which has no state", self.name)));
        }
        let route = self.path().map(|route| self.client().scoped(route.literal("state")));
        self.client().get(route, &["storage_volume_state"]).await?.decode()
    }

    /// Replaces description and config, and nothing else: no ETag, no reading back
    /// (`PUT .../volumes/<type>/<name>`). What is missing in `put` is removed on the server, which alone judges whether a
    /// smaller `size` will do.
    pub fn raw_put(&self, put: &StorageVolumePut) -> Change<()> {
        self.replace(put)
    }

    /// Changes some keys, and nothing else: no ETag, no reading back (`PATCH .../volumes/custom/<name>`).
    ///
    /// A patch without a description clears it, on every server. [`Volume::patch`] fills in the present one.
    pub fn raw_patch(&self, patch: &Patch) -> Change<()> {
        self.change_some(patch)
    }

    /// Deletes the volume, with its snapshots and backups (`DELETE .../volumes/<type>/<name>`).
    ///
    /// # Errors
    /// [`InUse`](crate::ErrorKind::InUse) while an instance or profile names it;
    /// [`NotFound`](crate::ErrorKind::NotFound).
    pub fn delete(&self) -> Change<()> {
        self.remove()
    }

    /// Renames the volume in place and gives the handle of the new name (`POST .../volumes/custom/<name>`). Needs the
    /// API extension `storage_api_volume_rename`.
    ///
    /// # Errors
    /// [`AlreadyExists`](crate::ErrorKind::AlreadyExists), also for the present name;
    /// [`InUse`](crate::ErrorKind::InUse) while a running instance uses it.
    pub fn rename(&self, name: impl AsRef<str>) -> Change<VolumeHandle> {
        let renamed = Self { name: name.as_ref().into(), ..self.clone() };
        let request = check_name("volume", &renamed.name).and_then(|()| {
            Ok(self
                .request(Method::POST)?
                .json(&StorageVolumePost::rename(&*renamed.name))?
                .needs("storage_api_volume_rename")
                .leaving(doubt::moved(&self.in_words(), &renamed.in_words())))
        });
        Change::new(self.client(), request, |_| async { Ok(renamed) })
    }

    /// Moves the volume to another pool or project of the same server, and reads it there
    /// (`POST .../volumes/custom/<name>`, always in the background). Needs the API extension
    /// `storage_api_local_volume_handling`, and `storage_volume_project_move` for another project.
    ///
    /// ```
    /// # async fn example(client: lxd_storage::Client) -> Result<(), lxd_storage::Error> {
    /// use lxd_storage::{MoveTo, types::VolumeType};
    ///
    /// let data = client.storage_pool("fast").volume(VolumeType::Custom, "data");
    /// let archived = data.move_to(MoveTo::pool("archive").with_name("data-2026")).await?;
    /// # Ok(()) }
    /// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doc/server.rs"));
    /// # fn main() { on_emulator!(example(client)) }
    /// ```
    ///
    /// # Errors
    /// [`NotFound`](crate::ErrorKind::NotFound) for the pool; [`InUse`](crate::ErrorKind::InUse);
    /// [`OperationFailed`](crate::ErrorKind::OperationFailed).
    pub fn move_to(&self, destination: MoveTo) -> Change<Volume> {
        let (post, arrived) = destination.resolve(self);
        let request = check_name("volume", &post.name).and_then(|()| {
            let request = self.request(Method::POST)?.json(&post)?.needs("storage_api_local_volume_handling");
            let request = request.leaving(doubt::moved(&self.in_words(), &arrived.in_words()));
            Ok(if post.project.is_some() { request.needs("storage_volume_project_move") } else { request })
        });
        Change::new(self.client(), request, |_| async move { arrived.get().await })
    }

    /// Copies the volume to a pool of another server, which fetches it from this one. See [`Migration`].
    pub fn copy_to_server(&self, pool: &PoolHandle) -> Migration {
        Migration::copy(self.clone(), pool.clone())
    }

    /// Moves the volume to a pool of another server: copies it, compares, and only then deletes it here. See
    /// [`Migration`].
    ///
    /// ```
    /// # async fn example(here: lxd_storage::Client, there: lxd_storage::Client) -> Result<(), lxd_storage::Error> {
    /// use lxd_storage::types::VolumeType;
    ///
    /// let data = here.storage_pool("fast").volume(VolumeType::Custom, "data");
    /// // Neither server reaches the other: its content passes through this program, in constant memory.
    /// let moved = data.move_to_server(&there.storage_pool("archive")).relay().await?;
    /// println!("{} is on {}", moved.handle(), there.endpoint());
    /// # Ok(()) }
    /// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doc/server.rs"));
    /// # fn main() { on_emulator!(example(here, there)) }
    /// ```
    pub fn move_to_server(&self, pool: &PoolHandle) -> Migration {
        Migration::moving(self.clone(), pool.clone())
    }

    /// Reads the volume, lets `change` edit description and config, and writes them back if they changed; begins
    /// again if somebody else changed the config meanwhile. Gives the volume as it is afterwards.
    ///
    /// What [`PoolHandle::edit`] says of turns and other programs holds here too. The ETag of a volume doesn't cover
    /// its description: of two that other programs write at the same time the later one stays.
    ///
    /// # Errors
    /// [`PreconditionFailed`](crate::ErrorKind::PreconditionFailed) after losing a great many races;
    /// [`InvalidInput`](crate::ErrorKind::InvalidInput) for a smaller `size` of a block volume; those of reading and
    /// writing.
    pub async fn edit(&self, change: impl FnMut(&mut StorageVolumePut) + Send) -> Result<Volume, Error> {
        Ok(self.held(self.edit_until_won(change).await?))
    }

    /// The snapshots of the volume.
    #[must_use]
    pub fn snapshots(&self) -> Snapshots {
        Snapshots::new(self.clone())
    }

    /// One snapshot of the volume, by its name without the volume's. No I/O: whether it exists shows when it is used.
    #[must_use]
    pub fn snapshot(&self, name: impl AsRef<str>) -> SnapshotHandle {
        SnapshotHandle::new(self.clone(), name.as_ref().into())
    }

    /// The backups of the volume that its server keeps.
    #[must_use]
    pub fn backups(&self) -> Backups {
        Backups::new(self.clone())
    }

    /// One backup of the volume, by its name. No I/O: whether it exists shows when it is used.
    #[must_use]
    pub fn backup(&self, name: impl AsRef<str>) -> BackupHandle {
        BackupHandle::new(self.clone(), name.as_ref().into())
    }

    /// Exports the volume into a file, a writer or a stream, with nothing left on the server. See [`Export`].
    pub fn export(&self) -> Export {
        Export::new(self.clone())
    }

    /// Takes the content of the volume back to a snapshot; description and config stay
    /// (`PUT .../volumes/custom/<name>`). Needs the API extension `storage_api_volume_snapshots`.
    ///
    /// # Errors
    /// [`NotFound`](crate::ErrorKind::NotFound) for the snapshot; [`InUse`](crate::ErrorKind::InUse) while a running
    /// instance has the volume; [`Server`](crate::ErrorKind::Server) on zfs where there are later snapshots and the
    /// key `zfs.remove_snapshots` isn't set.
    pub fn restore(&self, snapshot: &str) -> Change<()> {
        let request =
            self.only_custom("restore").and_then(|()| check_snapshot_name(snapshot)).and_then(|()| {
                // Without config in it, the request leaves the config alone.
                let body = serde_json::json!({"restore": snapshot});
                let request = self.request(Method::PUT)?.json(&body)?.needs("storage_api_volume_snapshots");
                // Some drivers take the volume away before they notice that there is no such snapshot.
                Ok(request.if_exists(self.snapshot(snapshot).scoped()?))
            });
        Change::new(self.client(), request, |_| async { Ok(()) })
    }
}

/// `pool/type/name`, for people and logs.
impl fmt::Display for VolumeHandle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}/{}", self.pool, self.volume_type, self.name)
    }
}

impl Address for VolumeHandle {
    type Object = StorageVolume;
    type Put = StorageVolumePut;

    const ONE_WAY: &'static [&'static str] = &["restore"];

    fn server(&self) -> &Client {
        self.pool.client()
    }

    fn path(&self) -> Result<Route, Error> {
        let route = self.pool.path()?.literal("volumes").name("volume type", self.volume_type.as_str())?;
        route.name("volume", &self.name)
    }

    fn in_words(&self) -> String {
        format!("volume {:?} in pool {:?}", self.name, self.pool.name())
    }

    fn found(&self, object: &StorageVolume) -> Self {
        // Elsewhere than in a cluster, and for drivers that all members share, the place is "none" or empty.
        match &*object.location {
            "" | "none" => self.clone(),
            member => self.with_target(member),
        }
    }

    fn takes(&self, method: &Method) -> Result<(), Error> {
        self.takes_method(method)
    }

    fn takes_config(&self, now: &StorageVolume, config: &Config) -> Result<(), Error> {
        self.content_takes_keys(&now.content_type)?;
        check::keeps_its_length(now, config)
    }

    fn description(object: &StorageVolume) -> &str {
        &object.description
    }

    fn config(object: &StorageVolume) -> &Config {
        &object.config
    }

    fn to_put(object: &StorageVolume) -> StorageVolumePut {
        object.to_put()
    }

    fn put_config(put: &StorageVolumePut) -> &Config {
        &put.config
    }

    /// Every server sends it.
    fn own_etag(_object: &StorageVolume) -> Option<ETag> {
        None
    }
}

/// A volume, as it was read.
///
/// It dereferences to its [`VolumeHandle`] for everything that needs no state. Edit it in place and
/// [`save`](Self::save) it:
///
/// ```
/// # async fn example(client: lxd_storage::Client) -> Result<(), lxd_storage::Error> {
/// use lxd_storage::types::{Size, VolumeType};
///
/// let mut data = client.storage_pool("fast").volumes().get(VolumeType::Custom, "data").await?;
/// data.config_mut().set("size", Size::gib(20));
/// data.save().await?;
/// data.rename("data-old").await?;
/// data.delete().await?;
/// # Ok(()) }
/// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doc/server.rs"));
/// # fn main() { on_emulator!(example(client)) }
/// ```
///
/// What changes it here waits for the end and notes what it changed. The [`handle`](Self::handle) has the same calls as
/// [`Change`]s, with deadline, progress and `start`: `volume.handle().delete()`.
#[derive(Clone, Debug)]
pub struct Volume {
    handle: VolumeHandle,
    local: Local<VolumeHandle>,
}

impl Volume {
    pub(crate) fn from_list(pool: &PoolHandle, object: StorageVolume) -> Self {
        let handle = VolumeHandle::new(pool.clone(), object.volume_type.clone(), object.name.as_str().into());
        handle.held(Local::listed(object))
    }

    /// The whole object as it was read or edited, with the fields that this crate doesn't know.
    #[must_use]
    pub fn object(&self) -> &StorageVolume {
        self.local.object()
    }

    /// Which volume this is, without its state.
    #[must_use]
    pub fn handle(&self) -> &VolumeHandle {
        &self.handle
    }

    /// Filesystem, block or iso.
    #[must_use]
    pub fn content_type(&self) -> &ContentType {
        &self.object().content_type
    }

    /// The description.
    #[must_use]
    pub fn description(&self) -> &str {
        &self.object().description
    }

    /// The keys.
    #[must_use]
    pub fn config(&self) -> &Config {
        &self.object().config
    }

    /// The project that holds the volume: `default` where the project asked for shares its volumes.
    #[must_use]
    pub fn project(&self) -> &str {
        &self.object().project
    }

    /// The cluster member that holds the volume; `none` outside a cluster, empty for drivers that all members share.
    #[must_use]
    pub fn location(&self) -> &str {
        &self.object().location
    }

    /// When the volume was made, on servers with `storage_volumes_created_at`.
    #[must_use]
    pub fn created_at(&self) -> Option<Timestamp> {
        self.object().created_at
    }

    /// The version that was read; `None` for volumes out of a list.
    #[must_use]
    pub fn etag(&self) -> Option<ETag> {
        self.local.etag()
    }

    /// Who uses the volume, typed.
    ///
    /// # Errors
    /// As [`Pool::used_by`](crate::Pool::used_by).
    pub async fn used_by(&self) -> Result<Vec<Reference>, Error> {
        references(self.client(), &self.object().used_by).await
    }

    /// Sets the description, until [`save`](Self::save).
    pub fn set_description(&mut self, description: impl Into<String>) {
        self.local.object_mut().description = description.into();
    }

    /// The keys, to be edited until [`save`](Self::save).
    pub fn config_mut(&mut self) -> &mut Config {
        &mut self.local.object_mut().config
    }

    /// Reads the volume anew. Edits that weren't saved are gone.
    ///
    /// # Errors
    /// [`NotFound`](crate::ErrorKind::NotFound), also after [`delete`](Self::delete).
    pub async fn sync(&mut self) -> Result<(), Error> {
        self.local.sync(&self.handle).await
    }

    /// Writes the edits back, description included, and reads the volume anew (`PUT`, with the ETag).
    ///
    /// The ETag covers the config. A description that somebody else wrote since this volume was read is overwritten.
    ///
    /// A `size` can grow. No server makes a block volume smaller, so that is refused here. A filesystem becomes smaller
    /// where the driver can do so and what is in it fits; the server decides.
    ///
    /// # Errors
    /// [`PreconditionFailed`](crate::ErrorKind::PreconditionFailed) if somebody changed the config since it was
    /// read; the edits stay here, [`sync`](Self::sync) drops them. [`InvalidInput`](crate::ErrorKind::InvalidInput) for
    /// a smaller `size` of a block volume, before anything is sent.
    pub async fn save(&mut self) -> Result<(), Error> {
        self.local.save(&self.handle).await
    }

    /// Replaces description and config, and reads the volume anew (`PUT`, with the ETag).
    ///
    /// # Errors
    /// As [`save`](Self::save).
    pub async fn put(&mut self, put: &StorageVolumePut) -> Result<(), Error> {
        self.local.put(&self.handle, put).await
    }

    /// Changes some keys and reads the volume anew (`PATCH`). The description stays unless the patch has one.
    ///
    /// # Errors
    /// [`InvalidInput`](crate::ErrorKind::InvalidInput) for a smaller `size` of a block volume; those of reading and
    /// writing.
    pub async fn patch(&mut self, patch: &Patch) -> Result<(), Error> {
        self.local.patch(&self.handle, patch).await
    }

    /// Renames the volume in place and reads it under its new name. On failure this object keeps the old one.
    ///
    /// # Errors
    /// As [`VolumeHandle::rename`].
    pub async fn rename(&mut self, name: impl AsRef<str>) -> Result<(), Error> {
        self.local.alive(&self.handle)?;
        self.handle = self.handle.rename(name).await?;
        self.sync().await.map_err(doubt::after)
    }

    /// Moves the volume to another pool or project of the same server. On failure this object stays where it was.
    ///
    /// # Errors
    /// As [`VolumeHandle::move_to`].
    pub async fn move_to(&mut self, destination: MoveTo) -> Result<(), Error> {
        self.local.alive(&self.handle)?;
        *self = self.handle.move_to(destination).await?;
        Ok(())
    }

    /// Deletes the volume, with its snapshots and backups. This object says so to whoever uses it afterwards.
    ///
    /// # Errors
    /// [`InUse`](crate::ErrorKind::InUse) while an instance or profile names it.
    pub async fn delete(&mut self) -> Result<(), Error> {
        self.local.delete(&self.handle).await
    }
}

impl Deref for Volume {
    type Target = VolumeHandle;

    fn deref(&self) -> &VolumeHandle {
        &self.handle
    }
}
