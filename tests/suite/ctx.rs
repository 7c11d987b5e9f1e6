//! What a case gets: a client of one server over one transport, and names of its own.

use std::{
    fmt,
    future::Future,
    pin::Pin,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
};

use http::Method;
use lxd_storage::{
    Client, PoolHandle, Volume,
    transport::{
        self, Body, BoxFuture, Endpoint, HttpTransport, Identity, Limits, ServerTrust, Tls, Transport,
        http::{Request, Response},
    },
    types::{StoragePoolsPost, StorageVolumesPost},
};
use lxd_tests::{Lab, Server, Slot};
use serde_json::{Value, json};

/// One test, to be run on every server and transport.
pub(crate) struct Case {
    pub(crate) name: &'static str,
    pub(crate) run: fn(Ctx) -> Pin<Box<dyn Future<Output = ()>>>,
}

/// Lists the cases of a module. A case that is missing from the list is dead code, which the build refuses.
macro_rules! cases {
    ($($name:ident),* $(,)?) => {
        pub(crate) const CASES: &[crate::ctx::Case] =
            &[$(crate::ctx::Case { name: stringify!($name), run: |ctx| Box::pin($name(ctx)) }),*];
    };
}
pub(crate) use cases;

/// How the client reaches the server.
#[derive(Clone, Copy, PartialEq)]
pub(crate) enum Wire {
    InProcess,
    Unix,
    Tls,
}

impl fmt::Display for Wire {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::InProcess => "in-process",
            Self::Unix => "unix",
            Self::Tls => "tls",
        })
    }
}

impl Wire {
    /// In a letter, for the heads of tables.
    pub(crate) fn short(self) -> char {
        match self {
            Self::InProcess => 'p',
            Self::Unix => 'u',
            Self::Tls => 't',
        }
    }
}

pub(crate) struct Ctx {
    pub(crate) lab: Arc<Lab>,
    pub(crate) slot: Slot,
    pub(crate) wire: Wire,
    pub(crate) client: Client,
    pub(crate) sent: Sent,
    prefix: String,
}

static NEXT: AtomicUsize = AtomicUsize::new(0);

impl Ctx {
    pub(crate) fn new(lab: Arc<Lab>, slot: Slot, wire: Wire, case: &str) -> Self {
        let sent = Sent::default();
        let transport =
            Recording { inner: transport_to(lab.server(slot).unwrap(), wire), sent: sent.clone() };
        let client = Client::new(transport);
        // Names of a case differ between cells of the matrix and between runs against the same daemons.
        let short: String = case.chars().filter(char::is_ascii_alphanumeric).take(12).collect();
        let prefix =
            format!("{short}{}x{}", std::process::id() % 10_000, NEXT.fetch_add(1, Ordering::Relaxed));
        Self { lab, slot, wire, client, sent, prefix }
    }

    pub(crate) fn server(&self) -> Server<'_> {
        self.lab.server(self.slot).unwrap()
    }

    /// Another server of the same family.
    pub(crate) fn other_server(&self) -> Server<'_> {
        self.lab.server(self.slot.other()).unwrap()
    }

    /// A client of it over the same kind of transport.
    pub(crate) fn other(&self) -> Client {
        Client::new(transport_to(self.other_server(), self.wire))
    }

    /// A name that nobody else uses.
    pub(crate) fn name(&self, what: &str) -> String {
        format!("{what}{}", self.prefix)
    }

    /// An odd name, as odd as the server takes it: Incus 7 wants no white space, none of `$?&+"'*` and the backtick, and
    /// a letter or digit at both ends; the newest LXD wants no white space and no backslash.
    pub(crate) fn odd(&self, name: &str) -> String {
        if self.slot == Slot::EmulatedLxdNew {
            return name.replace([' ', '\\'], ";");
        }
        if !self.is_picky() {
            return name.to_owned();
        }
        let mut odd = String::new();
        for c in name.chars() {
            match c {
                ' ' => odd.push(';'),
                '$' | '?' | '&' | '+' | '"' | '\'' | '`' | '*' => {
                    odd.push_str(&format!("%{:02X}", u32::from(c)))
                }
                other => odd.push(other),
            }
        }
        let plain = |c: Option<char>| c.is_some_and(|c| c.is_ascii_alphanumeric());
        let (before, after) = (plain(odd.chars().next()), plain(odd.chars().last()));
        format!("{}{odd}{}", if before { "" } else { "x" }, if after { "" } else { "x" })
    }

    /// Whether the server refuses many of the names that others take.
    pub(crate) fn is_picky(&self) -> bool {
        self.slot == Slot::Incus7
    }

    /// Whether the server has an API extension.
    pub(crate) async fn has(&self, extension: &str) -> bool {
        self.client.server().await.unwrap().api_extensions.has(extension)
    }

    pub(crate) fn pool(&self, name: &str) -> PoolHandle {
        self.client.storage_pool(name)
    }

    /// The pools that every server of the lab has: one per driver that works here.
    pub(crate) fn ready_pools(&self) -> Vec<PoolHandle> {
        self.server().pools().iter().map(|name| self.pool(name)).collect()
    }

    /// A new pool of driver `dir`.
    pub(crate) async fn new_pool(&self, what: &str) -> lxd_storage::Pool {
        self.create_pool(StoragePoolsPost::new(self.name(what), "dir")).await.unwrap()
    }

    /// A new pool in which copies take their time: at least a second for what [`fill`](crate::content::fill) makes.
    pub(crate) async fn slow_pool(&self) -> lxd_storage::Pool {
        let post = StoragePoolsPost::new(self.name("slow"), "dir").with_config("rsync.bwlimit", "4MB");
        self.create_pool(post).await.unwrap()
    }

    /// Creates a pool, on all members where the server is a cluster.
    pub(crate) async fn create_pool(
        &self,
        post: StoragePoolsPost,
    ) -> Result<lxd_storage::Pool, lxd_storage::Error> {
        self.client.storage_pools().create_on_members(post).await
    }

    /// A pool with all its keys: in a cluster, as the first member has it.
    pub(crate) async fn seen(&self, pool: &PoolHandle) -> lxd_storage::Pool {
        if self.is_cluster() { pool.with_target("member1").get().await } else { pool.get().await }.unwrap()
    }

    /// Whether the server of the case is a cluster.
    pub(crate) fn is_cluster(&self) -> bool {
        self.slot == Slot::Member1
    }

    /// A new project that has volumes of its own, and shares images and profiles with `default`.
    pub(crate) async fn new_project(&self, what: &str) -> String {
        let name = self.name(what);
        let config = json!({"features.storage.volumes": "true", "features.images": "false",
            "features.profiles": "false"});
        let post = json!({"name": name, "config": config});
        self.client.request(Method::POST, "/1.0/projects").json(&post).change().await.unwrap();
        name
    }

    pub(crate) async fn delete_project(&self, name: &str) {
        self.client.request(Method::DELETE, &format!("/1.0/projects/{name}")).change().await.unwrap();
    }

    /// A new container, of which nothing is ever started. In a cluster it is on the member that clients talk to, where
    /// local volumes are made too; left to themselves clusters put it anywhere.
    pub(crate) async fn new_instance(&self, devices: &Value) -> String {
        let name = self.name("i").to_ascii_lowercase();
        let client = if self.is_cluster() { self.client.with_target("member1") } else { self.client.clone() };
        let post = json!({"name": name, "source": {"type": "none"}, "devices": devices, "profiles": []});
        client.request(Method::POST, "/1.0/instances").json(&post).change().await.unwrap();
        name
    }

    pub(crate) async fn delete_instance(&self, name: &str) {
        self.client.request(Method::DELETE, &format!("/1.0/instances/{name}")).change().await.unwrap();
    }

    /// A new volume in a pool.
    pub(crate) async fn new_volume(&self, pool: &PoolHandle, what: &str) -> Volume {
        pool.volumes().create(StorageVolumesPost::new(self.name(what))).await.unwrap()
    }

    /// Where this process sees the files of a custom volume in project `default`.
    pub(crate) fn content(&self, volume: &Volume) -> std::path::PathBuf {
        self.server().volume_path(volume.pool().name(), "default", volume.name())
    }
}

pub(crate) fn transport_to(server: Server<'_>, wire: Wire) -> Box<dyn Transport> {
    match wire {
        Wire::InProcess => Box::new(server.emulator().unwrap().transport()),
        Wire::Unix => Box::new(HttpTransport::unix(server.socket())),
        Wire::Tls => {
            let (certificate, key) = server.client_identity();
            let tls = Tls::builder(server.https_url())
                .identity(Identity::from_pem(certificate.as_bytes(), key.as_bytes()).unwrap())
                .trust(ServerTrust::certificate(server.certificate_pem().as_bytes()).unwrap())
                .build()
                .unwrap();
            Box::new(HttpTransport::new(tls))
        }
    }
}

/// The requests that went out, as `METHOD /path?query`.
#[derive(Clone, Default)]
pub(crate) struct Sent {
    requests: Arc<Mutex<Vec<String>>>,
    under_way: Arc<AtomicUsize>,
    most: Arc<AtomicUsize>,
}

impl Sent {
    /// Those since the last call.
    pub(crate) fn take(&self) -> Vec<String> {
        std::mem::take(&mut self.requests.lock().unwrap())
    }

    /// The same without the waiting for operations, of which each server begins others.
    pub(crate) fn take_without_waits(&self) -> Vec<String> {
        self.take().into_iter().filter(|sent| !sent.starts_with("GET /1.0/operations/")).collect()
    }

    /// How many waited for their answers at the same time at most, since the last call.
    pub(crate) fn most_at_once(&self) -> usize {
        self.most.swap(0, Ordering::Relaxed)
    }
}

/// A transport that notes each request before it sends it.
struct Recording {
    inner: Box<dyn Transport>,
    sent: Sent,
}

/// A request that is under way.
struct UnderWay(Arc<AtomicUsize>);

impl Drop for UnderWay {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Recording {
    fn note(&self, request: &Request<Body>) -> UnderWay {
        let sent = &self.sent;
        sent.requests.lock().unwrap().push(format!("{} {}", request.method(), request.uri()));
        sent.most.fetch_max(sent.under_way.fetch_add(1, Ordering::Relaxed) + 1, Ordering::Relaxed);
        UnderWay(Arc::clone(&sent.under_way))
    }
}

impl Transport for Recording {
    fn send(&self, request: Request<Body>) -> BoxFuture<'_, Result<Response<Body>, transport::Error>> {
        let under_way = self.note(&request);
        let sending = self.inner.send(request);
        Box::pin(async move {
            let _under_way = under_way;
            sending.await
        })
    }

    fn send_within(
        &self,
        request: Request<Body>,
        limits: Limits,
    ) -> BoxFuture<'_, Result<Response<Body>, transport::Error>> {
        let under_way = self.note(&request);
        let sending = self.inner.send_within(request, limits);
        Box::pin(async move {
            let _under_way = under_way;
            sending.await
        })
    }

    fn endpoint(&self) -> &Endpoint {
        self.inner.endpoint()
    }
}
