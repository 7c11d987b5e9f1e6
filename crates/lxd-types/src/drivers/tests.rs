//! What holds for the generated types and the table.

use super::{Kind, Release, Scope, all, btrfs, ceph, dir, find, linstor, lvm, powerflex, truenas, zfs};
use crate::{
    Config, ContentType, FileMode, Lifespan, NamePattern, Schedule, ServerFamily, Size, StorageVolumesPost,
};

#[test]
fn each_type_of_value_reads_back_as_it_was_set() {
    let (lifespan, pattern): (Lifespan, NamePattern) =
        (Lifespan::new().with_days(3).with_hours(2), "nightly-%d".parse().unwrap());
    let config = btrfs::VolumeConfig::new()
        .with_size(Size::gib(1))
        .with_security_shifted(true)
        .with_initial_uid(1000)
        .with_initial_mode(FileMode::new(0o750).unwrap())
        .with_snapshots_expiry(lifespan)
        .with_snapshots_schedule(Schedule::DAILY)
        .with_snapshots_pattern(pattern.clone())
        .with_btrfs_compression("zstd:3");
    let text = serde_json::to_string(config.as_config()).unwrap();
    assert_eq!(
        text,
        r#"{"btrfs.compression":"zstd:3","initial.mode":"750","initial.uid":"1000","security.shifted":"true","#
            .to_owned()
            + r#""size":"1GiB","snapshots.expiry":"2H 3d","snapshots.pattern":"nightly-%d","snapshots.schedule":"@daily"}"#
    );
    let read = btrfs::VolumeConfig::from(serde_json::from_str::<Config>(&text).unwrap());
    assert_eq!(read, config);
    assert_eq!(read.size().unwrap(), Some(Size::gib(1)));
    assert_eq!(read.security_shifted().unwrap(), Some(true));
    assert_eq!(read.initial_uid().unwrap(), Some(1000));
    assert_eq!(read.initial_mode().unwrap(), FileMode::new(0o750));
    assert_eq!(read.snapshots_expiry().unwrap(), Some(lifespan));
    assert_eq!(read.snapshots_schedule().unwrap(), Some(Schedule::DAILY));
    assert_eq!(read.snapshots_pattern().unwrap(), Some(pattern));
    assert_eq!(read.initial_gid().unwrap(), None);
    let compression = read.btrfs_compression().unwrap();
    assert!(compression.is_unknown() && compression.as_str() == "zstd:3");
}

#[test]
fn words_lists_and_prefixes_read_back_too() {
    let pool =
        zfs::PoolConfig::new().with_zfs_clone_copy(zfs::CloneCopy::Rebase).with_zfs_pool_name("tank/a");
    assert_eq!(pool.zfs_clone_copy(), Some(zfs::CloneCopy::Rebase));
    assert_eq!(pool.zfs_pool_name(), Some("tank/a"));
    let pool = ceph::PoolConfig::new().with_ceph_rbd_features(["layering", "striping"]);
    assert_eq!(pool.as_config().text("ceph.rbd.features"), Some("layering,striping"));
    assert_eq!(pool.ceph_rbd_features(), ["layering", "striping"]);
    let pool = linstor::PoolConfig::new().with_linstor_raw("DrbdOptions/Net/protocol", "C");
    assert_eq!(pool.as_config().text("linstor.raw.DrbdOptions/Net/protocol"), Some("C"));
    assert_eq!(pool.linstor_raw().collect::<Vec<_>>(), [("DrbdOptions/Net/protocol", "C")]);
    let volume = lvm::VolumeConfig::new().with_block_filesystem(lvm::Filesystem::Xfs);
    assert_eq!(volume.block_filesystem(), Some(lvm::Filesystem::Xfs));
}

#[test]
fn wrong_values_are_errors_that_name_the_key() {
    let config: Config =
        ["size", "security.shared", "initial.gid", "initial.mode", "snapshots.expiry", "snapshots.schedule"]
            .map(|key| (key, "?!"))
            .into();
    let config = dir::VolumeConfig::from(&config);
    let keys = [
        config.size().unwrap_err(),
        config.security_shared().unwrap_err(),
        config.initial_gid().unwrap_err(),
        config.initial_mode().unwrap_err(),
        config.snapshots_expiry().unwrap_err(),
        config.snapshots_schedule().unwrap_err(),
    ];
    let named: Vec<&str> = keys.iter().map(crate::ValueError::key).collect();
    assert_eq!(
        named,
        ["size", "security.shared", "initial.gid", "initial.mode", "snapshots.expiry", "snapshots.schedule"]
    );
}

#[test]
fn unknown_keys_are_kept() {
    let config: Config = [("btrfs.colour", "blue"), ("user.k", "v")].into();
    let typed = btrfs::PoolConfig::from(&config).with_rsync_compression(false).with_user("l", "w");
    assert_eq!(typed.user().collect::<Vec<_>>(), [("k", "v"), ("l", "w")]);
    let config = Config::from(typed.with_config("new.key", "1"));
    assert_eq!((config.text("btrfs.colour"), config.text("new.key")), (Some("blue"), Some("1")));
    let post = StorageVolumesPost::new("v").with_config("size", "1MiB").with_keys(config);
    assert_eq!((post.config.text("size"), post.config.text("btrfs.colour")), (Some("1MiB"), Some("blue")));
}

#[test]
fn a_pool_holds_the_defaults_of_its_volumes() {
    let defaults = zfs::VolumeConfig::new().with_zfs_blocksize(Size::mib(1)).with_zfs_block_mode(true);
    let pool = zfs::PoolConfig::new().with_zfs_export(false).with_volume_defaults(defaults.clone());
    assert_eq!(pool.as_config().text("volume.zfs.blocksize"), Some("1MiB"));
    assert_eq!(pool.volume_defaults(), defaults);
    assert_eq!(pool.zfs_export().unwrap(), Some(false));
}

#[test]
fn secrets_are_hidden() {
    for driver in all() {
        for key in driver.pool.iter().filter(|key| key.kind == Kind::Secret) {
            let config: Config = [(key.name, "s3cret")].into();
            assert!(!format!("{config:?}").contains("s3cret"), "{}", key.name);
        }
    }
    let shown = format!("{:?}", truenas::PoolConfig::new().with_truenas_api_key("s3cret"));
    assert_eq!(shown, r#"PoolConfig({"truenas.api_key": "***"})"#);
}

#[test]
fn the_table_is_in_order() {
    let names: Vec<&str> = all().map(|driver| driver.name).collect();
    assert!(names.is_sorted() && names.len() == 14, "{names:?}");
    for driver in all() {
        assert_eq!(find(driver.name), Some(driver));
        assert!(!driver.releases.is_empty() && !driver.pool.is_empty(), "{}", driver.name);
        assert_eq!(driver.bucket.is_empty(), driver.buckets.is_empty(), "{}", driver.name);
        for keys in [driver.pool, driver.volume, driver.bucket] {
            assert!(keys.iter().map(|key| key.name).is_sorted_by(|a, b| a < b), "{}", driver.name);
        }
        for key in driver.pool.iter().chain(driver.volume) {
            let name = key.name;
            assert!(!key.releases.is_empty(), "{}: {name}", driver.name);
            assert!(key.releases.iter().all(|release| driver.releases.contains(release)), "{name}");
            assert_eq!(key.computed, name.starts_with("volatile."), "{name}");
        }
    }
}

#[test]
fn defaults_are_values_of_their_kind() {
    for key in all().flat_map(|driver| driver.pool.iter().chain(driver.volume)) {
        let Some(default) = key.default else { continue };
        let config: Config = [(key.name, default)].into();
        let is_legal = match key.kind {
            Kind::Bool => config.bool(key.name).is_ok(),
            Kind::Int => config.int(key.name).is_ok(),
            Kind::Size => config.size(key.name).is_ok(),
            Kind::FileMode => config.file_mode(key.name).is_ok(),
            Kind::NamePattern => config.name_pattern(key.name).is_ok(),
            Kind::Choice(words) => words.contains(&default),
            _ => true,
        };
        assert!(is_legal, "{}: {default:?}", key.name);
    }
}

#[test]
fn keys_are_found_and_described() {
    let info = find("btrfs").unwrap();
    assert!(info.optimized_backup && !info.remote && info.content_types.contains(&ContentType::Iso));
    let size = info.pool_key("size").unwrap();
    assert_eq!((size.kind, size.scope, size.releases), (Kind::Size, Scope::Local, Release::ALL));
    assert_eq!(info.pool_key("volume.size"), info.volume_key("size"));
    assert!(info.pool_key("volume.volatile.uuid").is_none() && info.pool_key("volume.dependent").is_none());
    let uid = info.volume_key("initial.uid").unwrap();
    assert_eq!((uid.default, uid.extension), (Some("0"), Some("storage_initial_owner")));
    assert!(uid.is_known_by(Release::Incus60) && !uid.is_known_by(Release::Lxd521));

    let reuse = find("lvm").unwrap().pool_key("lvm.vg.force_reuse").unwrap();
    assert!(reuse.is_local(Release::Incus60) && !reuse.is_local(Release::Lxd50));
    assert!(find("zfs").unwrap().pool_key("zfs.pool_name").unwrap().is_local(Release::Lxd50));
    let raw = find("linstor").unwrap();
    assert!(raw.pool_key("linstor.raw.a/b").is_some() && raw.pool_key("linstor.raw.").is_none());
    assert!(find("powerflex").unwrap().pool_key("powerflex.pool").unwrap().required);
    assert!(find("dir").unwrap().pool_key("source").unwrap().immutable);
    assert_eq!(find("cephobject").unwrap().volume, []);
    // A shared key is known where both the key and the driver are.
    let shared = find("powerstore").unwrap().volume_key("snapshots.expiry").unwrap();
    assert_eq!(shared.releases, [Release::LxdLatest]);
}

#[test]
fn a_post_names_the_driver_of_its_config() {
    let post = powerflex::PoolConfig::new().with_powerflex_mode(powerflex::Mode::Sdc).into_post("p");
    assert_eq!((post.name.as_str(), post.driver.as_str()), ("p", "powerflex"));
    assert_eq!(post.config.text("powerflex.mode"), Some("sdc"));
}

#[test]
fn releases_have_names() {
    let names: Vec<String> = Release::ALL.iter().map(ToString::to_string).collect();
    assert_eq!(names, ["lxd-5.0", "lxd-5.21", "lxd-latest", "incus-6.0", "incus-latest"]);
    assert_eq!(Release::Incus60.server(), ServerFamily::Incus);
}
