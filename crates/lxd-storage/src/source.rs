//! Where the content of a new volume comes from: what that takes, and what servers would misread.

use lxd_types::{MigrationMode, SourceType, StorageVolumeSource};

use crate::Error;

/// The API extensions that a source needs. Refuses one that lacks what servers don't miss: of a copy of nothing they
/// make an empty volume, and say that all went well.
pub(crate) fn extensions_of(source: &StorageVolumeSource) -> Result<Vec<&'static str>, Error> {
    let mut extensions = Vec::new();
    match source.source_type {
        SourceType::Copy => {
            present("copy", "the name of the volume to copy (`name`)", &source.name)?;
            present("copy", "the pool that the volume to copy is in (`pool`)", &source.pool)?;
            extensions.push("storage_api_local_volume_handling");
        }
        SourceType::Migration => {
            if source.mode.as_ref().is_none_or(|mode| *mode == MigrationMode::Pull) {
                let operation = source.operation.as_deref().unwrap_or_default();
                present("pull", "the URL of the source's operation (`operation`)", operation)?;
                if source.secrets.as_ref().is_none_or(|secrets| secrets.is_empty()) {
                    present("pull", "the secrets of that operation (`secrets`)", "")?;
                }
            }
            extensions.push("storage_api_remote_volume_handling");
        }
        _ if source.source_type.as_str().is_empty() && *source != StorageVolumeSource::default() => {
            let message = "a source without a type (`source_type`) would make an empty volume";
            return Err(Error::invalid(message));
        }
        _ => {}
    }
    let is_copy = source.source_type == SourceType::Copy;
    let more = [
        (source.volume_only && is_copy, "storage_api_volume_snapshots"),
        (source.volume_only && !is_copy, "storage_api_remote_volume_snapshots"),
        (source.refresh, "custom_volume_refresh"),
        (source.refresh_exclude_older == Some(true), "custom_volume_refresh_exclude_older_snapshots"),
        (source.project.is_some(), "storage_api_project"),
        (source.location.is_some(), "cluster_internal_custom_volume_copy"),
    ];
    extensions.extend(more.into_iter().filter(|(needed, _)| *needed).map(|(_, extension)| extension));
    Ok(extensions)
}

fn present(what: &str, which: &str, value: &str) -> Result<(), Error> {
    if value.is_empty() {
        return Err(Error::invalid(format!("the source of a {what} lacks {which}")));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn extensions(source: Value) -> Result<Vec<&'static str>, String> {
        let source = serde_json::from_value(source).unwrap();
        extensions_of(&source).map_err(|error| error.to_string())
    }

    #[test]
    fn what_servers_would_misread_is_refused() {
        for (source, named) in [
            (json!({"type": "copy", "pool": "p"}), "`name`"),
            (json!({"type": "copy", "name": "v"}), "`pool`"),
            (json!({"name": "v", "pool": "p"}), "`source_type`"),
            (json!({"type": "migration"}), "`operation`"),
            (json!({"type": "migration", "mode": "pull", "operation": "https://x"}), "`secrets`"),
            (json!({"type": "migration", "operation": "https://x", "secrets": {}}), "`secrets`"),
        ] {
            let error = extensions(source.clone()).unwrap_err();
            assert!(error.contains(named), "{source}: {error}");
        }
        assert_eq!(extensions(json!({})), Ok(vec![]));
    }

    #[test]
    fn every_field_names_its_extension() {
        let copy = json!({"type": "copy", "name": "v", "pool": "p", "project": "x", "location": "m",
            "refresh": true, "refresh_exclude_older": true, "volume_only": true});
        let all = [
            "storage_api_local_volume_handling",
            "storage_api_volume_snapshots",
            "custom_volume_refresh",
            "custom_volume_refresh_exclude_older_snapshots",
            "storage_api_project",
            "cluster_internal_custom_volume_copy",
        ];
        assert_eq!(extensions(copy).unwrap(), all);
        let push = json!({"type": "migration", "mode": "push", "volume_only": true});
        let two = ["storage_api_remote_volume_handling", "storage_api_remote_volume_snapshots"];
        assert_eq!(extensions(push).unwrap(), two);
    }
}
