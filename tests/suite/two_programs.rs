//! Two programs change one object, each through a client of its own that knows nothing of the other.
//!
//! Edits through one client queue up; between clients there is only the ETag. Each case lets the other program's change
//! come right after ours has read and before it writes: ours must notice, begin again, and keep both.

use http::Method;
use lxd_storage::{
    Client, Disk, Holder, VolumeHandle,
    types::{
        Config, Expiry, StoragePoolsPost, StorageVolumeSnapshotsPost, StorageVolumesPost, Timestamp,
        VolumeType,
    },
};
use serde_json::{Value, json};

use crate::{
    ctx::{Ctx, cases, transport_to},
    meddling::{Meddler, Met},
};

cases![
    edits_of_a_pool_are_both_kept,
    edits_of_a_volume_are_both_kept,
    edits_of_a_snapshot_are_both_kept,
    what_is_attached_to_a_profile_by_both_stays,
    what_is_attached_to_an_instance_by_both_stays,
    what_both_ensure_of_a_pool_is_there,
    what_both_ensure_of_a_volume_is_there,
    a_save_does_not_undo_what_the_other_wrote,
];

fn set(config: &mut Config, key: &str) {
    config.set(key, 1);
}

/// The other program.
fn theirs(ctx: &Ctx) -> Client {
    Client::new(transport_to(ctx.server(), ctx.wire))
}

/// Our program, whose first write to this path comes right after the other's deed.
fn ours<F>(ctx: &Ctx, path: &str, deed: impl FnOnce() -> F + Send + 'static) -> (Client, Met)
where
    F: Future<Output = ()> + Send + 'static,
{
    Meddler::before(transport_to(ctx.server(), ctx.wire), format!("PUT {path}"), deed)
}

fn same(client: &Client, volume: &VolumeHandle) -> VolumeHandle {
    client.storage_pool(volume.pool().name()).volume(VolumeType::Custom, volume.name())
}

fn path_of(volume: &VolumeHandle) -> String {
    format!("/1.0/storage-pools/{}/volumes/custom/{}", volume.pool().name(), volume.name())
}

async fn edits_of_a_pool_are_both_kept(ctx: Ctx) {
    let mut pool = ctx.new_pool("p").await;
    let other = theirs(&ctx).storage_pool(pool.name());
    let (client, writes) = ours(&ctx, &format!("/1.0/storage-pools/{}", pool.name()), || async move {
        other.edit(|put| set(&mut put.config, "user.theirs")).await.unwrap();
    });
    let edited =
        client.storage_pool(pool.name()).edit(|put| set(&mut put.config, "user.ours")).await.unwrap();
    assert_eq!(writes.count(), 2, "the first was refused");
    pool.sync().await.unwrap();
    assert_eq!(edited.config(), pool.config());
    assert_eq!((pool.config().text("user.ours"), pool.config().text("user.theirs")), (Some("1"), Some("1")));
    pool.delete().await.unwrap();
}

async fn edits_of_a_volume_are_both_kept(ctx: Ctx) {
    for pool in ctx.ready_pools() {
        let mut volume = ctx.new_volume(&pool, "v").await;
        let other = same(&theirs(&ctx), &volume);
        let (client, writes) = ours(&ctx, &path_of(&volume), || async move {
            other.edit(|put| set(&mut put.config, "user.theirs")).await.unwrap();
        });
        let edited = same(&client, &volume).edit(|put| set(&mut put.config, "user.ours")).await.unwrap();
        assert_eq!(writes.count(), 2, "the first was refused");
        volume.sync().await.unwrap();
        assert_eq!(edited.config(), volume.config());
        let config = volume.config();
        assert_eq!((config.text("user.ours"), config.text("user.theirs")), (Some("1"), Some("1")));
        volume.delete().await.unwrap();
    }
}

async fn edits_of_a_snapshot_are_both_kept(ctx: Ctx) {
    let mut volume = ctx.new_volume(&ctx.ready_pools()[0], "v").await;
    volume.snapshots().create(StorageVolumeSnapshotsPost::new("s")).await.unwrap();
    let expiry = Timestamp::from_unix(1_900_000_000, 0);
    let other = same(&theirs(&ctx), &volume).snapshot("s");
    let path = format!("{}/snapshots/s", path_of(&volume));
    let (client, writes) = ours(&ctx, &path, move || async move {
        other.edit(|put| put.expires_at = expiry).await.unwrap();
    });
    same(&client, &volume).snapshot("s").edit(|put| put.description = "ours".to_owned()).await.unwrap();
    assert_eq!(writes.count(), 2, "the first was refused");
    let now = volume.snapshots().get("s").await.unwrap();
    assert_eq!((now.description(), now.expiry()), ("ours", Expiry::At(expiry.unwrap())));
    volume.delete().await.unwrap();
}

async fn attached_by_both(ctx: &Ctx, path: &str, holder: Holder) {
    let mut volume = ctx.new_volume(&ctx.ready_pools()[0], "v").await;
    let (other, their_holder) = (same(&theirs(ctx), &volume), holder.clone());
    let (client, writes) = ours(ctx, path, || async move {
        other.attach(&their_holder, Disk::at("/theirs").with_device("theirs")).await.unwrap();
    });
    let mine = same(&client, &volume);
    mine.attach(&holder, Disk::at("/ours").with_device("ours")).await.unwrap();
    assert_eq!(writes.count(), 2, "the first was refused");
    let devices = async || {
        let object = ctx.client.request(Method::GET, path).fetch::<Value>().await.unwrap().value;
        let disks = object["devices"].as_object().unwrap().iter();
        disks
            .filter(|(_, disk)| disk["source"] == volume.name())
            .map(|(name, _)| name.clone())
            .collect::<Vec<_>>()
    };
    assert_eq!(devices().await, ["ours", "theirs"]);

    // The other way round: while we take ours away, a third is attached.
    let (other, their_holder) = (same(&theirs(ctx), &volume), holder.clone());
    let (client, writes) = ours(ctx, path, || async move {
        other.attach(&their_holder, Disk::at("/third").with_device("third")).await.unwrap();
    });
    let mut gone = same(&client, &volume).detach(&holder).await.unwrap();
    gone.sort();
    // What was attached meanwhile is the same volume, and the edit that began again found it too.
    assert_eq!((gone, writes.count()), (vec!["ours".to_owned(), "theirs".to_owned(), "third".to_owned()], 2));
    assert_eq!(devices().await, Vec::<String>::new());
    volume.delete().await.unwrap();
}

async fn what_is_attached_to_a_profile_by_both_stays(ctx: Ctx) {
    let (name, path) = (ctx.name("p"), format!("/1.0/profiles/{}", ctx.name("p")));
    ctx.client.request(Method::POST, "/1.0/profiles").json(&json!({"name": name})).change().await.unwrap();
    attached_by_both(&ctx, &path, Holder::profile(&*name)).await;
    ctx.client.request(Method::DELETE, &path).change().await.unwrap();
}

async fn what_is_attached_to_an_instance_by_both_stays(ctx: Ctx) {
    let root = json!({"root": {"type": "disk", "path": "/", "pool": "dir0"}});
    let instance = ctx.new_instance(&root).await;
    attached_by_both(&ctx, &format!("/1.0/instances/{instance}"), Holder::instance(&*instance)).await;
    ctx.delete_instance(&instance).await;
}

async fn what_both_ensure_of_a_pool_is_there(ctx: Ctx) {
    let mut pool = ctx.new_pool("p").await;
    let wanted = |key: &str| StoragePoolsPost::new(pool.name(), "dir").with_config(key, "1MB");
    let (other, their_wish) = (theirs(&ctx), wanted("rsync.bwlimit"));
    let (client, writes) = ours(&ctx, &format!("/1.0/storage-pools/{}", pool.name()), || async move {
        other.storage_pools().ensure(their_wish).await.unwrap();
    });
    let made = client.storage_pools().ensure(wanted("volume.size")).await.unwrap();
    assert_eq!((made.changes.len(), writes.count()), (1, 2), "the first was refused");
    pool.sync().await.unwrap();
    let config = pool.config();
    assert_eq!((config.text("volume.size"), config.text("rsync.bwlimit")), (Some("1MB"), Some("1MB")));
    pool.delete().await.unwrap();
}

async fn what_both_ensure_of_a_volume_is_there(ctx: Ctx) {
    let mut volume = ctx.new_volume(&ctx.ready_pools()[0], "v").await;
    let wanted = |key: &str| StorageVolumesPost::new(volume.name()).with_config(key, "1");
    let (other, their_wish) = (theirs(&ctx).storage_pool(volume.pool().name()), wanted("user.theirs"));
    let (client, writes) = ours(&ctx, &path_of(&volume), || async move {
        other.volumes().ensure(their_wish).await.unwrap();
    });
    let pool = client.storage_pool(volume.pool().name());
    let made = pool.volumes().ensure(wanted("user.ours")).await.unwrap();
    assert_eq!((made.changes.len(), writes.count()), (1, 2), "the first was refused");
    volume.sync().await.unwrap();
    let config = volume.config();
    assert_eq!((config.text("user.ours"), config.text("user.theirs")), (Some("1"), Some("1")));
    volume.delete().await.unwrap();
}

async fn a_save_does_not_undo_what_the_other_wrote(ctx: Ctx) {
    let mut volume = ctx.new_volume(&ctx.ready_pools()[0], "v").await;
    let other = same(&theirs(&ctx), &volume);
    let (client, writes) = ours(&ctx, &path_of(&volume), || async move {
        other.edit(|put| set(&mut put.config, "user.theirs")).await.unwrap();
    });
    let mut mine = same(&client, &volume).get().await.unwrap();
    mine.config_mut().set("user.ours", 1);
    // What was edited by hand is not begun again by itself.
    let error = mine.save().await.unwrap_err();
    assert_eq!((error.kind(), writes.count()), (lxd_storage::ErrorKind::PreconditionFailed, 1));
    volume.sync().await.unwrap();
    assert_eq!((volume.config().text("user.ours"), volume.config().text("user.theirs")), (None, Some("1")));
    volume.delete().await.unwrap();
}
