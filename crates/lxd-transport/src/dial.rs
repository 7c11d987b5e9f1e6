//! The contract below HTTP: where the bytes go.

#[cfg(feature = "tls")]
pub(crate) mod proxy;
#[cfg(feature = "tls")]
pub(crate) mod tls;
#[cfg(feature = "unix")]
pub(crate) mod unix;

use tokio::io::{AsyncRead, AsyncWrite};

use crate::{BoxFuture, Endpoint, Error};

/// A stream of bytes in both directions. Everything that tokio can read and write is one.
pub trait Io: AsyncRead + AsyncWrite + Send + Unpin + 'static {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin + 'static> Io for T {}

/// Opens streams of bytes to one server.
///
/// ```
/// use lxd_transport::{BoxFuture, Dial, Endpoint, Error, HttpTransport, Io};
/// use tokio::net::TcpStream;
///
/// /// Through a tunnel that somebody else keeps open.
/// struct Tunnel(Endpoint);
///
/// impl Dial for Tunnel {
///     fn dial(&self) -> BoxFuture<'_, Result<Box<dyn Io>, Error>> {
///         Box::pin(async { Ok(Box::new(TcpStream::connect("127.0.0.1:2222").await?) as Box<dyn Io>) })
///     }
///
///     fn endpoint(&self) -> &Endpoint {
///         &self.0
///     }
/// }
///
/// let transport = HttpTransport::new(Tunnel(Endpoint::custom("tunnel")));
/// ```
pub trait Dial: Send + Sync + 'static {
    /// Opens one stream. [`HttpTransport`](crate::HttpTransport) bounds the time and keeps streams for reuse.
    fn dial(&self) -> BoxFuture<'_, Result<Box<dyn Io>, Error>>;

    /// Where the server is.
    fn endpoint(&self) -> &Endpoint;
}
