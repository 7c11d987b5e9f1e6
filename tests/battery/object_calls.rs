//! The calls of objects that were read before, lists with a filter, and work that was begun.

use lxd_storage::{
    CopyTo, Error, Field, Snapshot, Volume,
    types::{StorageVolumeSnapshotPut, VolumeType},
};

use crate::{
    calls::calls,
    fixture::{DEADLINE, pool, volume},
};

calls![
    OBJECT_CALLS:
    "pools.filtered": |client| async move { client.storage_pools().filtered(&Field::Driver.eq("dir")).await },
    "pool.sync": |client| async move { pool(&client).get().await?.sync().await },
    "pool.exists": |client| async move { pool(&client).exists().await },
    "pool.save by put": |client| async move {
        let mut pool = pool(&client).get().await?;
        let put = pool.object().to_put();
        pool.put(&put).await
    },
    "volumes.filtered": |client| async move { pool(&client).volumes().filtered(Field::Name.eq("v")).all().await },
    "volumes of a type": |client| async move { pool(&client).volumes().of_type(VolumeType::Custom).full().await },
    "volume.exists": |client| async move { volume(&client).exists().await },
    "volume.sync": |client| async move { volume(&client).get().await?.sync().await },
    "volume.save by put": |client| async move {
        let mut volume: Volume = volume(&client).get().await?;
        let put = volume.object().to_put();
        volume.put(&put).await
    },
    "snapshot.exists": |client| async move { volume(&client).snapshot("s").exists().await },
    "snapshot.sync": |client| async move { volume(&client).snapshot("s").get().await?.sync().await },
    "snapshot.save": |client| async move {
        let mut snapshot: Snapshot = volume(&client).snapshot("s").get().await?;
        snapshot.set_description("saved");
        snapshot.save().await
    },
    "snapshot.raw_put": |client| {
        let put = StorageVolumeSnapshotPut::default();
        volume(&client).snapshot("s").raw_put(&put).with_deadline(DEADLINE)
    },
    "snapshot.restore": |client| volume(&client).snapshot("s").restore().with_deadline(DEADLINE),
    "backup.exists": |client| async move { volume(&client).backup("b").exists().await },
    "pending.poll": |client| async move {
        let mut copying = volume(&client).copy_to(CopyTo::name("copy")).with_deadline(DEADLINE).start().await?;
        copying.poll().await?;
        copying.await
    },
    "operation": |client| async move {
        let copying = volume(&client).copy_to(CopyTo::name("copy")).with_deadline(DEADLINE).start().await?;
        if let Some(operation) = copying.operation() {
            drop(client.operation(&operation.id).await?);
        }
        Ok::<(), Error>(())
    },
];
