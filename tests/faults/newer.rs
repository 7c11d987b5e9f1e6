//! Servers that are newer than those that can be installed here: they do pool and volume changes in the background,
//! and tell a failed operation by an error answer under HTTP 200.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use lxd_storage::{
    ErrorKind,
    transport::Phase,
    types::{StoragePoolsPost, StorageVolumesPost, VolumeType},
};

use crate::script::{Reply, Script, json, sync};

pub(crate) const ID: &str = "b0a7b7d6-8b5c-4e06-8f29-2c2c9ee0a0b1";

pub(crate) fn accepted() -> Reply {
    operation_answer("202 Accepted", "async", 103, "")
}

fn operation_answer(status: &str, answer_type: &str, code: u16, err: &str) -> Reply {
    json(
        status,
        &format!(
            r#"{{"type":"{answer_type}","operation":"/1.0/operations/{ID}","metadata":{{"id":"{ID}","class":"task",
                "status_code":{code},"err":"{err}","may_cancel":false,"metadata":null,"resources":null}}}}"#
        ),
    )
}

/// How this server's `/wait` answers.
pub(crate) fn wait_failed(code: u16, text: &str) -> Reply {
    json(
        "200 OK",
        &format!(r#"{{"type":"error","status":"","error_code":{code},"error":"{text}","metadata":null}}"#),
    )
}

pub(crate) fn is_wait(request: &str) -> bool {
    request.starts_with(&format!("GET /1.0/operations/{ID}/wait?timeout="))
}

#[tokio::test]
async fn background_changes_are_awaited_before_anything_is_read_back() {
    let waits = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&waits);
    let script = Script::start(move |request| match request {
        "GET /1.0/storage-pools/p" => {
            sync(r#"{"name":"p","driver":"dir","config":{"source":"/x","user.k":"v"}}"#)
        }
        wait if is_wait(wait) => {
            counted.fetch_add(1, Ordering::SeqCst);
            operation_answer("200 OK", "sync", 200, "")
        }
        _ => accepted(),
    });
    let pools = script.client();
    let mut pool = pools.storage_pools().create(StoragePoolsPost::new("p", "dir")).await.unwrap();
    pool.set_description("d");
    pool.save().await.unwrap();
    pool.patch(&lxd_storage::types::Patch::new().with_config("user.k", "v")).await.unwrap();
    pool.delete().await.unwrap();
    assert_eq!(waits.load(Ordering::SeqCst), 4);
    // After each change the operation is awaited first, and only then is the object read.
    let seen = script.seen();
    for (index, request) in seen.iter().enumerate() {
        if !request.starts_with("GET") {
            assert!(is_wait(&seen[index + 1]), "{seen:?}");
        }
    }
}

#[tokio::test]
async fn a_failed_operation_under_http_200_keeps_the_servers_code() {
    for (code, text) in
        [(409, "Pool already exists"), (404, "Storage volume not found"), (500, "no space left on device")]
    {
        let script =
            Script::start(move |request| if is_wait(request) { wait_failed(code, text) } else { accepted() });
        let error =
            script.client().storage_pools().create(StoragePoolsPost::new("p", "dir")).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::OperationFailed, "{error:?}");
        assert_eq!(
            (error.code(), error.server_message(), error.operation()),
            (Some(code), Some(text), Some(ID))
        );
        assert_eq!((error.is_already_exists(), error.is_not_found()), (code == 409, code == 404));
    }
}

#[tokio::test]
async fn the_end_of_a_slice_is_not_the_end_of_the_work() {
    let waits = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&waits);
    let script = Script::start(move |request| match request {
        wait if is_wait(wait) => match counted.fetch_add(1, Ordering::SeqCst) {
            0 | 1 => wait_failed(500, "context deadline exceeded"),
            2 => operation_answer("200 OK", "sync", 103, ""),
            _ => operation_answer("200 OK", "sync", 200, ""),
        },
        look if look == format!("GET /1.0/operations/{ID}") => operation_answer("200 OK", "sync", 103, ""),
        "GET /1.0/storage-pools/p" => sync(r#"{"name":"p"}"#),
        _ => accepted(),
    });
    script.client().storage_pools().create(StoragePoolsPost::new("p", "dir")).await.unwrap();
    assert_eq!(waits.load(Ordering::SeqCst), 4);
}

#[tokio::test]
async fn a_server_that_does_not_wait_is_not_asked_without_end() {
    let script = Script::start(|request| match request {
        wait if is_wait(wait) => operation_answer("200 OK", "sync", 103, ""),
        _ => accepted(),
    });
    let change = script.client().storage_pools().create(StoragePoolsPost::new("p", "dir"));
    let error = change.with_deadline(Duration::from_secs(1)).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Timeout(Phase::Wait));
    assert!(script.seen().len() < 10, "{} requests in a second", script.seen().len());
}

#[tokio::test]
async fn an_operation_that_failed_with_the_words_of_a_slice_has_failed() {
    let script = Script::start(|request| match request {
        wait if is_wait(wait) => wait_failed(500, "context deadline exceeded"),
        look if look == format!("GET /1.0/operations/{ID}") => {
            operation_answer("200 OK", "sync", 400, "context deadline exceeded")
        }
        _ => accepted(),
    });
    let error = script.client().storage_pools().create(StoragePoolsPost::new("p", "dir")).await.unwrap_err();
    assert_eq!((error.kind(), error.code()), (ErrorKind::OperationFailed, Some(400)));
}

#[tokio::test]
async fn an_operation_that_vanished_has_an_unknown_outcome() {
    let gone = || json("404 Not Found", r#"{"type":"error","error_code":404,"error":"Operation not found"}"#);
    let script = Script::start(move |request| if is_wait(request) { gone() } else { accepted() });
    let error = script.client().storage_pools().create(StoragePoolsPost::new("p", "dir")).await.unwrap_err();
    assert_eq!((error.kind(), error.operation()), (ErrorKind::Interrupted, Some(ID)));
    assert!(!error.is_not_found());
}

#[tokio::test]
async fn an_operation_that_never_ends_meets_its_deadline() {
    let script =
        Script::start(|request| if is_wait(request) { Reply::Stall(Vec::new()) } else { accepted() });
    let change = script.client().storage_pools().create(StoragePoolsPost::new("p", "dir"));
    let error = change.with_deadline(Duration::from_millis(200)).await.unwrap_err();
    assert_eq!((error.kind(), error.operation()), (ErrorKind::Timeout(Phase::Wait), Some(ID)));
}

#[tokio::test]
async fn a_rename_in_the_background_changes_the_name_only_when_it_succeeded() {
    let fails = Arc::new(AtomicUsize::new(1));
    let failing = Arc::clone(&fails);
    let script = Script::start(move |request| match request {
        wait if is_wait(wait) && failing.load(Ordering::SeqCst) == 1 => wait_failed(409, "taken"),
        wait if is_wait(wait) => operation_answer("200 OK", "sync", 200, ""),
        "GET /1.0" => sync(r#"{"api_extensions":["storage_api_volume_rename"]}"#),
        "GET /1.0/storage-pools/p/volumes/custom/new" => sync(r#"{"name":"new","type":"custom"}"#),
        get if get.starts_with("GET") => sync(r#"{"name":"old","type":"custom"}"#),
        _ => accepted(),
    });
    let mut volume =
        script.client().storage_pool("p").volumes().get(VolumeType::Custom, "old").await.unwrap();
    assert!(volume.rename("new").await.unwrap_err().is_already_exists());
    assert_eq!(volume.name(), "old");
    fails.store(0, Ordering::SeqCst);
    volume.rename("new").await.unwrap();
    assert_eq!((volume.name(), &*volume.object().name), ("new", "new"));
}

#[tokio::test]
async fn progress_is_told_once_per_change() {
    let waits = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&waits);
    let with_progress = |text: &str, code: u16| {
        sync(&format!(r#"{{"id":"{ID}","status_code":{code},"metadata":{{"fs_progress":"{text}"}}}}"#))
    };
    let script = Script::start(move |request| match request {
        wait if is_wait(wait) => match counted.fetch_add(1, Ordering::SeqCst) {
            0 | 1 => with_progress("v: 1.00MB (1.00MB/s)", 103),
            2 => with_progress("v: 2.00MB (1.00MB/s)", 103),
            _ => with_progress("v: 3.00MB (1.00MB/s)", 200),
        },
        "GET /1.0/storage-pools/p/volumes/custom/v" => sync(r#"{"name":"v","type":"custom"}"#),
        _ => accepted(),
    });
    let told = Arc::new(std::sync::Mutex::new(Vec::new()));
    let noted = Arc::clone(&told);
    let change = script.client().storage_pool("p").volumes().create(StorageVolumesPost::new("v"));
    change.with_progress(move |progress| noted.lock().unwrap().push(progress.processed_bytes)).await.unwrap();
    assert_eq!(*told.lock().unwrap(), [Some(1_000_000), Some(2_000_000), Some(3_000_000)]);
}

#[tokio::test]
async fn an_extension_that_came_with_an_upgrade_is_noticed() {
    let reads = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&reads);
    let script = Script::start(move |request| match request {
        "GET /1.0" => match counted.fetch_add(1, Ordering::SeqCst) {
            0 => sync(r#"{"api_extensions":[]}"#),
            _ => sync(r#"{"api_extensions":["resources"]}"#),
        },
        _ => sync(r#"{"space":{"used":1,"total":2},"inodes":{}}"#),
    });
    let client = script.client();
    assert!(!client.server().await.unwrap().api_extensions.has("resources"));
    assert_eq!(client.storage_pool("p").resources().get().await.unwrap().space.total, 2);
}

#[tokio::test]
async fn the_volumes_of_all_pools_are_one_request_where_there_is_such_a_list() {
    let script = Script::start(|request| match request {
        "GET /1.0" => sync(
            r#"{"api_extensions":["storage_volumes_all","storage_volumes_all_projects","storage_volume_api_filtering",
                "storage_volume_state","projects"]}"#,
        ),
        list if list.starts_with("GET /1.0/storage-volumes") => sync(
            r#"[{"name":"a","type":"custom","pool":"p","project":"default","config":{"user.k":"v"}},
                {"name":"b","type":"custom","pool":"q","project":"blue","config":{"user.k":"v"}},
                {"name":"b/s","type":"custom","pool":"q","project":"blue","config":{"user.k":"v"}},
                {"name":"c","type":"custom","pool":"q","project":"blue","config":{"user.k":"V"}}]"#,
        ),
        state if state.contains("/state") => sync(r#"{"usage":{"used":7}}"#),
        _ => sync("[]"),
    });
    let list = script.client().volumes().of_type(VolumeType::Custom).all_projects();
    let list = list.filtered(lxd_storage::Field::config("user.k").eq("v"));
    let found = list.all().await.unwrap();
    let places: Vec<_> = found.iter().map(|one| (one.name(), one.pool().name(), one.project())).collect();
    assert_eq!(places, [("a", "p", "default"), ("b", "q", "blue")]);
    let asked = "GET /1.0/storage-volumes/custom?recursion=1&all-projects=true&filter=config.user.k%20eq%20";
    assert!(script.seen().len() == 2 && script.seen()[1].starts_with(asked), "{:?}", script.seen());

    let usage = list.with_usage().await.unwrap();
    assert_eq!(usage[0].state.as_ref().unwrap().usage.as_ref().unwrap().used, 7);
    assert!(
        script.seen().contains(&"GET /1.0/storage-pools/p/volumes/custom/a/state?project=default".to_owned())
    );
}

#[tokio::test]
async fn nothing_is_stopped_before_it_can_have_begun() {
    let stopped = |dropped: bool| async move {
        let script = Script::start(|request| match request {
            wait if is_wait(wait) => Reply::Stall(Vec::new()),
            delete if delete.starts_with("DELETE") => sync("{}"),
            _ => accepted(),
        });
        let create = script.client().storage_pools().create(StoragePoolsPost::new("p", "dir"));
        let (pending, began) = (create.start().await.unwrap(), Instant::now());
        if dropped {
            drop(pending.cancel_on_drop())
        } else {
            pending.cancel().await.unwrap()
        }
        let asked = format!("DELETE /1.0/operations/{ID}");
        while !script.seen().contains(&asked) {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        began.elapsed()
    };
    for dropped in [false, true] {
        let after = stopped(dropped).await;
        assert!(after >= Duration::from_millis(450), "{after:?}");
    }
}

#[tokio::test]
async fn volumes_of_all_pools_are_one_request_where_the_server_lists_them() {
    let volumes: Vec<String> = (0..50)
        .map(|n| format!(r#"{{"name":"v{n}","type":"custom","pool":"p{}","project":"default"}}"#, n % 5))
        .collect();
    let volumes = format!("[{}]", volumes.join(","));
    let script = Script::start(move |request| match request {
        "GET /1.0" => sync(r#"{"api_extensions":["storage_volumes_all","storage_volumes_all_projects"]}"#),
        _ => sync(&volumes),
    });
    let client = script.client();
    let listed = client.volumes().all().await.unwrap();
    assert_eq!((listed.len(), listed[7].pool().name()), (50, "p2"));
    assert_eq!(client.volumes().of_type(VolumeType::Custom).all_projects().all().await.unwrap().len(), 50);
    assert_eq!(
        script.seen(),
        [
            "GET /1.0",
            "GET /1.0/storage-volumes?recursion=1",
            "GET /1.0/storage-volumes/custom?recursion=1&all-projects=true"
        ]
    );
}

/// Imports a backup under the name inside, by way of a server whose operation tells this when it is done.
async fn imported(told: &'static str) -> (Result<String, lxd_storage::Error>, Vec<String>) {
    let script = Script::start(move |request| match request {
        "GET /1.0" => sync(r#"{"api_extensions":["custom_volume_backup","operation_metadata_entity_url"]}"#),
        wait if is_wait(wait) => sync(&format!(r#"{{"id":"{ID}","status_code":200,{told}}}"#)),
        get if get.starts_with("GET") => sync(r#"{"name":"inside","type":"custom"}"#),
        _ => accepted(),
    });
    let volumes = script.client().storage_pool("p").volumes();
    let backup = lxd_storage::Upload::from(bytes::Bytes::from_static(b"\x1f\x8b\x08\0\0\0\0\0"));
    let outcome = volumes.import_backup(backup, None).await.map(|volume| volume.name().to_owned());
    (outcome, script.seen())
}

#[tokio::test]
async fn a_project_is_not_taken_for_the_volume_that_was_made_in_it() {
    let (made, _) = imported(
        r#""metadata":{"entity_url":"/1.0/projects/default"},
            "resources":{"storage_volumes":["/1.0/storage-pools/p/volumes/custom/inside?project=default"]}"#,
    )
    .await;
    assert_eq!(made.unwrap(), "inside");

    let (made, seen) = imported(r#""metadata":{"entity_url":"/1.0/projects/default"},"resources":{}"#).await;
    let error = made.unwrap_err();
    assert_eq!((error.kind(), error.is_retry_safe()), (ErrorKind::Decode, false));
    assert!(error.to_string().contains("give a name"), "{error}");
    assert!(!seen.iter().any(|request| request.contains("custom/default")), "{seen:?}");
}

#[tokio::test]
async fn what_an_operation_leaves_out_does_not_end_the_waiting() {
    let waits = AtomicUsize::new(0);
    let script = Script::start(move |request| match request {
        wait if is_wait(wait) => match waits.fetch_add(1, Ordering::SeqCst) {
            0 => sync(r#"{"status_code":103,"resources":{"storage_pools":null}}"#),
            _ => sync(r#"{"status_code":200,"resources":{"storage_pools":null,"others":[null,"/1.0"]}}"#),
        },
        _ => accepted(),
    });
    script.client().storage_pool("p").delete().await.unwrap();
}
