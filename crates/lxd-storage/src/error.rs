//! The one error of this crate.

use std::{borrow::Cow, error::Error as StdError, fmt};

use http::{Method, StatusCode, Uri};
use lxd_transport::{Phase, Reached};
use lxd_types::{ParseError, Secret, ValueError};

use crate::{classify, conceal::conceal};

/// What went wrong, in words that programs can act on.
///
/// The kind says what happened at this layer. A failure inside long work is always
/// [`OperationFailed`](Self::OperationFailed), whatever its cause; ask [`Error::is_not_found`],
/// [`Error::is_already_exists`], [`Error::is_in_use`], [`Error::is_limit_reached`] or [`Error::is_no_space`] where it
/// makes no difference whether the server did the work at once or in the background, since the same call is one on
/// older servers and the other on newer ones.
///
/// ```
/// # async fn example(data: lxd_storage::VolumeHandle) -> Result<(), lxd_storage::Error> {
/// use lxd_storage::CopyTo;
///
/// match data.copy_to(CopyTo::pool("archive")).await {
///     Err(error) if error.is_no_space() => println!("the pool is full: add a disk"),
///     Err(error) if error.is_limit_reached() => println!("the project may have no more: ask its owner"),
///     Err(error) if error.is_in_use() => println!("stop the instance first"),
///     Err(error) if error.is_already_exists() => println!("it is there already"),
///     other => drop(other?),
/// }
/// # Ok(()) }
/// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doc/server.rs"));
/// # fn main() { on_emulator!(example(data)) }
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ErrorKind {
    /// No connection to the server; nothing was sent.
    Connect,
    /// The TLS handshake failed: an untrusted server, or a client certificate that it didn't like.
    Tls,
    /// The time given to one phase ran out.
    Timeout(Phase),
    /// The object, or the handle's object after it was deleted, is not there.
    NotFound,
    /// The name is taken.
    AlreadyExists,
    /// Somebody uses the object.
    InUse,
    /// A limit of the project is reached. No server has a code for it; its text is looked at.
    LimitReached,
    /// The pool, or what the size of the volume allows, is full. No server has a code for it; its text is looked at.
    NoSpace,
    /// Somebody changed the object since it was read (a lost update, prevented).
    PreconditionFailed,
    /// The server doesn't allow it to this caller.
    Forbidden,
    /// The server lacks an API extension; nothing was sent. [`Error::extension`] names it.
    UnsupportedExtension,
    /// The request makes no sense, by our own check before sending or by the server's.
    InvalidInput,
    /// A file, reader or writer of this program's own failed. The source is the [`std::io::Error`].
    Local,
    /// The answer is not what the API promises.
    Decode,
    /// Long work ended in failure. [`Error::code`] has the server's code.
    OperationFailed,
    /// Long work was stopped on request.
    Cancelled,
    /// The connection broke, or we lost sight of long work: its outcome is unknown.
    Interrupted,
    /// The server failed.
    Server,
}

impl fmt::Display for ErrorKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Connect => "cannot connect",
            Self::Tls => "no trust",
            Self::Timeout(Phase::Dial) => "timeout while connecting",
            Self::Timeout(Phase::FirstByte) => "timeout while waiting for the answer",
            Self::Timeout(Phase::Idle) => "timeout in the middle of the answer",
            Self::Timeout(Phase::Wait) => "timeout while waiting for the operation",
            Self::Timeout(_) => "timeout",
            Self::NotFound => "not found",
            Self::AlreadyExists => "already exists",
            Self::InUse => "in use",
            Self::LimitReached => "limit reached",
            Self::NoSpace => "no space",
            Self::PreconditionFailed => "changed by somebody else",
            Self::Forbidden => "forbidden",
            Self::UnsupportedExtension => "not supported by this server",
            Self::InvalidInput => "invalid input",
            Self::Local => "local trouble",
            Self::Decode => "unexpected answer",
            Self::OperationFailed => "operation failed",
            Self::Cancelled => "operation cancelled",
            Self::Interrupted => "interrupted",
            Self::Server => "server error",
        })
    }
}

/// Why a call failed: what was asked of which URL, what the server said, and what a retry may assume.
///
/// `{}` prints one line about this layer, `{:#}` adds what each cause has to say beyond that.
///
/// Trying again, where that is both safe and of use:
///
/// ```
/// # async fn example(volume: lxd_storage::VolumeHandle) -> Result<(), lxd_storage::Error> {
/// use std::time::Duration;
///
/// let mut pause = Duration::from_millis(100);
/// let volume = loop {
///     match volume.get().await {
///         Err(error) if error.is_transient() && error.is_retry_safe() && pause.as_secs() < 10 => {
///             tokio::time::sleep(pause).await;
///             pause *= 2;
///         }
///         done => break done?,
///     }
/// };
/// # Ok(()) }
/// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doc/server.rs"));
/// # fn main() { on_emulator!(example(volume)) }
/// ```
///
/// ```
/// # async fn example(client: lxd_storage::Client) -> Result<(), lxd_storage::Error> {
/// let error = client.storage_pools().get("nowhere").await.unwrap_err();
/// assert_eq!(error.kind(), lxd_storage::ErrorKind::NotFound);
/// assert_eq!(error.to_string(), "GET /1.0/storage-pools/nowhere: not found: Storage pool not found");
/// # Ok(()) }
/// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doc/server.rs"));
/// # fn main() { on_emulator!(example(client)) }
/// ```
pub struct Error(Box<Inner>);

struct Inner {
    kind: ErrorKind,
    method: Option<Method>,
    uri: Option<Uri>,
    status: Option<StatusCode>,
    code: Option<u16>,
    message: String,
    from_server: bool,
    reached: Reached,
    /// Something was changed on a server before this failed.
    changed: bool,
    operation: Option<String>,
    extension: Option<String>,
    source: Option<Box<dyn StdError + Send + Sync>>,
}

impl Error {
    pub(crate) fn new(kind: ErrorKind, message: impl Into<String>) -> Self {
        Self(Box::new(Inner {
            kind,
            method: None,
            uri: None,
            status: None,
            code: None,
            message: message.into(),
            from_server: false,
            reached: Reached::No,
            changed: false,
            operation: None,
            extension: None,
            source: None,
        }))
    }

    /// Input that we refuse before anything is sent.
    pub(crate) fn invalid(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::InvalidInput, message)
    }

    /// Trouble on this side: with a file, a reader or a writer.
    pub(crate) fn local(what: impl fmt::Display, error: std::io::Error) -> Self {
        Self::new(ErrorKind::Local, format!("{what}: {error}")).with_source(error)
    }

    /// An API extension that the server lacks.
    pub(crate) fn unsupported(extension: &str) -> Self {
        let message = format!("it lacks the API extension {extension:?}");
        let mut error = Self::new(ErrorKind::UnsupportedExtension, message);
        error.0.extension = Some(extension.to_owned());
        error
    }

    /// Use of a handle after its object was deleted through it.
    pub(crate) fn deleted(what: impl fmt::Display) -> Self {
        Self::new(ErrorKind::NotFound, format!("{what} was deleted through this handle"))
    }

    /// What the server said, word for word.
    pub(crate) fn said_by_server(mut self, code: u16) -> Self {
        self.0.from_server = true;
        self.0.code = Some(code);
        self.0.reached = Reached::Yes;
        self
    }

    /// Takes these secrets, and what looks like the credentials of a bucket, out of the text.
    pub(crate) fn without_secrets(mut self, secrets: &[Secret]) -> Self {
        if let Cow::Owned(text) = conceal(&self.0.message, secrets) {
            self.0.message = text;
        }
        self
    }

    pub(crate) fn with_request(mut self, method: &Method, uri: &Uri) -> Self {
        self.0.method = Some(method.clone());
        self.0.uri = Some(uri.clone());
        self
    }

    pub(crate) fn with_status(mut self, status: StatusCode) -> Self {
        self.0.status = Some(status);
        self.0.reached = Reached::Yes;
        self
    }

    pub(crate) fn with_reached(mut self, reached: Reached) -> Self {
        self.0.reached = reached;
        self
    }

    /// Says that something was changed on a server before this failed, so that the call is no mere read.
    pub(crate) fn having_changed(mut self) -> Self {
        self.0.changed = true;
        self.0.reached = Reached::Yes;
        self
    }

    pub(crate) fn with_operation(mut self, id: &str) -> Self {
        self.0.operation = Some(id.to_owned());
        self
    }

    pub(crate) fn with_source(mut self, source: impl Into<Box<dyn StdError + Send + Sync>>) -> Self {
        self.0.source = Some(source.into());
        self
    }

    pub(crate) fn with_kind(mut self, kind: ErrorKind) -> Self {
        self.0.kind = kind;
        self
    }

    /// Adds what else the caller should know, such as what a failed call had to leave behind.
    pub(crate) fn with_note(mut self, note: impl fmt::Display) -> Self {
        self.0.message = format!("{}; {note}", self.0.message);
        self.0.from_server = false;
        self
    }

    /// What went wrong.
    #[must_use]
    pub fn kind(&self) -> ErrorKind {
        self.0.kind
    }

    /// The HTTP status of the answer, where there was one. A failed operation can come with 200.
    #[must_use]
    pub fn status(&self) -> Option<StatusCode> {
        self.0.status
    }

    /// The server's own code, in the manner of HTTP: of its error answer, or of the failed operation.
    #[must_use]
    pub fn code(&self) -> Option<u16> {
        self.0.code
    }

    /// The method of the request, where one was to be sent.
    #[must_use]
    pub fn method(&self) -> Option<&Method> {
        self.0.method.as_ref()
    }

    /// Path and query of the request, as they went out.
    #[must_use]
    pub fn path(&self) -> Option<&str> {
        self.0.uri.as_ref()?.path_and_query().map(http::uri::PathAndQuery::as_str)
    }

    /// The server's own text, where the error is its answer. It may have several lines.
    #[must_use]
    pub fn server_message(&self) -> Option<&str> {
        self.0.from_server.then_some(&*self.0.message)
    }

    /// Whether the request can have reached the server: what a retry may assume.
    #[must_use]
    pub fn request_reached_server(&self) -> Reached {
        self.0.reached
    }

    /// Whether making the same call again can do no harm: nothing reached the server, or the call only reads. That is no
    /// reason to do it; see [`is_transient`](Self::is_transient).
    #[must_use]
    pub fn is_retry_safe(&self) -> bool {
        let reads = matches!(self.0.method, Some(Method::GET | Method::HEAD)) && self.0.operation.is_none();
        !self.0.changed && (self.0.reached == Reached::No || reads)
    }

    /// Whether the same call may well succeed a little later, with nothing else changed: the server could not be
    /// reached, or in time, or was starting (503). Whether it can do harm says [`is_retry_safe`](Self::is_retry_safe);
    /// where both are true, try again. [`Retrying`](lxd_transport::Retrying) does that for single requests.
    #[must_use]
    pub fn is_transient(&self) -> bool {
        match self.0.kind {
            ErrorKind::Connect | ErrorKind::Timeout(_) | ErrorKind::Interrupted => true,
            ErrorKind::Server => {
                self.0.code == Some(503) || self.0.status == Some(StatusCode::SERVICE_UNAVAILABLE)
            }
            _ => false,
        }
    }

    /// The id of the operation that failed or that we lost sight of;
    /// [`Client::operation`](crate::Client::operation) takes it up again.
    #[must_use]
    pub fn operation(&self) -> Option<&str> {
        self.0.operation.as_deref()
    }

    /// The API extension that the server lacks.
    #[must_use]
    pub fn extension(&self) -> Option<&str> {
        self.0.extension.as_deref()
    }

    /// Whether the object wasn't there, be it said at once or by a failed operation.
    #[must_use]
    pub fn is_not_found(&self) -> bool {
        self.is(ErrorKind::NotFound, 404)
    }

    /// Whether the name was taken, be it said at once or by a failed operation.
    #[must_use]
    pub fn is_already_exists(&self) -> bool {
        self.is(ErrorKind::AlreadyExists, 409)
    }

    /// Whether somebody used the object, be it said at once or by a failed operation.
    #[must_use]
    pub fn is_in_use(&self) -> bool {
        self.is(ErrorKind::InUse, 423) || self.failed_and(classify::says_in_use)
    }

    /// Whether a limit of the project was reached, be it said at once or by a failed operation.
    #[must_use]
    pub fn is_limit_reached(&self) -> bool {
        self.0.kind == ErrorKind::LimitReached || self.failed_and(classify::says_limit)
    }

    /// Whether there was no space left, be it said at once or by a failed operation.
    #[must_use]
    pub fn is_no_space(&self) -> bool {
        self.0.kind == ErrorKind::NoSpace || self.failed_and(classify::says_no_space)
    }

    /// Whether the server doesn't allow it, be it said at once or by a failed operation.
    #[must_use]
    pub fn is_forbidden(&self) -> bool {
        self.is(ErrorKind::Forbidden, 403)
    }

    fn failed_and(&self, says: fn(&str) -> bool) -> bool {
        self.0.kind == ErrorKind::OperationFailed && says(&self.0.message)
    }

    fn is(&self, kind: ErrorKind, code: u16) -> bool {
        self.0.kind == kind || (self.0.kind == ErrorKind::OperationFailed && self.0.code == Some(code))
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let (Some(method), Some(path)) = (self.method(), self.path()) {
            write!(f, "{method} {path}: ")?;
        }
        write!(f, "{}", self.0.kind)?;
        if !self.0.message.is_empty() {
            write!(f, ": {}", self.0.message)?;
        }
        if let Some(operation) = &self.0.operation {
            write!(f, " (operation {operation})")?;
        }
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
        let inner = &self.0;
        f.debug_struct("Error")
            .field("kind", &inner.kind)
            .field("method", &inner.method)
            .field("path", &self.path())
            .field("status", &inner.status)
            .field("code", &inner.code)
            .field("message", &inner.message)
            .field("reached", &inner.reached)
            .field("operation", &inner.operation)
            .field("extension", &inner.extension)
            .field("source", &inner.source)
            .finish()
    }
}

impl StdError for Error {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.0.source.as_deref().map(|source| source as &(dyn StdError + 'static))
    }
}

/// A key that a server's config has, with a value that is none for it: [`Decode`](ErrorKind::Decode).
///
/// ```
/// # async fn example(volume: lxd_storage::VolumeHandle) -> Result<(), lxd_storage::Error> {
/// let size = volume.get().await?.config().size("size")?;
/// # Ok(()) }
/// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doc/server.rs"));
/// # fn main() { on_emulator!(example(volume)) }
/// ```
impl From<ValueError> for Error {
    fn from(error: ValueError) -> Self {
        Self::new(ErrorKind::Decode, error.to_string()).with_source(error)
    }
}

/// Text of the caller's that is no size, time or the like: [`InvalidInput`](ErrorKind::InvalidInput).
///
/// ```
/// # fn example(asked_for: &str) -> Result<(), lxd_storage::Error> {
/// use lxd_storage::types::{Size, StorageVolumesPost};
///
/// let data = StorageVolumesPost::new("data").with_size(asked_for.parse::<Size>()?);
/// # Ok(()) }
/// ```
impl From<ParseError> for Error {
    fn from(error: ParseError) -> Self {
        Self::invalid(error.to_string()).with_source(error)
    }
}

impl From<lxd_transport::Error> for Error {
    fn from(error: lxd_transport::Error) -> Self {
        use lxd_transport::ErrorKind as Transport;
        let kind = match error.kind() {
            Transport::Connect => ErrorKind::Connect,
            Transport::Tls => ErrorKind::Tls,
            Transport::Timeout(phase) => ErrorKind::Timeout(phase),
            Transport::InvalidInput => ErrorKind::InvalidInput,
            Transport::TooLarge => ErrorKind::Decode,
            _ => ErrorKind::Interrupted,
        };
        let reached = error.reached();
        // The transport's own line becomes ours and what is behind it stays behind, so that no cause is told twice.
        let mut wrapped = Self::new(kind, error.to_string()).with_reached(reached);
        wrapped.0.source = error.into_source();
        wrapped
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn assert_error<T: StdError + Send + Sync + 'static>() {}

    #[test]
    fn it_is_one_word_and_travels() {
        assert_error::<Error>();
        assert_eq!(size_of::<Error>(), size_of::<usize>());
    }

    #[test]
    fn the_plain_text_is_this_layer_and_the_long_one_tells_each_cause_once() {
        let error = Error::new(ErrorKind::Decode, "no JSON")
            .with_request(&Method::GET, &Uri::from_static("/1.0?project=a%20b"))
            .with_source(std::io::Error::other("deep"));
        assert_eq!(error.to_string(), "GET /1.0?project=a%20b: unexpected answer: no JSON");
        assert_eq!(format!("{error:#}"), "GET /1.0?project=a%20b: unexpected answer: no JSON: deep");
        let cause = std::io::Error::other("disk full");
        let error = Error::local("cannot write x", cause);
        assert_eq!((error.to_string(), format!("{error:#}")), (format!("{error:#}"), error.to_string()));
        assert_eq!(error.to_string(), "local trouble: cannot write x: disk full");
    }

    #[test]
    fn failed_operations_answer_to_the_same_questions() {
        let error = Error::new(ErrorKind::OperationFailed, "exists").said_by_server(409);
        assert!(error.is_already_exists() && !error.is_not_found());
        assert_eq!(error.server_message(), Some("exists"));
    }

    #[test]
    fn only_reads_and_unsent_requests_are_safe_to_repeat() {
        let request = |method: Method| {
            Error::new(ErrorKind::Interrupted, "").with_request(&method, &Uri::from_static("/1.0"))
        };
        assert!(request(Method::PUT).is_retry_safe());
        assert!(!request(Method::PUT).with_reached(Reached::Maybe).is_retry_safe());
        assert!(request(Method::GET).with_reached(Reached::Maybe).is_retry_safe());
    }

    #[test]
    fn values_of_servers_and_text_of_callers_differ_in_kind() {
        let config: lxd_types::Config = [("size", "ten")].into();
        let read = || -> Result<_, Error> { Ok(config.size("size")?) };
        let error = read().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Decode);
        assert!(error.to_string().contains(r#"config key "size""#), "{error}");
        assert_eq!(format!("{error:#}"), error.to_string());
        let parse = || -> Result<_, Error> { Ok("ten".parse::<lxd_types::Size>()?) };
        assert_eq!(parse().unwrap_err().kind(), ErrorKind::InvalidInput);
    }

    #[test]
    fn only_what_may_pass_is_transient() {
        assert!(Error::new(ErrorKind::Connect, "").is_transient());
        assert!(Error::new(ErrorKind::Server, "starting").said_by_server(503).is_transient());
        assert!(!Error::new(ErrorKind::Server, "broken").said_by_server(500).is_transient());
        let absent =
            Error::new(ErrorKind::NotFound, "").with_request(&Method::GET, &Uri::from_static("/1.0"));
        assert!(absent.is_retry_safe() && !absent.is_transient());
    }
}
