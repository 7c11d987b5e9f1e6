//! Volumes from one server to another.

mod compare;
mod pull;
mod push;
mod relay;

use std::{
    fmt,
    future::IntoFuture,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use http::Method;
use lxd_types::{
    MigrationMode, Progress, SourceType, StorageVolumePost, StorageVolumePostTarget, StorageVolumeSource,
    StorageVolumesPost, VolumeType,
};

use self::compare::{difference, difference_of_snapshots, own_keys};
use crate::{
    Change, Client, Error, ErrorKind, Pending, PoolHandle, Volume, VolumeHandle, object::Address,
    pending::BoxFuture, wait::OnProgress,
};

/// A copy or move of a volume to another server, about to be asked for. Await it.
///
/// The target server pulls: it connects to the source over HTTPS, so the source must listen there
/// (`core.https_address`) and the target must be able to reach it. Nothing passes through this program. Where only the
/// other direction is open, let the source [`push`](Self::push); where neither server reaches the other, let this
/// program [`relay`](Self::relay). Both servers need the API extension `storage_api_remote_volume_handling`.
///
/// The copy is compared with its source afterwards: content type, description, every key that isn't the server's own
/// (`volatile.*`), and the names of the snapshots. Keys that the target server dropped on the way are set again. A
/// move deletes the source only after that, and the backups of it that are kept on its server go with it. On failure
/// the source is untouched and what had arrived at the target is removed; the error says so where even that failed.
///
/// What is in the files is the servers' affair: the API shows no content to compare. Nobody should write to the volume
/// meanwhile; LXD refuses to delete a source that an instance uses.
///
/// ```no_run
/// # async fn example(here: lxd_storage::Client, there: lxd_storage::Client) -> Result<(), lxd_storage::Error> {
/// use lxd_storage::types::VolumeType;
///
/// let data = here.storage_pool("fast").volume(VolumeType::Custom, "data");
/// let copy = data
///     .copy_to_server(&there.storage_pool("archive"))
///     .with_name("data-2026")
///     .with_progress(|progress| println!("{progress}"))
///     .await?;
/// # Ok(()) }
/// ```
///
/// # Errors
/// [`AlreadyExists`](crate::ErrorKind::AlreadyExists) if the target has a volume of that name, unless it is to be
/// refreshed; [`InvalidInput`](crate::ErrorKind::InvalidInput) if the server to connect to listens nowhere, is no `custom` volume, or is to
/// be moved without snapshots that it has;
/// [`OperationFailed`](crate::ErrorKind::OperationFailed); [`Timeout`](crate::ErrorKind::Timeout) with phase `Wait`
/// and [`Interrupted`](crate::ErrorKind::Interrupted), after which the transfer may still go on.
#[must_use = "nothing is sent until the migration is awaited"]
pub struct Migration {
    source: VolumeHandle,
    pool: PoolHandle,
    name: Option<Arc<str>>,
    addresses: Vec<String>,
    mode: Mode,
    volume_only: bool,
    refresh: bool,
    exclude_older: bool,
    delete_source: bool,
    deadline: Option<Duration>,
    /// Shared with the waiting for each address that is tried.
    on_progress: Option<Arc<Mutex<OnProgress>>>,
}

/// Who connects to whom.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Mode {
    Pull,
    Push,
    Relay,
}

impl Migration {
    pub(crate) fn copy(source: VolumeHandle, pool: PoolHandle) -> Self {
        Self {
            source,
            pool,
            name: None,
            addresses: Vec::new(),
            mode: Mode::Pull,
            volume_only: false,
            refresh: false,
            exclude_older: false,
            delete_source: false,
            deadline: None,
            on_progress: None,
        }
    }

    pub(crate) fn moving(source: VolumeHandle, pool: PoolHandle) -> Self {
        Self { delete_source: true, ..Self::copy(source, pool) }
    }

    /// Another name at the target. Default: the same.
    pub fn with_name(mut self, name: impl AsRef<str>) -> Self {
        self.name = Some(name.as_ref().into());
        self
    }

    /// Leaves the snapshots behind.
    pub fn volume_only(mut self) -> Self {
        self.volume_only = true;
        self
    }

    /// Brings a copy that is there already up to date, and makes it if it isn't: content and snapshots become those of
    /// the source, and snapshots that the source no longer has are deleted. Only what differs is sent. Both servers need
    /// the API extension `custom_volume_refresh`.
    pub fn refresh(mut self) -> Self {
        self.refresh = true;
        self
    }

    /// With [`refresh`](Self::refresh): leaves out snapshots that are older than the copy's newest. Needs the API
    /// extension `custom_volume_refresh_exclude_older_snapshots`, which only Incus has.
    pub fn exclude_older(mut self) -> Self {
        self.refresh = true;
        self.exclude_older = true;
        self
    }

    /// The source connects to the target, which must listen for HTTPS. Nothing passes through this program.
    pub fn push(mut self) -> Self {
        self.mode = Mode::Push;
        self
    }

    /// Everything passes through this program, over the connections that the two clients have: neither server needs to
    /// listen for HTTPS or to reach the other. Memory stays constant; dropping the migration ends the transfer.
    pub fn relay(mut self) -> Self {
        self.mode = Mode::Relay;
        self
    }

    /// A URL such as `https://10.0.0.7:8443` under which one server reaches the other: the source's for the target, or
    /// with [`push`](Self::push) the target's for the source. Several are tried in order. Default: the address that
    /// the client of that server uses, or all on which the server says that it listens.
    pub fn with_address(mut self, url: impl Into<String>) -> Self {
        self.addresses.push(url.into());
        self
    }

    /// Waits at most so long for the transfer, which goes on after that.
    pub fn with_deadline(mut self, deadline: Duration) -> Self {
        self.deadline = Some(deadline);
        self
    }

    /// Calls back about once a second while the transfer goes on, if the target tells how far it has come.
    pub fn with_progress(mut self, on_progress: impl FnMut(&Progress) + Send + 'static) -> Self {
        self.on_progress = Some(Arc::new(Mutex::new(Box::new(on_progress))));
        self
    }

    async fn run(mut self) -> Result<Volume, Error> {
        self.source.only_custom("migrate")?;
        let name: Arc<str> = self.name.take().unwrap_or_else(|| self.source.name().into());
        let copy = self.pool.volume(self.source.volume_type().clone(), name);
        let before = copy.exists().await?;
        if before && !self.refresh {
            let message = format!("volume {:?} in pool {:?} of the target", copy.name(), self.pool.name());
            return Err(Error::new(ErrorKind::AlreadyExists, message));
        }
        let original = self.source.get().await?;
        // The member that has a local volume is the one to offer it.
        if self.source.client().target().is_none() && !matches!(original.location(), "" | "none") {
            self.source = self.source.with_target(original.location());
        }
        self.check_that_nothing_gets_lost().await?;

        let began = AtomicBool::new(false);
        let outcome = async {
            let post = self.sink(&original, &copy);
            match self.mode {
                Mode::Pull => self.pull(post, &began).await?,
                Mode::Push => self.push_over(&post, &began).await?,
                Mode::Relay => self.relay_through_us(&post, &began).await?,
            }
            self.compare(&copy).await
        };
        match outcome.await {
            Ok(volume) if self.delete_source => match self.source.delete().await {
                Ok(()) => Ok(volume),
                Err(error) => Err(error.with_note("the copy is complete and stays, and so does the source")),
            },
            Ok(volume) => Ok(volume),
            // Whatever is found at the target after a failure is ours to remove only if it wasn't there before.
            Err(error) if before => Err(error.with_note("the copy that was there may be partly refreshed")),
            Err(error) if began.into_inner() => Err(remove_leftover(error, &copy).await),
            Err(error) => Err(error),
        }
    }

    async fn check_that_nothing_gets_lost(&self) -> Result<(), Error> {
        if *self.source.volume_type() != VolumeType::Custom {
            let message = format!(
                "only custom volumes go to another server by themselves, not {:?}",
                self.source.volume_type()
            );
            return Err(Error::invalid(message));
        }
        if self.delete_source && self.exclude_older {
            let message =
                "a move deletes the source, and older snapshots would not be at the target; copy it instead";
            return Err(Error::invalid(message));
        }
        if self.delete_source && self.volume_only && !self.source.snapshots().list().await?.is_empty() {
            let message =
                "the volume has snapshots; to move it without them would delete them, so copy it instead";
            return Err(Error::invalid(message));
        }
        Ok(())
    }

    /// Where a server can be reached over HTTPS.
    async fn addresses_of(&self, client: &Client, which: &str) -> Result<Vec<String>, Error> {
        if !self.addresses.is_empty() {
            return Ok(self.addresses.clone());
        }
        if let Some(url) = client.endpoint().url() {
            return Ok(vec![url.to_owned()]);
        }
        // It may have begun to listen after this client first asked.
        let addresses: Vec<String> = match &client.server().await?.environment.addresses[..] {
            [] => client.refresh_server().await?.environment.addresses.clone(),
            known => known.to_vec(),
        };
        if addresses.is_empty() {
            return Err(Error::invalid(format!(
                "the {which} server listens on no address (core.https_address), so nobody can connect to it; \
                 a relay needs none"
            )));
        }
        Ok(addresses.into_iter().map(|address| format!("https://{address}")).collect())
    }

    /// What is asked of the target, in all modes.
    fn sink(&self, original: &Volume, copy: &VolumeHandle) -> StorageVolumesPost {
        let mut source = StorageVolumeSource::default();
        source.source_type = SourceType::Migration;
        source.mode = Some(if self.mode == Mode::Pull { MigrationMode::Pull } else { MigrationMode::Push });
        source.name = original.name().to_owned();
        source.pool = original.pool().name().to_owned();
        source.volume_only = self.volume_only;
        source.refresh = self.refresh;
        source.refresh_exclude_older = self.exclude_older.then_some(true);
        let mut post = StorageVolumesPost::new(copy.name())
            .with_content_type(original.content_type().clone())
            .with_description(original.description())
            .with_source(source);
        post.volume_type = copy.volume_type().clone();
        post.config = own_keys(original.config());
        post
    }

    /// Asks the target to receive the volume.
    async fn receive(&self, post: &StorageVolumesPost, began: &AtomicBool) -> Result<Pending<()>, Error> {
        let client = self.pool.client();
        let request = self.pool.volumes().create_request(post);
        let pending = Change::new(client, request, |_| async { Ok(()) }).start().await?;
        began.store(true, Ordering::Relaxed);
        Ok(pending)
    }

    /// Asks the source to hand the volume over, to this target or to whoever comes with the secrets.
    async fn hand_over(&self, target: Option<StorageVolumePostTarget>) -> Result<Pending<()>, Error> {
        let mut post = StorageVolumePost::rename(self.source.name());
        post.migration = true;
        post.volume_only = self.volume_only;
        post.target = target;
        let mut request = self.source.request(Method::POST)?.json(&post)?;
        for extension in self.extensions() {
            request = request.needs(extension);
        }
        Change::new(self.source.client(), Ok(request), |_| async { Ok(()) }).start().await
    }

    fn extensions(&self) -> impl Iterator<Item = &'static str> {
        [
            Some("storage_api_remote_volume_handling"),
            self.refresh.then_some("custom_volume_refresh"),
            self.exclude_older.then_some("custom_volume_refresh_exclude_older_snapshots"),
        ]
        .into_iter()
        .flatten()
    }

    /// Waits as the caller wishes.
    fn watched(&self, mut pending: Pending<()>) -> Pending<()> {
        if let Some(deadline) = self.deadline {
            pending = pending.with_deadline(deadline);
        }
        if let Some(on_progress) = self.on_progress.clone() {
            pending = pending.with_progress(move |progress| {
                (on_progress.lock().unwrap_or_else(PoisonError::into_inner))(progress);
            });
        }
        pending
    }

    /// Compares the copy with the source as it is now, after setting again what the target dropped on the way.
    async fn compare(&self, copy: &VolumeHandle) -> Result<Volume, Error> {
        let (source, mut volume) = (self.source.get().await?, copy.get().await?);
        if difference(source.object(), volume.object()).is_some() {
            volume = copy
                .edit(|put| {
                    put.description = source.description().to_owned();
                    put.config.extend(own_keys(source.config()));
                })
                .await?;
        }
        let mut found = difference(source.object(), volume.object());
        if found.is_none() && !self.volume_only && !self.exclude_older {
            found = self.compare_snapshots(copy).await?;
        }
        match found {
            None => Ok(volume),
            Some(found) => Err(Error::new(
                ErrorKind::OperationFailed,
                format!("the copy differs from its source: {found}"),
            )),
        }
    }

    async fn compare_snapshots(&self, copy: &VolumeHandle) -> Result<Option<String>, Error> {
        let (here, there) = (self.source.snapshots().list().await?, copy.snapshots().list().await?);
        for (source, arrived) in here.iter().zip(&there) {
            let same_expiry = source.expires_at == arrived.expires_at;
            if source.short_name() != arrived.short_name()
                || (source.description == arrived.description && same_expiry)
            {
                continue;
            }
            let handle = copy.snapshot(source.short_name());
            handle
                .edit(|put| {
                    put.description.clone_from(&source.description);
                    put.expires_at = source.to_put().expires_at;
                })
                .await?;
        }
        Ok(difference_of_snapshots(&here, &copy.snapshots().list().await?))
    }
}

impl IntoFuture for Migration {
    type Output = Result<Volume, Error>;
    type IntoFuture = BoxFuture<Result<Volume, Error>>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(self.run())
    }
}

impl fmt::Debug for Migration {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Migration")
            .field("source", &self.source)
            .field("pool", &self.pool)
            .field("name", &self.name)
            .field("mode", &self.mode)
            .field("delete_source", &self.delete_source)
            .finish_non_exhaustive()
    }
}

/// Removes what a failed migration left at the target. Where the transfer may still go on nothing is touched, nor where
/// somebody else took the name in the meantime.
async fn remove_leftover(error: Error, copy: &VolumeHandle) -> Error {
    if matches!(error.kind(), ErrorKind::Timeout(_) | ErrorKind::Interrupted) {
        return error
            .with_note(format!("the transfer may go on, look for volume {:?} at the target", copy.name()));
    }
    if error.is_already_exists() || error.server_message().is_some_and(|text| text.contains("already exists"))
    {
        return error;
    }
    match copy.delete().await {
        Ok(()) => error,
        Err(cleanup) if cleanup.is_not_found() => error,
        Err(cleanup) => error.with_note(format!("volume {:?} is left at the target: {cleanup}", copy.name())),
    }
}
