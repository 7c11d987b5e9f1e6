//! Backups of volumes, made, listed and fetched by the client.

#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs, reason = "a test fails by panicking")]

mod support;

use std::io::Read as _;

use lxd_storage::types::{StoragePoolsPost, StorageVolumeBackupsPost, StorageVolumesPost};
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
