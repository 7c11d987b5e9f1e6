//! The two command line clients and where they keep their config.

use std::{
    ffi::OsString,
    path::{Path, PathBuf},
};

use crate::{Error, ErrorKind};

/// A command line client: whose config it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(clippy::exhaustive_enums, reason = "there are two")]
pub enum Cli {
    /// `lxc`, the client of LXD.
    Lxc,
    /// `incus`.
    Incus,
}

/// What the environment says about a command line client's config.
#[derive(Debug, PartialEq)]
pub(crate) struct Places {
    pub(crate) folder: PathBuf,
    /// The folder of the remotes that all users of the machine share.
    pub(crate) shared: PathBuf,
    /// The remote that counts as the default whatever the file says.
    pub(crate) default_remote: Option<String>,
}

impl Cli {
    /// Where the command line client looks, by these variables and by what exists.
    pub(crate) fn places(
        self,
        variable: impl Fn(&str) -> Option<OsString>,
        exists: impl Fn(&Path) -> bool,
    ) -> Result<Places, Error> {
        let variable = |name: &str| variable(name).filter(|value| !value.is_empty());
        let (own, global, remote) = match self {
            Self::Lxc => ("LXD_CONF", "LXD_GLOBAL_CONF", "LXC_REMOTE"),
            Self::Incus => ("INCUS_CONF", "INCUS_GLOBAL_CONF", "INCUS_REMOTE"),
        };
        let folder = match (variable(own), variable("HOME")) {
            (Some(folder), _) => PathBuf::from(folder),
            (None, Some(home)) => self.default_folder(&PathBuf::from(home), exists),
            (None, None) => {
                let message = format!("neither {own} nor HOME is set; set one, or open a folder by its path");
                return Err(Error::new(ErrorKind::NoFolder, message));
            }
        };
        let shared = variable(global).unwrap_or_else(|| match self {
            Self::Lxc => "/etc/lxd".into(),
            Self::Incus => "/etc/incus".into(),
        });
        let default_remote = variable(remote).and_then(|name| name.into_string().ok());
        Ok(Places { folder, shared: PathBuf::from(shared), default_remote })
    }

    fn default_folder(self, home: &Path, exists: impl Fn(&Path) -> bool) -> PathBuf {
        let snap = home.join("snap/lxd/common/config");
        match self {
            Self::Lxc if exists(&snap) => snap,
            // Neither client follows XDG_CONFIG_HOME.
            Self::Lxc => home.join(".config/lxc"),
            Self::Incus => home.join(".config/incus"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn folder(cli: Cli, variables: &[(&str, &str)], exists: bool) -> Result<String, ErrorKind> {
        let lookup = |name: &str| {
            variables.iter().find(|(set, _)| *set == name).map(|(_, value)| OsString::from(value))
        };
        let places = cli.places(lookup, |_| exists).map_err(|error| error.kind())?;
        Ok(places.folder.display().to_string())
    }

    #[test]
    fn the_folder_is_found_as_the_command_line_clients_find_it() {
        let home = ("HOME", "/h");
        assert_eq!(folder(Cli::Lxc, &[home], false).unwrap(), "/h/.config/lxc");
        assert_eq!(folder(Cli::Lxc, &[home], true).unwrap(), "/h/snap/lxd/common/config");
        assert_eq!(folder(Cli::Lxc, &[home, ("LXD_CONF", "/l")], true).unwrap(), "/l");
        assert_eq!(folder(Cli::Incus, &[home, ("LXD_CONF", "/l")], true).unwrap(), "/h/.config/incus");
        assert_eq!(folder(Cli::Incus, &[home, ("XDG_CONFIG_HOME", "/x")], true).unwrap(), "/h/.config/incus");
        assert_eq!(folder(Cli::Incus, &[("INCUS_CONF", "/i")], true).unwrap(), "/i");
        assert_eq!(folder(Cli::Incus, &[("INCUS_CONF", "")], true), Err(ErrorKind::NoFolder));
    }

    #[test]
    fn the_shared_folder_and_the_default_remote_can_be_set() {
        let lookup = |name: &str| match name {
            "HOME" => Some("/h".into()),
            "LXC_REMOTE" => Some("prod".into()),
            "LXD_GLOBAL_CONF" => Some("/g".into()),
            _ => None,
        };
        let places = Cli::Lxc.places(lookup, |_| false).unwrap();
        assert_eq!((places.shared, places.default_remote), ("/g".into(), Some("prod".to_owned())));
        let places = Cli::Incus.places(lookup, |_| false).unwrap();
        assert_eq!((places.shared, places.default_remote), ("/etc/incus".into(), None));
    }
}
