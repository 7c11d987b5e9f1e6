//! Many tasks on one client of a real server, and what is left of their work when the server is killed under it.

use std::time::{Duration, Instant};

use futures_util::future::join_all;
use lxd_storage::{
    Client, Error, PoolHandle,
    transport::Reached,
    types::{StorageVolumeSnapshotsPost, StorageVolumesPost, VolumeType},
};
use lxd_tests::Slot;

use crate::servers::{FAMILIES, Servers, WIRES, Wire, on_servers};

const EDITORS: usize = 32;
/// A thousand takes a real server a minute; `LXD_TESTS_CROWD` says how many shall be.
fn volumes() -> usize {
    std::env::var("LXD_TESTS_CROWD").ok().and_then(|count| count.parse().ok()).unwrap_or(128)
}

const TASKS: usize = 64;

/// What a task did to a volume of its own, as far as it was told.
struct Done {
    name: String,
    created: Result<(), Error>,
    edited: Option<Result<(), Error>>,
    deleted: Option<Result<(), Error>>,
}

/// Makes, edits and deletes volumes until the server has gone.
async fn work(pool: PoolHandle, task: usize) -> Vec<Done> {
    let (mut all, mut lost) = (Vec::new(), 0);
    while lost < 2 {
        let name = format!("busy{task}-{}", all.len());
        let volume = pool.volume(VolumeType::Custom, &name);
        let created = pool.volumes().create(StorageVolumesPost::new(&name)).await.map(drop);
        let (mut edited, mut deleted) = (None, None);
        if created.is_ok() {
            edited = Some(volume.edit(|put| put.description = "edited".to_owned()).await.map(drop));
            if all.len() % 2 == 0 {
                deleted = Some(volume.delete().await);
            }
        }
        lost += usize::from(created.is_err());
        all.push(Done { name, created, edited, deleted });
    }
    all
}

/// Holds what a task was told against what is there.
async fn hold(pool: &PoolHandle, done: &Done) -> Result<(), String> {
    let Done { name, created, edited, deleted } = done;
    let there = match pool.volumes().get(VolumeType::Custom, name).await {
        Ok(volume) => Some(volume),
        Err(error) if error.is_not_found() => None,
        Err(error) => return Err(format!("{name}: {error}")),
    };
    let untouched = |error: &Error| error.request_reached_server() == Reached::No;
    let wrong = match (created, deleted, &there) {
        (Ok(()), None, None) => "it was made, and is gone",
        (Ok(()), Some(Ok(())), Some(_)) => "it was deleted, and is there",
        (Ok(()), Some(Err(error)), None) if untouched(error) => "nothing reached the server, and it is gone",
        (Err(error), _, Some(_)) if untouched(error) => "nothing reached the server, and it is there",
        _ => match (&there, edited) {
            (Some(there), Some(Ok(()))) if there.description() != "edited" => "it was edited, and is not",
            _ => return Ok(()),
        },
    };
    Err(format!("{name}: {wrong}: {created:?} {edited:?} {deleted:?}"))
}

#[test]
fn what_a_crowd_was_told_holds_after_a_kill() {
    on_servers(async || {
        for (slot, _) in FAMILIES {
            let Some(servers) = Servers::start(&[slot]) else { continue };
            for wire in WIRES {
                let client = servers.client(slot, wire);
                let pool = client.storage_pool("dir0");
                let tasks = (0..16).map(|task| work(pool.clone(), task));
                let killing = async {
                    tokio::time::sleep(Duration::from_millis(500)).await;
                    servers.kill(slot);
                };
                let (done, ()) = tokio::join!(join_all(tasks), killing);
                servers.start_again(slot);
                let done: Vec<Done> = done.into_iter().flatten().collect();
                let made = done.iter().filter(|one| one.created.is_ok()).count();
                assert!(made > 0 && made < done.len(), "{slot} over {wire}: {made} of {}", done.len());
                let mut wrong = Vec::new();
                for one in &done {
                    wrong.extend(hold(&pool, one).await.err());
                }
                assert!(wrong.is_empty(), "{slot} over {wire}:\n{}", wrong.join("\n"));
                for volume in pool.volumes().all_of(VolumeType::Custom).await.unwrap() {
                    volume.handle().delete().await.unwrap();
                }
            }
        }
    });
}

#[test]
fn no_edit_of_one_pool_by_32_tasks_is_lost() {
    on_servers(async || {
        for (slot, _) in FAMILIES {
            let Some(servers) = Servers::start(&[slot]) else { continue };
            for wire in WIRES {
                let client = servers.client(slot, wire);
                let pool = client.storage_pool("dir0");
                let edits =
                    (0..EDITORS).map(|number| {
                        let pool = pool.clone();
                        async move {
                            pool.edit(|put| _ = put.config.set(format!("user.{wire}{number}"), "set")).await
                        }
                    });
                for edited in join_all(edits).await {
                    edited.unwrap();
                }
                let config = pool.get().await.unwrap().config().clone();
                let is_kept = |number: &usize| config.text(&format!("user.{wire}{number}")).is_some();
                assert_eq!((0..EDITORS).filter(is_kept).count(), EDITORS, "{slot} over {wire}");
            }
        }
    });
}

async fn volumes_by_tasks(client: Client, volumes: usize) {
    let pool = client.storage_pool("dir0");
    let tasks = (0..TASKS).map(|task| {
        let pool = pool.clone();
        async move {
            for number in (task..volumes).step_by(TASKS) {
                let name = format!("volume{number}");
                let volume = pool.volumes().create(StorageVolumesPost::new(&name)).await?;
                let edited = volume.handle().edit(|put| put.description.clone_from(&name)).await?;
                assert_eq!(edited.description(), name);
                volume.snapshots().create(StorageVolumeSnapshotsPost::new("snapshot")).await?;
                if number % 2 == 0 {
                    volume.handle().delete().await?;
                }
            }
            Ok::<(), Error>(())
        }
    });
    for done in join_all(tasks).await {
        done.unwrap();
    }
    let left = pool.volumes().all_of(VolumeType::Custom).await.unwrap();
    assert_eq!(left.len(), volumes / 2);
    assert!(left.iter().all(|volume| volume.description() == volume.name()));
}

#[test]
fn volumes_live_and_go_by_64_tasks() {
    on_servers(async || {
        for (slot, wire) in [(Slot::LxdA, Wire::Unix), (Slot::Incus, Wire::Tls), (Slot::Incus7, Wire::Unix)] {
            let Some(servers) = Servers::start(&[slot]) else { continue };
            let begun = Instant::now();
            volumes_by_tasks(servers.client(slot, wire), volumes()).await;
            println!("{slot} over {wire}: {} volumes in {:?}", volumes(), begun.elapsed());
        }
    });
}
