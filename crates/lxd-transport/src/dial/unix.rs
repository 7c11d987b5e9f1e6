//! Unix sockets.

use std::{
    fmt::Write,
    io,
    path::{Path, PathBuf},
};

use http::Uri;
use hyperlocal::UnixConnector;
use tower_service::Service;

use crate::{BoxFuture, Dial, Endpoint, Error, ErrorKind, Io};

/// Dials a Unix socket.
///
/// The path is resolved anew for each connection, so that a daemon may come back with another socket file.
#[derive(Clone, Debug)]
pub struct Unix {
    path: PathBuf,
    endpoint: Endpoint,
}

impl Unix {
    /// The socket at this path. Nothing is opened yet.
    #[must_use]
    pub fn new(path: impl Into<PathBuf>) -> Self {
        let path = path.into();
        Self { endpoint: Endpoint::unix(path.clone()), path }
    }
}

impl Dial for Unix {
    fn dial(&self) -> BoxFuture<'_, Result<Box<dyn Io>, Error>> {
        Box::pin(async move { connect(&self.path).await.map_err(|error| explain(&self.path, error)) })
    }

    fn endpoint(&self) -> &Endpoint {
        &self.endpoint
    }
}

pub(crate) async fn connect(path: &Path) -> io::Result<Box<dyn Io>> {
    match path.to_str().and_then(hex_uri) {
        Some(uri) => Ok(Box::new(UnixConnector.call(uri).await?)),
        // hyperlocal reads its URIs as UTF-8 with replacements, and would look for another file than this one.
        None => Ok(Box::new(tokio::net::UnixStream::connect(path).await?)),
    }
}

/// The form in which hyperlocal takes a path. It goes nowhere else.
fn hex_uri(path: &str) -> Option<Uri> {
    let mut uri = String::with_capacity(10 + path.len() * 2);
    uri.push_str("unix://");
    for byte in path.bytes() {
        // Writing to a String cannot fail.
        let _ = write!(uri, "{byte:02x}");
    }
    uri.push_str(":0/");
    Uri::try_from(uri).ok()
}

/// What is wrong, and what to do about it.
pub(crate) fn explain(path: &Path, error: io::Error) -> Error {
    let hint = match error.kind() {
        io::ErrorKind::NotFound => "no such socket: is the server installed, and is this its socket?",
        io::ErrorKind::PermissionDenied => {
            "no permission: is this user in the group of the socket (lxd, incus-admin)?"
        }
        io::ErrorKind::ConnectionRefused => "nobody listens: is the daemon running?",
        _ => "cannot connect",
    };
    Error::new(ErrorKind::Connect, format!("unix:{}: {hint}", path.display())).with_source(error)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_problem_has_its_hint() {
        for (kind, hint) in [
            (io::ErrorKind::NotFound, "installed"),
            (io::ErrorKind::PermissionDenied, "group"),
            (io::ErrorKind::ConnectionRefused, "running"),
        ] {
            let error = explain(Path::new("/run/x.sock"), kind.into());
            assert_eq!(error.kind(), ErrorKind::Connect);
            assert!(
                error.to_string().contains("unix:/run/x.sock") && error.to_string().contains(hint),
                "{error}"
            );
        }
    }
}
