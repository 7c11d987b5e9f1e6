//! The volumes of a pool: list, get, create.

use http::Method;
use lxd_types::{SourceType, StorageVolumesPost, VolumeType};

use crate::{
    Change, Error, PoolHandle, Volume, check, doubt,
    object::Address,
    pending::ChangeRequest,
    route::{Route, check_name},
    source,
};

/// The volumes of a pool (`/1.0/storage-pools/<pool>/volumes`).
///
/// ```
/// # async fn example(client: lxd_storage::Client) -> Result<(), lxd_storage::Error> {
/// use lxd_storage::types::{Size, StorageVolumesPost, VolumeType};
///
/// let volumes = client.storage_pool("fast").volumes();
/// let mut data = volumes.create(StorageVolumesPost::new("data").with_size(Size::gib(10))).await?;
/// for volume in volumes.all().await? {
///     println!("{} {}", volume.volume_type(), volume.name());
/// }
/// # Ok(()) }
/// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doc/server.rs"));
/// # fn main() { on_emulator!(example(client) in with_pools) }
/// ```
#[derive(Clone, Debug)]
pub struct Volumes {
    pool: PoolHandle,
}

impl Volumes {
    pub(crate) fn new(pool: PoolHandle) -> Self {
        Self { pool }
    }

    /// All volumes of all types, as full objects, in one request (`GET .../volumes?recursion=1`). Snapshots, which
    /// most servers mix into this list, are left out.
    ///
    /// # Errors
    /// [`NotFound`](crate::ErrorKind::NotFound) for the pool or the project.
    pub async fn all(&self) -> Result<Vec<Volume>, Error> {
        self.list().await
    }

    /// All volumes of one type, in one request (`GET .../volumes/<type>?recursion=1`).
    ///
    /// # Errors
    /// As [`all`](Self::all); [`InvalidInput`](crate::ErrorKind::InvalidInput) for a type unknown to the server.
    pub async fn all_of(&self, volume_type: impl Into<VolumeType>) -> Result<Vec<Volume>, Error> {
        self.of_type(volume_type).await
    }

    /// One volume (`GET .../volumes/<type>/<name>`).
    ///
    /// # Errors
    /// [`NotFound`](crate::ErrorKind::NotFound).
    pub async fn get(&self, volume_type: impl Into<VolumeType>, name: &str) -> Result<Volume, Error> {
        self.pool.volume(volume_type, name).get().await
    }

    /// Whether there is a volume of this type and name. Only [`NotFound`](crate::ErrorKind::NotFound) counts as no.
    ///
    /// # Errors
    /// All others.
    pub async fn exists(&self, volume_type: impl Into<VolumeType>, name: &str) -> Result<bool, Error> {
        self.pool.volume(volume_type, name).exists().await
    }

    /// Creates a custom volume from the whole of its object, and reads it back (`POST .../volumes/custom`).
    ///
    /// Block volumes need the API extension `custom_block_volumes`, ISO volumes `custom_volume_iso`. With a
    /// [`source`](StorageVolumesPost::source) the content is copied, which servers do in the background;
    /// [`copy_to`](crate::VolumeHandle::copy_to) and [`copy_to_server`](crate::VolumeHandle::copy_to_server) are made
    /// for that. A copy needs `storage_api_local_volume_handling`, a migration `storage_api_remote_volume_handling`,
    /// and both what the fields of the source say.
    ///
    /// # Errors
    /// [`AlreadyExists`](crate::ErrorKind::AlreadyExists); [`InvalidInput`](crate::ErrorKind::InvalidInput) for an
    /// empty name, another type than `custom`, a size that doesn't parse or a source without its type, volume or pool,
    /// before anything is sent.
    pub fn create(&self, volume: StorageVolumesPost) -> Change<Volume> {
        let request = self.create_request(&volume);
        let handle = self.pool.volume(volume.volume_type, volume.name);
        Change::new(self.pool.client(), request, |_| async move { handle.get().await })
    }

    pub(crate) fn create_request(&self, volume: &StorageVolumesPost) -> Result<ChangeRequest, Error> {
        check_name("volume", &volume.name)?;
        check::sizes(&volume.config)?;
        if volume.volume_type != VolumeType::Custom {
            let message =
                format!("servers make volumes of type \"custom\" only, not {:?}", volume.volume_type);
            return Err(Error::invalid(message));
        }
        let extensions = volume.source.as_ref().map(source::extensions_of).transpose()?.unwrap_or_default();
        let route = self.pool.client().scoped(self.route()?.literal("custom"));
        let is_copy = volume.source.as_ref().is_some_and(|source| source.source_type == SourceType::Copy);
        let request = if is_copy && volume.config.is_empty() {
            // Servers give a copy the keys of its source only where the request has no config at all.
            let mut body = serde_json::to_value(volume).map_err(|error| {
                Error::invalid("the request cannot be written as JSON").with_source(error)
            })?;
            if let Some(fields) = body.as_object_mut() {
                fields.remove("config");
            }
            ChangeRequest::new(Method::POST, route).json(&body)?
        } else {
            ChangeRequest::new(Method::POST, route).json(volume)?
        };
        let made = self.pool.volume(&volume.volume_type, &volume.name);
        let request = request.leaving(doubt::made(&made.in_words()));
        let request = extensions.into_iter().fold(request, ChangeRequest::needs);
        Ok(match volume.content_type.as_str() {
            "block" => request.needs("custom_block_volumes"),
            "iso" => request.needs("custom_volume_iso"),
            _ => request,
        })
    }

    pub(crate) fn pool(&self) -> &PoolHandle {
        &self.pool
    }

    pub(crate) fn route(&self) -> Result<Route, Error> {
        Ok(self.pool.path()?.literal("volumes"))
    }
}
