//! Answers that aren't what they should be end in a typed error within their time, and the client works afterwards.

use std::{
    sync::atomic::{AtomicUsize, Ordering},
    time::{Duration, Instant},
};

use lxd_storage::{
    Error, ErrorKind,
    transport::{Phase, Reached},
    types::StoragePoolsPost,
};

use crate::script::{Reply, Script, answer, json, sync};

/// Lists the pools of a server that answers like this, and shows that the next call on the same client works.
async fn error_of(reply: impl Fn() -> Reply + Send + Sync + 'static) -> Error {
    let script = Script::start(move |request| match request {
        "GET /1.0/storage-pools?recursion=1" => reply(),
        _ => sync(r#"{"name":"p"}"#),
    });
    let client = script.client();
    let started = Instant::now();
    let error = client.storage_pools().all().await.unwrap_err();
    assert!(started.elapsed() < Duration::from_secs(5), "it took {:?}", started.elapsed());
    assert_eq!(error.path(), Some("/1.0/storage-pools?recursion=1"));
    assert_eq!(client.storage_pools().get("p").await.unwrap().name(), "p");
    error
}

#[tokio::test]
async fn html_of_a_proxy() {
    let error =
        error_of(|| answer("503 Service Unavailable", "text/html", "<html>come back later</html>")).await;
    assert_eq!((error.kind(), error.status().unwrap().as_u16()), (ErrorKind::Server, 503));
    assert!(error.to_string().contains("come back later"), "{error}");

    let error = error_of(|| answer("200 OK", "text/html", "<html>log in</html>")).await;
    assert_eq!((error.kind(), error.status().unwrap().as_u16()), (ErrorKind::Decode, 200));
    assert!(error.to_string().contains("text/html") && error.to_string().contains("log in"), "{error}");
}

#[tokio::test]
async fn a_long_page_is_cut_to_a_snippet() {
    let error = error_of(|| answer("404 Not Found", "text/html", &"x".repeat(100_000))).await;
    assert_eq!(error.kind(), ErrorKind::NotFound);
    assert!(error.to_string().len() < 600, "{}", error.to_string().len());
}

#[tokio::test]
async fn a_redirect_is_not_followed() {
    let error = error_of(|| {
        Reply::Bytes(b"HTTP/1.1 301 Moved\r\nLocation: /elsewhere\r\nContent-Length: 0\r\n\r\n".to_vec())
    })
    .await;
    assert_eq!((error.kind(), error.status().unwrap().as_u16()), (ErrorKind::Decode, 301));
}

#[tokio::test]
async fn wrong_types_name_what_was_expected() {
    for (metadata, named) in [
        (r#"{"a":1}"#, "sequence"),
        (r#"[{"name":7}]"#, "string"),
        ("\"x\"", "sequence"),
        ("[3]", "StoragePool"),
    ] {
        let metadata = metadata.to_owned();
        let error = error_of(move || sync(&metadata)).await;
        assert_eq!(error.kind(), ErrorKind::Decode);
        assert!(error.to_string().contains(named), "{error}");
    }
    let error = error_of(|| json("200 OK", r#"{"type":"sync","metadata":"#)).await;
    assert_eq!(error.kind(), ErrorKind::Decode);
}

#[tokio::test]
async fn a_list_is_one_request_unless_a_pool_vanished_meanwhile() {
    let script = Script::start(|_| sync(r#"[{"name":"a"},{"name":"b"}]"#));
    assert_eq!(script.client().storage_pools().all().await.unwrap().len(), 2);
    assert_eq!(script.seen(), ["GET /1.0/storage-pools?recursion=1"]);

    let gone =
        || json("404 Not Found", r#"{"type":"error","error_code":404,"error":"Storage pool not found"}"#);
    let asked = AtomicUsize::new(0);
    let script = Script::start(move |_| match asked.fetch_add(1, Ordering::SeqCst) {
        0 | 1 => gone(),
        _ => sync(r#"[{"name":"a"}]"#),
    });
    assert_eq!(script.client().storage_pools().all().await.unwrap().len(), 1);
    assert_eq!(script.seen().len(), 3);

    let script = Script::start(move |_| gone());
    assert_eq!(script.client().storage_pools().all().await.unwrap_err().kind(), ErrorKind::NotFound);
    assert!(script.seen().len() < 12, "it is not read again without end");
}

#[tokio::test]
async fn nothing_at_all_is_an_empty_list() {
    let script = Script::start(|_| sync("null"));
    assert!(script.client().storage_pools().all().await.unwrap().is_empty());
}

#[tokio::test]
async fn an_answer_that_is_cut_off() {
    let head = b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{\"type\":";
    let error = error_of(|| Reply::Cut(head.to_vec())).await;
    assert_eq!((error.kind(), error.request_reached_server()), (ErrorKind::Interrupted, Reached::Yes));
    assert!(error.is_retry_safe(), "a read can be repeated");
}

#[tokio::test]
async fn no_answer_but_a_closed_connection() {
    let error = error_of(|| Reply::Cut(Vec::new())).await;
    assert_eq!(error.kind(), ErrorKind::Interrupted);
    let error = error_of(|| Reply::Cut(b"SSH-2.0-OpenSSH\r\n".to_vec())).await;
    assert_eq!(error.kind(), ErrorKind::Interrupted);
}

#[tokio::test]
async fn an_answer_that_never_comes() {
    let error = error_of(|| Reply::Stall(Vec::new())).await;
    assert_eq!(error.kind(), ErrorKind::Timeout(Phase::FirstByte));
    let error = error_of(|| Reply::Stall(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{".to_vec())).await;
    assert_eq!(error.kind(), ErrorKind::Timeout(Phase::Idle));
}

#[tokio::test]
async fn an_endless_answer() {
    let head = || b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n".to_vec();
    let error =
        error_of(move || Reply::Endless(head(), [b"1000\r\n".as_slice(), &[b' '; 4096], b"\r\n"].concat()))
            .await;
    assert_eq!(error.kind(), ErrorKind::Decode);
    assert!(error.to_string().contains("1048576"), "it names the limit: {error}");

    let error =
        error_of(|| Reply::Stall(b"HTTP/1.1 200 OK\r\nContent-Length: 99999999999\r\n\r\n{".to_vec())).await;
    assert_eq!(error.kind(), ErrorKind::Decode, "a length over the limit need not be waited for");

    let error =
        error_of(|| Reply::Endless(b"HTTP/1.1 200 OK\r\n".to_vec(), b"X-More: and more\r\n".to_vec())).await;
    assert_eq!(error.kind(), ErrorKind::Interrupted, "{error:?}");
}

#[tokio::test]
async fn a_write_is_never_repeated() {
    let script = Script::start(|request| match request.starts_with("GET") {
        true => sync(r#"{"name":"p","driver":"dir"}"#),
        false => Reply::Cut(Vec::new()),
    });
    let client = script.client();
    let pool = client.storage_pools().get("p").await.unwrap();
    let error = pool.handle().delete().await.unwrap_err();
    assert_eq!((error.kind(), error.request_reached_server()), (ErrorKind::Interrupted, Reached::Maybe));
    assert!(!error.is_retry_safe());
    assert_eq!(script.seen(), ["GET /1.0/storage-pools/p", "DELETE /1.0/storage-pools/p"]);
}

#[tokio::test]
async fn a_change_that_cannot_be_read_back_is_done_all_the_same() {
    let script = Script::start(|request| match request.starts_with("POST") {
        true => sync("{}"),
        false => Reply::Cut(Vec::new()),
    });
    let create = script.client().storage_pools().create(StoragePoolsPost::new("p", "dir"));
    let error = create.await.unwrap_err();
    assert_eq!((error.kind(), error.path()), (ErrorKind::Interrupted, Some("/1.0/storage-pools/p")));
    assert!(error.to_string().contains("the change itself is done"), "{error}");
    assert!(!error.is_retry_safe(), "only the reading can be repeated");
}

#[tokio::test]
async fn a_lost_answer_says_what_may_be_there() {
    let script = Script::start(|_| Reply::Cut(Vec::new()));
    let create = script.client().storage_pools().create(StoragePoolsPost::new("p", "dir"));
    let error = create.await.unwrap_err();
    assert!(error.to_string().contains("storage pool \"p\" may be there"), "{error}");
    assert!(!error.is_retry_safe());
}
