//! What follows a migration: the source of a move goes, and what a failed one left at the target is removed.

use std::time::Duration;

use lxd_types::VolumeType;
use tokio::time::Instant;

use super::Migration;
use crate::{Error, ErrorKind, VolumeHandle, doubt, object::Address as _};

/// A server that failed to receive a volume takes back what it has of it by itself, for so long at most.
const TAKES_BACK_WITHIN: Duration = Duration::from_secs(10);

/// It is looked so often whether it has: at first, and at last.
const FIRST_PAUSE: Duration = Duration::from_millis(50);
const LONGEST_PAUSE: Duration = Duration::from_secs(1);

impl Migration {
    /// The end of a move.
    pub(super) async fn delete_source(&self) -> Result<(), Error> {
        let Err(error) = self.source.volume().delete().await else { return Ok(()) };
        let error = error.having_changed();
        let unknown = matches!(error.kind(), ErrorKind::Interrupted | ErrorKind::Timeout(_));
        match self.source.volume().exists().await {
            // It was only the answer that got lost.
            Ok(false) if unknown => Ok(()),
            Err(_) if unknown => {
                Err(error.with_note("the copy is complete and stays; the source may be gone"))
            }
            _ => Err(error.with_note("the copy is complete and stays, and so does the source")),
        }
    }

    /// Makes room for another try under the same name.
    pub(super) async fn clear_for_another_try(&self, name: &str) {
        if !self.was_there {
            // What is in its way tells the next try better than this one.
            let _ = take_back(&self.pool.volume(VolumeType::Custom, name)).await;
        }
    }
}

/// Removes what a failed migration left at the target. Where the transfer may still go on nothing is touched, nor where
/// somebody else took the name in the meantime.
pub(super) async fn remove_leftover(error: Error, copy: &VolumeHandle) -> Error {
    let there = format!("{} of the target", copy.in_words());
    if matches!(error.kind(), ErrorKind::Timeout(_) | ErrorKind::Interrupted) {
        return error.having_changed().with_note("the transfer may go on").with_note(doubt::made(&there));
    }
    if error.is_already_exists() || error.server_message().is_some_and(|text| text.contains("already exists"))
    {
        return error;
    }
    match take_back(copy).await {
        Ok(()) => error,
        Err(cleanup) => {
            let note = format!("{there} is left, delete it before another try: {cleanup}");
            error.having_changed().with_note(note)
        }
    }
}

/// Waits until the server has taken back what it has of a copy, and deletes it if it doesn't.
///
/// The operation can end before that. Who deletes the copy meanwhile and tries again under its name gets the new one
/// taken away by the server, which takes it for the old one.
async fn take_back(copy: &VolumeHandle) -> Result<(), Error> {
    let (began, mut pause) = (Instant::now(), FIRST_PAUSE);
    while began.elapsed() < TAKES_BACK_WITHIN {
        if !copy.exists().await? {
            return Ok(());
        }
        tokio::time::sleep(pause).await;
        pause = (pause * 2).min(LONGEST_PAUSE);
    }
    match copy.delete().await {
        Err(error) if !error.is_not_found() => Err(error),
        _ => Ok(()),
    }
}
