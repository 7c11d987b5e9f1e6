//! A snapshot in the place of one of the same name.

use lxd_types::StorageVolumeSnapshotsPost;

use crate::{Error, ErrorKind, Snapshot, Snapshots, temporary::unique_name};

/// So often others may come in between.
const TRIES: usize = 4;

/// Takes a snapshot; where the name is taken, that one goes, but not before the new one is there.
pub(crate) async fn create(
    snapshots: &Snapshots,
    wanted: StorageVolumeSnapshotsPost,
) -> Result<Snapshot, Error> {
    let name = wanted.name.clone();
    for _ in 0..TRIES {
        match snapshots.create(wanted.clone()).await {
            Err(error) if error.is_already_exists() => {}
            done => return done,
        }
        let aside = match snapshots.volume().snapshot(&*name).rename(unique_name("replaced")).await {
            Ok(aside) => aside,
            // Somebody else has just taken it away.
            Err(error) if error.is_not_found() => continue,
            Err(error) => return Err(error),
        };
        let kept = format!("the snapshot that was there is called {:?} now", aside.name());
        return match snapshots.create(wanted).await {
            Ok(snapshot) => match aside.delete().await {
                Err(error) if !error.is_not_found() => {
                    Err(error.with_note(format!("the new snapshot was taken; {kept}")))
                }
                _ => Ok(snapshot),
            },
            Err(error) => match aside.rename(&*name).await {
                Ok(_) => Err(error),
                Err(back) => Err(error.with_note(format!("{kept}, since it could not be renamed: {back}"))),
            },
        };
    }
    let message = format!("snapshot {name:?} was taken and deleted by somebody else at the same time");
    Err(Error::new(ErrorKind::AlreadyExists, message))
}
