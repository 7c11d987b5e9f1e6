//! From a volume to a file in one step, with nothing left on the server.

use std::{
    fmt,
    future::IntoFuture as _,
    path::Path,
    sync::atomic::{AtomicU64, Ordering},
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Method, header};
use lxd_transport::Reached;
use lxd_types::{Compression, Progress, StorageVolumeBackupsPost, Timestamp};
use tokio::{io::AsyncWrite, task::JoinHandle};

use crate::{
    Backup, BackupHandle, Download, Error, ErrorKind, Transferred, VolumeHandle,
    transfer::{self, OnTransfer},
    wait::OnProgress,
};

/// A temporary backup removes itself after so long, should this program and its clean-up be killed.
const KEPT_AT_MOST: Duration = Duration::from_secs(24 * 60 * 60);

/// So often the removal of a temporary backup is tried.
const REMOVALS: u32 = 5;

/// An export of a custom volume, about to begin.
///
/// Where the server can pack straight into the connection (API extension `direct_backup`, newer Incus) it does.
/// Elsewhere it packs a temporary backup first, which needs room on its disk; that is fetched and removed again: at
/// the end, on an error, and when the export or the [`Download`] is dropped (in a task of its own, on the runtime that
/// this is called on). Should this program be killed, the backup expires after 24 hours.
///
/// ```no_run
/// # async fn example(volume: lxd_storage::VolumeHandle) -> Result<(), lxd_storage::Error> {
/// use lxd_storage::types::Compression;
///
/// let exported = volume
///     .export()
///     .with_compression(Compression::Zstd)
///     .with_checksum()
///     .with_progress(|done| println!("{done}"))
///     .to_file("data.tar.zst")
///     .await?;
/// println!("{} bytes", exported.bytes);
/// # Ok(()) }
/// ```
///
/// # Errors
/// Of all that follows: [`InvalidInput`](crate::ErrorKind::InvalidInput) for another type than `custom`, an optimized
/// export from a driver that has none, a compressor that the server lacks, a file that is there already;
/// [`OperationFailed`](crate::ErrorKind::OperationFailed) where the server's disk is full;
/// [`Interrupted`](crate::ErrorKind::Interrupted).
#[must_use = "nothing is asked for until `to_file`, `to_writer` or `open` is called"]
pub struct Export {
    volume: VolumeHandle,
    post: StorageVolumeBackupsPost,
    checksum: bool,
    overwrite: bool,
    on_packing: Option<OnProgress>,
    on_progress: Option<OnTransfer>,
}

/// What an export came to.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Exported {
    /// Bytes written.
    pub bytes: u64,
    /// Their SHA-256, if it was asked for.
    pub sha256: Option<[u8; 32]>,
    /// The temporary backup, where it could not be removed. It expires by itself.
    pub leftover: Option<String>,
}

impl Export {
    pub(crate) fn new(volume: VolumeHandle) -> Self {
        let post = StorageVolumeBackupsPost::automatic();
        Self { volume, post, checksum: false, overwrite: false, on_packing: None, on_progress: None }
    }

    /// How to compress. Default: as the server is set to.
    pub fn with_compression(mut self, compression: Compression) -> Self {
        self.post.compression_algorithm = Some(compression);
        self
    }

    /// Leaves the snapshots out.
    pub fn volume_only(mut self) -> Self {
        self.post.volume_only = true;
        self
    }

    /// In the driver's own format (btrfs, zfs): quicker, and only good for the same driver.
    pub fn optimized(mut self) -> Self {
        self.post.optimized_storage = true;
        self
    }

    /// Which version the metadata inside is to have. Version 1 can be read by every LXD and by Incus. Needs the API
    /// extension `backup_metadata_version`; servers without it write version 1.
    pub fn with_metadata_version(mut self, version: u32) -> Self {
        self.post.version = Some(version);
        self
    }

    /// Computes the SHA-256 on the way.
    pub fn with_checksum(mut self) -> Self {
        self.checksum = true;
        self
    }

    /// Replaces a file that is there. Default: that is an error.
    pub fn overwrite(mut self) -> Self {
        self.overwrite = true;
        self
    }

    /// Calls back about once a second while the server packs, if it tells how far it has come.
    pub fn with_packing_progress(mut self, on_packing: impl FnMut(&Progress) + Send + 'static) -> Self {
        self.on_packing = Some(Box::new(on_packing));
        self
    }

    /// Calls back with every chunk that comes in.
    pub fn with_progress(mut self, on_progress: impl FnMut(Transferred) + Send + 'static) -> Self {
        self.on_progress = Some(Box::new(on_progress));
        self
    }

    /// Exports into a file. It appears under its name once it is complete and on the disk.
    ///
    /// # Errors
    /// See [`Export`].
    pub async fn to_file(self, path: impl AsRef<Path>) -> Result<Exported, Error> {
        let (path, overwrite) = (path.as_ref(), self.overwrite);
        if !overwrite && path.try_exists().unwrap_or(false) {
            // Before the server begins to pack.
            let message = format!("{} is there already; `overwrite` replaces it", path.display());
            return Err(Error::invalid(message));
        }
        let (mut download, temporary) = self.begin().await?;
        let bytes = if overwrite { download.overwrite(path).await } else { download.save_to(path).await };
        finish(&download, bytes, temporary).await
    }

    /// Exports into a writer, which is flushed at the end.
    ///
    /// # Errors
    /// See [`Export`].
    pub async fn to_writer(self, writer: &mut (impl AsyncWrite + Unpin + ?Sized)) -> Result<Exported, Error> {
        let (mut download, temporary) = self.begin().await?;
        let bytes = download.copy_to(writer).await;
        finish(&download, bytes, temporary).await
    }

    /// Begins the export and leaves the reading to you. The temporary backup goes when the download is dropped.
    ///
    /// # Errors
    /// See [`Export`].
    pub async fn open(self) -> Result<Download, Error> {
        let (mut download, temporary) = self.begin().await?;
        download.guard = temporary.map(|temporary| Box::new(temporary) as Box<dyn Send>);
        Ok(download)
    }

    async fn begin(mut self) -> Result<(Download, Option<Temporary>), Error> {
        let (checksum, on_progress) = (self.checksum, self.on_progress.take());
        let direct = self.volume.client().server().await?.api_extensions.has("direct_backup");
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
        // The same checks as for a backup that is kept.
        let backups = self.volume.backups();
        let mut checks = backups.create_request(&self.post)?;
        checks.look(self.volume.client()).await?;
        let client = self.volume.client().clone();
        let uri = client.scoped(backups.route()?).uri()?;
        let body = serde_json::to_vec(&self.post)
            .map_err(|error| Error::invalid("the request cannot be written as JSON").with_source(error))?;
        let mut headers = HeaderMap::new();
        headers.insert(header::ACCEPT, HeaderValue::from_static("application/octet-stream"));
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
        let from = transfer::From { client, method: Method::POST, headers, body: Bytes::from(body) };
        Download::begin(from, uri).await
    }

    /// Packed into a temporary backup.
    async fn packed(mut self) -> Result<(Download, Option<Temporary>), Error> {
        self.post.name = temporary_name();
        self.post.expires_at = after(KEPT_AT_MOST);
        let mut packing = self.volume.backups().create(self.post.clone());
        if let Some(on_packing) = self.on_packing.take() {
            packing = packing.with_progress(on_packing);
        }
        let mut temporary = Temporary::new(self.volume.backup(&*self.post.name));
        // A task of its own, so that a caller who goes away leaves nobody in the dark about the backup.
        temporary.packing = Some(tokio::spawn(packing.into_future()));
        if let Err(error) = temporary.packed().await {
            return Err(if temporary.armed { temporary.remove_after(error).await } else { error });
        }
        match temporary.backup.download().await {
            Ok(download) => Ok((download, Some(temporary))),
            Err(error) => Err(temporary.remove_after(error).await),
        }
    }
}

impl fmt::Debug for Export {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Export")
            .field("volume", &self.volume)
            .field("post", &self.post)
            .finish_non_exhaustive()
    }
}

async fn finish(
    download: &Download,
    bytes: Result<u64, Error>,
    temporary: Option<Temporary>,
) -> Result<Exported, Error> {
    match (bytes, temporary) {
        (Ok(bytes), temporary) => {
            let leftover = match temporary {
                Some(temporary) => temporary.remove().await.err().map(|(name, _)| name),
                None => None,
            };
            Ok(Exported { bytes, sha256: download.checksum(), leftover })
        }
        (Err(error), Some(temporary)) => Err(temporary.remove_after(error).await),
        (Err(error), None) => Err(error),
    }
}

/// A backup on the server that must not stay.
struct Temporary {
    backup: BackupHandle,
    packing: Option<JoinHandle<Result<Backup, Error>>>,
    armed: bool,
}

impl Temporary {
    fn new(backup: BackupHandle) -> Self {
        Self { backup, packing: None, armed: true }
    }

    /// Waits until it is packed.
    async fn packed(&mut self) -> Result<(), Error> {
        let Some(packing) = &mut self.packing else { return Ok(()) };
        let packed = packing.await;
        self.packing = None;
        match packed {
            Ok(Ok(_)) => Ok(()),
            Ok(Err(error)) => {
                // Where the server refused to begin there is nothing to remove.
                let refused = error.operation().is_none() && error.server_message().is_some();
                self.armed = !refused && error.request_reached_server() != Reached::No;
                Err(error)
            }
            Err(error) => {
                Err(Error::new(ErrorKind::Interrupted, "the export was stopped").with_source(error))
            }
        }
    }

    /// Removes it; gives its name if that is in vain.
    async fn remove(mut self) -> Result<(), (String, Error)> {
        self.armed = false;
        remove(&self.backup).await.map_err(|error| (self.backup.name().to_owned(), error))
    }

    async fn remove_after(self, error: Error) -> Error {
        match self.remove().await {
            Ok(()) => error,
            Err((name, cleanup)) => {
                error.with_note(format!("the backup {name:?} is left on the server for a day: {cleanup}"))
            }
        }
    }
}

impl Drop for Temporary {
    fn drop(&mut self) {
        if !self.armed {
            return;
        }
        // Without a runtime there is nobody to do it; then it expires.
        let Ok(runtime) = tokio::runtime::Handle::try_current() else { return };
        let (backup, packing) = (self.backup.clone(), self.packing.take());
        runtime.spawn(async move {
            if let Some(packing) = packing {
                let _ = packing.await;
            }
            if let Err(error) = remove(&backup).await {
                tracing::warn!(backup = backup.name(), %error, "a temporary backup is left on the server for a day");
            }
        });
    }
}

async fn remove(backup: &BackupHandle) -> Result<(), Error> {
    let mut pause = Duration::from_millis(100);
    for _ in 1..REMOVALS {
        match backup.delete().await {
            Ok(()) => return Ok(()),
            Err(error) if error.is_not_found() => return Ok(()),
            Err(_) => tokio::time::sleep(pause).await,
        }
        pause *= 2;
    }
    backup.delete().await
}

/// A name that no other export has, on this machine or another.
fn temporary_name() -> String {
    static NEXT: AtomicU64 = AtomicU64::new(0);
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let number = NEXT.fetch_add(1, Ordering::Relaxed);
    format!("export-{:x}-{:x}-{number:x}", now.as_nanos(), std::process::id())
}

fn after(span: Duration) -> Option<Timestamp> {
    let then = SystemTime::now().checked_add(span)?.duration_since(UNIX_EPOCH).ok()?;
    Timestamp::from_unix(i64::try_from(then.as_secs()).ok()?, 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn temporary_names_differ() {
        assert_ne!(temporary_name(), temporary_name());
        assert!(after(KEPT_AT_MOST).is_some());
    }
}
