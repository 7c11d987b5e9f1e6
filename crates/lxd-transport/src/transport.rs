//! The contract of a transport.

use std::{
    future::Future,
    pin::{Pin, pin},
    sync::Arc,
};

use http::{Request, Response};
use tokio::time::{Instant, timeout_at};

use crate::{Body, Endpoint, Error, Limits, Phase, Reached, body::Upload, watchdog::end_of};

/// A boxed future that can travel between threads.
pub type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// Takes a request to a server and brings back its answer.
///
/// Implement [`send`](Self::send) and [`endpoint`](Self::endpoint); time limits come for free. Upgrades pass through
/// as an [`OnUpgrade`](crate::OnUpgrade) in the extensions of the answer.
///
/// ```
/// use lxd_transport::{Body, BoxFuture, Endpoint, Error, Transport, http::{Request, Response}};
///
/// /// Answers from memory.
/// struct Canned(Endpoint);
///
/// impl Transport for Canned {
///     fn send(&self, request: Request<Body>) -> BoxFuture<'_, Result<Response<Body>, Error>> {
///         Box::pin(async move {
///             let body = format!(r#"{{"type":"sync","metadata":"you asked for {}"}}"#, request.uri());
///             Ok(Response::new(Body::from(body)))
///         })
///     }
///
///     fn endpoint(&self) -> &Endpoint {
///         &self.0
///     }
/// }
/// # let _ = Canned(Endpoint::custom("memory"));
/// ```
pub trait Transport: Send + Sync + 'static {
    /// Sends a request whose URI is path and query only, and resolves once the head of the answer is there. Any
    /// status is `Ok`; an error means that there is no usable answer.
    ///
    /// Dropping the future gives the request up and must leave nothing running.
    fn send(&self, request: Request<Body>) -> BoxFuture<'_, Result<Response<Body>, Error>>;

    /// The same within time limits, which also go along with the body of the answer.
    ///
    /// The provided method puts a timer around [`send`](Self::send). A transport that knows its phases better, such
    /// as [`HttpTransport`](crate::HttpTransport), overrides it.
    fn send_within(
        &self,
        mut request: Request<Body>,
        limits: Limits,
    ) -> BoxFuture<'_, Result<Response<Body>, Error>> {
        let upload = request.body_mut().watch();
        let sending = self.send(request);
        Box::pin(guard(sending, limits, upload, || false))
    }

    /// Where the server is.
    fn endpoint(&self) -> &Endpoint;
}

/// Puts `first_byte` and `total` around a request, and `idle` and `total` into the body of its answer. Where it turns
/// out that something below keeps the limits, phase by phase, that is left to it.
pub(crate) async fn guard(
    sending: impl Future<Output = Result<Response<Body>, Error>>,
    limits: Limits,
    upload: Option<Upload>,
    kept_below: impl Fn() -> bool,
) -> Result<Response<Body>, Error> {
    limits.check()?;
    let start = Instant::now();
    let mut sending = pin!(sending);
    let moved = || upload.as_ref().and_then(Upload::last_chunk).unwrap_or(start);
    let response = loop {
        // As long as the request's own body moves, nobody can expect an answer.
        let since = moved();
        let ends = [(Phase::FirstByte, limits.first_byte, since), (Phase::Total, limits.total, start)];
        let ends = ends.into_iter().filter_map(|(phase, limit, since)| {
            let limit = limit?;
            Some((phase, limit, end_of(limit, since)))
        });
        let Some((phase, limit, end)) = ends.min_by_key(|(.., end)| *end) else { break sending.await? };
        match timeout_at(end, &mut sending).await {
            Ok(response) => break response?,
            Err(_) if kept_below() => break sending.await?,
            Err(_) if phase == Phase::FirstByte && moved() > since => {}
            Err(_) => return Err(Error::timeout(phase, limit).with_reached(Reached::Maybe)),
        }
    };
    if kept_below() {
        return Ok(response);
    }
    Ok(response.map(|body| body.with_limits_since(limits, start)))
}

macro_rules! forward {
    ($($pointer:ident),*) => { $(
        impl<T: Transport + ?Sized> Transport for $pointer<T> {
            fn send(&self, request: Request<Body>) -> BoxFuture<'_, Result<Response<Body>, Error>> {
                (**self).send(request)
            }

            fn send_within(&self, request: Request<Body>, limits: Limits) -> BoxFuture<'_, Result<Response<Body>, Error>> {
                (**self).send_within(request, limits)
            }

            fn endpoint(&self) -> &Endpoint {
                (**self).endpoint()
            }
        }
    )* };
}
forward!(Arc, Box);
