//! Why a request got no usable answer.

use std::{borrow::Cow, error::Error as StdError, fmt, io};

/// What went wrong on the way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ErrorKind {
    /// No connection.
    Connect,
    /// No trust: the handshake failed on either side.
    Tls,
    /// The time given to a phase ran out.
    Timeout(Phase),
    /// The connection broke, or what came over it was no HTTP.
    Interrupted,
    /// The answer is longer than the caller takes.
    TooLarge,
    /// A setting, a request or the body that comes with it makes no sense.
    InvalidInput,
    /// A transport of somebody else failed in its own way.
    Other,
}

/// A phase of a call with a time limit of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Phase {
    /// Resolving, connecting and the handshake together.
    Dial,
    /// From the request to the head of its answer.
    FirstByte,
    /// Between two chunks of the answer.
    Idle,
    /// The whole call.
    Total,
    /// Waiting for long work on the server. No limit of this crate; the layer above has one.
    Wait,
}

impl fmt::Display for ErrorKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Connect => f.pad("no connection"),
            Self::Tls => f.pad("no trust"),
            Self::Timeout(phase) => write!(f, "timeout {phase}"),
            Self::Interrupted => f.pad("interrupted"),
            Self::TooLarge => f.pad("too large"),
            Self::InvalidInput => f.pad("invalid input"),
            Self::Other => f.pad("trouble of the transport"),
        }
    }
}

impl fmt::Display for Phase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Dial => "while connecting",
            Self::FirstByte => "while waiting for the answer",
            Self::Idle => "in the middle of the answer",
            Self::Total => "of the whole call",
            Self::Wait => "while waiting for the operation",
        })
    }
}

/// Whether a request can have reached the server: what a retry may assume.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[allow(clippy::exhaustive_enums, reason = "there is no fourth possibility")]
pub enum Reached {
    /// Not a byte of it left.
    No,
    /// It was on its way, and nobody knows.
    Maybe,
    /// The server answered.
    Yes,
}

/// Why a request got no usable answer. One word wide.
///
/// `{}` prints one line about this layer, hint included; `{:#}` adds each cause once.
///
/// ```
/// use lxd_transport::{Error, ErrorKind, Reached};
///
/// let error = Error::new(ErrorKind::Interrupted, "the tunnel collapsed").with_reached(Reached::Maybe);
/// assert_eq!(error.to_string(), "the tunnel collapsed");
/// ```
pub struct Error(Box<Inner>);

struct Inner {
    kind: ErrorKind,
    reached: Reached,
    message: Cow<'static, str>,
    source: Option<Box<dyn StdError + Send + Sync>>,
}

impl Error {
    /// An error of a transport or dialer, with [`Reached::No`] until said otherwise.
    #[must_use]
    pub fn new(kind: ErrorKind, message: impl Into<Cow<'static, str>>) -> Self {
        Self(Box::new(Inner { kind, reached: Reached::No, message: message.into(), source: None }))
    }

    /// Adds the cause.
    #[must_use]
    pub fn with_source(mut self, source: impl Into<Box<dyn StdError + Send + Sync>>) -> Self {
        self.0.source = Some(source.into());
        self
    }

    /// Says whether the request can have reached the server.
    #[must_use]
    pub fn with_reached(mut self, reached: Reached) -> Self {
        self.0.reached = reached;
        self
    }

    /// What went wrong.
    #[must_use]
    pub fn kind(&self) -> ErrorKind {
        self.0.kind
    }

    /// Whether the request can have reached the server.
    #[must_use]
    pub fn reached(&self) -> Reached {
        self.0.reached
    }

    /// The line that [`Display`](fmt::Display) prints.
    #[must_use]
    pub fn message(&self) -> &str {
        &self.0.message
    }

    /// The cause by value, for a layer that makes an error of its own out of this one.
    #[must_use]
    pub fn into_source(self) -> Option<Box<dyn StdError + Send + Sync>> {
        self.0.source
    }

    pub(crate) fn timeout(phase: Phase, limit: std::time::Duration) -> Self {
        let what = match phase {
            Phase::Dial => "no connection",
            Phase::FirstByte => "no answer",
            Phase::Idle => "nothing more of the answer",
            Phase::Total | Phase::Wait => "not done",
        };
        Self::new(ErrorKind::Timeout(phase), format!("{what} within {limit:?}"))
    }

    /// Says how often it was tried, where that was more than once.
    pub(crate) fn after_tries(mut self, tries: u32) -> Self {
        if tries > 1 {
            self.0.message = format!("{} (tried {tries} times)", self.0.message).into();
        }
        self
    }

    pub(crate) fn invalid(message: impl Into<Cow<'static, str>>) -> Self {
        Self::new(ErrorKind::InvalidInput, message)
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.message)?;
        if f.alternate() {
            let mut cause = self.source();
            while let Some(error) = cause {
                write!(f, ": {error}")?;
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
            .field("reached", &self.0.reached)
            .field("message", &self.0.message)
            .field("source", &self.0.source)
            .finish()
    }
}

impl StdError for Error {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.0.source.as_deref().map(|source| source as &(dyn StdError + 'static))
    }
}

/// For dialers: an I/O error while connecting.
impl From<io::Error> for Error {
    fn from(error: io::Error) -> Self {
        Self::new(ErrorKind::Connect, "cannot connect").with_source(error)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn travels<T: Send + Sync + 'static>() {}

    #[test]
    fn it_is_one_word_and_travels() {
        travels::<Error>();
        assert_eq!(size_of::<Error>(), size_of::<usize>());
    }

    #[test]
    fn each_cause_is_told_once() {
        let error = Error::from(io::Error::other("no route"));
        assert_eq!(error.to_string(), "cannot connect");
        assert_eq!(format!("{error:#}"), "cannot connect: no route");
        assert_eq!((error.kind(), error.reached()), (ErrorKind::Connect, Reached::No));
    }
}
