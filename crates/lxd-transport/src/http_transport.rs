//! HTTP/1.1 over any dialer: connections, their reuse, time limits and what may be sent again.

use std::{
    fmt,
    future::poll_fn,
    pin::pin,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    task::{Poll, ready},
    time::Duration,
};

use http::{HeaderValue, Request, Response, StatusCode, Uri, header};
use hyper::{body::Incoming, client::conn::TrySendError};
use hyper_util::rt::TokioIo;
use tokio::time::{Instant, timeout, timeout_at};

use crate::{
    Body, BoxFuture, Dial, Endpoint, Error, ErrorKind, Io, Limits, OnUpgrade, Phase, Reached, Transport,
    body::Upload,
    connection::Connection,
    pool::{Lease, Pool},
    spare::Spare,
    watchdog::end_of,
};

const DIAL_TIMEOUT: Duration = Duration::from_secs(10);
const MAX_IDLE: usize = 8;
/// The servers close connections that were idle for 30 s; we are to be first.
const IDLE_TIME: Duration = Duration::from_secs(25);

/// HTTP/1.1 over any [`Dial`]: the transport for Unix sockets and TLS. Clones share their connections.
///
/// A few connections are kept for reuse, for 25 s at most. A request that could not be sent at all goes out on a
/// fresh connection. If a reused connection turns out to be dead, a `GET` or `HEAD` is sent once more; anything else
/// is an error with [`Reached::Maybe`], because the server may have begun. Redirects are not followed.
///
/// Use a client within one runtime. Another runtime gets connections of its own.
#[derive(Clone)]
pub struct HttpTransport(Arc<Shared>);

struct Shared {
    dial: Box<dyn Dial>,
    dial_timeout: Duration,
    host: HeaderValue,
    pool: Arc<Pool>,
}

/// Builds an [`HttpTransport`] with other than the default settings.
#[must_use = "a builder does nothing until `build` is called"]
pub struct HttpTransportBuilder {
    dial: Box<dyn Dial>,
    dial_timeout: Duration,
    max_idle: usize,
    idle_time: Duration,
}

impl HttpTransportBuilder {
    /// Bounds resolving, connecting and the handshake together. Default: 10 s.
    pub fn dial_timeout(mut self, limit: Duration) -> Self {
        self.dial_timeout = limit;
        self
    }

    /// Keeps at most so many idle connections. Default: 8. Zero turns reuse off.
    pub fn max_idle(mut self, connections: usize) -> Self {
        self.max_idle = connections;
        self
    }

    /// Closes a connection that was idle for so long. Default: 25 s, as servers close them after 30 s.
    pub fn idle_time(mut self, time: Duration) -> Self {
        self.idle_time = time;
        self
    }

    /// Builds the transport. Nothing is opened yet.
    ///
    /// # Errors
    /// [`InvalidInput`](ErrorKind::InvalidInput) for a time of zero, or an endpoint that no `Host` header can hold.
    pub fn build(self) -> Result<HttpTransport, Error> {
        if self.dial_timeout.is_zero() || self.idle_time.is_zero() {
            return Err(Error::invalid(
                "a dial timeout or idle time of zero; to keep no connections set max_idle to zero",
            ));
        }
        let host = self.dial.endpoint().host_header();
        let host = HeaderValue::try_from(host).map_err(|error| {
            Error::invalid(format!("{host:?} cannot stand in a Host header")).with_source(error)
        })?;
        Ok(HttpTransport::assemble(self, host))
    }
}

impl HttpTransport {
    /// With the default settings.
    #[must_use]
    pub fn new(dial: impl Dial) -> Self {
        // A host that cannot stand in a header is nobody's address either; dialling will say so.
        let host = HeaderValue::try_from(dial.endpoint().host_header());
        let host = host.unwrap_or_else(|_| HeaderValue::from_static("lxd"));
        Self::assemble(Self::builder(dial), host)
    }

    /// With settings of your own.
    pub fn builder(dial: impl Dial) -> HttpTransportBuilder {
        let dial = Box::new(dial);
        HttpTransportBuilder { dial, dial_timeout: DIAL_TIMEOUT, max_idle: MAX_IDLE, idle_time: IDLE_TIME }
    }

    /// Over the Unix socket at this path, with the default settings.
    #[cfg(feature = "unix")]
    #[must_use]
    pub fn unix(path: impl Into<std::path::PathBuf>) -> Self {
        Self::new(crate::Unix::new(path))
    }

    /// How many connections wait for their next request.
    #[must_use]
    pub fn idle_connections(&self) -> usize {
        self.0.pool.len()
    }

    fn assemble(builder: HttpTransportBuilder, host: HeaderValue) -> Self {
        let HttpTransportBuilder { dial, dial_timeout, max_idle, idle_time } = builder;
        Self(Arc::new(Shared { dial, dial_timeout, host, pool: Arc::new(Pool::new(max_idle, idle_time)) }))
    }
}

impl Transport for HttpTransport {
    fn send(&self, request: Request<Body>) -> BoxFuture<'_, Result<Response<Body>, Error>> {
        self.send_within(request, Limits::UNLIMITED)
    }

    fn send_within(
        &self,
        request: Request<Body>,
        limits: Limits,
    ) -> BoxFuture<'_, Result<Response<Body>, Error>> {
        let mut request = Some(request);
        Box::pin(async move { self.0.send(&mut request, limits).await })
    }

    fn endpoint(&self) -> &Endpoint {
        self.0.dial.endpoint()
    }
}

/// Why a request on one connection failed.
enum Failed {
    /// Not a byte left.
    Unsent(Error),
    /// It may have reached the server.
    Lost(Error),
    /// There is no point in trying again.
    Final(Error),
}

impl Shared {
    /// The futures of the usual path are kept small: what seldom happens is boxed where it begins, and the request
    /// stays in one place.
    async fn send(
        &self,
        request: &mut Option<Request<Body>>,
        limits: Limits,
    ) -> Result<Response<Body>, Error> {
        request.as_mut().map_or(Ok(()), |request| self.check(request, limits))?;
        let start = Instant::now();
        let (response, connection) = match limits.total {
            None => self.send_again_if_safe(request, limits, start, &AtomicBool::new(false)).await?,
            Some(total) => Box::pin(self.send_in_total(request, limits, start, total)).await?,
        };
        Ok(self.deliver(response, connection, limits, start))
    }

    fn check(&self, request: &mut Request<Body>, limits: Limits) -> Result<(), Error> {
        limits.check()?;
        check_target(request.uri())?;
        if !request.headers().contains_key(header::HOST) {
            request.headers_mut().insert(header::HOST, self.host.clone());
        }
        Ok(())
    }

    async fn send_in_total(
        &self,
        request: &mut Option<Request<Body>>,
        limits: Limits,
        start: Instant,
        total: Duration,
    ) -> Result<(Response<Incoming>, Connection), Error> {
        let under_way = AtomicBool::new(false);
        let sending = self.send_again_if_safe(request, limits, start, &under_way);
        timeout_at(end_of(total, start), sending).await.unwrap_or_else(|_| {
            let reached = if under_way.load(Ordering::Relaxed) { Reached::Maybe } else { Reached::No };
            Err(Error::timeout(Phase::Total, total).with_reached(reached))
        })
    }

    async fn send_again_if_safe(
        &self,
        request: &mut Option<Request<Body>>,
        limits: Limits,
        start: Instant,
        under_way: &AtomicBool,
    ) -> Result<(Response<Incoming>, Connection), Error> {
        if let Some(mut connection) = self.pool.checkout(start).await {
            let spare = request.as_ref().and_then(Spare::of_a_read);
            under_way.store(true, Ordering::Relaxed);
            match send_on(&mut connection, request, limits, start).await {
                Ok(response) => return Ok((response, connection)),
                Err(Failed::Unsent(_)) => {}
                Err(Failed::Lost(error)) => *request = Some(spare.ok_or(error)?.into_request()),
                Err(Failed::Final(error)) => return Err(error),
            }
        }
        under_way.store(false, Ordering::Relaxed);
        Box::pin(self.send_fresh(request, limits, under_way)).await
    }

    async fn send_fresh(
        &self,
        request: &mut Option<Request<Body>>,
        limits: Limits,
        under_way: &AtomicBool,
    ) -> Result<(Response<Incoming>, Connection), Error> {
        let opening = timeout(self.dial_timeout, Connection::open(&*self.dial)).await;
        let opened = opening.unwrap_or_else(|_| {
            let error = Error::timeout(Phase::Dial, self.dial_timeout);
            let message = format!("{}: {}", self.dial.endpoint(), error.message());
            Err(Error::new(error.kind(), message))
        });
        // Not a byte of the request has left, whatever the dialer says.
        let mut connection = opened.map_err(|error| error.with_reached(Reached::No))?;
        under_way.store(true, Ordering::Relaxed);
        match send_on(&mut connection, request, limits, Instant::now()).await {
            Ok(response) => Ok((response, connection)),
            Err(Failed::Unsent(error) | Failed::Lost(error) | Failed::Final(error)) => Err(error),
        }
    }

    /// Gives the body its limits and the way back to the pool, or lets go of an upgraded connection.
    fn deliver(
        &self,
        response: Response<Incoming>,
        connection: Connection,
        limits: Limits,
        start: Instant,
    ) -> Response<Body> {
        if response.status() == StatusCode::SWITCHING_PROTOCOLS {
            connection.hand_over();
            let mut response = response;
            let upgrade = hyper::upgrade::on(&mut response);
            let mut response = response.map(|_| Body::empty());
            response.extensions_mut().insert(OnUpgrade::new(async {
                let upgraded = upgrade.await.map_err(|error| {
                    let error = Error::new(ErrorKind::Interrupted, "the connection broke in the upgrade")
                        .with_source(error);
                    error.with_reached(Reached::Yes)
                })?;
                Ok(Box::new(TokioIo::new(upgraded)) as Box<dyn Io>)
            }));
            return response;
        }
        let lease = Lease::new(connection, &self.pool);
        response.map(|incoming| Body::incoming(incoming, lease).with_limits_since(limits, start))
    }
}

/// Callers say what they want of the server, and not where the server is.
fn check_target(uri: &Uri) -> Result<(), Error> {
    if uri.scheme().is_some() || uri.authority().is_some() {
        return Err(Error::invalid(format!(
            "the request target {uri} names a server; it has to be path and query only"
        )));
    }
    if !uri.path().starts_with('/') {
        return Err(Error::invalid(format!("the request target {uri} does not begin with \"/\"")));
    }
    Ok(())
}

/// Hands the request to the connection. A function of its own, since a future would keep room for what it gives away.
fn begin(
    connection: &mut Connection,
    request: &mut Option<Request<Body>>,
) -> Option<impl Future<Output = Result<Response<Incoming>, TrySendError<Request<Body>>>> + use<>> {
    Some(connection.send(request.take()?))
}

/// Sends the request; if not a byte of it left, it is put back.
async fn send_on(
    connection: &mut Connection,
    request: &mut Option<Request<Body>>,
    limits: Limits,
    now: Instant,
) -> Result<Response<Incoming>, Failed> {
    let Some(answering) = begin(connection, request) else {
        return Err(Failed::Final(Error::invalid("there is no request to send")));
    };
    let mut answering = pin!(answering);
    let (watchdog, upload) = connection.watchdog();
    let mut end = limits.first_byte.map(|limit| (limit, end_of(limit, now)));
    let answer = poll_fn(|cx| {
        if let Poll::Ready(answer) = answering.as_mut().poll(cx) {
            return Poll::Ready(Ok(answer));
        }
        let Some((limit, end)) = &mut end else { return Poll::Pending };
        loop {
            ready!(watchdog.poll_expired(cx, *end));
            // As long as the request's own body moves, nobody can expect an answer.
            match upload.and_then(Upload::last_chunk).map(|moved| end_of(*limit, moved)) {
                Some(later) if later > *end => *end = later,
                _ => {
                    return Poll::Ready(Err(
                        Error::timeout(Phase::FirstByte, *limit).with_reached(Reached::Maybe)
                    ));
                }
            }
        }
    });
    match answer.await {
        Ok(Ok(response)) => Ok(response),
        Ok(Err(mut failure)) => {
            *request = failure.take_message();
            Err(explain(failure.into_error(), request.is_some()))
        }
        Err(error) => Err(Failed::Final(error)),
    }
}

fn explain(error: hyper::Error, unsent: bool) -> Failed {
    if unsent {
        let message = "the connection closed before the request could be sent";
        return Failed::Unsent(Error::new(ErrorKind::Interrupted, message).with_source(error));
    }
    #[cfg(feature = "tls")]
    if let Some(cause) = crate::dial::tls::tls_cause(&error) {
        // With TLS 1.3 a server refuses the client's certificate only after the client is done with the handshake, and
        // then has read nothing of the request. Of any other trouble with TLS that can't be said.
        let reached = if crate::dial::tls::refuses_client(cause) { Reached::No } else { Reached::Maybe };
        let message = crate::dial::tls::why(cause);
        return Failed::Final(Error::new(ErrorKind::Tls, message).with_source(error).with_reached(reached));
    }
    if error.is_parse() {
        let error = Error::new(ErrorKind::Interrupted, "what came back is not HTTP").with_source(error);
        return Failed::Final(error.with_reached(Reached::Yes));
    }
    match own_cause(&error) {
        Some((kind, message)) => {
            Failed::Final(Error::new(kind, message).with_source(error).with_reached(Reached::Maybe))
        }
        None => {
            let error = Error::new(ErrorKind::Interrupted, "the connection broke before the answer came")
                .with_source(error);
            Failed::Lost(error.with_reached(Reached::Maybe))
        }
    }
}

/// Trouble that began in the source of the request's body.
fn own_cause(error: &hyper::Error) -> Option<(ErrorKind, String)> {
    let cause = std::error::Error::source(error)?.downcast_ref::<Error>()?;
    Some((cause.kind(), cause.message().to_owned()))
}

impl fmt::Debug for HttpTransport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HttpTransport")
            .field("endpoint", self.0.dial.endpoint())
            .field("idle_connections", &self.idle_connections())
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for HttpTransportBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HttpTransportBuilder").field("endpoint", self.dial.endpoint()).finish_non_exhaustive()
    }
}
