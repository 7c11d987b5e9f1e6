//! Snapshots that are to replace others, with servers that fail in the middle.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use lxd_storage::{
    Error, Snapshot,
    types::{StorageVolumeSnapshotsPost, VolumeType},
};

use crate::script::{Reply, Script, json, sync};

const SNAPSHOTS: &str = "/1.0/storage-pools/p/volumes/custom/v/snapshots";

fn fails(code: u16, text: &str) -> Reply {
    json(&format!("{code} Failed"), &format!(r#"{{"type":"error","error_code":{code},"error":"{text}"}}"#))
}

/// Replaces the snapshot `s` on a server that takes the name for taken, once; the rest is up to `rest`, by the number of
/// the request that changes something.
async fn replace(
    rest: impl Fn(usize) -> Option<Reply> + Send + Sync + 'static,
) -> (Result<Snapshot, Error>, Vec<String>) {
    let (changes, is_taken) = (AtomicUsize::new(0), AtomicBool::new(true));
    let script = Script::start(move |request| {
        if request == "GET /1.0" {
            return sync(r#"{"api_extensions":["storage_api_volume_snapshots"]}"#);
        }
        if request == format!("GET {SNAPSHOTS}/s") && is_taken.load(Ordering::SeqCst) {
            return sync(r#"{"name":"s"}"#);
        }
        if request.starts_with("GET") {
            return fails(404, "Storage volume snapshot not found");
        }
        let number = changes.fetch_add(1, Ordering::SeqCst);
        if let Some(refused) = rest(number) {
            return refused;
        }
        if number == 0 {
            return fails(409, "it exists");
        }
        is_taken.store(number > 1, Ordering::SeqCst);
        sync("{}")
    });
    let volume = script.client().storage_pool("p").volume(VolumeType::Custom, "v");
    let replaced = volume.snapshots().create_replacing(StorageVolumeSnapshotsPost::new("s")).await;
    let mut seen = script.seen();
    seen.retain(|request| !request.starts_with("GET"));
    (replaced, seen)
}

#[tokio::test]
async fn the_old_one_goes_once_the_new_one_is_there() {
    let (replaced, seen) = replace(|_| None).await;
    assert_eq!(replaced.unwrap().name(), "s");
    let (create, rename) = (format!("POST {SNAPSHOTS}"), format!("POST {SNAPSHOTS}/s"));
    assert_eq!(seen[..3], [create.clone(), rename, create]);
    assert!(seen.len() == 4 && seen[3].starts_with(&format!("DELETE {SNAPSHOTS}/replaced-")), "{seen:?}");
}

#[tokio::test]
async fn the_old_one_gets_its_name_back_where_the_new_one_fails() {
    let (replaced, seen) = replace(|number| (number == 2).then(|| fails(500, "disk full"))).await;
    let error = replaced.unwrap_err();
    assert!(error.to_string().contains("disk full") && !error.to_string().contains("replaced-"), "{error}");
    assert!(seen.len() == 4 && seen[3].starts_with(&format!("POST {SNAPSHOTS}/replaced-")), "{seen:?}");
}

#[tokio::test]
async fn what_stays_under_another_name_is_named() {
    let no_way_back = |number| (number == 2 || number == 3).then(|| fails(500, "disk full"));
    let (replaced, seen) = replace(no_way_back).await;
    let error = replaced.unwrap_err().to_string();
    let aside = seen[3].rsplit('/').next().unwrap();
    assert!(error.contains(&format!("is called {aside:?} now")), "{error}");

    let (replaced, seen) = replace(|number| (number == 3).then(|| fails(500, "has clones"))).await;
    let error = replaced.unwrap_err().to_string();
    let aside = seen[3].rsplit('/').next().unwrap();
    assert!(error.contains("was taken") && error.contains(&format!("is called {aside:?} now")), "{error}");
}
