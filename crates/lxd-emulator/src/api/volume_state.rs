//! How much of a volume is used.

use serde::Serialize;

use crate::{
    call::Call,
    core::Core,
    envelope::Reply,
    failure::Failure,
    scope, size,
    state::{ContentType, Database, VolumeKey, VolumeKind},
};

#[derive(Serialize)]
struct View {
    usage: Option<Usage>,
}

#[derive(Serialize)]
struct Usage {
    #[serde(skip_serializing_if = "Option::is_none")]
    used: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    total: Option<u64>,
}

/// `GET .../volumes/TYPE/VOLUME/state`.
pub(crate) fn get(call: &Call, pool: &str, kind: &str, name: &str) -> Result<Reply, Failure> {
    let kind = match scope::kind(kind)? {
        VolumeKind::Image => return Err(Failure::bad_request("Invalid storage volume type \"image\"")),
        kind => kind,
    };
    let core = &call.core;
    let usage = core.store.read(|database| {
        let found = scope::find_here(call, database, pool, kind, name);
        let (key, volume) = found.map_err(|failure| missing(call, database, pool, kind, name, failure))?;
        let driver = &scope::pool(database, pool)?.driver;
        let size = volume.config.get("size").and_then(|size| size::parse(size).ok()).unwrap_or(0);
        usage(core, driver, &key, volume.content_type, size)
    })?;
    Reply::of(&View { usage })
}

/// What is said of something that is not there depends on what it would be.
fn missing(
    call: &Call,
    database: &Database,
    pool: &str,
    kind: VolumeKind,
    name: &str,
    failure: Failure,
) -> Failure {
    if failure.text != scope::no_volume().text {
        return failure;
    }
    if kind != VolumeKind::Custom {
        return super::instances::no_instance(&call.core, call.project(), name);
    }
    let project = scope::volume_project(database, call.project(), kind).unwrap_or_default();
    let key =
        VolumeKey { pool: pool.to_owned(), project, kind, name: name.to_owned(), member: String::new() };
    scope::gone(&key, name)
}

/// Usage, where the driver can tell.
fn usage(
    core: &Core,
    driver: &str,
    key: &VolumeKey,
    content_type: ContentType,
    size: u64,
) -> Result<Option<Usage>, Failure> {
    let disk = content_type != ContentType::Filesystem;
    if driver == "dir" {
        // There are no quotas on most file systems.
        return if core.behaviour.no_usage_is_error {
            Err(Failure::internal("Not supported"))
        } else {
            Ok(None)
        };
    }
    // An empty subvolume takes a block.
    let used = core.content.usage(&core.content.volume(key, content_type)) + if disk { 0 } else { 16 << 10 };
    let total = (core.has("storage_volume_state_total") && size > 0).then_some(size);
    let always = core.has("storage_volatile_uuid");
    Ok(Some(Usage { used: (used > 0 || always).then_some(used), total: total.or(always.then_some(0)) }))
}
