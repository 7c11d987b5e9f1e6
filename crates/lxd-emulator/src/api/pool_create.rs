//! Making pools: at once on a server alone, member by member in a cluster.

use std::{collections::BTreeMap, sync::Arc};

use crate::{
    call::Call,
    config::{Config, cleaned},
    core::{ALONE, Core, blocking},
    envelope::Reply,
    failure::Failure,
    keys,
    route::path_escaped,
    size,
    state::{DEFAULT, Database, Pool, PoolStatus},
};

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

/// The smallest disk that btrfs makes a file system on, and the size of one where none is given.
const BTRFS_MIN: u64 = 114_294_784;
const LOOP_DEFAULT: &str = "30GiB";

struct Wanted {
    name: String,
    driver: String,
    description: String,
    config: Config,
}

/// `POST /1.0/storage-pools`.
pub(crate) async fn create(call: Call) -> Result<Reply, Failure> {
    let fields = call.fields("StoragePoolsPost").await?;
    let wanted = Wanted {
        name: fields.text("name")?,
        driver: fields.text("driver")?,
        description: fields.text("description")?,
        config: fields.config("config")?.unwrap_or_default(),
    };
    if wanted.name.is_empty() {
        return Err(Failure::bad_request("No name provided"));
    }
    if wanted.name.contains('/') {
        return Err(Failure::bad_request("Storage pool names may not contain slashes"));
    }
    if wanted.driver.is_empty() {
        return Err(Failure::bad_request("No driver provided"));
    }
    let core = Arc::clone(&call.core);
    let (target, clustered) = core
        .store
        .read(|database| call.target(database).map(|target| (target, !database.members.is_empty())))?;
    let url = format!("/1.0/storage-pools/{}", path_escaped(&wanted.name));
    let plan = super::pools::plan(&call, "Creating storage pool", &wanted.name);
    let asynchronous = core.has("storage_and_network_operations");
    let requestor = call.requestor();
    call.change(asynchronous, plan, async move {
        match target {
            Some(member) => define(&core, &wanted, &member)?,
            None => {
                if clustered {
                    complete(&core, &wanted).await?;
                } else {
                    alone(&core, &wanted).await?;
                }
                core.happened(DEFAULT, "storage-pool-created", url.clone(), None, requestor);
            }
        }
        Ok(Reply::created(url))
    })
    .await
}

fn exists() -> Failure {
    Failure::conflict("The storage pool already exists: The record already exists")
}

/// Makes a pool on a server alone.
async fn alone(core: &Arc<Core>, wanted: &Wanted) -> Result<(), Failure> {
    if core.store.read(|database| database.pools.contains_key(&wanted.name)) {
        return Err(exists());
    }
    check(core, wanted, &wanted.config)?;
    let local = prepared(core, wanted, &local_part(&wanted.config), ALONE)?;
    let pool = Pool {
        config: global_part(&wanted.config),
        driver: wanted.driver.clone(),
        description: wanted.description.clone(),
        local: BTreeMap::from([(ALONE.to_owned(), local)]),
        status: PoolStatus::Created,
    };
    core.store.change(|database| {
        if database.pools.contains_key(&wanted.name) {
            return Err(exists());
        }
        database.pools.insert(wanted.name.clone(), pool);
        Ok(())
    })?;
    let made = make_folders(core, &wanted.name, vec![ALONE.to_owned()]).await;
    if made.is_err() {
        core.store.change(|database| {
            database.pools.remove(&wanted.name);
            Ok::<(), Failure>(())
        })?;
    }
    made
}

async fn make_folders(core: &Arc<Core>, name: &str, members: Vec<String>) -> Result<(), Failure> {
    let folders: Vec<_> = members.iter().map(|member| core.content.pool(name, member)).collect();
    blocking(core, move || folders.iter().try_for_each(std::fs::create_dir_all).map_err(Failure::from)).await
}

/// What every driver looks at before it makes a pool.
fn check(core: &Core, wanted: &Wanted, config: &Config) -> Result<(), Failure> {
    check_driver(core, wanted)?;
    if wanted.name.chars().any(char::is_whitespace) {
        return Err(Failure::internal("Storage name cannot contain white space"));
    }
    keys::check_pool(core, &wanted.driver, config)?;
    let pools = core.content.member(ALONE).join("storage-pools");
    let taken = match wanted.name.as_str() {
        "." => Some(pools.as_path()),
        ".." => pools.parent(),
        _ => None,
    };
    match taken {
        Some(folder) => {
            let text = format!("Storage pool directory \"{}\" already exists", folder.display());
            Err(Failure::internal(text))
        }
        None => Ok(()),
    }
}

fn check_driver(core: &Core, wanted: &Wanted) -> Result<(), Failure> {
    if core.drivers.contains(&wanted.driver) { Ok(()) } else { Err(Failure::internal("Unknown driver")) }
}

/// What a member has of a pool once it is made: with a source, and with a size where that is a file.
fn prepared(core: &Core, wanted: &Wanted, local: &Config, member: &str) -> Result<Config, Failure> {
    let mut local = cleaned(local);
    let driver = wanted.driver.as_str();
    let own = default_source(core, &wanted.name, driver, member);
    match local.get("source").filter(|source| **source != own) {
        Some(source) if matches!(driver, "dir" | "btrfs") && !std::path::Path::new(source).exists() => {
            let text = if driver == "dir" {
                format!("Source path '{source}' doesn't exist")
            } else {
                format!("Failed to resolve source: lstat {source}: no such file or directory")
            };
            return Err(Failure::internal(text));
        }
        Some(_) => {}
        None => {
            let source = own;
            if keys::has_size(driver) {
                let size = local.entry("size".to_owned()).or_insert_with(|| LOOP_DEFAULT.to_owned());
                check_disk(&wanted.name, driver, size, &source)?;
            }
            local.insert("source".to_owned(), source);
        }
    }
    Ok(local)
}

/// Refuses a disk that is too small, in the words of the tool that would format it.
fn check_disk(name: &str, driver: &str, size: &str, disk: &str) -> Result<(), Failure> {
    let bytes = size::parse(size).map_err(Failure::internal)?;
    if driver != "btrfs" || bytes >= BTRFS_MIN {
        return Ok(());
    }
    Err(Failure::internal(format!(
        "Failed to format sparse file: Failed to run: mkfs.btrfs -L {name} {disk}: exit status 1 \
         (ERROR: '{disk}' is too small to make a usable filesystem\n\
         ERROR: minimum size for each btrfs device is {BTRFS_MIN})"
    )))
}

/// Where a pool is that names no source: its folder, or a loop file.
fn default_source(core: &Core, name: &str, driver: &str, member: &str) -> String {
    if keys::has_size(driver) {
        core.content.member(member).join("disks").join(format!("{name}.img")).display().to_string()
    } else {
        core.content.pool(name, member).display().to_string()
    }
}

/// What of a config each member has of its own.
pub(crate) fn local_part(config: &Config) -> Config {
    part(config, true)
}

/// The rest of it.
pub(crate) fn global_part(config: &Config) -> Config {
    part(config, false)
}

fn part(config: &Config, local: bool) -> Config {
    let wanted =
        config.iter().filter(|(key, value)| LOCAL.contains(&key.as_str()) == local && !value.is_empty());
    wanted.map(|(key, value)| (key.clone(), value.clone())).collect()
}

/// Refuses keys that have to be sent with a target.
pub(crate) fn refuse_local(config: &Config) -> Result<(), Failure> {
    match config.keys().find(|key| LOCAL.contains(&key.as_str())) {
        Some(key) => Err(Failure::internal(format!("Config key {key:?} is cluster member specific"))),
        None => Ok(()),
    }
}

/// Notes what a member is to have of a pool that is still to be made.
fn define(core: &Core, wanted: &Wanted, member: &str) -> Result<(), Failure> {
    if let Some(key) = wanted.config.keys().find(|key| !LOCAL.contains(&key.as_str())) {
        let text = format!("Config key {key:?} may not be used as member-specific key");
        return Err(Failure::internal(text));
    }
    check_driver(core, wanted).map_err(|failure| Failure::bad_request(failure.text))?;
    core.store.change(|database| {
        let known = database.pools.get(&wanted.name);
        if known.is_some_and(|pool| pool.status != PoolStatus::Pending) {
            return Err(Failure::internal("Storage pool is not in pending state"));
        }
        let pool = database.pools.entry(wanted.name.clone()).or_insert_with(|| Pool {
            driver: wanted.driver.clone(),
            description: wanted.description.clone(),
            config: Config::new(),
            local: BTreeMap::new(),
            status: PoolStatus::Pending,
        });
        if pool.driver != wanted.driver {
            return Err(Failure::internal("Storage pool already exists with a different driver"));
        }
        if pool.local.contains_key(member) {
            let text = format!("The storage pool already defined on member {member:?}");
            return Err(Failure::bad_request(text));
        }
        pool.local.insert(member.to_owned(), cleaned(&wanted.config));
        Ok(())
    })
}

/// Makes a pool on all members, which all have to know of it.
async fn complete(core: &Arc<Core>, wanted: &Wanted) -> Result<(), Failure> {
    let pool = core.store.change(|database| {
        pending(core, database, wanted)?;
        let pool = database.pools.get_mut(&wanted.name);
        let pool = pool.ok_or_else(|| Failure::not_found("Storage pool not found"))?;
        // A failure leaves what was asked for, to be tried again.
        if pool.status == PoolStatus::Pending {
            pool.config = global_part(&wanted.config);
            wanted.description.clone_into(&mut pool.description);
        }
        pool.status = PoolStatus::Errored;
        Ok::<_, Failure>(pool.clone())
    })?;
    let mut made = BTreeMap::new();
    for (member, config) in &pool.local {
        let mut whole = config.clone();
        whole.extend(pool.config.clone());
        check(core, wanted, &whole)?;
        made.insert(member.clone(), prepared(core, wanted, config, member)?);
    }
    make_folders(core, &wanted.name, made.keys().cloned().collect()).await?;
    core.store.change(|database| {
        let pool = database.pools.get_mut(&wanted.name);
        let pool = pool.ok_or_else(|| Failure::not_found("Storage pool not found"))?;
        (pool.local, pool.status) = (made, PoolStatus::Created);
        Ok(())
    })
}

/// Refuses to make a pool of which not all members were told, or that is made already.
fn pending(core: &Core, database: &Database, wanted: &Wanted) -> Result<(), Failure> {
    let words = if core.behaviour.error_codes_in_operations {
        ("cluster members", "Pool not pending on any cluster member (use --target <member> first)")
    } else {
        ("nodes", "Pool not pending on any node (use --target <node> first)")
    };
    refuse_local(&wanted.config)?;
    let pool = database.pools.get(&wanted.name).ok_or_else(|| Failure::internal(words.1))?;
    let missing: Vec<&str> = database
        .members
        .iter()
        .filter(|member| !pool.local.contains_key(*member))
        .map(String::as_str)
        .collect();
    if !missing.is_empty() {
        let text = format!("Pool not defined on {}: {}", words.0, missing.join(", "));
        return Err(Failure::internal(text));
    }
    if pool.driver != wanted.driver {
        return Err(Failure::internal(format!(
            "Requested storage pool driver {:?} doesn't match driver in existing database record {:?}",
            wanted.driver, pool.driver
        )));
    }
    if pool.status == PoolStatus::Created {
        return Err(Failure::internal("The storage pool is already created"));
    }
    if pool.status == PoolStatus::Errored && !wanted.config.is_empty() {
        return Err(Failure::internal(
            "Storage pool already partially created. Please do not specify any global config when re-running create",
        ));
    }
    Ok(())
}
