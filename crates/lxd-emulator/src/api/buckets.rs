//! `/1.0/storage-pools/POOL/buckets`.

use std::sync::Arc;

use crate::{
    api::bucket_keys::{self, Wanted},
    buckets::{self, View},
    call::Call,
    config::{Config, cleaned, merged},
    core::{Core, blocking},
    envelope::Reply,
    etag,
    failure::Failure,
    filter::Filter,
    keys,
    plan::Plan,
    scope,
    state::{Bucket, BucketKey, ContentType, Database},
};

/// `GET .../buckets`.
pub(crate) fn list(call: &Call, pool: &str) -> Result<Reply, Failure> {
    let core = &call.core;
    let filter = call.query.get("filter").filter(|_| core.has("api_filtering_extended"));
    let filter = Filter::parse(filter, true)?;
    core.store.read(|database| {
        let all = call.query.is_true("all-projects") && core.has("storage_buckets_all_projects");
        let project = if all { None } else { Some(buckets::project(database, call.project())?) };
        let target = call.target(database)?;
        buckets::pool(core, database, pool)?;
        let mut chosen = Vec::new();
        for (key, bucket) in &database.buckets {
            let here = target.as_ref().is_none_or(|target| key.member == *target || key.member.is_empty());
            if key.pool != pool || !here || project.as_ref().is_some_and(|project| *project != key.project) {
                continue;
            }
            let view = View::of(core, database, key, bucket);
            if filter.as_ref().map_or(Ok(true), |filter| filter.takes_view(&view))? {
                chosen.push((key, view));
            }
        }
        chosen.sort_by(|(one, _), (other, _)| one.name.cmp(&other.name));
        if call.query.recursion() == 0 {
            return Reply::of(&chosen.iter().map(|(key, _)| buckets::url(database, key)).collect::<Vec<_>>());
        }
        Reply::of(&chosen.into_iter().map(|(_, view)| view).collect::<Vec<_>>())
    })
}

/// `GET .../buckets/BUCKET`.
pub(crate) fn get(call: &Call, pool: &str, name: &str) -> Result<Reply, Failure> {
    call.core.store.read(|database| {
        let (key, bucket) = buckets::find(call, database, pool, name)?;
        let view = View::of(&call.core, database, &key, bucket).alone(database, &key)?;
        Reply::with_etag(&view, &buckets::recipe(&key, bucket))
    })
}

/// The rules of S3, as far as the servers look.
pub(crate) fn check_name(name: &str) -> Result<(), Failure> {
    let ordinary = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    let mut bytes = name.bytes();
    let first = bytes.next().is_some_and(ordinary);
    if first
        && (3..=63).contains(&name.len())
        && bytes.all(|byte| ordinary(byte) || matches!(byte, b'-' | b'.'))
    {
        return Ok(());
    }
    Err(Failure::internal(
        "Bucket name must be between 3 and 63 lowercase letters, numbers, periods or hyphens and must start with \
         a letter or number",
    ))
}

/// Judges a config; the servers take it for that of a volume.
pub(crate) fn check_config(
    core: &Core,
    database: &Database,
    key: &BucketKey,
    config: &Config,
) -> Result<(), Failure> {
    let driver = &scope::pool(database, &key.pool)?.driver;
    let mut judged = config.clone();
    if core.has("storage_volatile_uuid") {
        judged.remove("volatile.uuid");
    }
    keys::check_volume(core, driver, ContentType::Filesystem, &judged, &buckets::internal_name(key))?;
    if driver == "dir" && config.contains_key("size") {
        return Err(Failure::internal("Size cannot be specified for buckets"));
    }
    Ok(())
}

/// What an operation on a bucket is about, where there is one.
pub(crate) fn plan(call: &Call, description: &'static str, key: &BucketKey) -> Plan {
    let url = call.core.store.read(|database| buckets::url(database, key));
    call.plan(description).at(&key.member).about(&call.core, &[("storage_buckets", &url)], ("", ""), &url)
}

/// Whether buckets are changed in the background.
pub(crate) fn asynchronous(core: &Core) -> bool {
    core.has("storage_and_network_operations")
}

/// Where a new bucket will be.
pub(crate) fn new_key(call: &Call, pool: &str, name: &str) -> Result<BucketKey, Failure> {
    call.core.store.read(|database| {
        let project = buckets::project(database, call.project())?;
        let target = call.target(database)?;
        let known = buckets::pool(&call.core, database, pool)?;
        Ok(BucketKey {
            pool: pool.to_owned(),
            project,
            name: name.to_owned(),
            member: scope::home(&call.core, database, &known.driver, target),
        })
    })
}

/// `POST .../buckets`.
pub(crate) async fn create(call: Call, pool: &str) -> Result<Reply, Failure> {
    let fields = call.fields("StorageBucketsPost").await?;
    let (name, description) = (fields.text("name")?, fields.text("description")?);
    let config = cleaned(&fields.config("config")?.unwrap_or_default());
    let key = new_key(&call, pool, &name)?;
    let core = Arc::clone(&call.core);
    let (plan, requestor) = (plan(&call, "Creating storage bucket", &key), call.requestor());
    let background = asynchronous(&core);
    call.make(background, plan, "key", async move {
        let failed = |failure: Failure| failure.within("Failed creating storage bucket");
        check_name(&name).map_err(failed)?;
        core.store.read(|database| check_config(&core, database, &key, &config)).map_err(failed)?;
        let bucket = Bucket {
            description,
            config: with_uuid(&core, config),
            created_at: Some(core.clock.now()),
            keys: std::collections::BTreeMap::new(),
            backups: Vec::new(),
        };
        insert(&core, &key, bucket).await.map_err(failed)?;
        let admin = Wanted::admin();
        let made = bucket_keys::add(&core, &key, admin)
            .map_err(|failure| failure.within("Failed creating storage bucket admin key"))?;
        finish(&core, &key)?;
        let source = core.store.read(|database| buckets::url(database, &key));
        core.happened(&key.project, "storage-bucket-created", source.clone(), None, requestor);
        Ok((made, source))
    })
    .await
}

/// The newest servers give buckets UUIDs.
fn with_uuid(core: &Core, mut config: Config) -> Config {
    if core.has("storage_volatile_uuid") {
        config.insert("volatile.uuid".to_owned(), crate::operations::uuid());
    }
    config
}

/// Puts a bucket into the database and makes its folder. It is unfinished until [`finish`] is called.
pub(crate) async fn insert(core: &Arc<Core>, key: &BucketKey, bucket: Bucket) -> Result<(), Failure> {
    core.store.change(|database| {
        let taken = database.buckets.keys().any(|one| one.project == key.project && one.name == key.name);
        if taken {
            let context = format!(
                "Failed inserting storage bucket {:?} for project {:?} in pool {:?} into database",
                key.name, key.project, key.pool
            );
            return Err(Failure::conflict("A bucket for that name already exists").within(&context));
        }
        database.buckets.insert(key.clone(), bucket);
        database.unfinished.buckets.insert(key.clone());
        Ok(())
    })?;
    let (folder, backups) = (core.content.bucket(key), core.content.bucket_backups(key));
    blocking(core, move || {
        // Somebody who was killed may have left others by that name.
        for left in [&folder, &backups] {
            crate::content::remove(left)?;
        }
        std::fs::create_dir_all(folder).map_err(Failure::from)
    })
    .await
}

/// Says that all is there that a new bucket has.
pub(crate) fn finish(core: &Core, key: &BucketKey) -> Result<(), Failure> {
    core.store.change(|database| {
        database.unfinished.buckets.remove(key);
        Ok(())
    })
}

/// `PUT` and `PATCH .../buckets/BUCKET`. The servers take any `If-Match`, but for a patch on LXD.
pub(crate) async fn update(call: Call, pool: &str, name: &str) -> Result<Reply, Failure> {
    let patch = call.method == http::Method::PATCH;
    let failed = |failure: Failure| failure.within("Failed updating storage bucket");
    let (key, old) = call.core.store.read(|database| {
        let (key, bucket) = buckets::find(&call, database, pool, name)
            .map_err(|failure| if patch { failure } else { failed(failure) })?;
        if !call.core.behaviour.incus {
            etag::check(&call.headers, &buckets::recipe(&key, bucket))?;
        }
        Ok::<_, Failure>((key, bucket.config.clone()))
    })?;
    let fields = call.fields("StorageBucketPut").await?;
    let (description, sent) = (fields.text("description")?, fields.config("config")?);
    if patch && sent.is_none() && !old.is_empty() {
        // There the servers panic and close the connection.
        return Err(Failure::internal("assignment to entry in nil map"));
    }
    let sent = sent.unwrap_or_default();
    let new = if patch { merged(&old, &sent) } else { cleaned(&sent) };
    let core = Arc::clone(&call.core);
    let (plan, requestor) = (plan(&call, "Updating storage bucket", &key), call.requestor());
    call.change(asynchronous(&core), plan, async move {
        core.store.read(|database| check_config(&core, database, &key, &new)).map_err(failed)?;
        core.store.change(|database| {
            let bucket = database.buckets.get_mut(&key).ok_or_else(buckets::gone)?;
            bucket.description = description;
            bucket.config = new;
            Ok::<(), Failure>(())
        })?;
        let source = core.store.read(|database| buckets::url(database, &key));
        core.happened(&key.project, "storage-bucket-updated", source, None, requestor);
        Ok(Reply::done())
    })
    .await
}

/// `DELETE .../buckets/BUCKET`, with its keys, backups and objects.
pub(crate) async fn delete(call: Call, pool: &str, name: &str) -> Result<Reply, Failure> {
    let found =
        call.core.store.read(|database| buckets::find(&call, database, pool, name).map(|(key, _)| key));
    let key = found.map_err(|failure| failure.within("Failed deleting storage bucket"))?;
    let core = Arc::clone(&call.core);
    let (plan, requestor) = (plan(&call, "Deleting storage bucket", &key), call.requestor());
    call.change(asynchronous(&core), plan, async move {
        let source = core.store.read(|database| buckets::url(database, &key));
        forget(&core, &key).await?;
        core.happened(&key.project, "storage-bucket-deleted", source, None, requestor);
        Ok(Reply::done())
    })
    .await
}

/// Removes a bucket from the database and from the disk.
pub(crate) async fn forget(core: &Arc<Core>, key: &BucketKey) -> Result<(), Failure> {
    core.store.change(|database| {
        database.buckets.remove(key).ok_or_else(buckets::gone)?;
        database.unfinished.buckets.remove(key);
        Ok::<(), Failure>(())
    })?;
    let folders = [core.content.bucket(key), core.content.bucket_backups(key)];
    blocking(core, move || {
        folders.iter().try_for_each(|folder| crate::content::remove(folder)).map_err(Failure::from)
    })
    .await
}
