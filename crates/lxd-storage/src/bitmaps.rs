//! The dirty bitmaps of a block volume, by which incremental backups know what to read.

use http::Method;
use lxd_types::{StorageVolumeBitmap, StorageVolumeBitmapsPost};

use crate::{
    Change, Error, VolumeHandle,
    object::Address as _,
    pending::ChangeRequest,
    route::{Route, check_name},
};

/// Bitmaps came together with NBD.
const EXTENSION: &str = "storage_volume_nbd";

/// The dirty bitmaps of a custom or virtual machine's block volume (`.../volumes/<type>/<name>/bitmaps`): each records
/// which blocks are written from its beginning on. What they mark is read over
/// [`connect_nbd`](VolumeHandle::connect_nbd).
///
/// Needs the API extension `storage_volume_nbd`, which Incus has since 7.0 and no LXD has. The bitmaps live in the
/// process of a running virtual machine that the volume is attached to; without one, servers answer every call with
/// [`Server`](crate::ErrorKind::Server).
///
/// ```no_run
/// # async fn example(disk: lxd_storage::VolumeHandle) -> Result<(), lxd_storage::Error> {
/// use lxd_storage::types::StorageVolumeBitmapsPost;
///
/// disk.bitmaps().create(StorageVolumeBitmapsPost::new("since-monday").persistent()).await?;
/// for bitmap in disk.bitmaps().all().await? {
///     println!("{}: {} bytes written", bitmap.name, bitmap.count);
/// }
/// # Ok(()) }
/// ```
#[derive(Clone, Debug)]
pub struct Bitmaps {
    volume: VolumeHandle,
}

impl VolumeHandle {
    /// The dirty bitmaps of the volume. See [`Bitmaps`].
    #[must_use]
    pub fn bitmaps(&self) -> Bitmaps {
        Bitmaps { volume: self.clone() }
    }
}

impl Bitmaps {
    /// All bitmaps, in one request (`GET .../bitmaps?recursion=1`).
    ///
    /// # Errors
    /// [`UnsupportedExtension`](crate::ErrorKind::UnsupportedExtension); see [`Bitmaps`].
    pub async fn all(&self) -> Result<Vec<StorageVolumeBitmap>, Error> {
        let client = self.volume.client();
        let route = self.route().map(|route| client.scoped(route.query("recursion", "1")));
        let objects: Option<Vec<StorageVolumeBitmap>> = client.get(route, &[EXTENSION]).await?.decode()?;
        Ok(objects.unwrap_or_default())
    }

    /// One bitmap (`GET .../bitmaps/<bitmap>`).
    ///
    /// # Errors
    /// [`NotFound`](crate::ErrorKind::NotFound); [`UnsupportedExtension`](crate::ErrorKind::UnsupportedExtension); see [`Bitmaps`].
    pub async fn get(&self, name: &str) -> Result<StorageVolumeBitmap, Error> {
        let client = self.volume.client();
        let route = self.one(name).map(|route| client.scoped(route));
        client.get(route, &[EXTENSION]).await?.decode()
    }

    /// Begins to record, and reads the bitmap back (`POST .../bitmaps`).
    ///
    /// # Errors
    /// [`InvalidInput`](crate::ErrorKind::InvalidInput) for a bad name or a grain that is no power of two, before
    /// anything is sent; [`UnsupportedExtension`](crate::ErrorKind::UnsupportedExtension); see [`Bitmaps`].
    pub fn create(&self, bitmap: StorageVolumeBitmapsPost) -> Change<StorageVolumeBitmap> {
        let bitmaps = self.clone();
        let request = self.create_request(&bitmap);
        Change::new(self.volume.client(), request, |_| async move { bitmaps.get(&bitmap.name).await })
    }

    fn create_request(&self, bitmap: &StorageVolumeBitmapsPost) -> Result<ChangeRequest, Error> {
        check_name("bitmap", &bitmap.name)?;
        if bitmap.granularity != 0 && !bitmap.granularity.is_power_of_two() {
            let message = format!("a grain of {} bytes is no power of two", bitmap.granularity);
            return Err(Error::invalid(message));
        }
        let route = self.volume.client().scoped(self.route()?);
        Ok(ChangeRequest::new(Method::POST, route).json(bitmap)?.needs(EXTENSION))
    }

    /// Forgets a bitmap (`DELETE .../bitmaps/<bitmap>`).
    ///
    /// # Errors
    /// [`UnsupportedExtension`](crate::ErrorKind::UnsupportedExtension); see [`Bitmaps`].
    pub fn delete(&self, name: &str) -> Change<()> {
        let client = self.volume.client();
        let request = self
            .one(name)
            .map(|route| ChangeRequest::new(Method::DELETE, client.scoped(route)).needs(EXTENSION));
        Change::new(client, request, |_| async { Ok(()) })
    }

    fn one(&self, name: &str) -> Result<Route, Error> {
        self.route()?.name("bitmap", name)
    }

    fn route(&self) -> Result<Route, Error> {
        Ok(self.volume.path()?.literal("bitmaps"))
    }
}
