//! Backups of volumes: archives that are kept until they are fetched.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

use serde_json::{Value, json};

use crate::{
    archive::{self, Index},
    call::Call,
    clock,
    core::{Core, blocking},
    envelope::Reply,
    failure::Failure,
    names,
    plan::Plan,
    scope,
    snapshot_name::number_after,
    state::{Backup, ContentType, Volume, VolumeKey},
    stop::stoppable,
};

/// What the servers know of ways to compress; most of them they leave to programs.
const ALGORITHMS: [&str; 7] = ["none", "gzip", "bzip2", "lzma", "xz", "zstd", "squashfs"];

fn view(backup: &Backup) -> Value {
    json!({
        "name": backup.name,
        "created_at": clock::text(backup.created_at),
        "expires_at": clock::text(backup.expires_at),
        "volume_only": backup.volume_only,
        "optimized_storage": backup.optimized_storage,
    })
}

fn find<'a>(volume: &'a Volume, name: &str) -> Result<&'a Backup, Failure> {
    let found = volume.backups.iter().find(|one| one.name == name);
    found.ok_or_else(|| Failure::not_found("Storage volume backup not found"))
}

/// `GET .../backups`.
pub(crate) fn list(call: &Call, pool: &str, kind: &str, name: &str) -> Result<Reply, Failure> {
    let kind = scope::custom(kind)?;
    let (key, backups) = call.core.store.read(|database| {
        let (key, volume) = scope::find(call, database, pool, kind, name)?;
        Ok::<_, Failure>((key, volume.backups.clone()))
    })?;
    if call.query.recursion() != 0 {
        return Reply::of(&backups.iter().map(view).collect::<Vec<_>>());
    }
    let urls = backups.iter().map(|one| names::backup(&call.core, &key, &one.name));
    Reply::of(&urls.collect::<Vec<_>>())
}

/// `GET .../backups/BACKUP`.
pub(crate) fn get(call: &Call, pool: &str, kind: &str, name: &str, backup: &str) -> Result<Reply, Failure> {
    let kind = scope::custom(kind)?;
    call.core.store.read(|database| {
        let (_, volume) = scope::find(call, database, pool, kind, name)?;
        Reply::of(&view(find(volume, backup)?))
    })
}

/// The name of a backup that is made without one.
pub(crate) fn next_name(backups: &[Backup]) -> String {
    let next = backups.iter().filter_map(|one| number_after(&one.name, "backup", "")).max();
    format!("backup{}", next.unwrap_or_default())
}

/// Whether an archive is compressed that shall be so by that algorithm.
pub(crate) fn compresses(algorithm: &str) -> Result<bool, Failure> {
    match algorithm {
        "" | "gzip" => Ok(true),
        "none" => Ok(false),
        other => Err(Failure::internal(format!(
            "Backup create: the emulator does not compress by {other:?}, only by \"gzip\" or \"none\""
        ))),
    }
}

/// Refuses no name at all for a backup's file, as renaming it to its own folder does.
pub(crate) fn check_target(file: &Path, name: &str) -> Result<(), Failure> {
    match file.parent() {
        Some(folder) if name.is_empty() => {
            let text = format!("rename {} {}: file exists", file.display(), folder.display());
            Err(Failure::internal(text))
        }
        _ => Ok(()),
    }
}

pub(crate) fn check_name(name: &str) -> Result<(), Failure> {
    if name.contains('/') {
        return Err(Failure::bad_request("Backup names may not contain slashes"));
    }
    Ok(())
}

/// `POST .../backups`.
pub(crate) async fn create(call: Call, pool: &str, kind: &str, name: &str) -> Result<Reply, Failure> {
    let kind = scope::custom(kind)?;
    let core = Arc::clone(&call.core);
    let (key, volume) = core.store.read(|database| {
        crate::projects::check_not_blocked(database, call.project(), "backup")?;
        let (key, volume) = scope::find(&call, database, pool, kind, name)?;
        Ok::<_, Failure>((key, volume.clone()))
    })?;
    let struct_name =
        if core.behaviour.incus { "StorageVolumeBackupsPost" } else { "StoragePoolVolumeBackupsPost" };
    let fields = call.fields(struct_name).await.map_err(|failure| {
        // What is no JSON at all they take for trouble of their own here.
        if failure.text.starts_with("json:") { failure } else { Failure::internal(failure.text) }
    })?;
    let (mut wanted, algorithm) = (fields.text("name")?, fields.text("compression_algorithm")?);
    if !algorithm.is_empty() && !ALGORITHMS.contains(&&*algorithm) {
        return Err(Failure::bad_request(if core.behaviour.incus {
            format!("Compression algorithm {algorithm:?} isn't currently supported")
        } else {
            format!("Invalid compression algorithm {algorithm:?}")
        }));
    }
    if wanted.is_empty() {
        wanted = next_name(&volume.backups);
    }
    check_name(&wanted)?;
    let driver = core.store.read(|database| Ok::<_, Failure>(scope::pool(database, pool)?.driver.clone()))?;
    let backup = Backup {
        name: wanted.clone(),
        created_at: Some(core.clock.now().whole_seconds()),
        expires_at: fields.time("expires_at")?,
        volume_only: fields.flag("volume_only")?,
        // Only these drivers have a form of their own; here it is the same archive.
        optimized_storage: fields.flag("optimized_storage")? && matches!(&*driver, "btrfs" | "zfs"),
        compression_algorithm: algorithm,
    };
    let url = names::backup(&core, &key, &wanted);
    let mut plan = call.plan("Creating custom volume backup").at(&key.member).about(
        &core,
        &[("storage_volumes", &names::volume(&core, &key)), ("backups", &url)],
        ("backups", &format!("/1.0/backups/{wanted}")),
        &url,
    );
    if core.behaviour.raw_operation_urls {
        let old = format!("/1.0/storage_volumes/{}", key.name);
        plan.resources.insert("storage_volumes".to_owned(), vec![old]);
    }
    let (working, requestor) = (Arc::clone(&core), call.requestor());
    let operation = core.operations.start(plan, |_| async move {
        let source = names::backup_source(&working, &key, &wanted);
        let project = key.project.clone();
        let made = make(&working, key, volume, backup, &driver).await;
        made.map_err(|failure| failure.within("Create volume backup"))?;
        let context = json!({"type": "custom"});
        working.happened(&project, "storage-volume-backup-created", source, Some(context), requestor);
        Ok(())
    });
    call.accepted(&operation)
}

/// Packs a backup, which is known from the beginning on.
async fn make(
    core: &Arc<Core>,
    key: VolumeKey,
    volume: Volume,
    backup: Backup,
    driver: &str,
) -> Result<(), Failure> {
    let kept: &[_] = if backup.volume_only { &[] } else { &volume.snapshots };
    let index = Index::new(&key, &volume, kept, driver);
    let place = |one: &str| (core.content.snapshot(&key, one), archive::snapshot_place(one));
    let mut parts: Vec<archive::Part> = kept.iter().map(|one| place(&one.name)).collect();
    parts.push((core.content.volume(&key, volume.content_type), archive::VOLUME.to_owned()));
    let (name, algorithm) = (backup.name.clone(), backup.compression_algorithm.clone());
    core.store.change(|database| {
        let known = database.volumes.get_mut(&key).ok_or_else(scope::no_volume)?;
        add(&mut known.backups, backup, &key.name)?;
        database.unfinished.backups.insert((key.clone(), name.clone()));
        Ok::<_, Failure>(())
    })?;
    let _turn = core.turns.read(&key).await;
    let file = core.content.backups(&key).join(crate::content::component(&name));
    let packed = async {
        if volume.content_type == ContentType::Iso {
            let text = "Backup create: Volume of content type \"iso\" cannot be backed up";
            return Err(Failure::internal(text));
        }
        let disk = volume.content_type != ContentType::Filesystem;
        pack(core, file.clone(), &algorithm, disk, index, parts).await
    };
    let packed = packed.await;
    let stays = core.store.change(|database| {
        database.unfinished.backups.remove(&(key.clone(), name.clone()));
        let known = database.volumes.get_mut(&key).map(|volume| &mut volume.backups);
        Ok::<_, Failure>(settle(known, &name, packed.is_ok()))
    })?;
    if !stays {
        forget(core, file).await?;
    }
    packed
}

/// Takes a backup among others.
pub(crate) fn add(backups: &mut Vec<Backup>, backup: Backup, owner: &str) -> Result<(), Failure> {
    if backups.iter().any(|one| one.name == backup.name) {
        return Err(Failure::internal(format!("Backup \"{owner}/{}\" already exists", backup.name)));
    }
    backups.push(backup);
    Ok(())
}

/// Writes the file of a backup.
pub(crate) async fn pack<I: serde::Serialize + Send + 'static>(
    core: &Arc<Core>,
    file: PathBuf,
    algorithm: &str,
    disk: bool,
    index: I,
    parts: Vec<archive::Part>,
) -> Result<(), Failure> {
    let gzip = compresses(algorithm)?;
    stoppable(core, move |stop| archive::pack(stop, &file, gzip, disk, &index, &parts).map_err(Failure::from))
        .await
}

/// Takes a backup out again that could not be packed. Says whether it stays, which one doesn't that was deleted
/// meanwhile.
pub(crate) fn settle(backups: Option<&mut Vec<Backup>>, name: &str, packed: bool) -> bool {
    let Some(backups) = backups else { return false };
    if !packed {
        backups.retain(|one| one.name != name);
    }
    backups.iter().any(|one| one.name == name)
}

/// Removes the file of a backup that does not stay.
pub(crate) async fn forget(core: &Arc<Core>, file: PathBuf) -> Result<(), Failure> {
    blocking(core, move || match std::fs::remove_file(file) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(Failure::from(error)),
        _ => Ok(()),
    })
    .await
}

/// `POST .../backups/BACKUP`: another name.
pub(crate) async fn rename(
    call: Call,
    pool: &str,
    kind: &str,
    name: &str,
    backup: &str,
) -> Result<Reply, Failure> {
    let struct_name =
        if call.core.behaviour.incus { "StorageVolumeBackupPost" } else { "StoragePoolVolumeBackupPost" };
    let new_name = call.fields(struct_name).await?.text("name")?;
    check_name(&new_name)?;
    let (key, old_file) = locate(&call, pool, kind, name, backup)?;
    let core = Arc::clone(&call.core);
    // Incus takes the volume's name for a part of the backup's here.
    let old_name = if core.behaviour.incus { format!("{name}/{backup}") } else { backup.to_owned() };
    let plan = about_one(&call, "Renaming custom volume backup", &key, &old_name);
    let (working, backup, requestor) = (Arc::clone(&core), backup.to_owned(), call.requestor());
    let operation = core.operations.start(plan, |_| async move {
        let new_file = working.content.backups(&key).join(crate::content::component(&new_name));
        check_target(&old_file, &new_name)?;
        working.store.change(|database| {
            let volume = database.volumes.get_mut(&key).ok_or_else(scope::no_volume)?;
            if volume.backups.iter().any(|one| one.name == new_name) {
                return Err(Failure::internal(
                    "UNIQUE constraint failed: storage_volumes_backups.storage_volume_id, \
                     storage_volumes_backups.name",
                ));
            }
            // First, so that a name that is none for files changes nothing.
            std::fs::rename(&old_file, &new_file)?;
            if let Some(found) = volume.backups.iter_mut().find(|one| one.name == backup) {
                found.name.clone_from(&new_name);
            }
            Ok(())
        })?;
        let source = names::backup_source(&working, &key, &new_name);
        let context = json!({"old_name": backup});
        working.happened(&key.project, "storage-volume-backup-renamed", source, Some(context), requestor);
        Ok(())
    });
    call.accepted(&operation)
}

/// `DELETE .../backups/BACKUP`.
pub(crate) fn delete(
    call: &Call,
    pool: &str,
    kind: &str,
    name: &str,
    backup: &str,
) -> Result<Reply, Failure> {
    let (key, file) = locate(call, pool, kind, name, backup)?;
    let core = Arc::clone(&call.core);
    let plan = about_one(call, "Deleting custom volume backup", &key, backup);
    let (working, backup, requestor) = (Arc::clone(&core), backup.to_owned(), call.requestor());
    let operation = core.operations.start(plan, |_| async move {
        working.store.change(|database| {
            let volume = database.volumes.get_mut(&key).ok_or_else(scope::no_volume)?;
            volume.backups.retain(|one| one.name != backup);
            Ok::<(), Failure>(())
        })?;
        forget(&working, file).await?;
        let source = names::backup_source(&working, &key, &backup);
        working.happened(&key.project, "storage-volume-backup-deleted", source, None, requestor);
        Ok(())
    });
    call.accepted(&operation)
}

/// What an operation on a backup that is there is about.
fn about_one(call: &Call, description: &'static str, key: &VolumeKey, backup: &str) -> Plan {
    let core = &call.core;
    let url = names::backup(core, key, backup);
    call.plan(description).at(&key.member).about(
        core,
        &[("storage_volumes", &names::volume(core, key)), ("backups", &url)],
        ("volume", &format!("/1.0/volume/{}", key.name)),
        &url,
    )
}

/// The volume of a backup and the file that it is.
pub(crate) fn locate(
    call: &Call,
    pool: &str,
    kind: &str,
    name: &str,
    backup: &str,
) -> Result<(VolumeKey, PathBuf), Failure> {
    let kind = scope::custom(kind)?;
    call.core.store.read(|database| {
        let (key, volume) = scope::find(call, database, pool, kind, name)?;
        find(volume, backup)?;
        let file = call.core.content.backups(&key).join(crate::content::component(backup));
        Ok((key, file))
    })
}
