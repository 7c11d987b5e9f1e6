//! `cargo xtask fixtures`: captures the answers that the tests of lxd-types read, from private daemons.

use std::{
    fs,
    io::{Read, Write},
    os::unix::net::UnixStream,
    path::{Path, PathBuf},
    thread::sleep,
    time::Duration,
};

use lxd_tests::{Daemon, Lab, Slot};
use serde_json::{Value, json};

use crate::command::root;

pub(crate) fn run() -> Result<(), String> {
    let slots = [(Slot::LxdA, "lxd-5.0"), (Slot::Incus, "incus-6.0"), (Slot::Incus7, "incus-7.0")];
    let lab = Lab::start(&slots.map(|(slot, _)| slot))?;
    for (slot, folder) in slots {
        let daemon = lab.daemon(slot)?;
        let folder = root().join("crates/lxd-types/tests/fixtures").join(folder);
        fs::create_dir_all(&folder).map_err(|error| error.to_string())?;
        Capture { daemon, folder }.everything()?;
    }
    Ok(())
}

struct Capture<'a> {
    daemon: &'a Daemon,
    folder: PathBuf,
}

const VOLUMES: &str = "/1.0/storage-pools/dir0/volumes/custom";

impl Capture<'_> {
    /// One after the other: what a later answer shows was made by the requests before it.
    fn everything(&self) -> Result<(), String> {
        self.keep("server", "GET", "/1.0", None)?;
        let post = json!({"name": "made", "driver": "dir", "description": "for the fixtures", "config": {"rsync.bwlimit": "1MB"}});
        self.keep("pool-created", "POST", "/1.0/storage-pools", Some(post))?;
        self.keep("pool-unused", "GET", "/1.0/storage-pools/made", None)?;

        let size = json!({"name": "sized", "description": "d", "config": {"size": "16MiB", "user.k": "v"}});
        self.keep("volume-created", "POST", VOLUMES, Some(size))?;
        // Incus 7 takes no white space and wants a letter or digit at the end.
        let odd = if self.folder.ends_with("incus-7.0") { "odd;é;100%25" } else { "odd é 100%" };
        self.send("POST", VOLUMES, Some(json!({"name": odd})))?;
        self.send(
            "POST",
            VOLUMES,
            Some(json!({"name": "block", "content_type": "block", "config": {"size": "8MiB"}})),
        )?;
        let snapshot = json!({"name": "s0"});
        let (_, taken) =
            self.keep("operation-snapshot", "POST", &format!("{VOLUMES}/sized/snapshots"), Some(snapshot))?;
        self.wait(&taken)?;
        let root = json!({"root": {"type": "disk", "path": "/", "pool": "dir0"}});
        self.send("POST", "/1.0/profiles", Some(json!({"name": "p", "devices": root})))?;
        let instance = json!({"name": "c", "source": {"type": "none"}, "devices": root});
        let (_, created) = self.send("POST", "/1.0/instances", Some(instance))?;
        self.wait(&created)?;

        self.keep("pools", "GET", "/1.0/storage-pools", None)?;
        self.keep("pools-full", "GET", "/1.0/storage-pools?recursion=1", None)?;
        self.keep("pool-dir", "GET", "/1.0/storage-pools/dir0", None)?;
        self.keep("pool-btrfs", "GET", "/1.0/storage-pools/btrfs0", None)?;
        self.keep("pool-resources", "GET", "/1.0/storage-pools/dir0/resources", None)?;
        self.keep("pool-resources-btrfs", "GET", "/1.0/storage-pools/btrfs0/resources", None)?;
        self.keep("volumes", "GET", "/1.0/storage-pools/dir0/volumes", None)?;
        self.keep("volumes-full", "GET", "/1.0/storage-pools/dir0/volumes?recursion=1", None)?;
        self.keep("volumes-with-all", "GET", "/1.0/storage-pools/dir0/volumes?recursion=2", None)?;
        self.keep("volumes-none", "GET", "/1.0/storage-pools/dir0/volumes/image?recursion=1", None)?;
        self.keep("volume-custom", "GET", &format!("{VOLUMES}/sized"), None)?;
        self.keep("volume-block", "GET", &format!("{VOLUMES}/block"), None)?;
        self.keep("volume-container", "GET", "/1.0/storage-pools/dir0/volumes/container/c", None)?;
        self.keep("volume-snapshots", "GET", &format!("{VOLUMES}/sized/snapshots?recursion=1"), None)?;
        self.send(
            "POST",
            "/1.0/storage-pools/btrfs0/volumes/custom",
            Some(json!({"name": "v", "config": {"size": "16MiB"}})),
        )?;
        self.keep("volume-state", "GET", "/1.0/storage-pools/btrfs0/volumes/custom/v/state", None)?;
        self.keep("volume-renamed", "POST", &format!("{VOLUMES}/block"), Some(json!({"name": "block2"})))?;
        self.keep(
            "volume-changed",
            "PATCH",
            &format!("{VOLUMES}/sized"),
            Some(json!({"config": {"user.k": "w"}})),
        )?;

        self.keep("error-not-found", "GET", "/1.0/storage-pools/nobody", None)?;
        self.keep(
            "error-exists",
            "POST",
            "/1.0/storage-pools",
            Some(json!({"name": "made", "driver": "dir"})),
        )?;
        self.keep("error-bad-name", "POST", VOLUMES, Some(json!({"name": "a/b"})))?;
        self.keep("error-in-use", "DELETE", "/1.0/storage-pools/dir0", None)?;

        let copy =
            |name: &str| json!({"name": "copy", "source": {"type": "copy", "pool": "dir0", "name": name}});
        let (_, copied) = self.keep("operation-copy", "POST", VOLUMES, Some(copy("sized")))?;
        self.keep("operation-done", "GET", &format!("{}/wait?timeout=10", operation(&copied)), None)?;
        let (_, failing) = self.send(
            "POST",
            VOLUMES,
            Some(json!({"name": "x", "source": {"type": "copy", "pool": "dir0", "name": "nobody"}})),
        )?;
        self.keep("operation-failed", "GET", &format!("{}/wait?timeout=10", operation(&failing)), None)?;
        let (_, offer) = self.keep(
            "operation-migration",
            "POST",
            &format!("{VOLUMES}/sized"),
            Some(json!({"name": "sized", "migration": true})),
        )?;
        self.keep("operation-wait-over", "GET", &format!("{}/wait?timeout=1", operation(&offer)), None)?;
        self.keep("operation-running", "GET", &operation(&offer), None)?;
        self.keep("operations", "GET", "/1.0/operations?recursion=1", None)?;
        Ok(())
    }

    /// Sends a request and writes its answer down, without what is private to this machine and moment.
    fn keep(
        &self,
        name: &str,
        method: &str,
        target: &str,
        body: Option<Value>,
    ) -> Result<(u16, Value), String> {
        let (status, answer) = self.send(method, target, body)?;
        let mut kept = answer.clone();
        self.anonymise(&mut kept);
        let text = serde_json::to_string_pretty(&kept).map_err(|error| error.to_string())?;
        let file = self.folder.join(format!("{name}.json"));
        fs::write(&file, format!("{text}\n")).map_err(|error| format!("{}: {error}", file.display()))?;
        println!("{status} {method:<6} {target} -> {name}.json");
        Ok((status, answer))
    }

    /// Replaces certificates, secrets, paths and names of this machine by others of the same form.
    fn anonymise(&self, value: &mut Value) {
        match value {
            Value::String(text) => {
                let folder = self.daemon.dir().to_string_lossy();
                *text = text.replace(&*folder, "/var/lib/server").replace(&host_name(), "host");
                if text.contains("-----BEGIN CERTIFICATE") {
                    "-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n".clone_into(text);
                } else if text.len() == 64 && text.chars().all(|c| c.is_ascii_hexdigit()) {
                    *text = "5ec3e7".repeat(10) + "5ec3";
                }
            }
            Value::Array(items) => items.iter_mut().for_each(|item| self.anonymise(item)),
            Value::Object(fields) => fields.values_mut().for_each(|field| self.anonymise(field)),
            Value::Null | Value::Bool(_) | Value::Number(_) => {}
        }
    }

    fn wait(&self, answer: &Value) -> Result<(), String> {
        self.send("GET", &format!("{}/wait?timeout=30", operation(answer)), None).map(drop)
    }

    /// One request on one connection, without the client whose types are to be tested.
    fn send(&self, method: &str, target: &str, body: Option<Value>) -> Result<(u16, Value), String> {
        let body = body.map(|body| body.to_string()).unwrap_or_default();
        let request = format!(
            "{method} {target} HTTP/1.0\r\nHost: lxd\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
            body.len()
        );
        exchange(&self.daemon.socket(), &request).map_err(|error| format!("{method} {target}: {error}"))
    }
}

fn exchange(socket: &Path, request: &str) -> Result<(u16, Value), String> {
    let mut stream = UnixStream::connect(socket).map_err(|error| error.to_string())?;
    stream.write_all(request.as_bytes()).map_err(|error| error.to_string())?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).map_err(|error| error.to_string())?;
    let (head, body) = answer.split_once("\r\n\r\n").ok_or("no head")?;
    let status = head.split(' ').nth(1).and_then(|status| status.parse().ok()).ok_or("no status")?;
    // A moment for what the server does after it answered.
    sleep(Duration::from_millis(20));
    Ok((status, serde_json::from_str(body.trim()).map_err(|error| format!("{error}: {body}"))?))
}

fn operation(answer: &Value) -> String {
    answer["operation"].as_str().unwrap_or_default().to_owned()
}

fn host_name() -> String {
    let name = fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    let name = name.trim();
    if name.is_empty() { "localhost".to_owned() } else { name.to_owned() }
}
