//! Pools and volumes of drivers that no machine of the tests has, as their servers answer, through the typed configs.
//!
//! The answers are written by hand; `tests/fixtures/written/README.md` says after what.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

mod support;

use lxd_types::{
    Config, ContentType, Entity, FileMode, Lifespan, Operation, PoolStatus, Reference, Schedule, Server,
    Size, StorageBucket, StoragePool, StorageVolume,
    drivers::{
        self, DriverInfo, Key, Kind, Release, alletra, ceph, cephfs, cephobject, linstor, lvm, lvmcluster,
        powerflex, powerstore, pure, truenas, zfs,
    },
};
use support::{decode, read, round_trip, unread};

/// Each driver that runs on no server of the tests, and the server that the answers are of.
const DRIVERS: [(&str, Release); 12] = [
    ("alletra", Release::LxdLatest),
    ("ceph", Release::LxdLatest),
    ("cephfs", Release::LxdLatest),
    ("cephobject", Release::LxdLatest),
    ("linstor", Release::IncusLatest),
    ("lvm", Release::IncusLatest),
    ("lvmcluster", Release::IncusLatest),
    ("powerflex", Release::LxdLatest),
    ("powerstore", Release::LxdLatest),
    ("pure", Release::LxdLatest),
    ("truenas", Release::IncusLatest),
    ("zfs", Release::LxdLatest),
];

fn pool<T: From<Config>>(name: &str) -> T {
    decode::<StoragePool>("written", name).config.into()
}

fn volume<T: From<Config>>(name: &str) -> T {
    decode::<StorageVolume>("written", name).config.into()
}

fn mib(count: u32) -> Option<Size> {
    Some(Size::mib(count))
}

fn gib(count: u32) -> Option<Size> {
    Some(Size::gib(count))
}

/// Whether every key is one that the table has for this driver and server, with a value of its kind.
fn check_keys(release: Release, config: &Config, find: impl Fn(&str) -> Option<&'static Key>) {
    for (name, value) in config.iter() {
        let key = find(name).unwrap_or_else(|| panic!("{name} is in no table"));
        assert!(key.is_known_by(release), "{name} is not of {release}");
        let is_legal = match key.kind {
            Kind::Bool => config.bool(name).is_ok(),
            Kind::Int => config.int(name).is_ok(),
            Kind::Size => config.size(name).is_ok(),
            Kind::FileMode => config.file_mode(name).is_ok(),
            Kind::Lifespan => config.lifespan(name).is_ok(),
            Kind::Schedule => config.schedule(name).is_ok(),
            Kind::NamePattern => config.name_pattern(name).is_ok(),
            Kind::Choice(words) => words.contains(&&**value),
            _ => true,
        };
        assert!(is_legal, "{name}: {value:?}");
    }
}

#[test]
fn every_driver_that_runs_nowhere_here_has_answers() {
    let here = ["btrfs", "dir"];
    let all: Vec<&str> =
        drivers::all().map(|driver| driver.name).filter(|name| !here.contains(name)).collect();
    assert_eq!(DRIVERS.map(|(name, _)| name).to_vec(), all);
    let known = DRIVERS.map(|(name, _)| format!("\"pool-{name}\" \"volume-{name}\"")).join(" ");
    assert_eq!(unread("written", &format!("{known} {}", include_str!("drivers.rs"))), Vec::<String>::new());
}

#[test]
fn all_go_through_decode_and_encode_with_keys_that_the_table_knows() {
    for (name, release) in DRIVERS {
        let info: &DriverInfo = drivers::find(name).unwrap();
        let pool: StoragePool = round_trip("written", &format!("pool-{name}"));
        assert_eq!((&*pool.driver, &pool.status), (name, &PoolStatus::Created));
        assert_eq!(pool.locations.len(), if info.remote { 3 } else { 1 }, "{name}");
        assert!(pool.extra.is_empty(), "{name}: {:?}", pool.extra);
        check_keys(release, &pool.config, |key| info.pool_key(key));
        let users: Vec<Reference> = pool.used_by.iter().map(|url| Reference::parse(url)).collect();
        assert!(users.iter().all(|user| user.entity != Entity::Other), "{users:?}");
        // A change of the description sends all else as it came.
        let put = serde_json::to_value(pool.to_put()).unwrap();
        assert_eq!(put["config"], serde_json::to_value(&pool.config).unwrap());
        for key in info.pool.iter().filter(|key| key.required && key.is_known_by(release)) {
            assert!(pool.config.text(key.name).is_some(), "{name} cannot be without {}", key.name);
        }
        if info.volume.is_empty() {
            continue;
        }
        let volume: StorageVolume = round_trip("written", &format!("volume-{name}"));
        assert!(info.content_types.contains(&volume.content_type) && volume.extra.is_empty(), "{name}");
        assert_eq!(volume.pool.is_some(), release == Release::LxdLatest, "only LXD names the pool");
        assert_eq!(volume.location.is_empty(), pool.locations.len() == 3, "members share remote volumes");
        assert!(volume.created_at.is_some());
        check_keys(release, &volume.config, |key| info.volume_key(key));
    }
}

#[test]
fn zfs_is_typed() {
    let pool: zfs::PoolConfig = pool("pool-zfs");
    assert_eq!((pool.size().unwrap(), pool.zfs_pool_name()), (gib(30), Some("zfs0")));
    assert_eq!(
        (pool.zfs_clone_copy(), pool.zfs_export().unwrap()),
        (Some(zfs::CloneCopy::Rebase), Some(false))
    );
    assert_eq!(pool.source_recover().unwrap(), Some(true));
    let defaults = pool.volume_defaults();
    assert_eq!(defaults.zfs_blocksize().unwrap(), Size::new(8 << 10));
    assert_eq!(
        (defaults.zfs_remove_snapshots().unwrap(), defaults.snapshots_schedule().unwrap()),
        (Some(true), Some(Schedule::DAILY))
    );

    let volume: zfs::VolumeConfig = volume("volume-zfs");
    assert_eq!((volume.size().unwrap(), volume.zfs_blocksize().unwrap()), (gib(10), Size::new(8 << 10)));
    assert_eq!(
        (volume.zfs_block_mode().unwrap(), volume.zfs_use_refquota().unwrap()),
        (Some(true), Some(true))
    );
    assert_eq!(
        (volume.zfs_reserve_space().unwrap(), volume.zfs_delegate().unwrap()),
        (Some(false), Some(false))
    );
    assert_eq!(
        (volume.zfs_promote().unwrap(), volume.zfs_remove_snapshots().unwrap()),
        (Some(true), Some(true))
    );
    assert_eq!(
        (volume.block_filesystem(), volume.block_mount_options()),
        (Some(zfs::Filesystem::Xfs), Some("discard,noatime"))
    );
    assert_eq!(volume.snapshots_expiry().unwrap(), Some(Lifespan::new().with_weeks(2).with_days(3)));
    assert_eq!(volume.snapshots_pattern().unwrap().unwrap().to_string(), "nightly-%d");
    assert_eq!((volume.security_shifted().unwrap(), volume.volatile_idmap_last()), (Some(true), Some("[]")));
    assert!(volume.volatile_uuid().is_some());
    let rights: StorageVolume = decode("written", "volume-zfs");
    assert_eq!(rights.access_entitlements.unwrap(), ["can_edit"]);
    let pool: StoragePool = decode("written", "pool-zfs");
    let users: Vec<Reference> = pool.used_by.iter().map(|url| Reference::parse(url)).collect();
    let blue = users.iter().find(|user| user.project.as_deref() == Some("blue")).unwrap();
    assert!(matches!(&blue.entity, Entity::Volume { name, .. } if name == "data"), "{users:?}");
}

#[test]
fn lvm_and_lvmcluster_are_typed() {
    let local: lvm::PoolConfig = pool("pool-lvm");
    assert_eq!((local.lvm_vg_name(), local.lvm_thinpool_name()), (Some("lvm0"), Some("IncusThinPool")));
    assert_eq!(
        (local.lvm_use_thinpool().unwrap(), local.lvm_vg_force_reuse().unwrap()),
        (Some(true), Some(false))
    );
    assert_eq!(
        (local.lvm_thinpool_metadata_size().unwrap(), local.lvm_metadata_size().unwrap()),
        (mib(128), Size::new(0))
    );
    assert_eq!((local.size().unwrap(), local.source_wipe().unwrap()), (gib(20), Some(true)));
    let defaults = local.volume_defaults();
    assert_eq!(
        (defaults.lvm_stripes().unwrap(), defaults.block_filesystem()),
        (Some(2), Some(lvm::Filesystem::Xfs))
    );

    let data: lvm::VolumeConfig = volume("volume-lvm");
    assert_eq!(
        (data.lvm_stripes().unwrap(), data.lvm_stripes_size().unwrap()),
        (Some(2), Size::new(64 << 10))
    );
    assert_eq!((data.initial_uid().unwrap(), data.initial_gid().unwrap()), (Some(1000), Some(1000)));
    assert_eq!(
        (data.initial_mode().unwrap(), data.block_create_options()),
        (FileMode::new(0o750), Some("-i size=1024"))
    );
    assert_eq!(data.snapshots_expiry_manual().unwrap(), Some(Lifespan::new().with_days(1)));

    let shared: lvmcluster::PoolConfig = pool("pool-lvmcluster");
    assert_eq!(
        (shared.lvm_vg_name(), shared.source(), shared.size().unwrap()),
        (Some("shared"), Some("shared"), gib(2048))
    );
    assert_eq!(shared.volume_defaults().lvmcluster_remove_snapshots().unwrap(), Some(true));
    let disk: lvmcluster::VolumeConfig = volume("volume-lvmcluster");
    assert_eq!(
        (disk.block_type(), disk.dependent().unwrap()),
        (Some(lvmcluster::BlockType::Qcow2), Some(true))
    );
    let object: StorageVolume = decode("written", "volume-lvmcluster");
    assert_eq!(object.content_type, ContentType::Block);
}

#[test]
fn ceph_in_its_three_forms_is_typed() {
    let block: ceph::PoolConfig = pool("pool-ceph");
    assert_eq!((block.ceph_cluster_name(), block.ceph_osd_pool_name()), (Some("ceph"), Some("lxd")));
    assert_eq!((block.ceph_osd_pg_num().unwrap(), block.ceph_osd_pool_size().unwrap()), (Some(32), Some(3)));
    assert_eq!(
        (block.ceph_rbd_clone_copy().unwrap(), block.ceph_rbd_du().unwrap()),
        (Some(true), Some(false))
    );
    assert_eq!(block.ceph_rbd_features(), ["layering", "striping", "exclusive-lock"]);
    assert_eq!((block.ceph_osd_data_pool_name(), block.ceph_user_name()), (Some("lxd-data"), Some("admin")));
    assert_eq!(block.volatile_pool_pristine().unwrap(), Some(true));
    let disk: ceph::VolumeConfig = volume("volume-ceph");
    assert_eq!(
        (disk.size().unwrap(), disk.security_shared().unwrap()),
        (Size::new(20_000_000_000), Some(true))
    );

    let files: cephfs::PoolConfig = pool("pool-cephfs");
    assert_eq!((files.cephfs_path(), files.cephfs_fscache().unwrap()), (Some("lxd/volumes"), Some(true)));
    assert_eq!((files.cephfs_data_pool(), files.cephfs_meta_pool()), (Some("fs-data"), Some("fs-meta")));
    assert_eq!(
        (files.cephfs_osd_pg_num().unwrap(), files.cephfs_osd_pool_size().unwrap()),
        (Some(64), Some(2))
    );
    assert_eq!(
        (files.cephfs_create_missing().unwrap(), files.cephfs_cluster_name()),
        (Some(true), Some("ceph"))
    );
    let data: cephfs::VolumeConfig = volume("volume-cephfs");
    assert_eq!((data.size().unwrap(), data.security_unmapped().unwrap()), (gib(5), Some(true)));

    let objects: cephobject::PoolConfig = pool("pool-cephobject");
    assert_eq!(objects.cephobject_radosgw_endpoint(), Some("https://radosgw.example.net:7480"));
    assert_eq!(objects.cephobject_radosgw_endpoint_cert_file(), Some("/etc/ceph/radosgw.crt"));
    assert_eq!(
        (objects.cephobject_bucket_name_prefix(), objects.cephobject_user_name()),
        (Some("lxd-"), Some("admin"))
    );
    let bucket: StorageBucket = round_trip("written", "bucket-cephobject");
    assert_eq!(bucket.access_entitlements.as_ref().unwrap(), &["can_view"]);
    check_keys(Release::LxdLatest, &bucket.config, |key| {
        drivers::find("cephobject").unwrap().bucket_key(key)
    });
    let config: cephobject::BucketConfig = bucket.config.into();
    assert_eq!(config.size().unwrap(), gib(100));
}

#[test]
fn appliances_are_typed_and_their_secrets_not_shown() {
    let flex: powerflex::PoolConfig = pool("pool-powerflex");
    assert_eq!(
        (flex.powerflex_gateway(), flex.powerflex_gateway_verify().unwrap()),
        (Some("https://powerflex.example.net"), Some(false))
    );
    assert_eq!(
        (flex.powerflex_mode(), flex.powerflex_pool()),
        (Some(powerflex::Mode::NvmeTcp), Some("pool1"))
    );
    assert_eq!(
        (flex.powerflex_domain(), flex.powerflex_snapshot_copy().unwrap()),
        (Some("domain1"), Some(true))
    );
    assert_eq!(
        (flex.powerflex_sdt(), flex.volatile_powerflex_version()),
        (vec!["10.0.0.5".to_owned(), "10.0.0.6".to_owned()], Some("4.5"))
    );
    assert_eq!(
        (flex.powerflex_user_name(), flex.powerflex_user_password()),
        (Some("admin"), Some("p4ssw0rd"))
    );
    assert_eq!(flex.volume_defaults().block_type(), Some(powerflex::BlockType::Thin));
    let data: powerflex::VolumeConfig = volume("volume-powerflex");
    assert_eq!(
        (data.block_type(), data.block_filesystem()),
        (Some(powerflex::BlockType::Thick), Some(powerflex::Filesystem::Btrfs))
    );
    assert_eq!(data.size().unwrap(), gib(8));

    let store: powerstore::PoolConfig = pool("pool-powerstore");
    assert_eq!(store.powerstore_gateway(), Some("https://powerstore.example.net/api/rest"));
    assert_eq!(
        (store.powerstore_mode(), store.powerstore_target().len()),
        (Some(powerstore::Mode::FibreChannel), 2)
    );
    let data: powerstore::VolumeConfig = volume("volume-powerstore");
    assert_eq!(data.snapshots_schedule().unwrap().unwrap().to_string(), "0 6 * * *");

    let array: pure::PoolConfig = pool("pool-pure");
    assert_eq!((array.pure_mode(), array.pure_api_token()), (Some(pure::Mode::Iscsi), Some("t0ken")));
    assert_eq!((array.pure_target(), array.size().unwrap()), (vec!["10.0.0.9".to_owned()], gib(1024)));
    let data: pure::VolumeConfig = volume("volume-pure");
    assert_eq!(data.size().unwrap(), gib(9));

    let array: alletra::PoolConfig = pool("pool-alletra");
    assert_eq!(
        (array.alletra_wsapi(), array.alletra_wsapi_verify().unwrap()),
        (Some("https://alletra.example.net"), Some(true))
    );
    assert_eq!((array.alletra_cpg(), array.alletra_mode()), (Some("SSD_r6"), Some(alletra::Mode::Iscsi)));
    assert_eq!((array.alletra_user_name(), array.alletra_target().len()), (Some("edit"), 2));
    let data: alletra::VolumeConfig = volume("volume-alletra");
    assert_eq!((data.size().unwrap(), data.security_shared().unwrap()), (mib(256), Some(false)));

    for (name, secret) in [
        ("pool-powerflex", "p4ssw0rd"),
        ("pool-powerstore", "p4ssw0rd"),
        ("pool-pure", "t0ken"),
        ("pool-alletra", "p4ssw0rd"),
        ("pool-truenas", "1-s3cret"),
    ] {
        assert!(read("written", name).contains(secret));
        let pool: StoragePool = decode("written", name);
        assert!(!format!("{pool:?} {pool:#?}").contains(secret), "{name}");
    }
}

#[test]
fn linstor_and_truenas_are_typed() {
    let cluster: linstor::PoolConfig = pool("pool-linstor");
    assert_eq!(
        (cluster.linstor_resource_group_name(), cluster.linstor_resource_group_place_count().unwrap()),
        (Some("incus"), Some(3))
    );
    assert_eq!(
        (cluster.linstor_resource_group_storage_pool(), cluster.linstor_volume_prefix()),
        (Some("nvme"), Some("incus-volume-"))
    );
    assert_eq!(
        (cluster.drbd_on_no_quorum(), cluster.drbd_auto_diskful()),
        (Some(linstor::OnNoQuorum::IoError), Some("30m"))
    );
    assert_eq!(cluster.drbd_auto_add_quorum_tiebreaker().unwrap(), Some(false));
    assert_eq!(cluster.linstor_raw().collect::<Vec<_>>(), [("DrbdOptions/Net/protocol", "C")]);
    let data: linstor::VolumeConfig = volume("volume-linstor");
    assert_eq!(
        (data.drbd_on_no_quorum(), data.linstor_remove_snapshots().unwrap()),
        (Some(linstor::OnNoQuorum::SuspendIo), Some(true))
    );
    assert_eq!(data.linstor_raw().collect::<Vec<_>>(), [("DrbdOptions/auto-quorum", "disabled")]);

    let nas: truenas::PoolConfig = pool("pool-truenas");
    assert_eq!(
        (nas.truenas_host(), nas.truenas_dataset()),
        (Some("truenas.example.net"), Some("tank/incus"))
    );
    assert_eq!((nas.truenas_api_key(), nas.truenas_portal()), (Some("1-s3cret"), Some("10.0.0.12:3260")));
    assert_eq!(
        (nas.truenas_allow_insecure().unwrap(), nas.truenas_clone_copy().unwrap()),
        (Some(true), Some(false))
    );
    assert_eq!(
        (nas.truenas_config(), nas.truenas_force_reuse().unwrap()),
        (Some("/etc/truenas.conf"), Some(false))
    );
    let data: truenas::VolumeConfig = volume("volume-truenas");
    assert_eq!(
        (data.truenas_blocksize().unwrap(), data.truenas_use_refquota().unwrap()),
        (Size::new(16 << 10), Some(true))
    );
    assert_eq!(data.truenas_remove_snapshots().unwrap(), Some(false));
}

#[test]
fn newest_lxd_says_more_of_itself_and_its_work() {
    let server: Server = round_trip("written", "server");
    assert_eq!(
        (server.client_certificate, server.environment.backup_metadata_versions()),
        (Some(true), Some(1..=2))
    );
    let operation: Operation = round_trip("written", "operation");
    assert_eq!((operation.err_code, operation.child_count), (Some(409), Some(0)));
    assert_eq!(operation.requestor.unwrap().address.as_deref(), Some("10.0.0.2:50000"));
}
