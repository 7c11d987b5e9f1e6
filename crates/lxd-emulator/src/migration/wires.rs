//! Both websockets of a migration, and what goes over them.

use std::{path::Path, time::Duration};

use bytes::BytesMut;
use futures_util::{SinkExt, StreamExt};
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use tokio::{
    fs::File,
    io::{AsyncReadExt, AsyncWriteExt},
    time::Instant,
};
use tokio_websockets::Message;

use crate::{archive::Index, core::Core, failure::Failure, operations::Operation, scope, upgrade::Socket};

/// So much of a file goes into one message.
const CHUNK: usize = 64 << 10;

/// Progress is told after so long, or after so many bytes.
const TELL_EVERY: (Duration, u64) = (Duration::from_secs(1), 16 << 20);

/// What the source has.
#[derive(Serialize, Deserialize)]
pub(super) struct Header {
    pub(super) index: Index,
}

/// What the target lacks of it.
#[derive(Serialize, Deserialize)]
pub(super) struct Request {
    pub(super) snapshots: Vec<String>,
}

/// How it went at the target.
#[derive(Serialize, Deserialize)]
pub(super) struct Outcome {
    pub(super) error: Option<String>,
}

pub(crate) struct Wires {
    control: Socket,
    content: Socket,
}

/// What is said when the other end is gone.
pub(super) fn lost() -> Failure {
    Failure::internal("websocket: close 1006 (abnormal closure): unexpected EOF")
}

impl Wires {
    pub(crate) fn new(control: Socket, content: Socket) -> Self {
        Self { control, content }
    }

    pub(super) async fn say<T: Serialize>(&mut self, what: &T) -> Result<(), Failure> {
        let text = serde_json::to_vec(what).map_err(|error| Failure::internal(error.to_string()))?;
        self.control.send(Message::binary(text)).await.map_err(|_| lost())
    }

    pub(super) async fn hear<T: DeserializeOwned>(&mut self) -> Result<T, Failure> {
        let message = payload(&mut self.control).await?.ok_or_else(lost)?;
        serde_json::from_slice(&message).map_err(|error| Failure::internal(format!("migration: {error}")))
    }

    /// Sends a file, and a text without content behind it.
    pub(super) async fn send_file(&mut self, file: &Path, pace: &mut Pace<'_>) -> Result<(), Failure> {
        let mut file = File::open(file).await?;
        loop {
            let mut chunk = BytesMut::with_capacity(CHUNK);
            if file.read_buf(&mut chunk).await? == 0 {
                break;
            }
            pace.passed(chunk.len()).await;
            self.content.send(Message::binary(chunk)).await.map_err(|_| lost())?;
        }
        self.content.send(Message::text("")).await.map_err(|_| lost())
    }

    /// Writes down what comes up to that text.
    pub(super) async fn receive_file(&mut self, file: &Path, pace: &mut Pace<'_>) -> Result<(), Failure> {
        let mut file = File::create(file).await?;
        while let Some(chunk) = payload(&mut self.content).await? {
            pace.passed(chunk.len()).await;
            file.write_all(&chunk).await?;
        }
        Ok(file.flush().await?)
    }

    /// Hangs up in the order of the protocol.
    pub(super) async fn close(mut self) {
        // Whoever is gone already needs no farewell.
        let _ = self.content.close().await;
        let _ = self.control.close().await;
    }
}

/// The next binary message; a text is the end of a file.
async fn payload(socket: &mut Socket) -> Result<Option<tokio_websockets::Payload>, Failure> {
    loop {
        let message = socket.next().await.ok_or_else(lost)?.map_err(|_| lost())?;
        if message.is_binary() {
            return Ok(Some(message.into_payload()));
        }
        if message.is_text() {
            return Ok(None);
        }
        if message.is_close() {
            return Err(lost());
        }
    }
}

/// How fast a file may go, and who is told how far it is.
pub(super) struct Pace<'a> {
    operation: &'a Operation,
    began: Instant,
    passed: u64,
    /// Bytes a second.
    limit: Option<u64>,
    told: (Instant, u64),
}

impl<'a> Pace<'a> {
    /// As a pool has it by `rsync.bwlimit`.
    pub(super) fn of(core: &Core, pool: &str, operation: &'a Operation) -> Result<Self, Failure> {
        let limit = core.store.read(|database| Ok::<_, Failure>(scope::pool(database, pool)?.bandwidth()))?;
        let now = Instant::now();
        Ok(Self { operation, began: now, passed: 0, limit, told: (now, 0) })
    }

    /// So many bytes went by.
    async fn passed(&mut self, bytes: usize) {
        self.passed += bytes as u64;
        if let Some(limit) = self.limit {
            let seconds = self.passed as f64 / limit as f64;
            tokio::time::sleep_until(self.began + Duration::from_secs_f64(seconds)).await;
        }
        let (since, before) = (self.told.0.elapsed(), self.passed - self.told.1);
        if since >= TELL_EVERY.0 || before >= TELL_EVERY.1 {
            let rate = before as f64 / since.as_secs_f64().max(0.001);
            let text = format!("data: {} ({}/s)", in_words(self.passed as f64), in_words(rate));
            self.operation.report("fs_progress", text);
            self.told = (Instant::now(), self.passed);
        }
    }
}

/// Bytes as the servers write them for people.
fn in_words(bytes: f64) -> String {
    let mut value = bytes;
    for unit in ["B", "kB", "MB"] {
        if value < 1000.0 {
            return format!("{value:.2}{unit}");
        }
        value /= 1000.0;
    }
    format!("{value:.2}GB")
}

#[cfg(test)]
mod tests {
    use super::in_words;

    #[test]
    fn bytes_are_written_in_powers_of_a_thousand() {
        assert_eq!(
            [12.0, 1_500.0, 272_560_000.0, 5e12].map(in_words),
            ["12.00B", "1.50kB", "272.56MB", "5000.00GB"]
        );
    }
}
