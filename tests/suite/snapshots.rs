//! Snapshots of volumes: made, named, listed, edited, restored and deleted.

use std::fs;

use lxd_storage::{
    ErrorKind, Volume,
    transport::Reached,
    types::{Expiry, StorageVolumeSnapshotsPost, Timestamp, VolumeType},
};

use crate::ctx::{Ctx, cases};

cases![
    a_snapshot_lives_and_dies,
    the_server_can_choose_the_name,
    an_expiry_is_never_or_a_time,
    a_description_is_kept_on_every_server,
    a_restore_brings_the_content_back,
    what_cannot_be_is_refused,
    snapshots_of_nothing_are_not_found,
    names_of_snapshots_are_encoded,
    edits_of_one_snapshot_lose_nothing,
    an_automatic_name_is_found_among_others,
    a_snapshot_replaces_one_of_its_name,
    a_replacement_goes_on_when_nobody_waits,
];

async fn volume(ctx: &Ctx) -> Volume {
    let pool = ctx.ready_pools().remove(0);
    ctx.new_volume(&pool, "v").await
}

fn named(name: &str) -> StorageVolumeSnapshotsPost {
    StorageVolumeSnapshotsPost::new(name)
}

fn in_2030() -> Timestamp {
    "2030-01-02T03:04:05Z".parse().unwrap()
}

async fn a_snapshot_lives_and_dies(ctx: Ctx) {
    for pool in ctx.ready_pools() {
        let mut volume = ctx.new_volume(&pool, "v").await;
        let snapshots = volume.snapshots();
        assert!(snapshots.all().await.unwrap().is_empty());
        let mut one = snapshots.create(named("one")).await.unwrap();
        snapshots.create(named("two")).await.unwrap();
        let listed = snapshots.all().await.unwrap();
        assert_eq!(listed.iter().map(|snapshot| snapshot.name()).collect::<Vec<_>>(), ["one", "two"]);
        assert!(snapshots.exists("one").await.unwrap());

        one.rename("first").await.unwrap();
        assert_eq!((one.name(), one.object().short_name()), ("first", "first"));
        assert!(!snapshots.exists("one").await.unwrap());
        let taken = one.rename("two").await.unwrap_err();
        assert!(taken.is_already_exists(), "{taken:?}");
        assert_eq!(one.name(), "first");
        one.sync().await.unwrap();

        one.delete().await.unwrap();
        assert_eq!(one.sync().await.unwrap_err().kind(), ErrorKind::NotFound);
        assert!(!snapshots.exists("first").await.unwrap());
        assert_eq!(snapshots.get("first").await.unwrap_err().kind(), ErrorKind::NotFound);
        volume.delete().await.unwrap();
    }
}

async fn the_server_can_choose_the_name(ctx: Ctx) {
    let mut volume = volume(&ctx).await;
    let snapshots = volume.snapshots();
    let post = StorageVolumeSnapshotsPost::automatic().with_description("by itself");
    let first = snapshots.create_automatic(post).await.unwrap();
    snapshots.create(named("snap7")).await.unwrap();
    let second = snapshots.create_automatic(StorageVolumeSnapshotsPost::automatic()).await.unwrap();
    assert_eq!((first.name(), second.name(), first.description()), ("snap0", "snap8", "by itself"));
    volume.delete().await.unwrap();
}

async fn an_automatic_name_is_found_among_others(ctx: Ctx) {
    let mut volume = volume(&ctx).await;
    let one = || {
        let snapshots = volume.snapshots();
        async move {
            let automatic = snapshots.create_automatic(StorageVolumeSnapshotsPost::automatic()).await;
            automatic.map(|snapshot| snapshot.name().to_owned())
        }
    };
    let (a, b, c) = tokio::join!(one(), one(), one());
    let made: Vec<String> = [a, b, c].into_iter().flatten().collect();
    let listed = volume.snapshots().all().await.unwrap();
    let there: Vec<&str> = listed.iter().map(|snapshot| snapshot.name()).collect();
    // Two that ask at once may be given the same name by the server itself; then one of them is told so.
    let mut unique = made.clone();
    unique.sort();
    unique.dedup();
    assert_eq!(unique.len(), made.len(), "{made:?}");
    assert!(!made.is_empty() && made.iter().all(|name| there.contains(&&**name)), "{made:?} {there:?}");
    volume.delete().await.unwrap();
}

async fn an_expiry_is_never_or_a_time(ctx: Ctx) {
    let mut volume = volume(&ctx).await;
    volume.config_mut().set("snapshots.expiry", "2d");
    volume.save().await.unwrap();
    let snapshots = volume.snapshots();
    let by_rule = snapshots.create(named("rule")).await.unwrap();
    assert!(by_rule.expiry().time().is_some(), "{by_rule:?}");
    let never = snapshots.create(named("never").with_expiry(Expiry::Never)).await.unwrap();
    assert_eq!(never.expiry(), Expiry::Never);
    let mut at = snapshots.create(named("at").with_expiry(in_2030())).await.unwrap();
    assert_eq!(at.expiry(), Expiry::At(in_2030()));
    let listed = snapshots.all().await.unwrap();
    let expiries: Vec<bool> = listed.iter().map(|snapshot| snapshot.expiry() == Expiry::Never).collect();
    assert_eq!(expiries, [false, true, false]);

    at.set_expiry(Expiry::Never);
    at.save().await.unwrap();
    assert_eq!(at.expiry(), Expiry::Never);
    let again = never
        .edit(|put| {
            put.set_expiry(in_2030());
        })
        .await
        .unwrap();
    assert_eq!(again.expiry(), Expiry::At(in_2030()));
    volume.delete().await.unwrap();
}

async fn a_description_is_kept_on_every_server(ctx: Ctx) {
    let mut volume = volume(&ctx).await;
    let post = named("s").with_description("for the record").with_expiry(in_2030());
    let mut snapshot = volume.snapshots().create(post).await.unwrap();
    // Setting it afterwards leaves the expiry alone.
    assert_eq!((snapshot.description(), snapshot.expiry()), ("for the record", Expiry::At(in_2030())));
    snapshot.set_description("edited");
    snapshot.save().await.unwrap();
    assert_eq!((snapshot.description(), snapshot.expiry()), ("edited", Expiry::At(in_2030())));

    // Out of a list, without an ETag.
    let mut listed = volume.snapshots().all().await.unwrap().remove(0);
    snapshot.edit(|put| put.description = "meanwhile".to_owned()).await.unwrap();
    listed.set_description("late");
    assert_eq!(listed.save().await.unwrap_err().kind(), ErrorKind::PreconditionFailed);
    snapshot.set_description("late too");
    assert_eq!(snapshot.save().await.unwrap_err().kind(), ErrorKind::PreconditionFailed);
    volume.delete().await.unwrap();
}

async fn edits_of_one_snapshot_lose_nothing(ctx: Ctx) {
    let mut volume = volume(&ctx).await;
    let snapshot = volume.snapshots().create(named("s")).await.unwrap();
    let append = |letter: char| {
        let handle = snapshot.handle().clone();
        async move { handle.edit(|put| put.description.push(letter)).await.map(drop) }
    };
    let (a, b, c) = tokio::join!(append('a'), append('b'), append('c'));
    [a, b, c].into_iter().for_each(Result::unwrap);
    let mut letters: Vec<char> = snapshot.get().await.unwrap().description().chars().collect();
    letters.sort_unstable();
    assert_eq!(letters, ['a', 'b', 'c']);
    volume.delete().await.unwrap();
}

async fn a_restore_brings_the_content_back(ctx: Ctx) {
    for pool in ctx.ready_pools() {
        let mut volume = ctx.new_volume(&pool, "v").await;
        volume.config_mut().set("user.k", "before");
        volume.set_description("before");
        volume.save().await.unwrap();
        let file = ctx.content(&volume).join("file");
        fs::write(&file, b"one").unwrap();
        let snapshot = volume.snapshots().create(named("one")).await.unwrap();
        fs::write(&file, b"two, which is longer").unwrap();
        volume.config_mut().set("user.k", "after");
        volume.set_description("after");
        volume.save().await.unwrap();

        snapshot.restore().await.unwrap();
        assert_eq!(fs::read(&file).unwrap(), b"one");
        volume.sync().await.unwrap();
        assert_eq!((volume.description(), volume.config().text("user.k")), ("after", Some("after")));

        let error = volume.restore("nowhere").await.unwrap_err();
        assert!(error.is_not_found(), "{error:?}");
        assert_eq!(fs::read(&file).unwrap(), b"one");
        volume.delete().await.unwrap();
    }
}

async fn what_cannot_be_is_refused(ctx: Ctx) {
    let mut volume = volume(&ctx).await;
    ctx.sent.take();
    for name in ["", "a b", "a/b"] {
        let error = volume.snapshots().create(named(name)).await.unwrap_err();
        assert_eq!((error.kind(), error.request_reached_server()), (ErrorKind::InvalidInput, Reached::No));
    }
    let error = volume.snapshots().create_automatic(named("n")).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidInput);
    let container = volume.pool().volume(VolumeType::Container, "c");
    let error = container.snapshots().create(named("s")).await.unwrap_err();
    assert!(error.kind() == ErrorKind::InvalidInput && error.to_string().contains("container"), "{error}");
    assert_eq!(container.restore("s").await.unwrap_err().kind(), ErrorKind::InvalidInput);
    assert_eq!(ctx.sent.take(), Vec::<String>::new());

    volume.snapshots().create(named("s")).await.unwrap();
    let error = volume.snapshots().create(named("s")).await.unwrap_err();
    assert!(error.is_already_exists(), "{error:?}");
    volume.delete().await.unwrap();
}

async fn snapshots_of_nothing_are_not_found(ctx: Ctx) {
    let nothing = ctx.ready_pools()[0].volume(VolumeType::Custom, ctx.name("nothing"));
    assert_eq!(nothing.snapshots().all().await.unwrap_err().kind(), ErrorKind::NotFound);
    let error = nothing.snapshots().create(named("s")).await.unwrap_err();
    assert!(error.is_not_found(), "{error:?}");
}

async fn names_of_snapshots_are_encoded(ctx: Ctx) {
    let mut volume = volume(&ctx).await;
    for name in ["é%20", "a+b?c#d", "plain.1"].map(|name| ctx.odd(name)) {
        let mut snapshot = volume.snapshots().create(named(&name)).await.unwrap();
        assert_eq!(snapshot.object().short_name(), name);
        assert_eq!(volume.snapshots().all().await.unwrap()[0].name(), name);
        snapshot.delete().await.unwrap();
    }
    volume.delete().await.unwrap();
}

async fn a_snapshot_replaces_one_of_its_name(ctx: Ctx) {
    for pool in ctx.ready_pools() {
        let mut volume = ctx.new_volume(&pool, "v").await;
        let (snapshots, file) = (volume.snapshots(), ctx.content(&volume).join("file"));
        fs::write(&file, b"one").unwrap();
        // The first one is like any other.
        let first = named("latest").with_description("first").with_expiry(in_2030());
        snapshots.create_replacing(first).await.unwrap();
        snapshots.create(named("between")).await.unwrap();
        fs::write(&file, b"two or more").unwrap();
        let second = snapshots.create_replacing(named("latest").with_description("second")).await.unwrap();
        assert_eq!(
            (second.name(), second.description(), second.expiry()),
            ("latest", "second", Expiry::Never)
        );
        let mut names: Vec<_> =
            snapshots.all().await.unwrap().iter().map(|one| one.name().to_owned()).collect();
        names.sort();
        assert_eq!(names, ["between", "latest"]);
        fs::write(&file, b"three, and no end of it").unwrap();
        second.restore().await.unwrap();
        assert_eq!(fs::read(&file).unwrap(), b"two or more");
        for bad in ["", "a b", "a/b"] {
            let error = snapshots.create_replacing(named(bad)).await.unwrap_err();
            assert_eq!(
                (error.kind(), error.request_reached_server()),
                (ErrorKind::InvalidInput, Reached::No)
            );
        }
        volume.delete().await.unwrap();
    }
}

async fn a_replacement_goes_on_when_nobody_waits(ctx: Ctx) {
    let mut volume = volume(&ctx).await;
    let snapshots = volume.snapshots();
    snapshots.create(named("latest").with_description("old")).await.unwrap();
    let replacing = snapshots.create_replacing(named("latest").with_description("new"));
    let _ = tokio::time::timeout(std::time::Duration::from_millis(5), replacing).await;
    for tries in 0.. {
        // Servers find one of a list no more that goes while they list it.
        let all = snapshots.all().await.unwrap_or_default();
        let now: Vec<_> = all.iter().map(|one| (one.name(), one.description())).collect();
        if now == [("latest", "new")] {
            break;
        }
        assert!(tries < 300, "{now:?}");
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
    volume.delete().await.unwrap();
}
