//! The event stream: typed, filtered, and back after a break.

use std::time::Duration;

use http::Method;
use lxd_storage::{
    ErrorKind, EventItem, Events, PoolHandle,
    types::{
        Entity, Event, EventType, Lifecycle, LifecycleAction, Server, StorageVolumeBackupsPost,
        StorageVolumePut, StorageVolumeSnapshotsPost, StorageVolumesPost, VolumeType,
    },
};
use serde_json::json;

use crate::{
    ctx::{Ctx, cases},
    cut::Cut,
};

cases![
    what_happens_to_storage_is_told,
    an_event_says_which_object_it_is_about,
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

/// What an event should say: what happened, to which object, of which project.
type Told = (LifecycleAction, Entity, String);

/// Lets a volume of this name live and die in a pool, with a snapshot and a backup.
async fn life_of_a_volume(pool: &PoolHandle, name: &str) -> Vec<Told> {
    let mut volume = pool.volumes().create(StorageVolumesPost::new(name)).await.unwrap();
    volume.config_mut().set("user.k", "v");
    volume.save().await.unwrap();
    let mut snapshot = volume.snapshots().create(StorageVolumeSnapshotsPost::new("s")).await.unwrap();
    snapshot.set_description("d");
    snapshot.save().await.unwrap();
    snapshot.rename("t").await.unwrap();
    volume.restore("t").await.unwrap();
    snapshot.delete().await.unwrap();
    let backup = volume.backups().create(StorageVolumeBackupsPost::new("b")).await.unwrap();
    backup.rename("c").await.unwrap().delete().await.unwrap();
    let later = format!("{name}1");
    volume.rename(&later).await.unwrap();
    volume.delete().await.unwrap();

    use LifecycleAction as Action;
    let (pool_name, volume_type) = (pool.name(), VolumeType::Custom);
    let of_volume = |name: &str| Entity::Volume {
        pool: pool_name.to_owned(),
        volume_type: volume_type.clone(),
        name: name.to_owned(),
    };
    let of_snapshot = |snapshot: &str| Entity::VolumeSnapshot {
        pool: pool_name.to_owned(),
        volume_type: volume_type.clone(),
        volume: name.to_owned(),
        name: snapshot.to_owned(),
    };
    let of_backup = |backup: &str| Entity::VolumeBackup {
        pool: pool_name.to_owned(),
        volume_type: volume_type.clone(),
        volume: name.to_owned(),
        name: backup.to_owned(),
    };
    let project = pool.client().project().unwrap_or("default");
    let told = [
        (Action::StorageVolumeCreated, of_volume(name)),
        (Action::StorageVolumeUpdated, of_volume(name)),
        (Action::StorageVolumeSnapshotCreated, of_snapshot("s")),
        (Action::StorageVolumeSnapshotUpdated, of_snapshot("s")),
        (Action::StorageVolumeSnapshotRenamed, of_snapshot("s")),
        (Action::StorageVolumeRestored, of_volume(name)),
        (Action::StorageVolumeSnapshotDeleted, of_snapshot("t")),
        (Action::StorageVolumeBackupCreated, of_backup("b")),
        (Action::StorageVolumeBackupRenamed, of_backup("c")),
        (Action::StorageVolumeBackupDeleted, of_backup("c")),
        (Action::StorageVolumeRenamed, of_volume(&later)),
        (Action::StorageVolumeDeleted, of_volume(&later)),
    ];
    told.into_iter().map(|(action, entity)| (action, entity, project.to_owned())).collect()
}

/// Waits until all of it was told, and lets nothing else be told of what is in this pool.
async fn wait_for(events: &mut Events, server: &Server, pool: &str, expected: Vec<Told>) {
    let mut missing: Vec<&Told> = expected.iter().collect();
    while !missing.is_empty() {
        let waited = tokio::time::timeout(Duration::from_secs(10), events.next()).await;
        let event = match waited.map(Result::unwrap) {
            Ok(EventItem::Event(event)) => event,
            Ok(other) => panic!("no gap was made: {other:?}"),
            Err(_) => panic!("never told: {missing:?}"),
        };
        let lifecycle = event.lifecycle().unwrap();
        if !lifecycle.action.is_storage() || !lifecycle.source.contains(pool) {
            continue;
        }
        let about = event.reference(server).unwrap();
        let told = (lifecycle.action, about.entity.clone(), about.project().to_owned());
        missing.retain(|missing| **missing != told);
        assert!(expected.contains(&told), "{told:?} was not expected of {event:?}");
    }
}

async fn an_event_says_which_object_it_is_about(ctx: Ctx) {
    let project = ctx.new_project("project").await;
    let server = ctx.client.server().await.unwrap();
    let mut events =
        ctx.client.events().of_types([EventType::Lifecycle]).all_projects().open().await.unwrap();
    let mut pool = ctx.new_pool("p").await;
    let of_pool = |action| (action, Entity::Pool { name: pool.name().to_owned() }, "default".to_owned());
    let mut expected =
        vec![of_pool(LifecycleAction::StoragePoolCreated), of_pool(LifecycleAction::StoragePoolDeleted)];
    for project in ["default", &project] {
        let pool = pool.handle().with_project(project);
        for name in [ctx.odd(&ctx.name("é %41 v")), format!("{project}_{}", ctx.name("w"))] {
            expected.append(&mut life_of_a_volume(&pool, &name).await);
        }
    }
    // The root of an instance is named otherwise inside, and so is its type.
    let there = pool.handle().with_project(&*project);
    let instance = ctx.name("i").to_ascii_lowercase();
    let root = json!({"root": {"type": "disk", "path": "/", "pool": pool.name()}});
    let post = json!({"name": instance, "source": {"type": "none"}, "devices": root, "profiles": []});
    let client =
        if ctx.is_cluster() { there.client().with_target("member1") } else { there.client().clone() };
    client.request(Method::POST, "/1.0/instances").json(&post).change().await.unwrap();
    let root = there.volume(VolumeType::Container, &*instance);
    let set = |put: &mut StorageVolumePut| *put = std::mem::take(put).with_config("user.k", "v");
    root.edit(set).await.unwrap();
    there.client().request(Method::DELETE, &format!("/1.0/instances/{instance}")).change().await.unwrap();
    let of_root = Entity::Volume {
        pool: pool.name().to_owned(),
        volume_type: VolumeType::Container,
        name: instance.clone(),
    };
    expected.push((LifecycleAction::StorageVolumeUpdated, of_root, project.clone()));

    let name = pool.name().to_owned();
    pool.delete().await.unwrap();
    wait_for(&mut events, &server, &name, expected).await;
    ctx.delete_project(&project).await;
}

async fn only_what_was_chosen_comes(ctx: Ctx) {
    let project = ctx.new_project("project").await;
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
    ctx.delete_project(&project).await;
}

async fn operations_are_told_to_their_end(ctx: Ctx) {
    let mut volume = ctx.new_volume(&ctx.ready_pools()[0], "v").await;
    let mut events = ctx.client.events().of_types([EventType::Operation]).open().await.unwrap();
    let snapshot = StorageVolumeSnapshotsPost::new("s");
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
            // Of other cases, on their way before the break. The connection breaks no later than with this volume.
            EventItem::Event(event) => {
                let source = event.lifecycle().map(|lifecycle| lifecycle.source).unwrap_or_default();
                assert!(!source.contains(lost.name()), "no gap was told");
            }
            _ => {}
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
