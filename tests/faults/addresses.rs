//! Migrations from a source with several addresses.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use lxd_storage::types::VolumeType;

use crate::script::{Reply, Script, json, sync};

const SERVER: &str = r#"{"api_extensions":["storage_api_remote_volume_handling","storage_api_volume_snapshots"],
    "environment":{"addresses":["127.0.0.1:1"],"certificate":"PEM"}}"#;
const VOLUMES: &str = "POST /1.0/storage-pools/p/volumes/custom";

fn begun(id: &str, class: &str) -> Reply {
    json(
        "202 Accepted",
        &format!(
            r#"{{"type":"async","operation":"/1.0/operations/{id}","metadata":{{"id":"{id}","class":"{class}",
                "status_code":103,"metadata":{{"control":"c0ffee-{id}","fs":"c0ffee"}}}}}}"#
        ),
    )
}

fn error(status: &str, code: u16, text: &str) -> Reply {
    json(status, &format!(r#"{{"type":"error","error_code":{code},"error":"{text}"}}"#))
}

#[tokio::test]
async fn each_address_of_a_source_gets_an_offer_of_its_own() {
    let offers = AtomicUsize::new(0);
    let source = Script::start(move |request| match request {
        "GET /1.0" => sync(SERVER),
        post if post.starts_with("POST") => {
            begun(&format!("offer{}", offers.fetch_add(1, Ordering::SeqCst)), "websocket")
        }
        delete if delete.starts_with("DELETE /1.0/operations/") => sync("{}"),
        wait if wait.contains("/wait") => sync(r#"{"id":"offer","status_code":200}"#),
        list if list.contains("snapshots") => sync("[]"),
        _ => sync(r#"{"name":"v","type":"custom"}"#),
    });
    let sinks = Arc::new(AtomicUsize::new(0));
    let posts = Arc::new(std::sync::Mutex::new(Vec::<String>::new()));
    let noted = Arc::clone(&posts);
    let target = Script::reading(move |request, body| match request {
        "GET /1.0" => sync(SERVER),
        VOLUMES => {
            noted.lock().unwrap().push(body.to_owned());
            begun(&format!("sink{}", sinks.fetch_add(1, Ordering::SeqCst)), "task")
        }
        wait if wait.contains("sink0/wait") => error("200 OK", 500, "dial tcp 10.0.0.1:8443: i/o timeout"),
        wait if wait.contains("sink1/wait") => sync(r#"{"id":"sink1","status_code":200}"#),
        list if list.contains("snapshots") => sync("[]"),
        put if put.starts_with("PUT") || put.starts_with("PATCH") => sync("{}"),
        _ if sinks.load(Ordering::SeqCst) < 2 => error("404 Not Found", 404, "not found"),
        _ => sync(r#"{"name":"v","type":"custom"}"#),
    });
    let volume = source.client().storage_pool("p").volume(VolumeType::Custom, "v");
    let copy = volume
        .copy_to_server(&target.client().storage_pool("p"))
        .with_address("https://10.0.0.1:8443")
        .with_address("https://good:8443");
    assert_eq!(copy.await.unwrap().name(), "v");
    let posts = posts.lock().unwrap();
    for (post, (address, offer)) in
        posts.iter().zip([("https://10.0.0.1:8443", "offer0"), ("https://good:8443", "offer1")])
    {
        assert!(post.contains(&format!("{address}/1.0/operations/{offer}")), "{posts:?}");
        assert!(post.contains(&format!("c0ffee-{offer}")), "{posts:?}");
    }
    assert_eq!(posts.len(), 2);
}
