//! Reading volumes: lists, and one of them.

use serde::Serialize;

use crate::{
    call::Call,
    envelope::Reply,
    failure::Failure,
    names, scope,
    state::{Database, Volume, VolumeKey, VolumeKind},
    volume_view::{View, recipe},
};

/// A volume or snapshot of a list.
#[derive(Serialize)]
#[serde(untagged)]
enum Entry {
    Url(String),
    View(Box<View>),
}

/// `GET /1.0/storage-pools/POOL/volumes`, of one type or of all.
pub(crate) fn list(call: &Call, pool: &str, kind: Option<&str>) -> Result<Reply, Failure> {
    let kind = kind.map(scope::kind).transpose()?;
    call.core.store.read(|database| {
        let projects = projects(call, database)?;
        let target = call.target(database)?;
        scope::pool(database, pool)?;
        let wanted = |key: &VolumeKey| {
            key.pool == pool
                && kind.is_none_or(|kind| key.kind == kind)
                && projects.take(key)
                && target.as_ref().is_none_or(|target| key.member == *target || key.member.is_empty())
        };
        let chosen: Vec<(&VolumeKey, &Volume)> =
            database.volumes.iter().filter(|(key, _)| wanted(key)).collect();
        let entries = entries(call, database, &chosen);
        Reply::of(&entries)
    })
}

/// The projects that a list is about.
enum Projects {
    All,
    /// The project of the request, and that of its custom volumes.
    One {
        named: String,
        custom: String,
    },
}

impl Projects {
    fn take(&self, key: &VolumeKey) -> bool {
        match self {
            Self::All => true,
            Self::One { named, custom } => match key.kind {
                VolumeKind::Custom => key.project == *custom,
                VolumeKind::Image => true,
                VolumeKind::Container | VolumeKind::VirtualMachine => key.project == *named,
            },
        }
    }
}

fn projects(call: &Call, database: &Database) -> Result<Projects, Failure> {
    if call.query.is_true("all-projects") {
        if call.query.get("project").is_some() {
            return Err(Failure::bad_request("Cannot specify a project when requesting all projects"));
        }
        return Ok(Projects::All);
    }
    let custom = scope::volume_project(database, call.project(), VolumeKind::Custom)?;
    Ok(Projects::One { named: call.project().to_owned(), custom })
}

fn entries(call: &Call, database: &Database, chosen: &[(&VolumeKey, &Volume)]) -> Vec<Entry> {
    let core = &call.core;
    let recursive = call.query.recursion() > 0;
    let mut entries = Vec::new();
    for (key, volume) in chosen {
        entries.push(if recursive {
            Entry::View(Box::new(View::of(core, database, key, volume)))
        } else {
            Entry::Url(names::volume_in(core, database, key))
        });
        for snapshot in volume.snapshots.iter().filter(|_| key.kind == VolumeKind::Custom) {
            entries.push(if recursive {
                Entry::View(Box::new(View::of_snapshot(core, key, volume, snapshot)))
            } else {
                Entry::Url(names::snapshot_in(core, database, key, &snapshot.name))
            });
        }
    }
    entries
}

/// `GET /1.0/storage-pools/POOL/volumes/TYPE/VOLUME`.
pub(crate) fn get(call: &Call, pool: &str, kind: &str, name: &str) -> Result<Reply, Failure> {
    let kind = scope::kind(kind)?;
    let core = &call.core;
    core.store.read(|database| {
        // Snapshots used to be volumes to this endpoint.
        if let Some((parent, short)) = name.split_once('/').filter(|_| !core.behaviour.strict_names) {
            let (key, volume) = scope::find(call, database, pool, kind, parent)?;
            let snapshot = volume.snapshots.iter().find(|one| one.name == short);
            let snapshot = snapshot.ok_or_else(scope::no_volume)?;
            let view = View::of_snapshot(core, &key, volume, snapshot);
            let recipe = (name.to_owned(), kind.name(), snapshot.config.clone());
            return Reply::with_etag(&view, &recipe);
        }
        let (key, volume) = scope::find(call, database, pool, kind, name)?;
        Reply::with_etag(&View::of(core, database, &key, volume), &recipe(&key, volume))
    })
}
