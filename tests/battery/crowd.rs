//! Many tasks on one client: nothing is lost, nothing is left.

use futures_util::future::join_all;
use lxd_emulator::Personality;
use lxd_storage::types::{StorageVolumeSnapshotsPost, StorageVolumesPost, VolumeType};

use crate::fixture::{Fixture, Place, Wire, pool, turn};

const EDITORS: usize = 32;
const VOLUMES: usize = 1000;
const TASKS: usize = 64;

fn on_both_wires(test: impl AsyncFn(Fixture)) {
    let _turn = turn();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        for wire in [Wire::Unix, Wire::Tls] {
            test(Fixture::patient(Place::new(Personality::LxdNew, wire)).await).await;
        }
    });
}

#[test]
fn no_edit_of_one_pool_by_32_tasks_is_lost() {
    on_both_wires(async |fixture| {
        let edits = (0..EDITORS).map(|number| {
            let pool = pool(&fixture.client);
            tokio::spawn(async move {
                pool.edit(|put| _ = put.config.set(format!("user.key{number}"), "set")).await
            })
        });
        for edited in join_all(edits).await {
            edited.unwrap().unwrap();
        }
        let config = pool(&fixture.client).get().await.unwrap().config().clone();
        let kept = (0..EDITORS).filter(|number| config.text(&format!("user.key{number}")).is_some()).count();
        assert_eq!(kept, EDITORS);
    });
}

#[test]
fn a_thousand_volumes_live_and_go_by_64_tasks() {
    on_both_wires(async |fixture| {
        let tasks = (0..TASKS).map(|task| {
            let pool = pool(&fixture.client);
            tokio::spawn(async move {
                for number in (task..VOLUMES).step_by(TASKS) {
                    let name = format!("volume{number}");
                    let volume = pool.volumes().create(StorageVolumesPost::new(&name)).await?;
                    let edited = volume.handle().edit(|put| put.description.clone_from(&name)).await?;
                    assert_eq!(edited.description(), name);
                    volume.snapshots().create(StorageVolumeSnapshotsPost::new("snapshot")).await?;
                    if number % 2 == 0 {
                        volume.handle().delete().await?;
                    }
                }
                Ok::<(), lxd_storage::Error>(())
            })
        });
        for done in join_all(tasks).await {
            done.unwrap().unwrap();
        }
        let left = pool(&fixture.client).volumes().all_of(VolumeType::Custom).await.unwrap();
        // Those with odd numbers, and the one that was there.
        assert_eq!(left.len(), VOLUMES / 2 + 1);
        assert!(left.iter().all(|volume| volume.name() == "v" || volume.description() == volume.name()));
    });
}
