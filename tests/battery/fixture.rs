//! An emulator on a runtime of its own, so that what the client leaves is told apart, and a client of it.

use std::{
    fmt,
    sync::{Mutex, MutexGuard, OnceLock, PoisonError},
    time::Duration,
};

use lxd_emulator::{Emulator, Personality, TlsListener, UnixListener};
use lxd_storage::{
    BucketHandle, Client, PoolHandle, VolumeHandle,
    transport::{HttpTransport, Identity, Limits, ServerTrust, Tls},
    types::{
        StorageBucketBackupsPost, StorageBucketsPost, StoragePoolsPost, StorageVolumeBackupsPost,
        StorageVolumeSnapshotsPost, StorageVolumesPost, VolumeType,
    },
};
use tokio::runtime::Runtime;

/// No server that is well takes a tenth of this.
pub(crate) const SHORT: Duration = Duration::from_millis(500);

/// How long callers wait for work to be done.
pub(crate) const DEADLINE: Duration = Duration::from_millis(1500);

/// No call that sends a handful of requests may take longer, whatever happens to them.
pub(crate) const LONG: Duration = Duration::from_secs(20);

#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Wire {
    Unix,
    Tls,
}

impl fmt::Display for Wire {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if *self == Self::Unix { "unix" } else { "tls" })
    }
}

/// A server, and the way to it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Place {
    pub(crate) personality: Personality,
    pub(crate) wire: Wire,
    /// Of the cluster, where it is one.
    pub(crate) members: &'static [&'static str],
}

impl Place {
    pub(crate) const fn new(personality: Personality, wire: Wire) -> Self {
        Self { personality, wire, members: &[] }
    }

    pub(crate) const fn cluster(personality: Personality, wire: Wire) -> Self {
        Self { members: &["a", "b"], ..Self::new(personality, wire) }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let cluster = if self.members.is_empty() { "" } else { "a cluster of " };
        write!(f, "{cluster}{:?} over {}", self.personality, self.wire)
    }
}

/// One test at a time: what is left is counted for the whole process.
pub(crate) fn turn() -> MutexGuard<'static, ()> {
    static TURN: Mutex<()> = Mutex::new(());
    TURN.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Where all emulators are.
pub(crate) fn servers() -> &'static Runtime {
    static SERVERS: OnceLock<Runtime> = OnceLock::new();
    SERVERS.get_or_init(|| {
        tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap()
    })
}

/// A server with a pool `p` that has a volume `v` with a snapshot `s` and a backup `b`, and an empty pool `q`; on Incus
/// also a bucket `photos` with a backup `b`.
pub(crate) struct Fixture {
    pub(crate) emulator: Emulator,
    pub(crate) client: Client,
    transport: HttpTransport,
    _listeners: (Option<UnixListener>, Option<TlsListener>),
    _folder: tempfile::TempDir,
}

impl Fixture {
    /// With a client that waits for no answer longer than a moment.
    pub(crate) async fn new(place: Place) -> Self {
        let limits = Limits::METADATA.with_first_byte(SHORT).with_idle(SHORT);
        servers().spawn(Self::on_its_runtime(place, limits)).await.unwrap()
    }

    /// With a client as most programs have it.
    pub(crate) async fn patient(place: Place) -> Self {
        servers().spawn(Self::on_its_runtime(place, Limits::METADATA)).await.unwrap()
    }

    async fn on_its_runtime(place: Place, limits: Limits) -> Self {
        let Place { personality, wire, members } = place;
        let emulator = Emulator::builder(personality).members(members.iter().copied()).build().unwrap();
        fill(&Client::new(emulator.transport())).await;
        let folder = tempfile::tempdir().unwrap();
        let (transport, listeners) = match wire {
            Wire::Unix => {
                let path = folder.path().join("unix.socket");
                let listener = emulator.listen_unix(&path).unwrap();
                (HttpTransport::unix(path), (Some(listener), None))
            }
            Wire::Tls => {
                let listener = emulator.listen_tls("127.0.0.1:0").await.unwrap();
                let (pem, key) = identity();
                emulator.trust_certificate(pem).unwrap();
                let tls = Tls::builder(listener.url())
                    .identity(Identity::from_pem(pem.as_bytes(), key.as_bytes()).unwrap())
                    .trust(ServerTrust::certificate(emulator.certificate_pem().as_bytes()).unwrap());
                (HttpTransport::new(tls.build().unwrap()), (None, Some(listener)))
            }
        };
        let client =
            Client::builder(transport.clone()).limits(limits).change_limits(limits).answer_max(1 << 20);
        Self { emulator, client: client.build().unwrap(), transport, _listeners: listeners, _folder: folder }
    }

    /// How many tasks the client keeps for later: one for each connection, and one that closes them.
    pub(crate) fn kept(&self) -> usize {
        self.transport.idle_connections() + 1
    }

    /// All that the server has, as it says it itself.
    pub(crate) async fn state(&self) -> String {
        let client = Client::new(self.emulator.transport());
        let read = async move {
            let mut all = String::new();
            for path in [
                "/1.0/storage-pools?recursion=1",
                "/1.0/storage-pools/p/volumes?recursion=1",
                "/1.0/storage-pools/q/volumes?recursion=1",
                "/1.0/storage-pools/p/volumes/custom/v/snapshots?recursion=1",
                "/1.0/storage-pools/p/volumes/custom/v/backups?recursion=1",
                "/1.0/profiles?recursion=1",
                "/1.0/storage-pools/p/buckets?recursion=1",
                "/1.0/storage-pools/p/buckets/photos/keys?recursion=1",
                "/1.0/storage-pools/p/buckets/photos/backups/b?recursion=1",
            ] {
                let (path, recursion) = path.split_once('?').unwrap();
                let (key, value) = recursion.split_once('=').unwrap();
                let request = client.request(http::Method::GET, path).query(key, value);
                // What is gone says so, which is a state too.
                all += &match request.fetch::<serde_json::Value>().await {
                    Ok(found) => found.value.to_string(),
                    Err(error) => error.to_string(),
                };
            }
            all
        };
        servers().spawn(read).await.unwrap()
    }
}

/// Another server, with an empty pool `p`.
pub(crate) struct Elsewhere {
    client: Client,
    _emulator: Emulator,
    _listener: UnixListener,
    _folder: tempfile::TempDir,
}

impl Elsewhere {
    pub(crate) async fn new() -> Self {
        let made = async {
            let emulator = Emulator::new(Personality::LxdNew).unwrap();
            let folder = tempfile::tempdir().unwrap();
            let path = folder.path().join("unix.socket");
            let listener = emulator.listen_unix(&path).unwrap();
            let pools = Client::new(emulator.transport()).storage_pools();
            pools.create(StoragePoolsPost::new("p", "dir")).await.unwrap();
            let client = Client::new(HttpTransport::unix(path));
            Self { client, _emulator: emulator, _listener: listener, _folder: folder }
        };
        servers().spawn(made).await.unwrap()
    }

    pub(crate) fn pool(&self) -> PoolHandle {
        pool(&self.client)
    }
}

/// The client's certificate and key.
pub(crate) fn identity() -> &'static (String, String) {
    static IDENTITY: OnceLock<(String, String)> = OnceLock::new();
    IDENTITY.get_or_init(|| {
        let made = rcgen::generate_simple_self_signed(["client".to_owned()]).unwrap();
        (made.cert.pem(), made.signing_key.serialize_pem())
    })
}

pub(crate) async fn fill(client: &Client) {
    for pool in ["p", "q"] {
        client.storage_pools().create_on_members(StoragePoolsPost::new(pool, "dir")).await.unwrap();
    }
    let volume = client.storage_pool("p").volumes().create(StorageVolumesPost::new("v")).await.unwrap();
    volume.snapshots().create(StorageVolumeSnapshotsPost::new("s")).await.unwrap();
    volume.backups().create(StorageVolumeBackupsPost::new("b")).await.unwrap();
    if client.server().await.unwrap().api_extensions.has("storage_buckets_local") {
        let buckets = client.storage_pool("p").buckets();
        let bucket = buckets.create(StorageBucketsPost::new("photos")).await.unwrap().bucket;
        bucket.backups().create(StorageBucketBackupsPost::new("b")).await.unwrap();
    }
}

pub(crate) fn pool(client: &Client) -> PoolHandle {
    client.storage_pool("p")
}

pub(crate) fn bucket(client: &Client) -> BucketHandle {
    pool(client).bucket("photos")
}

pub(crate) fn volume(client: &Client) -> VolumeHandle {
    pool(client).volume(VolumeType::Custom, "v")
}
