//! Migrations that are dropped or fail, with servers in states that no healthy ones are found in.

use std::{
    future::IntoFuture,
    sync::{Arc, Mutex},
    time::Duration,
};

use lxd_storage::{Migration, types::VolumeType};
use serde_json::{Value, json};

use crate::script::{self, Reply, Script, sync};

const EXTENSIONS: &str = r#"{"api_extensions":["storage_api_remote_volume_handling","custom_volume_refresh"],
    "environment":{"certificate":"PEM","addresses":["10.0.0.7:8443"]}}"#;

const VOLUME: &str = "/1.0/storage-pools/p/volumes/custom/v";

/// How the two servers are found once the migration is under way.
#[derive(Clone)]
struct Found {
    /// How the operation of the target ends.
    ended: &'static str,
    /// Whether the operation goes on until it is stopped.
    goes_on: bool,
    /// How long the target takes to answer that it began.
    begins_after: Duration,
    source_is_gone: bool,
    copy_is_made_at: &'static str,
    /// Whether the volume at the target is the one that was asked for.
    is_ours: bool,
}

const ENDED: &str = r#"{"id":"sink","status_code":200}"#;

impl Found {
    fn new() -> Self {
        let (ended, copy_is_made_at) = (ENDED, "2026-01-01T00:00:09Z");
        let begins_after = Duration::ZERO;
        Self { ended, goes_on: true, begins_after, source_is_gone: false, copy_is_made_at, is_ours: true }
    }
}

fn not_found() -> Reply {
    script::json("404 Not Found", r#"{"type":"error","error_code":404,"error":"Storage volume not found"}"#)
}

fn operation(id: &str, class: &str) -> Reply {
    script::json(
        "202 Accepted",
        &format!(
            r#"{{"type":"async","operation":"/1.0/operations/{id}","metadata":{{"id":"{id}","class":"{class}",
                "status_code":103,"created_at":"2026-01-01T00:00:05Z","may_cancel":true,
                "metadata":{{"control":"c0ffee","fs":"c0ffee"}}}}}}"#
        ),
    )
}

struct Servers {
    source: Script,
    target: Script,
}

impl Servers {
    fn start(found: &Found) -> Self {
        // Whether the target began, and whether it is done.
        let begun = Arc::new(Mutex::new((false, !found.goes_on)));
        let (at_source, gone) = (Arc::clone(&begun), found.source_is_gone);
        let source = Script::start(move |request| match request {
            "GET /1.0" => sync(EXTENSIONS),
            "DELETE /1.0/operations/offer" => sync("{}"),
            get if get == format!("GET {VOLUME}") => match at_source.lock().unwrap().0 && gone {
                true => not_found(),
                false => sync(r#"{"name":"v","type":"custom","content_type":"filesystem"}"#),
            },
            post if post == format!("POST {VOLUME}") => operation("offer", "websocket"),
            wait if wait.starts_with("GET /1.0/operations/offer/wait") => Reply::Stall(Vec::new()),
            _ => not_found(),
        });
        let found = found.clone();
        let config = Mutex::new(Value::Null);
        let target = Script::reading(move |request, body| match request {
            "GET /1.0" => sync(EXTENSIONS),
            "POST /1.0/storage-pools/p/volumes/custom" => {
                begun.lock().unwrap().0 = true;
                let post: Value = serde_json::from_str(body).unwrap();
                *config.lock().unwrap() = if found.is_ours { post["config"].clone() } else { json!({}) };
                Reply::Late(found.begins_after, Box::new(operation("sink", "task")))
            }
            "DELETE /1.0/operations/sink" => {
                begun.lock().unwrap().1 = true;
                sync("{}")
            }
            wait if wait.starts_with("GET /1.0/operations/sink/wait") => {
                if begun.lock().unwrap().1 {
                    sync(found.ended)
                } else {
                    Reply::Stall(Vec::new())
                }
            }
            get if get == format!("GET {VOLUME}") && begun.lock().unwrap().0 => sync(&format!(
                r#"{{"name":"v","type":"custom","content_type":"filesystem","created_at":"{}","config":{}}}"#,
                found.copy_is_made_at,
                config.lock().unwrap()
            )),
            delete if delete == format!("DELETE {VOLUME}") => sync("{}"),
            _ => not_found(),
        });
        Self { source, target }
    }

    fn migration(&self) -> Migration {
        let volume = self.source.client().storage_pool("p").volume(VolumeType::Custom, "v");
        volume.move_to_server(&self.target.client().storage_pool("p"))
    }

    /// Drops a move in its middle, and gives what the target is asked after that.
    async fn after_a_drop(&self) -> Vec<String> {
        let migration = self.migration().into_future();
        assert!(tokio::time::timeout(Duration::from_millis(150), migration).await.is_err());
        let before = self.target.seen().len();
        // A target that failed gets ten seconds to take back by itself what it made.
        for _ in 0..24 {
            tokio::time::sleep(Duration::from_millis(500)).await;
            if self.has_deleted() {
                break;
            }
        }
        self.target.seen().split_off(before)
    }

    fn has_deleted(&self) -> bool {
        self.target.seen().contains(&format!("DELETE {VOLUME}"))
    }
}

#[tokio::test]
async fn both_ends_are_stopped_before_the_copy_goes() {
    for ended in [
        ENDED,
        r#"{"id":"sink","status_code":400,"err":"websocket: close 1006"}"#,
        r#"{"id":"sink","status_code":401}"#,
    ] {
        let servers = Servers::start(&Found { ended, ..Found::new() });
        let asked = servers.after_a_drop().await;
        let wait = "GET /1.0/operations/sink/wait?timeout=30".to_owned();
        let (look, delete) = (format!("GET {VOLUME}"), format!("DELETE {VOLUME}"));
        let [first, second, looks @ .., last] = &asked[..] else { panic!("{asked:?}") };
        assert_eq!((&**first, second, last), ("DELETE /1.0/operations/sink", &wait, &delete));
        assert!(looks.iter().all(|asked| *asked == look), "{asked:?}");
        // Only a failed target has something to take back by itself.
        assert_eq!(looks.len() == 1, ended == ENDED, "{asked:?}");
        let source = servers.source.seen();
        assert!(source.contains(&"DELETE /1.0/operations/offer".to_owned()), "{source:?}");
        assert!(!source.contains(&format!("DELETE {VOLUME}")), "the source is never touched");
    }
}

#[tokio::test]
async fn what_was_asked_for_in_the_last_moment_is_taken_back_too() {
    let begins_after = Duration::from_millis(250);
    let servers = Servers::start(&Found { begins_after, ..Found::new() });
    servers.after_a_drop().await;
    assert!(servers.has_deleted(), "{:?}", servers.target.seen());
}

#[tokio::test]
async fn a_copy_whose_source_is_gone_stays() {
    let servers = Servers::start(&Found { source_is_gone: true, ..Found::new() });
    servers.after_a_drop().await;
    assert!(!servers.has_deleted(), "it may be all that there is");
}

#[tokio::test]
async fn a_volume_of_somebody_else_stays() {
    // Made between the look at the target and the request to it.
    let servers = Servers::start(&Found { copy_is_made_at: "2026-01-01T00:00:04Z", ..Found::new() });
    servers.after_a_drop().await;
    assert!(!servers.has_deleted());
    // Made after that, and the target failed for another reason.
    let ended = r#"{"id":"sink","status_code":400,"err":"websocket: close 1006"}"#;
    let servers = Servers::start(&Found { ended, is_ours: false, ..Found::new() });
    servers.after_a_drop().await;
    assert!(!servers.has_deleted());
    // And where the target itself says so.
    let ended = r#"{"id":"sink","status_code":400,"err":"Volume already exists"}"#;
    let servers = Servers::start(&Found { ended, ..Found::new() });
    servers.after_a_drop().await;
    assert!(!servers.has_deleted());
}

#[tokio::test]
async fn a_deadline_names_what_goes_on_and_takes_nothing_back() {
    let servers = Servers::start(&Found::new());
    let error = servers.migration().with_deadline(Duration::from_millis(100)).await.unwrap_err();
    let text = error.to_string();
    for part in ["\"v\"", "the source: offer", "the target: sink", "may go on"] {
        assert!(text.contains(part), "{text}");
    }
    tokio::time::sleep(Duration::from_millis(300)).await;
    let asked = servers.target.seen();
    assert!(!asked.iter().any(|request| request.starts_with("DELETE")), "{asked:?}");
}

#[tokio::test]
async fn a_failure_is_taken_back_before_it_is_told() {
    let ended = r#"{"id":"sink","status_code":400,"err":"disk full"}"#;
    let servers = Servers::start(&Found { ended, goes_on: false, ..Found::new() });
    let error = servers.migration().await.unwrap_err();
    assert!(error.to_string().contains("disk full") && servers.has_deleted(), "{error}");
}
