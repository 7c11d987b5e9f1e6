//! Snapshots of volumes.

use std::sync::Arc;

use serde::Serialize;

use crate::{
    api::volume_create::{created_at, with_defaults},
    call::Call,
    clock::{self, Moment},
    config::Config,
    core::{Core, replace},
    envelope::Reply,
    failure::Failure,
    names, scope,
    snapshot_name::next_name,
    state::{ContentType, Snapshot, Volume, VolumeKey},
};

#[derive(Serialize)]
struct View {
    description: String,
    expires_at: Option<String>,
    name: String,
    config: Config,
    content_type: &'static str,
    created_at: String,
}

/// What a snapshot's ETag is made of.
pub(crate) fn recipe(snapshot: &Snapshot) -> (String, String) {
    (snapshot.description.clone(), clock::text(snapshot.expires_at))
}

/// `GET .../snapshots`.
pub(crate) fn list(call: &Call, pool: &str, kind: &str, name: &str) -> Result<Reply, Failure> {
    let kind = scope::kind(kind)?;
    let core = &call.core;
    core.store.read(|database| {
        let found = scope::find_here(call, database, pool, kind, name);
        let (key, volume) = match found {
            // Old servers only look for snapshots, and not for their volume.
            Err(failure)
                if failure.text == scope::no_volume().text
                    && core.behaviour.missing_volumes_have_no_snapshots =>
            {
                return Reply::of(&Vec::<String>::new());
            }
            other => other?,
        };
        if call.query.recursion() == 0 {
            let base = format!("/1.0/storage-pools/{pool}/volumes/{}/{name}/snapshots", key.kind.name());
            let urls: Vec<String> =
                volume.snapshots.iter().map(|snapshot| format!("{base}/{}", snapshot.name)).collect();
            return Reply::of(&urls);
        }
        let zero = core.has("storage_volatile_uuid");
        let views = volume.snapshots.iter().map(|snapshot| View {
            description: snapshot.description.clone(),
            expires_at: match snapshot.expires_at {
                None if !zero => None,
                expires_at => Some(clock::text(expires_at)),
            },
            name: format!("{name}/{}", snapshot.name),
            config: snapshot.config.clone(),
            content_type: "",
            created_at: clock::text(snapshot.created_at),
        });
        Reply::of(&views.collect::<Vec<_>>())
    })
}

/// `GET .../snapshots/SNAPSHOT`.
pub(crate) fn get(call: &Call, pool: &str, kind: &str, name: &str, short: &str) -> Result<Reply, Failure> {
    let kind = scope::kind(kind)?;
    call.core.store.read(|database| {
        let (_, volume) = scope::find(call, database, pool, kind, name)?;
        let snapshot = find(volume, short)?;
        let view = View {
            description: snapshot.description.clone(),
            expires_at: Some(clock::text(snapshot.expires_at)),
            name: snapshot.name.clone(),
            config: snapshot.config.clone(),
            content_type: volume.content_type.name(),
            created_at: clock::text(snapshot.created_at),
        };
        Reply::with_etag(&view, &recipe(snapshot))
    })
}

pub(crate) fn find<'a>(volume: &'a Volume, short: &str) -> Result<&'a Snapshot, Failure> {
    volume.snapshots.iter().find(|snapshot| snapshot.name == short).ok_or_else(scope::no_volume)
}

/// `POST .../snapshots`.
pub(crate) async fn create(call: Call, pool: &str, kind: &str, name: &str) -> Result<Reply, Failure> {
    let kind = scope::custom(kind)?;
    call.core.store.read(|database| scope::find(&call, database, pool, kind, name).map(drop))?;
    let fields = call.fields("StorageVolumeSnapshotsPost").await?;
    let (wanted, sent_expiry) = (fields.text("name")?, fields.time("expires_at")?);
    let sent_description = fields.text("description")?;
    let core = Arc::clone(&call.core);
    let (key, short, snapshot, is_image) = core.store.read(|database| {
        crate::projects::check_not_blocked(database, call.project(), "snapshot")?;
        let (key, volume) = scope::find(&call, database, pool, kind, name)?;
        let short = if wanted.is_empty() { next_name(&core, volume)? } else { wanted };
        if volume.snapshots.iter().any(|one| one.name == short) {
            return Err(Failure::conflict(format!("Snapshot {short:?} already in use")));
        }
        check_name(&short)?;
        // Go's zero time is "never", and only nothing at all leaves it to the volume.
        let expires_at = match sent_expiry {
            None if !fields.is_set("expires_at") => default_expiry(&core, volume),
            sent => sent,
        };
        let described = core.has("storage_volatile_uuid") && !sent_description.is_empty();
        let description = if described { sent_description } else { volume.description.clone() };
        let created_at = created_at(&core);
        // What the pool says of its volumes is filled into snapshots as well.
        let config =
            with_defaults(&core, scope::pool(database, &key.pool)?, volume.content_type, &volume.config);
        let snapshot = Snapshot { name: short.clone(), description, config, created_at, expires_at };
        Ok((key, short, snapshot, volume.content_type == ContentType::Iso))
    })?;
    let plan = call.plan("Creating storage volume snapshot").at(&key.member).about(
        &core,
        &[
            ("storage_volumes", &names::volume(&core, &key)),
            ("storage_volume_snapshots", &names::snapshot(&core, &key, &short)),
        ],
        ("storage_volumes", &format!("/1.0/storage_volumes/{name}")),
        &names::snapshot(&core, &key, &short),
    );
    let requestor = call.requestor();
    let operation = core.operations.start(plan, |_| {
        let core = Arc::clone(&core);
        async move {
            if is_image {
                return Err(Failure::internal("Volume of content type \"iso\" does not support snapshots"));
            }
            let _turn = core.turns.write(&key).await;
            take(&core, &key, snapshot).await?;
            let source = names::snapshot_source(&core, &key, &short, false);
            let context = serde_json::json!({"type": key.kind.name()});
            core.happened(&key.project, "storage-volume-snapshot-created", source, Some(context), requestor);
            Ok(())
        }
    });
    call.accepted(&operation)
}

/// Copies a volume's content into a snapshot, and only then shows it.
pub(crate) async fn take(core: &Arc<Core>, key: &VolumeKey, snapshot: Snapshot) -> Result<(), Failure> {
    let (from, to) = (core.folder(key), core.content.snapshot(key, &snapshot.name));
    replace(core, from, to).await?;
    core.store.change(|database| {
        let volume = database.volumes.get_mut(key).ok_or_else(scope::no_volume)?;
        if volume.snapshots.iter().any(|one| one.name == snapshot.name) {
            return Err(Failure::conflict("Volume by that name already exists"));
        }
        volume.snapshots.push(snapshot);
        Ok(())
    })
}

/// When a snapshot of a volume expires that is taken now.
pub(crate) fn default_expiry(core: &Core, volume: &Volume) -> Option<Moment> {
    let lifespan: lxd_types::Lifespan = volume.config.get("snapshots.expiry")?.parse().ok()?;
    clock::after(core.clock.now(), lifespan)
}

fn check_name(name: &str) -> Result<(), Failure> {
    if name.contains('/') {
        return Err(Failure::bad_request("Storage name cannot contain \"/\""));
    }
    if name.chars().any(char::is_whitespace) {
        return Err(Failure::bad_request("Storage name cannot contain white space"));
    }
    Ok(())
}
