//! Changing instances, and their end.

use std::sync::Arc;

use crate::{
    api::instances::{check_devices, expanded, find, no_instance, plan, recipe, root_pool},
    call::Call,
    config::{cleaned, merged},
    decode::Fields,
    envelope::Reply,
    etag,
    failure::Failure,
    route::path_escaped,
    state::{Instance, VolumeKind},
    volume_view,
};

/// `PUT` and `PATCH /1.0/instances/INSTANCE`: an operation the one, done at once the other.
pub(crate) async fn update(call: Call, name: &str) -> Result<Reply, Failure> {
    let core = Arc::clone(&call.core);
    let old = core.store.read(|database| {
        let instance = find(&call, database, name)?;
        etag::check(&call.headers, &recipe(&instance))?;
        Ok::<_, Failure>(instance)
    })?;
    let fields = call.fields("InstancePut").await?;
    let patch = call.method == http::Method::PATCH;
    let new = changed(old, &fields, patch)?;
    let plan = plan(&call, "Updating instance", name);
    let (project, name) = (call.project().to_owned(), name.to_owned());
    let requestor = call.requestor();
    call.change(!patch || core.has("storage_and_profile_operations"), plan, async move {
        core.store.change(|database| {
            let devices = expanded(database, &project, &new);
            if root_pool(&devices).is_none() {
                let failure = Failure::internal("No root device could be found");
                return Err(failure.within("Invalid devices: Failed detecting root disk device"));
            }
            check_devices(database, &project, &devices)?;
            let known = database.instances.get_mut(&(project.clone(), name.clone()));
            *known.ok_or_else(|| no_instance(&core, &project, &name))? = new;
            Ok(())
        })?;
        let url = volume_view::url("instances", &project, &name);
        core.happened(&project, "instance-updated", url, None, requestor);
        Ok(Reply::done())
    })
    .await
}

fn changed(old: Instance, fields: &Fields, patch: bool) -> Result<Instance, Failure> {
    let (config, devices) = (fields.config("config")?, fields.configs("devices")?);
    let mut new = old.clone();
    if patch {
        new.config = merged(&old.config, &config.unwrap_or_default());
        new.devices.extend(devices.unwrap_or_default());
        if fields.has("description") {
            new.description = fields.text("description")?;
        }
        new.profiles = fields.texts("profiles")?.unwrap_or(old.profiles);
        return Ok(new);
    }
    new.config = cleaned(&config.unwrap_or_default());
    if old.config.get("volatile.uuid") != new.config.get("volatile.uuid") {
        return Err(Failure::internal("Volatile idmap keys can't be deleted by the user"));
    }
    new.devices = devices.unwrap_or_default();
    new.description = fields.text("description")?;
    new.profiles = fields.texts("profiles")?.unwrap_or_default();
    Ok(new)
}

/// `DELETE /1.0/instances/INSTANCE`.
pub(crate) fn delete(call: &Call, name: &str) -> Result<Reply, Failure> {
    let core = Arc::clone(&call.core);
    core.store.read(|database| find(call, database, name).map(drop))?;
    let (plan, requestor) = (plan(call, "Deleting instance", name), call.requestor());
    let (project, name) = (call.project().to_owned(), path_escaped(name));
    let operation = core.operations.start(plan, |_| {
        let core = Arc::clone(&core);
        async move {
            let key = core.store.change(|database| {
                let removed = database.instances.remove(&(project.clone(), name.clone()));
                removed.ok_or_else(|| no_instance(&core, &project, &name))?;
                let mut keys = database.volumes.keys();
                let key = keys
                    .find(|key| key.kind != VolumeKind::Custom && key.project == project && key.name == name);
                Ok::<_, Failure>(key.cloned())
            })?;
            if let Some(key) = key {
                super::volume_change::forget(&core, &key).await?;
            }
            let url = volume_view::url("instances", &project, &name);
            core.happened(&project, "instance-deleted", url, None, requestor);
            Ok(())
        }
    });
    call.accepted(&operation)
}
