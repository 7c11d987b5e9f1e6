//! A tunnel through an HTTP proxy.

use std::fmt;

use http::{HeaderValue, Method, Request, StatusCode, Uri, header};
use hyper::upgrade::Upgraded;
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;

use crate::{Body, Error, ErrorKind};

const DEFAULT_PORT: u16 = 8080;

/// An HTTP proxy that opens tunnels (`CONNECT`). What goes through one is encrypted from end to end.
///
/// The variables `https_proxy` and the like are not looked at: a program that wants to go by them reads them itself.
///
/// ```
/// # fn example() -> Result<(), lxd_transport::Error> {
/// use lxd_transport::{Proxy, ServerTrust, Tls};
///
/// let proxy = Proxy::new("http://proxy.example:3128")?.with_authorization("Basic dXNlcjpwYXNzd29yZA==")?;
/// let tls = Tls::builder("https://10.0.0.7:8443")
///     .trust(ServerTrust::fingerprint("12ab34cd12ab34cd12ab34cd12ab34cd12ab34cd12ab34cd12ab34cd12ab34cd")?)
///     .proxy(proxy)
///     .build()?;
/// # Ok(()) }
/// ```
#[derive(Clone)]
pub struct Proxy {
    host: String,
    port: u16,
    authorization: Option<HeaderValue>,
}

impl Proxy {
    /// A proxy by its URL: `http://host[:port]`, port 8080 unless given.
    ///
    /// # Errors
    /// [`InvalidInput`](ErrorKind::InvalidInput) for a URL of another form. Credentials go into
    /// [`with_authorization`](Self::with_authorization), not into the URL, which ends up in logs.
    pub fn new(url: &str) -> Result<Self, Error> {
        if url.contains('@') {
            return Err(Error::invalid(
                "the URL of the proxy has a user name, which belongs into Proxy::with_authorization",
            ));
        }
        let refuse = |why: &str| Error::invalid(format!("{url:?} is no URL of an HTTP proxy: {why}"));
        let uri: Uri = url.parse().map_err(|error| refuse("it does not parse").with_source(error))?;
        if uri.scheme_str() != Some("http") {
            return Err(refuse("it does not begin with http://"));
        }
        if uri.path() != "/" || uri.query().is_some() {
            return Err(refuse("it has a path or query"));
        }
        let host = uri.host().unwrap_or_default().trim_start_matches('[').trim_end_matches(']');
        if host.is_empty() {
            return Err(refuse("it has no host"));
        }
        Ok(Self { host: host.to_owned(), port: uri.port_u16().unwrap_or(DEFAULT_PORT), authorization: None })
    }

    /// What the proxy is shown (`Proxy-Authorization`), scheme included.
    ///
    /// # Errors
    /// [`InvalidInput`](ErrorKind::InvalidInput) for what no header can hold.
    pub fn with_authorization(mut self, value: &str) -> Result<Self, Error> {
        let mut value = HeaderValue::try_from(value)
            .map_err(|_| Error::invalid("the authorization for the proxy cannot stand in a header"))?;
        value.set_sensitive(true);
        self.authorization = Some(value);
        Ok(self)
    }

    /// Opens a tunnel to an address.
    pub(crate) async fn tunnel(&self, authority: &str) -> Result<TokioIo<Upgraded>, Error> {
        let stream = TcpStream::connect((&*self.host, self.port))
            .await
            .map_err(|error| self.error("cannot connect").with_source(error))?;
        stream.set_nodelay(true).map_err(|error| self.error("cannot connect").with_source(error))?;
        let broke = |error| self.error("the connection broke before there was a tunnel").with_source(error);
        let (mut sender, connection) =
            hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.map_err(broke)?;
        // It ends by itself: an open tunnel is handed over, and without one there is nobody left to wait for.
        tokio::spawn(async move { drop(connection.with_upgrades().await) });
        let mut request = Request::new(Body::empty());
        *request.method_mut() = Method::CONNECT;
        *request.uri_mut() = authority
            .parse()
            .map_err(|error| self.error("the server's address makes no tunnel").with_source(error))?;
        let host = HeaderValue::try_from(authority)
            .map_err(|error| self.error("the server's address makes no tunnel").with_source(error))?;
        request.headers_mut().insert(header::HOST, host);
        if let Some(authorization) = &self.authorization {
            request.headers_mut().insert(header::PROXY_AUTHORIZATION, authorization.clone());
        }
        let response = sender.send_request(request).await.map_err(broke)?;
        match response.status() {
            status if status.is_success() => {}
            StatusCode::PROXY_AUTHENTICATION_REQUIRED => {
                return Err(self.error("it wants an authorization; see Proxy::with_authorization"));
            }
            status => return Err(self.error(&format!("it opens no tunnel to {authority}: {status}"))),
        }
        hyper::upgrade::on(response).await.map(TokioIo::new).map_err(broke)
    }

    fn error(&self, what: &str) -> Error {
        Error::new(ErrorKind::Connect, format!("the proxy {}:{}: {what}", self.host, self.port))
    }
}

impl fmt::Debug for Proxy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Proxy")
            .field("host", &self.host)
            .field("port", &self.port)
            .field("authorization", &self.authorization.is_some())
            .finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_are_read_or_refused() {
        let proxy = Proxy::new("http://[::1]").unwrap();
        assert_eq!((&*proxy.host, proxy.port), ("::1", 8080));
        for url in ["", "proxy:3128", "https://proxy", "http://", "http://proxy/x", "http://proxy?x"] {
            let error = Proxy::new(url).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::InvalidInput);
            assert!(error.to_string().contains(&format!("{url:?}")), "{error}");
        }
        let error = Proxy::new("http://me:secret@proxy").unwrap_err().to_string();
        assert!(error.contains("with_authorization") && !error.contains("secret"), "{error}");
    }

    #[test]
    fn credentials_do_not_show() {
        let proxy = Proxy::new("http://proxy").unwrap().with_authorization("Basic c2VjcmV0").unwrap();
        assert!(!format!("{proxy:?}").contains("c2VjcmV0"));
        assert!(proxy.with_authorization("a\nb").is_err());
    }
}
