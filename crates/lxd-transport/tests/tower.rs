//! Stacks of services as transports, with errors and limits that come through whole.

#![cfg(feature = "tower")]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    missing_docs,
    reason = "a test fails by panicking"
)]

mod support;

use std::{
    convert::Infallible,
    error::Error as StdError,
    future::{pending, ready},
    sync::{Arc, Mutex},
    time::Duration,
};

use lxd_transport::{
    Body, BoxFuture, Dial, Endpoint, Error, ErrorKind, HttpTransport, Io, Limits, OnUpgrade, Phase, Reached,
    Transport,
    http::{Request, Response, StatusCode},
    tower::{Tower, TransportService},
    upgrade,
};
use tokio::{
    io::{DuplexStream, duplex},
    sync::mpsc,
    time::sleep,
};
use tower::{
    limit::ConcurrencyLimit,
    service_fn,
    timeout::{Timeout, error::Elapsed},
    util::MapRequest,
};

use self::support::{Chunks, Peer, get, ms, post, run, text};

const SOON: Duration = Duration::from_millis(80);
const LATE: Duration = Duration::from_secs(60);

/// Dials pipes to a server, or to nowhere once nobody takes their other ends.
struct Pipes {
    endpoint: Endpoint,
    server: mpsc::UnboundedSender<DuplexStream>,
}

impl Dial for Pipes {
    fn dial(&self) -> BoxFuture<'_, Result<Box<dyn Io>, Error>> {
        Box::pin(async {
            let (ours, theirs) = duplex(4096);
            let taken = self.server.send(theirs);
            taken.map_err(|_| Error::new(ErrorKind::Connect, "nobody takes the pipe"))?;
            Ok(Box::new(ours) as Box<dyn Io>)
        })
    }

    fn endpoint(&self) -> &Endpoint {
        &self.endpoint
    }
}

type Dialled = mpsc::UnboundedReceiver<DuplexStream>;

fn pipes() -> (HttpTransport, Dialled) {
    let (server, dialled) = mpsc::unbounded_channel();
    (HttpTransport::new(Pipes { endpoint: Endpoint::custom("pipes"), server }), dialled)
}

async fn accept(dialled: &mut Dialled) -> Peer<DuplexStream> {
    Peer::new(dialled.recv().await.unwrap())
}

/// Two layers over a transport, and that as a transport again.
fn stacked(base: HttpTransport) -> impl Transport {
    let endpoint = base.endpoint().clone();
    let named = MapRequest::new(TransportService::new(base), |mut request: Request<Body>| {
        request.headers_mut().insert("x-layer", "passed".parse().unwrap());
        request
    });
    Tower::new(ConcurrencyLimit::new(named, 4), endpoint)
}

#[track_caller]
fn assert_ended(error: &Error, phase: Phase, reached: Reached) {
    assert_eq!((error.kind(), error.reached()), (ErrorKind::Timeout(phase), reached), "{error:#}");
}

#[test]
fn a_stack_over_http_works() {
    run(async {
        let (base, mut dialled) = pipes();
        let server = tokio::spawn(async move {
            let mut peer = accept(&mut dialled).await;
            let mut seen = Vec::new();
            for answer in ["one", "two"] {
                seen.push(peer.request().await.unwrap());
                peer.answer(answer).await;
            }
            (peer, seen)
        });
        let transport = stacked(base.clone());
        assert_eq!(text(transport.send(get("/1.0")).await.unwrap()).await.unwrap(), "one");
        let answer = transport.send_within(post("{}"), Limits::METADATA).await.unwrap();
        assert_eq!(text(answer).await.unwrap(), "two");
        assert_eq!(base.idle_connections(), 1);
        assert_eq!(transport.endpoint().to_string(), "pipes");
        let (_open, seen) = server.await.unwrap();
        for seen in seen {
            assert!(seen.contains("x-layer: passed\r\n"), "{seen}");
        }
    });
}

#[test]
fn stacks_may_stand_on_stacks() {
    run(async {
        let (base, mut dialled) = pipes();
        tokio::spawn(async move { accept(&mut dialled).await.closed().await });
        let transport = Tower::new(TransportService::new(stacked(base)), Endpoint::custom("high"));
        let limits = Limits::UNLIMITED.with_first_byte(SOON);
        let error = transport.send_within(get("/1.0"), limits).await.unwrap_err();
        assert_ended(&error, Phase::FirstByte, Reached::Maybe);
    });
}

#[test]
fn the_error_of_a_layer_arrives_with_its_cause() {
    run(async {
        let (base, mut dialled) = pipes();
        let server = tokio::spawn(async move {
            let mut peer = accept(&mut dialled).await;
            peer.request().await.unwrap();
            peer.closed().await;
        });
        let stack = Timeout::new(TransportService::new(base), SOON);
        let transport = Tower::new(stack, Endpoint::custom("stack"));
        let error = transport.send(get("/1.0")).await.unwrap_err();
        assert_eq!((error.kind(), error.reached()), (ErrorKind::Other, Reached::Maybe));
        assert!(error.source().is_some_and(|source| source.is::<Elapsed>()), "{error:?}");
        server.await.unwrap();
    });
}

#[test]
fn our_own_errors_keep_their_kind_through_a_stack() {
    run(async {
        let (base, dialled) = pipes();
        drop(dialled);
        // This layer boxes every error that passes.
        let stack = Timeout::new(TransportService::new(base), LATE);
        let transport = Tower::new(stack, Endpoint::custom("stack"));
        let error = transport.send(get("/1.0")).await.unwrap_err();
        assert_eq!((error.kind(), error.reached()), (ErrorKind::Connect, Reached::No));
        assert_eq!(error.message(), "nobody takes the pipe");
        let error = transport.send(get("http://elsewhere/")).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidInput);
    });
}

#[test]
fn errors_in_a_body_keep_their_kind_through_a_stack() {
    run(async {
        let (base, mut dialled) = pipes();
        tokio::spawn(async move {
            let mut peer = accept(&mut dialled).await;
            peer.request().await.unwrap();
            peer.write("HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nabc").await.unwrap();
        });
        let answer = stacked(base).send(get("/1.0")).await.unwrap();
        let error = text(answer).await.unwrap_err();
        assert_eq!((error.kind(), error.reached()), (ErrorKind::Interrupted, Reached::Yes));
    });
}

#[test]
fn the_first_byte_of_a_moving_upload_is_measured_below_the_stack() {
    run(async {
        let (base, mut dialled) = pipes();
        tokio::spawn(async move {
            let mut peer = accept(&mut dialled).await;
            peer.request().await.unwrap();
            peer.answer("got it").await;
        });
        let (sender, receiver) = mpsc::channel(1);
        tokio::spawn(async move {
            for _ in 0..20 {
                sleep(ms(50)).await;
                sender.send("chunk").await.unwrap();
            }
        });
        let limits = Limits::UNLIMITED.with_first_byte(ms(400));
        let request = post(Body::from_stream(Chunks(receiver)));
        let answer = stacked(base).send_within(request, limits).await.unwrap();
        assert_eq!(text(answer).await.unwrap(), "got it");
    });
}

#[test]
fn silence_in_an_answer_ends_in_time_through_a_stack() {
    run(async {
        let (base, mut dialled) = pipes();
        let server = tokio::spawn(async move {
            let mut peer = accept(&mut dialled).await;
            peer.request().await.unwrap();
            peer.write("HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nabc").await.unwrap();
            peer.closed().await;
        });
        let limits = Limits::UNLIMITED.with_idle(SOON).with_total(LATE);
        let answer = stacked(base).send_within(get("/1.0"), limits).await.unwrap();
        assert_ended(&text(answer).await.unwrap_err(), Phase::Idle, Reached::Yes);
        server.await.unwrap();
    });
}

#[test]
fn the_total_is_kept_through_a_stack() {
    run(async {
        let (base, mut dialled) = pipes();
        let server = tokio::spawn(async move {
            let mut peer = accept(&mut dialled).await;
            peer.request().await.unwrap();
            peer.closed().await;
        });
        let limits = Limits::UNLIMITED.with_total(SOON);
        let error = stacked(base).send_within(get("/1.0"), limits).await.unwrap_err();
        assert_ended(&error, Phase::Total, Reached::Maybe);
        server.await.unwrap();
    });
}

#[test]
fn waiting_in_a_layer_counts_too() {
    run(async {
        let (base, mut dialled) = pipes();
        tokio::spawn(async move { accept(&mut dialled).await.closed().await });
        let transport = Arc::new(Tower::new(
            ConcurrencyLimit::new(TransportService::new(base), 1),
            Endpoint::custom("narrow"),
        ));
        let first = Arc::clone(&transport);
        let blocking = tokio::spawn(async move { first.send(get("/first")).await });
        // The first one takes the only place when it runs.
        tokio::task::yield_now().await;
        let limits = Limits::UNLIMITED.with_total(SOON);
        let error = transport.send_within(get("/second"), limits).await.unwrap_err();
        assert!(matches!(error.kind(), ErrorKind::Timeout(Phase::Total)), "{error:?}");
        blocking.abort();
    });
}

#[test]
fn a_limit_of_zero_is_refused_before_the_stack() {
    run(async {
        let called = Arc::new(Mutex::new(0));
        let count = Arc::clone(&called);
        let service = service_fn(move |_: Request<Body>| {
            *count.lock().unwrap() += 1;
            ready(Ok::<_, Infallible>(Response::new(Body::empty())))
        });
        let transport = Tower::new(service, Endpoint::custom("service"));
        let limits = Limits::METADATA.with_idle(Duration::ZERO);
        let error = transport.send_within(get("/1.0"), limits).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidInput);
        assert_eq!(*called.lock().unwrap(), 0);
    });
}

#[test]
fn a_service_with_no_transport_below_ends_by_its_limits() {
    run(async {
        let service = service_fn(|_: Request<Body>| pending::<Result<Response<Body>, Infallible>>());
        let transport = Tower::new(service, Endpoint::custom("silent"));
        for (limits, phase) in [
            (Limits::UNLIMITED.with_first_byte(SOON).with_total(LATE), Phase::FirstByte),
            (Limits::UNLIMITED.with_first_byte(LATE).with_total(SOON), Phase::Total),
        ] {
            let error = transport.send_within(get("/1.0"), limits).await.unwrap_err();
            assert_ended(&error, phase, Reached::Maybe);
        }
    });
}

#[test]
fn a_service_whose_body_stalls_ends_by_its_limits() {
    run(async {
        let service = service_fn(|_: Request<Body>| {
            let (sender, receiver) = mpsc::channel(1);
            tokio::spawn(async move { sender.closed().await });
            ready(Ok::<_, Infallible>(Response::new(Body::from_stream(Chunks(receiver)))))
        });
        let transport = Tower::new(service, Endpoint::custom("stalling"));
        let answer = transport.send_within(get("/1.0"), Limits::UNLIMITED.with_idle(SOON)).await.unwrap();
        assert_ended(&text(answer).await.unwrap_err(), Phase::Idle, Reached::Yes);
    });
}

#[test]
fn an_upgrade_passes_through_a_stack() {
    run(async {
        let (base, mut dialled) = pipes();
        tokio::spawn(async move {
            let mut peer = accept(&mut dialled).await;
            peer.request().await.unwrap();
            let head = "HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: x\r\n\r\n";
            peer.write(head).await.unwrap();
            peer.write("hello").await.unwrap();
            peer.closed().await;
        });
        let mut request = get("/ws");
        request.headers_mut().insert("connection", "upgrade".parse().unwrap());
        request.headers_mut().insert("upgrade", "x".parse().unwrap());
        let answer = stacked(base).send_within(request, Limits::METADATA).await.unwrap();
        assert_eq!(answer.status(), StatusCode::SWITCHING_PROTOCOLS);
        assert!(answer.extensions().get::<OnUpgrade>().is_some());
        let mut upgraded = Peer::new(upgrade(answer).await.unwrap());
        assert_eq!(upgraded.take(5).await.unwrap(), "hello");
    });
}
