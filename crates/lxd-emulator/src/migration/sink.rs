//! The end that gets the volume.

use std::sync::Arc;

use super::{
    Wires, unless_stopped,
    wires::{Header, Outcome, Pace, Request},
};
use crate::{
    api::{snapshot_change, volume_change, volume_create},
    archive::{self, Entry},
    arrival::Arrival,
    config::{Config, cleaned},
    core::Core,
    failure::Failure,
    keys,
    operations::Operation,
    refresh::Refresh,
    scope, size,
    state::{ContentType, Snapshot, Volume, VolumeKey},
};

/// What is received.
pub(crate) struct Receiving {
    pub(crate) key: VolumeKey,
    pub(crate) description: String,
    /// `None` where nothing was sent: then it is that of the source.
    pub(crate) config: Option<Config>,
    pub(crate) refresh: bool,
    pub(crate) exclude_older: bool,
}

impl Receiving {
    /// Makes or refreshes the volume out of what comes over these wires, and says there how it went. What was made is
    /// removed in a failure.
    pub(crate) async fn receive(
        &self,
        core: &Arc<Core>,
        operation: &Operation,
        mut wires: Wires,
    ) -> Result<(), Failure> {
        let mut made = false;
        let received = self.take(core, operation, &mut wires, &mut made).await;
        if made && received.is_err() {
            // Somebody may have removed it meanwhile.
            let _ = volume_change::forget(core, &self.key).await;
        }
        let error = received.as_ref().err().map(|failure| failure.text.clone());
        // The source knows how it went by the end of the wires too.
        let _ = unless_stopped(core, operation, wires.say(&Outcome { error })).await;
        wires.close().await;
        received
    }

    async fn take(
        &self,
        core: &Arc<Core>,
        operation: &Operation,
        wires: &mut Wires,
        made: &mut bool,
    ) -> Result<(), Failure> {
        let Header { index } = unless_stopped(core, operation, wires.hear()).await?;
        let (volume, snapshots) = index.into_entries();
        let volume = volume.ok_or_else(|| Failure::internal("the source sent no volume"))?;
        let snapshots: Vec<Snapshot> = snapshots.into_iter().map(|one| one.snapshot(core)).collect();
        archive::check_snapshots(&snapshots)?;
        let there = core.store.read(|database| database.volumes.get(&self.key).cloned());
        let wanted = match there {
            Some(there) if self.refresh => self.prepare(core, &there, &snapshots).await?,
            _ => {
                self.make(core, &volume).await?;
                *made = true;
                snapshots
            }
        };
        let file = Arrival::new(core).await?;
        let mut pace = Pace::of(core, &self.key.pool, operation)?;
        let request = Request { snapshots: wanted.iter().map(|one| one.name.clone()).collect() };
        unless_stopped(core, operation, async {
            wires.say(&request).await?;
            wires.receive_file(file.path(), &mut pace).await
        })
        .await?;
        file.unpack(core, &self.key, &wanted).await?;
        volume_create::finish(core, &self.key)
    }

    /// Makes a volume without content yet.
    async fn make(&self, core: &Arc<Core>, source: &Entry) -> Result<(), Failure> {
        let content_type = source.content_type()?;
        let mut sent = self.config.clone().unwrap_or_else(|| source.config.clone());
        // What was said of sizes the servers keep as a number of bytes, or not at all.
        if let Some(text) = sent.remove("size") {
            let bytes = size::parse(&text).map_err(Failure::internal)?;
            if core.behaviour.incus || content_type != ContentType::Filesystem {
                sent.insert("size".to_owned(), bytes.to_string());
            }
        }
        let config = core.store.read(|database| {
            let pool = scope::pool(database, &self.key.pool)?;
            keys::check_volume(core, &pool.driver, content_type, &cleaned(&sent), &self.key.name)?;
            Ok::<_, Failure>(volume_create::with_defaults(core, pool, content_type, &sent))
        })?;
        let volume = Volume {
            description: self.description.clone(),
            config,
            content_type,
            created_at: volume_create::created_at(core),
            snapshots: Vec::new(),
            backups: Vec::new(),
        };
        volume_create::insert(core, &self.key, volume).await
    }

    /// Removes the snapshots that the source lacks, and says which ones are missing here.
    async fn prepare(
        &self,
        core: &Arc<Core>,
        there: &Volume,
        snapshots: &[Snapshot],
    ) -> Result<Vec<Snapshot>, Failure> {
        let Refresh { gone, missing } = Refresh::new(&there.snapshots, snapshots, self.exclude_older);
        for old in gone {
            snapshot_change::remove(core, &self.key, &old.name).await?;
        }
        Ok(missing)
    }
}
