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

use crate::{connection::Connection, watchdog::end_of};

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
}

impl Pool {
    pub(crate) fn new(max_idle: usize, idle_time: Duration) -> Self {
        Self { shelf: Mutex::default(), max_idle, idle_time }
    }

    pub(crate) fn len(&self) -> usize {
        self.shelf().idle.len()
    }

    /// A connection that is ready for a request.
    pub(crate) async fn checkout(&self, now: Instant) -> Option<Connection> {
        while let Some(mut connection) = self.pop(now) {
            if connection.is_ready() || Box::pin(settles(&mut connection)).await {
                return Some(connection);
            }
        }
        None
    }

    fn pop(&self, now: Instant) -> Option<Connection> {
        let runtime = Handle::current().id();
        let mut shelf = self.shelf();
        shelf.idle.retain(|idle| !idle.connection.is_closed() && now < end_of(self.idle_time, idle.since));
        // Of a connection of another runtime nobody here can tell whether anything drives it.
        let place = shelf.idle.iter().rposition(|idle| idle.connection.runtime() == runtime)?;
        Some(shelf.idle.remove(place).connection)
    }

    fn put(self: &Arc<Self>, connection: Connection) {
        if connection.is_closed() || self.max_idle == 0 {
            return;
        }
        // A server may answer before it has read all of an upload; nobody waits for the rest to go out.
        if connection.upload().is_some_and(|upload| !upload.has_ended()) {
            return;
        }
        let mut shelf = self.shelf();
        if shelf.idle.len() == self.max_idle {
            shelf.idle.remove(0);
        }
        let (since, runtime) = (Instant::now(), connection.runtime());
        let has_reaper =
            shelf.reaper.as_ref().is_some_and(|(task, its)| !task.is_finished() && *its == runtime);
        if !has_reaper {
            // An answer can be read to its end outside of any runtime. What nobody would close is not kept.
            let Ok(handle) = Handle::try_current() else { return };
            let task = handle.spawn(reap(Arc::downgrade(self), end_of(self.idle_time, since))).abort_handle();
            shelf.reaper = Some((task, runtime));
        }
        shelf.idle.push(Idle { connection, since });
    }

    /// Closes what waited long enough; says when to look again, or that nothing is left.
    fn sweep(&self) -> Option<Instant> {
        let now = Instant::now();
        let mut shelf = self.shelf();
        shelf.idle.retain(|idle| !idle.connection.is_closed() && now < end_of(self.idle_time, idle.since));
        let next = shelf.idle.iter().map(|idle| end_of(self.idle_time, idle.since)).min();
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

async fn settles(connection: &mut Connection) -> bool {
    timeout(SETTLING, connection.ready()).await.unwrap_or(false)
}

/// Runs as long as there are idle connections whenever it looks, and holds on to nothing while it sleeps. It sleeps
/// first: in a quick series of requests the one connection is mostly in use.
async fn reap(pool: Weak<Pool>, mut next: Instant) {
    loop {
        sleep_until(next).await;
        match pool.upgrade().and_then(|pool| pool.sweep()) {
            Some(later) => next = later,
            None => return,
        }
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
