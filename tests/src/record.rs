//! What is written down of a lab that outlives the process that started it.

use std::{
    fs,
    io::Write,
    os::unix::fs::OpenOptionsExt,
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

/// Writes a lab down, for nobody else to read: the client key opens a daemon that runs as root.
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
    // A file that is there already would keep its mode.
    let _ = fs::remove_file(file);
    let created = fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(file);
    created
        .and_then(|mut created| created.write_all(text.as_bytes()))
        .map_err(|error| format!("cannot write {}: {error}", file.display()))
}

/// The daemons that still run and are set up; `None` where there are none.
pub(crate) fn read_ready(file: &Path) -> Option<Vec<Daemon>> {
    let (_, mut daemons) = read(file)?;
    daemons.retain(|daemon| !daemon.https_url.is_empty());
    (!daemons.is_empty()).then_some(daemons)
}

/// The folder and the daemons that still run, set up or not; `None` where nothing is written down.
pub(crate) fn read(file: &Path) -> Option<(PathBuf, Vec<Daemon>)> {
    let record: Value = serde_json::from_str(&fs::read_to_string(file).ok()?).ok()?;
    let folder = PathBuf::from(record["folder"].as_str()?);
    let daemons = record["daemons"].as_array()?.iter().filter_map(daemon).collect();
    Some((folder, daemons))
}

fn daemon(record: &Value) -> Option<Daemon> {
    let text = |key: &str| record[key].as_str().map(str::to_owned);
    let slot = Slot::REAL.into_iter().find(|slot| record["slot"] == slot.name())?;
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

#[cfg(test)]
mod tests {
    use std::{os::unix::fs::PermissionsExt, sync::Mutex};

    use super::*;

    /// This very process, as if it were a daemon.
    fn own(slot: Slot, started: &str, https_url: &str) -> Daemon {
        Daemon {
            slot,
            dir: PathBuf::from("/nowhere/lxd"),
            pid: std::process::id(),
            started: started.to_owned(),
            https_url: https_url.to_owned(),
            certificate: "server".to_owned(),
            identity: ("client".to_owned(), "key".to_owned()),
            pools: vec!["dir0".to_owned()],
            child: Mutex::new(None),
        }
    }

    #[test]
    fn only_what_runs_and_is_set_up_is_ready() {
        let file = std::env::temp_dir().join(format!("lxd-tests-record-{}.json", std::process::id()));
        let started = start_time(std::process::id()).unwrap();
        let daemons = [
            own(Slot::LxdA, &started, "https://127.0.0.1:1"),
            own(Slot::LxdB, &started, ""),
            own(Slot::Incus, "1", "https://127.0.0.3:1"),
        ];
        fs::write(&file, "anybody may read this").unwrap();
        write(&file, Path::new("/nowhere"), &daemons).unwrap();
        let mode = fs::metadata(&file).unwrap().permissions().mode();
        let (folder, running) = read(&file).unwrap();
        let ready = read_ready(&file).unwrap();
        fs::remove_file(&file).unwrap();

        assert_eq!(mode & 0o777, 0o600);
        assert_eq!(folder, Path::new("/nowhere"));
        let slots = |daemons: &[Daemon]| daemons.iter().map(Daemon::slot).collect::<Vec<_>>();
        assert_eq!(slots(&running), [Slot::LxdA, Slot::LxdB], "another start time is another process");
        assert_eq!(slots(&ready), [Slot::LxdA]);
        assert_eq!(ready[0].client_identity(), ("client", "key"));
        assert_eq!(
            (ready[0].https_url(), ready[0].pools()),
            ("https://127.0.0.1:1", &["dir0".to_owned()][..])
        );
    }
}
