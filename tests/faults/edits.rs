//! Edits and patches that somebody else's request runs into, or that a server makes something else of.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use lxd_storage::types::{Expiry, Patch, VolumeType};

use crate::script::{Script, sync};

/// A server with one pool and one snapshot, which are like this after so many writes.
fn after_writes(object: impl Fn(usize) -> String + Send + Sync + 'static) -> (Script, Arc<AtomicUsize>) {
    let writes = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&writes);
    let script = Script::start(move |request| match request {
        "GET /1.0" => sync(r#"{"api_extensions":["projects"]}"#),
        get if get.starts_with("GET") => {
            let writes = counted.load(Ordering::SeqCst);
            sync(&object(writes)).with_header(&format!("ETag: \"{writes}\""))
        }
        _ => {
            counted.fetch_add(1, Ordering::SeqCst);
            sync("{}")
        }
    });
    (script, writes)
}

fn pool(description: &str, config: &str) -> String {
    format!(r#"{{"name":"p","driver":"dir","description":"{description}","config":{config}}}"#)
}

/// The methods of the requests for the pool, without the requests for what the server can.
fn methods(script: &Script) -> Vec<String> {
    let seen = script.seen();
    let of_pool = seen.iter().filter(|request| request.contains("/1.0/storage-pools/p"));
    of_pool.filter_map(|request| Some(request.split(' ').next()?.to_owned())).collect()
}

#[tokio::test]
async fn a_patch_that_was_overwritten_is_made_again() {
    let (script, writes) = after_writes(|writes| match writes {
        0 => pool("", "{}"),
        1 => pool("", r#"{"user.other":"1"}"#),
        _ => pool("", r#"{"user.other":"1","user.k":"v"}"#),
    });
    let mut p = script.client().storage_pools().get("p").await.unwrap();
    p.patch(&Patch::new().with_config("user.k", "v")).await.unwrap();
    assert_eq!((p.config().text("user.k"), writes.load(Ordering::SeqCst)), (Some("v"), 2));
}

#[tokio::test]
async fn a_patch_that_unset_a_key_is_made_again_where_the_key_is_back() {
    let (script, writes) = after_writes(|writes| match writes {
        0 => pool("", r#"{"user.k":"v"}"#),
        1 => pool("", r#"{"user.other":"1","user.k":"v"}"#),
        _ => pool("new", r#"{"user.other":"1"}"#),
    });
    let mut p = script.client().storage_pools().get("p").await.unwrap();
    p.patch(&Patch::new().with_config("user.k", "").with_description("new")).await.unwrap();
    assert_eq!((p.config().text("user.k"), writes.load(Ordering::SeqCst)), (None, 2));
}

#[tokio::test]
async fn a_removal_that_was_overwritten_is_made_again() {
    let (script, writes) = after_writes(|writes| match writes {
        0 => pool("", r#"{"user.k":"v"}"#),
        1 => pool("", r#"{"user.k":"v","user.other":"1"}"#),
        _ => pool("", r#"{"user.other":"1"}"#),
    });
    let edited = script.client().storage_pool("p").edit(|put| drop(put.config.remove("user.k"))).await;
    assert_eq!((edited.unwrap().config().text("user.k"), writes.load(Ordering::SeqCst)), (None, 2));
}

#[tokio::test]
async fn a_description_that_was_overwritten_is_set_again() {
    let (script, writes) = after_writes(|writes| match writes {
        0 => pool("old", "{}"),
        1 => pool("theirs", "{}"),
        _ => pool("ours", "{}"),
    });
    let edited = script.client().storage_pool("p").edit(|put| put.description = "ours".to_owned()).await;
    assert_eq!((edited.unwrap().description(), writes.load(Ordering::SeqCst)), ("ours", 2));
}

#[tokio::test]
async fn an_edit_of_a_snapshot_that_was_overwritten_is_made_again() {
    let snapshot = |description: &str, expires: &str| {
        format!(r#"{{"name":"s","description":"{description}","expires_at":"{expires}"}}"#)
    };
    let (script, writes) = after_writes(move |writes| match writes {
        0 => snapshot("", "2030-01-01T00:00:00Z"),
        1 => snapshot("theirs", "2030-01-01T00:00:00Z"),
        _ => snapshot("theirs", "0001-01-01T00:00:00Z"),
    });
    let handle = script.client().storage_pool("p").volume(VolumeType::Custom, "v").snapshot("s");
    let edited = handle
        .edit(|put| {
            put.set_expiry(Expiry::Never);
        })
        .await
        .unwrap();
    assert_eq!(
        (edited.expiry(), edited.description(), writes.load(Ordering::SeqCst)),
        (Expiry::Never, "theirs", 2)
    );
}

#[tokio::test]
async fn a_value_that_the_server_writes_in_its_own_way_ends_the_edit() {
    let (script, writes) = after_writes(|writes| match writes {
        0 => pool("", r#"{"size":"5GiB"}"#),
        _ => pool("", r#"{"size":"10737418240"}"#),
    });
    let client = script.client();
    let edited = client
        .storage_pool("p")
        .edit(|put| {
            put.config.set("size", "10GiB");
        })
        .await
        .unwrap();
    assert_eq!(edited.config().text("size"), Some("10737418240"));
    assert!(writes.load(Ordering::SeqCst) <= 3, "{:?}", script.seen());

    let mut p = edited;
    p.patch(&Patch::new().with_config("size", "10GiB")).await.unwrap();
    assert!(writes.load(Ordering::SeqCst) <= 6, "{:?}", script.seen());
}

#[tokio::test]
async fn whatever_writes_takes_its_turn() {
    let (script, _) = after_writes(|_| pool("d", r#"{"user.k":"v"}"#));
    let client = script.client();
    let (mut one, mut two) =
        (client.storage_pools().get("p").await.unwrap(), client.storage_pools().get("p").await.unwrap());
    let patch = Patch::new().with_config("user.k", "v");
    let (patched, also) = tokio::join!(one.patch(&patch), two.patch(&patch));
    patched.and(also).unwrap();
    assert_eq!(methods(&script)[2..], ["GET", "PATCH", "GET", "GET", "PATCH", "GET"]);

    let (saved, patched) = tokio::join!(one.save(), two.patch(&patch));
    saved.and(patched).unwrap();
    assert_eq!(methods(&script)[8..], ["PUT", "GET", "GET", "PATCH", "GET"]);
}

#[tokio::test]
async fn a_pool_has_one_queue_for_all_projects() {
    let (script, _) = after_writes(|writes| pool(&writes.to_string(), "{}"));
    let client = script.client();
    let edit = |project: &str| {
        let handle = client.with_project(project).storage_pool("p");
        async move { handle.edit(|put| put.description = "1".to_owned()).await }
    };
    let (a, b) = tokio::join!(edit("a"), edit("b"));
    a.and(b).unwrap();
    // Whoever comes second finds it as it should be.
    assert_eq!(methods(&script), ["GET", "PUT", "GET", "GET"]);
}
