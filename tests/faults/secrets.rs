//! Servers that repeat in their answers the secrets that they were told.

use lxd_storage::{
    Error, ErrorKind,
    types::{BackupTarget, StoragePoolsPost, StorageVolumeBackupsPost, VolumeType},
};

use crate::script::{Reply, Script, json, sync};

const SAYS: &str = "cannot sign with AKAKAK and SKSKSK";

/// Uploads a backup by way of a server that answers the request for it, and the waiting for it, like this.
async fn error_of(accepts: bool, waited: fn() -> Reply) -> Error {
    let script = Script::start(move |request| match request {
        "GET /1.0" => sync(r#"{"api_extensions":["custom_volume_backup","backup_s3_upload"]}"#),
        wait if wait.starts_with("GET /1.0/operations/") => waited(),
        _ if accepts => json(
            "202 Accepted",
            r#"{"type":"async","operation":"/1.0/operations/o","metadata":{"id":"o","status_code":103}}"#,
        ),
        _ => json("400 Bad Request", &format!(r#"{{"type":"error","error_code":400,"error":"{SAYS}"}}"#)),
    });
    let target = BackupTarget::s3("https://h", "b", "o").with_credentials("AKAKAK", "SKSKSK");
    let backups = script.client().storage_pool("p").volume(VolumeType::Custom, "v").backups();
    backups.upload(StorageVolumeBackupsPost::automatic(), target).await.unwrap_err()
}

#[tokio::test]
async fn no_error_repeats_them() {
    let failed = || sync(&format!(r#"{{"id":"o","status_code":400,"err":"{SAYS}"}}"#));
    let failed_under_200 =
        || json("200 OK", &format!(r#"{{"type":"error","error_code":500,"error":"{SAYS}"}}"#));
    let cancelled = || sync(&format!(r#"{{"id":"o","status_code":401,"err":"{SAYS}"}}"#));
    for (accepts, waited) in
        [(false, failed as fn() -> Reply), (true, failed), (true, failed_under_200), (true, cancelled)]
    {
        let error = error_of(accepts, waited).await;
        let text = format!("{error} {error:#} {error:?} {:?}", error.server_message());
        assert!(text.contains("cannot sign with *** and ***"), "{text}");
        assert!(!text.contains("AKAKAK") && !text.contains("SKSKSK"), "{text}");
    }
}

const PASSWORD: &str = "powerflex.user.password";

#[tokio::test]
async fn a_drift_does_not_show_them() {
    let script = Script::start(|request| match request {
        "GET /1.0" => sync(r#"{"api_extensions":[]}"#),
        _ => sync(
            r#"{"name":"p","driver":"powerflex","status":"Created",
                "config":{"powerflex.user.password":"OLDOLD","powerflex.gateway":"https://here"}}"#,
        ),
    });
    let wanted = StoragePoolsPost::new("p", "powerflex").with_config(PASSWORD, "NEWNEW");
    let diff = script.client().storage_pools().ensure(wanted).diff().await.unwrap();
    let shown = format!("{} {:?} {diff:?}", diff.changes()[0], diff.changes());
    assert!(!shown.contains("OLDOLD") && !shown.contains("NEWNEW"), "{shown}");
    assert!(shown.contains(PASSWORD) && shown.contains("***"), "{shown}");
}

/// Reads a pool whose answer makes no sense.
async fn error_of_pool(answer: &'static str) -> String {
    let script = Script::start(move |_| sync(answer));
    let error = script.client().storage_pools().get("p").await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Decode);
    format!("{error} {error:#} {error:?}")
}

#[tokio::test]
async fn an_answer_that_makes_no_sense_is_not_quoted_with_them() {
    for answer in [
        r#"{"config":{"powerflex.user.password":"HIDEME","alletra.user.password" : "HIDEME"},"name":7}"#,
        r#"{"config":{"powerflex.user.password":"a\\\"HIDEME","truenas.api_key":"HIDEME"},"name":7}"#,
        r#"{"config":{"pure.api.token":"HIDEME"},"name":7}"#,
        r#"{"config":{"pure.api.token":{"is":"HIDEME"}},"name":7}"#,
        r#"{"config":{"powerflex.user.password":["HIDEME"]},"name":7}"#,
        r#"{"config":{"powerflex.user.password":4711471147114711}}"#,
        r#"{"config":{"pure.api.token":{"4711471147114711":1}}}"#,
    ] {
        let text = error_of_pool(answer).await;
        assert!(!text.contains("HIDEME") && !text.contains("4711471147114711"), "{text}");
    }
}

#[tokio::test]
async fn nothing_of_an_operation_is_quoted() {
    let metadata =
        r#"{"id":7,"class":"websocket","status_code":103,"metadata":{"control":"WSWSWS","fs":"WSWSWS"}}"#;
    let script = Script::start(move |request| match request {
        get if get.starts_with("GET /1.0/operations") => sync(metadata),
        _ => json(
            "202 Accepted",
            &format!(r#"{{"type":"async","operation":"/1.0/operations/o","metadata":{metadata}}}"#),
        ),
    });
    let client = script.client();
    for error in [
        client.storage_pool("p").delete().await.unwrap_err(),
        client.operation("o").await.unwrap_err(),
        client.operations().all().await.unwrap_err(),
    ] {
        let text = format!("{error} {error:#} {error:?}");
        assert_eq!(error.kind(), ErrorKind::Decode);
        assert!(!text.contains("WSWSWS"), "{text}");
    }
}
