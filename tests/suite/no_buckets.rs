//! Servers without buckets: every call says which API extension is missing, and nothing is sent.

use bytes::Bytes;
use lxd_storage::{
    Error, ErrorKind, Field, Upload,
    types::{
        BucketKeyRole, Patch, StorageBucketBackupsPost, StorageBucketKeyPut, StorageBucketKeysPost,
        StorageBucketPut, StorageBucketsPost,
    },
};

use crate::ctx::{Ctx, cases};

cases![what_the_server_lacks_is_named];

fn lacks<T>(result: Result<T, Error>) -> String {
    let error = result.err().unwrap();
    assert_eq!(error.kind(), ErrorKind::UnsupportedExtension, "{error}");
    error.extension().unwrap().to_owned()
}

async fn what_the_server_lacks_is_named(ctx: Ctx) {
    let buckets = ctx.ready_pools()[0].buckets();
    let bucket = ctx.ready_pools()[0].bucket("photos");
    let key = bucket.key("k");
    let mut put = StorageBucketKeyPut::default();
    put.role = BucketKeyRole::Admin;
    for missing in [
        lacks(buckets.all().await),
        lacks(buckets.filtered(Field::Name.eq("photos")).await),
        lacks(buckets.all_projects().await),
        lacks(buckets.full().await),
        lacks(bucket.full().await),
        lacks(buckets.get("photos").await),
        lacks(buckets.exists("photos").await),
        lacks(buckets.create(StorageBucketsPost::new("photos")).await),
        lacks(bucket.raw_put(&StorageBucketPut::default()).await),
        lacks(bucket.raw_patch(&Patch::new()).await),
        lacks(bucket.edit(|_| {}).await),
        lacks(bucket.delete().await),
        lacks(bucket.keys().all().await),
        lacks(bucket.keys().create(StorageBucketKeysPost::new("k", BucketKeyRole::Admin)).await),
        lacks(key.get().await),
        lacks(key.raw_put(&put).await),
        lacks(key.delete().await),
    ] {
        assert_eq!(missing, "storage_buckets");
    }
    let backup = bucket.backup("b");
    for missing in [
        lacks(bucket.backups().all().await),
        lacks(bucket.backups().create(StorageBucketBackupsPost::new("b")).await),
        lacks(backup.exists().await),
        lacks(backup.rename("c").await),
        lacks(backup.delete().await),
        lacks(backup.download().await),
        lacks(bucket.export().open().await),
        lacks(buckets.import_backup(Upload::from(Bytes::from_static(b"\x1f\x8b")), Some("photos")).await),
    ] {
        assert_eq!(missing, "storage_bucket_backup");
    }
    let sent = ctx.sent.take();
    assert!(sent.iter().all(|request| request == "GET /1.0"), "{sent:?}");
}
