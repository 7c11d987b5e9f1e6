//! How many requests lists cost: as few as their server allows, however many objects there are. `docs/perf/lists.md` has
//! it as a table.

use lxd_storage::{
    Field, PoolHandle,
    types::{
        Compression, StorageBucketsPost, StorageVolumeBackupsPost, StorageVolumeSnapshotsPost,
        StorageVolumesPost, VolumeType,
    },
};
use lxd_tests::why_no_buckets;
use tokio::task::JoinSet;

use crate::{
    buckets,
    ctx::{Ctx, cases},
};

cases![
    a_list_is_one_request_however_long,
    usage_and_all_the_rest_cost_what_the_server_makes_of_it,
    lists_over_all_pools_ask_each_pool_once_at_most,
    what_belongs_to_one_volume_is_one_request,
    buckets_are_one_request_too,
];

/// So many requests of one list are under way at a time at most.
const AT_ONCE: usize = 8;

/// Makes volumes until there are so many.
async fn fill_up(pool: &PoolHandle, count: usize) {
    let there = pool.volumes().all().await.unwrap().len();
    let mut made = JoinSet::new();
    for number in there..count {
        made.spawn(pool.volumes().create(StorageVolumesPost::new(format!("v{number}"))).into_future());
    }
    while let Some(volume) = made.join_next().await {
        volume.unwrap().unwrap();
    }
}

async fn empty(pool: &PoolHandle) {
    for volume in pool.volumes().all().await.unwrap() {
        volume.handle().delete().await.unwrap();
    }
}

/// What went out since the last time about this pool.
fn about(ctx: &Ctx, pool: &PoolHandle) -> Vec<String> {
    let path = format!("/1.0/storage-pools/{}/", pool.name());
    ctx.sent.take().into_iter().filter(|request| request.contains(&path)).collect()
}

async fn a_list_is_one_request_however_long(ctx: Ctx) {
    let mut pool = ctx.new_pool("p").await;
    for count in [1, 10, 50] {
        fill_up(&pool, count).await;
        ctx.sent.take();
        let (volumes, one) = (pool.volumes(), Field::Name.eq("v0"));
        assert_eq!(volumes.all().await.unwrap().len(), count);
        assert_eq!(ctx.sent.take().len(), 1);
        assert_eq!(volumes.all_of(&VolumeType::Custom).await.unwrap().len(), count);
        assert_eq!(ctx.sent.take().len(), 1);
        assert_eq!(volumes.filtered(one).await.unwrap().len(), 1);
        assert_eq!(ctx.sent.take().len(), 1);
        assert_eq!(volumes.all_projects().await.unwrap().len(), count);
        assert_eq!(ctx.sent.take().len(), 1);
        assert_eq!(pool.volume(VolumeType::Custom, "v0").locate().await.unwrap().len(), 1);
        assert_eq!(ctx.sent.take().len(), 1);
    }
    assert!(ctx.client.storage_pools().all().await.unwrap().len() > 1);
    let requests = ctx.sent.take();
    // More only if a pool of another case goes in the middle of it.
    assert!(requests.iter().all(|request| request == "GET /1.0/storage-pools?recursion=1"), "{requests:?}");
    empty(&pool).await;
    pool.delete().await.unwrap();
}

async fn usage_and_all_the_rest_cost_what_the_server_makes_of_it(ctx: Ctx) {
    let at_once = ctx.has("storage_volume_full").await;
    let mut pool = ctx.new_pool("p").await;
    for count in [1, 10, 50] {
        fill_up(&pool, count).await;
        ctx.sent.take();
        ctx.sent.most_at_once();
        assert_eq!(pool.volumes().with_usage().await.unwrap().len(), count);
        let requests = ctx.sent.take();
        // The list, and the state of each.
        assert_eq!(requests.len(), if at_once { 1 } else { 1 + count }, "{requests:?}");
        assert_eq!(pool.volumes().full().await.unwrap().len(), count);
        let requests = ctx.sent.take();
        // The list, and state, snapshots and backups of each. In a cluster of such servers snapshots are also looked up
        // in one more list.
        let composed = 1 + 3 * count + usize::from(ctx.is_cluster());
        assert_eq!(requests.len(), if at_once { 1 } else { composed }, "{requests:?}");
        let most = ctx.sent.most_at_once();
        assert!(most <= AT_ONCE && (at_once || count < AT_ONCE || most > 1), "{most} at once");
    }
    empty(&pool).await;
    pool.delete().await.unwrap();
}

async fn lists_over_all_pools_ask_each_pool_once_at_most(ctx: Ctx) {
    let at_once = ctx.has("storage_volume_full").await;
    let one_list = ctx.has("storage_volumes_all").await;
    let mut pools = [ctx.new_pool("p").await, ctx.new_pool("q").await];
    for count in [1, 10] {
        for pool in &pools {
            fill_up(pool, count).await;
        }
        let mine = || ctx.client.volumes().of_type(VolumeType::Custom).filtered(Field::Name.eq("v0"));
        let lists = usize::from(!one_list);
        ctx.sent.take();
        ctx.sent.most_at_once();
        assert!(mine().all().await.unwrap().len() >= 2);
        assert_eq!(about(&ctx, &pools[0]).len(), lists);
        assert!(mine().all_projects().all().await.unwrap().len() >= 2);
        assert_eq!(about(&ctx, &pools[0]).len(), lists);
        assert!(mine().full().await.unwrap().len() >= 2);
        // What is filtered out costs nothing.
        let composed = lists + 3 + usize::from(ctx.is_cluster());
        let requests = about(&ctx, &pools[0]);
        assert_eq!(requests.len(), if at_once { 1 } else { composed }, "{requests:?}");
        assert!(ctx.sent.most_at_once() <= AT_ONCE);
    }
    for pool in &mut pools {
        empty(pool).await;
        pool.delete().await.unwrap();
    }
}

async fn what_belongs_to_one_volume_is_one_request(ctx: Ctx) {
    let mut volume = ctx.new_volume(&ctx.ready_pools()[0], "v").await;
    for number in 0..5 {
        let name = format!("n{number}");
        volume.snapshots().create(StorageVolumeSnapshotsPost::new(&*name)).await.unwrap();
        let post = StorageVolumeBackupsPost::new(name).with_compression(Compression::None);
        volume.backups().create(post).await.unwrap();
    }
    ctx.sent.take();
    assert_eq!(volume.snapshots().all().await.unwrap().len(), 5);
    assert_eq!(ctx.sent.take().len(), 1);
    assert_eq!(volume.backups().all().await.unwrap().len(), 5);
    assert_eq!(ctx.sent.take().len(), 1);
    let full = volume.handle().full().await.unwrap();
    assert_eq!((full.snapshots.len(), full.backups.len()), (5, 5));
    assert_eq!(ctx.sent.take().len(), if ctx.has("storage_volume_full").await { 1 } else { 4 });
    volume.delete().await.unwrap();
}

async fn buckets_are_one_request_too(ctx: Ctx) {
    if !ctx.has("storage_buckets_local").await || why_no_buckets(ctx.slot).is_some() {
        return;
    }
    buckets::ready(&ctx).await;
    let at_once = ctx.has("storage_bucket_full").await;
    let mut pool = ctx.new_pool("p").await;
    let name = |number: usize| format!("b{number}-{}", ctx.name("").to_lowercase());
    let mut there = 0;
    for count in [1, 10] {
        for number in there..count {
            pool.buckets().create(StorageBucketsPost::new(name(number))).await.unwrap();
        }
        there = count;
        let buckets = pool.buckets();
        ctx.sent.take();
        ctx.sent.most_at_once();
        assert_eq!(buckets.all().await.unwrap().len(), count);
        assert_eq!(ctx.sent.take().len(), 1);
        assert_eq!(buckets.filtered(Field::Name.eq(name(0))).await.unwrap().len(), 1);
        assert_eq!(ctx.sent.take().len(), 1);
        assert_eq!(buckets.all_projects().await.unwrap().len(), count);
        assert_eq!(ctx.sent.take().len(), 1);
        assert_eq!(buckets.full().await.unwrap().len(), count);
        let mut requests = ctx.sent.take();
        // What the server can do is asked once only.
        requests.retain(|request| request != "GET /1.0");
        assert_eq!(requests.len(), if at_once { 1 } else { 1 + 2 * count }, "{requests:?}");
        assert!(ctx.sent.most_at_once() <= AT_ONCE);
        let keys = pool.bucket(name(0)).keys();
        assert_eq!(keys.all().await.unwrap().len(), 1);
        assert_eq!(ctx.sent.take().len(), 1);
    }
    for bucket in pool.buckets().all().await.unwrap() {
        bucket.handle().delete().await.unwrap();
    }
    pool.delete().await.unwrap();
}
