//! Volumes that would rather write to this machine than be read.

use std::{fs, path::PathBuf};

use lxd_storage::{Error, ErrorKind, types::VolumeType};

use crate::script::{Reply, Script, answer, json, sync};

/// A folder of this machine, removed at the end.
struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("lxdrs-hostile-{}-{name}", std::process::id()));
        fs::create_dir(&path).unwrap();
        Self(path)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn file(file_type: &str, content: &str) -> Reply {
    Reply::Bytes(
        format!(
            "HTTP/1.1 200 OK\r\nContent-Type: application/octet-stream\r\nX-Incus-Type: {file_type}\r\n\
             X-Incus-Mode: 0644\r\nContent-Length: {}\r\n\r\n{content}",
            content.len()
        )
        .into(),
    )
}

/// A connection that speaks SFTP from now on, and these answers to whatever is asked over it.
fn sftp(answers: &[&[u8]]) -> Reply {
    let mut bytes =
        b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: sftp\r\n\r\n".to_vec();
    for answer in answers {
        bytes.extend_from_slice(&u32::try_from(answer.len()).unwrap().to_be_bytes());
        bytes.extend_from_slice(answer);
    }
    Reply::Stall(bytes)
}

const VERSION: &[u8] = &[2, 0, 0, 0, 3];

/// The first link's target, as an answer.
fn target(text: &str) -> Vec<u8> {
    let mut answer = vec![104, 0, 0, 0, 1, 0, 0, 0, 1];
    answer.extend_from_slice(&u32::try_from(text.len()).unwrap().to_be_bytes());
    answer.extend_from_slice(text.as_bytes());
    answer
}

/// Gets the root of a volume in which each path is what `at` says, and gives all that is then in the folder around it.
async fn get(
    name: &str,
    at: impl Fn(&str) -> Reply + Send + Sync + 'static,
) -> (Result<(), Error>, Vec<PathBuf>) {
    get_with(name, at, || sftp(&[VERSION, &target("../..")])).await
}

/// The same, with a way to SFTP.
async fn get_with(
    name: &str,
    at: impl Fn(&str) -> Reply + Send + Sync + 'static,
    connected: impl Fn() -> Reply + Send + Sync + 'static,
) -> (Result<(), Error>, Vec<PathBuf>) {
    let folder = Folder::new(name);
    let script = Script::start(move |request| match request {
        "GET /1.0" => sync(r#"{"api_extensions":["file_storage_volume","custom_volume_sftp"]}"#),
        "GET /1.0/storage-pools/p/volumes/custom/v/sftp" => connected(),
        "GET /1.0/storage-pools/p/volumes/custom/v" => sync(r#"{"name":"v","content_type":"filesystem"}"#),
        head if head.starts_with("HEAD") => answer("200 OK", "application/json", ""),
        get => at(get.split("path=").nth(1).unwrap()),
    });
    let files = script.client().storage_pool("p").volume(VolumeType::Custom, "v").files();
    let got = files.get_dir("/", folder.0.join("in/copy")).await.err();
    assert!(got.is_some(), "the folder for it is not there");
    fs::create_dir(folder.0.join("in")).unwrap();
    let got = files.get_dir("/", folder.0.join("in/copy")).await;
    let (mut found, mut folders) = (Vec::new(), vec![folder.0.clone()]);
    while let Some(next) = folders.pop() {
        for entry in fs::read_dir(next).unwrap() {
            let path = entry.unwrap().path();
            if fs::symlink_metadata(&path).unwrap().is_dir() {
                folders.push(path.clone());
            }
            found.push(path.strip_prefix(&folder.0).unwrap().to_owned());
        }
    }
    found.sort();
    (got, found)
}

#[tokio::test]
async fn names_do_not_lead_out_of_the_folder() {
    let escapes = ["../out", "..", ".", "", "a/b", "/tmp/lxdrs-out", "a\\u0000b"];
    for (number, name) in escapes.into_iter().enumerate() {
        let (got, found) = get(&format!("name{number}"), move |path| match path {
            "%2F" => sync(&format!(r#"["fine","{name}"]"#)),
            _ => file("file", "hostile"),
        })
        .await;
        assert_eq!(got.unwrap_err().kind(), ErrorKind::Decode, "{name:?}");
        assert_eq!(found, [PathBuf::from("in")], "{name:?}");
    }
}

#[tokio::test]
async fn links_do_not_lead_out_of_the_folder() {
    // Once as a link to the folder above, and once as a folder with a file in it.
    let (got, found) = get("twice", |path| match path {
        "%2F" => sync(r#"["a","a"]"#),
        _ => file("symlink", ".."),
    })
    .await;
    assert_eq!((got.unwrap_err().kind(), found), (ErrorKind::Decode, vec![PathBuf::from("in")]));

    // As a link that turns into a folder when it is asked for what is below it.
    let (got, found) = get("below", |path| match path {
        "%2F" => sync(r#"["dir","link"]"#),
        "%2Fdir" => sync(r#"["file"]"#),
        "%2Flink" => file("symlink", "../.."),
        _ => file("file", "hostile"),
    })
    .await;
    got.unwrap();
    let expected = ["in", "in/copy", "in/copy/dir", "in/copy/dir/file", "in/copy/link"];
    assert_eq!(found, expected.map(PathBuf::from));
}

#[tokio::test]
async fn what_does_not_speak_sftp_is_found_out() {
    let link = |path: &str| match path {
        "%2F" => sync(r#"["link"]"#),
        _ => file("symlink", "/x"),
    };
    let (other, mut cut) = ([104, 0, 0, 0, 9, 0, 0, 0, 1, 0, 0, 0, 0], target("x"));
    cut.truncate(12);
    let status = [101, 0, 0, 0, 1, 0, 0, 0, 4, 0, 0, 0, 1, b'n', 0, 0, 0, 0];
    let nul = target("a\0b");
    for (number, (answers, kind)) in [
        (vec![&[2, 0, 0, 0, 6][..]], ErrorKind::Decode),
        (vec![VERSION, &[]], ErrorKind::Decode),
        (vec![VERSION, &other], ErrorKind::Decode),
        (vec![VERSION, &cut], ErrorKind::Decode),
        (vec![VERSION, &status], ErrorKind::Server),
        (vec![VERSION, &nul], ErrorKind::InvalidInput),
    ]
    .into_iter()
    .enumerate()
    {
        let answers: Vec<Vec<u8>> = answers.into_iter().map(<[u8]>::to_vec).collect();
        let connected = move || sftp(&answers.iter().map(Vec::as_slice).collect::<Vec<_>>());
        let (got, found) = get_with(&format!("sftp{number}"), link, connected).await;
        let error = got.unwrap_err();
        assert_eq!(error.kind(), kind, "{number}: {error}");
        assert_eq!(found, [PathBuf::from("in")]);
    }
}

#[tokio::test]
async fn what_fails_in_the_middle_leaves_nothing() {
    let gone = || json("404 Not Found", r#"{"type":"error","error_code":404,"error":"Not Found"}"#);
    let (got, found) = get("middle", move |path| match path {
        "%2F" => sync(r#"["a","b","dir"]"#),
        "%2Fdir" => sync(r#"["c"]"#),
        "%2Fdir%2Fc" => gone(),
        _ => file("file", "content"),
    })
    .await;
    assert!(got.unwrap_err().is_not_found());
    assert_eq!(found, [PathBuf::from("in")]);
}
