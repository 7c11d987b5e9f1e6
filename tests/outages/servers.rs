//! Servers that may be killed, clients of them, and what is in their volumes.

use std::{
    fmt, fs,
    io::Write as _,
    path::PathBuf,
    sync::{Arc, Mutex},
    time::Duration,
};

use lxd_storage::{
    Client, Pool, PoolHandle, Volume, VolumeHandle,
    transport::{HttpTransport, Identity, ServerTrust, Tls},
    types::{StoragePoolsPost, StorageVolumesPost},
};
use lxd_tests::{Lab, Slot, twice};

/// Servers, and others of their families that volumes migrate to.
pub(crate) const FAMILIES: [(Slot, Slot); 3] =
    [(Slot::LxdA, Slot::LxdB), (Slot::Incus, Slot::IncusB), (Slot::Incus7, Slot::IncusB)];

/// Runs a test on servers, and once more if it fails.
pub(crate) fn on_servers(test: impl AsyncFn()) {
    let name = std::thread::current().name().unwrap_or_default().to_owned();
    twice(&name, || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(test());
    });
}

/// How clients reach a server.
#[derive(Clone, Copy, PartialEq)]
pub(crate) enum Wire {
    Unix,
    Tls,
}

pub(crate) const WIRES: [Wire; 2] = [Wire::Unix, Wire::Tls];

impl fmt::Display for Wire {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if *self == Self::Unix { "unix" } else { "tls" })
    }
}

/// A lab of one's own, whose daemons may be killed.
#[derive(Clone)]
pub(crate) struct Servers(Arc<Mutex<Lab>>);

impl Servers {
    /// Starts them, or says loudly that there are none on this machine.
    pub(crate) fn start(slots: &[Slot]) -> Option<Self> {
        let lab = Lab::start(slots).unwrap();
        for slot in slots {
            if let Err(reason) = lab.daemon(*slot) {
                let required = slot.is_required() && std::env::var("CI").is_ok();
                assert!(!required, "CI needs real servers: {reason}");
                skipped(&format!("no real server: {slot}: {reason}"));
                return None;
            }
        }
        Some(Self(Arc::new(Mutex::new(lab))))
    }

    pub(crate) fn client(&self, slot: Slot, wire: Wire) -> Client {
        let lab = self.0.lock().unwrap();
        let daemon = lab.daemon(slot).unwrap();
        if wire == Wire::Unix {
            return Client::new(HttpTransport::unix(daemon.socket()));
        }
        let (certificate, key) = daemon.client_identity();
        let tls = Tls::builder(daemon.https_url())
            .identity(Identity::from_pem(certificate.as_bytes(), key.as_bytes()).unwrap())
            .trust(ServerTrust::certificate(daemon.certificate_pem().as_bytes()).unwrap());
        Client::https(tls.build().unwrap())
    }

    /// Does something with a daemon.
    pub(crate) fn with<T>(&self, slot: Slot, work: impl FnOnce(&lxd_tests::Daemon) -> T) -> T {
        work(self.0.lock().unwrap().daemon(slot).unwrap())
    }

    pub(crate) fn kill(&self, slot: Slot) {
        self.with(slot, lxd_tests::Daemon::kill);
    }

    /// From the thread of the test only, with which the daemon ends.
    pub(crate) fn start_again(&self, slot: Slot) {
        self.0.lock().unwrap().daemon_mut(slot).unwrap().start_again().unwrap();
    }

    /// Kills the daemon once, when it is called for the first time after so many bytes.
    pub(crate) fn killer(&self, slot: Slot, after: u64) -> impl FnMut(u64) + Send + use<> {
        let mut servers = Some(self.clone());
        move |bytes| {
            if bytes >= after
                && let Some(servers) = servers.take()
            {
                servers.kill(slot);
            }
        }
    }

    fn file(&self, slot: Slot, volume: &VolumeHandle) -> PathBuf {
        self.with(slot, |daemon| daemon.volume_path(volume.pool().name(), "default", volume.name()))
            .join("noise")
    }

    /// A new volume with noise in it.
    pub(crate) async fn volume_with(&self, slot: Slot, pool: &PoolHandle, noise: &[u8]) -> Volume {
        let volume = pool.volumes().create(StorageVolumesPost::new("data")).await.unwrap();
        fs::write(self.file(slot, &volume), noise).unwrap();
        volume
    }

    /// Whether a volume has this noise in it and no other.
    pub(crate) fn holds(&self, slot: Slot, volume: &VolumeHandle, noise: &[u8]) -> bool {
        fs::read(self.file(slot, volume)).is_ok_and(|read| read == noise)
    }
}

/// Says so also where the output of tests that pass is not shown.
pub(crate) fn skipped(what: &str) {
    let mut stderr = std::io::stderr();
    stderr.write_all(format!("SKIPPED, {what}\n").as_bytes()).unwrap();
}

/// A pool in which copies take their time: a second for each 4 MiB.
pub(crate) async fn slow_pool(client: &Client) -> Pool {
    let post = StoragePoolsPost::new("slow", "dir").with_config("rsync.bwlimit", "4MB");
    client.storage_pools().create_on_members(post).await.unwrap()
}

/// Waits until a volume is there, by which the server shows that it has begun to make it, and a little longer.
pub(crate) async fn until_begun(volume: &VolumeHandle) {
    for _ in 0..500 {
        if volume.exists().await.unwrap() {
            return tokio::time::sleep(Duration::from_millis(200)).await;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("{volume:?} was never begun");
}

/// A folder for files, removed at the end.
pub(crate) struct Folder(PathBuf);

impl Folder {
    pub(crate) fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("lxdrs-files-{}{name}", std::process::id()));
        fs::create_dir(&path).unwrap();
        Self(path)
    }

    pub(crate) fn file(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }

    pub(crate) fn names(&self) -> Vec<String> {
        fs::read_dir(&self.0)
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect()
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// Bytes that don't compress.
pub(crate) fn noise(length: u32) -> Vec<u8> {
    let mut state = 0x2545_f491_u32;
    let next = |_| {
        state ^= state << 13;
        state ^= state >> 17;
        state ^= state << 5;
        state.to_le_bytes()
    };
    (0..length / 4).flat_map(next).collect()
}
