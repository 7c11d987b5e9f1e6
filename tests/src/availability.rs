//! Whether private daemons can be had on this machine.

use std::{
    os::unix::fs::MetadataExt,
    process::{Command, Stdio},
};

use crate::slot::{Slot, in_path};

/// Set by whoever wants the tests to do without real servers.
pub const NO_SERVERS_VARIABLE: &str = "LXD_TESTS_NO_SERVERS";

/// Whether real servers may be used at all.
pub(crate) fn wanted() -> bool {
    std::env::var_os(NO_SERVERS_VARIABLE).is_none()
}

/// Why the daemon of a slot can't be started here; `Ok` if it can.
pub(crate) fn check(slot: Slot) -> Result<(), String> {
    if !wanted() {
        return Err(format!("{NO_SERVERS_VARIABLE} is set"));
    }
    for program in ["setpriv", "setsid", "unshare"] {
        if in_path(program).is_none() {
            return Err(format!("{program} is not installed (Debian: util-linux)"));
        }
    }
    let client = slot.client_program();
    if in_path(&client).is_none() {
        return Err(format!("{} is not installed ({})", client.display(), slot.package()));
    }
    if slot.daemon_program().is_none() {
        return Err(format!("its daemon is not installed ({})", slot.package()));
    }
    let is_root = std::fs::metadata("/proc/self").is_ok_and(|own| own.uid() == 0);
    if !is_root {
        return Err("its daemon needs root".to_owned());
    }
    let own_mounts = Command::new("unshare").args(["--mount", "true"]).stderr(Stdio::null()).status();
    match own_mounts {
        Ok(status) if status.success() => Ok(()),
        _ => Err("this machine allows no mount namespaces (unshare --mount)".to_owned()),
    }
}
