//! Misbehaviour on purpose: rules that say which requests meet what.

use std::{
    fmt,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use http::{Method, StatusCode};
use lxd_transport::BoxFuture;
use tokio::sync::watch;

use crate::Emulator;

/// What requests meet instead of, or on the way to, their answer.
///
/// ```
/// # tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(async {
/// use lxd_emulator::{Emulator, Fault, Personality};
/// use lxd_storage::{Client, ErrorKind};
///
/// let emulator = Emulator::new(Personality::Lxd5)?;
/// let client = Client::new(emulator.transport());
/// let struck = emulator.fault(Fault::answer(503, "LXD daemon is starting up").on("GET", "/1.0/storage-pools").times(1));
/// assert_eq!(client.storage_pools().all().await.unwrap_err().kind(), ErrorKind::Server);
/// assert!(client.storage_pools().all().await?.is_empty());
/// assert_eq!(struck.count(), 1);
/// # Ok::<(), Box<dyn std::error::Error>>(()) })?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[must_use = "nothing misbehaves until `Emulator::fault` is called"]
pub struct Fault {
    method: Option<String>,
    path: Option<String>,
    skip: usize,
    times: usize,
    pub(crate) what: What,
}

type Deed = Box<dyn Fn(Emulator) -> BoxFuture<'static, ()> + Send + Sync>;

pub(crate) enum What {
    Delay(Duration),
    Stall,
    StallAfter(u64),
    Cut,
    CutAfter(u64),
    ContentType(String),
    Garbage,
    Endless,
    Answer { status: StatusCode, text: String, unread: bool },
    Operation(OperationFault),
    Deed(Deed),
}

/// What an operation does instead of its work's outcome.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum OperationFault {
    /// It runs, and nothing ever comes of it.
    NeverEnds,
    /// Its work is done, and then it fails with this text.
    FailsLate(String),
    /// Its work is done, and nobody knows of it any longer.
    Vanishes,
}

impl Fault {
    fn new(what: What) -> Self {
        Self { method: None, path: None, skip: 0, times: usize::MAX, what }
    }

    /// The request is handled after a while.
    pub fn delay(time: Duration) -> Self {
        Self::new(What::Delay(time))
    }

    /// The request is handled, and nothing of the answer is ever sent.
    pub fn stall() -> Self {
        Self::new(What::Stall)
    }

    /// The answer stops after so many bytes of its body, and the connection stays open.
    pub fn stall_after(bytes: u64) -> Self {
        Self::new(What::StallAfter(bytes))
    }

    /// The request is handled, and the connection breaks before the answer.
    pub fn cut() -> Self {
        Self::new(What::Cut)
    }

    /// The connection breaks after so many bytes of the answer's body.
    pub fn cut_after(bytes: u64) -> Self {
        Self::new(What::CutAfter(bytes))
    }

    /// The answer says that it is of another content type.
    pub fn content_type(value: impl Into<String>) -> Self {
        Self::new(What::ContentType(value.into()))
    }

    /// The answer's body is broken JSON.
    pub fn garbage() -> Self {
        Self::new(What::Garbage)
    }

    /// The answer's body never ends.
    pub fn endless() -> Self {
        Self::new(What::Endless)
    }

    /// The request is not handled but answered by this error: 503 of a server that is starting, 500 with
    /// `no space left on device` and the like. What is no status of HTTP counts as 500.
    pub fn answer(status: u16, text: impl Into<String>) -> Self {
        let status = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        Self::new(What::Answer { status, text: text.into(), unread: false })
    }

    /// The same before anything of the request's body was read.
    pub fn refuse_upload(status: u16, text: impl Into<String>) -> Self {
        let mut fault = Self::answer(status, text);
        if let What::Answer { unread, .. } = &mut fault.what {
            *unread = true;
        }
        fault
    }

    /// The operation that the request begins misbehaves.
    pub fn operation(how: OperationFault) -> Self {
        Self::new(What::Operation(how))
    }

    /// Somebody does something right before the request is handled, by requests of their own: a lost race.
    pub fn before<F>(deed: impl Fn(Emulator) -> F + Send + Sync + 'static) -> Self
    where
        F: Future<Output = ()> + Send + 'static,
    {
        Self::new(What::Deed(Box::new(move |emulator| Box::pin(deed(emulator)))))
    }

    /// Only requests of this method, whose path without the query is like this. `*` stands for one segment and, at the
    /// end, for any rest.
    pub fn on(mut self, method: impl Into<String>, path: impl Into<String>) -> Self {
        (self.method, self.path) = (Some(method.into()), Some(path.into()));
        self
    }

    /// The first so many of those requests are spared.
    pub fn after(mut self, requests: usize) -> Self {
        self.skip = requests;
        self
    }

    /// Only so many requests are met. Default: all.
    pub fn times(mut self, times: usize) -> Self {
        self.times = times;
        self
    }

    fn fits(&self, method: &Method, path: &str) -> bool {
        self.method.as_ref().is_none_or(|wanted| wanted == method.as_str())
            && self.path.as_ref().is_none_or(|pattern| is_like(pattern, path))
    }
}

impl fmt::Debug for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Fault")
            .field("method", &self.method)
            .field("path", &self.path)
            .finish_non_exhaustive()
    }
}

/// Whether a path is like a pattern.
fn is_like(pattern: &str, path: &str) -> bool {
    let (mut wanted, mut given) = (pattern.split('/').peekable(), path.split('/'));
    while let Some(part) = wanted.next() {
        if part == "*" && wanted.peek().is_none() {
            return given.next().is_some();
        }
        if given.next().is_none_or(|segment| part != "*" && part != segment) {
            return false;
        }
    }
    given.next().is_none()
}

#[derive(Debug)]
pub(crate) struct Rule {
    pub(crate) fault: Fault,
    seen: AtomicUsize,
    struck: AtomicUsize,
}

/// The rules of an emulator, and the end of all its connections at once.
#[derive(Debug)]
pub(crate) struct Faults {
    rules: Mutex<Vec<Arc<Rule>>>,
    cuts: watch::Sender<u64>,
}

impl Default for Faults {
    fn default() -> Self {
        Self { rules: Mutex::default(), cuts: watch::channel(0).0 }
    }
}

impl Faults {
    pub(crate) fn add(&self, fault: Fault) -> Arc<Rule> {
        let rule = Arc::new(Rule { fault, seen: AtomicUsize::new(0), struck: AtomicUsize::new(0) });
        self.rules.lock().unwrap_or_else(PoisonError::into_inner).push(Arc::clone(&rule));
        rule
    }

    fn remove(&self, rule: &Arc<Rule>) {
        self.rules.lock().unwrap_or_else(PoisonError::into_inner).retain(|one| !Arc::ptr_eq(one, rule));
    }

    /// The first rule that a request meets, which counts it.
    pub(crate) fn strike(&self, method: &Method, path: &str) -> Option<Arc<Rule>> {
        let rules = self.rules.lock().unwrap_or_else(PoisonError::into_inner);
        let meets = |rule: &&Arc<Rule>| {
            rule.fault.fits(method, path)
                && rule.seen.fetch_add(1, Ordering::SeqCst) >= rule.fault.skip
                && rule.struck.load(Ordering::SeqCst) < rule.fault.times
        };
        let found = rules.iter().find(meets).cloned()?;
        found.struck.fetch_add(1, Ordering::SeqCst);
        Some(found)
    }

    /// Breaks all connections that there are.
    pub(crate) fn cut_all(&self) {
        self.cuts.send_modify(|count| *count += 1);
    }

    /// Ends at the next break.
    pub(crate) fn next_cut(&self) -> impl Future<Output = ()> + Send + use<> {
        let mut cuts = self.cuts.subscribe();
        async move {
            if cuts.changed().await.is_err() {
                std::future::pending::<()>().await;
            }
        }
    }
}

/// A rule that is in force.
#[derive(Clone, Debug)]
pub struct Struck {
    emulator: Emulator,
    rule: Arc<Rule>,
}

impl Struck {
    pub(crate) fn new(emulator: Emulator, rule: Arc<Rule>) -> Self {
        Self { emulator, rule }
    }

    /// How many requests it has met.
    #[must_use]
    pub fn count(&self) -> usize {
        self.rule.struck.load(Ordering::SeqCst)
    }

    /// Takes the rule out.
    pub fn remove(self) {
        self.emulator.core.faults.remove(&self.rule);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_star_is_a_segment_or_the_rest() {
        for (pattern, path, fits) in [
            ("/1.0/storage-pools", "/1.0/storage-pools", true),
            ("/1.0/storage-pools", "/1.0/storage-pools/p", false),
            ("/1.0/*/p", "/1.0/storage-pools/p", true),
            ("/1.0/*/p", "/1.0/storage-pools/q", false),
            ("/1.0/*", "/1.0/storage-pools/q/volumes", true),
            ("/1.0/*", "/1.0", false),
        ] {
            assert_eq!(is_like(pattern, path), fits, "{pattern} {path}");
        }
    }

    #[test]
    fn a_rule_spares_and_ends() {
        let faults = Faults::default();
        let rule = faults.add(Fault::cut().on("GET", "/x").after(1).times(2));
        let struck: Vec<bool> = (0..5).map(|_| faults.strike(&Method::GET, "/x").is_some()).collect();
        assert_eq!(struck, [false, true, true, false, false]);
        assert!(faults.strike(&Method::PUT, "/x").is_none());
        assert_eq!(rule.struck.load(Ordering::SeqCst), 2);
    }
}
