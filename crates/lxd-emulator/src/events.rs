//! The event bus, and the text frames that it sends to listeners.

use std::sync::Arc;

use serde::Serialize;
use serde_json::value::RawValue;
use tokio::sync::broadcast;

use crate::{clock::Clock, gojson};

/// Listeners that are further behind than this lose events, as slow listeners of a real server do.
const BACKLOG: usize = 16_384;

/// One event, and by what listeners choose.
#[derive(Debug)]
pub(crate) struct Event {
    pub(crate) kind: &'static str,
    /// `None` for what belongs to the whole server.
    pub(crate) project: Option<String>,
    pub(crate) text: String,
}

#[derive(Serialize)]
struct Frame<'a> {
    #[serde(rename = "type")]
    kind: &'static str,
    timestamp: String,
    metadata: &'a RawValue,
    location: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    project: Option<&'a str>,
}

#[derive(Debug)]
pub(crate) struct Events(broadcast::Sender<Arc<Event>>);

impl Events {
    pub(crate) fn new() -> Self {
        Self(broadcast::channel(BACKLOG).0)
    }

    pub(crate) fn listen(&self) -> broadcast::Receiver<Arc<Event>> {
        self.0.subscribe()
    }

    /// Tells all listeners; where there are none nothing is written.
    pub(crate) fn send(
        &self,
        clock: &Clock,
        kind: &'static str,
        project: Option<&str>,
        location: &str,
        metadata: &impl Serialize,
    ) {
        if self.0.receiver_count() == 0 {
            return;
        }
        let frame = || {
            let metadata = RawValue::from_string(gojson::text(metadata).ok()?).ok()?;
            let timestamp = clock.now().to_string();
            gojson::text(&Frame { kind, timestamp, metadata: &metadata, location, project }).ok()
        };
        if let Some(text) = frame() {
            let event = Event { kind, project: project.map(str::to_owned), text: format!("{text}\n") };
            // It fails when the last listener left in this moment.
            let _ = self.0.send(Arc::new(event));
        }
    }
}

/// Metadata of a lifecycle event.
#[derive(Serialize)]
pub(crate) struct Lifecycle<'a> {
    pub(crate) action: &'a str,
    pub(crate) source: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) context: Option<serde_json::Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) requestor: Option<Requestor>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) name: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) project: Option<String>,
}

/// Who asked for something.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Requestor {
    pub(crate) username: String,
    pub(crate) protocol: String,
    pub(crate) address: String,
}
