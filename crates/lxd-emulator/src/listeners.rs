//! The way in by a Unix socket: connections accepted, and ended with their listener.

use std::{
    fs, io,
    os::unix::fs::{FileTypeExt as _, MetadataExt as _},
    path::{Path, PathBuf},
    sync::Arc,
};

use tokio::{net::UnixListener as TokioListener, task::JoinSet};

use crate::{Emulator, call::Caller, connection::connection};

/// Longer paths no socket can have, on any Unix that matters.
const PATH_MAX: usize = 107;

impl Emulator {
    /// Listens on a Unix socket until what is returned is dropped, which also ends its connections.
    ///
    /// # Errors
    /// The path is too long, somebody listens there already, there is a file that is no socket, or no socket can be
    /// made. A socket that nobody listens on any longer is replaced. Outside of a tokio runtime nothing is done.
    pub fn listen_unix(&self, path: impl AsRef<Path>) -> io::Result<UnixListener> {
        let path = path.as_ref();
        // Before there is a socket that nobody would remove.
        let runtime = tokio::runtime::Handle::try_current().map_err(io::Error::other)?;
        let told = |error: io::Error| {
            io::Error::new(error.kind(), format!("cannot listen on {}: {error}", path.display()))
        };
        make_room(path)?;
        let listener = TokioListener::bind(path).map_err(told)?;
        let own = identity(path).map_err(told)?;
        let core = Arc::clone(&self.core);
        let accepting = runtime.spawn(async move {
            let mut connections = JoinSet::new();
            loop {
                tokio::select! {
                    accepted = listener.accept() => match accepted {
                        Ok((stream, _)) => drop(connections.spawn(connection(stream, Arc::clone(&core), Caller::Local))),
                        // Out of file descriptors, as a rule: others have to be closed first.
                        Err(_) => tokio::time::sleep(std::time::Duration::from_millis(50)).await,
                    },
                    Some(_) = connections.join_next() => {}
                }
            }
        });
        Ok(UnixListener { path: path.to_owned(), own, accepting })
    }
}

/// Refuses a path that no listener can have, and takes away a socket without a listener.
fn make_room(path: &Path) -> io::Result<()> {
    let shown = path.display();
    let length = path.as_os_str().len();
    if length == 0 {
        // The system would choose an address that nobody knows.
        return Err(io::Error::new(
            io::ErrorKind::InvalidInput,
            "the path of the socket is empty; name a file",
        ));
    }
    if length > PATH_MAX {
        let text = format!("the path {shown} has {length} bytes; a socket's may have {PATH_MAX}");
        return Err(io::Error::new(io::ErrorKind::InvalidInput, text));
    }
    let Ok(found) = fs::symlink_metadata(path) else { return Ok(()) };
    if !found.file_type().is_socket() {
        let text = format!("{shown} is there already and is no socket");
        return Err(io::Error::new(io::ErrorKind::AlreadyExists, text));
    }
    match std::os::unix::net::UnixStream::connect(path) {
        Ok(_) => {
            let text = format!("somebody listens on {shown} already");
            Err(io::Error::new(io::ErrorKind::AddrInUse, text))
        }
        // Anything else, as a permission that lacks, says nothing about who listens.
        Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => fs::remove_file(path),
        Err(error) => {
            let text = format!("cannot tell whether somebody listens on {shown}: {error}");
            Err(io::Error::new(error.kind(), text))
        }
    }
}

/// Which file a path leads to: its device and its inode.
fn identity(path: &Path) -> io::Result<(u64, u64)> {
    let found = fs::symlink_metadata(path)?;
    Ok((found.dev(), found.ino()))
}

/// A Unix socket on which an emulator listens; dropping it ends that.
#[derive(Debug)]
#[must_use = "dropping it stops listening"]
pub struct UnixListener {
    path: PathBuf,
    /// The socket's [`identity`].
    own: (u64, u64),
    accepting: tokio::task::JoinHandle<()>,
}

impl UnixListener {
    /// Where the socket is.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }
}

impl Drop for UnixListener {
    fn drop(&mut self) {
        self.accepting.abort();
        // Somebody may have taken it away already, and listen there with a socket of their own.
        if identity(&self.path).is_ok_and(|found| found == self.own) {
            let _ = fs::remove_file(&self.path);
        }
    }
}
