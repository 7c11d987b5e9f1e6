//! What goes to another server: a volume, or a snapshot that becomes a volume there.

use http::Method;
use lxd_types::{StorageVolume, StorageVolumePost, StorageVolumePostTarget, StorageVolumeSnapshotPost};

use crate::{Client, Error, SnapshotHandle, VolumeHandle, object::Address as _, pending::ChangeRequest};

#[derive(Clone, Debug)]
pub(super) enum Source {
    Volume(VolumeHandle),
    Snapshot(SnapshotHandle),
}

impl Source {
    /// The volume that it is or belongs to.
    pub(super) fn volume(&self) -> &VolumeHandle {
        match self {
            Self::Volume(volume) => volume,
            Self::Snapshot(snapshot) => snapshot.volume(),
        }
    }

    pub(super) fn client(&self) -> &Client {
        self.volume().client()
    }

    /// The same on a cluster member.
    pub(super) fn with_target(&self, member: &str) -> Self {
        let volume = self.volume().with_target(member);
        match self {
            Self::Volume(_) => Self::Volume(volume),
            Self::Snapshot(snapshot) => Self::Snapshot(volume.snapshot(snapshot.name())),
        }
    }

    /// The name as a sink wants it.
    pub(super) fn name(&self) -> String {
        match self {
            Self::Volume(volume) => volume.name().to_owned(),
            Self::Snapshot(snapshot) => format!("{}/{}", snapshot.volume().name(), snapshot.name()),
        }
    }

    /// The volume that the copy is to be: as it is now, or as it was at the snapshot.
    pub(super) async fn read(&self) -> Result<StorageVolume, Error> {
        let mut volume = self.volume().get().await?.object().clone();
        if let Self::Snapshot(snapshot) = self {
            let snapshot = snapshot.get().await?;
            snapshot.description().clone_into(&mut volume.description);
            volume.config = snapshot.config().clone();
        }
        Ok(volume)
    }

    /// Asks for it to be handed over, to this target or to whoever comes with the secrets.
    pub(super) fn offer(
        &self,
        target: Option<StorageVolumePostTarget>,
        volume_only: bool,
    ) -> Result<ChangeRequest, Error> {
        match self {
            Self::Volume(volume) => {
                let mut post = StorageVolumePost::rename(volume.name());
                (post.migration, post.volume_only, post.target) = (true, volume_only, target);
                volume.request(Method::POST)?.json(&post)
            }
            Self::Snapshot(snapshot) => {
                let mut post = StorageVolumeSnapshotPost::rename(snapshot.name());
                (post.migration, post.target) = (Some(true), target);
                snapshot.request(Method::POST)?.json(&post)
            }
        }
    }

    /// The API extension that its server must have, besides that for migrations. Without it a snapshot would be renamed.
    pub(super) fn extension(&self) -> Option<&'static str> {
        match self {
            Self::Volume(_) => None,
            Self::Snapshot(_) => Some("storage_api_remote_volume_snapshot_copy"),
        }
    }
}
