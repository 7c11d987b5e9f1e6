//! `/1.0`: what the server is and what it can do.

use std::collections::BTreeMap;

use serde::Serialize;
use serde_json::{Map, Value, json};

use crate::{
    call::{Call, Caller},
    config::Config,
    core::Core,
    envelope::Reply,
    failure::Failure,
    state::Database,
};

#[derive(Serialize)]
struct View<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    config: Option<Map<String, Value>>,
    api_extensions: &'a [String],
    api_status: &'static str,
    api_version: &'static str,
    auth: &'static str,
    public: bool,
    auth_methods: &'static [&'static str],
    #[serde(skip_serializing_if = "Option::is_none")]
    auth_user_name: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    auth_user_method: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    client_certificate: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    environment: Option<Environment>,
}

#[derive(Serialize)]
struct Environment {
    addresses: Vec<String>,
    architectures: [&'static str; 2],
    certificate: String,
    certificate_fingerprint: String,
    driver: &'static str,
    driver_version: &'static str,
    firewall: &'static str,
    kernel: &'static str,
    kernel_architecture: &'static str,
    kernel_features: BTreeMap<&'static str, &'static str>,
    kernel_version: &'static str,
    lxc_features: BTreeMap<&'static str, &'static str>,
    os_name: &'static str,
    os_version: &'static str,
    project: String,
    server: &'static str,
    server_clustered: bool,
    server_event_mode: &'static str,
    server_name: String,
    server_pid: u32,
    server_version: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    server_lts: Option<bool>,
    storage: String,
    storage_version: String,
    storage_supported_drivers: Vec<Driver>,
    #[serde(skip_serializing_if = "Option::is_none")]
    backup_metadata_version_range: Option<[u32; 2]>,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Driver {
    name: String,
    version: &'static str,
    remote: bool,
}

/// `GET /1.0`.
pub(crate) fn get(call: &Call) -> Result<Reply, Failure> {
    let core = &call.core;
    let trusted = call.is_trusted();
    core.store.read(|database| {
        call.target(database)?;
        let requestor = call.requestor();
        let auth_user = trusted && core.has("auth_user");
        let shown = !matches!(&call.caller, Caller::Local | Caller::Remote { certificate: None, .. });
        let view = View {
            config: match trusted {
                true => Some(shown_config(&database.config)),
                false => core.behaviour.incus.then(Map::new),
            },
            api_extensions: core.extensions.list(),
            api_status: "stable",
            api_version: "1.0",
            auth: if trusted { "trusted" } else { "untrusted" },
            public: false,
            auth_methods: &["tls"],
            auth_user_name: auth_user.then(|| requestor.username.clone()),
            auth_user_method: auth_user.then(|| requestor.protocol.clone()),
            client_certificate: core.has("client_cert_presence").then_some(shown),
            environment: trusted.then(|| environment(core, database, call.project())),
        };
        if trusted { Reply::with_etag(&view, &shown_config(&database.config)) } else { Reply::of(&view) }
    })
}

/// Secrets are only said to be there.
pub(crate) fn shown_config(config: &Config) -> Map<String, Value> {
    let shown = config.iter().map(|(key, value)| {
        let secret = key == "core.trust_password";
        (key.clone(), if secret { json!(true) } else { json!(value) })
    });
    shown.collect()
}

fn environment(core: &Core, database: &Database, project: &str) -> Environment {
    let used: Vec<&str> = core
        .drivers
        .iter()
        .map(String::as_str)
        .filter(|driver| database.pools.values().any(|pool| pool.driver == *driver))
        .collect();
    let versions: Vec<&str> = used.iter().map(|driver| version(driver)).collect();
    let drivers = core.drivers.iter().map(|name| Driver {
        name: name.clone(),
        version: version(name),
        remote: crate::scope::is_remote(name),
    });
    Environment {
        addresses: database.config.get("core.https_address").cloned().into_iter().collect(),
        architectures: ["x86_64", "i686"],
        certificate: core.certificate_pem().to_owned(),
        certificate_fingerprint: core.certificate_fingerprint(),
        driver: "lxc",
        driver_version: "5.0.2",
        firewall: "nftables",
        kernel: "Linux",
        kernel_architecture: "x86_64",
        kernel_features: BTreeMap::from([("idmapped_mounts", "true")]),
        kernel_version: "6.1.0",
        lxc_features: BTreeMap::from([("idmapped_mounts_v2", "true")]),
        os_name: "Debian GNU/Linux",
        os_version: "12",
        project: project.to_owned(),
        server: if core.behaviour.incus { "incus" } else { "lxd" },
        server_clustered: !database.members.is_empty(),
        server_event_mode: "full-mesh",
        server_name: database.members.first().cloned().unwrap_or_else(|| "emulator".to_owned()),
        server_pid: std::process::id(),
        server_version: core.behaviour.server_version,
        server_lts: core.has("server_version_lts").then_some(false),
        storage: used.join(" | "),
        storage_version: versions.join(" | "),
        storage_supported_drivers: drivers.collect(),
        backup_metadata_version_range: core.has("backup_metadata_version").then_some([1, 2]),
    }
}

fn version(driver: &str) -> &'static str {
    match driver {
        "btrfs" => "6.2",
        "zfs" => "2.1.11-1",
        "lvm" | "lvmcluster" => "2.03.16(2) (2022-05-18) / 1.02.185 (2022-05-18) / 4.48.0",
        "ceph" | "cephfs" | "cephobject" => "16.2.15",
        _ => "1",
    }
}
