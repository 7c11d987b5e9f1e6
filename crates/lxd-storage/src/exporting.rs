//! How an export goes, whatever is exported.

use std::{
    fmt,
    future::IntoFuture as _,
    path::Path,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Method, header};
use lxd_types::Timestamp;
use tokio::io::AsyncWrite;

use crate::{
    Change, Download, Error, Exported,
    kept::{Kept, Packable},
    pending::ChangeRequest,
    progress::OnProgress,
    temporary::{Temporary, unique_name},
    transfer::{self, OnTransfer, Writing},
};

/// A temporary backup removes itself after so long, should this program and its clean-up be killed.
const KEPT_AT_MOST: Duration = Duration::from_secs(24 * 60 * 60);

/// An export about to begin.
pub(crate) struct Exporting<O: Packable> {
    of: O,
    pub(crate) post: O::Post,
    pub(crate) checksum: bool,
    pub(crate) overwrite: bool,
    /// Into a temporary backup even where the server can pack straight into the connection.
    pub(crate) pack_first: bool,
    pub(crate) on_packing: Option<OnProgress>,
    pub(crate) on_progress: Option<OnTransfer>,
}

type Begun<O> = (Download, Option<Temporary<O>>);

impl<O: Packable> Exporting<O> {
    pub(crate) fn new(of: O) -> Self {
        let post = O::Post::default();
        let (on_packing, on_progress) = (None, None);
        Self { of, post, checksum: false, overwrite: false, pack_first: false, on_packing, on_progress }
    }

    pub(crate) async fn into_file(self, path: &Path) -> Result<Exported, Error> {
        // Before the server begins to pack: a file that cannot be written is to be known at once.
        let file = Writing::begin(path, self.overwrite).await?;
        let (mut download, temporary) = self.begin().await?;
        let bytes = download.save_into(file).await;
        finish(download.checksum(), bytes, temporary).await
    }

    pub(crate) async fn into_writer(
        self,
        writer: &mut (impl AsyncWrite + Unpin + ?Sized),
    ) -> Result<Exported, Error> {
        let (mut download, temporary) = self.begin().await?;
        let bytes = download.copy_to(writer).await;
        finish(download.checksum(), bytes, temporary).await
    }

    pub(crate) async fn open(self) -> Result<Download, Error> {
        let (mut download, temporary) = self.begin().await?;
        download.guard = temporary.map(|temporary| Box::new(temporary) as Box<dyn Send>);
        Ok(download)
    }

    async fn begin(mut self) -> Result<Begun<O>, Error> {
        let (checksum, on_progress) = (self.checksum, self.on_progress.take());
        let direct = !self.pack_first && self.of.server().server().await?.api_extensions.has("direct_backup");
        let (mut download, temporary) =
            if direct { (self.direct().await?, None) } else { self.packed().await? };
        if checksum {
            download = download.with_checksum();
        }
        if let Some(on_progress) = on_progress {
            download = download.with_progress(on_progress);
        }
        Ok((download, temporary))
    }

    /// Packed straight into the connection.
    async fn direct(self) -> Result<Download, Error> {
        let client = self.of.server().clone();
        // The same checks as for a backup that is kept.
        self.of.packing(&self.post)?.look(&client).await?;
        let uri = client.scoped(self.of.backups_path()?).uri()?;
        let body = serde_json::to_vec(&self.post)
            .map_err(|error| Error::invalid("the request cannot be written as JSON").with_source(error))?;
        let mut headers = HeaderMap::new();
        headers.insert(header::ACCEPT, HeaderValue::from_static("application/octet-stream"));
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
        let from = transfer::From { client, method: Method::POST, headers, body: Bytes::from(body) };
        Download::begin(from, uri).await
    }

    /// Packed into a temporary backup.
    async fn packed(mut self) -> Result<Begun<O>, Error> {
        let name = unique_name("export");
        O::temporary(&mut self.post, &name, after(KEPT_AT_MOST));
        let request = self.of.packing(&self.post).map(ChangeRequest::cleaned_up);
        let mut packing = Change::new(self.of.server(), request, |_| async { Ok(()) });
        if let Some(on_packing) = self.on_packing.take() {
            packing = packing.with_progress(on_packing);
        }
        let mut temporary = Temporary::new(Kept::new(self.of.clone(), name.into()));
        // A task of its own, so that a caller who goes away leaves nobody in the dark about the backup.
        temporary.packing = Some(tokio::spawn(packing.into_future()));
        if let Err(error) = temporary.packed().await {
            return Err(temporary.remove_after(error).await);
        }
        match temporary.backup.download().await {
            Ok(download) => Ok((download, Some(temporary))),
            Err(error) => Err(temporary.remove_after(error).await),
        }
    }
}

impl<O: Packable> fmt::Debug for Exporting<O> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Export").field("of", &self.of).field("post", &self.post).finish_non_exhaustive()
    }
}

async fn finish<O: Packable>(
    sha256: Option<String>,
    bytes: Result<u64, Error>,
    temporary: Option<Temporary<O>>,
) -> Result<Exported, Error> {
    match (bytes, temporary) {
        (Ok(bytes), temporary) => {
            let leftover = match temporary {
                Some(temporary) => temporary.remove().await.err().map(|(name, _)| name),
                None => None,
            };
            Ok(Exported { bytes, sha256, leftover })
        }
        (Err(error), Some(temporary)) => Err(temporary.remove_after(error).await),
        (Err(error), None) => Err(error),
    }
}

fn after(span: Duration) -> Option<Timestamp> {
    let then = SystemTime::now().checked_add(span)?.duration_since(UNIX_EPOCH).ok()?;
    Timestamp::from_unix(i64::try_from(then.as_secs()).ok()?, 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn temporary_backups_have_an_end() {
        assert!(after(KEPT_AT_MOST).is_some());
    }
}
