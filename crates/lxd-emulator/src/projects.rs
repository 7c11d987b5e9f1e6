//! What projects allow.

use crate::{
    config::{Config, is_true},
    failure::Failure,
    size,
    state::{Database, VolumeKey, VolumeKind},
};

/// Refuses what a restricted project blocks, `snapshot` or `backup`.
pub(crate) fn check_not_blocked(database: &Database, project: &str, what: &str) -> Result<(), Failure> {
    let Some(known) = database.projects.get(project) else { return Ok(()) };
    let blocked = known.config.get(&format!("restricted.{what}s")).is_none_or(|value| value == "block");
    if is_true(known.config.get("restricted")) && blocked {
        return Err(Failure::internal(format!("Project {project:?} doesn't allow for {what} creation")));
    }
    Ok(())
}

/// Refuses a volume that would take a project over its limit; `doing` is `creation` or `update`.
pub(crate) fn check_disk_limit(
    database: &Database,
    key: &VolumeKey,
    config: &Config,
    doing: &str,
) -> Result<(), Failure> {
    let project = &key.project;
    let limit = database.projects.get(project).and_then(|known| known.config.get("limits.disk"));
    let Some(limit) = limit else { return Ok(()) };
    let within = |failure: Failure| failure.within(&format!("Failed checking if volume {doing} allowed"));
    let others = database
        .volumes
        .iter()
        .filter(|(other, _)| other.project == *project && other.kind == VolumeKind::Custom && *other != key)
        .map(|(other, volume)| (&other.name, &volume.config));
    let mut sum: u64 = 0;
    for (name, config) in others.chain([(&key.name, config)]) {
        let size = config.get("size").and_then(|size| size::parse(size).ok()).filter(|size| *size > 0);
        let size = size.ok_or_else(|| {
            let text = format!("Custom volume {name:?} in project {project:?} has no \"size\" config set");
            within(Failure::internal(text).within("Failed getting usage of project entities"))
        })?;
        sum = sum.saturating_add(size);
    }
    if sum > size::parse(limit).map_err(Failure::internal)? {
        return Err(within(Failure::internal(format!(
            "Reached maximum aggregate value {limit:?} for \"limits.disk\" in project {project:?}"
        ))));
    }
    Ok(())
}
