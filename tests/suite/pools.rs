//! Every row of pylxd's guide on pools.

use http::Method;
use lxd_storage::{
    ErrorKind,
    transport::Reached,
    types::{Entity, Patch, PoolStatus, StoragePoolsPost, StorageVolumesPost, VolumeType},
};
use serde_json::json;

use crate::ctx::{Ctx, cases};

cases![
    all_gives_full_objects_in_one_request,
    get_and_exists,
    create_takes_the_whole_object,
    create_refuses_before_sending,
    create_of_a_taken_name,
    the_servers_own_words_are_kept,
    attributes_are_typed,
    used_by_is_typed,
    save_put_and_patch_read_back,
    raw_put_and_raw_patch_do_not_read_back,
    a_lost_update_is_its_own_error,
    a_lost_update_of_a_listed_pool_is_found_too,
    edits_of_many_tasks_are_all_kept,
    patches_of_many_tasks_are_all_kept,
    resources_are_typed,
    delete_and_use_afterwards,
    delete_of_a_pool_in_use,
];

async fn all_gives_full_objects_in_one_request(ctx: Ctx) {
    let mut one = ctx.new_pool("one").await;
    let post = StoragePoolsPost::new(ctx.name("two"), "dir")
        .with_description("second")
        .with_config("rsync.bwlimit", "5MB");
    let mut two = ctx.create_pool(post).await.unwrap();
    ctx.sent.take();

    let all = ctx.client.storage_pools().all().await.unwrap();
    // One request, and the same again only where another case deleted a pool meanwhile; `tests/faults` counts exactly.
    let sent = ctx.sent.take();
    assert!(sent.iter().all(|request| request == "GET /1.0/storage-pools?recursion=1"), "{sent:?}");
    let listed = all.iter().find(|pool| pool.name() == two.name()).unwrap();
    assert_eq!((listed.driver(), listed.description()), ("dir", "second"));
    assert_eq!(listed.config().text("rsync.bwlimit"), Some("5MB"));
    assert!(all.iter().any(|pool| pool.name() == one.name()));

    one.delete().await.unwrap();
    two.delete().await.unwrap();
}

async fn get_and_exists(ctx: Ctx) {
    let pools = ctx.client.storage_pools();
    let mut pool = ctx.new_pool("p").await;
    assert!(pools.exists(pool.name()).await.unwrap());
    let again = pools.get(pool.name()).await.unwrap();
    assert_eq!((again.name(), again.driver(), again.config()), (pool.name(), "dir", pool.config()));

    let nobody = ctx.name("nobody");
    assert!(!pools.exists(&nobody).await.unwrap());
    let error = pools.get(&nobody).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotFound);
    assert_eq!(error.path(), Some(&*format!("/1.0/storage-pools/{nobody}")));
    assert_eq!(error.request_reached_server(), Reached::Yes);
    pool.delete().await.unwrap();
}

async fn create_takes_the_whole_object(ctx: Ctx) {
    let name = ctx.name("whole");
    let post =
        StoragePoolsPost::new(&name, "dir").with_description("all of it").with_config("rsync.bwlimit", "1MB");
    let mut pool = ctx.create_pool(post).await.unwrap();
    assert_eq!((pool.name(), pool.driver(), pool.description()), (&*name, "dir", "all of it"));
    assert_eq!(pool.config().text("rsync.bwlimit"), Some("1MB"));
    assert_eq!(*pool.status(), PoolStatus::Created);
    pool.delete().await.unwrap();
}

async fn create_refuses_before_sending(ctx: Ctx) {
    let pools = ctx.client.storage_pools();
    for (post, named) in [
        (StoragePoolsPost::new("", "dir"), "empty"),
        (StoragePoolsPost::new("a/b", "dir"), "\"a/b\""),
        (StoragePoolsPost::new("a\nb", "dir"), "\\n"),
        (StoragePoolsPost::new(ctx.name("p"), ""), "driver"),
        (StoragePoolsPost::new(ctx.name("p"), "btrfs").with_config("size", "ten gigs"), "\"ten gigs\""),
        (StoragePoolsPost::new(ctx.name("p"), "dir").with_config("volume.size", "1 GiB"), "volume.size"),
    ] {
        let error = pools.create(post).await.unwrap_err();
        assert_eq!((error.kind(), error.request_reached_server()), (ErrorKind::InvalidInput, Reached::No));
        assert!(error.to_string().contains(named), "{error}");
    }
    let error = pools.get("..\u{0}").await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidInput);
    assert_eq!(ctx.sent.take(), Vec::<String>::new());
}

async fn create_of_a_taken_name(ctx: Ctx) {
    let mut pool = ctx.new_pool("p").await;
    let error = ctx.create_pool(StoragePoolsPost::new(pool.name(), "dir")).await.unwrap_err();
    assert!(error.is_already_exists(), "{error:?}");
    pool.delete().await.unwrap();
}

async fn the_servers_own_words_are_kept(ctx: Ctx) {
    let post = StoragePoolsPost::new(ctx.name("p"), "dir").with_config("no.such.key", "1");
    let error = ctx.create_pool(post).await.unwrap_err();
    assert!(error.server_message().unwrap().contains("no.such.key"), "{error:?}");
    assert!(error.code().is_some());
}

async fn attributes_are_typed(ctx: Ctx) {
    let mut pool = ctx.new_pool("p").await;
    assert_eq!(*pool.status(), PoolStatus::Created);
    let mut locations = pool.locations().to_vec();
    locations.sort();
    let expected: &[&str] = if ctx.is_cluster() { &["member1", "member2", "member3"] } else { &["none"] };
    assert_eq!(locations, expected);
    // Gone from servers of our time; an honest None, and no placeholder.
    assert_eq!(pool.managed(), None);
    // Where it is kept is each member's own affair.
    assert_eq!(pool.config().text("source").is_some(), !ctx.is_cluster());
    assert!(pool.used_by().await.unwrap().is_empty());
    pool.delete().await.unwrap();
}

async fn used_by_is_typed(ctx: Ctx) {
    let mut pool = ctx.new_pool("used").await;
    let odd = ctx.odd("odd é 100%25");
    let mut volume = pool.volumes().create(StorageVolumesPost::new(&*odd)).await.unwrap();
    let profile = ctx.name("profile");
    let root = json!({"root": {"type": "disk", "path": "/", "pool": pool.name()}});
    let request = ctx.client.request(Method::POST, "/1.0/profiles");
    request.json(&json!({"name": profile, "devices": root})).change().await.unwrap();
    let instance = ctx.new_instance(&root).await;

    pool.sync().await.unwrap();
    let users: Vec<Entity> = pool.used_by().await.unwrap().into_iter().map(|user| user.entity).collect();
    let expected =
        Entity::Volume { pool: pool.name().to_owned(), volume_type: VolumeType::Custom, name: odd };
    assert!(users.contains(&expected), "{users:?}");
    assert!(
        users.iter().any(|user| matches!(user, Entity::Profile { name, .. } if *name == profile)),
        "{users:?}"
    );
    assert!(
        users.iter().any(|user| matches!(user, Entity::Instance { name, .. } if *name == instance)),
        "{users:?}"
    );
    assert!(!users.contains(&Entity::Other), "{users:?}");

    ctx.delete_instance(&instance).await;
    ctx.client.request(Method::DELETE, &format!("/1.0/profiles/{profile}")).change().await.unwrap();
    volume.delete().await.unwrap();
    pool.delete().await.unwrap();
}

async fn save_put_and_patch_read_back(ctx: Ctx) {
    let mut pool = ctx.new_pool("p").await;
    pool.config_mut().set("rsync.bwlimit", "1MB");
    pool.set_description("saved");
    pool.save().await.unwrap();
    let again = ctx.pool(pool.name()).get().await.unwrap();
    assert_eq!((again.description(), again.config()), (pool.description(), pool.config()));
    assert_eq!((pool.description(), pool.config().text("rsync.bwlimit")), ("saved", Some("1MB")));

    let mut put = pool.object().to_put();
    put.description = "put".to_owned();
    put.config.remove("rsync.bwlimit");
    pool.put(&put).await.unwrap();
    assert_eq!((pool.description(), pool.config().text("rsync.bwlimit")), ("put", None));

    pool.patch(&Patch::new().with_config("rsync.bwlimit", "2MB")).await.unwrap();
    assert_eq!((pool.description(), pool.config().text("rsync.bwlimit")), ("put", Some("2MB")));
    pool.delete().await.unwrap();
}

async fn raw_put_and_raw_patch_do_not_read_back(ctx: Ctx) {
    let mut pool = ctx.new_pool("p").await;
    let mut put = pool.object().to_put();
    put.description = "raw".to_owned();
    ctx.sent.take();
    pool.raw_put(&put).await.unwrap();
    pool.raw_patch(&Patch::new().with_description("raw").with_config("rsync.bwlimit", "3MB")).await.unwrap();
    let path = format!("/1.0/storage-pools/{}", pool.name());
    assert_eq!(ctx.sent.take_without_waits(), [format!("PUT {path}"), format!("PATCH {path}")]);
    assert_eq!(pool.description(), "");

    pool.sync().await.unwrap();
    assert_eq!((pool.description(), pool.config().text("rsync.bwlimit")), ("raw", Some("3MB")));
    pool.delete().await.unwrap();
}

async fn a_lost_update_is_its_own_error(ctx: Ctx) {
    let mut pool = ctx.new_pool("p").await;
    let mut rival = ctx.pool(pool.name()).get().await.unwrap();
    rival.config_mut().set("rsync.bwlimit", "1MB");
    rival.save().await.unwrap();

    pool.config_mut().set("rsync.bwlimit", "2MB");
    let error = pool.save().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::PreconditionFailed);
    assert_eq!(pool.config().text("rsync.bwlimit"), Some("2MB"), "the edit stays here");
    pool.sync().await.unwrap();
    assert_eq!(pool.config().text("rsync.bwlimit"), Some("1MB"));
    pool.delete().await.unwrap();
}

async fn a_lost_update_of_a_listed_pool_is_found_too(ctx: Ctx) {
    let mut pool = ctx.new_pool("p").await;
    let listed = async || {
        let all = ctx.client.storage_pools().all().await.unwrap();
        all.into_iter().find(|listed| listed.name() == pool.name()).unwrap()
    };
    let (mut first, mut second) = (listed().await, listed().await);
    first.set_description("first");
    first.save().await.unwrap();
    second.set_description("second");
    assert_eq!(second.save().await.unwrap_err().kind(), ErrorKind::PreconditionFailed);

    pool.sync().await.unwrap();
    assert_eq!(pool.description(), "first");
    pool.delete().await.unwrap();
}

async fn edits_of_many_tasks_are_all_kept(ctx: Ctx) {
    let mut pool = ctx.new_pool("p").await;
    let tasks: Vec<_> = (0..8)
        .map(|task| {
            let handle = pool.handle().clone();
            tokio::spawn(async move {
                handle
                    .edit(|put| drop(put.config.insert(format!("user.task{task}"), task.to_string())))
                    .await
                    .unwrap();
            })
        })
        .collect();
    for task in tasks {
        task.await.unwrap();
    }
    pool.sync().await.unwrap();
    for task in 0..8 {
        assert_eq!(pool.config().text(&format!("user.task{task}")), Some(&*task.to_string()));
    }
    pool.delete().await.unwrap();
}

async fn patches_of_many_tasks_are_all_kept(ctx: Ctx) {
    let mut pool = ctx.new_pool("p").await;
    let tasks: Vec<_> = (0..6)
        .map(|task| {
            let mut pool = pool.clone();
            tokio::spawn(async move {
                for round in 0..6 {
                    let patch = Patch::new().with_config(format!("user.task{task}-{round}"), task);
                    pool.patch(&patch).await.unwrap();
                }
            })
        })
        .collect();
    for task in tasks {
        task.await.unwrap();
    }
    pool.sync().await.unwrap();
    assert_eq!(pool.config().user().count(), 36, "{:?}", pool.config());
    pool.delete().await.unwrap();
}

async fn resources_are_typed(ctx: Ctx) {
    for pool in ctx.ready_pools() {
        let resources = pool.resources().get().await.unwrap();
        assert!(resources.space.total > 100 << 20, "{resources:?}");
        assert!(resources.space.used <= resources.space.total, "{resources:?}");
    }
    let error = ctx.pool(&ctx.name("nobody")).resources().get().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotFound, "{error:?}");
}

async fn delete_and_use_afterwards(ctx: Ctx) {
    let mut pool = ctx.new_pool("p").await;
    pool.delete().await.unwrap();
    ctx.sent.take();
    for error in [pool.sync().await, pool.save().await, pool.delete().await, pool.patch(&Patch::new()).await]
    {
        let error = error.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::NotFound);
        assert!(error.to_string().contains("was deleted through this handle"), "{error}");
    }
    assert_eq!(ctx.sent.take(), Vec::<String>::new());
    assert!(!ctx.client.storage_pools().exists(pool.name()).await.unwrap());
    assert_eq!(ctx.pool(pool.name()).delete().await.unwrap_err().kind(), ErrorKind::NotFound);
}

async fn delete_of_a_pool_in_use(ctx: Ctx) {
    let mut pool = ctx.new_pool("p").await;
    let mut volume = ctx.new_volume(&pool, "v").await;
    let error = pool.delete().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InUse, "{error:?}");
    volume.delete().await.unwrap();
    pool.delete().await.unwrap();
}
