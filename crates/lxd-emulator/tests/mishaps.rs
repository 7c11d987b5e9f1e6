//! Requests that ask for what cannot be: they are refused, the server goes on, and nothing is lost by them.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    missing_docs,
    reason = "a test fails by panicking"
)]

mod support;

use std::{fs, time::Duration};

use lxd_emulator::{Emulator, Personality};
use support::{done, ended, send, with_pool};

const VOLUMES: &str = "/1.0/storage-pools/p/volumes/custom";
const VOLUME: &str = "/1.0/storage-pools/p/volumes/custom/v";

/// With a volume `v` that has a file, a snapshot `s` and a backup `b`.
async fn with_volume(personality: Personality) -> Emulator {
    let emulator = with_pool(personality).await;
    done(&emulator, "POST", VOLUMES, r#"{"name":"v"}"#).await;
    fs::write(emulator.content("p", "default", "v").join("letter"), "hello").unwrap();
    done(&emulator, "POST", &format!("{VOLUME}/snapshots"), r#"{"name":"s"}"#).await;
    done(&emulator, "POST", &format!("{VOLUME}/backups"), r#"{"name":"b"}"#).await;
    emulator
}

fn letter(emulator: &Emulator) -> String {
    fs::read_to_string(emulator.content("p", "default", "v").join("letter")).unwrap()
}

#[tokio::test]
async fn a_body_that_is_too_deep_is_refused() {
    for personality in Personality::ALL {
        let emulator = with_volume(personality).await;
        let body = format!(r#"{{"name":"n","x":{}"#, "[".repeat(1 << 20));
        let answer = send(&emulator, "POST", VOLUMES, &body).await;
        assert_eq!(answer.status, 400, "{}", answer.text);
        assert!(answer.text.contains("exceeded max depth"), "{}", answer.text);
    }
}

#[tokio::test]
async fn a_refresh_from_itself_loses_nothing() {
    for personality in Personality::ALL {
        let emulator = with_volume(personality).await;
        let body = r#"{"name":"v","source":{"type":"copy","name":"v","pool":"p","refresh":true}}"#;
        // Whether it is taken or not.
        drop(ended(&emulator, "POST", VOLUMES, body).await);
        assert_eq!(letter(&emulator), "hello", "{personality:?}");
        let snapshots = send(&emulator, "GET", &format!("{VOLUME}/snapshots"), "").await.text;
        assert!(snapshots.contains("/snapshots/s\""), "{snapshots}");
    }
}

#[tokio::test]
async fn a_name_that_no_file_can_have_changes_nothing() {
    let long = format!(r#"{{"name":"{}"}}"#, "y".repeat(300));
    for personality in Personality::ALL {
        let emulator = with_volume(personality).await;
        for (one, all) in [("snapshots/s", "snapshots"), ("backups/b", "backups")] {
            let url = format!("{VOLUME}/{one}");
            assert!(ended(&emulator, "POST", &url, &long).await.is_err(), "{personality:?} {one}");
            let names = send(&emulator, "GET", &format!("{VOLUME}/{all}"), "").await.text;
            assert!(names.contains(&format!("/{one}\"")) && !names.contains("yyy"), "{names}");
        }
        done(&emulator, "PUT", VOLUME, r#"{"restore":"s"}"#).await;
        assert_eq!(letter(&emulator), "hello");
        // There is still a file that can be moved.
        ended(&emulator, "POST", &format!("{VOLUME}/backups/b"), r#"{"name":"c"}"#).await.unwrap();
    }
}

#[tokio::test]
async fn a_restore_that_fails_leaves_the_volume() {
    for personality in Personality::ALL {
        let emulator = with_volume(personality).await;
        let volume = emulator.content("p", "default", "v");
        let snapshots = volume.parent().unwrap().with_file_name("custom-snapshots");
        fs::remove_dir_all(snapshots).unwrap();
        assert!(ended(&emulator, "PUT", VOLUME, r#"{"restore":"s"}"#).await.is_err(), "{personality:?}");
        assert_eq!(letter(&emulator), "hello");
    }
}

#[tokio::test]
async fn numbers_at_their_end_are_no_end_of_the_server() {
    for personality in Personality::ALL {
        let emulator = with_volume(personality).await;
        for (all, name) in [("snapshots", "snap"), ("backups", "backup")] {
            let url = format!("{VOLUME}/{all}");
            done(&emulator, "POST", &url, &format!(r#"{{"name":"{name}{}"}}"#, u64::MAX)).await;
            done(&emulator, "POST", &url, "{}").await;
            let names = send(&emulator, "GET", &url, "").await.text;
            assert!(names.contains(&format!("/{name}0\"")), "{personality:?}: {names}");
        }
    }
}

#[tokio::test]
async fn an_expiry_after_the_last_year_is_none() {
    let emulator = with_volume(Personality::Incus6).await;
    for (at, span) in ["100000000000000000y", "999999999999999999m", "9000y"].into_iter().enumerate() {
        let config = format!(r#"{{"config":{{"snapshots.expiry":"{span}"}}}}"#);
        done(&emulator, "PATCH", VOLUME, &config).await;
        let (all, name) = (format!("{VOLUME}/snapshots"), format!("n{at}"));
        done(&emulator, "POST", &all, &format!(r#"{{"name":"{name}"}}"#)).await;
        let shown = send(&emulator, "GET", &format!("{all}/{name}"), "").await.metadata();
        assert_eq!(shown["expires_at"], "0001-01-01T00:00:00Z", "{span}");
    }
}

#[tokio::test]
async fn schedules_that_never_come_cost_nothing() {
    let emulator = with_volume(Personality::Incus6).await;
    for name in ["a", "b", "c", "d", "e"] {
        let body = format!(r#"{{"name":"{name}","config":{{"snapshots.schedule":"0 0 31 2 *"}}}}"#);
        done(&emulator, "POST", VOLUMES, &body).await;
    }
    for days in [366, 366 * 1_000, 366 * 1_000_000] {
        emulator.advance(Duration::from_secs(days * 86_400));
        let asked = tokio::time::timeout(Duration::from_secs(10), send(&emulator, "GET", VOLUMES, ""));
        assert_eq!(asked.await.expect("an answer").status, 200);
    }
}

/// Each of two things at once is done as a whole or not at all, and what is left fits together.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn what_happens_at_once_to_one_volume_happens_one_after_the_other() {
    let renamed = "/1.0/storage-pools/p/volumes/custom/w";
    for personality in Personality::ALL {
        for other in ["rename", "drop the snapshot", "pack"] {
            let emulator = with_volume(personality).await;
            let folder = |name| emulator.content("p", "default", name);
            for file in 0..200 {
                fs::write(folder("v").join(format!("f{file}")), "1").unwrap();
            }
            done(&emulator, "POST", &format!("{VOLUME}/snapshots"), r#"{"name":"full"}"#).await;
            let restored = ended(&emulator, "PUT", VOLUME, r#"{"restore":"full"}"#);
            let (snapshot, backups) = (format!("{VOLUME}/snapshots/full"), format!("{VOLUME}/backups"));
            match other {
                "rename" => {
                    let (_, moved) =
                        tokio::join!(restored, ended(&emulator, "POST", VOLUME, r#"{"name":"w"}"#));
                    moved.unwrap();
                    assert_eq!(fs::read_dir(folder("w")).unwrap().count(), 201, "{personality:?}");
                    assert!(!folder("v").exists(), "{personality:?}");
                    assert_eq!(send(&emulator, "GET", renamed, "").await.status, 200);
                }
                "pack" => {
                    for file in 0..200 {
                        fs::write(folder("v").join(format!("g{file}")), vec![7; 20_000]).unwrap();
                    }
                    let pack = ended(&emulator, "POST", &backups, r#"{"name":"c"}"#);
                    let (packed, restored) = tokio::join!(pack, restored);
                    assert_eq!((restored, packed), (Ok(()), Ok(())), "{personality:?}");
                }
                _ => {
                    let (_, dropped) = tokio::join!(restored, ended(&emulator, "DELETE", &snapshot, ""));
                    dropped.unwrap();
                    assert_eq!(fs::read_dir(folder("v")).unwrap().count(), 201, "{personality:?}");
                }
            }
        }
    }
}
