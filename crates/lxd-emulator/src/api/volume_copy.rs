//! Copies of volumes within the server, new ones and refreshes of what is there.

use std::sync::Arc;

use crate::{
    api::{
        snapshot_change,
        volume_create::{Wanted, created_at, exists, finish, insert, with_defaults},
    },
    call::Call,
    config::{Config, cleaned},
    core::{Core, replace},
    decode::Fields,
    envelope::Reply,
    failure::Failure,
    keys, names,
    refresh::Refresh,
    scope,
    state::{ContentType, Database, Snapshot, Volume, VolumeKey, VolumeKind},
};

/// What a copy is made of.
pub(crate) struct Source {
    pub(crate) pool: String,
    pub(crate) project: String,
    /// A volume, or a snapshot behind a slash.
    pub(crate) name: String,
    pub(crate) location: Option<String>,
    pub(crate) volume_only: bool,
    pub(crate) refresh: bool,
    pub(crate) exclude_older: bool,
}

impl Source {
    pub(crate) fn parse(call: &Call, fields: &Fields, target_project: &str) -> Result<Self, Failure> {
        let core = &call.core;
        let project = match fields.text("project")? {
            named if named.is_empty() => target_project.to_owned(),
            named => match core
                .store
                .read(|database| scope::one_volumes_project(database, &named, VolumeKind::Custom))
            {
                // LXD 5.0 looks no further than for the volume.
                Err(_) if !core.behaviour.pools_check_project => named,
                known => known?,
            },
        };
        let location = fields.text("location")?;
        let location =
            (core.has("cluster_internal_custom_volume_copy") && !location.is_empty()).then_some(location);
        Ok(Self {
            pool: fields.text("pool")?,
            project,
            name: fields.text("name")?,
            location,
            volume_only: fields.flag("volume_only")?,
            refresh: fields.flag("refresh")?,
            exclude_older: core.has("custom_volume_refresh_exclude_older_snapshots")
                && fields.flag("refresh_exclude_older")?,
        })
    }
}

/// What was found of a source.
pub(crate) struct Found {
    key: VolumeKey,
    /// The snapshot that is copied instead of its volume.
    snapshot: Option<String>,
    volume: Volume,
}

/// Finds what a copy is made of; what it is for only shows in what is said where it isn't found.
pub(crate) fn look_up(database: &Database, source: &Source, refreshes: bool) -> Result<Found, Failure> {
    let pool = scope::pool(database, &source.pool)?;
    let (name, snapshot) = match source.name.split_once('/') {
        Some((name, short)) => (name, Some(short.to_owned())),
        None => (source.name.as_str(), None),
    };
    let (pool_name, project) = (&source.pool, &source.project);
    let location = source.location.as_deref();
    let found = scope::locate(database, pool, pool_name, project, VolumeKind::Custom, name, location);
    let missing = || {
        let key = VolumeKey {
            pool: pool_name.clone(),
            project: project.clone(),
            kind: VolumeKind::Custom,
            name: name.to_owned(),
            member: String::new(),
        };
        scope::gone(&key, &source.name).within(if refreshes {
            "Failed generating volume refresh config"
        } else {
            "Failed generating volume copy config"
        })
    };
    let (key, volume) = found.map_err(|failure| if failure.code == 404 { missing() } else { failure })?;
    let mut volume = volume.clone();
    if let Some(short) = &snapshot {
        let taken = volume.snapshots.iter().find(|one| one.name == *short).ok_or_else(missing)?;
        (volume.config, volume.description) = (taken.config.clone(), taken.description.clone());
        volume.snapshots.clear();
    }
    if source.volume_only {
        volume.snapshots.clear();
    }
    Ok(Found { key, snapshot, volume })
}

/// `POST` of a volume with a source of type `copy`.
pub(crate) fn copy(call: &Call, key: VolumeKey, wanted: Wanted, fields: &Fields) -> Result<Reply, Failure> {
    let core = Arc::clone(&call.core);
    let source = Source::parse(call, fields, &key.project)?;
    let there = core.store.read(|database| database.volumes.contains_key(&key));
    if there && !source.refresh {
        return Err(exists());
    }
    let plan = call.plan("Copying storage volume").at(&key.member).about(
        &core,
        &[],
        ("", ""),
        &names::volume(&core, &key),
    );
    let requestor = call.requestor();
    let operation = core.operations.start(plan, |_| {
        let core = Arc::clone(&core);
        async move {
            let look = || core.store.read(|database| look_up(database, &source, there));
            let _turns = core.turns.read_and_write(&look()?.key, &key).await;
            // It may have changed while others had their turn.
            let found = look()?;
            if there {
                refresh(&core, &found, &key, &source).await?;
            } else {
                make(&core, found, &key, wanted).await?;
            }
            let context = serde_json::json!({"type": key.kind.name()});
            let url = names::event_source(&core, &key);
            core.happened(&key.project, "storage-volume-created", url, Some(context), requestor);
            Ok(())
        }
    });
    call.accepted(&operation)
}

/// Makes a new volume with the content of another.
async fn make(core: &Arc<Core>, found: Found, key: &VolumeKey, wanted: Wanted) -> Result<(), Failure> {
    let described = !wanted.description.is_empty();
    let description = if described { wanted.description } else { found.volume.description.clone() };
    let sent: Config = wanted.config.unwrap_or_else(|| found.volume.config.clone());
    let config = core.store.read(|database| {
        let pool = scope::pool(database, &key.pool)?;
        let content_type = found.volume.content_type;
        keys::check_volume(core, &pool.driver, content_type, &cleaned(&sent), &key.name)?;
        Ok::<_, Failure>(with_defaults(core, pool, content_type, &sent))
    })?;
    let volume = Volume {
        description,
        config,
        content_type: found.volume.content_type,
        created_at: created_at(core),
        snapshots: Vec::new(),
        backups: Vec::new(),
    };
    let shots = found.volume.snapshots.clone();
    insert(core, key, volume).await?;
    let copied = transfer(core, &found, key, &shots).await.and_then(|()| finish(core, key));
    if copied.is_err() {
        super::volume_change::forget(core, key).await?;
    }
    copied
}

/// Copies the main content and some of the snapshots.
pub(crate) async fn transfer(
    core: &Arc<Core>,
    found: &Found,
    key: &VolumeKey,
    shots: &[Snapshot],
) -> Result<(), Failure> {
    for snapshot in shots {
        let from = core.content.snapshot(&found.key, &snapshot.name);
        let to = core.content.snapshot(key, &snapshot.name);
        replace(core, from, to).await?;
        let mut snapshot = snapshot.clone();
        // What the pool says of its volumes is filled into snapshots as well.
        snapshot.config = core.store.read(|database| {
            let pool = scope::pool(database, &key.pool)?;
            Ok::<_, Failure>(with_defaults(core, pool, found.volume.content_type, &snapshot.config))
        })?;
        core.store.change(|database| {
            let volume = database.volumes.get_mut(key).ok_or_else(scope::no_volume)?;
            volume.snapshots.push(snapshot);
            volume.snapshots.sort_by_key(|one| one.created_at);
            Ok::<(), Failure>(())
        })?;
    }
    let from = match &found.snapshot {
        Some(short) => core.content.snapshot(&found.key, short),
        None => core.content.volume(&found.key, found.volume.content_type),
    };
    let to = core.folder(key);
    throttle(core, &found.key, key, &from).await?;
    replace(core, from, to).await
}

/// Takes as long as a copy that one of the pools slows down by `rsync.bwlimit`.
async fn throttle(
    core: &Core,
    from: &VolumeKey,
    to: &VolumeKey,
    folder: &std::path::Path,
) -> Result<(), Failure> {
    let slowest = core.store.read(|database| {
        let limit = |key: &VolumeKey| scope::pool(database, &key.pool).ok()?.bandwidth();
        Ok::<_, Failure>([limit(from), limit(to)].into_iter().flatten().min())
    })?;
    if let Some(bytes_per_second) = slowest {
        let seconds = core.content.usage(folder) as f64 / bytes_per_second as f64;
        tokio::time::sleep(std::time::Duration::from_secs_f64(seconds.min(60.0))).await;
    }
    Ok(())
}

/// Makes a volume what another is: snapshots that are missing are copied, and those that the source lacks removed.
async fn refresh(core: &Arc<Core>, found: &Found, key: &VolumeKey, source: &Source) -> Result<(), Failure> {
    if found.volume.content_type == ContentType::Iso {
        return Err(Failure::internal("Volume of content type \"iso\" cannot be refreshed"));
    }
    let there = core.store.read(|database| {
        let volume = database.volumes.get(key).ok_or_else(scope::no_volume)?;
        Ok::<_, Failure>(volume.snapshots.clone())
    })?;
    if source.volume_only {
        return transfer(core, found, key, &[]).await;
    }
    let Refresh { gone, missing } = Refresh::new(&there, &found.volume.snapshots, source.exclude_older);
    for old in gone {
        snapshot_change::remove(core, key, &old.name).await?;
    }
    transfer(core, found, key, &missing).await
}

/// Makes a volume at another place out of one that is then removed, as moves between pools do.
pub(crate) async fn move_by_copy(core: &Arc<Core>, from: &VolumeKey, to: &VolumeKey) -> Result<(), Failure> {
    let volume = core.store.read(|database| {
        let volume = database.volumes.get(from).ok_or_else(scope::no_volume)?;
        Ok::<_, Failure>(volume.clone())
    })?;
    let new =
        Volume { created_at: created_at(core), snapshots: Vec::new(), backups: Vec::new(), ..volume.clone() };
    insert(core, to, new).await?;
    let shots = volume.snapshots.clone();
    let found = Found { key: from.clone(), snapshot: None, volume };
    match transfer(core, &found, to, &shots).await.and_then(|()| finish(core, to)) {
        Ok(()) => super::volume_change::forget(core, from).await,
        Err(failure) => {
            super::volume_change::forget(core, to).await?;
            Err(failure)
        }
    }
}
