//! The files of volumes, in folders laid out as a server's own: filesystems are folders, block volumes a sparse file.

use std::{
    fs::{self, File},
    io::{self, Write as _},
    path::{Path, PathBuf},
};

use crate::state::{BucketKey, ContentType, VolumeKey, VolumeKind};

/// The file that a block or ISO volume is, inside its folder.
pub(crate) const DISK: &str = "root.img";

/// What the folders of ISO volumes end with.
const ISO: &str = ".iso";

#[derive(Debug)]
pub(crate) struct Content {
    root: PathBuf,
    /// Whether the folder goes away with this.
    temporary: bool,
}

impl Drop for Content {
    fn drop(&mut self) {
        if !self.temporary {
            return;
        }
        if let Err(error) = remove(&self.root) {
            // Nobody else is left to be told.
            let text = format!("lxd-emulator: cannot remove the folder {}: {error}", self.root.display());
            let _ = writeln!(io::stderr(), "{text}");
        }
    }
}

impl Content {
    /// In a folder that is removed in the end, and is made in the system's or another one.
    pub(crate) fn temporary(place: Option<&Path>) -> io::Result<Self> {
        let place = place.map_or_else(std::env::temp_dir, Path::to_owned);
        // Servers say whole paths, wherever this process is.
        let place = std::path::absolute(place)?;
        let folder = tempfile::Builder::new().prefix("lxd-emulator-").tempdir_in(place)?;
        Ok(Self { root: folder.keep(), temporary: true })
    }

    pub(crate) fn in_folder(root: PathBuf) -> Self {
        Self { root, temporary: false }
    }

    /// A member's folder; a server alone has no name.
    pub(crate) fn member(&self, member: &str) -> PathBuf {
        if matches!(member, "" | "none") { self.root.clone() } else { self.root.join("members").join(member) }
    }

    /// The folder of a pool on a member, which is what `source` says.
    pub(crate) fn pool(&self, pool: &str, member: &str) -> PathBuf {
        self.member(member).join("storage-pools").join(component(pool))
    }

    /// The folder of a volume, which bears a suffix where it holds an ISO image. What else is called like that is
    /// written otherwise: both may be there at once.
    pub(crate) fn volume(&self, key: &VolumeKey, content_type: ContentType) -> PathBuf {
        let name = component(&internal_name(key));
        let name = match (content_type, name.strip_suffix(ISO)) {
            (ContentType::Iso, _) => name + ISO,
            (_, Some(stem)) => format!("{stem}%2Eiso"),
            (_, None) => name,
        };
        self.pool(&key.pool, &key.member).join(plural(key.kind)).join(name)
    }

    /// The folder of a snapshot.
    pub(crate) fn snapshot(&self, key: &VolumeKey, snapshot: &str) -> PathBuf {
        self.snapshots(key).join(component(snapshot))
    }

    pub(crate) fn snapshots(&self, key: &VolumeKey) -> PathBuf {
        let kind = format!("{}-snapshots", plural(key.kind));
        self.pool(&key.pool, &key.member).join(kind).join(component(&internal_name(key)))
    }

    /// Where the files of backups are.
    pub(crate) fn backups(&self, key: &VolumeKey) -> PathBuf {
        let pool = component(&key.pool);
        self.member(&key.member)
            .join("backups")
            .join("custom")
            .join(pool)
            .join(component(&internal_name(key)))
    }

    /// The folder of a bucket's objects.
    pub(crate) fn bucket(&self, key: &BucketKey) -> PathBuf {
        let name = component(&crate::buckets::internal_name(key));
        self.pool(&key.pool, &key.member).join("buckets").join(name)
    }

    /// Where the files of its backups are.
    pub(crate) fn bucket_backups(&self, key: &BucketKey) -> PathBuf {
        let name = component(&crate::buckets::internal_name(key));
        self.member(&key.member).join("backups").join("buckets").join(component(&key.pool)).join(name)
    }

    /// The file that an image is.
    pub(crate) fn image_file(&self, fingerprint: &str) -> PathBuf {
        self.root.join("images").join(component(fingerprint))
    }

    /// Where uploads are until somebody looked at them, and copies until they are whole.
    pub(crate) fn uploads(&self) -> PathBuf {
        self.root.join("uploads")
    }

    /// Makes a volume's folder, without what may be left of another by that name; a disk of so many bytes in it
    /// where it is one.
    pub(crate) fn create(&self, key: &VolumeKey, content_type: ContentType, size: u64) -> io::Result<()> {
        let folder = self.volume(key, content_type);
        for left in [&folder, &self.snapshots(key), &self.backups(key)] {
            remove(left)?;
        }
        fs::create_dir_all(&folder)?;
        match content_type {
            ContentType::Filesystem => Ok(()),
            ContentType::Block | ContentType::Iso => resize(&folder.join(DISK), size),
        }
    }

    /// Makes a disk larger.
    pub(crate) fn grow(&self, key: &VolumeKey, size: u64) -> io::Result<()> {
        resize(&self.volume(key, ContentType::Block).join(DISK), size)
    }

    /// Removes a volume with its snapshots and backups.
    pub(crate) fn remove(&self, key: &VolumeKey, content_type: ContentType) -> io::Result<()> {
        for folder in [self.backups(key), self.snapshots(key), self.volume(key, content_type)] {
            remove(&folder)?;
        }
        Ok(())
    }

    /// Gives a volume another name, pool or project by moving what it is made of.
    pub(crate) fn rename(
        &self,
        from: &VolumeKey,
        to: &VolumeKey,
        content_type: ContentType,
    ) -> io::Result<()> {
        let pairs = [
            (self.volume(from, content_type), self.volume(to, content_type)),
            (self.snapshots(from), self.snapshots(to)),
            (self.backups(from), self.backups(to)),
        ];
        for (old, new) in pairs {
            if old.exists() {
                if let Some(parent) = new.parent() {
                    fs::create_dir_all(parent)?;
                }
                // Nobody has it: the database knows nothing by that name.
                remove(&new)?;
                fs::rename(old, new)?;
            }
        }
        Ok(())
    }

    /// Puts a copy of a folder in the place of another, which stays as it is until the copy is whole. A folder that went
    /// away meanwhile doesn't come back by that.
    pub(crate) fn replace(&self, from: &Path, to: &Path) -> io::Result<()> {
        let there = to.is_dir();
        if let Some(parent) = to.parent() {
            fs::create_dir_all(parent)?;
        }
        // What a server that is killed leaves there goes when the next one starts.
        fs::create_dir_all(self.uploads())?;
        let beside = tempfile::tempdir_in(self.uploads())?;
        let (new, old) = (beside.path().join("new"), beside.path().join("old"));
        copy(from, &new)?;
        if there && !to.is_dir() {
            return Err(io::ErrorKind::NotFound.into());
        }
        // An empty folder is replaced at once, so that whoever looks meanwhile finds one.
        if fs::rename(&new, to).is_ok() {
            return Ok(());
        }
        fs::rename(to, &old)?;
        fs::rename(&new, to).inspect_err(|_| {
            // It was there a moment ago, and nothing is in its place.
            let _ = fs::rename(&old, to);
        })?;
        remove(&old)
    }

    /// How many bytes the files of a folder take.
    pub(crate) fn usage(&self, folder: &Path) -> u64 {
        let Ok(entries) = fs::read_dir(folder) else { return 0 };
        let used = entries.flatten().map(|entry| match entry.file_type() {
            Ok(kind) if kind.is_dir() => self.usage(&entry.path()),
            Ok(_) => entry.metadata().map_or(0, |data| allocated(&data)),
            Err(_) => 0,
        });
        used.sum()
    }
}

/// A name as a part of a path. What leads elsewhere is written otherwise, and so is what would look like that then: no
/// two names become one.
pub(crate) fn component(name: &str) -> String {
    match name {
        "." | ".." => return name.replace('.', "%2E"),
        _ if !name.contains(['/', '%']) => return name.to_owned(),
        _ => {}
    }
    let mut written = String::with_capacity(name.len() + 2);
    for (at, letter) in name.char_indices() {
        let rest = name.get(at..).unwrap_or_default();
        match letter {
            '/' => written.push_str("%2F"),
            '%' if ["%25", "%2E", "%2F"].iter().any(|code| rest.starts_with(code)) => written.push_str("%25"),
            other => written.push(other),
        }
    }
    written
}

/// What the servers call a volume among themselves: instance and image volumes of the project `default` bear no prefix.
pub(crate) fn internal_name(key: &VolumeKey) -> String {
    match key.kind {
        VolumeKind::Custom => format!("{}_{}", key.project, key.name),
        VolumeKind::Image => key.name.clone(),
        VolumeKind::Container | VolumeKind::VirtualMachine if key.project == crate::state::DEFAULT => {
            key.name.clone()
        }
        VolumeKind::Container | VolumeKind::VirtualMachine => format!("{}_{}", key.project, key.name),
    }
}

/// What the servers call a type among themselves.
pub(crate) fn plural(kind: VolumeKind) -> &'static str {
    match kind {
        VolumeKind::Container => "containers",
        VolumeKind::Image => "images",
        VolumeKind::Custom => "custom",
        VolumeKind::VirtualMachine => "virtual-machines",
    }
}

fn resize(disk: &Path, size: u64) -> io::Result<()> {
    // A link would lead to a file of the machine.
    if fs::symlink_metadata(disk).is_ok_and(|data| !data.is_file()) {
        return Err(io::Error::other(format!("{} is no regular file", disk.display())));
    }
    File::options().create(true).truncate(false).write(true).open(disk)?.set_len(size)
}

/// Removes a folder if it is there, with folders in it that nobody may write to.
pub(crate) fn remove(folder: &Path) -> io::Result<()> {
    match fs::remove_dir_all(folder) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {
            open_up(folder)?;
            fs::remove_dir_all(folder)
        }
        removed => removed,
    }
}

/// Lets the owner into all folders of a folder. Only root is let in everywhere anyhow.
#[cfg(unix)]
fn open_up(folder: &Path) -> io::Result<()> {
    use std::os::unix::fs::PermissionsExt as _;

    let mut permissions = fs::symlink_metadata(folder)?.permissions();
    if permissions.mode() & 0o700 != 0o700 {
        permissions.set_mode(permissions.mode() | 0o700);
        fs::set_permissions(folder, permissions)?;
    }
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            open_up(&entry.path())?;
        }
    }
    Ok(())
}

#[cfg(not(unix))]
fn open_up(_: &Path) -> io::Result<()> {
    Ok(())
}

/// Copies a folder with permissions, symbolic links and holes.
pub(crate) fn copy(from: &Path, to: &Path) -> io::Result<()> {
    fs::create_dir_all(to)?;
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        let (source, target) = (entry.path(), to.join(entry.file_name()));
        let kind = entry.file_type()?;
        if kind.is_dir() {
            copy(&source, &target)?;
        } else if kind.is_symlink() {
            link(&source, &target)?;
        } else if kind.is_file() {
            copy_file(&source, &target)?;
        }
    }
    fs::set_permissions(to, fs::metadata(from)?.permissions())
}

#[cfg(unix)]
fn link(source: &Path, target: &Path) -> io::Result<()> {
    std::os::unix::fs::symlink(fs::read_link(source)?, target)
}

#[cfg(not(unix))]
fn link(_: &Path, _: &Path) -> io::Result<()> {
    Err(io::Error::other("symbolic links are copied on Unix only"))
}

/// The runs of zeros of a disk take no room in its copy either.
fn copy_file(source: &Path, target: &Path) -> io::Result<()> {
    use std::io::{Read, Seek, SeekFrom, Write};

    let (mut from, mut to) = (File::open(source)?, File::create(target)?);
    let data = from.metadata()?;
    // Short files may be kept inside of the file system's own tables.
    if allocated(&data) == 0 && data.len() > 4096 {
        to.set_len(data.len())?;
        return to.set_permissions(data.permissions());
    }
    let mut block = vec![0; 64 << 10];
    loop {
        let length = from.read(&mut block)?;
        let Some(chunk) = block.get(..length).filter(|chunk| !chunk.is_empty()) else { break };
        if chunk.iter().all(|byte| *byte == 0) {
            to.seek(SeekFrom::Current(i64::try_from(length).unwrap_or(i64::MAX)))?;
        } else {
            to.write_all(chunk)?;
        }
    }
    to.set_len(data.len())?;
    to.set_permissions(data.permissions())
}

#[cfg(unix)]
fn allocated(data: &fs::Metadata) -> u64 {
    std::os::unix::fs::MetadataExt::blocks(data) * 512
}

#[cfg(not(unix))]
fn allocated(data: &fs::Metadata) -> u64 {
    data.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_name_leads_out_of_its_folder() {
        let content = Content::in_folder(PathBuf::from("/root"));
        let key = VolumeKey {
            pool: "..".to_owned(),
            project: "default".to_owned(),
            kind: VolumeKind::Container,
            name: "../..".to_owned(),
            member: "none".to_owned(),
        };
        let folders =
            [content.volume(&key, ContentType::Block), content.snapshot(&key, ".."), content.backups(&key)];
        for folder in folders {
            assert!(
                folder.components().all(|part| !matches!(part, std::path::Component::ParentDir)),
                "{folder:?}"
            );
            assert!(folder.starts_with("/root") && folder.components().count() > 4, "{folder:?}");
        }
    }

    #[cfg(unix)]
    #[test]
    fn a_disk_that_is_a_link_is_not_resized() {
        let folder = tempfile::tempdir().unwrap();
        let (victim, disk) = (folder.path().join("victim"), folder.path().join(DISK));
        fs::write(&victim, "data").unwrap();
        std::os::unix::fs::symlink(&victim, &disk).unwrap();
        resize(&disk, 1 << 20).unwrap_err();
        assert_eq!(fs::read(&victim).unwrap(), b"data");
    }

    #[test]
    fn what_is_replaced_stays_until_its_copy_is_whole() {
        let folder = tempfile::tempdir().unwrap();
        let content = Content::in_folder(folder.path().to_owned());
        let (from, to) = (folder.path().join("from"), folder.path().join("to"));
        fs::create_dir_all(&to).unwrap();
        fs::write(to.join("old"), "1").unwrap();
        assert!(content.replace(&from, &to).is_err());
        assert!(to.join("old").is_file());
        fs::create_dir(&from).unwrap();
        fs::write(from.join("new"), "2").unwrap();
        content.replace(&from, &to).unwrap();
        assert!(to.join("new").is_file() && !to.join("old").exists());
        content.replace(&to, &to).unwrap();
        assert!(to.join("new").is_file());
        assert_eq!(fs::read_dir(content.uploads()).unwrap().count(), 0);
    }

    #[test]
    fn no_two_names_are_one_component() {
        let pieces = ["", ".", "..", "/", "%", "2E", "2F", "25", "%2E", "%2F", "%25", "a"];
        let mut seen = std::collections::BTreeMap::new();
        for first in pieces {
            for second in pieces {
                for third in pieces {
                    let name = format!("{first}{second}{third}");
                    let other = seen.insert(component(&name), name.clone());
                    assert!(other.as_ref().is_none_or(|other| *other == name), "{other:?} and {name:?}");
                }
            }
        }
        for ordinary in ["a", "a.b", "...", "50%", "a%20b", "\u{e9}%", "a b"] {
            assert_eq!(component(ordinary), ordinary);
        }
    }

    #[test]
    fn a_new_volume_is_empty_and_takes_nothing_of_others() {
        let folder = tempfile::tempdir().unwrap();
        let content = Content::in_folder(folder.path().to_owned());
        let key = |name: &str| VolumeKey {
            pool: "p".to_owned(),
            project: "default".to_owned(),
            kind: VolumeKind::Custom,
            name: name.to_owned(),
            member: "none".to_owned(),
        };
        let files = |name: &str| content.volume(&key(name), ContentType::Filesystem);
        let (left, snapshot) = (files("x").join("left"), content.snapshot(&key("x"), "s"));
        let image = content.volume(&key("x"), ContentType::Iso).join(DISK);
        content.create(&key("x"), ContentType::Iso, 7).unwrap();
        for file in [&left, &snapshot.join("left")] {
            fs::create_dir_all(file.parent().unwrap()).unwrap();
            fs::write(file, "old").unwrap();
        }
        content.create(&key("x.iso"), ContentType::Filesystem, 0).unwrap();
        content.create(&key("x"), ContentType::Filesystem, 0).unwrap();
        assert!(!left.exists() && !snapshot.exists());
        assert_eq!(fs::metadata(image).unwrap().len(), 7);
    }

    /// By another user than root, whom no mode stops: this test starts itself as that user.
    #[cfg(unix)]
    #[test]
    fn folders_that_nobody_may_write_to_are_removed() {
        use std::os::unix::fs::PermissionsExt as _;

        const PLACE: &str = "LXD_EMULATOR_TEST_REMOVES_IN";
        let nobody = 65534;
        let Ok(place) = std::env::var(PLACE) else {
            let place = tempfile::tempdir().unwrap();
            fs::set_permissions(place.path(), fs::Permissions::from_mode(0o777)).unwrap();
            // The test's own program may be where others may not look.
            let program = place.path().join("test");
            fs::copy(std::env::current_exe().unwrap(), &program).unwrap();
            let mut command = std::process::Command::new(&program);
            if std::os::unix::fs::MetadataExt::uid(&fs::metadata(&program).unwrap()) == 0 {
                std::os::unix::process::CommandExt::uid(&mut command, nobody);
            }
            let output = command.arg("folders_that_nobody_may_write_to").env(PLACE, place.path()).output();
            let output = output.unwrap();
            let said = String::from_utf8_lossy(&output.stdout);
            assert!(output.status.success() && said.contains("1 passed"), "{said}");
            return;
        };
        let place = Path::new(&place).join("place");
        fs::create_dir_all(place.join("shut/inner")).unwrap();
        fs::write(place.join("shut/inner/file"), "content").unwrap();
        for (folder, mode) in [("shut/inner", 0o000), ("shut", 0o500)] {
            fs::set_permissions(place.join(folder), fs::Permissions::from_mode(mode)).unwrap();
        }
        fs::remove_dir_all(&place).unwrap_err();
        remove(&place).unwrap();
        assert!(!place.exists());
    }

    #[test]
    fn a_copy_has_the_holes_the_links_and_the_modes() {
        let folder = tempfile::tempdir().unwrap();
        let (from, to) = (folder.path().join("from"), folder.path().join("to"));
        fs::create_dir_all(from.join("inner")).unwrap();
        fs::write(from.join("inner/letter"), "hello").unwrap();
        let mut disk = vec![0; 1 << 20];
        disk[700_000] = 7;
        fs::write(from.join(DISK), &disk).unwrap();
        #[cfg(unix)]
        std::os::unix::fs::symlink("nowhere", from.join("link")).unwrap();
        copy(&from, &to).unwrap();
        assert_eq!(fs::read(to.join("inner/letter")).unwrap(), b"hello");
        assert!(fs::read(to.join(DISK)).unwrap() == disk);
        #[cfg(unix)]
        assert_eq!(fs::read_link(to.join("link")).unwrap(), Path::new("nowhere"));
    }
}
