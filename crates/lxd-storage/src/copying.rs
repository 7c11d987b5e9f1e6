//! Copies of volumes within one server or cluster.

use std::sync::Arc;

use http::Method;
use lxd_types::{SourceType, StorageVolumeSource, StorageVolumesPost, VolumeType};

use crate::{
    Change, Error, SnapshotHandle, Volume, VolumeHandle, doubt, object::Address, pending::ChangeRequest,
    route::check_name,
};

/// Where a copy of a volume is to be, and what of it.
///
/// ```
/// use lxd_storage::CopyTo;
///
/// let nightly = CopyTo::pool("archive").with_name("data-copy").with_project("blue").refresh();
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[must_use = "it says where to copy and copies nothing"]
pub struct CopyTo {
    pool: Option<Arc<str>>,
    project: Option<Arc<str>>,
    member: Option<Arc<str>>,
    name: Option<Arc<str>>,
    volume_only: bool,
    refresh: bool,
    exclude_older: bool,
}

impl CopyTo {
    /// Another pool, under the same name.
    pub fn pool(pool: impl AsRef<str>) -> Self {
        Self { pool: Some(pool.as_ref().into()), ..Self::default() }
    }

    /// Another name, in the same pool.
    pub fn name(name: impl AsRef<str>) -> Self {
        Self { name: Some(name.as_ref().into()), ..Self::default() }
    }

    /// Another project, under the same name in the same pool. Needs the API extension `storage_api_project`.
    pub fn project(project: impl AsRef<str>) -> Self {
        Self { project: Some(project.as_ref().into()), ..Self::default() }
    }

    /// Another cluster member, under the same name in the same pool. Needs the API extension
    /// `cluster_internal_custom_volume_copy`, and a source that says on which member it is: one that was read, or a
    /// handle [`with_target`](VolumeHandle::with_target). [`VolumeHandle::copy_to_member`] does it on every server with
    /// clusters.
    pub fn member(member: impl AsRef<str>) -> Self {
        Self { member: Some(member.as_ref().into()), ..Self::default() }
    }

    /// Into another pool.
    pub fn with_pool(mut self, pool: impl AsRef<str>) -> Self {
        self.pool = Some(pool.as_ref().into());
        self
    }

    /// Under another name.
    pub fn with_name(mut self, name: impl AsRef<str>) -> Self {
        self.name = Some(name.as_ref().into());
        self
    }

    /// Into another project. Needs the API extension `storage_api_project`.
    pub fn with_project(mut self, project: impl AsRef<str>) -> Self {
        self.project = Some(project.as_ref().into());
        self
    }

    /// To another cluster member; see [`member`](Self::member).
    pub fn with_member(mut self, member: impl AsRef<str>) -> Self {
        self.member = Some(member.as_ref().into());
        self
    }

    /// Leaves the snapshots behind.
    pub fn volume_only(mut self) -> Self {
        self.volume_only = true;
        self
    }

    /// Brings a copy that is there already up to date, and makes it if it isn't: content and snapshots become those of
    /// the source, and snapshots that the source no longer has are deleted. Needs the API extension
    /// `custom_volume_refresh`.
    pub fn refresh(mut self) -> Self {
        self.refresh = true;
        self
    }

    /// With [`refresh`](Self::refresh): leaves out snapshots that are older than the copy's newest. Needs the API
    /// extension `custom_volume_refresh_exclude_older_snapshots`, which only Incus has.
    pub fn exclude_older(mut self) -> Self {
        self.refresh = true;
        self.exclude_older = true;
        self
    }

    /// What is to be asked of the server, and where the copy will be.
    fn resolve(
        self,
        from: &VolumeHandle,
        source_name: String,
    ) -> (Result<ChangeRequest, Error>, VolumeHandle) {
        let mut client = from.client().clone();
        if let Some(project) = &self.project {
            client = client.with_project(Arc::clone(project));
        }
        if let Some(member) = &self.member {
            client = client.with_target(Arc::clone(member));
        }
        let pool = self.pool.clone().unwrap_or_else(|| from.pool().name().into());
        let name = self.name.clone().unwrap_or_else(|| from.name().into());
        let copy = client.storage_pool(pool).volume(VolumeType::Custom, name);
        (self.request(from, source_name, &copy), copy)
    }

    fn request(self, from: &VolumeHandle, name: String, copy: &VolumeHandle) -> Result<ChangeRequest, Error> {
        from.only_custom("copy")?;
        check_name("volume", copy.name())?;
        let mut source = StorageVolumeSource::default();
        source.source_type = SourceType::Copy;
        source.name = name;
        source.pool = from.pool().name().to_owned();
        source.volume_only = self.volume_only;
        source.refresh = self.refresh;
        source.refresh_exclude_older = self.exclude_older.then_some(true);
        if self.project.is_some() {
            // Without a project of its own the source is in the server's `default`.
            source.project = Some(from.client().project().unwrap_or("default").to_owned());
        }
        if self.member.is_some() {
            let here = from.client().target().ok_or_else(|| {
                Error::invalid(
                    "on which member the volume is has to be said for a copy to another one (`with_target`)",
                )
            })?;
            source.location = Some(here.to_owned());
        }
        let same = copy.pool().name() == from.pool().name()
            && copy.name() == from.name()
            && self.project.is_none()
            && self.member.is_none();
        if same && source.name == from.name() {
            return Err(Error::invalid(format!("volume {:?} cannot be copied onto itself", from.name())));
        }
        let post = StorageVolumesPost::new(copy.name()).with_source(source);
        let mut request = copy.pool().volumes().create_request(&post)?;
        request = if self.refresh {
            request.leaving(doubt::refreshed(&copy.in_words()))
        } else {
            request.if_free(copy.scoped()?, copy.in_words())
        };
        Ok(request.if_exists(from.scoped()?))
    }
}

impl VolumeHandle {
    /// Copies the volume, with its snapshots, description and keys, and reads the copy (`POST .../volumes/custom`,
    /// always in the background).
    ///
    /// ```
    /// # async fn example(data: lxd_storage::VolumeHandle) -> Result<(), lxd_storage::Error> {
    /// use lxd_storage::CopyTo;
    ///
    /// let copy = data.copy_to(CopyTo::pool("archive").with_name("data-copy")).await?;
    /// // Later, bring it up to date:
    /// data.copy_to(CopyTo::pool("archive").with_name("data-copy").refresh()).await?;
    /// # Ok(()) }
    /// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doc/server.rs"));
    /// # fn main() { on_emulator!(example(data)) }
    /// ```
    ///
    /// # Errors
    /// [`NotFound`](crate::ErrorKind::NotFound) for the source;
    /// [`AlreadyExists`](crate::ErrorKind::AlreadyExists) for the copy, unless it is to be refreshed;
    /// [`InvalidInput`](crate::ErrorKind::InvalidInput) for another type than `custom`, before anything is sent;
    /// [`OperationFailed`](crate::ErrorKind::OperationFailed).
    pub fn copy_to(&self, destination: CopyTo) -> Change<Volume> {
        let (request, copy) = destination.resolve(self, self.name().to_owned());
        Change::new(self.client(), request, |_| async move { copy.get().await })
    }

    /// Empties the volume in place (`POST .../volumes/custom/<name>/rebuild`, always in the background). Needs the API
    /// extension `storage_volumes_rebuild`, which only newest Incus has.
    ///
    /// # Errors
    /// [`InUse`](crate::ErrorKind::InUse); [`UnsupportedExtension`](crate::ErrorKind::UnsupportedExtension).
    pub fn rebuild(&self) -> Change<()> {
        let request = self.only_custom("rebuild").and_then(|()| {
            let route = self.client().scoped(self.path()?.literal("rebuild"));
            let request = ChangeRequest::new(Method::POST, route).json(&serde_json::json!({}))?;
            Ok(request.needs("storage_volumes_rebuild"))
        });
        Change::new(self.client(), request, |_| async { Ok(()) })
    }
}

impl SnapshotHandle {
    /// Makes a volume of its own from the snapshot, and reads it (`POST .../volumes/custom`, always in the background).
    ///
    /// # Errors
    /// As [`VolumeHandle::copy_to`]; [`InvalidInput`](crate::ErrorKind::InvalidInput) for a refresh, which takes a
    /// whole volume.
    pub fn copy_to(&self, destination: CopyTo) -> Change<Volume> {
        let refresh = destination.refresh;
        let (request, copy) =
            destination.resolve(self.volume(), format!("{}/{}", self.volume().name(), self.name()));
        let request = match request {
            Ok(_) if refresh => {
                Err(Error::invalid("a refresh takes a whole volume as its source, not a snapshot"))
            }
            Ok(request) => self.scoped().map(|route| request.if_exists(route)),
            Err(error) => Err(error),
        };
        Change::new(self.volume().client(), request, |_| async move { copy.get().await })
    }
}
