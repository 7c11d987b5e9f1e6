//! New names for volumes, and moves to another pool, project or member.

use std::sync::Arc;

use crate::{
    api::{
        migrations,
        volume_copy::move_by_copy,
        volume_create::{check_name, exists},
    },
    call::Call,
    core::{Core, blocking},
    decode::Fields,
    devices,
    envelope::Reply,
    failure::Failure,
    migration::Sending,
    names, scope,
    state::{VolumeKey, VolumeKind},
};

/// `POST /1.0/storage-pools/POOL/volumes/TYPE/VOLUME`.
pub(crate) async fn post(call: Call, pool: &str, kind: &str, name: &str) -> Result<Reply, Failure> {
    if name.contains('/') {
        return Err(Failure::bad_request("Invalid volume name"));
    }
    let fields = call.fields("StorageVolumePost").await?;
    let new_name = fields.text("name")?;
    check_name(&call.core, &new_name)?;
    if kind != VolumeKind::Custom.name() {
        let text = format!("Renaming storage volumes of type {kind:?} is not allowed");
        return Err(Failure::bad_request(text));
    }
    let kind = VolumeKind::Custom;
    let migration = fields.flag("migration")?;
    let location = source_location(&call, &fields)?;
    let core = Arc::clone(&call.core);
    if let (true, Some(location)) = (migration, location) {
        return to_member(&call, pool, kind, name, &new_name, &location);
    }
    if migration {
        let key =
            core.store.read(|database| scope::find(&call, database, pool, kind, name).map(|(key, _)| key))?;
        let sending = Sending { key, snapshot: None, volume_only: fields.flag("volume_only")? };
        return migrations::give(&call, sending, &fields).await;
    }
    let (to_pool, to_project) = (fields.text("pool")?, fields.text("project")?);
    let (from_project, target_project) = core.store.read(|database| {
        let from = scope::one_volumes_project(database, call.project(), kind)?;
        let to = match to_project.as_str() {
            "" => from.clone(),
            named => target_project(&core, database, named)?,
        };
        Ok::<_, Failure>((from, to))
    })?;
    let moves = (!to_pool.is_empty() && to_pool != pool) || target_project != from_project;
    let to_pool = if moves { to_pool } else { pool.to_owned() };
    let (key, to) = core.store.read(|database| {
        let target = call.target(database)?;
        let here = scope::pool(database, pool)?;
        let found = scope::locate(database, here, pool, &from_project, kind, name, target.as_deref());
        let (key, _) = found?;
        let there = scope::pool(database, &to_pool)?;
        let to = VolumeKey {
            pool: to_pool.clone(),
            project: target_project.clone(),
            kind,
            name: new_name.clone(),
            member: if scope::is_remote(&there.driver) { String::new() } else { key.member.clone() },
        };
        if database.volumes.contains_key(&to) {
            return Err(exists());
        }
        Ok((key, to))
    })?;
    if moves { relocation(&call, key, to) } else { renaming(&call, key, to).await }
}

/// The project that a volume is moved to.
fn target_project(core: &Core, database: &crate::state::Database, named: &str) -> Result<String, Failure> {
    if !core.behaviour.pools_check_project {
        // LXD 5.0 takes what it is told, be it a project without volumes of its own.
        return Ok(named.to_owned());
    }
    let effective = scope::one_volumes_project(database, named, VolumeKind::Custom)?;
    if effective != named {
        return Err(Failure::bad_request("Target project does not have features.storage.volumes enabled"));
    }
    Ok(effective)
}

fn source_location(call: &Call, fields: &Fields) -> Result<Option<String>, Failure> {
    if !call.core.has("cluster_internal_custom_volume_copy") {
        return Ok(None);
    }
    let source = fields.object("source", "StorageVolumeSource")?;
    let location = source.map(|source| source.text("location")).transpose()?;
    Ok(location.filter(|location| !location.is_empty()))
}

async fn renaming(call: &Call, key: VolumeKey, to: VolumeKey) -> Result<Reply, Failure> {
    let core = Arc::clone(&call.core);
    let asynchronous = core.has("storage_and_profile_operations");
    let mut plan = call.plan("Renaming storage volume").at(&key.member).about(
        &core,
        &[],
        ("", ""),
        &names::volume(&core, &to),
    );
    if core.has("operation_metadata_entity_url") {
        plan.metadata.insert("original_entity_url".to_owned(), names::volume(&core, &key).into());
    }
    let requestor = call.requestor();
    call.change(asynchronous, plan, async move {
        let _turns = core.turns.write_both(&key, &to).await;
        rename(&core, &key, &to).await?;
        let context = serde_json::json!({"old_name": key.name});
        let source = names::event_source(&core, &to);
        core.happened(&to.project, "storage-volume-renamed", source, Some(context), requestor);
        Ok(Reply::created(names::renamed(&core, &to)))
    })
    .await
}

/// Gives a volume with all that is its own another name; who uses it follows.
async fn rename(core: &Arc<Core>, from: &VolumeKey, to: &VolumeKey) -> Result<(), Failure> {
    let swap = |core: &Core, from: &VolumeKey, to: &VolumeKey| {
        core.store.change(|database| {
            if database.volumes.contains_key(to) {
                return Err(exists());
            }
            let volume = database.volumes.remove(from).ok_or_else(scope::no_volume)?;
            let content_type = volume.content_type;
            database.volumes.insert(to.clone(), volume);
            devices::follow(database, from, to);
            Ok(content_type)
        })
    };
    let content_type = swap(core, from, to)?;
    let (moving, old, new) = (Arc::clone(core), from.clone(), to.clone());
    let moving = move || moving.content.rename(&old, &new, content_type).map_err(Failure::from);
    let moved = blocking(core, moving).await;
    if moved.is_err() {
        swap(core, to, from)?;
    }
    moved
}

fn relocation(call: &Call, key: VolumeKey, to: VolumeKey) -> Result<Reply, Failure> {
    let core = Arc::clone(&call.core);
    let plan = call.plan("Moving storage volume").at(&key.member).about(
        &core,
        &[],
        ("", ""),
        &names::volume(&core, &to),
    );
    let requestor = call.requestor();
    let operation = core.operations.start(plan, |_| {
        let core = Arc::clone(&core);
        async move {
            core.store.read(|database| project_is_there(database, &to))?;
            let _turns = core.turns.write_both(&key, &to).await;
            move_by_copy(&core, &key, &to).await?;
            core.store.change(|database| {
                devices::follow(database, &key, &to);
                Ok::<(), Failure>(())
            })?;
            let context = serde_json::json!({"type": to.kind.name()});
            let (new, old) = (names::event_source(&core, &to), names::event_source(&core, &key));
            core.happened(&to.project, "storage-volume-created", new, Some(context), requestor.clone());
            core.happened(&key.project, "storage-volume-deleted", old, None, requestor);
            Ok(())
        }
    });
    call.accepted(&operation)
}

/// LXD 5.0 only finds out when it writes.
fn project_is_there(database: &crate::state::Database, to: &VolumeKey) -> Result<(), Failure> {
    if database.projects.contains_key(&to.project) {
        return Ok(());
    }
    Err(Failure::internal(format!(
        "Error inserting volume {:?} for project {:?} in pool {:?} of type {:?} into database \"NOT NULL constraint failed: \
         storage_volumes.project_id\"",
        to.name,
        to.project,
        to.pool,
        to.kind.name()
    )))
}

/// To the member that `target` names, from the one that the source is on.
fn to_member(
    call: &Call,
    pool: &str,
    kind: VolumeKind,
    name: &str,
    new_name: &str,
    location: &str,
) -> Result<Reply, Failure> {
    let (key, to) = call.core.store.read(|database| {
        let target = call.target(database)?;
        let here = scope::pool(database, pool)?;
        let project = scope::one_volumes_project(database, call.project(), kind)?;
        let (key, _) = scope::locate(database, here, pool, &project, kind, name, Some(location))?;
        let member = scope::home(&call.core, database, &here.driver, target);
        let to = VolumeKey { member, name: new_name.to_owned(), ..key.clone() };
        if database.volumes.contains_key(&to) {
            return Err(exists());
        }
        Ok((key, to))
    })?;
    relocation(call, key, to)
}
