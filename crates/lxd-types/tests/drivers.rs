//! Pools and volumes of drivers that no test machine can run, as their servers answer. Nobody captured these: they are
//! written by the field lists and key lists of those servers, with values as a server stores them.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

use lxd_types::{
    Config, ContentType, Entity, PoolStatus, Reference, Size, StoragePool, StorageVolume, VolumeType,
    drivers::{self, ceph, cephfs, linstor, lvm, powerflex, zfs},
};
use serde::{Serialize, de::DeserializeOwned};
use serde_json::{Value, json};

/// Decodes, encodes and compares.
fn round_trip<T: DeserializeOwned + Serialize + PartialEq + std::fmt::Debug>(answer: &Value) -> T {
    let decoded: T = serde_json::from_value(answer.clone()).unwrap();
    let encoded = serde_json::to_value(&decoded).unwrap();
    for (field, value) in answer.as_object().unwrap() {
        assert_eq!(encoded.get(field), Some(value), "{field}");
    }
    assert_eq!(serde_json::from_value::<T>(encoded).unwrap(), decoded);
    decoded
}

fn pool(driver: &str, config: &Value, locations: &[&str]) -> StoragePool {
    let pool: StoragePool = round_trip(&json!({
        "name": "remote", "driver": driver, "description": "", "status": "Created", "config": config,
        "used_by": ["/1.0/storage-pools/remote/volumes/custom/data?project=blue"], "locations": locations,
    }));
    assert_eq!((&*pool.driver, pool.status.clone()), (driver, PoolStatus::Created));
    let user = Reference::parse(&pool.used_by[0]);
    assert_eq!(user.project.as_deref(), Some("blue"));
    assert!(matches!(&user.entity, Entity::Volume { name, .. } if name == "data"));
    let known = drivers::find(driver).unwrap();
    for key in config.as_object().unwrap().keys() {
        assert!(known.pool_key(key).is_some(), "the table of {driver} lacks {key}");
    }
    pool
}

fn volume(driver: &str, config: &Value) -> Config {
    let volume: StorageVolume = round_trip(&json!({
        "name": "data", "type": "custom", "content_type": "block", "description": "d", "config": config,
        "project": "default", "location": "", "created_at": "2026-01-02T03:04:05.000000006Z", "used_by": [],
    }));
    assert_eq!(
        (&volume.volume_type, &volume.content_type),
        (&VolumeType::Custom, &ContentType::Block),
        "a volume of a remote driver is on no member: {:?}",
        volume.location
    );
    let known = drivers::find(driver).unwrap();
    for key in config.as_object().unwrap().keys() {
        assert!(known.volume_key(key).is_some(), "the table of {driver} lacks {key}");
    }
    volume.config
}

#[test]
fn zfs_pools_and_volumes() {
    let config = json!({"source": "tank/lxd", "volatile.initial_source": "/dev/sdb", "zfs.pool_name": "tank/lxd",
        "zfs.clone_copy": "rebase", "zfs.export": "true", "size": "32212254720"});
    let pool = zfs::PoolConfig::from(pool("zfs", &config, &["none"]).config);
    assert_eq!(
        (pool.zfs_pool_name(), pool.zfs_clone_copy()),
        (Some("tank/lxd"), Some(zfs::CloneCopy::Rebase))
    );
    assert_eq!((pool.zfs_export(), pool.size()), (Ok(Some(true)), Ok(Some(Size::gib(30)))));
    let config = json!({"size": "10GiB", "zfs.blocksize": "16KiB", "zfs.use_refquota": "false"});
    let volume = zfs::VolumeConfig::from(volume("zfs", &config));
    assert_eq!(
        (volume.zfs_blocksize(), volume.zfs_use_refquota()),
        (Ok(Some(Size::kib(16))), Ok(Some(false)))
    );
}

#[test]
fn lvm_pools_and_volumes() {
    let config = json!({"source": "vg0", "lvm.vg_name": "vg0", "lvm.thinpool_name": "LXDThinPool",
        "lvm.use_thinpool": "true", "lvm.thinpool_metadata_size": "1GiB"});
    let pool = lvm::PoolConfig::from(pool("lvm", &config, &["n1", "n2"]).config);
    assert_eq!((pool.lvm_vg_name(), pool.lvm_thinpool_name()), (Some("vg0"), Some("LXDThinPool")));
    assert_eq!(pool.lvm_thinpool_metadata_size(), Ok(Some(Size::gib(1))));
    // LXD writes these into each new volume by itself.
    let config = json!({"block.filesystem": "ext4", "block.mount_options": "discard", "size": "10737418240"});
    let volume = lvm::VolumeConfig::from(volume("lvm", &config));
    assert_eq!((volume.block_mount_options(), volume.size()), (Some("discard"), Ok(Some(Size::gib(10)))));
}

#[test]
fn ceph_and_cephfs_pools() {
    let config = json!({"source": "lxd", "ceph.cluster_name": "ceph", "ceph.osd.pg_num": "32",
        "ceph.osd.pool_name": "lxd", "ceph.rbd.features": "layering,exclusive-lock", "ceph.user.name": "admin",
        "volatile.initial_source": "lxd", "volatile.pool.pristine": "true"});
    let rbd = ceph::PoolConfig::from(pool("ceph", &config, &["n1", "n2", "n3"]).config);
    assert_eq!((rbd.ceph_osd_pg_num(), rbd.ceph_user_name()), (Ok(Some(32)), Some("admin")));
    assert_eq!(rbd.ceph_rbd_features(), ["layering", "exclusive-lock"]);
    let config = json!({"source": "lxd-fs/lxd", "cephfs.cluster_name": "ceph", "cephfs.path": "lxd-fs/lxd",
        "cephfs.fscache": "false", "cephfs.user.name": "admin"});
    let fs = cephfs::PoolConfig::from(pool("cephfs", &config, &["n1"]).config);
    assert_eq!((fs.cephfs_path(), fs.cephfs_fscache()), (Some("lxd-fs/lxd"), Ok(Some(false))));
}

#[test]
fn pools_of_appliances() {
    let config = json!({"powerflex.gateway": "https://gateway", "powerflex.gateway.verify": "false",
        "powerflex.mode": "nvme/tcp", "powerflex.pool": "sp1", "powerflex.domain": "pd1",
        "powerflex.user.name": "admin", "powerflex.user.password": "hunter2"});
    let pool = pool("powerflex", &config, &["n1"]);
    assert!(!format!("{pool:?}").contains("hunter2"));
    let typed = powerflex::PoolConfig::from(pool.config);
    assert_eq!((typed.powerflex_gateway_verify(), typed.powerflex_pool()), (Ok(Some(false)), Some("sp1")));
    // LXD renamed this value; the new text is kept as it is.
    assert_eq!(typed.powerflex_mode().unwrap().as_str(), "nvme/tcp");
}

#[test]
fn linstor_pools_and_volumes() {
    let config = json!({"source": "incus", "linstor.resource_group.name": "incus",
        "linstor.resource_group.place_count": "2", "drbd.on_no_quorum": "suspend-io", "volatile.pool.pristine": "true"});
    let typed = linstor::PoolConfig::from(pool("linstor", &config, &["n1", "n2"]).config);
    assert_eq!(typed.linstor_resource_group_place_count(), Ok(Some(2)));
    let config = json!({"size": "10GiB", "linstor.remove_snapshots": "true", "drbd.auto_diskful": "30m"});
    let typed = linstor::VolumeConfig::from(volume("linstor", &config));
    assert_eq!((typed.linstor_remove_snapshots(), typed.drbd_auto_diskful()), (Ok(Some(true)), Some("30m")));
}
