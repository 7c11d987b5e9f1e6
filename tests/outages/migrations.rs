//! Moves between two servers one of which is killed.

use std::{future::IntoFuture, time::Duration};

use lxd_storage::{ErrorKind, Migration, types::VolumeType};
use lxd_tests::Slot;

use crate::servers::{FAMILIES, Servers, WIRES, noise, on_servers, slow_pool, until_begun};

type Mode = fn(Migration) -> Migration;
const MODES: [(&str, Mode); 3] = [("pull", |m| m), ("push", Migration::push), ("relay", Migration::relay)];

#[test]
fn a_move_to_a_server_that_dies_keeps_the_source() {
    on_servers(async || {
        for family in FAMILIES {
            a_move_keeps_the_source(family, family.1).await;
        }
    });
}

#[test]
fn a_move_from_a_server_that_dies_keeps_the_source() {
    on_servers(async || {
        for family in FAMILIES {
            a_move_keeps_the_source(family, family.0).await;
        }
    });
}

async fn a_move_keeps_the_source((slot, other): (Slot, Slot), victim: Slot) {
    let Some(servers) = Servers::start(&[slot, other]) else { return };
    let slow = slow_pool(&servers.client(slot, WIRES[0])).await;
    for wire in WIRES {
        let (here, there) = (servers.client(slot, wire), servers.client(other, wire));
        let target = there.storage_pool("dir0");
        for (mode, choose) in MODES {
            let which = format!("{victim} dies, {slot} to {other} by {mode} over {wire}");
            let noise = noise(4 << 20);
            let volume = servers.volume_with(slot, &here.storage_pool(slow.name()), &noise).await;
            let moving = tokio::spawn(choose(volume.move_to_server(&target)).into_future());
            let copy = target.volume(VolumeType::Custom, "data");
            until_begun(&copy).await;
            servers.kill(victim);
            // While somebody still waits: without a daemon, that goes on for a minute.
            servers.start_again(victim);
            let ended = tokio::time::timeout(Duration::from_secs(100), moving).await.unwrap().unwrap();
            let error = ended.unwrap_err();
            assert!(
                matches!(error.kind(), ErrorKind::OperationFailed | ErrorKind::Interrupted),
                "{which}: {error:?}"
            );
            let told = error.to_string().contains("volume \"data\" in pool \"dir0\" of the target");
            assert!(told || !copy.exists().await.unwrap(), "{which}: {error}");
            assert!(servers.holds(slot, &volume, &noise), "{which}");
            copy.ensure_absent().await.unwrap();
            // Through the same clients.
            let moved = choose(volume.move_to_server(&target)).await;
            let moved = moved.unwrap_or_else(|error| panic!("{which}, and again: {error}"));
            assert!(servers.holds(other, &moved, &noise), "{which}");
            assert!(!volume.exists().await.unwrap(), "{which}");
            moved.handle().delete().await.unwrap();
        }
    }
}
