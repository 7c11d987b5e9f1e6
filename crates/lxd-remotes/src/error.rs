//! The one error of this crate.

use std::{
    error::Error as StdError,
    fmt, io,
    path::{Path, PathBuf},
};

/// What went wrong, in words that programs can act on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ErrorKind {
    /// Nothing says where the config folder is.
    NoFolder,
    /// A file can't be read or written. [`Error::path`] names it.
    File,
    /// `config.yml` isn't what the command line clients write. [`Error::line`] says where, if that is known.
    Malformed,
    /// There is no remote of this name.
    NotFound,
    /// There is a remote of this name already.
    AlreadyExists,
    /// A name, an address or a combination of settings makes no sense, or would do damage.
    InvalidInput,
    /// The remote serves images and no storage.
    NotAServer,
    /// There is no usable client certificate.
    NoIdentity,
    /// The remote wants bearer tokens, and the caller brought no source of them.
    NoTokens,
    /// The remote authenticates in a way that this crate doesn't know.
    UnsupportedAuth,
    /// The text is no token for adding a remote.
    BadToken,
    /// The token's time is over. Nothing was sent.
    ExpiredToken,
    /// A server showed another certificate than expected, or one that the caller declined. It got no secret.
    WrongCertificate,
    /// No address of the remote answered.
    Unreachable,
    /// The server doesn't take the token or password, or doesn't trust this client afterwards.
    Refused,
    /// Other trouble with the server, or in a call of the storage client. [`Error::storage`] has it.
    Server,
}

impl fmt::Display for ErrorKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::NoFolder => "no config folder",
            Self::File => "file error",
            Self::Malformed => "malformed config",
            Self::NotFound => "no such remote",
            Self::AlreadyExists => "remote already exists",
            Self::InvalidInput => "invalid input",
            Self::NotAServer => "not a storage server",
            Self::NoIdentity => "no client certificate",
            Self::NoTokens => "no source of bearer tokens",
            Self::UnsupportedAuth => "unsupported authentication",
            Self::BadToken => "not a token for adding a remote",
            Self::ExpiredToken => "expired token",
            Self::WrongCertificate => "wrong server certificate",
            Self::Unreachable => "unreachable",
            Self::Refused => "refused by the server",
            Self::Server => "server error",
        })
    }
}

/// Why a call failed. No secret is ever in it.
///
/// `{}` prints one line with what to do, `{:#}` adds each cause once.
///
/// ```
/// use lxd_remotes::{ErrorKind, JoinToken};
///
/// let error = "hello".parse::<JoinToken>().unwrap_err();
/// assert_eq!(error.kind(), ErrorKind::BadToken);
/// ```
pub struct Error(Box<Inner>);

struct Inner {
    kind: ErrorKind,
    message: String,
    path: Option<PathBuf>,
    line: Option<usize>,
    source: Option<Box<dyn StdError + Send + Sync>>,
}

impl Error {
    pub(crate) fn new(kind: ErrorKind, message: impl Into<String>) -> Self {
        Self(Box::new(Inner { kind, message: message.into(), path: None, line: None, source: None }))
    }

    pub(crate) fn invalid(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::InvalidInput, message)
    }

    /// A file that can't be read or written.
    pub(crate) fn file(path: &Path, what: &str, error: io::Error) -> Self {
        Self::new(ErrorKind::File, what).at(path, None).with_source(error)
    }

    pub(crate) fn at(mut self, path: &Path, line: Option<usize>) -> Self {
        self.0.path = Some(path.to_owned());
        self.0.line = line;
        self
    }

    pub(crate) fn with_source(mut self, source: impl Into<Box<dyn StdError + Send + Sync>>) -> Self {
        self.0.source = Some(source.into());
        self
    }

    /// The cause by value, for an error that sums up several.
    pub(crate) fn into_source(self) -> Option<Box<dyn StdError + Send + Sync>> {
        self.0.source
    }

    /// What went wrong.
    #[must_use]
    pub fn kind(&self) -> ErrorKind {
        self.0.kind
    }

    /// The file that it is about.
    #[must_use]
    pub fn path(&self) -> Option<&Path> {
        self.0.path.as_deref()
    }

    /// The line of that file, counted from 1.
    #[must_use]
    pub fn line(&self) -> Option<usize> {
        self.0.line
    }

    /// What the storage client said, where a server or the way to it was the cause, and where a call of a finished client
    /// failed.
    #[must_use]
    pub fn storage(&self) -> Option<&lxd_storage::Error> {
        self.0.source.as_deref()?.downcast_ref()
    }
}

/// What a call of a finished client failed with, so that one function can make a client and use it. The kind is
/// [`Unreachable`](ErrorKind::Unreachable) without a connection, [`InvalidInput`](ErrorKind::InvalidInput) for input that
/// makes no sense, and [`Server`](ErrorKind::Server) for all else; [`Error::storage`] has what is to be acted on.
///
/// ```no_run
/// # async fn example(remotes: lxd_remotes::Remotes) -> Result<(), lxd_remotes::Error> {
/// let pools = remotes.client("backup").await?.storage_pools().all().await?;
/// # Ok(()) }
/// ```
impl From<lxd_storage::Error> for Error {
    fn from(error: lxd_storage::Error) -> Self {
        use lxd_storage::{ErrorKind as Storage, transport::Phase};
        let kind = match error.kind() {
            Storage::Connect | Storage::Timeout(Phase::Dial) => ErrorKind::Unreachable,
            Storage::InvalidInput => ErrorKind::InvalidInput,
            _ => ErrorKind::Server,
        };
        Self::new(kind, error.to_string()).with_source(error)
    }
}

/// As an error of the storage client.
macro_rules! from_what_the_storage_client_takes {
    ($($error:ty),*) => {
        $(impl From<$error> for Error {
            fn from(error: $error) -> Self {
                lxd_storage::Error::from(error).into()
            }
        })*
    };
}
from_what_the_storage_client_takes!(
    lxd_storage::transport::Error,
    lxd_storage::types::ParseError,
    lxd_storage::types::ValueError
);

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(path) = &self.0.path {
            write!(f, "{}:", path.display())?;
            if let Some(line) = self.0.line {
                write!(f, "{line}:")?;
            }
            f.write_str(" ")?;
        }
        write!(f, "{}: {}", self.0.kind, self.0.message)?;
        if f.alternate() {
            let mut told = self.0.message.clone();
            let mut cause = self.source();
            while let Some(error) = cause {
                let text = error.to_string();
                if !told.contains(&text) {
                    write!(f, ": {text}")?;
                    told = text;
                }
                cause = error.source();
            }
        }
        Ok(())
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Error")
            .field("kind", &self.0.kind)
            .field("message", &self.0.message)
            .field("path", &self.0.path)
            .field("line", &self.0.line)
            .field("source", &self.0.source)
            .finish()
    }
}

impl StdError for Error {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.0.source.as_deref().map(|source| source as &(dyn StdError + 'static))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn path_and_line_come_first_and_causes_on_request() {
        let error = Error::new(ErrorKind::Malformed, "a remote without address")
            .at(Path::new("/c/config.yml"), Some(7))
            .with_source(io::Error::other("deep"));
        assert_eq!(error.to_string(), "/c/config.yml:7: malformed config: a remote without address");
        assert!(format!("{error:#}").ends_with("address: deep"));
        assert_eq!((error.line(), size_of::<Error>()), (Some(7), size_of::<usize>()));
    }

    #[tokio::test]
    async fn a_call_of_a_client_fails_with_what_it_said() {
        async fn pools(socket: &str) -> Result<usize, Error> {
            Ok(lxd_storage::Client::unix(socket).storage_pools().all().await?.len())
        }
        let error = pools("/nowhere/at/all").await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unreachable);
        assert_eq!(error.storage().unwrap().kind(), lxd_storage::ErrorKind::Connect);
        let no_name = lxd_storage::Client::unix("/nowhere").storage_pools().get("").await.unwrap_err();
        assert_eq!(Error::from(no_name).kind(), ErrorKind::InvalidInput);
        let no_size = "ten".parse::<lxd_storage::types::Size>().unwrap_err();
        assert_eq!(Error::from(no_size).kind(), ErrorKind::InvalidInput);
    }
}
