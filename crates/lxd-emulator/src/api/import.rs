//! Volumes out of what is uploaded: backups, images and plain archives.

use std::sync::Arc;

use http::header;
use serde_json::json;
use tokio::{fs::File, io::AsyncWriteExt};

use crate::{
    api::volume_create::{called, check_name, created_at, exists, finish, insert, new_key, with_defaults},
    archive::{self, Entry, Index, Unreadable},
    arrival::Arrival,
    call::Call,
    config::cleaned,
    core::{Core, blocking},
    envelope::Reply,
    failure::Failure,
    keys, names, scope,
    state::{ContentType, Snapshot, Volume, VolumeKey, VolumeKind},
};

/// Whether a request to make a volume brings its content along. Only the bare content type counts.
pub(crate) fn is_upload(call: &Call, typed: bool) -> bool {
    let binary =
        call.headers.get(header::CONTENT_TYPE).is_some_and(|kind| kind == "application/octet-stream");
    binary && (typed || call.core.behaviour.untyped_upload)
}

/// A header by the server's own brand.
pub(crate) fn own(call: &Call, name: &str) -> String {
    let value = call.headers.get(format!("x-{}-{name}", call.core.brand().to_lowercase()));
    value.map(|value| String::from_utf8_lossy(value.as_bytes()).into_owned()).unwrap_or_default()
}

/// Writes the whole body down, as the servers do before they look at it.
pub(crate) async fn receive(call: &Call) -> Result<Arrival, Failure> {
    let upload = Arrival::new(&call.core).await?;
    let mut file = File::create(upload.path()).await?;
    let mut body = call.take_body();
    while let Some(chunk) = body.chunk().await {
        let chunk = chunk.map_err(|_| Failure::internal("unexpected EOF"))?;
        file.write_all(&chunk).await?;
    }
    file.flush().await?;
    Ok(upload)
}

/// `POST` of a volume with content instead of JSON.
pub(crate) async fn create(call: Call, pool: &str) -> Result<Reply, Failure> {
    call.core.store.read(|database| {
        scope::one_volumes_project(database, call.project(), VolumeKind::Custom).map(drop)
    })?;
    match &*own(&call, "type") {
        "iso" if call.core.has("custom_volume_iso") => image(call, pool).await,
        "tar" if call.core.has("import_custom_volume_tar") => files(call, pool).await,
        _ => backup(call, pool).await,
    }
}

async fn backup(call: Call, pool: &str) -> Result<Reply, Failure> {
    let upload = receive(&call).await?;
    let core = Arc::clone(&call.core);
    let path = upload.path().to_owned();
    let read = blocking(&core, move || Ok::<_, std::io::Error>(archive::index::<Index>(&path))).await?;
    let index = read.map_err(|unreadable| match unreadable {
        Unreadable::Compression => Failure::internal("Unsupported compression"),
        Unreadable::NoIndex if core.behaviour.incus => {
            Failure::bad_request("Backup is missing at \"backup/index.yaml\"")
        }
        Unreadable::NoIndex => Failure::bad_request("Backup is missing index.yaml"),
        Unreadable::Broken(error) => Failure::internal(error.to_string()),
    })?;
    let mut name = own(&call, "name");
    if name.is_empty() {
        name.clone_from(&index.name);
    }
    // What looks like a snapshot's name is only found out later.
    if !name.contains('/') {
        check_name(&core, &name)?;
    }
    let (volume, snapshots) = index.into_entries();
    let snapshots: Vec<Snapshot> = snapshots.into_iter().map(|one| one.snapshot(&core)).collect();
    let volume = volume.ok_or_else(|| Failure::internal("Valid volume config not found in index"))?;
    let key = new_key(&call, pool, &name).map_err(|failure| match failure.code {
        // LXD and Incus look for the pool in the database first, and don't hide that.
        404 => Failure::internal("Storage pool not found: Storage pool not found"),
        _ => failure,
    })?;
    let old = format!("/1.0/storage_volumes/{name}");
    let plan = call.plan("Restoring custom volume backup").at(&key.member).about(
        &core,
        &[("storage_volumes", &names::volume(&core, &key))],
        ("storage_volumes", &old),
        &names::volume(&core, &key),
    );
    let (working, requestor) = (Arc::clone(&core), call.requestor());
    let operation = core.operations.start(plan, |_| async move {
        let restored = restore(&working, &upload, &key, &volume, &snapshots).await;
        restored.map_err(|failure| failure.within("Create custom volume from backup"))?;
        let (source, context) = (names::event_source(&working, &key), json!({"type": "custom"}));
        working.happened(&key.project, "storage-volume-created", source, Some(context), requestor);
        Ok(())
    });
    call.accepted(&operation)
}

async fn restore(
    core: &Arc<Core>,
    upload: &Arrival,
    key: &VolumeKey,
    entry: &Entry,
    snapshots: &[Snapshot],
) -> Result<(), Failure> {
    let inserting = |why: &str| {
        Failure::internal(format!(
            "Error inserting volume {:?} for project {:?} in pool {:?} of type \"custom\" into database {why:?}",
            key.name, key.project, key.pool
        ))
    };
    if key.name.contains('/') {
        return Err(inserting("Volume name may not be a snapshot"));
    }
    if core.store.read(|database| database.volumes.contains_key(key)) {
        return Err(inserting(
            "UNIQUE constraint failed: storage_volumes.storage_pool_id, storage_volumes.node_id, \
             storage_volumes.project_id, storage_volumes.name, storage_volumes.type",
        ));
    }
    let content_type = entry.content_type()?;
    if content_type == ContentType::Iso {
        return Err(Failure::internal("Volume of content type \"iso\" cannot be restored"));
    }
    archive::check_snapshots(snapshots)?;
    core.store.read(|database| {
        let (driver, called) = (&scope::pool(database, &key.pool)?.driver, called(core, key));
        let shots = snapshots.iter().map(|snapshot| &snapshot.config);
        let mut configs = std::iter::once(&entry.config).chain(shots);
        configs
            .try_for_each(|config| keys::check_volume(core, driver, content_type, &cleaned(config), &called))
    })?;
    let volume = Volume {
        description: entry.description.clone(),
        config: entry.config.clone(),
        content_type,
        created_at: entry.created_at(core),
        snapshots: Vec::new(),
        backups: Vec::new(),
    };
    insert(core, key, volume).await?;
    let unpacked = upload.unpack(core, key, snapshots).await.and_then(|()| finish(core, key));
    if unpacked.is_err() {
        super::volume_change::forget(core, key).await?;
    }
    unpacked
}

async fn image(call: Call, pool: &str) -> Result<Reply, Failure> {
    let key = named(&call, pool)?;
    let upload = receive(&call).await?;
    fill(&call, key, upload, ContentType::Iso)
}

async fn files(call: Call, pool: &str) -> Result<Reply, Failure> {
    let key = named(&call, pool)?;
    let upload = receive(&call).await?;
    fill(&call, key, upload, ContentType::Filesystem)
}

/// Where the volume will be that only a header names.
fn named(call: &Call, pool: &str) -> Result<VolumeKey, Failure> {
    let name = own(call, "name");
    if name.is_empty() {
        return Err(Failure::bad_request("Missing volume name"));
    }
    check_name(&call.core, &name)?;
    new_key(call, pool, &name)
}

/// A new volume with what was uploaded in it.
fn fill(call: &Call, key: VolumeKey, upload: Arrival, content_type: ContentType) -> Result<Reply, Failure> {
    let core = Arc::clone(&call.core);
    let plan = call.plan("Creating storage volume").at(&key.member).about(
        &core,
        &[("storage_volumes", &names::volume(&core, &key))],
        ("storage_volumes", &format!("/1.0/storage_volumes/{}", key.name)),
        &names::volume(&core, &key),
    );
    let (working, requestor) = (Arc::clone(&core), call.requestor());
    let operation = core.operations.start(plan, |_| async move {
        if working.store.read(|database| database.volumes.contains_key(&key)) {
            return Err(exists());
        }
        let mut config = crate::config::Config::new();
        if content_type == ContentType::Iso {
            let length = tokio::fs::metadata(upload.path()).await?.len();
            config.insert("size".to_owned(), length.to_string());
        }
        let config = working.store.read(|database| {
            Ok::<_, Failure>(with_defaults(
                &working,
                scope::pool(database, &key.pool)?,
                content_type,
                &config,
            ))
        })?;
        let volume = Volume {
            description: String::new(),
            config,
            content_type,
            created_at: created_at(&working),
            snapshots: Vec::new(),
            backups: Vec::new(),
        };
        insert(&working, &key, volume).await?;
        let (path, staging, folder) =
            (upload.path().to_owned(), upload.staging(), working.content.volume(&key, content_type));
        let filled = blocking(&working, move || {
            if content_type == ContentType::Iso {
                return std::fs::rename(path, folder.join(crate::content::DISK));
            }
            archive::unpack(&path, &staging).map_err(|unreadable| match unreadable {
                Unreadable::Broken(error) => error,
                Unreadable::Compression | Unreadable::NoIndex => {
                    std::io::Error::other("Unsupported compression")
                }
            })?;
            archive::settle(&staging, "", &folder)
        })
        .await;
        if let Err(failure) = filled.map_err(Failure::from).and_then(|()| finish(&working, &key)) {
            super::volume_change::forget(&working, &key).await?;
            return Err(failure);
        }
        let (source, context) = (names::event_source(&working, &key), json!({"type": "custom"}));
        working.happened(&key.project, "storage-volume-created", source, Some(context), requestor);
        Ok(())
    });
    call.accepted(&operation)
}
