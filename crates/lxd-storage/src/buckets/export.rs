//! From a bucket to a file in one step, with nothing left on the server.

use std::{fmt, path::Path};

use lxd_types::{Compression, Progress};
use tokio::io::AsyncWrite;

use super::BucketHandle;
use crate::{Download, Error, Exported, Transferred, exporting::Exporting};

/// An export of a bucket with its objects and keys, about to begin. Needs the API extension `storage_bucket_backup`,
/// which only Incus has.
///
/// What [`Export`](crate::Export) says of how it goes holds here too: straight from the server where it can, else by a
/// temporary backup that is removed at the end, on an error and when the export or the [`Download`] is dropped. There is
/// no choice between the two: Incus 7.0, which has both, deletes no backup of a bucket. The file holds the credentials of the keys, so keep it as you would keep those.
///
/// ```
/// # async fn example(bucket: lxd_storage::BucketHandle) -> Result<(), lxd_storage::Error> {
/// let exported = bucket.export().with_checksum().with_progress(|done| println!("{done}")).to_file("photos.tar.gz").await?;
/// println!("{} bytes", exported.bytes);
/// # Ok(()) }
/// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doc/server.rs"));
/// # fn main() { on_emulator!(example(bucket)) }
/// ```
///
/// # Errors
/// Of all that follows: [`InvalidInput`](crate::ErrorKind::InvalidInput) for a compressor that the server lacks;
/// [`Local`](crate::ErrorKind::Local) for a file that is there already or can't be written; [`NotFound`](crate::ErrorKind::NotFound) for the bucket;
/// [`UnsupportedExtension`](crate::ErrorKind::UnsupportedExtension);
/// [`OperationFailed`](crate::ErrorKind::OperationFailed) where the server's disk is full;
/// [`Interrupted`](crate::ErrorKind::Interrupted).
#[must_use = "nothing is asked for until `to_file`, `to_writer` or `open` is called"]
pub struct BucketExport {
    exporting: Exporting<BucketHandle>,
}

impl BucketExport {
    pub(crate) fn new(bucket: BucketHandle) -> Self {
        Self { exporting: Exporting::new(bucket) }
    }

    /// How to compress. Default: as the server is set to.
    pub fn with_compression(mut self, compression: Compression) -> Self {
        self.exporting.post.compression_algorithm = Some(compression);
        self
    }

    /// Computes the SHA-256 on the way.
    pub fn with_checksum(mut self) -> Self {
        self.exporting.checksum = true;
        self
    }

    /// Replaces a file that is there. Default: that is an error.
    pub fn overwrite(mut self) -> Self {
        self.exporting.overwrite = true;
        self
    }

    /// Calls back about once a second while the server packs, if it tells how far it has come.
    pub fn with_packing_progress(mut self, on_packing: impl FnMut(&Progress) + Send + 'static) -> Self {
        self.exporting.on_packing = Some(Box::new(on_packing));
        self
    }

    /// Calls back with every chunk that comes in.
    pub fn with_progress(mut self, on_progress: impl FnMut(Transferred) + Send + 'static) -> Self {
        self.exporting.on_progress = Some(Box::new(on_progress));
        self
    }

    /// Exports into a file. It appears under its name once it is complete and on the disk.
    ///
    /// # Errors
    /// See [`BucketExport`].
    pub async fn to_file(self, path: impl AsRef<Path>) -> Result<Exported, Error> {
        self.exporting.into_file(path.as_ref()).await
    }

    /// Exports into a writer, which is flushed at the end.
    ///
    /// # Errors
    /// See [`BucketExport`].
    pub async fn to_writer(self, writer: &mut (impl AsyncWrite + Unpin + ?Sized)) -> Result<Exported, Error> {
        self.exporting.into_writer(writer).await
    }

    /// Begins the export and leaves the reading to you. The temporary backup goes when the download is dropped.
    ///
    /// # Errors
    /// See [`BucketExport`].
    pub async fn open(self) -> Result<Download, Error> {
        self.exporting.open().await
    }
}

impl fmt::Debug for BucketExport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.exporting.fmt(f)
    }
}
