//! MinIO, which Incus runs for each of its buckets.

use std::{
    fs,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
};

use crate::slot::in_path;

/// Why an Incus of this machine can have no buckets; `Ok` if it can.
///
/// # Errors
/// The reason, as a sentence.
pub fn minio() -> Result<(), String> {
    for program in ["minio", "mc"] {
        if in_path(program).is_none() {
            return Err(format!("{program} is not installed (MinIO and its client)"));
        }
    }
    Ok(())
}

/// Puts a `minio` into a folder for `PATH` that ends with the daemon that runs it: by itself it would go on after a
/// daemon that is killed, for ever.
pub(crate) fn tether(lab: &Path) -> Result<(), String> {
    let Some(program) = in_path("minio") else { return Ok(()) };
    let folder = folder(lab);
    let script = format!("#!/bin/sh\nexec setpriv --pdeathsig KILL '{}' \"$@\"\n", program.display());
    let file = folder.join("minio");
    let written = fs::create_dir(&folder)
        .and_then(|()| fs::write(&file, script))
        .and_then(|()| fs::set_permissions(&file, fs::Permissions::from_mode(0o755)));
    written.map_err(|error| format!("cannot write {}: {error}", file.display()))
}

/// The `PATH` for a daemon in a folder of the lab; `None` where the usual one will do.
pub(crate) fn path_for(daemon: &Path) -> Option<std::ffi::OsString> {
    let folder = folder(daemon.parent()?);
    let usual = std::env::var_os("PATH")?;
    let folders = std::iter::once(folder.clone()).chain(std::env::split_paths(&usual));
    folder.exists().then(|| std::env::join_paths(folders.collect::<Vec<PathBuf>>()).ok()).flatten()
}

fn folder(lab: &Path) -> PathBuf {
    lab.join("bin")
}
