//! Long work on the server.

use std::{collections::BTreeMap, fmt};

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::Value;

use crate::{Progress, Requestor, Secrets, Timestamp};

open_enum! {
    /// What an operation is for.
    pub enum OperationClass {
        /// Work that runs by itself.
        Task = "task",
        /// Work that waits for somebody to connect to its websockets, such as a migration.
        Websocket = "websocket",
        /// A token that waits to be used.
        Token = "token",
        /// Work that outlives the daemon.
        Durable = "durable",
    }
}

/// The number that says how an operation stands. Final from 200 on.
///
/// ```
/// use lxd_types::StatusCode;
///
/// assert!(!StatusCode::RUNNING.is_final());
/// assert!(StatusCode::FAILURE.is_final());
/// assert_eq!(StatusCode::RUNNING.to_string(), "Running");
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct StatusCode(u16);

impl StatusCode {
    /// 103: the work goes on.
    pub const RUNNING: Self = Self(103);
    /// 104: the work was asked to stop and has not yet.
    pub const CANCELLING: Self = Self(104);
    /// 105: the work has not begun.
    pub const PENDING: Self = Self(105);
    /// 200: done.
    pub const SUCCESS: Self = Self(200);
    /// 400: failed.
    pub const FAILURE: Self = Self(400);
    /// 401: stopped on request.
    pub const CANCELLED: Self = Self(401);

    /// The number.
    #[must_use]
    pub fn as_u16(self) -> u16 {
        self.0
    }

    /// Whether the work has ended, in whichever way.
    #[must_use]
    pub fn is_final(self) -> bool {
        self.0 >= 200
    }
}

impl From<u16> for StatusCode {
    fn from(code: u16) -> Self {
        Self(code)
    }
}

impl fmt::Display for StatusCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            103 => f.pad("Running"),
            104 => f.pad("Cancelling"),
            105 => f.pad("Pending"),
            200 => f.pad("Success"),
            400 => f.pad("Failure"),
            401 => f.pad("Cancelled"),
            other => write!(f, "status {other}"),
        }
    }
}

impl Serialize for StatusCode {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_u16(self.0)
    }
}

impl<'de> Deserialize<'de> for StatusCode {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        u16::deserialize(deserializer).map(Self)
    }
}

/// What an operation says about itself: progress, results, and for some classes secrets.
///
/// [`Debug`](fmt::Debug) shows progress and the names of the other entries, never their values.
#[derive(Clone, Default, PartialEq)]
pub struct Metadata(BTreeMap<String, Value>);

impl Metadata {
    /// One entry.
    #[must_use]
    pub fn get(&self, key: &str) -> Option<&Value> {
        self.0.get(key)
    }

    /// The names of the entries.
    pub fn keys(&self) -> impl Iterator<Item = &str> {
        self.0.keys().map(String::as_str)
    }
}

impl fmt::Debug for Metadata {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let hidden = Value::from("***");
        let entries =
            self.0.iter().map(|(key, value)| (key, if key.ends_with("progress") { value } else { &hidden }));
        f.debug_map().entries(entries).finish()
    }
}

impl Serialize for Metadata {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.0.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Metadata {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        BTreeMap::deserialize(deserializer).map(Self)
    }
}

object! {
    /// Long work on the server, as `GET /1.0/operations/<id>` describes it.
    ///
    /// A finished operation disappears from the server after about five seconds.
    pub struct Operation {
        /// The operation's UUID.
        pub id: String = "id",
        /// What it is for.
        pub class: OperationClass = "class",
        /// Text for people; not stable between versions.
        pub description: String = "description",
        /// When the work was asked for.
        pub created_at: Option<Timestamp> = time "created_at",
        /// When the metadata last changed; it doesn't move when the work ends.
        pub updated_at: Option<Timestamp> = time "updated_at",
        /// The name of [`status_code`](Self::status_code).
        pub status: String = "status",
        /// How the work stands.
        pub status_code: StatusCode = "status_code",
        /// What the work is about: kinds of object to URLs. LXD 5.0 writes malformed URLs here.
        pub resources: BTreeMap<String, Vec<String>> = lists "resources",
        /// Progress, results and secrets.
        pub metadata: Metadata = "metadata",
        /// Whether a cancel would be accepted now.
        pub may_cancel: bool = "may_cancel",
        /// Why the work failed, in the server's words; empty otherwise.
        pub err: String = "err",
        /// The code of the failure, in the manner of HTTP, on servers that report one.
        pub err_code: Option<u16> = optional "err_code",
        /// How many operations work for this one. Needs `operation_child_count` (LXD).
        pub child_count: Option<u32> = optional "child_count",
        /// Who asked for the work. Needs `operation_requestor` (LXD).
        pub requestor: Option<Requestor> = optional "requestor",
        /// The cluster member that does the work; `none` outside a cluster.
        pub location: String = "location",
    }
}

impl Operation {
    /// How far the work has come, where it says so in a way that we can read.
    #[must_use]
    pub fn progress(&self) -> Option<Progress> {
        let object = self.metadata.get("progress").and_then(Progress::from_object);
        object.or_else(|| {
            self.metadata.0.iter().find_map(|(key, value)| {
                key.ends_with("_progress").then_some(())?;
                Some(Progress::from_text(key, value.as_str()?))
            })
        })
    }

    /// The secrets of the websockets of a migration, by names that have to be passed on as they are: every text in the
    /// metadata of an operation of class `websocket` that is neither a URL nor progress. Other operations have none.
    #[must_use]
    pub fn secrets(&self) -> Secrets {
        if self.class != OperationClass::Websocket {
            return Secrets::default();
        }
        // Servers may have more websockets than `control` and `fs`, so what isn't one is left out instead.
        let is_other = |key: &str| key.ends_with("_url") || key.contains("progress");
        let texts = self.metadata.0.iter().filter(|(key, _)| !is_other(key));
        texts.filter_map(|(key, value)| Some((key.clone(), value.as_str()?.to_owned()))).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_are_found_and_not_shown() {
        let text = r#"{"id":"1","class":"websocket","metadata":{"control":"aaa","fs":"bbb","fs_progress":"v: 1MB (1MB/s)"}}"#;
        let operation: Operation = serde_json::from_str(text).unwrap();
        assert_eq!(operation.secrets().names().collect::<Vec<_>>(), ["control", "fs"]);
        let debug = format!("{operation:?} {:?}", operation.secrets());
        assert!(!debug.contains("aaa") && !debug.contains("bbb"), "{debug}");
        assert!(debug.contains("1MB"), "{debug}");
    }

    #[test]
    fn urls_progress_and_other_work_hold_no_secrets() {
        let text = r#"{"class":"websocket","metadata":{"control":"aaa","criu":"ccc","entity_url":"/1.0/storage-pools/p",
            "original_entity_url":"/1.0/storage-pools/q","fs_progress":"v: 1MB","progress":{"stage":"fs"},
            "progress_text":"1MB"}}"#;
        let mut operation: Operation = serde_json::from_str(text).unwrap();
        assert_eq!(operation.secrets().names().collect::<Vec<_>>(), ["control", "criu"]);
        operation.class = OperationClass::Task;
        assert!(operation.secrets().is_empty());
    }

    #[test]
    fn what_newest_lxd_adds_is_read() {
        let text = r#"{"id":"1","err":"taken","err_code":409,"child_count":2,"requestor":{"username":"root","protocol":"unix","address":"@"}}"#;
        let operation: Operation = serde_json::from_str(text).unwrap();
        assert_eq!((operation.err_code, operation.child_count), (Some(409), Some(2)));
        assert_eq!(operation.requestor.as_ref().unwrap().protocol, "unix");
        assert!(operation.extra.is_empty());
        let again = serde_json::to_value(&operation).unwrap();
        assert_eq!(serde_json::from_value::<Operation>(again).unwrap(), operation);
    }

    #[test]
    fn nulls_are_empty() {
        let operation: Operation =
            serde_json::from_str(r#"{"id":"1","resources":null,"metadata":null}"#).unwrap();
        assert!(operation.resources.is_empty() && operation.progress().is_none());
        let operation: Operation =
            serde_json::from_str(r#"{"resources":{"a":null,"b":[null,"/1.0"],"c":[]}}"#).unwrap();
        let lists: Vec<(&str, usize)> =
            operation.resources.iter().map(|(key, list)| (&**key, list.len())).collect();
        assert_eq!(lists, [("a", 0), ("b", 1), ("c", 0)]);
    }
}
