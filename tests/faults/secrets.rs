//! Servers that repeat in their answers the secrets that they were told.

use lxd_storage::{
    Error,
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
    let refused_to_wait =
        || json("500 Oops", &format!(r#"{{"type":"error","error_code":500,"error":"{SAYS}"}}"#));
    let cancelled = || sync(&format!(r#"{{"id":"o","status_code":401,"err":"{SAYS}"}}"#));
    for (accepts, waited) in [
        (false, failed as fn() -> Reply),
        (true, failed),
        (true, failed_under_200),
        (true, refused_to_wait),
        (true, cancelled),
    ] {
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
