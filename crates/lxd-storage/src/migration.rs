//! Volumes from one server to another.

mod compare;

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
    MigrationMode, Operation, Progress, SourceType, StorageVolumeSource, StorageVolumesPost, VolumeType,
};

use self::compare::{difference, difference_of_snapshots, own_keys};
use crate::{
    Change, Error, ErrorKind, PoolHandle, Volume, VolumeHandle,
    object::Address,
    pending::{BoxFuture, ChangeRequest},
    wait::OnProgress,
};

/// A copy or move of a volume to another server, about to be asked for. Await it.
///
/// The target server pulls: it connects to the source over HTTPS, so the source must listen there
/// (`core.https_address`) and the target must be able to reach it. Nothing passes through this program. Both servers
/// need the API extension `storage_api_remote_volume_handling`.
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
/// [`AlreadyExists`](crate::ErrorKind::AlreadyExists) if the target has a volume of that name;
/// [`InvalidInput`](crate::ErrorKind::InvalidInput) if the source listens nowhere, is no `custom` volume, or is to
/// be moved without snapshots that it has;
/// [`OperationFailed`](crate::ErrorKind::OperationFailed); [`Timeout`](crate::ErrorKind::Timeout) with phase `Wait`
/// and [`Interrupted`](crate::ErrorKind::Interrupted), after which the transfer may still go on.
#[must_use = "nothing is sent until the migration is awaited"]
pub struct Migration {
    source: VolumeHandle,
    pool: PoolHandle,
    name: Option<Arc<str>>,
    addresses: Vec<String>,
    volume_only: bool,
    delete_source: bool,
    deadline: Option<Duration>,
    /// Shared with the waiting for each address that is tried.
    on_progress: Option<Arc<Mutex<OnProgress>>>,
}

impl Migration {
    pub(crate) fn copy(source: VolumeHandle, pool: PoolHandle) -> Self {
        Self {
            source,
            pool,
            name: None,
            addresses: Vec::new(),
            volume_only: false,
            delete_source: false,
            deadline: None,
            on_progress: None,
        }
    }

    pub(crate) fn moving(source: VolumeHandle, pool: PoolHandle) -> Self {
        Self { delete_source: true, ..Self::copy(source, pool) }
    }

    /// Another name at the target. Default: the same.
    pub fn with_name(mut self, name: impl Into<Arc<str>>) -> Self {
        self.name = Some(name.into());
        self
    }

    /// Leaves the snapshots behind.
    pub fn volume_only(mut self) -> Self {
        self.volume_only = true;
        self
    }

    /// A URL such as `https://10.0.0.7:8443` under which the target reaches the source; several are tried in order.
    /// Default: the address that this client uses, or all on which the source says that it listens.
    pub fn with_source_address(mut self, url: impl Into<String>) -> Self {
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
        let name: Arc<str> = self.name.take().unwrap_or_else(|| self.source.name().into());
        let copy = self.pool.volume(self.source.volume_type().clone(), name);
        // Whatever is found at the target after a failure is ours to remove only if it wasn't there before.
        if copy.exists().await? {
            let message = format!("volume {:?} in pool {:?} of the target", copy.name(), self.pool.name());
            return Err(Error::new(ErrorKind::AlreadyExists, message));
        }
        let original = self.source.get().await?;
        // The member that has a local volume is the one to offer it.
        if self.source.client().target().is_none() && !matches!(original.location(), "" | "none") {
            self.source = self.source.with_target(original.location());
        }
        self.check_that_nothing_gets_lost().await?;
        let addresses = self.source_addresses().await?;
        let certificate = self.source.client().server().await?.environment.certificate.clone();

        let offer = self.offer().await?;
        let post = self.sink(&original, &copy, &offer, certificate)?;
        let began = AtomicBool::new(false);
        let outcome = async {
            self.pull(post, &offer, &addresses, &began).await?;
            self.compare(&copy).await
        };
        match outcome.await {
            Ok(volume) if self.delete_source => match self.source.delete().await {
                Ok(()) => Ok(volume),
                Err(error) => Err(error.with_note("the copy is complete and stays, and so does the source")),
            },
            Ok(volume) => Ok(volume),
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
        if self.delete_source && self.volume_only && !self.source.snapshots().list().await?.is_empty() {
            let message =
                "the volume has snapshots; to move it without them would delete them, so copy it instead";
            return Err(Error::invalid(message));
        }
        Ok(())
    }

    async fn source_addresses(&self) -> Result<Vec<String>, Error> {
        if !self.addresses.is_empty() {
            return Ok(self.addresses.clone());
        }
        let client = self.source.client();
        if let Some(url) = client.endpoint().url() {
            return Ok(vec![url.to_owned()]);
        }
        // It may have begun to listen after this client first asked.
        let addresses: Vec<String> = match &client.server().await?.environment.addresses[..] {
            [] => client.refresh_server().await?.environment.addresses.clone(),
            known => known.to_vec(),
        };
        if addresses.is_empty() {
            return Err(Error::invalid(
                "the source server listens on no address (core.https_address), so nobody can fetch from it",
            ));
        }
        Ok(addresses.into_iter().map(|address| format!("https://{address}")).collect())
    }

    /// Asks the source to wait for somebody who fetches the volume.
    async fn offer(&self) -> Result<Operation, Error> {
        let request = self.source.offer_for_migration(self.volume_only);
        let offer = Change::new(self.source.client(), request, |_| async { Ok(()) }).start().await?;
        match offer.operation() {
            Some(operation) if !operation.secrets().is_empty() => Ok(operation.clone()),
            _ => {
                Err(Error::new(ErrorKind::Decode, "the source offers no websockets to fetch the volume from"))
            }
        }
    }

    fn sink(
        &self,
        original: &Volume,
        copy: &VolumeHandle,
        offer: &Operation,
        certificate: String,
    ) -> Result<StorageVolumesPost, Error> {
        let mut source = StorageVolumeSource::default();
        source.source_type = SourceType::Migration;
        source.mode = Some(MigrationMode::Pull);
        source.name = original.name().to_owned();
        source.pool = original.pool().name().to_owned();
        source.volume_only = self.volume_only;
        source.secrets = Some(offer.secrets());
        source.certificate = Some(certificate);
        let mut post = StorageVolumesPost::new(copy.name())
            .with_content_type(original.content_type().clone())
            .with_description(original.description())
            .with_source(source);
        post.volume_type = copy.volume_type().clone();
        post.config = own_keys(original.config());
        Ok(post)
    }

    /// Lets the target fetch the volume, from the first address under which it reaches the source.
    async fn pull(
        &self,
        post: StorageVolumesPost,
        offer: &Operation,
        addresses: &[String],
        began: &AtomicBool,
    ) -> Result<(), Error> {
        let mut failure = Error::invalid("there is no address to fetch the volume from");
        for address in addresses {
            let mut post = post.clone();
            if let Some(source) = &mut post.source {
                source.operation =
                    Some(format!("{}/1.0/operations/{}", address.trim_end_matches('/'), offer.id));
            }
            match self.pull_once(&post, began).await {
                Ok(()) => return Ok(()),
                // Only a failure of the work itself says something about this address; the next one may do better.
                Err(error) if matches!(error.kind(), ErrorKind::OperationFailed | ErrorKind::Server) => {
                    failure = error
                }
                Err(error) => return Err(error),
            }
        }
        Err(failure)
    }

    async fn pull_once(&self, post: &StorageVolumesPost, began: &AtomicBool) -> Result<(), Error> {
        let client = self.pool.client();
        let route = self.pool.path()?.literal("volumes").literal("custom");
        let request = ChangeRequest::new(Method::POST, client.scoped(route)).json(post)?;
        let request = request.needs("storage_api_remote_volume_handling");
        let mut pending = Change::new(client, Ok(request), |_| async { Ok(()) }).start().await?;
        began.store(true, Ordering::Relaxed);
        if let Some(deadline) = self.deadline {
            pending = pending.with_deadline(deadline);
        }
        if let Some(on_progress) = self.on_progress.clone() {
            pending = pending.with_progress(move |progress| {
                (on_progress.lock().unwrap_or_else(PoisonError::into_inner))(progress);
            });
        }
        pending.await
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
        if found.is_none() && !self.volume_only {
            found = difference_of_snapshots(
                &self.source.snapshots().list().await?,
                &copy.snapshots().list().await?,
            );
        }
        match found {
            None => Ok(volume),
            Some(found) => Err(Error::new(
                ErrorKind::OperationFailed,
                format!("the copy differs from its source: {found}"),
            )),
        }
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
