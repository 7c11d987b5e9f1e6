//! Connections are used again, and never in a way that a caller could notice.

#![cfg(feature = "unix")]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    missing_docs,
    reason = "a test fails by panicking"
)]

mod support;

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use lxd_transport::{ErrorKind, HttpTransport, HttpTransportBuilder, Reached, Transport, Unix};
use tokio::{net::UnixListener, sync::oneshot, task::yield_now};

use self::support::{Socket, accept, bounded, get, ms, post, run, runtime, text};

fn over(socket: &Socket) -> HttpTransportBuilder {
    HttpTransport::builder(Unix::new(socket.path()))
}

/// Answers everything, and counts the connections over which it came.
fn serve(listener: UnixListener) -> Arc<AtomicUsize> {
    let accepted = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&accepted);
    tokio::spawn(async move {
        loop {
            let mut peer = accept(&listener).await;
            count.fetch_add(1, Ordering::Relaxed);
            tokio::spawn(async move {
                while peer.request().await.is_some() {
                    peer.answer("yes").await;
                }
            });
        }
    });
    accepted
}

#[test]
fn one_connection_serves_several_gets() {
    run(async {
        let socket = Socket::new();
        let accepted = serve(socket.listen());
        let transport = over(&socket).build().unwrap();
        for _ in 0..5 {
            assert_eq!(text(transport.send(get("/1.0")).await.unwrap()).await.unwrap(), "yes");
            assert_eq!(transport.idle_connections(), 1);
        }
        assert_eq!(accepted.load(Ordering::Relaxed), 1);
    });
}

#[test]
fn clones_share_their_connections() {
    run(async {
        let socket = Socket::new();
        let accepted = serve(socket.listen());
        let transport = over(&socket).build().unwrap();
        text(transport.send(get("/1.0")).await.unwrap()).await.unwrap();
        text(transport.clone().send(get("/1.0")).await.unwrap()).await.unwrap();
        assert_eq!(accepted.load(Ordering::Relaxed), 1);
    });
}

#[test]
fn an_answer_without_a_body_gives_its_connection_back() {
    run(async {
        let socket = Socket::new();
        let listener = socket.listen();
        let server = tokio::spawn(async move {
            let mut peer = accept(&listener).await;
            for _ in 0..2 {
                peer.request().await.unwrap();
                peer.write("HTTP/1.1 204 No Content\r\n\r\n").await.unwrap();
            }
        });
        let transport = over(&socket).build().unwrap();
        for _ in 0..2 {
            drop(transport.send(get("/1.0")).await.unwrap());
        }
        server.await.unwrap();
    });
}

#[test]
fn no_reuse_without_idle_connections() {
    run(async {
        let socket = Socket::new();
        let accepted = serve(socket.listen());
        let transport = over(&socket).max_idle(0).build().unwrap();
        for _ in 0..3 {
            assert_eq!(text(transport.send(get("/1.0")).await.unwrap()).await.unwrap(), "yes");
            assert_eq!(transport.idle_connections(), 0);
        }
        assert_eq!(accepted.load(Ordering::Relaxed), 3);
    });
}

#[test]
fn no_more_connections_stay_than_allowed() {
    run(async {
        let socket = Socket::new();
        let accepted = serve(socket.listen());
        let transport = over(&socket).max_idle(2).build().unwrap();
        let mut answers = Vec::new();
        for _ in 0..4 {
            answers.push(transport.send(get("/1.0")).await.unwrap());
        }
        for answer in answers {
            text(answer).await.unwrap();
        }
        assert_eq!((accepted.load(Ordering::Relaxed), transport.idle_connections()), (4, 2));
    });
}

#[test]
fn an_idle_connection_closes_in_time() {
    run(async {
        let socket = Socket::new();
        let listener = socket.listen();
        let server = tokio::spawn(async move {
            let mut peer = accept(&listener).await;
            peer.request().await.unwrap();
            peer.answer("yes").await;
            peer.closed().await;
        });
        let transport = over(&socket).idle_time(ms(50)).build().unwrap();
        text(transport.send(get("/1.0")).await.unwrap()).await.unwrap();
        assert_eq!(transport.idle_connections(), 1);
        server.await.unwrap();
        assert_eq!(transport.idle_connections(), 0);
    });
}

#[test]
fn the_last_clone_closes_what_is_idle() {
    run(async {
        let socket = Socket::new();
        let listener = socket.listen();
        let server = tokio::spawn(async move {
            let mut peer = accept(&listener).await;
            peer.request().await.unwrap();
            peer.answer("yes").await;
            peer.closed().await;
        });
        let transport = over(&socket).build().unwrap();
        text(transport.send(get("/1.0")).await.unwrap()).await.unwrap();
        drop(transport);
        server.await.unwrap();
    });
}

#[test]
fn a_get_over_a_dead_connection_is_sent_once_more() {
    run(async {
        let socket = Socket::new();
        let listener = socket.listen();
        let server = tokio::spawn(async move {
            let mut first = accept(&listener).await;
            first.request().await.unwrap();
            first.answer("one").await;
            let lost = first.request().await.unwrap();
            drop(first);
            let mut second = accept(&listener).await;
            let again = second.request().await.unwrap();
            second.answer("two").await;
            (lost, again)
        });
        let transport = over(&socket).build().unwrap();
        assert_eq!(text(transport.send(get("/one")).await.unwrap()).await.unwrap(), "one");
        let mut request = get("/two?x=1");
        request.headers_mut().insert("x-kept", "yes".parse().unwrap());
        assert_eq!(text(transport.send(request).await.unwrap()).await.unwrap(), "two");
        let (lost, again) = server.await.unwrap();
        assert!(lost.starts_with("GET /two?x=1 ") && lost.contains("x-kept: yes"), "{lost}");
        assert_eq!(lost, again);
    });
}

#[test]
fn a_get_over_a_fresh_connection_is_sent_once_only() {
    run(async {
        let socket = Socket::new();
        let listener = socket.listen();
        let server = tokio::spawn(async move {
            accept(&listener).await.request().await.unwrap();
            let mut second = accept(&listener).await;
            let next = second.request().await.unwrap();
            second.answer("yes").await;
            next
        });
        let transport = over(&socket).build().unwrap();
        let error = transport.send(get("/lost")).await.unwrap_err();
        assert_eq!((error.kind(), error.reached()), (ErrorKind::Interrupted, Reached::Maybe));
        text(transport.send(get("/next")).await.unwrap()).await.unwrap();
        assert!(server.await.unwrap().starts_with("GET /next "));
    });
}

#[test]
fn a_post_over_a_dead_connection_is_not_sent_again() {
    run(async {
        let socket = Socket::new();
        let listener = socket.listen();
        let server = tokio::spawn(async move {
            let mut seen = Vec::new();
            let mut first = accept(&listener).await;
            seen.push(first.request().await.unwrap());
            first.answer("one").await;
            seen.push(first.request().await.unwrap());
            drop(first);
            let mut second = accept(&listener).await;
            seen.push(second.request().await.unwrap());
            second.answer("three").await;
            seen
        });
        let transport = over(&socket).build().unwrap();
        text(transport.send(get("/one")).await.unwrap()).await.unwrap();
        let error = transport.send(post("{}")).await.unwrap_err();
        assert_eq!((error.kind(), error.reached()), (ErrorKind::Interrupted, Reached::Maybe), "{error:#}");
        text(transport.send(get("/three")).await.unwrap()).await.unwrap();
        let methods: Vec<String> =
            server.await.unwrap().iter().map(|seen| seen.split(' ').next().unwrap().to_owned()).collect();
        assert_eq!(methods, ["GET", "POST", "GET"]);
    });
}

#[test]
fn a_post_survives_a_server_that_closed_while_idle() {
    // Whether the client has noticed the end by then is up to the scheduler, so every moment gets its turn.
    for yields in 0..10 {
        run(async move {
            let socket = Socket::new();
            let listener = socket.listen();
            let (close, closing) = oneshot::channel();
            let (closed, gone) = oneshot::channel();
            let server = tokio::spawn(async move {
                let mut first = accept(&listener).await;
                first.request().await.unwrap();
                first.answer("one").await;
                closing.await.unwrap();
                drop(first);
                closed.send(()).unwrap();
                let mut second = accept(&listener).await;
                let seen = second.request().await.unwrap();
                second.answer("two").await;
                seen
            });
            let transport = over(&socket).build().unwrap();
            text(transport.send(get("/one")).await.unwrap()).await.unwrap();
            assert_eq!(transport.idle_connections(), 1);
            close.send(()).unwrap();
            gone.await.unwrap();
            for _ in 0..yields {
                yield_now().await;
            }
            let answer = transport.send(post("{}")).await;
            let answer = answer.unwrap_or_else(|error| panic!("after {yields} yields: {error:?}"));
            assert_eq!(text(answer).await.unwrap(), "two");
            let seen = server.await.unwrap();
            assert!(seen.starts_with("POST ") && seen.ends_with("{}"), "{seen}");
        });
    }
}

#[test]
fn three_runtimes_in_turn_share_one_transport() {
    bounded(|| {
        let socket = Socket::new();
        let (listening, listens) = std::sync::mpsc::channel();
        let (stop, stopping) = oneshot::channel::<()>();
        let transport = over(&socket).build().unwrap();
        std::thread::scope(|scope| {
            let socket = &socket;
            scope.spawn(move || {
                runtime().block_on(async {
                    serve(socket.listen());
                    listening.send(()).unwrap();
                    stopping.await.unwrap();
                });
            });
            listens.recv().unwrap();
            for _ in 0..3 {
                runtime().block_on(async {
                    for _ in 0..2 {
                        assert_eq!(text(transport.send(get("/1.0")).await.unwrap()).await.unwrap(), "yes");
                    }
                });
            }
            stop.send(()).unwrap();
        });
    });
}

#[test]
fn a_second_runtime_leaves_the_connections_of_the_first_alone() {
    bounded(|| {
        let socket = Socket::new();
        let server = runtime();
        let transport = over(&socket).build().unwrap();
        let accepted = server.block_on(async { serve(socket.listen()) });
        // The server and the first client share a runtime that is alive but not driven while the second one runs.
        server.block_on(async { text(transport.send(get("/1.0")).await.unwrap()).await.unwrap() });
        assert_eq!((accepted.load(Ordering::Relaxed), transport.idle_connections()), (1, 1));
        runtime().block_on(async {
            let sending = tokio::time::timeout(ms(100), transport.send(get("/1.0"))).await;
            assert!(sending.is_err(), "nobody answers while the server stands still");
        });
        assert_eq!(transport.idle_connections(), 1);
        server.block_on(async { text(transport.send(get("/1.0")).await.unwrap()).await.unwrap() });
        assert_eq!(transport.idle_connections(), 1);
    });
}

#[test]
fn the_wire_carries_what_was_asked_and_no_more() {
    run(async {
        let socket = Socket::new();
        let listener = socket.listen();
        let server = tokio::spawn(async move {
            let mut peer = accept(&listener).await;
            let first = peer.request().await.unwrap();
            peer.answer("").await;
            let second = peer.request().await.unwrap();
            peer.answer("").await;
            [first, second]
        });
        let transport = over(&socket).build().unwrap();
        text(transport.send(get("/1.0/x/%2E%2E?a=%20b")).await.unwrap()).await.unwrap();
        text(transport.send(post("{}")).await.unwrap()).await.unwrap();
        let [first, second] = server.await.unwrap();
        assert_eq!(first, "GET /1.0/x/%2E%2E?a=%20b HTTP/1.1\r\nhost: lxd\r\n\r\n");
        assert_eq!(second, "POST /1.0 HTTP/1.1\r\nhost: lxd\r\ncontent-length: 2\r\n\r\n{}");
    });
}

#[test]
fn a_target_that_names_a_server_is_refused() {
    run(async {
        let transport = HttpTransport::unix("/nonexistent/lxd.sock");
        for target in ["http://lxd/1.0", "unix://2f/1.0", "lxd:80", "*"] {
            let error = transport.send(get(target)).await.unwrap_err();
            assert_eq!((error.kind(), error.reached()), (ErrorKind::InvalidInput, Reached::No), "{target}");
        }
    });
}
