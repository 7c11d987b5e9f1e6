//! Files that arrive from elsewhere, and the volumes that come out of them.

use std::{
    io,
    path::{Path, PathBuf},
    sync::Arc,
};

use crate::{
    archive::{self, Unreadable},
    core::{Core, blocking},
    failure::Failure,
    scope,
    state::{ContentType, Snapshot, VolumeKey},
};

/// A file that is removed when nobody needs it any longer.
pub(crate) struct Arrival(PathBuf);

impl Drop for Arrival {
    fn drop(&mut self) {
        // Either there is one, or nothing is to be done.
        let _ = std::fs::remove_file(&self.0);
        let _ = crate::content::remove(&self.staging());
    }
}

impl Arrival {
    /// A place for a file; there is none yet.
    pub(crate) async fn new(core: &Core) -> io::Result<Self> {
        let folder = core.content.uploads();
        tokio::fs::create_dir_all(&folder).await?;
        Ok(Self(folder.join(crate::operations::uuid())))
    }

    pub(crate) fn path(&self) -> &Path {
        &self.0
    }

    /// Where its content is unpacked.
    pub(crate) fn staging(&self) -> PathBuf {
        self.0.with_extension("unpacked")
    }

    /// Unpacks an archive of a volume that is there already: its content, and these snapshots of it.
    pub(crate) async fn unpack(
        &self,
        core: &Arc<Core>,
        key: &VolumeKey,
        snapshots: &[Snapshot],
    ) -> Result<(), Failure> {
        let (path, staging, into) = (self.0.clone(), self.staging(), Arc::clone(core));
        let names: Vec<String> = snapshots.iter().map(|one| one.name.clone()).collect();
        let place = key.clone();
        let content_type = core.store.read(|database| {
            let volume = database.volumes.get(key).ok_or_else(scope::no_volume)?;
            Ok::<_, Failure>(volume.content_type)
        })?;
        let disk = content_type != ContentType::Filesystem;
        let folder = core.content.volume(key, content_type);
        blocking(core, move || {
            unpack(&path, &staging)?;
            let settle = if disk { archive::settle_disk } else { archive::settle };
            settle(&staging, archive::VOLUME, &folder)?;
            for name in &names {
                let folder = into.content.snapshot(&place, name);
                settle(&staging, &archive::snapshot_place(name), &folder)?;
            }
            Ok::<(), io::Error>(())
        })
        .await?;
        core.store.change(|database| {
            let volume = database.volumes.get_mut(key).ok_or_else(scope::no_volume)?;
            volume.snapshots.extend_from_slice(snapshots);
            Ok(())
        })
    }

    /// Unpacks what is at one place of an archive into a folder.
    pub(crate) async fn unpack_into(
        &self,
        core: &Arc<Core>,
        place: &'static str,
        folder: PathBuf,
    ) -> Result<(), Failure> {
        let (path, staging) = (self.0.clone(), self.staging());
        blocking(core, move || {
            unpack(&path, &staging)?;
            archive::settle(&staging, place, &folder).map_err(Failure::from)
        })
        .await
    }
}

fn unpack(path: &Path, staging: &Path) -> io::Result<()> {
    archive::unpack(path, staging).map_err(|unreadable| match unreadable {
        Unreadable::Broken(error) => error,
        Unreadable::Compression | Unreadable::NoIndex => io::Error::other("no backup any more"),
    })
}
