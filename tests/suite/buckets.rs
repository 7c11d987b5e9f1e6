//! Buckets, their keys, backups, exports and imports, on Incus 6 with MinIO and on Incus 7 by itself.

use std::{fs, future::IntoFuture, net::TcpListener, path::PathBuf, time::Duration};

use http::Method;
use lxd_storage::{
    Bucket, BucketHandle, CreatedBucket, ErrorKind, EventItem, Field, PoolHandle, Upload,
    transport::Reached,
    types::{
        BucketKeyRole, Compression, Entity, EventType, Expiry, LifecycleAction, Patch, Size,
        StorageBucketBackupsPost, StorageBucketKeysPost, StorageBucketPut, StorageBucketsPost,
    },
};
use lxd_tests::Slot;
use serde_json::{Value, json};
use tokio::sync::OnceCell;

use crate::{
    content::{sha256, sha256_of},
    ctx::{Ctx, cases},
    objects::Objects,
};

cases![
    a_bucket_lives_and_dies,
    lists_hold_what_was_asked_for,
    a_bucket_comes_with_all_that_is_its_own,
    a_lost_race_is_noticed,
    concurrent_edits_all_arrive,
    keys_come_and_go,
    a_role_decides_what_a_key_may_do,
    no_error_or_debug_text_shows_credentials,
    a_backup_lives_and_dies,
    what_is_exported_comes_back_whole,
    a_copy_can_live_beside_its_original,
    an_export_leaves_nothing_behind,
    what_cannot_be_is_refused_before_it_is_sent,
    a_quota_is_kept,
    events_say_which_bucket_they_are_about,
];

/// Gives each server an address for buckets, once for all cases, and leaves it: the lab's servers are private.
pub(crate) async fn ready(ctx: &Ctx) -> PoolHandle {
    static ADDRESSES: [OnceCell<()>; 3] = [const { OnceCell::const_new() }; 3];
    let which = [Slot::Incus, Slot::Incus7, Slot::EmulatedIncus6].iter().position(|slot| *slot == ctx.slot);
    ADDRESSES[which.unwrap()]
        .get_or_init(|| async {
            const KEY: &str = "core.storage_buckets_address";
            let server: Value = ctx.client.request(Method::GET, "/1.0").fetch().await.unwrap().value;
            if server["config"][KEY].is_string() {
                return;
            }
            let https = ctx.server().https_url().strip_prefix("https://").unwrap();
            let host = https.rsplit_once(':').unwrap().0;
            let mut set = Err(String::new());
            for _ in 0..5 {
                // Free now; another one if somebody was faster.
                let address = TcpListener::bind((host, 0)).unwrap().local_addr().unwrap();
                let body = json!({"config": {KEY: address.to_string()}});
                let patch = ctx.client.request(Method::PATCH, "/1.0").json(&body);
                set = patch.change().await.map(drop).map_err(|error| error.to_string());
                if set.is_ok() {
                    break;
                }
            }
            set.unwrap();
        })
        .await;
    ctx.pool(ctx.ready_pools()[0].name())
}

/// A name by the rules of S3.
fn name(ctx: &Ctx, what: &str) -> String {
    ctx.name(what).to_lowercase()
}

async fn new_bucket(ctx: &Ctx, what: &str) -> CreatedBucket {
    let pool = ready(ctx).await;
    pool.buckets().create(StorageBucketsPost::new(name(ctx, what))).await.unwrap()
}

/// A folder for the files of one case, removed at its end.
struct Folder(PathBuf);

impl Folder {
    fn new(ctx: &Ctx) -> Self {
        let path = std::env::temp_dir().join(format!("lxdrs-buckets-{}", ctx.name("")));
        fs::create_dir(&path).unwrap();
        Self(path)
    }

    fn file(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// The files of the backups that the server has of a bucket. Its own list can't be had from Incus 6.0.
fn backup_files(ctx: &Ctx, bucket: &BucketHandle) -> Vec<String> {
    let folder = ctx.server().state().join("backups/buckets").join(bucket.pool().name());
    let folder = folder.join(format!("default_{}", bucket.name()));
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    entries.map(|entry| entry.file_name().into_string().unwrap()).collect()
}

/// Waits until there are none, which a task in the background sees to.
async fn has_no_backup(ctx: &Ctx, bucket: &BucketHandle) -> bool {
    for _ in 0..100 {
        if backup_files(ctx, bucket).is_empty() {
            return true;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    false
}

async fn a_bucket_lives_and_dies(ctx: Ctx) {
    let pool = ready(&ctx).await;
    let name = name(&ctx, "life");
    let post = StorageBucketsPost::new(&*name).with_description("d").with_config("user.a", "1");
    let created = pool.buckets().create(post.clone()).await.unwrap();
    let mut bucket = created.bucket;
    assert_eq!((bucket.name(), bucket.description(), &bucket.config()["user.a"][..]), (&*name, "d", "1"));
    assert!(bucket.s3_url().unwrap().ends_with(&format!("/{name}")), "{:?}", bucket.s3_url());
    let admin = created.admin_key.unwrap();
    assert_eq!((&*admin.name, admin.role.clone()), ("admin", BucketKeyRole::Admin));
    assert!(!admin.access_key.is_empty() && !admin.secret_key.is_empty());
    assert_eq!(bucket.keys().get("admin").await.unwrap().secret_key(), &admin.secret_key);
    assert!(pool.buckets().create(post).await.unwrap_err().is_already_exists());

    bucket.set_description("e");
    bucket.config_mut().set("user.b", "2");
    bucket.save().await.unwrap();
    assert_eq!((bucket.description(), bucket.config().user().count()), ("e", 2));
    bucket.patch(&Patch::new().with_config("user.a", "").with_config("user.c", "3")).await.unwrap();
    let left: Vec<_> = bucket.config().user().map(|(key, _)| key.to_owned()).collect();
    assert_eq!((bucket.description(), left.len()), ("e", 2), "{left:?}");
    // Without any key in it, a patch still has its config, without which the server falls over.
    bucket.raw_patch(&Patch::new().with_description("f")).await.unwrap();
    bucket.sync().await.unwrap();
    assert_eq!((bucket.description(), bucket.config().user().count()), ("f", 2));
    let mut put = StorageBucketPut::default();
    put.description = "g".to_owned();
    bucket.put(&put).await.unwrap();
    assert_eq!((bucket.description(), bucket.config().user().count()), ("g", 0));
    let edited = bucket.edit(|put| put.description.push('h')).await.unwrap();
    assert_eq!(edited.description(), "gh");

    bucket.delete().await.unwrap();
    assert!(!pool.buckets().exists(&name).await.unwrap());
    assert_eq!(pool.buckets().get(&name).await.unwrap_err().kind(), ErrorKind::NotFound);
    assert_eq!(edited.handle().delete().await.unwrap_err().kind(), ErrorKind::NotFound);
    assert!(bucket.save().await.unwrap_err().to_string().contains("deleted"));
}

async fn lists_hold_what_was_asked_for(ctx: Ctx) {
    let mut bucket = new_bucket(&ctx, "list").await.bucket;
    let buckets = bucket.pool().buckets();
    let named = |list: &[Bucket]| list.iter().any(|listed| listed.name() == bucket.name());
    assert!(named(&buckets.all().await.unwrap()));
    let all = buckets.all_projects().await.unwrap();
    assert!(named(&all) && all.iter().all(|bucket| bucket.project() == "default"));
    ctx.sent.take();
    let one = buckets.filtered(Field::Name.eq(bucket.name())).await.unwrap();
    assert_eq!(one.len(), 1);
    assert!(ctx.sent.take().iter().any(|request| request.contains("filter=")));
    assert!(buckets.filtered(Field::Name.eq(bucket.name().to_uppercase())).await.unwrap().is_empty());
    let error = buckets.filtered(Field::Driver.eq("dir")).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidInput);
    ctx.sent.take();
    let everywhere = buckets.all_projects().filtered(Field::Name.eq(bucket.name()));
    assert_eq!(everywhere.all().await.unwrap().len(), 1);
    let sent = ctx.sent.take();
    assert!(
        sent.len() == 1 && sent[0].contains("all-projects=true") && sent[0].contains("filter="),
        "{sent:?}"
    );
    let full = everywhere.full().await.unwrap();
    assert_eq!((full.len(), full[0].keys.len()), (1, 1));
    let twice = everywhere.filtered(Field::Description.eq("another"));
    assert!(twice.await.unwrap().is_empty());
    let nowhere = bucket.pool().with_project(ctx.name("nowhere")).buckets();
    assert_eq!(nowhere.all().await.unwrap_err().kind(), ErrorKind::NotFound);
    bucket.delete().await.unwrap();
}

async fn a_bucket_comes_with_all_that_is_its_own(ctx: Ctx) {
    let mut bucket = new_bucket(&ctx, "whole").await.bucket;
    bucket.backups().create(StorageBucketBackupsPost::new("before")).await.unwrap();
    bucket.keys().create(StorageBucketKeysPost::new("viewer", BucketKeyRole::ReadOnly)).await.unwrap();
    let at_once = ctx.has("storage_bucket_full").await;
    ctx.sent.take();
    let listed = bucket.pool().buckets().full().await.unwrap();
    if at_once {
        assert_eq!(ctx.sent.take().len(), 1);
    }
    let listed = listed.into_iter().find(|full| full.bucket.name() == bucket.name()).unwrap();
    for mut full in [bucket.handle().full().await.unwrap(), listed] {
        let mut roles: Vec<_> = full.keys.iter().map(|key| key.role().as_str()).collect();
        roles.sort_unstable();
        assert_eq!(roles, ["admin", "read-only"]);
        assert!(full.keys.iter().all(|key| !key.secret_key().is_empty()));
        let backups = full.backups.map(|backups| backups.iter().map(|one| one.name().to_owned()).collect());
        assert_eq!(backups, at_once.then(|| vec!["before".to_owned()]));
        full.bucket.set_description("edited");
        full.bucket.save().await.unwrap();
        bucket.raw_patch(&Patch::new().with_description("")).await.unwrap();
    }
    bucket.delete().await.unwrap();
    assert!(bucket.handle().full().await.unwrap_err().is_not_found());
}

async fn a_lost_race_is_noticed(ctx: Ctx) {
    let mut mine = new_bucket(&ctx, "race").await.bucket;
    let listed = mine.pool().buckets().filtered(Field::Name.eq(mine.name())).await.unwrap();
    let (mut yours, mut listed) = (mine.handle().get().await.unwrap(), listed.into_iter().next().unwrap());
    let etag = mine.etag().unwrap();
    assert_eq!((mine.etag(), listed.etag()), (yours.etag(), None));
    mine.set_description("mine");
    mine.save().await.unwrap();
    ctx.sent.take();
    for late in [&mut yours, &mut listed] {
        late.set_description("yours");
        let error = late.save().await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::PreconditionFailed, "{error}");
        assert_eq!(late.description(), "yours");
    }
    let stale = mine.raw_put(&StorageBucketPut::default()).if_match(&etag).await.unwrap_err();
    assert_eq!((stale.kind(), stale.request_reached_server()), (ErrorKind::PreconditionFailed, Reached::No));
    assert!(!ctx.sent.take().iter().any(|request| request.starts_with("PUT")));
    yours.sync().await.unwrap();
    assert_eq!(yours.description(), "mine");
    yours.set_description("yours");
    yours.save().await.unwrap();

    let mut key = yours.keys().get("admin").await.unwrap();
    let mut late = key.handle().get().await.unwrap();
    let mut listed = yours.keys().all().await.unwrap().into_iter().next().unwrap();
    key.set_description("changed");
    key.save().await.unwrap();
    for late in [&mut late, &mut listed] {
        late.set_role(BucketKeyRole::ReadOnly);
        assert_eq!(late.save().await.unwrap_err().kind(), ErrorKind::PreconditionFailed);
    }
    key.sync().await.unwrap();
    assert_eq!((key.role(), key.description()), (&BucketKeyRole::Admin, "changed"));
    yours.delete().await.unwrap();
}

async fn concurrent_edits_all_arrive(ctx: Ctx) {
    let mut bucket = new_bucket(&ctx, "edits").await.bucket;
    let edit = |number: u32| {
        let bucket = bucket.handle().clone();
        async move {
            bucket
                .edit(|put| {
                    put.config.set(format!("user.{number}"), number);
                })
                .await
        }
    };
    let (a, b, c) = tokio::join!(edit(1), edit(2), edit(3));
    for done in [a, b, c] {
        done.unwrap();
    }
    bucket.sync().await.unwrap();
    assert_eq!(bucket.config().user().count(), 3);
    bucket.delete().await.unwrap();
}

async fn keys_come_and_go(ctx: Ctx) {
    let mut bucket = new_bucket(&ctx, "keys").await.bucket;
    let keys = bucket.keys();
    assert_eq!(keys.all().await.unwrap().len(), 1);
    let post = StorageBucketKeysPost::new("viewer é%", BucketKeyRole::ReadOnly).with_description("d");
    let mut viewer = keys.create(post.clone()).await.unwrap();
    assert_eq!((viewer.role(), viewer.description()), (&BucketKeyRole::ReadOnly, "d"));
    assert!(viewer.secret_key().expose().len() >= 8 && viewer.etag().is_some());
    assert!(keys.create(post).await.unwrap_err().is_already_exists());
    assert!(keys.exists("viewer é%").await.unwrap() && !keys.exists("nobody").await.unwrap());

    // What isn't touched stays, credentials too.
    let (access, secret) = (viewer.access_key().clone(), viewer.secret_key().clone());
    viewer.set_description("e");
    viewer.save().await.unwrap();
    assert_eq!((viewer.access_key(), viewer.secret_key()), (&access, &secret));
    let edited = viewer.edit(|put| put.role = BucketKeyRole::Admin).await.unwrap();
    assert_eq!((edited.role(), edited.description()), (&BucketKeyRole::Admin, "e"));
    viewer.sync().await.unwrap();
    viewer.renew_credentials();
    viewer.save().await.unwrap();
    assert!(
        !viewer.secret_key().is_empty() && *viewer.secret_key() != secret && *viewer.access_key() != access
    );
    let own =
        format!("own{}", ctx.name("").len()) + &name(&ctx, "").chars().rev().take(14).collect::<String>();
    let post =
        StorageBucketKeysPost::new("own", BucketKeyRole::Admin).with_credentials(&*own, "long enough?");
    let own_key = keys.create(post).await.unwrap();
    assert_eq!((own_key.access_key().expose(), own_key.secret_key().expose()), (&*own, "long enough?"));

    assert_eq!(keys.all().await.unwrap().len(), 3);
    viewer.delete().await.unwrap();
    assert_eq!(keys.get("viewer é%").await.unwrap_err().kind(), ErrorKind::NotFound);
    assert_eq!(viewer.handle().delete().await.unwrap_err().kind(), ErrorKind::NotFound);
    bucket.delete().await.unwrap();
    assert_eq!(keys.all().await.unwrap_err().kind(), ErrorKind::NotFound);
}

async fn a_role_decides_what_a_key_may_do(ctx: Ctx) {
    let CreatedBucket { mut bucket, admin_key, .. } = new_bucket(&ctx, "roles").await;
    let admin = admin_key.unwrap();
    let viewer =
        bucket.keys().create(StorageBucketKeysPost::new("v", BucketKeyRole::ReadOnly)).await.unwrap();
    let admin = Objects::new(ctx.server(), &bucket, &admin.access_key, &admin.secret_key);
    let viewer = Objects::new(ctx.server(), &bucket, viewer.access_key(), viewer.secret_key());
    assert!(viewer.put("o", "an object").await.is_err());
    admin.put("o", "an object").await.unwrap();
    assert_eq!(viewer.get("o").await.unwrap(), "an object");
    // A bucket that isn't empty goes too.
    bucket.delete().await.unwrap();
}

async fn no_error_or_debug_text_shows_credentials(ctx: Ctx) {
    let created = new_bucket(&ctx, "secret").await;
    let mut bucket = created.bucket.clone();
    let admin = created.admin_key.clone().unwrap();
    let key = bucket.keys().get("admin").await.unwrap();
    let list = bucket.keys().all().await.unwrap();
    let debug = format!("{created:?} {created:#?} {key:?} {list:?} {:?}", key.object().to_put());
    assert!(debug.contains("***"));
    for secret in [&admin.access_key, &admin.secret_key] {
        assert!(!debug.contains(secret.expose()), "{debug}");
    }
    let access = if ctx.is_picky() { name(&ctx, "zq") } else { "zq".to_owned() };
    let post = StorageBucketKeysPost::new("bad", BucketKeyRole::Admin).with_credentials(&*access, "t00short");
    let change = bucket.keys().create(post.with_description("x"));
    assert!(!format!("{change:?}").contains("t00short"));
    match change.await {
        // Its own server for S3 takes any credentials.
        Ok(key) => assert!(ctx.is_picky() && !format!("{key:?}").contains("t00short")),
        // The server's own error quotes the command line that it ran, credentials and all.
        Err(error) => {
            let text = format!("{error} {error:#} {error:?} {:?}", error.server_message());
            assert!(!text.contains("t00short") && !text.contains("zq") && text.contains("***"), "{text}");
        }
    }
    bucket.delete().await.unwrap();
}

async fn a_backup_lives_and_dies(ctx: Ctx) {
    let mut bucket = new_bucket(&ctx, "backup").await.bucket;
    let backups = bucket.backups();
    let at = "2030-01-02T03:04:05Z".parse().unwrap();
    let post = StorageBucketBackupsPost::new("b é%").with_expiry(Expiry::At(at));
    let backup = backups.create(post.with_compression(Compression::None)).await.unwrap();
    assert_eq!((backup.name(), backup.expiry()), ("b é%", Expiry::At(at)));
    let full = ctx.client.server().await.unwrap().api_extensions.has("storage_bucket_full");
    match backups.all().await {
        Ok(all) => assert_eq!(all[0].name(), "b é%"),
        Err(error) => assert_eq!((full, error.extension()), (false, Some("storage_bucket_full")), "{error}"),
    }

    assert!(backups.create(StorageBucketBackupsPost::new("b é%")).await.unwrap_err().is_already_exists());
    let numbered = backups.create(StorageBucketBackupsPost::automatic()).await.unwrap();
    assert_eq!((numbered.name(), numbered.expiry()), ("backup0", Expiry::Never));
    assert!(backup.rename("backup0").await.unwrap_err().is_already_exists());
    if ctx.is_picky() {
        // Incus 7.0 looks for both where they aren't, and changes nothing.
        for error in [backup.rename("second").await.unwrap_err(), backup.delete().await.unwrap_err()] {
            assert_eq!(error.kind(), ErrorKind::OperationFailed, "{error}");
        }
        assert!(backups.exists("b é%").await.unwrap() && !backups.exists("second").await.unwrap());
        assert!(backup.download().await.unwrap().size().unwrap() > 0);
        return bucket.delete().await.unwrap();
    }
    let renamed = backup.rename("second").await.unwrap();
    assert!(backups.exists("second").await.unwrap() && !backups.exists("b é%").await.unwrap());
    let mut download = renamed.download().await.unwrap().with_checksum();
    let (size, mut bytes) = (download.size().unwrap(), Vec::new());
    download.copy_to(&mut bytes).await.unwrap();
    assert_eq!((bytes.len() as u64, download.checksum()), (size, Some(sha256_of(&bytes))));
    renamed.delete().await.unwrap();
    assert_eq!(backups.get("second").await.unwrap_err().kind(), ErrorKind::NotFound);
    assert_eq!(renamed.download().await.unwrap_err().kind(), ErrorKind::NotFound);
    bucket.delete().await.unwrap();
}

/// An object of noise in a bucket.
async fn fill(ctx: &Ctx, created: &CreatedBucket) -> Vec<u8> {
    let noise: Vec<u8> = (0..3_000_000_u32).map(|i| (i.wrapping_mul(2_246_822_519) >> 11) as u8).collect();
    let admin = created.admin_key.as_ref().unwrap();
    let objects = Objects::new(ctx.server(), &created.bucket, &admin.access_key, &admin.secret_key);
    objects.put("a/noise", noise.clone()).await.unwrap();
    noise
}

async fn what_is_exported_comes_back_whole(ctx: Ctx) {
    let folder = Folder::new(&ctx);
    let created = new_bucket(&ctx, "export").await;
    let noise = fill(&ctx, &created).await;
    let CreatedBucket { mut bucket, admin_key, .. } = created;
    let (file, admin) = (folder.file("b.tar.gz"), admin_key.unwrap());
    let (sender, receiver) = std::sync::mpsc::channel();
    let export = bucket.export().with_checksum().with_progress(move |done| sender.send(done).unwrap());
    let exported = export.to_file(&file).await.unwrap();
    assert_eq!(exported.bytes, fs::metadata(&file).unwrap().len());
    assert_eq!((exported.sha256, exported.leftover), (Some(sha256(&file)), None));
    let last = receiver.into_iter().last().unwrap();
    // Where nothing is packed first, nobody knows how much will come.
    let total = (!ctx.has("direct_backup").await).then_some(exported.bytes);
    assert_eq!((last.bytes, last.total), (exported.bytes, total));
    assert_eq!(bucket.export().to_file(&file).await.unwrap_err().kind(), ErrorKind::Local);

    let (name, pool) = (bucket.name().to_owned(), bucket.pool().clone());
    let upload = Upload::file(&file).await.unwrap();
    let taken = pool.buckets().import_backup(upload, Some(&name)).await.unwrap_err();
    assert!(taken.is_already_exists(), "{taken:?}");
    bucket.delete().await.unwrap();
    // Under the name inside, once that is free.
    let (sender, receiver) = std::sync::mpsc::channel();
    let upload = Upload::file(&file).await.unwrap().with_progress(move |done| sender.send(done).unwrap());
    let mut back = pool.buckets().import_backup(upload, None).await.unwrap();
    assert_eq!(receiver.into_iter().last().unwrap().bytes, exported.bytes);
    assert_eq!(back.name(), name);
    assert_eq!(back.keys().get("admin").await.unwrap().secret_key(), &admin.secret_key);
    let read =
        Objects::new(ctx.server(), &back, &admin.access_key, &admin.secret_key).get("a/noise").await.unwrap();
    assert!(read == noise, "the bytes differ");
    back.delete().await.unwrap();
}

async fn a_copy_can_live_beside_its_original(ctx: Ctx) {
    let created = new_bucket(&ctx, "original").await;
    let (mut bucket, admin) = (created.bucket, created.admin_key.unwrap());
    let mut memory = Vec::new();
    bucket.export().to_writer(&mut memory).await.unwrap();
    let (pool, name) = (bucket.pool().clone(), name(&ctx, "copy"));
    let import =
        || pool.buckets().import_backup(Upload::from(bytes::Bytes::from(memory.clone())), Some(&name));
    // An access key opens one bucket only.
    let error = import().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::OperationFailed, "{error}");
    assert!(!pool.buckets().exists(&name).await.unwrap());
    bucket
        .key("admin")
        .edit(|put| {
            put.renew_credentials();
        })
        .await
        .unwrap();
    let mut copy = import().await.unwrap();
    assert_eq!(copy.name(), name);
    assert_eq!(copy.keys().get("admin").await.unwrap().access_key(), &admin.access_key);
    copy.delete().await.unwrap();
    bucket.delete().await.unwrap();
}

async fn an_export_leaves_nothing_behind(ctx: Ctx) {
    let folder = Folder::new(&ctx);
    let created = new_bucket(&ctx, "clean").await;
    fill(&ctx, &created).await;
    let mut bucket = created.bucket;
    bucket.export().to_writer(&mut Vec::new()).await.unwrap();
    assert_eq!(backup_files(&ctx, &bucket), Vec::<String>::new());

    // Given up while the server packs, and while the download is on its way.
    let packing = bucket.export().to_file(folder.file("x"));
    assert!(tokio::time::timeout(Duration::from_millis(20), packing).await.is_err());
    assert!(has_no_backup(&ctx, &bucket).await);
    let mut download = bucket.export().open().await.unwrap();
    download.chunk().await.unwrap().unwrap();
    let kept = usize::from(!ctx.has("direct_backup").await);
    assert_eq!(backup_files(&ctx, &bucket).len(), kept);
    drop(download);
    assert!(has_no_backup(&ctx, &bucket).await);
    assert!(!folder.file("x").exists());

    // A file that can't be written to, once the server has packed.
    let error = bucket.export().to_file(folder.file("no/such/folder")).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Local, "{error}");
    assert_eq!(backup_files(&ctx, &bucket), Vec::<String>::new());
    bucket.delete().await.unwrap();
}

async fn what_cannot_be_is_refused_before_it_is_sent(ctx: Ctx) {
    let pool = ready(&ctx).await;
    let bucket = pool.bucket("whatever");
    ctx.client.server().await.unwrap();
    ctx.sent.take();
    for name in ["", "ab", "Photos", "a_b", "a..b", "-ab", "ab-", "192.168.0.1", "a/b"] {
        let error = pool.buckets().create(StorageBucketsPost::new(name)).await.unwrap_err();
        assert_eq!((error.kind(), error.request_reached_server()), (ErrorKind::InvalidInput, Reached::No));
        assert!(error.to_string().contains(&format!("{name:?}")), "{error}");
        let upload = Upload::from(bytes::Bytes::from_static(b"\x1f\x8b"));
        let error = pool.buckets().import_backup(upload, Some(name)).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidInput);
    }
    for role in ["", "boss", "Admin"] {
        let post = StorageBucketKeysPost::new("k", role.into());
        let error = bucket.keys().create(post).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidInput, "{error}");
        assert!(error.to_string().contains("read-only"), "{error}");
    }
    let odd = StorageBucketsPost::new("photos").with_config("size", "much");
    assert_eq!(pool.buckets().create(odd).await.unwrap_err().kind(), ErrorKind::InvalidInput);
    assert_eq!(ctx.sent.take(), Vec::<String>::new());
    // What only the driver knows takes a look at the pool.
    let sized = StorageBucketsPost::new(name(&ctx, "sized")).with_size(Size::gib(1));
    let error = pool.buckets().create(sized).await.unwrap_err();
    assert!(error.kind() == ErrorKind::InvalidInput && error.to_string().contains("dir"), "{error}");
    assert!(!ctx.sent.take().iter().any(|request| request.starts_with("POST")));
    let garbage = Upload::from(bytes::Bytes::from_static(b"hello"));
    let import = pool.buckets().import_backup(garbage, Some(&name(&ctx, "garbage"))).into_future();
    assert_eq!(import.await.unwrap_err().kind(), ErrorKind::InvalidInput);
}

async fn a_quota_is_kept(ctx: Ctx) {
    ready(&ctx).await;
    let pools = ctx.ready_pools();
    let Some(pool) = pools.iter().find(|pool| pool.name() == "btrfs0") else {
        return eprintln!("SKIPPED: a_quota_is_kept needs a btrfs pool");
    };
    let post = StorageBucketsPost::new(name(&ctx, "quota")).with_size(Size::mib(64));
    let mut bucket = pool.buckets().create(post).await.unwrap().bucket;
    assert_eq!(bucket.config().size("size").unwrap(), Some(Size::mib(64)));
    let larger = bucket
        .edit(|put| {
            put.config.set("size", Size::mib(96));
        })
        .await
        .unwrap();
    assert_eq!(larger.config().size("size").unwrap(), Some(Size::mib(96)));
    bucket.sync().await.unwrap();
    bucket.config_mut().set("size", "much");
    assert_eq!(bucket.save().await.unwrap_err().kind(), ErrorKind::InvalidInput);
    bucket.delete().await.unwrap();
}

async fn events_say_which_bucket_they_are_about(ctx: Ctx) {
    let pool = ready(&ctx).await;
    let server = ctx.client.server().await.unwrap();
    let mut events = ctx.client.events().of_types([EventType::Lifecycle]).open().await.unwrap();
    let mut bucket = new_bucket(&ctx, "told").await.bucket;
    let post = StorageBucketKeysPost::new(name(&ctx, "key"), BucketKeyRole::ReadOnly);
    bucket.keys().create(post).await.unwrap();
    let of_bucket = Entity::Bucket { pool: pool.name().to_owned(), name: bucket.name().to_owned() };
    bucket.delete().await.unwrap();
    let mut missing = vec![
        (LifecycleAction::StorageBucketCreated, of_bucket.clone()),
        // It names the pool in place of the bucket.
        (LifecycleAction::StorageBucketKeyCreated, Entity::Other),
        (LifecycleAction::StorageBucketDeleted, of_bucket),
    ];
    while !missing.is_empty() {
        let waited = tokio::time::timeout(Duration::from_secs(10), events.next()).await;
        let Ok(Ok(EventItem::Event(event))) = waited else {
            panic!("{waited:?}, and never told: {missing:?}")
        };
        let (Some(lifecycle), Some(about)) = (event.lifecycle(), event.reference(&server)) else { continue };
        if lifecycle.action != LifecycleAction::StorageBucketKeyCreated
            || lifecycle.source.ends_with(&*name(&ctx, "key"))
        {
            missing.retain(|(action, entity)| *action != lifecycle.action || *entity != about.entity);
        }
    }
}
