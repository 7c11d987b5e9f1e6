//! What projects allow.

use crate::{failure::Failure, state::Database};

/// Refuses backups or snapshots where a restricted project blocks them.
pub(crate) fn check_not_blocked(database: &Database, project: &str, what: &str) -> Result<(), Failure> {
    let Some(project) = database.projects.get(project) else { return Ok(()) };
    let restricted = crate::config::is_true(project.config.get("restricted"));
    let blocked = project.config.get(&format!("restricted.{what}")).is_none_or(|value| value == "block");
    if restricted && blocked {
        let what = if what == "snapshots" { "snapshots" } else { "backups" };
        return Err(Failure::internal(format!("Project blocks {what}")));
    }
    Ok(())
}
