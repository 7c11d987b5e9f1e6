//! One storage pool: [`PoolHandle`] says which, [`Pool`] also holds what was read of it.

use std::{ops::Deref, sync::Arc};

use http::Method;
use lxd_types::{
    Config, Patch, PoolStatus, Reference, ResourcesStoragePool, ServerFamily, StoragePool, StoragePoolPut,
    VolumeType,
};

use crate::{
    Change, Client, ETag, Error, ErrorKind, VolumeHandle, Volumes, check,
    edit::{Races, confirm},
    object::Local,
    pending::ChangeRequest,
    route::Route,
};

/// A storage pool by its name, whether it exists or not. Making one does no I/O; it is cheap to clone and keep.
///
/// What needs no knowledge of the pool's present state is done from here. [`get`](Self::get) gives a [`Pool`], which
/// has the state too.
#[derive(Clone, Debug)]
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
    pub fn with_project(&self, project: impl Into<Arc<str>>) -> Self {
        Self { client: self.client.with_project(project), name: Arc::clone(&self.name) }
    }

    /// The same pool, seen from a cluster member.
    #[must_use]
    pub fn with_target(&self, member: impl Into<Arc<str>>) -> Self {
        Self { client: self.client.with_target(member), name: Arc::clone(&self.name) }
    }

    /// Reads the pool (`GET /1.0/storage-pools/<pool>`).
    ///
    /// # Errors
    /// [`NotFound`](crate::ErrorKind::NotFound).
    pub async fn get(&self) -> Result<Pool, Error> {
        let answer = self.client.get(self.scoped(), &[]).await?;
        let object: StoragePool = answer.decode()?;
        Ok(Pool { handle: self.clone(), local: Local::read(object, answer.etag) })
    }

    /// Whether the pool exists. Only [`NotFound`](crate::ErrorKind::NotFound) counts as no.
    ///
    /// # Errors
    /// All others.
    pub async fn exists(&self) -> Result<bool, Error> {
        found(self.client.get(self.scoped(), &[]).await)
    }

    /// Replaces description and config, and nothing else: no ETag, no reading back
    /// (`PUT /1.0/storage-pools/<pool>`).
    ///
    /// A `PUT` without the key `source` is refused by most servers; [`edit`](Self::edit) keeps what was there.
    pub fn raw_put(&self, put: &StoragePoolPut) -> Change<()> {
        let request = check::sizes(&put.config).and_then(|()| self.request(Method::PUT)?.json(put));
        Change::new(&self.client, request, |_| async { Ok(()) })
    }

    /// Changes some keys, and nothing else: no ETag, no reading back (`PATCH /1.0/storage-pools/<pool>`).
    ///
    /// A patch without a description clears it, on every server. [`Pool::patch`] fills in the present one.
    pub fn raw_patch(&self, patch: &Patch) -> Change<()> {
        let request = check::sizes(&patch.config).and_then(|()| self.request(Method::PATCH)?.json(patch));
        Change::new(&self.client, request, |_| async { Ok(()) })
    }

    /// Patches what is there now, whose description stays unless the patch has one.
    async fn patch_once(&self, mut patch: Patch) -> Result<(), Error> {
        let now = self.get().await?;
        patch.description.get_or_insert_with(|| now.description().to_owned());
        let change = self.raw_patch(&patch);
        match now.etag() {
            Some(etag) => change.if_match(&etag).await,
            None => change.await,
        }
    }

    /// Deletes the pool (`DELETE /1.0/storage-pools/<pool>`).
    ///
    /// # Errors
    /// [`InUse`](crate::ErrorKind::InUse) while it has volumes or a profile names it;
    /// [`NotFound`](crate::ErrorKind::NotFound).
    pub fn delete(&self) -> Change<()> {
        Change::new(&self.client, self.request(Method::DELETE), |_| async { Ok(()) })
    }

    /// Reads the pool, lets `change` edit description and config, and writes them back if they changed; begins
    /// again if somebody else changed the pool meanwhile. Gives the pool as it is afterwards.
    ///
    /// Edits through one client and its clones take turns. Against other programs the ETag guards, and what was set
    /// is looked for afterwards; servers check the ETag a moment before they write, so that two programs that write
    /// within the same few milliseconds can still overwrite each other.
    ///
    /// ```no_run
    /// # async fn example(client: lxd_storage::Client) -> Result<(), lxd_storage::Error> {
    /// let pool = client.storage_pool("fast").edit(|pool| { pool.config.set("rsync.bwlimit", "10MB"); }).await?;
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    /// [`PreconditionFailed`](crate::ErrorKind::PreconditionFailed) after losing a great many races; those of
    /// reading and writing.
    pub async fn edit(&self, mut change: impl FnMut(&mut StoragePoolPut) + Send) -> Result<Pool, Error> {
        let queue = self.client().turns().of(&self.scoped()?.uri()?.to_string());
        let _turn = queue.lock().await;
        let mut races = Races::default();
        loop {
            match self.edit_once(&mut change).await {
                Err(error) => races.again_after(error).await?,
                done => return done,
            }
        }
    }

    async fn edit_once(&self, change: &mut (impl FnMut(&mut StoragePoolPut) + Send)) -> Result<Pool, Error> {
        let mut pool = self.get().await?;
        let before = pool.object().to_put();
        let mut put = before.clone();
        change(&mut put);
        if put != before {
            let config = put.config.clone();
            pool.put(put).await?;
            confirm(&before.config, &config, pool.config())?;
        }
        Ok(pool)
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
    pub fn volume(&self, volume_type: VolumeType, name: impl Into<Arc<str>>) -> VolumeHandle {
        VolumeHandle::new(self.clone(), volume_type, name.into())
    }

    pub(crate) fn route(&self) -> Result<Route, Error> {
        Route::new("/1.0/storage-pools").name("storage pool", &self.name)
    }

    fn scoped(&self) -> Result<Route, Error> {
        self.route().map(|route| self.client.scoped(route))
    }

    fn request(&self, method: Method) -> Result<ChangeRequest, Error> {
        Ok(ChangeRequest::new(method, self.scoped()?))
    }
}

/// Whether the answer to "is it there" is yes, no or neither.
pub(crate) fn found<T>(answer: Result<T, Error>) -> Result<bool, Error> {
    match answer {
        Ok(_) => Ok(true),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(false),
        Err(error) => Err(error),
    }
}

/// How full a pool is (`/1.0/storage-pools/<pool>/resources`). Read only.
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
        let route = self.pool.route().map(|route| client.scoped(route.literal("resources")));
        client.get(route, &["resources"]).await?.decode()
    }
}

/// A storage pool, as it was read.
///
/// It dereferences to its [`PoolHandle`] for everything that needs no state: `pool.volumes()`, `pool.resources()`.
/// Edit it in place and [`save`](Self::save) it:
///
/// ```no_run
/// # async fn example(client: lxd_storage::Client) -> Result<(), lxd_storage::Error> {
/// let mut pool = client.storage_pools().get("fast").await?;
/// pool.config_mut().set("rsync.bwlimit", "10MB");
/// pool.set_description("slow lane");
/// pool.save().await?;
/// # Ok(()) }
/// ```
#[derive(Clone, Debug)]
pub struct Pool {
    handle: PoolHandle,
    local: Local<StoragePool>,
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
        match self.local.etag() {
            Some(etag) => Some(etag.clone()),
            None if self.local.is_listed() => None,
            None => ETag::of_pool(self.local.as_read()),
        }
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
        self.local.edit().description = description.into();
    }

    /// The keys, to be edited until [`save`](Self::save).
    pub fn config_mut(&mut self) -> &mut Config {
        &mut self.local.edit().config
    }

    /// Reads the pool anew. Edits that weren't saved are gone.
    ///
    /// # Errors
    /// [`NotFound`](crate::ErrorKind::NotFound), also after [`delete`](Self::delete).
    pub async fn sync(&mut self) -> Result<(), Error> {
        self.alive()?;
        self.local = self.handle.get().await?.local;
        Ok(())
    }

    /// Writes the edits back and reads the pool anew (`PUT`, with the ETag).
    ///
    /// # Errors
    /// [`PreconditionFailed`](crate::ErrorKind::PreconditionFailed) if somebody changed the pool since it was read;
    /// the edits stay here, [`sync`](Self::sync) drops them.
    pub async fn save(&mut self) -> Result<(), Error> {
        let put = self.object().to_put();
        self.put(put).await
    }

    /// Replaces description and config, and reads the pool anew (`PUT`, with the ETag).
    ///
    /// # Errors
    /// As [`save`](Self::save).
    pub async fn put(&mut self, put: StoragePoolPut) -> Result<(), Error> {
        self.alive()?;
        let etag = self.current_etag().await?;
        self.handle.raw_put(&put).if_match(&etag).await?;
        self.sync().await
    }

    /// Changes some keys and reads the pool anew (`PATCH`). The description stays unless the patch has one.
    ///
    /// # Errors
    /// Those of reading and writing.
    pub async fn patch(&mut self, patch: Patch) -> Result<(), Error> {
        self.alive()?;
        let mut races = Races::default();
        while let Err(error) = self.handle.patch_once(patch.clone()).await {
            races.again_after(error).await?;
        }
        self.sync().await
    }

    /// Deletes the pool. This object says so to whoever uses it afterwards.
    ///
    /// # Errors
    /// [`InUse`](crate::ErrorKind::InUse) while it has volumes or a profile names it.
    pub async fn delete(&mut self) -> Result<(), Error> {
        self.alive()?;
        self.handle.delete().await?;
        self.local.mark_deleted();
        Ok(())
    }

    fn alive(&self) -> Result<(), Error> {
        if self.local.is_deleted() {
            Err(Error::deleted(format_args!("storage pool {:?}", self.name())))
        } else {
            Ok(())
        }
    }

    /// The ETag to send. Lists bring none: then the pool is read again, and must still be what the list said.
    async fn current_etag(&self) -> Result<ETag, Error> {
        if let Some(etag) = self.etag() {
            return Ok(etag);
        }
        let now = self.handle.get().await?;
        self.local
            .still_as_read(now.object(), |a, b| a.config == b.config && a.description == b.description)?;
        now.etag().ok_or_else(|| Error::new(ErrorKind::Decode, "the server sends no ETag for the pool"))
    }
}

impl Deref for Pool {
    type Target = PoolHandle;

    fn deref(&self) -> &PoolHandle {
        &self.handle
    }
}

/// Reads the URLs of `used_by`. Only where the encoding matters is the server asked which one it uses.
pub(crate) async fn references(client: &Client, urls: &[String]) -> Result<Vec<Reference>, Error> {
    let ambiguous = urls.iter().any(|url| url.contains("%25"));
    let twice = ambiguous && encodes_twice(&client.server().await?.environment);
    let parse = if twice { Reference::parse_twice_encoded } else { Reference::parse };
    Ok(urls.iter().map(|url| parse(url)).collect())
}

/// LXD 5.0.0 to 5.0.2 encode the names of volumes twice. No API extension tells, so this is the one place where a
/// version is looked at.
fn encodes_twice(environment: &lxd_types::Environment) -> bool {
    environment.server == ServerFamily::Lxd
        && ["5.0.0", "5.0.1", "5.0.2"].contains(&&*environment.server_version)
}
