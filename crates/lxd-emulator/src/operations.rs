//! Operations: started, watched, waited for, cancelled, and forgotten a while after their end.

use std::{
    collections::BTreeMap,
    fmt,
    future::Future,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use serde_json::{Map, Value};
use tokio::sync::watch;

use crate::{
    clock::{Clock, Moment},
    events::Events,
    failure::Failure,
    faults::OperationFault,
    operation_view::View,
    personality::Behaviour,
    plan::{Class, Plan},
};

/// How long an operation is still known after its end.
const REMEMBERED: Duration = Duration::from_secs(5);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Status {
    Pending,
    Running,
    Success,
    Failure,
    Cancelled,
}

impl Status {
    pub(crate) fn code(self) -> u16 {
        match self {
            Self::Pending => 105,
            Self::Running => 103,
            Self::Success => 200,
            Self::Failure => 400,
            Self::Cancelled => 401,
        }
    }

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Pending => "Pending",
            Self::Running => "Running",
            Self::Success => "Success",
            Self::Failure => "Failure",
            Self::Cancelled => "Cancelled",
        }
    }

    pub(crate) fn is_final(self) -> bool {
        self.code() >= 200
    }
}

/// What is known of an operation at some time.
#[derive(Clone, Debug)]
pub(crate) struct State {
    pub(crate) status: Status,
    pub(crate) metadata: Map<String, Value>,
    pub(crate) updated_at: Moment,
    pub(crate) failure: Option<Failure>,
    ended_at: Option<Moment>,
}

/// An operation. Handlers keep it to report progress and to serve its websockets.
pub(crate) struct Operation {
    pub(crate) id: String,
    pub(crate) plan: Plan,
    pub(crate) created_at: Moment,
    state: Mutex<State>,
    changed: watch::Sender<Status>,
    /// Whether somebody wants it to stop.
    unwanted: watch::Sender<bool>,
    clock: Arc<Clock>,
    events: Arc<Events>,
    behaviour: Arc<Behaviour>,
}

impl fmt::Debug for Operation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Operation").field("id", &self.id).finish_non_exhaustive()
    }
}

impl Operation {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn state(&self) -> State {
        self.lock().clone()
    }

    /// How it stood when it was begun.
    pub(crate) fn at_its_start(&self) -> State {
        State {
            status: Status::Running,
            metadata: self.plan.metadata.clone(),
            updated_at: self.created_at,
            failure: None,
            ended_at: None,
        }
    }

    pub(crate) fn status(&self) -> Status {
        self.lock().status
    }

    /// Its URL, on the newest servers with the project where that is not the default one.
    pub(crate) fn url(&self) -> String {
        let project = match self.plan.project.as_str() {
            crate::state::DEFAULT | "" => String::new(),
            _ if !self.behaviour.error_codes_in_operations => String::new(),
            other => format!("?project={}", crate::route::query_escaped(other)),
        };
        format!("/1.0/operations/{}{project}", self.id)
    }

    /// Sets one entry of the metadata, and tells listeners.
    pub(crate) fn report(&self, key: &str, value: impl Into<Value>) {
        {
            let mut state = self.lock();
            state.metadata.insert(key.to_owned(), value.into());
            state.updated_at = self.clock.now();
        }
        self.tell();
    }

    /// Moves on to another status. The first final one stays.
    pub(crate) fn set(&self, status: Status, failure: Option<Failure>) {
        {
            let mut state = self.lock();
            if state.status.is_final() {
                return;
            }
            state.status = status;
            state.failure = failure;
            if status.is_final() {
                state.ended_at = Some(self.clock.now());
            }
        }
        self.tell();
        self.changed.send_replace(status);
    }

    /// Asks its work to stop, and waits for its end. An operation without work, as tokens are, ends by that.
    pub(crate) async fn cancel(&self) {
        if self.plan.class == Class::Token {
            return self.set(Status::Cancelled, None);
        }
        self.unwanted.send_replace(true);
        self.wait(None).await;
    }

    /// Ends when somebody wants the work to stop.
    pub(crate) async fn unwanted(&self) {
        let mut unwanted = self.unwanted.subscribe();
        // It fails when the sender is gone, and that is this operation itself.
        let _ = unwanted.wait_for(|unwanted| *unwanted).await;
    }

    /// Ends it as its work ended.
    pub(crate) fn end(&self, result: Result<(), Failure>) {
        match result {
            Ok(()) => self.set(Status::Success, None),
            Err(_) if *self.unwanted.borrow() => self.set(Status::Cancelled, None),
            Err(failure) => self.set(Status::Failure, Some(failure)),
        }
    }

    /// Waits for its end, and for no longer than that.
    pub(crate) async fn wait(&self, limit: Option<Duration>) -> Status {
        let mut changes = self.changed.subscribe();
        let ended = async {
            // It fails when the sender is gone, and that is this operation itself.
            let _ = changes.wait_for(|status| status.is_final()).await;
        };
        match limit {
            None => ended.await,
            Some(limit) => {
                let _ = tokio::time::timeout(limit, ended).await;
            }
        }
        self.status()
    }

    fn tell(&self) {
        let view = View::of(self, &self.behaviour, true);
        let project = Some(self.plan.project.as_str()).filter(|project| !project.is_empty());
        self.events.send(&self.clock, "operation", project, &self.plan.location, &view);
    }

    fn is_forgotten(&self, now: Moment) -> bool {
        self.lock().ended_at.is_some_and(|ended| now >= ended.plus(REMEMBERED))
    }
}

/// All operations that are still known.
#[derive(Debug)]
pub(crate) struct Operations {
    known: Mutex<BTreeMap<String, Arc<Operation>>>,
    clock: Arc<Clock>,
    events: Arc<Events>,
    behaviour: Arc<Behaviour>,
}

impl Operations {
    pub(crate) fn new(clock: Arc<Clock>, events: Arc<Events>, behaviour: Arc<Behaviour>) -> Self {
        Self { known: Mutex::default(), clock, events, behaviour }
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<String, Arc<Operation>>> {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        let now = self.clock.now();
        known.retain(|_, operation| !operation.is_forgotten(now));
        known
    }

    pub(crate) fn all(&self) -> Vec<Arc<Operation>> {
        self.lock().values().cloned().collect()
    }

    pub(crate) fn get(&self, id: &str) -> Result<Arc<Operation>, Failure> {
        self.lock().get(id).cloned().ok_or_else(|| Failure::not_found("Operation not found"))
    }

    /// Makes an operation no longer known, without ending it.
    pub(crate) fn forget(&self, id: &str) {
        self.lock().remove(id);
    }

    /// Makes all of them no longer known.
    pub(crate) fn forget_all(&self) {
        self.lock().clear();
    }

    /// An operation that runs from now on; whoever starts it also ends it.
    pub(crate) fn open(&self, plan: Plan) -> Arc<Operation> {
        let now = self.clock.now();
        let state = State {
            status: Status::Pending,
            metadata: plan.metadata.clone(),
            updated_at: now,
            failure: None,
            ended_at: None,
        };
        let operation = Arc::new(Operation {
            id: uuid(),
            plan,
            created_at: now,
            state: Mutex::new(state),
            changed: watch::Sender::new(Status::Pending),
            unwanted: watch::Sender::new(false),
            clock: Arc::clone(&self.clock),
            events: Arc::clone(&self.events),
            behaviour: Arc::clone(&self.behaviour),
        });
        self.lock().insert(operation.id.clone(), Arc::clone(&operation));
        operation.tell();
        operation.set(Status::Running, None);
        operation
    }

    /// Starts an operation around some work, which goes on whoever waits.
    pub(crate) fn start<F, W>(&self, plan: Plan, work: F) -> Arc<Operation>
    where
        F: FnOnce(Arc<Operation>) -> W,
        W: Future<Output = Result<(), Failure>> + Send + 'static,
    {
        let operation = self.open(plan);
        let work = work(Arc::clone(&operation));
        let running = Arc::clone(&operation);
        let fault = running.plan.fault.clone();
        if fault == Some(OperationFault::Vanishes) {
            self.forget(&running.id);
        }
        tokio::spawn(async move {
            if fault == Some(OperationFault::NeverEnds) {
                // It holds the server, and with it the folder of all content.
                drop(work);
                running.unwanted().await;
                return running.set(Status::Cancelled, None);
            }
            let result = work.await;
            running.end(match fault {
                Some(OperationFault::FailsLate(text)) => Err(Failure::internal(text)),
                _ => result,
            });
        });
        operation
    }
}

/// A random UUID of version 4.
pub(crate) fn uuid() -> String {
    let random = (fastrand::u128(..) & !(0xf << 76) & !(0x3 << 62)) | (0x4 << 76) | (0x2 << 62);
    let hex = format!("{random:032x}");
    let part = |range: std::ops::Range<usize>| hex.get(range).unwrap_or_default().to_owned();
    [part(0..8), part(8..12), part(12..16), part(16..20), part(20..32)].join("-")
}

#[cfg(test)]
mod tests {
    use super::uuid;

    #[test]
    fn uuids_say_that_they_are_random() {
        let id = uuid();
        assert_eq!((id.len(), id.as_bytes()[14]), (36, b'4'), "{id}");
        assert!(b"89ab".contains(&id.as_bytes()[19]), "{id}");
    }
}
