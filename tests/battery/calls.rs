//! The public calls that send requests, each on a fixture of its own.

use std::{pin::Pin, time::Duration};

use futures_util::StreamExt as _;
use lxd_storage::{
    Client, CopyTo, Disk, Error, Holder, MoveTo, Upload,
    types::{
        Patch, StoragePoolsPost, StorageVolumeBackupsPost, StorageVolumePut, StorageVolumeSnapshotsPost,
        StorageVolumesPost, VolumeType,
    },
};

use crate::{
    archive_calls::{ISO_CALLS, TAR_CALLS},
    bucket_calls::BUCKET_CALLS,
    cluster_calls::CLUSTER_CALLS,
    fixture::{DEADLINE, Place, SHORT, pool, volume},
    migration_calls::{MIGRATION_CALLS, SNAPSHOT_CALLS},
    object_calls::OBJECT_CALLS,
};
use lxd_emulator::Personality;

type Outcome = Pin<Box<dyn Future<Output = Result<(), Error>> + Send>>;

pub(crate) struct Call {
    pub(crate) name: &'static str,
    pub(crate) run: fn(Client) -> Outcome,
}

impl Call {
    /// Whether it may wait for an operation without a deadline, in long polls.
    pub(crate) fn waits(&self) -> bool {
        let words = [
            "ensure",
            "edit",
            "save",
            "volume.patch",
            "attach",
            "detach",
            "create_automatic",
            "create_replacing",
            "edits",
            "on members",
            "on_members",
        ];
        words.iter().any(|word| self.name.contains(word))
    }

    /// How long it takes at most: a migration gives the other end ten seconds to take back what it has.
    pub(crate) fn limit(&self) -> Duration {
        let between_servers = ["to_server", "to_member"].iter().any(|word| self.name.contains(word));
        DEADLINE + SHORT * 12 + Duration::from_secs(if between_servers { 10 } else { 0 })
    }

    /// Whether limits of its own hold, which are those of long transfers.
    pub(crate) fn is_transfer(&self) -> bool {
        ["export", "download", "import"].iter().any(|word| self.name.contains(word))
    }
}

/// A call for each line; of what it gives only counts whether it is a success.
macro_rules! calls {
    ($list:ident: $($name:literal: |$client:ident| $call:expr),* $(,)?) => {
        pub(crate) const $list: &[$crate::calls::Call] = &[$($crate::calls::Call {
            name: $name,
            run: |$client| Box::pin(async move {
                let done: Result<_, lxd_storage::Error> = $call.await;
                done.map(drop)
            }),
        }),*];
    };
}
pub(crate) use calls;

calls![
    CALLS:
    "refresh_server": |client| client.refresh_server(),
    "pools.all": |client| client.storage_pools().all(),
    "pools.get": |client| client.storage_pools().get("p"),
    "pools.exists": |client| client.storage_pools().exists("p"),
    "pools.create": |client| client.storage_pools().create(StoragePoolsPost::new("n", "dir")).with_deadline(DEADLINE),
    "pools.ensure": |client| client.storage_pools().ensure(StoragePoolsPost::new("n", "dir")),
    "pool.resources": |client| async move { pool(&client).resources().get().await },
    "pool.per_member": |client| async move { pool(&client).per_member().await },
    "pool.raw_put": |client| async move {
        let put = pool(&client).get().await?.object().to_put();
        pool(&client).raw_put(&put).with_deadline(DEADLINE).await
    },
    "pool.raw_patch": |client| pool(&client).raw_patch(&Patch::new().with_config("user.k", "v")).with_deadline(DEADLINE),
    "pool.edit": |client| async move {
        pool(&client).edit(|put| put.description = "edited".to_owned()).await
    },
    "pool.save": |client| async move {
        let mut pool = pool(&client).get().await?;
        pool.set_description("saved");
        pool.save().await
    },
    "pool.used_by": |client| async move { pool(&client).get().await?.used_by().await },
    "pool.delete": |client| client.storage_pool("q").delete().with_deadline(DEADLINE),
    "volumes.all": |client| async move { pool(&client).volumes().all().await },
    "volumes.all_of": |client| async move { pool(&client).volumes().all_of(VolumeType::Custom).await },
    "volumes.get": |client| async move { pool(&client).volumes().get(VolumeType::Custom, "v").await },
    "volumes.exists": |client| async move { pool(&client).volumes().exists(VolumeType::Custom, "v").await },
    "volumes.full": |client| async move { pool(&client).volumes().full().await },
    "volumes.with_usage": |client| async move { pool(&client).volumes().with_usage().await },
    "volumes of all pools": |client| async move { client.volumes().all().await },
    "volumes.create": |client| pool(&client).volumes().create(StorageVolumesPost::new("n")).with_deadline(DEADLINE),
    "volumes.ensure": |client| pool(&client).volumes().ensure(StorageVolumesPost::new("n")),
    "volumes.import_backup": |client| async move {
        let archive = vec![0x1f, 0x8b, 7, 7];
        let import = pool(&client).volumes().import_backup(Upload::from(archive), Some("n"));
        // What isn't refused before is no archive.
        match import.with_deadline(DEADLINE).await {
            Err(error) if error.server_message().is_some_and(|said| said.contains("gzip") || said.contains("end of file")) => Ok(()),
            other => other.map(drop),
        }
    },
    "volume.state": |client| async move {
        match volume(&client).state().await {
            // LXD 5.0 cannot tell it of a folder.
            Err(error) if error.server_message() == Some("Not supported") => Ok(()),
            other => other.map(drop),
        }
    },
    "volume.used_by": |client| async move { volume(&client).get().await?.used_by().await },
    "volume.raw_put": |client| volume(&client).raw_put(&StorageVolumePut::default()).with_deadline(DEADLINE),
    "volume.raw_patch": |client| volume(&client).raw_patch(&Patch::new().with_config("user.k", "v")).with_deadline(DEADLINE),
    "volume.edit": |client| async move {
        volume(&client).edit(|put| put.description = "edited".to_owned()).await
    },
    "volume.save": |client| async move {
        let mut volume = volume(&client).get().await?;
        volume.set_description("saved");
        volume.save().await
    },
    "volume.patch": |client| async move {
        volume(&client).get().await?.patch(&Patch::new().with_config("user.k", "v")).await
    },
    "volume.rename": |client| volume(&client).rename("renamed").with_deadline(DEADLINE),
    "volume.move_to": |client| volume(&client).move_to(MoveTo::pool("q")).with_deadline(DEADLINE),
    "volume.copy_to": |client| volume(&client).copy_to(CopyTo::name("copy")).with_deadline(DEADLINE),
    "volume.restore": |client| volume(&client).restore("s").with_deadline(DEADLINE),
    "volume.delete": |client| volume(&client).delete().with_deadline(DEADLINE),
    "volume.ensure_absent": |client| async move { volume(&client).ensure_absent().await },
    "volume.attach": |client| async move {
        volume(&client).attach(&Holder::profile("default"), Disk::at("/mnt")).await
    },
    "volume.detach": |client| async move { volume(&client).detach(&Holder::profile("default")).await },
    "volume.export": |client| async move {
        volume(&client).export().to_writer(&mut tokio::io::sink()).await
    },
    "snapshots.all": |client| async move { volume(&client).snapshots().all().await },
    "snapshots.get": |client| async move { volume(&client).snapshots().get("s").await },
    "snapshots.exists": |client| async move { volume(&client).snapshots().exists("s").await },
    "snapshots.create": |client| volume(&client).snapshots().create(StorageVolumeSnapshotsPost::new("n")).with_deadline(DEADLINE),
    "snapshots.create_automatic": |client| async move {
        volume(&client).snapshots().create_automatic(StorageVolumeSnapshotsPost::default()).await
    },
    "snapshots.create_replacing": |client| async move {
        volume(&client).snapshots().create_replacing(StorageVolumeSnapshotsPost::new("s")).await
    },
    "snapshot.edit": |client| async move {
        volume(&client).snapshot("s").edit(|put| put.description = "edited".to_owned()).await
    },
    "snapshot.rename": |client| volume(&client).snapshot("s").rename("renamed").with_deadline(DEADLINE),
    "snapshot.copy_to": |client| volume(&client).snapshot("s").copy_to(CopyTo::name("copy")).with_deadline(DEADLINE),
    "snapshot.delete": |client| volume(&client).snapshot("s").delete().with_deadline(DEADLINE),
    "backups.all": |client| async move { volume(&client).backups().all().await },
    "backups.get": |client| async move { volume(&client).backups().get("b").await },
    "backups.exists": |client| async move { volume(&client).backups().exists("b").await },
    "backups.create": |client| volume(&client).backups().create(StorageVolumeBackupsPost::new("n")).with_deadline(DEADLINE),
    "backup.rename": |client| volume(&client).backup("b").rename("renamed").with_deadline(DEADLINE),
    "backup.delete": |client| volume(&client).backup("b").delete().with_deadline(DEADLINE),
    "backup.download": |client| async move {
        let mut chunks = volume(&client).backup("b").download().await?.into_stream();
        while let Some(chunk) = chunks.next().await {
            chunk?;
        }
        Ok::<(), Error>(())
    },
    "operations.all": |client| async move { client.operations().all().await },
    "events": |client| async move { client.events().open().await },
    "cluster.is_clustered": |client| async move { client.cluster().is_clustered().await },
    "request.fetch": |client| client.request(http::Method::GET, "/1.0/storage-pools").fetch::<serde_json::Value>(),
];

/// The calls that a server has.
pub(crate) fn calls_of(place: &Place) -> Vec<&'static Call> {
    if !place.members.is_empty() {
        return CLUSTER_CALLS.iter().collect();
    }
    let mut lists = vec![CALLS, OBJECT_CALLS, MIGRATION_CALLS];
    if place.personality != Personality::Lxd5 {
        lists.extend([SNAPSHOT_CALLS, ISO_CALLS]);
    }
    match place.personality {
        Personality::Incus6 => lists.push(BUCKET_CALLS),
        Personality::LxdNew => lists.push(TAR_CALLS),
        _ => {}
    }
    lists.into_iter().flatten().collect()
}
