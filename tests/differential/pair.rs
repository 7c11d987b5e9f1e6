//! A real server and an emulator that are asked the same.

use std::fmt;

use lxd_emulator::{Emulator, Personality};
use lxd_storage::transport::{HttpTransport, Transport};
use lxd_tests::Daemon;
use serde_json::{Value, json};

use crate::{
    ask::{Answer, ask},
    drawn::encoded,
    normal::Normal,
    step::Step,
};

pub(crate) struct Pair {
    real: Server,
    emulated: Server,
    prefix: String,
}

struct Server {
    transport: Box<dyn Transport>,
    normal: Normal,
}

/// What each of the two said, line by line.
pub(crate) struct Difference {
    pub(crate) real: Vec<String>,
    pub(crate) emulated: Vec<String>,
}

impl Pair {
    pub(crate) async fn new(daemon: &Daemon, personality: Personality) -> Self {
        let emulator = Emulator::new(personality).unwrap();
        let emulated = emulator.transport();
        for (name, driver, config) in
            [("dir0", "dir", json!({})), ("btrfs0", "btrfs", json!({"size": "512MiB"}))]
        {
            let body = json!({"name": name, "driver": driver, "config": config}).to_string();
            let answer = ask(&emulated, "POST", "/1.0/storage-pools", Some(body), None).await;
            assert!(answer.status < 300, "{}", answer.body);
        }
        let pool = ask(&emulated, "GET", "/1.0/storage-pools/dir0", None, None).await;
        let pool: Value = serde_json::from_str(&pool.body).unwrap();
        let source = pool["metadata"]["config"]["source"].as_str().unwrap();
        let folder = source.rsplit_once("/storage-pools").unwrap().0.to_owned();
        let real = Server {
            transport: Box::new(HttpTransport::unix(daemon.socket())),
            normal: Normal::new(daemon.dir().display().to_string()),
        };
        let emulated = Server { transport: Box::new(emulated), normal: Normal::new(folder) };
        Self { real, emulated, prefix: format!("t{}", std::process::id()) }
    }

    /// Asks both; `None` where they say the same.
    pub(crate) async fn difference(&self, step: &Step) -> Option<Difference> {
        let (real, emulated) =
            (self.real.said(step, &self.prefix).await, self.emulated.said(step, &self.prefix).await);
        (real != emulated).then_some(Difference { real, emulated })
    }

    /// Removes what is left of the sequences on the real server.
    pub(crate) async fn clean_up(&self) {
        for pool in
            self.real.asked("/1.0/storage-pools").await.iter().filter(|url| url.contains(&self.prefix))
        {
            // What uses volumes goes before them.
            let users = self.real.asked(&format!("{pool}#")).await;
            for url in users.iter().filter(|url| !url.contains("/volumes/")) {
                self.real.remove(url).await;
            }
            let volumes = format!("{pool}/volumes/custom");
            for name in self.real.asked(&format!("{volumes}?recursion=1")).await {
                self.real.remove(&format!("{volumes}/{}", encoded(&name))).await;
            }
            let said = self.real.remove(pool).await;
            assert!(said[0].starts_with('2'), "{pool} is left: {said:#?}");
        }
        let projects = self.real.asked("/1.0/projects").await;
        for project in projects.iter().filter(|url| url.contains(&self.prefix)) {
            self.real.remove(project).await;
        }
    }
}

impl Server {
    /// What it says to the request and, where it goes on in the background, at its end.
    async fn said(&self, step: &Step, prefix: &str) -> Vec<String> {
        let with_prefix = |text: &str| text.replace('#', prefix);
        let body = step.body.as_deref().map(with_prefix);
        let answer = ask(&*self.transport, step.method, &with_prefix(&step.path), body, step.if_match).await;
        let mut said = self.lines(&answer);
        if answer.status == 202 {
            let envelope: Value = serde_json::from_str(&answer.body).unwrap();
            let operation = envelope["operation"].as_str().unwrap().split('?').next().unwrap();
            let wait = format!("{operation}/wait?timeout=20");
            let waited = ask(&*self.transport, "GET", &wait, None, None).await;
            said.push(format!("in the end {}", waited.status));
            said.push(self.normal.body(&waited.body));
        }
        said
    }

    fn lines(&self, answer: &Answer) -> Vec<String> {
        let body = self.normal.body(&answer.body);
        let mut lines = vec![answer.status.to_string()];
        for (name, value) in &answer.headers {
            // It is computed of what was taken out too.
            let of_both = body.contains("FOLDER") || body.contains(r#""expires_at":"TIME""#);
            let value = if *name == "etag" && of_both { "ETAG" } else { value };
            lines.push(format!("{name}: {}", self.normal.text(value)));
        }
        lines.push(body);
        lines
    }

    /// What is in a list: URLs, or the names of objects; of an object whose URL has `#` behind it, who uses it.
    async fn asked(&self, path: &str) -> Vec<String> {
        let answer = ask(&*self.transport, "GET", path.trim_end_matches('#'), None, None).await;
        let body: Value = serde_json::from_str(&answer.body).unwrap();
        let list = if path.ends_with('#') { &body["metadata"]["used_by"] } else { &body["metadata"] };
        let texts = list.as_array().into_iter().flatten();
        texts.filter_map(|one| one.as_str().or(one["name"].as_str())).map(str::to_owned).collect()
    }

    async fn remove(&self, path: &str) -> Vec<String> {
        self.said(&Step::delete(path), "").await
    }
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let only = |of: &[String], other: &[String]| {
            of.iter().filter(|line| !other.contains(line)).cloned().collect::<Vec<_>>().join(" ")
        };
        let (real, emulated) = (only(&self.real, &self.emulated), only(&self.emulated, &self.real));
        let same = real.bytes().zip(emulated.bytes()).take_while(|(one, other)| one == other).count();
        for (who, said) in [("real", &real), ("emulated", &emulated)] {
            // A little of what is the same tells where in a long answer this is.
            let around: String = String::from_utf8_lossy(&said.as_bytes()[same.saturating_sub(150)..])
                .chars()
                .take(450)
                .collect();
            writeln!(f, "  {who:>8}: {around}")?;
        }
        Ok(())
    }
}
