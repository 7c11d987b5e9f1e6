//! Backups of buckets: archives with their objects and their keys, on Incus.

use std::{collections::BTreeMap, path::PathBuf, sync::Arc};

use serde::{Deserialize, Serialize};

use crate::{
    api::{backups, export},
    buckets,
    call::Call,
    config::Config,
    content::component,
    core::Core,
    envelope::Reply,
    failure::Failure,
    plan::Plan,
    state::{AccessKey, Backup, Bucket, BucketKey},
};

/// Where the objects are in an archive.
pub(crate) const OBJECTS: &str = "backup/bucket";

/// What an archive says of itself.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Index {
    pub(crate) name: String,
    backend: String,
    pool: String,
    #[serde(rename = "type")]
    kind: String,
    pub(crate) config: Described,
}

#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Described {
    pub(crate) bucket: Option<Entry>,
    #[serde(default)]
    pub(crate) bucket_keys: Vec<KeyEntry>,
}

/// The bucket itself.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Entry {
    pub(crate) name: String,
    #[serde(default)]
    pub(crate) description: String,
    #[serde(default)]
    pub(crate) config: Config,
}

/// A key of it.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct KeyEntry {
    pub(crate) name: String,
    #[serde(flatten)]
    pub(crate) key: AccessKey,
}

impl Index {
    fn new(key: &BucketKey, bucket: &Bucket, driver: &str) -> Self {
        let entry = |(name, key): (&String, &AccessKey)| KeyEntry { name: name.clone(), key: key.clone() };
        Self {
            name: key.name.clone(),
            backend: driver.to_owned(),
            pool: key.pool.clone(),
            kind: "bucket".to_owned(),
            config: Described {
                bucket: Some(Entry {
                    name: key.name.clone(),
                    description: bucket.description.clone(),
                    config: bucket.config.clone(),
                }),
                bucket_keys: bucket.keys.iter().map(entry).collect(),
            },
        }
    }

    /// The bucket's keys by their names.
    pub(crate) fn keys(&self) -> BTreeMap<String, AccessKey> {
        self.config.bucket_keys.iter().map(|entry| (entry.name.clone(), entry.key.clone())).collect()
    }
}

fn find<'a>(bucket: &'a Bucket, name: &str) -> Result<&'a Backup, Failure> {
    let found = bucket.backups.iter().find(|one| one.name == name);
    found.ok_or_else(|| Failure::not_found("Storage bucket backup not found"))
}

/// `GET .../backups/BACKUP`.
pub(crate) fn get(call: &Call, pool: &str, name: &str, backup: &str) -> Result<Reply, Failure> {
    call.core.store.read(|database| {
        let (_, bucket) = buckets::find(call, database, pool, name)?;
        Reply::of(&buckets::backup_view(find(bucket, backup)?))
    })
}

/// What an operation on a backup is about.
fn plan(call: &Call, description: &'static str, key: &BucketKey, backup: &str) -> Plan {
    let core = &call.core;
    let bucket = core.store.read(|database| buckets::url(database, key));
    let url = buckets::url_of(key, "backups", backup);
    let resources = [("storage_buckets", &*bucket), ("backups", &*url)];
    call.plan(description).at(&key.member).about(core, &resources, ("", ""), &url)
}

/// `POST .../backups`.
pub(crate) async fn create(call: Call, pool: &str, name: &str) -> Result<Reply, Failure> {
    let core = Arc::clone(&call.core);
    let (key, bucket) = core.store.read(|database| {
        let (key, bucket) = buckets::find(&call, database, pool, name)?;
        Ok::<_, Failure>((key, bucket.clone()))
    })?;
    let fields = call.fields("StorageBucketBackupsPost").await?;
    let mut wanted = fields.text("name")?;
    if wanted.is_empty() {
        wanted = backups::next_name(&bucket.backups);
    }
    backups::check_name(&wanted)?;
    let backup = Backup {
        name: wanted.clone(),
        created_at: Some(core.clock.now().whole_seconds()),
        expires_at: fields.time("expires_at")?,
        volume_only: false,
        optimized_storage: false,
        compression_algorithm: fields.text("compression_algorithm")?,
    };
    let plan = plan(&call, "Creating bucket backup", &key, &wanted);
    let (working, requestor) = (Arc::clone(&core), call.requestor());
    let operation = core.operations.start(plan, |_| async move {
        let project = key.project.clone();
        let source = buckets::url_of(&key, "backups", &wanted);
        let made = make(&working, key, bucket, backup).await;
        made.map_err(|failure| failure.within("Create bucket backup"))?;
        working.happened(&project, "storage-bucket-backup-created", source, None, requestor);
        Ok(())
    });
    call.accepted(&operation)
}

/// Packs a backup, which is known from the beginning on.
async fn make(core: &Arc<Core>, key: BucketKey, bucket: Bucket, backup: Backup) -> Result<(), Failure> {
    let driver = core.store.read(|database| database.pools.get(&key.pool).map(|pool| pool.driver.clone()));
    let index = Index::new(&key, &bucket, &driver.unwrap_or_default());
    let (name, algorithm) = (backup.name.clone(), backup.compression_algorithm.clone());
    core.store.change(|database| {
        let known = database.buckets.get_mut(&key).ok_or_else(buckets::gone)?;
        backups::add(&mut known.backups, backup, &key.name)?;
        database.unfinished.bucket_backups.insert((key.clone(), name.clone()));
        Ok::<_, Failure>(())
    })?;
    let file = core.content.bucket_backups(&key).join(component(&name));
    let parts = vec![(core.content.bucket(&key), OBJECTS.to_owned())];
    let packed = backups::pack(core, file.clone(), &algorithm, false, index, parts).await;
    let stays = core.store.change(|database| {
        database.unfinished.bucket_backups.remove(&(key.clone(), name.clone()));
        let known = database.buckets.get_mut(&key).map(|bucket| &mut bucket.backups);
        Ok::<_, Failure>(backups::settle(known, &name, packed.is_ok()))
    })?;
    if !stays {
        backups::forget(core, file).await?;
    }
    packed
}

/// The bucket of a backup and the file that it is.
fn locate(call: &Call, pool: &str, name: &str, backup: &str) -> Result<(BucketKey, PathBuf), Failure> {
    call.core.store.read(|database| {
        let (key, bucket) = buckets::find(call, database, pool, name)?;
        find(bucket, backup)?;
        let file = call.core.content.bucket_backups(&key).join(component(backup));
        Ok((key, file))
    })
}

/// `POST .../backups/BACKUP`: another name.
pub(crate) async fn rename(call: Call, pool: &str, name: &str, backup: &str) -> Result<Reply, Failure> {
    let new_name = call.fields("StorageBucketBackupPost").await?.text("name")?;
    backups::check_name(&new_name)?;
    let (key, old_file) = locate(&call, pool, name, backup)?;
    let plan = plan(&call, "Renaming bucket backup", &key, backup);
    let (working, backup, requestor) = (Arc::clone(&call.core), backup.to_owned(), call.requestor());
    let operation = call.core.operations.start(plan, |_| async move {
        backups::check_target(&old_file, &new_name)?;
        let new_file = working.content.bucket_backups(&key).join(component(&new_name));
        working.store.change(|database| {
            let bucket = database.buckets.get_mut(&key).ok_or_else(buckets::gone)?;
            if find(bucket, &new_name).is_ok() {
                let text = format!("Backup \"{}/{new_name}\" already exists", key.name);
                return Err(Failure::internal(text));
            }
            // First, so that a name that is none for files changes nothing.
            std::fs::rename(&old_file, &new_file)?;
            if let Some(found) = bucket.backups.iter_mut().find(|one| one.name == backup) {
                found.name.clone_from(&new_name);
            }
            Ok(())
        })?;
        let source = buckets::url_of(&key, "backups", &new_name);
        let context = serde_json::json!({"old_name": backup});
        working.happened(&key.project, "storage-bucket-backup-renamed", source, Some(context), requestor);
        Ok(())
    });
    call.accepted(&operation)
}

/// `DELETE .../backups/BACKUP`.
pub(crate) fn delete(call: &Call, pool: &str, name: &str, backup: &str) -> Result<Reply, Failure> {
    let (key, _) = locate(call, pool, name, backup)?;
    let plan = plan(call, "Deleting bucket backup", &key, backup);
    let (working, backup, requestor) = (Arc::clone(&call.core), backup.to_owned(), call.requestor());
    let operation = call.core.operations.start(plan, |_| async move {
        remove(&working, &key, &backup).await?;
        let source = buckets::url_of(&key, "backups", &backup);
        working.happened(&key.project, "storage-bucket-backup-deleted", source, None, requestor);
        Ok(())
    });
    call.accepted(&operation)
}

/// Removes a backup from the database and from the disk.
pub(crate) async fn remove(core: &Arc<Core>, key: &BucketKey, backup: &str) -> Result<(), Failure> {
    core.store.change(|database| {
        let bucket = database.buckets.get_mut(key).ok_or_else(buckets::gone)?;
        bucket.backups.retain(|one| one.name != backup);
        Ok::<(), Failure>(())
    })?;
    let file = core.content.bucket_backups(key).join(component(backup));
    backups::forget(core, file).await
}

/// `GET .../backups/BACKUP/export`.
pub(crate) async fn export(call: Call, pool: &str, name: &str, backup: &str) -> Result<Reply, Failure> {
    let (_, path) = locate(&call, pool, name, backup)?;
    Ok(Reply::Raw(export::file(path, &call.headers).await?))
}
