//! Pools and volumes as they are wanted.

use std::{
    future::IntoFuture,
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

use lxd_storage::{
    Drift, ErrorKind,
    types::{ContentType, Patch, Size, StoragePoolsPost, StorageVolumesPost, VolumeType},
};

use crate::ctx::{Ctx, cases};

cases![
    a_volume_is_made_once_and_then_left_alone,
    only_what_drifted_is_changed,
    what_would_do_harm_is_refused,
    exactly_unsets_what_is_not_wanted,
    a_diff_applies_itself_and_nothing_else,
    many_at_once_make_one_volume,
    edits_of_others_survive,
    a_pool_is_kept_as_it_is_wanted,
    a_device_stays_the_source_of_its_pool,
    keys_of_members_are_kept_on_each,
    absence_is_ensured_too,
];

fn writes(ctx: &Ctx) -> Vec<String> {
    ctx.sent.take().into_iter().filter(|line| !line.starts_with("GET")).collect()
}

async fn a_volume_is_made_once_and_then_left_alone(ctx: Ctx) {
    for pool in ctx.ready_pools() {
        let wanted = StorageVolumesPost::new(ctx.name("v"))
            .with_description("wanted")
            .with_size(Size::mib(16))
            .with_config("user.k", "v");
        ctx.sent.take();
        let made = pool.volumes().ensure(wanted.clone()).await.unwrap();
        assert_eq!(made.changes, [Drift::Absent]);
        assert_eq!(writes(&ctx).len(), 1);
        // The same size in other words is the same.
        let mut same = wanted.clone();
        same.config.set("size", "16777216");
        for wanted in [wanted, same] {
            let kept = pool.volumes().ensure(wanted).await.unwrap();
            assert!(!kept.is_changed(), "{:?}", kept.changes);
            assert_eq!(ctx.sent.take().len(), 1, "one look and nothing else");
        }
        made.object.handle().delete().await.unwrap();
    }
}

async fn only_what_drifted_is_changed(ctx: Ctx) {
    let pool = &ctx.ready_pools()[0];
    let first = StorageVolumesPost::new(ctx.name("v"))
        .with_description("first")
        .with_config("user.kept", "by somebody")
        .with_config("user.a", "1");
    let volume = pool.volumes().create(first).await.unwrap();
    let wanted =
        StorageVolumesPost::new(volume.name()).with_config("user.a", "2").with_config("user.kept", "");
    let changed = pool.volumes().ensure(wanted).await.unwrap();
    let told: Vec<String> = changed.changes.iter().map(Drift::to_string).collect();
    assert_eq!(
        told,
        [r#"key "user.a" is "1", wanted "2""#, r#"key "user.kept" is "by somebody", wanted unset"#]
    );
    let now = volume.get().await.unwrap();
    assert_eq!((now.config().text("user.a"), now.config().text("user.kept")), (Some("2"), None));
    assert_eq!(now.description(), "first", "none was wanted");

    let wanted = StorageVolumesPost::new(volume.name()).with_description("second");
    let changed = pool.volumes().ensure(wanted).await.unwrap();
    assert!(matches!(&changed.changes[..], [Drift::Description { .. }]), "{:?}", changed.changes);
    assert_eq!(changed.object.description(), "second");
    assert_eq!(changed.object.config().text("user.a"), Some("2"));
    volume.handle().delete().await.unwrap();
}

async fn what_would_do_harm_is_refused(ctx: Ctx) {
    let pool = &ctx.ready_pools()[0];
    let post = StorageVolumesPost::new(ctx.name("v")).with_size(Size::mib(64));
    let volume = pool.volumes().create(post).await.unwrap();
    ctx.sent.take();
    let smaller = StorageVolumesPost::new(volume.name()).with_size(Size::mib(32));
    let block = StorageVolumesPost::new(volume.name()).with_content_type(ContentType::Block);
    let own = StorageVolumesPost::new(volume.name()).with_config("volatile.idmap.last", "[]");
    for (wanted, named) in
        [(smaller.clone(), "allow_shrinking"), (block, "block"), (own, "volatile.idmap.last")]
    {
        let error = pool.volumes().ensure(wanted).await.unwrap_err();
        assert!(error.kind() == ErrorKind::InvalidInput && error.to_string().contains(named), "{error}");
    }
    let driver = StoragePoolsPost::new(pool.name(), "zfs");
    let error = ctx.client.storage_pools().ensure(driver).await.unwrap_err();
    assert!(error.kind() == ErrorKind::InvalidInput && error.to_string().contains("zfs"), "{error}");
    let elsewhere = StoragePoolsPost::new(pool.name(), "dir").with_config("source", "/elsewhere");
    let error = ctx.client.storage_pools().ensure(elsewhere).await.unwrap_err();
    assert!(error.kind() == ErrorKind::InvalidInput && error.to_string().contains("source"), "{error}");
    assert!(writes(&ctx).is_empty());

    let told = pool.volumes().ensure(smaller).allow_shrinking().await.unwrap();
    assert_eq!(told.object.config().size("size").unwrap(), Some(Size::mib(32)));
    volume.handle().delete().await.unwrap();
}

async fn exactly_unsets_what_is_not_wanted(ctx: Ctx) {
    let defaults = StoragePoolsPost::new(ctx.name("p"), "dir").with_config("volume.snapshots.expiry", "2w");
    let mut pool = ctx.create_pool(defaults).await.unwrap();
    let post = StorageVolumesPost::new(ctx.name("v"))
        .with_size(Size::mib(16))
        .with_config("user.a", "1")
        .with_config("user.b", "2");
    let volume = pool.volumes().create(post).await.unwrap();
    assert_eq!(volume.config().text("snapshots.expiry"), Some("2w"), "copied from the pool");
    let wanted = StorageVolumesPost::new(volume.name()).with_config("user.a", "1");
    let changed = pool.volumes().ensure(wanted.clone()).exactly().await.unwrap();
    assert_eq!(changed.changes.len(), 1, "{:?}", changed.changes);
    let now = changed.object.config();
    assert_eq!((now.text("user.b"), now.text("snapshots.expiry")), (None, Some("2w")));
    assert_eq!(now.size("size").unwrap(), Some(Size::mib(16)));
    assert!(!pool.volumes().ensure(wanted).exactly().await.unwrap().is_changed());

    let wanted = StoragePoolsPost::new(pool.name(), "dir");
    let changed = ctx.client.storage_pools().ensure(wanted.clone()).exactly().await.unwrap();
    assert_eq!(changed.changes.len(), 1, "{:?}", changed.changes);
    assert!(!ctx.client.storage_pools().ensure(wanted).exactly().await.unwrap().is_changed());
    volume.handle().delete().await.unwrap();
    pool.delete().await.unwrap();
}

async fn a_diff_applies_itself_and_nothing_else(ctx: Ctx) {
    let pool = &ctx.ready_pools()[0];
    let volume = ctx.new_volume(pool, "v").await;
    let wanted = StorageVolumesPost::new(volume.name()).with_config("user.a", "1");
    ctx.sent.take();
    let diff = pool.volumes().ensure(wanted.clone()).diff().await.unwrap();
    assert_eq!(diff.changes().len(), 1);
    assert!(writes(&ctx).is_empty());
    diff.apply().await.unwrap();
    assert!(pool.volumes().ensure(wanted.clone()).diff().await.unwrap().is_empty());

    // Somebody changes the same key otherwise in between: that is another change than the one that was looked at.
    let wanted = wanted.with_config("user.a", "2");
    let diff = pool.volumes().ensure(wanted).diff().await.unwrap();
    volume.get().await.unwrap().patch(&Patch::new().with_config("user.a", "theirs")).await.unwrap();
    let error = diff.apply().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::PreconditionFailed, "{error}");
    assert_eq!(volume.get().await.unwrap().config().text("user.a"), Some("theirs"));

    // A volume that is gone is not made by somebody who only agreed to a change of it.
    let wanted = StorageVolumesPost::new(volume.name()).with_config("user.a", "3");
    let diff = pool.volumes().ensure(wanted).diff().await.unwrap();
    volume.handle().delete().await.unwrap();
    assert_eq!(diff.apply().await.unwrap_err().kind(), ErrorKind::PreconditionFailed);
    assert!(!volume.exists().await.unwrap());
}

async fn many_at_once_make_one_volume(ctx: Ctx) {
    let pool = ctx.ready_pools().remove(0);
    let wanted = StorageVolumesPost::new(ctx.name("v")).with_config("user.k", "v");
    let mut tasks = tokio::task::JoinSet::new();
    for _ in 0..8 {
        let (pool, wanted) = (pool.clone(), wanted.clone());
        tasks.spawn(async move { pool.volumes().ensure(wanted).await });
    }
    let outcomes = tasks.join_all().await;
    let made = outcomes.into_iter().filter(|outcome| outcome.as_ref().unwrap().is_changed()).count();
    assert_eq!(made, 1);
    pool.volume(VolumeType::Custom, ctx.name("v")).delete().await.unwrap();
}

async fn edits_of_others_survive(ctx: Ctx) {
    let pool = ctx.ready_pools().remove(0);
    let volume = ctx.new_volume(&pool, "v").await;
    let mut tasks = tokio::task::JoinSet::new();
    for number in 0..6 {
        let (pool, name) = (pool.clone(), volume.name().to_owned());
        tasks.spawn(async move {
            let wanted = StorageVolumesPost::new(name).with_config(format!("user.{number}"), "set");
            pool.volumes().ensure(wanted).await.unwrap();
        });
    }
    tasks.join_all().await;
    let now = volume.get().await.unwrap();
    assert!((0..6).all(|number| now.config().text(&format!("user.{number}")) == Some("set")), "{now:?}");
    volume.handle().delete().await.unwrap();
}

async fn a_pool_is_kept_as_it_is_wanted(ctx: Ctx) {
    let wanted = StoragePoolsPost::new(ctx.name("p"), "dir")
        .with_description("as wanted")
        .with_config("rsync.bwlimit", "10MB")
        .with_config("rsync.compression", "false");
    let mut made = ctx.client.storage_pools().ensure(wanted.clone()).await.unwrap();
    assert_eq!(made.changes, [Drift::Absent]);
    ctx.sent.take();
    let mut same = wanted.clone();
    same.config.set("rsync.bwlimit", "10000kB");
    same.config.set("rsync.compression", "no");
    assert!(!ctx.client.storage_pools().ensure(same).await.unwrap().is_changed());
    assert!(writes(&ctx).is_empty());
    made.object.patch(&Patch::new().with_config("rsync.bwlimit", "1MB")).await.unwrap();
    let again = ctx.client.storage_pools().ensure(wanted).await.unwrap();
    assert_eq!(again.changes.len(), 1, "{:?}", again.changes);
    assert_eq!(again.object.config().text("rsync.bwlimit"), Some("10MB"));
    made.object.delete().await.unwrap();
}

/// A file as a block device, and the link that udev makes for the file system on it, which servers look for.
struct Disk {
    file: PathBuf,
    device: String,
    link: Option<PathBuf>,
}

/// What a command prints, if it succeeds.
fn output(program: &str, arguments: &[&str]) -> Option<String> {
    let output = Command::new(program).args(arguments).output().ok()?;
    output.status.success().then(|| String::from_utf8(output.stdout).unwrap().trim().to_owned())
}

impl Disk {
    fn new(file: PathBuf) -> Option<Self> {
        std::fs::File::create(&file).unwrap().set_len(256 << 20).unwrap();
        match output("losetup", &["--find", "--show", file.to_str().unwrap()]) {
            Some(device) => Some(Self { file, device, link: None }),
            None => {
                std::fs::remove_file(file).unwrap();
                None
            }
        }
    }

    /// Makes the link as soon as there is a file system, if udev isn't here to do so.
    async fn name(&mut self) {
        let by_uuid = Path::new("/dev/disk/by-uuid");
        for _ in 0..200 {
            if let Some(uuid) = output("blkid", &["-p", "-o", "value", "-s", "UUID", &self.device])
                && !uuid.is_empty()
            {
                let link = by_uuid.join(uuid);
                if link.exists() {
                    return;
                }
                // Another case may take the folder away in between.
                let made = std::fs::create_dir_all(by_uuid)
                    .and_then(|()| std::os::unix::fs::symlink(&self.device, &link));
                if made.is_ok() {
                    self.link = Some(link);
                    return;
                }
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        if let Some(link) = &self.link {
            let _ = std::fs::remove_file(link);
            // Only where they are empty, and so were made here.
            let _ = link.ancestors().skip(1).take(2).try_for_each(std::fs::remove_dir);
        }
        output("losetup", &["--detach", &self.device]);
        let _ = std::fs::remove_file(&self.file);
    }
}

async fn a_device_stays_the_source_of_its_pool(ctx: Ctx) {
    if ctx.is_cluster() || ctx.server().pools().len() < 2 {
        return;
    }
    let file = std::env::temp_dir().join(format!("lxdrs-disk-{}", ctx.name("d")));
    let Some(mut disk) = Disk::new(file) else {
        return eprintln!("SKIPPED: a_device_stays_the_source_of_its_pool needs a loop device");
    };
    let wanted = StoragePoolsPost::new(ctx.name("p"), "btrfs").with_config("source", &disk.device);
    let ensure = || ctx.client.storage_pools().ensure(wanted.clone()).into_future();
    let (made, ()) = tokio::join!(ensure(), disk.name());
    let mut pool = made.unwrap().object;
    assert_eq!(pool.config().text("volatile.initial_source"), Some(&*disk.device));
    assert_ne!(pool.config().text("source"), Some(&*disk.device), "the server has put the UUID there");
    let again = ensure().await;
    let elsewhere = wanted.clone().with_config("source", "/dev/elsewhere");
    let refused = ctx.client.storage_pools().ensure(elsewhere).await;
    // Before anything can fail here, so that the device is free.
    pool.delete().await.unwrap();
    assert!(!again.unwrap().is_changed());
    assert_eq!(refused.unwrap_err().kind(), ErrorKind::InvalidInput);
}

async fn keys_of_members_are_kept_on_each(ctx: Ctx) {
    if !ctx.is_cluster() || ctx.server().pools().len() < 2 {
        return;
    }
    let name = ctx.name("p");
    let wanted = StoragePoolsPost::new(&name, "btrfs").with_size(Size::mib(256));
    let made = ctx.client.storage_pools().ensure(wanted.clone()).await.unwrap();
    assert!(!ctx.client.storage_pools().ensure(wanted.clone()).await.unwrap().is_changed());
    // One member alone is to have more.
    let bigger = || {
        let ensure = ctx.client.storage_pools().ensure(wanted.clone());
        ensure.with_member("member2", [("size", Size::mib(320))])
    };
    let changed = bigger().await.unwrap();
    let told: Vec<String> = changed.changes.iter().map(Drift::to_string).collect();
    assert_eq!(told, [r#"key "size" is "256MiB", wanted "320MiB" on member "member2""#]);
    let per_member = made.object.per_member().await.unwrap();
    assert_eq!(per_member["member2"].config().size("size").unwrap(), Some(Size::mib(320)));
    assert_eq!(per_member["member1"].config().size("size").unwrap(), Some(Size::mib(256)));
    assert!(!bigger().await.unwrap().is_changed());
    let error = ctx.client.storage_pools().ensure(wanted).await.unwrap_err();
    assert!(error.to_string().contains("shrink"), "{error}");
    made.object.handle().delete().await.unwrap();
}

async fn absence_is_ensured_too(ctx: Ctx) {
    let pool = ctx.new_pool("p").await;
    let volume = ctx.new_volume(&pool, "v").await;
    let error = pool.ensure_absent().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InUse);
    assert!(volume.ensure_absent().await.unwrap());
    assert!(!volume.ensure_absent().await.unwrap());
    assert!(pool.ensure_absent().await.unwrap());
    assert!(!pool.ensure_absent().await.unwrap());
}
