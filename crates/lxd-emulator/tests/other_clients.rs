//! Clients that other people wrote, pointed at the program: the official command line clients `lxc` and `incus`, and
//! pylxd. A client that is not installed is said to be skipped.

#![cfg(feature = "program")]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    missing_docs,
    reason = "a test fails by panicking"
)]

mod support;

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use support::program::{Program, is_there};

/// What a client has to say to a command.
enum Says {
    /// Nothing goes wrong, and this is in its output.
    Done(&'static str),
    /// It fails, with this.
    Fails(&'static str),
    /// Nothing goes wrong, and this is not in its output.
    Not(&'static str),
}

use Says::{Done, Fails, Not};

/// One of the command line clients, with folders of its own.
struct CommandLine {
    name: &'static str,
    folder: PathBuf,
    /// What the variables for its folders begin with.
    variables: &'static str,
}

impl CommandLine {
    fn new(name: &'static str, folder: &Path) -> Self {
        fs::create_dir(folder.join("conf")).unwrap();
        fs::create_dir(folder.join("files")).unwrap();
        let variables = if name == "lxc" { "LXD" } else { "INCUS" };
        Self { name, folder: folder.to_owned(), variables }
    }

    fn run(&self, line: &str) -> (bool, String) {
        let mut command = Command::new("timeout");
        command.args(["30", self.name]).args(line.split(' ')).current_dir(self.folder.join("files"));
        command.env(format!("{}_DIR", self.variables), &self.folder);
        command.env(format!("{}_CONF", self.variables), self.folder.join("conf"));
        let output = command.stdin(Stdio::null()).output().unwrap();
        let said = [output.stdout, output.stderr].concat();
        (output.status.success(), String::from_utf8_lossy(&said).into_owned())
    }

    fn run_all(&self, steps: &[(&str, Says)]) {
        for (line, wanted) in steps {
            let (done, said) = self.run(line);
            let held = match wanted {
                Done(text) => done && said.contains(text),
                Fails(text) => !done && said.contains(text),
                Not(text) => done && !said.contains(text),
            };
            assert!(held, "{} {line}: {said}", self.name);
        }
    }
}

/// Whether to go on without a client: loudly, and not where everything has to be there.
fn skipped(client: &str, why: &str) {
    eprintln!("SKIPPED: {client} on the emulator: {why}");
    assert!(std::env::var_os("CI").is_none_or(|ci| ci != "true"), "{client} has to be there: {why}");
}

#[test]
fn lxc_does_its_storage_work() {
    if !is_there("lxc") {
        return skipped("lxc", "it is not installed");
    }
    let server = Program::start("lxd5", "unix.socket");
    let lxc = CommandLine::new("lxc", server.folder());
    lxc.run_all(&pools_and_volumes());
    lxc.run_all(&[
        ("storage volume snapshot p v s0", Done("")),
        ("storage volume snapshot p v", Done("")),
        ("storage volume info q w", Done("Content type: filesystem")),
        ("storage volume restore p v s0", Done("")),
        ("storage volume restore p v nothing", Fails("not found")),
        ("storage volume rename p v/snap0 v/second", Done("Renamed")),
        ("storage volume show p v/second", Done("expires_at")),
    ]);
    lxc.run_all(&copies_and_files());
}

#[test]
fn incus_does_its_storage_work() {
    if !is_there("incus") {
        return skipped("incus", "it is not installed");
    }
    let server = Program::start("incus6", "unix.socket");
    let incus = CommandLine::new("incus", server.folder());
    incus.run_all(&pools_and_volumes());
    incus.run_all(&[
        ("storage volume snapshot create p v s0", Done("")),
        ("storage volume snapshot create p v", Done("")),
        ("storage volume snapshot list p v", Done("snap0")),
        ("storage volume info p v", Done("s0")),
        ("storage volume snapshot restore p v s0", Done("")),
        ("storage volume snapshot restore p v nothing", Fails("not found")),
        ("storage volume snapshot rename p v snap0 second", Done("Renamed")),
        ("storage volume snapshot show p v/second", Done("expires_at")),
    ]);
    incus.run_all(&copies_and_files());
}

fn pools_and_volumes() -> Vec<(&'static str, Says)> {
    vec![
        ("storage create p dir", Done("Storage pool p created")),
        ("storage create q btrfs size=1GiB", Done("Storage pool q created")),
        ("storage create q dir", Fails("already exists")),
        ("storage create r dir frob=1", Fails("Invalid option")),
        ("storage list", Done("| q ")),
        ("storage info q", Done("total space: 1.00GiB")),
        ("storage set p user.a 1", Done("")),
        ("storage get p user.a", Done("1")),
        ("storage unset p user.a", Done("")),
        ("storage show p", Not("user.a")),
        ("storage volume create p v size=10MiB", Done("Storage volume v created")),
        ("storage volume create p disk --type=block size=10MiB", Done("Storage volume disk created")),
        ("storage volume create q w", Done("created")),
        ("storage volume create p v", Fails("already exists")),
        ("storage volume create p odd size=much", Fails("Invalid value")),
        ("storage volume list p", Done("| block ")),
        ("storage volume set p v user.x y", Done("")),
        ("storage volume get p v user.x", Done("y")),
        ("storage volume show p v", Done("user.x: \"y\"")),
        ("storage volume show p nothing", Fails("not found")),
    ]
}

fn copies_and_files() -> Vec<(&'static str, Says)> {
    vec![
        ("storage volume rename p v w", Done("Renamed storage volume")),
        ("storage volume copy p/w q/copy", Done("copied successfully")),
        ("storage volume show q copy/s0", Done("name: ")),
        ("storage volume copy p/w p/alone --volume-only", Done("copied successfully")),
        ("storage volume show p alone/s0", Fails("not found")),
        ("storage volume move q/copy p/moved", Done("moved successfully")),
        ("storage volume list q", Not("copy")),
        ("storage volume export p w w.tar.gz", Done("Backup exported successfully")),
        ("storage volume import q w.tar.gz back", Done("")),
        ("storage volume get q back user.x", Done("y")),
        ("storage volume show q back/second", Done("name: ")),
        ("project create other -c features.storage.volumes=true", Done("created")),
        ("storage volume create p there --project other", Done("created")),
        ("storage volume list p --project other", Done("there")),
        ("storage volume list p", Not("there")),
        ("profile create holder", Done("created")),
        ("storage volume attach-profile p moved holder /mnt", Done("")),
        ("profile show holder", Done("source: moved")),
        ("storage volume delete p moved", Fails("in use")),
        ("storage volume detach-profile p moved holder", Done("")),
        ("storage delete p", Fails("in use")),
        ("storage volume delete p w", Done("deleted")),
        ("storage volume delete p w", Fails("not found")),
        ("storage volume delete p disk", Done("deleted")),
        ("storage volume delete p alone", Done("deleted")),
        ("storage volume delete p moved", Done("deleted")),
        ("storage volume delete p there --project other", Done("deleted")),
        ("storage delete p", Done("Storage pool p deleted")),
        ("operation list", Done("Restoring custom volume backup")),
    ]
}

/// Runs pylxd's own guide, where a Python is to be had that has pylxd.
#[test]
fn pylxd_does_its_storage_guide() {
    let pythons = ["/opt/pylxd/bin/python", "python3"];
    let has_it = |python: &&str| {
        let look = Command::new(python).args(["-c", "import pylxd"]).stderr(Stdio::null()).status();
        look.is_ok_and(|status| status.success())
    };
    let Some(python) = pythons.into_iter().find(has_it) else {
        // It comes from an archive of its own, which may be out of reach.
        return eprintln!("SKIPPED: pylxd on the emulator: {pythons:?} do not have it");
    };
    let guide = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/storage_guide.py");
    for personality in ["lxd5", "lxd-new"] {
        let server = Program::start(personality, "unix.socket");
        let mut command = Command::new("timeout");
        command.args(["30", python, "-W", "ignore"]).arg(&guide).arg(server.folder().join("unix.socket"));
        let output = command.output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.success() && output.stdout.starts_with(b"all of it works"), "{said}");
    }
}
