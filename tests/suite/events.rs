//! The event stream: typed, filtered, and back after a break.

use std::time::Duration;

use http::Method;
use lxd_storage::{
    ErrorKind, EventItem, Events,
    types::{Event, EventType, Lifecycle, LifecycleAction, StorageVolumesPost},
};
use serde_json::json;

use crate::{
    ctx::{Ctx, cases},
    cut::Cut,
};

cases![
    what_happens_to_storage_is_told,
    only_what_was_chosen_comes,
    operations_are_told_to_their_end,
    a_broken_stream_comes_back_and_says_so,
    a_stream_of_nothing_is_refused,
];

/// The next event; a test waits for none longer than this.
async fn next(events: &mut Events) -> EventItem {
    tokio::time::timeout(Duration::from_secs(10), events.next()).await.expect("an event").unwrap()
}

/// The next lifecycle event whose source names this object.
async fn about(events: &mut Events, name: &str) -> (Event, Lifecycle) {
    loop {
        if let EventItem::Event(event) = next(events).await
            && let Some(lifecycle) = event.lifecycle().filter(|lifecycle| lifecycle.source.contains(name))
        {
            return (*event, lifecycle);
        }
    }
}

async fn what_happens_to_storage_is_told(ctx: Ctx) {
    let mut events = ctx.client.events().of_types([EventType::Lifecycle]).open().await.unwrap();
    let pool = &ctx.ready_pools()[0];
    let name = ctx.name("v");
    let mut volume = pool.volumes().create(StorageVolumesPost::new(&*name)).await.unwrap();
    volume.config_mut().set("user.k", "v");
    volume.save().await.unwrap();
    volume.delete().await.unwrap();
    let mut actions = Vec::new();
    while actions.last() != Some(&LifecycleAction::StorageVolumeDeleted) {
        let (event, lifecycle) = about(&mut events, &name).await;
        assert!(event.timestamp.is_some() && lifecycle.requestor.is_some(), "{event:?}");
        actions.push(lifecycle.action);
    }
    // They are sent side by side, so only that all came is certain.
    for action in [LifecycleAction::StorageVolumeCreated, LifecycleAction::StorageVolumeUpdated] {
        assert!(actions.contains(&action), "{actions:?}");
    }
}

async fn only_what_was_chosen_comes(ctx: Ctx) {
    let project = ctx.name("project");
    let config =
        json!({"features.storage.volumes": "true", "features.images": "false", "features.profiles": "false"});
    let post = json!({"name": project, "config": config});
    ctx.client.request(Method::POST, "/1.0/projects").json(&post).change().await.unwrap();
    let (here, there) = (ctx.ready_pools().remove(0), ctx.ready_pools().remove(0).with_project(&*project));
    let lifecycle = |client: &lxd_storage::Client| client.events().of_types([EventType::Lifecycle]);
    let mut mine = lifecycle(there.client()).open().await.unwrap();
    let mut all = lifecycle(&ctx.client).all_projects().open().await.unwrap();
    let (a, b) = (ctx.name("a"), ctx.name("b"));
    let first = here.volumes().create(StorageVolumesPost::new(&*a)).await.unwrap();
    let second = there.volumes().create(StorageVolumesPost::new(&*b)).await.unwrap();
    let (event, _) = about(&mut all, &a).await;
    assert_eq!((event.project.as_deref(), &event.event_type), (Some("default"), &EventType::Lifecycle));
    about(&mut all, &b).await;
    loop {
        let EventItem::Event(event) = next(&mut mine).await else { panic!("no gap was made") };
        assert_eq!(event.project.as_deref(), Some(&*project));
        if event.lifecycle().unwrap().source.contains(&*b) {
            break;
        }
    }
    for mut volume in [first, second] {
        volume.delete().await.unwrap();
    }
    ctx.client.request(Method::DELETE, &format!("/1.0/projects/{project}")).change().await.unwrap();
}

async fn operations_are_told_to_their_end(ctx: Ctx) {
    let mut volume = ctx.new_volume(&ctx.ready_pools()[0], "v").await;
    let mut events = ctx.client.events().of_types([EventType::Operation]).open().await.unwrap();
    let snapshot = lxd_storage::types::StorageVolumeSnapshotsPost::new("s");
    let pending = volume.snapshots().create(snapshot).start().await.unwrap();
    let id = pending.operation().unwrap().id.clone();
    pending.await.unwrap();
    loop {
        let EventItem::Event(event) = next(&mut events).await else { panic!("no gap was made") };
        if event.operation().is_some_and(|operation| operation.id == id && operation.status_code.is_final()) {
            break;
        }
    }
    volume.delete().await.unwrap();
}

async fn a_broken_stream_comes_back_and_says_so(ctx: Ctx) {
    let cut = Cut::new(&ctx).await;
    let mut events = cut.client.events().of_types([EventType::Lifecycle]).open().await.unwrap();
    // The next byte from the server breaks the connection.
    cut.break_after(0);
    let pool = &ctx.ready_pools()[0];
    let lost = ctx.new_volume(pool, "lost").await;
    loop {
        match next(&mut events).await {
            EventItem::Gap => break,
            // Of another case, told before the break.
            _ => assert!(!cut.has_broken(), "no gap was told"),
        }
    }
    let found = ctx.new_volume(pool, "found").await;
    about(&mut events, found.name()).await;
    for mut volume in [lost, found] {
        volume.delete().await.unwrap();
    }
}

async fn a_stream_of_nothing_is_refused(ctx: Ctx) {
    let nothing = ctx.client.events().of_types([]).open().await.unwrap_err();
    assert_eq!(nothing.kind(), ErrorKind::InvalidInput);
    let nowhere = ctx.client.with_project(ctx.name("nowhere")).events().open().await.unwrap_err();
    assert!(matches!(nowhere.kind(), ErrorKind::NotFound | ErrorKind::Server), "{nowhere:?}");
    let unknown = ctx.client.events().of_types(["teleport".into()]).open().await.unwrap_err();
    assert!(unknown.server_message().is_some(), "{unknown:?}");
}
