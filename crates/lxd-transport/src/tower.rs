//! Tower services as transports, and transports as tower services.
//!
//! [`Tower`] makes a [`Transport`] out of any stack that ends in a service;
//! [`TransportService`] is what such a stack can stand on to reach a real server:
//!
//! ```
//! use lxd_transport::{HttpTransport, Transport, tower::{Tower, TransportService}};
//! use tower::limit::ConcurrencyLimit;
//!
//! # #[cfg(feature = "unix")] {
//! let base = HttpTransport::unix("/var/lib/lxd/unix.socket");
//! let endpoint = base.endpoint().clone();
//! let transport = Tower::new(ConcurrencyLimit::new(TransportService::new(base), 4), endpoint);
//! # }
//! ```

use std::{
    error::Error as StdError,
    fmt,
    future::poll_fn,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    task::{Context, Poll},
};

use bytes::Bytes;
use http::{Request, Response};
use tower_service::Service;

use crate::{Body, BoxFuture, Endpoint, Error, ErrorKind, Limits, Reached, Transport, transport::guard};

/// Limits on their way through a stack of services, to a [`TransportService`] that keeps them exactly.
#[derive(Clone)]
struct Passed {
    limits: Limits,
    taken: Arc<AtomicBool>,
}

/// A tower service as a transport. The service is cloned for each request.
#[derive(Clone)]
pub struct Tower<S> {
    service: S,
    endpoint: Endpoint,
}

impl<S> Tower<S> {
    /// The service, and where it leads.
    pub fn new(service: S, endpoint: Endpoint) -> Self {
        Self { service, endpoint }
    }
}

impl<S, B> Transport for Tower<S>
where
    S: Service<Request<Body>, Response = Response<B>> + Clone + Send + Sync + 'static,
    S::Future: Send,
    S::Error: Into<Box<dyn StdError + Send + Sync>>,
    B: http_body::Body<Data = Bytes> + Send + 'static,
    B::Error: Into<Box<dyn StdError + Send + Sync>>,
{
    fn send(&self, request: Request<Body>) -> BoxFuture<'_, Result<Response<Body>, Error>> {
        let mut service = self.service.clone();
        Box::pin(async move {
            poll_fn(|cx| service.poll_ready(cx)).await.map_err(|error| stack_failed(error, Reached::No))?;
            let response =
                service.call(request).await.map_err(|error| stack_failed(error, Reached::Maybe))?;
            Ok(response.map(Body::new))
        })
    }

    fn send_within(
        &self,
        mut request: Request<Body>,
        limits: Limits,
    ) -> BoxFuture<'_, Result<Response<Body>, Error>> {
        let taken = Arc::new(AtomicBool::new(false));
        request.extensions_mut().insert(Passed { limits, taken: Arc::clone(&taken) });
        let upload = request.body_mut().watch();
        let sending = self.send(request);
        Box::pin(guard(sending, limits, upload, move || taken.load(Ordering::Relaxed)))
    }

    fn endpoint(&self) -> &Endpoint {
        &self.endpoint
    }
}

/// An error of ours keeps its kind on the way up through a stack.
fn stack_failed(error: impl Into<Box<dyn StdError + Send + Sync>>, reached: Reached) -> Error {
    match error.into().downcast::<Error>() {
        Ok(ours) => *ours,
        Err(other) => Error::new(ErrorKind::Other, "a layer above the transport failed")
            .with_source(other)
            .with_reached(reached),
    }
}

impl<S> fmt::Debug for Tower<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tower").field("endpoint", &self.endpoint).finish_non_exhaustive()
    }
}

/// A transport as a tower service, always ready.
#[derive(Debug)]
pub struct TransportService<T>(Arc<T>);

impl<T: Transport> TransportService<T> {
    /// The transport to stand on.
    pub fn new(transport: T) -> Self {
        Self(Arc::new(transport))
    }
}

impl<T> Clone for TransportService<T> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<T: Transport> Service<Request<Body>> for TransportService<T> {
    type Response = Response<Body>;
    type Error = Error;
    type Future = BoxFuture<'static, Result<Response<Body>, Error>>;

    fn poll_ready(&mut self, _cx: &mut Context<'_>) -> Poll<Result<(), Error>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, mut request: Request<Body>) -> Self::Future {
        let transport = Arc::clone(&self.0);
        let limits = request.extensions_mut().remove::<Passed>().map(|passed| {
            passed.taken.store(true, Ordering::Relaxed);
            passed.limits
        });
        Box::pin(async move { transport.send_within(request, limits.unwrap_or(Limits::METADATA)).await })
    }
}
