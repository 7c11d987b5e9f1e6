//! A client of a remote, about to be made.

use std::{
    fmt,
    future::{Future, IntoFuture},
    pin::Pin,
    sync::Arc,
    time::Duration,
};

use lxd_storage::{
    Client,
    transport::{
        Authorized, BoxFuture, Error as TransportError, Limits, Proxy, Retrying, Token, TokenSource,
        Transport,
    },
};

use crate::{Error, plan::Plan};

/// A client of a remote, about to be made. [`Remotes::client`](crate::Remotes::client) begins it; await it.
///
/// A remote with one address on the network is not contacted: the client's first call tells whether it is there. Of
/// several addresses the first one that answers (`GET /1.0`) is taken.
///
/// ```no_run
/// # async fn example(remotes: lxd_remotes::Remotes, source: impl lxd_remotes::storage::transport::TokenSource)
/// # -> Result<(), lxd_remotes::Error> {
/// use std::time::Duration;
/// use lxd_remotes::storage::transport::{Limits, Proxy};
///
/// let backup = remotes.client("backup").await?;
/// let behind_oidc = remotes.client("prod").tokens(source).await?;
/// let far_away = remotes
///     .client("prod")
///     .proxy(Proxy::new("http://proxy.example:3128")?)
///     .limits(Limits::METADATA.with_first_byte(Duration::from_secs(120)))
///     .patience(Duration::from_secs(30))
///     .user_agent("nightly-backup/2.1")
///     .await?;
/// # Ok(()) }
/// ```
///
/// # Errors
/// [`NotFound`](crate::ErrorKind::NotFound), [`NotAServer`](crate::ErrorKind::NotAServer) for images,
/// [`NoIdentity`](crate::ErrorKind::NoIdentity) without a client certificate, [`NoTokens`](crate::ErrorKind::NoTokens) for
/// OIDC without a source, [`UnsupportedAuth`](crate::ErrorKind::UnsupportedAuth),
/// [`InvalidInput`](crate::ErrorKind::InvalidInput) for an address that is none, a limit of zero and a user agent that no
/// header can hold, [`Unreachable`](crate::ErrorKind::Unreachable) with all that was tried.
#[must_use = "no client is made until this is awaited"]
pub struct Connect {
    plan: Result<Plan, Error>,
    settings: Settings,
}

/// What the caller wants otherwise than it is by default.
#[derive(Clone, Default)]
pub(crate) struct Settings {
    pub(crate) tokens: Option<Source>,
    pub(crate) limits: Option<Limits>,
    pub(crate) user_agent: Option<String>,
    pub(crate) patience: Option<Duration>,
    pub(crate) proxy: Option<Proxy>,
}

impl Connect {
    pub(crate) fn new(plan: Result<Plan, Error>) -> Self {
        Self { plan, settings: Settings::default() }
    }

    /// Where bearer tokens come from, for remotes with OIDC. Others don't use it.
    pub fn tokens(mut self, source: impl TokenSource) -> Self {
        self.settings.tokens = Some(Source::new(source));
        self
    }

    /// The time limits of ordinary calls and of changes. Default: [`Limits::METADATA`], and ten minutes for the answer
    /// to a change, as [`ClientBuilder::change_limits`](lxd_storage::ClientBuilder::change_limits) explains.
    pub fn limits(mut self, limits: Limits) -> Self {
        self.settings.limits = Some(limits);
        self
    }

    /// The `User-Agent`. Default: the storage client's name and version.
    pub fn user_agent(mut self, user_agent: impl Into<String>) -> Self {
        self.settings.user_agent = Some(user_agent.into());
        self
    }

    /// Lets the client try again for so long, where that can do no harm: see [`Retrying`]. By default it doesn't. Which of
    /// several addresses is taken is found out without patience.
    pub fn patience(mut self, patience: Duration) -> Self {
        self.settings.patience = Some(patience);
        self
    }

    /// Goes through an HTTP proxy to remotes on the network, and directly to sockets. The environment's `https_proxy` is not
    /// looked at.
    pub fn proxy(mut self, proxy: Proxy) -> Self {
        self.settings.proxy = Some(proxy);
        self
    }
}

impl IntoFuture for Connect {
    type Output = Result<Client, Error>;
    type IntoFuture = Pin<Box<dyn Future<Output = Self::Output> + Send>>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(async move { self.plan?.connect(&self.settings).await })
    }
}

impl fmt::Debug for Connect {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Connect")
            .field("remote", &self.plan.as_ref().map(|plan| &plan.remote))
            .field("tokens", &self.settings.tokens.is_some())
            .field("limits", &self.settings.limits)
            .field("user_agent", &self.settings.user_agent)
            .field("patience", &self.settings.patience)
            .field("proxy", &self.settings.proxy)
            .finish()
    }
}

impl Settings {
    /// A client over a transport, or over that transport with tokens.
    pub(crate) fn client(
        &self,
        transport: impl Transport,
        tokens: Option<Source>,
    ) -> Result<Client, lxd_storage::Error> {
        match tokens {
            // Patience is the outer one, so that each attempt has a token of its own time.
            Some(source) => self.patient_client(Authorized::new(transport, source)),
            None => self.patient_client(transport),
        }
    }

    fn patient_client(&self, transport: impl Transport) -> Result<Client, lxd_storage::Error> {
        let builder = match self.patience {
            Some(patience) => Client::builder(Retrying::new(transport).with_patience(patience)),
            None => Client::builder(transport),
        };
        let builder = match self.limits {
            Some(limits) => builder.limits(limits),
            None => builder,
        };
        match &self.user_agent {
            Some(user_agent) => builder.user_agent(user_agent.clone()),
            None => builder,
        }
        .build()
    }

    /// The same without patience.
    pub(crate) fn impatient(&self) -> Self {
        Self { patience: None, ..self.clone() }
    }
}

/// One source for however many addresses.
#[derive(Clone)]
pub(crate) struct Source(Arc<dyn TokenSource>);

impl Source {
    pub(crate) fn new(source: impl TokenSource) -> Self {
        Self(Arc::new(source))
    }
}

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
    use crate::{
        ErrorKind, Remotes, client_key,
        folder::{Folder, tests::Scratch},
    };

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
    async fn settings_that_no_client_can_have_are_refused() {
        let scratch = Scratch::new("connect-settings");
        fs::write(scratch.0.join("config.yml"), FILE).unwrap();
        let remotes = Remotes::open(&scratch.0).unwrap();
        let connect = || remotes.client("long");
        for bad in
            [connect().user_agent("a\nb"), connect().limits(Limits::METADATA.with_idle(Duration::ZERO))]
        {
            assert_eq!(bad.await.unwrap_err().kind(), ErrorKind::InvalidInput);
        }
        let proxy = Proxy::new("http://proxy").unwrap().with_authorization("Basic c2VjcmV0").unwrap();
        let shown = format!("{:?}", connect().proxy(proxy).patience(Duration::from_secs(1)));
        assert!(shown.contains("proxy") && shown.contains("1s") && !shown.contains("c2VjcmV0"), "{shown}");
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
