//! Temporary backups that are asked for and never answered for.

use std::sync::atomic::{AtomicUsize, Ordering};

use lxd_storage::{ErrorKind, types::VolumeType};

use crate::script::{Reply, Script, json, sync};

#[tokio::test]
async fn one_that_comes_late_goes_too() {
    let looks = AtomicUsize::new(0);
    let script = Script::start(move |request| match request {
        "GET /1.0" => sync(r#"{"api_extensions":["custom_volume_backup"]}"#),
        // Begun, and the answer is lost.
        post if post.starts_with("POST") => Reply::Cut(Vec::new()),
        delete if delete.starts_with("DELETE") && looks.fetch_add(1, Ordering::Relaxed) == 1 => sync("{}"),
        _ => json("404 Not Found", r#"{"type":"error","error_code":404,"error":"not found"}"#),
    });
    let volume = script.client().storage_pool("p").volume(VolumeType::Custom, "v");
    let error = volume.export().to_writer(&mut Vec::new()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Interrupted, "{error}");
    let deletions = script.seen().iter().filter(|request| request.starts_with("DELETE")).count();
    assert_eq!(deletions, 2, "{:?}", script.seen());
}
