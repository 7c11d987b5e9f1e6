//! One storage pool: [`PoolHandle`] says which, [`Pool`] also holds what was read of it.

use std::{collections::BTreeMap, fmt, ops::Deref, sync::Arc};

use lxd_types::{
    Config, Patch, PoolStatus, Reference, ResourcesStoragePool, StoragePool, StoragePoolPut, VolumeType,
};

use crate::{
    Change, Client, ETag, Error, VolumeHandle, Volumes,
    object::{Address, Local},
    route::Route,
    used_by::references,
};

/// A storage pool by its name, whether it exists or not. Making one does no I/O; it is cheap to clone and keep.
///
/// What needs no knowledge of the pool's present state is done from here. [`get`](Self::get) gives a [`Pool`], which
/// has the state too.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PoolHandle {
    client: Client,
    name: Arc<str>,
}

impl PoolHandle {
    pub(crate) fn new(client: Client, name: Arc<str>) -> Self {
        Self { client, name }
    }

    /// The pool's name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The server that the pool is on, with project and cluster member.
    #[must_use]
    pub fn client(&self) -> &Client {
        &self.client
    }

    /// The same pool, seen from a project.
    #[must_use]
    pub fn with_project(&self, project: impl AsRef<str>) -> Self {
        Self { client: self.client.with_project(project), name: Arc::clone(&self.name) }
    }

    /// The same pool, seen from a cluster member.
    #[must_use]
    pub fn with_target(&self, member: impl AsRef<str>) -> Self {
        Self { client: self.client.with_target(member), name: Arc::clone(&self.name) }
    }

    /// Reads the pool (`GET /1.0/storage-pools/<pool>`).
    ///
    /// # Errors
    /// [`NotFound`](crate::ErrorKind::NotFound).
    pub async fn get(&self) -> Result<Pool, Error> {
        Ok(Pool { local: self.read().await?, handle: self.clone() })
    }

    /// Whether the pool exists. Only [`NotFound`](crate::ErrorKind::NotFound) counts as no.
    ///
    /// # Errors
    /// All others.
    pub async fn exists(&self) -> Result<bool, Error> {
        self.is_there().await
    }

    /// Replaces description and config, and nothing else: no ETag, no reading back
    /// (`PUT /1.0/storage-pools/<pool>`).
    ///
    /// A `PUT` without the key `source` is refused by most servers; [`edit`](Self::edit) keeps what was there.
    pub fn raw_put(&self, put: &StoragePoolPut) -> Change<()> {
        self.replace(put)
    }

    /// Changes some keys, and nothing else: no ETag, no reading back (`PATCH /1.0/storage-pools/<pool>`).
    ///
    /// A patch without a description clears it, on every server. [`Pool::patch`] fills in the present one.
    pub fn raw_patch(&self, patch: &Patch) -> Change<()> {
        self.change_some(patch)
    }

    /// Deletes the pool (`DELETE /1.0/storage-pools/<pool>`).
    ///
    /// # Errors
    /// [`InUse`](crate::ErrorKind::InUse) while it has volumes or a profile names it;
    /// [`NotFound`](crate::ErrorKind::NotFound).
    pub fn delete(&self) -> Change<()> {
        self.remove()
    }

    /// Reads the pool, lets `change` edit description and config, and writes them back if they changed; begins
    /// again if somebody else changed the pool meanwhile. Gives the pool as it is afterwards.
    ///
    /// Edits through one client and its clones take turns, in whichever project, also with [`Pool::save`],
    /// [`Pool::put`] and [`Pool::patch`]. Against other programs the ETag guards, and what was changed is looked at
    /// afterwards; servers check the ETag a moment before they write, so that two programs that write within the same
    /// few milliseconds can still overwrite each other. What a server makes of a value in a way of its own, as it may
    /// of a number, is taken as it is.
    ///
    /// ```
    /// # async fn example(client: lxd_storage::Client) -> Result<(), lxd_storage::Error> {
    /// let pool = client.storage_pool("fast").edit(|pool| { pool.config.set("rsync.bwlimit", "10MB"); }).await?;
    /// # Ok(()) }
    /// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doc/server.rs"));
    /// # fn main() { on_emulator!(example(client)) }
    /// ```
    ///
    /// # Errors
    /// [`PreconditionFailed`](crate::ErrorKind::PreconditionFailed) after losing a great many races; those of
    /// reading and writing.
    pub async fn edit(&self, change: impl FnMut(&mut StoragePoolPut) + Send) -> Result<Pool, Error> {
        Ok(Pool { local: self.edit_until_won(change).await?, handle: self.clone() })
    }

    /// The pool as each of its cluster members has it, by member: with the keys that are a member's own, and whether it
    /// is there. On a server that stands alone there is one, under `none`.
    ///
    /// # Errors
    /// [`NotFound`](crate::ErrorKind::NotFound); a member that does not answer.
    pub async fn per_member(&self) -> Result<BTreeMap<String, Pool>, Error> {
        let pool = Self { client: self.client.without_target(), name: Arc::clone(&self.name) }.get().await?;
        let mut found = BTreeMap::new();
        for member in pool.locations() {
            let seen =
                if member == "none" { pool.clone() } else { pool.with_target(&**member).get().await? };
            found.insert(member.clone(), seen);
        }
        Ok(found)
    }

    /// How full the pool is.
    #[must_use]
    pub fn resources(&self) -> PoolResources {
        PoolResources { pool: self.clone() }
    }

    /// The volumes of the pool.
    #[must_use]
    pub fn volumes(&self) -> Volumes {
        Volumes::new(self.clone())
    }

    /// One volume of the pool. No I/O: whether it exists shows when it is used.
    #[must_use]
    pub fn volume(&self, volume_type: impl Into<VolumeType>, name: impl AsRef<str>) -> VolumeHandle {
        VolumeHandle::new(self.clone(), volume_type.into(), name.as_ref().into())
    }
}

/// The name of the pool.
impl fmt::Display for PoolHandle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.name)
    }
}

impl Address for PoolHandle {
    type Object = StoragePool;
    type Put = StoragePoolPut;

    fn server(&self) -> &Client {
        &self.client
    }

    fn path(&self) -> Result<Route, Error> {
        Route::new("/1.0/storage-pools").name("storage pool", &self.name)
    }

    fn in_words(&self) -> String {
        format!("storage pool {:?}", self.name)
    }

    fn description(object: &StoragePool) -> &str {
        &object.description
    }

    fn config(object: &StoragePool) -> &Config {
        &object.config
    }

    fn to_put(object: &StoragePool) -> StoragePoolPut {
        object.to_put()
    }

    fn put_config(put: &StoragePoolPut) -> &Config {
        &put.config
    }

    /// LXD up to 5.0.2 checks an ETag that it doesn't send.
    fn own_etag(object: &StoragePool) -> Option<ETag> {
        ETag::of_pool(object)
    }
}

/// How full a pool is (`/1.0/storage-pools/<pool>/resources`). Read only.
///
/// ```
/// # async fn example(pool: lxd_storage::PoolHandle) -> Result<(), lxd_storage::Error> {
/// let space = pool.resources().get().await?.space;
/// println!("{} of {} bytes", space.used, space.total);
/// # Ok(()) }
/// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doc/server.rs"));
/// # fn main() { on_emulator!(example(pool)) }
/// ```
#[derive(Clone, Debug)]
pub struct PoolResources {
    pool: PoolHandle,
}

impl PoolResources {
    /// Space in bytes and inodes, in use and in all. Needs the API extension `resources`.
    ///
    /// # Errors
    /// [`NotFound`](crate::ErrorKind::NotFound); [`UnsupportedExtension`](crate::ErrorKind::UnsupportedExtension).
    pub async fn get(&self) -> Result<ResourcesStoragePool, Error> {
        let client = self.pool.client();
        let route = self.pool.path().map(|route| client.scoped(route.literal("resources")));
        client.get(route, &["resources"]).await?.decode()
    }
}

/// A storage pool, as it was read.
///
/// It dereferences to its [`PoolHandle`] for everything that needs no state: `pool.volumes()`, `pool.resources()`.
/// Edit it in place and [`save`](Self::save) it:
///
/// ```
/// # async fn example(client: lxd_storage::Client) -> Result<(), lxd_storage::Error> {
/// let mut pool = client.storage_pools().get("fast").await?;
/// pool.config_mut().set("rsync.bwlimit", "10MB");
/// pool.set_description("slow lane");
/// pool.save().await?;
/// # Ok(()) }
/// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doc/server.rs"));
/// # fn main() { on_emulator!(example(client)) }
/// ```
///
/// What changes it here waits for the end and notes what it changed. The [`handle`](Self::handle) has the same calls as
/// [`Change`]s, with deadline, progress and `start`: `pool.handle().delete()`.
#[derive(Clone, Debug)]
pub struct Pool {
    handle: PoolHandle,
    local: Local<PoolHandle>,
}

impl Pool {
    pub(crate) fn from_list(handle: PoolHandle, object: StoragePool) -> Self {
        Self { handle, local: Local::listed(object) }
    }

    /// The whole object as it was read or edited, with the fields that this crate doesn't know.
    #[must_use]
    pub fn object(&self) -> &StoragePool {
        self.local.object()
    }

    /// Which pool this is, without its state.
    #[must_use]
    pub fn handle(&self) -> &PoolHandle {
        &self.handle
    }

    /// `dir`, `btrfs`, `zfs`, ...
    #[must_use]
    pub fn driver(&self) -> &str {
        &self.object().driver
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

    /// How the pool stands.
    #[must_use]
    pub fn status(&self) -> &PoolStatus {
        &self.object().status
    }

    /// The cluster members that have the pool; `none` outside a cluster.
    #[must_use]
    pub fn locations(&self) -> &[String] {
        &self.object().locations
    }

    /// Whether the daemon looks after the pool, on old servers that say so.
    #[must_use]
    pub fn managed(&self) -> Option<bool> {
        self.object().managed
    }

    /// The version that was read; `None` for pools out of a list. LXD up to 5.0.2 checks an ETag that it doesn't
    /// send, so there it is computed.
    #[must_use]
    pub fn etag(&self) -> Option<ETag> {
        self.local.etag()
    }

    /// Who uses the pool, typed.
    ///
    /// # Errors
    /// None, unless a name has a percent sign in it. Then the server has to be asked once what it is, since LXD
    /// 5.0.0 to 5.0.2 encode names twice and others once.
    pub async fn used_by(&self) -> Result<Vec<Reference>, Error> {
        references(self.handle.client(), &self.object().used_by).await
    }

    /// Sets the description, until [`save`](Self::save).
    pub fn set_description(&mut self, description: impl Into<String>) {
        self.local.object_mut().description = description.into();
    }

    /// The keys, to be edited until [`save`](Self::save).
    pub fn config_mut(&mut self) -> &mut Config {
        &mut self.local.object_mut().config
    }

    /// Reads the pool anew. Edits that weren't saved are gone.
    ///
    /// # Errors
    /// [`NotFound`](crate::ErrorKind::NotFound), also after [`delete`](Self::delete).
    pub async fn sync(&mut self) -> Result<(), Error> {
        self.local.sync(&self.handle).await
    }

    /// Writes the edits back and reads the pool anew (`PUT`, with the ETag).
    ///
    /// # Errors
    /// [`PreconditionFailed`](crate::ErrorKind::PreconditionFailed) if somebody changed the pool since it was read;
    /// the edits stay here, [`sync`](Self::sync) drops them.
    pub async fn save(&mut self) -> Result<(), Error> {
        self.local.save(&self.handle).await
    }

    /// Replaces description and config, and reads the pool anew (`PUT`, with the ETag).
    ///
    /// # Errors
    /// As [`save`](Self::save).
    pub async fn put(&mut self, put: &StoragePoolPut) -> Result<(), Error> {
        self.local.put(&self.handle, put).await
    }

    /// Changes some keys and reads the pool anew (`PATCH`). The description stays unless the patch has one. Begins again
    /// if somebody else changed the pool meanwhile, as [`PoolHandle::edit`] does.
    ///
    /// # Errors
    /// As [`PoolHandle::edit`].
    pub async fn patch(&mut self, patch: &Patch) -> Result<(), Error> {
        self.local.patch(&self.handle, patch).await
    }

    /// Deletes the pool. This object says so to whoever uses it afterwards.
    ///
    /// # Errors
    /// [`InUse`](crate::ErrorKind::InUse) while it has volumes or a profile names it.
    pub async fn delete(&mut self) -> Result<(), Error> {
        self.local.delete(&self.handle).await
    }
}

impl Deref for Pool {
    type Target = PoolHandle;

    fn deref(&self) -> &PoolHandle {
        &self.handle
    }
}
