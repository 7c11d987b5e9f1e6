//! The storage schemas of the LXD and Incus REST API, as plain data.
//!
//! This crate turns the JSON of `/1.0/storage-pools/...` into types and back. It does no I/O, starts no
//! runtime and knows no HTTP: programs that read recorded answers, write servers or build another client use
//! it alone, and pay for `serde` and `serde_json` only.
//!
//! ```
//! use lxd_types::{Envelope, StoragePool};
//!
//! let body = br#"{"type":"sync","status":"Success","status_code":200,"operation":"","error_code":0,"error":"",
//!     "metadata":{"name":"fast","driver":"zfs","description":"","config":{"zfs.pool_name":"tank","size":"10GiB"},
//!                 "used_by":null,"status":"Created","locations":["none"],"colour":"blue"}}"#;
//!
//! let pool: StoragePool = Envelope::parse(body)?.decode()?;
//! assert_eq!(pool.name, "fast");
//! assert_eq!(pool.config.size("size")?.map(|s| s.bytes()), Some(10 << 30));
//! assert_eq!(pool.config.driver("zfs").collect::<Vec<_>>(), [("pool_name", "tank")]);
//! assert!(pool.used_by.is_empty());            // null decodes as empty
//! assert_eq!(pool.extra["colour"], "blue");    // what we don't know survives
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # Rules that every type keeps
//!
//! * A field that the server sends and we don't know lands in `extra` and is written back. A `PUT` replaces the
//!   whole object on the server, so what was dropped here would be erased there.
//! * An enum's text that we don't know stays readable through `as_str` and is written back as it came.
//! * `null` and absent lists and maps are empty; `null`, absent and zero (`0001-01-01T00:00:00Z`) times are `None`.
//! * No input panics; a value of the wrong type is an error that names it.
//! * What is read (`StoragePool`), what replaces it (`StoragePoolPut`) and what creates it (`StoragePoolsPost`)
//!   are types apart, named as in LXD's own API.
//!
//! # Where things are
//!
//! | module | what |
//! |---|---|
//! | [`pool`], [`volume`], [`volume_full`] | the storage objects: get, put and post shapes |
//! | [`volume_path`] | volumes and snapshots as people write them |
//! | [`config`], [`size`] | the string-to-string config, its booleans and sizes |
//! | [`drivers`] | what each storage driver takes: typed configs, and a table for programs |
//! | [`lifespan`], [`schedule`], [`name_pattern`], [`file_mode`] | what else a key can hold |
//! | [`mod@reference`], [`entity`] | the URLs of `used_by`, typed, and what they stand for |
//! | [`envelope`], [`operation`], [`server`] | what carries the answers, long work, the server and its extensions |
//! | [`snapshot`], [`backup`], [`backup_target`], [`expiry`] | what is kept of volumes, where, and for how long |
//! | [`bucket`], [`bucket_backup`] | buckets, the keys that open them, and their backups |
//! | [`secrets`] | what opens something, kept out of every log |
//! | [`cluster`] | the members of a cluster |
//! | [`event`] | what a server tells while it happens |
//! | [`timestamp`] | points in time, with nothing but the standard library |

#[macro_use]
mod object;
#[macro_use]
mod open_enum;
#[macro_use]
mod setters;

mod beside;
mod parse_error;
mod source;

pub mod backup;
pub mod backup_target;
pub mod bitmap;
pub mod bucket;
pub mod bucket_backup;
pub mod bucket_full;
pub mod cluster;
pub mod config;
pub mod drivers;
pub mod entity;
pub mod envelope;
pub mod event;
pub mod expiry;
pub mod file;
pub mod file_mode;
pub mod lifespan;
pub mod name_pattern;
pub mod operation;
pub mod patch;
pub mod pool;
pub mod progress;
pub mod reference;
pub mod schedule;
pub mod secrets;
pub mod server;
pub mod size;
pub mod snapshot;
pub mod timestamp;
pub mod volume;
pub mod volume_full;
pub mod volume_path;

#[doc(inline)]
pub use self::{
    backup::{Compression, StorageVolumeBackup, StorageVolumeBackupPost, StorageVolumeBackupsPost},
    backup_target::{BackupProtocol, BackupTarget},
    bitmap::{StorageVolumeBitmap, StorageVolumeBitmapsPost},
    bucket::{
        BucketKeyRole, StorageBucket, StorageBucketKey, StorageBucketKeyPut, StorageBucketKeysPost,
        StorageBucketPut, StorageBucketsPost,
    },
    bucket_backup::{StorageBucketBackup, StorageBucketBackupPost, StorageBucketBackupsPost},
    bucket_full::StorageBucketFull,
    cluster::{ClusterMember, ClusterMemberState, MemberStatus},
    config::{Config, ValueError},
    entity::Entity,
    envelope::{Envelope, ResponseType},
    event::{Event, EventType, Lifecycle, LifecycleAction, Requestor},
    expiry::Expiry,
    file::{FileInfo, FileOptions, FileType},
    file_mode::FileMode,
    lifespan::Lifespan,
    name_pattern::NamePattern,
    operation::{Operation, OperationClass, StatusCode},
    parse_error::ParseError,
    patch::Patch,
    pool::{
        PoolInodes, PoolSpace, PoolStatus, ResourcesStoragePool, StoragePool, StoragePoolPut,
        StoragePoolsPost,
    },
    progress::Progress,
    reference::Reference,
    schedule::Schedule,
    secrets::{Secret, Secrets},
    server::{Environment, Extensions, Server, ServerFamily, StorageDriver},
    size::Size,
    snapshot::{
        StorageVolumeSnapshot, StorageVolumeSnapshotPost, StorageVolumeSnapshotPut,
        StorageVolumeSnapshotsPost,
    },
    timestamp::Timestamp,
    volume::{
        ContentType, MigrationMode, SourceType, StorageVolume, StorageVolumePost, StorageVolumePostTarget,
        StorageVolumePut, StorageVolumeSource, StorageVolumeState, StorageVolumeUsage, StorageVolumesPost,
        VolumeType,
    },
    volume_full::StorageVolumeFull,
    volume_path::{VolumePath, VolumePathError},
};

/// Fields that a server sent and this version of the crate does not know, by their JSON name.
pub type Extra = std::collections::BTreeMap<String, serde_json::Value>;
