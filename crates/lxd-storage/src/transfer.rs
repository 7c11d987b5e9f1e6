//! Content of any length between the server and files, readers, writers and streams, in constant memory.

mod content;
mod download;
mod file;
mod upload;

use std::fmt;

pub(crate) use self::{content::Content, download::From, file::Writing};
pub use self::{download::Download, upload::Upload};

/// So much is read from a file or reader at once, in bytes.
const CHUNK: usize = 256 << 10;

/// So many chunks wait between a file and a connection.
const CHUNKS_WAITING: usize = 4;

/// How far an upload or download has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Transferred {
    /// Bytes so far.
    pub bytes: u64,
    /// Bytes in all, where that is known.
    pub total: Option<u64>,
}

impl fmt::Display for Transferred {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.total {
            Some(total) => write!(f, "{} of {total} bytes", self.bytes),
            None => write!(f, "{} bytes", self.bytes),
        }
    }
}

/// Called with every chunk.
pub(crate) type OnTransfer = Box<dyn FnMut(Transferred) + Send>;
