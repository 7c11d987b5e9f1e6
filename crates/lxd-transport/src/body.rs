//! Bodies of requests and answers.

mod adapt;
mod clock;

use std::{
    error::Error as StdError,
    fmt,
    future::poll_fn,
    pin::Pin,
    task::{Context, Poll, ready},
};

use bytes::{Bytes, BytesMut};
use futures_core::Stream;
use http_body::{Frame, SizeHint};
use hyper::body::Incoming;
use tokio::time::Instant;

pub(crate) use self::adapt::Upload;
use self::{
    adapt::{Foreign, Sized, Streamed, Watched},
    clock::Clock,
};
use crate::{Error, ErrorKind, Limits, Reached, pool::Lease};

type BoxError = Box<dyn StdError + Send + Sync>;

/// A body that is read chunk by chunk: of a request or of an answer.
///
/// It is made from bytes, a stream or any other body, and is itself a body in the sense of the crate `http_body`. The body of an answer
/// carries the time limits of its call; dropping it unread closes the connection.
///
/// ```
/// # tokio::runtime::Builder::new_current_thread().build()?.block_on(async {
/// use lxd_transport::Body;
///
/// let body = Body::from("hello");
/// assert_eq!(body.collect(1024).await?, "hello");
/// # Ok::<(), lxd_transport::Error>(()) })?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Default)]
pub struct Body {
    content: Content,
    clock: Clock,
}

#[derive(Default)]
enum Content {
    #[default]
    Empty,
    Bytes(Bytes),
    /// What comes in over a connection that goes back to its pool at the end.
    Incoming {
        incoming: Incoming,
        lease: Option<Lease>,
    },
    Boxed(Pin<Box<dyn http_body::Body<Data = Bytes, Error = Error> + Send>>),
}

impl Body {
    /// No bytes.
    #[must_use]
    pub const fn empty() -> Self {
        Self { content: Content::Empty, clock: Clock::NONE }
    }

    /// Any other body.
    pub fn new<B>(body: B) -> Self
    where
        B: http_body::Body<Data = Bytes> + Send + 'static,
        B::Error: Into<BoxError>,
    {
        Self::boxed(Foreign::new(body))
    }

    /// The chunks of a stream. Its length goes unsaid, so a server cannot tell a cut from the end.
    pub fn from_stream<S, E>(stream: S) -> Self
    where
        S: Stream<Item = Result<Bytes, E>> + Send + 'static,
        E: Into<BoxError>,
    {
        Self::boxed(Streamed::new(stream))
    }

    /// The chunks of a stream of known length in bytes, which is told to the server. A stream that turns out longer
    /// or shorter is an error.
    pub fn from_sized_stream<S, E>(length: u64, stream: S) -> Self
    where
        S: Stream<Item = Result<Bytes, E>> + Send + 'static,
        E: Into<BoxError>,
    {
        Self::boxed(Sized::new(length, stream))
    }

    fn boxed(body: impl http_body::Body<Data = Bytes, Error = Error> + Send + 'static) -> Self {
        Self { content: Content::Boxed(Box::pin(body)), clock: Clock::NONE }
    }

    /// The same once more, if it is no stream; the copy has no time limits. Bytes are shared and not copied.
    #[must_use]
    pub fn try_clone(&self) -> Option<Self> {
        match &self.content {
            Content::Empty => Some(Self::empty()),
            Content::Bytes(bytes) => Some(Self::from(bytes.clone())),
            Content::Incoming { .. } | Content::Boxed(_) => None,
        }
    }

    pub(crate) fn incoming(incoming: Incoming, lease: Lease) -> Self {
        let mut content = Content::Incoming { incoming, lease: Some(lease) };
        content.release_at_end();
        Self { content, clock: Clock::NONE }
    }

    /// Notes how far the body is taken from now on; `None` where it goes out in one piece.
    pub(crate) fn watch(&mut self) -> Option<Upload> {
        match self.content {
            Content::Empty | Content::Bytes(_) => None,
            Content::Incoming { .. } | Content::Boxed(_) => {
                let upload = Upload::default();
                let body = std::mem::take(self);
                *self = Self::boxed(Watched { body, upload: upload.clone() });
                Some(upload)
            }
        }
    }

    /// Puts limits on reading: `idle` between chunks, and `total` from now on.
    #[must_use]
    pub fn with_limits(self, limits: Limits) -> Self {
        self.with_limits_since(limits, Instant::now())
    }

    pub(crate) fn with_limits_since(mut self, limits: Limits, start: Instant) -> Self {
        self.clock = Clock::new(limits, start);
        self
    }

    /// The next chunk, `None` at the end.
    ///
    /// # Errors
    /// [`Timeout`](ErrorKind::Timeout) and [`Interrupted`](ErrorKind::Interrupted).
    pub async fn chunk(&mut self) -> Option<Result<Bytes, Error>> {
        poll_fn(|cx| self.poll_chunk(cx)).await
    }

    /// The same for hand-written streams: [`chunk`](Self::chunk), polled.
    pub fn poll_chunk(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, Error>>> {
        loop {
            match ready!(http_body::Body::poll_frame(Pin::new(&mut *self), cx)) {
                None => return Poll::Ready(None),
                Some(Err(error)) => return Poll::Ready(Some(Err(error))),
                // Trailers say nothing here.
                Some(Ok(frame)) => {
                    if let Ok(chunk) = frame.into_data() {
                        return Poll::Ready(Some(Ok(chunk)));
                    }
                }
            }
        }
    }

    /// How many bytes are still to come, where that is known.
    #[must_use]
    pub fn length(&self) -> Option<u64> {
        http_body::Body::size_hint(self).exact()
    }

    /// All chunks together, at most `max` bytes.
    ///
    /// # Errors
    /// [`TooLarge`](ErrorKind::TooLarge), at once where the answer says that it is longer; those of
    /// [`chunk`](Self::chunk).
    pub async fn collect(mut self, max: usize) -> Result<Bytes, Error> {
        let too_large = || {
            Error::new(ErrorKind::TooLarge, format!("the answer is longer than {max} bytes"))
                .with_reached(Reached::Yes)
        };
        let announced = http_body::Body::size_hint(&self).lower();
        if announced > max as u64 {
            return Err(too_large());
        }
        let Some(first) = self.chunk().await.transpose()? else { return Ok(Bytes::new()) };
        let mut length = first.len();
        let mut rest: Option<BytesMut> = None;
        while length <= max {
            let Some(chunk) = self.chunk().await.transpose()? else {
                return Ok(rest.map_or(first, BytesMut::freeze));
            };
            length += chunk.len();
            rest.get_or_insert_with(|| BytesMut::from(&*first)).extend_from_slice(&chunk);
        }
        Err(too_large())
    }
}

impl Content {
    /// Gives the connection back once the answer was read to its end.
    fn release_at_end(&mut self) {
        if let Self::Incoming { incoming, lease } = self
            && http_body::Body::is_end_stream(incoming)
            && let Some(lease) = lease.take()
        {
            lease.release();
        }
    }

    fn poll_frame(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Error>>> {
        match self {
            Self::Empty => Poll::Ready(None),
            Self::Bytes(bytes) => {
                let bytes = std::mem::take(bytes);
                *self = Self::Empty;
                Poll::Ready(Some(Ok(Frame::data(bytes))))
            }
            Self::Boxed(body) => body.as_mut().poll_frame(cx),
            Self::Incoming { incoming, lease } => {
                let frame = ready!(http_body::Body::poll_frame(Pin::new(incoming), cx));
                match &frame {
                    None => {
                        if let Some(lease) = lease.take() {
                            lease.release();
                        }
                    }
                    Some(Ok(_)) => self.release_at_end(),
                    Some(Err(_)) => *lease = None,
                }
                Poll::Ready(frame.map(|frame| frame.map_err(cut_off)))
            }
        }
    }
}

fn cut_off(error: hyper::Error) -> Error {
    Error::new(ErrorKind::Interrupted, "the connection broke in the middle of the answer")
        .with_source(error)
        .with_reached(Reached::Yes)
}

impl http_body::Body for Body {
    type Data = Bytes;
    type Error = Error;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Error>>> {
        let this = self.get_mut();
        match this.content.poll_frame(cx) {
            Poll::Ready(Some(Ok(frame))) => Poll::Ready(Some(this.clock.check(frame))),
            Poll::Ready(end) => Poll::Ready(end),
            Poll::Pending => {
                let error = ready!(this.clock.poll_expired(cx));
                // Who waits no longer has no use for the connection either.
                this.content = Content::Empty;
                Poll::Ready(Some(Err(error)))
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        match &self.content {
            Content::Empty => true,
            Content::Bytes(_) => false,
            Content::Incoming { incoming, .. } => incoming.is_end_stream(),
            Content::Boxed(body) => body.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.content {
            Content::Empty => SizeHint::with_exact(0),
            Content::Bytes(bytes) => SizeHint::with_exact(bytes.len() as u64),
            Content::Incoming { incoming, .. } => incoming.size_hint(),
            Content::Boxed(body) => body.size_hint(),
        }
    }
}

impl From<Bytes> for Body {
    fn from(bytes: Bytes) -> Self {
        let content = if bytes.is_empty() { Content::Empty } else { Content::Bytes(bytes) };
        Self { content, clock: Clock::NONE }
    }
}

impl From<Vec<u8>> for Body {
    fn from(bytes: Vec<u8>) -> Self {
        Bytes::from(bytes).into()
    }
}

impl From<String> for Body {
    fn from(text: String) -> Self {
        Bytes::from(text).into()
    }
}

impl From<&'static str> for Body {
    fn from(text: &'static str) -> Self {
        Bytes::from_static(text.as_bytes()).into()
    }
}

impl fmt::Debug for Body {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let content = match &self.content {
            Content::Empty => "empty",
            Content::Bytes(_) => "bytes",
            Content::Incoming { .. } => "incoming",
            Content::Boxed(_) => "stream",
        };
        f.debug_struct("Body").field("content", &content).finish_non_exhaustive()
    }
}
