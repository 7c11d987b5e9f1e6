//! Event streams of servers that fall silent, or say what cannot be read.

use std::{
    future::poll_fn,
    path::PathBuf,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use futures_core::Stream;
use futures_sink::Sink;
use lxd_storage::{Client, EventItem, transport::HttpTransport};
use tokio::{
    net::{UnixListener, UnixStream},
    task::JoinHandle,
    time::timeout,
};
use tokio_websockets::{Message, ServerBuilder, WebSocketStream};

async fn say(stream: &mut WebSocketStream<UnixStream>, message: Message) {
    poll_fn(|cx| Pin::new(&mut *stream).poll_ready(cx)).await.unwrap();
    Pin::new(&mut *stream).start_send(message).unwrap();
    poll_fn(|cx| Pin::new(&mut *stream).poll_flush(cx)).await.unwrap();
}

/// A server of nothing but event streams: it says these and then no more, and leaves the connection open.
struct Silent {
    socket: PathBuf,
    streams: Arc<AtomicUsize>,
    task: JoinHandle<()>,
}

impl Silent {
    fn start(says: &'static [&'static str]) -> Self {
        static NEXT: AtomicUsize = AtomicUsize::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let socket = std::env::temp_dir().join(format!("lxdrs-silent-{}-{number}", std::process::id()));
        let _ = std::fs::remove_file(&socket);
        let listener = UnixListener::bind(&socket).unwrap();
        let streams = Arc::new(AtomicUsize::new(0));
        let count = Arc::clone(&streams);
        let task = tokio::spawn(async move {
            let mut open = Vec::new();
            while let Ok((stream, _)) = listener.accept().await {
                let (_, mut stream) = ServerBuilder::new().accept(stream).await.unwrap();
                count.fetch_add(1, Ordering::Relaxed);
                say(&mut stream, Message::ping("keepalive")).await;
                for text in says {
                    say(&mut stream, Message::text(*text)).await;
                }
                open.push(stream);
            }
        });
        Self { socket, streams, task }
    }

    fn client(&self) -> Client {
        Client::new(HttpTransport::unix(&self.socket))
    }
}

impl Drop for Silent {
    fn drop(&mut self) {
        self.task.abort();
        let _ = std::fs::remove_file(&self.socket);
    }
}

#[tokio::test]
async fn silence_is_noticed_by_who_waits_in_short_turns() {
    let server = Silent::start(&[]);
    let mut events = server.client().events().open().await.unwrap();
    tokio::time::pause();
    for _ in 0..2 {
        assert!(timeout(Duration::from_secs(10), events.next()).await.is_err());
    }
    let third = timeout(Duration::from_secs(15), events.next()).await;
    assert_eq!(third.unwrap().unwrap(), EventItem::Gap);
    assert_eq!(server.streams.load(Ordering::Relaxed), 2);
}

#[tokio::test]
async fn what_cannot_be_read_is_a_gap() {
    let server = Silent::start(&["no JSON", r#"{"type":"lifecycle","metadata":{"action":"x"}}"#]);
    let mut events = server.client().events().open().await.unwrap();
    assert_eq!(events.next().await.unwrap(), EventItem::Gap);
    assert!(matches!(events.next().await.unwrap(), EventItem::Event(_)));
}

#[tokio::test]
async fn events_are_a_stream() {
    let server = Silent::start(&[r#"{"type":"lifecycle","metadata":{"action":"x"}}"#]);
    let mut events = server.client().events().open().await.unwrap().into_stream();
    let next = poll_fn(|cx| Pin::new(&mut events).poll_next(cx));
    assert!(matches!(next.await, Some(Ok(EventItem::Event(_)))));
}
