//! `/1.0/cluster`: whether there is one, and who is in it.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::{
    api::pools::{Resources, space_of},
    call::Call,
    config::Config,
    core::Core,
    envelope::Reply,
    failure::Failure,
    keys,
    state::Database,
};

#[derive(Serialize)]
struct Cluster {
    server_name: String,
    enabled: bool,
    member_config: Vec<MemberKey>,
}

#[derive(Serialize)]
struct MemberKey {
    entity: &'static str,
    name: String,
    key: &'static str,
    value: &'static str,
    description: String,
}

/// `GET /1.0/cluster`.
pub(crate) fn get(call: &Call) -> Result<Reply, Failure> {
    call.core.store.read(|database| {
        let mut member_config = Vec::new();
        for (name, pool) in &database.pools {
            for key in ["size", "source"] {
                if key == "size" && !keys::has_size(&pool.driver) {
                    continue;
                }
                member_config.push(MemberKey {
                    entity: "storage-pool",
                    name: name.clone(),
                    key,
                    value: "",
                    description: format!("{key:?} property for storage pool {name:?}"),
                });
            }
        }
        let cluster = Cluster {
            server_name: database.members.first().cloned().unwrap_or_default(),
            enabled: !database.members.is_empty(),
            member_config,
        };
        Reply::with_etag(&cluster, &cluster)
    })
}

#[derive(Serialize)]
struct Member {
    roles: Vec<&'static str>,
    failure_domain: &'static str,
    description: &'static str,
    config: Config,
    groups: [&'static str; 1],
    server_name: String,
    url: String,
    database: bool,
    status: &'static str,
    message: &'static str,
    architecture: &'static str,
}

impl Member {
    fn of(core: &Core, database: &Database, index: usize, name: &str) -> Self {
        let leader = if index == 0 { Some("database-leader") } else { None };
        Self {
            roles: leader.into_iter().chain(["database"]).collect(),
            failure_domain: "default",
            description: "",
            config: Config::new(),
            groups: ["default"],
            server_name: name.to_owned(),
            url: format!("https://{}", core.address(database, index)),
            database: true,
            status: "Online",
            message: "Fully operational",
            architecture: "x86_64",
        }
    }
}

fn clustered(database: &Database) -> Result<&[String], Failure> {
    if database.members.is_empty() {
        return Err(Failure::internal("Server is not clustered"));
    }
    Ok(&database.members)
}

/// `GET /1.0/cluster/members`.
pub(crate) fn members(call: &Call) -> Result<Reply, Failure> {
    call.core.store.read(|database| {
        let members = clustered(database)?;
        if call.query.recursion() == 0 {
            let urls: Vec<String> =
                members.iter().map(|name| format!("/1.0/cluster/members/{name}")).collect();
            return Reply::of(&urls);
        }
        let views = members.iter().enumerate();
        let views: Vec<Member> =
            views.map(|(index, name)| Member::of(&call.core, database, index, name)).collect();
        Reply::of(&views)
    })
}

fn find(database: &Database, name: &str) -> Result<usize, Failure> {
    let index = clustered(database)?.iter().position(|member| member == name);
    index.ok_or_else(|| Failure::not_found("Cluster member not found"))
}

#[derive(Serialize)]
struct Recipe<'a> {
    roles: &'a [&'static str],
    failure_domain: &'a str,
    description: &'a str,
    config: &'a Config,
    groups: &'a [&'static str],
}

/// `GET /1.0/cluster/members/MEMBER`.
pub(crate) fn member(call: &Call, name: &str) -> Result<Reply, Failure> {
    call.core.store.read(|database| {
        let index = find(database, name)?;
        let member = Member::of(&call.core, database, index, name);
        // The leader's role is not a part of what can be edited.
        let recipe = Recipe {
            roles: &["database"],
            failure_domain: member.failure_domain,
            description: member.description,
            config: &member.config,
            groups: &member.groups,
        };
        Reply::with_etag(&member, &recipe)
    })
}

/// `GET /1.0/cluster/members/MEMBER/state`.
pub(crate) fn state(call: &Call, name: &str) -> Result<Reply, Failure> {
    let core = &call.core;
    let pools: Vec<String> = core.store.read(|database| {
        if !database.members.iter().any(|member| member == name) {
            return Err(Failure::not_found("Cluster member not found"));
        }
        Ok::<_, Failure>(database.pools.keys().cloned().collect())
    })?;
    let pools = pools.into_iter().map(|pool| space_of(core, &pool, name).map(|space| (pool, space)));
    let pools: Result<BTreeMap<String, Resources>, Failure> = pools.collect();
    Reply::of(&serde_json::json!({
        "sysinfo": {
            "uptime": 1, "load_averages": [0.0, 0.0, 0.0], "total_ram": 1_u64 << 33, "free_ram": 1_u64 << 32,
            "shared_ram": 0, "buffered_ram": 0, "total_swap": 0, "free_swap": 0, "processes": 1, "logical_cpus": 1,
        },
        "storage_pools": pools?,
    }))
}
