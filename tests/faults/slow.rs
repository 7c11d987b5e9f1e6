//! Servers that do long work before they answer, instead of in the background.

use std::time::{Duration, Instant};

use lxd_storage::{
    Client, ErrorKind,
    transport::{HttpTransport, Limits, Phase, Reached},
    types::VolumeType,
};

use crate::script::{Reply, Script, json, sync};

/// A server that takes its time for every change, far longer than the limits of `Script::client` for the first byte.
fn slow() -> Script {
    Script::start(|request| match request.starts_with("GET") {
        true => sync(r#"{"name":"v","type":"custom"}"#),
        false => Reply::Late(Duration::from_millis(800), Box::new(sync("{}"))),
    })
}

fn silent() -> Script {
    Script::start(|_| Reply::Stall(Vec::new()))
}

#[tokio::test]
async fn a_deadline_gives_work_that_is_done_at_once_its_time_too() {
    let script = slow();
    let volume = script.client().storage_pool("p").volume(VolumeType::Custom, "v");
    volume.delete().with_deadline(Duration::from_secs(30)).await.unwrap();
}

#[tokio::test]
async fn a_deadline_ends_the_waiting_for_work_that_is_done_at_once() {
    let script = silent();
    let client = Client::new(HttpTransport::unix(script.socket()));
    let started = Instant::now();
    let change = client.storage_pool("p").delete().with_deadline(Duration::from_millis(200));
    let error = change.await.unwrap_err();
    assert!(started.elapsed() < Duration::from_secs(5), "{:?}", started.elapsed());
    assert_eq!(error.kind(), ErrorKind::Timeout(Phase::FirstByte));
    assert_eq!((error.request_reached_server(), error.is_retry_safe()), (Reached::Maybe, false));
}

#[tokio::test]
async fn a_deadline_counts_from_the_request_on() {
    let script = Script::start(|request| match request {
        wait if wait.starts_with("GET /1.0/operations/o/wait") => Reply::Stall(Vec::new()),
        _ => Reply::Late(
            Duration::from_millis(800),
            Box::new(json(
                "202 Accepted",
                r#"{"type":"async","operation":"/1.0/operations/o","metadata":{"id":"o","status_code":103}}"#,
            )),
        ),
    });
    let started = Instant::now();
    let change = script.client().storage_pool("p").delete().with_deadline(Duration::from_millis(1000));
    let error = change.await.unwrap_err();
    assert_eq!((error.kind(), error.operation()), (ErrorKind::Timeout(Phase::Wait), Some("o")));
    assert!(started.elapsed() < Duration::from_millis(1600), "{:?}", started.elapsed());
}

#[tokio::test]
async fn changes_may_have_limits_of_their_own() {
    let script = slow();
    let short = Limits::METADATA.with_first_byte(Duration::from_millis(300));
    let client = |changes: Option<Limits>| {
        let builder = Client::builder(HttpTransport::unix(script.socket())).limits(short);
        match changes {
            Some(limits) => builder.change_limits(limits),
            None => builder,
        }
        .build()
        .unwrap()
    };
    let delete = |client: Client| async move { client.storage_pool("p").delete().await };
    let error = delete(client(None)).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Timeout(Phase::FirstByte));
    delete(client(Some(Limits::METADATA))).await.unwrap();

    let zero = Limits::METADATA.with_first_byte(Duration::ZERO);
    let refused = Client::builder(HttpTransport::unix(script.socket())).change_limits(zero).build();
    assert_eq!(refused.unwrap_err().kind(), ErrorKind::InvalidInput);
}
