//! The backups of a volume that its server keeps: list, get, create.

use http::Method;
use lxd_types::{Operation, StorageVolumeBackup, StorageVolumeBackupsPost};

use crate::{
    Backup, Change, Error, ErrorKind, VolumeHandle,
    created::told_name,
    object::Address,
    pending::{ChangeRequest, Done},
    route::{Route, check_name},
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
    /// [`NotFound`](ErrorKind::NotFound) for the volume.
    pub async fn all(&self) -> Result<Vec<Backup>, Error> {
        self.volume.only_custom("list backups of")?;
        let client = self.volume.client();
        let route = self.route().map(|route| client.scoped(route.query("recursion", "1")));
        let objects: Option<Vec<StorageVolumeBackup>> =
            client.get(route, &["custom_volume_backup"]).await?.decode()?;
        let backups = objects.unwrap_or_default().into_iter();
        Ok(backups.map(|object| Backup::new(self.volume.backup(object.short_name()), object)).collect())
    }

    /// One backup (`GET .../backups/<backup>`).
    ///
    /// # Errors
    /// [`NotFound`](ErrorKind::NotFound).
    pub async fn get(&self, name: &str) -> Result<Backup, Error> {
        self.volume.backup(name).get().await
    }

    /// Whether there is a backup of this name. Only [`NotFound`](ErrorKind::NotFound) counts as no.
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
    /// [`AlreadyExists`](ErrorKind::AlreadyExists); [`InvalidInput`](ErrorKind::InvalidInput) for a volume of another
    /// type than `custom`, an optimized backup from a driver that has none, a program that the server lacks;
    /// [`OperationFailed`](ErrorKind::OperationFailed) where the disk is full.
    pub fn create(&self, backup: StorageVolumeBackupsPost) -> Change<Backup> {
        let request = self.create_request(&backup);
        let volume = self.volume.clone();
        Change::new(self.volume.client(), request, move |done| async move {
            let name = match done {
                _ if !backup.name.is_empty() => backup.name,
                Done::Operation(operation) => name_of(&operation)?,
                Done::AtOnce(answer) => name_of(&answer.decode()?)?,
            };
            volume.backup(name).get().await
        })
    }

    pub(crate) fn create_request(&self, backup: &StorageVolumeBackupsPost) -> Result<ChangeRequest, Error> {
        self.volume.only_custom("back up")?;
        let client = self.volume.client();
        let mut request = ChangeRequest::new(Method::POST, client.scoped(self.route()?)).json(backup)?;
        if !backup.name.is_empty() {
            check_name("backup", &backup.name)?;
            let handle = self.volume.backup(&*backup.name);
            // Servers say so only after they have packed it.
            request = request.if_free(handle.scoped()?, handle.in_words());
        }
        request = request.needs("custom_volume_backup");
        if backup.compression_algorithm.is_some() {
            request = request.needs("backup_compression_algorithm");
        }
        if backup.version.is_some() {
            request = request.needs("backup_metadata_version");
        }
        if backup.optimized_storage {
            request = request.if_driver_packs(self.volume.pool().scoped()?);
        }
        Ok(request)
    }

    pub(crate) fn route(&self) -> Result<Route, Error> {
        Ok(self.volume.path()?.literal("backups"))
    }
}

fn name_of(operation: &Operation) -> Result<String, Error> {
    told_name(operation, "backups")
        .ok_or_else(|| Error::new(ErrorKind::Decode, "the server doesn't say how it named the backup"))
}
