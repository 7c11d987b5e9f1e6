//! The backups of a volume that its server keeps: list, get, create.

use lxd_types::{StorageVolumeBackup, StorageVolumeBackupsPost, Timestamp};

use crate::{
    Backup, Change, Error, VolumeHandle,
    kept::{self, Packable},
    object::Address,
    pending::ChangeRequest,
};

/// The backups of a custom volume (`.../volumes/custom/<volume>/backups`): files that the server packs and keeps until
/// they are deleted or expire. Needs the API extension `custom_volume_backup`.
///
/// To get a volume into a file in one step, use [`VolumeHandle::export`].
///
/// ```no_run
/// # async fn example(volume: lxd_storage::VolumeHandle) -> Result<(), lxd_storage::Error> {
/// use lxd_storage::types::StorageVolumeBackupsPost;
///
/// let backup = volume.backups().create(StorageVolumeBackupsPost::new("nightly").volume_only()).await?;
/// backup.download().await?.save_to("nightly.tar.gz").await?;
/// backup.delete().await?;
/// # Ok(()) }
/// ```
#[derive(Clone, Debug)]
pub struct Backups {
    volume: VolumeHandle,
}

impl Backups {
    pub(crate) fn new(volume: VolumeHandle) -> Self {
        Self { volume }
    }

    /// All backups, in one request (`GET .../backups?recursion=1`).
    ///
    /// # Errors
    /// [`NotFound`](crate::ErrorKind::NotFound) for the volume.
    pub async fn all(&self) -> Result<Vec<Backup>, Error> {
        self.volume.only_custom("list backups of")?;
        let client = self.volume.client();
        let route = self.volume.backups_path().map(|route| client.scoped(route.query("recursion", "1")));
        let objects: Option<Vec<StorageVolumeBackup>> =
            client.get(route, &["custom_volume_backup"]).await?.decode()?;
        let backups = objects.unwrap_or_default().into_iter();
        Ok(backups.map(|object| Backup::new(self.volume.backup(object.short_name()), object)).collect())
    }

    /// One backup (`GET .../backups/<backup>`).
    ///
    /// # Errors
    /// [`NotFound`](crate::ErrorKind::NotFound).
    pub async fn get(&self, name: &str) -> Result<Backup, Error> {
        self.volume.backup(name).get().await
    }

    /// Whether there is a backup of this name. Only [`NotFound`](crate::ErrorKind::NotFound) counts as no.
    ///
    /// # Errors
    /// All others.
    pub async fn exists(&self, name: &str) -> Result<bool, Error> {
        self.volume.backup(name).exists().await
    }

    /// Packs the volume and reads back what the server says of it (`POST .../backups`, always in the background).
    /// With an empty name the server numbers it.
    ///
    /// # Errors
    /// [`AlreadyExists`](crate::ErrorKind::AlreadyExists); [`InvalidInput`](crate::ErrorKind::InvalidInput) for a volume of another
    /// type than `custom`, an optimized backup from a driver that has none, a program that the server lacks;
    /// [`OperationFailed`](crate::ErrorKind::OperationFailed) where the disk is full.
    pub fn create(&self, backup: StorageVolumeBackupsPost) -> Change<Backup> {
        let request = self.volume.packing(&backup);
        let volume = self.volume.clone();
        Change::new(self.volume.client(), request, move |done| async move {
            volume.backup(kept::name(backup.name, done)?).get().await
        })
    }
}

impl Packable for VolumeHandle {
    type Post = StorageVolumeBackupsPost;

    const BACKUPS: &'static str = "custom_volume_backup";

    fn packing(&self, post: &StorageVolumeBackupsPost) -> Result<ChangeRequest, Error> {
        self.only_custom("back up")?;
        let mut request = kept::packing(self, post, &post.name)?;
        if post.compression_algorithm.is_some() {
            request = request.needs("backup_compression_algorithm");
        }
        if post.version.is_some() {
            request = request.needs("backup_metadata_version");
        }
        if post.optimized_storage {
            request = request.if_driver_packs(self.pool().scoped()?);
        }
        Ok(request)
    }

    fn temporary(post: &mut StorageVolumeBackupsPost, name: &str, expires_at: Option<Timestamp>) {
        (post.name, post.expires_at) = (name.to_owned(), expires_at);
    }
}
