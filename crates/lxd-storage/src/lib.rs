//! The storage client for LXD and Incus.
//!
//! Pools, volumes and buckets over a Unix socket, HTTPS with client certificates, or a transport of your own; one code base
//! for LXD 5.0 and later and for Incus.
//!
//! ```no_run
//! use lxd_storage::{Client, types::{Size, StorageVolumesPost}};
//!
//! # #[cfg(feature = "unix")]
//! # async fn example() -> Result<(), lxd_storage::Error> {
//! let client = Client::local().await?;
//! let volumes = client.storage_pool("default").volumes();
//! let mut data = volumes.create(StorageVolumesPost::new("data").with_size(Size::gib(10))).await?;
//! data.config_mut().set("size", Size::gib(20));
//! data.save().await?;
//! # Ok(()) }
//! ```
//!
//! # Handles and objects
//!
//! [`PoolHandle`] and [`VolumeHandle`] say *which* pool or volume is meant and do no I/O to exist. [`Pool`] and
//! [`Volume`] are handles with the state that was read: get one, edit it, [`save`](Volume::save) it.
//!
//! What changes something on the server is a [`Change`]: await it for the result, or [`start`](Change::start) it for a
//! [`Pending`] that can be polled, cancelled and awaited later. Whether the server works at once or in the background
//! is its own affair and differs between versions; the answer's type decides here, never a version.
//!
//! # What no other client has
//!
//! | what | where, with an example |
//! |---|---|
//! | one code base for LXD and Incus, whatever works at once here and in the background there | [`Client`], [`Change`] |
//! | a server trusted by its bare fingerprint, and no way to trust any | `transport::ServerTrust` with the feature `tls` |
//! | time limits of every phase | [`transport::Limits`], [`ClientBuilder`] |
//! | trying again, where that can do no harm | [`transport::Retrying`], [`Error`] |
//! | "in use", "no space" and "limit reached" told apart | [`ErrorKind`] |
//! | edits that begin again after a lost race | [`VolumeHandle::edit`], [`PoolHandle::edit`] |
//! | what uses a pool or volume, typed | [`Pool::used_by`], [`types::Reference`] |
//! | schedules, name patterns, lifespans and expiries, typed | [`types::Schedule`], [`types::NamePattern`], [`types::Lifespan`], [`types::Expiry`] |
//! | config keys typed per driver, recovery of a pool's source among them | [`types::drivers`] |
//! | exports with checksum, taken up after a cut, and with nothing left on the server | [`Export`], [`Download`] |
//! | a volume moved to another server, compared before the source is deleted | [`VolumeHandle::move_to_server`] |
//! | progress, typed | [`types::Progress`] |
//! | an event stream that comes back, says where it has a gap, and is typed for storage | [`EventListener`], [`types::Event`] |
//! | wanted states, compared and applied | [`EnsureVolume`], [`EnsurePool`] |
//! | the same with and without async | `Blocking` with the feature `blocking` |
//!
//! # For users of pylxd
//!
//! | pylxd | here |
//! |---|---|
//! | `Client()` | `Client::local`, `Client::unix`, `Client::https` |
//! | `Client(project=p)` | [`Client::with_project`] |
//! | `client.storage_pools.all()` | [`client.storage_pools().all()`](StoragePools::all): full objects, one request |
//! | `client.storage_pools.get(name)` | [`.get(name)`](StoragePools::get) |
//! | `client.storage_pools.exists(name)` | [`.exists(name)`](StoragePools::exists) |
//! | `client.storage_pools.create(definition)` | [`.create(StoragePoolsPost)`](StoragePools::create) |
//! | `pool.name, .driver, .description, .config, .status, .locations, .managed` | the methods of these names on [`Pool`] |
//! | `pool.used_by` | [`pool.used_by()`](Pool::used_by): typed references |
//! | `pool.save()` | [`pool.save()`](Pool::save): with the ETag, read back |
//! | `pool.put(o)`, `pool.patch(o)` | [`pool.put`](Pool::put), [`pool.patch`](Pool::patch): read back |
//! | `pool.raw_put(o)`, `pool.raw_patch(o)` | [`pool.raw_put`](PoolHandle::raw_put), [`pool.raw_patch`](PoolHandle::raw_patch): not read back |
//! | `pool.delete()` | [`pool.delete()`](Pool::delete) |
//! | `pool.sync()` | [`pool.sync()`](Pool::sync) |
//! | `pool.resources.get()` | [`pool.resources().get()`](PoolResources::get) |
//! | `pool.volumes.all()` | [`pool.volumes().all()`](Volumes::all): full objects, one request, no snapshots among them |
//! | `pool.volumes.get(type, name)` | [`pool.volumes().get(type, name)`](Volumes::get) |
//! | `pool.volumes.create(definition)` | [`pool.volumes().create(StorageVolumesPost)`](Volumes::create) |
//! | `volume.rename({"name", "pool"})` | [`volume.rename(name)`](Volume::rename) in place, [`volume.move_to(..)`](Volume::move_to) to another pool or project |
//! | `volume.rename({.., "migration": True})` | [`volume.copy_to_server(..)`](VolumeHandle::copy_to_server), [`volume.move_to_server(..)`](VolumeHandle::move_to_server) |
//! | `volume.put, .patch, .save, .delete, .raw_put, .raw_patch` | the same on [`Volume`] and [`VolumeHandle`] |
//! | `volume.snapshots.all()`, `.get(name)`, `.exists(name)` | the same on [`volume.snapshots()`](VolumeHandle::snapshots) |
//! | `volume.snapshots.create(name, expires_at)` | [`.create(StorageVolumeSnapshotsPost)`](Snapshots::create), [`.create_automatic(..)`](Snapshots::create_automatic) |
//! | `snapshot.rename, .save, .delete, .restore` | the same on [`Snapshot`] |
//! | `volume.restore_from(name)` | [`volume.restore(name)`](VolumeHandle::restore) |
//! | `wait=True` | `.await` on a [`Change`] |
//! | `wait=False` | [`.start()`](Change::start) |
//! | `client.operations.wait_for_operation(id)` | [`client.operation(id).await?.await?`](Client::operation) |
//! | `client.api.profiles.get()` | [`client.request(Method::GET, "/1.0/profiles")`](Client::request) |
//! | `client.has_api_extension(x)` | [`client.server().await?.api_extensions.has(x)`](types::Extensions::has) |
//! | `NotFound`, `Conflict`, `LXDAPIException` | [`Error`] with its [`kind`](Error::kind) |
//!
//! # Errors
//!
//! One type, [`Error`]: its [`kind`](Error::kind), the request, the server's own text and code, and
//! [whether the request can have reached the server](Error::request_reached_server).
//!
//! # Features
//!
//! | feature | default | what |
//! |---|---|---|
//! | `unix` | yes | Unix sockets, and finding the local server |
//! | `tls` | no | HTTPS with client certificates; cryptography by ring |
//! | `blocking` | no | `Blocking`: the same calls from code that isn't async |
//!
//! Without any, [`Client::new`] takes a transport of your own.

mod at_once;
mod attach;
mod backup;
mod backups;
mod bitmaps;
#[cfg(feature = "blocking")]
mod blocking;
mod buckets;
mod cancelling;
mod check;
mod classify;
mod client;
mod cluster;
mod conceal;
mod connect;
mod copying;
mod create_on_members;
mod created;
mod doubt;
mod edit;
mod ensure;
mod error;
mod etag;
mod events;
mod exchange;
mod export;
mod exporting;
mod file_headers;
mod file_path;
mod files;
mod filter;
mod full;
mod import;
mod kept;
mod legal;
mod listing;
mod migration;
mod moving;
mod object;
mod operation_socket;
mod operations;
mod pending;
mod placement;
mod pool;
mod pools;
mod progress;
mod raw;
mod replacing;
mod route;
mod snapshot;
mod snapshots;
mod source;
mod temporary;
mod transfer;
mod unfold;
mod used_by;
mod volume;
mod volume_list;
mod volumes;
mod wait;
mod websocket;

#[cfg(feature = "blocking")]
pub use self::blocking::Blocking;
#[doc(no_inline)]
pub use lxd_transport as transport;
#[doc(no_inline)]
pub use lxd_types as types;

pub use self::{
    attach::{Disk, Holder},
    backup::{Backup, BackupHandle},
    backups::Backups,
    bitmaps::Bitmaps,
    buckets::{
        Bucket, BucketBackup, BucketBackupHandle, BucketBackups, BucketExport, BucketFull, BucketHandle,
        BucketKey, BucketKeyHandle, BucketKeys, BucketList, Buckets, CreatedBucket,
    },
    client::{Client, ClientBuilder},
    cluster::Cluster,
    copying::CopyTo,
    create_on_members::CreateOnMembers,
    ensure::{Diff, Drift, EnsurePool, EnsureVolume, Ensured},
    error::{Error, ErrorKind},
    etag::ETag,
    events::{EventItem, EventListener, Events},
    export::{Export, Exported},
    files::{FileContent, Files},
    filter::{Field, Filter, FilterPlan},
    full::VolumeFull,
    migration::Migration,
    moving::MoveTo,
    operation_socket::{OperationSocket, SocketMessage},
    operations::Operations,
    pending::{Change, Pending},
    pool::{Pool, PoolHandle, PoolResources},
    pools::StoragePools,
    raw::{Fetched, RawRequest},
    snapshot::{Snapshot, SnapshotHandle},
    snapshots::Snapshots,
    transfer::{Download, Transferred, Upload},
    volume::{Volume, VolumeHandle},
    volume_list::{VolumeList, VolumeUsage},
    volumes::Volumes,
};

/// The examples of the README, as tests.
#[cfg(all(doctest, feature = "unix", feature = "tls"))]
#[doc = include_str!("../../../README.md")]
struct Readme;
