//! What goes to the server.

use std::{
    collections::VecDeque,
    fmt,
    path::Path,
    pin::Pin,
    task::{Context, Poll, ready},
};

use bytes::Bytes;
use futures_core::Stream;
use lxd_transport::Body;
use tokio::io::AsyncRead;
use tokio_util::io::ReaderStream;

use super::{CHUNK, Content, OnTransfer, Transferred, file};
use crate::Error;

/// Content on its way to the server: of a file, a reader, a stream or memory.
///
/// ```
/// # async fn example(volumes: lxd_storage::Volumes) -> Result<(), lxd_storage::Error> {
/// use lxd_storage::Upload;
///
/// let upload = Upload::file("data.tar.gz").await?.with_progress(|done| println!("{done}"));
/// let volume = volumes.import_backup(upload, Some("data")).await?;
/// # Ok(()) }
/// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doc/server.rs"));
/// # fn main() { on_emulator!(example(volumes) in packed) }
/// ```
pub struct Upload {
    body: Body,
    on_progress: Option<OnTransfer>,
    content: Content,
}

impl Upload {
    /// The content of a file, read in a thread of its own.
    ///
    /// # Errors
    /// [`InvalidInput`](crate::ErrorKind::InvalidInput) for a file that can't be opened or is none.
    pub async fn file(path: impl AsRef<Path>) -> Result<Self, Error> {
        let (length, stream) = file::read(path.as_ref()).await?;
        Ok(Self::new(Body::from_sized_stream(length, stream)))
    }

    /// All that a reader gives. Where its length in bytes is known, the server can tell a cut from the end, and
    /// progress has a total.
    pub fn reader(reader: impl AsyncRead + Send + 'static, length: Option<u64>) -> Self {
        Self::stream(ReaderStream::with_capacity(reader, CHUNK), length)
    }

    /// The chunks of a stream, and their length in bytes if it is known.
    pub fn stream<E>(
        stream: impl Stream<Item = Result<Bytes, E>> + Send + 'static,
        length: Option<u64>,
    ) -> Self
    where
        E: Into<Box<dyn std::error::Error + Send + Sync>>,
    {
        Self::new(match length {
            Some(length) => Body::from_sized_stream(length, stream),
            None => Body::from_stream(stream),
        })
    }

    /// Any body.
    #[must_use]
    pub fn new(body: Body) -> Self {
        Self { body, on_progress: None, content: Content::Any }
    }

    /// Calls back with every chunk that is handed to the connection. At the end of it the server begins its own work.
    #[must_use]
    pub fn with_progress(mut self, on_progress: impl FnMut(Transferred) + Send + 'static) -> Self {
        self.on_progress = Some(Box::new(on_progress));
        self
    }

    /// Says what the beginning has to look like.
    pub(crate) fn must_be(mut self, content: Content) -> Self {
        self.content = content;
        self
    }

    /// The body to send, once its beginning was looked at.
    pub(crate) async fn into_body(mut self) -> Result<Body, Error> {
        let length = self.body.length();
        let beginning = self.beginning().await?;
        let stream = Outgoing {
            beginning,
            rest: self.body,
            done: Transferred { bytes: 0, total: length },
            on_progress: self.on_progress,
        };
        Ok(match length {
            Some(length) => Body::from_sized_stream(length, stream),
            None => Body::from_stream(stream),
        })
    }

    /// Reads as much as it takes to judge the content, in whatever pieces it comes, and judges it.
    async fn beginning(&mut self) -> Result<VecDeque<Bytes>, Error> {
        // Whatever the content is to be: one that cannot be read at all is not to be found out while it is sent.
        let needed = self.content.needed().max(1);
        let (mut chunks, mut seen) = (VecDeque::new(), 0);
        while seen < needed {
            let Some(chunk) = self.body.chunk().await.transpose().map_err(unreadable)? else { break };
            seen += chunk.len();
            chunks.push_back(chunk);
        }
        chunks.retain(|chunk| !chunk.is_empty());
        let mut start = Vec::with_capacity(needed.min(seen));
        for chunk in &chunks {
            let missing = needed - start.len();
            start.extend_from_slice(chunk.get(..missing).unwrap_or(chunk));
        }
        self.content.check(&start)?;
        Ok(chunks)
    }
}

fn unreadable(error: lxd_transport::Error) -> Error {
    Error::invalid(format!("the content to upload cannot be read: {error}")).with_source(error)
}

impl From<Bytes> for Upload {
    fn from(bytes: Bytes) -> Self {
        Self::new(Body::from(bytes))
    }
}

impl From<Vec<u8>> for Upload {
    fn from(bytes: Vec<u8>) -> Self {
        Self::from(Bytes::from(bytes))
    }
}

impl From<String> for Upload {
    fn from(text: String) -> Self {
        Self::from(text.into_bytes())
    }
}

impl From<&'static str> for Upload {
    fn from(text: &'static str) -> Self {
        Self::from(Bytes::from_static(text.as_bytes()))
    }
}

impl fmt::Debug for Upload {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Upload").field("length", &self.body.length()).finish_non_exhaustive()
    }
}

/// The content with its first chunks put back, counted.
struct Outgoing {
    beginning: VecDeque<Bytes>,
    rest: Body,
    done: Transferred,
    on_progress: Option<OnTransfer>,
}

impl Stream for Outgoing {
    type Item = Result<Bytes, lxd_transport::Error>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let this = &mut *self;
        let chunk = match this.beginning.pop_front() {
            Some(first) => first,
            None => match ready!(this.rest.poll_chunk(cx)) {
                Some(Ok(chunk)) => chunk,
                end => return Poll::Ready(end),
            },
        };
        this.done.bytes += chunk.len() as u64;
        if let Some(on_progress) = &mut this.on_progress {
            on_progress(this.done);
        }
        Poll::Ready(Some(Ok(chunk)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn what_is_no_backup_is_refused_before_it_is_sent() {
        let upload = Upload::from(Bytes::from_static(b"hello")).must_be(Content::Archive);
        let error = upload.into_body().await.unwrap_err();
        assert_eq!(error.kind(), crate::ErrorKind::InvalidInput);
    }

    /// The same content in chunks of so many bytes.
    fn in_chunks(content: &[u8], size: usize) -> Upload {
        let mut chunks: VecDeque<Bytes> = content.chunks(size).map(Bytes::copy_from_slice).collect();
        // One without anything in it means nothing.
        chunks.push_front(Bytes::new());
        let body = Body::from_stream(Outgoing {
            beginning: chunks,
            rest: Body::empty(),
            done: Transferred { bytes: 0, total: None },
            on_progress: None,
        });
        Upload::new(body)
    }

    #[tokio::test]
    async fn it_is_judged_and_sent_whole_in_whatever_pieces_it_comes() {
        let mut tar = vec![7_u8; 2_000];
        tar[257..262].copy_from_slice(b"ustar");
        let mut image = vec![7_u8; 40_000];
        image[32_769..32_774].copy_from_slice(b"CD001");
        for (content, kind) in [(&tar, Content::Archive), (&image, Content::Iso), (&tar, Content::Any)] {
            for size in [1, 100, 32_770, 1 << 20] {
                let body = in_chunks(content, size).must_be(kind).into_body().await.unwrap();
                assert_eq!(body.collect(1 << 20).await.unwrap(), *content, "{kind:?} in {size}");
            }
        }
        for size in [1, 100, 1 << 20] {
            let error = in_chunks(&tar, size).must_be(Content::Iso).into_body().await.unwrap_err();
            assert!(error.to_string().contains("2000 bytes"), "{error}");
        }
    }

    #[tokio::test]
    async fn content_goes_out_whole_and_counted() {
        let (sender, mut seen) = tokio::sync::mpsc::unbounded_channel();
        let reader = std::io::Cursor::new(vec![7_u8; CHUNK + 10]);
        let upload = Upload::reader(reader, Some(CHUNK as u64 + 10))
            .with_progress(move |done| sender.send(done).unwrap());
        let body = upload.into_body().await.unwrap().collect(1 << 20).await.unwrap();
        assert_eq!((body.len(), body.iter().all(|byte| *byte == 7)), (CHUNK + 10, true));
        let mut last = None;
        while let Some(done) = seen.recv().await {
            last = Some(done);
        }
        let all = CHUNK as u64 + 10;
        assert_eq!(last, Some(Transferred { bytes: all, total: Some(all) }));
    }
}
