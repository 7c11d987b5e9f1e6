//! The laboratory itself: what it starts answers, and nothing of it stays.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

use std::{fs, os::unix::net::UnixStream, path::Path};

use lxd_tests::{Lab, Slot};

/// A lab of one, or a loud note that there is none on this machine.
fn start(slot: Slot) -> Option<Lab> {
    let lab = Lab::start(&[slot]).unwrap();
    if let Err(reason) = lab.daemon(slot) {
        assert!(!slot.is_required() || std::env::var("CI").is_err(), "CI needs real servers: {reason}");
        eprintln!("SKIPPED, no real server: {slot}: {reason}");
        return None;
    }
    Some(lab)
}

/// Mounts and loop devices whose text names the folder.
fn traces(folder: &str) -> Vec<String> {
    let loops = fs::read_dir("/sys/block").into_iter().flatten().flatten();
    let files = loops.filter_map(|device| fs::read_to_string(device.path().join("loop/backing_file")).ok());
    let mounts = fs::read_to_string("/proc/mounts").unwrap();
    mounts.lines().map(str::to_owned).chain(files).filter(|line| line.contains(folder)).collect()
}

fn assert_gone(folder: &Path, pid: u32) {
    assert!(!folder.exists());
    assert!(!Path::new(&format!("/proc/{pid}/exe")).exists(), "the daemon still runs");
    // The kernel lets go of a loop device a moment after the last mount of it ended.
    for _ in 0..100 {
        if traces(&folder.to_string_lossy()).is_empty() {
            return;
        }
        std::thread::sleep(std::time::Duration::from_millis(50));
    }
    panic!("left behind: {:?}", traces(&folder.to_string_lossy()));
}

#[test]
fn daemons_answer_and_leave_nothing_behind() {
    for slot in [Slot::LxdA, Slot::Incus, Slot::Incus7, Slot::Member1] {
        let Some(lab) = start(slot) else { continue };
        let daemon = lab.daemon(slot).unwrap();
        UnixStream::connect(daemon.socket()).unwrap();
        std::net::TcpStream::connect(daemon.https_url().strip_prefix("https://").unwrap()).unwrap();
        assert!(daemon.certificate_pem().contains("BEGIN CERTIFICATE"));
        let (folder, pid) = (daemon.dir().parent().unwrap().to_owned(), daemon.pid());
        drop(lab);
        assert_gone(&folder, pid);
    }
}

#[test]
fn a_panic_leaves_nothing_behind() {
    let Some(lab) = start(Slot::LxdA) else { return };
    let daemon = lab.daemon(Slot::LxdA).unwrap();
    let (folder, pid) = (daemon.dir().parent().unwrap().to_owned(), daemon.pid());
    let outcome = std::panic::catch_unwind(std::panic::AssertUnwindSafe(move || {
        let _lab = lab;
        panic!("on purpose");
    }));
    assert!(outcome.is_err());
    assert_gone(&folder, pid);
}

#[test]
fn daemons_end_with_the_thread_that_started_them() {
    let started = std::thread::spawn(|| {
        let lab = start(Slot::LxdA)?;
        let daemon = lab.daemon(Slot::LxdA).unwrap();
        let found = (daemon.dir().parent().unwrap().to_owned(), daemon.pid());
        // As if this process were killed: nobody runs the lab's own clean-up.
        std::mem::forget(lab);
        Some(found)
    });
    let Some((folder, pid)) = started.join().unwrap() else { return };
    for _ in 0..200 {
        if fs::read_to_string(format!("/proc/{pid}/stat")).is_ok_and(|stat| !stat.contains(") Z ")) {
            std::thread::sleep(std::time::Duration::from_millis(50));
        }
    }
    fs::remove_dir_all(&folder).unwrap();
    assert_gone(&folder, pid);
}

#[test]
fn a_killed_daemon_starts_again_with_what_it_had() {
    for slot in [Slot::LxdA, Slot::Incus, Slot::Incus7] {
        let Some(mut lab) = start(slot) else { continue };
        let daemon = lab.daemon_mut(slot).unwrap();
        let (pid, address) = (daemon.pid(), daemon.https_url().strip_prefix("https://").unwrap().to_owned());
        daemon.kill();
        std::net::TcpStream::connect(&address).unwrap_err();
        daemon.start_again().unwrap();
        assert_ne!(daemon.pid(), pid);
        UnixStream::connect(daemon.socket()).unwrap();
        std::net::TcpStream::connect(&address).unwrap();
        let (folder, pid) = (daemon.dir().parent().unwrap().to_owned(), daemon.pid());
        drop(lab);
        assert_gone(&folder, pid);
    }
}

#[test]
fn three_daemons_form_a_cluster() {
    let lab = Lab::start(&Slot::CLUSTER).unwrap();
    let Ok(first) = lab.daemon(Slot::Member1) else { return drop(start(Slot::Member1)) };
    let others = [Slot::Member2, Slot::Member3].map(|slot| lab.daemon(slot).unwrap());
    for daemon in others {
        assert_eq!(daemon.certificate_pem(), first.certificate_pem());
        assert_ne!(daemon.https_url(), first.https_url());
        assert_eq!(daemon.pools(), first.pools());
    }
    let gone: Vec<_> = lab
        .daemons()
        .iter()
        .map(|daemon| (daemon.dir().parent().unwrap().to_owned(), daemon.pid()))
        .collect();
    drop(lab);
    for (folder, pid) in gone {
        assert_gone(&folder, pid);
    }
}
