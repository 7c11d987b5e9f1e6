//! The event stream of a server.

use std::{future::poll_fn, pin::Pin, time::Duration};

use futures_core::Stream;
use lxd_types::{Event, EventType};
use tokio::time::{Instant, timeout, timeout_at};
use tokio_websockets::Message;

use crate::{
    Client, Error, ErrorKind,
    route::Route,
    unfold::Unfold,
    websocket::{self, Socket},
};

/// Servers ping every ten seconds. Silence of three times that is a dead connection.
const SILENCE: Duration = Duration::from_secs(30);

/// Servers ping at once when they have begun to listen for events; those that don't are given so long.
const FIRST_PING: Duration = Duration::from_millis(500);

/// Between attempts to reconnect: at first, and at most.
const FIRST_PAUSE: Duration = Duration::from_millis(100);
const LONGEST_PAUSE: Duration = Duration::from_secs(10);

/// What comes out of an event stream.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum EventItem {
    /// Something happened.
    Event(Box<Event>),
    /// The connection broke and is back, or something came that cannot be read. What happened was not told: list again
    /// what you keep track of.
    Gap,
}

/// An event stream, about to be opened (`GET /1.0/events`, a websocket).
///
/// Without a choice of types it brings operations and lifecycle events, of the client's project.
///
/// ```
/// # async fn example(client: lxd_storage::Client) -> Result<(), lxd_storage::Error> {
/// use lxd_storage::{EventItem, types::EventType};
///
/// let mut events = client.events().of_types([EventType::Lifecycle]).all_projects().open().await?;
/// // Listed after the stream is open, so that nothing falls in between.
/// let mut volumes = client.volumes().all_projects().all().await?;
/// loop {
///     if events.next().await? == EventItem::Gap {
///         volumes = client.volumes().all_projects().all().await?;
///     }
/// }
/// # }
/// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doc/server.rs"));
/// # fn main() { on_emulator!(example(client) while changes) }
/// ```
#[derive(Clone, Debug)]
#[must_use = "nothing is opened until `open` is called"]
pub struct EventListener {
    client: Client,
    types: Vec<EventType>,
    all_projects: bool,
    patience: Option<Duration>,
}

impl EventListener {
    pub(crate) fn new(client: Client) -> Self {
        let types = vec![EventType::Operation, EventType::Lifecycle];
        Self { client, types, all_projects: false, patience: None }
    }

    /// Only events of these types. [`EventType::Logging`] is for administrators.
    pub fn of_types(mut self, types: impl IntoIterator<Item = EventType>) -> Self {
        self.types = types.into_iter().collect();
        self
    }

    /// Of all projects that the caller may see. Needs the API extension `event_project`.
    pub fn all_projects(mut self) -> Self {
        self.all_projects = true;
        self
    }

    /// After a lost connection, reconnecting may take so long in all. Default: without end.
    pub fn with_patience(mut self, patience: Duration) -> Self {
        self.patience = Some(patience);
        self
    }

    /// Opens the stream. What happens after this has returned is told.
    ///
    /// # Errors
    /// [`NotFound`](ErrorKind::NotFound) for the project, which LXD 5.0 calls [`Server`](ErrorKind::Server);
    /// [`InvalidInput`](ErrorKind::InvalidInput) for an empty choice of types; [`Forbidden`](ErrorKind::Forbidden).
    pub async fn open(self) -> Result<Events, Error> {
        if self.types.is_empty() {
            return Err(Error::invalid("an event stream without a type brings nothing"));
        }
        if self.all_projects {
            self.client.require(&["event_project"]).await?;
        }
        let mut events =
            Events { listener: self, socket: None, early: None, gap: false, heard: Instant::now() };
        events.connect().await?;
        Ok(events)
    }

    fn route(&self) -> Route {
        let types: Vec<&str> = self.types.iter().map(EventType::as_str).collect();
        let route = Route::new("/1.0/events").query("type", &types.join(","));
        if self.all_projects {
            return route.query("all-projects", "true");
        }
        self.client.scoped_project(route)
    }
}

/// An open event stream. It reconnects by itself, with growing pauses, and says so by [`EventItem::Gap`]. Dropping it
/// closes it.
///
/// ```
/// # async fn example(client: lxd_storage::Client) -> Result<(), lxd_storage::Error> {
/// use lxd_storage::{EventItem, types::EventType};
///
/// let server = client.server().await?;
/// let mut events = client.events().of_types([EventType::Lifecycle]).open().await?;
/// loop {
///     match events.next().await? {
///         EventItem::Event(event) => match (event.lifecycle(), event.reference(&server)) {
///             (Some(lifecycle), Some(about)) if lifecycle.action.is_storage() => {
///                 println!("{} {:?} {}", lifecycle.action, about.entity, about.project());
///             }
///             _ => {}
///         },
///         EventItem::Gap => println!("listing again"),
///         _ => {}
///     }
/// }
/// # }
/// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doc/server.rs"));
/// # fn main() { on_emulator!(example(client) while changes) }
/// ```
#[derive(Debug)]
pub struct Events {
    listener: EventListener,
    socket: Option<Socket>,
    /// What came before the first ping.
    early: Option<Message>,
    /// Whether a break is still to be told. A flag, so that it survives a wait that was cancelled.
    gap: bool,
    /// When the server was last heard of, pings included: whoever waits in short turns is to notice silence too.
    heard: Instant,
}

impl Events {
    /// What comes next. Cancelling the wait loses nothing.
    ///
    /// # Errors
    /// Once reconnecting has no prospect: the server refuses, or the patience is at an end. Calling again tries again.
    pub async fn next(&mut self) -> Result<EventItem, Error> {
        loop {
            if self.socket.is_none() {
                self.reconnect().await?;
            }
            if std::mem::take(&mut self.gap) {
                return Ok(EventItem::Gap);
            }
            let heard = timeout_at(self.heard + SILENCE, self.message()).await;
            if matches!(heard, Ok(Some(Ok(_)))) {
                self.heard = Instant::now();
            }
            match heard {
                Ok(Some(Ok(message))) if message.is_text() => {
                    // Servers put no more than one event into a message, with a line feed after it.
                    match serde_json::from_slice(&websocket::bytes_of(message)) {
                        Ok(event) => return Ok(EventItem::Event(Box::new(event))),
                        Err(error) => {
                            tracing::warn!(%error, "an event that cannot be read");
                            self.gap = true;
                        }
                    }
                }
                Ok(Some(Ok(message))) if !message.is_close() => {}
                lost => {
                    let why = match lost {
                        Err(_) => "silence".to_owned(),
                        Ok(Some(Err(error))) => error.to_string(),
                        Ok(_) => "closed by the server".to_owned(),
                    };
                    tracing::debug!(why, "lost the event stream");
                    self.socket = None;
                    self.early = None;
                    self.gap = true;
                }
            }
        }
    }

    /// The same as a stream, which has no end. After an error it can be asked again.
    pub fn into_stream(self) -> impl Stream<Item = Result<EventItem, Error>> + Send + Unpin {
        Unfold::new(self, |mut events| {
            Box::pin(async move {
                let item = events.next().await;
                (Some(item), Some(events))
            })
        })
    }

    async fn message(&mut self) -> Option<Result<Message, tokio_websockets::Error>> {
        if let Some(early) = self.early.take() {
            return Some(Ok(early));
        }
        let socket = self.socket.as_mut()?;
        poll_fn(|cx| Stream::poll_next(Pin::new(&mut *socket), cx)).await
    }

    async fn connect(&mut self) -> Result<(), Error> {
        let mut socket = websocket::open(&self.listener.client, self.listener.route()).await?;
        // The handshake is answered a moment before the server listens for events; its first ping comes after that.
        let first = timeout(FIRST_PING, poll_fn(|cx| Stream::poll_next(Pin::new(&mut socket), cx)));
        if let Ok(Some(Ok(message))) = first.await
            && !message.is_ping()
        {
            self.early = Some(message);
        }
        self.socket = Some(socket);
        self.heard = Instant::now();
        Ok(())
    }

    async fn reconnect(&mut self) -> Result<(), Error> {
        let (start, mut pause) = (Instant::now(), FIRST_PAUSE);
        loop {
            let error = match self.connect().await {
                Ok(()) => return Ok(()),
                Err(error) => error,
            };
            let passing = match error.kind() {
                ErrorKind::Connect | ErrorKind::Interrupted | ErrorKind::Timeout(_) => true,
                // A daemon that is starting or a proxy in front of one.
                ErrorKind::Server => error.status().is_some_and(|status| status.as_u16() >= 502),
                _ => false,
            };
            let patient = self.listener.patience.is_none_or(|patience| start.elapsed() + pause < patience);
            if !passing || !patient {
                return Err(error.with_note("the event stream is lost"));
            }
            tracing::debug!(%error, "cannot reconnect the event stream yet");
            tokio::time::sleep(pause).await;
            pause = (pause * 2).min(LONGEST_PAUSE);
        }
    }
}
