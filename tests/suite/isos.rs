//! Volumes of content type `iso`: what becomes one, what it takes, and how it comes back.

use std::{fs, io, path::PathBuf};

use bytes::Bytes;
use lxd_storage::{
    CopyTo, Disk, Error, ErrorKind, Holder, Migration, PoolHandle, Upload, Volume,
    transport::Reached,
    types::{ContentType, Patch, StorageVolumeBackupsPost, StorageVolumePut, StorageVolumeSnapshotsPost},
};
use serde_json::json;

use crate::{
    content::Folder,
    ctx::{Ctx, cases},
};

cases![
    an_iso_becomes_a_volume,
    what_is_no_iso_is_refused_before_it_is_sent,
    an_iso_keeps_its_keys_and_has_no_snapshots,
    an_iso_is_exported_as_it_is,
    an_iso_goes_to_another_server,
];

/// Noise with the mark of an ISO image.
fn image() -> Vec<u8> {
    let mut image: Vec<u8> =
        (0..293 * 2048_u32).map(|i| (i.wrapping_mul(2_654_435_761) >> 13) as u8).collect();
    image[32_768..32_774].copy_from_slice(b"\x01CD001");
    image
}

async fn has_isos(ctx: &Ctx) -> bool {
    ctx.has("custom_volume_iso").await
}

async fn new_iso(ctx: &Ctx, pool: &PoolHandle) -> Volume {
    pool.volumes().import_iso(Upload::from(image()), &ctx.name("iso")).await.unwrap()
}

/// Where this process sees the image in a volume.
fn stored(folder: PathBuf) -> PathBuf {
    let mut folder = folder.into_os_string();
    if !folder.to_string_lossy().ends_with(".iso") {
        folder.push(".iso");
    }
    PathBuf::from(folder).join("root.img")
}

fn assert_refused(error: &Error) {
    assert_eq!(
        (error.kind(), error.request_reached_server()),
        (ErrorKind::InvalidInput, Reached::No),
        "{error}"
    );
}

async fn an_iso_becomes_a_volume(ctx: Ctx) {
    let pool = &ctx.ready_pools()[0];
    ctx.client.server().await.unwrap();
    ctx.sent.take();
    let name = ctx.name("iso");
    let import = pool.volumes().import_iso(Upload::from(image()), &name).await;
    if !has_isos(&ctx).await {
        let error = import.unwrap_err();
        assert_eq!(error.extension(), Some("custom_volume_iso"));
        assert!(ctx.sent.take().iter().all(|request| request == "GET /1.0"));
        return;
    }
    let mut volume = import.unwrap();
    assert_eq!(*volume.content_type(), ContentType::Iso);
    assert!(fs::read(stored(ctx.content(&volume))).unwrap().starts_with(&image()), "the bytes differ");
    let again = pool.volumes().import_iso(Upload::from(image()), &name).await.unwrap_err();
    assert_eq!(again.kind(), ErrorKind::AlreadyExists);
    volume.delete().await.unwrap();
}

async fn what_is_no_iso_is_refused_before_it_is_sent(ctx: Ctx) {
    if !has_isos(&ctx).await {
        return;
    }
    let folder = Folder::new(&ctx);
    let (volumes, name) = (ctx.ready_pools()[0].volumes(), ctx.name("iso"));
    let mut other = image();
    other[32_769] = b'X';
    fs::write(folder.file("other"), &other).unwrap();
    let short = || Bytes::from(image().split_off(293 * 2048 - 20_000));
    ctx.sent.take();
    for (upload, why) in [
        (Upload::from(other), "CD001"),
        (Upload::file(folder.file("other")).await.unwrap(), "CD001"),
        (Upload::from(short()), "20000 bytes"),
        (Upload::reader(io::Cursor::new(short()), None), "20000 bytes"),
        (Upload::from(Bytes::new()), "0 bytes"),
        (Upload::from(Bytes::from_static(b"\x1f\x8b\x08 a backup")), "no ISO image"),
    ] {
        let error = volumes.import_iso(upload, &name).await.unwrap_err();
        assert_refused(&error);
        assert!(error.to_string().contains(why), "{error}");
    }
    assert!(!ctx.sent.take().iter().any(|request| request.starts_with("POST")));
}

async fn an_iso_keeps_its_keys_and_has_no_snapshots(ctx: Ctx) {
    if !has_isos(&ctx).await {
        return;
    }
    let pools = ctx.ready_pools();
    let mut volume = new_iso(&ctx, &pools[0]).await;
    volume.set_description("an image");
    volume.save().await.unwrap();
    volume.patch(&Patch::new().with_description("the image")).await.unwrap();
    assert_eq!(volume.description(), "the image");

    // What would change a key is refused here where the content is known, and by the server where it is not.
    let keys = volume.config().clone();
    ctx.sent.take();
    for (key, value) in [("size", "2MiB"), ("size", ""), ("user.a", "b"), ("snapshots.schedule", "@daily")] {
        volume.config_mut().set(key, value);
        assert_refused(&volume.save().await.unwrap_err());
        *volume.config_mut() = keys.clone();
        assert_refused(&volume.patch(&Patch::new().with_config(key, value)).await.unwrap_err());
        let edited = volume.edit(|put| {
            put.config.set(key, value);
        });
        assert_refused(&edited.await.unwrap_err());
    }
    let sent = ctx.sent.take();
    assert!(sent.iter().all(|request| request.starts_with("GET")), "{sent:?}");
    let mut put = StorageVolumePut::default();
    put.config = keys.clone();
    put.config.set("user.a", "b");
    let error = volume.raw_put(&put).await.unwrap_err();
    assert!(error.server_message().is_some_and(|text| text.contains("ISO")), "{error}");

    let error = volume.snapshots().create(StorageVolumeSnapshotsPost::new("s")).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::OperationFailed);
    assert!(volume.snapshots().all().await.unwrap().is_empty());
    assert!(volume.restore("s").await.unwrap_err().is_not_found());

    let mut copy =
        volume.copy_to(CopyTo::pool(pools.last().unwrap().name()).with_name(ctx.name("copy"))).await.unwrap();
    let refresh = CopyTo::pool(copy.pool().name()).with_name(copy.name()).refresh();
    assert_eq!(volume.copy_to(refresh).await.unwrap_err().kind(), ErrorKind::OperationFailed);
    assert!(copy.exists().await.unwrap());
    copy.rename(ctx.name("renamed")).await.unwrap();
    assert_eq!(*copy.content_type(), ContentType::Iso);

    let instance = ctx.new_instance(&json!({"root": {"type": "disk", "path": "/", "pool": "dir0"}})).await;
    let holder = Holder::instance(&*instance);
    for disk in [Disk::block(), Disk::at("/mnt")] {
        assert_refused(&volume.attach(&holder, disk).await.unwrap_err());
    }
    ctx.delete_instance(&instance).await;
    if ctx.has("file_storage_volume").await {
        assert_refused(&volume.files().list("/").await.unwrap_err());
    }
    volume.sync().await.unwrap();
    assert_eq!((volume.config(), volume.description()), (&keys, "the image"));
    copy.delete().await.unwrap();
    volume.delete().await.unwrap();
}

async fn an_iso_is_exported_as_it_is(ctx: Ctx) {
    if !has_isos(&ctx).await {
        return;
    }
    let folder = Folder::new(&ctx);
    let mut volume = new_iso(&ctx, &ctx.ready_pools()[0]).await;
    ctx.sent.take();
    if !ctx.has("backup_iso").await {
        for error in [
            volume.export().to_file(folder.file("x")).await.unwrap_err(),
            volume.export().packed().to_file(folder.file("x")).await.unwrap_err(),
            volume.backups().create(StorageVolumeBackupsPost::new("b")).await.unwrap_err(),
        ] {
            assert_eq!(
                (error.kind(), error.extension()),
                (ErrorKind::UnsupportedExtension, Some("backup_iso"))
            );
        }
        assert!(ctx.sent.take().iter().all(|request| request.starts_with("GET")));
        return volume.delete().await.unwrap();
    }
    for (packed, file) in [(false, folder.file("direct")), (true, folder.file("packed"))] {
        let export = if packed { volume.export().packed() } else { volume.export() };
        export.to_file(&file).await.unwrap();
        assert!(fs::read(&file).unwrap() == image(), "the image itself");
        let upload = Upload::file(&file).await.unwrap();
        let mut back = volume.pool().volumes().import_iso(upload, &ctx.name("back")).await.unwrap();
        assert!(
            fs::read(stored(ctx.content(&back))).unwrap() == fs::read(stored(ctx.content(&volume))).unwrap()
        );
        back.delete().await.unwrap();
    }
    assert!(volume.backups().all().await.unwrap().is_empty());
    volume.delete().await.unwrap();
}

async fn an_iso_goes_to_another_server(ctx: Ctx) {
    if !has_isos(&ctx).await {
        return;
    }
    let (here, other) = (ctx.ready_pools(), ctx.other());
    let modes: [fn(Migration) -> Migration; 3] = [|pull| pull, Migration::push, Migration::relay];
    let pairs = here.iter().flat_map(|from| ctx.other_server().pools().iter().map(move |to| (from, to)));
    for (from, to) in pairs {
        let (mut volume, there) = (new_iso(&ctx, from).await, other.storage_pool(to.as_str()));
        for choose in modes {
            let copied = choose(volume.copy_to_server(&there)).await;
            let mut copy = copied.unwrap_or_else(|error| panic!("{} to {to}: {error}", from.name()));
            assert_eq!(*copy.content_type(), ContentType::Iso);
            let path = ctx.other_server().volume_path(to, "default", copy.name());
            // Some servers fill the last block up.
            assert!(fs::read(stored(path)).unwrap().starts_with(&image()), "the bytes differ");
            copy.delete().await.unwrap();
        }
        let mut moved = volume.move_to_server(&there).await.unwrap();
        assert!(volume.sync().await.unwrap_err().is_not_found());
        moved.delete().await.unwrap();
    }
}
