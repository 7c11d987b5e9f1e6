//! The client: one server, and which project and cluster member of it is meant.

use std::{
    fmt,
    sync::{Arc, PoisonError, RwLock},
    time::Duration,
};

use http::{HeaderValue, Method};
use lxd_transport::{Endpoint, Limits, Transport};
use lxd_types::{Operation, Server};

use crate::{
    Cluster, Error, EventListener, Operations, Pending, PoolHandle, RawRequest, StoragePools, VolumeList,
    check,
    edit::Turns,
    exchange::{Answer, Exchange},
    pending::Done,
    route::Route,
    wait,
};

/// Answers longer than this are refused: about seven times a list of 100,000 volumes.
const ANSWER_MAX: usize = 256 << 20;

/// An LXD or Incus server, seen from one project and cluster member.
///
/// Cheap to clone and safe to share; all clones use the same connections. Making one does no I/O: the first call
/// tells whether the server is there, and a client outlives restarts of its server.
///
/// ```no_run
/// # #[cfg(feature = "unix")]
/// # async fn example() -> Result<(), lxd_storage::Error> {
/// use lxd_storage::Client;
///
/// let client = Client::local().await?;                       // finds the server of this machine
/// let blue = client.with_project("blue");                    // the same server, another project
/// for pool in blue.storage_pools().all().await? {
///     println!("{} ({})", pool.name(), pool.driver());
/// }
/// # Ok(()) }
/// ```
#[derive(Clone)]
pub struct Client {
    core: Arc<Core>,
    scope: Scope,
}

struct Core {
    exchange: Exchange,
    server: RwLock<Option<Arc<Server>>>,
    turns: Turns,
}

/// Where on the server a request is to act.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Scope {
    project: Option<Arc<str>>,
    target: Option<Arc<str>>,
}

/// Builds a [`Client`] with other than the default settings, over any transport: a socket, TLS, one that tries again.
///
/// ```no_run
/// # #[cfg(feature = "unix")]
/// # async fn example() -> Result<(), lxd_storage::Error> {
/// use std::time::Duration;
/// use lxd_storage::{Client, transport::{HttpTransport, Limits, Retrying, discover}};
///
/// let socket = HttpTransport::unix(discover::find().await?.path); // what `Client::local` does
/// let patient = Retrying::new(socket).with_patience(Duration::from_secs(30)); // bears with a restart of the daemon
/// let client = Client::builder(patient)
///     .user_agent("backup/1.0")
///     .limits(Limits::METADATA.with_first_byte(Duration::from_secs(120)))
///     .build()?;
/// # Ok(()) }
/// ```
#[must_use = "a builder does nothing until `build` is called"]
pub struct ClientBuilder {
    transport: Arc<dyn Transport>,
    user_agent: String,
    limits: Option<Limits>,
    change_limits: Option<Limits>,
    answer_max: usize,
}

/// How long work may take by default that a server does before it answers.
const WORK_AT_ONCE: Duration = Duration::from_secs(600);

impl ClientBuilder {
    /// Sets the `User-Agent`. Default: this crate's name and version.
    pub fn user_agent(mut self, user_agent: impl Into<String>) -> Self {
        self.user_agent = user_agent.into();
        self
    }

    /// Sets the time limits of ordinary calls, and of changes unless [`change_limits`](Self::change_limits) sets those.
    /// Default: [`Limits::METADATA`]. Waiting for operations has limits of its own, made for long polls.
    pub fn limits(mut self, limits: Limits) -> Self {
        self.limits = Some(limits);
        self
    }

    /// Sets the time limits of requests that change something. Default: ten minutes for the first byte, else those of
    /// [`Limits::METADATA`].
    ///
    /// LXD up to 6.5 and Incus do some long work before they answer: deleting and restoring volumes, making and
    /// deleting pools. A server that died in silence meanwhile is noticed when this time is over, which ends in
    /// [`Timeout`](crate::ErrorKind::Timeout) with the phase `FirstByte`: whether the work is done is unknown then. For
    /// a single change [`Change::with_deadline`](crate::Change::with_deadline) says how long, more or less than this.
    pub fn change_limits(mut self, limits: Limits) -> Self {
        self.change_limits = Some(limits);
        self
    }

    /// Sets the longest answer in bytes that is read into memory. Default: 256 MiB.
    pub fn answer_max(mut self, bytes: usize) -> Self {
        self.answer_max = bytes;
        self
    }

    /// Builds the client.
    ///
    /// # Errors
    /// [`InvalidInput`](crate::ErrorKind::InvalidInput) for a user agent that no header can hold, or for a time
    /// limit of zero.
    pub fn build(self) -> Result<Client, Error> {
        let user_agent = HeaderValue::try_from(&self.user_agent).map_err(|error| {
            Error::invalid(format!("the user agent {:?} cannot stand in a header", self.user_agent))
                .with_source(error)
        })?;
        let limits = self.limits.unwrap_or(Limits::METADATA);
        let change_limits =
            self.change_limits.or(self.limits).unwrap_or(Limits::METADATA.with_first_byte(WORK_AT_ONCE));
        for limits in [limits, change_limits] {
            if [limits.first_byte, limits.idle, limits.total].contains(&Some(Duration::ZERO)) {
                return Err(Error::invalid(
                    "a time limit of zero would let no call succeed; None stands for no limit",
                ));
            }
        }
        let exchange = Exchange {
            transport: self.transport,
            user_agent,
            limits,
            change_limits,
            answer_max: self.answer_max,
        };
        Ok(Client {
            core: Arc::new(Core { exchange, server: RwLock::new(None), turns: Turns::default() }),
            scope: Scope::default(),
        })
    }
}

impl Client {
    /// A client over any transport, with the default settings.
    #[must_use]
    pub fn new(transport: impl Transport) -> Self {
        let exchange = Exchange {
            transport: Arc::new(transport),
            user_agent: HeaderValue::from_static(concat!("lxd-storage/", env!("CARGO_PKG_VERSION"))),
            limits: Limits::METADATA,
            change_limits: Limits::METADATA.with_first_byte(WORK_AT_ONCE),
            answer_max: ANSWER_MAX,
        };
        Self {
            core: Arc::new(Core { exchange, server: RwLock::new(None), turns: Turns::default() }),
            scope: Scope::default(),
        }
    }

    /// A client over any transport, with settings of your own.
    pub fn builder(transport: impl Transport) -> ClientBuilder {
        ClientBuilder {
            transport: Arc::new(transport),
            user_agent: concat!("lxd-storage/", env!("CARGO_PKG_VERSION")).to_owned(),
            limits: None,
            change_limits: None,
            answer_max: ANSWER_MAX,
        }
    }

    /// A client over a Unix socket.
    #[cfg(feature = "unix")]
    #[must_use]
    pub fn unix(socket: impl Into<std::path::PathBuf>) -> Self {
        Self::new(lxd_transport::HttpTransport::unix(socket))
    }

    /// A client of this machine's own server, found where the field's tools look: `LXD_SOCKET`, `LXD_DIR`,
    /// `INCUS_SOCKET` and `INCUS_DIR`, or else where the packages put the sockets of LXD and Incus. Who may only use the
    /// socket for users gets a client of their own project, `user-<uid>`. [`ClientBuilder`] shows how to have other
    /// limits, or one that tries again.
    ///
    /// # Errors
    /// [`Connect`](crate::ErrorKind::Connect), with all that was tried and what is wrong with each.
    #[cfg(feature = "unix")]
    pub async fn local() -> Result<Self, Error> {
        let found = lxd_transport::discover::find().await?;
        let client = Self::unix(found.path);
        Ok(match found.project {
            Some(project) => client.with_project(project),
            None => client,
        })
    }

    /// A client over HTTPS. See [`Tls`](lxd_transport::Tls) for the client certificate and how the server is trusted.
    ///
    /// ```no_run
    /// # fn example() -> Result<(), Box<dyn std::error::Error>> {
    /// use lxd_storage::{Client, transport::{Identity, ServerTrust, Tls}};
    ///
    /// let tls = Tls::builder("https://10.0.0.7:8443")
    ///     .identity(Identity::from_pem(&std::fs::read("client.crt")?, &std::fs::read("client.key")?)?)
    ///     .trust(ServerTrust::certificate(&std::fs::read("server.crt")?)?)
    ///     .build()?;
    /// let client = Client::https(tls);
    /// # Ok(()) }
    /// ```
    #[cfg(feature = "tls")]
    #[must_use]
    pub fn https(tls: lxd_transport::Tls) -> Self {
        Self::new(lxd_transport::HttpTransport::new(tls))
    }

    /// The same server, seen from a project. Every request carries it. Needs the API extension `projects`.
    #[must_use]
    pub fn with_project(&self, project: impl AsRef<str>) -> Self {
        let scope = Scope { project: Some(project.as_ref().into()), target: self.scope.target.clone() };
        Self { core: Arc::clone(&self.core), scope }
    }

    /// The same server, seen from a member of its cluster. Every request about pools and volumes carries it. Needs
    /// the API extension `clustering`.
    #[must_use]
    pub fn with_target(&self, member: impl AsRef<str>) -> Self {
        let scope = Scope { project: self.scope.project.clone(), target: Some(member.as_ref().into()) };
        Self { core: Arc::clone(&self.core), scope }
    }

    /// The same server and project, seen from nowhere in particular.
    pub(crate) fn without_target(&self) -> Self {
        let scope = Scope { project: self.scope.project.clone(), target: None };
        Self { core: Arc::clone(&self.core), scope }
    }

    /// The project that every request carries; `None` leaves it to the server, which takes `default`.
    #[must_use]
    pub fn project(&self) -> Option<&str> {
        self.scope.project.as_deref()
    }

    /// The cluster member that every request carries.
    #[must_use]
    pub fn target(&self) -> Option<&str> {
        self.scope.target.as_deref()
    }

    /// Where the server is.
    #[must_use]
    pub fn endpoint(&self) -> &Endpoint {
        self.exchange().transport.endpoint()
    }

    /// The storage pools of the server.
    #[must_use]
    pub fn storage_pools(&self) -> StoragePools {
        StoragePools::new(self.clone())
    }

    /// One storage pool by its name. No I/O: whether it exists shows when it is used.
    #[must_use]
    pub fn storage_pool(&self, name: impl AsRef<str>) -> PoolHandle {
        PoolHandle::new(self.clone(), name.as_ref().into())
    }

    /// The cluster that the server belongs to, if any.
    #[must_use]
    pub fn cluster(&self) -> Cluster {
        Cluster::new(self.clone())
    }

    /// The events of the server, as they happen. No I/O until it is opened.
    pub fn events(&self) -> EventListener {
        EventListener::new(self.clone())
    }

    /// The volumes of all pools. Await it, or see [`VolumeList`] for how to narrow it down and what can come with them.
    pub fn volumes(&self) -> VolumeList {
        VolumeList::of_all_pools(self.clone())
    }

    /// The server's description of itself (`GET /1.0`), read once per client and then remembered, since checking for
    /// API extensions needs it often. [`refresh_server`](Self::refresh_server) reads it anew.
    ///
    /// # Errors
    /// Trouble on the way. A caller whom the server doesn't trust gets an answer too, a shorter one.
    pub async fn server(&self) -> Result<Arc<Server>, Error> {
        let known = self.core.server.read().unwrap_or_else(PoisonError::into_inner).clone();
        match known {
            Some(server) => Ok(server),
            None => self.refresh_server().await,
        }
    }

    /// Reads the server's description of itself anew (`GET /1.0`), say after an upgrade.
    ///
    /// # Errors
    /// Trouble on the way.
    pub async fn refresh_server(&self) -> Result<Arc<Server>, Error> {
        // Without project and member: those are checked against the extensions that come in here.
        let answer = self.exchange().get(Route::new("/1.0").uri()?).await?;
        let server = Arc::new(answer.decode::<Server>()?);
        *self.core.server.write().unwrap_or_else(PoisonError::into_inner) = Some(Arc::clone(&server));
        Ok(server)
    }

    /// The operations that the server knows of.
    #[must_use]
    pub fn operations(&self) -> Operations {
        Operations::new(self.clone())
    }

    /// Takes up an operation by its id, path or URL, for instance one that [`Error::operation`] names.
    ///
    /// # Errors
    /// [`Interrupted`](crate::ErrorKind::Interrupted) where the server knows it no longer;
    /// [`InvalidInput`](crate::ErrorKind::InvalidInput) for what is none of the three.
    pub async fn operation(&self, id: &str) -> Result<Pending<Operation>, Error> {
        let operation = wait::look(self, check::operation_id(id)?).await?;
        Ok(Pending::attach(self, operation, |done| async move {
            match done {
                Done::Operation(operation) => Ok(*operation),
                // An attached operation is never done at once; if it were, its answer would be it.
                Done::AtOnce(answer) => answer.decode(),
            }
        }))
    }

    /// A request that this crate doesn't model, to a path such as `/1.0/profiles`. Project and member are added,
    /// envelope, errors and operations are handled as everywhere.
    pub fn request(&self, method: Method, path: &str) -> RawRequest {
        RawRequest::new(self.clone(), method, path)
    }

    /// A read within project and member, which fails before it is sent where the server lacks an extension.
    pub(crate) async fn get(
        &self,
        route: Result<Route, Error>,
        extensions: &[&'static str],
    ) -> Result<Answer, Error> {
        let uri = route?.uri()?;
        self.require(extensions).await?;
        self.exchange().get(uri).await
    }

    pub(crate) fn turns(&self) -> &Turns {
        &self.core.turns
    }

    pub(crate) fn exchange(&self) -> &Exchange {
        &self.core.exchange
    }

    /// Adds project and cluster member.
    pub(crate) fn scoped(&self, route: Route) -> Route {
        self.scoped_target(self.scoped_project(route))
    }

    /// Adds the cluster member only, for lists over all projects.
    pub(crate) fn scoped_target(&self, route: Route) -> Route {
        match &self.scope.target {
            Some(target) => route.query("target", target),
            None => route,
        }
    }

    /// Adds the project only, for endpoints that know no cluster member.
    pub(crate) fn scoped_project(&self, route: Route) -> Route {
        match &self.scope.project {
            Some(project) => route.query("project", project),
            None => route,
        }
    }

    /// Fails unless the server has all these API extensions, and those that project and member need.
    pub(crate) async fn require(&self, extensions: &[&'static str]) -> Result<(), Error> {
        let scope = [
            self.scope.project.as_ref().map(|_| "projects"),
            self.scope.target.as_ref().map(|_| "clustering"),
        ];
        let needed: Vec<&str> = scope.into_iter().flatten().chain(extensions.iter().copied()).collect();
        if needed.is_empty() {
            return Ok(());
        }
        if self.server().await?.api_extensions.first_missing(&needed).is_none() {
            return Ok(());
        }
        // What was read long ago may be out of date: a server gains extensions when it is upgraded.
        let server = self.refresh_server().await?;
        match server.api_extensions.first_missing(&needed) {
            // Incus 7 lists its extensions to those it trusts; what is wrong for a stranger the server itself says.
            Some(_) if server.api_extensions.is_empty() && !server.is_trusted() => Ok(()),
            Some(missing) => Err(Error::unsupported(missing)),
            None => Ok(()),
        }
    }
}

/// Two clients are equal when they are clones of one, seen from the same project and cluster member. Clients that were made
/// apart differ, whatever server they reach.
impl PartialEq for Client {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.core, &other.core) && self.scope == other.scope
    }
}

impl Eq for Client {}

impl fmt::Debug for ClientBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ClientBuilder")
            .field("endpoint", &self.transport.endpoint().to_string())
            .field("limits", &self.limits)
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client")
            .field("endpoint", &self.endpoint().to_string())
            .field("project", &self.project())
            .field("target", &self.target())
            .finish()
    }
}

#[cfg(all(test, feature = "unix"))]
mod tests {
    use lxd_types::VolumeType;

    use super::*;

    /// Answers nothing and notes how it was asked.
    struct Noting(Endpoint, std::sync::Mutex<Vec<http::HeaderMap>>);

    impl Transport for Noting {
        fn send(
            &self,
            request: http::Request<lxd_transport::Body>,
        ) -> lxd_transport::BoxFuture<'_, Result<http::Response<lxd_transport::Body>, lxd_transport::Error>>
        {
            self.1.lock().unwrap_or_else(PoisonError::into_inner).push(request.headers().clone());
            Box::pin(async { Ok(http::Response::new(r#"{"type":"sync","metadata":{}}"#.into())) })
        }

        fn endpoint(&self) -> &Endpoint {
            &self.0
        }
    }

    #[tokio::test]
    async fn the_user_agent_is_ours_to_choose() {
        let noting = Arc::new(Noting(Endpoint::custom("nowhere"), std::sync::Mutex::default()));
        Client::new(Arc::clone(&noting)).server().await.unwrap();
        let own = Client::builder(Arc::clone(&noting)).user_agent("backup/1.0").build().unwrap();
        own.server().await.unwrap();
        let seen = noting.1.lock().unwrap();
        assert_eq!(seen[0]["user-agent"], concat!("lxd-storage/", env!("CARGO_PKG_VERSION")));
        assert_eq!(seen[1]["user-agent"], "backup/1.0");
        assert!(Client::builder(Arc::clone(&noting)).user_agent("a\nb").build().is_err());
    }

    #[test]
    fn handles_are_equal_where_they_mean_the_same() {
        let client = Client::unix("/nonexistent");
        let volume = |client: &Client| client.storage_pool("a").volume(VolumeType::Custom, "v");
        assert_eq!(volume(&client), volume(&client.clone()));
        assert_ne!(volume(&client), volume(&client.with_project("p")));
        assert_ne!(volume(&client), volume(&Client::unix("/nonexistent")));
        assert_eq!(volume(&client).snapshot("s").to_string(), "a/custom/v/s");
    }
}
