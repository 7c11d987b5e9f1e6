//! Volumes as JSON, and who uses them.

use serde::Serialize;

use crate::{
    clock,
    config::Config,
    core::Core,
    devices,
    route::{path_escaped, query_escaped},
    state::{DEFAULT, Database, Snapshot, Volume, VolumeKey, VolumeKind},
};

/// A volume, or a snapshot among volumes.
#[derive(Debug, Serialize)]
pub(crate) struct View {
    pub(crate) config: Config,
    pub(crate) description: String,
    pub(crate) name: String,
    #[serde(rename = "type")]
    pub(crate) kind: &'static str,
    pub(crate) used_by: Vec<String>,
    pub(crate) location: String,
    pub(crate) content_type: &'static str,
    pub(crate) project: String,
    pub(crate) created_at: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) pool: Option<String>,
}

impl View {
    pub(crate) fn of(core: &Core, database: &Database, key: &VolumeKey, volume: &Volume) -> Self {
        Self {
            config: volume.config.clone(),
            description: volume.description.clone(),
            name: key.name.clone(),
            kind: key.kind.name(),
            used_by: used_by(database, key),
            location: key.member.clone(),
            content_type: volume.content_type.name(),
            project: key.project.clone(),
            created_at: clock::text(volume.created_at),
            pool: core.has("storage_volumes_all").then(|| key.pool.clone()),
        }
    }

    pub(crate) fn of_snapshot(core: &Core, key: &VolumeKey, volume: &Volume, snapshot: &Snapshot) -> Self {
        Self {
            config: snapshot.config.clone(),
            description: snapshot.description.clone(),
            name: format!("{}/{}", key.name, snapshot.name),
            kind: key.kind.name(),
            used_by: Vec::new(),
            location: key.member.clone(),
            content_type: volume.content_type.name(),
            project: key.project.clone(),
            created_at: clock::text(snapshot.created_at),
            pool: core.has("storage_volumes_all").then(|| key.pool.clone()),
        }
    }
}

/// What a volume's ETag is made of.
pub(crate) fn recipe(key: &VolumeKey, volume: &Volume) -> (String, &'static str, Config) {
    (key.name.clone(), key.kind.name(), volume.config.clone())
}

/// The URLs of instances and profiles that have a custom volume as a device, or of the instance whose volume it is.
pub(crate) fn used_by(database: &Database, key: &VolumeKey) -> Vec<String> {
    if key.kind != VolumeKind::Custom {
        return match key.kind {
            VolumeKind::Image => vec![format!("/1.0/images/{}", key.name)],
            _ => vec![url("instances", &key.project, &key.name)],
        };
    }
    let profiles = devices::profiles(database, key).map(|(project, name)| url("profiles", project, name));
    let instances = devices::instances(database, key).map(|(project, name)| url("instances", project, name));
    let kept = ["storage.backups_volume", "storage.images_volume"].into_iter().any(|setting| {
        let volume = format!("{}/{}", key.pool, key.name);
        key.project == DEFAULT && database.config.get(setting) == Some(&volume)
    });
    profiles.chain(instances).chain(kept.then(|| "/1.0".to_owned())).collect()
}

/// An object of a project.
pub(crate) fn url(kind: &str, project: &str, name: &str) -> String {
    let scope =
        if project == DEFAULT { String::new() } else { format!("?project={}", query_escaped(project)) };
    format!("/1.0/{kind}/{}{scope}", path_escaped(name))
}
