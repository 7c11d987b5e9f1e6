//! Making volumes: what every way has in common, and empty ones.

use std::sync::Arc;

use crate::{
    api::{migrations, volume_copy},
    call::Call,
    config::{Config, cleaned},
    content::internal_name,
    core::{Core, blocking},
    envelope::Reply,
    failure::Failure,
    keys, names,
    projects::check_disk_limit,
    scope, size,
    state::{ContentType, Pool, PoolStatus, Volume, VolumeKey, VolumeKind},
};

/// A block volume without a size has this one; its config does not say so.
const BLOCK_DEFAULT: u64 = 10 << 30;

/// What a request to make a volume says.
pub(crate) struct Wanted {
    pub(crate) name: String,
    pub(crate) description: String,
    /// `None` where nothing was sent: copies then take that of their source.
    pub(crate) config: Option<Config>,
    content_type: String,
    /// Whether the type is in the path.
    typed: bool,
}

/// `POST /1.0/storage-pools/POOL/volumes`, with the type in the path or in the body.
pub(crate) async fn create(call: Call, pool: &str, kind: Option<&str>) -> Result<Reply, Failure> {
    let fields = call.fields("StorageVolumesPost").await?;
    let source = fields.object("source", "StorageVolumeSource")?;
    let wanted = Wanted {
        name: fields.text("name")?,
        config: fields.config("config")?,
        description: fields.text("description")?,
        content_type: fields.text("content_type")?,
        typed: kind.is_some(),
    };
    let in_body = fields.text("type")?;
    check_name(&call.core, &wanted.name)?;
    if call.core.behaviour.incus {
        content_type(&call.core, &wanted.content_type, wanted.typed)?;
    }
    check_kind(&call.core, kind, &in_body)?;
    let key = new_key(&call, pool, &wanted.name)?;
    let sized = wanted.config.clone().unwrap_or_default();
    call.core.store.read(|database| check_disk_limit(database, &key, &sized, "creation"))?;
    let source_kind = source.as_ref().map(|source| source.text("type")).transpose()?.unwrap_or_default();
    match (source_kind.as_str(), source) {
        ("copy", Some(source)) if !source.text("name")?.is_empty() => {
            volume_copy::copy(&call, key, wanted, &source)
        }
        // A copy of nothing is an empty volume, but on servers that check.
        ("copy", _) if call.core.behaviour.strict_names => {
            Err(Failure::bad_request("No source volume name supplied"))
        }
        ("" | "copy", _) => empty(call, key, wanted).await,
        ("migration", Some(source)) => migrations::take(&call, key, wanted, &source),
        (other, _) => Err(Failure::bad_request(format!("Unknown source type {other:?}"))),
    }
}

/// What every name of a volume must be like.
pub(crate) fn check_name(core: &Core, name: &str) -> Result<(), Failure> {
    if name.is_empty() {
        return Err(Failure::bad_request("No name provided"));
    }
    if name.contains('/') {
        return Err(Failure::bad_request("Storage volume names may not contain slashes"));
    }
    let odd = |c: char| c.is_whitespace() || c == '\\';
    if core.behaviour.strict_names && (name == ".." || name.contains(odd)) {
        return Err(Failure::bad_request(format!("Invalid storage volume name {name:?}")));
    }
    Ok(())
}

/// Only custom volumes are made here.
fn check_kind(core: &Core, in_path: Option<&str>, in_body: &str) -> Result<(), Failure> {
    let kind = in_path.unwrap_or(in_body);
    if in_path.is_none() && kind.is_empty() && !core.behaviour.incus {
        return Err(Failure::bad_request("You must provide a storage volume type of the storage volume"));
    }
    if kind == "custom" {
        return Ok(());
    }
    Err(Failure::bad_request(format!("Currently not allowed to create storage volumes of type {kind:?}")))
}

/// The type of content that a request names.
fn content_type(core: &Core, name: &str, typed: bool) -> Result<ContentType, Failure> {
    match name {
        "" | "filesystem" => Ok(ContentType::Filesystem),
        "block" => Ok(ContentType::Block),
        "iso" if core.has("custom_volume_iso") => Ok(ContentType::Iso),
        _ => Err(Failure::new(
            if typed || core.has("custom_volume_iso") { 400 } else { 500 },
            "Invalid volume content type name",
        )),
    }
}

/// Where the volume will be that a request makes.
pub(crate) fn new_key(call: &Call, pool: &str, name: &str) -> Result<VolumeKey, Failure> {
    call.core.store.read(|database| {
        let project = scope::one_volumes_project(database, call.project(), VolumeKind::Custom)?;
        let target = call.target(database)?;
        let known = scope::pool(database, pool)?;
        if known.status != PoolStatus::Created {
            return Err(Failure::internal("Specified pool is not fully created"));
        }
        Ok(VolumeKey {
            pool: pool.to_owned(),
            project,
            kind: VolumeKind::Custom,
            name: name.to_owned(),
            member: scope::home(&call.core, database, &known.driver, target),
        })
    })
}

async fn empty(call: Call, key: VolumeKey, wanted: Wanted) -> Result<Reply, Failure> {
    let core = Arc::clone(&call.core);
    let checked = content_type(&core, &wanted.content_type, wanted.typed);
    // LXD 5.0 looks at names first where the type is in the body.
    if wanted.typed || core.has("custom_volume_iso") {
        checked.clone()?;
    }
    if core.store.read(|database| database.volumes.contains_key(&key)) {
        return Err(exists());
    }
    let content_type = checked?;
    let asynchronous = core.has("storage_and_profile_operations");
    let plan = call.plan("Creating storage volume").at(&key.member).about(
        &core,
        &[],
        ("", ""),
        &names::volume(&core, &key),
    );
    let requestor = call.requestor();
    call.change(asynchronous, plan, async move {
        let called = called(&core, &key);
        let config = core.store.read(|database| {
            let pool = scope::pool(database, &key.pool)?;
            let config = with_defaults(&core, pool, content_type, &wanted.config.unwrap_or_default());
            keys::check_volume(&core, &pool.driver, content_type, &config, &called)?;
            // An image without content is as long as the pool says, if it does.
            if content_type == ContentType::Iso && !config.contains_key("size") {
                return Err(Failure::internal("Size cannot be zero"));
            }
            Ok::<_, Failure>(config)
        })?;
        let volume = Volume {
            description: wanted.description,
            config,
            content_type,
            created_at: created_at(&core),
            snapshots: Vec::new(),
            backups: Vec::new(),
        };
        insert(&core, &key, volume).await?;
        finish(&core, &key)?;
        let source = names::event_source(&core, &key);
        let context = serde_json::json!({"type": key.kind.name()});
        core.happened(&key.project, "storage-volume-created", source, Some(context), requestor);
        Ok(Reply::done())
    })
    .await
}

/// What messages about config keys call a volume that is being made.
pub(crate) fn called(core: &Core, key: &VolumeKey) -> String {
    if core.behaviour.incus { key.name.clone() } else { internal_name(key) }
}

/// When something that is made now was made; old servers keep no such times.
pub(crate) fn created_at(core: &Core) -> Option<crate::clock::Moment> {
    core.has("storage_volumes_created_at").then(|| core.clock.now())
}

/// A config with what the pool says of its volumes, and with a UUID where servers give one.
pub(crate) fn with_defaults(core: &Core, pool: &Pool, content_type: ContentType, sent: &Config) -> Config {
    let mut config = cleaned(sent);
    for (key, value) in &pool.config {
        let Some(key) = key.strip_prefix("volume.") else { continue };
        let fits = keys::fits(core, &pool.driver, content_type, key);
        if fits && !value.is_empty() {
            config.entry(key.to_owned()).or_insert_with(|| value.clone());
        }
    }
    if core.has("storage_volatile_uuid") {
        config.insert("volatile.uuid".to_owned(), crate::operations::uuid());
    }
    config
}

/// Puts a volume into the database and makes its folder. It is unfinished until [`finish`] is called.
pub(crate) async fn insert(core: &Arc<Core>, key: &VolumeKey, volume: Volume) -> Result<(), Failure> {
    let size =
        volume.config.get("size").map_or(Ok(0), |size| size::parse(size)).map_err(Failure::internal)?;
    let size = if size == 0 { BLOCK_DEFAULT } else { size };
    let content_type = volume.content_type;
    core.store.change(|database| {
        scope::pool(database, &key.pool)?;
        if database.volumes.contains_key(key) {
            return Err(exists());
        }
        database.volumes.insert(key.clone(), volume);
        database.unfinished.volumes.insert(key.clone());
        Ok(())
    })?;
    let (making, wanted) = (Arc::clone(core), key.clone());
    let made = blocking(core, move || {
        let made = making.content.create(&wanted, content_type, size);
        made.map_err(|error| match error.kind() {
            // What Go cannot look at it takes for something that is there.
            std::io::ErrorKind::InvalidFilename => {
                let folder = making.content.volume(&wanted, content_type);
                Failure::internal(format!("Volume path \"{}\" already exists", folder.display()))
            }
            _ => Failure::from(error),
        })
    })
    .await;
    if made.is_err() {
        core.store.change(|database| {
            database.volumes.remove(key);
            database.unfinished.volumes.remove(key);
            Ok::<(), Failure>(())
        })?;
    }
    made
}

/// Says that all is there that a new volume has.
pub(crate) fn finish(core: &Core, key: &VolumeKey) -> Result<(), Failure> {
    core.store.change(|database| {
        database.unfinished.volumes.remove(key);
        Ok(())
    })
}

pub(crate) fn exists() -> Failure {
    Failure::conflict("Volume by that name already exists")
}
