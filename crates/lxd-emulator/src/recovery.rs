//! What a server that was killed has left in its folder: uploads, and what was not finished.

use std::{fs, io, path::Path};

use crate::{
    content::{self, Content, component},
    state::{ContentType, Database, Unfinished},
    store::Store,
};

/// Takes it away, before anybody can ask for it: the content first, so that what was not finished stays known until it
/// is gone.
pub(crate) fn run(store: &Store, content: &Content) -> io::Result<()> {
    content::remove(&content.uploads())?;
    let unfinished = store.read(|database| database.unfinished.clone());
    if unfinished == Unfinished::default() {
        return Ok(());
    }
    for key in &unfinished.volumes {
        let known = store.read(|database| database.volumes.get(key).map(|volume| volume.content_type));
        content.remove(key, known.unwrap_or(ContentType::Filesystem))?;
    }
    for key in &unfinished.buckets {
        content::remove(&content.bucket(key))?;
        content::remove(&content.bucket_backups(key))?;
    }
    for (key, name) in &unfinished.backups {
        remove_file(&content.backups(key).join(component(name)))?;
    }
    for (key, name) in &unfinished.bucket_backups {
        remove_file(&content.bucket_backups(key).join(component(name)))?;
    }
    store.change(|database| {
        forget(database);
        Ok(())
    })
}

fn remove_file(file: &Path) -> io::Result<()> {
    match fs::remove_file(file) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

/// Takes the entries of all that is unfinished out of the database, those of instances without a volume too.
fn forget(database: &mut Database) {
    let unfinished = std::mem::take(&mut database.unfinished);
    for key in &unfinished.volumes {
        database.volumes.remove(key);
        if key.kind.is_instance() {
            database.instances.remove(&(key.project.clone(), key.name.clone()));
        }
    }
    for key in &unfinished.buckets {
        database.buckets.remove(key);
    }
    for (key, name) in &unfinished.backups {
        if let Some(volume) = database.volumes.get_mut(key) {
            volume.backups.retain(|one| one.name != *name);
        }
    }
    for (key, name) in &unfinished.bucket_backups {
        if let Some(bucket) = database.buckets.get_mut(key) {
            bucket.backups.retain(|one| one.name != *name);
        }
    }
}
