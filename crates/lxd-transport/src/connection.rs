//! One HTTP/1.1 connection and the task that drives it.

use http::{Request, Response};
use hyper::{
    body::Incoming,
    client::conn::{
        TrySendError,
        http1::{Builder, SendRequest},
    },
};
use hyper_util::rt::TokioIo;
use tokio::{
    runtime::{Handle, Id},
    task::AbortHandle,
};

use crate::{Body, Dial, Error, ErrorKind, body::Upload, heard::Heard, watchdog::Watchdog};

/// An open connection. Dropping it ends its task and closes it at once, whatever was under way.
pub(crate) struct Connection {
    sender: SendRequest<Body>,
    driver: Option<AbortHandle>,
    watchdog: Watchdog,
    upload: Option<Upload>,
    /// A connection lives and dies with the runtime that drives it.
    runtime: Id,
}

impl Connection {
    /// Dials and begins to speak HTTP.
    pub(crate) async fn open(dial: &dyn Dial) -> Result<Self, Error> {
        let io = Heard::new(dial.dial().await?);
        let (sender, connection) = Builder::new().handshake(TokioIo::new(io)).await.map_err(|error| {
            Error::new(ErrorKind::Connect, "the connection broke at once").with_source(error)
        })?;
        // Whoever waits for an answer learns from the sender how the connection ended.
        let driver = tokio::spawn(async move { drop(connection.with_upgrades().await) });
        Ok(Self {
            sender,
            driver: Some(driver.abort_handle()),
            watchdog: Watchdog::default(),
            upload: None,
            runtime: Handle::current().id(),
        })
    }

    pub(crate) fn is_closed(&self) -> bool {
        self.sender.is_closed()
    }

    pub(crate) fn is_ready(&self) -> bool {
        self.sender.is_ready()
    }

    /// The runtime that drives the connection.
    pub(crate) fn runtime(&self) -> Id {
        self.runtime
    }

    /// Waits until the connection takes a request; false if it never will.
    pub(crate) async fn ready(&mut self) -> bool {
        self.sender.ready().await.is_ok()
    }

    /// Hands over a request.
    pub(crate) fn send(
        &mut self,
        mut request: Request<Body>,
    ) -> impl Future<Output = Result<Response<Incoming>, TrySendError<Request<Body>>>> + use<> {
        self.upload = request.body_mut().watch();
        self.sender.try_send_request(request)
    }

    /// The request's body on its way, if it goes out in pieces.
    pub(crate) fn upload(&self) -> Option<&Upload> {
        self.upload.as_ref()
    }

    /// The timer for the first byte of an answer, and the upload that keeps it from running out.
    pub(crate) fn watchdog(&mut self) -> (&mut Watchdog, Option<&Upload>) {
        (&mut self.watchdog, self.upload.as_ref())
    }

    /// Lets the connection go on without us: after an upgrade it belongs to somebody else.
    pub(crate) fn hand_over(mut self) {
        self.driver = None;
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        if let Some(driver) = &self.driver {
            driver.abort();
        }
    }
}
