//! The end that has the volume.

use std::sync::Arc;

use super::{
    Wires, unless_stopped,
    wires::{Header, Outcome, Pace, Request},
};
use crate::{
    archive::{self, Index},
    arrival::Arrival,
    core::Core,
    failure::Failure,
    operations::Operation,
    scope,
    state::{ContentType, Volume, VolumeKey},
    stop::stoppable,
};

/// What is sent.
pub(crate) struct Sending {
    pub(crate) key: VolumeKey,
    /// The snapshot that becomes a volume elsewhere.
    pub(crate) snapshot: Option<String>,
    pub(crate) volume_only: bool,
}

impl Sending {
    /// The volume as it is now, or as it was at the snapshot.
    fn volume(&self, core: &Core) -> Result<(Volume, String), Failure> {
        core.store.read(|database| {
            let volume = database.volumes.get(&self.key).ok_or_else(scope::no_volume)?;
            let driver = scope::pool(database, &self.key.pool)?.driver.clone();
            let mut volume = volume.clone();
            if let Some(short) = &self.snapshot {
                let taken = volume.snapshots.iter().find(|one| one.name == *short);
                let taken = taken.ok_or_else(scope::no_volume)?.clone();
                (volume.config, volume.description) = (taken.config, taken.description);
            }
            if self.volume_only || self.snapshot.is_some() {
                volume.snapshots.clear();
            }
            Ok((volume, driver))
        })
    }

    /// Sends it over these wires, and hears how it went.
    pub(crate) async fn send(
        &self,
        core: &Arc<Core>,
        operation: &Operation,
        mut wires: Wires,
    ) -> Result<(), Failure> {
        let (volume, driver) = self.volume(core)?;
        let index = Index::new(&self.key, &volume, &volume.snapshots, &driver);
        let Request { snapshots } = unless_stopped(core, operation, async {
            wires.say(&Header { index }).await?;
            wires.hear().await
        })
        .await?;

        let kept: Vec<_> = volume.snapshots.iter().filter(|one| snapshots.contains(&one.name)).collect();
        let mut parts: Vec<archive::Part> = kept
            .iter()
            .map(|one| {
                let folder = core.content.snapshot(&self.key, &one.name);
                (folder, archive::snapshot_place(&one.name))
            })
            .collect();
        let main = match &self.snapshot {
            Some(short) => core.content.snapshot(&self.key, short),
            None => core.content.volume(&self.key, volume.content_type),
        };
        parts.push((main, archive::VOLUME.to_owned()));
        let file = Arrival::new(core).await?;
        let index = Index::new(&self.key, &volume, &[], &driver);
        let (path, disk) = (file.path().to_owned(), volume.content_type != ContentType::Filesystem);
        stoppable(core, move |stop| archive::pack(stop, &path, false, disk, &index, &parts)).await?;

        let mut pace = Pace::of(core, &self.key.pool, operation)?;
        let Outcome { error } = unless_stopped(core, operation, async {
            wires.send_file(file.path(), &mut pace).await?;
            wires.hear().await
        })
        .await?;
        wires.close().await;
        match error {
            None => Ok(()),
            Some(text) => Err(Failure::internal(text).within("Error from migration control target")),
        }
    }
}
