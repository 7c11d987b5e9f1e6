//! Buckets: which pools can have them, where they are, and how they look as JSON.

use serde::Serialize;
use serde_json::{Value, json};

use crate::{
    call::Call,
    clock,
    config::{Config, is_true},
    core::Core,
    failure::Failure,
    names,
    route::path_escaped,
    scope,
    state::{AccessKey, Bucket, BucketKey, DEFAULT, Database, Pool},
};

/// A bucket as clients see it.
#[derive(Debug, Serialize)]
pub(crate) struct View {
    config: Config,
    description: String,
    name: String,
    s3_url: String,
    location: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    project: Option<String>,
}

impl View {
    pub(crate) fn of(core: &Core, database: &Database, key: &BucketKey, bucket: &Bucket) -> Self {
        let address = database.config.get("core.storage_buckets_address");
        Self {
            config: bucket.config.clone(),
            description: bucket.description.clone(),
            name: key.name.clone(),
            s3_url: address.map(|address| format!("https://{address}/{}", key.name)).unwrap_or_default(),
            location: key.member.clone(),
            project: core.has("storage_buckets_all_projects").then(|| key.project.clone()),
        }
    }

    /// The same with what the servers let out of their database where one bucket is asked for.
    pub(crate) fn alone(&self, database: &Database, key: &BucketKey) -> Result<Value, Failure> {
        let mut value = serde_json::to_value(self).map_err(|error| Failure::internal(error.to_string()))?;
        let number = |position: Option<usize>| position.map_or(0, |found| found + 1);
        value["ID"] = json!(number(database.buckets.keys().position(|one| one == key)));
        value["PoolID"] = json!(number(database.pools.keys().position(|one| *one == key.pool)));
        value["PoolName"] = json!(key.pool);
        Ok(value)
    }
}

/// What a bucket's ETag is made of.
pub(crate) fn recipe<'a>(key: &'a BucketKey, bucket: &'a Bucket) -> (&'a str, &'a str, &'a Config) {
    (&key.name, &bucket.description, &bucket.config)
}

/// A key of a bucket as clients see it.
pub(crate) fn key_view(name: &str, key: &AccessKey) -> Value {
    json!({
        "description": key.description,
        "role": key.role,
        "access-key": key.access_key,
        "secret-key": key.secret_key,
        "name": name,
    })
}

/// Whether pools of a driver can have buckets on this server.
fn has_buckets(core: &Core, driver: &str) -> bool {
    let local = core.has("storage_buckets_local") && matches!(driver, "dir" | "btrfs" | "lvm" | "zfs");
    local || driver == "cephobject"
}

/// A pool that can have buckets.
pub(crate) fn pool<'a>(core: &Core, database: &'a Database, name: &str) -> Result<&'a Pool, Failure> {
    let pool =
        scope::pool(database, name).map_err(|failure| failure.within("Failed loading storage pool"))?;
    if has_buckets(core, &pool.driver) {
        return Ok(pool);
    }
    let text = format!("Storage pool driver {:?} does not support buckets", pool.driver);
    Err(Failure::bad_request(text))
}

/// The project in which the buckets of a request are.
pub(crate) fn project(database: &Database, project: &str) -> Result<String, Failure> {
    let known = database.projects.get(project).ok_or_else(|| {
        Failure::not_found("Project not found").within(&format!("Failed to load project {project:?}"))
    })?;
    Ok(if is_true(known.config.get("features.storage.buckets")) { project } else { DEFAULT }.to_owned())
}

/// The bucket that a request is about.
pub(crate) fn find<'a>(
    call: &Call,
    database: &'a Database,
    pool_name: &str,
    name: &str,
) -> Result<(BucketKey, &'a Bucket), Failure> {
    let project = project(database, call.project())?;
    let target = call.target(database)?;
    pool(&call.core, database, pool_name)?;
    let mut found = database.buckets.iter().filter(|(key, _)| {
        let here = target.as_ref().is_none_or(|target| key.member == *target || key.member.is_empty());
        key.pool == pool_name && key.project == project && key.name == name && here
    });
    found.next().map(|(key, bucket)| (key.clone(), bucket)).ok_or_else(gone)
}

pub(crate) fn gone() -> Failure {
    Failure::not_found("Storage bucket not found")
}

/// What the servers call a bucket among themselves.
pub(crate) fn internal_name(key: &BucketKey) -> String {
    format!("{}_{}", key.project, key.name)
}

/// The URL of a bucket.
pub(crate) fn url(database: &Database, key: &BucketKey) -> String {
    let member = if database.members.is_empty() { "" } else { &key.member };
    format!("{}{}", path(key), names::scope_of(&key.project, member))
}

/// The same of something that is its own: `keys` and `backups`.
pub(crate) fn url_of(key: &BucketKey, kind: &str, name: &str) -> String {
    format!("{}/{kind}/{}{}", path(key), path_escaped(name), names::scope_of(&key.project, ""))
}

fn path(key: &BucketKey) -> String {
    format!("/1.0/storage-pools/{}/buckets/{}", path_escaped(&key.pool), path_escaped(&key.name))
}

/// What events call a key of a bucket, and the `Location` of a new one: the servers write the pool's name twice.
pub(crate) fn key_source(key: &BucketKey, name: &str) -> String {
    let pool = path_escaped(&key.pool);
    let scope = names::scope_of(&key.project, "");
    format!("/1.0/storage-pools/{pool}/buckets/{pool}/keys/{}{scope}", path_escaped(name))
}

/// A backup of a bucket as clients see it.
pub(crate) fn backup_view(backup: &crate::state::Backup) -> Value {
    json!({
        "name": backup.name,
        "expires_at": clock::text(backup.expires_at),
        "compression_algorithm": backup.compression_algorithm,
    })
}
