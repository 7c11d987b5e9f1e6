//! Thirteen defects that a reader of pylxd's source finds, each shown not to be here. The numbers are those of the
//! list; what only a misbehaving or newer server can show is in `tests/faults`.

use std::time::{Duration, Instant};

use http::Method;
use lxd_storage::{
    Client, ErrorKind,
    transport::{HttpTransport, Identity, Reached, ServerTrust, Tls},
    types::{StorageVolumePut, StorageVolumesPost, VolumeType},
};
use serde_json::json;

use crate::ctx::{Ctx, cases};

cases![
    d01_names_in_lists_are_names,
    d02_save_keeps_the_description,
    d03_objects_are_not_stale_after_put_and_patch,
    d04_starting_a_creation_reads_nothing_back,
    d05_a_failed_rename_keeps_the_old_name,
    d06_names_are_encoded,
    d07_bad_arguments_are_errors,
    d08_absent_attributes_are_none,
    d09_a_deleted_object_says_so,
    d10_upgrades_verify_the_server_too,
    d11_waits_have_an_end,
    d12_no_name_is_ever_none,
    d13_a_failed_restore_is_an_error,
];

async fn d01_names_in_lists_are_names(ctx: Ctx) {
    let project = ctx.name("pr");
    let body = json!({"name": project, "config": {"features.storage.volumes": "true", "features.profiles": "false"}});
    ctx.client.request(Method::POST, "/1.0/projects").json(&body).change().await.unwrap();
    let pool = ctx.ready_pools().remove(0).with_project(&*project);
    let (name, encoded) = match ctx.odd("a b") == "a b" {
        true => ("100% é", "100%25%20%C3%A9"),
        false => ("100%é1", "100%25%C3%A91"),
    };
    let mut volume = pool.volumes().create(StorageVolumesPost::new(name)).await.unwrap();
    let path = format!("/1.0/storage-pools/{}/volumes/custom/{encoded}/snapshots", pool.name());
    pool.client().request(Method::POST, &path).json(&json!({"name": "s"})).change().await.unwrap();

    let all = pool.volumes().all().await.unwrap();
    assert_eq!(all.iter().map(|volume| volume.name()).collect::<Vec<_>>(), [name]);
    assert_eq!(all[0].volume_type(), &VolumeType::Custom);
    volume.delete().await.unwrap();
    ctx.client.request(Method::DELETE, &format!("/1.0/projects/{project}")).change().await.unwrap();
}

async fn d02_save_keeps_the_description(ctx: Ctx) {
    let pool = ctx.ready_pools().remove(0);
    let post = StorageVolumesPost::new(ctx.name("v")).with_description("precious");
    let mut volume = pool.volumes().create(post).await.unwrap();
    volume.config_mut().set("user.k", "v");
    volume.save().await.unwrap();
    assert_eq!(volume.get().await.unwrap().description(), "precious");
    volume.delete().await.unwrap();
}

async fn d03_objects_are_not_stale_after_put_and_patch(ctx: Ctx) {
    let pool = ctx.ready_pools().remove(0);
    let mut volume = ctx.new_volume(&pool, "v").await;
    for round in 0..5 {
        let mut put = volume.object().to_put();
        put.config.set("user.round", round);
        volume.put(&put).await.unwrap();
        assert_eq!(volume.config().text("user.round"), Some(&*round.to_string()));
    }
    volume.delete().await.unwrap();
}

async fn d04_starting_a_creation_reads_nothing_back(ctx: Ctx) {
    let pool = ctx.pool("dir0");
    let pending = pool.volumes().create(StorageVolumesPost::new(ctx.name("v"))).start().await.unwrap();
    assert_eq!(ctx.sent.take(), ["POST /1.0/storage-pools/dir0/volumes/custom"]);
    pending.await.unwrap().delete().await.unwrap();
}

async fn d05_a_failed_rename_keeps_the_old_name(ctx: Ctx) {
    let pool = ctx.ready_pools().remove(0);
    let mut volume = ctx.new_volume(&pool, "v").await;
    let old = volume.name().to_owned();
    assert!(volume.rename(&*old).await.unwrap_err().is_already_exists());
    assert_eq!(volume.name(), old);
    volume.sync().await.unwrap();
    volume.delete().await.unwrap();
}

async fn d06_names_are_encoded(ctx: Ctx) {
    let mut pool = ctx.new_pool("p").await;
    for name in ["a b", "a%20b", "a?b", "a#b"].map(|name| ctx.odd(name)) {
        let mut volume = pool.volumes().create(StorageVolumesPost::new(&*name)).await.unwrap();
        assert_eq!(pool.volumes().all().await.unwrap().len(), 1);
        assert_eq!(volume.get().await.unwrap().object().name, name);
        volume.delete().await.unwrap();
    }
    pool.delete().await.unwrap();
}

async fn d07_bad_arguments_are_errors(ctx: Ctx) {
    let volumes = ctx.ready_pools()[0].volumes();
    let error = volumes.create(StorageVolumesPost::new("")).await.unwrap_err();
    assert_eq!((error.kind(), error.request_reached_server()), (ErrorKind::InvalidInput, Reached::No));
    let error = volumes.get(VolumeType::Custom, "").await.unwrap_err();
    assert_eq!((error.kind(), error.request_reached_server()), (ErrorKind::InvalidInput, Reached::No));
}

async fn d08_absent_attributes_are_none(ctx: Ctx) {
    let pool = ctx.ready_pools()[0].get().await.unwrap();
    assert_eq!(pool.managed(), None);
}

async fn d09_a_deleted_object_says_so(ctx: Ctx) {
    let pool = ctx.ready_pools().remove(0);
    let mut volume = ctx.new_volume(&pool, "v").await;
    volume.delete().await.unwrap();
    assert!(volume.save().await.unwrap_err().to_string().contains("deleted"));
}

async fn d10_upgrades_verify_the_server_too(ctx: Ctx) {
    use lxd_storage::transport::{Body, Limits, Transport, http::Request};

    let (certificate, key) = ctx.server().client_identity();
    let tls = Tls::builder(ctx.server().https_url())
        .identity(Identity::from_pem(certificate.as_bytes(), key.as_bytes()).unwrap())
        .trust(ServerTrust::fingerprint(&"ab".repeat(32)).unwrap())
        .build()
        .unwrap();
    let transport = HttpTransport::new(tls);
    let request = Request::builder()
        .uri("/1.0/events")
        .header("Connection", "Upgrade")
        .header("Upgrade", "websocket")
        .header("Sec-WebSocket-Version", "13")
        .header("Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ==")
        .body(Body::empty())
        .unwrap();
    let error = transport.send_within(request, Limits::METADATA).await.unwrap_err();
    assert_eq!(
        (error.kind(), error.reached()),
        (lxd_storage::transport::ErrorKind::Tls, Reached::No),
        "{error:?}"
    );
    let error = Client::new(transport).storage_pools().all().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Tls);
}

async fn d11_waits_have_an_end(ctx: Ctx) {
    let pool = ctx.ready_pools().remove(0);
    let mut volume = ctx.new_volume(&pool, "v").await;
    let path = format!("/1.0/storage-pools/{}/volumes/custom/{}", pool.name(), volume.name());
    let body = json!({"name": volume.name(), "migration": true});
    let change = ctx.client.request(Method::POST, &path).json(&body).change();
    let started = Instant::now();
    let error = change.with_deadline(Duration::from_millis(500)).await.unwrap_err();
    assert!(
        matches!(error.kind(), ErrorKind::Timeout(_)) && started.elapsed() < Duration::from_secs(5),
        "{error:?}"
    );
    volume.delete().await.unwrap();
}

async fn d12_no_name_is_ever_none(ctx: Ctx) {
    let pool = ctx.ready_pools().remove(0);
    let mut volume = ctx.new_volume(&pool, "v").await;
    ctx.sent.take();
    let path = format!("/1.0/storage-pools/{}/volumes/custom/{}/snapshots", pool.name(), volume.name());
    ctx.client.request(Method::POST, &path).json(&json!({})).change().await.unwrap();
    let sent = ctx.sent.take();
    assert!(sent.iter().all(|request| !request.contains("None")), "{sent:?}");
    volume.delete().await.unwrap();
}

async fn d13_a_failed_restore_is_an_error(ctx: Ctx) {
    for pool in ctx.ready_pools() {
        let mut volume = ctx.new_volume(&pool, "v").await;
        let file = ctx.content(&volume).join("file");
        std::fs::write(&file, b"before").unwrap();
        let path = format!("/1.0/storage-pools/{}/volumes/custom/{}/snapshots", pool.name(), volume.name());
        ctx.client.request(Method::POST, &path).json(&json!({"name": "s"})).change().await.unwrap();
        std::fs::write(&file, b"after").unwrap();

        let mut put = StorageVolumePut::default();
        put.restore = Some("nobody".to_owned());
        assert!(volume.raw_put(&put).await.is_err());
        put.restore = Some("s".to_owned());
        volume.raw_put(&put).await.unwrap();
        assert_eq!(std::fs::read(&file).unwrap(), b"before");
        volume.delete().await.unwrap();
    }
}
