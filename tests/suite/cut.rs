//! A stretch of wire between client and server, or between two servers, that breaks on command.

use std::{
    path::PathBuf,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Duration,
};

use lxd_storage::{
    Client,
    transport::{
        self, Body, BoxFuture, Endpoint, HttpTransport, Identity, Limits, ServerTrust, Tls, Transport,
        http::{Method, Request, Response},
    },
};
use lxd_tests::Server;
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, split},
    net::{TcpListener, TcpStream, UnixListener, UnixStream},
    sync::watch,
    task::JoinHandle,
};

use crate::ctx::{Ctx, Wire};

/// Passes bytes on until it has brought so many in one direction; then it breaks that connection, once.
pub(crate) struct Cut {
    pub(crate) client: Client,
    state: Arc<State>,
    relay: JoinHandle<()>,
    socket: Option<PathBuf>,
    url: Option<String>,
}

/// What connections through the wire share.
struct State {
    from_server: Limit,
    to_server: Limit,
    /// The request whose answer is to be lost.
    unanswered: Mutex<Option<(Method, String)>>,
    /// Counts the requests that wait for an operation.
    waits: watch::Sender<u64>,
    breaks: AtomicU64,
    /// Nobody gets through.
    dead: AtomicBool,
    /// Counts the times that all connections were cut at once.
    all: watch::Sender<u64>,
}

/// How many more bytes one direction lets through before it breaks, so many times.
#[derive(Default)]
struct Limit(Mutex<(u64, Vec<u64>)>);

impl Limit {
    fn set(&self, bytes: u64, times: usize) {
        *self.0.lock().unwrap() = (0, vec![bytes; times]);
    }

    /// Whether so many may pass.
    fn lets_through(&self, count: usize) -> bool {
        let (passed, limits) = &mut *self.0.lock().unwrap();
        *passed += count as u64;
        let reached = limits.last().is_some_and(|limit| *passed > *limit);
        if reached {
            (*passed, _) = (0, limits.pop());
        }
        !reached
    }
}

impl Cut {
    /// A wire to the server of the case, of its kind, that holds until told otherwise.
    pub(crate) async fn new(ctx: &Ctx) -> Self {
        Self::to(ctx.server(), ctx.wire, &ctx.name("")).await
    }

    /// The same to another server, under a name that nobody else uses.
    pub(crate) async fn to(server: Server<'_>, wire: Wire, name: &str) -> Self {
        let state = Arc::new(State {
            from_server: Limit::default(),
            to_server: Limit::default(),
            unanswered: Mutex::new(None),
            waits: watch::Sender::new(0),
            breaks: AtomicU64::new(0),
            dead: AtomicBool::new(false),
            all: watch::Sender::new(0),
        });
        let (limit, shared) = (Arc::clone(&state), Arc::clone(&state));
        match wire {
            Wire::InProcess => unreachable!("there is no wire to cut"),
            Wire::Unix => {
                let socket = std::env::temp_dir().join(format!("lxdrs-cut-{name}"));
                let listener = UnixListener::bind(&socket).unwrap();
                let there = server.socket();
                let relay = tokio::spawn(async move {
                    while let Ok((near, _)) = listener.accept().await {
                        if limit.is_open() {
                            let far = UnixStream::connect(&there).await.unwrap();
                            tokio::spawn(pass(near, far, limit.clone()));
                        }
                    }
                });
                let client = Client::new(Losing { inner: HttpTransport::unix(&socket), state: shared });
                Self { client, state, relay, socket: Some(socket), url: None }
            }
            Wire::Tls => {
                let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
                let url = format!("https://{}", listener.local_addr().unwrap());
                let there = server.https_url().strip_prefix("https://").unwrap().to_owned();
                let relay = tokio::spawn(async move {
                    while let Ok((near, _)) = listener.accept().await {
                        if limit.is_open() {
                            let far = TcpStream::connect(&there).await.unwrap();
                            tokio::spawn(pass(near, far, limit.clone()));
                        }
                    }
                });
                let (certificate, key) = server.client_identity();
                let tls = Tls::builder(&url)
                    .identity(Identity::from_pem(certificate.as_bytes(), key.as_bytes()).unwrap())
                    .trust(ServerTrust::certificate(server.certificate_pem().as_bytes()).unwrap())
                    .build()
                    .unwrap();
                let client = Client::new(Losing { inner: HttpTransport::new(tls), state: shared });
                Self { client, state, relay, socket: None, url: Some(url) }
            }
        }
    }

    /// Where a wire over TLS begins, for whoever is to use it besides the client.
    pub(crate) fn url(&self) -> &str {
        self.url.as_deref().unwrap()
    }

    /// Breaks a connection once so many more bytes have come from the server.
    pub(crate) fn break_after(&self, bytes: u64) {
        self.state.from_server.set(bytes, 1);
    }

    /// The same so many times, always after so many bytes.
    pub(crate) fn break_every(&self, bytes: u64, times: usize) {
        self.state.from_server.set(bytes, times);
    }

    /// Breaks a connection once so many more bytes have gone to the server.
    pub(crate) fn break_after_sent(&self, bytes: u64) {
        self.state.to_server.set(bytes, 1);
    }

    /// Breaks the connection of the next request of this kind when the server begins to answer it: it has done, or at
    /// least begun, what it was asked for, and nobody hears of that.
    pub(crate) fn lose_answer(&self, method: Method, path_end: impl Into<String>) {
        *self.state.unanswered.lock().unwrap() = Some((method, path_end.into()));
    }

    /// How often the client has asked for the end of an operation.
    pub(crate) fn waits(&self) -> u64 {
        *self.state.waits.borrow()
    }

    /// Waits until the client has asked for the end of an operation so often.
    pub(crate) async fn until_waiting(&self, times: u64) {
        self.state.waits.subscribe().wait_for(|asked| *asked >= times).await.unwrap();
        // It asked; now let that arrive.
        tokio::time::sleep(Duration::from_millis(100)).await;
    }

    /// Breaks all connections that there are now.
    pub(crate) fn break_now(&self) {
        self.state.all.send_modify(|times| *times += 1);
    }

    /// Breaks all connections, and those to come, until it is mended.
    pub(crate) fn die(&self) {
        self.state.dead.store(true, Ordering::SeqCst);
        self.break_now();
    }

    pub(crate) fn mend(&self) {
        self.state.dead.store(false, Ordering::SeqCst);
    }

    /// How many connections have been broken.
    pub(crate) fn breaks(&self) -> u64 {
        self.state.breaks.load(Ordering::SeqCst)
    }

    /// Whether one has.
    pub(crate) fn has_broken(&self) -> bool {
        self.breaks() > 0
    }
}

impl Drop for Cut {
    fn drop(&mut self) {
        self.relay.abort();
        if let Some(socket) = &self.socket {
            let _ = std::fs::remove_file(socket);
        }
    }
}

impl State {
    /// Whether a new connection gets through.
    fn is_open(&self) -> bool {
        !self.dead.load(Ordering::SeqCst)
    }
}

/// A direction whose bytes were not let through.
struct Broken;

async fn pass<S>(near: S, far: S, state: Arc<State>)
where
    S: AsyncRead + AsyncWrite + Send + 'static,
{
    let ((near_read, near_write), (far_read, far_write)) = (split(near), split(far));
    let mut all = state.all.subscribe();
    // Whichever ends first takes the others along, and both connections.
    let outcome = tokio::select! {
        there = one_way(near_read, far_write, &state.to_server) => there,
        back = one_way(far_read, near_write, &state.from_server) => back,
        _ = all.changed() => Err(Broken),
    };
    if outcome.is_err() {
        state.breaks.fetch_add(1, Ordering::SeqCst);
    }
}

async fn one_way(
    mut from: impl AsyncRead + Unpin,
    mut to: impl AsyncWrite + Unpin,
    limit: &Limit,
) -> Result<(), Broken> {
    let mut buffer = vec![0; 16 << 10];
    while let Ok(count) = from.read(&mut buffer).await {
        if count == 0 {
            let _ = to.shutdown().await;
            break;
        }
        if !limit.lets_through(count) {
            return Err(Broken);
        }
        if to.write_all(&buffer[..count]).await.is_err() {
            break;
        }
    }
    Ok(())
}

/// A transport that knows which answer is to be lost.
struct Losing {
    inner: HttpTransport,
    state: Arc<State>,
}

impl Losing {
    fn look_at(&self, request: &Request<Body>) {
        let mut unanswered = self.state.unanswered.lock().unwrap();
        let is_it = |(method, end): &(Method, String)| {
            request.method() == method && request.uri().path().ends_with(&**end)
        };
        if unanswered.as_ref().is_some_and(is_it) {
            *unanswered = None;
            self.state.from_server.set(0, 1);
        }
        if request.uri().path().ends_with("/wait") {
            self.state.waits.send_modify(|asked| *asked += 1);
        }
    }
}

impl Transport for Losing {
    fn send(&self, request: Request<Body>) -> BoxFuture<'_, Result<Response<Body>, transport::Error>> {
        self.look_at(&request);
        self.inner.send(request)
    }

    fn send_within(
        &self,
        request: Request<Body>,
        limits: Limits,
    ) -> BoxFuture<'_, Result<Response<Body>, transport::Error>> {
        self.look_at(&request);
        self.inner.send_within(request, limits)
    }

    fn endpoint(&self) -> &Endpoint {
        self.inner.endpoint()
    }
}
