//! Connections that wait for their next request.

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError, Weak},
    time::Duration,
};

use tokio::{
    runtime::{Handle, Id},
    task::AbortHandle,
    time::{Instant, sleep_until, timeout},
};

use crate::connection::Connection;

/// A connection that just ended an answer may need a moment until it takes the next request. One that needs longer
/// isn't worth waiting for.
const SETTLING: Duration = Duration::from_millis(50);

/// Idle connections, the last used on top. None stays longer than the idle time.
pub(crate) struct Pool {
    shelf: Mutex<Shelf>,
    max_idle: usize,
    idle_time: Duration,
}

#[derive(Default)]
struct Shelf {
    idle: Vec<Idle>,
    reaper: Option<(AbortHandle, Id)>,
}

struct Idle {
    connection: Connection,
    since: Instant,
    /// A connection lives and dies with the runtime that drives it, and no other can tell whether that one runs.
    runtime: Id,
}

impl Pool {
    pub(crate) fn new(max_idle: usize, idle_time: Duration) -> Self {
        Self { shelf: Mutex::default(), max_idle, idle_time }
    }

    pub(crate) fn len(&self) -> usize {
        self.shelf().idle.len()
    }

    /// A connection that is ready for a request.
    pub(crate) async fn checkout(&self) -> Option<Connection> {
        while let Some(mut connection) = self.pop() {
            if connection.is_ready() || matches!(timeout(SETTLING, connection.ready()).await, Ok(true)) {
                return Some(connection);
            }
        }
        None
    }

    fn pop(&self) -> Option<Connection> {
        let runtime = Handle::current().id();
        let mut shelf = self.shelf();
        let now = Instant::now();
        shelf.idle.retain(|idle| !idle.connection.is_closed() && now < idle.since + self.idle_time);
        let place = shelf.idle.iter().rposition(|idle| idle.runtime == runtime)?;
        Some(shelf.idle.remove(place).connection)
    }

    fn put(self: &Arc<Self>, connection: Connection) {
        if connection.is_closed() || self.max_idle == 0 {
            return;
        }
        // An answer can be read to its end outside of any runtime; then there is nothing to keep a connection for.
        let Ok(handle) = Handle::try_current() else { return };
        let mut shelf = self.shelf();
        if shelf.idle.len() == self.max_idle {
            shelf.idle.remove(0);
        }
        shelf.idle.push(Idle { connection, since: Instant::now(), runtime: handle.id() });
        let has_reaper = shelf
            .reaper
            .as_ref()
            .is_some_and(|(task, runtime)| !task.is_finished() && *runtime == handle.id());
        if !has_reaper {
            let task = handle.spawn(reap(Arc::downgrade(self))).abort_handle();
            shelf.reaper = Some((task, handle.id()));
        }
    }

    /// Closes what waited long enough; says when to look again, or that nothing is left.
    fn sweep(&self) -> Option<Instant> {
        let now = Instant::now();
        let mut shelf = self.shelf();
        shelf.idle.retain(|idle| !idle.connection.is_closed() && now < idle.since + self.idle_time);
        let next = shelf.idle.iter().map(|idle| idle.since + self.idle_time).min();
        if next.is_none() {
            // Within the lock, so that whoever puts a connection back from now on starts another.
            shelf.reaper = None;
        }
        next
    }

    fn shelf(&self) -> MutexGuard<'_, Shelf> {
        self.shelf.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Pool {
    fn drop(&mut self) {
        if let Some((reaper, _)) = &self.shelf.get_mut().unwrap_or_else(PoisonError::into_inner).reaper {
            reaper.abort();
        }
    }
}

/// Runs while there are idle connections, and holds on to nothing while it sleeps.
async fn reap(pool: Weak<Pool>) {
    while let Some(next) = pool.upgrade().and_then(|pool| pool.sweep()) {
        sleep_until(next).await;
    }
}

/// A connection in use, with the way back to its pool. Dropping it closes the connection.
pub(crate) struct Lease {
    connection: Connection,
    pool: Weak<Pool>,
}

impl Lease {
    pub(crate) fn new(connection: Connection, pool: &Arc<Pool>) -> Self {
        Self { connection, pool: Arc::downgrade(pool) }
    }

    /// Gives the connection back for the next request.
    pub(crate) fn release(self) {
        if let Some(pool) = self.pool.upgrade() {
            pool.put(self.connection);
        }
    }
}
