//! What is tried again, and what isn't.

#![cfg(feature = "unix")]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    missing_docs,
    reason = "a test fails by panicking"
)]

mod support;

use std::sync::{Arc, Mutex};

use lxd_transport::{Body, ErrorKind, HttpTransport, Limits, Phase, Reached, Retrying, Transport};

use self::support::{Chunks, Socket, accept, get, ms, post, run, text};

fn over(socket: &Socket) -> Retrying<HttpTransport> {
    Retrying::new(HttpTransport::unix(socket.path())).with_patience(ms(1500))
}

/// Treats the first requests by this list and answers the rest; notes what arrives.
fn serve(socket: &Socket, list: &'static [&'static str]) -> Arc<Mutex<Vec<String>>> {
    let listener = socket.listen();
    let arrived = Arc::new(Mutex::new(Vec::new()));
    let notes = Arc::clone(&arrived);
    tokio::spawn(async move {
        let mut list = list.iter();
        loop {
            let mut peer = accept(&listener).await;
            while let Some(request) = peer.request().await {
                notes.lock().unwrap().push(request.split(' ').next().unwrap().to_owned());
                match list.next() {
                    Some(&"hang up") => break,
                    Some(status) => {
                        peer.write(format!("HTTP/1.1 {status}\r\ncontent-length: 0\r\n\r\n")).await.unwrap();
                    }
                    None => peer.answer("yes").await,
                }
            }
        }
    });
    arrived
}

#[test]
fn a_server_that_is_away_for_a_moment_is_waited_for() {
    run(async {
        for request in [get("/1.0"), post("content")] {
            let socket = Socket::new();
            let transport = over(&socket);
            let sending = tokio::spawn(async move { transport.send(request).await });
            tokio::time::sleep(ms(300)).await;
            let arrived = serve(&socket, &[]);
            assert_eq!(text(sending.await.unwrap().unwrap()).await.unwrap(), "yes");
            assert_eq!(arrived.lock().unwrap().len(), 1);
        }
    });
}

#[test]
fn what_only_reads_is_repeated_after_a_cut() {
    run(async {
        let socket = Socket::new();
        let arrived = serve(&socket, &["hang up", "503 Service Unavailable", "hang up"]);
        assert_eq!(text(over(&socket).send(get("/1.0")).await.unwrap()).await.unwrap(), "yes");
        assert_eq!(*arrived.lock().unwrap(), ["GET"; 4]);
    });
}

#[test]
fn what_may_have_been_done_is_not_repeated() {
    run(async {
        let socket = Socket::new();
        let arrived = serve(&socket, &["hang up", "503 Service Unavailable"]);
        let transport = over(&socket);
        let error = transport.send(post("content")).await.unwrap_err();
        assert_eq!((error.kind(), error.reached()), (ErrorKind::Interrupted, Reached::Maybe));
        assert_eq!(transport.send(post("content")).await.unwrap().status(), 503);
        assert_eq!(*arrived.lock().unwrap(), ["POST"; 2]);
    });
}

#[test]
fn a_server_error_is_an_answer() {
    run(async {
        let socket = Socket::new();
        let arrived = serve(&socket, &["500 Internal Server Error"]);
        assert_eq!(over(&socket).send(get("/1.0")).await.unwrap().status(), 500);
        assert_eq!(arrived.lock().unwrap().len(), 1);
    });
}

#[test]
fn a_stream_is_sent_once() {
    run(async {
        let socket = Socket::new();
        let body = Body::from_stream(Chunks(tokio::sync::mpsc::channel(1).1));
        let started = std::time::Instant::now();
        let error = over(&socket).send(post(body)).await.unwrap_err();
        assert_eq!((error.kind(), error.reached()), (ErrorKind::Connect, Reached::No));
        assert!(!error.to_string().contains("tried"), "{error}");
        assert!(started.elapsed() < ms(1000));
    });
}

#[test]
fn patience_and_the_total_end_it() {
    run(async {
        let socket = Socket::new();
        let transport = Retrying::new(HttpTransport::unix(socket.path())).with_patience(ms(400));
        let error = transport.send(get("/1.0")).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Connect);
        assert!(error.to_string().contains("(tried "), "{error}");

        let started = std::time::Instant::now();
        let transport = transport.with_patience(ms(60_000));
        let limits = Limits::METADATA.with_total(ms(300));
        let error = transport.send_within(get("/1.0"), limits).await.unwrap_err();
        assert!(matches!(error.kind(), ErrorKind::Connect | ErrorKind::Timeout(Phase::Total)), "{error}");
        assert!(started.elapsed() < ms(5000));
    });
}
