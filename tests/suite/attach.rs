//! Volumes as disk devices, on instances that hold nothing and on profiles.

use http::Method;
use lxd_storage::{
    Disk, ErrorKind, Holder,
    types::{ContentType, Entity, Size, StorageVolumesPost, VolumeType},
};
use serde_json::{Value, json};

use crate::ctx::{Ctx, cases};

cases![
    a_volume_comes_and_goes_at_an_instance,
    a_volume_comes_and_goes_at_a_profile,
    edits_at_the_same_time_are_kept,
    what_cannot_be_attached_is_refused,
    nothing_is_attached_to_nobody,
    one_device_goes_by_its_name,
];

async fn new_instance(ctx: &Ctx) -> String {
    ctx.new_instance(&json!({"root": {"type": "disk", "path": "/", "pool": "dir0"}})).await
}

async fn new_profile(ctx: &Ctx) -> String {
    let name = ctx.name("p");
    ctx.client.request(Method::POST, "/1.0/profiles").json(&json!({"name": name})).change().await.unwrap();
    name
}

async fn devices(ctx: &Ctx, path: &str) -> Value {
    ctx.client.request(Method::GET, path).fetch::<Value>().await.unwrap().value["devices"].clone()
}

async fn delete(ctx: &Ctx, path: &str) {
    ctx.client.request(Method::DELETE, path).change().await.unwrap();
}

async fn a_volume_comes_and_goes_at_an_instance(ctx: Ctx) {
    let instance = new_instance(&ctx).await;
    let (path, holder) = (format!("/1.0/instances/{instance}"), Holder::instance(&*instance));
    let mut volume = ctx.new_volume(&ctx.ready_pools()[0], "v").await;
    let disk = Disk::at("/srv/data").with_device("data").read_only();
    assert_eq!(volume.attach(&holder, disk.clone()).await.unwrap(), "data");
    let expected = json!({"type": "disk", "pool": volume.pool().name(), "source": volume.name(), "path": "/srv/data", "readonly": "true"});
    assert_eq!(devices(&ctx, &path).await["data"], expected);
    // The same again changes nothing; another under that name is refused.
    ctx.sent.take();
    volume.attach(&holder, disk).await.unwrap();
    assert!(!ctx.sent.take().iter().any(|request| request.starts_with("PUT")));
    let error = volume.attach(&holder, Disk::at("/elsewhere").with_device("data")).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::AlreadyExists);

    volume.sync().await.unwrap();
    let users = volume.used_by().await.unwrap();
    assert!(matches!(&users[0].entity, Entity::Instance { name, .. } if *name == instance), "{users:?}");
    assert!(volume.delete().await.unwrap_err().is_in_use());

    assert_eq!(volume.detach(&holder).await.unwrap(), ["data"]);
    assert_eq!(volume.detach(&holder).await.unwrap(), Vec::<String>::new());
    let left = devices(&ctx, &path).await;
    assert_eq!(left.as_object().unwrap().keys().collect::<Vec<_>>(), ["root"]);
    volume.delete().await.unwrap();
    delete(&ctx, &path).await;
}

async fn a_volume_comes_and_goes_at_a_profile(ctx: Ctx) {
    let profile = new_profile(&ctx).await;
    let (path, holder) = (format!("/1.0/profiles/{profile}"), Holder::profile(&*profile));
    let mut volume = ctx.new_volume(&ctx.ready_pools()[0], "v").await;
    assert_eq!(volume.attach(&holder, Disk::at("/a")).await.unwrap(), volume.name());
    volume.attach(&holder, Disk::at("/b").with_device("second")).await.unwrap();
    assert_eq!(volume.detach(&holder).await.unwrap().len(), 2);
    assert_eq!(devices(&ctx, &path).await, json!({}));
    volume.delete().await.unwrap();
    delete(&ctx, &path).await;
}

async fn edits_at_the_same_time_are_kept(ctx: Ctx) {
    let profile = new_profile(&ctx).await;
    let holder = Holder::profile(&*profile);
    let volume = ctx.new_volume(&ctx.ready_pools()[0], "v").await;
    let attach = |number: usize| {
        let (volume, holder) = (volume.handle().clone(), holder.clone());
        async move {
            let disk = Disk::at(format!("/{number}")).with_device(format!("d{number}"));
            volume.attach(&holder, disk).await
        }
    };
    let (a, b, c, d) = tokio::join!(attach(0), attach(1), attach(2), attach(3));
    for attached in [a, b, c, d] {
        attached.unwrap();
    }
    let mut gone = volume.detach(&holder).await.unwrap();
    gone.sort();
    assert_eq!(gone, ["d0", "d1", "d2", "d3"]);
    volume.handle().delete().await.unwrap();
    delete(&ctx, &format!("/1.0/profiles/{profile}")).await;
}

async fn what_cannot_be_attached_is_refused(ctx: Ctx) {
    let instance = new_instance(&ctx).await;
    let holder = Holder::instance(&*instance);
    let pool = &ctx.ready_pools()[0];
    let mut files = ctx.new_volume(pool, "v").await;
    let post = StorageVolumesPost::new(ctx.name("b")).with_content_type(ContentType::Block);
    let mut block = pool.volumes().create(post.with_size(Size::mib(4))).await.unwrap();
    ctx.sent.take();
    for (volume, disk) in [
        (&files, Disk::block()),
        (&files, Disk::at("relative")),
        (&files, Disk::at("/a").with_device("")),
        (&block, Disk::at("/a")),
        // Containers have no block devices of their own.
        (&block, Disk::block()),
    ] {
        let error = volume.attach(&holder, disk).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidInput, "{error:?}");
    }
    assert!(ctx.sent.take().iter().all(|request| request.starts_with("GET")));
    files.delete().await.unwrap();
    block.delete().await.unwrap();
    delete(&ctx, &format!("/1.0/instances/{instance}")).await;
}

async fn nothing_is_attached_to_nobody(ctx: Ctx) {
    let pool = &ctx.ready_pools()[0];
    let mut volume = ctx.new_volume(pool, "v").await;
    let nobody = Holder::instance("nobody");
    assert_eq!(volume.attach(&nobody, Disk::at("/a")).await.unwrap_err().kind(), ErrorKind::NotFound);
    assert_eq!(volume.detach(&nobody).await.unwrap_err().kind(), ErrorKind::NotFound);
    let nothing = pool.volume(VolumeType::Custom, ctx.name("nothing"));
    let error = nothing.attach(&Holder::profile("default"), Disk::at("/a")).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotFound);
    volume.delete().await.unwrap();
}

async fn one_device_goes_by_its_name(ctx: Ctx) {
    let (instance, profile) = (new_instance(&ctx).await, new_profile(&ctx).await);
    let pool = &ctx.ready_pools()[0];
    let (mut volume, mut other) = (ctx.new_volume(pool, "v").await, ctx.new_volume(pool, "w").await);
    for (path, holder) in [
        (format!("/1.0/instances/{instance}"), Holder::instance(&*instance)),
        (format!("/1.0/profiles/{profile}"), Holder::profile(&*profile)),
    ] {
        volume.attach(&holder, Disk::at("/a").with_device("first")).await.unwrap();
        volume.attach(&holder, Disk::at("/b").with_device("second")).await.unwrap();
        other.attach(&holder, Disk::at("/c").with_device("other")).await.unwrap();
        ctx.sent.take();
        for (device, kind) in
            [("other", ErrorKind::InvalidInput), ("third", ErrorKind::NotFound), ("", ErrorKind::NotFound)]
        {
            let error = volume.detach_device(&holder, device).await.unwrap_err();
            assert_eq!(error.kind(), kind, "{error}");
        }
        assert!(ctx.sent.take().iter().all(|request| request.starts_with("GET")));
        volume.detach_device(&holder, "first").await.unwrap();
        let left = devices(&ctx, &path).await;
        let left: Vec<_> = left.as_object().unwrap().keys().filter(|name| *name != "root").collect();
        assert_eq!(left, ["other", "second"]);
        assert_eq!(volume.detach(&holder).await.unwrap(), ["second"]);
        other.detach_device(&holder, "other").await.unwrap();
    }
    let error = volume.detach_device(&Holder::instance("nobody"), "first").await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotFound);
    for path in [format!("/1.0/instances/{instance}"), format!("/1.0/profiles/{profile}")] {
        delete(&ctx, &path).await;
    }
    volume.delete().await.unwrap();
    other.delete().await.unwrap();
}
