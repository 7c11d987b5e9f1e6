//! Buckets of the newest LXD, which makes them in the background and in pools of `cephobject` only, and what no client of
//! ours asks for: requests without a config, other programs' mistakes, expiry.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    missing_docs,
    reason = "a test fails by panicking"
)]

mod support;

use std::time::Duration;

use lxd_emulator::{Emulator, Personality};
use lxd_storage::{
    Client,
    types::{
        BucketKeyRole, Expiry, StorageBucketBackupsPost, StorageBucketKeysPost, StorageBucketsPost,
        StoragePoolsPost,
    },
};
use support::send;

const BUCKETS: &str = "/1.0/storage-pools/p/buckets";

async fn with_pool(personality: Personality, driver: &str) -> (Emulator, Client) {
    let drivers = ["dir", "cephobject"].map(str::to_owned);
    let emulator = Emulator::builder(personality).drivers(drivers).build().unwrap();
    let client = Client::new(emulator.transport());
    client.storage_pools().create(StoragePoolsPost::new("p", driver)).await.unwrap();
    (emulator, client)
}

#[tokio::test]
async fn newest_lxd_has_them_in_cephobject_only() {
    let (emulator, client) = with_pool(Personality::LxdNew, "cephobject").await;
    let pool = client.storage_pool("p");
    let answer = send(&emulator, "POST", BUCKETS, r#"{"name":"first"}"#).await;
    assert_eq!(answer.status, 202);
    let created = pool.buckets().create(StorageBucketsPost::new("photos")).await.unwrap();
    let admin = created.admin_key.unwrap();
    assert_eq!((&*admin.name, admin.secret_key.expose().len()), ("admin", 40));
    let mut bucket = created.bucket;
    assert!(bucket.config().get("volatile.uuid").is_some() && bucket.s3_url().is_none());
    bucket.set_description("d");
    bucket.save().await.unwrap();
    let key = StorageBucketKeysPost::new("viewer", BucketKeyRole::ReadOnly);
    let mut key = bucket.keys().create(key).await.unwrap();
    key.delete().await.unwrap();
    let error = pool.buckets().create(StorageBucketsPost::new("photos")).await.unwrap_err();
    assert!(error.is_already_exists(), "{error:?}");
    bucket.delete().await.unwrap();

    let answer = send(&emulator, "GET", &format!("{BUCKETS}/first/backups"), "").await;
    assert_eq!(answer.status, 404, "only Incus has backups of buckets");
    let (emulator, _) = with_pool(Personality::LxdNew, "dir").await;
    let answer = send(&emulator, "GET", BUCKETS, "").await;
    assert_eq!(
        (answer.status, &*answer.error()),
        (400, "Storage pool driver \"dir\" does not support buckets")
    );
}

#[tokio::test]
async fn lxd_5_knows_no_such_endpoint() {
    let (emulator, _) = with_pool(Personality::Lxd5, "dir").await;
    let answer = send(&emulator, "GET", BUCKETS, "").await;
    assert_eq!((answer.status, &*answer.error()), (404, "not found"));
}

#[tokio::test]
async fn mistakes_are_told_in_the_servers_words() {
    let (emulator, _) = with_pool(Personality::Incus6, "dir").await;
    let creating = "Failed creating storage bucket: ";
    for (body, status, text) in [
        (r#"{"name":"ab"}"#, 500, "Bucket name must be between 3 and 63 lowercase letters"),
        (
            r#"{"name":"photos","config":{"frob":"1"}}"#,
            500,
            "Invalid option for volume \"default_photos\" option \"frob\"",
        ),
        (r#"{"name":"photos","config":{"size":"1GiB"}}"#, 500, "Size cannot be specified for buckets"),
    ] {
        let answer = send(&emulator, "POST", BUCKETS, body).await;
        assert_eq!(answer.status, status);
        assert!(answer.error().starts_with(&format!("{creating}{text}")), "{}", answer.error());
    }
    let answer = send(&emulator, "POST", BUCKETS, r#"{"name":"photos","config":{"user.a":"1"}}"#).await;
    assert_eq!(
        (answer.status, answer.location.as_deref()),
        (201, Some("/1.0/storage-pools/p/buckets/photos"))
    );
    let answer = send(&emulator, "POST", BUCKETS, r#"{"name":"photos"}"#).await;
    assert_eq!(answer.status, 409);
    // Where the real ones fall over the emulator says so.
    let bucket = format!("{BUCKETS}/photos");
    let answer = send(&emulator, "PATCH", &bucket, r#"{"description":"d"}"#).await;
    assert_eq!((answer.status, &*answer.error()), (500, "assignment to entry in nil map"));
    let keys = format!("{bucket}/keys");
    for (body, status, text) in [
        (r#"{"name":"k","role":"boss"}"#, 500, "Invalid key role"),
        (r#"{"role":"admin"}"#, 500, "Key name is required"),
        (r#"{"name":"admin","role":"admin"}"#, 409, "A bucket key for that name already exists"),
    ] {
        let answer = send(&emulator, "POST", &keys, body).await;
        assert_eq!(
            (answer.status, answer.error()),
            (status, format!("Failed creating storage bucket key: {text}"))
        );
    }
    let (method, body) = ("PATCH", r#"{"role":"read-only"}"#);
    assert_eq!(send(&emulator, method, &format!("{keys}/admin"), body).await.status, 501);
    let pool = send(&emulator, "DELETE", "/1.0/storage-pools/p", "").await;
    assert_eq!((pool.status, &*pool.error()), (400, "The storage pool is currently in use"));
}

#[tokio::test]
async fn backups_expire() {
    let (emulator, client) = with_pool(Personality::Incus6, "dir").await;
    let bucket =
        client.storage_pool("p").buckets().create(StorageBucketsPost::new("photos")).await.unwrap().bucket;
    let at = |text: &str| Expiry::At(text.parse().unwrap());
    let soon = StorageBucketBackupsPost::new("..").with_expiry(at("2000-01-01T00:00:00Z"));
    bucket.backups().create(soon).await.unwrap();
    bucket
        .backups()
        .create(StorageBucketBackupsPost::new("late").with_expiry(at("2999-01-01T00:00:00Z")))
        .await
        .unwrap();
    emulator.advance(Duration::from_secs(120));
    assert!(!bucket.backups().exists("..").await.unwrap());
    assert!(bucket.backups().exists("late").await.unwrap());
}
