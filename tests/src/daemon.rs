//! One private daemon that runs.

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::{Mutex, PoisonError},
    thread,
    time::{Duration, Instant},
};

use crate::{
    slot::Slot,
    starting::{Life, Starting},
};

/// A running daemon that nobody else uses.
#[derive(Debug)]
pub struct Daemon {
    pub(crate) slot: Slot,
    pub(crate) dir: PathBuf,
    pub(crate) pid: u32,
    pub(crate) started: String,
    pub(crate) https_url: String,
    pub(crate) certificate: String,
    pub(crate) identity: (String, String),
    pub(crate) pools: Vec<String>,
    /// Ours to wait for, unless another process started it.
    pub(crate) child: Mutex<Option<Child>>,
}

impl Daemon {
    /// Which place in the lab it has.
    #[must_use]
    pub fn slot(&self) -> Slot {
        self.slot
    }

    /// The process.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.pid
    }

    /// Its folder.
    #[must_use]
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// Its Unix socket.
    #[must_use]
    pub fn socket(&self) -> PathBuf {
        self.dir.join("unix.socket")
    }

    /// Where it listens for HTTPS.
    #[must_use]
    pub fn https_url(&self) -> &str {
        &self.https_url
    }

    /// Its certificate, as PEM.
    #[must_use]
    pub fn certificate_pem(&self) -> &str {
        &self.certificate
    }

    /// A client certificate that it trusts, and the key, as PEM.
    #[must_use]
    pub fn client_identity(&self) -> (&str, &str) {
        (&self.identity.0, &self.identity.1)
    }

    /// The storage pools that are ready: one for each driver that works on this machine.
    #[must_use]
    pub fn pools(&self) -> &[String] {
        &self.pools
    }

    /// Where this process sees the content of a custom volume. The daemon's mounts are its own, so the way leads
    /// through its view of the file system.
    #[must_use]
    pub fn volume_path(&self, pool: &str, project: &str, volume: &str) -> PathBuf {
        let inside =
            self.dir.join("storage-pools").join(pool).join("custom").join(format!("{project}_{volume}"));
        let root = PathBuf::from(format!("/proc/{}/root", self.pid));
        root.join(inside.strip_prefix("/").unwrap_or(&inside))
    }

    /// Starts the daemon again where [`kill`](Self::kill) ended it: the same folder, address and trust. It ends with the
    /// thread that calls this.
    ///
    /// # Errors
    /// A daemon that does not come up, with the end of its log.
    pub fn start_again(&mut self) -> Result<(), String> {
        self.kill();
        let starting = Starting::spawn_again(self.slot, &self.dir, Life::WithStarter)?;
        starting.wait_ready().map_err(|error| starting.explain(&error))?;
        let unready = starting.unready().ok_or_else(|| starting.explain("it ended"))?;
        (self.pid, self.started) = (unready.pid, unready.started.clone());
        let Daemon { child, .. } = starting.hand_over(unready);
        self.child = child;
        Ok(())
    }

    /// Ends the process at once, as `kill -9` does, mounts and all. What it wrote stays.
    pub fn kill(&self) {
        match &mut *self.child.lock().unwrap_or_else(PoisonError::into_inner) {
            Some(child) => {
                let _ = child.kill();
                // Only its parent can clear away what is left of an ended process.
                let _ = child.wait();
            }
            None => kill(self.pid, &self.started),
        }
    }
}

/// When a process was started, in clock ticks since boot: tells it from a later one with the same number.
pub(crate) fn start_time(pid: u32) -> Option<String> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The second field is the program's name, in parentheses, and may hold anything.
    let after_name = stat.rsplit_once(')')?.1;
    let mut fields = after_name.split_whitespace();
    let state = fields.next()?;
    // A zombie has ended already.
    (state != "Z").then(|| fields.nth(18).map(str::to_owned)).flatten()
}

pub(crate) fn is_running(pid: u32) -> bool {
    start_time(pid).is_some()
}

/// Ends a process and waits until it is gone.
pub(crate) fn kill(pid: u32, started: &str) {
    let is_it = || start_time(pid).as_deref() == Some(started);
    if !is_it() {
        return;
    }
    // The shell has `kill` built in; as a program it is missing on small systems.
    let mut command = Command::new("sh");
    let _ = command.args(["-c", "kill -KILL \"$0\"", &pid.to_string()]).stderr(Stdio::null()).status();
    let end = Instant::now() + Duration::from_secs(10);
    while is_it() && Instant::now() < end {
        thread::sleep(Duration::from_millis(5));
    }
}
