//! Volumes from one server to another.

mod begun;
mod compare;
mod ends;
mod pull;
mod push;
mod relay;
mod run;
mod source;

use std::{
    fmt,
    future::IntoFuture,
    sync::{Arc, Mutex},
    time::Duration,
};

use lxd_types::Progress;

use self::source::Source;
use crate::{
    Error, PoolHandle, SnapshotHandle, Volume, VolumeHandle, pending::BoxFuture, progress::OnProgress,
};

/// A copy or move of a volume to another server, or a copy of one of its snapshots, about to be asked for. Await it.
///
/// The target server pulls: it connects to the source over HTTPS, so the source must listen there
/// (`core.https_address`) and the target must be able to reach it. Nothing passes through this program. Where only the
/// other direction is open, let the source [`push`](Self::push); where neither server reaches the other, let this
/// program [`relay`](Self::relay). Both servers need the API extension `storage_api_remote_volume_handling`.
///
/// The copy is compared with its source afterwards: content type, description, every key that isn't the server's own
/// (`volatile.*`), and the names of the snapshots. Keys that the target server dropped on the way are set again. A
/// move deletes the source only after that, and the backups of it that are kept on its server go with it. On failure
/// the source is untouched and what had arrived at the target is removed: by the target itself, which gets ten seconds for
/// that, or else by us. The error says so where even that failed, and where the servers may go on without us.
///
/// Dropped before its end, a migration takes back what it began, in a task of its own on the runtime that it was awaited
/// on. Both servers are asked to stop. Incus 7 can, where it is the source of a pull, the target of a push, or either end
/// of a relay; the others go on to their end, which that task waits for. Then the volume that was made at the target is
/// removed, be it half of one or complete. Never removed are a copy that was there before, a volume of which it cannot be
/// told that the migration made it (a new one has the key `user.lxd-storage.migration` until it is complete), and a copy
/// whose source is gone. The source is never touched.
///
/// Of a snapshot a volume is made, with the description and the keys that the snapshot has. Its server needs the API
/// extension `storage_api_remote_volume_snapshot_copy` for that, which LXD 5.0 up to 5.0.2 lacks.
///
/// What is in the files is the servers' affair: the API shows no content to compare. Nobody should write to the volume
/// meanwhile; LXD refuses to delete a source that an instance uses.
///
/// ```
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
/// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doc/server.rs"));
/// # fn main() { on_emulator!(example(here, there)) }
/// ```
///
/// # Errors
/// [`AlreadyExists`](crate::ErrorKind::AlreadyExists) if the target has a volume of that name, unless it is to be
/// refreshed; [`InvalidInput`](crate::ErrorKind::InvalidInput) if the server to connect to listens nowhere, or if the
/// source is no `custom` volume, is to be moved without snapshots that it has, or is a snapshot and to be refreshed;
/// [`UnsupportedExtension`](crate::ErrorKind::UnsupportedExtension), of either server, before anything is asked of them;
/// [`OperationFailed`](crate::ErrorKind::OperationFailed); [`Timeout`](crate::ErrorKind::Timeout) with phase `Wait`
/// and [`Interrupted`](crate::ErrorKind::Interrupted), after which a pull or a push may still go on: the error names the
/// operations on both servers and the volume, and nothing is taken back.
#[must_use = "nothing is sent until the migration is awaited"]
pub struct Migration {
    source: Source,
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
        Self::new(Source::Volume(source), pool)
    }

    pub(crate) fn moving(source: VolumeHandle, pool: PoolHandle) -> Self {
        Self { delete_source: true, ..Self::copy(source, pool) }
    }

    pub(crate) fn of_snapshot(source: SnapshotHandle, pool: PoolHandle) -> Self {
        Self { volume_only: true, ..Self::new(Source::Snapshot(source), pool) }
    }

    fn new(source: Source, pool: PoolHandle) -> Self {
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

    /// Another name at the target. Default: the same, which for a snapshot is its volume's.
    pub fn with_name(mut self, name: impl AsRef<str>) -> Self {
        self.name = Some(name.as_ref().into());
        self
    }

    /// Leaves the snapshots behind. In a [`refresh`](Self::refresh) the servers take that for a source without snapshots,
    /// and delete those that the copy has.
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
    /// listen for HTTPS or to reach the other. Memory stays constant. Nothing goes on without this program: a deadline that
    /// passes or a lost connection ends the transfer.
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

    /// Waits at most so long for the transfer. A pull or push goes on after that, and the error names what does; a relay
    /// ends, and what it had made is removed.
    pub fn with_deadline(mut self, deadline: Duration) -> Self {
        self.deadline = Some(deadline);
        self
    }

    /// Calls back about once a second while the transfer goes on, if the target tells how far it has come.
    pub fn with_progress(mut self, on_progress: impl FnMut(&Progress) + Send + 'static) -> Self {
        self.on_progress = Some(Arc::new(Mutex::new(Box::new(on_progress))));
        self
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
