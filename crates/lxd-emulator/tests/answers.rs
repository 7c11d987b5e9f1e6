//! Answers as the live servers give them, word by word.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    missing_docs,
    reason = "a test fails by panicking"
)]

mod support;

use lxd_emulator::{Emulator, Personality};
use serde_json::{Value, json};
use support::{done, send, send_with, with_pool};

const POOL: &str = "/1.0/storage-pools/p";
const VOLUME: &str = "/1.0/storage-pools/p/volumes/custom/v1";

async fn with_volume(personality: Personality) -> Emulator {
    let emulator = with_pool(personality).await;
    let volume = r#"{"name":"v1","type":"custom","config":{"user.a":"1"},"description":"d"}"#;
    done(&emulator, "POST", "/1.0/storage-pools/p/volumes", volume).await;
    emulator
}

#[tokio::test]
async fn envelopes_have_all_seven_fields_and_errors_a_blank_line() {
    let emulator = Emulator::new(Personality::Lxd5).unwrap();
    let created = send(&emulator, "POST", "/1.0/storage-pools", r#"{"name":"p","driver":"dir"}"#).await;
    let body = r#"{"type":"sync","status":"Success","status_code":200,"operation":"","error_code":0,"error":"","metadata":null}"#;
    assert_eq!((created.status, created.text), (201, format!("{body}\n")));
    assert_eq!(created.location.as_deref(), Some("/1.0/storage-pools/p"));
    let missing = send(&emulator, "GET", "/1.0/nothing", "").await;
    let body = r#"{"type":"error","status":"","status_code":0,"operation":"","error_code":404,"error":"not found","metadata":null}"#;
    assert_eq!((missing.status, missing.text), (404, format!("{body}\n\n")));
}

#[tokio::test]
async fn a_volume_is_shown_with_its_etag() {
    let etag = "\"06f2425b914e4621e041dea1e1c4944fa2c5a4350045ff947259553aec6ff241\"";
    for personality in [Personality::Lxd5, Personality::Incus6] {
        let emulator = with_volume(personality).await;
        let answer = send(&emulator, "GET", VOLUME, "").await;
        assert_eq!(answer.etag.as_deref(), Some(etag));
        let mut shown = answer.metadata();
        let created = shown.as_object_mut().unwrap().remove("created_at").unwrap();
        assert_eq!(created == "0001-01-01T00:00:00Z", personality == Personality::Lxd5, "{created}");
        let expected = json!({
            "config": {"user.a": "1"}, "description": "d", "name": "v1", "type": "custom", "used_by": [],
            "location": "none", "content_type": "filesystem", "project": "default",
        });
        assert_eq!(shown, expected);
    }
}

#[tokio::test]
async fn a_stale_etag_is_refused_before_the_body_is_read() {
    for personality in Personality::ALL {
        let emulator = with_volume(personality).await;
        let answer = send_with(&emulator, "PUT", VOLUME, "{broken", &[("If-Match", "deadbeef")]).await;
        assert_eq!(answer.status, 412);
        assert!(answer.error().ends_with(" vs deadbeef"), "{}", answer.error());
    }
}

#[tokio::test]
async fn refusals_have_the_servers_codes_and_words() {
    let cases: &[(&str, &str, &str, u16, &str)] = &[
        (
            "POST",
            "/1.0/storage-pools",
            "[]",
            400,
            "json: cannot unmarshal array into Go value of type api.StoragePoolsPost",
        ),
        ("POST", "/1.0/storage-pools", "", 400, "EOF"),
        (
            "POST",
            "/1.0/storage-pools",
            r#"{"name":"a/b","driver":"dir"}"#,
            400,
            "Storage pool names may not contain slashes",
        ),
        (
            "POST",
            "/1.0/storage-pools",
            r#"{"name":"p","driver":"dir"}"#,
            409,
            "The storage pool already exists: The record already exists",
        ),
        ("POST", "/1.0/storage-pools", r#"{"name":"q","driver":"no"}"#, 500, "Unknown driver"),
        (
            "POST",
            "/1.0/storage-pools",
            r#"{"name":"q","driver":"dir","config":{"zzz":"1"}}"#,
            500,
            "Invalid option \"zzz\"",
        ),
        ("PATCH", POOL, r#"{"config":{"zzz":"1"}}"#, 400, "Invalid option \"zzz\""),
        ("PUT", POOL, "{}", 500, "Pool source cannot be changed when not in pending state"),
        ("POST", POOL, "{}", 501, "not implemented"),
        ("DELETE", POOL, "", 400, "The storage pool is currently in use"),
        ("GET", "/1.0/storage-pools/none/resources", "", 500, "Storage pool not found"),
        (
            "POST",
            "/1.0/storage-pools/p/volumes/custom",
            r#"{"name":"v1"}"#,
            409,
            "Volume by that name already exists",
        ),
        (
            "POST",
            "/1.0/storage-pools/p/volumes/custom",
            r#"{"name":"v2","config":{"size":"9EiB"}}"#,
            500,
            "Invalid value for volume \"default_v2\" option \"size\": Overflow multiplying 9 with 1152921504606846976",
        ),
        ("PUT", VOLUME, r#"{"restore":"none"}"#, 500, "Snapshot not found"),
        ("GET", "/1.0/storage-pools/p/volumes/custom/none", "", 404, "Storage pool volume not found"),
        ("GET", "/1.0/storage-pools/p/volumes/odd", "", 400, "Invalid storage volume type name"),
        (
            "GET",
            "/1.0/storage-pools/p/volumes?filter=name",
            "",
            500,
            "Invalid filter: clause has no operator",
        ),
        ("GET", "/1.0/storage-pools/p/volumes?project=none", "", 404, "Project not found"),
        ("GET", "/1.0/cluster/members", "", 500, "Server is not clustered"),
        ("GET", "/1.0/operations/none", "", 404, "Operation not found"),
    ];
    let emulator = with_volume(Personality::Lxd5).await;
    for (method, path, body, status, text) in cases {
        let answer = send(&emulator, method, path, body).await;
        assert_eq!((answer.status, &*answer.error()), (*status, *text), "{method} {path} {body}");
    }
}

#[tokio::test]
async fn a_failed_operation_is_told_as_each_server_does() {
    let copy = r#"{"name":"x","source":{"type":"copy","name":"none","pool":"p"}}"#;
    for personality in Personality::ALL {
        let emulator = with_volume(personality).await;
        let waited = done(&emulator, "POST", "/1.0/storage-pools/p/volumes/custom", copy).await;
        assert_eq!(waited.status, 200);
        let body = waited.json();
        let text = "Failed generating volume copy config: Storage volume \"none\" in project \"default\" of type \
                    \"custom\" does not exist on pool \"p\": Storage volume not found";
        if personality == Personality::Lxd5 {
            assert_eq!((&body["type"], &body["metadata"]["err"]), (&json!("sync"), &json!(text)));
        } else {
            assert_eq!(
                (&body["type"], &body["error"], &body["error_code"]),
                (&json!("error"), &json!(text), &json!(404))
            );
        }
    }
}

#[tokio::test]
async fn operations_say_what_they_are_about_in_the_way_of_their_server() {
    for personality in Personality::ALL {
        let emulator = with_volume(personality).await;
        let answer = send(&emulator, "POST", &format!("{VOLUME}/snapshots"), r#"{"name":"s0"}"#).await;
        let operation = answer.metadata();
        let (resources, metadata) = (&operation["resources"], &operation["metadata"]);
        let snapshot = format!("{VOLUME}/snapshots/s0");
        match personality {
            Personality::Lxd5 => {
                assert_eq!(*resources, json!({"storage_volumes": ["/1.0/storage_volumes/v1"]}));
            }
            Personality::Incus6 => {
                let expected = json!({"storage_volume_snapshots": [snapshot], "storage_volumes": [VOLUME]});
                assert_eq!(*resources, expected);
            }
            _ => assert_eq!((resources, metadata), (&json!({}), &json!({"entity_url": snapshot}))),
        }
        assert_eq!(operation.get("err_code").is_some(), personality == Personality::LxdNew);
    }
}

#[tokio::test]
async fn changes_are_synchronous_or_not_as_the_extensions_say() {
    for personality in Personality::ALL {
        let emulator = with_volume(personality).await;
        let expected = if personality == Personality::LxdNew { 202 } else { 200 };
        assert_eq!(send(&emulator, "PUT", VOLUME, "{}").await.status, expected);
        assert_eq!(send(&emulator, "PATCH", POOL, "{}").await.status, expected);
    }
    let asynchronous = Emulator::builder(Personality::Lxd5)
        .with_extension("storage_and_network_operations")
        .build()
        .unwrap();
    let pool = r#"{"name":"p","driver":"dir"}"#;
    assert_eq!(send(&asynchronous, "POST", "/1.0/storage-pools", pool).await.status, 202);
}

#[tokio::test]
async fn names_in_urls_are_encoded_once_or_twice() {
    for (personality, name) in
        [(Personality::Lxd5, "ra%2520%25C3%25A9%2525"), (Personality::Incus6, "ra%20%C3%A9%25")]
    {
        let emulator = with_volume(personality).await;
        let body = r#"{"name":"ra é%"}"#;
        send(&emulator, "POST", "/1.0/storage-pools/p/volumes/custom", body).await;
        let list = send(&emulator, "GET", "/1.0/storage-pools/p/volumes/custom", "").await.metadata();
        assert_eq!(list[0], format!("/1.0/storage-pools/p/volumes/custom/{name}"));
        let one = send(&emulator, "GET", "/1.0/storage-pools/p/volumes/custom/ra%20%C3%A9%25", "").await;
        assert_eq!(one.metadata()["name"], "ra é%");
    }
}

#[tokio::test]
async fn volumes_know_who_uses_them() {
    let emulator = with_volume(Personality::Incus6).await;
    let disk = |source: &str| json!({"type": "disk", "pool": "p", "source": source, "path": "/data"});
    let root = json!({"type": "disk", "pool": "p", "path": "/"});
    let instance = json!({"name": "i1", "source": {"type": "none"}, "profiles": [], "devices": {"root": root, "d": disk("v1")}});
    let made = done(&emulator, "POST", "/1.0/instances", &instance.to_string()).await;
    assert_eq!(made.json()["type"], "sync", "{}", made.text);
    let profile = json!({"name": "f", "devices": {"d": disk("v1")}});
    send(&emulator, "POST", "/1.0/profiles", &profile.to_string()).await;
    let used = send(&emulator, "GET", VOLUME, "").await.metadata()["used_by"].clone();
    assert_eq!(used, json!(["/1.0/profiles/f", "/1.0/instances/i1"]));
    let refused = send(&emulator, "DELETE", VOLUME, "").await;
    assert_eq!((refused.status, &*refused.error()), (400, "The storage volume is still in use"));
    send(&emulator, "POST", VOLUME, r#"{"name":"v2"}"#).await;
    let devices = send(&emulator, "GET", "/1.0/instances/i1", "").await.metadata()["devices"].clone();
    assert_eq!(devices["d"]["source"], "v2");
}

#[tokio::test]
async fn projects_have_volumes_of_their_own_or_those_of_the_default_one() {
    let emulator = with_volume(Personality::Lxd5).await;
    for (name, own) in [("blue", "true"), ("red", "false")] {
        let project = json!({"name": name, "config": {"features.storage.volumes": own}});
        assert_eq!(send(&emulator, "POST", "/1.0/projects", &project.to_string()).await.status, 201);
    }
    let list = |project: &'static str| {
        let emulator = &emulator;
        async move {
            let path = format!("/1.0/storage-pools/p/volumes/custom{project}");
            send(emulator, "GET", &path, "").await.metadata()
        }
    };
    assert_eq!(list("?project=blue").await, json!([]));
    assert_eq!(list("?project=red").await, json!([VOLUME]));
    send(&emulator, "POST", "/1.0/storage-pools/p/volumes/custom?project=blue", r#"{"name":"v1"}"#).await;
    let both = [Value::from(VOLUME), format!("{VOLUME}?project=blue").into()];
    assert_eq!(list("?all-projects=true").await.as_array().unwrap().as_slice(), both);
}

#[tokio::test]
async fn an_iso_and_a_volume_that_is_called_like_its_folder_are_two() {
    let emulator = with_volume(Personality::Incus6).await;
    let upload =
        [("content-type", "application/octet-stream"), ("x-incus-type", "iso"), ("x-incus-name", "a")];
    let made = send(&emulator, "POST", "/1.0/storage-pools/p/volumes/custom", r#"{"name":"a.iso"}"#).await;
    assert_eq!(made.status, 200);
    let answer = send_with(&emulator, "POST", "/1.0/storage-pools/p/volumes/custom", "image", &upload).await;
    let id = answer.metadata()["id"].as_str().unwrap().to_owned();
    send(&emulator, "GET", &format!("/1.0/operations/{id}/wait?timeout=10"), "").await;
    let (files, image) = (emulator.content("p", "default", "a.iso"), emulator.content("p", "default", "a"));
    assert!(files != image && image.ends_with("default_a.iso"), "{image:?}");
    std::fs::write(files.join("letter"), "words").unwrap();
    for name in ["b.iso", "c"] {
        let old = if name == "c" { "b.iso" } else { "a.iso" };
        let path = format!("/1.0/storage-pools/p/volumes/custom/{old}");
        send(&emulator, "POST", &path, &json!({"name": name}).to_string()).await;
    }
    assert_eq!(std::fs::read(image.join("root.img")).unwrap(), b"image");
    send(&emulator, "DELETE", "/1.0/storage-pools/p/volumes/custom/a", "").await;
    assert!(!image.exists());
    let letter = emulator.content("p", "default", "c").join("letter");
    assert_eq!(std::fs::read_to_string(letter).unwrap(), "words");
}
