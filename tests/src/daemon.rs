//! One private daemon: start, set up, stop.

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::{Mutex, PoisonError},
    thread,
    time::{Duration, Instant},
};

use crate::slot::{Family, Slot, in_path};

const READY_LIMIT: Duration = Duration::from_secs(30);

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

/// Whether a daemon ends with the thread that started it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Life {
    WithStarter,
    OfItsOwn,
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

    /// Starts the process. It is not ready yet.
    pub(crate) fn spawn(slot: Slot, dir: &Path, life: Life) -> Result<Starting, String> {
        let program = slot.family().daemon_program().ok_or("the daemon is not installed")?;
        fs::create_dir(dir).map_err(|error| format!("cannot create {}: {error}", dir.display()))?;
        let log = fs::File::create(dir.with_extension("log"))
            .map_err(|error| format!("cannot create a log: {error}"))?;
        // The kernel kills a process with such a signal when the thread that started it ends, in whichever way.
        let mut command = match life {
            Life::WithStarter => {
                let mut command = Command::new("setpriv");
                command.args(["--pdeathsig", "KILL"]);
                command
            }
            Life::OfItsOwn => Command::new("setsid"),
        };
        // Mounts in a namespace of its own vanish together with the daemon.
        command
            .args(["unshare", "--mount", "--propagation", "private"])
            .arg(program)
            .args(["--group", "root"]);
        command.env(slot.family().dir_variable(), dir).stdin(Stdio::null());
        command.stdout(log.try_clone().map_err(|error| error.to_string())?).stderr(log);
        let child = command.spawn().map_err(|error| format!("cannot start: {error}"))?;
        Ok(Starting { slot, dir: dir.to_owned(), pid: child.id(), child: Some(child) })
    }

    /// Ends the process at once. Its data is of no further use.
    pub(crate) fn kill(&self) {
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

/// A daemon that was started and isn't ready. Dropping it ends the process.
pub(crate) struct Starting {
    slot: Slot,
    dir: PathBuf,
    pid: u32,
    child: Option<Child>,
}

impl Starting {
    /// Waits for the daemon and sets it up: HTTPS, a trusted client certificate, pools.
    pub(crate) fn finish(mut self) -> Result<Daemon, String> {
        let set_up = self.set_up();
        let daemon = set_up.map_err(|error| format!("{}: {error}\n{}", self.slot, self.log_tail()))?;
        *daemon.child.lock().unwrap_or_else(PoisonError::into_inner) = self.child.take();
        Ok(daemon)
    }

    fn set_up(&self) -> Result<Daemon, String> {
        self.wait_ready()?;
        let https_url = self.listen()?;
        let identity = new_identity()?;
        let certificate_file = self.dir.with_extension("client.crt");
        fs::write(&certificate_file, &identity.0).map_err(|error| error.to_string())?;
        let add = match self.slot.family() {
            Family::Lxd => "add",
            Family::Incus => "add-certificate",
        };
        self.client(&["config", "trust", add, &certificate_file.to_string_lossy()])?;

        self.client(&["storage", "create", "dir0", "dir"])?;
        let mut pools = vec!["dir0".to_owned()];
        if in_path("mkfs.btrfs").is_some() {
            match self.client(&["storage", "create", "btrfs0", "btrfs", "size=512MiB"]) {
                Ok(_) => pools.push("btrfs0".to_owned()),
                Err(error) => eprintln!("NOTE: {} has no btrfs pool: {error}", self.slot),
            }
        } else {
            eprintln!("NOTE: {} has no btrfs pool: mkfs.btrfs is not installed", self.slot);
        }
        let certificate = fs::read_to_string(self.dir.join("server.crt"))
            .map_err(|error| format!("cannot read its certificate: {error}"))?;
        Ok(Daemon { https_url, certificate, identity, pools, ..self.unready().ok_or("it ended")? })
    }

    /// What is known of the daemon before it is set up: enough to end it. `None` if it ended by itself.
    pub(crate) fn unready(&self) -> Option<Daemon> {
        Some(Daemon {
            slot: self.slot,
            dir: self.dir.clone(),
            pid: self.pid,
            started: start_time(self.pid)?,
            https_url: String::new(),
            certificate: String::new(),
            identity: (String::new(), String::new()),
            pools: Vec::new(),
            child: Mutex::new(None),
        })
    }

    fn wait_ready(&self) -> Result<(), String> {
        let end = Instant::now() + READY_LIMIT;
        loop {
            let answer = self.client(&["query", "/1.0"]);
            match answer {
                Ok(_) => return Ok(()),
                Err(_) if !is_running(self.pid) => return Err("it ended while starting".to_owned()),
                Err(error) if Instant::now() > end => {
                    return Err(format!("not ready within {READY_LIMIT:?}: {error}"));
                }
                Err(_) => thread::sleep(Duration::from_millis(50)),
            }
        }
    }

    /// Lets the daemon listen for HTTPS on a port that is free now; another one if somebody was faster.
    fn listen(&self) -> Result<String, String> {
        let mut last = String::new();
        for _ in 0..5 {
            let port = std::net::TcpListener::bind((self.slot.address(), 0))
                .and_then(|listener| listener.local_addr())
                .map_err(|error| format!("no free port: {error}"))?
                .port();
            let address = format!("{}:{port}", self.slot.address());
            match self.client(&["config", "set", "core.https_address", &address]) {
                Ok(_) => return Ok(format!("https://{address}")),
                Err(error) => last = error,
            }
        }
        Err(last)
    }

    /// Runs the server's own command line client.
    fn client(&self, arguments: &[&str]) -> Result<String, String> {
        let family = self.slot.family();
        let output = Command::new(family.client_program())
            .args(arguments)
            .env(family.dir_variable(), &self.dir)
            .env(family.conf_variable(), self.dir.with_extension("conf"))
            .env_remove("LXD_SOCKET")
            .env_remove("INCUS_SOCKET")
            .stdin(Stdio::null())
            .output()
            .map_err(|error| format!("{}: {error}", family.client_program()))?;
        if output.status.success() {
            return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
        }
        let said = String::from_utf8_lossy(&output.stderr);
        Err(format!("{} {}: {}", family.client_program(), arguments.join(" "), said.trim()))
    }

    fn log_tail(&self) -> String {
        let log = fs::read_to_string(self.dir.with_extension("log")).unwrap_or_default();
        let lines: Vec<&str> = log.lines().collect();
        let tail = lines.len().saturating_sub(10);
        lines.get(tail..).unwrap_or_default().join("\n")
    }
}

impl Drop for Starting {
    fn drop(&mut self) {
        if let Some(child) = &mut self.child {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

/// A self-signed client certificate and its key.
fn new_identity() -> Result<(String, String), String> {
    let key = rcgen::KeyPair::generate().map_err(|error| error.to_string())?;
    let mut parameters =
        rcgen::CertificateParams::new(vec!["lxd-tests".to_owned()]).map_err(|error| error.to_string())?;
    parameters.extended_key_usages = vec![rcgen::ExtendedKeyUsagePurpose::ClientAuth];
    let certificate = parameters.self_signed(&key).map_err(|error| error.to_string())?;
    Ok((certificate.pem(), key.serialize_pem()))
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
