//! What comes from the server.

use std::{fmt, path::Path, time::Duration};

use bytes::Bytes;
use futures_core::Stream;
use http::{HeaderMap, HeaderValue, Method, Response, StatusCode, Uri, header};
use lxd_transport::{Body, Reached};
use tokio::io::{AsyncWrite, AsyncWriteExt};

use super::{OnTransfer, Transferred, file::Writing};
use crate::{Client, Error, ErrorKind, unfold::Unfold};

/// So often in a row a download that was cut is taken up again without a byte of progress.
const RESUMES: u32 = 6;

/// Before the first of them; doubled each time. In all about six seconds, which a restart of the daemon takes.
const FIRST_PAUSE: Duration = Duration::from_millis(100);

/// Content on its way from the server, to be read chunk by chunk or written somewhere.
///
/// A connection that breaks in the middle is taken up again where it broke (`Range`), if the server can do that and
/// the content is still the same; callers see nothing of it but the time that it takes.
///
/// ```
/// # async fn example(backup: lxd_storage::BackupHandle) -> Result<(), lxd_storage::Error> {
/// let mut download = backup.download().await?;
/// println!("{:?} bytes", download.size());
/// while let Some(chunk) = download.chunk().await {
///     let chunk = chunk?;
///     // ...
/// }
/// # Ok(()) }
/// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doc/server.rs"));
/// # fn main() { on_emulator!(example(backup)) }
/// ```
#[must_use = "nothing is read until `chunk` or one of the others is called"]
pub struct Download {
    from: From,
    uri: Uri,
    body: Body,
    done: Transferred,
    /// Tells this content from another of the same address.
    validator: Option<HeaderValue>,
    /// Whether the server can begin in the middle, and it can be told whether the content is still the same.
    ranges: bool,
    failures: u32,
    hash: Option<hmac_sha256::Hash>,
    on_progress: Option<OnTransfer>,
    /// Kept as long as the download: what removes a temporary backup when it goes.
    pub(crate) guard: Option<Box<dyn Send>>,
}

/// Where content comes from, so that it can be asked for again.
pub(crate) struct From {
    pub(crate) client: Client,
    pub(crate) method: Method,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
}

impl Download {
    pub(crate) async fn begin(from: From, uri: Uri) -> Result<Self, Error> {
        let exchange = from.client.exchange();
        let (method, headers) = (from.method.clone(), from.headers.clone());
        let response = exchange.stream(method, uri.clone(), headers, from.body.clone()).await?;
        Ok(Self::of_response(from, uri, response))
    }

    /// The content of an answer that is here already.
    pub(crate) fn of_response(from: From, uri: Uri, response: Response<Body>) -> Self {
        let size = response.body().length();
        let header = |name: header::HeaderName| response.headers().get(name).cloned();
        let ranges =
            from.method == Method::GET && header(header::ACCEPT_RANGES).is_some_and(|value| value == "bytes");
        let validator = validator(response.headers()).cloned();
        Self {
            ranges: ranges && size.is_some() && validator.is_some(),
            validator,
            from,
            uri,
            body: response.into_body(),
            done: Transferred { bytes: 0, total: size },
            failures: 0,
            hash: None,
            on_progress: None,
            guard: None,
        }
    }

    /// The length in bytes of the whole content, where the server says.
    #[must_use]
    pub fn size(&self) -> Option<u64> {
        self.done.total
    }

    /// How far the download has come.
    #[must_use]
    pub fn transferred(&self) -> Transferred {
        self.done
    }

    /// Calls back with every chunk.
    pub fn with_progress(mut self, on_progress: impl FnMut(Transferred) + Send + 'static) -> Self {
        self.on_progress = Some(Box::new(on_progress));
        self
    }

    /// Computes the SHA-256 of all that comes in, which costs more processor time than the download itself.
    pub fn with_checksum(mut self) -> Self {
        self.hash.get_or_insert_with(hmac_sha256::Hash::new);
        self
    }

    /// The SHA-256 of what came in so far in lower-case hexadecimal digits, if [`with_checksum`](Self::with_checksum) was
    /// called.
    #[must_use]
    pub fn checksum(&self) -> Option<String> {
        let digest = self.hash?.finalize();
        Some(digest.iter().map(|byte| format!("{byte:02x}")).collect())
    }

    /// The next chunk, `None` at the end.
    ///
    /// # Errors
    /// [`Interrupted`](ErrorKind::Interrupted) and [`Timeout`](ErrorKind::Timeout) once taking it up again failed too;
    /// they say after how many bytes.
    pub async fn chunk(&mut self) -> Option<Result<Bytes, Error>> {
        loop {
            match self.body.chunk().await {
                Some(Ok(chunk)) if self.is_beyond(&chunk) => {
                    let error = Error::new(ErrorKind::Interrupted, "more content came than was announced");
                    let error = error.with_reached(Reached::Yes).with_request(&self.from.method, &self.uri);
                    return Some(Err(error.with_note(format!("after {}", self.done))));
                }
                Some(Ok(chunk)) => {
                    self.note(&chunk);
                    return Some(Ok(chunk));
                }
                None if self.is_whole() => return None,
                None => {
                    let error = Error::new(ErrorKind::Interrupted, "the content ended too early");
                    if let Err(error) = self.resume(error.with_reached(Reached::Yes)).await {
                        return Some(Err(error));
                    }
                }
                Some(Err(error)) => {
                    if let Err(error) = self.resume(Error::from(error)).await {
                        return Some(Err(error));
                    }
                }
            }
        }
    }

    fn is_whole(&self) -> bool {
        self.done.total.is_none_or(|total| self.done.bytes >= total)
    }

    /// Which a rest of no stated length can be.
    fn is_beyond(&self, chunk: &[u8]) -> bool {
        self.done.total.is_some_and(|total| self.done.bytes + chunk.len() as u64 > total)
    }

    fn note(&mut self, chunk: &[u8]) {
        self.failures = 0;
        self.done.bytes += chunk.len() as u64;
        if let Some(hash) = &mut self.hash {
            hash.update(chunk);
        }
        if let Some(on_progress) = &mut self.on_progress {
            on_progress(self.done);
        }
    }

    /// Asks for the rest after the connection broke. Gives the original trouble where that can't be done.
    async fn resume(&mut self, trouble: Error) -> Result<(), Error> {
        let trouble = trouble.with_request(&self.from.method, &self.uri);
        let at = format!("after {}", self.done);
        if !self.ranges {
            return Err(trouble.with_note(format!("{at}; this content cannot be taken up in the middle")));
        }
        while self.failures < RESUMES {
            tokio::time::sleep(FIRST_PAUSE * (1 << self.failures)).await;
            self.failures += 1;
            tracing::debug!(uri = %self.uri, bytes = self.done.bytes, error = %trouble, "taking up a download");
            let mut headers = self.from.headers.clone();
            let Ok(range) = HeaderValue::try_from(format!("bytes={}-", self.done.bytes)) else { break };
            headers.insert(header::RANGE, range);
            headers.extend(self.validator.clone().map(|validator| (header::IF_RANGE, validator)));
            let exchange = self.from.client.exchange();
            let answer = exchange.stream(Method::GET, self.uri.clone(), headers, Bytes::new()).await;
            match answer {
                Ok(response) if self.is_the_rest(&response) => {
                    self.body = response.into_body();
                    return Ok(());
                }
                Ok(_) => {
                    return Err(trouble.with_note(format!("{at}; the content on the server is another now")));
                }
                // The daemon may be restarting, or a proxy waiting for it.
                Err(error) if error.is_transient() || matches!(error.code(), Some(502 | 504)) => {}
                Err(error) => return Err(error.with_note(format!("{at}, taking up the download"))),
            }
        }
        Err(trouble.with_note(format!("{at}; taking it up {RESUMES} times was in vain")))
    }

    fn is_the_rest(&self, response: &Response<Body>) -> bool {
        let range = response.headers().get(header::CONTENT_RANGE).and_then(|range| range.to_str().ok());
        let range = range.and_then(|range| {
            let (span, total) = range.strip_prefix("bytes ")?.split_once('/')?;
            let (begin, end) = span.split_once('-')?;
            Some((begin.parse::<u64>().ok()?, end.parse::<u64>().ok()?, total.parse::<u64>().ok()?))
        });
        // A shorter range than asked for is taken up again at its end.
        let fits = range.is_some_and(|(begin, end, total)| {
            (begin, Some(total)) == (self.done.bytes, self.done.total) && end < total
        });
        response.status() == StatusCode::PARTIAL_CONTENT
            && fits
            && validator(response.headers()) == self.validator.as_ref()
    }

    /// Writes all that is left to a writer, flushes it, and gives the number of bytes.
    ///
    /// # Errors
    /// Those of [`chunk`](Self::chunk); [`Local`](ErrorKind::Local) if the writer fails.
    pub async fn copy_to(&mut self, writer: &mut (impl AsyncWrite + Unpin + ?Sized)) -> Result<u64, Error> {
        let start = self.done.bytes;
        while let Some(chunk) = self.chunk().await {
            let written = writer.write_all(&chunk?).await;
            written.map_err(|error| self.cannot_write(error))?;
        }
        writer.flush().await.map_err(|error| self.cannot_write(error))?;
        Ok(self.done.bytes - start)
    }

    fn cannot_write(&self, error: std::io::Error) -> Error {
        Error::local(format_args!("what came in cannot be written after {}", self.done), error)
            .with_reached(Reached::Yes)
    }

    /// Writes all that is left to a file and gives the number of bytes. The file appears under its name once it is
    /// complete and on the disk; dropped or failed before that, nothing of it is left.
    ///
    /// # Errors
    /// Those of [`chunk`](Self::chunk); [`Local`](ErrorKind::Local) for a file that can't be written or is there
    /// already.
    pub async fn save_to(&mut self, path: impl AsRef<Path>) -> Result<u64, Error> {
        self.save(path.as_ref(), false).await
    }

    /// The same, and replaces a file that is there.
    ///
    /// # Errors
    /// As [`save_to`](Self::save_to).
    pub async fn overwrite(&mut self, path: impl AsRef<Path>) -> Result<u64, Error> {
        self.save(path.as_ref(), true).await
    }

    async fn save(&mut self, path: &Path, overwrite: bool) -> Result<u64, Error> {
        self.save_into(Writing::begin(path, overwrite).await?).await
    }

    /// Writes all that is left to a file that was begun before.
    pub(crate) async fn save_into(&mut self, mut file: Writing) -> Result<u64, Error> {
        let start = self.done.bytes;
        while let Some(chunk) = self.chunk().await {
            file.write(chunk?).await?;
        }
        file.finish().await?;
        Ok(self.done.bytes - start)
    }

    /// The chunks as a stream.
    pub fn into_stream(self) -> impl Stream<Item = Result<Bytes, Error>> + Send + Unpin {
        Unfold::new(self, |mut download| {
            Box::pin(async move {
                let chunk = download.chunk().await;
                // After the end or an error there is nothing more.
                let more = matches!(chunk, Some(Ok(_))).then_some(download);
                (chunk, more)
            })
        })
    }
}

/// What tells content from other content: its ETag, unless that is a weak one, else when it changed last.
fn validator(headers: &HeaderMap) -> Option<&HeaderValue> {
    let etag = headers.get(header::ETAG).filter(|etag| !etag.as_bytes().starts_with(b"W/"));
    etag.or_else(|| headers.get(header::LAST_MODIFIED))
}

impl fmt::Debug for Download {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Download")
            .field("uri", &self.uri)
            .field("transferred", &self.done)
            .finish_non_exhaustive()
    }
}
