//! Reading volumes: lists, and one of them.

use crate::{
    call::Call,
    envelope::Reply,
    failure::Failure,
    filter::Filter,
    names, scope,
    state::{DEFAULT, Database, Volume, VolumeKey, VolumeKind},
    volume_view::{View, recipe},
};

/// A volume or snapshot of a list.
struct Entry {
    order: (VolumeKind, String, String, String, String),
    url: String,
    view: View,
}

/// `GET /1.0/storage-pools/POOL/volumes`, of one type or of all.
pub(crate) fn list(call: &Call, pool: &str, kind: Option<&str>) -> Result<Reply, Failure> {
    chosen(call, Some(pool), kind)
}

/// `GET /1.0/storage-volumes`, the same over all pools.
pub(crate) fn list_all(call: &Call, kind: Option<&str>) -> Result<Reply, Failure> {
    chosen(call, None, kind)
}

fn chosen(call: &Call, pool: Option<&str>, kind: Option<&str>) -> Result<Reply, Failure> {
    let kind = kind.map(scope::kind).transpose()?;
    let filter = Filter::parse(call.query.get("filter"), call.core.behaviour.strict_filters)?;
    call.core.store.read(|database| {
        let projects = projects(call, database)?;
        let target = call.target(database)?;
        if let Some(pool) = pool {
            scope::pool(database, pool)?;
        }
        let wanted = |key: &VolumeKey| {
            pool.is_none_or(|pool| key.pool == pool)
                && kind.is_none_or(|kind| key.kind == kind)
                && projects.take(key)
                && target.as_ref().is_none_or(|target| key.member == *target || key.member.is_empty())
        };
        let mut entries = Vec::new();
        for (key, volume) in database.volumes.iter().filter(|(key, _)| wanted(key)) {
            entries.extend(entries_of(call, database, key, volume));
        }
        let mut taken = Vec::new();
        for entry in entries {
            if filter.as_ref().map_or(Ok(true), |filter| filter.takes_view(&entry.view))? {
                taken.push(entry);
            }
        }
        // By name, so that snapshots follow their volume but not always at once.
        taken.sort_by(|one, other| one.order.cmp(&other.order));
        if call.query.recursion() == 0 {
            return Reply::of(&taken.into_iter().map(|entry| entry.url).collect::<Vec<_>>());
        }
        Reply::of(&taken.into_iter().map(|entry| entry.view).collect::<Vec<_>>())
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

/// A volume with its snapshots.
fn entries_of(call: &Call, database: &Database, key: &VolumeKey, volume: &Volume) -> Vec<Entry> {
    let core = &call.core;
    // Of volumes with one name that of the project `default` comes first.
    let project = if key.project == DEFAULT { "" } else { &key.project };
    let order = |name: &str| {
        let name = name.to_owned();
        (key.kind, key.pool.clone(), name, key.member.clone(), project.to_owned())
    };
    let mut entries = vec![Entry {
        order: order(&key.name),
        url: names::volume_in(core, database, key),
        view: View::of(core, database, key, volume),
    }];
    if key.kind == VolumeKind::Custom && !core.has("storage_volume_full") {
        entries.extend(volume.snapshots.iter().map(|snapshot| Entry {
            order: order(&format!("{}/{}", key.name, snapshot.name)),
            url: names::snapshot_in(core, database, key, &snapshot.name),
            view: View::of_snapshot(core, key, volume, snapshot),
        }));
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
