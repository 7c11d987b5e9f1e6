//! Work that the server may do in the background: [`Change`] before it is asked for, [`Pending`] afterwards.

use std::{
    borrow::Cow,
    fmt,
    future::{Future, IntoFuture},
    pin::Pin,
    time::Duration,
};

use bytes::Bytes;
use http::{HeaderMap, Method, Uri};
use lxd_types::{Config, ContentType, Operation, Progress, Secret, StoragePool, StorageVolume};
use serde::Serialize;
use tokio::time::Instant;

use crate::{
    Client, ETag, Error, ErrorKind,
    cancelling::CancelOnDrop,
    check,
    conceal::conceal,
    doubt,
    exchange::{Answer, Call},
    progress::OnProgress,
    route::Route,
    transfer::Upload,
    wait,
};

pub(crate) type BoxFuture<T> = Pin<Box<dyn Future<Output = T> + Send>>;

/// How work was found done.
pub(crate) enum Done {
    /// The server did it at once and this is its answer.
    AtOnce(Box<Answer>),
    /// The server did it in the background and this is how the operation ended.
    Operation(Box<Operation>),
}

/// Makes the result, once the work is done.
type Finish<T> = Box<dyn FnOnce(Done) -> BoxFuture<Result<T, Error>> + Send>;

#[derive(Default)]
struct Watch {
    deadline: Option<Duration>,
    on_progress: Option<OnProgress>,
    cancel_on_drop: bool,
}

/// A change that is about to be asked for. Awaiting it sends the request, waits until the server is done with it and
/// gives the result; [`start`](Self::start) sends it and leaves the waiting to you.
///
/// Whether a server does a change at once or in the background depends on its version; this type covers both.
///
/// ```
/// # async fn example(client: lxd_storage::Client) -> Result<(), lxd_storage::Error> {
/// use lxd_storage::types::StoragePoolsPost;
/// use std::time::Duration;
///
/// let pools = client.storage_pools();
/// let fast = pools.create(StoragePoolsPost::new("fast", "dir")).await?;
///
/// // The same in the background, with a deadline for the waiting:
/// let pending = pools.create(StoragePoolsPost::new("slow", "dir")).with_deadline(Duration::from_secs(60)).start().await?;
/// let slow = pending.await?;
///
/// // It becomes a future by being awaited; where one is wanted, say so:
/// tokio::time::timeout(Duration::from_secs(5), slow.handle().delete().into_future()).await.ok();
/// # Ok(()) }
/// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doc/server.rs"));
/// # fn main() { on_emulator!(example(client) in bare) }
/// ```
#[must_use = "nothing is sent until the change is awaited or started"]
pub struct Change<T> {
    client: Client,
    request: Result<ChangeRequest, Error>,
    finish: Finish<T>,
    watch: Watch,
}

/// What a [`Change`] sends.
pub(crate) struct ChangeRequest {
    method: Method,
    route: Route,
    content: Content,
    if_match: Option<ETag>,
    extensions: Vec<&'static str>,
    looks: Vec<Look>,
    /// What is in the content and must not come back in an error.
    secrets: Vec<Secret>,
    /// What is told where nobody knows how it ended.
    leaves: Option<String>,
    /// What to compare with `if_match` before the request goes out, since the server doesn't.
    guard: Option<(Route, OwnETag)>,
}

/// Computes the ETag of an object whose answer brought none.
type OwnETag = fn(&Answer) -> Result<Option<ETag>, Error>;

/// What goes out with the request.
enum Content {
    Json(Bytes),
    Upload(Box<Upload>, HeaderMap),
}

/// What is looked at before the request goes out, where a server would begin the work and then do damage.
enum Look {
    /// This must be there.
    Exists(Route),
    /// This name must be free; the text is for the error.
    Free(Route, String),
    /// The driver of this pool must have a format of its own for backups.
    DriverPacks(Route),
    /// The driver of this pool must have buckets with this config.
    DriverHasBuckets(Route, Config),
    /// This volume must be of a content that the server packs.
    ContentPacks(Route),
}

impl ChangeRequest {
    pub(crate) fn new(method: Method, route: Route) -> Self {
        Self {
            method,
            route,
            content: Content::Json(Bytes::new()),
            if_match: None,
            extensions: Vec::new(),
            looks: Vec::new(),
            secrets: Vec::new(),
            leaves: None,
            guard: None,
        }
    }

    pub(crate) fn json(mut self, body: &impl Serialize) -> Result<Self, Error> {
        let body = serde_json::to_vec(body)
            .map_err(|error| Error::invalid("the request cannot be written as JSON").with_source(error))?;
        self.content = Content::Json(Bytes::from(body));
        Ok(self)
    }

    /// Sends content of any length instead of JSON.
    pub(crate) fn upload(mut self, upload: Upload, headers: HeaderMap) -> Self {
        self.content = Content::Upload(Box::new(upload), headers);
        self
    }

    /// Asks for an API extension before the request is sent.
    pub(crate) fn needs(mut self, extension: &'static str) -> Self {
        self.extensions.push(extension);
        self
    }

    /// Reads this first, and sends nothing if it isn't there.
    pub(crate) fn if_exists(mut self, route: Route) -> Self {
        self.looks.push(Look::Exists(route));
        self
    }

    /// Looks first whether a name is taken, and sends nothing if it is.
    pub(crate) fn if_free(mut self, route: Route, what: String) -> Self {
        self.looks.push(Look::Free(route, what));
        self
    }

    /// Where servers don't look at `If-Match`: compares the ETag here first, if the caller asks for it.
    pub(crate) fn guarded_here(mut self, route: Route, own: OwnETag) -> Self {
        self.guard = Some((route, own));
        self
    }

    /// Looks first whether a pool can have such a bucket.
    pub(crate) fn if_driver_has_buckets(mut self, pool: Route, config: &Config) -> Self {
        self.looks.push(Look::DriverHasBuckets(pool, config.clone()));
        self
    }

    /// Says what may be left where nobody knows how it ended; see [`doubt`].
    pub(crate) fn leaving(mut self, leaves: String) -> Self {
        self.leaves = Some(leaves);
        self
    }

    /// Leaves out what may be left, since whoever asks cleans it up.
    pub(crate) fn cleaned_up(mut self) -> Self {
        self.leaves = None;
        self
    }

    /// Keeps these out of errors and logs.
    pub(crate) fn hiding(mut self, secrets: Vec<Secret>) -> Self {
        self.secrets = secrets;
        self
    }

    /// Looks first whether the driver of a pool can pack optimized backups: servers fall back in silence.
    pub(crate) fn if_driver_packs(mut self, pool: Route) -> Self {
        self.looks.push(Look::DriverPacks(pool));
        self
    }

    /// Looks first whether the content of a volume is one that the server packs: servers begin and then refuse.
    pub(crate) fn if_content_packs(mut self, volume: Route) -> Self {
        self.looks.push(Look::ContentPacks(volume));
        self
    }

    /// Does all that is done before the request is sent.
    pub(crate) async fn look(&mut self, client: &Client) -> Result<(), Error> {
        client.require(&self.extensions).await?;
        for look in self.looks.drain(..) {
            look.look(client).await?;
        }
        match (&self.if_match, self.guard.take()) {
            (Some(etag), Some((route, own))) => unchanged(client, route, own, etag).await,
            _ => Ok(()),
        }
    }
}

/// Fails unless the object still has this ETag.
async fn unchanged(client: &Client, route: Route, own: OwnETag, etag: &ETag) -> Result<(), Error> {
    let answer = client.get(Ok(route), &[]).await?;
    let now = match &answer.etag {
        Some(now) => Some(now.clone()),
        None => own(&answer)?,
    };
    if now.is_none_or(|now| now.matches(etag)) {
        return Ok(());
    }
    let message = "it is no longer as it was when it was read";
    Err(Error::new(ErrorKind::PreconditionFailed, message).with_request(&answer.method, &answer.uri))
}

impl Look {
    async fn look(self, client: &Client) -> Result<(), Error> {
        match self {
            Self::Exists(route) => client.get(Ok(route), &[]).await.map(drop),
            Self::DriverPacks(route) => {
                let pool: StoragePool = client.get(Ok(route), &[]).await?.decode()?;
                check::packs_by_itself(&pool.driver)
            }
            Self::DriverHasBuckets(route, config) => {
                let pool: StoragePool = client.get(Ok(route), &[]).await?.decode()?;
                match check::has_buckets(&pool.driver, &config)? {
                    Some(extension) => client.require(&[extension]).await,
                    None => Ok(()),
                }
            }
            Self::ContentPacks(route) => {
                let extensions = &client.server().await?.api_extensions;
                if !extensions.has("custom_volume_iso") || extensions.has("backup_iso") {
                    return Ok(());
                }
                let volume: StorageVolume = client.get(Ok(route), &[]).await?.decode()?;
                match volume.content_type {
                    ContentType::Iso => client.require(&["backup_iso"]).await,
                    _ => Ok(()),
                }
            }
            Self::Free(route, what) => match client.get(Ok(route), &[]).await {
                Ok(_) => Err(Error::new(ErrorKind::AlreadyExists, what)),
                Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
                Err(error) => Err(error),
            },
        }
    }
}

impl<T: Send + 'static> Change<T> {
    pub(crate) fn new<F>(
        client: &Client,
        request: Result<ChangeRequest, Error>,
        finish: impl FnOnce(Done) -> F + Send + 'static,
    ) -> Self
    where
        F: Future<Output = Result<T, Error>> + Send + 'static,
    {
        let finish: Finish<T> = Box::new(move |done| Box::pin(finish(done)));
        Self { client: client.clone(), request, finish, watch: Watch::default() }
    }

    /// Lets the server refuse the change if the object is no longer the one with this ETag
    /// ([`PreconditionFailed`](crate::ErrorKind::PreconditionFailed)). Only `PUT` and `PATCH` look at it. For buckets and
    /// their keys, where not all servers do, it is also compared here right before the request goes out.
    pub fn if_match(mut self, etag: &ETag) -> Self {
        if let Ok(request) = &mut self.request {
            request.if_match = Some(etag.clone());
        }
        self
    }

    /// Waits at most so long, from the request on: for the answer, which some servers give when the work is done, in place
    /// of the client's limit for it, and for work in the background. An upload has the time that it needs, and the
    /// deadline counts from its end. The work itself goes on after that.
    ///
    /// Without a deadline an answer may take what
    /// [`ClientBuilder::change_limits`](crate::ClientBuilder::change_limits) says, ten minutes by default, and work in
    /// the background as long as the server answers that it goes on.
    ///
    /// The error is [`Timeout`](crate::ErrorKind::Timeout), with the phase `FirstByte` where there was no answer, and
    /// `Wait` where the work goes on in the background.
    pub fn with_deadline(mut self, deadline: Duration) -> Self {
        self.watch.deadline = Some(deadline);
        self
    }

    /// Calls back about once a second while the work goes on, if the server tells how far it has come. LXD 6.8 and
    /// later tells it in events only, to which this listens then (`GET /1.0/events`).
    pub fn with_progress(mut self, on_progress: impl FnMut(&Progress) + Send + 'static) -> Self {
        self.watch.on_progress = Some(Box::new(on_progress));
        self
    }

    /// Lets the server stop the work, once it has accepted it, when nobody waits for it any longer. See
    /// [`Pending::cancel_on_drop`].
    pub fn cancel_on_drop(mut self) -> Self {
        self.watch.cancel_on_drop = true;
        self
    }

    /// Sends the request and returns as soon as the server has accepted it.
    ///
    /// # Errors
    /// Those of the request itself; what fails later in the background comes out of the [`Pending`].
    pub async fn start(mut self) -> Result<Pending<T>, Error> {
        let mut request = self.request?;
        request.look(&self.client).await?;
        let ChangeRequest { method, route, content, if_match, secrets, leaves, .. } = request;
        let (exchange, uri) = (self.client.exchange(), route.uri()?);
        let begun_by = Some((method.clone(), uri.clone()));
        let answer = match content {
            Content::Json(body) => {
                let (mut limits, secrets) = (exchange.change_limits, secrets.clone());
                let asked = Instant::now();
                if let Some(deadline) = self.watch.deadline {
                    // No time at all is no limit that a transport takes.
                    limits = limits.with_first_byte(deadline.max(Duration::from_millis(1)));
                }
                let answer = exchange.call(Call { method, uri, body, if_match, limits, secrets }).await;
                let left = |deadline: Duration| deadline.saturating_sub(asked.elapsed());
                self.watch.deadline = self.watch.deadline.map(left);
                answer
            }
            Content::Upload(upload, headers) => {
                exchange.upload(method, uri, headers, upload.into_body().await?).await
            }
        };
        let told = answer.and_then(|answer| Ok((answer.operation()?, answer)));
        let (operation, answer) = told.map_err(|error| doubt::in_doubt(error, leaves.as_deref()))?;
        let state = match operation {
            Some(operation) => State::Running(Box::new(operation)),
            None => State::Done(Box::new(answer)),
        };
        let pending = Pending {
            client: self.client,
            state,
            finish: self.finish,
            watch: self.watch,
            secrets,
            leaves,
            cancel: None,
            begun_by,
            accepted: Instant::now(),
        };
        Ok(if pending.watch.cancel_on_drop { pending.cancel_on_drop() } else { pending })
    }
}

impl<T: Send + 'static> IntoFuture for Change<T> {
    type Output = Result<T, Error>;
    type IntoFuture = BoxFuture<Result<T, Error>>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(async move { self.start().await?.wait().await })
    }
}

impl<T> fmt::Debug for Change<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Change")
            .field("method", &self.request.as_ref().map(|request| &request.method))
            .finish_non_exhaustive()
    }
}

enum State {
    Done(Box<Answer>),
    Running(Box<Operation>),
}

/// Work that the server has accepted. Await it for the result, [`poll`](Self::poll) it, [`cancel`](Self::cancel) it,
/// or drop it: dropping doesn't stop the server's work unless [`cancel_on_drop`](Self::cancel_on_drop) says so.
///
/// Waiting survives a lost connection and a restarted daemon for a minute. If the operation failed, the error's kind
/// is [`OperationFailed`](crate::ErrorKind::OperationFailed); if we lost sight of it, it is
/// [`Interrupted`](crate::ErrorKind::Interrupted) and [`Error::operation`] has the id to take it up again.
#[must_use = "the server may still be at work; await it to know how it ends"]
pub struct Pending<T> {
    client: Client,
    state: State,
    finish: Finish<T>,
    watch: Watch,
    secrets: Vec<Secret>,
    leaves: Option<String>,
    cancel: Option<CancelOnDrop>,
    /// What began it, where this client did.
    begun_by: Option<(Method, Uri)>,
    /// When the server accepted it, or was found at it.
    accepted: Instant,
}

impl<T: Send + 'static> Pending<T> {
    pub(crate) fn attach<F>(
        client: &Client,
        operation: Operation,
        finish: impl FnOnce(Done) -> F + Send + 'static,
    ) -> Self
    where
        F: Future<Output = Result<T, Error>> + Send + 'static,
    {
        let finish: Finish<T> = Box::new(move |done| Box::pin(finish(done)));
        Self {
            client: client.clone(),
            state: State::Running(Box::new(operation)),
            finish,
            watch: Watch::default(),
            secrets: Vec::new(),
            leaves: None,
            cancel: None,
            begun_by: None,
            accepted: Instant::now(),
        }
    }

    /// The operation as we last saw it; `None` where the server did the work at once.
    #[must_use]
    pub fn operation(&self) -> Option<&Operation> {
        match &self.state {
            State::Running(operation) => Some(operation),
            State::Done(_) => None,
        }
    }

    /// Whether the work had ended, in whichever way, when we last looked.
    #[must_use]
    pub fn is_done(&self) -> bool {
        self.operation().is_none_or(|operation| operation.status_code.is_final())
    }

    /// Looks once how the work stands (`GET /1.0/operations/<id>`), and says whether it has ended.
    ///
    /// # Errors
    /// Only trouble with looking. That the work failed comes out of waiting for it.
    pub async fn poll(&mut self) -> Result<bool, Error> {
        if let State::Running(operation) = &mut self.state
            && !operation.status_code.is_final()
        {
            **operation = wait::look(&self.client, &operation.id).await?;
            if let Cow::Owned(text) = conceal(&operation.err, &self.secrets) {
                operation.err = text;
            }
            if operation.status_code.is_final() {
                self.cancel = None;
            }
        }
        Ok(self.is_done())
    }

    /// Asks the server to stop (`DELETE /1.0/operations/<id>`). Waiting afterwards tells how it ended. Does nothing
    /// where the work is done. Half a second passes between the beginning and this at least, since Incus 7.0 ends with
    /// all its work when it has to stop what it hasn't quite begun.
    ///
    /// # Errors
    /// [`InvalidInput`](crate::ErrorKind::InvalidInput) where this work can't be stopped or has ended meanwhile.
    pub async fn cancel(&self) -> Result<(), Error> {
        match &self.state {
            State::Running(operation) if !self.is_done() => {
                wait::cancel(&self.client, &operation.id, self.accepted).await
            }
            _ => Ok(()),
        }
    }

    /// Waits at most so long. The work itself goes on after that, and the error names the operation.
    pub fn with_deadline(mut self, deadline: Duration) -> Self {
        self.watch.deadline = Some(deadline);
        self
    }

    /// Calls back about once a second while the work goes on, if the server tells how far it has come. LXD 6.8 and
    /// later tells it in events only, to which this listens then (`GET /1.0/events`).
    pub fn with_progress(mut self, on_progress: impl FnMut(&Progress) + Send + 'static) -> Self {
        self.watch.on_progress = Some(Box::new(on_progress));
        self
    }

    /// Asks the server to stop the work (`DELETE /1.0/operations/<id>`, in a task of the current tokio runtime) when
    /// this, or the future that waits for it, is dropped before the work has ended, or when its deadline passes.
    ///
    /// Little of what servers do with storage can be stopped ([`Operation::may_cancel`]); the rest goes on regardless.
    ///
    /// ```
    /// # async fn example(volume: lxd_storage::VolumeHandle) -> Result<(), lxd_storage::Error> {
    /// # let stop = tokio::sync::Notify::new();
    /// let deletion = volume.delete();
    /// tokio::select! {
    ///     done = deletion.cancel_on_drop().into_future() => done?,
    ///     () = stop.notified() => println!("given up"), // and so is the work
    /// }
    /// # Ok(()) }
    /// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doc/server.rs"));
    /// # fn main() { on_emulator!(example(volume)) }
    /// ```
    pub fn cancel_on_drop(mut self) -> Self {
        if let State::Running(operation) = &self.state
            && !operation.status_code.is_final()
        {
            self.cancel = Some(CancelOnDrop::new(&self.client, &operation.id, self.accepted));
        }
        self
    }

    /// Waits for the end and gives the result. The same as awaiting.
    ///
    /// # Errors
    /// [`OperationFailed`](crate::ErrorKind::OperationFailed), [`Cancelled`](crate::ErrorKind::Cancelled),
    /// [`Timeout`](crate::ErrorKind::Timeout) with phase `Wait`, [`Interrupted`](crate::ErrorKind::Interrupted).
    pub async fn wait(self) -> Result<T, Error> {
        let Self { client, state, finish, watch, secrets, leaves, mut cancel, begun_by, .. } = self;
        let done = match state {
            State::Done(answer) => Done::AtOnce(answer),
            State::Running(operation) => {
                let ended =
                    wait::wait(&client, *operation, watch.deadline, watch.on_progress, &secrets).await;
                if let Some(cancel) = &mut cancel {
                    cancel.note(&ended);
                }
                let told = |error: Error| {
                    let error = doubt::in_doubt(error, leaves.as_deref());
                    match &begun_by {
                        // That of looking at the operation says less than what the operation is about.
                        Some((method, uri)) => error.with_request(method, uri),
                        None => error,
                    }
                };
                Done::Operation(Box::new(ended.map_err(told)?))
            }
        };
        finish(done).await.map_err(doubt::after)
    }
}

impl<T: Send + 'static> IntoFuture for Pending<T> {
    type Output = Result<T, Error>;
    type IntoFuture = BoxFuture<Result<T, Error>>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(self.wait())
    }
}

impl<T> fmt::Debug for Pending<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut debug = f.debug_struct("Pending");
        match &self.state {
            State::Done(answer) => debug.field("done", &answer.status),
            State::Running(operation) => {
                debug.field("operation", &operation.id).field("status", &operation.status_code)
            }
        };
        debug.finish_non_exhaustive()
    }
}
