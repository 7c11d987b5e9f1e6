//! A server of the lab, of which nobody needs to know whether it is real.

use std::path::{Path, PathBuf};

use crate::{daemon::Daemon, emulated::Emulated, slot::Slot};

/// A daemon or an emulator.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub enum Server<'a> {
    /// A process of its own.
    Daemon(&'a Daemon),
    /// In this process.
    Emulated(&'a Emulated),
}

impl<'a> Server<'a> {
    /// Which place in the lab it has.
    #[must_use]
    pub fn slot(self) -> Slot {
        match self {
            Self::Daemon(daemon) => daemon.slot(),
            Self::Emulated(emulated) => emulated.slot,
        }
    }

    /// A folder in which it may make things, such as pools.
    #[must_use]
    pub fn dir(self) -> &'a Path {
        match self {
            Self::Daemon(daemon) => daemon.dir(),
            Self::Emulated(emulated) => &emulated.dir,
        }
    }

    /// The folder in which it keeps everything.
    #[must_use]
    pub fn state(self) -> PathBuf {
        match self {
            Self::Daemon(daemon) => daemon.dir().to_owned(),
            Self::Emulated(emulated) => emulated.emulator().folder(),
        }
    }

    /// Its Unix socket.
    #[must_use]
    pub fn socket(self) -> PathBuf {
        self.dir().join("unix.socket")
    }

    /// Where it listens for HTTPS.
    #[must_use]
    pub fn https_url(self) -> &'a str {
        match self {
            Self::Daemon(daemon) => daemon.https_url(),
            Self::Emulated(emulated) => emulated.https_url(),
        }
    }

    /// Its certificate, as PEM.
    #[must_use]
    pub fn certificate_pem(self) -> &'a str {
        match self {
            Self::Daemon(daemon) => daemon.certificate_pem(),
            Self::Emulated(emulated) => emulated.emulator().certificate_pem(),
        }
    }

    /// A client certificate that it trusts, and the key, as PEM.
    #[must_use]
    pub fn client_identity(self) -> (&'a str, &'a str) {
        match self {
            Self::Daemon(daemon) => daemon.client_identity(),
            Self::Emulated(emulated) => (&emulated.identity.0, &emulated.identity.1),
        }
    }

    /// The storage pools that are ready: one for each driver that works on this machine.
    #[must_use]
    pub fn pools(self) -> &'a [String] {
        match self {
            Self::Daemon(daemon) => daemon.pools(),
            Self::Emulated(emulated) => &emulated.pools,
        }
    }

    /// Where this process sees the content of a custom volume.
    #[must_use]
    pub fn volume_path(self, pool: &str, project: &str, volume: &str) -> PathBuf {
        match self {
            Self::Daemon(daemon) => daemon.volume_path(pool, project, volume),
            Self::Emulated(emulated) => emulated.emulator().content(pool, project, volume),
        }
    }

    /// The emulator, which has a way in without a socket.
    #[must_use]
    pub fn emulator(self) -> Option<&'a lxd_emulator::Emulator> {
        match self {
            Self::Daemon(_) => None,
            Self::Emulated(emulated) => Some(emulated.emulator()),
        }
    }
}
