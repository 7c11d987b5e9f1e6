//! LXD 6.8 and later tells progress in events only: its operations, as they are read, have none.

use std::sync::{Arc, Mutex};

use lxd_storage::types::StorageVolumesPost;

use crate::script::{Reply, Script, json, sync, websocket};

const ID: &str = "0190a7d6-8b5c-7e06-8f29-2c2c9ee0a0b1";
const EVENTS: &str = "GET /1.0/events?type=operation";

/// The bytes that were told.
type Told = Arc<Mutex<Vec<u64>>>;

/// A server whose operation has this progress in the answers to `/wait` and ends once three things were told, or when
/// it was asked a hundred times.
fn server(told: &Told, in_answers: &'static str, events: fn() -> Reply) -> Script {
    let (told, asked) = (Arc::clone(told), Mutex::new(0));
    Script::start(move |request| match request {
        "GET /1.0" => sync(r#"{"api_extensions":["bulk_operations"]}"#),
        EVENTS => events(),
        wait if wait.contains("/wait?") => {
            *asked.lock().unwrap() += 1;
            let done = told.lock().unwrap().len() == 3 || *asked.lock().unwrap() == 100;
            let code = if done { 200 } else { 103 };
            let number = 3.min(told.lock().unwrap().len() + 1);
            let metadata = in_answers.replace("N", &number.to_string());
            sync(&format!(r#"{{"id":"{ID}","status_code":{code},"metadata":{{{metadata}}}}}"#))
        }
        get if get.starts_with("GET") => sync(r#"{"name":"v","type":"custom"}"#),
        _ => json(
            "202 Accepted",
            &format!(r#"{{"type":"async","metadata":{{"id":"{ID}","class":"task","status_code":103}}}}"#),
        ),
    })
}

async fn create(script: &Script, told: &Told) {
    let told = Arc::clone(told);
    let change = script.client().storage_pool("p").volumes().create(StorageVolumesPost::new("v"));
    let change = change
        .with_progress(move |progress| told.lock().unwrap().push(progress.processed_bytes.unwrap_or(0)));
    assert_eq!(change.await.unwrap().name(), "v");
}

#[tokio::test]
async fn progress_is_heard_in_events() {
    let told = Told::default();
    let script = server(&told, "", || {
        let event = |id: &str, second: u32, bytes: u32| {
            format!(
                r#"{{"type":"operation","metadata":{{"id":"{id}","status_code":103,
                    "updated_at":"2026-01-01T00:00:0{second}Z","metadata":{{"entity_url":"/1.0/storage-pools/p",
                    "progress":{{"stage":"create","processed":"{bytes}"}}}}}}}}"#
            )
        };
        // Of another operation, one twice, and one that was overtaken.
        let events = [(ID, 1, 10), ("other", 1, 11), (ID, 2, 20), (ID, 2, 20), (ID, 1, 10), (ID, 3, 30)];
        let events: Vec<String> =
            events.iter().map(|(id, second, bytes)| event(id, *second, *bytes)).collect();
        websocket(&events)
    });
    create(&script, &told).await;
    assert_eq!(*told.lock().unwrap(), [10, 20, 30]);
}

#[tokio::test]
async fn without_events_the_work_is_awaited_and_its_answers_are_read() {
    let refused = || json("403 Forbidden", r#"{"type":"error","error_code":403,"error":"not authorized"}"#);
    for events in [refused, || Reply::Stall(Vec::new()), || websocket(&[]), || Reply::Cut(Vec::new())] {
        let told = Told::default();
        let script = server(&told, r#""fs_progress":"N.00MB (1.00MB/s)""#, events);
        create(&script, &told).await;
        assert_eq!(*told.lock().unwrap(), [1_000_000, 2_000_000, 3_000_000]);
    }
}

#[tokio::test]
async fn who_wants_no_progress_opens_no_events() {
    let told = Told::default();
    let script = server(&told, r#""fs_progress":"N.00MB (1.00MB/s)""#, || Reply::Cut(Vec::new()));
    told.lock().unwrap().extend([1, 2, 3]);
    script.client().storage_pool("p").volumes().create(StorageVolumesPost::new("v")).await.unwrap();
    assert!(!script.seen().iter().any(|request| request == EVENTS));
}
