//! `/1.0/storage-pools`.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::{
    call::Call,
    config::{Config, cleaned, merged},
    core::{ALONE, Core, blocking},
    decode::Fields,
    envelope::Reply,
    etag,
    failure::Failure,
    keys, names,
    operations::Plan,
    route::path_escaped,
    scope,
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
    core.store.read(|database| {
        if call.query.recursion() == 0 {
            let urls: Vec<String> =
                database.pools.keys().map(|name| format!("/1.0/storage-pools/{name}")).collect();
            return Reply::of(&urls);
        }
        let views: Vec<View> =
            database.pools.iter().map(|(name, pool)| View::of(core, database, name, pool, None)).collect();
        Reply::of(&views)
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

/// `POST /1.0/storage-pools`.
pub(crate) async fn create(call: Call) -> Result<Reply, Failure> {
    let fields = call.fields("StoragePoolsPost").await?;
    let (name, driver) = (fields.text("name")?, fields.text("driver")?);
    let (description, config) = (fields.text("description")?, fields.config("config")?.unwrap_or_default());
    if name.is_empty() {
        return Err(Failure::bad_request("No name provided"));
    }
    if name.contains('/') {
        return Err(Failure::bad_request("Storage pool names may not contain slashes"));
    }
    if driver.is_empty() {
        return Err(Failure::bad_request("No driver provided"));
    }
    let plan = plan(&call, "Creating storage pool");
    let asynchronous = call.core.has("storage_and_network_operations");
    let (core, requestor) = (std::sync::Arc::clone(&call.core), call.requestor());
    call.change(asynchronous, plan, async move {
        let location = format!("/1.0/storage-pools/{}", path_escaped(&name));
        make(&core, &name, driver, description, config).await?;
        core.happened(DEFAULT, "storage-pool-created", location.clone(), None, requestor);
        Ok(Reply::created(location))
    })
    .await
}

/// Makes a pool on a server alone.
async fn make(
    core: &std::sync::Arc<Core>,
    name: &str,
    driver: String,
    description: String,
    config: Config,
) -> Result<(), Failure> {
    if core.store.read(|database| database.pools.contains_key(name)) {
        return Err(exists());
    }
    if !core.drivers.contains(&driver) {
        return Err(Failure::internal("Unknown driver"));
    }
    if name.chars().any(char::is_whitespace) {
        return Err(Failure::internal("Storage name cannot contain white space"));
    }
    keys::check_pool(core, &driver, &config)?;
    let folder = core.content.pool(name, ALONE);
    let mut local = local_part(&driver, &config);
    match local.get("source") {
        Some(source) if driver == "dir" && !std::path::Path::new(source).exists() => {
            return Err(Failure::internal(format!("Source path '{source}' doesn't exist")));
        }
        Some(_) => {}
        None => {
            local.insert("source".to_owned(), default_source(core, name, &driver, ALONE));
        }
    }
    let pool = Pool {
        config: global_part(&driver, &config),
        driver,
        description,
        local: BTreeMap::from([(ALONE.to_owned(), cleaned(&local))]),
        status: PoolStatus::Created,
    };
    core.store.change(|database| {
        if database.pools.contains_key(name) {
            return Err(exists());
        }
        database.pools.insert(name.to_owned(), pool);
        Ok(())
    })?;
    let made = blocking(move || std::fs::create_dir_all(folder).map_err(Failure::from)).await;
    if made.is_err() {
        core.store.change(|database| -> Result<(), Failure> {
            database.pools.remove(name);
            Ok(())
        })?;
    }
    made
}

/// Where a pool is that names no source: its folder, or a loop file.
pub(crate) fn default_source(core: &Core, name: &str, driver: &str, member: &str) -> String {
    if keys::has_size(driver) {
        core.content.member(member).join("disks").join(format!("{name}.img")).display().to_string()
    } else {
        core.content.pool(name, member).display().to_string()
    }
}

/// The keys that each member of a cluster has for itself.
const LOCAL: [&str; 8] = [
    "size",
    "source",
    "source.recover",
    "source.wipe",
    "volatile.initial_source",
    "zfs.pool_name",
    "lvm.thinpool_name",
    "lvm.vg_name",
];

/// What of a config each member has of its own.
pub(crate) fn local_part(_driver: &str, config: &Config) -> Config {
    config
        .iter()
        .filter(|(key, _)| LOCAL.contains(&key.as_str()))
        .map(|(key, value)| (key.clone(), value.clone()))
        .collect()
}

/// The rest of it.
pub(crate) fn global_part(_driver: &str, config: &Config) -> Config {
    config
        .iter()
        .filter(|(key, value)| !LOCAL.contains(&key.as_str()) && !value.is_empty())
        .map(|(key, value)| (key.clone(), value.clone()))
        .collect()
}

fn exists() -> Failure {
    Failure::conflict("The storage pool already exists: The record already exists")
}

fn plan(call: &Call, description: &'static str) -> Plan {
    call.plan(description).of_project(DEFAULT)
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
    let target = core.store.read(|database| call.target(database))?;
    let known = core.store.read(|database| {
        scope::pool(database, name)
            .map(|pool| (pool.driver.clone(), shown_config(database, pool, target.as_deref())))
    });
    let (driver, old) = known?;
    let new = if patch { merged(&old, &sent) } else { cleaned(&sent) };
    keys::check_pool(&core, &driver, &new).map_err(|failure| Failure::bad_request(failure.text))?;
    let asynchronous = core.has("storage_and_network_operations");
    let (plan, requestor) = (plan(&call, "Updating storage pool"), call.requestor());
    let name = name.to_owned();
    call.change(asynchronous, plan, async move {
        if new.get("source") != old.get("source") {
            return Err(Failure::internal("Pool source cannot be changed when not in pending state"));
        }
        core.store.change(|database| {
            let alone = database.members.is_empty();
            let pool = database.pools.get_mut(&name);
            let pool = pool.ok_or_else(|| Failure::not_found("Storage pool not found"))?;
            pool.description = description;
            pool.config = global_part(&driver, &new);
            let member = if alone { Some(ALONE.to_owned()) } else { target };
            if let Some(member) = member {
                pool.local.insert(member, local_part(&driver, &new));
            }
            Ok::<(), Failure>(())
        })?;
        let source = format!("/1.0/storage-pools/{}", path_escaped(&name));
        core.happened(DEFAULT, "storage-pool-updated", source, None, requestor);
        Ok(Reply::done())
    })
    .await
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
    let (plan, requestor) = (plan(&call, "Deleting storage pool"), call.requestor());
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
        blocking(move || {
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
        Ok::<_, Failure>(size.and_then(|size| keys::size(size).ok()))
    })?;
    let used = core.content.usage(&core.content.pool(name, member)).max(FORMATTED);
    let inodes =
        if size.is_some() { Amounts { used: 0, total: 0 } } else { Amounts { used: 1, total: 1 << 24 } };
    Ok(Resources { space: Amounts { used, total: size.unwrap_or(TOTAL) }, inodes })
}
