//! A daemon from its process to readiness.

use std::{
    fs,
    io::Write,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::{Mutex, PoisonError},
    thread,
    time::{Duration, Instant},
};

use crate::{
    daemon::{Daemon, is_running, start_time},
    minio,
    slot::{Family, Slot, in_path},
};

const READY_LIMIT: Duration = Duration::from_secs(30);

/// Whether a daemon ends with the thread that started it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Life {
    WithStarter,
    OfItsOwn,
}

/// A daemon that was started and isn't ready. Dropping it ends the process.
pub(crate) struct Starting {
    pub(crate) slot: Slot,
    pub(crate) dir: PathBuf,
    pid: u32,
    child: Option<Child>,
}

impl Starting {
    /// Starts a daemon in a folder of its own. It is not ready yet.
    pub(crate) fn spawn(slot: Slot, dir: &Path, life: Life) -> Result<Self, String> {
        fs::create_dir(dir).map_err(|error| format!("cannot create {}: {error}", dir.display()))?;
        Self::spawn_again(slot, dir, life)
    }

    /// Starts a daemon in the folder of one that ended.
    pub(crate) fn spawn_again(slot: Slot, dir: &Path, life: Life) -> Result<Self, String> {
        let program = slot.daemon_program().ok_or("the daemon is not installed")?;
        let log = fs::File::options()
            .create(true)
            .append(true)
            .open(dir.with_extension("log"))
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
        if let Some(path) = minio::path_for(dir) {
            command.env("PATH", path);
        }
        command.env(slot.family().dir_variable(), dir).stdin(Stdio::null());
        if let Some(path) = slot.search_path() {
            command.env("PATH", path);
        }
        command.stdout(log.try_clone().map_err(|error| error.to_string())?).stderr(log);
        let child = command.spawn().map_err(|error| format!("cannot start: {error}"))?;
        Ok(Self { slot, dir: dir.to_owned(), pid: child.id(), child: Some(child) })
    }

    /// Waits for the daemon and sets it up by itself: HTTPS, a trusted client certificate, pools.
    pub(crate) fn finish(self) -> Result<Daemon, String> {
        let set_up = || {
            self.wait_ready()?;
            let https_url = self.listen()?;
            let identity = new_identity()?;
            self.trust(&identity)?;
            let pools = new_pools(self.slot, |arguments| self.client(arguments))?;
            let certificate = fs::read_to_string(self.dir.join("server.crt"))
                .map_err(|error| format!("cannot read its certificate: {error}"))?;
            Ok(Daemon { https_url, certificate, identity, pools, ..self.unready().ok_or("it ended")? })
        };
        let daemon = set_up().map_err(|error: String| self.explain(&error))?;
        Ok(self.hand_over(daemon))
    }

    /// The process now belongs to the daemon.
    pub(crate) fn hand_over(mut self, daemon: Daemon) -> Daemon {
        *daemon.child.lock().unwrap_or_else(PoisonError::into_inner) = self.child.take();
        daemon
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

    pub(crate) fn wait_ready(&self) -> Result<(), String> {
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
    pub(crate) fn listen(&self) -> Result<String, String> {
        let mut last = String::new();
        for _ in 0..5 {
            let address = self.free_address()?;
            match self.client(&["config", "set", "core.https_address", &address]) {
                Ok(_) => return Ok(format!("https://{address}")),
                Err(error) => last = error,
            }
        }
        Err(last)
    }

    pub(crate) fn free_address(&self) -> Result<String, String> {
        let listener = std::net::TcpListener::bind((self.slot.address(), 0));
        let port = listener.and_then(|listener| listener.local_addr());
        let port = port.map_err(|error| format!("no free port: {error}"))?.port();
        Ok(format!("{}:{port}", self.slot.address()))
    }

    pub(crate) fn trust(&self, identity: &(String, String)) -> Result<(), String> {
        let file = self.dir.with_extension("client.crt");
        fs::write(&file, &identity.0).map_err(|error| error.to_string())?;
        let add = match self.slot.family() {
            Family::Lxd => "add",
            Family::Incus => "add-certificate",
        };
        self.client(&["config", "trust", add, &file.to_string_lossy()]).map(drop)
    }

    /// Runs the server's own command line client.
    pub(crate) fn client(&self, arguments: &[&str]) -> Result<String, String> {
        self.run(self.slot.client_program(), arguments, "")
    }

    /// Runs a program of the server's family, with a text for it to read.
    pub(crate) fn run(
        &self,
        program: impl AsRef<Path>,
        arguments: &[&str],
        input: &str,
    ) -> Result<String, String> {
        let family = self.slot.family();
        let program = program.as_ref();
        let tell =
            |error: &dyn std::fmt::Display| format!("{} {}: {error}", program.display(), arguments.join(" "));
        let mut child = Command::new(program)
            .args(arguments)
            .env(family.dir_variable(), &self.dir)
            .env(family.conf_variable(), self.dir.with_extension("conf"))
            .env_remove("LXD_SOCKET")
            .env_remove("INCUS_SOCKET")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .map_err(|error| tell(&error))?;
        // One that does not read its input has nothing against it.
        let _ = child.stdin.take().map(|mut stdin| stdin.write_all(input.as_bytes()));
        let output = child.wait_with_output().map_err(|error| tell(&error))?;
        if output.status.success() {
            return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
        }
        Err(tell(&String::from_utf8_lossy(&output.stderr).trim()))
    }

    /// An error with the name of the daemon and the end of its log.
    pub(crate) fn explain(&self, error: &str) -> String {
        let log = fs::read_to_string(self.dir.with_extension("log")).unwrap_or_default();
        let lines: Vec<&str> = log.lines().collect();
        let tail = lines.len().saturating_sub(10);
        format!("{}: {error}\n{}", self.slot, lines.get(tail..).unwrap_or_default().join("\n"))
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

/// Creates a pool for each driver that works on this machine, by `client`.
pub(crate) fn new_pools(
    slot: Slot,
    client: impl Fn(&[&str]) -> Result<String, String>,
) -> Result<Vec<String>, String> {
    client(&["storage", "create", "dir0", "dir"])?;
    let mut pools = vec!["dir0".to_owned()];
    if in_path("mkfs.btrfs").is_some() {
        match client(&["storage", "create", "btrfs0", "btrfs", "size=512MiB"]) {
            Ok(_) => pools.push("btrfs0".to_owned()),
            Err(error) => eprintln!("NOTE: {slot} has no btrfs pool: {error}"),
        }
    } else {
        eprintln!("NOTE: {slot} has no btrfs pool: mkfs.btrfs is not installed");
    }
    Ok(pools)
}

/// A self-signed client certificate and its key.
pub(crate) fn new_identity() -> Result<(String, String), String> {
    let key = rcgen::KeyPair::generate().map_err(|error| error.to_string())?;
    let mut parameters =
        rcgen::CertificateParams::new(vec!["lxd-tests".to_owned()]).map_err(|error| error.to_string())?;
    parameters.extended_key_usages = vec![rcgen::ExtendedKeyUsagePurpose::ClientAuth];
    let certificate = parameters.self_signed(&key).map_err(|error| error.to_string())?;
    Ok((certificate.pem(), key.serialize_pem()))
}
