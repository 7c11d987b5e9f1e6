//! Which object a lifecycle event is about: the names that a server uses inside, made those of its API.

use crate::{Entity, Event, Lifecycle, LifecycleAction, Reference, Server, VolumeType};

/// Servers with this API extension (Incus 7.0) take the project out of a volume's name themselves; all LXD, and Incus up to
/// 6.18, leave it in. Neither says so in any way, and in between no extension tells.
const CLEAN_VOLUMES: &str = "storage_volume_nbd";

impl Event {
    /// Which object a lifecycle event is about, with its pool, type, name and project; `None` for other events.
    ///
    /// The [`source`](Lifecycle::source) of such an event is no URL of the API. Most servers put the project before the name
    /// of a custom volume there: `blue_data` is the volume `data` of project `blue`. Others don't, and nothing in an event
    /// tells a name with a project before it from one that begins like that by itself. So it takes what the server says of
    /// itself (`GET /1.0`):
    ///
    /// | event about | the project stands before the name |
    /// |---|---|
    /// | a custom volume or the files in it | unless the server has `storage_volume_nbd` |
    /// | a snapshot of one | always, but for `storage-volume-snapshot-updated` |
    /// | the volume of an instance | in all projects but `default` |
    /// | a backup, a bucket, an image | never |
    ///
    /// Incus from 6.19 to 6.23 is in the dark: there a volume whose own name begins with that of its project and `_`
    /// may lose that part. After the rename of a snapshot every server names the old one. Of the keys of buckets no server
    /// tells which bucket they open; what it says there is [`Entity::Other`].
    ///
    /// The project is the one that holds the object, which is `default` for projects that share its volumes; pools are in
    /// none. On which cluster member it happened says [`location`](Self::location).
    ///
    /// ```
    /// use lxd_types::{Entity, Event, Server, VolumeType};
    ///
    /// let event: Event = serde_json::from_str(r#"{"type":"lifecycle","project":"blue","metadata":{
    ///     "action":"storage-volume-created","source":"/1.0/storage-pools/fast/volumes/custom/blue_data?project=blue"}}"#)?;
    /// let server: Server = serde_json::from_str(r#"{"api_extensions":["storage","event_project"]}"#)?;
    ///
    /// let created = event.reference(&server).unwrap();
    /// assert_eq!(created.project(), "blue");
    /// assert_eq!(
    ///     created.entity,
    ///     Entity::Volume { pool: "fast".into(), volume_type: VolumeType::Custom, name: "data".into() }
    /// );
    /// # Ok::<(), serde_json::Error>(())
    /// ```
    #[must_use]
    pub fn reference(&self, server: &Server) -> Option<Reference> {
        let Lifecycle { action, source, project, .. } = self.lifecycle()?;
        let mut reference = Reference::parse_of(&server.environment, &source);
        if !matches!(reference.entity, Entity::Pool { .. } | Entity::Server | Entity::Other) {
            reference.project = reference.project.or_else(|| self.project.clone()).or(project);
        }
        let project = reference.project().to_owned();
        match &mut reference.entity {
            Entity::Volume { volume_type, name, .. } => {
                *volume_type = singular(volume_type);
                let is_internal = match volume_type {
                    VolumeType::Custom => !server.api_extensions.has(CLEAN_VOLUMES),
                    other => is_of_instance(other),
                };
                strip(name, &project, is_internal);
            }
            Entity::VolumeSnapshot { volume_type, volume, .. } => {
                *volume_type = singular(volume_type);
                let is_internal = match volume_type {
                    VolumeType::Custom => action != LifecycleAction::StorageVolumeSnapshotUpdated,
                    other => is_of_instance(other),
                };
                strip(volume, &project, is_internal);
            }
            Entity::VolumeBackup { volume_type, .. } => *volume_type = singular(volume_type),
            // Servers write the pool where the bucket belongs, and mostly the bucket where the key belongs.
            Entity::BucketKey { pool, bucket, .. } if bucket == pool => reference.entity = Entity::Other,
            _ => {}
        }
        Some(reference)
    }
}

/// Inside, some types are called by their plural.
fn singular(volume_type: &VolumeType) -> VolumeType {
    match volume_type.as_str() {
        "containers" => VolumeType::Container,
        "virtual-machines" => VolumeType::VirtualMachine,
        "images" => VolumeType::Image,
        _ => volume_type.clone(),
    }
}

/// The names of instances have no underscore in them, so that what stands before one is a project.
fn is_of_instance(volume_type: &VolumeType) -> bool {
    matches!(volume_type, VolumeType::Container | VolumeType::VirtualMachine)
}

fn strip(name: &mut String, project: &str, is_internal: bool) {
    let own = name.strip_prefix(project).and_then(|rest| rest.strip_prefix('_'));
    if let Some(own) = own.filter(|own| is_internal && !own.is_empty()) {
        *name = own.to_owned();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What an event of this action and source is about, as `project type volume[/snapshot]`.
    fn about(clean: bool, action: &str, source: &str, project: &str) -> String {
        let event = serde_json::json!({"type": "lifecycle", "project": project,
            "metadata": {"action": action, "source": format!("/1.0/storage-pools/p/{source}")}});
        let event: Event = serde_json::from_value(event).unwrap();
        let api_extensions = clean.then_some(CLEAN_VOLUMES).into_iter().collect();
        let reference = event.reference(&Server { api_extensions, ..Server::default() }).unwrap();
        let project = reference.project();
        match &reference.entity {
            Entity::Volume { volume_type, name, .. } => format!("{project} {volume_type} {name}"),
            Entity::VolumeSnapshot { volume_type, volume, name, .. }
            | Entity::VolumeBackup { volume_type, volume, name, .. } => {
                format!("{project} {volume_type} {volume}/{name}")
            }
            other => format!("{project} {other:?}"),
        }
    }

    #[test]
    fn the_project_is_taken_out_where_a_server_puts_it_in() {
        let [created, snapshot, updated, backup] =
            ["created", "snapshot-created", "snapshot-updated", "backup-created"]
                .map(|what| format!("storage-volume-{what}"));
        for (clean, action, source, project, expected) in [
            (false, &created, "volumes/custom/default_v", "default", "default custom v"),
            (false, &created, "volumes/custom/blue_v%20a?project=blue", "blue", "blue custom v a"),
            (false, &created, "volumes/custom/blue_blue_v?project=blue", "blue", "blue custom blue_v"),
            (true, &created, "volumes/custom/blue_v?project=blue", "blue", "blue custom blue_v"),
            (true, &created, "volumes/custom/v?project=blue", "blue", "blue custom v"),
            (true, &snapshot, "volumes/custom/blue_v/snapshots/s?project=blue", "blue", "blue custom v/s"),
            (
                true,
                &updated,
                "volumes/custom/blue_v/snapshots/s?project=blue",
                "blue",
                "blue custom blue_v/s",
            ),
            (
                false,
                &updated,
                "volumes/custom/blue_v/snapshots/s?project=blue",
                "blue",
                "blue custom blue_v/s",
            ),
            (false, &backup, "volumes/custom/blue_v/backups/b?project=blue", "blue", "blue custom blue_v/b"),
            (true, &created, "volumes/containers/blue_c?project=blue", "blue", "blue container c"),
            (false, &created, "volumes/virtual-machines/c", "default", "default virtual-machine c"),
            (false, &created, "volumes/images/abc", "default", "default image abc"),
            // Nobody's project, and nothing left of the name.
            (false, &created, "volumes/custom/red_v", "default", "default custom red_v"),
            (false, &created, "volumes/custom/default_", "default", "default custom default_"),
        ] {
            assert_eq!(about(clean, action, source, project), expected, "{action} {source}");
        }
    }

    #[test]
    fn pools_are_in_no_project_and_buckets_are() {
        let event = |source: &str| -> Event {
            let event = serde_json::json!({"type": "lifecycle", "project": "blue",
                "metadata": {"action": "storage-bucket-created", "source": source}});
            serde_json::from_value(event).unwrap()
        };
        let about = |source: &str| event(source).reference(&Server::default()).unwrap();
        let pool = about("/1.0/storage-pools/p");
        assert_eq!((pool.entity, pool.project), (Entity::Pool { name: "p".into() }, None));
        let bucket = about("/1.0/storage-pools/p/buckets/b");
        assert_eq!(bucket.entity, Entity::Bucket { pool: "p".into(), name: "b".into() });
        assert_eq!(bucket.project(), "blue");
        assert_eq!(about("/1.0/storage-pools/p/buckets/p/keys/b").entity, Entity::Other);
        assert!(matches!(about("/1.0/storage-pools/p/buckets/b/keys/k").entity, Entity::BucketKey { .. }));
        let operation: Event = serde_json::from_str(r#"{"type":"operation","metadata":{}}"#).unwrap();
        assert_eq!(operation.reference(&Server::default()), None);
    }
}
