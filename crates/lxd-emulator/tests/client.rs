//! The client on the emulator, in process and in every personality.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    missing_docs,
    reason = "a test fails by panicking"
)]

mod support;

use std::fs;

use lxd_emulator::{Emulator, Personality};
use lxd_storage::{
    Client, MoveTo,
    types::{
        ContentType, Patch, Size, StoragePoolsPost, StorageVolumeSnapshotsPost, StorageVolumesPost,
        VolumeType,
    },
};
use support::{send, servers};

#[tokio::test]
async fn the_server_says_what_it_is() {
    for (personality, _, client) in servers() {
        let server = client.server().await.unwrap();
        assert_eq!(server.environment.server == "incus".into(), personality == Personality::Incus6);
        assert!(server.api_extensions.has("storage_api_volume_snapshots"));
    }
}

#[tokio::test]
async fn pools_and_volumes_are_made_changed_renamed_and_removed() {
    for (personality, emulator, client) in servers() {
        let pool = client.storage_pools().create(StoragePoolsPost::new("fast", "dir")).await.unwrap();
        let mut volume = pool.volumes().create(StorageVolumesPost::new("data")).await.unwrap();
        assert!(emulator.content("fast", "default", "data").is_dir(), "{personality:?}");

        volume.config_mut().set("user.owner", "backup");
        volume.save().await.unwrap();
        let mut again = pool.volume(VolumeType::Custom, "data").get().await.unwrap();
        assert_eq!(again.config().get("user.owner").map(String::as_str), Some("backup"));

        again.rename("other").await.unwrap();
        assert!(emulator.content("fast", "default", "other").is_dir());
        let names: Vec<String> =
            pool.volumes().all().await.unwrap().iter().map(|one| one.name().to_owned()).collect();
        assert_eq!(names, ["other"]);

        let refused = pool.handle().delete().await.unwrap_err();
        assert!(refused.to_string().contains("in use"), "{refused}");
        again.delete().await.unwrap();
        pool.handle().delete().await.unwrap();
        assert!(client.storage_pools().all().await.unwrap().is_empty());
    }
}

#[tokio::test]
async fn snapshots_keep_content_and_give_it_back() {
    for (_, emulator, client) in servers() {
        let pool = client.storage_pools().create(StoragePoolsPost::new("fast", "btrfs")).await.unwrap();
        let volume = pool.volumes().create(StorageVolumesPost::new("data")).await.unwrap();
        let file = emulator.content("fast", "default", "data").join("letter");
        fs::write(&file, "before").unwrap();
        volume.snapshots().create(StorageVolumeSnapshotsPost::new("s0")).await.unwrap();
        fs::write(&file, "after").unwrap();
        volume.restore("s0").await.unwrap();
        assert_eq!(fs::read_to_string(&file).unwrap(), "before");
        volume.snapshot("s0").delete().await.unwrap();
        assert!(volume.snapshots().all().await.unwrap().is_empty());
    }
}

#[tokio::test]
async fn copies_and_moves_bring_content_and_snapshots() {
    for (_, emulator, client) in servers() {
        let from = client.storage_pools().create(StoragePoolsPost::new("from", "dir")).await.unwrap();
        client.storage_pools().create(StoragePoolsPost::new("to", "dir")).await.unwrap();
        let post = StorageVolumesPost::new("data").with_description("precious");
        let mut volume = from.volumes().create(post).await.unwrap();
        fs::write(emulator.content("from", "default", "data").join("letter"), "hello").unwrap();
        volume.snapshots().create(StorageVolumeSnapshotsPost::new("s0")).await.unwrap();

        volume.move_to(MoveTo::pool("to")).await.unwrap();
        let there = emulator.content("to", "default", "data");
        assert_eq!(fs::read_to_string(there.join("letter")).unwrap(), "hello");
        assert!(!emulator.content("from", "default", "data").exists());
        assert_eq!(volume.description(), "precious");
        assert_eq!(volume.snapshots().all().await.unwrap().len(), 1);
    }
}

#[tokio::test]
async fn a_block_volume_is_a_file_that_grows_and_never_shrinks() {
    for (_, emulator, client) in servers() {
        let pool = client.storage_pools().create(StoragePoolsPost::new("fast", "dir")).await.unwrap();
        let size = Size::mib(8);
        let post = StorageVolumesPost::new("disk").with_content_type(ContentType::Block).with_size(size);
        let mut volume = pool.volumes().create(post).await.unwrap();
        let file = emulator.content("fast", "default", "disk").join("root.img");
        assert_eq!(fs::metadata(&file).unwrap().len(), 8 << 20);
        volume.config_mut().set("size", "16MiB");
        volume.save().await.unwrap();
        assert_eq!(fs::metadata(&file).unwrap().len(), 16 << 20);
        // The client itself refuses that unless it is told to send what it gets.
        let smaller = Patch::new().with_config("size", "4MiB");
        let refused = volume.raw_patch(&smaller).await.unwrap_err();
        assert!(refused.to_string().contains("shrunk"), "{refused}");
    }
}

#[tokio::test]
async fn a_cluster_has_pools_on_all_members_and_volumes_on_one() {
    for personality in Personality::ALL {
        let members = ["member1", "member2", "member3"];
        let emulator = Emulator::builder(personality).members(members).build().unwrap();
        let client = Client::new(emulator.transport());
        let post = StoragePoolsPost::new("fast", "dir");
        let pool = client.storage_pools().create_on_members(post).await.unwrap();
        assert_eq!(pool.locations(), members);
        let there = pool.handle().with_target("member2");
        let volume = there.volumes().create(StorageVolumesPost::new("data")).await.unwrap();
        assert_eq!(volume.location(), "member2");
        // On no member but its own is there such a volume.
        let path = "/1.0/storage-pools/fast/volumes/custom/data?target=member3";
        assert_eq!(send(&emulator, "GET", path, "").await.status, 404);
        assert!(emulator.content("fast", "default", "data").ends_with("default_data"));
    }
}

#[tokio::test]
async fn events_tell_what_happens() {
    for (_, _, client) in servers() {
        let mut events = client.events().open().await.unwrap();
        client.storage_pools().create(StoragePoolsPost::new("fast", "dir")).await.unwrap();
        loop {
            let event = events.next().await.unwrap();
            if format!("{event:?}").contains("storage-pool-created") {
                break;
            }
        }
    }
}

/// Sixty-four tasks with a volume each, all in one pool.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_tasks_at_once_get_in_nobodys_way() {
    let (_, emulator, client) = support::server(Personality::LxdNew);
    let pool = client.storage_pools().create(StoragePoolsPost::new("fast", "dir")).await.unwrap();
    let mut tasks = tokio::task::JoinSet::new();
    for index in 0..64 {
        let pool = pool.handle().clone();
        tasks.spawn(async move {
            let post = StorageVolumesPost::new(format!("v{index}"));
            let mut volume = pool.volumes().create(post).await.unwrap();
            volume.config_mut().set("user.index", index.to_string());
            volume.save().await.unwrap();
            volume.snapshots().create(StorageVolumeSnapshotsPost::new("s")).await.unwrap();
            volume.delete().await.unwrap();
        });
    }
    tasks.join_all().await;
    assert!(pool.volumes().all().await.unwrap().is_empty());
    let left = fs::read_dir(emulator.content("fast", "default", "v0").parent().unwrap()).unwrap().count();
    assert_eq!(left, 0);
}
