//! What no server that can be had here does: the requests for it, and what is made of answers as the notes on those servers
//! have them.

use std::sync::Mutex;

use lxd_storage::{
    CopyTo, Disk, ErrorKind, Holder, Upload, VolumeHandle,
    types::{
        BucketKeyRole, ContentType, Entity, Size, StorageBucketKeysPost, StorageBucketsPost,
        StorageVolumeBackupsPost, StorageVolumeBitmapsPost, VolumeType,
    },
};
use serde_json::{Value, json};

use crate::script::{self, Reply, Script, sync};

const VOLUME: &str = "/1.0/storage-pools/p/volumes/custom/v";

fn extensions(names: &[&str]) -> Reply {
    sync(&json!({"auth": "trusted", "api_extensions": names}).to_string())
}

fn absent() -> Reply {
    script::json("404 Not Found", r#"{"type":"error","error_code":404,"error":"not found"}"#)
}

/// An operation that has ended well, with this metadata.
fn done(metadata: &Value) -> Reply {
    let operation = json!({"id": "done", "class": "task", "status_code": 200, "metadata": metadata});
    let answer = json!({"type": "async", "operation": "/1.0/operations/done", "metadata": operation});
    script::json("202 Accepted", &answer.to_string())
}

fn volume(script: &Script) -> VolumeHandle {
    script.client().storage_pool("p").volume(VolumeType::Custom, "v")
}

fn body(script: &Script, request: &str) -> Value {
    serde_json::from_str(&script.sent(request).body).unwrap()
}

const V: &str = r#"{"name":"v","type":"custom","content_type":"filesystem"}"#;

#[tokio::test]
async fn a_tarball_becomes_a_volume() {
    let arrived = std::sync::atomic::AtomicBool::new(false);
    let script = Script::start(move |request| match request {
        "GET /1.0" => extensions(&["import_custom_volume_tar", "custom_volume_backup"]),
        "POST /1.0/storage-pools/p/volumes/custom" => {
            arrived.store(true, std::sync::atomic::Ordering::Relaxed);
            done(&json!({}))
        }
        _ if arrived.load(std::sync::atomic::Ordering::Relaxed) => sync(V),
        _ => absent(),
    });
    let mut tar = vec![0_u8; 1024];
    tar[257..262].copy_from_slice(b"ustar");
    let volumes = script.client().storage_pool("p").volumes();
    let imported = volumes.import_tar(Upload::from(tar.clone()), "v").await.unwrap();
    assert_eq!(imported.name(), "v");
    let sent = script.sent("POST /1.0/storage-pools/p/volumes/custom");
    for line in
        ["x-lxd-type: tar", "x-lxd-name: v", "content-type: application/octet-stream", "content-length: 1024"]
    {
        assert!(sent.head.lines().any(|found| found == line), "{line}: {}", sent.head);
    }
    assert_eq!(sent.body.as_bytes(), tar);
}

#[tokio::test]
async fn a_volume_is_emptied_in_place() {
    let script = Script::start(|request| match request {
        "GET /1.0" => extensions(&["storage_volumes_rebuild"]),
        _ => done(&json!({})),
    });
    volume(&script).rebuild().await.unwrap();
    assert_eq!(body(&script, &format!("POST {VOLUME}/rebuild")), json!({}));
}

#[tokio::test]
async fn a_backup_has_the_version_that_was_asked_for() {
    let script = Script::start(|request| match request {
        "GET /1.0" => extensions(&["custom_volume_backup", "backup_metadata_version"]),
        post if post == format!("POST {VOLUME}/backups") => done(&json!({})),
        get if get == format!("GET {VOLUME}/backups/b") => absent(),
        _ => sync(V),
    });
    let post = StorageVolumeBackupsPost::new("b").with_metadata_version(1);
    // It cannot be read back here, since the script never has it.
    assert!(volume(&script).backups().create(post).await.unwrap_err().is_not_found());
    let sent = body(&script, &format!("POST {VOLUME}/backups"));
    assert_eq!((&sent["name"], &sent["version"]), (&json!("b"), &json!(1)));

    let older = Script::start(|request| match request {
        "GET /1.0" => extensions(&["custom_volume_backup"]),
        _ => absent(),
    });
    let post = StorageVolumeBackupsPost::new("b").with_metadata_version(1);
    let error = volume(&older).backups().create(post).await.unwrap_err();
    assert_eq!(error.extension(), Some("backup_metadata_version"));
}

#[tokio::test]
async fn bitmaps_are_made_listed_and_deleted() {
    let bitmap = r#"{"name":"nightly","count":7,"granularity":65536,"recording":true,"busy":false,"persistent":true,
        "inconsistent":false}"#;
    let script = Script::start(move |request| match request {
        "GET /1.0" => extensions(&["storage_volume_nbd"]),
        get if get == format!("GET {VOLUME}/bitmaps?recursion=1") => sync(&format!("[{bitmap}]")),
        get if get == format!("GET {VOLUME}/bitmaps/nightly") => sync(bitmap),
        _ => sync("{}"),
    });
    let bitmaps = volume(&script).bitmaps();
    let post = StorageVolumeBitmapsPost::new("nightly").with_granularity(Size::kib(64)).persistent();
    let made = bitmaps.create(post).await.unwrap();
    assert!(made.name == "nightly" && made.count == 7 && made.recording, "{made:?}");
    let sent = body(&script, &format!("POST {VOLUME}/bitmaps"));
    assert_eq!(sent, json!({"name": "nightly", "granularity": 65536, "persistent": true, "disabled": false}));
    assert_eq!(bitmaps.all().await.unwrap(), [made]);
    bitmaps.delete("nightly").await.unwrap();
    script.sent(&format!("DELETE {VOLUME}/bitmaps/nightly"));
}

#[tokio::test]
async fn the_keys_of_buckets_made_in_the_background_come_with_the_operation() {
    let key =
        json!({"name": "admin", "role": "admin", "access-key": "AK", "secret-key": "SK", "description": ""});
    let answered = key.clone();
    let script = Script::start(move |request| match request {
        "GET /1.0" => extensions(&["storage_buckets", "storage_buckets_create_credentials"]),
        "POST /1.0/storage-pools/p/buckets" | "POST /1.0/storage-pools/p/buckets/photos/keys" => {
            done(&json!({"key": answered, "entity_url": "/1.0/storage-pools/p/buckets/photos"}))
        }
        "GET /1.0/storage-pools/p/buckets/photos" => sync(r#"{"name":"photos","config":{},"s3_url":""}"#),
        "GET /1.0/storage-pools/p/buckets/photos/keys/reader" => sync(
            &json!({"name": "reader", "role": "read-only", "access-key": "AK", "secret-key": "SK"})
                .to_string(),
        ),
        "GET /1.0/storage-pools/p" => sync(r#"{"name":"p","driver":"cephobject","config":{}}"#),
        _ => absent(),
    });
    let buckets = script.client().storage_pool("p").buckets();
    let created = buckets.create(StorageBucketsPost::new("photos")).await.unwrap();
    let admin = created.admin_key.unwrap();
    assert_eq!((admin.access_key.expose(), admin.secret_key.expose()), ("AK", "SK"));
    let post = StorageBucketKeysPost::new("reader", BucketKeyRole::ReadOnly);
    created.bucket.keys().create(post).await.unwrap();
    assert_eq!(body(&script, "POST /1.0/storage-pools/p/buckets/photos/keys")["role"], "read-only");
}

#[tokio::test]
async fn the_state_of_a_cluster_member_is_typed() {
    let script = Script::start(|request| match request {
        "GET /1.0" => extensions(&["clustering", "cluster_member_state"]),
        "GET /1.0/cluster/members/n1/state" => sync(
            r#"{"sysinfo":{"uptime":5},"storage_pools":{"p":{"space":{"used":7,"total":9},"inodes":{"used":1,"total":2}}}}"#,
        ),
        _ => absent(),
    });
    let state = script.client().cluster().member_state("n1").await.unwrap();
    let space = &state.storage_pools["p"].space;
    assert_eq!((space.used, space.total), (7, 9));
}

#[tokio::test]
async fn a_copy_to_a_member_says_where_it_comes_from() {
    let script = Script::start(|request| match request {
        "GET /1.0" => extensions(&[
            "clustering",
            "projects",
            "storage_api_local_volume_handling",
            "cluster_internal_custom_volume_copy",
        ]),
        "POST /1.0/storage-pools/p/volumes/custom?target=n2" => done(&json!({})),
        get if get.starts_with("GET ") && get.ends_with("target=n2") => absent(),
        _ => sync(V),
    });
    let source = volume(&script).with_target("n1");
    // The copy cannot be read back here, since the script never has it.
    assert!(source.copy_to(CopyTo::member("n2")).await.unwrap_err().is_not_found());
    let sent = body(&script, "POST /1.0/storage-pools/p/volumes/custom?target=n2");
    assert_eq!(sent["source"]["location"], "n1");
    assert_eq!((&sent["source"]["type"], &sent["source"]["name"]), (&json!("copy"), &json!("v")));
}

#[tokio::test]
async fn the_disk_of_a_machine_is_attached_by_its_type_and_name() {
    let with = |names: &'static [&'static str]| {
        let instance =
            Mutex::new(r#"{"name":"i","type":"virtual-machine","devices":{},"config":{}}"#.to_owned());
        Script::reading(move |request, body| match request {
            "GET /1.0" => extensions(names),
            "GET /1.0/instances/i" => sync(&instance.lock().unwrap()),
            "PUT /1.0/instances/i" => {
                *instance.lock().unwrap() = body.to_owned();
                done(&json!({}))
            }
            get if get.starts_with("GET /1.0/storage-pools") => {
                sync(r#"{"name":"vm","type":"virtual-machine","content_type":"block"}"#)
            }
            _ => done(&json!({})),
        })
    };
    let disk = |script: &Script| script.client().storage_pool("p").volume(VolumeType::VirtualMachine, "vm");
    let script = with(&["vm_root_volume_attachment"]);
    let block = Disk::block().with_device("other");
    disk(&script).attach(&Holder::instance("i"), block.clone()).await.unwrap();
    let devices = &body(&script, "PUT /1.0/instances/i")["devices"];
    assert_eq!(*devices, json!({"other": {"type": "disk", "pool": "p", "source": "virtual-machine/vm"}}));

    let older = with(&[]);
    let error = disk(&older).attach(&Holder::instance("i"), block).await.unwrap_err();
    assert_eq!(error.extension(), Some("vm_root_volume_attachment"));
    assert!(older.seen().iter().all(|request| request == "GET /1.0"), "{:?}", older.seen());
}

#[tokio::test]
async fn the_volume_of_a_machine_is_read_and_belongs_to_it() {
    let path = "/1.0/storage-pools/p/volumes/virtual-machine";
    let machine = r#"{"name":"web","type":"virtual-machine","content_type":"block","description":"","location":"none",
        "config":{"size":"10GiB","volatile.uuid":"5c1a"},"project":"default","used_by":["/1.0/instances/web"]}"#;
    let script = Script::start(move |request| match request {
        "GET /1.0" => extensions(&["storage_volume_state"]),
        get if get == format!("GET {path}?recursion=1") => sync(&format!("[{machine}]")),
        get if get == format!("GET {path}/web") => sync(machine).with_header("ETag: \"1\""),
        get if get == format!("GET {path}/web/state") => sync(r#"{"usage":{"used":7,"total":9}}"#),
        put if put == format!("PUT {path}/web") => sync("{}"),
        _ => absent(),
    });
    let volumes = script.client().storage_pool("p").volumes();
    let listed = volumes.all_of(VolumeType::VirtualMachine).await.unwrap();
    assert_eq!((listed.len(), listed[0].volume_type()), (1, &VolumeType::VirtualMachine));
    let mut volume = volumes.get(VolumeType::VirtualMachine, "web").await.unwrap();
    assert_eq!(
        (volume.content_type(), volume.config().size("size").unwrap()),
        (&ContentType::Block, Some(Size::gib(10)))
    );
    let users = volume.used_by().await.unwrap();
    assert!(matches!(&users[0].entity, Entity::Instance { name, .. } if name == "web"), "{users:?}");
    assert_eq!(volume.state().await.unwrap().usage.unwrap().used, 7);
    volume.set_description("d");
    volume.save().await.unwrap();
    assert_eq!(body(&script, &format!("PUT {path}/web"))["config"]["volatile.uuid"], "5c1a");
    // Whatever goes with the machine is not sent.
    let before = script.seen().len();
    for refused in [volume.delete().await, volume.rename("other").await] {
        assert_eq!(refused.unwrap_err().kind(), ErrorKind::InvalidInput);
    }
    assert_eq!(script.seen().len(), before);
}

#[tokio::test]
async fn project_and_member_go_along_there_too() {
    let script = Script::start(|request| match request {
        "GET /1.0" => extensions(&[
            "projects",
            "clustering",
            "import_custom_volume_tar",
            "custom_volume_backup",
            "backup_metadata_version",
            "storage_volumes_rebuild",
            "storage_volumes_all",
        ]),
        list if list.starts_with("GET /1.0/storage-volumes") => sync("[]"),
        get if get.starts_with("GET ") => absent(),
        _ => done(&json!({})),
    });
    let client = script.client().with_project("blue").with_target("n2");
    let there = client.storage_pool("p").volume(VolumeType::Custom, "v");
    there.rebuild().await.unwrap();
    // Neither of these can be read back here.
    let post = StorageVolumeBackupsPost::new("b").with_metadata_version(2);
    assert!(there.backups().create(post).await.unwrap_err().is_not_found());
    let tarball = Upload::from(vec![0x1f, 0x8b, 8, 0]);
    assert!(there.pool().volumes().import_tar(tarball, "w").await.unwrap_err().is_not_found());
    assert!(client.volumes().all().await.unwrap().is_empty());
    for request in [
        format!("POST {VOLUME}/rebuild?project=blue&target=n2"),
        format!("POST {VOLUME}/backups?project=blue&target=n2"),
        "POST /1.0/storage-pools/p/volumes/custom?project=blue&target=n2".to_owned(),
        "GET /1.0/storage-volumes?recursion=1&project=blue&target=n2".to_owned(),
    ] {
        script.sent(&request);
    }
}

#[tokio::test]
async fn what_could_not_be_emptied_says_why() {
    let script = Script::start(|request| match request {
        "GET /1.0" => extensions(&["storage_volumes_rebuild"]),
        _ => script::json(
            "400 Bad Request",
            r#"{"type":"error","error_code":400,"error":"The custom volume is currently in use"}"#,
        ),
    });
    assert!(volume(&script).rebuild().await.unwrap_err().is_in_use());
    let before = script.seen().len();
    let container = script.client().storage_pool("p").volume(VolumeType::Container, "c");
    assert_eq!(container.rebuild().await.unwrap_err().kind(), ErrorKind::InvalidInput);
    assert_eq!(script.seen().len(), before);
}
