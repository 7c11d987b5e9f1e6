//! Files inside custom volumes, and the connections that speak SFTP and NBD, where the server has them; a refusal that
//! names the API extension where it has not.

use std::{
    fs,
    os::unix::fs::{MetadataExt, PermissionsExt},
    sync::{Arc, Mutex},
};

use lxd_storage::{
    Error, ErrorKind, PoolHandle, Upload, Volume,
    transport::Reached,
    types::{
        ContentType, FileMode, FileOptions, FileType, Size, StorageVolumeBitmapsPost, StorageVolumesPost,
        VolumeType,
    },
};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::{
    content::{contents, fill, sha256_of},
    ctx::{Ctx, cases},
};

cases![
    servers_without_files_are_told_by_the_extension,
    bad_paths_and_volumes_are_refused_before_anything_is_sent,
    what_is_put_comes_back_whole,
    odd_names_of_files_are_told_apart,
    owners_and_permissions_are_those_of_something_new,
    content_is_replaced_or_appended_to,
    directories_are_made_and_listed,
    links_are_made_and_read,
    files_and_directories_are_removed,
    what_is_not_there_is_not_found,
    a_file_that_looks_like_an_answer_is_a_file,
    only_volumes_with_a_filesystem_have_files,
    folders_above_are_made_too,
    a_folder_goes_in_and_comes_back,
    a_folder_is_there_whole_or_not_at_all,
    a_folder_that_cannot_be_in_a_volume_is_refused,
    sftp_answers_over_the_stream,
    nbd_greets_over_the_stream,
    nbd_writes_where_that_is_asked_for,
    bitmaps_are_those_of_a_running_machine,
];

fn pools(ctx: &Ctx) -> Vec<PoolHandle> {
    ctx.ready_pools()
}

async fn has_files(ctx: &Ctx) -> bool {
    ctx.has("file_storage_volume").await
}

async fn new_block(ctx: &Ctx, pool: &PoolHandle) -> Volume {
    let post = StorageVolumesPost::new(ctx.name("block")).with_content_type(ContentType::Block);
    pool.volumes().create(post.with_size(Size::mib(8))).await.unwrap()
}

fn noise(length: u32) -> Vec<u8> {
    (0..length).map(|i| (i.wrapping_mul(2_654_435_761) >> 13) as u8).collect()
}

fn plain() -> FileOptions {
    FileOptions::new()
}

fn mode(bits: u16) -> FileMode {
    FileMode::new(bits).unwrap()
}

fn assert_refused(error: &Error, extension: &str) {
    assert_eq!((error.kind(), error.extension()), (ErrorKind::UnsupportedExtension, Some(extension)));
    assert_eq!(error.request_reached_server(), Reached::No);
}

fn assert_not_sent(ctx: &Ctx, error: &Error, text: &str) {
    assert_eq!(error.kind(), ErrorKind::InvalidInput, "{error:?}");
    assert!(error.to_string().contains(text), "{error}");
    assert_eq!(ctx.sent.take(), Vec::<String>::new());
}

async fn servers_without_files_are_told_by_the_extension(ctx: Ctx) {
    let pool = &pools(&ctx)[0];
    let mut volume = ctx.new_volume(pool, "v").await;
    let files = volume.files();
    ctx.sent.take();
    if !has_files(&ctx).await {
        let told = [
            files.get("/a").await.unwrap_err(),
            files.read("/a", 1).await.unwrap_err(),
            files.info("/a").await.unwrap_err(),
            files.exists("/a").await.unwrap_err(),
            files.list("/").await.unwrap_err(),
            files.put("/a", "x", &plain()).await.unwrap_err(),
            files.create_dir("/a", &plain()).await.unwrap_err(),
            files.symlink("/a", "b").await.unwrap_err(),
            files.delete("/a").await.unwrap_err(),
            files.delete_all("/a").await.unwrap_err(),
            files.create_dir_all("/a/b", &plain()).await.unwrap_err(),
            files.read_link("/a").await.unwrap_err(),
            files.put_dir(std::env::temp_dir(), "/", &plain()).await.unwrap_err(),
            files.get_dir("/", ctx.name("nowhere")).await.unwrap_err(),
        ];
        for error in &told {
            assert_refused(error, "file_storage_volume");
        }
        assert!(ctx.sent.take().iter().all(|sent| sent == "GET /1.0"));
    }
    if !ctx.has("custom_volume_sftp").await {
        assert_refused(&volume.connect_sftp().await.unwrap_err(), "custom_volume_sftp");
    }
    if !ctx.has("storage_volume_nbd").await {
        assert_refused(&volume.connect_nbd().await.unwrap_err(), "storage_volume_nbd");
        assert_refused(&volume.connect_nbd_writable().await.unwrap_err(), "storage_volume_nbd");
    }
    volume.delete().await.unwrap();
}

async fn bad_paths_and_volumes_are_refused_before_anything_is_sent(ctx: Ctx) {
    let pool = &pools(&ctx)[0];
    let files = pool.volume(VolumeType::Custom, "v").files();
    for (path, text) in [("", "empty"), ("a", "begin"), ("/a\0", "NUL"), ("/a/../b", "..")] {
        assert_not_sent(&ctx, &files.get(path).await.unwrap_err(), text);
        assert_not_sent(&ctx, &files.info(path).await.unwrap_err(), text);
        assert_not_sent(&ctx, &files.exists(path).await.unwrap_err(), text);
        assert_not_sent(&ctx, &files.list(path).await.unwrap_err(), text);
        assert_not_sent(&ctx, &files.put(path, "x", &plain()).await.unwrap_err(), text);
        assert_not_sent(&ctx, &files.create_dir(path, &plain()).await.unwrap_err(), text);
        assert_not_sent(&ctx, &files.symlink(path, "x").await.unwrap_err(), text);
        assert_not_sent(&ctx, &files.delete(path).await.unwrap_err(), text);
        assert_not_sent(&ctx, &files.delete_all(path).await.unwrap_err(), text);
        assert_not_sent(&ctx, &files.create_dir_all(path, &plain()).await.unwrap_err(), text);
        assert_not_sent(&ctx, &files.put_dir("/nonexistent", path, &plain()).await.unwrap_err(), text);
        assert_not_sent(&ctx, &files.get_dir(path, "/nonexistent/a").await.unwrap_err(), text);
    }
    let odd_owner = files.put_dir("/", "/a", &plain().with_mode(mode(0o644))).await.unwrap_err();
    assert_not_sent(&ctx, &odd_owner, "permissions");
    for root in ["/", "//", "/."] {
        assert_not_sent(&ctx, &files.put(root, "x", &plain()).await.unwrap_err(), "root");
        assert_not_sent(&ctx, &files.delete(root).await.unwrap_err(), "root");
        assert_not_sent(&ctx, &files.delete_all(root).await.unwrap_err(), "root");
    }
    assert_not_sent(&ctx, &files.symlink("/a", "").await.unwrap_err(), "point");
    assert_not_sent(&ctx, &files.symlink("/a", "b\0").await.unwrap_err(), "point");
    for other in [VolumeType::Container, VolumeType::Image] {
        let volume = pool.volume(other, "v");
        assert_not_sent(&ctx, &volume.files().list("/").await.unwrap_err(), "custom");
        assert_not_sent(&ctx, &volume.connect_sftp().await.unwrap_err(), "custom");
        assert_not_sent(&ctx, &volume.connect_nbd().await.unwrap_err(), "custom");
    }
}

async fn what_is_put_comes_back_whole(ctx: Ctx) {
    if !has_files(&ctx).await {
        return;
    }
    let folder = std::env::temp_dir().join(format!("lxdrs-files-{}", ctx.name("f")));
    fs::create_dir(&folder).unwrap();
    for pool in pools(&ctx) {
        let mut volume = ctx.new_volume(&pool, "v").await;
        let files = volume.files();
        for (name, content) in [("empty", noise(0)), ("one", noise(1)), ("large", noise(8 << 20))] {
            let path = format!("/{name}");
            files.put(&path, content.clone(), &plain()).await.unwrap();
            assert!(fs::read(ctx.content(&volume).join(name)).unwrap() == content, "{name} arrived whole");

            let told = Arc::new(Mutex::new(None));
            let file = files.get(&path).await.unwrap();
            assert_eq!((&file.info.file_type, file.info.size), (&FileType::File, Some(content.len() as u64)));
            assert_eq!(file.content.size(), file.info.size);
            let on_progress = {
                let told = Arc::clone(&told);
                move |done| *told.lock().unwrap() = Some(done)
            };
            let mut download = file.content.with_checksum().with_progress(on_progress);
            let saved = folder.join(name);
            assert_eq!(download.overwrite(&saved).await.unwrap(), content.len() as u64);
            assert_eq!(download.checksum(), Some(sha256_of(&content)));
            assert!(fs::read(&saved).unwrap() == content, "{name} came back whole");
            let last = told.lock().unwrap().map(|done| (done.bytes, done.total));
            assert_eq!(last, (!content.is_empty()).then_some((content.len() as u64, file.info.size)));

            assert!(files.read(&path, content.len()).await.unwrap() == content);
            if let Some(less) = content.len().checked_sub(1) {
                let error = files.read(&path, less).await.unwrap_err();
                assert_eq!(error.kind(), ErrorKind::InvalidInput, "{error:?}");
            }
        }
        // From a file, and from a reader whose length nobody knows.
        let upload = Upload::file(folder.join("large")).await.unwrap();
        files.put("/from-file", upload, &plain()).await.unwrap();
        let reader = std::io::Cursor::new(noise(3_000_000));
        files.put("/from-reader", Upload::reader(reader, None), &plain()).await.unwrap();
        assert!(fs::read(ctx.content(&volume).join("from-file")).unwrap() == noise(8 << 20));
        assert!(fs::read(ctx.content(&volume).join("from-reader")).unwrap() == noise(3_000_000));
        volume.delete().await.unwrap();
    }
    fs::remove_dir_all(&folder).unwrap();
}

async fn odd_names_of_files_are_told_apart(ctx: Ctx) {
    if !has_files(&ctx).await {
        return;
    }
    let mut volume = ctx.new_volume(&pools(&ctx)[0], "v").await;
    let files = volume.files();
    let mut names = [
        "a b",
        "a+b",
        "a%20b",
        "a%2520b",
        "a%2Bb",
        "a?b",
        "a#b",
        "a&path=c",
        "é",
        "e\u{301}",
        "\u{1F600}",
        "...",
        " a ",
        "-a",
        "a;b",
        "a\\b",
        "a\"b",
        "a\nb",
        "a=b",
        ".a",
        "~",
    ];
    for name in names {
        files.put(&format!("/{name}"), name.as_bytes().to_vec(), &plain()).await.unwrap();
    }
    names.sort_unstable();
    assert_eq!(files.list("/").await.unwrap(), names);
    for name in names {
        let path = format!("/{name}");
        assert_eq!(fs::read(ctx.content(&volume).join(name)).unwrap(), name.as_bytes());
        assert_eq!(files.read(&path, 100).await.unwrap(), name.as_bytes());
        assert_eq!(files.info(&path).await.unwrap().size, Some(name.len() as u64), "{name:?}");
    }
    for (place, name) in names.iter().enumerate() {
        files.delete(&format!("/{name}")).await.unwrap();
        assert_eq!(files.list("/").await.unwrap(), names[place + 1..], "after {name:?}");
    }
    volume.delete().await.unwrap();
}

async fn owners_and_permissions_are_those_of_something_new(ctx: Ctx) {
    if !has_files(&ctx).await {
        return;
    }
    let mut volume = ctx.new_volume(&pools(&ctx)[0], "v").await;
    let files = volume.files();
    let seen = |name: &str| {
        let metadata = fs::symlink_metadata(ctx.content(&volume).join(name)).unwrap();
        (metadata.uid(), metadata.gid(), metadata.permissions().mode() & 0o7777)
    };
    let options = plain().with_uid(1000).with_gid(1001).with_mode(mode(0o640));
    files.put("/file", "x", &options).await.unwrap();
    files.create_dir("/dir", &options.clone().with_mode(mode(0o750))).await.unwrap();
    files.put("/none", "x", &plain().with_mode(mode(0))).await.unwrap();
    files.put("/plain", "x", &plain()).await.unwrap();
    files.create_dir("/plain-dir", &plain()).await.unwrap();
    assert_eq!((seen("file"), seen("dir")), ((1000, 1001, 0o640), (1000, 1001, 0o750)));
    assert_eq!((seen("plain"), seen("plain-dir")), ((0, 0, 0o644), (0, 0, 0o755)));
    for name in ["file", "dir", "none", "plain", "plain-dir"] {
        let info = files.info(&format!("/{name}")).await.unwrap();
        let (uid, gid, bits) = seen(name);
        assert_eq!((info.uid, info.gid), (Some(uid), Some(gid)), "{name}");
        assert_eq!(info.mode.map(|mode| u32::from(mode.bits())), Some(bits), "{name}");
        let written = fs::metadata(ctx.content(&volume).join(name)).unwrap().mtime();
        assert_eq!(info.modified.map(|time| time.unix_seconds()), Some(written), "{name}");
    }
    // What is there keeps them.
    let others = plain().with_uid(7).with_gid(8).with_mode(mode(0o600));
    files.put("/file", "y", &others).await.unwrap();
    files.create_dir("/dir", &others).await.unwrap();
    assert_eq!((seen("file"), seen("dir")), ((1000, 1001, 0o640), (1000, 1001, 0o750)));
    volume.delete().await.unwrap();
}

async fn content_is_replaced_or_appended_to(ctx: Ctx) {
    if !has_files(&ctx).await {
        return;
    }
    let mut volume = ctx.new_volume(&pools(&ctx)[0], "v").await;
    let files = volume.files();
    let append = plain().append();
    assert!(files.put("/log", "x", &append).await.unwrap_err().is_not_found());
    for (content, options, expected) in [
        ("a longer text", &plain(), "a longer text"),
        ("short", &plain(), "short"),
        (" and more", &append, "short and more"),
        ("", &append, "short and more"),
        ("", &plain(), ""),
    ] {
        files.put("/log", content, options).await.unwrap();
        assert_eq!(files.read("/log", 100).await.unwrap(), expected);
    }
    volume.delete().await.unwrap();
}

async fn directories_are_made_and_listed(ctx: Ctx) {
    if !has_files(&ctx).await {
        return;
    }
    let mut volume = ctx.new_volume(&pools(&ctx)[0], "v").await;
    let files = volume.files();
    assert_eq!(files.list("/").await.unwrap(), Vec::<String>::new());
    files.create_dir("/d", &plain()).await.unwrap();
    files.create_dir("/d", &plain()).await.unwrap();
    files.create_dir("/d/e", &plain()).await.unwrap();
    files.put("/d/z", "z", &plain()).await.unwrap();
    files.put("/d/a", "a", &plain()).await.unwrap();
    assert_eq!(files.list("/").await.unwrap(), ["d"]);
    assert_eq!(files.list("/d").await.unwrap(), ["a", "e", "z"]);
    assert_eq!(files.list("/d/e").await.unwrap(), Vec::<String>::new());
    let info = files.info("/d").await.unwrap();
    assert_eq!((info.file_type, info.size), (FileType::Directory, None));
    let error = files.get("/d").await.unwrap_err();
    assert!(error.kind() == ErrorKind::InvalidInput && error.to_string().contains("directory"), "{error}");
    let error = files.list("/d/a").await.unwrap_err();
    assert!(error.kind() == ErrorKind::InvalidInput && error.to_string().contains("no directory"), "{error}");
    let error = files.put("/d", "x", &plain()).await.unwrap_err();
    assert!(error.server_message().is_some(), "{error:?}");
    volume.delete().await.unwrap();
}

async fn links_are_made_and_read(ctx: Ctx) {
    if !has_files(&ctx).await {
        return;
    }
    let mut volume = ctx.new_volume(&pools(&ctx)[0], "v").await;
    let files = volume.files();
    files.create_dir("/d", &plain()).await.unwrap();
    for (path, target) in [("/d/l", "a b%20é"), ("/absolute", "/d/x"), ("/up", "../..")] {
        files.symlink(path, target).await.unwrap();
        let kept = fs::read_link(ctx.content(&volume).join(&path[1..])).unwrap();
        assert_eq!(kept.to_str(), Some(target));
        assert_eq!(files.info(path).await.unwrap().file_type, FileType::Symlink);
        assert!(files.exists(path).await.unwrap(), "a link to nowhere is there");
        let link = files.get(path).await.unwrap();
        assert_eq!((link.info.file_type, link.info.size), (FileType::Symlink, None));
    }
    assert_eq!(files.read("/absolute", 100).await.unwrap(), "/d/x");
    // Over HTTP a path from the root comes, and otherwise what stands in the link.
    assert_eq!(files.read("/d/l", 100).await.unwrap(), "/d/a b%20é");
    for (path, target) in [("/d/l", "a b%20é"), ("/absolute", "/d/x"), ("/up", "../..")] {
        assert_eq!(files.read_link(path).await.unwrap(), target);
    }
    assert_eq!(files.read_link("/d").await.unwrap_err().kind(), ErrorKind::Server);
    assert!(files.read_link("/none").await.unwrap_err().is_not_found());
    files.symlink("/absolute", "/other").await.unwrap_err();
    // Content goes where the link leads, and removal takes the link.
    files.put("/d/x", "before", &plain()).await.unwrap();
    files.put("/absolute", "after", &plain()).await.unwrap();
    assert_eq!(files.read("/d/x", 100).await.unwrap(), "after");
    files.delete("/absolute").await.unwrap();
    assert!(files.exists("/d/x").await.unwrap() && !files.exists("/absolute").await.unwrap());
    // No link leads out of the volume.
    files.symlink("/out", "/etc").await.unwrap();
    assert!(!files.exists("/out/passwd").await.unwrap());
    volume.delete().await.unwrap();
}

async fn files_and_directories_are_removed(ctx: Ctx) {
    if !has_files(&ctx).await {
        return;
    }
    let mut volume = ctx.new_volume(&pools(&ctx)[0], "v").await;
    let files = volume.files();
    files.create_dir("/d", &plain()).await.unwrap();
    files.create_dir("/d/e", &plain()).await.unwrap();
    files.put("/d/e/f", "x", &plain()).await.unwrap();
    files.put("/kept", "x", &plain()).await.unwrap();
    files.symlink("/d/link", "/kept").await.unwrap();
    let error = files.delete("/d").await.unwrap_err();
    assert!(error.kind() == ErrorKind::Server && error.to_string().contains("not empty"), "{error:?}");
    files.delete("/d/e/f").await.unwrap();
    files.delete("/d/e").await.unwrap();
    assert_eq!(files.list("/d").await.unwrap(), ["link"]);
    if ctx.has("file_delete_force").await {
        files.create_dir("/d/e", &plain()).await.unwrap();
        files.put("/d/e/f", "x", &plain()).await.unwrap();
        files.delete_all("/d").await.unwrap();
        assert_eq!(files.list("/").await.unwrap(), ["kept"]);
        files.delete_all("/kept").await.unwrap();
        assert!(files.list("/").await.unwrap().is_empty());
    } else {
        assert_refused(&files.delete_all("/d").await.unwrap_err(), "file_delete_force");
    }
    volume.delete().await.unwrap();
}

async fn what_is_not_there_is_not_found(ctx: Ctx) {
    if !has_files(&ctx).await {
        return;
    }
    let pool = &pools(&ctx)[0];
    let mut volume = ctx.new_volume(pool, "v").await;
    for files in [volume.files(), pool.volume(VolumeType::Custom, ctx.name("nothing")).files()] {
        let told = [
            files.get("/a").await.unwrap_err(),
            files.read("/a", 1).await.unwrap_err(),
            files.info("/a").await.unwrap_err(),
            files.list("/a").await.unwrap_err(),
            files.put("/a/b", "x", &plain()).await.unwrap_err(),
            files.create_dir("/a/b", &plain()).await.unwrap_err(),
            files.delete("/a").await.unwrap_err(),
        ];
        for error in &told {
            assert!(error.is_not_found(), "{error:?}");
        }
    }
    assert!(!volume.files().exists("/a").await.unwrap());
    // Of a volume that isn't there it is no answer that a file isn't.
    let nothing = pool.volume(VolumeType::Custom, ctx.name("nothing"));
    assert!(nothing.files().exists("/a").await.unwrap_err().is_not_found());
    assert!(nothing.connect_sftp().await.unwrap_err().is_not_found());
    volume.delete().await.unwrap();
}

async fn a_file_that_looks_like_an_answer_is_a_file(ctx: Ctx) {
    if !has_files(&ctx).await {
        return;
    }
    let mut volume = ctx.new_volume(&pools(&ctx)[0], "v").await;
    let files = volume.files();
    for text in [
        r#"{"type":"sync","status":"Success","status_code":200,"metadata":["a"]}"#,
        r#"{"type":"error","error_code":404,"error":"Not Found"}"#,
        "path=%2Fother&project=x",
    ] {
        files.put("/answer.json", text, &plain()).await.unwrap();
        assert_eq!(files.read("/answer.json", 1000).await.unwrap(), text);
        assert_eq!(files.list("/answer.json").await.unwrap_err().kind(), ErrorKind::InvalidInput);
    }
    volume.delete().await.unwrap();
}

async fn only_volumes_with_a_filesystem_have_files(ctx: Ctx) {
    if !has_files(&ctx).await {
        return;
    }
    let pool = &pools(&ctx)[0];
    let mut block = new_block(&ctx, pool).await;
    let mut volume = ctx.new_volume(pool, "v").await;
    let files = block.files();
    ctx.sent.take();
    let told = [
        files.list("/").await.unwrap_err(),
        files.delete("/root.img").await.unwrap_err(),
        block.connect_sftp().await.unwrap_err(),
        volume.connect_nbd().await.unwrap_err(),
    ];
    for error in &told {
        assert_eq!(error.kind(), ErrorKind::InvalidInput, "{error:?}");
        assert!(error.to_string().contains("content of volume"), "{error}");
    }
    // They were looked at, and no more; and once is enough where there are files.
    assert!(ctx.sent.take().iter().all(|sent| !sent.contains("/files") && !sent.contains("/sftp")));
    let files = volume.files();
    files.list("/").await.unwrap();
    files.clone().list("/").await.unwrap();
    assert_eq!(ctx.sent.take().len(), 3);
    block.delete().await.unwrap();
    volume.delete().await.unwrap();
}

async fn folders_above_are_made_too(ctx: Ctx) {
    if !has_files(&ctx).await {
        return;
    }
    let mut volume = ctx.new_volume(&pools(&ctx)[0], "v").await;
    let files = volume.files();
    let options = plain().with_uid(7).with_mode(mode(0o750));
    for path in ["/a/b/c/d", "/a/b/x", "/a/b", "/one", "//e/./f/"] {
        files.create_dir_all(path, &options).await.unwrap();
    }
    for name in ["a", "a/b/c/d", "a/b/x", "one", "e/f"] {
        let metadata = fs::metadata(ctx.content(&volume).join(name)).unwrap();
        assert!(metadata.is_dir());
        assert_eq!((metadata.uid(), metadata.permissions().mode() & 0o7777), (7, 0o750), "{name}");
    }
    files.put("/file", "x", &plain()).await.unwrap();
    let error = files.create_dir_all("/file/a/b", &plain()).await.unwrap_err();
    assert!(error.path().unwrap().contains("%2Ffile"), "{error}");
    assert_eq!(files.read("/file", 10).await.unwrap(), "x");
    let nothing = pools(&ctx)[0].volume(VolumeType::Custom, ctx.name("nothing")).files();
    assert!(nothing.create_dir_all("/a/b", &plain()).await.unwrap_err().is_not_found());
    volume.delete().await.unwrap();
}

/// A folder of this machine, removed at the end.
struct Folder(std::path::PathBuf);

impl Folder {
    fn new(ctx: &Ctx) -> Self {
        let path = std::env::temp_dir().join(format!("lxdrs-folder-{}", ctx.name("")));
        fs::create_dir(&path).unwrap();
        Self(path)
    }

    fn names(&self) -> Vec<std::ffi::OsString> {
        fs::read_dir(&self.0).unwrap().map(|entry| entry.unwrap().file_name()).collect()
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// Permissions of all that is below a folder, links aside. Servers drop set-user-ID and the like.
fn modes(root: &std::path::Path) -> Vec<(std::path::PathBuf, u32)> {
    let paths = contents(root).into_iter().map(|(path, _)| path);
    let kept = paths.filter(|path| !root.join(path).is_symlink());
    kept.map(|path| {
        let mode = fs::metadata(root.join(&path)).unwrap().permissions().mode() & 0o777;
        (path, mode)
    })
    .collect()
}

async fn a_folder_goes_in_and_comes_back(ctx: Ctx) {
    if !has_files(&ctx).await {
        return;
    }
    let folder = Folder::new(&ctx);
    let local = folder.0.join("site");
    fill(&local);
    fs::create_dir(local.join("empty dir")).unwrap();
    std::os::unix::fs::symlink("/etc/passwd", local.join("deep/out")).unwrap();
    std::os::unix::fs::symlink("../..", local.join("deep/er/up")).unwrap();
    for (name, bits) in
        [("empty", 0o600), ("deep/er", 0o711), ("deep/noise", 0o755), ("deep/er/odd é%20 name", 0o4755)]
    {
        fs::set_permissions(local.join(name), fs::Permissions::from_mode(bits)).unwrap();
    }
    for n in 0..40 {
        fs::write(local.join(format!("deep/file {n}")), format!("{n}")).unwrap();
    }
    for pool in pools(&ctx) {
        let mut volume = ctx.new_volume(&pool, "v").await;
        let files = volume.files();
        let owner = plain().with_uid(33).with_gid(34);
        files.put_dir(&local, "/srv/www", &owner).await.unwrap();
        let inside = ctx.content(&volume).join("srv/www");
        assert!(contents(&inside) == contents(&local), "it is there whole");
        assert_eq!(modes(&inside), modes(&local));
        for name in ["", "deep/er", "deep/noise"] {
            let metadata = fs::metadata(inside.join(name)).unwrap();
            assert_eq!((metadata.uid(), metadata.gid()), (33, 34), "{name}");
        }
        // Again, over what is there, with one file changed and another one beside.
        fs::write(local.join("deep/file 7"), b"seven").unwrap();
        files.put("/srv/www/beside", "x", &plain()).await.unwrap();
        files.put_dir(&local, "/srv/www/", &owner).await.unwrap();
        assert_eq!(fs::read(inside.join("deep/file 7")).unwrap(), b"seven");
        files.delete("/srv/www/beside").await.unwrap();
        assert!(contents(&inside) == contents(&local), "and again");

        let back = folder.0.join("back");
        files.get_dir("/srv/www", &back).await.unwrap();
        assert!(contents(&back) == contents(&local), "it comes back whole");
        assert_eq!(modes(&back), modes(&local));
        fs::remove_dir_all(&back).unwrap();

        // The whole volume, from its root and into another's.
        files.get_dir("/", &back).await.unwrap();
        assert!(contents(&back.join("srv/www")) == contents(&local), "from the root");
        let mut other = ctx.new_volume(&pool, "other").await;
        other.files().put_dir(&back, "/", &plain()).await.unwrap();
        assert!(contents(&ctx.content(&other)) == contents(&ctx.content(&volume)), "into the root");
        fs::remove_dir_all(&back).unwrap();

        // In a link's place is something else.
        files.delete("/srv/www/link").await.unwrap();
        files.symlink("/srv/www/link", "elsewhere").await.unwrap();
        let error = files.put_dir(&local, "/srv/www", &plain()).await.unwrap_err();
        assert!(error.is_already_exists() && error.to_string().contains("/srv/www/link"), "{error}");
        other.delete().await.unwrap();
        volume.delete().await.unwrap();
    }
}

async fn a_folder_is_there_whole_or_not_at_all(ctx: Ctx) {
    if !has_files(&ctx).await {
        return;
    }
    let folder = Folder::new(&ctx);
    let local = folder.0.join("copy");
    let mut volume = ctx.new_volume(&pools(&ctx)[0], "v").await;
    let files = volume.files();
    fill(&ctx.content(&volume));
    // Given up in the middle, and a name that cannot be reached over HTTP.
    let getting = files.get_dir("/", &local);
    let _ = tokio::time::timeout(std::time::Duration::from_millis(15), getting).await;
    tokio::time::sleep(std::time::Duration::from_millis(100)).await;
    assert_eq!(folder.names(), Vec::<std::ffi::OsString>::new());
    let odd: &std::ffi::OsStr = std::os::unix::ffi::OsStrExt::from_bytes(b"\xff");
    fs::write(ctx.content(&volume).join(odd), b"").unwrap();
    assert!(files.get_dir("/", &local).await.unwrap_err().is_not_found());
    assert_eq!(folder.names(), Vec::<std::ffi::OsString>::new());
    fs::remove_file(ctx.content(&volume).join(odd)).unwrap();

    for (path, target, kind) in [
        ("/empty", "copy", ErrorKind::InvalidInput),
        ("/none", "copy", ErrorKind::NotFound),
        ("/", "none/copy", ErrorKind::InvalidInput),
    ] {
        let error = files.get_dir(path, folder.0.join(target)).await.unwrap_err();
        assert_eq!(error.kind(), kind, "{error}");
    }
    fs::create_dir(&local).unwrap();
    let error = files.get_dir("/", &local).await.unwrap_err();
    assert!(error.kind() == ErrorKind::InvalidInput && error.to_string().contains("already"), "{error}");
    assert_eq!(fs::read_dir(&local).unwrap().count(), 0);
    volume.delete().await.unwrap();
}

async fn a_folder_that_cannot_be_in_a_volume_is_refused(ctx: Ctx) {
    if !has_files(&ctx).await {
        return;
    }
    let folder = Folder::new(&ctx);
    let mut volume = ctx.new_volume(&pools(&ctx)[0], "v").await;
    let files = volume.files();
    fs::write(folder.0.join("a"), b"x").unwrap();
    let _socket = std::os::unix::net::UnixListener::bind(folder.0.join("socket")).unwrap();
    files.list("/").await.unwrap();
    ctx.sent.take();
    for (path, text) in [
        (folder.0.clone(), "socket"),
        (folder.0.join("a"), "no folder"),
        (folder.0.join("none"), "cannot read"),
    ] {
        let error = files.put_dir(path, "/a/b", &plain()).await.unwrap_err();
        assert_not_sent(&ctx, &error, text);
    }
    volume.delete().await.unwrap();
}

async fn sftp_answers_over_the_stream(ctx: Ctx) {
    if !ctx.has("custom_volume_sftp").await {
        return;
    }
    let mut volume = ctx.new_volume(&pools(&ctx)[0], "v").await;
    let mut stream = volume.connect_sftp().await.unwrap();
    // INIT of version 3; the answer is VERSION, of the same version.
    stream.write_all(&[0, 0, 0, 5, 1, 0, 0, 0, 3]).await.unwrap();
    stream.flush().await.unwrap();
    let length = stream.read_u32().await.unwrap() as usize;
    let mut answer = vec![0; length];
    stream.read_exact(&mut answer).await.unwrap();
    assert_eq!(answer[..5], [2, 0, 0, 0, 3]);
    // REALPATH of "." by request 7; the answer is NAME with one name, the root.
    stream.write_all(&[0, 0, 0, 10, 16, 0, 0, 0, 7, 0, 0, 0, 1, b'.']).await.unwrap();
    stream.flush().await.unwrap();
    let length = stream.read_u32().await.unwrap() as usize;
    let mut answer = vec![0; length];
    stream.read_exact(&mut answer).await.unwrap();
    assert_eq!(answer[..14], [104, 0, 0, 0, 7, 0, 0, 0, 1, 0, 0, 0, 1, b'/']);
    drop(stream);
    volume.delete().await.unwrap();
}

/// What NBD's newstyle handshake tells of the export without a name.
struct Export {
    bytes: u64,
    read_only: bool,
}

async fn shake_hands(stream: &mut lxd_storage::transport::Upgraded) -> Export {
    let mut greeting = [0; 18];
    stream.read_exact(&mut greeting).await.unwrap();
    assert_eq!(&greeting[..16], b"NBDMAGICIHAVEOPT");
    // Our flags: newstyle, and no zeroes after the answer. Then the option EXPORT_NAME with an empty name.
    let mut choice = vec![0, 0, 0, 3];
    choice.extend_from_slice(b"IHAVEOPT");
    choice.extend_from_slice(&[0, 0, 0, 1, 0, 0, 0, 0]);
    stream.write_all(&choice).await.unwrap();
    stream.flush().await.unwrap();
    let bytes = stream.read_u64().await.unwrap();
    let flags = stream.read_u16().await.unwrap();
    Export { bytes, read_only: flags & 2 != 0 }
}

/// A request of NBD: READ is 0, WRITE 1, DISC 2.
fn request(kind: u8, offset: u64, length: u32) -> Vec<u8> {
    let mut request = vec![0x25, 0x60, 0x95, 0x13, 0, 0, 0, kind, 0, 0, 0, 0, 0, 0, 0, 9];
    request.extend_from_slice(&offset.to_be_bytes());
    request.extend_from_slice(&length.to_be_bytes());
    request
}

async fn assert_done(stream: &mut lxd_storage::transport::Upgraded) {
    let mut reply = [0; 16];
    stream.read_exact(&mut reply).await.unwrap();
    assert_eq!(reply, [0x67, 0x44, 0x66, 0x98, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 9]);
}

async fn nbd_greets_over_the_stream(ctx: Ctx) {
    if !ctx.has("storage_volume_nbd").await {
        return;
    }
    let mut volume = new_block(&ctx, &pools(&ctx)[0]).await;
    fs::write(ctx.content(&volume).join("root.img"), noise(8 << 20)).unwrap();
    let mut stream = volume.connect_nbd().await.unwrap();
    let export = shake_hands(&mut stream).await;
    assert_eq!((export.bytes, export.read_only), (8 << 20, true));
    stream.write_all(&request(0, 1 << 20, 70_000)).await.unwrap();
    stream.flush().await.unwrap();
    assert_done(&mut stream).await;
    let mut read = vec![0; 70_000];
    stream.read_exact(&mut read).await.unwrap();
    assert!(read == noise(8 << 20)[1 << 20..][..70_000], "other blocks than those of the volume");
    drop(stream);
    volume.delete().await.unwrap();
}

async fn nbd_writes_where_that_is_asked_for(ctx: Ctx) {
    if !ctx.has("storage_volume_nbd").await {
        return;
    }
    let mut volume = new_block(&ctx, &pools(&ctx)[0]).await;
    let mut stream = volume.connect_nbd_writable().await.unwrap();
    assert!(!shake_hands(&mut stream).await.read_only);
    let block = noise(4096);
    stream.write_all(&request(1, 8192, 4096)).await.unwrap();
    stream.write_all(&block).await.unwrap();
    stream.flush().await.unwrap();
    assert_done(&mut stream).await;
    stream.write_all(&request(2, 0, 0)).await.unwrap();
    stream.flush().await.unwrap();
    // The server closes once it is done.
    assert_eq!(stream.read(&mut [0]).await.unwrap_or(0), 0);
    assert!(fs::read(ctx.content(&volume).join("root.img")).unwrap()[8192..12288] == block);
    volume.delete().await.unwrap();
}

async fn bitmaps_are_those_of_a_running_machine(ctx: Ctx) {
    let pool = ctx.ready_pools().remove(0);
    let post = StorageVolumesPost::new(ctx.name("disk")).with_content_type(ContentType::Block);
    let mut volume = pool.volumes().create(post.with_size(Size::mib(8))).await.unwrap();
    let bitmaps = volume.bitmaps();
    let has_them = ctx.client.server().await.unwrap().api_extensions.has("storage_volume_nbd");
    ctx.sent.take();
    let mut uneven = StorageVolumeBitmapsPost::new("uneven");
    uneven.granularity = 1000;
    assert_eq!(bitmaps.create(uneven).await.unwrap_err().kind(), ErrorKind::InvalidInput);
    assert_eq!(ctx.sent.take(), Vec::<String>::new());

    let errors = [
        bitmaps.all().await.unwrap_err(),
        bitmaps.get("b").await.unwrap_err(),
        bitmaps.create(StorageVolumeBitmapsPost::new("b")).await.unwrap_err(),
        bitmaps.delete("b").await.unwrap_err(),
    ];
    for error in errors {
        if has_them {
            // No virtual machine runs here, and the server says that it needs one.
            assert_eq!(error.kind(), ErrorKind::Server, "{error}");
            assert!(error.server_message().is_some_and(|text| text.contains("running instance")), "{error}");
        } else {
            assert_eq!(error.extension(), Some("storage_volume_nbd"), "{error}");
        }
    }
    volume.delete().await.unwrap();
}
