//! Who is told how far an operation has come, and progress out of events for servers that tell it nowhere else.

use std::{
    future::{Future, pending, poll_fn},
    pin::pin,
    sync::{Mutex, PoisonError},
};

use lxd_types::{EventType, Operation, Progress};

use crate::{Client, Error, EventItem};

/// LXD has this from 6.8 on, and from then on leaves progress out of its answers: only events have it. No extension
/// marks that by itself.
const ONLY_IN_EVENTS: &str = "bulk_operations";

/// Calls back with progress.
pub(crate) type OnProgress = Box<dyn FnMut(&Progress) + Send>;

/// Tells each progress once, wherever it comes from.
pub(crate) struct Teller(Mutex<(OnProgress, Option<Progress>)>);

impl Teller {
    pub(crate) fn new(on_progress: OnProgress) -> Self {
        Self(Mutex::new((on_progress, None)))
    }

    pub(crate) fn tell(&self, operation: &Operation) {
        let Some(progress) = operation.progress() else { return };
        let mut told = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if told.1.as_ref() != Some(&progress) {
            (told.0)(&progress);
            told.1 = Some(progress);
        }
    }

    /// Listens for the progress of an operation for as long as the work takes. Whatever becomes of the events, the work
    /// doesn't notice.
    pub(crate) async fn listen_during<T>(
        &self,
        client: &Client,
        id: &str,
        work: impl Future<Output = T>,
    ) -> T {
        let listening = async {
            if let Err(error) = self.listen(client, id).await {
                tracing::debug!(operation = id, %error, "no progress from events");
            }
            pending::<()>().await;
        };
        let (mut work, mut listening) = (pin!(work), pin!(listening));
        poll_fn(|cx| {
            let _ = listening.as_mut().poll(cx);
            work.as_mut().poll(cx)
        })
        .await
    }

    async fn listen(&self, client: &Client, id: &str) -> Result<(), Error> {
        if !client.server().await?.api_extensions.has(ONLY_IN_EVENTS) {
            return Ok(());
        }
        let mut events = client.events().of_types([EventType::Operation]).open().await?;
        let mut latest = None;
        loop {
            let EventItem::Event(event) = events.next().await? else { continue };
            let Some(operation) = event.operation().filter(|operation| operation.id == id) else { continue };
            // Servers send events side by side, so that an older one can come later.
            if operation.updated_at >= latest {
                latest = operation.updated_at;
                self.tell(&operation);
            }
        }
    }
}
