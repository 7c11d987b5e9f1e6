//! Streams and transports that somebody else brings, connections that stop speaking HTTP, and odd sockets.

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
    error::Error as StdError,
    ffi::OsString,
    io,
    os::unix::ffi::OsStringExt,
    pin::Pin,
    sync::{Arc, Mutex},
    task::{Context, Poll},
};

use lxd_transport::{
    Body, BoxFuture, Dial, Endpoint, Error, ErrorKind, HttpTransport, Io, Limits, OnUpgrade, Reached,
    Transport,
    http::{Request, Response, StatusCode},
    upgrade,
};
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, DuplexStream, ReadBuf, duplex},
    sync::{mpsc, oneshot},
};

use self::support::{Chunks, Peer, Socket, accept, get, post, run, text};

/// Hands one end of each pipe to a server.
struct Pipes {
    endpoint: Endpoint,
    server: mpsc::UnboundedSender<DuplexStream>,
}

impl Dial for Pipes {
    fn dial(&self) -> BoxFuture<'_, Result<Box<dyn Io>, Error>> {
        Box::pin(async {
            let (ours, theirs) = duplex(64);
            self.server
                .send(theirs)
                .map_err(|_| io::Error::new(io::ErrorKind::ConnectionRefused, "nobody there"))?;
            Ok(Box::new(ours) as Box<dyn Io>)
        })
    }

    fn endpoint(&self) -> &Endpoint {
        &self.endpoint
    }
}

fn pipes() -> (HttpTransport, mpsc::UnboundedReceiver<DuplexStream>) {
    let (server, dialled) = mpsc::unbounded_channel();
    (HttpTransport::new(Pipes { endpoint: Endpoint::custom("pipes"), server }), dialled)
}

#[test]
fn http_goes_through_a_pipe() {
    run(async {
        let (transport, mut dialled) = pipes();
        let server = tokio::spawn(async move {
            let mut peer = Peer::new(dialled.recv().await.unwrap());
            let mut seen = Vec::new();
            for answer in ["one", "two"] {
                seen.push(peer.request().await.unwrap());
                peer.answer(answer).await;
            }
            seen
        });
        // More than the pipe holds at a time.
        let long = "x".repeat(1000);
        assert_eq!(text(transport.send(get("/1.0")).await.unwrap()).await.unwrap(), "one");
        assert_eq!(text(transport.send(post(long.clone())).await.unwrap()).await.unwrap(), "two");
        let seen = server.await.unwrap();
        assert_eq!(seen[0], "GET /1.0 HTTP/1.1\r\nhost: lxd\r\n\r\n");
        assert!(seen[1].ends_with(&long));
        assert_eq!(transport.endpoint().to_string(), "pipes");
    });
}

/// A pipe that breaks for writing once the request's head went out: the first write after that brings the answer, and
/// then fails.
struct Refused {
    near: DuplexStream,
    far: Option<DuplexStream>,
    written: usize,
    answer: &'static str,
}

impl AsyncRead for Refused {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.near).poll_read(cx, buf)
    }
}

impl AsyncWrite for Refused {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        if self.written == 0 {
            self.written = bytes.len();
            return Poll::Ready(Ok(bytes.len()));
        }
        if let Some(mut far) = self.far.take() {
            let answer = self.answer.as_bytes();
            let sent = Pin::new(&mut far).poll_write(cx, answer);
            assert!(matches!(sent, Poll::Ready(Ok(count)) if count == answer.len()));
        }
        Poll::Ready(Err(io::Error::from(io::ErrorKind::BrokenPipe)))
    }

    fn poll_flush(self: Pin<&mut Self>, _cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

/// Dials such pipes.
struct Refusing(Endpoint, &'static str);

impl Dial for Refusing {
    fn dial(&self) -> BoxFuture<'_, Result<Box<dyn Io>, Error>> {
        Box::pin(async {
            let (near, far) = duplex(4096);
            let io = Refused { near, far: Some(far), written: 0, answer: self.1 };
            Ok(Box::new(io) as Box<dyn Io>)
        })
    }

    fn endpoint(&self) -> &Endpoint {
        &self.0
    }
}

/// A body that moves on only after the head went out.
fn late_body() -> Body {
    let (sender, receiver) = mpsc::channel(1);
    tokio::spawn(async move {
        for _ in 0..100 {
            tokio::task::yield_now().await;
            if sender.send("chunk").await.is_err() {
                return;
            }
        }
    });
    Body::from_stream(Chunks(receiver))
}

#[test]
fn a_refusal_in_the_middle_of_an_upload_is_heard() {
    run(async {
        let answer = "HTTP/1.1 400 Bad Request\r\ncontent-length: 12\r\n\r\nnot a backup";
        let transport = HttpTransport::new(Refusing(Endpoint::custom("refusing"), answer));
        let answer = transport.send(post(late_body())).await.unwrap();
        assert_eq!(answer.status(), StatusCode::BAD_REQUEST);
        assert_eq!(text(answer).await.unwrap(), "not a backup");
        assert_eq!(transport.idle_connections(), 0, "what can't be written to is of no use");
    });
}

#[test]
fn an_upload_that_breaks_without_an_answer_is_interrupted() {
    run(async {
        let transport = HttpTransport::new(Refusing(Endpoint::custom("refusing"), ""));
        let error = transport.send(post(late_body())).await.unwrap_err();
        assert_eq!((error.kind(), error.reached()), (ErrorKind::Interrupted, Reached::Maybe));
    });
}

#[test]
fn a_dialer_tells_why_it_failed() {
    run(async {
        let (transport, dialled) = pipes();
        drop(dialled);
        let error = transport.send(get("/1.0")).await.unwrap_err();
        assert_eq!((error.kind(), error.reached()), (ErrorKind::Connect, Reached::No));
        assert_eq!(format!("{error:#}"), "cannot connect: nobody there");
    });
}

#[test]
fn a_host_that_no_header_holds_is_refused_by_the_builder() {
    run(async {
        for endpoint in [Endpoint::custom("line\nbreak"), Endpoint::https("line\nbreak", 1)] {
            let fine = endpoint.url().is_none();
            let (server, _dialled) = mpsc::unbounded_channel();
            let built = HttpTransport::builder(Pipes { endpoint, server }).build();
            match built {
                Ok(_) => assert!(fine, "a custom name never stands in a header"),
                Err(error) => assert!(!fine && error.kind() == ErrorKind::InvalidInput),
            }
        }
    });
}

/// Answers from memory and remembers what it was asked.
struct Memory {
    endpoint: Endpoint,
    asked: Mutex<Vec<String>>,
}

impl Transport for Memory {
    fn send(&self, request: Request<Body>) -> BoxFuture<'_, Result<Response<Body>, Error>> {
        Box::pin(async move {
            self.asked.lock().unwrap().push(format!("{} {}", request.method(), request.uri()));
            let body = request.into_body().collect(100).await?;
            Ok(Response::builder().status(418).body(Body::from(body)).unwrap())
        })
    }

    fn endpoint(&self) -> &Endpoint {
        &self.endpoint
    }
}

#[test]
fn a_transport_of_ones_own_answers() {
    run(async {
        let memory = Arc::new(Memory { endpoint: Endpoint::custom("memory"), asked: Mutex::default() });
        let transport: Box<dyn Transport> = Box::new(Arc::clone(&memory));
        let answer = transport.send_within(post("hello"), Limits::METADATA).await.unwrap();
        assert_eq!(answer.status(), StatusCode::IM_A_TEAPOT);
        assert_eq!(text(answer).await.unwrap(), "hello");
        assert_eq!(*memory.asked.lock().unwrap(), ["POST /1.0"]);
        assert_eq!(transport.endpoint().to_string(), "memory");
    });
}

/// Switches protocols to the stream that it holds.
struct Switching {
    endpoint: Endpoint,
    stream: Mutex<Option<DuplexStream>>,
}

impl Transport for Switching {
    fn send(&self, _request: Request<Body>) -> BoxFuture<'_, Result<Response<Body>, Error>> {
        Box::pin(async {
            let stream = self.stream.lock().unwrap().take().unwrap();
            let mut response = Response::new(Body::empty());
            *response.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
            response.extensions_mut().insert(OnUpgrade::new(async { Ok(Box::new(stream) as Box<dyn Io>) }));
            Ok(response)
        })
    }

    fn endpoint(&self) -> &Endpoint {
        &self.endpoint
    }
}

#[test]
fn a_transport_of_ones_own_upgrades() {
    run(async {
        let (ours, mut theirs) = duplex(64);
        let transport = Switching { endpoint: Endpoint::custom("switching"), stream: Mutex::new(Some(ours)) };
        let answer = transport.send_within(get("/1.0"), Limits::METADATA).await.unwrap();
        let mut upgraded = upgrade(answer).await.unwrap();
        upgraded.write_all(b"ping").await.unwrap();
        let mut four = [0; 4];
        theirs.read_exact(&mut four).await.unwrap();
        assert_eq!(&four, b"ping");
        theirs.write_all(b"pong").await.unwrap();
        upgraded.read_exact(&mut four).await.unwrap();
        assert_eq!(&four, b"pong");
        drop(upgraded);
        assert_eq!(theirs.read(&mut four).await.unwrap(), 0);
    });
}

#[test]
fn an_upgrade_can_be_taken_once_only() {
    run(async {
        let (ours, _theirs) = duplex(64);
        let transport = Switching { endpoint: Endpoint::custom("switching"), stream: Mutex::new(Some(ours)) };
        let answer = transport.send(get("/1.0")).await.unwrap();
        let mut copy = Response::new(Body::empty());
        *copy.status_mut() = answer.status();
        *copy.extensions_mut() = answer.extensions().clone();
        upgrade(answer).await.unwrap();
        assert_eq!(upgrade(copy).await.unwrap_err().kind(), ErrorKind::Interrupted);
    });
}

const SWITCH: &str = "HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: websocket\r\n\r\n";

fn asking_for_a_websocket() -> Request<Body> {
    Request::get("/ws")
        .header("connection", "upgrade")
        .header("upgrade", "websocket")
        .body(Body::empty())
        .unwrap()
}

#[test]
fn an_upgraded_connection_carries_bytes_both_ways() {
    run(async {
        let socket = Socket::new();
        let listener = socket.listen();
        let server = tokio::spawn(async move {
            let mut peer = accept(&listener).await;
            let asked = peer.request().await.unwrap();
            // What follows the head in the same packet belongs to the new protocol.
            peer.write(format!("{SWITCH}early")).await.unwrap();
            assert_eq!(peer.take(4).await.unwrap(), "ping");
            peer.write("pong").await.unwrap();
            peer.closed().await;
            asked
        });
        let transport = HttpTransport::unix(socket.path());
        let answer = transport.send_within(asking_for_a_websocket(), Limits::METADATA).await.unwrap();
        assert_eq!(answer.headers()["upgrade"], "websocket");
        let mut upgraded = upgrade(answer).await.unwrap();
        assert_eq!(transport.idle_connections(), 0);
        let mut buffer = [0; 5];
        upgraded.read_exact(&mut buffer).await.unwrap();
        assert_eq!(&buffer, b"early");
        upgraded.write_all(b"ping").await.unwrap();
        upgraded.flush().await.unwrap();
        upgraded.read_exact(&mut buffer[..4]).await.unwrap();
        assert_eq!(&buffer[..4], b"pong");
        // The connection outlives the transport and ends with its owner.
        drop(transport);
        upgraded.write_all(b"more").await.unwrap();
        drop(upgraded);
        assert!(server.await.unwrap().contains("upgrade: websocket"));
    });
}

#[test]
fn dropping_an_upgrade_untaken_closes_its_connection() {
    run(async {
        let socket = Socket::new();
        let listener = socket.listen();
        let server = tokio::spawn(async move {
            let mut peer = accept(&listener).await;
            peer.request().await.unwrap();
            peer.write(SWITCH).await.unwrap();
            peer.closed().await;
        });
        let transport = HttpTransport::unix(socket.path());
        let answer = transport.send(asking_for_a_websocket()).await.unwrap();
        assert_eq!(answer.status(), StatusCode::SWITCHING_PROTOCOLS);
        drop(answer);
        server.await.unwrap();
    });
}

#[test]
fn the_body_of_an_upgrade_is_empty() {
    run(async {
        let socket = Socket::new();
        let listener = socket.listen();
        let (done, end) = oneshot::channel();
        let server = tokio::spawn(async move {
            let mut peer = accept(&listener).await;
            peer.request().await.unwrap();
            peer.write(SWITCH).await.unwrap();
            end.await.unwrap();
        });
        let transport = HttpTransport::unix(socket.path());
        let answer = transport.send(asking_for_a_websocket()).await.unwrap();
        assert_eq!(text(answer).await.unwrap(), "");
        done.send(()).unwrap();
        server.await.unwrap();
    });
}

#[test]
fn an_answer_that_switches_nothing_is_no_upgrade() {
    run(async {
        let socket = Socket::new();
        let listener = socket.listen();
        let server = tokio::spawn(async move {
            let mut peer = accept(&listener).await;
            peer.request().await.unwrap();
            peer.answer("no").await;
            peer.closed().await;
        });
        let transport = HttpTransport::unix(socket.path());
        let answer = transport.send(asking_for_a_websocket()).await.unwrap();
        let error = upgrade(answer).await.unwrap_err();
        assert_eq!((error.kind(), error.reached()), (ErrorKind::Interrupted, Reached::Yes));
        assert!(error.to_string().contains("200 OK"), "{error}");
        server.await.unwrap();
    });
}

async fn assert_no_socket(
    transport: HttpTransport,
    path: &std::path::Path,
    hint: &str,
    cause: io::ErrorKind,
) {
    let error = transport.send(post("{}")).await.unwrap_err();
    assert_eq!((error.kind(), error.reached()), (ErrorKind::Connect, Reached::No));
    let line = error.to_string();
    assert!(line.contains(&format!("unix:{}", path.display())) && line.contains(hint), "{line}");
    let source = error.source().and_then(|source| source.downcast_ref::<io::Error>());
    assert_eq!(source.map(io::Error::kind), Some(cause));
}

#[test]
fn an_absent_socket_is_named_with_a_hint() {
    run(async {
        let socket = Socket::new();
        let transport = HttpTransport::unix(socket.path());
        assert_no_socket(transport, socket.path(), "is the server installed", io::ErrorKind::NotFound).await;
    });
}

#[test]
fn a_socket_without_a_listener_is_named_with_a_hint() {
    run(async {
        let socket = Socket::new();
        drop(socket.listen());
        let transport = HttpTransport::unix(socket.path());
        let refused = io::ErrorKind::ConnectionRefused;
        assert_no_socket(transport, socket.path(), "is the daemon running", refused).await;
    });
}

async fn assert_reached_at(socket: Socket) {
    let listener = socket.listen();
    let server = tokio::spawn(async move {
        let mut peer = accept(&listener).await;
        let asked = peer.request().await.unwrap();
        peer.answer("yes").await;
        asked
    });
    let transport = HttpTransport::unix(socket.path());
    assert_eq!(text(transport.send(get("/1.0")).await.unwrap()).await.unwrap(), "yes");
    assert_eq!(server.await.unwrap(), "GET /1.0 HTTP/1.1\r\nhost: lxd\r\n\r\n");
    assert_eq!(transport.endpoint().socket_path(), Some(socket.path()));
}

#[test]
fn a_path_that_is_not_utf_8_works() {
    run(async {
        let name = format!("lxd-transport-{}-", std::process::id()).into_bytes();
        let name = OsString::from_vec([&name[..], b"\xff\xfe.sock"].concat());
        assert_reached_at(Socket::at(std::env::temp_dir().join(name))).await;
    });
}

#[test]
fn a_path_with_spaces_and_marks_works() {
    run(async {
        let name = format!("lxd transport {} %2F?#\u{fc}.sock", std::process::id());
        assert_reached_at(Socket::at(std::env::temp_dir().join(name))).await;
    });
}

#[test]
fn a_socket_that_comes_back_is_found_again() {
    run(async {
        let socket = Socket::new();
        let transport = HttpTransport::unix(socket.path());
        for _ in 0..2 {
            let listener = socket.listen();
            let server = tokio::spawn(async move {
                let mut peer = accept(&listener).await;
                peer.request().await.unwrap();
                peer.answer("yes").await;
            });
            assert_eq!(text(transport.send(get("/1.0")).await.unwrap()).await.unwrap(), "yes");
            server.await.unwrap();
            std::fs::remove_file(socket.path()).unwrap();
        }
    });
}
