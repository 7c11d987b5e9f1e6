//! Backups that nobody made by the rules: an upload leads nowhere, loses nothing, and is taken whole or not at all.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    missing_docs,
    reason = "a test fails by panicking"
)]

mod support;

use std::{fs, io::Write, path::Path};

use flate2::{Compression, write::GzEncoder};
use lxd_emulator::{Emulator, Personality};
use lxd_transport::{Body, Transport, http::Request};
use serde_json::{Value, json};
use support::{send, with_pool};
use tar::{Builder, EntryType, Header};

const VOLUMES: &str = "/1.0/storage-pools/p/volumes/custom";
const BUCKETS: &str = "/1.0/storage-pools/p/buckets";

/// An archive, entry by entry.
struct Packed(Builder<Vec<u8>>);

impl Packed {
    fn new() -> Self {
        Self(Builder::new(Vec::new()))
    }

    fn entry(mut self, kind: EntryType, path: &str, content: &[u8], link: &str) -> Self {
        let mut header = Header::new_gnu();
        header.set_entry_type(kind);
        header.set_mode(0o755);
        header.set_size(content.len() as u64);
        if !link.is_empty() {
            header.set_link_name(link).unwrap();
        }
        self.0.append_data(&mut header, path, content).unwrap();
        self
    }

    fn file(self, path: &str, content: &str) -> Self {
        self.entry(EntryType::Regular, path, content.as_bytes(), "")
    }

    fn folder(self, path: &str) -> Self {
        self.entry(EntryType::Directory, path, b"", "")
    }

    fn link(self, path: &str, to: &Path) -> Self {
        self.entry(EntryType::Symlink, path, b"", to.to_str().unwrap())
    }

    /// A backup of a volume with such snapshots.
    fn of(content_type: &str, config: &Value, snapshots: &[&str]) -> Self {
        let shots: Vec<Value> = snapshots.iter().map(|name| json!({"name": name, "config": {}})).collect();
        let volume = json!({"name": "v", "content_type": content_type, "config": config});
        let index = json!({
            "name": "v", "backend": "dir", "pool": "p", "type": "custom", "snapshots": snapshots,
            "config": {"volume": volume, "volume_snapshots": shots},
        });
        Self::new().file("backup/index.yaml", &index.to_string())
    }

    /// A backup of a bucket.
    fn of_bucket(name: &str, config: &Value) -> Self {
        let index = json!({
            "name": name, "backend": "dir", "pool": "p", "type": "bucket",
            "config": {"bucket": {"name": name, "config": config}, "bucket_keys": []},
        });
        Self::new().file("backup/index.yaml", &index.to_string())
    }

    fn bytes(self) -> Vec<u8> {
        self.0.into_inner().unwrap()
    }
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

/// Uploads an archive. Says what went wrong, if anything did, wherever the server says it.
async fn upload(emulator: &Emulator, path: &str, headers: &[(&str, &str)], bytes: Vec<u8>) -> Option<String> {
    let mut request = Request::builder().method("POST").uri(path);
    for brand in ["lxd", "incus"] {
        for (name, value) in headers {
            request = request.header(format!("x-{brand}-{name}"), *value);
        }
    }
    request = request.header("content-type", "application/octet-stream");
    let answer = emulator.transport().send(request.body(Body::from(bytes)).unwrap()).await.unwrap();
    let body = answer.into_body().collect(1 << 20).await.unwrap();
    let mut body: Value = serde_json::from_slice(&body).unwrap();
    if let Some(operation) = body["operation"].as_str().filter(|operation| !operation.is_empty()) {
        let path = format!("{}/wait?timeout=10", operation.split('?').next().unwrap());
        body = send(emulator, "GET", &path, "").await.json();
    }
    let texts = [&body["error"], &body["metadata"]["err"]];
    texts.iter().filter_map(|text| text.as_str()).find(|text| !text.is_empty()).map(str::to_owned)
}

async fn import(emulator: &Emulator, name: &str, bytes: Vec<u8>) -> Option<String> {
    upload(emulator, VOLUMES, &[("name", name)], bytes).await
}

/// The same of what must be refused and leave nothing.
async fn refused(emulator: &Emulator, bytes: Vec<u8>) -> String {
    let why = import(emulator, "v", bytes).await.expect("it was taken");
    assert_eq!(send(emulator, "GET", &format!("{VOLUMES}/v"), "").await.status, 404);
    let pool = emulator.folder().join("storage-pools/p");
    for folder in [pool.join("custom/default_v"), pool.join("custom-snapshots/default_v")] {
        assert!(!folder.exists(), "{folder:?} after {why}");
    }
    assert!(fs::read_dir(emulator.folder().join("uploads")).unwrap().next().is_none());
    why
}

#[tokio::test]
async fn no_link_of_an_archive_leads_out_of_it() {
    let host = tempfile::tempdir().unwrap();
    let secret = host.path().join("victim/secret");
    fs::create_dir(host.path().join("victim")).unwrap();
    fs::write(&secret, "secret").unwrap();
    fs::write(host.path().join("victim.img"), "secret").unwrap();
    for personality in Personality::ALL {
        let emulator = with_pool(personality).await;
        let files = || Packed::of("filesystem", &json!({}), &["victim"]);
        let disks = || Packed::of("block", &json!({}), &["victim"]);
        let archives = [
            files().link("backup/volume", &host.path().join("victim")),
            files().folder("backup/volume").link("backup/volume-snapshots", host.path()),
            files()
                .folder("backup/volume")
                .link("backup/volume-snapshots/victim", &host.path().join("victim")),
            disks().link("backup/volume.img", &secret),
            disks().file("backup/volume.img", "disk").link("backup/volume-snapshots", host.path()),
            disks().file("backup/volume.img", "disk").link("backup/volume-snapshots/victim.img", &secret),
            disks().folder("backup/volume.img"),
        ];
        for archive in archives {
            let why = refused(&emulator, archive.bytes()).await;
            assert!(why.contains("backup/volume"), "{why}");
            assert_eq!(fs::read(&secret).unwrap(), b"secret", "{why}");
            assert!(host.path().join("victim.img").is_file());
        }
        // The links that are a volume's own content are kept as they are.
        let archive = files().folder("backup/volume").link("backup/volume/link", &secret);
        assert_eq!(import(&emulator, "links", archive.bytes()).await, None);
        assert_eq!(fs::read_link(emulator.content("p", "default", "links").join("link")).unwrap(), secret);
        fs::remove_file(emulator.content("p", "default", "links").join("link")).unwrap();
    }
}

#[tokio::test]
async fn only_disks_are_images() {
    let emulator = with_pool(Personality::LxdNew).await;
    let archive = || Packed::new().file(".img", "image").file("precious", "words");
    let headers = [("name", "files"), ("type", "tar")];
    assert_eq!(upload(&emulator, VOLUMES, &headers, archive().bytes()).await, None);
    let folder = emulator.content("p", "default", "files");
    assert_eq!(fs::read(folder.join("precious")).unwrap(), b"words");
    assert_eq!(fs::read(folder.join(".img")).unwrap(), b"image");

    let archive = Packed::of("filesystem", &json!({}), &[]);
    let archive = archive.file("backup/volume.img", "image").file("backup/volume/precious", "words");
    assert_eq!(import(&emulator, "more", archive.bytes()).await, None);
    assert_eq!(fs::read(emulator.content("p", "default", "more").join("precious")).unwrap(), b"words");

    let emulator = with_pool(Personality::Incus6).await;
    let archive = Packed::of_bucket("photos", &json!({}));
    let archive = archive.file("backup/bucket.img", "image").file("backup/bucket/object", "words");
    assert_eq!(upload(&emulator, BUCKETS, &[("name", "photos")], archive.bytes()).await, None);
    let object = emulator.bucket_content("p", "default", "photos").join("object");
    assert_eq!(fs::read(object).unwrap(), b"words");
}

#[tokio::test]
async fn a_bucket_is_no_link_either() {
    let host = tempfile::tempdir().unwrap();
    fs::write(host.path().join("secret"), "secret").unwrap();
    let emulator = with_pool(Personality::Incus6).await;
    let archive = Packed::of_bucket("photos", &json!({})).link("backup/bucket", host.path());
    let why = upload(&emulator, BUCKETS, &[("name", "photos")], archive.bytes()).await.unwrap();
    assert!(why.contains("symbolic link"), "{why}");
    assert!(host.path().join("secret").is_file());
    assert_eq!(send(&emulator, "GET", &format!("{BUCKETS}/photos"), "").await.status, 404);
    assert!(!emulator.bucket_content("p", "default", "photos").exists());
}

#[tokio::test]
async fn damaged_compression_is_noticed_to_the_last_byte() {
    let emulator = with_pool(Personality::LxdNew).await;
    let archive = || Packed::of("filesystem", &json!({}), &[]).file("backup/volume/letter", "words").bytes();
    let whole = gzip(&archive());
    assert_eq!(import(&emulator, "whole", whole.clone()).await, None);
    for cut in [1, 4, 8] {
        let why = refused(&emulator, whole[..whole.len() - cut].to_vec()).await;
        assert!(why.contains("unexpected end of file"), "{why}");
    }
    for damaged in [1, 8] {
        let mut bytes = whole.clone();
        let at = bytes.len() - damaged;
        bytes[at] ^= 1;
        let why = refused(&emulator, bytes).await;
        assert!(why.contains("corrupt gzip"), "{why}");
    }
    // What stands behind the end of the archive counts as well.
    let mut padded = archive();
    padded.extend_from_slice(&[0; 64 << 10]);
    let padded = gzip(&padded);
    assert_eq!(import(&emulator, "padded", padded.clone()).await, None);
    refused(&emulator, padded[..padded.len() - 20].to_vec()).await;

    let headers = [("name", "v"), ("type", "tar")];
    let files = gzip(&Packed::new().file("letter", "words").bytes());
    let why = upload(&emulator, VOLUMES, &headers, files[..files.len() - 4].to_vec()).await.unwrap();
    assert!(why.contains("unexpected end of file"), "{why}");
}

#[tokio::test]
async fn names_in_an_index_are_judged() {
    let host = tempfile::tempdir().unwrap();
    let victim = host.path().join("victim");
    fs::create_dir(&victim).unwrap();
    let up = format!("{}{}", "../".repeat(20), victim.display());
    for personality in Personality::ALL {
        let emulator = with_pool(personality).await;
        let names: [&[&str]; 7] =
            [&[""], &["a/b"], &["a\0b"], &["a", "b", "a"], &["../b"], &[&up], &[victim.to_str().unwrap()]];
        for snapshots in names {
            let archive = Packed::of("filesystem", &json!({}), snapshots).folder("backup/volume");
            let archive = archive.folder("backup/volume-snapshots/a").bytes();
            let why = refused(&emulator, archive).await;
            assert!(why.contains("napshot"), "{why}");
            assert!(victim.is_dir());
        }
        let bytes = || Packed::of("filesystem", &json!({}), &[]).bytes();
        let why = import(&emulator, "a/b", bytes()).await.unwrap();
        assert!(why.contains("may not be a snapshot"), "{why}");
        let nameless = json!({
            "name": "", "backend": "dir", "pool": "p", "type": "custom", "config": {"volume": {"name": ""}},
        });
        let nameless = Packed::new().file("backup/index.yaml", &nameless.to_string()).bytes();
        assert_eq!(upload(&emulator, VOLUMES, &[], nameless).await.unwrap(), "No name provided");
    }
    let emulator = with_pool(Personality::LxdNew).await;
    let why = import(&emulator, "..", Packed::of("filesystem", &json!({}), &[]).bytes()).await.unwrap();
    assert_eq!(why, "Invalid storage volume name \"..\"");
}

#[tokio::test]
async fn what_an_index_says_of_a_volume_is_judged() {
    for personality in Personality::ALL {
        let emulator = with_pool(personality).await;
        for (content_type, config, text) in [
            ("nonsense", json!({}), "Invalid volume content type name"),
            ("iso", json!({}), "content type \"iso\""),
            ("filesystem", json!({"nonsense": "y"}), "Invalid option for volume"),
            ("filesystem", json!({"size": "banana"}), "Invalid value for volume"),
        ] {
            let why = refused(&emulator, Packed::of(content_type, &config, &[]).bytes()).await;
            assert!(why.contains(text), "{why}");
        }
        let archive = Packed::of("", &json!({"user.k": "v"}), &["a b", ".", "..", "%2E"]);
        assert_eq!(import(&emulator, "v", archive.bytes()).await, None);
        let volume = send(&emulator, "GET", &format!("{VOLUMES}/v"), "").await.metadata();
        assert_eq!(
            (&volume["content_type"], &volume["config"]["user.k"]),
            (&json!("filesystem"), &json!("v"))
        );
    }
}

#[tokio::test]
async fn buckets_out_of_backups_follow_the_rules_of_buckets() {
    let emulator = with_pool(Personality::Incus6).await;
    let rule = "Create bucket from backup: Bucket name must be between 3 and 63 lowercase letters";
    for name in ["..", "../../x", "Bad_Name", ""] {
        let why = upload(&emulator, BUCKETS, &[], Packed::of_bucket(name, &json!({})).bytes()).await.unwrap();
        assert!(why.starts_with(rule), "{why}");
    }
    let why =
        upload(&emulator, BUCKETS, &[], Packed::of_bucket("photos", &json!({"frob": "1"})).bytes()).await;
    assert!(why.unwrap().contains("Invalid option for volume \"default_photos\" option \"frob\""));
    assert_eq!(send(&emulator, "GET", BUCKETS, "").await.metadata(), json!([]));
    assert!(!emulator.folder().join("storage-pools/p/buckets").exists());
}
