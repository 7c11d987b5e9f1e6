//! A backup that is made to be fetched at once, and that goes again whatever happens.

use std::{
    sync::atomic::{AtomicU64, Ordering},
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use lxd_transport::Reached;
use tokio::task::JoinHandle;

use crate::{
    Error, ErrorKind,
    kept::{Kept, Packable},
};

/// So often the removal of a temporary backup is tried.
const REMOVALS: u32 = 5;

/// A name for something that must not stay, which nobody else chooses, on this machine or another.
pub(crate) fn unique_name(kind: &str) -> String {
    static NEXT: AtomicU64 = AtomicU64::new(0);
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let number = NEXT.fetch_add(1, Ordering::Relaxed);
    format!("{kind}-{:x}-{:x}-{number:x}", now.as_nanos(), std::process::id())
}

/// A backup on the server that must not stay.
pub(crate) struct Temporary<O: Packable> {
    pub(crate) backup: Kept<O>,
    pub(crate) packing: Option<JoinHandle<Result<(), Error>>>,
    armed: bool,
    /// Whether it was asked for and the answer lost: it may come yet.
    may_come: bool,
}

impl<O: Packable> Temporary<O> {
    pub(crate) fn new(backup: Kept<O>) -> Self {
        Self { backup, packing: None, armed: true, may_come: false }
    }

    /// Waits until it is packed.
    pub(crate) async fn packed(&mut self) -> Result<(), Error> {
        let Some(packing) = &mut self.packing else { return Ok(()) };
        let packed = packing.await;
        self.packing = None;
        match packed {
            Ok(Ok(())) => Ok(()),
            Ok(Err(error)) => {
                // Where the server refused to begin there is nothing to remove.
                let refused = error.operation().is_none() && error.server_message().is_some();
                self.armed = !refused && error.request_reached_server() != Reached::No;
                self.may_come = self.armed && error.operation().is_none();
                Err(error)
            }
            Err(error) => {
                Err(Error::new(ErrorKind::Interrupted, "the export was stopped").with_source(error))
            }
        }
    }

    /// Removes it; gives its name if that is in vain.
    pub(crate) async fn remove(mut self) -> Result<(), (String, Error)> {
        self.armed = false;
        let removed = remove(&self.backup, self.may_come).await;
        removed.map_err(|error| (self.backup.name().to_owned(), error))
    }

    /// Removes it after an error, unless there is nothing to remove; what fails then is added to the error.
    pub(crate) async fn remove_after(self, error: Error) -> Error {
        if !self.armed {
            return error;
        }
        match self.remove().await {
            Ok(()) => error,
            Err((name, cleanup)) => {
                error.with_note(format!("the backup {name:?} is left on the server for a day: {cleanup}"))
            }
        }
    }
}

impl<O: Packable> Drop for Temporary<O> {
    fn drop(&mut self) {
        if !self.armed {
            return;
        }
        // Without a runtime there is nobody to do it; then it expires.
        let Ok(runtime) = tokio::runtime::Handle::try_current() else { return };
        let (backup, packing, may_come) = (self.backup.clone(), self.packing.take(), self.may_come);
        runtime.spawn(async move {
            if let Some(packing) = packing {
                let _ = packing.await;
            }
            if let Err(error) = remove(&backup, may_come).await {
                tracing::warn!(backup = backup.name(), %error, "a temporary backup is left on the server for a day");
            }
        });
    }
}

/// Deletes it. One that may come yet is looked for until the last try.
async fn remove<O: Packable>(backup: &Kept<O>, may_come: bool) -> Result<(), Error> {
    let mut pause = Duration::from_millis(100);
    for _ in 1..REMOVALS {
        match backup.delete().await {
            Ok(()) => return Ok(()),
            Err(error) if error.is_not_found() && !may_come => return Ok(()),
            Err(_) => tokio::time::sleep(pause).await,
        }
        pause *= 2;
    }
    match backup.delete().await {
        Err(error) if !error.is_not_found() => Err(error),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unique_names_differ() {
        assert_ne!(unique_name("x"), unique_name("x"));
    }
}
