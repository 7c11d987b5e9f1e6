//! The client on the emulator, in process and in every personality.

#![allow(clippy::unwrap_used, reason = "helpers of tests are tests")]

use lxd_emulator::{Emulator, Personality};
use lxd_storage::{
    Client,
    types::{StoragePoolsPost, StorageVolumesPost, VolumeType},
};

/// A server of each kind, with a client in process.
fn servers() -> Vec<(Personality, Emulator, Client)> {
    let one = |personality| {
        let emulator = Emulator::new(personality).unwrap();
        let client = Client::new(emulator.transport());
        (personality, emulator, client)
    };
    Personality::ALL.into_iter().map(one).collect()
}

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
