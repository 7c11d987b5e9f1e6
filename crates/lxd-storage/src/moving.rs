//! Where a volume is to move within one server.

use std::sync::Arc;

use lxd_types::StorageVolumePost;

use crate::VolumeHandle;

/// Where a volume is to move: another pool, another project or both, and under which name.
///
/// ```
/// use lxd_storage::MoveTo;
///
/// let destination = MoveTo::pool("archive").with_name("data-2026").with_project("blue");
/// ```
#[derive(Clone, Debug)]
#[must_use = "it says where to move and moves nothing"]
pub struct MoveTo {
    pool: Option<Arc<str>>,
    project: Option<Arc<str>>,
    name: Option<Arc<str>>,
}

impl MoveTo {
    /// Another pool.
    pub fn pool(pool: impl AsRef<str>) -> Self {
        Self { pool: Some(pool.as_ref().into()), project: None, name: None }
    }

    /// Another project, in the same pool.
    pub fn project(project: impl AsRef<str>) -> Self {
        Self { pool: None, project: Some(project.as_ref().into()), name: None }
    }

    /// Under another name.
    pub fn with_name(mut self, name: impl AsRef<str>) -> Self {
        self.name = Some(name.as_ref().into());
        self
    }

    /// Into another project. Needs the API extension `storage_volume_project_move`.
    pub fn with_project(mut self, project: impl AsRef<str>) -> Self {
        self.project = Some(project.as_ref().into());
        self
    }

    /// What to send, and what the volume is called once it has arrived.
    pub(crate) fn resolve(self, from: &VolumeHandle) -> (StorageVolumePost, VolumeHandle) {
        let name = self.name.unwrap_or_else(|| from.name().into());
        // Servers take a request without a pool for a rename in place, so the present one is named too.
        let pool = self.pool.unwrap_or_else(|| from.pool().name().into());
        let mut client = from.client().clone();
        let mut post = StorageVolumePost::rename(&*name);
        post.pool = Some(pool.to_string());
        if let Some(project) = self.project {
            post.project = Some(project.to_string());
            client = client.with_project(project);
        }
        let arrived = client.storage_pool(pool).volume(from.volume_type().clone(), name);
        (post, arrived)
    }
}
