//! Exports and imports of buckets on a server that is killed.

use std::net::TcpListener;

use http::Method;
use lxd_storage::{
    Client, CreatedBucket, ErrorKind, PoolHandle, Upload,
    types::{Compression, StorageBucketsPost},
};
use lxd_tests::{Slot, why_no_buckets};
use serde_json::json;

use crate::{
    s3::Objects,
    servers::{Folder, Servers, WIRES, noise, on_servers, skipped},
};

/// Gives a server an address for its buckets.
async fn make_ready(servers: &Servers, slot: Slot, client: &Client) -> PoolHandle {
    let https = servers.with(slot, |daemon| daemon.https_url().to_owned());
    let host = https.strip_prefix("https://").unwrap().rsplit_once(':').unwrap().0;
    let mut set = Err(String::new());
    for _ in 0..5 {
        // Free now; another one if somebody was faster.
        let address = TcpListener::bind((host, 0)).unwrap().local_addr().unwrap();
        let body = json!({"config": {"core.storage_buckets_address": address.to_string()}});
        let patch = client.request(Method::PATCH, "/1.0").json(&body);
        set = patch.change().await.map(drop).map_err(|error| error.to_string());
        if set.is_ok() {
            break;
        }
    }
    set.unwrap();
    client.storage_pool("dir0")
}

/// A bucket with noise in it.
async fn bucket_with(servers: &Servers, slot: Slot, pool: &PoolHandle, noise: &[u8]) -> CreatedBucket {
    let created = pool.buckets().create(StorageBucketsPost::new("data")).await.unwrap();
    objects(servers, slot, &created).put("noise", noise.to_vec()).await.unwrap();
    created
}

fn objects(servers: &Servers, slot: Slot, created: &CreatedBucket) -> Objects {
    let admin = created.admin_key.as_ref().unwrap();
    servers.with(slot, |daemon| {
        Objects::new(lxd_tests::Server::Daemon(daemon), &created.bucket, &admin.access_key, &admin.secret_key)
    })
}

#[test]
fn a_bucket_is_exported_and_imported_again_once_the_server_is_back() {
    on_servers(async || {
        for slot in [Slot::Incus7, Slot::Incus] {
            if let Some(reason) = why_no_buckets(slot) {
                skipped(&format!("no buckets: {reason}"));
                continue;
            }
            let Some(servers) = Servers::start(&[slot]) else { continue };
            let pool = make_ready(&servers, slot, &servers.client(slot, WIRES[0])).await;
            for wire in WIRES {
                let (folder, noise) = (Folder::new(&format!("bucket{wire}")), noise(24 << 20));
                let client = servers.client(slot, wire);
                let pool = client.storage_pool(pool.name());
                let created = bucket_with(&servers, slot, &pool, &noise).await;
                let bucket = created.bucket.handle();

                let mut killer = servers.killer(slot, 1 << 20);
                let export = bucket.export().with_compression(Compression::None);
                let export = export.with_progress(move |done| killer(done.bytes));
                let error = export.to_file(folder.file("data.tar")).await.unwrap_err();
                assert_eq!(error.kind(), ErrorKind::Interrupted, "{slot} {wire}: {error:?}");
                assert!(folder.names().is_empty(), "{:?}", folder.names());
                let direct = client.server().await.unwrap().api_extensions.has("direct_backup");
                assert_eq!(error.to_string().contains("is left on the server"), !direct, "{error}");
                servers.start_again(slot);
                let export = bucket.export().with_compression(Compression::None);
                export.to_file(folder.file("data.tar")).await.unwrap();
                bucket.delete().await.unwrap();

                let mut killer = servers.killer(slot, 1 << 20);
                let upload = Upload::file(folder.file("data.tar")).await.unwrap();
                let upload = upload.with_progress(move |done| killer(done.bytes));
                let error = pool.buckets().import_backup(upload, Some("data")).await.unwrap_err();
                assert_eq!(error.kind(), ErrorKind::Interrupted, "{slot} {wire}: {error:?}");
                assert!(error.to_string().contains("bucket \"data\" in pool \"dir0\""), "{error}");
                servers.start_again(slot);
                assert!(!bucket.exists().await.unwrap());

                let upload = Upload::file(folder.file("data.tar")).await.unwrap();
                pool.buckets().import_backup(upload, Some("data")).await.unwrap();
                let read = objects(&servers, slot, &created).get("noise").await.unwrap();
                assert!(read == noise, "{slot} {wire}: the bytes differ");
                bucket.delete().await.unwrap();
            }
        }
    });
}
