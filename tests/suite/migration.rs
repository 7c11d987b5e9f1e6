//! Volumes between two servers of a family in all modes, compared byte by byte.

use std::{fs, future::IntoFuture, path::PathBuf, time::Duration};

use http::Method;
use lxd_storage::{
    Client, ErrorKind, Migration, PoolHandle, Volume, VolumeHandle,
    types::{
        ContentType, Expiry, Operation, Size, StatusCode, StorageVolumeSnapshotsPost, StorageVolumesPost,
        Timestamp, VolumeType,
    },
};
use serde_json::json;

use crate::{
    content::{contents, fill},
    ctx::{Ctx, Wire, cases, transport_to},
    cut::Cut,
};

cases![
    every_mode_brings_everything,
    a_refresh_sends_what_is_new,
    a_refresh_can_leave_out_what_is_older,
    a_refresh_of_the_volume_alone_removes_snapshots,
    a_snapshot_becomes_a_volume_elsewhere,
    a_snapshot_is_not_renamed_instead,
    a_relay_needs_nobody_to_listen,
    a_relay_that_is_dropped_or_cut_leaves_the_source,
    a_transfer_that_is_dropped_is_taken_back,
    nothing_stays_whenever_it_is_dropped,
    a_copy_that_was_there_is_not_taken_back,
    a_copy_is_its_source_byte_by_byte,
    a_block_volume_too,
    a_move_deletes_the_source_last,
    snapshots_come_along_or_stay_behind,
    a_failure_leaves_source_and_target_as_they_were,
    several_addresses_are_tried,
    a_taken_name_is_refused,
    a_deadline_ends_the_waiting,
    a_volume_is_not_moved_onto_itself,
];

fn content_there(ctx: &Ctx, volume: &Volume) -> PathBuf {
    ctx.other_server().volume_path(volume.pool().name(), "default", volume.name())
}

fn pools_there(ctx: &Ctx) -> Vec<PoolHandle> {
    let names = ctx.other_server().pools();
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
    let mut volume = here.volumes().create(post.with_size(Size::mib(8))).await.unwrap();
    let noise: Vec<u8> = (0..8_u32 << 20).map(|i| (i.wrapping_mul(2_246_822_519) >> 11) as u8).collect();
    fs::write(ctx.content(&volume).join("root.img"), &noise).unwrap();
    for (mode, choose) in MODES {
        let copy = choose(volume.copy_to_server(there)).await;
        let mut copy = copy.unwrap_or_else(|error| panic!("{mode}: {error}"));
        assert_eq!(*copy.content_type(), ContentType::Block);
        assert_eq!(copy.config().size("size").unwrap(), Some(Size::mib(8)));
        let arrived = fs::read(content_there(&ctx, &copy).join("root.img")).unwrap();
        assert!(arrived == noise, "{mode}: the bytes differ");
        copy.delete().await.unwrap();
    }
    volume.delete().await.unwrap();
}

async fn a_move_deletes_the_source_last(ctx: Ctx) {
    for (here, there) in ctx.ready_pools().iter().zip(pools_there(&ctx)) {
        let mut post = StorageVolumesPost::new(ctx.name("v")).with_size(Size::mib(64));
        post.description = "moving".to_owned();
        let volume = here.volumes().create(post).await.unwrap();
        fill(&ctx.content(&volume));
        let before = contents(&ctx.content(&volume));
        let mut moved = volume.move_to_server(&there).await.unwrap();
        assert_eq!(contents(&content_there(&ctx, &moved)), before);
        assert_eq!(
            (moved.description(), moved.config().size("size").unwrap()),
            ("moving", Some(Size::mib(64)))
        );
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
    let error = volume.move_to_server(there).with_address("https://127.0.0.9:9").await.unwrap_err();
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
    let good = ctx.server().https_url().to_owned();
    let migration = volume.copy_to_server(there).with_address("https://127.0.0.9:9").with_address(good);
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
    // What goes on has a name on both servers.
    let told = error.to_string();
    assert!(told.contains("may go on") && told.contains(&format!("{:?}", volume.name())), "{told}");
    let ours = error.operation().unwrap();
    assert!(told.matches(ours).count() > 1 && !told.contains("none"), "{told}");
    // The transfer ends by itself; then both sides can be cleaned up.
    delete_in_the_end(&there.volume(VolumeType::Custom, volume.name())).await;
    volume.delete().await.unwrap();
}

/// Deletes a copy that is still being made.
async fn delete_in_the_end(copy: &VolumeHandle) {
    for _ in 0..600 {
        if copy.delete().await.is_ok() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    panic!("volume {:?} cannot be deleted", copy.name());
}

/// Pull, push and relay.
type Mode = fn(Migration) -> Migration;
pub(crate) const MODES: [(&str, Mode); 3] =
    [("pull", |m| m), ("push", Migration::push), ("relay", Migration::relay)];

async fn every_mode_brings_everything(ctx: Ctx) {
    for (here, there) in ctx.ready_pools().iter().zip(pools_there(&ctx)) {
        for (mode, choose) in MODES {
            let post =
                StorageVolumesPost::new(ctx.name(mode)).with_description(mode).with_config("user.k", "v");
            let mut volume = here.volumes().create(post).await.unwrap();
            fill(&ctx.content(&volume));
            let expiry = Timestamp::from_unix(1_900_000_000, 0).unwrap();
            let taken = StorageVolumeSnapshotsPost::new("s0").with_description("kept").with_expiry(expiry);
            volume.snapshots().create(taken).await.unwrap();
            fs::write(ctx.content(&volume).join("later"), b"than the snapshot").unwrap();
            volume.snapshots().create(StorageVolumeSnapshotsPost::new("s1")).await.unwrap();
            let before = contents(&ctx.content(&volume));

            let migration = choose(volume.copy_to_server(&there));
            let mut copy = migration.await.unwrap_or_else(|error| panic!("{mode}: {error}"));
            assert_eq!(contents(&content_there(&ctx, &copy)), before, "{mode}");
            assert_eq!((copy.description(), copy.config().text("user.k")), (mode, Some("v")));
            let snapshots = copy.snapshots().all().await.unwrap();
            let names: Vec<&str> = snapshots.iter().map(|snapshot| snapshot.name()).collect();
            assert_eq!(names, ["s0", "s1"]);
            let s0 = copy.snapshots().get("s0").await.unwrap();
            assert_eq!((s0.description(), s0.expiry()), ("kept", Expiry::At(expiry)), "{mode}");
            // What is in the snapshots came along too.
            copy.restore("s0").await.unwrap();
            assert!(!content_there(&ctx, &copy).join("later").exists());

            let mut moved = choose(volume.move_to_server(&there)).with_name(ctx.name("moved")).await.unwrap();
            assert_eq!(contents(&content_there(&ctx, &moved)), before, "{mode}");
            assert!(!volume.exists().await.unwrap());
            assert!(volume.sync().await.unwrap_err().is_not_found());
            moved.delete().await.unwrap();
            copy.delete().await.unwrap();
        }
    }
}

async fn a_refresh_sends_what_is_new(ctx: Ctx) {
    for (here, there) in ctx.ready_pools().iter().zip(pools_there(&ctx)) {
        for (mode, choose) in MODES {
            let mut volume = ctx.new_volume(here, mode).await;
            fill(&ctx.content(&volume));
            volume.snapshots().create(StorageVolumeSnapshotsPost::new("s0")).await.unwrap();
            // The first refresh makes the copy.
            let mut copy = choose(volume.copy_to_server(&there).refresh()).await.unwrap();
            fs::write(ctx.content(&volume).join("new"), b"since then").unwrap();
            volume.snapshots().create(StorageVolumeSnapshotsPost::new("s1")).await.unwrap();
            volume.snapshot("s0").delete().await.unwrap();

            let error = choose(volume.copy_to_server(&there)).await.unwrap_err();
            assert!(error.is_already_exists(), "{mode}: {error}");
            let again = choose(volume.copy_to_server(&there).refresh()).await;
            let again = again.unwrap_or_else(|error| panic!("{mode}: {error}"));
            assert_eq!(again.name(), copy.name());
            assert_eq!(contents(&content_there(&ctx, &copy)), contents(&ctx.content(&volume)), "{mode}");
            let snapshots = copy.snapshots().all().await.unwrap();
            assert_eq!(
                snapshots.iter().map(|snapshot| snapshot.name()).collect::<Vec<_>>(),
                ["s1"],
                "{mode}"
            );
            copy.delete().await.unwrap();
            volume.delete().await.unwrap();
        }
    }
}

async fn a_refresh_of_the_volume_alone_removes_snapshots(ctx: Ctx) {
    let (here, there) = (&ctx.ready_pools()[0], &pools_there(&ctx)[0]);
    for (mode, choose) in MODES {
        let mut volume = ctx.new_volume(here, mode).await;
        fill(&ctx.content(&volume));
        snapshot(&ctx, &volume, "one").await;
        let mut copy = choose(volume.copy_to_server(there)).await.unwrap();
        fs::write(ctx.content(&volume).join("later"), b"later").unwrap();
        snapshot(&ctx, &volume, "two").await;
        let refreshed = choose(volume.copy_to_server(there).refresh().volume_only()).await;
        refreshed.unwrap_or_else(|error| panic!("{mode}: {error}"));
        assert_eq!(contents(&content_there(&ctx, &copy)), contents(&ctx.content(&volume)), "{mode}");
        // The target takes a source that sends no snapshots for one that has none.
        assert!(copy.snapshots().all().await.unwrap().is_empty(), "{mode}");
        copy.delete().await.unwrap();
        volume.delete().await.unwrap();
    }
}

async fn a_refresh_can_leave_out_what_is_older(ctx: Ctx) {
    let extension = "custom_volume_refresh_exclude_older_snapshots";
    let (here, there) = (&ctx.ready_pools()[0], &pools_there(&ctx)[0]);
    for (mode, choose) in MODES {
        let mut volume = ctx.new_volume(here, mode).await;
        fill(&ctx.content(&volume));
        for name in ["one", "two"] {
            snapshot(&ctx, &volume, name).await;
        }
        let refresh = || choose(volume.copy_to_server(there).exclude_older());
        if !ctx.has(extension).await {
            assert_eq!(refresh().await.unwrap_err().extension(), Some(extension));
            volume.delete().await.unwrap();
            continue;
        }
        let mut copy = choose(volume.copy_to_server(there)).await.unwrap();
        copy.snapshot("one").delete().await.unwrap();
        fs::write(ctx.content(&volume).join("later"), b"later").unwrap();
        snapshot(&ctx, &volume, "three").await;
        refresh().await.unwrap_or_else(|error| panic!("{mode}: {error}"));
        let snapshots = copy.snapshots().all().await.unwrap();
        let names: Vec<&str> = snapshots.iter().map(|snapshot| snapshot.name()).collect();
        assert_eq!(names, ["two", "three"], "{mode}: \"one\" is older than what the copy has");
        assert_eq!(contents(&content_there(&ctx, &copy)), contents(&ctx.content(&volume)), "{mode}");
        copy.delete().await.unwrap();
        volume.delete().await.unwrap();
    }
}

const OF_SNAPSHOTS: &str = "storage_api_remote_volume_snapshot_copy";

async fn a_snapshot_becomes_a_volume_elsewhere(ctx: Ctx) {
    if !ctx.has(OF_SNAPSHOTS).await {
        return;
    }
    for (here, there) in ctx.ready_pools().iter().zip(pools_there(&ctx)) {
        let post = StorageVolumesPost::new(ctx.name("v")).with_config("user.k", "then");
        let mut volume = here.volumes().create(post).await.unwrap();
        fill(&ctx.content(&volume));
        let then = contents(&ctx.content(&volume));
        let taken = StorageVolumeSnapshotsPost::new("s0").with_description("as it was");
        let snapshot = volume.snapshots().create(taken).await.unwrap();
        fs::write(ctx.content(&volume).join("later"), b"than the snapshot").unwrap();
        volume.config_mut().set("user.k", "now");
        volume.save().await.unwrap();
        volume.snapshots().create(StorageVolumeSnapshotsPost::new("s1")).await.unwrap();
        for (mode, choose) in MODES {
            let migration = choose(snapshot.copy_to_server(&there)).with_name(ctx.name(mode));
            let mut copy = migration.await.unwrap_or_else(|error| panic!("{mode}: {error}"));
            assert_eq!(contents(&content_there(&ctx, &copy)), then, "{mode}");
            assert_eq!((copy.description(), copy.config().text("user.k")), ("as it was", Some("then")));
            assert!(copy.snapshots().all().await.unwrap().is_empty(), "{mode}");
            // Its volume's name is taken for its own where it gets no other; and a second one is refused.
            let error = choose(snapshot.copy_to_server(&there)).with_name(copy.name()).await.unwrap_err();
            assert!(error.is_already_exists(), "{mode}: {error}");
            copy.delete().await.unwrap();
        }
        let mut copy = snapshot.copy_to_server(&there).await.unwrap();
        assert_eq!(copy.name(), volume.name());
        copy.delete().await.unwrap();
        let names: Vec<_> = volume.snapshots().all().await.unwrap();
        assert_eq!(names.iter().map(|one| one.name()).collect::<Vec<_>>(), ["s0", "s1"]);
        let error = volume.snapshot("nothing").copy_to_server(&there).await.unwrap_err();
        assert!(error.is_not_found(), "{error}");
        volume.delete().await.unwrap();
    }
}

async fn a_snapshot_is_not_renamed_instead(ctx: Ctx) {
    let (here, there) = (&ctx.ready_pools()[0], &pools_there(&ctx)[0]);
    let mut volume = ctx.new_volume(here, "v").await;
    let snapshot = volume.snapshots().create(StorageVolumeSnapshotsPost::new("s0")).await.unwrap();
    let has_it = ctx.has(OF_SNAPSHOTS).await;
    ctx.sent.take();
    for (mode, choose) in MODES {
        let migration = || choose(snapshot.copy_to_server(there));
        for error in
            [migration().refresh().await.unwrap_err(), migration().exclude_older().await.unwrap_err()]
        {
            assert_eq!(error.kind(), ErrorKind::InvalidInput, "{mode}: {error}");
        }
        if !has_it {
            // Servers without it take such a request for a rename.
            let error = migration().with_name(ctx.name("copy")).await.unwrap_err();
            assert_eq!(
                (error.kind(), error.extension()),
                (ErrorKind::UnsupportedExtension, Some(OF_SNAPSHOTS))
            );
            assert!(!there.volume(VolumeType::Custom, ctx.name("copy")).exists().await.unwrap());
        }
    }
    let sent = ctx.sent.take();
    assert!(sent.iter().all(|request| request == "GET /1.0"), "{sent:?}");
    assert!(snapshot.exists().await.unwrap());
    volume.delete().await.unwrap();
}

async fn a_relay_needs_nobody_to_listen(ctx: Ctx) {
    let (here, there) = (&ctx.ready_pools()[0], &pools_there(&ctx)[0]);
    let mut volume = ctx.new_volume(here, "v").await;
    fs::write(ctx.content(&volume).join("file"), b"relayed").unwrap();
    // No address can be used by either mode that needs one.
    for choose in [MODES[0].1, MODES[1].1] {
        let error =
            choose(volume.copy_to_server(there)).with_address("https://127.0.0.9:9").await.unwrap_err();
        assert!(matches!(error.kind(), ErrorKind::OperationFailed | ErrorKind::Server), "{error:?}");
        assert!(!there.volume(VolumeType::Custom, volume.name()).exists().await.unwrap());
    }
    let relay = volume.copy_to_server(there).with_address("https://127.0.0.9:9").relay();
    let mut copy = relay.await.unwrap();
    assert_eq!(fs::read(content_there(&ctx, &copy).join("file")).unwrap(), b"relayed");
    copy.delete().await.unwrap();
    volume.delete().await.unwrap();
}

async fn a_relay_that_is_dropped_or_cut_leaves_the_source(ctx: Ctx) {
    let (here, there) = (&ctx.ready_pools()[0], &pools_there(&ctx)[0]);
    let mut volume = ctx.new_volume(here, "v").await;
    let noise: Vec<u8> = (0..64_u32 << 20).map(|i| (i.wrapping_mul(2_246_822_519) >> 13) as u8).collect();
    fs::write(ctx.content(&volume).join("noise"), &noise).unwrap();
    let copy = there.volume(VolumeType::Custom, volume.name());

    let relay = volume.move_to_server(there).relay().into_future();
    assert!(tokio::time::timeout(Duration::from_millis(300), relay).await.is_err());
    gone(&copy).await;
    assert!(volume.exists().await.unwrap());

    let cut = Cut::new(&ctx).await;
    let through = cut.client.storage_pool(here.name()).volume(VolumeType::Custom, volume.name());
    cut.break_after(3_000_000);
    let error = through.move_to_server(there).relay().await.unwrap_err();
    assert!(cut.has_broken(), "{error}");
    gone(&copy).await;
    let now = fs::read(ctx.content(&volume).join("noise")).unwrap();
    assert!(now == noise, "the source is as it was");
    volume.delete().await.unwrap();
}

/// Bytes that take servers a while to pass on.
fn much() -> Vec<u8> {
    (0..112_u32 << 20).map(|i| (i.wrapping_mul(2_246_822_519) >> 13) as u8).collect()
}

/// Whether an operation is about a volume: by its resources, or on the newest servers by its metadata.
pub(crate) fn is_about(operation: &Operation, volume: &str) -> bool {
    serde_json::to_string(operation).unwrap().contains(volume)
}

/// Awaits a migration for so long and then drops it, in the middle of the transfer. Gives the operations of its source.
async fn drop_in_the_middle(ctx: &Ctx, migration: Migration, copy: &VolumeHandle) -> Vec<Operation> {
    let began = async {
        while !copy.exists().await.unwrap() {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
        let mut operations = ctx.client.operations().all().await.unwrap();
        operations.retain(|one| is_about(one, copy.name()));
        operations
    };
    tokio::select! {
        done = migration.into_future() => panic!("it was over too early: {done:?}"),
        operations = began => operations,
    }
}

async fn a_transfer_that_is_dropped_is_taken_back(ctx: Ctx) {
    let (here, there) = (&ctx.ready_pools()[0], &pools_there(&ctx)[0]);
    let (volume, much) = (ctx.new_volume(here, "v").await, much());
    fs::write(ctx.content(&volume).join("much"), &much).unwrap();
    let copy = there.volume(VolumeType::Custom, volume.name());
    for choose in [MODES[0].1, MODES[1].1] {
        ctx.sent.take();
        let under_way = drop_in_the_middle(&ctx, choose(volume.move_to_server(there)), &copy).await;
        gone(&copy).await;
        assert!(ctx.sent.take().iter().any(|sent| sent.starts_with("DELETE /1.0/operations/")));
        // Where the source can stop it did, and else it went on to its end.
        for before in under_way {
            let now = ctx.client.operations().all().await.unwrap();
            let ended = now.iter().find(|now| now.id == before.id).map(|now| now.status_code);
            let successful = ended.is_none_or(|code| code == StatusCode::SUCCESS);
            assert!(!before.may_cancel || !successful, "{ended:?}: {before:?}");
        }
        assert!(volume.exists().await.unwrap());
        // And nothing brings it back.
        tokio::time::sleep(Duration::from_millis(300)).await;
        assert!(!copy.exists().await.unwrap());
    }
    let now = fs::read(ctx.content(&volume).join("much")).unwrap();
    assert!(now == much, "the source is as it was");
    // The next one works.
    fs::write(ctx.content(&volume).join("much"), b"little").unwrap();
    let mut moved = volume.move_to_server(there).await.unwrap();
    assert_eq!(fs::read(content_there(&ctx, &moved).join("much")).unwrap(), b"little");
    moved.delete().await.unwrap();
}

async fn nothing_stays_whenever_it_is_dropped(ctx: Ctx) {
    let (here, there) = (&ctx.ready_pools()[0], &pools_there(&ctx)[0]);
    let mut volume = ctx.new_volume(here, "v").await;
    fill(&ctx.content(&volume));
    let before = contents(&ctx.content(&volume));
    let copy = there.volume(VolumeType::Custom, volume.name());
    for (number, after) in [0, 1, 2, 4, 8, 12, 16, 24, 32, 48, 64, 96].into_iter().enumerate() {
        let migration = MODES[number % 3].1(volume.copy_to_server(there)).into_future();
        let done = tokio::time::timeout(Duration::from_millis(after), migration).await;
        match done {
            Ok(done) => copy_is_whole(&ctx, done.unwrap(), &before).await,
            Err(_) => {
                // What was asked for at the last moment begins after that.
                tokio::time::sleep(Duration::from_millis(200)).await;
                gone(&copy).await;
            }
        }
    }
    tokio::time::sleep(Duration::from_millis(300)).await;
    assert!(!copy.exists().await.unwrap());
    assert_eq!(contents(&ctx.content(&volume)), before);
    volume.delete().await.unwrap();
}

/// Looks at a copy that was quicker than the clock, and takes it away.
async fn copy_is_whole(ctx: &Ctx, mut copy: Volume, before: &[(PathBuf, Vec<u8>)]) {
    assert_eq!(contents(&content_there(ctx, &copy)), before);
    copy.delete().await.unwrap();
}

async fn a_copy_that_was_there_is_not_taken_back(ctx: Ctx) {
    let (here, there) = (&ctx.ready_pools()[0], &pools_there(&ctx)[0]);
    let mut volume = ctx.new_volume(here, "v").await;
    fs::write(ctx.content(&volume).join("first"), b"one").unwrap();
    for (mode, choose) in MODES {
        let name = ctx.name(mode);
        let mut copy = choose(volume.copy_to_server(there)).with_name(&*name).await.unwrap();
        fs::write(ctx.content(&volume).join("much"), vec![7; 24 << 20]).unwrap();
        let refresh = choose(volume.copy_to_server(there)).with_name(&*name).refresh().into_future();
        let _ = tokio::time::timeout(Duration::from_millis(150), refresh).await;
        // Long enough for whatever would take it away.
        tokio::time::sleep(Duration::from_secs(1)).await;
        copy.sync().await.unwrap_or_else(|error| panic!("{mode}: {error}"));
        assert_eq!(fs::read(content_there(&ctx, &copy).join("first")).unwrap(), b"one");
        delete_in_the_end(&copy).await;
        fs::remove_file(ctx.content(&volume).join("much")).unwrap();
    }
    volume.delete().await.unwrap();
}

/// Waits until the target has taken back what it began.
async fn gone(copy: &VolumeHandle) {
    for _ in 0..600 {
        match copy.get().await {
            Err(error) if error.is_not_found() => return,
            _ => tokio::time::sleep(Duration::from_millis(100)).await,
        }
    }
    panic!("volume {:?} is left at the target", copy.name());
}

async fn a_volume_is_not_moved_onto_itself(ctx: Ctx) {
    let pool = ctx.ready_pools().remove(0);
    let volume = ctx.new_volume(&pool, "v").await;
    // The same server, whichever way it is reached.
    let other_way = Client::new(transport_to(ctx.server(), Wire::Unix)).storage_pool(pool.name());
    for pool in [&pool, &other_way] {
        for relay in [false, true] {
            let moving = volume.handle().move_to_server(pool).refresh();
            let moving = if relay { moving.relay() } else { moving };
            let error = moving.await.unwrap_err();
            assert!(
                error.kind() == ErrorKind::InvalidInput && error.to_string().contains("one and the same"),
                "{error}"
            );
            assert!(volume.handle().exists().await.unwrap());
        }
    }
    volume.handle().delete().await.unwrap();
}
