//! Pools and volumes on the members of a cluster, and the same calls on a server that stands alone.

use std::collections::BTreeSet;

use http::Method;
use lxd_storage::{
    ErrorKind,
    types::{Config, Patch, PoolStatus, StoragePoolsPost, StorageVolumePut, StorageVolumesPost, VolumeType},
};
use lxd_tests::Slot;

use crate::{
    content::{contents, fill},
    ctx::{Ctx, cases},
};

cases![
    members_are_listed,
    a_pool_is_created_on_all_members,
    a_creation_that_was_interrupted_goes_on,
    a_creation_that_fails_leaves_nothing,
    what_a_cluster_cannot_have_is_refused_first,
    the_state_of_a_member_is_read_where_it_is_told,
    volumes_are_found_where_they_are,
    a_volume_moves_to_another_member,
    a_listed_volume_is_edited_on_its_own_member,
    a_volume_that_was_read_is_edited_where_it_was_found,
];

const MEMBERS: [&str; 3] = ["member1", "member2", "member3"];

fn sources(ctx: &Ctx, what: &str) -> Vec<(String, Config, std::path::PathBuf)> {
    MEMBERS
        .iter()
        .map(|member| {
            let folder = std::env::temp_dir().join(format!("lxdrs-files-{}{member}", ctx.name(what)));
            let config = [("source", folder.to_str().unwrap())].into_iter().collect();
            (member.to_string(), config, folder)
        })
        .collect()
}

async fn members_are_listed(ctx: Ctx) {
    let cluster = ctx.client.cluster();
    assert_eq!(cluster.is_clustered().await.unwrap(), ctx.is_cluster());
    let names: Vec<String> =
        cluster.members().await.unwrap().into_iter().map(|member| member.server_name).collect();
    if ctx.is_cluster() {
        assert_eq!(names, MEMBERS);
        let member = cluster.member("member2").await.unwrap();
        assert_eq!(member.url, ctx.lab.daemon(Slot::Member2).unwrap().https_url());
    } else {
        assert!(names.is_empty());
    }
    assert!(cluster.member("nobody").await.unwrap_err().is_not_found());
}

async fn a_pool_is_created_on_all_members(ctx: Ctx) {
    let post = StoragePoolsPost::new(ctx.name("p"), "dir")
        .with_description("everywhere")
        .with_config("rsync.bwlimit", "10MB");
    let mut creation = ctx.client.storage_pools().create_on_members(post);
    let folders = sources(&ctx, "s");
    if ctx.is_cluster() {
        for (member, config, folder) in &folders {
            std::fs::create_dir(folder).unwrap();
            creation = creation.with_member(member, config.clone());
        }
    }
    let mut pool = creation.await.unwrap();
    assert_eq!((pool.status(), pool.description()), (&PoolStatus::Created, "everywhere"));
    assert_eq!(pool.config().text("rsync.bwlimit"), Some("10MB"));
    let per_member = pool.per_member().await.unwrap();
    if ctx.is_cluster() {
        assert_eq!(per_member.keys().collect::<Vec<_>>(), MEMBERS);
        for (member, config, _) in &folders {
            assert_eq!(per_member[member].config().text("source"), config.text("source"));
            assert!(per_member[member].resources().get().await.unwrap().space.total > 0);
        }
    } else {
        assert_eq!(per_member.keys().collect::<Vec<_>>(), ["none"]);
    }
    pool.edit(|put| {
        put.config.set("rsync.bwlimit", "20MB");
    })
    .await
    .unwrap();
    pool.sync().await.unwrap();
    assert_eq!(pool.config().text("rsync.bwlimit"), Some("20MB"));

    let error = ctx.create_pool(StoragePoolsPost::new(pool.name(), "dir")).await.unwrap_err();
    assert!(error.is_already_exists(), "{error}");
    pool.delete().await.unwrap();
    folders.iter().for_each(|(_, _, folder)| drop(std::fs::remove_dir_all(folder)));
}

async fn a_creation_that_was_interrupted_goes_on(ctx: Ctx) {
    if !ctx.is_cluster() {
        return;
    }
    let name = ctx.name("p");
    let post = StoragePoolsPost::new(&name, "dir");
    // As if the program had ended after the first member.
    drop(ctx.client.with_target("member2").storage_pools().create(post.clone()).start().await.unwrap());
    let handle = ctx.pool(&name);
    assert_eq!(*handle.get().await.unwrap().status(), PoolStatus::Pending);

    // Other keys than those that are pending are no continuation.
    let other = [("source", "/elsewhere")];
    let error = ctx.client.storage_pools().create_on_members(post.clone()).with_member("member2", other);
    let error = error.await.unwrap_err();
    assert!(error.kind() == ErrorKind::InvalidInput && error.to_string().contains("/elsewhere"), "{error}");
    let error = ctx.create_pool(StoragePoolsPost::new(&name, "btrfs")).await.unwrap_err();
    assert!(error.kind() == ErrorKind::InvalidInput && error.to_string().contains("btrfs"), "{error}");

    ctx.sent.take();
    let mut pool = ctx.create_pool(post).await.unwrap();
    let posts = ctx.sent.take().into_iter().filter(|line| line.starts_with("POST")).collect::<Vec<_>>();
    assert_eq!(posts.len(), 3, "one each for the other members, and the last: {posts:?}");
    assert_eq!(*pool.status(), PoolStatus::Created);
    let locations: BTreeSet<&str> = pool.locations().iter().map(String::as_str).collect();
    assert_eq!(locations, BTreeSet::from(MEMBERS));
    pool.delete().await.unwrap();
}

async fn a_creation_that_fails_leaves_nothing(ctx: Ctx) {
    let name = ctx.name("p");
    // There is no such file on any member, which shows only when the pool is made.
    let post = StoragePoolsPost::new(&name, "dir").with_config("source", "/nonexistent/lxdrs");
    let error = ctx.create_pool(post).await.unwrap_err();
    assert!(error.server_message().is_some() || error.to_string().contains("nonexistent"), "{error}");
    assert!(!ctx.client.storage_pools().exists(&name).await.unwrap(), "{error}");
    // A key that no member takes is found at the first.
    let post = StoragePoolsPost::new(&name, "dir").with_config("no.such.key", "1");
    let error = ctx.create_pool(post).await.unwrap_err();
    assert!(error.to_string().contains("no.such.key"), "{error}");
    assert!(!ctx.client.storage_pools().exists(&name).await.unwrap(), "{error}");
}

async fn what_a_cluster_cannot_have_is_refused_first(ctx: Ctx) {
    let post = StoragePoolsPost::new(ctx.name("p"), "dir");
    let source: Config = [("source", "/x")].into_iter().collect();
    ctx.client.server().await.unwrap();
    ctx.sent.take();
    let stranger =
        ctx.client.storage_pools().create_on_members(post.clone()).with_member("nobody", source).await;
    let error = stranger.unwrap_err();
    assert!(error.kind() == ErrorKind::InvalidInput && error.to_string().contains("nobody"), "{error}");
    let global: Config = [("rsync.bwlimit", "1MB")].into_iter().collect();
    let error =
        ctx.client.storage_pools().create_on_members(post).with_member("member1", global).await.unwrap_err();
    assert!(
        error.kind() == ErrorKind::InvalidInput && error.to_string().contains("rsync.bwlimit"),
        "{error}"
    );
    assert!(!ctx.sent.take().iter().any(|line| line.starts_with("POST")));
}

async fn the_state_of_a_member_is_read_where_it_is_told(ctx: Ctx) {
    let state = ctx.client.cluster().member_state("member1").await;
    let server = ctx.client.server().await.unwrap();
    if server.api_extensions.has("cluster_member_state") && ctx.is_cluster() {
        assert!(state.unwrap().storage_pools.contains_key("dir0"));
    } else if server.api_extensions.has("cluster_member_state") {
        state.unwrap_err();
    } else {
        assert_eq!(state.unwrap_err().extension(), Some("cluster_member_state"));
    }
}

async fn volumes_are_found_where_they_are(ctx: Ctx) {
    let pool = ctx.pool("dir0");
    let volume = pool.volume(VolumeType::Custom, ctx.name("v"));
    assert!(volume.locate().await.unwrap().is_empty());
    let places: &[Option<&str>] =
        if ctx.is_cluster() { &[Some("member2"), Some("member3")] } else { &[None] };
    for place in places {
        let there = place.map_or_else(|| pool.clone(), |member| pool.with_target(member));
        let made = there.volumes().create(StorageVolumesPost::new(volume.name())).await.unwrap();
        assert_eq!(made.location(), place.unwrap_or("none"));
    }
    let found = volume.locate().await.unwrap();
    let targets: BTreeSet<Option<&str>> = found.iter().map(|found| found.client().target()).collect();
    assert_eq!(targets, places.iter().copied().collect());
    for handle in found {
        handle.edit(|put| put.description = "found".to_owned()).await.unwrap();
        handle.delete().await.unwrap();
    }
}

async fn a_volume_moves_to_another_member(ctx: Ctx) {
    if !ctx.is_cluster() {
        return;
    }
    for pool in ctx.ready_pools() {
        let volume = ctx.new_volume(&pool, "v").await;
        assert_eq!(volume.location(), "member1");
        fill(&ctx.content(&volume));
        let before = contents(&ctx.content(&volume));
        let path = format!("/1.0/storage-pools/{}/volumes/custom/{}/snapshots", pool.name(), volume.name());
        let snapshot = serde_json::json!({"name": "s0"});
        ctx.client.request(Method::POST, &path).json(&snapshot).change().await.unwrap();

        let moved = volume.move_to_member("member3").await.unwrap();
        assert_eq!((moved.location(), moved.name()), ("member3", volume.name()));
        let there = ctx.lab.daemon(Slot::Member3).unwrap().volume_path(pool.name(), "default", volume.name());
        assert_eq!(contents(&there), before);
        assert_eq!(moved.snapshots().all().await.unwrap().len(), 1);
        assert!(moved.snapshots().exists("s0").await.unwrap());
        assert_eq!(volume.locate().await.unwrap().len(), 1);

        // From where it is now, which nobody has to say.
        let copy = pool.volume(VolumeType::Custom, volume.name()).copy_to_member("member2").await.unwrap();
        assert_eq!(copy.location(), "member2");
        let there = ctx.lab.daemon(Slot::Member2).unwrap().volume_path(pool.name(), "default", volume.name());
        assert_eq!(contents(&there), before);
        let error = moved.copy_to_member("member2").await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::AlreadyExists);
        for found in volume.locate().await.unwrap() {
            found.delete().await.unwrap();
        }
    }
}

async fn a_listed_volume_is_edited_on_its_own_member(ctx: Ctx) {
    if !ctx.is_cluster() {
        return;
    }
    let pool = ctx.pool("dir0");
    for member in ["member2", "member3"] {
        let post = StorageVolumesPost::new(ctx.name("v")).with_description(member);
        pool.with_target(member).volumes().create(post).await.unwrap();
    }
    let listed = pool.volumes().all_of(&VolumeType::Custom).await.unwrap();
    let twins: Vec<_> = listed.into_iter().filter(|volume| volume.name() == ctx.name("v")).collect();
    assert_eq!(twins.len(), 2);
    for mut twin in twins {
        assert_eq!(twin.description(), twin.location());
        twin.config_mut().set("user.on", "1");
        twin.save().await.unwrap();
        twin.delete().await.unwrap();
    }
}

async fn a_volume_that_was_read_is_edited_where_it_was_found(ctx: Ctx) {
    if !ctx.is_cluster() {
        return;
    }
    for pool in ctx.ready_pools() {
        let twin = |member: &str| {
            let post = StorageVolumesPost::new(ctx.name("v")).with_description(member);
            pool.with_target(member).volumes().create(post)
        };
        let edit = |put: &mut StorageVolumePut, value: &str| {
            put.config.set("user.edited", value);
        };
        twin("member2").await.unwrap();
        let handle = pool.volume(VolumeType::Custom, ctx.name("v"));
        let mut read = handle.get().await.unwrap();
        let mut edited = handle.edit(|put| edit(put, "1")).await.unwrap();
        assert_eq!((read.client().target(), edited.client().target()), (Some("member2"), Some("member2")));
        read.sync().await.unwrap();
        // From here on the name alone says too little.
        let mut other = twin("member3").await.unwrap();
        handle.get().await.unwrap_err();

        read.config_mut().set("user.saved", "1");
        read.save().await.unwrap();
        read.patch(&Patch::new().with_config("user.patched", "1")).await.unwrap();
        edited.edit(|put| edit(put, "2")).await.unwrap();
        edited.sync().await.unwrap();
        for (key, value) in [("user.saved", "1"), ("user.patched", "1"), ("user.edited", "2")] {
            assert_eq!(edited.config().text(key), Some(value));
        }
        read.rename(ctx.name("renamed")).await.unwrap();
        assert_eq!((read.location(), read.description()), ("member2", "member2"));
        other.sync().await.unwrap();
        assert!(other.config().text("user.saved").is_none() && other.location() == "member3");
        read.delete().await.unwrap();
        other.delete().await.unwrap();
    }
}
