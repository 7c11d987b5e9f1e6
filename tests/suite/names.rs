//! Any legal name addresses exactly that object and no other, or gets the server's own refusal.

use lxd_storage::{
    Error, ErrorKind, PoolHandle, Volume,
    types::{StoragePoolsPost, StorageVolumesPost, VolumeType},
};
use proptest::{
    strategy::{Strategy, ValueTree},
    test_runner::{Config, TestRunner},
};

use crate::ctx::{Ctx, cases};

cases![odd_names_are_told_apart, generated_names_come_back_unchanged, odd_pool_names];

/// Names that a client which forgets to encode, or encodes twice, would take for one another or for something else.
const ODD: [&str; 16] = [
    "a b", "a+b", "a%20b", "a%2520b", "a?b", "a#b", "a&b=c", "é", "%C3%A9", ".", "..", "...", "-a", "a;b",
    "~a", "a\\b",
];

async fn create(pool: &PoolHandle, name: &str) -> Result<Volume, Error> {
    pool.volumes().create(StorageVolumesPost::new(name).with_description(name)).await
}

/// A refusal in the server's own words, as opposed to trouble of ours.
fn assert_refused_by_server(name: &str, error: &Error) {
    let refused =
        matches!(error.kind(), ErrorKind::InvalidInput | ErrorKind::Server | ErrorKind::OperationFailed);
    assert!(refused && error.server_message().is_some(), "{name:?}: {error:?}");
}

async fn odd_names_are_told_apart(ctx: Ctx) {
    let mut pool = ctx.new_pool("odd").await;
    let mut created = Vec::new();
    for name in ODD {
        match create(&pool, name).await {
            Ok(volume) => created.push(volume),
            Err(error) => assert_refused_by_server(name, &error),
        }
    }
    let least = if ctx.is_picky() { 5 } else { 12 };
    assert!(created.len() >= least, "only {} of the names were accepted", created.len());

    let mut listed: Vec<String> =
        pool.volumes().all().await.unwrap().iter().map(|v| v.name().to_owned()).collect();
    let mut expected: Vec<String> = created.iter().map(|volume| volume.name().to_owned()).collect();
    listed.sort();
    expected.sort();
    assert_eq!(listed, expected);
    for volume in &created {
        let read = pool.volumes().get(VolumeType::Custom, volume.name()).await.unwrap();
        assert_eq!((read.name(), read.description()), (volume.name(), volume.name()), "its own object");
    }

    // Deleting one leaves all the others.
    while let Some(mut volume) = created.pop() {
        volume.delete().await.unwrap();
        assert_eq!(pool.volumes().all().await.unwrap().len(), created.len(), "after {:?}", volume.name());
    }
    pool.delete().await.unwrap();
}

async fn generated_names_come_back_unchanged(ctx: Ctx) {
    let mut pool = ctx.new_pool("generated").await;
    let mut sentinel = create(&pool, "sentinel").await.unwrap();
    // Deterministic, so that a failure can be repeated; every cell of the matrix sees the same names.
    let mut runner = TestRunner::new_with_rng(
        Config::default(),
        proptest::test_runner::TestRng::deterministic_rng(proptest::test_runner::RngAlgorithm::ChaCha),
    );
    let names = "[a-zA-Z0-9 %?#+&=.;:@!$'()*,~^<>|{}\\[\\]\"`\u{e9}\u{4e2d}\u{1F600}-]{1,24}|[a-z]{100,300}";
    let names = proptest::string::string_regex(names).unwrap();
    let mut accepted = 0;
    for _ in 0..40 {
        let name = ctx.odd(&names.new_tree(&mut runner).unwrap().current());
        match create(&pool, &name).await {
            Err(error) => assert_refused_by_server(&name, &error),
            Ok(mut volume) => {
                accepted += 1;
                assert_eq!((volume.name(), &*volume.object().name), (&*name, &*name));
                let all = pool.volumes().all().await.unwrap();
                assert_eq!(all.len(), 2, "{name:?}");
                assert!(all.iter().any(|listed| listed.name() == name), "{name:?}");
                volume.config_mut().set("user.k", "v");
                volume.save().await.unwrap_or_else(|error| panic!("{name:?}: {error}"));
                volume.delete().await.unwrap_or_else(|error| panic!("{name:?}: {error}"));
            }
        }
        assert!(sentinel.exists().await.unwrap(), "{name:?} touched another volume");
    }
    // Half of the names are too long for servers that draw the line at 64 letters.
    assert!(accepted >= if ctx.is_picky() { 12 } else { 20 }, "only {accepted} of 40 names were accepted");
    sentinel.sync().await.unwrap();
    assert_eq!(sentinel.config().user().count(), 0, "another volume's key landed here");
    sentinel.delete().await.unwrap();
    pool.delete().await.unwrap();
}

async fn odd_pool_names(ctx: Ctx) {
    for suffix in ["%41", "é", "+x", "#x", "?x", "&x", ".", " x"] {
        let name = format!("{}{suffix}", ctx.name("p"));
        match ctx.create_pool(StoragePoolsPost::new(&name, "dir")).await {
            Err(error) => assert_refused_by_server(&name, &error),
            Ok(mut pool) => {
                assert_eq!(pool.object().name, name);
                let all = ctx.client.storage_pools().all().await.unwrap();
                assert_eq!(all.iter().filter(|listed| listed.name() == name).count(), 1);
                let mut volume = create(&pool, "v").await.unwrap();
                volume.delete().await.unwrap();
                pool.delete().await.unwrap();
            }
        }
    }
}
