//! A stream that is listened to after it can't be written to any longer.

use std::{
    future::Future,
    io,
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};

use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    time::{Instant, Sleep, sleep_until},
};

use crate::Io;

/// So long the peer's last words are waited for.
const PATIENCE: Duration = Duration::from_secs(2);

/// Holds an error of writing back until all was read that the peer had said before.
///
/// A server that refuses an upload answers in the middle of it and closes the connection. Its answer may be here
/// already when the next write fails, and HTTP below would give up at that without a look at it.
pub(crate) struct Heard {
    io: Box<dyn Io>,
    /// Why writing failed.
    broken: Option<io::Error>,
    /// How long that is kept back; once an answer comes, to the end of it.
    patience: Option<Pin<Box<Sleep>>>,
    /// Whether reading is at its end: there is nothing to be waited for.
    silent: bool,
}

impl Heard {
    pub(crate) fn new(io: Box<dyn Io>) -> Self {
        Self { io, broken: None, patience: None, silent: false }
    }

    /// What writing came to, or nothing yet if it failed.
    fn written<T>(
        &mut self,
        cx: &mut Context<'_>,
        write: impl FnOnce(Pin<&mut dyn Io>, &mut Context<'_>) -> Poll<io::Result<T>>,
    ) -> Poll<io::Result<T>> {
        if self.broken.is_none() {
            match write(Pin::new(&mut *self.io), cx) {
                Poll::Ready(Err(error)) if !self.silent => {
                    self.broken = Some(error);
                    self.patience = Some(Box::pin(sleep_until(Instant::now() + PATIENCE)));
                    // Whoever was about to write is to read first.
                    cx.waker().wake_by_ref();
                }
                written => return written,
            }
        }
        let over = self.patience.as_mut().is_some_and(|patience| patience.as_mut().poll(cx).is_ready());
        match &mut self.broken {
            Some(error) if self.silent || over => Poll::Ready(Err(again(error))),
            _ => Poll::Pending,
        }
    }
}

/// The same error once more.
fn again(error: &mut io::Error) -> io::Error {
    let copy = error.kind().into();
    std::mem::replace(error, copy)
}

impl AsyncRead for Heard {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let (room, before) = (buf.remaining(), buf.filled().len());
        let read = Pin::new(&mut self.io).poll_read(cx, buf);
        if let Poll::Ready(outcome) = &read {
            self.patience = None;
            self.silent |= outcome.is_err() || (room > 0 && buf.filled().len() == before);
        }
        read
    }
}

impl AsyncWrite for Heard {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.written(cx, |io, cx| io.poll_write(cx, bytes))
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        parts: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.written(cx, |io, cx| io.poll_write_vectored(cx, parts))
    }

    fn is_write_vectored(&self) -> bool {
        self.io.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.written(cx, |io, cx| io.poll_flush(cx))
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_shutdown(cx)
    }
}
