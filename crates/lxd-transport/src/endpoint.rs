//! Where a server is, for messages and headers.

use std::{
    fmt,
    path::{Path, PathBuf},
};

/// Where a server is. A socket path stays a path: it is turned into text for messages only.
///
/// ```
/// use lxd_transport::Endpoint;
///
/// assert_eq!(Endpoint::unix("/run/lxd.sock").to_string(), "unix:/run/lxd.sock");
/// assert_eq!(Endpoint::unix("/run/lxd.sock").host_header(), "lxd");
/// assert_eq!(Endpoint::https("::1", 8443).to_string(), "https://[::1]:8443");
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Endpoint(Kind);

#[derive(Clone, Debug, PartialEq, Eq)]
enum Kind {
    Unix(PathBuf),
    Https { url: String },
    Custom(String),
}

const SCHEME: &str = "https://";

impl Endpoint {
    /// A Unix socket.
    #[must_use]
    pub fn unix(path: impl Into<PathBuf>) -> Self {
        Self(Kind::Unix(path.into()))
    }

    /// A host, by name or address, and a port for HTTPS.
    #[must_use]
    pub fn https(host: &str, port: u16) -> Self {
        let url = if host.contains(':') {
            format!("{SCHEME}[{host}]:{port}")
        } else {
            format!("{SCHEME}{host}:{port}")
        };
        Self(Kind::Https { url })
    }

    /// Anything else, by a name for messages.
    #[must_use]
    pub fn custom(name: impl Into<String>) -> Self {
        Self(Kind::Custom(name.into()))
    }

    /// What the `Host` header says: host and port for HTTPS, else `lxd`.
    #[must_use]
    pub fn host_header(&self) -> &str {
        match &self.0 {
            Kind::Https { url } => url.strip_prefix(SCHEME).unwrap_or(url),
            Kind::Unix(_) | Kind::Custom(_) => "lxd",
        }
    }

    /// The URL under which others reach the server too; `None` unless it is HTTPS.
    #[must_use]
    pub fn url(&self) -> Option<&str> {
        match &self.0 {
            Kind::Https { url } => Some(url),
            Kind::Unix(_) | Kind::Custom(_) => None,
        }
    }

    /// The path of the Unix socket.
    #[must_use]
    pub fn socket_path(&self) -> Option<&Path> {
        match &self.0 {
            Kind::Unix(path) => Some(path),
            Kind::Https { .. } | Kind::Custom(_) => None,
        }
    }
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Kind::Unix(path) => write!(f, "unix:{}", path.display()),
            Kind::Https { url } => f.write_str(url),
            Kind::Custom(name) => f.write_str(name),
        }
    }
}
