//! The way in by a Unix socket: connections accepted, and ended with their listener.

use std::{
    fs, io,
    os::unix::fs::FileTypeExt as _,
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
    /// The path is too long, somebody listens there already, or there is a file that is no socket. A socket that
    /// nobody listens on any longer is replaced. Outside of a tokio runtime too.
    pub fn listen_unix(&self, path: impl AsRef<Path>) -> io::Result<UnixListener> {
        let path = path.as_ref();
        make_room(path)?;
        let listener = TokioListener::bind(path)?;
        let core = Arc::clone(&self.core);
        let accepting = tokio::spawn(async move {
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
        Ok(UnixListener { path: path.to_owned(), accepting })
    }
}

/// Refuses a path that no listener can have, and takes away a socket without a listener.
fn make_room(path: &Path) -> io::Result<()> {
    let shown = path.display();
    let length = path.as_os_str().len();
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
        Err(_) => fs::remove_file(path),
    }
}

/// A Unix socket on which an emulator listens; dropping it ends that.
#[derive(Debug)]
#[must_use = "dropping it stops listening"]
pub struct UnixListener {
    path: PathBuf,
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
        // Somebody may have taken it away already.
        let _ = fs::remove_file(&self.path);
    }
}
