//! Changing snapshots, their end, and what they give back.

use std::sync::Arc;

use crate::{
    api::{
        migrations,
        snapshots::{find, recipe},
    },
    call::Call,
    core::{Core, blocking, replace},
    envelope::Reply,
    etag,
    failure::Failure,
    migration::Sending,
    names, scope,
    state::{Database, VolumeKey},
};

/// `PUT` and `PATCH .../snapshots/SNAPSHOT`.
pub(crate) async fn update(
    call: Call,
    pool: &str,
    kind: &str,
    name: &str,
    short: &str,
) -> Result<Reply, Failure> {
    let kind = scope::kind(kind)?;
    let core = Arc::clone(&call.core);
    let (key, old) = core.store.read(|database| {
        let (key, volume) = scope::find(&call, database, pool, kind, name)?;
        let snapshot = find(volume, short)?;
        etag::check(&call.headers, &recipe(snapshot))?;
        Ok::<_, Failure>((key, snapshot.clone()))
    })?;
    let fields = call.fields("StorageVolumeSnapshotPut").await?;
    let (description, expires_at) = (fields.text("description")?, fields.time("expires_at")?);
    let patch = call.method == http::Method::PATCH;
    let description = if patch && !fields.has("description") { old.description } else { description };
    let expires_at = if patch && !fields.has("expires_at") { old.expires_at } else { expires_at };
    let asynchronous = core.has("storage_and_profile_operations");
    let plan = call.plan("Updating storage volume snapshot").at(&key.member).about(
        &core,
        &[],
        ("", ""),
        &names::snapshot(&core, &key, short),
    );
    let (requestor, short) = (call.requestor(), short.to_owned());
    call.change(asynchronous, plan, async move {
        core.store.change(|database| {
            let volume = database.volumes.get_mut(&key).ok_or_else(scope::no_volume)?;
            let snapshot = volume.snapshots.iter_mut().find(|one| one.name == short);
            let snapshot = snapshot.ok_or_else(scope::no_volume)?;
            (snapshot.description, snapshot.expires_at) = (description, expires_at);
            Ok::<(), Failure>(())
        })?;
        let source = names::snapshot_source(&core, &key, &short, true);
        core.happened(&key.project, "storage-volume-snapshot-updated", source, None, requestor);
        Ok(Reply::done())
    })
    .await
}

/// `POST .../snapshots/SNAPSHOT`: a new name, or another server.
pub(crate) async fn post(
    call: Call,
    pool: &str,
    kind: &str,
    name: &str,
    short: &str,
) -> Result<Reply, Failure> {
    let kind = scope::custom(kind)?;
    let core = Arc::clone(&call.core);
    let key =
        core.store.read(|database| scope::find(&call, database, pool, kind, name).map(|(key, _)| key))?;
    let fields = call.fields("StorageVolumeSnapshotPost").await?;
    if core.has("storage_api_remote_volume_snapshot_copy") && fields.flag("migration")? {
        let is_there = |database: &Database| {
            let volume = database.volumes.get(&key).ok_or_else(scope::no_volume)?;
            find(volume, short).map(drop)
        };
        core.store.read(is_there)?;
        let sending = Sending { key, snapshot: Some(short.to_owned()), volume_only: true };
        return migrations::give(&call, sending, &fields).await;
    }
    let to = fields.text("name")?;
    if to.is_empty() {
        return Err(Failure::bad_request("No name provided"));
    }
    if to.contains('/') {
        return Err(Failure::bad_request("Storage volume names may not contain slashes"));
    }
    let url = names::snapshot(&core, &key, short);
    let plan = call.plan("Renaming storage volume snapshot").at(&key.member).about(
        &core,
        &[("storage_volume_snapshots", &url)],
        ("storage_volume_snapshots", &format!("/1.0/storage_volume_snapshots/{name}")),
        &names::snapshot(&core, &key, &to),
    );
    let (requestor, from) = (call.requestor(), short.to_owned());
    let operation = core.operations.start(plan, |_| {
        let core = Arc::clone(&core);
        async move {
            let _turn = core.turns.write(&key).await;
            change_name(&core, &key, &from, &to)?;
            let source = names::snapshot_source(&core, &key, &from, false);
            let context = serde_json::json!({"old_name": from});
            core.happened(&key.project, "storage-volume-snapshot-renamed", source, Some(context), requestor);
            Ok(())
        }
    });
    call.accepted(&operation)
}

fn change_name(core: &Arc<Core>, key: &VolumeKey, from: &str, to: &str) -> Result<(), Failure> {
    let (old, new) = (core.content.snapshot(key, from), core.content.snapshot(key, to));
    core.store.change(|database| {
        let volume = database.volumes.get_mut(key).ok_or_else(scope::no_volume)?;
        if volume.snapshots.iter().all(|one| one.name != from) {
            return Err(scope::gone(key, &format!("{}/{from}", key.name)));
        }
        if volume.snapshots.iter().any(|one| one.name == to) {
            let (old, new) = (old.display(), new.display());
            return Err(Failure::internal(format!(
                "Failed to rename \"{old}\" to \"{new}\": rename {old} {new}: file exists"
            )));
        }
        // First, so that a name that is none for files changes nothing.
        std::fs::rename(&old, &new)?;
        let snapshot = volume.snapshots.iter_mut().find(|one| one.name == from);
        snapshot.into_iter().for_each(|one| to.clone_into(&mut one.name));
        Ok(())
    })
}

/// `DELETE .../snapshots/SNAPSHOT`.
pub(crate) fn delete(call: &Call, pool: &str, kind: &str, name: &str, short: &str) -> Result<Reply, Failure> {
    let kind = scope::custom(kind)?;
    let core = Arc::clone(&call.core);
    let key = core.store.read(|database| {
        let (key, volume) = scope::find(call, database, pool, kind, name)?;
        find(volume, short)?;
        Ok::<_, Failure>(key)
    })?;
    let url = names::snapshot(&core, &key, short);
    let plan = call.plan("Deleting storage volume snapshot").at(&key.member).about(
        &core,
        &[("storage_volume_snapshots", &url)],
        ("storage_volume_snapshots", &format!("/1.0/storage_volume_snapshots/{name}")),
        &url,
    );
    let (requestor, short) = (call.requestor(), short.to_owned());
    let operation = core.operations.start(plan, |_| {
        let core = Arc::clone(&core);
        async move {
            let _turn = core.turns.write(&key).await;
            remove(&core, &key, &short).await?;
            let source = names::snapshot_source(&core, &key, &short, false);
            core.happened(&key.project, "storage-volume-snapshot-deleted", source, None, requestor);
            Ok(())
        }
    });
    call.accepted(&operation)
}

/// Takes a snapshot away.
pub(crate) async fn remove(core: &Arc<Core>, key: &VolumeKey, short: &str) -> Result<(), Failure> {
    core.store.change(|database| {
        let volume = database.volumes.get_mut(key).ok_or_else(scope::no_volume)?;
        find(volume, short).map_err(|_| scope::gone(key, &format!("{}/{short}", key.name)))?;
        volume.snapshots.retain(|one| one.name != short);
        Ok::<(), Failure>(())
    })?;
    let folder = core.content.snapshot(key, short);
    blocking(core, move || crate::content::remove(&folder).map_err(Failure::from)).await
}

/// Puts a snapshot's content in the place of its volume's.
pub(crate) async fn restore(core: &Arc<Core>, key: &VolumeKey, short: &str) -> Result<(), Failure> {
    if short.contains('/') {
        return Err(Failure::internal("Invalid snapshot name"));
    }
    core.store.read(|database| {
        let volume = database.volumes.get(key).ok_or_else(scope::no_volume)?;
        find(volume, short).map_err(|_| Failure::internal("Snapshot not found")).map(drop)
    })?;
    let (from, to) = (core.content.snapshot(key, short), core.folder(key));
    replace(core, from, to).await
}
