//! What a server does by itself every minute: snapshots by schedule, and the end of what has expired.

use std::sync::{Arc, Mutex, PoisonError};

use crate::{
    api::{bucket_backups, snapshot_change, snapshots},
    clock::Moment,
    content,
    core::{Core, blocking},
    failure::Failure,
    names,
    schedule::is_due,
    snapshot_name::automatic_name,
    state::{Backup, BucketKey, Snapshot, VolumeKey, VolumeKind},
};

/// When it was done last; `None` before the first request.
#[derive(Debug, Default)]
pub(crate) struct Last(Mutex<Option<Moment>>);

const MINUTE: i128 = 60 * 1_000_000_000;

impl Last {
    /// Since when it has to be done, where that is a minute ago; whoever is told does it.
    fn due(&self, now: Moment) -> Option<Moment> {
        let mut last = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let before = *last.get_or_insert(now);
        (now.0 - before.0 >= MINUTE).then(|| {
            *last = Some(now);
            before
        })
    }
}

/// Does it if it is due. Requests ask for it, so that nothing has to wake up where nobody asks for anything.
pub(crate) async fn run_if_due(core: &Arc<Core>) {
    let now = core.clock.now();
    let Some(before) = core.maintained.due(now) else { return };
    expire(core, now).await;
    take_scheduled(core, before, now).await;
}

/// What fails now is tried again in a minute, keeps nothing else from being done, and nobody is there to be told.
async fn expire(core: &Arc<Core>, now: Moment) {
    let is_over = |time: Option<Moment>| time.is_some_and(|time| time <= now);
    let (old_snapshots, old_backups) = core.store.read(|database| {
        let (mut old_snapshots, mut old_backups) = (Vec::new(), Vec::new());
        for (key, volume) in &database.volumes {
            let over = volume.snapshots.iter().filter(|one| is_over(one.expires_at));
            old_snapshots.extend(over.map(|one: &Snapshot| (key.clone(), one.name.clone())));
            let over = volume.backups.iter().filter(|one| is_over(one.expires_at));
            old_backups.extend(over.map(|one: &Backup| (key.clone(), one.name.clone())));
        }
        (old_snapshots, old_backups)
    });
    for (key, short) in old_snapshots {
        if snapshot_change::remove(core, &key, &short).await.is_ok() {
            let source = names::snapshot_source(core, &key, &short, false);
            core.happened(&key.project, "storage-volume-snapshot-deleted", source, None, None);
        }
    }
    for (key, name) in old_backups {
        let forgotten = core.store.change(|database| {
            if let Some(volume) = database.volumes.get_mut(&key) {
                volume.backups.retain(|one| one.name != name);
            }
            Ok::<(), Failure>(())
        });
        if forgotten.is_err() {
            continue;
        }
        let file = core.content.backups(&key).join(content::component(&name));
        let remove = move || if file.is_dir() { content::remove(&file) } else { std::fs::remove_file(&file) };
        let _ = blocking(core, remove).await;
    }
    for (key, name) in expired_of_buckets(core, now) {
        let _ = bucket_backups::remove(core, &key, &name).await;
    }
}

fn expired_of_buckets(core: &Core, now: Moment) -> Vec<(BucketKey, String)> {
    core.store.read(|database| {
        let all = database.buckets.iter();
        let backups = all.flat_map(|(key, bucket)| bucket.backups.iter().map(move |one| (key, one)));
        let over = backups.filter(|(_, one)| one.expires_at.is_some_and(|time| time <= now));
        over.map(|(key, one)| (key.clone(), one.name.clone())).collect()
    })
}

async fn take_scheduled(core: &Arc<Core>, before: Moment, now: Moment) {
    let due: Vec<(VolumeKey, Snapshot)> = core.store.read(|database| {
        let scheduled = database.volumes.iter().filter(|(key, volume)| {
            let schedule = volume.config.get("snapshots.schedule");
            key.kind == VolumeKind::Custom && schedule.is_some_and(|text| is_due(text, before, now))
        });
        let planned = scheduled.map(|(key, volume)| {
            let snapshot = Snapshot {
                name: automatic_name(core, volume),
                description: volume.description.clone(),
                config: volume.config.clone(),
                created_at: crate::api::volume_create::created_at(core),
                expires_at: snapshots::default_expiry(core, volume),
            };
            (key.clone(), snapshot)
        });
        planned.collect()
    });
    for (key, snapshot) in due {
        let source = names::snapshot_source(core, &key, &snapshot.name, false);
        if snapshots::take(core, &key, snapshot).await.is_ok() {
            let context = serde_json::json!({"type": key.kind.name()});
            core.happened(&key.project, "storage-volume-snapshot-created", source, Some(context), None);
        }
    }
}
