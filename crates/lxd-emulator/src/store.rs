//! The lock around the database, and its file where it is kept.

use std::{
    fs, io,
    path::{Path, PathBuf},
    sync::{Mutex, MutexGuard, PoisonError},
};

use serde::{Deserialize, Serialize};

use crate::{
    lock::{self, Lock},
    settings::check_same_members,
    state::Database,
};

/// What the file says of itself. Another version is refused and not guessed at.
const FORMAT: u32 = 1;
const FILE: &str = "database.json";

#[derive(Serialize, Deserialize)]
struct Format {
    format: u32,
    personality: String,
}

#[derive(Serialize)]
struct Stored<'a> {
    format: u32,
    personality: &'a str,
    database: &'a Database,
}

#[derive(Deserialize)]
struct Loaded {
    database: Database,
}

#[derive(Debug)]
pub(crate) struct Store {
    database: Mutex<Database>,
    kept: Option<Kept>,
    personality: &'static str,
}

/// Where a database is kept, for one server at a time.
#[derive(Debug)]
struct Kept {
    file: PathBuf,
    _lock: Lock,
}

impl Store {
    /// A database that lives as long as its server.
    pub(crate) fn in_memory(database: Database, personality: &'static str) -> Self {
        Self { database: Mutex::new(database), kept: None, personality }
    }

    /// The database of a folder, or a new one there. Until this is dropped no other server gets the folder.
    pub(crate) fn in_folder(folder: &Path, fresh: Database, personality: &'static str) -> io::Result<Self> {
        let file = folder.join(FILE);
        if !file.exists() {
            check_empty(folder)?;
        }
        let lock = Lock::take(folder)?;
        let told = |error: io::Error| io::Error::new(error.kind(), format!("{}: {error}", file.display()));
        let database = match fs::read_to_string(&file) {
            Ok(text) => {
                let known = parse(&text, personality).map_err(|why| {
                    io::Error::new(io::ErrorKind::InvalidData, format!("{}: {why}", file.display()))
                })?;
                check_same_members(&fresh.members, &known.members).map_err(told)?;
                known
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => fresh,
            Err(error) => {
                let hint = format!("{error}; name a folder that is empty or made by this program");
                return Err(told(io::Error::new(error.kind(), hint)));
            }
        };
        let kept = Some(Kept { file: file.clone(), _lock: lock });
        let store = Self { database: Mutex::new(database), kept, personality };
        store.save(&store.lock()).map_err(told)?;
        Ok(store)
    }

    fn lock(&self) -> MutexGuard<'_, Database> {
        self.database.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Looks something up.
    pub(crate) fn read<T>(&self, look: impl FnOnce(&Database) -> T) -> T {
        look(&self.lock())
    }

    /// Changes something. Where that fails nothing may have been changed; where it cannot be kept nothing is changed.
    pub(crate) fn change<T, E: From<io::Error>>(
        &self,
        change: impl FnOnce(&mut Database) -> Result<T, E>,
    ) -> Result<T, E> {
        let mut database = self.lock();
        if self.kept.is_none() {
            return change(&mut database);
        }
        let mut changed = database.clone();
        let result = change(&mut changed)?;
        self.save(&changed)?;
        *database = changed;
        Ok(result)
    }

    /// Writes a new file and puts it in the place of the old one.
    fn save(&self, database: &Database) -> io::Result<()> {
        let Some(Kept { file, .. }) = &self.kept else { return Ok(()) };
        let stored = Stored { format: FORMAT, personality: self.personality, database };
        let new = file.with_extension("new");
        let saved =
            fs::write(&new, serde_json::to_vec_pretty(&stored)?).and_then(|()| fs::rename(&new, file));
        saved.inspect_err(|_| {
            // On a full disk a half of it would take the room that others need.
            let _ = fs::remove_file(&new);
        })
    }
}

/// Refuses a folder in which somebody else keeps something.
fn check_empty(folder: &Path) -> io::Result<()> {
    for entry in fs::read_dir(folder)? {
        if entry?.file_name() != lock::FILE {
            let message = format!(
                "{} is not empty and holds no {FILE}; name a folder that is empty or made by this program",
                folder.display()
            );
            return Err(io::Error::new(io::ErrorKind::InvalidData, message));
        }
    }
    Ok(())
}

fn parse(text: &str, personality: &str) -> Result<Database, String> {
    let format: Format =
        serde_json::from_str(text).map_err(|error| format!("is no state of this program: {error}"))?;
    if format.format != FORMAT {
        return Err(format!(
            "has format {}, and this program knows format {FORMAT} only; use the program that made it, or another folder",
            format.format
        ));
    }
    if format.personality != personality {
        return Err(format!(
            "belongs to personality {:?} and not {personality:?}; name that one, or another folder",
            format.personality
        ));
    }
    let loaded: Loaded = serde_json::from_str(text).map_err(|error| format!("is damaged: {error}"))?;
    Ok(loaded.database)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::state::{ContentType, Volume, VolumeKey, VolumeKind};

    fn database() -> Database {
        let key = VolumeKey {
            pool: "p".to_owned(),
            project: "default".to_owned(),
            kind: VolumeKind::Custom,
            name: "v".to_owned(),
            member: "none".to_owned(),
        };
        let volume = Volume {
            description: String::new(),
            config: crate::config::config([("user.a", "1")]),
            content_type: ContentType::Block,
            created_at: None,
            snapshots: Vec::new(),
            backups: Vec::new(),
        };
        Database { volumes: [(key, volume)].into(), ..Database::default() }
    }

    #[test]
    fn a_folder_keeps_what_was_changed() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::in_folder(folder.path(), Database::default(), "lxd5").unwrap();
        store
            .change(|known| -> io::Result<()> {
                *known = database();
                Ok(())
            })
            .unwrap();
        drop(store);
        let again = Store::in_folder(folder.path(), Database::default(), "lxd5").unwrap();
        again.read(|known| assert_eq!(known.volumes.len(), 1));
    }

    #[test]
    fn a_folder_has_one_server_at_a_time() {
        let folder = tempfile::tempdir().unwrap();
        let open = || Store::in_folder(folder.path(), Database::default(), "lxd5");
        let store = open().unwrap();
        let before = fs::metadata(folder.path().join(FILE)).unwrap().modified().unwrap();
        let refused = open().unwrap_err();
        assert_eq!(refused.kind(), io::ErrorKind::ResourceBusy);
        assert!(refused.to_string().contains("in use by another emulator"), "{refused}");
        assert_eq!(fs::metadata(folder.path().join(FILE)).unwrap().modified().unwrap(), before);
        drop(store);
        open().unwrap();
    }

    #[test]
    fn what_cannot_be_kept_is_not_changed() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::in_folder(folder.path(), Database::default(), "lxd5").unwrap();
        let change = || {
            store.change(|known| -> io::Result<()> {
                *known = database();
                Ok(())
            })
        };
        // Not even root can write a file where a folder is.
        let new = folder.path().join("database.new");
        fs::create_dir(&new).unwrap();
        change().unwrap_err();
        store.read(|known| assert!(known.volumes.is_empty()));
        fs::remove_dir(&new).unwrap();
        change().unwrap();
        store.read(|known| assert_eq!(known.volumes.len(), 1));
    }

    #[test]
    fn other_formats_and_personalities_and_folders_of_others_are_refused() {
        let folder = tempfile::tempdir().unwrap();
        drop(Store::in_folder(folder.path(), Database::default(), "lxd5").unwrap());
        let refused = |personality| {
            Store::in_folder(folder.path(), Database::default(), personality).unwrap_err().to_string()
        };
        assert!(refused("incus6").contains("belongs to personality \"lxd5\""));
        fs::write(folder.path().join(FILE), r#"{"format":7,"personality":"lxd5"}"#).unwrap();
        assert!(refused("lxd5").contains("has format 7"));
        fs::rename(folder.path().join(FILE), folder.path().join("letters.txt")).unwrap();
        assert!(refused("lxd5").contains("is not empty"));
    }
}
