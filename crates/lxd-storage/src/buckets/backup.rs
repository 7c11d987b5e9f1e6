//! One backup of a bucket: [`BucketBackupHandle`] says which, [`BucketBackup`] also holds what was read of it.

use std::{ops::Deref, sync::Arc};

use lxd_types::{Expiry, StorageBucketBackup, StorageBucketBackupPost, Timestamp};

use super::BucketHandle;
use crate::{Change, Download, Error, kept::Kept};

/// A backup by its bucket and name, whether it exists or not. Making one does no I/O; it is cheap to clone and keep.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BucketBackupHandle {
    kept: Kept<BucketHandle>,
}

impl BucketBackupHandle {
    pub(crate) fn new(bucket: BucketHandle, name: Arc<str>) -> Self {
        Self { kept: Kept::new(bucket, name) }
    }

    /// The backup's name.
    #[must_use]
    pub fn name(&self) -> &str {
        self.kept.name()
    }

    /// The bucket that it is of.
    #[must_use]
    pub fn bucket(&self) -> &BucketHandle {
        self.kept.of()
    }

    /// Reads what the server says of the backup (`GET .../backups/<backup>`).
    ///
    /// # Errors
    /// [`NotFound`](crate::ErrorKind::NotFound).
    pub async fn get(&self) -> Result<BucketBackup, Error> {
        Ok(BucketBackup::new(self.clone(), self.kept.read().await?.decode()?))
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
    /// [`OperationFailed`](crate::ErrorKind::OperationFailed) from Incus 7.0, which looks for the file in the wrong
    /// folder; nothing changes then.
    pub fn rename(&self, name: impl AsRef<str>) -> Change<BucketBackupHandle> {
        let post = |name: &str| StorageBucketBackupPost::rename(name);
        self.kept.rename(name.as_ref().into(), post, |kept| Self { kept })
    }

    /// Deletes the backup (`DELETE .../backups/<backup>`, always in the background).
    ///
    /// # Errors
    /// [`NotFound`](crate::ErrorKind::NotFound). [`OperationFailed`](crate::ErrorKind::OperationFailed) from Incus 7.0,
    /// which looks for the backup under the wrong name; it goes with its bucket, or when it expires.
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

/// A backup of a bucket, as it was read. It dereferences to its [`BucketBackupHandle`].
#[derive(Clone, Debug)]
pub struct BucketBackup {
    handle: BucketBackupHandle,
    object: StorageBucketBackup,
}

impl BucketBackup {
    pub(crate) fn new(handle: BucketBackupHandle, object: StorageBucketBackup) -> Self {
        Self { handle, object }
    }

    /// The whole object as it was read, with the fields that this crate doesn't know.
    #[must_use]
    pub fn object(&self) -> &StorageBucketBackup {
        &self.object
    }

    /// Which backup this is, without its state.
    #[must_use]
    pub fn handle(&self) -> &BucketBackupHandle {
        &self.handle
    }

    /// When it was made, to the second; Incus 6.0 doesn't say.
    #[must_use]
    pub fn created_at(&self) -> Option<Timestamp> {
        self.object.created_at
    }

    /// When the server removes it by itself.
    #[must_use]
    pub fn expiry(&self) -> Expiry {
        self.object.expiry()
    }
}

impl Deref for BucketBackup {
    type Target = BucketBackupHandle;

    fn deref(&self) -> &BucketBackupHandle {
        &self.handle
    }
}
