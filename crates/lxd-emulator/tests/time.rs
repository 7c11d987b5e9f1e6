//! Time that a test drives.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    missing_docs,
    reason = "a test fails by panicking"
)]

mod support;

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use support::{done, send, servers};

const VOLUME: &str = "/1.0/storage-pools/p/volumes/custom/v";

#[tokio::test]
async fn an_ended_operation_is_forgotten_after_five_seconds() {
    for (_, emulator, _) in servers() {
        emulator.advance(Duration::ZERO);
        done(&emulator, "POST", "/1.0/storage-pools", r#"{"name":"p","driver":"dir"}"#).await;
        done(&emulator, "POST", "/1.0/storage-pools/p/volumes/custom", r#"{"name":"v"}"#).await;
        let started = send(&emulator, "POST", &format!("{VOLUME}/snapshots"), r#"{"name":"s"}"#).await;
        let url = started.json()["operation"].as_str().unwrap().to_owned();
        send(&emulator, "GET", &format!("{url}/wait"), "").await;
        emulator.advance(Duration::from_secs(4));
        assert_eq!(send(&emulator, "GET", &url, "").await.status, 200);
        emulator.advance(Duration::from_secs(1));
        assert_eq!(send(&emulator, "GET", &url, "").await.status, 404);
    }
}

#[tokio::test]
async fn snapshots_are_taken_by_schedule_and_expire() {
    for (_, emulator, _) in servers() {
        // A minute past the next full hour, so that no other hour begins where none is meant to.
        let seconds = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
        emulator.advance(Duration::from_secs(3600 - seconds % 3600 + 60));
        done(&emulator, "POST", "/1.0/storage-pools", r#"{"name":"p","driver":"dir"}"#).await;
        let volume = r#"{"name":"v","config":{"snapshots.schedule":"@hourly","snapshots.expiry":"2H","snapshots.pattern":"auto%d"}}"#;
        done(&emulator, "POST", "/1.0/storage-pools/p/volumes/custom", volume).await;
        let count = || async {
            let list = send(&emulator, "GET", &format!("{VOLUME}/snapshots"), "").await.metadata();
            list.as_array().unwrap().len()
        };
        assert_eq!(count().await, 0);
        emulator.advance(Duration::from_secs(3600));
        assert_eq!(count().await, 1);
        let list = send(&emulator, "GET", &format!("{VOLUME}/snapshots"), "").await.metadata();
        assert_eq!(list[0], format!("{VOLUME}/snapshots/auto0"));
        emulator.advance(Duration::from_secs(60));
        assert_eq!(count().await, 1);
        // The first expires when a third is taken.
        emulator.advance(Duration::from_secs(3600));
        assert_eq!(count().await, 2);
        emulator.advance(Duration::from_secs(3600));
        assert_eq!(count().await, 2);
    }
}
