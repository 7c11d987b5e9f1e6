//! What happens to exports, imports, copies and moves whose server is killed in the middle of them.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

use std::{
    fs,
    path::{Path, PathBuf},
    sync::{Arc, Mutex},
    time::Duration,
};

use lxd_storage::{
    Client, CopyTo, ErrorKind, Upload, Volume,
    transport::HttpTransport,
    types::{Compression, StorageVolumesPost, VolumeType},
};
use lxd_tests::{Lab, Slot};

const FAMILIES: [(Slot, Slot); 3] =
    [(Slot::LxdA, Slot::LxdB), (Slot::Incus, Slot::IncusB), (Slot::Incus7, Slot::IncusB)];

/// A lab of one's own, whose daemons may be killed; or a loud note that there is none on this machine.
fn start(slots: &[Slot]) -> Option<Arc<Mutex<Lab>>> {
    let lab = Lab::start(slots).unwrap();
    for slot in slots {
        if let Err(reason) = lab.daemon(*slot) {
            assert!(std::env::var("CI").is_err(), "CI needs real servers: {reason}");
            eprintln!("SKIPPED, no real server: {slot}: {reason}");
            return None;
        }
    }
    Some(Arc::new(Mutex::new(lab)))
}

fn client(lab: &Mutex<Lab>, slot: Slot) -> Client {
    Client::new(HttpTransport::unix(lab.lock().unwrap().daemon(slot).unwrap().socket()))
}

fn kill(lab: &Mutex<Lab>, slot: Slot) {
    lab.lock().unwrap().daemon(slot).unwrap().kill();
}

fn start_again(lab: &Mutex<Lab>, slot: Slot) {
    lab.lock().unwrap().daemon_mut(slot).unwrap().start_again().unwrap();
}

fn path_of(lab: &Mutex<Lab>, slot: Slot, volume: &str) -> PathBuf {
    lab.lock().unwrap().daemon(slot).unwrap().volume_path("dir0", "default", volume)
}

/// A folder for files, removed at the end.
struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("lxdrs-files-{}{name}", std::process::id()));
        fs::create_dir(&path).unwrap();
        Self(path)
    }

    fn names(&self) -> Vec<String> {
        fs::read_dir(&self.0)
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect()
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// Bytes that don't compress.
fn noise(length: u32) -> Vec<u8> {
    let mut state = 0x2545_f491_u32;
    let next = |_| {
        state ^= state << 13;
        state ^= state >> 17;
        state ^= state << 5;
        state.to_le_bytes()
    };
    (0..length / 4).flat_map(next).collect()
}

async fn volume_with(lab: &Mutex<Lab>, slot: Slot, client: &Client, noise: &[u8]) -> Volume {
    let volume = client.storage_pool("dir0").volumes().create(StorageVolumesPost::new("data")).await.unwrap();
    fs::write(path_of(lab, slot, "data").join("noise"), noise).unwrap();
    volume
}

fn holds(path: &Path, noise: &[u8]) -> bool {
    fs::read(path.join("noise")).is_ok_and(|read| read == noise)
}

/// Kills the daemon once, when it is called for the first time after so many bytes.
fn killer(lab: &Arc<Mutex<Lab>>, slot: Slot, after: u64) -> impl FnMut(u64) + Send + use<> {
    let mut lab = Some(Arc::clone(lab));
    move |bytes| {
        if bytes >= after
            && let Some(lab) = lab.take()
        {
            kill(&lab, slot);
        }
    }
}

#[tokio::test]
async fn an_export_leaves_no_file_and_names_what_is_on_the_server() {
    for (slot, _) in FAMILIES {
        let Some(lab) = start(&[slot]) else { return };
        let (folder, noise) = (Folder::new("export"), noise(64 << 20));
        let client = client(&lab, slot);
        let volume = volume_with(&lab, slot, &client, &noise).await;
        let mut killer = killer(&lab, slot, 8 << 20);
        let export = volume.export().with_compression(Compression::None);
        let export = export.with_progress(move |done| killer(done.bytes));
        let error = export.to_file(folder.0.join("data.tar")).await.unwrap_err();
        assert!(folder.names().is_empty(), "{:?}", folder.names());
        let text = error.to_string();
        let direct = client.server().await.unwrap().api_extensions.has("direct_backup");
        assert_eq!(text.contains("is left on the server"), !direct, "{text}");

        start_again(&lab, slot);
        // What the message named is what there is, and it goes by that name.
        let left = volume.backups().all().await.unwrap();
        assert_eq!(left.len(), usize::from(!direct), "{left:?}");
        for left in left {
            assert!(text.contains(left.name()), "{text}");
            left.delete().await.unwrap();
        }
        // The same client goes on, and so does the volume.
        volume.export().to_file(folder.0.join("data.tar")).await.unwrap();
        assert!(volume.backups().all().await.unwrap().is_empty());
    }
}

#[tokio::test]
async fn an_import_leaves_no_volume() {
    for (slot, _) in FAMILIES {
        let Some(lab) = start(&[slot]) else { return };
        let (folder, noise) = (Folder::new("import"), noise(64 << 20));
        let client = client(&lab, slot);
        let volume = volume_with(&lab, slot, &client, &noise).await;
        let file = folder.0.join("data.tar");
        volume.export().with_compression(Compression::None).to_file(&file).await.unwrap();

        let mut killer = killer(&lab, slot, 8 << 20);
        let upload = Upload::file(&file).await.unwrap().with_progress(move |done| killer(done.bytes));
        let volumes = client.storage_pool("dir0").volumes();
        let error = volumes.import_backup(upload, Some("copy")).await.unwrap_err();
        assert!(matches!(error.kind(), ErrorKind::Interrupted | ErrorKind::Connect), "{error:?}");
        start_again(&lab, slot);
        assert!(!volumes.exists(VolumeType::Custom, "copy").await.unwrap());
        // The file is as good as before.
        let upload = Upload::file(&file).await.unwrap();
        let copy = volumes.import_backup(upload, Some("copy")).await.unwrap();
        assert!(holds(&path_of(&lab, slot, "copy"), &noise));
        copy.handle().delete().await.unwrap();
    }
}

#[tokio::test]
async fn a_copy_that_was_lost_names_its_operation_and_leaves_the_source() {
    for (slot, _) in FAMILIES {
        let Some(lab) = start(&[slot]) else { return };
        let noise = noise(256 << 20);
        let client = client(&lab, slot);
        let volume = volume_with(&lab, slot, &client, &noise).await;
        let pending = volume.copy_to(CopyTo::name("copy")).start().await.unwrap();
        let id = pending.operation().unwrap().id.clone();
        let waiting = tokio::spawn(pending.wait());
        tokio::time::sleep(Duration::from_millis(50)).await;
        kill(&lab, slot);
        start_again(&lab, slot);
        let error = waiting.await.unwrap().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Interrupted, "{error:?}");
        assert_eq!(error.operation(), Some(&*id));
        assert!(holds(&path_of(&lab, slot, "data"), &noise));
        // Whatever the daemon left of the copy can be taken away, and then it works.
        client.storage_pool("dir0").volume(VolumeType::Custom, "copy").ensure_absent().await.unwrap();
        volume.copy_to(CopyTo::name("copy")).await.unwrap();
        assert!(holds(&path_of(&lab, slot, "copy"), &noise));
    }
}

#[tokio::test]
async fn a_move_to_a_server_that_dies_keeps_the_source() {
    for (slot, other) in FAMILIES {
        for relay in [false, true] {
            let Some(lab) = start(&[slot, other]) else { return };
            let noise = noise(128 << 20);
            let (here, there) = (client(&lab, slot), client(&lab, other));
            let volume = volume_with(&lab, slot, &here, &noise).await;
            let migration = volume.move_to_server(&there.storage_pool("dir0"));
            let migration = if relay { migration.relay() } else { migration };
            let moving = tokio::spawn(IntoFuture::into_future(migration));
            tokio::time::sleep(Duration::from_millis(400)).await;
            kill(&lab, other);
            // While somebody still waits: without a daemon, that goes on for a minute.
            start_again(&lab, other);
            let error = tokio::time::timeout(Duration::from_secs(100), moving).await.unwrap().unwrap();
            let error = error.unwrap_err();
            let told = error.to_string();
            assert!(told.contains("data") || error.operation().is_some(), "{told}");
            assert!(volume.exists().await.unwrap());
            assert!(holds(&path_of(&lab, slot, "data"), &noise));
            let copy = there.storage_pool("dir0").volume(VolumeType::Custom, "data");
            copy.ensure_absent().await.unwrap();
            let moved = volume.move_to_server(&there.storage_pool("dir0")).await.unwrap();
            assert!(holds(&path_of(&lab, other, moved.name()), &noise));
            assert!(!volume.exists().await.unwrap());
        }
    }
}

#[tokio::test]
async fn a_move_from_a_server_that_dies_keeps_the_source() {
    for (slot, other) in FAMILIES {
        let Some(lab) = start(&[slot, other]) else { return };
        let noise = noise(128 << 20);
        let (here, there) = (client(&lab, slot), client(&lab, other));
        let volume = volume_with(&lab, slot, &here, &noise).await;
        let migration = volume.move_to_server(&there.storage_pool("dir0")).relay();
        let moving = tokio::spawn(IntoFuture::into_future(migration));
        tokio::time::sleep(Duration::from_millis(400)).await;
        kill(&lab, slot);
        start_again(&lab, slot);
        let outcome = tokio::time::timeout(Duration::from_secs(100), moving).await.unwrap().unwrap();
        outcome.unwrap_err();
        assert!(holds(&path_of(&lab, slot, "data"), &noise));
        volume.get().await.unwrap();
    }
}
