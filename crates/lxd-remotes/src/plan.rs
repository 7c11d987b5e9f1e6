//! From a remote to a client: which address, which way, and what to trust.

use std::path::PathBuf;

use lxd_storage::{
    Client,
    transport::{Error as TransportError, HttpTransport, ServerTrust, Tls, TlsBuilder, discover},
};

use crate::{
    Auth, Cli, Error, ErrorKind, Remote,
    add::Failures,
    client_key,
    connect::{Settings, Source},
    environment::{Environment, speaks},
    folder::{Folder, read},
    remote::{Origin, without_login},
};

/// All that is needed to make the client.
pub(crate) struct Plan {
    pub(crate) remote: Remote,
    pub(crate) folder: Folder,
    pub(crate) shared: Option<Folder>,
    pub(crate) cli: Option<Cli>,
    pub(crate) environment: Environment,
}

impl Plan {
    pub(crate) async fn connect(&self, settings: &Settings) -> Result<Client, Error> {
        let name = self.remote.name();
        if !self.remote.has_storage() {
            let message = format!("remote {name:?} serves images and no storage; choose another remote");
            return Err(Error::new(ErrorKind::NotAServer, message));
        }
        if let [address] = self.remote.addresses() {
            return self.client_at(address, settings).await;
        }
        let mut failures = Failures::default();
        let impatient = settings.impatient();
        for address in self.remote.addresses() {
            let client = self.client_at(address, &impatient).await;
            let answer = match &client {
                Ok(client) => client.server().await.map(drop).map_err(|error| {
                    Error::new(ErrorKind::Unreachable, error.to_string()).with_source(error)
                }),
                Err(_) => Ok(()),
            };
            match (client, answer) {
                (Ok(client), Ok(())) if settings.patience.is_none() => return Ok(client),
                (Ok(_), Ok(())) => return self.client_at(address, settings).await,
                (Err(error), _) if error.kind() != ErrorKind::Unreachable => return Err(error),
                (Err(error), _) | (_, Err(error)) => failures.note(address, error),
            }
        }
        Err(failures.into_error(name))
    }

    async fn client_at(&self, address: &str, settings: &Settings) -> Result<Client, Error> {
        let (transport, tokens, own_project) = match address.strip_prefix("unix:") {
            Some(path) => {
                let (socket, project) = self.socket(path).await?;
                (HttpTransport::unix(socket), None, project)
            }
            None => {
                let (transport, tokens) = self.https(address, settings)?;
                (transport, tokens, None)
            }
        };
        let client = settings.client(transport, tokens)?;
        if let Some(project) = self.environment.project(&self.remote, self.cli) {
            return Ok(client.with_project(project));
        }
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
        let found = match speaks(&self.remote, self.cli) {
            Some(Cli::Incus) => discover::find_incus().await,
            Some(Cli::Lxc) => discover::find_lxd().await,
            None => discover::find().await,
        };
        found.map(|found| (found.path, found.project)).map_err(|error| {
            let message = format!("remote {:?}: {error}", self.remote.name());
            Error::new(ErrorKind::Unreachable, message).with_source(lxd_storage::Error::from(error))
        })
    }

    /// The way to an address on the network, and where tokens come from if the remote wants them.
    fn https(&self, address: &str, settings: &Settings) -> Result<(HttpTransport, Option<Source>), Error> {
        let name = self.remote.name();
        if address.contains('@') {
            let message =
                format!("{:?} has a user name in it, which servers don't take", without_login(address));
            return Err(Error::invalid(format!("remote {name:?}: {message}")));
        }
        let mut builder = Tls::builder(address.trim_end_matches('/')).trust(self.trust()?);
        if let Some(proxy) = &settings.proxy {
            builder = builder.proxy(proxy.clone());
        }
        let build = |builder: TlsBuilder| {
            builder.build().map(HttpTransport::new).map_err(|error| {
                let message = format!("remote {name:?}: {error}");
                Error::invalid(message).with_source(lxd_storage::Error::from(error))
            })
        };
        let given = settings.tokens.clone().filter(|_| self.remote.auth() == Some(&Auth::Oidc));
        if let Some(source) =
            given.or_else(|| self.environment.token(&self.remote, self.cli).map(Source::new))
        {
            return Ok((build(builder)?, Some(source)));
        }
        match self.remote.auth() {
            None | Some(Auth::Tls) => {
                let identity = client_key::load(&self.folder, name)?;
                Ok((build(builder.identity(identity))?, None))
            }
            Some(Auth::Oidc) => {
                let message = format!("remote {name:?} wants them (auth_type: oidc); give one with `tokens`");
                Err(Error::new(ErrorKind::NoTokens, message))
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
