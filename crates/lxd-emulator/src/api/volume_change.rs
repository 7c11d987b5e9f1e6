//! Changing volumes: PUT, PATCH, and their end.

use std::sync::Arc;

use http::StatusCode;

use crate::{
    api::snapshot_change,
    call::Call,
    config::{Config, cleaned, merged},
    content::internal_name,
    core::{Core, blocking},
    envelope::Reply,
    etag,
    failure::Failure,
    keys, names,
    projects::check_disk_limit,
    scope, size,
    state::{ContentType, VolumeKey, VolumeKind},
    volume_view::{recipe, used_by},
};

/// `PUT /1.0/storage-pools/POOL/volumes/TYPE/VOLUME`.
pub(crate) async fn put(call: Call, pool: &str, kind: &str, name: &str) -> Result<Reply, Failure> {
    let kind = scope::kind(kind)?;
    if name.contains('/') {
        return Err(Failure::internal("Volume name cannot be a snapshot"));
    }
    let core = Arc::clone(&call.core);
    let key = locate(&call, pool, kind, name)?;
    let fields = call.fields("StorageVolumePut").await?;
    let (config, description) = (fields.config("config")?, fields.text("description")?);
    let restore = fields.text("restore")?;
    let asynchronous = core.has("storage_and_profile_operations");
    let plan = call.plan("Updating storage volume").at(&key.member).about(
        &core,
        &[],
        ("", ""),
        &names::volume(&core, &key),
    );
    let requestor = call.requestor();
    call.change(asynchronous, plan, async move {
        if !restore.is_empty() && kind == VolumeKind::Custom {
            let _turn = core.turns.write(&key).await;
            snapshot_change::restore(&core, &key, &restore).await?;
            let source = names::event_source(&core, &key);
            let context = serde_json::json!({"snapshot": restore});
            core.happened(&key.project, "storage-volume-restored", source, Some(context), requestor.clone());
            // Only what comes with a config is an edit as well.
            if config.is_none() {
                return Ok(Reply::done());
            }
        }
        let config = cleaned(&config.unwrap_or_default());
        write(&core, &key, description, config).await?;
        core.happened(
            &key.project,
            "storage-volume-updated",
            names::event_source(&core, &key),
            None,
            requestor,
        );
        Ok(Reply::done())
    })
    .await
}

/// `PATCH` on the same: the config is merged, the description is not.
pub(crate) async fn patch(call: Call, pool: &str, kind: &str, name: &str) -> Result<Reply, Failure> {
    if name.contains('/') {
        return Err(Failure::bad_request("Invalid volume name"));
    }
    let kind = scope::custom(kind)?;
    let core = Arc::clone(&call.core);
    let key = locate(&call, pool, kind, name)?;
    let fields = call.fields("StorageVolumePut").await?;
    let (sent, description) = (fields.config("config")?.unwrap_or_default(), fields.text("description")?);
    let asynchronous = core.has("storage_and_profile_operations");
    let plan = call.plan("Updating storage volume").at(&key.member).about(
        &core,
        &[],
        ("", ""),
        &names::volume(&core, &key),
    );
    let requestor = call.requestor();
    call.change(asynchronous, plan, async move {
        let old = core.store.read(|database| {
            let volume = database.volumes.get(&key).ok_or_else(scope::no_volume)?;
            Ok::<Config, Failure>(volume.config.clone())
        })?;
        write(&core, &key, description, merged(&old, &sent)).await?;
        core.happened(
            &key.project,
            "storage-volume-updated",
            names::event_source(&core, &key),
            None,
            requestor,
        );
        Ok(Reply::done())
    })
    .await
}

/// Finds the volume and compares its state with the one that the request is about.
fn locate(call: &Call, pool: &str, kind: VolumeKind, name: &str) -> Result<VolumeKey, Failure> {
    call.core.store.read(|database| {
        let (key, volume) = scope::find(call, database, pool, kind, name)?;
        etag::check(&call.headers, &recipe(&key, volume))?;
        Ok(key)
    })
}

/// Gives a volume another description and config, and its disk another size.
async fn write(
    core: &Arc<Core>,
    key: &VolumeKey,
    description: String,
    config: Config,
) -> Result<(), Failure> {
    let (driver, content_type, old) = core.store.read(|database| {
        let pool = scope::pool(database, &key.pool)?;
        let volume = database.volumes.get(key).ok_or_else(scope::no_volume)?;
        Ok::<_, Failure>((pool.driver.clone(), volume.content_type, volume.config.clone()))
    })?;
    let mut config = config;
    if let Some(uuid) = old.get("volatile.uuid").filter(|_| core.has("storage_volatile_uuid")) {
        match config.get("volatile.uuid") {
            Some(sent) if sent != uuid => {
                return Err(Failure::bad_request("Cannot change volatile.uuid"));
            }
            _ => config.insert("volatile.uuid".to_owned(), uuid.clone()),
        };
    }
    keys::check_volume(core, &driver, content_type, &config, &internal_name(key))?;
    if content_type == ContentType::Iso && config != old {
        return Err(Failure::internal("Custom ISO volume config cannot be changed"));
    }
    core.store.read(|database| check_disk_limit(database, key, &config, "update"))?;
    if content_type == ContentType::Block && config.get("size") != old.get("size") {
        let bytes = |config: &Config| config.get("size").and_then(|size| size::parse(size).ok()).unwrap_or(0);
        let (before, after) = (bytes(&old), bytes(&config));
        if after != 0 && after < before {
            return Err(Failure::internal("Block volumes cannot be shrunk: Cannot be shrunk"));
        }
        if after > before {
            let (growing, wanted) = (Arc::clone(core), key.clone());
            blocking(core, move || growing.content.grow(&wanted, after).map_err(Failure::from)).await?;
        }
    }
    core.store.change(|database| {
        let volume = database.volumes.get_mut(key).ok_or_else(scope::no_volume)?;
        volume.description = description;
        volume.config = config;
        Ok(())
    })
}

/// Takes a volume with all that is its own away.
pub(crate) async fn forget(core: &Arc<Core>, key: &VolumeKey) -> Result<(), Failure> {
    let volume = core.store.change(|database| {
        database.unfinished.volumes.remove(key);
        database.volumes.remove(key).ok_or_else(scope::no_volume)
    })?;
    let (removing, gone) = (Arc::clone(core), key.clone());
    blocking(core, move || removing.content.remove(&gone, volume.content_type).map_err(Failure::from)).await
}

/// `DELETE /1.0/storage-pools/POOL/volumes/TYPE/VOLUME`.
pub(crate) async fn delete(call: Call, pool: &str, kind: &str, name: &str) -> Result<Reply, Failure> {
    if name.contains('/') {
        return Err(Failure::bad_request(format!("Invalid storage volume {name:?}")));
    }
    let kind = scope::kind(kind)?;
    let core = Arc::clone(&call.core);
    let key =
        core.store.read(|database| scope::find(&call, database, pool, kind, name).map(|(key, _)| key))?;
    if !matches!(kind, VolumeKind::Custom | VolumeKind::Image) {
        let text =
            format!("Storage volumes of type {:?} cannot be deleted with the storage API", kind.name());
        return Err(Failure::new(StatusCode::BAD_REQUEST.as_u16(), text));
    }
    let used = core.store.read(|database| kind == VolumeKind::Custom && !used_by(database, &key).is_empty());
    if used {
        return Err(Failure::bad_request("The storage volume is still in use"));
    }
    let asynchronous = core.has("storage_and_profile_operations");
    let plan = call.plan("Deleting storage volume").at(&key.member).about(
        &core,
        &[],
        ("", ""),
        &names::volume(&core, &key),
    );
    let requestor = call.requestor();
    call.change(asynchronous, plan, async move {
        let _turn = core.turns.write(&key).await;
        forget(&core, &key).await?;
        core.happened(
            &key.project,
            "storage-volume-deleted",
            names::event_source(&core, &key),
            None,
            requestor,
        );
        Ok(Reply::done())
    })
    .await
}
