//! What is left after calls: tasks of the client's runtime, and open files of this process.

use std::time::Duration;

use tokio::runtime::Handle;

/// Open files and tasks at some time.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Left {
    tasks: usize,
    files: usize,
}

impl Left {
    pub(crate) fn now() -> Self {
        // Connections, sockets and files alike; not there on every system.
        let files = std::fs::read_dir("/proc/self/fd").map_or(0, Iterator::count);
        Self { tasks: Handle::current().metrics().num_alive_tasks(), files }
    }

    /// Waits until no more is left than there was before, but for what clients keep for later.
    pub(crate) async fn gone(self, with_clients: bool, kept: impl Fn() -> usize) -> Result<(), String> {
        let mut now = self;
        // A migration gives the other end ten seconds to take back what it has, and what cleans up looks for a server
        // that is gone for a minute more.
        for _ in 0..3200 {
            now = Self::now();
            let kept = kept();
            if now.tasks <= self.tasks + kept && (with_clients || now.files <= self.files) {
                return Ok(());
            }
            tokio::time::sleep(Duration::from_millis(25)).await;
        }
        Err(format!("{now:?} is left where there was {self:?}, and {} tasks are kept", kept()))
    }
}
