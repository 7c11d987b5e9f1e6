//! What goes over the wire between a config folder's client and a server, and what doesn't.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    missing_docs,
    reason = "a test fails by panicking"
)]

mod connect;
mod join;
mod server;

use std::{fs, path::PathBuf};

use lxd_remotes::Remotes;
use server::Server;

/// A config folder of one test.
pub(crate) struct Folder(pub(crate) PathBuf);

impl Folder {
    pub(crate) fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("lxd-remotes-wire-{name}-{}", std::process::id()));
        let _ = fs::remove_dir_all(&path);
        Self(path)
    }

    pub(crate) fn open(&self) -> Remotes {
        Remotes::open(&self.0).unwrap()
    }

    /// Writes down a remote that goes to these servers, which have one certificate.
    pub(crate) fn write(&self, name: &str, server: &Server, entry: &str) {
        fs::create_dir_all(self.0.join("servercerts")).unwrap();
        fs::write(self.0.join(format!("servercerts/{name}.crt")), &server.certificate).unwrap();
        fs::write(self.0.join("config.yml"), format!("remotes:\n  {name}: {{{entry}}}\n")).unwrap();
    }

    /// Whether the remote was written down.
    pub(crate) fn has(&self, name: &str) -> bool {
        self.0.join(format!("servercerts/{name}.crt")).exists() || self.open().get(name).is_ok()
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}
