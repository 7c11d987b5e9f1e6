//! Backups of volumes, made, listed and fetched by the client.

#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs, reason = "a test fails by panicking")]

mod support;

use std::io::Read as _;

use lxd_storage::{
    Upload,
    types::{StoragePoolsPost, StorageVolumeBackupsPost, StorageVolumeSnapshotsPost, StorageVolumesPost},
};
use support::servers;

#[tokio::test]
async fn an_export_is_an_archive_of_the_files() {
    for (_, emulator, client) in servers() {
        let pool = client.storage_pools().create(StoragePoolsPost::new("fast", "dir")).await.unwrap();
        let volume = pool.volumes().create(StorageVolumesPost::new("data")).await.unwrap();
        std::fs::write(emulator.content("fast", "default", "data").join("letter"), "words").unwrap();
        let kept = volume.backups().create(StorageVolumeBackupsPost::default()).await.unwrap();
        assert_eq!(kept.name(), "backup0");

        let mut archive = Vec::new();
        volume.export().to_writer(&mut archive).await.unwrap();
        let mut tar = tar::Archive::new(flate2::read::GzDecoder::new(archive.as_slice()));
        let mut letter = tar.entries().unwrap().map(Result::unwrap);
        let mut letter =
            letter.find(|entry| entry.path().unwrap().ends_with("backup/volume/letter")).unwrap();
        let mut text = String::new();
        letter.read_to_string(&mut text).unwrap();
        assert_eq!(text, "words");

        assert_eq!(volume.backups().all().await.unwrap().len(), 1);
        kept.delete().await.unwrap();
        assert!(volume.backups().all().await.unwrap().is_empty());
    }
}

#[tokio::test]
async fn a_backup_has_snapshots_of_any_name() {
    let names = [".", "..", "%2E", "%2E%2E", "s"];
    for (_, emulator, client) in servers() {
        let pool = client.storage_pools().create(StoragePoolsPost::new("fast", "dir")).await.unwrap();
        let mut volume = pool.volumes().create(StorageVolumesPost::new("data")).await.unwrap();
        let letter = emulator.content("fast", "default", "data").join("letter");
        for name in names {
            std::fs::write(&letter, name).unwrap();
            volume.snapshots().create(StorageVolumeSnapshotsPost::new(name)).await.unwrap();
        }
        let mut archive = Vec::new();
        volume.export().to_writer(&mut archive).await.unwrap();
        volume.delete().await.unwrap();
        let volume = pool.volumes().import_backup(Upload::from(archive), Some("data")).await.unwrap();
        assert_eq!(volume.snapshots().all().await.unwrap().len(), names.len());
        for name in names {
            volume.snapshot(name).restore().await.unwrap();
            assert_eq!(std::fs::read_to_string(&letter).unwrap(), name);
        }
    }
}
