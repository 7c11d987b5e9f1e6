//! A pool on the members of a cluster, which somebody else is creating too.

use std::sync::atomic::{AtomicBool, Ordering};

use lxd_storage::{Error, types::StoragePoolsPost};

use crate::script::{Reply, Script, json, sync};

fn refused(code: u16) -> Reply {
    json(
        &format!("{code} Refused"),
        &format!(r#"{{"type":"error","error_code":{code},"error":"The server says {code}"}}"#),
    )
}

/// Creates a pool on two members, of which the second refuses by this code; from then on the pool is like that.
/// Gives the error, and whether the pool was deleted.
async fn creation(code: u16, status: &str, locations: &str) -> (Error, bool) {
    let begun = AtomicBool::new(false);
    let pool = format!(r#"{{"name":"p","driver":"dir","status":"{status}","locations":{locations}}}"#);
    let script = Script::start(move |request| match request {
        "GET /1.0" => sync(r#"{"api_extensions":["clustering"],"environment":{"server_clustered":true}}"#),
        "GET /1.0/cluster/members?recursion=1" => sync(r#"[{"server_name":"n1"},{"server_name":"n2"}]"#),
        "POST /1.0/storage-pools?target=n2" => {
            begun.store(true, Ordering::SeqCst);
            refused(code)
        }
        "GET /1.0/storage-pools/p" if begun.load(Ordering::SeqCst) => sync(&pool),
        get if get.starts_with("GET") => refused(404),
        _ => sync("{}"),
    });
    let pools = script.client().storage_pools();
    let error = pools.create_on_members(StoragePoolsPost::new("p", "dir")).await.unwrap_err();
    let seen = script.seen();
    assert!(seen.iter().any(|request| request == "POST /1.0/storage-pools?target=n1"), "{seen:?}");
    (error, seen.iter().any(|request| request.starts_with("DELETE")))
}

#[tokio::test]
async fn a_pool_that_somebody_else_creates_is_left_to_them() {
    let (error, deleted) = creation(409, "Created", r#"["n1","n2"]"#).await;
    assert!(error.is_already_exists() && !deleted, "{error}");
    // They have not finished yet.
    let (error, deleted) = creation(409, "Pending", r#"["n1","n2"]"#).await;
    assert!(error.is_already_exists() && !deleted, "{error}");
    assert!(error.to_string().contains("somebody else"), "{error}");
}

#[tokio::test]
async fn only_what_this_call_began_is_taken_back() {
    for (status, locations, taken_back) in [
        ("Pending", r#"["n1"]"#, true),
        ("Errored", r#"["n1"]"#, true),
        ("Created", r#"["n1"]"#, false),
        ("Pending", r#"["n1","n2"]"#, false),
        ("Pending", r#"["n3"]"#, false),
    ] {
        let (error, deleted) = creation(500, status, locations).await;
        assert_eq!(deleted, taken_back, "{status} {locations}: {error}");
        assert_eq!(error.to_string().contains("is left"), !taken_back, "{error}");
    }
}
