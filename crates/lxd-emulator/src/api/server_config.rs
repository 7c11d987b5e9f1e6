//! Changing what `/1.0` shows as the server's config.

use crate::{
    call::Call,
    config::{Config, cleaned, merged},
    core::Core,
    envelope::Reply,
    etag,
    failure::Failure,
};

/// Beginnings of the keys that servers know.
const KNOWN: [&str; 14] = [
    "acme.",
    "backups.",
    "candid.",
    "cluster.",
    "core.",
    "images.",
    "instances.",
    "loki.",
    "maas.",
    "network.",
    "oidc.",
    "openfga.",
    "storage.",
    "user.",
];

/// `PUT` and `PATCH /1.0`.
pub(crate) async fn update(call: Call) -> Result<Reply, Failure> {
    let core = &call.core;
    let old = core.store.read(|database| {
        call.target(database)?;
        etag::check(&call.headers, &super::server::shown_config(&database.config))?;
        Ok::<Config, Failure>(database.config.clone())
    })?;
    let fields = call.fields("ServerPut").await?;
    let sent = fields.config("config")?.unwrap_or_default();
    for (key, value) in &sent {
        check(core, key, value)?;
    }
    let config = if call.method == http::Method::PATCH { merged(&old, &sent) } else { cleaned(&sent) };
    core.store.change(|database| {
        database.config = config;
        Ok::<(), Failure>(())
    })?;
    core.happened("default", "config-updated", "/1.0".to_owned(), None, call.requestor());
    Ok(Reply::done())
}

fn check(core: &Core, key: &str, value: &str) -> Result<(), Failure> {
    let gone = key == "core.trust_password" && !core.behaviour.trust_password;
    if !gone && KNOWN.iter().any(|start| key.starts_with(start)) {
        return Ok(());
    }
    Err(Failure::bad_request(format!("cannot set '{key}' to '{value}': unknown key")))
}
