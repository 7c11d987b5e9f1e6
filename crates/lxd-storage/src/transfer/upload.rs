//! What goes to the server.

use std::{
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

use super::{CHUNK, OnTransfer, Transferred, file};
use crate::Error;

/// Content on its way to the server: of a file, a reader, a stream or memory.
///
/// ```no_run
/// # async fn example(volumes: lxd_storage::Volumes) -> Result<(), lxd_storage::Error> {
/// use lxd_storage::Upload;
///
/// let upload = Upload::file("data.tar.gz").await?.with_progress(|done| println!("{done}"));
/// let volume = volumes.import_backup(upload, Some("data")).await?;
/// # Ok(()) }
/// ```
pub struct Upload {
    body: Body,
    on_progress: Option<OnTransfer>,
    content: Content,
}

/// What the content is to be, as far as its beginning shows.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Content {
    Any,
    Archive,
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
        let is_archive = self.content == Content::Archive;
        let mut first = self.next_chunk().await?.unwrap_or_default();
        // A pipe may bring less at first than it takes to tell.
        while is_archive
            && first.len() < HEADER
            && let Some(chunk) = self.next_chunk().await?
        {
            first = [first, chunk].concat().into();
        }
        if is_archive && !looks_like_an_archive(&first) {
            let message =
                "this is no backup: it is neither a tarball, compressed or not, nor a squashfs image";
            return Err(Error::invalid(message));
        }
        let stream = Outgoing {
            first: Some(first).filter(|first| !first.is_empty()),
            rest: self.body,
            done: Transferred { bytes: 0, total: length },
            on_progress: self.on_progress,
        };
        Ok(match length {
            Some(length) => Body::from_sized_stream(length, stream),
            None => Body::from_stream(stream),
        })
    }

    async fn next_chunk(&mut self) -> Result<Option<Bytes>, Error> {
        self.body.chunk().await.transpose().map_err(|error| {
            Error::invalid(format!("the content to upload cannot be read: {error}")).with_source(error)
        })
    }
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

/// The content with its beginning put back, counted.
struct Outgoing {
    first: Option<Bytes>,
    rest: Body,
    done: Transferred,
    on_progress: Option<OnTransfer>,
}

impl Stream for Outgoing {
    type Item = Result<Bytes, lxd_transport::Error>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let this = &mut *self;
        let chunk = match this.first.take() {
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

/// The first header of a tarball is so long, and all other beginnings are shorter.
const HEADER: usize = 512;

/// Whether content begins like something that servers unpack.
fn looks_like_an_archive(start: &[u8]) -> bool {
    const BEGINNINGS: [&[u8]; 7] = [
        b"\x1f\x8b",
        b"BZh",
        b"\xfd7zXZ",
        b"\x28\xb5\x2f\xfd",
        b"\x04\x22\x4d\x18",
        b"hsqs",
        b"\x5d\x00\x00",
    ];
    if BEGINNINGS.iter().any(|beginning| start.starts_with(beginning)) {
        return true;
    }
    // A plain tarball has its name in the middle of the first header.
    start.get(257..262).is_some_and(|magic| magic == b"ustar")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn archives_are_known_by_their_beginning() {
        let mut tar = vec![0_u8; 512];
        tar[257..262].copy_from_slice(b"ustar");
        for start in [&tar[..], b"\x1f\x8b\x08", b"hsqs", b"BZh9", b"\xfd7zXZ\0", b"\x28\xb5\x2f\xfd"] {
            assert!(looks_like_an_archive(start), "{start:?}");
        }
        for start in [&b""[..], b"hello", &[0; 512], b"PK\x03\x04"] {
            assert!(!looks_like_an_archive(start), "{start:?}");
        }
    }

    #[tokio::test]
    async fn what_is_no_backup_is_refused_before_it_is_sent() {
        let upload = Upload::from(Bytes::from_static(b"hello")).must_be(Content::Archive);
        let error = upload.into_body().await.unwrap_err();
        assert_eq!(error.kind(), crate::ErrorKind::InvalidInput);
    }

    /// As a backup, in chunks of this length.
    async fn sent(content: &[u8], chunk: usize) -> Result<Vec<u8>, Error> {
        let reader = ReaderStream::with_capacity(std::io::Cursor::new(content.to_vec()), chunk);
        let body = Upload::stream(reader, None).must_be(Content::Archive).into_body().await?;
        Ok(body.collect(1 << 20).await?.to_vec())
    }

    #[tokio::test]
    async fn a_backup_is_known_however_short_its_chunks_are() {
        let mut tar = vec![0_u8; 1536];
        tar[257..262].copy_from_slice(b"ustar");
        for backup in [&tar[..], b"\x1f\x8b\x08 and the rest", b"\x1f\x8b"] {
            for chunk in [1, 100, 511, 512, 4096] {
                assert_eq!(sent(backup, chunk).await.unwrap(), backup, "{chunk}");
            }
        }
        for other in [&b""[..], b"h", &[b'x'; 2000]] {
            for chunk in [1, 4096] {
                assert_eq!(sent(other, chunk).await.unwrap_err().kind(), crate::ErrorKind::InvalidInput);
            }
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
