//! `/1.0/storage-pools`.

use serde::Serialize;

use crate::{
    api::pool_create::{global_part, local_part, refuse_local},
    call::Call,
    config::{Config, cleaned, merged},
    core::{ALONE, Core, blocking},
    decode::Fields,
    envelope::Reply,
    etag,
    failure::Failure,
    filter::Filter,
    keys, names,
    plan::Plan,
    route::path_escaped,
    scope, size,
    state::{DEFAULT, Database, Pool, PoolStatus},
    volume_view,
};

#[derive(Serialize)]
struct View {
    config: Config,
    description: String,
    name: String,
    driver: String,
    used_by: Option<Vec<String>>,
    status: &'static str,
    locations: Vec<String>,
}

impl View {
    fn of(core: &Core, database: &Database, name: &str, pool: &Pool, target: Option<&str>) -> Self {
        let used_by = used_by(core, database, name);
        let locations = pool.local.keys().cloned().collect();
        Self {
            config: shown_config(database, pool, target),
            description: pool.description.clone(),
            name: name.to_owned(),
            driver: pool.driver.clone(),
            used_by: Some(used_by).filter(|urls| !(urls.is_empty() && core.behaviour.empty_used_by_is_null)),
            status: pool.status.name(),
            locations,
        }
    }
}

/// A pool's config: in a cluster without what members have of their own, unless one is named.
pub(crate) fn shown_config(database: &Database, pool: &Pool, target: Option<&str>) -> Config {
    let member = if database.members.is_empty() { Some(ALONE) } else { target };
    let local = member.and_then(|member| pool.local.get(member));
    let mut config = pool.config.clone();
    config.extend(local.into_iter().flatten().map(|(key, value)| (key.clone(), value.clone())));
    config
}

/// Everything that is in a pool or on it.
fn used_by(core: &Core, database: &Database, name: &str) -> Vec<String> {
    let mut urls = Vec::new();
    for (key, volume) in database.volumes.iter().filter(|(key, _)| key.pool == name) {
        if key.kind == crate::state::VolumeKind::Custom {
            urls.push(names::volume_in(core, database, key));
            if core.behaviour.pools_list_snapshots {
                let snapshots = volume.snapshots.iter();
                urls.extend(snapshots.map(|one| names::snapshot_in(core, database, key, &one.name)));
            }
        } else {
            urls.extend(volume_view::used_by(database, key));
        }
    }
    let buckets = database.buckets.keys().filter(|key| key.pool == name);
    urls.extend(buckets.map(|key| crate::buckets::url(database, key)));
    let on_it = |devices: &crate::state::Devices| {
        devices.values().any(|device| {
            device.get("type").is_some_and(|kind| kind == "disk")
                && device.get("pool").is_some_and(|pool| pool == name)
                && device.get("path").is_some_and(|path| path == "/")
        })
    };
    let profiles = database.profiles.iter().filter(|(_, profile)| on_it(&profile.devices));
    urls.extend(profiles.map(|((project, profile), _)| volume_view::url("profiles", project, profile)));
    urls.sort();
    urls
}

fn recipe(core: &Core, name: &str, pool: &Pool, config: &Config) -> serde_json::Value {
    if core.behaviour.pool_etag_has_description {
        serde_json::json!([name, pool.driver, pool.description, config])
    } else {
        serde_json::json!([name, pool.driver, config])
    }
}

/// `GET /1.0/storage-pools`.
pub(crate) fn list(call: &Call) -> Result<Reply, Failure> {
    let core = &call.core;
    let filter = call.query.get("filter").filter(|_| core.has("api_filtering_extended"));
    let filter = Filter::parse(filter, true)?;
    core.store.read(|database| {
        let mut chosen = Vec::new();
        for (name, pool) in &database.pools {
            let view = View::of(core, database, name, pool, None);
            if filter.as_ref().map_or(Ok(true), |filter| filter.takes_view(&view))? {
                chosen.push((name, view));
            }
        }
        if chosen.is_empty() && filter.is_some() {
            return Reply::of(&());
        }
        if call.query.recursion() == 0 {
            let urls = chosen.iter().map(|(name, _)| format!("/1.0/storage-pools/{name}"));
            return Reply::of(&urls.collect::<Vec<_>>());
        }
        Reply::of(&chosen.into_iter().map(|(_, view)| view).collect::<Vec<_>>())
    })
}

/// `GET /1.0/storage-pools/POOL`.
pub(crate) fn get(call: &Call, name: &str) -> Result<Reply, Failure> {
    let core = &call.core;
    core.store.read(|database| {
        let target = call.target(database)?;
        let pool = scope::pool(database, name)?;
        if core.behaviour.pools_check_project && !database.projects.contains_key(call.project()) {
            return Err(Failure::not_found("Failed getting project: Project not found"));
        }
        let view = View::of(core, database, name, pool, target.as_deref());
        if core.behaviour.pool_get_without_etag {
            return Reply::of(&view);
        }
        Reply::with_etag(&view, &recipe(core, name, pool, &view.config))
    })
}

/// An operation about a pool, which belongs to no project.
pub(crate) fn plan(call: &Call, description: &'static str, name: &str) -> Plan {
    let url = format!("/1.0/storage-pools/{}", path_escaped(name));
    call.plan(description).of_project(DEFAULT).about(&call.core, &[], ("", ""), &url)
}

/// `PUT` and `PATCH /1.0/storage-pools/POOL`.
pub(crate) async fn update(call: Call, name: &str) -> Result<Reply, Failure> {
    let core = std::sync::Arc::clone(&call.core);
    core.store.read(|database| {
        let target = call.target(database)?;
        let pool = scope::pool(database, name)?;
        let config = shown_config(database, pool, target.as_deref());
        etag::check(&call.headers, &recipe(&core, name, pool, &config))
    })?;
    let fields: Fields = call.fields("StoragePoolPut").await?;
    let (description, sent) = (fields.text("description")?, fields.config("config")?.unwrap_or_default());
    let patch = call.method == http::Method::PATCH;
    let (target, clustered) = core
        .store
        .read(|database| call.target(database).map(|target| (target, !database.members.is_empty())))?;
    if clustered {
        core.store.read(|database| check_scope(database, name, &sent, target.is_some()))?;
    }
    let known = core.store.read(|database| {
        scope::pool(database, name)
            .map(|pool| (pool.driver.clone(), shown_config(database, pool, target.as_deref())))
    });
    let (driver, old) = known?;
    let new = if patch { merged(&old, &sent) } else { cleaned(&sent) };
    keys::check_pool(&core, &driver, &new).map_err(|failure| Failure::bad_request(failure.text))?;
    let asynchronous = core.has("storage_and_network_operations");
    let (plan, requestor) = (plan(&call, "Updating storage pool", name), call.requestor());
    let name = name.to_owned();
    call.change(asynchronous, plan, async move {
        let pending = core.store.read(|database| {
            database.pools.get(&name).is_some_and(|pool| pool.status == PoolStatus::Pending)
        });
        if new.get("source") != old.get("source") && !pending {
            return Err(Failure::internal("Pool source cannot be changed when not in pending state"));
        }
        let bytes = |config: &Config| config.get("size").and_then(|size| size::parse(size).ok()).unwrap_or(0);
        if core.has("storage_pool_loop_resize") && bytes(&new) < bytes(&old) {
            return Err(Failure::internal("Pool cannot be shrunk"));
        }
        core.store.change(|database| {
            let alone = database.members.is_empty();
            let pool = database.pools.get_mut(&name);
            let pool = pool.ok_or_else(|| Failure::not_found("Storage pool not found"))?;
            pool.description = description;
            pool.config = global_part(&new);
            let member = if alone { Some(ALONE.to_owned()) } else { target };
            if let Some(member) = member {
                pool.local.insert(member, local_part(&new));
            }
            Ok::<(), Failure>(())
        })?;
        let source = format!("/1.0/storage-pools/{}", path_escaped(&name));
        core.happened(DEFAULT, "storage-pool-updated", source, None, requestor);
        Ok(Reply::done())
    })
    .await
}

/// In a cluster, keys of all members are changed without a target, and the others only with one.
fn check_scope(database: &Database, name: &str, sent: &Config, targeted: bool) -> Result<(), Failure> {
    let pool = scope::pool(database, name)?;
    if !targeted {
        if pool.status != PoolStatus::Created {
            let text = "Cannot update storage pool global config when not in created state";
            return Err(Failure::bad_request(text));
        }
        return refuse_local(sent).map_err(|failure| Failure::bad_request(failure.text));
    }
    match global_part(sent).iter().find(|(key, value)| pool.config.get(*key) != Some(value)) {
        Some((key, _)) => {
            let text = format!("Config key {key:?} may not be used as cluster member specific key");
            Err(Failure::bad_request(text))
        }
        None => Ok(()),
    }
}

/// `DELETE /1.0/storage-pools/POOL`.
pub(crate) async fn delete(call: Call, name: &str) -> Result<Reply, Failure> {
    let core = std::sync::Arc::clone(&call.core);
    let check = |database: &Database| {
        scope::pool(database, name)?;
        if used_by(&core, database, name).is_empty() {
            return Ok(());
        }
        Err(Failure::bad_request("The storage pool is currently in use"))
    };
    core.store.read(check)?;
    let asynchronous = core.has("storage_and_network_operations");
    let (plan, requestor) = (plan(&call, "Deleting storage pool", name), call.requestor());
    let name = name.to_owned();
    call.change(asynchronous, plan, async move {
        let folders = core.store.change(|database| {
            let pool = scope::pool(database, &name)?;
            if !used_by(&core, database, &name).is_empty() {
                return Err(Failure::bad_request("The storage pool is currently in use"));
            }
            let folders: Vec<_> = pool.local.keys().map(|member| core.content.pool(&name, member)).collect();
            database.pools.remove(&name);
            Ok(folders)
        })?;
        blocking(&core, move || {
            folders.iter().try_for_each(|folder| crate::content::remove(folder)).map_err(Failure::from)
        })
        .await?;
        let source = format!("/1.0/storage-pools/{}", path_escaped(&name));
        core.happened(DEFAULT, "storage-pool-deleted", source, None, requestor);
        Ok(Reply::done())
    })
    .await
}

/// `GET /1.0/storage-pools/POOL/resources`.
pub(crate) fn resources(call: &Call, name: &str) -> Result<Reply, Failure> {
    let core = &call.core;
    let member = core.store.read(|database| {
        let target = call.target(database)?;
        scope::pool(database, name).map_err(|failure| Failure::internal(failure.text))?;
        Ok::<_, Failure>(target.unwrap_or_else(|| core.here(database)))
    })?;
    Reply::of(&space_of(core, name, &member)?)
}

/// What a pool without a size of its own has, and what its file system takes for itself.
const TOTAL: u64 = 256 << 30;
const FORMATTED: u64 = 16 << 10;

/// How full something is.
#[derive(Serialize)]
pub(crate) struct Resources {
    space: Amounts,
    inodes: Amounts,
}

#[derive(Serialize)]
struct Amounts {
    used: u64,
    total: u64,
}

/// What a member's part of a pool has and holds.
pub(crate) fn space_of(core: &Core, name: &str, member: &str) -> Result<Resources, Failure> {
    let size = core.store.read(|database| {
        let local = scope::pool(database, name)?.local.get(member);
        let size = local.and_then(|config| config.get("size"));
        Ok::<_, Failure>(size.and_then(|size| size::parse(size).ok()))
    })?;
    let used = core.content.usage(&core.content.pool(name, member)).max(FORMATTED);
    let inodes =
        if size.is_some() { Amounts { used: 0, total: 0 } } else { Amounts { used: 1, total: 1 << 24 } };
    Ok(Resources { space: Amounts { used, total: size.unwrap_or(TOTAL) }, inodes })
}
