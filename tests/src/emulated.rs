//! Emulators in the lab: servers of this very process, which every machine can have.

use std::{
    io,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use lxd_emulator::{Emulator, Personality, TlsListener, UnixListener};
use lxd_transport::{
    Body, Transport as _,
    http::{Method, Request, StatusCode},
};
use serde_json::json;

use crate::{slot::Slot, starting::new_identity};

/// What a pool may need to be ready.
const READY_LIMIT: Duration = Duration::from_secs(10);

/// An emulator with its listeners, set up like a daemon: HTTPS, a trusted client certificate, pools.
#[derive(Debug)]
pub struct Emulated {
    pub(crate) slot: Slot,
    pub(crate) dir: PathBuf,
    pub(crate) identity: (String, String),
    pub(crate) pools: Vec<String>,
    emulator: Emulator,
    https_url: String,
    /// They stop when they are dropped.
    _listeners: (UnixListener, TlsListener),
}

impl Emulated {
    /// Starts one in a folder of its own.
    pub(crate) async fn start(slot: Slot, personality: Personality, dir: &Path) -> Result<Self, String> {
        let explain = |error: &dyn std::fmt::Display| format!("{slot}: {error}");
        let made = || {
            std::fs::create_dir(dir)?;
            Emulator::builder(personality).temporary_in(dir).build()
        };
        let emulator = made().map_err(|error: io::Error| explain(&error))?;
        let identity = new_identity()?;
        emulator.trust_certificate(&identity.0).map_err(|error| explain(&error))?;
        let unix = emulator.listen_unix(dir.join("unix.socket")).map_err(|error| explain(&error))?;
        let tls = emulator.listen_tls((slot.address(), 0)).await.map_err(|error| explain(&error))?;
        let mut pools = Vec::new();
        for driver in ["dir", "btrfs"] {
            let pool = format!("{driver}0");
            new_pool(&emulator, &pool, driver).await.map_err(|error| explain(&error))?;
            pools.push(pool);
        }
        let (dir, https_url) = (dir.to_owned(), tls.url());
        Ok(Self { slot, dir, identity, pools, emulator, https_url, _listeners: (unix, tls) })
    }

    /// The emulator, for who wants in without a socket.
    #[must_use]
    pub fn emulator(&self) -> &Emulator {
        &self.emulator
    }

    pub(crate) fn https_url(&self) -> &str {
        &self.https_url
    }
}

/// Makes a pool and waits until it can be used.
async fn new_pool(emulator: &Emulator, name: &str, driver: &str) -> Result<(), String> {
    let transport = emulator.transport();
    let send = async |method: Method, path: &str, body: String| {
        let request = Request::builder().method(method).uri(path).body(Body::from(body));
        let request = request.map_err(|error| error.to_string())?;
        let answer = transport.send(request).await.map_err(|error| error.to_string())?;
        Ok::<StatusCode, String>(answer.status())
    };
    let mut post = json!({"name": name, "driver": driver});
    if driver == "btrfs" {
        post["config"] = json!({"size": "512MiB"});
    }
    let status = send(Method::POST, "/1.0/storage-pools", post.to_string()).await?;
    if !status.is_success() {
        return Err(format!("the pool {name} was refused: {status}"));
    }
    let end = Instant::now() + READY_LIMIT;
    while send(Method::GET, &format!("/1.0/storage-pools/{name}"), String::new()).await? != StatusCode::OK {
        if Instant::now() > end {
            return Err(format!("the pool {name} is not there after {READY_LIMIT:?}"));
        }
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    Ok(())
}

/// All emulators of a lab, on one runtime.
pub(crate) struct Emulators {
    list: Vec<Emulated>,
    /// `None` only while it is being dropped.
    runtime: Option<tokio::runtime::Runtime>,
}

impl std::fmt::Debug for Emulators {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Emulators").field(&self.list).finish()
    }
}

impl Emulators {
    /// Starts those of some slots, in a folder for all of them.
    pub(crate) fn start(slots: &[(Slot, Personality)], folder: &Path) -> Result<Self, String> {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
        let runtime = runtime.map_err(|error| error.to_string())?;
        let mut list = Vec::new();
        for &(slot, personality) in slots {
            list.push(runtime.block_on(Emulated::start(slot, personality, &folder.join(slot.name())))?);
        }
        Ok(Self { list, runtime: Some(runtime) })
    }

    pub(crate) fn find(&self, slot: Slot) -> Option<&Emulated> {
        self.list.iter().find(|emulated| emulated.slot == slot)
    }
}

impl Drop for Emulators {
    fn drop(&mut self) {
        self.list.clear();
        // Who still has a connection open must not keep the lab from ending.
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

impl Slot {
    /// What an emulator in this place is; `None` for the places of daemons.
    #[must_use]
    pub fn personality(self) -> Option<Personality> {
        match self {
            Self::EmulatedLxd5 | Self::EmulatedLxd5B => Some(Personality::Lxd5),
            Self::EmulatedLxdNew | Self::EmulatedLxdNewB => Some(Personality::LxdNew),
            Self::EmulatedIncus6 | Self::EmulatedIncus6B => Some(Personality::Incus6),
            _ => None,
        }
    }
}

/// Why nothing can be reached by HTTPS here, if nothing can: a network namespace may come without loopback.
#[must_use]
pub fn why_no_loopback() -> Option<String> {
    let reach = || {
        let listener = std::net::TcpListener::bind(("127.0.0.1", 0))?;
        std::net::TcpStream::connect(listener.local_addr()?).map(drop)
    };
    reach().err().map(|error: io::Error| format!("127.0.0.1 cannot be reached: {error}"))
}
