//! A server that answers by a script.

use std::{
    path::{Path, PathBuf},
    sync::{Arc, Mutex},
    time::Duration,
};

use lxd_storage::{
    Client,
    transport::{HttpTransport, Limits},
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{UnixListener, UnixStream},
    task::JoinHandle,
};

/// What to do with a request.
pub(crate) enum Reply {
    /// Send these bytes and keep the connection.
    Bytes(Vec<u8>),
    /// Send these bytes and close the connection.
    Cut(Vec<u8>),
    /// Send these bytes again and again until the client has had enough.
    Endless(Vec<u8>, Vec<u8>),
    /// Send these bytes and then nothing, for ever.
    Stall(Vec<u8>),
    /// Do that, but later.
    Late(Duration, Box<Reply>),
}

impl Reply {
    /// With a header more, in an answer that is sent as a whole.
    pub(crate) fn with_header(self, header: &str) -> Self {
        let Self::Bytes(bytes) = self else { panic!("no whole answer") };
        let text = String::from_utf8(bytes).unwrap();
        let (status, rest) = text.split_once("\r\n").unwrap();
        Self::Bytes(format!("{status}\r\n{header}\r\n{rest}").into_bytes())
    }
}

/// A JSON answer with its head.
pub(crate) fn json(status: &str, body: &str) -> Reply {
    answer(status, "application/json", body)
}

/// An answer of any content type with its head.
pub(crate) fn answer(status: &str, content_type: &str, body: &str) -> Reply {
    Reply::Bytes(
        format!(
            "HTTP/1.1 {status}\r\nContent-Type: {content_type}\r\nContent-Length: {}\r\n\r\n{body}",
            body.len()
        )
        .into(),
    )
}

/// A sync answer with this metadata.
pub(crate) fn sync(metadata: &str) -> Reply {
    json(
        "200 OK",
        &format!(
            r#"{{"type":"sync","status":"Success","status_code":200,"operation":"","error_code":0,"error":"","metadata":{metadata}}}"#
        ),
    )
}

/// A websocket that brings a ping and these texts, each shorter than 64 KiB, and stays open.
pub(crate) fn websocket(texts: &[String]) -> Reply {
    // The answer to the nonce of RFC 6455, which clients of this library send.
    let head = "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
                Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n";
    let mut bytes = head.as_bytes().to_vec();
    bytes.extend([0x89, 0]);
    for text in texts {
        bytes.extend([0x81, 126]);
        bytes.extend(u16::try_from(text.len()).unwrap().to_be_bytes());
        bytes.extend(text.as_bytes());
    }
    Reply::Stall(bytes)
}

/// A request as it came.
#[derive(Clone)]
pub(crate) struct Sent {
    /// `METHOD target`.
    pub(crate) request: String,
    /// All of the head in small letters.
    pub(crate) head: String,
    pub(crate) body: String,
}

/// The running server. Dropping it ends it and removes its socket.
pub(crate) struct Script {
    socket: PathBuf,
    sent: Arc<Mutex<Vec<Sent>>>,
    task: JoinHandle<()>,
}

impl Script {
    /// Answers each request, given as `METHOD target`, by what the function makes of it.
    pub(crate) fn start(reply: impl Fn(&str) -> Reply + Send + Sync + 'static) -> Self {
        Self::reading(move |request, _| reply(request))
    }

    /// The same, for who looks at the body of a request too.
    pub(crate) fn reading(reply: impl Fn(&str, &str) -> Reply + Send + Sync + 'static) -> Self {
        static NEXT: std::sync::atomic::AtomicUsize = std::sync::atomic::AtomicUsize::new(0);
        let number = NEXT.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        let socket = std::env::temp_dir().join(format!("lxdrs-script-{}-{number}", std::process::id()));
        let _ = std::fs::remove_file(&socket);
        let listener = UnixListener::bind(&socket).unwrap();
        let sent = Arc::new(Mutex::new(Vec::new()));
        let (reply, noted) = (Arc::new(reply), Arc::clone(&sent));
        let task = tokio::spawn(async move {
            let mut connections = tokio::task::JoinSet::new();
            while let Ok((stream, _)) = listener.accept().await {
                connections.spawn(serve(stream, Arc::clone(&reply), Arc::clone(&noted)));
            }
        });
        Self { socket, sent, task }
    }

    /// A client with limits of a few hundred milliseconds.
    pub(crate) fn client(&self) -> Client {
        let short = Duration::from_millis(300);
        let limits = Limits::METADATA.with_first_byte(short).with_idle(short);
        Client::builder(HttpTransport::unix(&self.socket)).limits(limits).answer_max(1 << 20).build().unwrap()
    }

    /// Where it listens, for clients with settings of their own.
    pub(crate) fn socket(&self) -> &Path {
        &self.socket
    }

    /// The requests so far.
    pub(crate) fn seen(&self) -> Vec<String> {
        self.sent.lock().unwrap().iter().map(|sent| sent.request.clone()).collect()
    }

    /// The last request of this method and target, whole.
    pub(crate) fn sent(&self, request: &str) -> Sent {
        let sent = self.sent.lock().unwrap();
        let found = sent.iter().rev().find(|sent| sent.request == request);
        found.cloned().unwrap_or_else(|| panic!("nobody asked {request}"))
    }
}

impl Drop for Script {
    fn drop(&mut self) {
        self.task.abort();
        let _ = std::fs::remove_file(&self.socket);
    }
}

async fn serve<F: Fn(&str, &str) -> Reply>(
    mut stream: UnixStream,
    reply: Arc<F>,
    noted: Arc<Mutex<Vec<Sent>>>,
) {
    while let Some(sent) = read_request(&mut stream).await {
        noted.lock().unwrap().push(sent.clone());
        let mut reply = reply(&sent.request, &sent.body);
        while let Reply::Late(pause, later) = reply {
            tokio::time::sleep(pause).await;
            reply = *later;
        }
        let done = match reply {
            // Waited for above.
            Reply::Late(..) => true,
            Reply::Bytes(bytes) => stream.write_all(&bytes).await.is_err(),
            Reply::Cut(bytes) => stream.write_all(&bytes).await.is_ok() | true,
            Reply::Endless(head, more) => {
                let mut open = stream.write_all(&head).await.is_ok();
                while open {
                    open = stream.write_all(&more).await.is_ok();
                }
                true
            }
            Reply::Stall(bytes) => {
                let _ = stream.write_all(&bytes).await;
                std::future::pending().await
            }
        };
        if done {
            return;
        }
    }
}

async fn read_request(stream: &mut UnixStream) -> Option<Sent> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(stream.read_u8().await.ok()?);
    }
    let head = String::from_utf8(head).ok()?;
    let length = head
        .lines()
        .find_map(|line| line.to_ascii_lowercase().strip_prefix("content-length:")?.trim().parse().ok());
    let mut body = vec![0; length.unwrap_or(0)];
    stream.read_exact(&mut body).await.ok()?;
    let mut words = head.split(' ');
    let request = format!("{} {}", words.next()?, words.next()?);
    Some(Sent { request, head: head.to_lowercase(), body: String::from_utf8_lossy(&body).into_owned() })
}
