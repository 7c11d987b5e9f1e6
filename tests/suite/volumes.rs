//! Every row of pylxd's guide on volumes, on each driver that works here.

use http::Method;
use lxd_storage::{
    ErrorKind, MoveTo,
    transport::Reached,
    types::{ContentType, Patch, Size, StorageVolumePut, StorageVolumesPost, VolumeType},
};
use serde_json::json;

use crate::ctx::{Ctx, cases};

cases![
    all_gives_full_objects_in_one_request,
    create_get_and_exists,
    create_refuses_before_sending,
    block_volumes,
    every_type_is_readable,
    what_a_type_does_not_take_is_not_sent,
    save_keeps_the_description,
    put_and_patch_read_back,
    raw_put_and_raw_patch_do_not_read_back,
    a_block_volume_does_not_shrink,
    a_lost_update_is_its_own_error,
    a_lost_update_of_a_listed_volume_is_found_too,
    resize,
    rename_in_place,
    a_failed_rename_changes_nothing,
    move_to_another_pool,
    delete_and_use_afterwards,
    delete_of_a_volume_in_use,
    state_is_typed,
    edits_of_many_tasks_are_all_kept,
];

async fn all_gives_full_objects_in_one_request(ctx: Ctx) {
    for pool in ctx.ready_pools() {
        let post =
            StorageVolumesPost::new(ctx.name("a")).with_description("first").with_config("user.k", "v");
        let mut a = pool.volumes().create(post).await.unwrap();
        let mut b = ctx.new_volume(&pool, "b").await;
        let path = format!("/1.0/storage-pools/{}/volumes/custom/{}/snapshots", pool.name(), a.name());
        ctx.client.request(Method::POST, &path).json(&json!({"name": "snap0"})).change().await.unwrap();
        ctx.sent.take();

        for list in
            [pool.volumes().all().await.unwrap(), pool.volumes().all_of(&VolumeType::Custom).await.unwrap()]
        {
            let listed = list.iter().find(|volume| volume.name() == a.name()).unwrap();
            assert_eq!((listed.description(), listed.config().text("user.k")), ("first", Some("v")));
            assert_eq!(
                (listed.volume_type(), listed.content_type()),
                (&VolumeType::Custom, &ContentType::Filesystem)
            );
            assert!(list.iter().any(|volume| volume.name() == b.name()));
            assert!(list.iter().all(|volume| !volume.name().contains("snap0")), "snapshots are no volumes");
        }
        assert_eq!(ctx.sent.take().len(), 2);
        a.delete().await.unwrap();
        b.delete().await.unwrap();
    }
}

async fn create_get_and_exists(ctx: Ctx) {
    for pool in ctx.ready_pools() {
        let volumes = pool.volumes();
        let post = StorageVolumesPost::new(ctx.name("v")).with_size(Size::mib(16)).with_description("d");
        let mut volume = volumes.create(post).await.unwrap();
        assert_eq!((volume.description(), volume.config().size("size").unwrap()), ("d", Some(Size::mib(16))));
        let location = if ctx.is_cluster() { "member1" } else { "none" };
        assert_eq!((volume.project(), volume.location()), ("default", location));
        assert!(volumes.exists(VolumeType::Custom, volume.name()).await.unwrap());
        assert!(!volumes.exists(VolumeType::Container, volume.name()).await.unwrap());
        let again = volumes.get(VolumeType::Custom, volume.name()).await.unwrap();
        assert_eq!(again.object(), volume.object());

        let error = volumes.create(StorageVolumesPost::new(volume.name())).await.unwrap_err();
        assert!(error.is_already_exists(), "{error:?}");
        volume.delete().await.unwrap();
        assert!(!volumes.exists(VolumeType::Custom, volume.name()).await.unwrap());
    }
}

async fn create_refuses_before_sending(ctx: Ctx) {
    let volumes = ctx.ready_pools()[0].volumes();
    let mut other_type = StorageVolumesPost::new("v");
    other_type.volume_type = VolumeType::Image;
    for (post, named) in [
        (StorageVolumesPost::new(""), "empty"),
        (StorageVolumesPost::new("a/b"), "\"a/b\""),
        (StorageVolumesPost::new("a\u{1}"), "\\u{1}"),
        (StorageVolumesPost::new("v").with_config("size", "-1"), "\"-1\""),
        (other_type, "image"),
    ] {
        let error = volumes.create(post).await.unwrap_err();
        assert_eq!((error.kind(), error.request_reached_server()), (ErrorKind::InvalidInput, Reached::No));
        assert!(error.to_string().contains(named), "{error}");
    }
    assert_eq!(ctx.sent.take(), Vec::<String>::new());
}

async fn block_volumes(ctx: Ctx) {
    for pool in ctx.ready_pools() {
        let post = StorageVolumesPost::new(ctx.name("block"));
        let post = post.with_content_type(ContentType::Block).with_size(Size::mib(8));
        let mut volume = pool.volumes().create(post).await.unwrap();
        assert_eq!(*volume.content_type(), ContentType::Block);
        volume.delete().await.unwrap();
    }
}

async fn every_type_is_readable(ctx: Ctx) {
    for pool in ctx.ready_pools() {
        let root = json!({"root": {"type": "disk", "path": "/", "pool": pool.name()}});
        let instance = ctx.new_instance(&root).await;

        let volume = pool.volumes().get(VolumeType::Container, &instance).await.unwrap();
        assert_eq!((volume.volume_type(), volume.name()), (&VolumeType::Container, &*instance));
        let used_by = volume.used_by().await.unwrap();
        assert!(!used_by.is_empty(), "an instance uses its own root");
        let all = pool.volumes().all().await.unwrap();
        assert!(
            all.iter()
                .any(|listed| listed.name() == instance && *listed.volume_type() == VolumeType::Container)
        );
        for absent in [VolumeType::VirtualMachine, VolumeType::Image] {
            assert!(pool.volumes().all_of(&absent).await.unwrap().is_empty());
            assert_eq!(pool.volumes().get(absent, "nobody").await.unwrap_err().kind(), ErrorKind::NotFound);
        }
        let error = pool.volumes().all_of(&VolumeType::from("quilt")).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidInput, "{error:?}");
        // What belongs to the instance can be edited, and its snapshots seen.
        let set = |put: &mut StorageVolumePut| {
            put.config.set("user.k", "v");
        };
        let edited = volume.handle().edit(set).await.unwrap();
        assert_eq!(edited.config().text("user.k"), Some("v"));
        assert!(volume.snapshots().all().await.unwrap().is_empty());
        assert!(volume.handle().full().await.unwrap().backups.is_empty());

        ctx.delete_instance(&instance).await;
    }
}

async fn what_a_type_does_not_take_is_not_sent(ctx: Ctx) {
    let pool = ctx.ready_pools().remove(0);
    ctx.client.server().await.unwrap();
    ctx.sent.take();
    for volume_type in [VolumeType::Container, VolumeType::VirtualMachine, VolumeType::Image] {
        let volume = pool.volume(volume_type.clone(), "v");
        let snapshot = volume.snapshot("s");
        let mut errors = vec![
            volume.rename("other").await.unwrap_err(),
            volume.move_to(MoveTo::pool("other")).await.unwrap_err(),
            volume.raw_patch(&Patch::default()).await.unwrap_err(),
            volume.copy_to_server(&pool).await.unwrap_err(),
            volume.backups().all().await.unwrap_err(),
            volume.export().open().await.unwrap_err(),
            snapshot.rename("other").await.unwrap_err(),
            snapshot.delete().await.unwrap_err(),
        ];
        if volume_type == VolumeType::Image {
            errors.push(volume.state().await.unwrap_err());
        } else {
            errors.push(volume.delete().await.unwrap_err());
        }
        for error in errors {
            assert_eq!(
                (error.kind(), error.request_reached_server()),
                (ErrorKind::InvalidInput, Reached::No)
            );
        }
    }
    assert_eq!(ctx.sent.take(), Vec::<String>::new());
}

async fn save_keeps_the_description(ctx: Ctx) {
    for pool in ctx.ready_pools() {
        let post = StorageVolumesPost::new(ctx.name("v")).with_description("keep me");
        let mut volume = pool.volumes().create(post).await.unwrap();
        volume.config_mut().set("user.k", "v");
        volume.save().await.unwrap();
        let now = volume.get().await.unwrap();
        assert_eq!((now.description(), now.config().text("user.k")), ("keep me", Some("v")));
        assert_eq!(volume.object(), now.object());
        volume.delete().await.unwrap();
    }
}

async fn put_and_patch_read_back(ctx: Ctx) {
    for pool in ctx.ready_pools() {
        let post = StorageVolumesPost::new(ctx.name("v")).with_description("d").with_config("user.a", "1");
        let mut volume = pool.volumes().create(post).await.unwrap();
        volume.patch(&Patch::new().with_config("user.b", "2")).await.unwrap();
        assert_eq!(volume.description(), "d", "a patch must not clear the description");
        assert_eq!((volume.config().text("user.a"), volume.config().text("user.b")), (Some("1"), Some("2")));
        volume.patch(&Patch::new().with_config("user.a", "").with_description("e")).await.unwrap();
        assert_eq!((volume.description(), volume.config().text("user.a")), ("e", None));

        let mut put = volume.object().to_put();
        put.config.set("user.c", 3);
        volume.put(&put).await.unwrap();
        assert_eq!((volume.description(), volume.config().text("user.c")), ("e", Some("3")));
        assert_eq!(volume.object(), volume.get().await.unwrap().object());
        volume.delete().await.unwrap();
    }
}

async fn a_block_volume_does_not_shrink(ctx: Ctx) {
    for pool in ctx.ready_pools() {
        let post = StorageVolumesPost::new(ctx.name("b")).with_content_type(ContentType::Block);
        let mut volume = pool.volumes().create(post.clone().with_size(Size::mib(16))).await.unwrap();
        ctx.sent.take();
        let mut put = volume.object().to_put();
        put.config.set("size", Size::mib(8));
        let patch = Patch::new().with_config("size", "8MiB");
        let mut edited = volume.clone();
        edited.config_mut().set("size", Size::mib(8));
        let refused = [
            edited.save().await.unwrap_err(),
            volume.put(&put).await.unwrap_err(),
            volume.patch(&patch).await.unwrap_err(),
            volume.edit(|edited| edited.clone_from(&put)).await.unwrap_err(),
            pool.volumes().ensure(post.clone().with_size(Size::mib(8))).await.unwrap_err(),
            pool.volumes().ensure(post.with_size(Size::mib(8))).allow_shrinking().await.unwrap_err(),
        ];
        for error in refused {
            assert_eq!(error.kind(), ErrorKind::InvalidInput, "{error}");
            assert!(error.to_string().contains("create a smaller one"), "{error}");
        }
        assert!(ctx.sent.take().iter().all(|request| request.starts_with("GET")));
        // Servers agree, and what grows passes.
        let error = volume.raw_patch(&patch).await.unwrap_err();
        assert!(error.server_message().is_some(), "{error}");
        volume.config_mut().set("size", Size::mib(32));
        volume.save().await.unwrap();
        assert_eq!(volume.config().size("size").unwrap(), Some(Size::mib(32)));
        volume.delete().await.unwrap();

        let post = StorageVolumesPost::new(ctx.name("f")).with_size(Size::mib(32));
        let mut files = pool.volumes().create(post).await.unwrap();
        files.config_mut().set("size", Size::mib(16));
        files.save().await.unwrap();
        assert_eq!(files.config().size("size").unwrap(), Some(Size::mib(16)));
        files.delete().await.unwrap();
    }
}

async fn raw_put_and_raw_patch_do_not_read_back(ctx: Ctx) {
    let pool = ctx.ready_pools().remove(0);
    let mut volume = ctx.new_volume(&pool, "v").await;
    // A member is said only to a server that knows of such.
    ctx.client.server().await.unwrap();
    ctx.sent.take();
    let mut put = volume.object().to_put();
    put.description = "raw".to_owned();
    volume.raw_put(&put).await.unwrap();
    volume.raw_patch(&Patch::new().with_config("user.k", "v")).await.unwrap();
    let at = if ctx.is_cluster() { "?target=member1" } else { "" };
    let path = format!("/1.0/storage-pools/{}/volumes/custom/{}{at}", pool.name(), volume.name());
    assert_eq!(ctx.sent.take_without_waits(), [format!("PUT {path}"), format!("PATCH {path}")]);
    assert_eq!(volume.description(), "");
    volume.sync().await.unwrap();
    assert_eq!(volume.config().text("user.k"), Some("v"));
    volume.delete().await.unwrap();
}

async fn a_lost_update_is_its_own_error(ctx: Ctx) {
    for pool in ctx.ready_pools() {
        let mut volume = ctx.new_volume(&pool, "v").await;
        let mut rival = volume.get().await.unwrap();
        rival.config_mut().set("user.k", "rival");
        rival.save().await.unwrap();
        volume.config_mut().set("user.k", "mine");
        assert_eq!(volume.save().await.unwrap_err().kind(), ErrorKind::PreconditionFailed);
        volume.sync().await.unwrap();
        assert_eq!(volume.config().text("user.k"), Some("rival"));
        volume.delete().await.unwrap();
    }
}

async fn a_lost_update_of_a_listed_volume_is_found_too(ctx: Ctx) {
    let pool = ctx.ready_pools().remove(0);
    let mut volume = ctx.new_volume(&pool, "v").await;
    let listed = async || {
        let all = pool.volumes().all().await.unwrap();
        all.into_iter().find(|listed| listed.name() == volume.name()).unwrap()
    };
    let (mut first, mut second) = (listed().await, listed().await);
    first.config_mut().set("user.k", "first");
    first.save().await.unwrap();
    second.set_description("second");
    assert_eq!(second.save().await.unwrap_err().kind(), ErrorKind::PreconditionFailed);
    volume.delete().await.unwrap();
}

async fn resize(ctx: Ctx) {
    for pool in ctx.ready_pools() {
        let post = StorageVolumesPost::new(ctx.name("v")).with_size(Size::mib(16));
        let mut volume = pool.volumes().create(post).await.unwrap();
        volume.config_mut().set("size", Size::mib(32));
        volume.save().await.unwrap();
        assert_eq!(volume.config().size("size").unwrap(), Some(Size::mib(32)));
        volume.config_mut().set("size", "much");
        ctx.sent.take();
        assert_eq!(volume.save().await.unwrap_err().kind(), ErrorKind::InvalidInput);
        assert_eq!(ctx.sent.take(), Vec::<String>::new());
        volume.delete().await.unwrap();
    }
}

async fn rename_in_place(ctx: Ctx) {
    for pool in ctx.ready_pools() {
        let mut volume = ctx.new_volume(&pool, "old").await;
        std::fs::write(ctx.content(&volume).join("file"), b"content").unwrap();
        let (old, new) = (volume.name().to_owned(), ctx.name(&ctx.odd("new & improved")));
        volume.rename(&*new).await.unwrap();
        assert_eq!((volume.name(), &*volume.object().name), (&*new, &*new));
        assert!(!pool.volumes().exists(VolumeType::Custom, &old).await.unwrap());
        assert_eq!(std::fs::read(ctx.content(&volume).join("file")).unwrap(), b"content");
        volume.delete().await.unwrap();
    }
}

async fn a_failed_rename_changes_nothing(ctx: Ctx) {
    let pool = ctx.ready_pools().remove(0);
    let mut volume = ctx.new_volume(&pool, "v").await;
    let mut taken = ctx.new_volume(&pool, "taken").await;
    let name = volume.name().to_owned();
    let error = volume.rename(taken.name()).await.unwrap_err();
    assert!(error.is_already_exists(), "{error:?}");
    assert_eq!(volume.rename("a/b").await.unwrap_err().kind(), ErrorKind::InvalidInput);
    assert_eq!(volume.name(), name);
    volume.sync().await.unwrap();
    volume.delete().await.unwrap();
    taken.delete().await.unwrap();
}

async fn move_to_another_pool(ctx: Ctx) {
    let pools = ctx.ready_pools();
    let mut target = ctx.new_pool("target").await;
    for pool in pools {
        let mut volume = ctx.new_volume(&pool, "v").await;
        std::fs::write(ctx.content(&volume).join("file"), b"moved").unwrap();
        let error = volume.move_to(MoveTo::pool(ctx.name("nobody"))).await.unwrap_err();
        assert!(error.is_not_found(), "{error:?}");
        assert_eq!(volume.pool().name(), pool.name());

        let name = ctx.name("arrived");
        volume.move_to(MoveTo::pool(target.name()).with_name(&*name)).await.unwrap();
        assert_eq!((volume.pool().name(), volume.name()), (target.name(), &*name));
        assert_eq!(std::fs::read(ctx.content(&volume).join("file")).unwrap(), b"moved");
        assert!(!pool.volumes().exists(VolumeType::Custom, &ctx.name("v")).await.unwrap());
        volume.delete().await.unwrap();
    }
    target.delete().await.unwrap();
}

async fn delete_and_use_afterwards(ctx: Ctx) {
    let pool = ctx.ready_pools().remove(0);
    let mut volume = ctx.new_volume(&pool, "v").await;
    volume.delete().await.unwrap();
    ctx.sent.take();
    for outcome in [
        volume.sync().await,
        volume.save().await,
        volume.delete().await,
        volume.rename("x").await,
        volume.move_to(MoveTo::pool("x")).await,
        volume.patch(&Patch::new()).await,
    ] {
        let error = outcome.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::NotFound);
        assert!(error.to_string().contains("was deleted through this handle"), "{error}");
    }
    assert_eq!(ctx.sent.take(), Vec::<String>::new());
}

async fn delete_of_a_volume_in_use(ctx: Ctx) {
    let pool = ctx.ready_pools().remove(0);
    let mut volume = ctx.new_volume(&pool, "v").await;
    let devices = json!({
        "root": {"type": "disk", "path": "/", "pool": pool.name()},
        "data": {"type": "disk", "path": "/data", "pool": pool.name(), "source": volume.name()},
    });
    let instance = ctx.new_instance(&devices).await;
    let error = volume.delete().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InUse, "{error:?}");

    ctx.delete_instance(&instance).await;
    volume.delete().await.unwrap();
}

async fn state_is_typed(ctx: Ctx) {
    for pool in ctx.ready_pools() {
        let mut volume = ctx.new_volume(&pool, "v").await;
        match volume.state().await {
            Ok(state) => assert!(state.usage.is_none_or(|usage| usage.used < 1 << 30)),
            // LXD 5.0 on drivers that count nothing.
            Err(error) => assert_eq!(
                (error.kind(), error.status().unwrap().as_u16()),
                (ErrorKind::Server, 500),
                "{error}"
            ),
        }
        volume.delete().await.unwrap();
    }
}

async fn edits_of_many_tasks_are_all_kept(ctx: Ctx) {
    let pool = ctx.ready_pools().remove(0);
    let mut volume = ctx.new_volume(&pool, "v").await;
    let tasks: Vec<_> = (0..8)
        .map(|task| {
            let handle = volume.handle().clone();
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
    volume.sync().await.unwrap();
    assert_eq!(volume.config().user().count(), 8);
    volume.delete().await.unwrap();
}
