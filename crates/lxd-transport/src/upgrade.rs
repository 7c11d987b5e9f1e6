//! Connections that stop speaking HTTP: websockets and other upgrades.

use std::{
    fmt, io,
    pin::Pin,
    sync::{Arc, Mutex, PoisonError},
    task::{Context, Poll},
};

use http::{Response, StatusCode};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use crate::{Body, BoxFuture, Error, ErrorKind, Io, Reached};

/// The promise of a raw connection, in the extensions of a `101 Switching Protocols`.
///
/// [`HttpTransport`](crate::HttpTransport) puts it there. So can a transport of your own:
///
/// ```
/// use lxd_transport::{Body, Io, OnUpgrade, http::Response};
///
/// # fn example(stream: tokio::io::DuplexStream) {
/// let mut response = Response::new(Body::empty());
/// response.extensions_mut().insert(OnUpgrade::new(async { Ok(Box::new(stream) as Box<dyn Io>) }));
/// # }
/// ```
#[derive(Clone)]
pub struct OnUpgrade(Arc<Mutex<Option<Arriving>>>);

type Arriving = BoxFuture<'static, Result<Box<dyn Io>, Error>>;

impl OnUpgrade {
    /// A connection that this future will bring.
    pub fn new(connection: impl Future<Output = Result<Box<dyn Io>, Error>> + Send + 'static) -> Self {
        Self(Arc::new(Mutex::new(Some(Box::pin(connection)))))
    }

    fn take(&self) -> Option<Arriving> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

impl fmt::Debug for OnUpgrade {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("OnUpgrade")
    }
}

/// Takes over the connection after a `101 Switching Protocols`.
///
/// # Errors
/// [`Interrupted`](ErrorKind::Interrupted) for an answer with any other status, or whose connection was taken
/// already or broke.
pub async fn upgrade(response: Response<Body>) -> Result<Upgraded, Error> {
    let status = response.status();
    if status != StatusCode::SWITCHING_PROTOCOLS {
        let message = format!("the server did not switch protocols but answered {status}");
        return Err(Error::new(ErrorKind::Interrupted, message).with_reached(Reached::Yes));
    }
    match response.extensions().get::<OnUpgrade>().and_then(OnUpgrade::take) {
        Some(connection) => Ok(Upgraded(connection.await?)),
        None => {
            let message = "the transport brought no connection along with the upgrade";
            Err(Error::new(ErrorKind::Interrupted, message).with_reached(Reached::Yes))
        }
    }
}

/// A raw connection. Dropping it closes it.
pub struct Upgraded(Box<dyn Io>);

impl AsyncRead for Upgraded {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut *self.0).poll_read(cx, buf)
    }
}

impl AsyncWrite for Upgraded {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut *self.0).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut *self.0).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut *self.0).poll_shutdown(cx)
    }
}

impl fmt::Debug for Upgraded {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Upgraded")
    }
}
