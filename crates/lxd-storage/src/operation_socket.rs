//! The websockets of an operation, for whoever speaks what goes over them.

use std::{
    fmt,
    future::poll_fn,
    pin::Pin,
    task::{Context, Poll, ready},
};

use bytes::Bytes;
use futures_core::Stream;
use futures_sink::Sink;
use tokio_websockets::{Error as SocketError, Message};

use crate::{
    Client, Error, ErrorKind, check,
    websocket::{Socket, bytes_of, open_with_secret},
};

impl Client {
    /// Opens a websocket of an operation of class `websocket` by one of its secrets
    /// (`GET /1.0/operations/<id>/websocket?secret=`). The id can be a path or URL too. Each secret opens one connection;
    /// servers ask nothing else of whoever comes with it, and give up after some seconds if nobody does.
    ///
    /// What goes over it depends on the operation. Volumes between servers are a [`Migration`](crate::Migration), which
    /// does all of this by itself.
    ///
    /// ```
    /// # async fn example(client: lxd_storage::Client) -> Result<(), lxd_storage::Error> {
    /// use lxd_storage::transport::http::Method;
    ///
    /// let body = serde_json::json!({"name": "data", "migration": true});
    /// let path = "/1.0/storage-pools/fast/volumes/custom/data";
    /// let offered = client.request(Method::POST, path).json(&body).change().start().await?;
    /// let operation = offered.operation().unwrap();
    /// let secrets = operation.secrets();
    /// let mut control = client.connect_operation(&operation.id, secrets.get("control").unwrap()).await?;
    /// let mut content = client.connect_operation(&operation.id, secrets.get("fs").unwrap()).await?;
    /// let header = control.next().await.transpose()?; // what the server offers, in protobuf
    /// # Ok(()) }
    /// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doc/server.rs"));
    /// # fn main() { on_emulator!(example(client)) }
    /// ```
    ///
    /// # Errors
    /// For a secret that opens nothing [`Forbidden`](ErrorKind::Forbidden), from LXD 5.0 [`Server`](ErrorKind::Server);
    /// [`NotFound`](ErrorKind::NotFound) for the operation; [`InvalidInput`](ErrorKind::InvalidInput) for what names none.
    /// No error shows the secret.
    pub async fn connect_operation(&self, id: &str, secret: &str) -> Result<OperationSocket, Error> {
        Ok(OperationSocket { socket: open_with_secret(self, check::operation_id(id)?, secret).await? })
    }
}

/// A websocket of an operation: messages in both directions, over the client's own transport and trust, without time
/// limits of its own. It ends when it is dropped.
///
/// It is a stream of what comes in. Pings are answered as long as somebody reads.
pub struct OperationSocket {
    socket: Socket,
}

/// A message over a websocket. Its kind and where it ends may mean something: in a migration, an empty text marks the end
/// of a part.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum SocketMessage {
    /// Text.
    Text(String),
    /// Bytes.
    Binary(Bytes),
}

impl OperationSocket {
    /// The next message, `None` once the server has closed the websocket.
    ///
    /// # Errors
    /// [`Interrupted`](ErrorKind::Interrupted) where the connection breaks or something else than a message comes.
    pub async fn next(&mut self) -> Option<Result<SocketMessage, Error>> {
        poll_fn(|cx| Pin::new(&mut *self).poll_next(cx)).await
    }

    /// Sends a message, and returns once it is on its way.
    ///
    /// # Errors
    /// [`Interrupted`](ErrorKind::Interrupted) where the connection is broken or closed.
    pub async fn send(&mut self, message: SocketMessage) -> Result<(), Error> {
        self.deliver(match message {
            SocketMessage::Text(text) => Message::text(text),
            SocketMessage::Binary(bytes) => Message::binary(bytes),
        })
        .await
    }

    /// Tells the server that nothing more comes. What it still sends can be read.
    ///
    /// # Errors
    /// [`Interrupted`](ErrorKind::Interrupted) where the connection is broken or closed already.
    pub async fn close(&mut self) -> Result<(), Error> {
        self.deliver(Message::close(None, "")).await
    }

    async fn deliver(&mut self, message: Message) -> Result<(), Error> {
        let mut message = Some(message);
        let sent = poll_fn(|cx| {
            let mut socket = Pin::new(&mut self.socket);
            if message.is_some() {
                ready!(socket.as_mut().poll_ready(cx))?;
            }
            if let Some(message) = message.take() {
                socket.as_mut().start_send(message)?;
            }
            socket.poll_flush(cx)
        });
        sent.await.map_err(broken)
    }
}

impl Stream for OperationSocket {
    type Item = Result<SocketMessage, Error>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        loop {
            let message = match ready!(Pin::new(&mut self.socket).poll_next(cx)) {
                Some(Ok(message)) => message,
                Some(Err(error)) => return Poll::Ready(Some(Err(broken(error)))),
                None => return Poll::Ready(None),
            };
            if let Some(text) = message.as_text() {
                return Poll::Ready(Some(Ok(SocketMessage::Text(text.to_owned()))));
            }
            if message.is_binary() {
                return Poll::Ready(Some(Ok(SocketMessage::Binary(bytes_of(message)))));
            }
            if message.is_close() {
                return Poll::Ready(None);
            }
        }
    }
}

impl fmt::Debug for OperationSocket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OperationSocket").finish_non_exhaustive()
    }
}

fn broken(error: SocketError) -> Error {
    Error::new(ErrorKind::Interrupted, "the websocket of an operation broke").with_source(error)
}
