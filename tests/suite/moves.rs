//! Moves to another server whose copy is not what its source is: the source stays, and the error says what differs.

use std::fs;

use lxd_storage::{
    Client, ErrorKind, Migration, Volume,
    types::{StorageVolumeSnapshotsPost, StorageVolumesPost, VolumeType},
};

use crate::{
    content::contents,
    ctx::{Ctx, cases, transport_to},
    meddling::Meddler,
    migration::MODES,
};

cases![
    a_move_whose_copy_lacks_a_snapshot_keeps_its_source,
    a_move_whose_copy_lacks_a_key_keeps_its_source,
    a_move_whose_copy_is_something_else_keeps_its_source,
];

/// A volume with content, a key and two snapshots.
async fn original(ctx: &Ctx, what: &str) -> Volume {
    let post =
        StorageVolumesPost::new(ctx.name(what)).with_description("original").with_config("user.k", "v");
    let volume = ctx.ready_pools()[0].volumes().create(post).await.unwrap();
    fs::write(ctx.content(&volume).join("file"), b"what is in it").unwrap();
    for name in ["s0", "s1"] {
        volume.snapshots().create(StorageVolumeSnapshotsPost::new(name)).await.unwrap();
    }
    volume
}

/// Moves a volume to a target that is seen through this client, which ends in an error with these words, and shows that
/// the source is as it was and nothing is left at the target.
async fn keeps_its_source(
    ctx: &Ctx,
    volume: &mut Volume,
    target: &Client,
    choose: fn(Migration) -> Migration,
    words: &str,
) {
    let (before, config) = (contents(&ctx.content(volume)), volume.config().clone());
    let pool = target.storage_pool(volume.pool().name());
    let error = choose(volume.move_to_server(&pool)).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::OperationFailed, "{error}");
    assert!(
        error.to_string().contains("differs from its source") && error.to_string().contains(words),
        "{error}"
    );

    volume.sync().await.unwrap();
    assert_eq!((volume.description(), volume.config()), ("original", &config));
    assert_eq!(contents(&ctx.content(volume)), before);
    let snapshots = volume.snapshots().all().await.unwrap();
    assert_eq!(snapshots.iter().map(|snapshot| snapshot.name()).collect::<Vec<_>>(), ["s0", "s1"]);
    let left = ctx.other().storage_pool(pool.name()).volume(VolumeType::Custom, volume.name());
    assert!(!left.exists().await.unwrap(), "what arrived is of no use");
}

async fn a_move_whose_copy_lacks_a_snapshot_keeps_its_source(ctx: Ctx) {
    for (mode, choose) in MODES {
        let mut volume = original(&ctx, mode).await;
        let copy = ctx.other().storage_pool(volume.pool().name()).volume(VolumeType::Custom, volume.name());
        let snapshots =
            format!("/1.0/storage-pools/{}/volumes/custom/{}/snapshots", copy.pool().name(), copy.name());
        let theirs = transport_to(ctx.other_server(), ctx.wire);
        // Gone between the transfer and the comparison.
        let (target, met) = Meddler::before(theirs, format!("GET {snapshots}"), || async move {
            copy.snapshot("s1").delete().await.unwrap();
        });
        keeps_its_source(&ctx, &mut volume, &target, choose, r#"snapshots ["s0"] instead of ["s0", "s1"]"#)
            .await;
        assert!(met.count() > 0);
        // It moves where nobody meddles.
        let there = ctx.other().storage_pool(volume.pool().name());
        let mut moved = choose(volume.move_to_server(&there)).await.unwrap();
        assert!(!volume.exists().await.unwrap());
        moved.delete().await.unwrap();
    }
}

async fn a_move_whose_copy_lacks_a_key_keeps_its_source(ctx: Ctx) {
    for (mode, choose) in MODES {
        let mut volume = original(&ctx, mode).await;
        let path = format!("/1.0/storage-pools/{}/volumes/custom/{}", volume.pool().name(), volume.name());
        let theirs = transport_to(ctx.other_server(), ctx.wire);
        // A target that doesn't keep a key, however often it is set.
        let (target, _) = Meddler::rewriting(theirs, format!("GET {path}"), |volume| {
            if let Some(config) = volume["config"].as_object_mut() {
                config.remove("user.k");
            }
        });
        keeps_its_source(&ctx, &mut volume, &target, choose, r#"key "user.k" is None instead of "v""#).await;
        volume.delete().await.unwrap();
    }
}

async fn a_move_whose_copy_is_something_else_keeps_its_source(ctx: Ctx) {
    let mut volume = original(&ctx, "v").await;
    let path = format!("/1.0/storage-pools/{}/volumes/custom/{}", volume.pool().name(), volume.name());
    for (field, words) in [("description", "description"), ("content_type", "content type")] {
        let theirs = transport_to(ctx.other_server(), ctx.wire);
        let (target, _) = Meddler::rewriting(theirs, format!("GET {path}"), move |volume| {
            if !volume[field].is_null() {
                volume[field] = "other".into();
            }
        });
        keeps_its_source(&ctx, &mut volume, &target, |migration| migration, words).await;
    }
    volume.delete().await.unwrap();
}
