//! MinIO, which Incus before 7.0 runs for each of its buckets.

use std::{
    fs,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
};

use crate::slot::{Slot, in_path};

/// Why a server of this slot can't have buckets, as a sentence; `None` if it can.
#[must_use]
pub fn why_no_buckets(slot: Slot) -> Option<String> {
    // Incus 7 serves its buckets itself, and so does what is no Incus at all.
    if slot == Slot::Incus7 || slot.personality().is_some() {
        return None;
    }
    let missing = ["minio", "mc"].into_iter().find(|program| in_path(program).is_none())?;
    Some(format!("{slot}: {missing} is not installed (MinIO and its client)"))
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
