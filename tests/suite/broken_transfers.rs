//! Imports, exports, copies and moves whose connection breaks in the middle: what the caller is told, and what is left.

use std::{fs, future::IntoFuture, path::PathBuf, time::Duration};

use bytes::Bytes;
use http::Method;
use lxd_storage::{
    CopyTo, Error, ErrorKind, MoveTo, PoolHandle, Upload, Volume, VolumeHandle,
    transport::{Phase, Reached},
    types::{Compression, StorageVolumeBackupsPost, VolumeType},
};

use crate::{
    content::{Contents, Folder, contents, fill, noise, sha256, try_contents},
    ctx::{Ctx, cases},
    cut::Cut,
};

cases![
    an_import_that_is_cut_leaves_nothing,
    an_iso_that_is_cut_leaves_nothing,
    an_import_whose_answer_is_lost_names_the_volume,
    a_direct_export_that_is_cut_leaves_nothing,
    a_packed_export_goes_on_through_several_cuts,
    an_export_whose_answer_is_lost_leaves_nothing,
    a_copy_is_awaited_through_cuts,
    a_copy_that_is_out_of_sight_can_be_taken_up_again,
    a_copy_whose_answer_is_lost_names_the_copy,
    a_move_whose_answer_is_lost_names_both_places,
];

async fn filled(ctx: &Ctx, pool: &PoolHandle) -> Volume {
    let volume = ctx.new_volume(pool, "v").await;
    fill(&ctx.content(&volume));
    volume
}

/// The same volume over the wire that breaks.
fn through(cut: &Cut, volume: &Volume) -> VolumeHandle {
    cut.client.storage_pool(volume.pool().name()).volume(VolumeType::Custom, volume.name())
}

/// The outcome is unknown, and the error says what to look for.
fn assert_in_doubt(error: &Error, names: &[&str]) {
    assert_eq!(error.kind(), ErrorKind::Interrupted, "{error:?}");
    assert_ne!(error.request_reached_server(), Reached::No, "{error:?}");
    assert!(!error.is_retry_safe(), "{error:?}");
    let text = error.to_string();
    assert!(names.iter().all(|name| text.contains(&format!("{name:?}"))), "{text}");
}

/// Waits for a volume that the server makes by itself, until its content is this and the server is done with it.
async fn until_whole(ctx: &Ctx, volume: &VolumeHandle, content: &Contents) -> Volume {
    for _ in 0..200 {
        // It can be listed before there is a folder, files come under names that pass, and a volume that is whole can
        // be in use for a moment more: Incus 7 fails to delete it then.
        if let Ok(volume) = volume.get().await
            && try_contents(&ctx.content(&volume)).is_ok_and(|found| found == *content)
            && !is_worked_on(ctx, volume.name()).await
        {
            return volume;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    panic!("{volume:?} never came");
}

/// Whether an operation that names the volume is under way.
async fn is_worked_on(ctx: &Ctx, name: &str) -> bool {
    let operations = ctx.client.operations().all().await.unwrap();
    let names_it = |url: &String| url.contains(name);
    operations.iter().any(|one| !one.status_code.is_final() && one.resources.values().flatten().any(names_it))
}

/// A file with a backup of a volume, and what is in that.
async fn packed(folder: &Folder, ctx: &Ctx, pool: &PoolHandle) -> (PathBuf, Contents) {
    let mut volume = filled(ctx, pool).await;
    let (file, content) = (folder.file("backup.tar"), contents(&ctx.content(&volume)));
    volume.export().with_compression(Compression::None).to_file(&file).await.unwrap();
    volume.delete().await.unwrap();
    (file, content)
}

async fn an_import_that_is_cut_leaves_nothing(ctx: Ctx) {
    let (folder, cut) = (Folder::new(&ctx), Cut::new(&ctx).await);
    let pool = ctx.ready_pools().remove(0);
    let (file, content) = packed(&folder, &ctx, &pool).await;
    let volumes = cut.client.storage_pool(pool.name()).volumes();
    let name = ctx.name("again");
    for (sent, knows_length) in [(100_000, true), (3_000_000, true), (3_000_000, false)] {
        let upload = if knows_length {
            Upload::file(&file).await.unwrap()
        } else {
            Upload::reader(std::io::Cursor::new(fs::read(&file).unwrap()), None)
        };
        let breaks = cut.breaks();
        cut.break_after_sent(sent);
        let error = volumes.import_backup(upload, Some(&name)).await.unwrap_err();
        assert_eq!(cut.breaks(), breaks + 1, "{error}");
        assert_in_doubt(&error, &[&name, pool.name()]);
        assert!(!volumes.exists(VolumeType::Custom, &name).await.unwrap());
    }
    // File and client are as good as before.
    let upload = Upload::file(&file).await.unwrap();
    let mut again = volumes.import_backup(upload, Some(&name)).await.unwrap();
    assert_eq!(contents(&ctx.content(&again)), content);
    again.delete().await.unwrap();
}

async fn an_iso_that_is_cut_leaves_nothing(ctx: Ctx) {
    if !ctx.has("custom_volume_iso").await {
        return;
    }
    let cut = Cut::new(&ctx).await;
    let pool = ctx.ready_pools().remove(0);
    let volumes = cut.client.storage_pool(pool.name()).volumes();
    let mut image = noise(4_000_000);
    image[32_769..32_774].copy_from_slice(b"CD001");
    let (name, image) = (ctx.name("iso"), Bytes::from(image));
    cut.break_after_sent(1_000_000);
    let error = volumes.import_iso(Upload::from(image.clone()), &name).await.unwrap_err();
    assert!(cut.has_broken(), "{error}");
    assert_in_doubt(&error, &[&name, pool.name()]);
    assert!(!volumes.exists(VolumeType::Custom, &name).await.unwrap());
    let mut volume = volumes.import_iso(Upload::from(image.clone()), &name).await.unwrap();
    let mut folder = ctx.content(&volume).into_os_string();
    if !folder.to_string_lossy().ends_with(".iso") {
        folder.push(".iso");
    }
    assert!(fs::read(PathBuf::from(folder).join("root.img")).unwrap().starts_with(&image));
    volume.delete().await.unwrap();
}

async fn an_import_whose_answer_is_lost_names_the_volume(ctx: Ctx) {
    let (folder, cut) = (Folder::new(&ctx), Cut::new(&ctx).await);
    let pool = ctx.ready_pools().remove(0);
    let (file, content) = packed(&folder, &ctx, &pool).await;
    let name = ctx.name("again");
    cut.lose_answer(Method::POST, "/volumes/custom");
    let upload = Upload::file(&file).await.unwrap();
    let import = cut.client.storage_pool(pool.name()).volumes().import_backup(upload, Some(&name));
    let error = import.await.unwrap_err();
    assert!(cut.has_broken(), "{error}");
    assert_in_doubt(&error, &[&name, pool.name()]);
    let mut volume = until_whole(&ctx, &pool.volume(VolumeType::Custom, &*name), &content).await;
    volume.delete().await.unwrap();
}

async fn a_direct_export_that_is_cut_leaves_nothing(ctx: Ctx) {
    if !ctx.has("direct_backup").await {
        return;
    }
    let (folder, cut) = (Folder::new(&ctx), Cut::new(&ctx).await);
    let pool = ctx.ready_pools().remove(0);
    let mut volume = filled(&ctx, &pool).await;
    let export = || through(&cut, &volume).export().with_compression(Compression::None);
    cut.break_after(2_000_000);
    let error = export().to_file(folder.file("cut.tar")).await.unwrap_err();
    assert!(cut.has_broken(), "{error}");
    assert_eq!(error.kind(), ErrorKind::Interrupted, "{error:?}");
    assert!(error.to_string().contains("cannot be taken up in the middle"), "{error}");
    assert_eq!(folder.names(), Vec::<String>::new());
    assert!(volume.backups().all().await.unwrap().is_empty());

    export().to_file(folder.file("whole.tar")).await.unwrap();
    let upload = Upload::file(folder.file("whole.tar")).await.unwrap();
    let mut copy = pool.volumes().import_backup(upload, Some(&ctx.name("copy"))).await.unwrap();
    assert_eq!(contents(&ctx.content(&copy)), contents(&ctx.content(&volume)));
    copy.delete().await.unwrap();
    volume.delete().await.unwrap();
}

async fn a_packed_export_goes_on_through_several_cuts(ctx: Ctx) {
    let (folder, cut) = (Folder::new(&ctx), Cut::new(&ctx).await);
    let pool = ctx.ready_pools().remove(0);
    let mut volume = filled(&ctx, &pool).await;
    let file = folder.file("backup.tar");
    let (sender, told) = std::sync::mpsc::channel();
    let tell = move |done: lxd_storage::Transferred| sender.send(done.bytes).unwrap();
    let (bytes, checksum) = if ctx.has("direct_backup").await {
        // Exports aren't packed first there, but backups are.
        let post = StorageVolumeBackupsPost::new("b").with_compression(Compression::None);
        let backup = through(&cut, &volume).backups().create(post).await.unwrap();
        cut.break_every(1_200_000, 3);
        let mut download = backup.download().await.unwrap().with_checksum().with_progress(tell);
        (download.save_to(&file).await.unwrap(), download.checksum())
    } else {
        cut.break_every(1_200_000, 3);
        let export = through(&cut, &volume).export().with_compression(Compression::None);
        let exported = export.with_checksum().with_progress(tell).to_file(&file).await.unwrap();
        assert_eq!(exported.leftover, None);
        assert!(volume.backups().all().await.unwrap().is_empty());
        (exported.bytes, exported.sha256)
    };
    assert_eq!(cut.breaks(), 3);
    let told: Vec<u64> = told.iter().collect();
    assert!(told.is_sorted() && told.last() == Some(&bytes), "{told:?}");
    assert_eq!(checksum, Some(sha256(&file)));
    let upload = Upload::file(&file).await.unwrap();
    let mut copy = pool.volumes().import_backup(upload, Some(&ctx.name("copy"))).await.unwrap();
    assert_eq!(contents(&ctx.content(&copy)), contents(&ctx.content(&volume)));
    copy.delete().await.unwrap();
    volume.delete().await.unwrap();
}

async fn an_export_whose_answer_is_lost_leaves_nothing(ctx: Ctx) {
    let (folder, cut) = (Folder::new(&ctx), Cut::new(&ctx).await);
    let mut volume = filled(&ctx, &ctx.ready_pools()[0]).await;
    cut.lose_answer(Method::POST, "/backups");
    let error = through(&cut, &volume).export().to_file(folder.file("x")).await.unwrap_err();
    assert!(cut.has_broken(), "{error}");
    assert_eq!(error.kind(), ErrorKind::Interrupted, "{error:?}");
    assert_eq!(folder.names(), Vec::<String>::new());
    // Nor once the server has packed what nobody waits for.
    for _ in 0..10 {
        assert!(volume.backups().all().await.unwrap().is_empty());
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    volume.delete().await.unwrap();
}

async fn a_copy_is_awaited_through_cuts(ctx: Ctx) {
    let (mut pool, cut) = (ctx.slow_pool().await, Cut::new(&ctx).await);
    let mut volume = filled(&ctx, &pool).await;
    let mut copying = through(&cut, &volume).copy_to(CopyTo::name(ctx.name("copy"))).into_future();
    let cuts = async {
        for times in 1..=3 {
            cut.until_waiting(times).await;
            cut.break_now();
        }
    };
    let copied = tokio::select! { copied = &mut copying => copied, () = cuts => copying.await };
    let mut copy = copied.unwrap();
    assert!(cut.has_broken());
    assert_eq!(contents(&ctx.content(&copy)), contents(&ctx.content(&volume)));
    copy.delete().await.unwrap();
    volume.delete().await.unwrap();
    pool.delete().await.unwrap();
}

async fn a_copy_that_is_out_of_sight_can_be_taken_up_again(ctx: Ctx) {
    let (mut pool, cut) = (ctx.slow_pool().await, Cut::new(&ctx).await);
    let mut volume = filled(&ctx, &pool).await;
    let name = ctx.name("copy");
    let copying = through(&cut, &volume).copy_to(CopyTo::name(&*name));
    let copying = copying.with_deadline(Duration::from_millis(800)).into_future();
    let (copied, ()) = tokio::join!(copying, async {
        cut.until_waiting(1).await;
        cut.die();
    });
    let error = copied.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Timeout(Phase::Wait), "{error:?}");
    assert!(error.to_string().contains(&format!("{name:?}")), "{error}");
    cut.mend();
    cut.client.operation(error.operation().unwrap()).await.unwrap().await.unwrap();
    let mut copy = pool.volumes().get(VolumeType::Custom, &name).await.unwrap();
    assert_eq!(contents(&ctx.content(&copy)), contents(&ctx.content(&volume)));
    copy.delete().await.unwrap();
    volume.delete().await.unwrap();
    pool.delete().await.unwrap();
}

async fn a_copy_whose_answer_is_lost_names_the_copy(ctx: Ctx) {
    let cut = Cut::new(&ctx).await;
    let pool = ctx.ready_pools().remove(0);
    let mut volume = filled(&ctx, &pool).await;
    let name = ctx.name("copy");
    cut.lose_answer(Method::POST, "/volumes/custom");
    let error = through(&cut, &volume).copy_to(CopyTo::name(&*name)).await.unwrap_err();
    assert!(cut.has_broken(), "{error}");
    assert_in_doubt(&error, &[&name, pool.name()]);
    let copy = pool.volume(VolumeType::Custom, &*name);
    let mut copy = until_whole(&ctx, &copy, &contents(&ctx.content(&volume))).await;
    copy.delete().await.unwrap();
    volume.delete().await.unwrap();
}

async fn a_move_whose_answer_is_lost_names_both_places(ctx: Ctx) {
    let (mut target, cut) = (ctx.new_pool("target").await, Cut::new(&ctx).await);
    let pool = ctx.ready_pools().remove(0);
    let volume = filled(&ctx, &pool).await;
    let content = contents(&ctx.content(&volume));
    let name = volume.name();
    cut.lose_answer(Method::POST, name);
    let error = through(&cut, &volume).move_to(MoveTo::pool(target.name())).await.unwrap_err();
    assert!(cut.has_broken(), "{error}");
    assert_in_doubt(&error, &[name, pool.name(), target.name()]);
    let mut moved = until_whole(&ctx, &target.volume(VolumeType::Custom, name), &content).await;
    for _ in 0..100 {
        // The source goes last.
        if !volume.exists().await.unwrap() {
            break;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    assert!(!volume.exists().await.unwrap());
    moved.delete().await.unwrap();
    target.delete().await.unwrap();
}
