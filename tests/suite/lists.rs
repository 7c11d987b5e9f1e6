//! Lists that reach further than one pool, and filters.

use std::sync::atomic::{AtomicBool, Ordering};

use http::Method;
use lxd_storage::{
    ErrorKind, Field, Filter, Volume,
    types::{Size, StorageVolumeBackupsPost, StorageVolumeSnapshotsPost, StorageVolumesPost, VolumeType},
};
use serde_json::json;

use crate::ctx::{Ctx, cases};

cases![
    a_filter_is_exact_on_every_server,
    a_filter_is_sent_as_far_as_it_goes,
    a_filter_on_what_is_not_there_is_refused,
    pools_are_filtered_too,
    volumes_of_all_pools_are_listed,
    volumes_of_all_projects_are_listed,
    everything_about_a_list_combines,
    what_goes_while_it_is_listed_is_no_error,
    usage_comes_with_the_list,
    all_that_belongs_to_a_volume_comes_with_it,
    a_project_that_is_not_there_has_no_lists,
];

fn names(volumes: &[Volume]) -> Vec<&str> {
    let mut names: Vec<&str> = volumes.iter().map(|volume| volume.name()).collect();
    names.sort_unstable();
    names
}

async fn a_filter_is_exact_on_every_server(ctx: Ctx) {
    let mut pool = ctx.new_pool("p").await;
    let (space, plus) = (&*ctx.odd("b c"), &*ctx.odd("b+c"));
    let owners = [("a", "x"), ("A", "x y"), (space, "é.*"), (plus, "")];
    let mut made = Vec::new();
    for (name, owner) in owners {
        let post = StorageVolumesPost::new(name).with_config("user.owner", owner).with_description("a. (b)");
        made.push(pool.volumes().create(post).await.unwrap());
    }
    made[0].snapshots().create(StorageVolumeSnapshotsPost::new("s")).await.unwrap();
    let owner = || Field::config("user.owner");
    let questions: [(Filter, &[&str]); 9] = [
        (Field::Name.eq("a"), &["a"]),
        (Field::Name.ne("a"), &["A", space, plus]),
        (owner().eq("x y").or(owner().eq("é.*")), &["A", space]),
        (owner().eq(""), &[plus]),
        (!owner().eq("x"), &["A", space, plus]),
        (Field::Name.eq("b.c"), &[]),
        (Field::Description.eq("a. (b)").and(Field::Name.eq(space).or(Field::Name.eq("a"))), &["a", space]),
        (Field::VolumeType.eq("image"), &[]),
        (!(Field::Name.eq("a").and(owner().eq("x")).or(Field::ContentType.eq("block"))), &["A", space, plus]),
    ];
    for (filter, expected) in questions {
        let mut expected = expected.to_vec();
        expected.sort_unstable();
        let found = pool.volumes().filtered(filter.clone()).await.unwrap();
        assert_eq!(names(&found), expected, "{filter:?}");
    }
    for volume in &mut made {
        volume.delete().await.unwrap();
    }
    pool.delete().await.unwrap();
}

async fn a_filter_is_sent_as_far_as_it_goes(ctx: Ctx) {
    let volumes = ctx.ready_pools()[0].volumes();
    ctx.client.server().await.unwrap();
    ctx.sent.take();
    let filter = Field::Name.eq("no-such").and(Field::Project.eq("default"));
    assert_eq!(filter.plan().only_here.len(), 1);
    assert!(volumes.filtered(filter).await.unwrap().is_empty());
    let sent = ctx.sent.take();
    assert!(
        sent.len() == 1 && sent[0].contains("filter=name%20eq%20") && !sent[0].contains("project"),
        "{sent:?}"
    );
}

async fn a_filter_on_what_is_not_there_is_refused(ctx: Ctx) {
    let pool = ctx.ready_pools().remove(0);
    ctx.client.server().await.unwrap();
    ctx.sent.take();
    let error = pool.volumes().filtered(Field::Driver.eq("dir")).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidInput);
    let error = ctx.client.storage_pools().filtered(&Field::Location.eq("m")).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidInput);
    assert!(ctx.sent.take().is_empty());
}

async fn pools_are_filtered_too(ctx: Ctx) {
    let pools = ctx.client.storage_pools();
    let dirs = pools.filtered(&Field::Driver.eq("dir").and(Field::Name.eq("dir0"))).await.unwrap();
    assert_eq!(dirs.iter().map(|pool| pool.name()).collect::<Vec<_>>(), ["dir0"]);
    assert!(pools.filtered(&Field::Name.eq(ctx.name("none"))).await.unwrap().is_empty());
    assert!(pools.filtered(&Field::Name.eq("DIR0")).await.unwrap().is_empty());
}

async fn volumes_of_all_pools_are_listed(ctx: Ctx) {
    let (owner, mut made) = (ctx.name("owner"), Vec::new());
    for pool in ctx.ready_pools() {
        let post = StorageVolumesPost::new(ctx.name("v")).with_config("user.owner", &*owner);
        made.push(pool.volumes().create(post).await.unwrap());
    }
    let mine =
        ctx.client.volumes().of_type(VolumeType::Custom).filtered(Field::config("user.owner").eq(&*owner));
    let found = mine.all().await.unwrap();
    let pools: Vec<&str> = found.iter().map(|volume| volume.pool().name()).collect();
    let mut expected: Vec<String> = ctx.server().pools().to_vec();
    expected.sort();
    let mut sorted = pools.clone();
    sorted.sort_unstable();
    assert_eq!(sorted, expected);
    // They are as good as those that were made.
    for volume in &mut made {
        volume.delete().await.unwrap();
    }
    for mut volume in found {
        assert_eq!(volume.sync().await.unwrap_err().kind(), ErrorKind::NotFound);
    }
}

async fn volumes_of_all_projects_are_listed(ctx: Ctx) {
    let project = ctx.name("project");
    let config =
        json!({"features.storage.volumes": "true", "features.images": "false", "features.profiles": "false"});
    let post = json!({"name": project, "config": config});
    ctx.client.request(Method::POST, "/1.0/projects").json(&post).change().await.unwrap();
    let pool = ctx.ready_pools().remove(0);
    let name = ctx.name("v");
    let here = pool.volumes().create(StorageVolumesPost::new(&*name)).await.unwrap();
    let there = pool.with_project(&*project).volumes().create(StorageVolumesPost::new(&*name)).await.unwrap();
    // Also through a client that is in a project: servers refuse both parameters together.
    for volumes in [pool.volumes(), pool.with_project(&*project).volumes()] {
        let mut found = volumes.all_projects().await.unwrap();
        found.retain(|volume| volume.name() == name);
        let mut projects: Vec<&str> = found.iter().map(|volume| volume.project()).collect();
        projects.sort_unstable();
        assert_eq!(projects, ["default", &*project]);
        for volume in &mut found {
            // Each is read from its own project.
            let project = volume.project().to_owned();
            volume.sync().await.unwrap();
            assert_eq!(volume.project(), project);
        }
    }
    let everywhere =
        ctx.client.volumes().all_projects().filtered(Field::Name.eq(&*name)).all().await.unwrap();
    assert_eq!(everywhere.len(), 2);
    for mut volume in [here, there] {
        volume.delete().await.unwrap();
    }
    ctx.client.request(Method::DELETE, &format!("/1.0/projects/{project}")).change().await.unwrap();
}

async fn everything_about_a_list_combines(ctx: Ctx) {
    let project = ctx.name("project");
    let config =
        json!({"features.storage.volumes": "true", "features.images": "false", "features.profiles": "false"});
    let post = json!({"name": project, "config": config});
    ctx.client.request(Method::POST, "/1.0/projects").json(&post).change().await.unwrap();
    let pool = ctx.ready_pools().remove(0);
    let (owner, mut made) = (ctx.name("owner"), Vec::new());
    for (home, what, owned) in
        [(pool.clone(), "a", true), (pool.with_project(&*project), "b", true), (pool.clone(), "c", false)]
    {
        let owner = if owned { &*owner } else { "somebody else" };
        let post = StorageVolumesPost::new(ctx.name(what)).with_config("user.owner", owner);
        made.push(home.volumes().create(post).await.unwrap());
    }
    made[1].snapshots().create(StorageVolumeSnapshotsPost::new("s")).await.unwrap();
    let (a, b) = (ctx.name("a"), ctx.name("b"));
    let mine = || Field::config("user.owner").eq(&*owner);
    let at_once = ctx.has("storage_volume_full").await;

    // One pool and all pools, with all three ways to narrow a list down, in any order, and all ends.
    for list in [
        pool.volumes().of_type(VolumeType::Custom).filtered(mine()).all_projects(),
        pool.volumes().all_projects().filtered(mine()).of_type(VolumeType::Custom),
        ctx.client.volumes().filtered(mine()).all_projects().of_type(VolumeType::Custom),
    ] {
        ctx.sent.take();
        assert_eq!(names(&list.all().await.unwrap()), [&*a, &*b]);
        let sent = ctx.sent.take();
        // The last of all can be another look at the pools, where a pool of another case went meanwhile.
        let list_sent = sent.iter().rfind(|sent| sent.contains("volumes")).unwrap();
        for part in ["volumes/custom?recursion=1", "all-projects=true", "filter=config.user.owner"] {
            assert!(list_sent.contains(part), "{sent:?}");
        }
        let full = list.full().await.unwrap();
        assert!(!at_once || ctx.sent.take().iter().all(|sent| !sent.contains("/snapshots")));
        let of = |name: &str| full.iter().find(|full| full.volume.name() == name).unwrap();
        assert_eq!((full.len(), of(&a).snapshots.len(), of(&b).snapshots.len()), (2, 0, 1));
        assert_eq!(of(&b).volume.project(), project);
        // Each is in its own project, and so is what belongs to it.
        assert_eq!(of(&b).snapshots[0].get().await.unwrap().name(), "s");
        assert_eq!(list.with_usage().await.unwrap().len(), 2);
        let narrowed = list.clone().filtered(Field::Name.eq(&*b));
        assert_eq!(names(&narrowed.await.unwrap()), [&*b]);
        assert!(list.of_type(VolumeType::Image).await.unwrap().is_empty());
    }
    ctx.sent.take();
    for list in [pool.volumes().list(), ctx.client.volumes()] {
        let list = list.all_projects().filtered(Field::Driver.eq("dir"));
        for error in [list.full().await.map(drop), list.with_usage().await.map(drop), list.await.map(drop)] {
            assert_eq!(error.unwrap_err().kind(), ErrorKind::InvalidInput);
        }
    }
    assert_eq!(ctx.sent.take(), Vec::<String>::new());
    for mut volume in made {
        volume.delete().await.unwrap();
    }
    ctx.client.request(Method::DELETE, &format!("/1.0/projects/{project}")).change().await.unwrap();
}

async fn what_goes_while_it_is_listed_is_no_error(ctx: Ctx) {
    let mut stays = ctx.new_volume(&ctx.ready_pools()[0], "stays").await;
    let stop = AtomicBool::new(false);
    let others = async {
        while !stop.load(Ordering::Relaxed) {
            let mut pool = ctx.new_pool("goes").await;
            ctx.new_volume(pool.handle(), "v").await.delete().await.unwrap();
            pool.delete().await.unwrap();
            let project = ctx.name("goes");
            let post = json!({"name": project, "config": {"features.storage.volumes": "true"}});
            ctx.client.request(Method::POST, "/1.0/projects").json(&post).change().await.unwrap();
            let there = ctx.ready_pools()[0].with_project(&*project);
            ctx.new_volume(&there, "v").await.delete().await.unwrap();
            ctx.client.request(Method::DELETE, &format!("/1.0/projects/{project}")).change().await.unwrap();
        }
    };
    let lists = async {
        for _ in 0..25 {
            for listed in [
                ctx.client.volumes().all().await.unwrap(),
                ctx.client.volumes().all_projects().all().await.unwrap(),
                ctx.ready_pools()[0].volumes().all_projects().await.unwrap(),
            ] {
                let found = listed.iter().filter(|volume| volume.name() == stays.name()).count();
                assert_eq!(found, 1, "{listed:?}");
            }
        }
        stop.store(true, Ordering::Relaxed);
    };
    tokio::join!(others, lists);
    stays.delete().await.unwrap();
}

async fn usage_comes_with_the_list(ctx: Ctx) {
    for pool in ctx.ready_pools() {
        // Without a quota the drivers of this machine count nothing.
        let post = StorageVolumesPost::new(ctx.name("v")).with_size(Size::mib(32));
        let mut volume = pool.volumes().create(post).await.unwrap();
        let listed = pool.volumes().with_usage().await.unwrap();
        let mine = listed.iter().find(|usage| usage.volume.name() == volume.name()).unwrap();
        let driver = pool.get().await.unwrap().driver().to_owned();
        // And `dir` has quotas on some file systems only.
        assert!(
            driver == "dir" || mine.state.as_ref().is_some_and(|state| state.usage.is_some()),
            "{mine:?}"
        );
        volume.delete().await.unwrap();
    }
}

async fn all_that_belongs_to_a_volume_comes_with_it(ctx: Ctx) {
    let pool = ctx.ready_pools().remove(0);
    let mut volume = ctx.new_volume(&pool, "v").await;
    for name in ["b", "a"] {
        volume.snapshots().create(StorageVolumeSnapshotsPost::new(name)).await.unwrap();
    }
    volume.backups().create(StorageVolumeBackupsPost::new("pack").volume_only()).await.unwrap();
    let at_once = ctx.client.server().await.unwrap().api_extensions.has("storage_volume_full");
    ctx.sent.take();
    let one = volume.handle().full().await.unwrap();
    let requests = ctx.sent.take();
    assert!(!at_once || requests.len() == 1, "{requests:?}");
    let mine = Field::Name.eq(volume.name());
    let by_pool = pool.volumes().full().await.unwrap();
    let requests = ctx.sent.take();
    assert!(!at_once || requests.len() == 1, "{requests:?}");
    let everywhere = ctx.client.volumes().filtered(mine).all_projects().full().await.unwrap();
    assert_eq!(everywhere.len(), 1, "{everywhere:?}");
    let by_pool = by_pool.into_iter().find(|full| full.volume.name() == volume.name()).unwrap();
    for full in [one, by_pool, everywhere.into_iter().next().unwrap()] {
        assert_eq!(full.volume.object().config, volume.object().config);
        let snapshots: Vec<&str> = full.snapshots.iter().map(|snapshot| snapshot.name()).collect();
        assert_eq!(snapshots, ["b", "a"]);
        assert_eq!(full.snapshots[0].get().await.unwrap().name(), "b");
        let backups: Vec<&str> = full.backups.iter().map(|backup| backup.name()).collect();
        assert_eq!(backups, ["pack"]);
    }
    volume.delete().await.unwrap();
    assert!(volume.handle().full().await.unwrap_err().is_not_found());
}

async fn a_project_that_is_not_there_has_no_lists(ctx: Ctx) {
    let nowhere = ctx.client.with_project(ctx.name("nowhere"));
    let error = nowhere.volumes().all().await.unwrap_err();
    assert!(error.is_not_found(), "{error}");
    let error = nowhere.storage_pool(ctx.server().pools()[0].as_str()).volumes().full().await.unwrap_err();
    assert!(error.is_not_found(), "{error}");
}
