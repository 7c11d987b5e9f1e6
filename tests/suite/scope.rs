//! Project and cluster member reach every request, and extensions are checked first.

use http::Method;
use lxd_storage::{
    ErrorKind, MoveTo,
    transport::Reached,
    types::{Size, StorageVolumesPost, VolumeType},
};
use serde_json::{Value, json};

use crate::{
    content::{contents, fill},
    ctx::{Ctx, cases},
};

cases![
    a_project_has_volumes_of_its_own,
    a_volume_moves_to_another_project,
    the_member_reaches_every_request,
    a_missing_extension_is_named_before_sending,
    an_unknown_project_is_not_found,
    a_limit_of_the_project_is_told_apart,
    the_server_is_asked_once,
];

async fn new_project(ctx: &Ctx) -> String {
    new_project_with(ctx, &json!({})).await
}

async fn new_project_with(ctx: &Ctx, keys: &Value) -> String {
    let project = ctx.name("pr");
    let mut config =
        json!({"features.storage.volumes": "true", "features.images": "false", "features.profiles": "false"});
    config.as_object_mut().unwrap().extend(keys.as_object().unwrap().clone());
    let request = ctx.client.request(Method::POST, "/1.0/projects");
    request.json(&json!({"name": project, "config": config})).change().await.unwrap();
    project
}

async fn delete_project(ctx: &Ctx, project: &str) {
    ctx.client.request(Method::DELETE, &format!("/1.0/projects/{project}")).change().await.unwrap();
}

async fn a_project_has_volumes_of_its_own(ctx: Ctx) {
    let project = new_project(&ctx).await;
    let pool = ctx.ready_pools().remove(0);
    let there = pool.with_project(&*project);
    let mut here = ctx.new_volume(&pool, "same").await;
    ctx.sent.take();

    let post = StorageVolumesPost::new(here.name()).with_description("in the project");
    let mut other = there.volumes().create(post).await.unwrap();
    other.config_mut().set("user.k", "v");
    other.save().await.unwrap();
    other.rename(ctx.name("renamed")).await.unwrap();
    assert_eq!((other.project(), other.description()), (&*project, "in the project"));
    let all = there.volumes().all().await.unwrap();
    assert_eq!(all.iter().map(|volume| volume.name()).collect::<Vec<_>>(), [other.name()]);
    let sent = ctx.sent.take();
    let scoped = format!("project={project}");
    assert!(sent.iter().all(|request| request == "GET /1.0" || request.contains(&scoped)), "{sent:?}");

    here.sync().await.unwrap();
    assert_eq!((here.project(), here.config().text("user.k")), ("default", None));
    here.delete().await.unwrap();
    other.delete().await.unwrap();
    delete_project(&ctx, &project).await;
}

async fn a_volume_moves_to_another_project(ctx: Ctx) {
    let project = new_project(&ctx).await;
    for pool in ctx.ready_pools() {
        let mut volume = ctx.new_volume(&pool, "v").await;
        fill(&ctx.content(&volume));
        let before = contents(&ctx.content(&volume));
        volume.move_to(MoveTo::project(&*project)).await.unwrap();
        assert_eq!((volume.project(), volume.client().project()), (&*project, Some(&*project)));
        assert!(!pool.volumes().exists(VolumeType::Custom, volume.name()).await.unwrap());
        assert_eq!(contents(&ctx.server().volume_path(pool.name(), &project, volume.name())), before);
        volume.delete().await.unwrap();
    }
    delete_project(&ctx, &project).await;
}

async fn the_member_reaches_every_request(ctx: Ctx) {
    let pool = ctx.ready_pools().remove(0);
    // A server outside a cluster takes this one name and no other.
    let member = if ctx.is_cluster() { "member2" } else { "none" };
    let here = pool.with_target(member);
    ctx.sent.take();
    let mut volume = here.volumes().create(StorageVolumesPost::new(ctx.name("v"))).await.unwrap();
    volume.config_mut().set("user.k", "v");
    volume.save().await.unwrap();
    volume.delete().await.unwrap();
    let sent = ctx.sent.take_without_waits();
    assert!(
        sent.iter().all(|request| request == "GET /1.0" || request.contains(&format!("target={member}"))),
        "{sent:?}"
    );

    let error = pool.with_target("nobody").get().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotFound, "{error:?}");
}

async fn a_missing_extension_is_named_before_sending(ctx: Ctx) {
    let request = ctx.client.request(Method::POST, "/1.0/teleport").needs("storage_teleport");
    let error = request.json(&json!({})).change().await.unwrap_err();
    assert_eq!(
        (error.kind(), error.extension()),
        (ErrorKind::UnsupportedExtension, Some("storage_teleport"))
    );
    assert_eq!(error.request_reached_server(), Reached::No);
    assert!(error.to_string().contains("storage_teleport"), "{error}");
    let sent = ctx.sent.take();
    assert!(sent.iter().all(|request| request == "GET /1.0"), "{sent:?}");
}

async fn an_unknown_project_is_not_found(ctx: Ctx) {
    let pool = ctx.ready_pools().remove(0).with_project(ctx.name("nobody"));
    assert_eq!(pool.volumes().all().await.unwrap_err().kind(), ErrorKind::NotFound);
}

async fn the_server_is_asked_once(ctx: Ctx) {
    let pool = ctx.ready_pools().remove(0);
    for _ in 0..3 {
        pool.resources().get().await.unwrap();
    }
    let sent = ctx.sent.take();
    assert_eq!(sent.iter().filter(|request| *request == "GET /1.0").count(), 1, "{sent:?}");
    let server = ctx.client.server().await.unwrap();
    assert!(server.is_trusted() && server.api_extensions.has("storage"));
    assert_eq!(ctx.sent.take(), Vec::<String>::new());
}

async fn a_limit_of_the_project_is_told_apart(ctx: Ctx) {
    let project = new_project_with(&ctx, &json!({"limits.disk": "100MiB"})).await;
    let volumes = ctx.ready_pools().remove(0).with_project(&*project).volumes();
    let sized = |size| StorageVolumesPost::new(ctx.name("v")).with_size(Size::mib(size));
    let error = volumes.create(sized(101)).await.unwrap_err();
    assert!(error.is_limit_reached() && !error.is_no_space() && !error.is_in_use(), "{error}");
    assert!(error.server_message().unwrap().contains("limits.disk"), "{error}");
    volumes.create(sized(100)).await.unwrap().delete().await.unwrap();
    delete_project(&ctx, &project).await;
}
