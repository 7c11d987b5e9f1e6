//! A cluster, as far as storage has to know it: its members and what they hold.

use std::collections::BTreeMap;

use crate::ResourcesStoragePool;

open_enum! {
    /// How a cluster member stands.
    pub enum MemberStatus {
        /// It answers its fellow members.
        Online = "Online",
        /// It has not been heard of for a while.
        Offline = "Offline",
        /// Its instances were moved away for maintenance.
        Evacuated = "Evacuated",
        /// Its version lags behind, or is ahead of its fellow members'.
        Blocked = "Blocked",
    }
}

object! {
    /// A cluster member (`GET /1.0/cluster/members/<name>`).
    pub struct ClusterMember {
        /// Its name: what `target` takes and `location` tells.
        pub server_name: String = "server_name",
        /// Where it listens for HTTPS.
        pub url: String = "url",
        /// Whether it takes part in the cluster's database.
        pub database: bool = "database",
        /// What else it does for the cluster.
        pub roles: Vec<String> = "roles",
        /// How it stands.
        pub status: MemberStatus = "status",
        /// The same in words.
        pub message: String = "message",
        /// Its machine's architecture.
        pub architecture: String = "architecture",
        /// What may fail together with it.
        pub failure_domain: String = "failure_domain",
        /// Free text.
        pub description: String = "description",
        /// The groups that it belongs to.
        pub groups: Vec<String> = "groups",
    }
}

object! {
    /// What a cluster member has (`GET /1.0/cluster/members/<name>/state`).
    pub struct ClusterMemberState {
        /// How full each of its storage pools is, by name.
        pub storage_pools: BTreeMap<String, ResourcesStoragePool> = "storage_pools",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_member_of_lxd_5_0() {
        let member: ClusterMember = serde_json::from_str(
            r#"{"roles":["database"],"failure_domain":"default","description":"","config":{},"groups":["default"],
                "server_name":"member2","url":"https://127.0.1.2:8443","database":true,"status":"Online",
                "message":"Fully operational","architecture":"x86_64"}"#,
        )
        .unwrap();
        assert_eq!((&*member.server_name, &member.status), ("member2", &MemberStatus::Online));
        assert_eq!(serde_json::to_value(&member).unwrap()["config"], serde_json::json!({}));
    }

    #[test]
    fn state_knows_the_pools() {
        let state: ClusterMemberState = serde_json::from_str(
            r#"{"sysinfo":{"uptime":1},"storage_pools":{"local":{"space":{"used":1,"total":2},"inodes":{"used":0,"total":0}}}}"#,
        )
        .unwrap();
        assert_eq!(state.storage_pools["local"].space.total, 2);
    }
}
