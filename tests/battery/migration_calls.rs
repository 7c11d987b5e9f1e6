//! Copies and moves to another server, which is well. What is between them is the client, which meets the faults.

use crate::{
    calls::calls,
    fixture::{DEADLINE, Elsewhere, volume},
};

calls![
    MIGRATION_CALLS:
    "volume.copy_to_server": |client| async move {
        let there = Elsewhere::new().await;
        volume(&client).copy_to_server(&there.pool()).relay().with_deadline(DEADLINE).await
    },
    "volume.move_to_server": |client| async move {
        let there = Elsewhere::new().await;
        volume(&client).move_to_server(&there.pool()).relay().with_deadline(DEADLINE).await
    },
];

calls![
    SNAPSHOT_CALLS:
    "snapshot.copy_to_server": |client| async move {
        let there = Elsewhere::new().await;
        let snapshot = volume(&client).snapshot("s");
        snapshot.copy_to_server(&there.pool()).with_name("n").relay().with_deadline(DEADLINE).await
    },
];
