//! Buckets out of their uploaded backups.

use std::sync::Arc;

use crate::{
    api::{
        bucket_backups::{Index, OBJECTS},
        bucket_keys::{self, Wanted},
        buckets::{check_config, check_name, finish, forget, insert, new_key, plan},
        import::{own, receive},
    },
    archive::{self, Unreadable},
    arrival::Arrival,
    call::Call,
    core::{Core, blocking},
    envelope::Reply,
    failure::Failure,
    state::{Bucket, BucketKey},
};

/// `POST .../buckets` with an archive instead of JSON.
pub(crate) async fn create(call: Call, pool: &str) -> Result<Reply, Failure> {
    new_key(&call, pool, "")?;
    let upload = receive(&call).await?;
    let (core, path) = (Arc::clone(&call.core), upload.path().to_owned());
    let read = blocking(&core, move || Ok::<_, std::io::Error>(archive::index::<Index>(&path))).await?;
    let index = read.map_err(|unreadable| match unreadable {
        Unreadable::Compression => Failure::bad_request("Unsupported compression"),
        Unreadable::NoIndex => Failure::bad_request("Backup is missing at \"backup/index.yaml\""),
        Unreadable::Broken(error) => Failure::internal(error.to_string()),
    })?;
    let mut name = own(&call, "name");
    if name.is_empty() {
        name.clone_from(&index.name);
    }
    let key = new_key(&call, pool, &name)?;
    let plan = plan(&call, "Restoring bucket backup", &key);
    let (working, requestor) = (Arc::clone(&core), call.requestor());
    let operation = core.operations.start(plan, |_| async move {
        let restored = restore(&working, &upload, &key, index).await;
        restored.map_err(|failure| failure.within("Create bucket from backup"))?;
        let source = working.store.read(|database| crate::buckets::url(database, &key));
        working.happened(&key.project, "storage-bucket-created", source, None, requestor);
        Ok(())
    });
    call.accepted(&operation)
}

async fn restore(core: &Arc<Core>, upload: &Arrival, key: &BucketKey, index: Index) -> Result<(), Failure> {
    let entry = index.config.bucket.as_ref();
    let entry = entry.ok_or_else(|| Failure::internal("Valid bucket config not found in index"))?;
    check_name(&key.name)?;
    core.store.read(|database| check_config(core, database, key, &entry.config))?;
    let bucket = Bucket {
        description: entry.description.clone(),
        config: entry.config.clone(),
        created_at: Some(core.clock.now()),
        keys: std::collections::BTreeMap::new(),
        backups: Vec::new(),
    };
    insert(core, key, bucket).await?;
    let filled = fill(core, upload, key, index).await;
    if filled.is_err() {
        forget(core, key).await?;
    }
    filled
}

async fn fill(core: &Arc<Core>, upload: &Arrival, key: &BucketKey, index: Index) -> Result<(), Failure> {
    for (name, access) in index.keys() {
        bucket_keys::add(core, key, Wanted::restored(name, access))?;
    }
    upload.unpack_into(core, OBJECTS, core.content.bucket(key)).await?;
    finish(core, key)
}
