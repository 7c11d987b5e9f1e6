//! Backups that the server keeps, exports into files and streams, and imports.

use std::{
    fs,
    future::IntoFuture,
    io,
    path::Path,
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};

use bytes::Bytes;
use futures_core::Stream;
use lxd_storage::{
    ErrorKind, PoolHandle, Upload, Volume,
    transport::Reached,
    types::{
        Compression, ContentType, Expiry, Size, StorageVolumeBackupsPost, StorageVolumeSnapshotsPost,
        StorageVolumesPost, VolumeType,
    },
};

use tokio::io::AsyncWrite;

use crate::{
    content::{Folder, contents, fill, sha256, sha256_of},
    ctx::{Ctx, cases},
    cut::Cut,
};

cases![
    a_backup_lives_and_dies,
    the_server_can_number_backups,
    what_is_exported_comes_back_whole,
    a_block_volume_comes_back_too,
    an_export_leaves_nothing_behind,
    a_broken_download_goes_on_where_it_broke,
    an_export_can_be_packed_first_everywhere,
    optimized_backups_are_for_drivers_that_have_them,
    what_is_no_backup_is_refused,
    a_refusal_in_mid_upload_is_the_servers_own,
    an_import_that_is_given_up_leaves_nothing,
    every_kind_of_upload_arrives,
    a_file_that_is_there_is_not_replaced_unasked,
];

async fn filled(ctx: &Ctx, pool: &PoolHandle) -> Volume {
    let volume = ctx.new_volume(pool, "v").await;
    fill(&ctx.content(&volume));
    volume
}

/// Waits until the volume has no backup, which a task in the background sees to.
async fn has_no_backup(volume: &Volume) -> bool {
    for _ in 0..100 {
        if volume.backups().all().await.unwrap().is_empty() {
            return true;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    false
}

async fn a_backup_lives_and_dies(ctx: Ctx) {
    let mut volume = filled(&ctx, &ctx.ready_pools()[0]).await;
    let backups = volume.backups();
    assert!(backups.all().await.unwrap().is_empty());
    let at = "2030-01-02T03:04:05Z".parse().unwrap();
    let odd = ctx.odd("b é%");
    let post = StorageVolumeBackupsPost::new(&*odd).with_expiry(Expiry::At(at)).volume_only();
    let backup = backups.create(post.with_compression(Compression::None)).await.unwrap();
    assert_eq!((backup.name(), backup.expiry(), backup.is_volume_only()), (&*odd, Expiry::At(at), true));
    assert!(backup.created_at().is_some() && !backup.is_optimized());
    assert_eq!(backups.all().await.unwrap()[0].name(), odd);

    let taken = backups.create(StorageVolumeBackupsPost::new(&*odd)).await.unwrap_err();
    assert!(taken.is_already_exists(), "{taken:?}");
    backups.create(StorageVolumeBackupsPost::new("other")).await.unwrap();
    assert!(backup.rename("other").await.unwrap_err().is_already_exists());
    let renamed = backup.rename("second").await.unwrap();
    assert!(backups.exists("second").await.unwrap() && !backups.exists(&odd).await.unwrap());
    assert!(renamed.download().await.unwrap().size().unwrap() > 5_000_000);
    renamed.delete().await.unwrap();
    assert_eq!(backups.get("second").await.unwrap_err().kind(), ErrorKind::NotFound);
    assert_eq!(renamed.download().await.unwrap_err().kind(), ErrorKind::NotFound);
    volume.delete().await.unwrap();
}

async fn the_server_can_number_backups(ctx: Ctx) {
    let mut volume = ctx.new_volume(&ctx.ready_pools()[0], "v").await;
    for expected in ["backup0", "backup1"] {
        let backup = volume.backups().create(StorageVolumeBackupsPost::automatic()).await.unwrap();
        assert_eq!((backup.name(), backup.expiry()), (expected, Expiry::Never));
    }
    volume.delete().await.unwrap();
}

async fn what_is_exported_comes_back_whole(ctx: Ctx) {
    let folder = Folder::new(&ctx);
    for pool in ctx.ready_pools() {
        let mut volume = filled(&ctx, &pool).await;
        volume.snapshots().create(StorageVolumeSnapshotsPost::new("before")).await.unwrap();
        let file = folder.file(&format!("{}.tar.gz", pool.name()));
        let (sender, receiver) = std::sync::mpsc::channel();
        let export = volume.export().with_checksum().with_progress(move |done| sender.send(done).unwrap());
        let exported = export.to_file(&file).await.unwrap();
        assert_eq!(exported.bytes, fs::metadata(&file).unwrap().len());
        assert_eq!((exported.sha256, exported.leftover), (Some(sha256(&file)), None));
        let last = receiver.into_iter().last().unwrap();
        // Who packs into the connection can't know how much it will be.
        let total = (!ctx.has("direct_backup").await).then_some(exported.bytes);
        assert_eq!((last.bytes, last.total), (exported.bytes, total));

        let upload = Upload::file(&file).await.unwrap();
        let mut copy = pool.volumes().import_backup(upload, Some(&ctx.name("cöpy"))).await.unwrap();
        assert_eq!(contents(&ctx.content(&volume)), contents(&ctx.content(&copy)));
        assert!(copy.snapshots().exists("before").await.unwrap());
        copy.delete().await.unwrap();

        // Under the name inside, once that is free.
        let (name, before) = (volume.name().to_owned(), contents(&ctx.content(&volume)));
        volume.delete().await.unwrap();
        let upload = Upload::file(&file).await.unwrap();
        let mut back = pool.volumes().import_backup(upload, None).await.unwrap();
        assert_eq!(back.name(), name);
        assert_eq!(contents(&ctx.content(&back)), before);
        back.delete().await.unwrap();
    }
}

async fn a_block_volume_comes_back_too(ctx: Ctx) {
    let folder = Folder::new(&ctx);
    let pool = &ctx.ready_pools()[0];
    let post = StorageVolumesPost::new(ctx.name("block")).with_content_type(ContentType::Block);
    let mut volume = pool.volumes().create(post.with_size(Size::mib(8))).await.unwrap();
    let noise: Vec<u8> = (0..8_u32 << 20).map(|i| (i.wrapping_mul(2_246_822_519) >> 11) as u8).collect();
    fs::write(ctx.content(&volume).join("root.img"), &noise).unwrap();
    let export = volume.export().with_compression(Compression::None);
    export.to_file(folder.file("block.tar")).await.unwrap();
    let upload = Upload::file(folder.file("block.tar")).await.unwrap();
    let mut copy = pool.volumes().import_backup(upload, Some(&ctx.name("copy"))).await.unwrap();
    assert_eq!(*copy.content_type(), ContentType::Block);
    assert!(fs::read(ctx.content(&copy).join("root.img")).unwrap() == noise, "the bytes differ");
    copy.delete().await.unwrap();
    volume.delete().await.unwrap();
}

/// Takes so many bytes and then fails.
struct Full(usize);

impl AsyncWrite for Full {
    fn poll_write(mut self: Pin<&mut Self>, _: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        if self.0 == 0 {
            return Poll::Ready(Err(io::Error::other("full")));
        }
        let count = bytes.len().min(self.0);
        self.0 -= count;
        Poll::Ready(Ok(count))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

async fn an_export_leaves_nothing_behind(ctx: Ctx) {
    let folder = Folder::new(&ctx);
    let mut volume = filled(&ctx, &ctx.ready_pools()[0]).await;
    let mut memory = Vec::new();
    let exported = volume.export().to_writer(&mut memory).await.unwrap();
    assert_eq!(exported.bytes, memory.len() as u64);
    assert!(volume.backups().all().await.unwrap().is_empty());

    let error = volume.export().to_writer(&mut Full(10_000)).await.unwrap_err();
    assert!(error.kind() == ErrorKind::Local && error.to_string().contains("full"), "{error}");
    assert!(volume.backups().all().await.unwrap().is_empty());

    // Given up while the server packs, and while the download is on its way.
    let packing = volume.export().to_file(folder.file("x"));
    assert!(tokio::time::timeout(Duration::from_millis(20), packing).await.is_err());
    assert!(has_no_backup(&volume).await);
    let mut download = volume.export().open().await.unwrap();
    download.chunk().await.unwrap().unwrap();
    let on_the_server = usize::from(!ctx.has("direct_backup").await);
    assert_eq!(volume.backups().all().await.unwrap().len(), on_the_server);
    drop(download);
    assert!(has_no_backup(&volume).await);
    assert_eq!(folder.names(), Vec::<String>::new());
    volume.delete().await.unwrap();
}

async fn a_broken_download_goes_on_where_it_broke(ctx: Ctx) {
    let folder = Folder::new(&ctx);
    let mut volume = filled(&ctx, &ctx.ready_pools()[0]).await;
    let post = StorageVolumeBackupsPost::new("b").with_compression(Compression::None);
    volume.backups().create(post).await.unwrap();
    volume.backup("b").download().await.unwrap().save_to(folder.file("whole")).await.unwrap();

    let cut = Cut::new(&ctx).await;
    let backup =
        cut.client.storage_pool(volume.pool().name()).volume(VolumeType::Custom, volume.name()).backup("b");
    let mut download = backup.download().await.unwrap().with_checksum();
    cut.break_after(2_000_000);
    let bytes = download.save_to(folder.file("resumed")).await.unwrap();
    assert!(cut.has_broken());
    assert_eq!((Some(bytes), download.checksum()), (download.size(), Some(sha256(&folder.file("whole")))));
    assert_eq!(sha256(&folder.file("resumed")), sha256(&folder.file("whole")));

    // Another file under the same name is not taken for the rest. It breaks early: all could be in the kernel's hands
    // by the time that the other file is there.
    cut.break_after(1_000_000);
    let mut download = backup.download().await.unwrap();
    download.chunk().await.unwrap().unwrap();
    volume.backup("b").delete().await.unwrap();
    fs::write(ctx.content(&volume).join("more"), vec![1; 100_000]).unwrap();
    let post = StorageVolumeBackupsPost::new("b").with_compression(Compression::None);
    volume.backups().create(post).await.unwrap();
    let error = download.save_to(folder.file("mixed")).await.unwrap_err();
    assert!(error.kind() == ErrorKind::Interrupted && error.to_string().contains("another"), "{error}");
    assert!(!folder.names().iter().any(|name| name.starts_with("mixed")), "{:?}", folder.names());
    volume.delete().await.unwrap();
}

async fn an_export_can_be_packed_first_everywhere(ctx: Ctx) {
    let folder = Folder::new(&ctx);
    let mut volume = filled(&ctx, &ctx.ready_pools()[0]).await;
    let export = || volume.export().packed().with_compression(Compression::None);
    let mut download = export().open().await.unwrap();
    assert!(download.size().unwrap() > 5_000_000);
    assert_eq!(volume.backups().all().await.unwrap().len(), 1);
    download.chunk().await.unwrap().unwrap();
    drop(download);
    assert!(has_no_backup(&volume).await);

    // So a break in the middle is not the end.
    let cut = Cut::new(&ctx).await;
    let far = cut.client.storage_pool(volume.pool().name()).volume(VolumeType::Custom, volume.name());
    let (mut memory, export_far) = (Vec::new(), far.export().packed().with_compression(Compression::None));
    let mut download = export_far.with_checksum().open().await.unwrap();
    cut.break_after(2_000_000);
    let bytes = download.copy_to(&mut memory).await.unwrap();
    assert!(cut.has_broken());
    assert_eq!((Some(bytes), download.checksum()), (download.size(), Some(sha256_of(&memory))));
    drop(download);
    assert!(has_no_backup(&volume).await);

    let exported = export().to_file(folder.file("data.tar")).await.unwrap();
    assert_eq!(exported.leftover, None);
    assert!(volume.backups().all().await.unwrap().is_empty());
    let upload = Upload::file(folder.file("data.tar")).await.unwrap();
    let mut copy = volume.pool().volumes().import_backup(upload, Some(&ctx.name("copy"))).await.unwrap();
    assert_eq!(contents(&ctx.content(&volume)), contents(&ctx.content(&copy)));
    copy.delete().await.unwrap();
    volume.delete().await.unwrap();
}

/// Imports an optimized backup. A busy LXD 5.0 at times never ends that (its operation stays `Running` until the daemon
/// is killed, and can't be cancelled), so it gets some tries, each of which must end by its deadline at least.
async fn restored(ctx: &Ctx, pool: &PoolHandle, file: &Path) -> Volume {
    for number in 0..4 {
        let upload = Upload::file(file).await.unwrap();
        let import = pool.volumes().import_backup(upload, Some(&ctx.name(&format!("copy{number}"))));
        match import.with_deadline(Duration::from_secs(20)).await {
            Ok(volume) => return volume,
            Err(error) => assert!(matches!(error.kind(), ErrorKind::Timeout(_)), "{error}"),
        }
    }
    panic!("no try to import {} ended", file.display());
}

async fn optimized_backups_are_for_drivers_that_have_them(ctx: Ctx) {
    let folder = Folder::new(&ctx);
    for pool in ctx.ready_pools() {
        let mut volume = filled(&ctx, &pool).await;
        let driver = pool.get().await.unwrap().driver().to_owned();
        let export = volume.export().optimized().to_file(folder.file(&driver)).await;
        if driver == "dir" {
            let error = export.unwrap_err();
            assert!(error.kind() == ErrorKind::InvalidInput && error.to_string().contains("dir"), "{error}");
            let error =
                volume.backups().create(StorageVolumeBackupsPost::new("b").optimized()).await.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::InvalidInput);
        } else {
            export.unwrap();
            let backup =
                volume.backups().create(StorageVolumeBackupsPost::new("b").optimized()).await.unwrap();
            assert!(backup.is_optimized());
            let mut copy = restored(&ctx, &pool, &folder.file(&driver)).await;
            assert_eq!(contents(&ctx.content(&volume)), contents(&ctx.content(&copy)));
            copy.delete().await.unwrap();
        }
        volume.delete().await.unwrap();
    }
}

/// `no tarball` a hundred times, compressed. (LXD 5.0 and Incus 6.0 never answer at all to a damaged gzip file.)
const GZIPPED_TEXT: &[u8] =
    b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x02\x03\xcb\xcb\x57\x28\x49\x2c\x4a\x4a\xcc\xc9\xe1\xca\x1b\x65\x8e\x32\x47\x99\xa3\x4c\x72\x99\x00\x01\x53\xcf\xc3\x4c\x04\x00\x00";

async fn what_is_no_backup_is_refused(ctx: Ctx) {
    let volumes = ctx.ready_pools()[0].volumes();
    let name = ctx.name("v");
    ctx.sent.take();
    let error = volumes.import_backup(Upload::from(Bytes::from("hello")), None).await.unwrap_err();
    assert_eq!((error.kind(), error.request_reached_server()), (ErrorKind::InvalidInput, Reached::No));
    assert!(!ctx.sent.take().iter().any(|request| request.starts_with("POST")));
    // It begins like one; then it is the server that finds out.
    let upload = Upload::from(Bytes::from_static(GZIPPED_TEXT));
    let error = volumes.import_backup(upload, Some(&name)).await.unwrap_err();
    assert!(error.server_message().is_some_and(|text| !text.is_empty()), "{error:?}");
    assert!(!volumes.exists(VolumeType::Custom, &name).await.unwrap());
    assert!(Upload::file("/nonexistent/backup.tar").await.unwrap_err().to_string().contains("/nonexistent"));
    let error = volumes.import_backup(Upload::from(Bytes::from("x")), Some(" v")).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidInput);
}

/// Bytes that compress badly and begin like a gzip file, without end.
struct Endless(bool);

impl Stream for Endless {
    type Item = Result<Bytes, io::Error>;

    fn poll_next(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let first = std::mem::replace(&mut self.0, false);
        Poll::Ready(Some(Ok(if first {
            Bytes::from_static(b"\x1f\x8b\x08")
        } else {
            Bytes::from_static(&[7; 65_536])
        })))
    }
}

async fn a_refusal_in_mid_upload_is_the_servers_own(ctx: Ctx) {
    // Looked up before the content is read, unlike the pool.
    let volumes = ctx.ready_pools()[0].with_project(ctx.name("nowhere")).volumes();
    for length in [None, Some(1 << 40)] {
        let error = volumes.import_backup(Upload::stream(Endless(true), length), None).await.unwrap_err();
        let text = error.server_message().unwrap_or_default();
        assert!(text.contains("not found"), "{error:?}");
        assert_eq!(error.request_reached_server(), Reached::Yes);
    }
}

async fn an_import_that_is_given_up_leaves_nothing(ctx: Ctx) {
    let pool = &ctx.ready_pools()[0];
    let name = ctx.name("v");
    let import = pool.volumes().import_backup(Upload::stream(Endless(true), None), Some(&name)).into_future();
    assert!(tokio::time::timeout(Duration::from_millis(200), import).await.is_err());
    assert!(!pool.volumes().exists(VolumeType::Custom, &name).await.unwrap());
    // The client goes on with a connection of its own.
    assert!(ctx.client.storage_pools().exists(pool.name()).await.unwrap());
}

async fn every_kind_of_upload_arrives(ctx: Ctx) {
    let pool = &ctx.ready_pools()[0];
    let mut volume = filled(&ctx, pool).await;
    let mut memory = Vec::new();
    volume.export().to_writer(&mut memory).await.unwrap();
    let length = memory.len() as u64;
    let bytes = Bytes::from(memory);
    let stream = volume.export().open().await.unwrap();
    let uploads = [
        Upload::from(bytes.clone()),
        Upload::reader(io::Cursor::new(bytes.clone()), Some(length)),
        Upload::reader(io::Cursor::new(bytes), None),
        Upload::stream(stream.into_stream(), None),
    ];
    for upload in uploads {
        let (sender, told) = std::sync::mpsc::channel();
        let upload = upload.with_progress(move |done| sender.send(done.bytes).unwrap());
        let mut copy = pool.volumes().import_backup(upload, Some(&ctx.name("copy"))).await.unwrap();
        let told: Vec<u64> = told.iter().collect();
        assert!(told.is_sorted() && told.last() > Some(&0), "{told:?}");
        assert_eq!(contents(&ctx.content(&volume)), contents(&ctx.content(&copy)));
        copy.delete().await.unwrap();
    }
    // A reader that gives less than it promised.
    let short = Upload::reader(io::Cursor::new(b"\x1f\x8b\x08short".to_vec()), Some(1000));
    assert!(pool.volumes().import_backup(short, Some(&ctx.name("short"))).await.is_err());
    volume.delete().await.unwrap();
}

async fn a_file_that_is_there_is_not_replaced_unasked(ctx: Ctx) {
    let folder = Folder::new(&ctx);
    let mut volume = ctx.new_volume(&ctx.ready_pools()[0], "v").await;
    let file = folder.file("kept");
    fs::write(&file, b"precious").unwrap();
    ctx.sent.take();
    assert_eq!(volume.export().to_file(&file).await.unwrap_err().kind(), ErrorKind::Local);
    assert!(ctx.sent.take().is_empty());
    assert_eq!(fs::read(&file).unwrap(), b"precious");
    volume.export().overwrite().to_file(&file).await.unwrap();
    assert_eq!(fs::read(&file).unwrap()[..2], [0x1f, 0x8b]);
    assert_eq!(folder.names(), ["kept"]);
    volume.delete().await.unwrap();
}
