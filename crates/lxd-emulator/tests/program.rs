//! The program: its flags, its signals, and its state folder.

#![cfg(feature = "program")]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    missing_docs,
    reason = "a test fails by panicking"
)]

use std::{
    io::{BufRead as _, BufReader},
    path::Path,
    process::{Child, Command, Output, Stdio},
};

use lxd_storage::{
    Client,
    types::{StoragePoolsPost, StorageVolumesPost, VolumeType},
};

fn program() -> Command {
    Command::new(env!("CARGO_BIN_EXE_lxd-emulator"))
}

fn output(arguments: &[&str]) -> Output {
    program().args(arguments).output().unwrap()
}

/// Starts it, and waits until it listens.
fn start(folder: &Path, arguments: &[&str]) -> Child {
    let mut command = program();
    command.arg("--socket").arg(folder.join("unix.socket")).args(arguments).stdout(Stdio::piped());
    let mut child = command.spawn().unwrap();
    let mut line = String::new();
    BufReader::new(child.stdout.as_mut().unwrap()).read_line(&mut line).unwrap();
    assert!(line.starts_with("listening on "), "{line:?}");
    child
}

fn stop(mut child: Child, signal: &str) {
    let killed = Command::new("kill").args([signal, &child.id().to_string()]).status().unwrap();
    assert!(killed.success());
    assert!(child.wait().unwrap().success(), "{signal}");
}

#[test]
fn bad_flags_are_refused_with_a_word_about_them() {
    for (arguments, text) in [
        (&[][..], "neither --socket nor --listen"),
        (&["--frobnicate"], "invalid option '--frobnicate'"),
        (&["--socket"], "missing argument for option '--socket'"),
        (
            &["--socket", "/tmp/x", "--personality", "lxd4"],
            "there is no personality \"lxd4\", only lxd5, lxd-new, incus6",
        ),
        (&["--socket", "/tmp/x", "--members", "a,,b"], "has an empty name"),
        (&["--socket="], "the path of --socket is empty; name a file"),
        (&["--socket", "/tmp/x", "--state="], "the path of --state is empty; name a folder"),
    ] {
        let output = output(arguments);
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(2), "{said}");
        assert!(said.contains(text) && said.contains("--help"), "{said}");
    }
    let help = output(&["--help"]);
    assert!(help.status.success() && String::from_utf8_lossy(&help.stdout).contains("--personality NAME"));
}

#[test]
fn what_it_cannot_do_is_told() {
    let folder = tempfile::tempdir().unwrap();
    let long = format!("/tmp/{}", "x".repeat(120));
    let (file, state) = (folder.path().join("file"), folder.path().join("state"));
    std::fs::write(&file, "a letter").unwrap();
    std::fs::create_dir_all(state.join("database.json")).unwrap();
    let (file, state) = (file.to_str().unwrap(), state.to_str().unwrap());
    for (arguments, text) in [
        (vec!["--socket", &long], "bytes; a socket's may have 107"),
        (vec!["--listen", "nowhere"], "cannot listen on nowhere"),
        (vec!["--socket", "/tmp/x", "--trust", "/nonexistent"], "/nonexistent: "),
        (vec!["--socket", "/nonexistent/x.sock"], "cannot listen on /nonexistent/x.sock: No such file"),
        (vec!["--socket", "/tmp/x", "--state", file], "cannot keep the state in "),
        (vec!["--socket", "/tmp/x", "--state", state], "database.json: Is a directory"),
        (vec!["--socket", "/tmp/x", "--drivers", "dir,nonsense"], "no storage driver \"nonsense\", only "),
        (vec!["--socket", "/tmp/x", "--members", "../../x"], "\"../../x\" cannot be the name of a member"),
        (vec!["--socket", "/tmp/x", "--members", "a,a"], "two members named \"a\""),
    ] {
        let output = output(&arguments);
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(1), "{said}");
        assert!(said.contains(text), "{said}");
    }
    drop(folder);
}

#[test]
fn signals_end_it_and_nothing_is_left() {
    for signal in ["-INT", "-TERM"] {
        let (folder, scratch) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let mut command = program();
        command.arg("--socket").arg(folder.path().join("unix.socket")).env("TMPDIR", scratch.path());
        let mut child = command.stdout(Stdio::piped()).spawn().unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.as_mut().unwrap()).read_line(&mut line).unwrap();
        assert_eq!(std::fs::read_dir(scratch.path()).unwrap().count(), 1);
        stop(child, signal);
        assert_eq!(std::fs::read_dir(scratch.path()).unwrap().count(), 0);
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
    }
}

fn kill(child: &Child, signal: &str) {
    assert!(Command::new("kill").args([signal, &child.id().to_string()]).status().unwrap().success());
}

/// A pipe that nobody writes to, in the place of a backup, is work that does not end.
#[tokio::test]
async fn a_second_signal_ends_it_at_once() {
    let (folder, scratch) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let mut command = program();
    command.arg("--socket").arg(folder.path().join("unix.socket")).env("TMPDIR", scratch.path());
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut line = String::new();
    BufReader::new(child.stdout.as_mut().unwrap()).read_line(&mut line).unwrap();
    let client = Client::unix(folder.path().join("unix.socket"));
    let pool = client.storage_pools().create(StoragePoolsPost::new("p", "dir")).await.unwrap();
    pool.volumes().create(StorageVolumesPost::new("v")).await.unwrap();
    let path = "/1.0/storage-pools/p/volumes/custom/v/backups";
    let body = serde_json::json!({"name": "b"});
    client.request("POST".parse().unwrap(), path).json(&body).change().await.unwrap();
    let place = std::fs::read_dir(scratch.path()).unwrap().next().unwrap().unwrap().path();
    let file = place.join("backups/custom/p/default_v/b");
    std::fs::remove_file(&file).unwrap();
    assert!(Command::new("mkfifo").arg(&file).status().unwrap().success());
    let export = client.request("GET".parse().unwrap(), &format!("{path}/b/export"));
    tokio::spawn(async move { export.fetch::<serde_json::Value>().await.map(drop) });
    // Nothing tells from outside when the program has got to the pipe; whoever opened it would end the work.
    tokio::time::sleep(std::time::Duration::from_secs(1)).await;

    kill(&child, "-TERM");
    // Long enough for a program that would not wait.
    tokio::time::sleep(std::time::Duration::from_millis(300)).await;
    assert!(child.try_wait().unwrap().is_none(), "it waits for the work");
    kill(&child, "-INT");
    for _ in 0..300 {
        if child.try_wait().unwrap().is_some() {
            break;
        }
        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
    }
    let ended = child.try_wait().unwrap().is_some();
    child.kill().unwrap();
    let output = child.wait_with_output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(ended && output.status.code() == Some(1) && said.contains("second signal"), "{said}");
    assert_eq!(std::fs::read_dir(scratch.path()).unwrap().count(), 0);
}

#[tokio::test]
async fn a_state_folder_is_gone_on_with() {
    let folder = tempfile::tempdir().unwrap();
    let state = folder.path().join("state");
    let flags = ["--state", state.to_str().unwrap()];
    let child = start(folder.path(), &flags);
    let client = Client::unix(folder.path().join("unix.socket"));
    let pool = client.storage_pools().create(StoragePoolsPost::new("p", "dir")).await.unwrap();
    pool.volumes().create(StorageVolumesPost::new("v")).await.unwrap();
    let fingerprint = client.server().await.unwrap().environment.certificate_fingerprint.clone();
    let second = output(&["--listen", "127.0.0.1:0", "--state", flags[1]]);
    let said = String::from_utf8_lossy(&second.stderr).into_owned();
    assert!(!second.status.success() && said.contains("is in use by another emulator"), "{said}");
    stop(child, "-TERM");

    let child = start(folder.path(), &flags);
    let client = Client::unix(folder.path().join("unix.socket"));
    let again = client.storage_pool("p").volume(VolumeType::Custom, "v").exists().await.unwrap();
    assert!(again);
    assert_eq!(client.server().await.unwrap().environment.certificate_fingerprint, fingerprint);
    stop(child, "-INT");

    let other = output(&["--socket", "/tmp/x", "--state", flags[1], "--personality", "incus6"]);
    let said = String::from_utf8_lossy(&other.stderr).into_owned();
    assert!(said.contains("belongs to personality \"lxd5\""), "{said}");
    let other = output(&["--socket", "/tmp/x", "--state", flags[1], "--members", "a,b"]);
    let said = String::from_utf8_lossy(&other.stderr).into_owned();
    assert!(said.contains("database.json: belongs to a server alone, and not of a, b"), "{said}");
}

/// The names that a list has.
async fn names(client: &Client, path: &str) -> Vec<String> {
    let urls = client.request("GET".parse().unwrap(), path).fetch::<Vec<String>>().await.unwrap();
    urls.value.iter().filter_map(|url| url.rsplit('/').next()).map(str::to_owned).collect()
}

#[tokio::test]
async fn what_a_killed_program_had_not_finished_is_gone() {
    let folder = tempfile::tempdir().unwrap();
    let state = folder.path().join("state");
    let flags = ["--state", state.to_str().unwrap()];
    let mut child = start(folder.path(), &flags);
    let client = Client::unix(folder.path().join("unix.socket"));
    // The copy takes minutes.
    let slow = StoragePoolsPost::new("p", "dir").with_config("rsync.bwlimit", "1MB");
    let pool = client.storage_pools().create(slow).await.unwrap();
    pool.volumes().create(StorageVolumesPost::new("v")).await.unwrap();
    let volumes = state.join("storage-pools/p/custom");
    // More than is packed before the signal comes.
    let mut state_of = 1u32;
    let noise = std::iter::repeat_with(|| {
        state_of ^= state_of << 13;
        state_of ^= state_of >> 17;
        state_of ^= state_of << 5;
        state_of.to_le_bytes()
    });
    let noise: Vec<u8> = noise.take(1 << 20).flatten().collect();
    for index in 0..50 {
        std::fs::write(volumes.join("default_v").join(index.to_string()), &noise).unwrap();
    }
    let path = "/1.0/storage-pools/p/volumes/custom";
    let copy = r#"{"name":"w","source":{"type":"copy","pool":"p","name":"v"}}"#;
    for (path, body) in [(path.to_owned(), copy), (format!("{path}/v/backups"), r#"{"name":"b"}"#)] {
        let body: serde_json::Value = serde_json::from_str(body).unwrap();
        let change = client.request("POST".parse().unwrap(), &path).json(&body).change();
        tokio::spawn(async move { change.await.map(drop) });
    }
    let begun = [volumes.join("default_w"), state.join("backups/custom/p/default_v/b")];
    while !begun.iter().all(|path| path.exists()) {
        tokio::time::sleep(std::time::Duration::from_millis(2)).await;
    }
    child.kill().unwrap();
    child.wait().unwrap();
    std::fs::create_dir_all(state.join("uploads")).unwrap();
    std::fs::write(state.join("uploads/half"), "half").unwrap();
    std::fs::create_dir_all(volumes.join("default_x")).unwrap();
    std::fs::write(volumes.join("default_x/old"), "old").unwrap();

    let child = start(folder.path(), &flags);
    let client = Client::unix(folder.path().join("unix.socket"));
    assert_eq!(names(&client, path).await, ["v"]);
    assert!(names(&client, &format!("{path}/v/backups")).await.is_empty());
    for gone in ["storage-pools/p/custom/default_w", "backups/custom/p/default_v/b", "uploads/half"] {
        assert!(!state.join(gone).exists(), "{gone}");
    }
    let pool = client.storage_pool("p");
    pool.volumes().create(StorageVolumesPost::new("x")).await.unwrap();
    assert_eq!(std::fs::read_dir(volumes.join("default_x")).unwrap().count(), 0);
    stop(child, "-TERM");
}
