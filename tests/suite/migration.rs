//! Volumes between two LXD daemons over TLS, compared byte by byte.

use std::{fs, path::PathBuf, time::Duration};

use http::Method;
use lxd_storage::{
    ErrorKind, PoolHandle, Volume,
    types::{ContentType, Size, StorageVolumesPost, VolumeType},
};
use serde_json::json;

use crate::{
    content::{contents, fill},
    ctx::{Ctx, cases},
};

cases![
    a_copy_is_its_source_byte_by_byte,
    a_block_volume_too,
    a_move_deletes_the_source_last,
    snapshots_come_along_or_stay_behind,
    a_failure_leaves_source_and_target_as_they_were,
    several_addresses_are_tried,
    a_taken_name_is_refused,
    a_deadline_ends_the_waiting,
];

fn content_there(ctx: &Ctx, volume: &Volume) -> PathBuf {
    ctx.other_daemon().volume_path(volume.pool().name(), "default", volume.name())
}

fn pools_there(ctx: &Ctx) -> Vec<PoolHandle> {
    let names = ctx.other_daemon().pools();
    names.iter().map(|name| ctx.other().storage_pool(&**name)).collect()
}

async fn snapshot(ctx: &Ctx, volume: &Volume, name: &str) {
    let path =
        format!("/1.0/storage-pools/{}/volumes/custom/{}/snapshots", volume.pool().name(), volume.name());
    ctx.client.request(Method::POST, &path).json(&json!({"name": name})).change().await.unwrap();
}

async fn a_copy_is_its_source_byte_by_byte(ctx: Ctx) {
    for (here, there) in ctx.ready_pools().iter().zip(pools_there(&ctx)) {
        let post = StorageVolumesPost::new(ctx.name("v"))
            .with_description("to be copied")
            .with_config("user.k", "v");
        let mut volume = here.volumes().create(post).await.unwrap();
        fill(&ctx.content(&volume));
        let mut copy = volume.copy_to_server(&there).with_name(ctx.name("copy")).await.unwrap();
        assert_eq!(contents(&ctx.content(&volume)), contents(&content_there(&ctx, &copy)));
        assert_eq!((copy.description(), copy.config().text("user.k")), ("to be copied", Some("v")));
        volume.sync().await.unwrap();
        copy.delete().await.unwrap();
        volume.delete().await.unwrap();
    }
}

async fn a_block_volume_too(ctx: Ctx) {
    let (here, there) = (&ctx.ready_pools()[0], &pools_there(&ctx)[0]);
    let post = StorageVolumesPost::new(ctx.name("block")).with_content_type(ContentType::Block);
    let mut volume = here.volumes().create(post.with_size(Size::mib(8).unwrap())).await.unwrap();
    let noise: Vec<u8> = (0..8_u32 << 20).map(|i| (i.wrapping_mul(2_246_822_519) >> 11) as u8).collect();
    fs::write(ctx.content(&volume).join("root.img"), &noise).unwrap();
    let mut copy = volume.copy_to_server(there).await.unwrap();
    assert_eq!(*copy.content_type(), ContentType::Block);
    assert_eq!(copy.config().size("size").unwrap(), Size::mib(8));
    assert!(fs::read(content_there(&ctx, &copy).join("root.img")).unwrap() == noise, "the bytes differ");
    copy.delete().await.unwrap();
    volume.delete().await.unwrap();
}

async fn a_move_deletes_the_source_last(ctx: Ctx) {
    for (here, there) in ctx.ready_pools().iter().zip(pools_there(&ctx)) {
        let mut post = StorageVolumesPost::new(ctx.name("v")).with_size(Size::mib(64).unwrap());
        post.description = "moving".to_owned();
        let volume = here.volumes().create(post).await.unwrap();
        fill(&ctx.content(&volume));
        let before = contents(&ctx.content(&volume));
        let mut moved = volume.move_to_server(&there).await.unwrap();
        assert_eq!(contents(&content_there(&ctx, &moved)), before);
        assert_eq!((moved.description(), moved.config().size("size").unwrap()), ("moving", Size::mib(64)));
        assert!(!volume.exists().await.unwrap());
        moved.delete().await.unwrap();
    }
}

async fn snapshots_come_along_or_stay_behind(ctx: Ctx) {
    for (here, there) in ctx.ready_pools().iter().zip(pools_there(&ctx)) {
        let mut volume = ctx.new_volume(here, "v").await;
        fs::write(ctx.content(&volume).join("file"), b"one").unwrap();
        snapshot(&ctx, &volume, "one").await;
        // Of another length: within the same second rsync takes a file of the same length for unchanged.
        fs::write(ctx.content(&volume).join("file"), b"two or more").unwrap();
        snapshot(&ctx, &volume, "two").await;

        let client = ctx.other();
        for (volume_only, expected) in [(false, 2), (true, 0)] {
            let migration = volume.copy_to_server(&there);
            let migration = if volume_only { migration.volume_only() } else { migration };
            let mut copy = migration.await.unwrap();
            let path =
                format!("/1.0/storage-pools/{}/volumes/custom/{}/snapshots", there.name(), copy.name());
            let snapshots = client.request(Method::GET, &path).fetch::<Vec<String>>().await.unwrap().value;
            assert_eq!(snapshots.len(), expected, "{snapshots:?}");
            assert_eq!(fs::read(content_there(&ctx, &copy).join("file")).unwrap(), b"two or more");
            copy.delete().await.unwrap();
        }
        // A move would delete the snapshots that it leaves behind.
        let error = volume.move_to_server(&there).volume_only().await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidInput, "{error:?}");
        volume.sync().await.unwrap();
        volume.delete().await.unwrap();
    }
}

async fn a_failure_leaves_source_and_target_as_they_were(ctx: Ctx) {
    let (here, there) = (&ctx.ready_pools()[0], &pools_there(&ctx)[0]);
    let mut volume = ctx.new_volume(here, "v").await;
    fill(&ctx.content(&volume));
    let before = contents(&ctx.content(&volume));
    // Nobody listens there.
    let error = volume.move_to_server(there).with_source_address("https://127.0.0.9:9").await.unwrap_err();
    assert!(matches!(error.kind(), ErrorKind::OperationFailed | ErrorKind::Server), "{error:?}");
    assert!(!there.volumes().exists(VolumeType::Custom, volume.name()).await.unwrap());
    volume.sync().await.unwrap();
    assert_eq!(contents(&ctx.content(&volume)), before);

    let nowhere = ctx.other().storage_pool(ctx.name("nobody"));
    let error = volume.move_to_server(&nowhere).await.unwrap_err();
    assert!(error.is_not_found(), "{error:?}");
    volume.sync().await.unwrap();
    volume.delete().await.unwrap();
}

async fn several_addresses_are_tried(ctx: Ctx) {
    let (here, there) = (&ctx.ready_pools()[0], &pools_there(&ctx)[0]);
    let mut volume = ctx.new_volume(here, "v").await;
    fs::write(ctx.content(&volume).join("file"), b"found").unwrap();
    let good = ctx.daemon().https_url().to_owned();
    let migration =
        volume.copy_to_server(there).with_source_address("https://127.0.0.9:9").with_source_address(good);
    let mut copy = migration.await.unwrap();
    assert_eq!(fs::read(content_there(&ctx, &copy).join("file")).unwrap(), b"found");
    copy.delete().await.unwrap();
    volume.delete().await.unwrap();
}

async fn a_taken_name_is_refused(ctx: Ctx) {
    let (here, there) = (&ctx.ready_pools()[0], &pools_there(&ctx)[0]);
    let mut volume = ctx.new_volume(here, "v").await;
    let post = StorageVolumesPost::new(volume.name()).with_description("was here first");
    let mut other = there.volumes().create(post).await.unwrap();
    let error = volume.move_to_server(there).await.unwrap_err();
    assert!(error.is_already_exists(), "{error:?}");
    other.sync().await.unwrap();
    assert_eq!(other.description(), "was here first");
    volume.sync().await.unwrap();
    volume.delete().await.unwrap();
    other.delete().await.unwrap();
}

async fn a_deadline_ends_the_waiting(ctx: Ctx) {
    let (here, there) = (&ctx.ready_pools()[0], &pools_there(&ctx)[0]);
    let mut volume = ctx.new_volume(here, "v").await;
    fill(&ctx.content(&volume));
    let error = volume.move_to_server(there).with_deadline(Duration::from_millis(1)).await.unwrap_err();
    assert!(matches!(error.kind(), ErrorKind::Timeout(_)), "{error:?}");
    volume.sync().await.unwrap();
    // The transfer ends by itself; then both sides can be cleaned up.
    let copy = there.volume(VolumeType::Custom, volume.name());
    for _ in 0..600 {
        match copy.delete().await {
            Ok(()) => break,
            Err(error) if error.is_not_found() => {}
            Err(_) => {}
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    volume.delete().await.unwrap();
}
