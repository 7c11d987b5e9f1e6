//! The calls about the members of a cluster.

use lxd_storage::types::StoragePoolsPost;

use crate::{
    calls::calls,
    fixture::{DEADLINE, pool, volume},
};

calls![
    CLUSTER_CALLS:
    "cluster.members": |client| async move { client.cluster().members().await },
    "cluster.member": |client| async move { client.cluster().member("b").await },
    "cluster.member_state": |client| async move { client.cluster().member_state("b").await },
    "pools.create_on_members": |client| async move {
        client.storage_pools().create_on_members(StoragePoolsPost::new("n", "dir")).await
    },
    "pools.ensure on members": |client| async move {
        client.storage_pools().ensure(StoragePoolsPost::new("n", "dir")).await
    },
    "pool.per_member of two": |client| async move { pool(&client).per_member().await },
    "volume.locate": |client| async move { volume(&client).locate().await },
    "volume.of a member": |client| async move { volume(&client).with_target("a").get().await },
    "volume.copy_to_member": |client| async move {
        volume(&client).copy_to_member("b").relay().with_deadline(DEADLINE).await
    },
    "volume.move_to_member": |client| async move {
        volume(&client).move_to_member("b").relay().with_deadline(DEADLINE).await
    },
];
