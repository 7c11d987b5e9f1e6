//! The websockets that an operation offers, each to whoever knows its secret.

use std::{
    fmt,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use serde_json::Value;
use tokio::sync::oneshot;

use super::Wires;
use crate::{failure::Failure, personality::Behaviour, upgrade::Socket};

/// The names of the websockets, as the servers call them.
pub(super) const CONTROL: &str = "control";
pub(super) const CONTENT: &str = "fs";

/// What is offered.
pub(crate) struct Offer([Place; 2]);

struct Place {
    name: &'static str,
    secret: String,
    arrived: Mutex<Option<oneshot::Sender<Socket>>>,
}

/// Who waits for those that come to an offer.
pub(crate) struct Awaited {
    control: oneshot::Receiver<Socket>,
    content: oneshot::Receiver<Socket>,
}

impl fmt::Debug for Offer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Offer")
    }
}

impl Offer {
    pub(crate) fn new() -> (Arc<Self>, Awaited) {
        let place = |name| {
            let (sender, receiver) = oneshot::channel();
            let secret = crate::operations::uuid().replace('-', "").repeat(2);
            (Place { name, secret, arrived: Mutex::new(Some(sender)) }, receiver)
        };
        let ((first, control), (second, content)) = (place(CONTROL), place(CONTENT));
        (Arc::new(Self([first, second])), Awaited { control, content })
    }

    /// The secrets by the names of their websockets.
    pub(crate) fn secrets(&self) -> impl Iterator<Item = (String, Value)> {
        self.0.iter().map(|place| (place.name.to_owned(), place.secret.clone().into()))
    }

    /// Where the websocket goes that a secret opens; nothing where nobody knows the secret, nowhere where somebody was
    /// there before.
    pub(crate) fn take(&self, secret: &str) -> Option<Option<oneshot::Sender<Socket>>> {
        let place = self.0.iter().find(|place| place.secret == secret)?;
        Some(place.arrived.lock().unwrap_or_else(PoisonError::into_inner).take())
    }
}

impl Awaited {
    /// Waits for both, as long as the servers do.
    pub(crate) async fn wires(self, behaviour: &Behaviour) -> Result<Wires, Failure> {
        let limit = Duration::from_secs(if behaviour.incus { 30 } else { 10 });
        let both = async { Ok::<_, oneshot::error::RecvError>((self.control.await?, self.content.await?)) };
        match tokio::time::timeout(limit, both).await {
            Ok(Ok((control, content))) => Ok(Wires::new(control, content)),
            _ if behaviour.incus => Err(Failure::internal(
                "Failed waiting for migration \"control\" connection on source: context deadline exceeded",
            )),
            _ => Err(Failure::internal("Timed out waiting for connections")),
        }
    }
}
