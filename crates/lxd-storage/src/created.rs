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

/// The name of what an operation made, which is one of these resources: from `entity_url` on newer LXD, else from its
/// resources. A URL of another kind is none: an import has its project for an entity.
pub(crate) fn told_name(operation: &Operation, kind: &str) -> Option<String> {
    let entity_url = operation.metadata.get("entity_url").and_then(Value::as_str);
    let resources = || operation.resources.get(kind).into_iter().flatten().map(String::as_str);
    let told = entity_url.into_iter().chain(resources()).find_map(|url| name_in(url, kind));
    told.or_else(|| resources().find_map(|url| bucket_in(url, kind)))
}

/// Incus writes buckets that it imports under paths that aren't any. Nothing in their names wants to be encoded.
fn bucket_in(url: &str, kind: &str) -> Option<String> {
    let path = url.split(['?', '#']).next()?;
    let name = path.rsplit('/').next().filter(|name| kind == "storage_buckets" && !name.is_empty())?;
    Some(name.to_owned())
}

fn name_in(url: &str, kind: &str) -> Option<String> {
    // LXD 5.0 writes names raw here, under paths that aren't any.
    let raw = match kind {
        "storage_volumes" => url.strip_prefix("/1.0/storage_volumes/"),
        "backups" => url.strip_prefix("/1.0/backups/"),
        _ => None,
    };
    if let Some(raw) = raw {
        return Some(raw.to_owned()).filter(|name| !name.is_empty());
    }
    match (kind, Reference::parse(url).entity) {
        ("storage_volumes", Entity::Volume { name, .. })
        | ("storage_volume_snapshots", Entity::VolumeSnapshot { name, .. })
        | ("storage_buckets", Entity::Bucket { name, .. })
        | ("backups", Entity::VolumeBackup { name, .. } | Entity::BucketBackup { name, .. }) => Some(name),
        _ => None,
    }
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

    #[test]
    fn what_is_of_another_kind_names_nothing() {
        let project = json!({"metadata": {"entity_url": "/1.0/projects/default"}});
        assert_eq!(told(project, "storage_volumes"), None);
        let pool = json!({"metadata": {"entity_url": "/1.0/storage-pools/p"}, "resources": {"storage_buckets": ["/1.0/storage-pools/p/buckets/b"]}});
        assert_eq!(told(pool, "storage_buckets").as_deref(), Some("b"));
        let volume =
            json!({"metadata": {"entity_url": "/1.0/storage-pools/p/volumes/custom/v"}, "resources": {}});
        assert_eq!(told(volume, "storage_volume_snapshots"), None);
    }
}
