//! What is written down of a lab that outlives the process that started it.

use std::{
    fs,
    path::{Path, PathBuf},
};

use serde_json::{Value, json};

use crate::{
    daemon::{Daemon, start_time},
    slot::Slot,
};

/// Where `cargo xtask servers up` writes down what it started.
#[must_use]
pub fn state_file() -> PathBuf {
    let target = std::env::var_os("CARGO_TARGET_DIR").map(PathBuf::from);
    let target = target.unwrap_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("../target"));
    target.join("servers.json")
}

pub(crate) fn write(file: &Path, folder: &Path, daemons: &[Daemon]) -> Result<(), String> {
    let daemons: Vec<Value> = daemons
        .iter()
        .map(|daemon| {
            json!({
                "slot": daemon.slot.name(),
                "dir": daemon.dir,
                "pid": daemon.pid,
                "started": daemon.started,
                "https_url": daemon.https_url,
                "certificate": daemon.certificate,
                "client_certificate": daemon.identity.0,
                "client_key": daemon.identity.1,
                "pools": daemon.pools,
            })
        })
        .collect();
    let text = json!({"folder": folder, "daemons": daemons}).to_string();
    if let Some(parent) = file.parent() {
        fs::create_dir_all(parent).map_err(|error| error.to_string())?;
    }
    fs::write(file, text).map_err(|error| format!("cannot write {}: {error}", file.display()))
}

/// The folder and the daemons that still run; `None` where nothing is written down or nothing runs.
pub(crate) fn read(file: &Path) -> Option<(PathBuf, Vec<Daemon>)> {
    let record: Value = serde_json::from_str(&fs::read_to_string(file).ok()?).ok()?;
    let folder = PathBuf::from(record["folder"].as_str()?);
    let daemons = record["daemons"].as_array()?.iter().filter_map(daemon).collect();
    Some((folder, daemons))
}

fn daemon(record: &Value) -> Option<Daemon> {
    let text = |key: &str| record[key].as_str().map(str::to_owned);
    let slot = Slot::ALL.into_iter().find(|slot| record["slot"] == slot.name())?;
    let pid = u32::try_from(record["pid"].as_u64()?).ok()?;
    let started = text("started")?;
    if start_time(pid).as_deref() != Some(&*started) {
        return None;
    }
    Some(Daemon {
        slot,
        dir: PathBuf::from(text("dir")?),
        pid,
        started,
        https_url: text("https_url")?,
        certificate: text("certificate")?,
        identity: (text("client_certificate")?, text("client_key")?),
        child: std::sync::Mutex::new(None),
        pools: record["pools"]
            .as_array()?
            .iter()
            .filter_map(|pool| pool.as_str().map(str::to_owned))
            .collect(),
    })
}
