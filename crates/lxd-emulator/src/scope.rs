//! Which project and member a request is about, and whether what it names is there.

use crate::{
    call::Call,
    core::{ALONE, Core},
    failure::Failure,
    state::{DEFAULT, Database, Pool, Volume, VolumeKey, VolumeKind},
};

/// Drivers whose volumes all members of a cluster reach.
pub(crate) fn is_remote(driver: &str) -> bool {
    matches!(
        driver,
        "ceph"
            | "cephfs"
            | "cephobject"
            | "powerflex"
            | "powerstore"
            | "pure"
            | "alletra"
            | "linstor"
            | "lvmcluster"
            | "truenas"
    )
}

/// The pool of that name.
pub(crate) fn pool<'a>(database: &'a Database, name: &str) -> Result<&'a Pool, Failure> {
    database.pools.get(name).ok_or_else(|| Failure::not_found("Storage pool not found"))
}

/// The project in which a volume is that a request names: custom volumes of projects without the feature are those of
/// the project `default`.
pub(crate) fn volume_project(
    database: &Database,
    project: &str,
    kind: VolumeKind,
) -> Result<String, Failure> {
    let known = database.projects.get(project).ok_or_else(|| Failure::not_found("Project not found"))?;
    let own = match kind {
        VolumeKind::Custom => crate::config::is_true(known.config.get("features.storage.volumes")),
        VolumeKind::Image => false,
        VolumeKind::Container | VolumeKind::VirtualMachine => true,
    };
    Ok(if own { project } else { DEFAULT }.to_owned())
}

/// The same for one volume, which is told with another text.
pub(crate) fn one_volumes_project(
    database: &Database,
    project: &str,
    kind: VolumeKind,
) -> Result<String, Failure> {
    volume_project(database, project, kind)
        .map_err(|failure| failure.within(&format!("Failed to load project {project:?}")))
}

/// The type in a path.
pub(crate) fn kind(name: &str) -> Result<VolumeKind, Failure> {
    VolumeKind::from_name(name).ok_or_else(|| Failure::bad_request("Invalid storage volume type name"))
}

/// A type that only custom volumes may have here.
pub(crate) fn custom(name: &str) -> Result<VolumeKind, Failure> {
    match kind(name)? {
        VolumeKind::Custom => Ok(VolumeKind::Custom),
        _ => Err(Failure::bad_request(format!("Invalid storage volume type {name:?}"))),
    }
}

/// The member on which something new is made.
pub(crate) fn home(core: &Core, database: &Database, driver: &str, target: Option<String>) -> String {
    if database.members.is_empty() {
        ALONE.to_owned()
    } else if is_remote(driver) {
        String::new()
    } else {
        target.unwrap_or_else(|| core.here(database))
    }
}

/// Finds the volume that a request is about; the pool, project and member are looked at first.
pub(crate) fn find<'a>(
    call: &Call,
    database: &'a Database,
    pool_name: &str,
    kind: VolumeKind,
    name: &str,
) -> Result<(VolumeKey, &'a Volume), Failure> {
    let project = one_volumes_project(database, call.project(), kind)?;
    let target = call.target(database)?;
    let pool = pool(database, pool_name)?;
    locate(database, pool, pool_name, &project, kind, name, target.as_deref())
}

/// The same where LXD 5.0 only looks on the member that is asked, whatever the target.
pub(crate) fn find_here<'a>(
    call: &Call,
    database: &'a Database,
    pool_name: &str,
    kind: VolumeKind,
    name: &str,
) -> Result<(VolumeKey, &'a Volume), Failure> {
    let (key, volume) = find(call, database, pool_name, kind, name)?;
    let elsewhere = call.core.behaviour.looks_only_here && key.member != call.core.here(database);
    if elsewhere && !key.member.is_empty() { Err(no_volume()) } else { Ok((key, volume)) }
}

/// Finds a volume by everything that tells it from others.
pub(crate) fn locate<'a>(
    database: &'a Database,
    pool: &Pool,
    pool_name: &str,
    project: &str,
    kind: VolumeKind,
    name: &str,
    target: Option<&str>,
) -> Result<(VolumeKey, &'a Volume), Failure> {
    let remote = is_remote(&pool.driver);
    let members: Vec<&str> = match target {
        _ if database.members.is_empty() => vec![ALONE],
        _ if remote => vec![""],
        Some(target) => vec![target],
        None => database.members.iter().map(String::as_str).collect(),
    };
    let mut found = members.iter().filter_map(|member| {
        let key = VolumeKey {
            pool: pool_name.to_owned(),
            project: project.to_owned(),
            kind,
            name: name.to_owned(),
            member: (*member).to_owned(),
        };
        database.volumes.get_key_value(&key)
    });
    let (key, volume) = found.next().ok_or_else(|| match target {
        // Where a member is named the request goes there, and it says so in its own words.
        Some(_) if !database.members.is_empty() && !remote => Failure::not_found("Storage volume not found"),
        _ => no_volume(),
    })?;
    if found.next().is_some() {
        return Err(Failure::internal(format!(
            "More than one cluster member has a volume named {name:?}. Please target a specific member"
        )));
    }
    Ok((key.clone(), volume))
}

pub(crate) fn no_volume() -> Failure {
    Failure::not_found("Storage pool volume not found")
}

/// A profile as an instance of a project sees it.
pub(crate) fn profile<'a>(
    database: &'a Database,
    project: &str,
    name: &str,
) -> Option<&'a crate::state::Profile> {
    let known = database.projects.get(project)?;
    let own = crate::config::is_true(known.config.get("features.profiles"));
    let project = if own { project } else { DEFAULT };
    database.profiles.get(&(project.to_owned(), name.to_owned()))
}

/// What drivers say of a volume or snapshot that is not there.
pub(crate) fn gone(key: &VolumeKey, name: &str) -> Failure {
    Failure::not_found(format!(
        "Storage volume {name:?} in project {:?} of type {:?} does not exist on pool {:?}: Storage volume not found",
        key.project,
        key.kind.name(),
        key.pool
    ))
}
