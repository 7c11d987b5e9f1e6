//! The files of a config folder: where they are, and how they are written.

use std::{
    fs::{self, File, Metadata, OpenOptions},
    io::{self, Write},
    os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, PermissionsExt, fchown},
    path::{Path, PathBuf},
    sync::atomic::{AtomicUsize, Ordering},
};

use crate::{Error, remote::problem_with_name};

/// A config folder. It need not exist until something is written.
#[derive(Clone, Debug)]
pub(crate) struct Folder(PathBuf);

/// Who may read a file.
#[derive(Clone, Copy, PartialEq)]
pub(crate) enum Readers {
    Owner,
    Anybody,
}

impl Folder {
    pub(crate) fn new(path: impl Into<PathBuf>) -> Self {
        Self(path.into())
    }

    pub(crate) fn path(&self) -> &Path {
        &self.0
    }

    /// Makes the folder if it isn't there, so that there is something to take turns at.
    pub(crate) fn make(&self) -> Result<(), Error> {
        make_folder(&self.0)
    }

    /// Waits until no other program with this crate is changing the folder. The turn ends when it is dropped.
    ///
    /// The command line clients take no turns, and some file systems have none, so that it is no guarantee: what is
    /// written is whole in any case.
    pub(crate) fn turn(&self) -> Option<File> {
        // The folder itself serves as the lock, so that no file of ours is left in it.
        let folder = File::open(&self.0).ok()?;
        folder.lock().ok().map(|()| folder)
    }

    pub(crate) fn config(&self) -> PathBuf {
        self.0.join("config.yml")
    }

    pub(crate) fn file(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }

    /// The pinned certificate of a remote's server.
    pub(crate) fn server_certificate(&self, remote: &str) -> Result<PathBuf, Error> {
        self.of_remote("servercerts", remote, "crt")
    }

    /// A file of a remote. A name that would lead elsewhere is refused, wherever it came from.
    pub(crate) fn of_remote(&self, folder: &str, remote: &str, extension: &str) -> Result<PathBuf, Error> {
        match problem_with_name(remote) {
            Some(problem) => {
                Err(Error::invalid(format!("{remote:?} is no name for a remote: {problem}; choose another")))
            }
            None => Ok(self.0.join(folder).join(format!("{remote}.{extension}"))),
        }
    }

    /// All files that may exist for one remote, beside its entry.
    pub(crate) fn files_of_remote(&self, remote: &str) -> Result<Vec<PathBuf>, Error> {
        const FILES: [(&str, &str); 5] = [
            ("servercerts", "crt"),
            ("clientcerts", "crt"),
            ("clientcerts", "key"),
            ("clientcerts", "ca"),
            ("oidctokens", "json"),
        ];
        FILES.into_iter().map(|(folder, extension)| self.of_remote(folder, remote, extension)).collect()
    }
}

/// The content of a file; `None` if there is none.
pub(crate) fn read(path: &Path) -> Result<Option<Vec<u8>>, Error> {
    match fs::read(path) {
        Ok(content) => Ok(Some(content)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(Error::file(path, "it cannot be read", error)),
    }
}

/// Replaces a file as a whole or not at all. A file that exists keeps its permissions and its owner, and stays where
/// its link leads.
pub(crate) fn replace(path: &Path, content: &[u8], readers: Readers) -> Result<(), Error> {
    let target = fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
    let old = fs::metadata(&target).ok();
    let temporary = write_beside(&target, content, readers, old.as_ref())?;
    fs::rename(&temporary, &target).map_err(|error| {
        let _ = fs::remove_file(&temporary);
        Error::file(&target, "it cannot be replaced", error)
    })
}

/// Writes a file that must not exist yet, as a whole or not at all. Says whether it was so.
pub(crate) fn create(path: &Path, content: &[u8], readers: Readers) -> Result<bool, Error> {
    let temporary = write_beside(path, content, readers, None)?;
    // Unlike a rename, a link never takes the place of what is there.
    let linked = fs::hard_link(&temporary, path);
    let _ = fs::remove_file(&temporary);
    match linked {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(false),
        Err(error) => Err(Error::file(path, "it cannot be created", error)),
    }
}

/// Removes a file if it is there.
pub(crate) fn remove(path: &Path) -> Result<(), Error> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            Err(Error::file(path, "it cannot be removed", error))
        }
        _ => Ok(()),
    }
}

/// Gives a file a second name if it is there. What had that name before is gone.
pub(crate) fn link(from: &Path, to: &Path) -> Result<(), Error> {
    remove(to)?;
    match fs::hard_link(from, to) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            Err(Error::file(to, "it cannot be linked", error))
        }
        _ => Ok(()),
    }
}

/// Writes a temporary file in the same folder, which it makes if need be, and brings it to the disk. It takes after the
/// old file where there is one.
fn write_beside(
    path: &Path,
    content: &[u8],
    readers: Readers,
    old: Option<&Metadata>,
) -> Result<PathBuf, Error> {
    static NEXT: AtomicUsize = AtomicUsize::new(0);
    let folder = path.parent().unwrap_or(Path::new("."));
    make_folder(folder)?;
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let number = NEXT.fetch_add(1, Ordering::Relaxed);
    let temporary = folder.join(format!(".{name}.{}-{number}", std::process::id()));
    let mode = match (readers, old) {
        (_, Some(old)) => old.permissions().mode(),
        (Readers::Owner, None) => 0o600,
        (Readers::Anybody, None) => 0o644,
    };
    // What a program of the same number left behind when it was killed is of no use to anybody.
    let _ = fs::remove_file(&temporary);
    let written =
        OpenOptions::new().write(true).create_new(true).mode(0o600).open(&temporary).and_then(|mut file| {
            file.write_all(content)?;
            if let Some(old) = old {
                give_to_owner_of(&file, old)?;
            }
            // Last, since a change of the owner takes bits away; and against a umask.
            file.set_permissions(fs::Permissions::from_mode(mode))?;
            file.sync_all()
        });
    match written {
        Ok(()) => Ok(temporary),
        Err(error) => {
            let _ = fs::remove_file(&temporary);
            Err(Error::file(path, "it cannot be written", error))
        }
    }
}

fn make_folder(folder: &Path) -> Result<(), Error> {
    let made = fs::DirBuilder::new().recursive(true).mode(0o700).create(folder);
    made.map_err(|error| Error::file(folder, "the folder cannot be made", error))
}

/// Lets a file belong to whom the old one belonged, where this program may give files away, as root may.
fn give_to_owner_of(file: &File, old: &Metadata) -> io::Result<()> {
    let new = file.metadata()?;
    if (new.uid(), new.gid()) == (old.uid(), old.gid()) {
        return Ok(());
    }
    match fchown(file, Some(old.uid()), Some(old.gid())) {
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => Ok(()),
        outcome => outcome,
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// A folder that goes away with the test.
    pub(crate) struct Scratch(pub(crate) PathBuf);

    impl Scratch {
        pub(crate) fn new(name: &str) -> Self {
            let path = std::env::temp_dir().join(format!("lxd-remotes-{name}-{}", std::process::id()));
            let _ = fs::remove_dir_all(&path);
            fs::create_dir_all(&path).unwrap();
            Self(path)
        }

        pub(crate) fn names(&self) -> Vec<String> {
            let entries = fs::read_dir(&self.0).unwrap();
            let mut names: Vec<String> =
                entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
            names.sort();
            names
        }
    }

    impl Drop for Scratch {
        fn drop(&mut self) {
            let _ = fs::remove_dir_all(&self.0);
        }
    }

    fn mode(path: &Path) -> u32 {
        fs::metadata(path).unwrap().permissions().mode() & 0o777
    }

    #[test]
    fn files_come_into_being_as_a_whole_with_their_permissions() {
        let scratch = Scratch::new("files");
        let (key, open) = (scratch.0.join("new/client.key"), scratch.0.join("config.yml"));
        assert!(create(&key, b"secret", Readers::Owner).unwrap());
        assert!(!create(&key, b"other", Readers::Owner).unwrap());
        assert_eq!((fs::read(&key).unwrap(), mode(&key)), (b"secret".to_vec(), 0o600));
        assert_eq!(mode(key.parent().unwrap()), 0o700);
        replace(&open, b"1", Readers::Anybody).unwrap();
        assert_eq!(mode(&open), 0o644);
        fs::set_permissions(&open, fs::Permissions::from_mode(0o640)).unwrap();
        replace(&open, b"2", Readers::Anybody).unwrap();
        assert_eq!((fs::read(&open).unwrap(), mode(&open)), (b"2".to_vec(), 0o640));
        assert_eq!(scratch.names(), ["config.yml", "new"], "nothing temporary stays");
    }

    #[test]
    fn what_nobody_else_could_read_never_can_be() {
        let scratch = Scratch::new("private");
        let path = scratch.0.join("config.yml");
        fs::write(&path, "1").unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
        let old = fs::metadata(&path).unwrap();
        let beside = write_beside(&path, b"2", Readers::Anybody, Some(&old)).unwrap();
        assert_eq!(mode(&beside), 0o600, "not even before it takes the place");
    }

    #[test]
    fn a_file_stays_its_owners_where_root_changes_it() {
        let scratch = Scratch::new("owner");
        let path = scratch.0.join("config.yml");
        fs::write(&path, "1").unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o640)).unwrap();
        // Only root may give it away; for others it stays theirs anyway.
        let _ = std::os::unix::fs::chown(&path, Some(4711), Some(4712));
        let owner = |path: &Path| fs::metadata(path).map(|file| (file.uid(), file.gid())).unwrap();
        let before = owner(&path);
        replace(&path, b"2", Readers::Anybody).unwrap();
        assert_eq!((fs::read(&path).unwrap(), owner(&path), mode(&path)), (b"2".to_vec(), before, 0o640));
    }

    #[test]
    fn a_link_stays_a_link() {
        let scratch = Scratch::new("link");
        let (real, link) = (scratch.0.join("real"), scratch.0.join("config.yml"));
        fs::write(&real, "1").unwrap();
        std::os::unix::fs::symlink(&real, &link).unwrap();
        replace(&link, b"2", Readers::Anybody).unwrap();
        assert!(fs::symlink_metadata(&link).unwrap().is_symlink());
        assert_eq!(fs::read(&real).unwrap(), b"2");
    }

    #[test]
    fn a_failure_leaves_the_old_file() {
        let scratch = Scratch::new("failure");
        let path = scratch.0.join("config.yml");
        fs::create_dir(&path).unwrap();
        let error = replace(&path, b"2", Readers::Anybody).unwrap_err();
        assert_eq!((error.kind(), error.path()), (crate::ErrorKind::File, Some(&*path)));
        assert_eq!(scratch.names(), ["config.yml"]);
    }
}
