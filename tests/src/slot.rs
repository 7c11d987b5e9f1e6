//! The places for servers in a lab.

use std::{
    ffi::OsString,
    fmt,
    path::{Path, PathBuf},
};

/// Names the folder that Incus 7 was put into, where it is not `/opt/incus7`.
const INCUS7_VARIABLE: &str = "LXD_TESTS_INCUS7";

/// Which of the two families of servers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(clippy::exhaustive_enums, reason = "there are two")]
pub enum Family {
    /// Canonical's LXD.
    Lxd,
    /// The Incus fork.
    Incus,
}

/// A place for a server in a lab.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Slot {
    /// The LXD that most tests use.
    LxdA,
    /// A second LXD, to move volumes to.
    LxdB,
    /// An Incus.
    Incus,
    /// A second Incus, to move volumes to.
    IncusB,
    /// An Incus of the next major version, with libraries of its own.
    Incus7,
    /// The first member of an LXD cluster, to which clients talk.
    Member1,
    /// Its second member.
    Member2,
    /// Its third member.
    Member3,
    /// An emulator that is LXD 5.0.
    EmulatedLxd5,
    /// Another one, to move volumes to.
    EmulatedLxd5B,
    /// An emulator that is the newest LXD.
    EmulatedLxdNew,
    /// Another one, to move volumes to.
    EmulatedLxdNewB,
    /// An emulator that is Incus 6.0.
    EmulatedIncus6,
    /// Another one, to move volumes to.
    EmulatedIncus6B,
}

impl Slot {
    /// Those of real servers.
    pub const REAL: [Self; 8] = [
        Self::LxdA,
        Self::LxdB,
        Self::Incus,
        Self::IncusB,
        Self::Incus7,
        Self::Member1,
        Self::Member2,
        Self::Member3,
    ];

    /// Those of emulators, which every machine can have.
    pub const EMULATED: [Self; 6] = [
        Self::EmulatedLxd5,
        Self::EmulatedLxd5B,
        Self::EmulatedLxdNew,
        Self::EmulatedLxdNewB,
        Self::EmulatedIncus6,
        Self::EmulatedIncus6B,
    ];

    /// The members of the cluster, which come together or not at all.
    pub const CLUSTER: [Self; 3] = [Self::Member1, Self::Member2, Self::Member3];

    /// Whether CI must have it. Incus 7 is put together from packages of the next Debian, which may be out of reach;
    /// what needs it is then skipped as loudly as everywhere.
    #[must_use]
    pub fn is_required(self) -> bool {
        self != Self::Incus7
    }

    /// Another server of the same family, to move volumes to.
    #[must_use]
    pub fn other(self) -> Self {
        match self {
            Self::EmulatedLxd5 => Self::EmulatedLxd5B,
            Self::EmulatedLxdNew => Self::EmulatedLxdNewB,
            Self::EmulatedIncus6 => Self::EmulatedIncus6B,
            _ => match self.family() {
                Family::Lxd => Self::LxdB,
                Family::Incus => Self::IncusB,
            },
        }
    }

    /// The family of the server.
    #[must_use]
    pub fn family(self) -> Family {
        match self {
            Self::Incus | Self::IncusB | Self::Incus7 | Self::EmulatedIncus6 | Self::EmulatedIncus6B => {
                Family::Incus
            }
            _ => Family::Lxd,
        }
    }

    /// The name in tables, messages and state files; a member of the cluster has it there too.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::LxdA => "lxd",
            Self::LxdB => "lxd-b",
            Self::Incus => "incus",
            Self::IncusB => "incus-b",
            Self::Incus7 => "incus7",
            Self::Member1 => "member1",
            Self::Member2 => "member2",
            Self::Member3 => "member3",
            Self::EmulatedLxd5 => "emu-lxd5",
            Self::EmulatedLxd5B => "emu-lxd5-b",
            Self::EmulatedLxdNew => "emu-lxd",
            Self::EmulatedLxdNewB => "emu-lxd-b",
            Self::EmulatedIncus6 => "emu-incus6",
            Self::EmulatedIncus6B => "emu-incus6-b",
        }
    }

    /// An address of its own, so that all daemons can use one port number.
    pub(crate) fn address(self) -> &'static str {
        match self {
            Self::LxdA => "127.0.0.1",
            Self::LxdB => "127.0.0.2",
            Self::Incus => "127.0.0.3",
            Self::IncusB => "127.0.0.4",
            Self::Incus7 => "127.0.0.5",
            Self::Member1 => "127.0.1.1",
            Self::Member2 => "127.0.1.2",
            Self::Member3 => "127.0.1.3",
            _ => "127.0.0.1",
        }
    }

    /// The command line client that goes with the daemon.
    #[must_use]
    pub fn client_program(self) -> PathBuf {
        let name = self.family().client_program();
        self.home().map_or_else(|| PathBuf::from(name), |home| home.join("usr/bin").join(name))
    }

    /// The daemon's program, if it is installed.
    pub(crate) fn daemon_program(self) -> Option<PathBuf> {
        let Some(home) = self.home() else { return self.family().daemon_program() };
        Some(home.join("usr/libexec/incus/incusd")).filter(|path| path.exists())
    }

    /// Where the daemon looks for programs, if not where everybody does.
    pub(crate) fn search_path(self) -> Option<OsString> {
        let home = self.home()?;
        let own = ["usr/libexec/incus", "usr/bin", "usr/sbin"].map(|folder| home.join(folder));
        let everybodys = std::env::var_os("PATH").unwrap_or_default();
        std::env::join_paths(own.into_iter().chain(std::env::split_paths(&everybodys))).ok()
    }

    /// What to install, for messages.
    pub(crate) fn package(self) -> &'static str {
        match self {
            Self::Incus7 => ".ci/install-incus7",
            _ => self.family().package(),
        }
    }

    /// The folder with the daemon's programs and libraries, if it is not installed into the system.
    fn home(self) -> Option<PathBuf> {
        let named = || std::env::var_os(INCUS7_VARIABLE).map(PathBuf::from);
        (self == Self::Incus7).then(|| named().unwrap_or_else(|| Path::new("/opt/incus7").to_owned()))
    }
}

impl fmt::Display for Slot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

impl Family {
    fn daemon_program(self) -> Option<PathBuf> {
        match self {
            Self::Lxd => in_path("lxd"),
            Self::Incus => in_path("incusd")
                .or_else(|| Some(PathBuf::from("/usr/libexec/incus/incusd")).filter(|path| path.exists())),
        }
    }

    fn client_program(self) -> &'static str {
        match self {
            Self::Lxd => "lxc",
            Self::Incus => "incus",
        }
    }

    /// The variable that says where the daemon keeps its things.
    pub(crate) fn dir_variable(self) -> &'static str {
        match self {
            Self::Lxd => "LXD_DIR",
            Self::Incus => "INCUS_DIR",
        }
    }

    /// The variable that says where the command line client keeps its things.
    pub(crate) fn conf_variable(self) -> &'static str {
        match self {
            Self::Lxd => "LXD_CONF",
            Self::Incus => "INCUS_CONF",
        }
    }

    fn package(self) -> &'static str {
        match self {
            Self::Lxd => "Debian: lxd and lxd-client",
            Self::Incus => "Debian: incus-base and incus-client",
        }
    }
}

/// A program by its name or its whole path.
pub(crate) fn in_path(program: impl AsRef<Path>) -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path).map(|folder| folder.join(&program)).find(|candidate| candidate.is_file())
}
