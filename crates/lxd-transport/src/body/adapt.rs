//! Streams and other people's bodies as ours. The inner ones are boxed so that no projection of pins is needed; one
//! allocation for each streamed body is nothing beside what it carries.

use std::{
    pin::Pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::{Context, Poll, ready},
};

use bytes::Bytes;
use futures_core::Stream;
use http_body::{Body, Frame, SizeHint};
use tokio::time::Instant;

use super::BoxError;
use crate::{Error, ErrorKind};

/// An error out of somebody else's source of bytes; one of ours stays what it is.
fn source_failed(error: impl Into<BoxError>) -> Error {
    match error.into().downcast::<Error>() {
        Ok(ours) => *ours,
        Err(other) => Error::new(ErrorKind::Other, "the source of the body failed").with_source(other),
    }
}

/// A body with an error of its own type. Gone once it has ended; not everyone's bears to be asked again.
pub(super) struct Foreign<B>(Option<Pin<Box<B>>>);

impl<B> Foreign<B> {
    pub(super) fn new(body: B) -> Self {
        Self(Some(Box::pin(body)))
    }
}

impl<B> Body for Foreign<B>
where
    B: Body<Data = Bytes>,
    B::Error: Into<BoxError>,
{
    type Data = Bytes;
    type Error = Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Error>>> {
        let Some(body) = &mut self.0 else { return Poll::Ready(None) };
        let frame = ready!(body.as_mut().poll_frame(cx));
        if frame.is_none() {
            self.0 = None;
        }
        Poll::Ready(frame.map(|frame| frame.map_err(source_failed)))
    }

    fn is_end_stream(&self) -> bool {
        self.0.as_ref().is_none_or(|body| body.is_end_stream())
    }

    fn size_hint(&self) -> SizeHint {
        self.0.as_ref().map_or_else(|| SizeHint::with_exact(0), |body| body.size_hint())
    }
}

/// A stream of chunks. Gone once it has ended.
pub(super) struct Streamed<S>(Option<Pin<Box<S>>>);

impl<S> Streamed<S> {
    pub(super) fn new(stream: S) -> Self {
        Self(Some(Box::pin(stream)))
    }
}

impl<S, E> Body for Streamed<S>
where
    S: Stream<Item = Result<Bytes, E>>,
    E: Into<BoxError>,
{
    type Data = Bytes;
    type Error = Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Error>>> {
        let Some(stream) = &mut self.0 else { return Poll::Ready(None) };
        let chunk = ready!(stream.as_mut().poll_next(cx));
        if chunk.is_none() {
            self.0 = None;
        }
        Poll::Ready(chunk.map(|chunk| chunk.map(Frame::data).map_err(source_failed)))
    }

    fn is_end_stream(&self) -> bool {
        self.0.is_none()
    }
}

/// A stream of chunks that promised its length.
///
/// Before the chunk that completes it is given away, the stream is asked for more: who sends the body stops asking once
/// the length is reached, and would never learn of a surplus. A stream that has nothing to say at once is not waited
/// for, since a pipe may stay open for ever.
pub(super) struct Sized<S> {
    /// Gone once it has ended; not every stream bears to be asked again.
    stream: Option<Pin<Box<S>>>,
    length: u64,
    left: u64,
    last: Option<Bytes>,
}

impl<S> Sized<S> {
    pub(super) fn new(length: u64, stream: S) -> Self {
        Self { stream: Some(Box::pin(stream)), length, left: length, last: None }
    }

    fn surplus(&self) -> Error {
        Error::invalid(format!("the body is longer than the {} bytes it promised", self.length))
    }
}

impl<S, E> Body for Sized<S>
where
    S: Stream<Item = Result<Bytes, E>>,
    E: Into<BoxError>,
{
    type Data = Bytes;
    type Error = Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Error>>> {
        loop {
            let Some(stream) = &mut self.stream else { return Poll::Ready(None) };
            let next = match stream.as_mut().poll_next(cx) {
                Poll::Ready(next) => next,
                Poll::Pending if self.left == 0 => None,
                Poll::Pending => return Poll::Pending,
            };
            if next.is_none() {
                self.stream = None;
            }
            let chunk = match next {
                None if self.left == 0 => {
                    return Poll::Ready(self.last.take().map(|last| Ok(Frame::data(last))));
                }
                None => {
                    let message = format!(
                        "the body ended {} bytes short of the {} it promised",
                        self.left, self.length
                    );
                    return Poll::Ready(Some(Err(Error::invalid(message))));
                }
                Some(Err(error)) => return Poll::Ready(Some(Err(source_failed(error)))),
                Some(Ok(chunk)) => chunk,
            };
            match self.left.checked_sub(chunk.len() as u64) {
                None => return Poll::Ready(Some(Err(self.surplus()))),
                // An empty chunk changes nothing, before the end and after it.
                Some(_) if chunk.is_empty() => {}
                Some(0) => (self.left, self.last) = (0, Some(chunk)),
                Some(left) => {
                    self.left = left;
                    return Poll::Ready(Some(Ok(Frame::data(chunk))));
                }
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        self.stream.is_none() && self.last.is_none()
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.left + self.last.as_ref().map_or(0, |last| last.len() as u64))
    }
}

/// What is known of a request's body that is on its way.
#[derive(Clone, Default)]
pub(crate) struct Upload(Arc<Mutex<Seen>>);

#[derive(Clone, Copy, Default)]
struct Seen {
    last_chunk: Option<Instant>,
    ended: bool,
}

impl Upload {
    /// When a chunk was last taken.
    pub(crate) fn last_chunk(&self) -> Option<Instant> {
        self.seen().last_chunk
    }

    /// Whether all of it was taken.
    pub(crate) fn has_ended(&self) -> bool {
        self.seen().ended
    }

    fn note(&self, ended: bool) {
        *self.seen() = Seen { last_chunk: Some(Instant::now()), ended };
    }

    fn seen(&self) -> MutexGuard<'_, Seen> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A body that notes how far it was taken.
pub(super) struct Watched {
    pub(super) body: super::Body,
    pub(super) upload: Upload,
}

impl Body for Watched {
    type Data = Bytes;
    type Error = Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Error>>> {
        let frame = ready!(Pin::new(&mut self.body).poll_frame(cx));
        self.upload.note(frame.is_none() || self.body.is_end_stream());
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
