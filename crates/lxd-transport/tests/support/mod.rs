//! Servers that do what a test tells them, byte by byte.

#![allow(dead_code, reason = "each test file uses a part of this")]

use std::{
    io,
    path::{Path, PathBuf},
    pin::Pin,
    sync::{
        atomic::{AtomicUsize, Ordering},
        mpsc::{RecvTimeoutError, channel},
    },
    task::{Context, Poll},
    thread,
    time::Duration,
};

use futures_core::Stream;
use lxd_transport::{
    Body, Error,
    bytes::Bytes,
    http::{Method, Request, Response},
};
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt},
    net::{UnixListener, UnixStream},
    runtime::{Builder, Runtime},
    sync::mpsc::Receiver,
};

/// What no test needs, however busy the machine is.
const LIMIT: Duration = Duration::from_secs(8);

/// Fails a test that takes too long. The clock is on another thread, so that a busy loop cannot hold it back.
pub(crate) fn bounded(test: impl FnOnce() + Send + 'static) {
    let (done, waiting) = channel();
    let test = thread::spawn(move || {
        test();
        done.send(()).unwrap();
    });
    match waiting.recv_timeout(LIMIT) {
        Err(RecvTimeoutError::Timeout) => panic!("not done within {LIMIT:?}"),
        Ok(()) | Err(RecvTimeoutError::Disconnected) => {
            if let Err(panic) = test.join() {
                std::panic::resume_unwind(panic);
            }
        }
    }
}

/// Runs a test on a runtime of its own.
pub(crate) fn run(test: impl Future<Output = ()> + Send + 'static) {
    bounded(|| runtime().block_on(test));
}

pub(crate) fn runtime() -> Runtime {
    Builder::new_current_thread().enable_all().build().unwrap()
}

/// The path of a socket, and the socket gone afterwards.
pub(crate) struct Socket(PathBuf);

impl Socket {
    pub(crate) fn new() -> Self {
        static NEXT: AtomicUsize = AtomicUsize::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        Self::at(std::env::temp_dir().join(format!("lxd-transport-{}-{number}.sock", std::process::id())))
    }

    pub(crate) fn at(path: PathBuf) -> Self {
        // An earlier process of this number may have been killed.
        let _ = std::fs::remove_file(&path);
        Self(path)
    }

    pub(crate) fn listen(&self) -> UnixListener {
        UnixListener::bind(&self.0).unwrap()
    }

    pub(crate) fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for Socket {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.0);
    }
}

/// The server's end of a connection.
pub(crate) struct Peer<S> {
    stream: S,
    read: Vec<u8>,
}

pub(crate) async fn accept(listener: &UnixListener) -> Peer<UnixStream> {
    Peer::new(listener.accept().await.unwrap().0)
}

impl<S: AsyncRead + AsyncWrite + Unpin> Peer<S> {
    pub(crate) fn new(stream: S) -> Self {
        Self { stream, read: Vec::new() }
    }

    /// One request, body included, as it came over the wire; `None` if the connection ends before it does.
    pub(crate) async fn request(&mut self) -> Option<String> {
        let head = self.until(b"\r\n\r\n").await?;
        let lower = head.to_lowercase();
        let body = if lower.contains("transfer-encoding: chunked") {
            self.until(b"0\r\n\r\n").await?
        } else {
            let length =
                lower.split("content-length: ").nth(1).map_or("0", |rest| rest.lines().next().unwrap());
            self.take(length.parse().unwrap()).await?
        };
        Some(head + &body)
    }

    /// Everything up to the next end like this.
    pub(crate) async fn until(&mut self, end: &[u8]) -> Option<String> {
        loop {
            if let Some(place) = self.read.windows(end.len()).position(|window| window == end) {
                return self.take(place + end.len()).await;
            }
            self.more().await?;
        }
    }

    pub(crate) async fn take(&mut self, length: usize) -> Option<String> {
        while self.read.len() < length {
            self.more().await?;
        }
        Some(String::from_utf8(self.read.drain(..length).collect()).unwrap())
    }

    async fn more(&mut self) -> Option<()> {
        match self.stream.read_buf(&mut self.read).await {
            Ok(1..) => Some(()),
            _ => None,
        }
    }

    pub(crate) async fn write(&mut self, bytes: impl AsRef<[u8]>) -> io::Result<()> {
        self.stream.write_all(bytes.as_ref()).await?;
        self.stream.flush().await
    }

    /// Answers `200` with this body.
    pub(crate) async fn answer(&mut self, body: &str) {
        self.write(format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n{body}", body.len())).await.unwrap();
    }

    /// Waits until the client has closed the connection.
    pub(crate) async fn closed(&mut self) {
        while self.more().await.is_some() {}
    }
}

/// A stream of chunks that come through a channel.
pub(crate) struct Chunks(pub(crate) Receiver<&'static str>);

impl Stream for Chunks {
    type Item = Result<Bytes, io::Error>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.0.poll_recv(cx).map(|chunk| chunk.map(|chunk| Ok(Bytes::from_static(chunk.as_bytes()))))
    }
}

pub(crate) fn get(target: &str) -> Request<Body> {
    Request::get(target).body(Body::empty()).unwrap()
}

pub(crate) fn post(body: impl Into<Body>) -> Request<Body> {
    Request::builder().method(Method::POST).uri("/1.0").body(body.into()).unwrap()
}

/// The whole body of a small answer.
pub(crate) async fn text(response: Response<Body>) -> Result<String, Error> {
    let bytes = response.into_body().collect(1 << 16).await?;
    Ok(String::from_utf8(bytes.to_vec()).unwrap())
}

pub(crate) const fn ms(milliseconds: u64) -> Duration {
    Duration::from_millis(milliseconds)
}
