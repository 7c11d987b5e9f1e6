//! The library from threads that know nothing of async.

use std::thread;

use bytes::Bytes;
use lxd_storage::{
    Blocking, Client, Upload,
    types::{StorageVolumeSnapshotsPost, StorageVolumesPost, VolumeType},
};

use crate::ctx::{Ctx, cases, transport_to};

cases![a_volume_is_managed_without_async, threads_share_it, a_stream_is_an_iterator];

/// One whose connections belong to nobody's runtime yet.
fn fresh_client(ctx: &Ctx) -> Client {
    Client::new(transport_to(ctx.server(), ctx.wire))
}

/// Does something in a thread of its own, in which nothing async runs.
async fn in_a_thread<T: Send>(work: impl FnOnce(&Blocking) -> T + Send) -> T {
    thread::scope(|scope| scope.spawn(|| work(&Blocking::new().unwrap())).join().unwrap())
}

async fn a_volume_is_managed_without_async(ctx: Ctx) {
    let (client, name) = (fresh_client(&ctx), ctx.name("v"));
    let pool = client.storage_pool(&*ctx.server().pools()[0]);
    in_a_thread(|blocking| {
        let mut volume = blocking.run(pool.volumes().create(StorageVolumesPost::new(&*name))).unwrap();
        volume.set_description("written without async");
        blocking.run(volume.save()).unwrap();
        let snapshot = StorageVolumeSnapshotsPost::new("s");
        let pending = blocking.run(volume.snapshots().create(snapshot).start()).unwrap();
        assert_eq!(blocking.run(pending).unwrap().name(), "s");
        let read = blocking.run(pool.volumes().get(VolumeType::Custom, &name)).unwrap();
        assert_eq!(read.description(), "written without async");
        blocking.run(volume.delete()).unwrap();
        assert!(blocking.run(volume.sync()).unwrap_err().is_not_found());
    })
    .await;
}

async fn threads_share_it(ctx: Ctx) {
    let client = fresh_client(&ctx);
    in_a_thread(|blocking| {
        thread::scope(|scope| {
            let ask = || blocking.run(client.storage_pools().all()).unwrap().len();
            let threads: Vec<_> = (0..8).map(|_| scope.spawn(ask)).collect();
            assert!(threads.into_iter().all(|thread| thread.join().unwrap() > 0));
        });
    })
    .await;
}

async fn a_stream_is_an_iterator(ctx: Ctx) {
    let (client, name) = (fresh_client(&ctx), ctx.name("v"));
    let pool = client.storage_pool(&*ctx.server().pools()[0]);
    in_a_thread(|blocking| {
        let mut volume = blocking.run(pool.volumes().create(StorageVolumesPost::new(&*name))).unwrap();
        let download = blocking.run(volume.export().open()).unwrap();
        let mut file = Vec::new();
        for chunk in blocking.iter(download.into_stream()) {
            file.extend_from_slice(&chunk.unwrap());
        }
        let copy = format!("{name}b");
        let mut copy =
            blocking.run(pool.volumes().import_backup(Upload::from(Bytes::from(file)), Some(&copy))).unwrap();
        blocking.run(copy.delete()).unwrap();
        blocking.run(volume.delete()).unwrap();
    })
    .await;
}
