//! Every call ends, and what is given up leaves nothing behind.

#![cfg(feature = "unix")]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    missing_docs,
    reason = "a test fails by panicking"
)]

mod support;

use std::{
    future::pending,
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};

use futures_core::Stream;
use lxd_transport::{
    Body, BoxFuture, Dial, Endpoint, Error, ErrorKind, HttpTransport, Io, Limits, Phase, Reached, Transport,
    bytes::Bytes,
    http::{Request, Response},
};
use tokio::{
    net::UnixStream,
    sync::{mpsc, oneshot},
    task::JoinHandle,
    time::{Instant, sleep},
};

use self::support::{Chunks, Peer, Socket, accept, get, ms, post, run, text};

const SOON: Duration = Duration::from_millis(80);
const LATE: Duration = Duration::from_secs(60);

/// A transport to a server that does this with its first connection, once a request has come.
fn against<F>(server: impl FnOnce(Peer<UnixStream>) -> F + Send + 'static) -> (HttpTransport, JoinHandle<()>)
where
    F: Future<Output = ()> + Send,
{
    let socket = Socket::new();
    let listener = socket.listen();
    let transport = HttpTransport::unix(socket.path());
    let server = tokio::spawn(async move {
        let mut peer = accept(&listener).await;
        drop(socket);
        peer.request().await.unwrap();
        server(peer).await;
    });
    (transport, server)
}

/// Opens nothing, ever.
struct Nowhere(Endpoint);

impl Dial for Nowhere {
    fn dial(&self) -> BoxFuture<'_, Result<Box<dyn Io>, Error>> {
        Box::pin(pending())
    }

    fn endpoint(&self) -> &Endpoint {
        &self.0
    }
}

fn nowhere() -> Nowhere {
    Nowhere(Endpoint::custom("nowhere"))
}

/// Answers nothing, ever.
struct Silent(Endpoint);

impl Transport for Silent {
    fn send(&self, _request: Request<Body>) -> BoxFuture<'_, Result<Response<Body>, Error>> {
        Box::pin(pending())
    }

    fn endpoint(&self) -> &Endpoint {
        &self.0
    }
}

fn silent() -> Silent {
    Silent(Endpoint::custom("silent"))
}

#[track_caller]
fn assert_ended(error: &Error, phase: Phase, reached: Reached) {
    assert_eq!((error.kind(), error.reached()), (ErrorKind::Timeout(phase), reached), "{error:#}");
}

#[test]
fn dialling_ends_in_time() {
    run(async {
        let transport = HttpTransport::builder(nowhere()).dial_timeout(SOON).build().unwrap();
        let error = transport.send(get("/1.0")).await.unwrap_err();
        assert_ended(&error, Phase::Dial, Reached::No);
        assert!(error.to_string().starts_with("nowhere: no connection within"), "{error}");
    });
}

#[test]
fn the_total_bounds_dialling_too() {
    run(async {
        let transport = HttpTransport::new(nowhere());
        let limits = Limits::UNLIMITED.with_total(SOON);
        let error = transport.send_within(get("/1.0"), limits).await.unwrap_err();
        assert_ended(&error, Phase::Total, Reached::No);
    });
}

#[test]
fn waiting_for_the_first_byte_ends_in_time() {
    run(async {
        let (transport, server) = against(|mut peer| async move { peer.closed().await });
        let limits = Limits::UNLIMITED.with_first_byte(SOON).with_total(LATE);
        let start = Instant::now();
        let error = transport.send_within(get("/1.0"), limits).await.unwrap_err();
        assert_ended(&error, Phase::FirstByte, Reached::Maybe);
        assert!(start.elapsed() >= SOON, "too early");
        server.await.unwrap();
    });
}

#[test]
fn a_reused_connection_waits_as_long_as_a_fresh_one() {
    run(async {
        let (transport, server) = against(|mut peer| async move {
            peer.answer("one").await;
            peer.request().await.unwrap();
            peer.closed().await;
        });
        let limits = Limits::UNLIMITED.with_first_byte(LATE);
        text(transport.send_within(get("/1.0"), limits).await.unwrap()).await.unwrap();
        let start = Instant::now();
        let error = transport.send_within(get("/1.0"), limits.with_first_byte(SOON)).await.unwrap_err();
        assert_ended(&error, Phase::FirstByte, Reached::Maybe);
        assert!(start.elapsed() >= SOON && start.elapsed() < ms(5000));
        server.await.unwrap();
    });
}

#[test]
fn a_longer_limit_counts_on_a_reused_connection_too() {
    run(async {
        let (transport, server) = against(|mut peer| async move {
            peer.answer("one").await;
            peer.request().await.unwrap();
            sleep(ms(400)).await;
            peer.answer("two").await;
        });
        let limits = Limits::UNLIMITED.with_first_byte(ms(200));
        text(transport.send_within(get("/1.0"), limits).await.unwrap()).await.unwrap();
        let patient = limits.with_first_byte(LATE);
        let answer = transport.send_within(get("/1.0"), patient).await.unwrap();
        assert_eq!(text(answer).await.unwrap(), "two");
        server.await.unwrap();
    });
}

/// A body that moves on every 50 ms, and stops for good after so many chunks unless it may end.
fn slow_body(chunks: usize, ends: bool) -> Body {
    let (sender, receiver) = mpsc::channel(1);
    tokio::spawn(async move {
        for _ in 0..chunks {
            sleep(ms(50)).await;
            sender.send("chunk").await.unwrap();
        }
        if !ends {
            sender.closed().await;
        }
    });
    Body::from_stream(Chunks(receiver))
}

#[test]
fn a_moving_upload_holds_the_first_byte_back() {
    run(async {
        let (transport, server) = against(|mut peer| async move { peer.answer("got it").await });
        let limits = Limits::UNLIMITED.with_first_byte(ms(400));
        let start = Instant::now();
        let answer = transport.send_within(post(slow_body(20, true)), limits).await.unwrap();
        assert!(start.elapsed() > ms(400), "the test itself is too quick to tell");
        assert_eq!(text(answer).await.unwrap(), "got it");
        server.await.unwrap();
    });
}

/// Somebody else's transport, which knows no phases.
struct Simple(HttpTransport);

impl Transport for Simple {
    fn send(&self, request: Request<Body>) -> BoxFuture<'_, Result<Response<Body>, Error>> {
        self.0.send(request)
    }

    fn endpoint(&self) -> &Endpoint {
        self.0.endpoint()
    }
}

#[test]
fn a_moving_upload_holds_the_first_byte_back_over_any_transport() {
    run(async {
        let (transport, server) = against(|mut peer| async move { peer.answer("got it").await });
        let limits = Limits::UNLIMITED.with_first_byte(ms(400));
        let start = Instant::now();
        let answer = Simple(transport).send_within(post(slow_body(20, true)), limits).await.unwrap();
        assert!(start.elapsed() > ms(400), "the test itself is too quick to tell");
        assert_eq!(text(answer).await.unwrap(), "got it");
        server.await.unwrap();
    });
}

#[test]
fn an_upload_that_stands_still_ends_in_time() {
    run(async {
        let socket = Socket::new();
        let listener = socket.listen();
        let server = tokio::spawn(async move { accept(&listener).await.closed().await });
        let transport = HttpTransport::unix(socket.path());
        let limits = Limits::UNLIMITED.with_first_byte(ms(200));
        let error = transport.send_within(post(slow_body(3, false)), limits).await.unwrap_err();
        assert_ended(&error, Phase::FirstByte, Reached::Maybe);
        server.await.unwrap();
    });
}

#[test]
fn an_answer_that_came_early_ends_the_upload() {
    run(async {
        let socket = Socket::new();
        let listener = socket.listen();
        let server = tokio::spawn(async move {
            let mut peer = accept(&listener).await;
            peer.until(b"\r\n\r\n").await.unwrap();
            peer.answer("enough").await;
            peer.closed().await;
        });
        let transport = HttpTransport::unix(socket.path());
        let answer = transport.send_within(post(slow_body(3, false)), Limits::UNLIMITED).await.unwrap();
        assert_eq!(text(answer).await.unwrap(), "enough");
        assert_eq!(transport.idle_connections(), 0, "nobody waits for the rest of the upload");
        server.await.unwrap();
    });
}

#[test]
fn silence_in_an_answer_ends_in_time() {
    run(async {
        let (transport, server) = against(|mut peer| async move {
            peer.write("HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nabc").await.unwrap();
            peer.closed().await;
        });
        let limits = Limits::UNLIMITED.with_idle(SOON).with_total(LATE);
        let mut body = transport.send_within(get("/1.0"), limits).await.unwrap().into_body();
        assert_eq!(body.chunk().await.unwrap().unwrap(), "abc");
        let error = body.chunk().await.unwrap().unwrap_err();
        assert_ended(&error, Phase::Idle, Reached::Yes);
        // The body is still here, and its connection is not.
        server.await.unwrap();
        assert!(body.chunk().await.is_none());
        assert_eq!(transport.idle_connections(), 0);
    });
}

async fn drip(mut peer: Peer<UnixStream>) {
    peer.write("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n").await.unwrap();
    while peer.write("1\r\nx\r\n").await.is_ok() {
        sleep(ms(10)).await;
    }
}

#[test]
fn the_total_ends_an_answer_that_never_pauses() {
    run(async {
        let (transport, server) = against(drip);
        let limits = Limits::METADATA.with_total(ms(300));
        let start = Instant::now();
        let answer = transport.send_within(get("/1.0"), limits).await.unwrap();
        let error = answer.into_body().collect(usize::MAX).await.unwrap_err();
        assert_ended(&error, Phase::Total, Reached::Yes);
        assert!(start.elapsed() >= ms(300), "too early");
        server.await.unwrap();
    });
}

#[test]
fn the_total_counts_from_the_request_and_not_from_the_body() {
    run(async {
        let (transport, server) = against(drip);
        let limits = Limits::UNLIMITED.with_total(ms(300));
        let answer = transport.send_within(get("/1.0"), limits).await.unwrap();
        sleep(ms(350)).await;
        let error = answer.into_body().chunk().await.unwrap().unwrap_err();
        assert_ended(&error, Phase::Total, Reached::Yes);
        server.await.unwrap();
    });
}

#[test]
fn the_total_bounds_waiting_for_the_head() {
    run(async {
        let (transport, server) = against(|mut peer| async move { peer.closed().await });
        let limits = Limits::METADATA.with_total(SOON);
        let error = transport.send_within(get("/1.0"), limits).await.unwrap_err();
        assert_ended(&error, Phase::Total, Reached::Maybe);
        server.await.unwrap();
    });
}

#[test]
fn a_limit_of_zero_is_refused() {
    run(async {
        let zero = Duration::ZERO;
        for limits in [
            Limits::METADATA.with_first_byte(zero),
            Limits::METADATA.with_idle(zero),
            Limits::METADATA.with_total(zero),
        ] {
            let transports: [Box<dyn Transport>; 2] =
                [Box::new(HttpTransport::new(nowhere())), Box::new(silent())];
            for transport in transports {
                let error = transport.send_within(get("/1.0"), limits).await.unwrap_err();
                assert_eq!((error.kind(), error.reached()), (ErrorKind::InvalidInput, Reached::No));
            }
        }
        let no_time = HttpTransport::builder(nowhere()).dial_timeout(zero).build().unwrap_err();
        let no_idle_time = HttpTransport::builder(nowhere()).idle_time(zero).build().unwrap_err();
        for error in [no_time, no_idle_time] {
            assert_eq!(error.kind(), ErrorKind::InvalidInput);
        }
    });
}

#[test]
fn absurdly_long_limits_are_no_trouble() {
    run(async {
        let (transport, server) = against(|mut peer| async move { peer.answer("yes").await });
        let longest = Duration::MAX;
        let limits = Limits::UNLIMITED.with_first_byte(longest).with_idle(longest).with_total(longest);
        let answer = transport.send_within(get("/1.0"), limits).await.unwrap();
        assert_eq!(text(answer).await.unwrap(), "yes");
        server.await.unwrap();
    });
}

#[test]
fn an_endless_answer_is_too_large() {
    run(async {
        let (transport, server) = against(|mut peer| async move {
            peer.write("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n").await.unwrap();
            let chunk = format!("1000\r\n{}\r\n", "x".repeat(0x1000));
            while peer.write(&chunk).await.is_ok() {}
        });
        let answer = transport.send(get("/1.0")).await.unwrap();
        let error = answer.into_body().collect(1 << 16).await.unwrap_err();
        assert_eq!((error.kind(), error.reached()), (ErrorKind::TooLarge, Reached::Yes));
        server.await.unwrap();
    });
}

#[test]
fn an_answer_of_just_the_right_length_is_not_too_large() {
    run(async {
        let (transport, server) = against(|mut peer| async move {
            peer.write("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n").await.unwrap();
            peer.write("3\r\nabc\r\n").await.unwrap();
            peer.write("2\r\nde\r\n0\r\n\r\n").await.unwrap();
            peer.request().await.unwrap();
            peer.write("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n").await.unwrap();
            peer.write("3\r\nabc\r\n3\r\ndef\r\n0\r\n\r\n").await.unwrap();
        });
        let answer = transport.send(get("/1.0")).await.unwrap();
        assert_eq!(answer.into_body().collect(5).await.unwrap(), "abcde");
        let answer = transport.send(get("/1.0")).await.unwrap();
        assert_eq!(answer.into_body().collect(5).await.unwrap_err().kind(), ErrorKind::TooLarge);
        server.await.unwrap();
    });
}

#[test]
fn an_answer_that_says_it_is_too_large_fails_at_once() {
    run(async {
        let (transport, server) = against(|mut peer| async move {
            // Not a byte of it comes, so waiting for the first would take for ever.
            peer.write("HTTP/1.1 200 OK\r\ncontent-length: 11\r\n\r\n").await.unwrap();
            peer.closed().await;
        });
        let answer = transport.send(get("/1.0")).await.unwrap();
        let error = answer.into_body().collect(10).await.unwrap_err();
        assert_eq!((error.kind(), error.reached()), (ErrorKind::TooLarge, Reached::Yes));
        server.await.unwrap();
    });
}

#[test]
fn an_answer_cut_off_is_interrupted() {
    for answer in [
        "HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nabc",
        "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n3\r\nabc\r\n",
    ] {
        run(async move {
            let (transport, server) =
                against(move |mut peer| async move { peer.write(answer).await.unwrap() });
            let response = transport.send(get("/1.0")).await.unwrap();
            let error = text(response).await.unwrap_err();
            assert_eq!((error.kind(), error.reached()), (ErrorKind::Interrupted, Reached::Yes), "{answer:?}");
            assert_eq!(transport.idle_connections(), 0);
            server.await.unwrap();
        });
    }
}

#[test]
fn an_answer_that_is_no_http_is_interrupted() {
    run(async {
        let (transport, server) = against(|mut peer| async move {
            peer.write("SSH-2.0-OpenSSH_9.9\r\n").await.unwrap();
            peer.closed().await;
        });
        let error = transport.send(get("/1.0")).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Interrupted);
        assert!(error.to_string().contains("not HTTP"), "{error}");
        server.await.unwrap();
    });
}

#[test]
fn dropping_a_request_closes_its_connection() {
    run(async {
        let (came, coming) = oneshot::channel();
        let (transport, server) = against(|mut peer| async move {
            came.send(()).unwrap();
            peer.closed().await;
        });
        let sending = transport.send(get("/1.0"));
        tokio::select! {
            _ = sending => panic!("nobody answers"),
            came = coming => came.unwrap(),
        }
        tokio::time::timeout(ms(1000), server).await.expect("the connection stays open").unwrap();
        assert_eq!(transport.idle_connections(), 0);
    });
}

#[test]
fn dropping_an_unread_body_closes_its_connection() {
    run(async {
        let (transport, server) = against(|mut peer| async move {
            peer.write("HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nabc").await.unwrap();
            peer.closed().await;
        });
        let answer = transport.send(get("/1.0")).await.unwrap();
        drop(answer);
        tokio::time::timeout(ms(1000), server).await.expect("the connection stays open").unwrap();
        assert_eq!(transport.idle_connections(), 0);
    });
}

/// Sends chunks that promised to be so many bytes together. Says how that ended, and what request the server got.
async fn promise(length: u64, chunks: &'static [&'static str]) -> (Result<String, Error>, Option<String>) {
    let socket = Socket::new();
    let listener = socket.listen();
    let server = tokio::spawn(async move {
        let mut peer = accept(&listener).await;
        let seen = peer.request().await;
        if seen.is_some() {
            peer.answer("got it").await;
        }
        seen
    });
    let (sender, receiver) = mpsc::channel(8);
    for chunk in chunks {
        sender.send(*chunk).await.unwrap();
    }
    drop(sender);
    let transport = HttpTransport::unix(socket.path());
    let request = post(Body::from_sized_stream(length, Chunks(receiver)));
    let outcome = match transport.send_within(request, Limits::UNLIMITED.with_first_byte(ms(2000))).await {
        Ok(answer) => text(answer).await,
        Err(error) => Err(error),
    };
    drop(transport);
    (outcome, server.await.unwrap())
}

#[test]
fn a_sized_stream_tells_its_length() {
    run(async {
        let (outcome, seen) = promise(6, &["abc", "def"]).await;
        assert_eq!(outcome.unwrap(), "got it");
        let seen = seen.unwrap();
        assert!(seen.contains("content-length: 6\r\n") && seen.ends_with("\r\n\r\nabcdef"), "{seen}");
        let (outcome, seen) = promise(0, &[]).await;
        assert_eq!(outcome.unwrap(), "got it");
        let seen = seen.unwrap();
        assert!(!seen.contains("transfer-encoding") && seen.ends_with("\r\n\r\n"), "{seen}");
    });
}

#[test]
fn a_sized_stream_that_is_too_short_is_an_error() {
    run(async {
        let (outcome, seen) = promise(10, &["abc", "def"]).await;
        let error = outcome.unwrap_err();
        assert!(error.to_string().contains("ended 4 bytes short of the 10"), "{error:?}");
        assert_eq!(error.reached(), Reached::Maybe);
        assert_eq!(seen, None);
    });
}

#[test]
fn a_sized_stream_whose_last_chunk_is_too_long_is_an_error() {
    run(async {
        let (outcome, seen) = promise(5, &["abc", "def"]).await;
        let error = outcome.unwrap_err();
        assert!(error.to_string().contains("longer than the 5 bytes"), "{error:?}");
        assert_eq!(error.reached(), Reached::Maybe);
        assert_eq!(seen, None);
    });
}

#[test]
fn a_sized_stream_with_a_chunk_too_many_is_an_error() {
    run(async {
        let (outcome, _) = promise(6, &["abc", "def", "ghi"]).await;
        let error = outcome.unwrap_err();
        assert!(error.to_string().contains("longer than the 6 bytes"), "{error:?}");
    });
}

#[test]
fn a_sized_stream_that_stays_open_is_not_waited_for() {
    run(async {
        let (sender, receiver) = mpsc::channel(4);
        sender.send("abc").await.unwrap();
        sender.send("def").await.unwrap();
        let mut body = Body::from_sized_stream(6, Chunks(receiver));
        assert_eq!(body.chunk().await.unwrap().unwrap(), "abc");
        assert_eq!(body.chunk().await.unwrap().unwrap(), "def");
        assert!(body.chunk().await.is_none());
        drop(sender);
    });
}

/// A stream that doesn't bear to be asked again after its end.
struct Once(bool);

impl Stream for Once {
    type Item = Result<Bytes, std::io::Error>;

    fn poll_next(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        assert!(!std::mem::replace(&mut self.0, true), "asked again");
        Poll::Ready(None)
    }
}

#[test]
fn a_stream_that_ended_is_not_asked_again() {
    run(async {
        let mut streamed = Body::from_stream(Once(false));
        let mut sized = Body::from_sized_stream(0, Once(false));
        let mut foreign = Body::new(Body::from_stream(Once(false)));
        for body in [&mut streamed, &mut sized, &mut foreign] {
            assert!(body.chunk().await.is_none() && body.chunk().await.is_none());
        }
    });
}

#[test]
fn a_transport_that_never_answers_ends_by_its_limits() {
    run(async {
        for (limits, phase) in [
            (Limits::UNLIMITED.with_first_byte(SOON).with_total(LATE), Phase::FirstByte),
            (Limits::UNLIMITED.with_first_byte(LATE).with_total(SOON), Phase::Total),
        ] {
            let error = silent().send_within(get("/1.0"), limits).await.unwrap_err();
            assert_ended(&error, phase, Reached::Maybe);
        }
    });
}

/// Answers at once with a body of which nothing comes.
struct Stalling(Endpoint);

impl Transport for Stalling {
    fn send(&self, _request: Request<Body>) -> BoxFuture<'_, Result<Response<Body>, Error>> {
        let (sender, receiver) = mpsc::channel(1);
        tokio::spawn(async move { sender.closed().await });
        Box::pin(async { Ok(Response::new(Body::from_stream(Chunks(receiver)))) })
    }

    fn endpoint(&self) -> &Endpoint {
        &self.0
    }
}

#[test]
fn a_transport_whose_body_stalls_ends_by_its_limits() {
    run(async {
        let transport = Stalling(Endpoint::custom("stalling"));
        for (limits, phase) in [
            (Limits::UNLIMITED.with_idle(SOON).with_total(LATE), Phase::Idle),
            (Limits::UNLIMITED.with_idle(LATE).with_total(SOON), Phase::Total),
        ] {
            let answer = transport.send_within(get("/1.0"), limits).await.unwrap();
            assert_ended(&text(answer).await.unwrap_err(), phase, Reached::Yes);
        }
    });
}
