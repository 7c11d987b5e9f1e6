//! Endpoints that we don't model.

use http::Method;
use lxd_storage::ErrorKind;
use serde_json::{Value, json};

use crate::ctx::{Ctx, cases};

cases![
    fetch_decodes_and_keeps_the_etag,
    changes_work_at_once_and_in_the_background,
    errors_are_those_of_every_call
];

async fn fetch_decodes_and_keeps_the_etag(ctx: Ctx) {
    let profile = ctx.client.request(Method::GET, "/1.0/profiles/default").fetch::<Value>().await.unwrap();
    assert_eq!(profile.value["name"], "default");
    assert!(profile.etag.is_some());
    let names =
        ctx.client.request(Method::GET, "/1.0/profiles").query("recursion", "0").fetch::<Vec<String>>().await;
    assert!(!names.unwrap().value.is_empty());
}

async fn changes_work_at_once_and_in_the_background(ctx: Ctx) {
    let profile = ctx.name("profile");
    let request = ctx.client.request(Method::POST, "/1.0/profiles").json(&json!({"name": profile}));
    request.change().await.unwrap();
    ctx.client.request(Method::DELETE, &format!("/1.0/profiles/{profile}")).change().await.unwrap();

    let pool = ctx.ready_pools().remove(0);
    let mut volume = ctx.new_volume(&pool, "v").await;
    let path = format!("/1.0/storage-pools/{}/volumes/custom/{}/snapshots", pool.name(), volume.name());
    let operation =
        ctx.client.request(Method::POST, &path).json(&json!({"name": "s"})).change().await.unwrap();
    assert_eq!(operation["status_code"], 200);
    volume.delete().await.unwrap();
}

async fn errors_are_those_of_every_call(ctx: Ctx) {
    let error = ctx.client.request(Method::GET, "/1.0/no-such-thing").fetch::<Value>().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotFound);
    let error =
        ctx.client.request(Method::GET, "/1.0/profiles/default").fetch::<Vec<u8>>().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Decode);
    let error = ctx.client.request(Method::GET, "no-slash").fetch::<Value>().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidInput);
    let error =
        ctx.client.request(Method::POST, "/1.0/profiles").json(&"no object").change().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidInput, "{error:?}");
}
