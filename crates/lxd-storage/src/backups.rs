//! The backups of a volume that its server keeps: list, get, create.

use lxd_types::{BackupTarget, StorageVolumeBackup, StorageVolumeBackupsPost, Timestamp};

use crate::{
    Backup, Change, Error, VolumeHandle, check,
    kept::{self, Packable},
    object::Address as _,
    pending::ChangeRequest,
};

/// The backups of a custom volume (`.../volumes/custom/<volume>/backups`): files that the server packs and keeps until
/// they are deleted or expire. Needs the API extension `custom_volume_backup`.
///
/// To get a volume into a file in one step, use [`VolumeHandle::export`].
///
/// ```
/// # async fn example(volume: lxd_storage::VolumeHandle) -> Result<(), lxd_storage::Error> {
/// use lxd_storage::types::StorageVolumeBackupsPost;
///
/// let backup = volume.backups().create(StorageVolumeBackupsPost::new("nightly").volume_only()).await?;
/// backup.download().await?.save_to("nightly.tar.gz").await?;
/// backup.delete().await?;
/// # Ok(()) }
/// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doc/server.rs"));
/// # fn main() { on_emulator!(example(volume)) }
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
    /// The backup of an ISO volume is the image itself, neither packed nor compressed. It needs the API extension
    /// `backup_iso`, which Incus has since 6.0.6 and 6.18.
    ///
    /// # Errors
    /// [`AlreadyExists`](crate::ErrorKind::AlreadyExists); [`InvalidInput`](crate::ErrorKind::InvalidInput) for a volume of another
    /// type than `custom`, an optimized backup from a driver that has none, a program that the server lacks, one with a
    /// target, which is for [`upload`](Self::upload);
    /// [`OperationFailed`](crate::ErrorKind::OperationFailed) where the disk is full.
    pub fn create(&self, backup: StorageVolumeBackupsPost) -> Change<Backup> {
        let request = match backup.target {
            None => self.volume.packing(&backup),
            Some(_) => Err(Error::invalid("a backup with a target is not kept; `upload` is for those")),
        };
        let volume = self.volume.clone();
        Change::new(self.volume.client(), request, move |done| async move {
            volume.backup(kept::name(backup.name, done)?).get().await
        })
    }

    /// Packs the volume straight into an object behind an S3 server (`POST .../backups`, always in the background).
    /// Nothing of it passes through this program or stays on the server. Needs the API extension `backup_s3_upload`,
    /// which Incus has since 6.0.5 and 6.14 and no LXD has; backups of buckets have no target on any server.
    ///
    /// No error or log shows the credentials, whoever it is that repeats them.
    ///
    /// ```no_run
    /// # async fn example(volume: lxd_storage::VolumeHandle, secret: String) -> Result<(), lxd_storage::Error> {
    /// use lxd_storage::types::{BackupTarget, StorageVolumeBackupsPost};
    ///
    /// let target = BackupTarget::s3("https://s3.example.org", "backups", "2026/data.tar.gz")
    ///     .with_credentials("access", secret);
    /// volume.backups().upload(StorageVolumeBackupsPost::automatic().volume_only(), target).await?;
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    /// Before anything is sent, [`InvalidInput`](crate::ErrorKind::InvalidInput) for a target that is not whole, a backup
    /// with a name or an expiry, and what [`create`](Self::create) refuses;
    /// [`UnsupportedExtension`](crate::ErrorKind::UnsupportedExtension). What the S3 server says against it is an
    /// [`OperationFailed`](crate::ErrorKind::OperationFailed).
    pub fn upload(&self, mut backup: StorageVolumeBackupsPost, target: BackupTarget) -> Change<()> {
        backup.target = Some(target);
        Change::new(self.volume.client(), self.volume.packing(&backup), |_| async { Ok(()) })
    }
}

impl Packable for VolumeHandle {
    type Post = StorageVolumeBackupsPost;

    const BACKUPS: &'static str = "custom_volume_backup";

    fn packing(&self, post: &StorageVolumeBackupsPost) -> Result<ChangeRequest, Error> {
        self.only_custom("back up")?;
        let mut request = kept::packing(self, post, &post.name)?.if_content_packs(self.scoped()?);
        if post.compression_algorithm.is_some() {
            request = request.needs("backup_compression_algorithm");
        }
        if post.version.is_some() {
            request = request.needs("backup_metadata_version");
        }
        if post.optimized_storage {
            request = request.if_driver_packs(self.pool().scoped()?);
        }
        if let Some(target) = &post.target {
            check::backup_target(target)?;
            if !post.name.is_empty() || post.expires_at.is_some() {
                let message = "a backup that is uploaded is not kept and has neither name nor expiry; \
                               the target's `path` names it";
                return Err(Error::invalid(message));
            }
            request = request
                .needs("backup_s3_upload")
                .hiding(vec![target.access_key.clone(), target.secret_key.clone()]);
        }
        Ok(request)
    }

    fn temporary(post: &mut StorageVolumeBackupsPost, name: &str, expires_at: Option<Timestamp>) {
        (post.name, post.expires_at) = (name.to_owned(), expires_at);
    }
}
