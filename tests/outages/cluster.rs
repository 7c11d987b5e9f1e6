//! A cluster that loses a member in the middle of a copy between members or of a list.

use std::{
    future::IntoFuture,
    time::{Duration, Instant},
};

use lxd_storage::{Error, ErrorKind, types::StorageVolumesPost};
use lxd_tests::Slot;

use crate::servers::{Servers, WIRES, noise, on_servers, slow_pool, until_begun};

/// A member that doesn't answer is noticed by the others or by our own limits in so long.
const LIMIT: Duration = Duration::from_secs(100);

#[test]
fn a_move_between_members_of_which_one_dies_keeps_the_source() {
    on_servers(async || {
        let Some(servers) = Servers::start(&Slot::CLUSTER) else { return };
        let slow = slow_pool(&servers.client(Slot::Member1, WIRES[0])).await;
        for wire in WIRES {
            // Nobody talks to the members between which the volume moves.
            for (victim, client) in [
                (Slot::Member2, servers.client(Slot::Member1, wire)),
                (Slot::Member3, servers.client(Slot::Member1, wire)),
                // And here to one that dies.
                (Slot::Member2, servers.client(Slot::Member2, wire)),
            ] {
                let which = format!("{victim} dies, {:?}", client.endpoint());
                let pool = client.storage_pool(slow.name()).with_target("member3");
                let noise = noise(4 << 20);
                let volume = servers.volume_with(Slot::Member3, &pool, &noise).await;
                let copy = pool.with_target("member2").volume(volume.volume_type().clone(), "data");
                let moving = tokio::spawn(volume.move_to_member("member2").into_future());
                until_begun(&copy).await;
                servers.kill(victim);
                servers.start_again(victim);
                let ended = tokio::time::timeout(LIMIT, moving).await.unwrap().unwrap();
                let error = ended.unwrap_err();
                assert!(
                    matches!(
                        error.kind(),
                        ErrorKind::OperationFailed | ErrorKind::Interrupted | ErrorKind::Server
                    ),
                    "{which}: {error:?}"
                );
                let named = error.to_string().contains("volume \"data\" in pool \"slow\" of the target");
                assert!(named || !copy.exists().await.unwrap(), "{which}: {error}");
                assert!(servers.holds(Slot::Member3, &volume, &noise), "{which}");
                copy.ensure_absent().await.unwrap();
                let moved = volume.move_to_member("member2").await;
                let moved = moved.unwrap_or_else(|error| panic!("{which}, and again: {error}"));
                assert!(servers.holds(Slot::Member2, &moved, &noise), "{which}");
                assert_eq!(moved.location(), "member2");
                moved.handle().delete().await.unwrap();
            }
        }
    });
}

#[test]
fn lists_over_a_cluster_that_loses_a_member_end_in_time() {
    on_servers(async || {
        let Some(servers) = Servers::start(&Slot::CLUSTER) else { return };
        for wire in WIRES {
            // A member that others ask for what it has, and the one that clients talk to.
            for victim in [Slot::Member3, Slot::Member1] {
                let client = servers.client(Slot::Member1, wire);
                let pool = client.storage_pool("dir0");
                for member in ["member1", "member2", "member3"] {
                    let post = StorageVolumesPost::new("data");
                    pool.with_target(member).volumes().create(post).await.unwrap();
                }
                let lists = || async {
                    let mut outcomes = Vec::new();
                    outcomes.push(client.volumes().all().await.map(|volumes| volumes.len()));
                    outcomes.push(client.volumes().with_usage().await.map(|volumes| volumes.len()));
                    outcomes.push(pool.volumes().full().await.map(|volumes| volumes.len()));
                    outcomes.push(pool.per_member().await.map(|members| members.len()));
                    outcomes
                };
                let before = lists().await;
                assert!(before.iter().all(|outcome| matches!(outcome, Ok(3))), "{before:?}");
                let killing = async {
                    tokio::time::sleep(Duration::from_millis(100)).await;
                    servers.kill(victim);
                };
                let listing = async {
                    let (mut all, begun) = (Vec::new(), Instant::now());
                    while begun.elapsed() < Duration::from_secs(2) {
                        all.extend(tokio::time::timeout(LIMIT, lists()).await.unwrap());
                    }
                    all
                };
                let (outcomes, ()) = tokio::join!(listing, killing);
                let failed: Vec<Error> = outcomes.into_iter().filter_map(Result::err).collect();
                assert!(!failed.is_empty(), "{victim} over {wire}: nobody noticed");
                for error in failed {
                    assert!(error.is_retry_safe(), "{error:?}");
                    assert!(
                        matches!(
                            error.kind(),
                            ErrorKind::Connect
                                | ErrorKind::Interrupted
                                | ErrorKind::Server
                                | ErrorKind::Timeout(_)
                        ),
                        "{victim} over {wire}: {error:?}"
                    );
                }
                servers.start_again(victim);
                // It takes the others a moment to see that it is there again.
                let mut after = lists().await;
                for _ in 0..100 {
                    if after.iter().all(|outcome| matches!(outcome, Ok(3))) {
                        break;
                    }
                    tokio::time::sleep(Duration::from_millis(200)).await;
                    after = lists().await;
                }
                assert!(
                    after.iter().all(|outcome| matches!(outcome, Ok(3))),
                    "{victim} over {wire}: {after:?}"
                );
                for found in
                    pool.volume(lxd_storage::types::VolumeType::Custom, "data").locate().await.unwrap()
                {
                    found.delete().await.unwrap();
                }
            }
        }
    });
}
