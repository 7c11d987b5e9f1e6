//! Names that the server chose, as its operations tell them.

use lxd_types::{Entity, Operation, Reference, ServerFamily};
use serde_json::Value;

use crate::{Client, Error};

/// Whether operations of this server tell what they made, so that it can be left to choose a name.
pub(crate) async fn server_tells_names(client: &Client) -> Result<bool, Error> {
    let server = client.server().await?;
    let entity_url = server.api_extensions.has("operation_metadata_entity_url");
    Ok(entity_url || server.environment.server == ServerFamily::Incus)
}

/// The name of what an operation made: from `entity_url` on newer LXD, else from its resources.
pub(crate) fn told_name(operation: &Operation, kind: &str) -> Option<String> {
    let entity_url = operation.metadata.get("entity_url").and_then(Value::as_str);
    let url = entity_url.or_else(|| operation.resources.get(kind)?.first().map(String::as_str))?;
    // LXD 5.0 writes names raw here, under a path that isn't one.
    if let Some(raw) = url.strip_prefix("/1.0/storage_volumes/") {
        return Some(raw.to_owned()).filter(|name| !name.is_empty());
    }
    match Reference::parse(url).entity {
        Entity::VolumeSnapshot { name, .. } | Entity::Volume { name, .. } => Some(name),
        _ => last_segment(url),
    }
}

/// The last segment of a path, as it stands: names that servers number have nothing in them to decode.
fn last_segment(url: &str) -> Option<String> {
    let path = url.split('?').next()?;
    path.rsplit('/').next().filter(|name| !name.is_empty()).map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn told(operation: Value, kind: &str) -> Option<String> {
        told_name(&serde_json::from_value(operation).unwrap(), kind)
    }

    #[test]
    fn every_form_of_server_is_read() {
        let incus = json!({"resources": {"storage_volume_snapshots": ["/1.0/storage-pools/p/volumes/custom/v/snapshots/snap%200?project=x"]}});
        assert_eq!(told(incus, "storage_volume_snapshots").as_deref(), Some("snap 0"));
        let newest = json!({"resources": {}, "metadata": {"entity_url": "/1.0/storage-pools/p/volumes/custom/v/snapshots/s1"}});
        assert_eq!(told(newest, "storage_volume_snapshots").as_deref(), Some("s1"));
        let backup =
            json!({"resources": {"backups": ["/1.0/storage-pools/p/volumes/custom/v/backups/backup3"]}});
        assert_eq!(told(backup, "backups").as_deref(), Some("backup3"));
        let oldest = json!({"resources": {"backups": ["/1.0/backups/backup0"]}});
        assert_eq!(told(oldest, "backups").as_deref(), Some("backup0"));
        let raw = json!({"resources": {"storage_volumes": ["/1.0/storage_volumes/ra é%?"]}});
        assert_eq!(told(raw, "storage_volumes").as_deref(), Some("ra é%?"));
        assert_eq!(told(json!({"resources": null}), "backups"), None);
    }
}
