//! Typed configs, and the table of drivers, proved on the servers: what it says they take they take, and nothing else.

use lxd_storage::{
    ErrorKind, PoolHandle,
    types::{
        Config, ContentType, FileMode, Lifespan, NamePattern, Patch, Schedule, Size, StoragePoolsPost,
        StorageVolumesPost,
        drivers::{self, DriverInfo, Key, Kind, Release, btrfs, dir},
    },
};
use lxd_tests::Slot;

use crate::ctx::{Ctx, cases};

cases![
    pools_and_volumes_of_driver_dir,
    pools_and_volumes_of_driver_btrfs,
    every_pool_key_is_taken_where_the_table_says,
    every_volume_key_is_taken_where_the_table_says,
    every_default_of_volumes_is_taken_where_the_table_says,
    unknown_keys_are_refused,
    values_are_read_as_the_server_reads_them,
];

async fn pools_and_volumes_of_driver_dir(ctx: Ctx) {
    let defaults = dir::VolumeConfig::new()
        .with_snapshots_expiry(Lifespan::new().with_days(3).with_hours(2))
        .with_size(Size::mib(16));
    let post = dir::PoolConfig::new()
        .with_rsync_bwlimit(Size::mib(1))
        .with_rsync_compression(false)
        .with_user("owner", "tests")
        .with_volume_defaults(defaults.clone())
        .into_post(ctx.name("p"));
    let mut pool = ctx.create_pool(post).await.unwrap();
    let seen = ctx.seen(&pool).await;
    let read = dir::PoolConfig::from(seen.config());
    assert_eq!(read.rsync_bwlimit().unwrap(), Some(Size::mib(1)));
    assert_eq!(read.rsync_compression().unwrap(), Some(false));
    assert_eq!(read.user().collect::<Vec<_>>(), [("owner", "tests")]);
    assert_eq!(read.volume_defaults(), defaults);
    assert!(read.source().unwrap().ends_with(pool.name()));

    let schedule: Schedule = "@daily, 0 */6 * * 1-5".parse().unwrap();
    let config = dir::VolumeConfig::new()
        .with_security_shifted(true)
        .with_snapshots_schedule(schedule.clone())
        .with_snapshots_pattern("s%d".parse().unwrap());
    let post = StorageVolumesPost::new(ctx.name("v")).with_keys(config);
    let mut volume = pool.volumes().create(post).await.unwrap();
    let read = dir::VolumeConfig::from(volume.config());
    assert_eq!(read.security_shifted().unwrap(), Some(true));
    assert_eq!(read.snapshots_schedule().unwrap(), Some(schedule));
    assert_eq!(read.snapshots_pattern().unwrap(), Some("s%d".parse().unwrap()));
    // The pool's defaults were copied in.
    assert_eq!(read.size().unwrap(), Some(Size::mib(16)));
    assert_eq!(read.snapshots_expiry().unwrap(), defaults.snapshots_expiry().unwrap());
    volume.delete().await.unwrap();
    pool.delete().await.unwrap();
}

async fn pools_and_volumes_of_driver_btrfs(ctx: Ctx) {
    if !drivers_here(&ctx).iter().any(|driver| driver.name == "btrfs") {
        return;
    }
    let post = btrfs::PoolConfig::new()
        .with_size(Size::mib(256))
        .with_btrfs_mount_options("noatime,user_subvol_rm_allowed")
        .into_post(ctx.name("p"));
    let mut pool = ctx.create_pool(post).await.unwrap();
    let seen = ctx.seen(&pool).await;
    let read = btrfs::PoolConfig::from(seen.config());
    assert_eq!(read.size().unwrap(), Some(Size::mib(256)));
    assert_eq!(read.btrfs_mount_options(), Some("noatime,user_subvol_rm_allowed"));
    assert!(read.source().is_some());

    let config = btrfs::VolumeConfig::new().with_size(Size::mib(16)).with_user("k", "v");
    let mut volume =
        pool.volumes().create(StorageVolumesPost::new(ctx.name("v")).with_keys(config)).await.unwrap();
    let read = btrfs::VolumeConfig::from(volume.config());
    assert_eq!((read.size().unwrap(), read.user().next()), (Some(Size::mib(16)), Some(("k", "v"))));
    volume.delete().await.unwrap();
    pool.delete().await.unwrap();
}

async fn every_pool_key_is_taken_where_the_table_says(ctx: Ctx) {
    for driver in drivers_here(&ctx) {
        for key in driver.pool {
            let name = ctx.name(driver.name);
            let mut post = StoragePoolsPost::new(&name, driver.name);
            if driver.name == "btrfs" {
                post = post.with_size(Size::mib(256));
            }
            let folder = if driver.name == "dir" { "storage-pools/" } else { "disks/" };
            let end = if driver.name == "dir" { "" } else { ".img" };
            let value = match key.name {
                "source" => format!("{}/{folder}{name}{end}", ctx.server().state().display()),
                "size" => "256MiB".to_owned(),
                _ => legal(key),
            };
            let mut creation =
                ctx.client.storage_pools().create_on_members(post.with_config(key.name, &value));
            if key.name == "source" && ctx.is_cluster() {
                for slot in Slot::CLUSTER {
                    let dir = ctx.lab.daemon(slot).unwrap().dir().display().to_string();
                    let own = value.replace(&*ctx.server().dir().display().to_string(), &dir);
                    creation = creation.with_member(slot.name(), [("source", own)]);
                }
            }
            let created = creation.await;
            assert_taken(&ctx, driver, key, &created);
            if let Ok(mut pool) = created {
                let seen = ctx.seen(&pool).await;
                assert!(key.computed || seen.config().text(key.name) == Some(&value), "{key:?}: {seen:?}");
                pool.delete().await.unwrap();
            }
        }
    }
}

async fn every_volume_key_is_taken_where_the_table_says(ctx: Ctx) {
    for driver in drivers_here(&ctx) {
        let pool = ready_pool(&ctx, driver);
        // Only servers make volumes for images.
        for key in driver.volume.iter().filter(|key| key.condition != Some("unpacked images")) {
            let post = new_volume(&ctx, key).with_config(key.name, legal(key));
            let created = pool.volumes().create(post).await;
            assert_taken(&ctx, driver, key, &created);
            if let Ok(mut volume) = created {
                assert!(
                    key.computed || volume.config().text(key.name) == Some(&legal(key)),
                    "{key:?}: {volume:?}"
                );
                volume.delete().await.unwrap();
            }
        }
    }
}

async fn every_default_of_volumes_is_taken_where_the_table_says(ctx: Ctx) {
    for driver in drivers_here(&ctx) {
        let mut post = StoragePoolsPost::new(ctx.name(driver.name), driver.name);
        if driver.name == "btrfs" {
            post = post.with_size(Size::mib(256));
        }
        let mut pool = ctx.create_pool(post).await.unwrap();
        for key in driver.volume {
            let name = format!("volume.{}", key.name);
            let set = pool.patch(&Patch::new().with_config(&name, legal(key))).await;
            let expected = driver.pool_key(&name).is_some_and(|key| key.is_known_by(release(&ctx)));
            assert_eq!(set.is_ok(), expected, "{}: {name}: {set:?}", driver.name);
            if set.is_ok() {
                pool.patch(&Patch::new().with_config(&name, "")).await.unwrap();
            }
        }
        pool.delete().await.unwrap();
    }
}

async fn unknown_keys_are_refused(ctx: Ctx) {
    let mut pool = ctx.new_pool("p").await;
    for name in ["dir.colour", "colour", "volume.colour", "volume.user.colour"] {
        let post = StoragePoolsPost::new(ctx.name("q"), "dir").with_config(name, "blue");
        let error = ctx.create_pool(post).await.unwrap_err();
        assert!(error.to_string().contains("colour"), "{error}");
        let error = pool.patch(&Patch::new().with_config(name, "blue")).await.unwrap_err();
        assert!(error.to_string().contains("colour"), "{error}");
    }
    for driver in drivers_here(&ctx) {
        for name in ["colour".to_owned(), format!("{}.colour", driver.name)] {
            let post = StorageVolumesPost::new(ctx.name("v")).with_config(&name, "blue");
            let error = ready_pool(&ctx, driver).volumes().create(post).await.unwrap_err();
            assert!(error.to_string().contains("colour"), "{error}");
        }
    }
    pool.delete().await.unwrap();
}

/// Texts of each kind, whether the server takes them, and whether we do.
async fn values_are_read_as_the_server_reads_them(ctx: Ctx) {
    let pool = ctx.ready_pools().remove(0);
    let lifespans = [
        "1M",
        "1M 2H 3d",
        "3d 1M",
        "1d 2w 3m 4y",
        "007d",
        "0d",
        "5S",
        "1d 1d",
        "1D",
        "d",
        "1",
        "-1d",
        "+1d",
        "1.5d",
        "1d  2H",
        " 1d",
        "1d ",
        "1d,2H",
        "99999999999d",
        "4294967296M",
    ];
    let schedules = [
        "@hourly",
        "@daily",
        "@midnight",
        "@weekly",
        "@monthly",
        "@annually",
        "@yearly",
        "@startup",
        "@never",
        "@DAILY",
        "daily",
        "* * * * *",
        "0 0 * * *",
        "*/5 1-3 1,2 jan sun",
        "0 0 * * 1-5, @daily",
        "@daily, @hourly",
        "@daily,@hourly",
        "@daily @hourly",
        "* * * *",
        "* * * * * *",
        "*  * * * *",
        " @daily",
        "@daily ",
        "@daily, ",
        "? ? ? ? ?",
        "x x x x x",
        "0 0 L * *",
        "@every 1h",
        "60 * * * *",
        "* 24 * * *",
        "* * 0 * *",
        "* * * 13 *",
        "* * * * 7",
        "* * * * sunday",
        "jan * * * *",
        "*/0 * * * *",
        "5-1 * * * *",
        "1-10/2,15 * * * *",
        "5/10 * * * *",
        "?/5 * * * *",
        "1, * * * *",
        "*-5 * * * *",
        "1-2-3 * * * *",
        "*/5/5 * * * *",
        "@Hourly, 0 0 * JAN Mon-FRI",
        "+1 * * * *",
        "*/ * * * *",
        "* * * * 6-0",
    ];
    let patterns = ["snap%d", "s-%d-x", "{{ creation_date }}", "{{ creation_date|date:'2006' }}-%d", "fixed"];
    // Servers let more numbers pass than are permissions: "-1" and "10000" too.
    let modes = ["711", "0711", "0", "7777", "1777", "789", "rwx", "0o711"];
    // Incus 7 reads schedules in another way than all before it.
    let only_new = [
        "* * * * * *",
        "*  * * * *",
        " @daily",
        "@daily ",
        "0 0 L * *",
        "* * * * 7",
        "jan * * * *",
        "1-2-3 * * * *",
    ];
    let only_old = ["?/5 * * * *", "*-5 * * * *"];
    let differs = |text: &str| {
        release(&ctx) == Release::IncusLatest && (only_new.contains(&text) || only_old.contains(&text))
    };
    let mut wrong = Vec::new();
    let has_modes =
        drivers::find("dir").unwrap().volume_key("initial.mode").unwrap().is_known_by(release(&ctx));
    let texts = lifespans.map(|text| ("snapshots.expiry", text, text.parse::<Lifespan>().is_ok()));
    let texts = texts.into_iter();
    let texts = texts.chain(
        schedules.map(|text| ("snapshots.schedule", text, text.parse::<Schedule>().is_ok() != differs(text))),
    );
    let texts =
        texts.chain(patterns.map(|text| ("snapshots.pattern", text, text.parse::<NamePattern>().is_ok())));
    let texts = texts.chain(modes.map(|text| ("initial.mode", text, text.parse::<FileMode>().is_ok())));
    for (key, text, ours) in texts.filter(|(key, ..)| has_modes || *key != "initial.mode") {
        let post = StorageVolumesPost::new(ctx.name("v")).with_config(key, text);
        let created = pool.volumes().create(post).await;
        if created.is_ok() != ours {
            wrong.push(format!(
                "{key} = {text:?}: we say {ours}, the server {:?}",
                created.as_ref().map(drop)
            ));
        }
        if let Ok(mut volume) = created {
            volume.delete().await.unwrap();
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// The line of versions that the server belongs to.
fn release(ctx: &Ctx) -> Release {
    match ctx.slot {
        Slot::Incus | Slot::EmulatedIncus6 => Release::Incus60,
        Slot::EmulatedLxdNew => Release::LxdLatest,
        Slot::Incus7 => Release::IncusLatest,
        _ => Release::Lxd50,
    }
}

/// The drivers that work in the lab.
fn drivers_here(ctx: &Ctx) -> Vec<&'static DriverInfo> {
    let works = |name: &str| ctx.server().pools().iter().any(|pool| pool.strip_suffix('0') == Some(name));
    drivers::all().filter(|driver| works(driver.name)).collect()
}

fn ready_pool(ctx: &Ctx, driver: &DriverInfo) -> PoolHandle {
    ctx.pool(&format!("{}0", driver.name))
}

fn new_volume(ctx: &Ctx, key: &Key) -> StorageVolumesPost {
    let post = StorageVolumesPost::new(ctx.name("v"));
    if key.name != "security.shared" {
        return post;
    }
    post.with_content_type(ContentType::Block).with_size(Size::mib(8))
}

/// A value that the key takes.
fn legal(key: &Key) -> String {
    let mut config = Config::new();
    match key.kind {
        Kind::Bool => config.set("k", true),
        Kind::Int => config.set("k", 1000),
        Kind::Size => config.set("k", "16MiB"),
        Kind::FileMode => config.set("k", FileMode::new(0o750).unwrap()),
        Kind::Lifespan => config.set("k", Lifespan::new().with_days(3)),
        Kind::Schedule => config.set("k", Schedule::DAILY),
        Kind::NamePattern => config.set("k", "s%d"),
        Kind::Json => config.set("k", "[]"),
        Kind::Uuid => config.set("k", "6b2f6f43-8d6c-4bd8-9c55-0d9c3f1f5a11"),
        Kind::Choice(words) => config.set("k", words[0]),
        // Handed to a program as they are.
        _ if key.name == "btrfs.create_options" => config.set("k", "--nodesize 16384"),
        _ => config.set("k", key.default.unwrap_or("x")),
    };
    config["k"].clone()
}

fn assert_taken<T: std::fmt::Debug>(
    ctx: &Ctx,
    driver: &DriverInfo,
    key: &Key,
    created: &Result<T, lxd_storage::Error>,
) {
    let what = format!("{}: {}: {created:?}", driver.name, key.name);
    // One key is for later only.
    let is_taken = key.is_known_by(release(ctx)) && key.name != "dependent";
    assert_eq!(created.is_ok(), is_taken, "{what}");
    if let Err(error) = created {
        assert_ne!(error.kind(), ErrorKind::AlreadyExists, "{what}");
        assert!(error.to_string().contains(key.name), "{what}");
    }
}
