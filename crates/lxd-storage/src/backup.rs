//! One backup of a volume: [`BackupHandle`] says which, [`Backup`] also holds what was read of it.

use std::{ops::Deref, sync::Arc};

use lxd_types::{Expiry, StorageVolumeBackup, StorageVolumeBackupPost, Timestamp};

use crate::{Change, Download, Error, VolumeHandle, kept::Kept};

/// A backup by its volume and name, whether it exists or not. Making one does no I/O; it is cheap to clone and keep.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BackupHandle {
    kept: Kept<VolumeHandle>,
}

impl BackupHandle {
    pub(crate) fn new(volume: VolumeHandle, name: Arc<str>) -> Self {
        Self { kept: Kept::new(volume, name) }
    }

    /// The backup's name.
    #[must_use]
    pub fn name(&self) -> &str {
        self.kept.name()
    }

    /// The volume that it is of.
    #[must_use]
    pub fn volume(&self) -> &VolumeHandle {
        self.kept.of()
    }

    /// Reads what the server says of the backup (`GET .../backups/<backup>`).
    ///
    /// # Errors
    /// [`NotFound`](crate::ErrorKind::NotFound).
    pub async fn get(&self) -> Result<Backup, Error> {
        Ok(Backup::new(self.clone(), self.kept.read().await?.decode()?))
    }

    /// Whether the backup exists. Only [`NotFound`](crate::ErrorKind::NotFound) counts as no.
    ///
    /// # Errors
    /// All others.
    pub async fn exists(&self) -> Result<bool, Error> {
        self.kept.exists().await
    }

    /// Renames the backup and gives the handle of the new name (`POST .../backups/<backup>`, always in the
    /// background).
    ///
    /// # Errors
    /// [`AlreadyExists`](crate::ErrorKind::AlreadyExists); [`NotFound`](crate::ErrorKind::NotFound).
    pub fn rename(&self, name: impl AsRef<str>) -> Change<BackupHandle> {
        let post = |name: &str| StorageVolumeBackupPost::rename(name);
        self.kept.rename(name.as_ref().into(), post, |kept| Self { kept })
    }

    /// Deletes the backup (`DELETE .../backups/<backup>`, always in the background).
    ///
    /// # Errors
    /// [`NotFound`](crate::ErrorKind::NotFound).
    pub fn delete(&self) -> Change<()> {
        self.kept.delete()
    }

    /// Fetches the file (`GET .../backups/<backup>/export`): its length is known before the first byte, and a broken
    /// connection is taken up again where it broke.
    ///
    /// # Errors
    /// [`NotFound`](crate::ErrorKind::NotFound).
    pub async fn download(&self) -> Result<Download, Error> {
        self.kept.download().await
    }
}

/// A backup, as it was read. It dereferences to its [`BackupHandle`].
#[derive(Clone, Debug)]
pub struct Backup {
    handle: BackupHandle,
    object: StorageVolumeBackup,
}

impl Backup {
    pub(crate) fn new(handle: BackupHandle, object: StorageVolumeBackup) -> Self {
        Self { handle, object }
    }

    /// The whole object as it was read, with the fields that this crate doesn't know.
    #[must_use]
    pub fn object(&self) -> &StorageVolumeBackup {
        &self.object
    }

    /// Which backup this is, without its state.
    #[must_use]
    pub fn handle(&self) -> &BackupHandle {
        &self.handle
    }

    /// When it was made, to the second.
    #[must_use]
    pub fn created_at(&self) -> Option<Timestamp> {
        self.object.created_at
    }

    /// When the server removes it by itself.
    #[must_use]
    pub fn expiry(&self) -> Expiry {
        self.object.expiry()
    }

    /// Whether the snapshots were left out.
    #[must_use]
    pub fn is_volume_only(&self) -> bool {
        self.object.volume_only
    }

    /// Whether it is in the driver's own format.
    #[must_use]
    pub fn is_optimized(&self) -> bool {
        self.object.optimized_storage
    }
}

impl Deref for Backup {
    type Target = BackupHandle;

    fn deref(&self) -> &BackupHandle {
        &self.handle
    }
}
