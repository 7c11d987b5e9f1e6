//! The calls about buckets, for servers that have them.

use bytes::Bytes;
use lxd_storage::{
    Error, Upload,
    types::{
        BucketKeyRole, Patch, StorageBucketBackupsPost, StorageBucketKeysPost, StorageBucketPut,
        StorageBucketsPost,
    },
};

use crate::{
    calls::calls,
    fixture::{DEADLINE, bucket, pool},
};

calls![
    BUCKET_CALLS:
    "buckets.all": |client| async move { pool(&client).buckets().all().await },
    "buckets.get": |client| async move { pool(&client).buckets().get("photos").await },
    "buckets.exists": |client| async move { pool(&client).buckets().exists("photos").await },
    "buckets.full": |client| async move { pool(&client).buckets().full().await },
    "buckets.create": |client| pool(&client).buckets().create(StorageBucketsPost::new("new")).with_deadline(DEADLINE),
    "buckets.import": |client| async move {
        let upload = Upload::from(Bytes::from_static(&[0x1f, 0x8b, 7, 7]));
        match pool(&client).buckets().import_backup(upload, Some("new")).with_deadline(DEADLINE).await {
            // What isn't refused before is no archive.
            Err(error) if error.server_message().is_some_and(|said| said.contains("gzip") || said.contains("end of file")) => Ok(()),
            other => other.map(drop),
        }
    },
    "bucket.raw_put": |client| bucket(&client).raw_put(&StorageBucketPut::default()).with_deadline(DEADLINE),
    "bucket.raw_patch": |client| bucket(&client).raw_patch(&Patch::new().with_config("user.k", "v")).with_deadline(DEADLINE),
    "bucket.edit": |client| async move {
        bucket(&client).edit(|put| put.description = "edited".to_owned()).await
    },
    "bucket.export": |client| async move { bucket(&client).export().to_writer(&mut tokio::io::sink()).await },
    "bucket.delete": |client| bucket(&client).delete().with_deadline(DEADLINE),
    "keys.all": |client| async move { bucket(&client).keys().all().await },
    "keys.get": |client| async move { bucket(&client).keys().get("admin").await },
    "keys.create": |client| {
        let post = StorageBucketKeysPost::new("new", BucketKeyRole::ReadOnly);
        bucket(&client).keys().create(post).with_deadline(DEADLINE)
    },
    "key.edit": |client| async move {
        bucket(&client).key("admin").edit(|put| put.description = "edited".to_owned()).await
    },
    "key.delete": |client| bucket(&client).key("admin").delete().with_deadline(DEADLINE),
    "bucket backups.get": |client| async move { bucket(&client).backups().get("b").await },
    "bucket backups.create": |client| {
        bucket(&client).backups().create(StorageBucketBackupsPost::new("new")).with_deadline(DEADLINE)
    },
    "bucket backup.rename": |client| bucket(&client).backup("b").rename("new").with_deadline(DEADLINE),
    "bucket backup.delete": |client| bucket(&client).backup("b").delete().with_deadline(DEADLINE),
    "bucket backup.download": |client| async move {
        let mut download = bucket(&client).backup("b").download().await?;
        while let Some(chunk) = download.chunk().await {
            chunk?;
        }
        Ok::<(), Error>(())
    },
];
