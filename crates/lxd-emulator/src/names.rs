//! URLs of objects, as each server writes them.

use crate::{
    core::Core,
    route::{path_escaped, query_escaped},
    state::{DEFAULT, Database, VolumeKey},
};

/// A name in the URL of a volume.
fn volume_segment(core: &Core, name: &str) -> String {
    let once = path_escaped(name);
    if core.behaviour.urls_encoded_twice { path_escaped(&once) } else { once }
}

/// `?project=` and `?target=`, where they say something.
fn scope(database: &Database, project: &str, member: &str) -> String {
    scope_of(project, if database.members.is_empty() { "" } else { member })
}

pub(crate) fn scope_of(project: &str, member: &str) -> String {
    let mut parts = Vec::new();
    if project != DEFAULT && !project.is_empty() {
        parts.push(format!("project={}", query_escaped(project)));
    }
    if !member.is_empty() {
        parts.push(format!("target={}", query_escaped(member)));
    }
    if parts.is_empty() { String::new() } else { format!("?{}", parts.join("&")) }
}

/// A volume in `Location`.
pub(crate) fn volume(core: &Core, key: &VolumeKey) -> String {
    core.store.read(|database| volume_in(core, database, key))
}

/// The `Location` after a new name, which old servers give without the member.
pub(crate) fn renamed(core: &Core, key: &VolumeKey) -> String {
    if core.behaviour.urls_encoded_twice {
        let name = volume_segment(core, &key.name);
        let scope = scope_of(&key.project, "");
        format!("/1.0/storage-pools/{}/volumes/{}/{name}{scope}", path_escaped(&key.pool), key.kind.name())
    } else {
        volume(core, key)
    }
}

/// The same in lists and `used_by`.
pub(crate) fn volume_in(core: &Core, database: &Database, key: &VolumeKey) -> String {
    let (kind, name) = (key.kind.name(), volume_segment(core, &key.name));
    let scope = scope(database, &key.project, &key.member);
    format!("/1.0/storage-pools/{}/volumes/{kind}/{name}{scope}", path_escaped(&key.pool))
}

/// A snapshot in operations.
pub(crate) fn snapshot(core: &Core, key: &VolumeKey, snapshot: &str) -> String {
    core.store.read(|database| snapshot_in(core, database, key, snapshot))
}

/// A snapshot among volumes.
pub(crate) fn snapshot_in(core: &Core, database: &Database, key: &VolumeKey, snapshot: &str) -> String {
    let (kind, name) = (key.kind.name(), volume_segment(core, &key.name));
    let snapshot = volume_segment(core, snapshot);
    let scope = scope(database, &key.project, &key.member);
    format!(
        "/1.0/storage-pools/{}/volumes/{kind}/{name}/snapshots/{snapshot}{scope}",
        path_escaped(&key.pool)
    )
}

/// What lifecycle events call a volume: by the names inside of the server, and never meant to be followed.
pub(crate) fn event_source(core: &Core, key: &VolumeKey) -> String {
    source(core, key, &crate::content::internal_name(key), "")
}

/// The same of a snapshot; where one was changed they take the volume's own name.
pub(crate) fn snapshot_source(core: &Core, key: &VolumeKey, snapshot: &str, changed: bool) -> String {
    let volume = if changed { key.name.clone() } else { crate::content::internal_name(key) };
    source(core, key, &volume, &format!("/snapshots/{}", volume_segment(core, snapshot)))
}

/// The same of a backup, which goes by the names that clients know.
pub(crate) fn backup_source(core: &Core, key: &VolumeKey, backup: &str) -> String {
    source(core, key, &key.name, &format!("/backups/{}", volume_segment(core, backup)))
}

fn source(core: &Core, key: &VolumeKey, volume: &str, after: &str) -> String {
    let (pool, kind) = (path_escaped(&key.pool), crate::content::plural(key.kind));
    let (volume, scope) = (volume_segment(core, volume), scope_of(&key.project, ""));
    format!("/1.0/storage-pools/{pool}/volumes/{kind}/{volume}{after}{scope}")
}

/// A backup: in lists, and in the operations of servers whose URLs lead somewhere.
pub(crate) fn backup(core: &Core, key: &VolumeKey, backup: &str) -> String {
    // LXD 5.0 writes the name as it is.
    let backup = if core.behaviour.urls_encoded_twice { backup.to_owned() } else { path_escaped(backup) };
    let (pool, kind) = (path_escaped(&key.pool), key.kind.name());
    format!(
        "/1.0/storage-pools/{pool}/volumes/{kind}/{}/backups/{backup}{}",
        path_escaped(&key.name),
        scope_of(&key.project, "")
    )
}
