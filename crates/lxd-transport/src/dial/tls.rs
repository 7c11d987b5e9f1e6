//! TLS over TCP.

use std::{error::Error as StdError, fmt, io, sync::Arc, time::Duration};

use http::Uri;
use rustls::{
    CertificateError, ClientConfig, Error as TlsError,
    client::danger::ServerCertVerifier,
    crypto::CryptoProvider,
    pki_types::{IpAddr, ServerName},
};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use crate::{
    BoxFuture, Dial, Endpoint, Error, ErrorKind, Identity, Io, Phase, Proxy, ServerTrust,
    tls::{
        presented::{Looker, Presented},
        provider, trust,
    },
};

const DEFAULT_PORT: u16 = 8443;

/// How long [`Tls::presented_by`] takes at most; the same as the default for dialling.
const LOOK_LIMIT: Duration = Duration::from_secs(10);

/// Dials a server over TLS 1.3, the least that LXD and Incus take, and speaks HTTP/1.1.
///
/// ```
/// # fn example(certificate: &[u8], key: &[u8]) -> Result<(), lxd_transport::Error> {
/// use lxd_transport::{HttpTransport, Identity, ServerTrust, Tls};
///
/// let tls = Tls::builder("https://10.0.0.7:8443")
///     .identity(Identity::from_pem(certificate, key)?)
///     .trust(ServerTrust::fingerprint("12ab34cd12ab34cd12ab34cd12ab34cd12ab34cd12ab34cd12ab34cd12ab34cd")?)
///     .build()?;
/// let transport = HttpTransport::new(tls);
/// # Ok(()) }
/// ```
#[derive(Clone)]
pub struct Tls {
    host: String,
    port: u16,
    name: ServerName<'static>,
    connector: TlsConnector,
    endpoint: Endpoint,
    proxy: Option<Proxy>,
}

/// Builds a [`Tls`].
#[must_use = "a builder does nothing until `build` is called"]
pub struct TlsBuilder {
    url: String,
    identity: Option<Identity>,
    trust: Option<ServerTrust>,
    server_name: Option<String>,
    proxy: Option<Proxy>,
}

impl Tls {
    /// Begins with the server's URL: `https://host[:port]`, port 8443 unless given.
    pub fn builder(url: impl Into<String>) -> TlsBuilder {
        TlsBuilder { url: url.into(), identity: None, trust: None, server_name: None, proxy: None }
    }

    /// Looks at the certificate that the server at this URL shows, and hangs up in the middle of the handshake.
    ///
    /// Nothing is trusted by that and nothing is sent: it is for comparing the fingerprint with one that is known from
    /// elsewhere, or for showing it to a person, before the certificate is pinned.
    ///
    /// ```no_run
    /// # async fn example() -> Result<(), lxd_transport::Error> {
    /// use lxd_transport::Tls;
    ///
    /// println!("{}", Tls::presented_by("https://10.0.0.7:8443").await?.fingerprint());
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    /// [`InvalidInput`](ErrorKind::InvalidInput) for a URL of another form; [`Connect`](ErrorKind::Connect),
    /// [`Timeout`](ErrorKind::Timeout) after ten seconds, [`Tls`](ErrorKind::Tls) where no certificate came.
    pub async fn presented_by(url: &str) -> Result<Presented, Error> {
        let provider = Arc::new(provider()?);
        let looker = Arc::new(Looker::new(Arc::clone(&provider)));
        let tls = Self::builder(url).build_with(&provider, Arc::<Looker>::clone(&looker))?;
        let dialled = tokio::time::timeout(LOOK_LIMIT, tls.dial()).await;
        if let Some(certificate) = looker.seen() {
            return Presented::new(certificate, &provider);
        }
        match dialled {
            Ok(Err(error)) => Err(error),
            Ok(Ok(_)) => {
                Err(Error::new(ErrorKind::Tls, format!("{}: it showed no certificate", tls.endpoint)))
            }
            Err(_) => Err(Error::timeout(Phase::Dial, LOOK_LIMIT)),
        }
    }
}

impl TlsBuilder {
    /// The client certificate to show. Without one, the server sees an untrusted caller.
    pub fn identity(mut self, identity: Identity) -> Self {
        self.identity = Some(identity);
        self
    }

    /// How the server is trusted. There is no default and no way to trust any server.
    pub fn trust(mut self, trust: ServerTrust) -> Self {
        self.trust = Some(trust);
        self
    }

    /// The name that the server's certificate must be for, where the URL has another. Pinned servers go by no name.
    pub fn server_name(mut self, name: impl Into<String>) -> Self {
        self.server_name = Some(name.into());
        self
    }

    /// Goes to the server through an HTTP proxy. Without one, directly.
    pub fn proxy(mut self, proxy: Proxy) -> Self {
        self.proxy = Some(proxy);
        self
    }

    /// Builds the dialer. Nothing is opened yet.
    ///
    /// # Errors
    /// [`InvalidInput`](ErrorKind::InvalidInput) for a URL of another form, without trust, or without a provider of
    /// cryptography; [`Tls`](ErrorKind::Tls) for a certificate and key that don't fit.
    pub fn build(self) -> Result<Tls, Error> {
        let trust = self.trust.clone();
        let trust =
            trust.ok_or_else(|| Error::invalid("it is not said how to trust the server; see ServerTrust"))?;
        let provider = Arc::new(provider()?);
        let verifier = trust::verifier(trust, &provider)?;
        self.build_with(&provider, verifier)
    }

    fn build_with(
        self,
        provider: &Arc<CryptoProvider>,
        verifier: Arc<dyn ServerCertVerifier>,
    ) -> Result<Tls, Error> {
        let (host, port) = host_and_port(&self.url)?;
        let name = self.server_name.as_deref().unwrap_or(&host).to_owned();
        let name = ServerName::try_from(name.clone()).map_err(|error| {
            Error::invalid(format!("{name:?} is no host name and no address")).with_source(error)
        })?;
        let config = ClientConfig::builder_with_provider(Arc::clone(provider))
            .with_protocol_versions(&[&rustls::version::TLS13])
            .map_err(|error| {
                Error::new(ErrorKind::Tls, "the provider of cryptography knows no TLS 1.3").with_source(error)
            })?
            .dangerous()
            .with_custom_certificate_verifier(verifier);
        let mut config = match self.identity {
            None => config.with_no_client_auth(),
            Some(identity) => {
                let (chain, key) = identity.into_parts();
                config.with_client_auth_cert(chain, key).map_err(|error| {
                    Error::new(ErrorKind::Tls, "the client certificate and its key cannot be used")
                        .with_source(error)
                })?
            }
        };
        // Websockets cannot ride on HTTP/2 here, and both servers would choose it if it were offered.
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        let endpoint = Endpoint::https(&host, port);
        let connector = TlsConnector::from(Arc::new(config));
        Ok(Tls { host, port, name, connector, endpoint, proxy: self.proxy })
    }
}

/// A URL as it may be shown: who puts a name there may put a password there too.
fn without_login(url: &str) -> String {
    url.rsplit_once('@').map_or_else(|| url.to_owned(), |(_, host)| format!("https://***@{host}"))
}

fn host_and_port(url: &str) -> Result<(String, u16), Error> {
    let shown = without_login(url);
    let refuse = |why: &str| Error::invalid(format!("{shown:?} is no https URL of a server: {why}"));
    let uri: Uri = url.parse().map_err(|error| refuse("it does not parse").with_source(error))?;
    if uri.scheme_str() != Some("https") {
        return Err(refuse("it does not begin with https://"));
    }
    if uri.path() != "/" || uri.query().is_some() {
        return Err(refuse("it has a path or query"));
    }
    let authority = uri.authority().ok_or_else(|| refuse("it has no host"))?;
    if authority.as_str().contains('@') {
        return Err(refuse("it has a user name"));
    }
    let host = authority.host().trim_start_matches('[').trim_end_matches(']');
    if host.is_empty() {
        return Err(refuse("it has no host"));
    }
    Ok((host.to_owned(), authority.port_u16().unwrap_or(DEFAULT_PORT)))
}

impl Dial for Tls {
    fn dial(&self) -> BoxFuture<'_, Result<Box<dyn Io>, Error>> {
        Box::pin(async move {
            if let Some(proxy) = &self.proxy {
                return self.shake_hands(proxy.tunnel(self.endpoint.host_header()).await?).await;
            }
            let stream = TcpStream::connect((&*self.host, self.port))
                .await
                .map_err(|error| self.explain_tcp(error))?;
            // Requests are small and answered one by one; waiting for more to send would only delay them.
            stream.set_nodelay(true).map_err(|error| self.explain_tcp(error))?;
            self.shake_hands(stream).await
        })
    }

    fn endpoint(&self) -> &Endpoint {
        &self.endpoint
    }
}

impl Tls {
    async fn shake_hands(&self, stream: impl Io) -> Result<Box<dyn Io>, Error> {
        let stream = self.connector.connect(self.name.clone(), stream).await;
        Ok(Box::new(stream.map_err(|error| self.explain_tls(error))?))
    }

    fn explain_tcp(&self, error: io::Error) -> Error {
        let hint = match error.kind() {
            io::ErrorKind::ConnectionRefused => {
                "nobody listens there: is core.https_address set on the server?"
            }
            _ => "cannot connect",
        };
        Error::new(ErrorKind::Connect, format!("{}: {hint}", self.endpoint)).with_source(error)
    }

    fn explain_tls(&self, error: io::Error) -> Error {
        match tls_cause(&error) {
            Some(cause) => {
                Error::new(ErrorKind::Tls, format!("{}: {}", self.endpoint, why(cause))).with_source(error)
            }
            None => Error::new(
                ErrorKind::Connect,
                format!("{}: the connection broke in the TLS handshake", self.endpoint),
            )
            .with_source(error),
        }
    }
}

/// The TLS error behind an I/O error, if there is one.
pub(crate) fn tls_cause<'a>(error: &'a (dyn StdError + 'static)) -> Option<&'a TlsError> {
    let mut next = Some(error);
    while let Some(error) = next {
        if let Some(tls) = error.downcast_ref::<TlsError>() {
            return Some(tls);
        }
        // An I/O error shows the source of what it wraps, and not that itself.
        let wrapped = error.downcast_ref::<io::Error>().and_then(io::Error::get_ref);
        next = wrapped.map(|wrapped| wrapped as &(dyn StdError + 'static)).or_else(|| error.source());
    }
    None
}

/// Which check failed: pin, issuer, name, time or the server's own.
pub(crate) fn why(error: &TlsError) -> String {
    match error {
        TlsError::InvalidCertificate(CertificateError::BadSignature) => {
            "the TLS handshake failed: a signature is wrong, of the server's certificate or of the handshake"
                .to_owned()
        }
        TlsError::InvalidCertificate(CertificateError::UnknownIssuer) => {
            "the server's certificate is by an unknown issuer; a self-signed one wants to be pinned"
                .to_owned()
        }
        TlsError::InvalidCertificate(
            CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. },
        ) => "the server's certificate is for another name".to_owned(),
        TlsError::InvalidCertificate(CertificateError::Expired | CertificateError::ExpiredContext { .. }) => {
            "the server's certificate has expired".to_owned()
        }
        TlsError::InvalidCertificate(CertificateError::Other(other)) => other.to_string(),
        TlsError::AlertReceived(alert) => format!("the server refused the handshake: {alert:?}"),
        other => format!("the TLS handshake failed: {other}"),
    }
}

/// Whether the server ended the handshake because of the client's certificate, or for lack of one.
pub(crate) fn refuses_client(error: &TlsError) -> bool {
    use rustls::AlertDescription as Alert;
    matches!(
        error,
        TlsError::AlertReceived(
            Alert::CertificateRequired
                | Alert::BadCertificate
                | Alert::UnsupportedCertificate
                | Alert::CertificateRevoked
                | Alert::CertificateExpired
                | Alert::CertificateUnknown
                | Alert::UnknownCA
                | Alert::AccessDenied
                // The client could not prove that the certificate is its own.
                | Alert::DecryptError
        )
    )
}

impl fmt::Debug for TlsBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TlsBuilder")
            .field("url", &without_login(&self.url))
            .field("identity", &self.identity)
            .field("trust", &self.trust)
            .field("server_name", &self.server_name)
            .field("proxy", &self.proxy)
            .finish()
    }
}

impl fmt::Debug for Tls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let address = matches!(self.name, ServerName::IpAddress(IpAddr::V4(_) | IpAddr::V6(_)));
        f.debug_struct("Tls")
            .field("endpoint", &self.endpoint)
            .field("by_address", &address)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use rustls::AlertDescription;

    use super::*;

    #[test]
    fn only_a_refused_certificate_proves_that_nothing_was_read() {
        assert!(refuses_client(&TlsError::AlertReceived(AlertDescription::CertificateRequired)));
        for other in [TlsError::DecryptError, TlsError::AlertReceived(AlertDescription::InternalError)] {
            assert!(!refuses_client(&other));
        }
    }

    #[test]
    fn urls_are_read_or_refused_by_value() {
        for (url, expected) in [
            ("https://a.example", ("a.example", 8443)),
            ("https://10.0.0.7:9000/", ("10.0.0.7", 9000)),
            ("https://[::1]:1", ("::1", 1)),
        ] {
            let (host, port) = host_and_port(url).unwrap();
            assert_eq!((&*host, port), expected);
        }
        for url in
            ["", "10.0.0.7:8443", "http://a", "https://", "https://a/1.0", "https://a?x", "https://a b"]
        {
            let error = host_and_port(url).unwrap_err();
            assert!(
                error.kind() == ErrorKind::InvalidInput && error.to_string().contains(&format!("{url:?}")),
                "{error}"
            );
        }
        for url in ["https://me:secret@a", "https://me:se@secret@a"] {
            let error = host_and_port(url).unwrap_err().to_string();
            let builder = format!("{:?}", Tls::builder(url));
            for shown in [error, builder] {
                assert!(
                    shown.contains("***@a") && !shown.contains("se@") && !shown.contains("secret"),
                    "{shown}"
                );
            }
        }
    }
}
