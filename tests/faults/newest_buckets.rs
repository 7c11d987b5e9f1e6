//! Buckets on newest LXD, which makes, changes and deletes them in the background, and in pools of `cephobject` only.

use lxd_storage::{
    ErrorKind, PoolHandle,
    types::{BucketKeyRole, StorageBucketKeysPost, StorageBucketsPost},
};
use serde_json::{Value, json};

use crate::{
    newer::{ID, accepted, is_wait, wait_failed},
    script::{Reply, Script, sync},
};

const BUCKETS: &str = "/1.0/storage-pools/p/buckets";

fn succeeded(metadata: &Value) -> Reply {
    sync(&json!({"id": ID, "class": "task", "status_code": 200, "metadata": metadata}).to_string())
}

/// A server with one bucket, whose work ends like this.
fn newest_lxd(driver: &'static str, end: impl Fn() -> Reply + Send + Sync + 'static) -> Script {
    Script::start(move |request| match request {
        "GET /1.0" => sync(
            // `storage_buckets_local` is no longer among them.
            r#"{"auth":"trusted","api_extensions":["storage_buckets","storage_buckets_create_credentials",
                "storage_and_network_operations"]}"#,
        ),
        wait if is_wait(wait) => end(),
        "GET /1.0/storage-pools/p" => sync(&json!({"name": "p", "driver": driver, "config": {}}).to_string()),
        "GET /1.0/storage-pools/p/buckets/photos" => sync(
            r#"{"name":"photos","description":"d","config":{"size":"1GiB","volatile.uuid":"5c1a"},"location":"",
                "s3_url":"https://s3.example.net/photos","project":"default","ID":7,"PoolID":1,"PoolName":"p"}"#,
        ),
        get if get.starts_with("GET") => panic!("{get}"),
        _ => accepted(),
    })
}

fn pool(script: &Script) -> PoolHandle {
    script.client().storage_pool("p")
}

#[tokio::test]
async fn changes_and_deletions_are_awaited() {
    let script = newest_lxd("cephobject", || succeeded(&json!({})));
    let mut bucket = pool(&script).buckets().get("photos").await.unwrap();
    bucket.set_description("holiday");
    bucket.save().await.unwrap();
    let put: Value = serde_json::from_str(&script.sent(&format!("PUT {BUCKETS}/photos")).body).unwrap();
    // What the database let out doesn't go back.
    let expected = json!({"description": "holiday", "config": {"size": "1GiB", "volatile.uuid": "5c1a"}});
    assert_eq!(put, expected);
    bucket.key("viewer").delete().await.unwrap();
    bucket.delete().await.unwrap();
    let seen = script.seen();
    let changes = seen.iter().enumerate().filter(|(_, request)| !request.starts_with("GET"));
    let awaited: Vec<bool> = changes.map(|(index, _)| is_wait(&seen[index + 1])).collect();
    assert_eq!(awaited, [true, true, true], "{seen:?}");
}

#[tokio::test]
async fn a_key_that_cannot_be_read_is_told_without_its_secret() {
    let script =
        newest_lxd("cephobject", || succeeded(&json!({"key": {"name": "admin", "secret-key": ["SKADMIN"]}})));
    let error = pool(&script).buckets().create(StorageBucketsPost::new("photos")).await.unwrap_err();
    assert_eq!((error.kind(), error.operation()), (ErrorKind::Decode, Some(ID)));
    assert!(!format!("{error} {error:?}").contains("SKADMIN"), "{error:?}");

    // Without any key the bucket is as good.
    let script = newest_lxd("cephobject", || succeeded(&json!({})));
    let created = pool(&script).buckets().create(StorageBucketsPost::new("photos")).await.unwrap();
    assert!(created.admin_key.is_none());
}

#[tokio::test]
async fn a_taken_name_comes_out_of_the_operation() {
    let script = newest_lxd("cephobject", || wait_failed(409, "A bucket for that name already exists"));
    let error = pool(&script).buckets().create(StorageBucketsPost::new("photos")).await.unwrap_err();
    assert!(error.is_already_exists() && error.operation() == Some(ID), "{error:?}");
    let own = StorageBucketKeysPost::new("viewer", BucketKeyRole::Admin).with_credentials("AKOWN", "SKOWN");
    let error = pool(&script).bucket("photos").keys().create(own).await.unwrap_err();
    assert!(error.is_already_exists() && !format!("{error:?}").contains("SKOWN"), "{error:?}");
}

#[tokio::test]
async fn other_drivers_have_none() {
    let script = newest_lxd("zfs", accepted);
    let error = pool(&script).buckets().create(StorageBucketsPost::new("photos")).await.unwrap_err();
    assert_eq!(error.extension(), Some("storage_buckets_local"));
    assert!(!script.seen().iter().any(|request| request.starts_with("POST")), "{:?}", script.seen());
}
