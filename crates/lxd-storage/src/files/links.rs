//! What symbolic links say. Over HTTP servers give the target as an absolute path, whatever stands in the link; over SFTP
//! they tell it as it is.

use std::time::Duration;

use lxd_transport::{Phase, Upgraded};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::{Error, ErrorKind, VolumeHandle};

/// Answers are a few hundred bytes; a longer one is none.
const ANSWER_MAX: u32 = 256 << 10;

/// And come at once.
const PATIENCE: Duration = Duration::from_secs(30);

/// The packets of version 3 that it takes.
const INIT: u8 = 1;
const VERSION: u8 = 2;
const READLINK: u8 = 19;
const STATUS: u8 = 101;
const NAME: u8 = 104;

/// The status for something that isn't there.
const NO_SUCH_FILE: u32 = 2;

/// An SFTP connection, for reading links only.
pub(super) struct Links {
    stream: Upgraded,
    last: u32,
}

impl Links {
    pub(super) async fn connect(volume: &VolumeHandle) -> Result<Self, Error> {
        let mut links = Self { stream: volume.connect_sftp().await?, last: 0 };
        links.send(&packet(INIT, &[&3_u32.to_be_bytes()])).await?;
        match links.answer().await?.split_first() {
            Some((&VERSION, rest)) if rest.starts_with(&3_u32.to_be_bytes()) => Ok(links),
            _ => Err(odd("the answer to its greeting is none of version 3")),
        }
    }

    /// The target of a link, as it stands in it.
    pub(super) async fn read(&mut self, path: &str) -> Result<String, Error> {
        self.last = self.last.wrapping_add(1);
        let id = self.last.to_be_bytes();
        let length = u32::try_from(path.len()).unwrap_or(u32::MAX).to_be_bytes();
        self.send(&packet(READLINK, &[&id, &length, path.as_bytes()])).await?;
        let answer = self.answer().await?;
        let mut answer = Answer(&answer);
        let (kind, answered) = (answer.byte(), answer.number());
        if answered.map(u32::to_be_bytes) != Some(id) {
            return Err(odd("an answer to something else"));
        }
        match (kind, answer.number()) {
            (Some(NAME), Some(1)) => {
                let target = answer.bytes().ok_or_else(|| odd("an answer that is cut off"))?;
                String::from_utf8(target.to_vec()).map_err(|error| {
                    Error::invalid(format!("the target of the link {path:?} is not UTF-8")).with_source(error)
                })
            }
            (Some(STATUS), Some(code)) => {
                let text = String::from_utf8_lossy(answer.bytes().unwrap_or_default()).into_owned();
                let kind = if code == NO_SUCH_FILE { ErrorKind::NotFound } else { ErrorKind::Server };
                Err(Error::new(kind, format!("the link {path:?} cannot be read: {text}")))
            }
            _ => Err(odd("an answer that is none to this")),
        }
    }

    async fn send(&mut self, packet: &[u8]) -> Result<(), Error> {
        self.stream.write_all(packet).await.map_err(broken)?;
        self.stream.flush().await.map_err(broken)
    }

    async fn answer(&mut self) -> Result<Vec<u8>, Error> {
        tokio::time::timeout(PATIENCE, self.receive()).await.unwrap_or_else(|_| {
            let message = format!("no answer over SFTP within {PATIENCE:?}");
            Err(Error::new(ErrorKind::Timeout(Phase::FirstByte), message))
        })
    }

    async fn receive(&mut self) -> Result<Vec<u8>, Error> {
        let length = self.stream.read_u32().await.map_err(broken)?;
        if length == 0 || length > ANSWER_MAX {
            return Err(odd("an answer of a length that cannot be"));
        }
        let mut answer = Vec::new();
        (&mut self.stream).take(u64::from(length)).read_to_end(&mut answer).await.map_err(broken)?;
        Ok(answer)
    }
}

fn packet(kind: u8, parts: &[&[u8]]) -> Vec<u8> {
    let length = parts.iter().map(|part| part.len()).sum::<usize>() + 1;
    let mut packet = u32::try_from(length).unwrap_or(u32::MAX).to_be_bytes().to_vec();
    packet.push(kind);
    parts.iter().for_each(|part| packet.extend_from_slice(part));
    packet
}

/// The fields of an answer that are left. One that isn't there is `None`.
struct Answer<'a>(&'a [u8]);

impl<'a> Answer<'a> {
    fn byte(&mut self) -> Option<u8> {
        let (byte, rest) = self.0.split_first()?;
        self.0 = rest;
        Some(*byte)
    }

    fn number(&mut self) -> Option<u32> {
        let (number, rest) = self.0.split_first_chunk()?;
        self.0 = rest;
        Some(u32::from_be_bytes(*number))
    }

    fn bytes(&mut self) -> Option<&'a [u8]> {
        let length = usize::try_from(self.number()?).ok()?;
        let (bytes, rest) = self.0.split_at_checked(length)?;
        self.0 = rest;
        Some(bytes)
    }
}

fn broken(error: std::io::Error) -> Error {
    Error::new(ErrorKind::Interrupted, "the SFTP connection broke").with_source(error)
}

fn odd(what: &str) -> Error {
    Error::new(ErrorKind::Decode, format!("the server does not speak SFTP: {what}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_end_where_the_answer_does() {
        let packet =
            packet(NAME, &[&7_u32.to_be_bytes(), &3_u32.to_be_bytes(), b"abc", &9_u32.to_be_bytes()]);
        assert_eq!(packet[..4], [0, 0, 0, 16]);
        let mut answer = Answer(&packet[4..]);
        assert_eq!(
            (answer.byte(), answer.number(), answer.bytes()),
            (Some(NAME), Some(7), Some(&b"abc"[..]))
        );
        assert_eq!((answer.bytes(), answer.byte()), (None, None));
    }
}
