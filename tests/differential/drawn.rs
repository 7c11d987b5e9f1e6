//! Requests drawn by lot, the bad ones among them, over few names so that they meet each other's objects.

use fastrand::Rng;
use serde_json::{Map, Value, json};

use crate::step::Step;

const POOL: &str = "/1.0/storage-pools/#p";
// None with a space: what of it is mounted LXD 5.0 doesn't find again in the list of mounts, where it is written as
// `\\040`, so that moves fail half-way and the two servers drift apart.
const NAMES: [&str; 6] = ["a", "b", "c", "d+e", "é%", ""];
const SNAPSHOTS: [&str; 5] = ["s", "t", "u v", "x/y", ""];

/// A pool, and so many requests for what is in it.
pub(crate) fn steps(seed: u64, count: usize) -> Vec<Step> {
    let mut lot = Lot(Rng::with_seed(seed));
    let pool = Step::new("POST", "/1.0/storage-pools", &json!({"name": "#p", "driver": "dir"}));
    std::iter::once(pool).chain((0..count).map(|_| lot.step())).collect()
}

struct Lot(Rng);

impl Lot {
    fn one<T: Clone>(&mut self, of: &[T]) -> T {
        of[self.0.usize(..of.len())].clone()
    }

    /// Yes in so many of a hundred cases.
    fn chance(&mut self, percent: u8) -> bool {
        self.0.u8(..100) < percent
    }

    fn volume(&mut self) -> String {
        format!("{POOL}/volumes/custom/{}", encoded(self.one(&NAMES[..5])))
    }

    fn snapshot(&mut self) -> String {
        format!("{}/snapshots/{}", self.volume(), encoded(self.one(&SNAPSHOTS[..4])))
    }

    fn step(&mut self) -> Step {
        let volumes = format!("{POOL}/volumes");
        let any = self.one(&[volumes.clone(), format!("{volumes}/custom")]);
        match self.0.u8(..100) {
            0..12 => Step::new("POST", any, &self.new_volume()),
            12..22 => Step::new("POST", format!("{volumes}/custom"), &self.copy()),
            22..32 => {
                let step = Step::new("PUT", self.volume(), &self.change());
                if self.chance(10) { step.if_match("zz") } else { step }
            }
            32..40 => Step::new("PATCH", self.volume(), &self.change()),
            40..46 => {
                let mut body = json!({"restore": self.one(&SNAPSHOTS[..3])});
                if self.chance(30) {
                    body["config"] = self.config();
                }
                Step::new("PUT", self.volume(), &body)
            }
            46..54 => {
                let mut body = json!({"name": self.one(&NAMES)});
                if self.chance(20) {
                    body["pool"] = self.one(&["#p", "dir0", "none"]).into();
                }
                Step::new("POST", self.volume(), &body)
            }
            54..58 => Step::delete(self.volume()),
            58..68 => Step::new("POST", format!("{}/snapshots", self.volume()), &self.new_snapshot()),
            68..73 => {
                let bodies = [
                    "{}",
                    r#"{"description":"q"}"#,
                    r#"{"expires_at":"2041-01-01T01:02:03.5+01:00"}"#,
                    r#"{"description":null,"expires_at":null}"#,
                    "[]",
                    r#"{"description":1}"#,
                ];
                Step::raw(self.one(&["PUT", "PATCH"]), self.snapshot(), self.one(&bodies))
            }
            73..77 => {
                let name = self.one(&SNAPSHOTS);
                Step::new("POST", self.snapshot(), &json!({"name": name}))
            }
            77..80 => Step::delete(self.snapshot()),
            80..85 => Step::get(self.snapshot()),
            85..90 => {
                let below = self.one(&["", "/snapshots", "/snapshots?recursion=1", "/state"]);
                Step::get(self.volume() + below)
            }
            90..95 => Step::get(any + self.one(&["", "?recursion=1"])),
            95..97 => {
                let filter = self.one(&[
                    "name eq a",
                    "name ne a",
                    "config.user.a eq 1",
                    "not name eq b and type eq custom",
                    r#"description eq """#,
                    r#"name eq "d+e""#,
                    "name eq a or name eq b and name eq c",
                    "(name eq a)",
                    "name eq a*",
                    "name eq [",
                    "content_type eq filesystem",
                    "used_by eq x",
                ]);
                Step::get(format!("{volumes}?recursion=1&filter={}", encoded(filter)))
            }
            _ => {
                let bodies = [
                    "{}",
                    r#"{"description":"z"}"#,
                    r#"{"config":{"user.a":"b"}}"#,
                    r#"{"config":{"source":"/x"}}"#,
                    "x",
                    r#"{"config":{"volume.size":"1MiB"}}"#,
                ];
                match self.one(&["GET", "PUT", "PATCH"]) {
                    "GET" => Step::get(POOL),
                    method => Step::raw(method, POOL, self.one(&bodies)),
                }
            }
        }
    }

    fn new_volume(&mut self) -> Value {
        let mut body = self.change();
        if self.chance(90) {
            body["name"] = self.one(&NAMES).into();
        }
        if self.chance(30) {
            body["type"] = self.one(&["custom", "container", "foo", ""]).into();
        }
        if self.chance(20) {
            body["content_type"] = self.one(&["filesystem", "block", "foo", "iso"]).into();
        }
        body
    }

    fn copy(&mut self) -> Value {
        let mut body = self.change();
        body["name"] = self.one(&NAMES).into();
        body["source"] = json!({
            "type": "copy",
            "name": self.one(&["a", "b", "c", "d+e", "a/s", "b/t", "c/none"]),
            "pool": self.one(&["#p", "#p", "#p", "none", ""]),
            "volume_only": self.chance(30),
        });
        if self.chance(30) {
            body["source"]["refresh"] = true.into();
        }
        body
    }

    fn new_snapshot(&mut self) -> Value {
        let mut body = Map::new();
        if self.chance(90) {
            body.insert("name".to_owned(), self.one(&SNAPSHOTS).into());
        }
        if self.chance(30) {
            let times =
                [json!("2040-01-01T00:00:00Z"), Value::Null, json!("bad"), json!("0001-01-01T00:00:00Z")];
            body.insert("expires_at".to_owned(), self.one(&times));
        }
        body.into()
    }

    /// Config and description, either of which can be missing.
    fn change(&mut self) -> Value {
        let mut body = json!({});
        if self.chance(50) {
            body["config"] = self.config();
        }
        if self.chance(40) {
            body["description"] = self.one(&[json!(""), json!("hi"), json!("<b>&"), json!(3), Value::Null]);
        }
        body
    }

    fn config(&mut self) -> Value {
        let keys: [(&str, &[&str]); 10] = [
            ("user.a", &["1"]),
            ("user.b", &["x", "<&>", ""]),
            ("size", &["1MiB", "10MB", "abc", "", "0", "5kB", "1 MiB", "-3"]),
            ("zz", &["1"]),
            ("snapshots.expiry", &["1d", "2w 3H", "bad", "1d 1d", "0d"]),
            (
                "snapshots.schedule",
                &["@daily", "0 * * * *", "bad", "@never", "* * * *", "61 * * * *", "@hourly,@daily"],
            ),
            ("security.shifted", &["true", "no", "2"]),
            ("snapshots.pattern", &["x%d", "snap"]),
            ("block.filesystem", &["ext4"]),
            ("security.unmapped", &["TRUE"]),
        ];
        match self.0.u8(..14) {
            0 | 1 => json!({}),
            2 => json!({"user.a": null}),
            3 => json!({"user.a": 5}),
            _ => {
                let (key, values) = self.one(&keys);
                json!({key: self.one(values)})
            }
        }
    }
}

/// For a path or a query.
pub(crate) fn encoded(text: &str) -> String {
    text.bytes()
        .map(|byte| match byte {
            byte if byte.is_ascii_alphanumeric() => char::from(byte).to_string(),
            byte => format!("%{byte:02X}"),
        })
        .collect()
}
