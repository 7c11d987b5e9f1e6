//! One backup of a volume: [`BackupHandle`] says which, [`Backup`] also holds what was read of it.

use std::{ops::Deref, sync::Arc};

use bytes::Bytes;
use http::{HeaderMap, Method};
use lxd_types::{Expiry, StorageVolumeBackup, StorageVolumeBackupPost, Timestamp};

use crate::{
    Change, Download, Error, ErrorKind, VolumeHandle,
    pending::ChangeRequest,
    route::{Route, check_name},
    transfer,
};

/// A backup by its volume and name, whether it exists or not. Making one does no I/O; it is cheap to clone and keep.
#[derive(Clone, Debug)]
pub struct BackupHandle {
    volume: VolumeHandle,
    name: Arc<str>,
}

impl BackupHandle {
    pub(crate) fn new(volume: VolumeHandle, name: Arc<str>) -> Self {
        Self { volume, name }
    }

    /// The backup's name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The volume that it is of.
    #[must_use]
    pub fn volume(&self) -> &VolumeHandle {
        &self.volume
    }

    /// Reads what the server says of the backup (`GET .../backups/<backup>`).
    ///
    /// # Errors
    /// [`NotFound`](ErrorKind::NotFound).
    pub async fn get(&self) -> Result<Backup, Error> {
        let answer = self.volume.client().get(self.scoped(), &["custom_volume_backup"]).await?;
        Ok(Backup::new(self.clone(), answer.decode()?))
    }

    /// Whether the backup exists. Only [`NotFound`](ErrorKind::NotFound) counts as no.
    ///
    /// # Errors
    /// All others.
    pub async fn exists(&self) -> Result<bool, Error> {
        match self.get().await {
            Ok(_) => Ok(true),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Renames the backup and gives the handle of the new name (`POST .../backups/<backup>`, always in the
    /// background).
    ///
    /// # Errors
    /// [`AlreadyExists`](ErrorKind::AlreadyExists); [`NotFound`](ErrorKind::NotFound).
    pub fn rename(&self, name: impl Into<Arc<str>>) -> Change<BackupHandle> {
        let renamed = Self { name: name.into(), volume: self.volume.clone() };
        let request = check_name("backup", &renamed.name).and_then(|()| {
            let post = StorageVolumeBackupPost::rename(&*renamed.name);
            let request = ChangeRequest::new(Method::POST, self.scoped()?).json(&post)?;
            // Servers leave it to the file system to notice a taken name, which replaces the file.
            Ok(request.needs("custom_volume_backup").if_free(renamed.scoped()?, renamed.in_words()))
        });
        Change::new(self.volume.client(), request, |_| async { Ok(renamed) })
    }

    /// Deletes the backup (`DELETE .../backups/<backup>`, always in the background).
    ///
    /// # Errors
    /// [`NotFound`](ErrorKind::NotFound).
    pub fn delete(&self) -> Change<()> {
        let request = self
            .scoped()
            .map(|route| ChangeRequest::new(Method::DELETE, route).needs("custom_volume_backup"));
        Change::new(self.volume.client(), request, |_| async { Ok(()) })
    }

    /// Fetches the file (`GET .../backups/<backup>/export`): its length is known before the first byte, and a broken
    /// connection is taken up again where it broke.
    ///
    /// # Errors
    /// [`NotFound`](ErrorKind::NotFound).
    pub async fn download(&self) -> Result<Download, Error> {
        let client = self.volume.client();
        client.require(&["custom_volume_backup"]).await?;
        let uri = client.scoped(self.path()?.literal("export")).uri()?;
        let (method, headers, body) = (Method::GET, HeaderMap::new(), Bytes::new());
        Download::begin(transfer::From { client: client.clone(), method, headers, body }, uri).await
    }

    fn path(&self) -> Result<Route, Error> {
        self.volume.backups().route()?.name("backup", &self.name)
    }

    pub(crate) fn scoped(&self) -> Result<Route, Error> {
        self.path().map(|route| self.volume.client().scoped(route))
    }

    pub(crate) fn in_words(&self) -> String {
        format!("backup {:?} of volume {:?}", self.name, self.volume.name())
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
