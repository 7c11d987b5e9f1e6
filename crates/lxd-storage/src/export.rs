//! From a volume to a file in one step, with nothing left on the server.

use std::{fmt, path::Path};

use lxd_types::{Compression, Progress};
use tokio::io::AsyncWrite;

use crate::{Download, Error, Transferred, VolumeHandle, exporting::Exporting};

/// An export of a custom volume, about to begin.
///
/// There are two ways, and where the server has both the choice is yours:
///
/// | | straight into the connection | packed first |
/// |---|---|---|
/// | where | with the API extension `direct_backup` (Incus 6.0.6, 6.22 and later), unless [`packed`](Self::packed) | everywhere |
/// | the first byte comes | at once | when all is packed |
/// | room on the server's disk | none | that of the file |
/// | the size | nobody knows it before the end | known before the first byte |
/// | a broken connection | is the end of it | is taken up again where it broke |
///
/// The export of an ISO volume is the image itself, neither packed nor compressed; it needs the API extension
/// `backup_iso`, and [`import_iso`](crate::Volumes::import_iso) takes it.
///
/// What is packed first is a temporary backup, which is fetched and removed again: at the end, on an error, and when the
/// export or the [`Download`] is dropped (in a task of its own, on the runtime that this is called on). Should this
/// program be killed, the backup expires after 24 hours.
///
/// ```
/// # async fn example(volume: lxd_storage::VolumeHandle) -> Result<(), lxd_storage::Error> {
/// use lxd_storage::types::Compression;
///
/// let exported = volume
///     .export()
///     .with_compression(Compression::Gzip)
///     .with_checksum()
///     .with_progress(|done| println!("{done}"))
///     .to_file("data.tar.gz")
///     .await?;
/// println!("{} bytes", exported.bytes);
/// # Ok(()) }
/// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doc/server.rs"));
/// # fn main() { on_emulator!(example(volume)) }
/// ```
///
/// # Errors
/// Of all that follows: [`InvalidInput`](crate::ErrorKind::InvalidInput) for another type than `custom`, an optimized
/// export from a driver that has none, a compressor that the server lacks; [`Local`](crate::ErrorKind::Local) for a file
/// that is there already or can't be written; [`UnsupportedExtension`](crate::ErrorKind::UnsupportedExtension) for an
/// ISO volume where its server cannot; [`OperationFailed`](crate::ErrorKind::OperationFailed) where the server's disk is
/// full;
/// [`Interrupted`](crate::ErrorKind::Interrupted).
#[must_use = "nothing is asked for until `to_file`, `to_writer` or `open` is called"]
pub struct Export {
    exporting: Exporting<VolumeHandle>,
}

/// What an export came to.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Exported {
    /// Bytes written.
    pub bytes: u64,
    /// Their SHA-256 in lower-case hexadecimal digits, if it was asked for.
    pub sha256: Option<String>,
    /// The temporary backup, where it could not be removed. It expires by itself.
    pub leftover: Option<String>,
}

impl Export {
    pub(crate) fn new(volume: VolumeHandle) -> Self {
        Self { exporting: Exporting::new(volume) }
    }

    /// How to compress. Default: as the server is set to.
    pub fn with_compression(mut self, compression: Compression) -> Self {
        self.exporting.post.compression_algorithm = Some(compression);
        self
    }

    /// Leaves the snapshots out.
    pub fn volume_only(mut self) -> Self {
        self.exporting.post.volume_only = true;
        self
    }

    /// In the driver's own format (btrfs, zfs): quicker, and only good for the same driver.
    pub fn optimized(mut self) -> Self {
        self.exporting.post.optimized_storage = true;
        self
    }

    /// Which version the metadata inside is to have. Version 1 can be read by every LXD and by Incus. Needs the API
    /// extension `backup_metadata_version`; servers without it write version 1.
    pub fn with_metadata_version(mut self, version: u32) -> Self {
        self.exporting.post.version = Some(version);
        self
    }

    /// Packs first, also where the server can pack straight into the connection: for a known size, and for connections
    /// that may break. See the table of [`Export`].
    pub fn packed(mut self) -> Self {
        self.exporting.pack_first = true;
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
    /// See [`Export`].
    pub async fn to_file(self, path: impl AsRef<Path>) -> Result<Exported, Error> {
        self.exporting.into_file(path.as_ref()).await
    }

    /// Exports into a writer, which is flushed at the end.
    ///
    /// # Errors
    /// See [`Export`].
    pub async fn to_writer(self, writer: &mut (impl AsyncWrite + Unpin + ?Sized)) -> Result<Exported, Error> {
        self.exporting.into_writer(writer).await
    }

    /// Begins the export and leaves the reading to you. The temporary backup goes when the download is dropped.
    ///
    /// # Errors
    /// See [`Export`].
    pub async fn open(self) -> Result<Download, Error> {
        self.exporting.open().await
    }
}

impl fmt::Debug for Export {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.exporting.fmt(f)
    }
}
