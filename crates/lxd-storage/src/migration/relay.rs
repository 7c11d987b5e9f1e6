//! Everything passes through us: both servers' websockets, joined message by message.

use std::{
    future::poll_fn,
    pin::Pin,
    sync::{
        Arc, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    task::{Context, Poll},
    time::Duration,
};

use futures_core::Stream;
use futures_sink::Sink;
use lxd_types::{Progress, StorageVolumesPost};
use tokio::{task::JoinSet, time};
use tokio_websockets::{Error as SocketError, Message};

use super::{Migration, begun::Begun, ends::both, pull::offered};
use crate::{
    Error, ErrorKind,
    websocket::{Socket, open_with_secret},
};

/// How often progress is told.
const TELL_EVERY: Duration = Duration::from_secs(1);

impl Migration {
    /// Joins the websockets of both ends until both are done.
    pub(super) async fn relay_through_us(
        &self,
        post: &StorageVolumesPost,
        begun: &Arc<Begun>,
    ) -> Result<(), Error> {
        let source = self.hand_over(None, begun).await?;
        let sink = self.receive(post, begun).await?;
        let (from, to) = (offered(source.operation())?, offered(sink.operation())?);
        let (secrets, theirs) = (from.secrets(), to.secrets());
        let passed = Arc::new(AtomicU64::new(0));
        let mut wires = JoinSet::new();
        for name in secrets.names() {
            let (Some(here), Some(there)) = (secrets.get(name), theirs.get(name)) else {
                let message = format!("the target knows no websocket {name:?}, which the source offers");
                return Err(Error::new(ErrorKind::Decode, message));
            };
            let mut wire = Wire {
                source: open_with_secret(self.source.client(), &from.id, here).await?,
                sink: open_with_secret(self.pool.client(), &to.id, there).await?,
                forth: Lane::default(),
                back: Lane::default(),
                passed: Arc::clone(&passed),
            };
            wires.spawn(async move { poll_fn(|cx| wire.poll(cx)).await });
        }
        let sink = match self.deadline {
            Some(deadline) => sink.with_deadline(deadline),
            None => sink,
        };
        let mut ends = std::pin::pin!(both(source.wait(), sink.wait()));
        let mut clock = time::interval(TELL_EVERY);
        // The wires end with this function, in whichever way that ends.
        let ended = poll_fn(|cx| {
            while clock.poll_tick(cx).is_ready() {
                self.tell(passed.load(Ordering::Relaxed));
            }
            ends.as_mut().poll(cx)
        })
        .await;
        // What took less than a second is told too.
        self.tell(passed.load(Ordering::Relaxed));
        ended
    }

    fn tell(&self, bytes: u64) {
        let Some(on_progress) = &self.on_progress else { return };
        let progress = Progress::of_bytes("relay", bytes);
        (on_progress.lock().unwrap_or_else(PoisonError::into_inner))(&progress);
    }
}

/// One websocket of each end, joined.
struct Wire {
    source: Socket,
    sink: Socket,
    forth: Lane,
    back: Lane,
    passed: Arc<AtomicU64>,
}

impl Wire {
    /// Ends once both directions have.
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let forth = self.forth.poll(&mut self.source, &mut self.sink, &self.passed, cx);
        let back = self.back.poll(&mut self.sink, &mut self.source, &self.passed, cx);
        if forth.is_ready() && back.is_ready() { Poll::Ready(()) } else { Poll::Pending }
    }
}

/// One direction: at most one message is held, so a slow reader slows the writer down.
#[derive(Default)]
struct Lane {
    held: Option<Message>,
    unflushed: bool,
    ended: bool,
}

impl Lane {
    /// Passes messages on as they are: their kind and their borders mean something to the servers. What goes wrong ends
    /// the lane; the servers' operations tell why.
    fn poll(
        &mut self,
        from: &mut Socket,
        to: &mut Socket,
        passed: &AtomicU64,
        cx: &mut Context<'_>,
    ) -> Poll<()> {
        while !self.ended {
            match self.step(from, to, passed, cx) {
                Poll::Ready(Ok(())) => {}
                Poll::Ready(Err(_)) => self.ended = true,
                Poll::Pending => return Poll::Pending,
            }
        }
        Poll::Ready(())
    }

    fn step(
        &mut self,
        from: &mut Socket,
        to: &mut Socket,
        passed: &AtomicU64,
        cx: &mut Context<'_>,
    ) -> Poll<Result<(), SocketError>> {
        if self.held.is_some() {
            std::task::ready!(Pin::new(&mut *to).poll_ready(cx))?;
            if let Some(message) = self.held.take() {
                let last = message.is_close();
                passed.fetch_add(message.as_payload().len() as u64, Ordering::Relaxed);
                Pin::new(&mut *to).start_send(message)?;
                self.unflushed = true;
                if last {
                    std::task::ready!(Pin::new(&mut *to).poll_flush(cx))?;
                    self.ended = true;
                    return Poll::Ready(Ok(()));
                }
            }
        }
        match Pin::new(from).poll_next(cx) {
            // The socket itself answers these.
            Poll::Ready(Some(Ok(message))) if message.is_ping() || message.is_pong() => {}
            Poll::Ready(Some(Ok(message))) => self.held = Some(message),
            Poll::Ready(Some(Err(_)) | None) => self.held = Some(Message::close(None, "")),
            Poll::Pending => {
                if self.unflushed {
                    std::task::ready!(Pin::new(to).poll_flush(cx))?;
                    self.unflushed = false;
                }
                return Poll::Pending;
            }
        }
        Poll::Ready(Ok(()))
    }
}
