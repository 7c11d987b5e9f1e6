//! `/1.0/events`: the websocket of events.

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use futures_util::{SinkExt as _, StreamExt as _};
use tokio::sync::broadcast::{Receiver, error::RecvError};
use tokio_websockets::Message;

use crate::{
    call::Call,
    envelope::Reply,
    events::Event,
    failure::Failure,
    upgrade::{Socket, is_websocket, websocket},
};

/// How often a listener is asked whether it is still there.
const KEEPALIVE: Duration = Duration::from_secs(10);

/// Which events a listener gets.
struct Choice {
    kinds: Vec<String>,
    /// `None` is all projects.
    project: Option<String>,
}

/// `GET /1.0/events`.
pub(crate) fn listen(call: Call) -> Result<Reply, Failure> {
    let incus = call.core.behaviour.incus;
    let all = call.query.is_true("all-projects");
    if all && call.query.get("project").is_some() {
        return Err(Failure::bad_request("Cannot specify a project when requesting all projects"));
    }
    let known = call.core.store.read(|database| database.projects.contains_key(call.project()));
    if !all && !known {
        return Err(Failure::new(if incus { 404 } else { 500 }, "Project not found"));
    }
    let kinds = match call.query.get("type") {
        None => vec!["operation".to_owned(), "lifecycle".to_owned(), "logging".to_owned()],
        Some(kinds) => kinds.split(',').map(str::to_owned).collect::<Vec<_>>(),
    };
    let taken = ["logging", "operation", "lifecycle", if incus { "network-acl" } else { "ovn" }];
    if let Some(kind) = kinds.iter().find(|kind| !taken.contains(&kind.as_str())) {
        let text = format!("\"{kind}\" isn't a supported event type");
        return Err(Failure::new(if incus { 400 } else { 500 }, text));
    }
    let choice = Choice { kinds, project: (!all).then(|| call.project().to_owned()) };
    if !is_websocket(&call.headers) {
        return websocket(&call.headers, None, |_| async {}).map(Reply::Raw);
    }
    // From here on, so that nothing is missed that happens after the answer.
    let events = call.core.events.listen();
    let cut = call.core.faults.next_cut();
    websocket(&call.headers, call.takeover, move |socket| serve(socket, events, choice, cut)).map(Reply::Raw)
}

async fn serve(
    mut socket: Socket,
    mut events: Receiver<Arc<Event>>,
    choice: Choice,
    cut: impl Future<Output = ()>,
) {
    let mut cut = std::pin::pin!(cut);
    let mut keepalive = tokio::time::interval(KEEPALIVE);
    loop {
        let message = tokio::select! {
            () = &mut cut => return,
            _ = keepalive.tick() => Message::ping(Bytes::from_static(b"keepalive")),
            event = events.recv() => match event {
                Ok(event) if choice.takes(&event) => Message::text(event.text.clone()),
                Ok(_) | Err(RecvError::Lagged(_)) => continue,
                Err(RecvError::Closed) => break,
            },
            // Pongs are answered below this; anything else only says that the listener is there.
            received = socket.next() => match received {
                Some(Ok(_)) => continue,
                Some(Err(_)) | None => break,
            },
        };
        if socket.send(message).await.is_err() {
            return;
        }
    }
    // The other side may be gone already.
    let _ = socket.close().await;
}

impl Choice {
    fn takes(&self, event: &Event) -> bool {
        let project = match (&self.project, &event.project) {
            (Some(wanted), Some(project)) => wanted == project,
            _ => true,
        };
        project && self.kinds.iter().any(|kind| kind == event.kind)
    }
}
