//! Backups as archives: an index, the files of a volume, and those of its snapshots, laid out as the servers do.

use std::{
    collections::BTreeSet,
    fs::{self, File},
    io::{self, Read, Seek},
    path::{Path, PathBuf},
};

use flate2::{Compression, read::GzDecoder, write::GzEncoder};
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use tar::{Archive, Builder, Header};

use crate::{
    clock::{self, Moment},
    config::Config,
    content::{self, DISK},
    core::Core,
    failure::Failure,
    state::{ContentType, Snapshot, Volume, VolumeKey},
    stop::{Stop, Writer},
};

/// Where the index is.
const INDEX: &str = "backup/index.yaml";

/// Where the content of the volume is, but for the suffix of disks.
pub(crate) const VOLUME: &str = "backup/volume";

/// Where the content of a snapshot is.
pub(crate) fn snapshot_place(name: &str) -> String {
    format!("backup/volume-snapshots/{}", content::component(name))
}

/// A folder of content, and its place in the archive.
pub(crate) type Part = (PathBuf, String);

/// What an archive says of itself.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Index {
    pub(crate) name: String,
    backend: String,
    pool: String,
    #[serde(default)]
    pub(crate) snapshots: Vec<String>,
    #[serde(default)]
    optimized: bool,
    #[serde(default)]
    optimized_header: bool,
    #[serde(rename = "type")]
    kind: String,
    config: Described,
}

#[derive(Debug, Serialize, Deserialize)]
struct Described {
    volume: Option<Entry>,
    #[serde(default)]
    volume_snapshots: Vec<Entry>,
}

/// A volume, or a snapshot of it.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Entry {
    pub(crate) name: String,
    #[serde(default)]
    pub(crate) description: String,
    #[serde(default)]
    pub(crate) config: Config,
    #[serde(default)]
    pub(crate) content_type: String,
    #[serde(default)]
    pub(crate) created_at: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) expires_at: Option<String>,
}

impl Entry {
    /// When it was made, on servers that keep such times.
    pub(crate) fn created_at(&self, core: &Core) -> Option<Moment> {
        time(&self.created_at).filter(|_| core.has("storage_volumes_created_at"))
    }

    /// What kind of content it has; a volume without a word about it is a filesystem.
    pub(crate) fn content_type(&self) -> Result<ContentType, Failure> {
        match &*self.content_type {
            "" | "filesystem" => Ok(ContentType::Filesystem),
            "block" => Ok(ContentType::Block),
            "iso" => Ok(ContentType::Iso),
            _ => Err(Failure::internal("Invalid volume content type name")),
        }
    }

    /// The snapshot that it stands for.
    pub(crate) fn snapshot(self, core: &Core) -> Snapshot {
        Snapshot {
            created_at: self.created_at(core),
            expires_at: self.expires_at.as_deref().and_then(time),
            name: self.name,
            description: self.description,
            config: self.config,
        }
    }
}

/// Judges the names of snapshots that come from elsewhere. Only what no name can be is refused: snapshots that got a new
/// name may have white space in it.
pub(crate) fn check_snapshots(snapshots: &[Snapshot]) -> Result<(), Failure> {
    let mut seen = BTreeSet::new();
    for Snapshot { name, .. } in snapshots {
        if name.is_empty() || name.contains(['/', '\0']) {
            return Err(Failure::bad_request(format!("Invalid storage volume snapshot name {name:?}")));
        }
        if !seen.insert(name) {
            return Err(Failure::conflict(format!("Snapshot {name:?} already in use")));
        }
    }
    Ok(())
}

/// A time as archives have it; the one that stands for none is none.
fn time(text: &str) -> Option<Moment> {
    Moment::parse(text).flatten()
}

impl Index {
    pub(crate) fn new(key: &VolumeKey, volume: &Volume, kept: &[Snapshot], driver: &str) -> Self {
        let content_type = volume.content_type.name().to_owned();
        let of = |snapshot: &Snapshot| Entry {
            name: snapshot.name.clone(),
            description: snapshot.description.clone(),
            config: snapshot.config.clone(),
            content_type: content_type.clone(),
            created_at: clock::text(snapshot.created_at),
            expires_at: Some(clock::text(snapshot.expires_at)),
        };
        let entry = Entry {
            name: key.name.clone(),
            description: volume.description.clone(),
            config: volume.config.clone(),
            content_type: content_type.clone(),
            created_at: clock::text(volume.created_at),
            expires_at: None,
        };
        Self {
            name: key.name.clone(),
            backend: driver.to_owned(),
            pool: key.pool.clone(),
            snapshots: kept.iter().map(|one| one.name.clone()).collect(),
            optimized: false,
            optimized_header: false,
            kind: "custom".to_owned(),
            config: Described { volume: Some(entry), volume_snapshots: kept.iter().map(of).collect() },
        }
    }

    /// The volume and its snapshots.
    pub(crate) fn into_entries(self) -> (Option<Entry>, Vec<Entry>) {
        (self.config.volume, self.config.volume_snapshots)
    }
}

/// Writes an archive, compressed or not, unless it shall stop before its end.
pub(crate) fn pack(
    stop: Stop,
    file: &Path,
    gzip: bool,
    disk: bool,
    index: &impl Serialize,
    parts: &[Part],
) -> io::Result<()> {
    if let Some(folder) = file.parent() {
        fs::create_dir_all(folder)?;
    }
    let file = File::create(file)?;
    if gzip {
        let to = Writer { inner: GzEncoder::new(file, Compression::fast()), stop };
        write(to, disk, index, parts)?.inner.finish()?.sync_all()
    } else {
        write(Writer { inner: file, stop }, disk, index, parts)?.inner.sync_all()
    }
}

fn write<W: io::Write>(to: W, disk: bool, index: &impl Serialize, parts: &[Part]) -> io::Result<W> {
    let mut tar = Builder::new(to);
    tar.follow_symlinks(false);
    let text = serde_norway::to_string(index).map_err(io::Error::other)?;
    let mut header = Header::new_gnu();
    header.set_size(text.len() as u64);
    header.set_mode(0o644);
    tar.append_data(&mut header, INDEX, text.as_bytes())?;
    for (folder, place) in parts {
        if disk {
            tar.append_path_with_name(folder.join(DISK), format!("{place}.img"))?;
        } else {
            tar.append_dir_all(place, folder)?;
        }
    }
    tar.into_inner()
}

/// Why a file is no backup.
pub(crate) enum Unreadable {
    Compression,
    NoIndex,
    Broken(io::Error),
}

impl From<io::Error> for Unreadable {
    fn from(error: io::Error) -> Self {
        Self::Broken(error)
    }
}

/// A file as the archive that it is, decompressed where it must be.
fn open(path: &Path) -> Result<Archive<Box<dyn Read>>, Unreadable> {
    let mut file = File::open(path)?;
    let mut head = [0; 512];
    let length = read_up_to(&mut file, &mut head)?;
    file.rewind()?;
    match head {
        [0x1f, 0x8b, ..] => Ok(Archive::new(Box::new(GzDecoder::new(file)))),
        _ if length > 262 && head[257..262] == *b"ustar" => Ok(Archive::new(Box::new(file))),
        _ => Err(Unreadable::Compression),
    }
}

fn read_up_to(file: &mut File, buffer: &mut [u8]) -> io::Result<usize> {
    let mut filled = 0;
    while let Some(rest) = buffer.get_mut(filled..).filter(|rest| !rest.is_empty()) {
        match file.read(rest)? {
            0 => break,
            read => filled += read,
        }
    }
    Ok(filled)
}

/// Reads what a backup says of itself.
pub(crate) fn index<T: DeserializeOwned>(path: &Path) -> Result<T, Unreadable> {
    yaml(path, INDEX)
}

/// Reads a file of YAML out of an archive.
pub(crate) fn yaml<T: DeserializeOwned>(path: &Path, name: &str) -> Result<T, Unreadable> {
    for entry in open(path)?.entries()? {
        let mut entry = entry?;
        if entry.path()?.as_ref() == Path::new(name) {
            let mut text = String::new();
            entry.read_to_string(&mut text)?;
            return serde_norway::from_str(&text).map_err(|error| io::Error::other(error).into());
        }
    }
    Err(Unreadable::NoIndex)
}

/// Unpacks an archive into a folder of its own, out of which no name in it leads.
pub(crate) fn unpack(path: &Path, staging: &Path) -> Result<(), Unreadable> {
    fs::create_dir_all(staging)?;
    let mut archive = open(path)?;
    archive.set_preserve_permissions(true);
    archive.unpack(staging)?;
    // Whether compressed data is whole is only known behind its end.
    io::copy(&mut archive.into_inner(), &mut io::sink())?;
    Ok(())
}

/// What is at a place of an unpacked archive, if anything is. The archive's own links are never followed: they may lead
/// anywhere on this machine.
fn unpacked(staging: &Path, place: &str) -> io::Result<Option<(PathBuf, fs::Metadata)>> {
    let mut path = staging.to_owned();
    let mut data = fs::symlink_metadata(&path)?;
    for part in Path::new(place) {
        path.push(part);
        data = match fs::symlink_metadata(&path) {
            Ok(data) => data,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error),
        };
        if data.is_symlink() {
            return Err(io::Error::other(format!("Backup has a symbolic link on the way to {place:?}")));
        }
    }
    Ok(Some((path, data)))
}

/// Moves a folder of files that was unpacked to its place. A new folder is never away meanwhile.
pub(crate) fn settle(staging: &Path, place: &str, folder: &Path) -> io::Result<()> {
    fs::create_dir_all(folder)?;
    let Some((files, data)) = unpacked(staging, place)? else { return Ok(()) };
    if !data.is_dir() {
        return Err(io::Error::other(format!("Backup has no folder at {place:?}")));
    }
    match fs::rename(&files, folder) {
        Err(error) if error.kind() == io::ErrorKind::DirectoryNotEmpty => {
            content::remove(folder)?;
            fs::rename(files, folder)
        }
        settled => settled,
    }
}

/// Moves a disk that was unpacked to its place.
pub(crate) fn settle_disk(staging: &Path, place: &str, folder: &Path) -> io::Result<()> {
    fs::create_dir_all(folder)?;
    let place = format!("{place}.img");
    match unpacked(staging, &place)? {
        Some((disk, data)) if data.is_file() => fs::rename(disk, folder.join(DISK)),
        _ => Err(io::Error::other(format!("Could not find {place:?}"))),
    }
}
