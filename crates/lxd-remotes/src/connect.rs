//! From a remote to a client.

use std::{
    fmt,
    future::{Future, IntoFuture},
    path::PathBuf,
    pin::Pin,
    sync::Arc,
};

use lxd_storage::{
    Client,
    transport::{
        Authorized, BoxFuture, Error as TransportError, HttpTransport, ServerTrust, Tls, Token, TokenSource,
        discover,
    },
};

use crate::{
    Auth, Cli, Error, ErrorKind, Protocol, Remote,
    add::Failures,
    client_key,
    folder::{Folder, read},
    remote::{Origin, without_login},
};

/// A client of a remote, about to be made. [`Remotes::client`](crate::Remotes::client) begins it; await it.
///
/// A remote with one address on the network is not contacted: the client's first call tells whether it is there. Of
/// several addresses the first one that answers (`GET /1.0`) is taken.
///
/// ```no_run
/// # async fn example(remotes: lxd_remotes::Remotes, source: impl lxd_storage::transport::TokenSource)
/// # -> Result<(), lxd_remotes::Error> {
/// let backup = remotes.client("backup").await?;
/// let behind_oidc = remotes.client("prod").tokens(source).await?;
/// # Ok(()) }
/// ```
///
/// # Errors
/// [`NotFound`](ErrorKind::NotFound), [`NotAServer`](ErrorKind::NotAServer) for images,
/// [`NoIdentity`](ErrorKind::NoIdentity) without a client certificate, [`NoTokens`](ErrorKind::NoTokens) for OIDC
/// without a source, [`UnsupportedAuth`](ErrorKind::UnsupportedAuth), [`InvalidInput`](ErrorKind::InvalidInput) for an
/// address that is none, [`Unreachable`](ErrorKind::Unreachable) with all that was tried.
#[must_use = "no client is made until this is awaited"]
pub struct Connect {
    plan: Result<Plan, Error>,
    tokens: Option<Arc<dyn TokenSource>>,
}

/// All that is needed to make the client.
pub(crate) struct Plan {
    pub(crate) remote: Remote,
    pub(crate) folder: Folder,
    pub(crate) shared: Option<Folder>,
    pub(crate) cli: Option<Cli>,
}

impl Connect {
    pub(crate) fn new(plan: Result<Plan, Error>) -> Self {
        Self { plan, tokens: None }
    }

    /// Where bearer tokens come from, for remotes with OIDC. Others don't use it.
    pub fn tokens(mut self, source: impl TokenSource) -> Self {
        self.tokens = Some(Arc::new(source));
        self
    }
}

impl IntoFuture for Connect {
    type Output = Result<Client, Error>;
    type IntoFuture = Pin<Box<dyn Future<Output = Self::Output> + Send>>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(async move { self.plan?.connect(self.tokens.as_ref()).await })
    }
}

impl fmt::Debug for Connect {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Connect")
            .field("remote", &self.plan.as_ref().map(|plan| &plan.remote))
            .field("tokens", &self.tokens.is_some())
            .finish()
    }
}

impl Plan {
    async fn connect(&self, tokens: Option<&Arc<dyn TokenSource>>) -> Result<Client, Error> {
        let name = self.remote.name();
        if !self.remote.has_storage() {
            let message = format!("remote {name:?} serves images and no storage; choose another remote");
            return Err(Error::new(ErrorKind::NotAServer, message));
        }
        if let [address] = self.remote.addresses() {
            return self.client_at(address, tokens).await;
        }
        let mut failures = Failures::default();
        for address in self.remote.addresses() {
            let client = self.client_at(address, tokens).await;
            let answer = match &client {
                Ok(client) => client.server().await.map(drop).map_err(|error| {
                    Error::new(ErrorKind::Unreachable, error.to_string()).with_source(error)
                }),
                Err(_) => Ok(()),
            };
            match (client, answer) {
                (Ok(client), Ok(())) => return Ok(client),
                (Err(error), _) if error.kind() != ErrorKind::Unreachable => return Err(error),
                (Err(error), _) | (_, Err(error)) => failures.note(address, error),
            }
        }
        Err(failures.into_error(name))
    }

    async fn client_at(&self, address: &str, tokens: Option<&Arc<dyn TokenSource>>) -> Result<Client, Error> {
        let (client, own_project) = match address.strip_prefix("unix:") {
            Some(path) => {
                let (socket, project) = self.socket(path).await?;
                (Client::unix(socket), project)
            }
            None => (self.https(address, tokens)?, None),
        };
        // Every server takes no project for this one, old ones without projects included.
        Ok(match self.remote.project().or(own_project.as_deref()) {
            None | Some("default") => client,
            Some(project) => client.with_project(project),
        })
    }

    /// The socket that a `unix:` address means: `unix:///path`, `unix:/path`, or the server of this machine, and the
    /// one project that it lets into if it is a socket for users.
    async fn socket(&self, path: &str) -> Result<(PathBuf, Option<String>), Error> {
        let path = path.strip_prefix("//").unwrap_or(path);
        if !path.is_empty() {
            return Ok((PathBuf::from(path), None));
        }
        let found = match (self.remote.protocol(), self.cli) {
            (Some(Protocol::Incus), _) | (None, Some(Cli::Incus)) => discover::find_incus().await,
            (Some(Protocol::Lxd), _) | (None, Some(Cli::Lxc)) => discover::find_lxd().await,
            _ => discover::find().await,
        };
        found.map(|found| (found.path, found.project)).map_err(|error| {
            let message = format!("remote {:?}: {error}", self.remote.name());
            Error::new(ErrorKind::Unreachable, message).with_source(lxd_storage::Error::from(error))
        })
    }

    fn https(&self, address: &str, tokens: Option<&Arc<dyn TokenSource>>) -> Result<Client, Error> {
        let name = self.remote.name();
        if address.contains('@') {
            let message =
                format!("{:?} has a user name in it, which servers don't take", without_login(address));
            return Err(Error::invalid(format!("remote {name:?}: {message}")));
        }
        let builder = Tls::builder(address.trim_end_matches('/')).trust(self.trust()?);
        let build = |builder: lxd_storage::transport::TlsBuilder| {
            builder.build().map(HttpTransport::new).map_err(|error| {
                let message = format!("remote {name:?}: {error}");
                Error::invalid(message).with_source(lxd_storage::Error::from(error))
            })
        };
        match self.remote.auth() {
            None | Some(Auth::Tls) => {
                let identity = client_key::load(&self.folder, name)?;
                Ok(Client::new(build(builder.identity(identity))?))
            }
            Some(Auth::Oidc) => {
                let source = tokens.ok_or_else(|| {
                    let message =
                        format!("remote {name:?} wants them (auth_type: oidc); give one with `tokens`");
                    Error::new(ErrorKind::NoTokens, message)
                })?;
                Ok(Client::new(Authorized::new(build(builder)?, Source(Arc::clone(source)))))
            }
            Some(other) => {
                let message = format!("remote {name:?} has auth_type {other:?}; tls and oidc are known here");
                Err(Error::new(ErrorKind::UnsupportedAuth, message))
            }
        }
    }

    /// By the pinned certificate, or else by the folder's own authority, or else by those of the system.
    fn trust(&self) -> Result<ServerTrust, Error> {
        let folder = match (self.remote.origin, &self.shared) {
            (Origin::Shared, Some(shared)) => shared,
            _ => &self.folder,
        };
        let unusable = |path: PathBuf| {
            move |error: TransportError| {
                let message = "it is no certificate; remove it and add the remote again";
                Error::new(ErrorKind::Malformed, message)
                    .at(&path, None)
                    .with_source(lxd_storage::Error::from(error))
            }
        };
        let path = folder.server_certificate(self.remote.name())?;
        if let Some(pem) = read(&path)? {
            return ServerTrust::certificate(&pem).map_err(unusable(path));
        }
        let path = self.folder.file("client.ca");
        match read(&path)? {
            Some(pem) => ServerTrust::ca(&pem).map_err(unusable(path)),
            None => Ok(ServerTrust::system()),
        }
    }
}

/// One source for however many addresses.
struct Source(Arc<dyn TokenSource>);

impl TokenSource for Source {
    fn token(&self) -> BoxFuture<'_, Result<Token, TransportError>> {
        self.0.token()
    }

    fn rejected(&self, token: &Token) {
        self.0.rejected(token);
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use lxd_storage::transport::Endpoint;

    use super::*;
    use crate::{Remotes, folder::tests::Scratch};

    const FILE: &str = "remotes:
  images: {addr: https://h, protocol: simplestreams, public: true}
  public: {addr: https://h, public: true}
  candid: {addr: https://h, auth_type: candid}
  oidc: {addr: https://h, auth_type: oidc, project: blue}
  tls: {addr: https://h}
  login: {addr: https://me:hunter2@h}
  long: {addr: unix:///run/x.socket, project: blue}
  short: {addr: unix:/run/x.socket, project: default}
  ../up: {addr: https://h}
";

    async fn connect(name: &str) -> Result<Client, Error> {
        let scratch = Scratch::new(&format!("connect-{}", name.replace('/', "-")));
        fs::write(scratch.0.join("config.yml"), FILE).unwrap();
        Remotes::open(&scratch.0).unwrap().client(name).await
    }

    #[tokio::test]
    async fn remotes_without_a_usable_server_are_refused_by_kind() {
        for (name, kind, words) in [
            ("images", ErrorKind::NotAServer, "images"),
            ("public", ErrorKind::NotAServer, "images"),
            ("candid", ErrorKind::UnsupportedAuth, "candid"),
            ("oidc", ErrorKind::NoTokens, "`tokens`"),
            ("tls", ErrorKind::NoIdentity, "token"),
            ("login", ErrorKind::InvalidInput, "user name"),
            ("../up", ErrorKind::InvalidInput, "no name"),
            ("nowhere", ErrorKind::NotFound, "images, local"),
        ] {
            let error = connect(name).await.unwrap_err();
            let shown = format!("{error:#} {error:?}");
            assert_eq!(error.kind(), kind, "{shown}");
            assert!(shown.contains(words) && !shown.contains("hunter2"), "{shown}");
        }
    }

    #[tokio::test]
    async fn sockets_are_found_in_both_forms_and_projects_are_set() {
        let (long, short) = (connect("long").await.unwrap(), connect("short").await.unwrap());
        assert_eq!(long.endpoint(), &Endpoint::unix("/run/x.socket"));
        assert_eq!(short.endpoint(), long.endpoint());
        assert_eq!((long.project(), short.project()), (Some("blue"), None));
    }

    #[tokio::test]
    async fn a_source_of_tokens_takes_the_place_of_the_certificate() {
        struct Never;
        impl TokenSource for Never {
            fn token(&self) -> BoxFuture<'_, Result<Token, TransportError>> {
                Box::pin(std::future::pending())
            }
        }
        let scratch = Scratch::new("connect-tokens");
        fs::write(scratch.0.join("config.yml"), FILE).unwrap();
        fs::create_dir(scratch.0.join("servercerts")).unwrap();
        client_key::load_or_create(&Folder::new(&scratch.0), "oidc").unwrap();
        fs::rename(scratch.0.join("client.crt"), scratch.0.join("servercerts/oidc.crt")).unwrap();
        let remotes = Remotes::open(&scratch.0).unwrap();
        let client = remotes.client("oidc").tokens(Never).await.unwrap();
        assert_eq!((client.endpoint().url(), client.project()), (Some("https://h:8443"), Some("blue")));
        fs::write(scratch.0.join("servercerts/oidc.crt"), "broken").unwrap();
        let error = remotes.client("oidc").tokens(Never).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Malformed);
        assert!(error.path().unwrap().ends_with("servercerts/oidc.crt"), "{error}");
    }
}
