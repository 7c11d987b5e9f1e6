//! A folder for one emulator at a time: a file in it that is locked as long as the emulator lives.

use std::{
    fs::{File, TryLockError},
    io,
    path::Path,
};

/// The file that is locked. It stays when the lock goes, which it does with the process at the latest.
pub(crate) const FILE: &str = "emulator.lock";

/// Holds a folder until it is dropped.
#[derive(Debug)]
pub(crate) struct Lock {
    /// The lock is this open file's own.
    _file: File,
}

impl Lock {
    /// Takes a folder, unless another emulator has it.
    pub(crate) fn take(folder: &Path) -> io::Result<Self> {
        let path = folder.join(FILE);
        let told = |error: io::Error| io::Error::new(error.kind(), format!("{}: {error}", path.display()));
        let file = File::options().create(true).truncate(false).write(true).open(&path).map_err(told)?;
        match file.try_lock() {
            Ok(()) => Ok(Self { _file: file }),
            Err(TryLockError::WouldBlock) => {
                let text = format!("the folder {} is in use by another emulator", folder.display());
                Err(io::Error::new(io::ErrorKind::ResourceBusy, text))
            }
            Err(TryLockError::Error(error)) => Err(told(error)),
        }
    }
}
