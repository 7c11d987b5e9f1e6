//! All remotes of a config folder.

use std::{env, path::Path};

use crate::{
    Cli, Connect, Error, ErrorKind, Remote,
    config::{Config, document, parse},
    edit::Edit,
    environment::Environment,
    folder::{Folder, Readers, link, read, remove, replace},
    plan::Plan,
    remote::{Origin, problem_with_name},
};

const LOCAL: &str = "local";

/// The remotes of a config folder, as they were when it was read.
///
/// Changes go to the file as it is then, so that others may change it meanwhile: it is read again, edited where need be
/// and replaced as a whole. Keys that this crate doesn't know stay, and so do comments unless the file is written in an
/// uncommon way. Files are small, so reading and writing them blocks.
///
/// ```no_run
/// # fn example() -> Result<(), lxd_remotes::Error> {
/// use lxd_remotes::{Cli, Remotes};
///
/// let remotes = Remotes::load(Cli::Lxc)?;
/// for remote in remotes.iter().filter(|remote| remote.has_storage()) {
///     println!("{} {:?}", remote.name(), remote.addresses());
/// }
/// # Ok(()) }
/// ```
#[derive(Clone, Debug)]
pub struct Remotes {
    folder: Folder,
    /// The folder of the remotes that all users share.
    shared: Option<Folder>,
    pub(crate) cli: Option<Cli>,
    /// Which remote the environment says is the default.
    chosen: Option<String>,
    /// What else it says, if the caller wants to go by it.
    pub(crate) environment: Environment,
    config: Config,
}

impl Remotes {
    /// Reads the config of `lxc` or `incus` where that command looks for it: `LXD_CONF` or `INCUS_CONF`, or else a folder
    /// below the home folder. Adds the remotes that all users of the machine share. No file at all is fine. Other variables
    /// are read by [`with_environment`](Self::with_environment) only.
    ///
    /// # Errors
    /// [`NoFolder`](ErrorKind::NoFolder) without a home folder; [`File`](ErrorKind::File),
    /// [`Malformed`](ErrorKind::Malformed).
    pub fn load(cli: Cli) -> Result<Self, Error> {
        let places = cli.places(|name| env::var_os(name), Path::exists)?;
        let mut remotes = Self {
            folder: Folder::new(places.folder),
            shared: Some(Folder::new(places.shared)),
            cli: Some(cli),
            chosen: places.default_remote,
            environment: Environment::default(),
            config: Config::default(),
        };
        remotes.refresh()?;
        Ok(remotes)
    }

    /// Reads a config folder, and nothing else: no environment, no shared remotes. It need not exist yet.
    ///
    /// # Errors
    /// [`File`](ErrorKind::File), [`Malformed`](ErrorKind::Malformed).
    pub fn open(folder: impl AsRef<Path>) -> Result<Self, Error> {
        let folder = Folder::new(folder.as_ref());
        let mut remotes = Self {
            folder,
            shared: None,
            cli: None,
            chosen: None,
            environment: Environment::default(),
            config: Config::default(),
        };
        remotes.refresh()?;
        Ok(remotes)
    }

    /// Reads the files anew.
    ///
    /// # Errors
    /// [`File`](ErrorKind::File), [`Malformed`](ErrorKind::Malformed); then the remotes are as they were.
    pub fn refresh(&mut self) -> Result<(), Error> {
        let mut config = read_config(&self.folder, Origin::Own)?;
        if let Some(shared) = &self.shared {
            for (name, remote) in read_config(shared, Origin::Shared)?.remotes {
                config.remotes.entry(name).or_insert(remote);
            }
        }
        let local = config.remotes.entry(LOCAL.to_owned()).or_insert_with(Remote::local);
        local.fixed = true;
        self.config = config;
        Ok(())
    }

    /// The config folder.
    #[must_use]
    pub fn path(&self) -> &Path {
        self.folder.path()
    }

    /// The names of the remotes, in order.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.config.remotes.keys().map(String::as_str)
    }

    /// The remotes, by their names.
    pub fn iter(&self) -> impl Iterator<Item = &Remote> {
        self.config.remotes.values()
    }

    /// One remote.
    ///
    /// # Errors
    /// [`NotFound`](ErrorKind::NotFound), with the names that there are.
    pub fn get(&self, name: &str) -> Result<&Remote, Error> {
        self.config.remotes.get(name).ok_or_else(|| {
            let names: Vec<&str> = self.names().collect();
            let message = format!("{name:?}; there are {}", names.join(", "));
            Error::new(ErrorKind::NotFound, message).at(&self.folder.config(), None)
        })
    }

    /// The name of the remote that is meant where none is named: what `LXC_REMOTE` or `INCUS_REMOTE` says, where the
    /// environment was read, or else the file, or else `local`.
    #[must_use]
    pub fn default_remote(&self) -> &str {
        self.chosen.as_deref().or(self.config.default_remote.as_deref()).unwrap_or(LOCAL)
    }

    /// A client of a remote, once awaited: over its socket, or over TLS with the folder's client certificate and the
    /// certificate that is pinned for it, in its project.
    ///
    /// # Errors
    /// See [`Connect`].
    pub fn client(&self, name: &str) -> Connect {
        let plan = self.get(name).map(|remote| Plan {
            remote: remote.clone(),
            folder: self.folder.clone(),
            shared: self.shared.clone(),
            cli: self.cli,
            environment: self.environment.clone(),
        });
        Connect::new(plan)
    }

    /// Makes a remote the default one.
    ///
    /// # Errors
    /// [`NotFound`](ErrorKind::NotFound), [`File`](ErrorKind::File), [`Malformed`](ErrorKind::Malformed).
    pub fn set_default(&mut self, name: &str) -> Result<(), Error> {
        let _turn = self.folder.turn();
        self.refresh()?;
        self.get(name)?;
        self.write(&Edit::Default(name))
    }

    /// Removes a remote with its certificates. The server isn't told, and goes on trusting the client.
    ///
    /// # Errors
    /// [`NotFound`](ErrorKind::NotFound); [`InvalidInput`](ErrorKind::InvalidInput) for the default remote and for those
    /// that can't be changed; [`File`](ErrorKind::File), [`Malformed`](ErrorKind::Malformed).
    pub fn remove(&mut self, name: &str) -> Result<(), Error> {
        let _turn = self.folder.turn();
        self.refresh()?;
        self.check_changeable(name)?;
        if self.config.default_remote.as_deref() == Some(name) {
            return Err(Error::invalid(format!(
                "{name:?} is the default remote; make another one that first"
            )));
        }
        self.write(&Edit::Remove(name))?;
        self.folder.files_of_remote(name)?.iter().try_for_each(|file| remove(file))
    }

    /// Gives a remote another name. If it is the default remote, it stays that.
    ///
    /// # Errors
    /// [`NotFound`](ErrorKind::NotFound), [`AlreadyExists`](ErrorKind::AlreadyExists);
    /// [`InvalidInput`](ErrorKind::InvalidInput) for a name that is none and for remotes that can't be changed;
    /// [`File`](ErrorKind::File), [`Malformed`](ErrorKind::Malformed).
    pub fn rename(&mut self, from: &str, to: &str) -> Result<(), Error> {
        let _turn = self.folder.turn();
        self.refresh()?;
        self.check_changeable(from)?;
        self.check_new(to)?;
        // At no moment there is a remote without its certificate.
        let (old, new) = (self.folder.files_of_remote(from)?, self.folder.files_of_remote(to)?);
        old.iter().zip(&new).try_for_each(|(old, new)| link(old, new))?;
        self.write(&Edit::Rename(from, to))?;
        old.iter().try_for_each(|file| remove(file))
    }

    pub(crate) fn folder(&self) -> &Folder {
        &self.folder
    }

    /// Whether a remote can get this name.
    pub(crate) fn check_new(&self, name: &str) -> Result<(), Error> {
        if let Some(problem) = problem_with_name(name) {
            return Err(Error::invalid(format!(
                "{name:?} is no name for a remote: {problem}; choose another"
            )));
        }
        match self.config.remotes.get(name) {
            None => Ok(()),
            Some(_) => {
                let message = format!("{name:?}; choose another name, or remove that one first");
                Err(Error::new(ErrorKind::AlreadyExists, message).at(&self.folder.config(), None))
            }
        }
    }

    fn check_changeable(&self, name: &str) -> Result<(), Error> {
        let remote = self.get(name)?;
        if !remote.is_static() {
            return Ok(());
        }
        let why = match (&self.shared, remote.origin) {
            (Some(shared), Origin::Shared) => {
                format!("all users share it; see {}", shared.config().display())
            }
            _ => "it is a fixed one".to_owned(),
        };
        Err(Error::invalid(format!("remote {name:?} cannot be changed: {why}")))
    }

    /// Changes the file as it is now. For use within a turn.
    pub(crate) fn write(&mut self, edit: &Edit<'_>) -> Result<(), Error> {
        let path = self.folder.config();
        let text = read_text(&path)?;
        let edited = edit.apply(&text, &document(&text, &path)?).map_err(|error| {
            Error::new(ErrorKind::Malformed, "it cannot be written anew").at(&path, None).with_source(error)
        })?;
        replace(&path, edited.as_bytes(), Readers::Anybody)?;
        self.refresh()
    }
}

fn read_config(folder: &Folder, origin: Origin) -> Result<Config, Error> {
    let path = folder.config();
    parse(&read_text(&path)?, &path, origin)
}

/// The text of a config file; none is an empty one.
fn read_text(path: &Path) -> Result<String, Error> {
    String::from_utf8(read(path)?.unwrap_or_default()).map_err(|_| {
        let message = "it is no text; correct the file by hand, or move it away to begin with an empty one";
        Error::new(ErrorKind::Malformed, message).at(path, None)
    })
}

#[cfg(test)]
mod tests {
    use std::{fs, path::PathBuf};

    use super::*;
    use crate::folder::tests::Scratch;

    const FILE: &str = "# mine
default-remote: a
remotes:
  a:
    addr: https://a
    novel: 1
  b: # the other one
    addr: https://b
aliases: {l: list}
";

    fn folder(name: &str) -> (Scratch, Remotes) {
        let scratch = Scratch::new(name);
        fs::write(scratch.0.join("config.yml"), FILE).unwrap();
        fs::create_dir(scratch.0.join("servercerts")).unwrap();
        fs::write(scratch.0.join("servercerts/b.crt"), "b's").unwrap();
        let remotes = Remotes::open(&scratch.0).unwrap();
        (scratch, remotes)
    }

    fn text(scratch: &Scratch) -> String {
        fs::read_to_string(scratch.0.join("config.yml")).unwrap()
    }

    #[test]
    fn a_folder_that_is_not_there_has_the_server_of_this_machine() {
        let remotes = Remotes::open("/nowhere/at/all").unwrap();
        assert_eq!((remotes.names().collect::<Vec<_>>(), remotes.default_remote()), (vec!["local"], "local"));
        assert_eq!(remotes.get("local").unwrap().addresses(), ["unix://"]);
    }

    #[test]
    fn a_remote_is_renamed_with_its_certificate() {
        let (scratch, mut remotes) = folder("rename");
        remotes.rename("b", "c").unwrap();
        assert_eq!(text(&scratch), FILE.replace("  b:", "  c:"));
        let certificate = |name: &str| -> PathBuf { scratch.0.join(format!("servercerts/{name}.crt")) };
        assert!(certificate("c").exists() && !certificate("b").exists());
        remotes.rename("a", "z").unwrap();
        assert_eq!(remotes.default_remote(), "z");
        for (from, to, kind) in [
            ("c", "z", ErrorKind::AlreadyExists),
            ("c", "../c", ErrorKind::InvalidInput),
            ("local", "x", ErrorKind::InvalidInput),
            ("b", "x", ErrorKind::NotFound),
        ] {
            assert_eq!(remotes.rename(from, to).unwrap_err().kind(), kind);
        }
    }

    #[test]
    fn a_remote_is_removed_with_its_certificate_unless_it_is_the_default() {
        let (scratch, mut remotes) = folder("remove");
        assert_eq!(remotes.remove("a").unwrap_err().kind(), ErrorKind::InvalidInput);
        assert_eq!(text(&scratch), FILE);
        remotes.remove("b").unwrap();
        assert_eq!(text(&scratch), FILE.replace("  b: # the other one\n    addr: https://b\n", ""));
        assert!(!scratch.0.join("servercerts/b.crt").exists());
        assert_eq!(remotes.remove("b").unwrap_err().kind(), ErrorKind::NotFound);
    }

    #[test]
    fn what_others_wrote_meanwhile_stays() {
        let (scratch, mut remotes) = folder("meanwhile");
        fs::write(
            scratch.0.join("config.yml"),
            FILE.replace("aliases", "  c:\n    addr: https://c\naliases"),
        )
        .unwrap();
        remotes.set_default("c").unwrap();
        assert_eq!(remotes.default_remote(), "c");
        assert!(text(&scratch).contains("novel: 1") && text(&scratch).contains("# mine"));
        assert_eq!(remotes.set_default("d").unwrap_err().kind(), ErrorKind::NotFound);
    }

    #[test]
    fn changes_at_the_same_time_are_all_kept() {
        let (scratch, remotes) = folder("turns");
        let names: Vec<String> = (0..8).map(|number| format!("n{number}")).collect();
        std::thread::scope(|scope| {
            for name in &names {
                let mut remotes = remotes.clone();
                scope.spawn(move || {
                    let _turn = remotes.folder.turn().unwrap();
                    remotes.write(&Edit::Add(name, vec![("addr", "https://n".into())])).unwrap();
                });
            }
        });
        let remotes = Remotes::open(&scratch.0).unwrap();
        assert!(names.iter().all(|name| remotes.get(name).is_ok()), "{}", text(&scratch));
    }

    #[test]
    fn a_broken_file_is_never_written() {
        let (scratch, mut remotes) = folder("broken");
        fs::write(scratch.0.join("config.yml"), "remotes: [").unwrap();
        for error in [remotes.set_default("a").unwrap_err(), remotes.remove("b").unwrap_err()] {
            assert_eq!(
                (error.kind(), error.path()),
                (ErrorKind::Malformed, Some(&*scratch.0.join("config.yml")))
            );
        }
        assert_eq!(text(&scratch), "remotes: [");
        fs::write(scratch.0.join("config.yml"), b"\xff").unwrap();
        assert_eq!(remotes.refresh().unwrap_err().kind(), ErrorKind::Malformed);
    }

    #[test]
    fn shared_remotes_are_seen_and_not_changed() {
        let (scratch, mut remotes) = folder("shared");
        let shared = scratch.0.join("shared");
        fs::create_dir(&shared).unwrap();
        let theirs = "remotes:\n  b: {addr: https://theirs}\n  s: {addr: https://s}\n";
        fs::write(shared.join("config.yml"), theirs).unwrap();
        remotes.shared = Some(Folder::new(shared));
        remotes.refresh().unwrap();
        assert_eq!(remotes.get("b").unwrap().addresses(), ["https://b"]);
        assert!(remotes.get("s").unwrap().is_static());
        let error = remotes.remove("s").unwrap_err();
        assert!(
            error.kind() == ErrorKind::InvalidInput && error.to_string().contains("shared/config.yml"),
            "{error}"
        );
        remotes.set_default("s").unwrap();
        assert!(!text(&scratch).contains("https://s"));
    }
}
