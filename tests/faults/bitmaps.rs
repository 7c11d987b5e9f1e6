//! The dirty bitmaps of a running virtual machine's disks, as Incus 7 answers of them.

use lxd_storage::{
    Bitmaps, ErrorKind,
    types::{Size, StorageVolumeBitmapsPost, VolumeType},
};
use serde_json::{Value, json};

use crate::script::{Script, json as answer, sync};

const BITMAP: &str = r#"{"name":"monday","count":131072,"granularity":65536,"recording":false,"busy":false,"persistent":false,
    "inconsistent":false}"#;

fn incus() -> Script {
    Script::start(|request| {
        let (method, target) = request.split_once(' ').unwrap();
        let path = target.split('?').next().unwrap();
        match (method, path.rsplit('/').next().unwrap()) {
            ("GET", "1.0") => {
                sync(r#"{"auth":"trusted","api_extensions":["storage_volume_nbd","projects","clustering"]}"#)
            }
            ("GET", "bitmaps") => sync(&format!("[{BITMAP}]")),
            ("GET", "monday") => sync(BITMAP),
            ("GET", name) => answer(
                "400 Bad Request",
                &format!(
                    r#"{{"type":"error","error_code":400,"error":"Bitmap \"{name}\" not found","metadata":null}}"#
                ),
            ),
            _ => sync("{}"),
        }
    })
}

fn bitmaps(script: &Script) -> Bitmaps {
    script.client().storage_pool("p").volume(VolumeType::Custom, "disk").bitmaps()
}

#[tokio::test]
async fn a_machines_own_disk_has_them_too_in_its_project_and_on_its_member() {
    let script = incus();
    let there = script.client().with_project("blue").with_target("m2").storage_pool("p");
    let bitmaps = there.volume(VolumeType::VirtualMachine, "web").bitmaps();
    assert_eq!(bitmaps.all().await.unwrap()[0].count, 131_072);
    let made = bitmaps.create(StorageVolumeBitmapsPost::new("monday").disabled()).await.unwrap();
    assert_eq!((&*made.name, made.recording), ("monday", false));
    bitmaps.delete("monday").await.unwrap();
    let (path, scope) =
        ("/1.0/storage-pools/p/volumes/virtual-machine/web/bitmaps", "project=blue&target=m2");
    assert_eq!(
        script.seen()[1..],
        [
            format!("GET {path}?recursion=1&{scope}"),
            format!("POST {path}?{scope}"),
            // This server says nothing of what it made, so it is read.
            format!("GET {path}/monday?{scope}"),
            format!("DELETE {path}/monday?{scope}"),
        ]
    );
    let sent: Value = serde_json::from_str(&script.sent(&format!("POST {path}?{scope}")).body).unwrap();
    // The grain of 0 leaves it to the server.
    assert_eq!(sent, json!({"name": "monday", "granularity": 0, "persistent": false, "disabled": true}));
}

#[tokio::test]
async fn one_that_is_not_there_is_not_found() {
    let script = incus();
    // Under 400, unlike everything else that is not there.
    let error = bitmaps(&script).get("tuesday").await.unwrap_err();
    assert_eq!((error.kind(), error.code()), (ErrorKind::NotFound, Some(400)), "{error}");
}

#[tokio::test]
async fn a_bad_one_is_not_sent() {
    let script = incus();
    for post in [
        StorageVolumeBitmapsPost::new(""),
        StorageVolumeBitmapsPost::new("a/b"),
        StorageVolumeBitmapsPost::new("b").with_granularity(Size::new(1000).unwrap()),
    ] {
        let error = bitmaps(&script).create(post).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidInput, "{error}");
    }
    assert!(script.seen().is_empty(), "{:?}", script.seen());
}
