//! Folders of this machine: what is in them, and how one comes into being whole or not at all.

use std::{
    collections::BTreeSet,
    fs, io,
    path::{Component, Path, PathBuf},
};

use lxd_types::FileMode;

use crate::Error;

/// What is in a folder, each with its path below it, and folders before what is in them.
#[derive(Debug, Default)]
pub(super) struct Tree {
    pub(super) mode: Option<FileMode>,
    pub(super) folders: Vec<(String, Option<FileMode>)>,
    pub(super) files: Vec<(String, Option<FileMode>)>,
    /// With their targets.
    pub(super) links: Vec<(String, String)>,
}

impl Tree {
    /// Looks at all of it before anything is done with it.
    pub(super) fn read(root: &Path) -> Result<Self, Error> {
        let metadata = fs::metadata(root).map_err(|error| cannot_read(root, error))?;
        if !metadata.is_dir() {
            return Err(Error::invalid(format!("{} is no folder; `put` is for files", root.display())));
        }
        let mut tree = Self { mode: mode_of(&metadata), ..Self::default() };
        tree.read_below(root, "")?;
        Ok(tree)
    }

    fn read_below(&mut self, folder: &Path, prefix: &str) -> Result<(), Error> {
        for entry in fs::read_dir(folder).map_err(|error| cannot_read(folder, error))? {
            let path = entry.map_err(|error| cannot_read(folder, error))?.path();
            let metadata = fs::symlink_metadata(&path).map_err(|error| cannot_read(&path, error))?;
            let name = path.file_name().and_then(|name| name.to_str()).ok_or_else(|| {
                Error::invalid(format!(
                    "the name of {} is not UTF-8, as those in a volume are",
                    path.display()
                ))
            })?;
            let below = format!("{prefix}/{name}");
            let mode = mode_of(&metadata);
            if metadata.is_symlink() {
                let target = fs::read_link(&path).map_err(|error| cannot_read(&path, error))?;
                let target = target.into_os_string().into_string().map_err(|_| {
                    Error::invalid(format!("the target of the link {} is not UTF-8", path.display()))
                })?;
                self.links.push((below, target));
            } else if metadata.is_dir() {
                self.folders.push((below.clone(), mode));
                self.read_below(&path, &below)?;
            } else if metadata.is_file() {
                self.files.push((below, mode));
            } else {
                let message = format!("{} is neither file nor folder nor link", path.display());
                return Err(Error::invalid(message));
            }
        }
        Ok(())
    }
}

/// A folder that appears under its name once it is complete. Dropped before that, it leaves nothing behind.
pub(super) struct Unfinished {
    path: PathBuf,
    target: PathBuf,
    done: bool,
}

impl Drop for Unfinished {
    fn drop(&mut self) {
        if !self.done {
            let _ = fs::remove_dir_all(&self.path);
        }
    }
}

impl Unfinished {
    /// Begins a folder, whose name must be free. Nobody else can look into it or put anything there.
    pub(super) fn begin(target: &Path) -> Result<Self, Error> {
        let mut name = target.file_name().unwrap_or_default().to_owned();
        if name.is_empty() {
            return Err(Error::invalid(format!("{} names no folder to write to", target.display())));
        }
        is_free(target)?;
        name.push(format!(".part-{}", std::process::id()));
        let path = target.with_file_name(name);
        new_folder(&path)?;
        Ok(Self { path, target: target.to_owned(), done: false })
    }

    /// Where it is for now.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Makes the links, sets the permissions, from the inside out, and gives the folder its name.
    ///
    /// Links come after all content: as long as there are none, whatever is written stays inside. Permissions come after
    /// the links, which some folders would not take any more.
    pub(super) fn finish(
        mut self,
        links: &[(PathBuf, String)],
        modes: &[(PathBuf, Option<FileMode>)],
    ) -> Result<(), Error> {
        for (path, target) in links {
            make_link(path, target).map_err(|error| cannot_write(path, error))?;
        }
        is_free(&self.target)?;
        for (path, mode) in modes.iter().rev() {
            set_mode(path, *mode).map_err(|error| cannot_write(path, error))?;
        }
        fs::rename(&self.path, &self.target).map_err(|error| cannot_write(&self.target, error))?;
        self.done = true;
        Ok(())
    }
}

/// Makes a folder where nothing is.
pub(super) fn new_folder(path: &Path) -> Result<(), Error> {
    let mut builder = fs::DirBuilder::new();
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(path).map_err(|error| cannot_write(path, error))
}

/// Refuses names that a list of a folder cannot have: they would lead somewhere else, or to the same place twice.
pub(super) fn check_names(folder: &str, names: &[String]) -> Result<(), Error> {
    let mut seen = BTreeSet::new();
    for name in names {
        let mut components = Path::new(name).components();
        let is_plain = matches!(components.next(), Some(Component::Normal(only)) if only == &**name)
            && components.next().is_none()
            && !name.contains(['/', '\0']);
        if !is_plain || !seen.insert(name) {
            let message = format!("the server lists {name:?} in {folder:?}, which cannot be a name there");
            return Err(Error::new(crate::ErrorKind::Decode, message));
        }
    }
    Ok(())
}

fn is_free(target: &Path) -> Result<(), Error> {
    match fs::symlink_metadata(target) {
        Ok(_) => Err(Error::invalid(format!("{} is there already", target.display()))),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(cannot_write(target, error)),
    }
}

#[cfg(unix)]
fn mode_of(metadata: &fs::Metadata) -> Option<FileMode> {
    let bits = std::os::unix::fs::PermissionsExt::mode(&metadata.permissions()) & 0o7777;
    u16::try_from(bits).ok().and_then(FileMode::new)
}

#[cfg(not(unix))]
fn mode_of(_metadata: &fs::Metadata) -> Option<FileMode> {
    None
}

/// Without the bits that lend somebody's rights to others: the files belong to this user now.
#[cfg(unix)]
fn set_mode(path: &Path, mode: Option<FileMode>) -> io::Result<()> {
    let Some(mode) = mode else { return Ok(()) };
    let bits = u32::from(mode.bits()) & 0o777;
    fs::set_permissions(path, std::os::unix::fs::PermissionsExt::from_mode(bits))
}

#[cfg(not(unix))]
fn set_mode(_path: &Path, _mode: Option<FileMode>) -> io::Result<()> {
    Ok(())
}

#[cfg(unix)]
fn make_link(path: &Path, target: &str) -> io::Result<()> {
    std::os::unix::fs::symlink(target, path)
}

#[cfg(not(unix))]
fn make_link(_path: &Path, _target: &str) -> io::Result<()> {
    Err(io::Error::from(io::ErrorKind::Unsupported))
}

fn cannot_read(path: &Path, error: io::Error) -> Error {
    Error::invalid(format!("cannot read {}: {error}", path.display())).with_source(error)
}

fn cannot_write(path: &Path, error: io::Error) -> Error {
    Error::invalid(format!("cannot write {}: {error}", path.display())).with_source(error)
}

#[cfg(unix)]
#[cfg(test)]
mod tests {
    use super::*;

    struct Folder(PathBuf);

    impl Folder {
        fn new(name: &str) -> Self {
            let path = std::env::temp_dir().join(format!("lxdrs-local-{}-{name}", std::process::id()));
            fs::create_dir(&path).unwrap();
            Self(path)
        }
    }

    impl Drop for Folder {
        fn drop(&mut self) {
            let _ = fs::remove_dir_all(&self.0);
        }
    }

    #[test]
    fn names_that_lead_elsewhere_are_refused() {
        let owned = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>();
        check_names("/", &owned(&["a", "...", " ", "a b", "é\n", ".a", "-"])).unwrap();
        for names in [&["", "a"][..], &["."], &[".."], &["a/b"], &["/etc"], &["a\0"], &["a", "b", "a"]] {
            assert_eq!(check_names("/", &owned(names)).unwrap_err().kind(), crate::ErrorKind::Decode);
        }
    }

    #[test]
    fn a_folder_is_there_whole_or_not_at_all() {
        let folder = Folder::new("whole");
        let target = folder.0.join("a");
        let names = || fs::read_dir(&folder.0).unwrap().count();
        let unfinished = Unfinished::begin(&target).unwrap();
        fs::write(unfinished.path().join("file"), b"x").unwrap();
        assert!(!target.exists());
        drop(unfinished);
        assert_eq!(names(), 0);

        let unfinished = Unfinished::begin(&target).unwrap();
        let file = unfinished.path().join("file");
        fs::write(&file, b"x").unwrap();
        let link = unfinished.path().join("link");
        let (root, setuid) = (unfinished.path().to_owned(), FileMode::new(0o4750));
        unfinished
            .finish(&[(link, "../..".to_owned())], &[(root, FileMode::new(0o500)), (file, setuid)])
            .unwrap();
        assert_eq!(names(), 1);
        let tree = Tree::read(&target).unwrap();
        assert_eq!(tree.mode, FileMode::new(0o500));
        assert_eq!(tree.files, [("/file".to_owned(), FileMode::new(0o750))]);
        assert_eq!(tree.links, [("/link".to_owned(), "../..".to_owned())]);

        assert!(Unfinished::begin(&target).err().unwrap().to_string().contains("already"));
        assert!(Unfinished::begin(Path::new("/")).is_err());
        set_mode(&target, FileMode::new(0o700)).unwrap();
    }

    #[test]
    fn what_cannot_be_in_a_volume_is_found_before_anything_is_sent() {
        let folder = Folder::new("odd");
        let read = || Tree::read(&folder.0).unwrap_err().to_string();
        let _socket = std::os::unix::net::UnixListener::bind(folder.0.join("socket")).unwrap();
        assert!(read().contains("neither"), "{}", read());
        fs::remove_file(folder.0.join("socket")).unwrap();
        let odd: &std::ffi::OsStr = std::os::unix::ffi::OsStrExt::from_bytes(b"\xff");
        fs::write(folder.0.join(odd), b"").unwrap();
        assert!(read().contains("UTF-8"), "{}", read());
        assert!(Tree::read(&folder.0.join(odd)).unwrap_err().to_string().contains("no folder"));
        assert!(Tree::read(&folder.0.join("none")).is_err());
    }
}
