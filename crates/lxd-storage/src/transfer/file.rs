//! Files, read and written in a thread of their own: one hop per chunk instead of one per call.

use std::{
    fs::{self, File},
    hash::{BuildHasher, RandomState},
    io::{self, Read, Write},
    path::{Path, PathBuf},
    pin::Pin,
    task::{Context, Poll},
    time::Instant,
};

use bytes::{Bytes, BytesMut};
use futures_core::Stream;
use tokio::{sync::mpsc, task::JoinHandle};

use super::{CHUNK, CHUNKS_WAITING};
use crate::{Error, ErrorKind};

/// A file's length in bytes and its chunks.
pub(super) async fn read(path: &Path) -> Result<(u64, Reading), Error> {
    let owned = path.to_owned();
    let opened = blocking(move || {
        let file = File::open(owned)?;
        let metadata = file.metadata()?;
        if metadata.is_dir() {
            return Err(io::Error::from(io::ErrorKind::IsADirectory));
        }
        Ok((metadata.len(), file))
    });
    let (length, file) =
        opened.await.map_err(|error| Error::local(format_args!("cannot read {}", path.display()), error))?;
    let (sender, receiver) = mpsc::channel(CHUNKS_WAITING);
    // It ends by itself when the receiver is gone.
    tokio::task::spawn_blocking(move || read_all(file, &sender));
    Ok((length, Reading(receiver)))
}

fn read_all(mut file: File, sender: &mpsc::Sender<io::Result<Bytes>>) {
    loop {
        let mut chunk = BytesMut::zeroed(CHUNK);
        let message = match file.read(&mut chunk) {
            Ok(0) => return,
            Ok(count) => {
                chunk.truncate(count);
                Ok(chunk.freeze())
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => Err(error),
        };
        let failed = message.is_err();
        if sender.blocking_send(message).is_err() || failed {
            return;
        }
    }
}

/// The chunks of a file that is being read.
pub(super) struct Reading(mpsc::Receiver<io::Result<Bytes>>);

impl Stream for Reading {
    type Item = io::Result<Bytes>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.0.poll_recv(cx)
    }
}

/// A file that appears under its name once it is complete. Dropped before that, it leaves nothing behind.
pub(crate) struct Writing {
    sender: Option<mpsc::Sender<Bytes>>,
    writer: Option<JoinHandle<io::Result<()>>>,
    part: Part,
}

/// The unfinished file, removed unless it was given its name.
struct Part {
    path: PathBuf,
    target: PathBuf,
    overwrite: bool,
    done: bool,
}

impl Part {
    /// Creates it beside its target, under a name that nobody else has: not another download of this program, and not
    /// what an earlier run, killed, left behind.
    fn create(target: PathBuf, overwrite: bool) -> io::Result<(File, Self)> {
        if !overwrite && target.try_exists()? {
            return Err(io::Error::from(io::ErrorKind::AlreadyExists));
        }
        let name = target.file_name().unwrap_or_default().to_owned();
        loop {
            let mut name = name.clone();
            name.push(format!(".part-{:016x}", RandomState::new().hash_one(Instant::now())));
            let path = target.with_file_name(name);
            match File::create_new(&path) {
                Ok(file) => return Ok((file, Self { path, target, overwrite, done: false })),
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
                Err(error) => return Err(error),
            }
        }
    }

    /// Gives it its name. A file that came to be there meanwhile is replaced only where that was allowed.
    fn take_its_name(&mut self) -> io::Result<()> {
        if self.overwrite {
            fs::rename(&self.path, &self.target)?;
            self.done = true;
            return Ok(());
        }
        match fs::hard_link(&self.path, &self.target) {
            // The other name goes when this is dropped.
            Ok(()) => return Ok(()),
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => return Err(error),
            // Some file systems have no links: there looking first is the best that can be had.
            Err(_) if self.target.try_exists()? => return Err(io::Error::from(io::ErrorKind::AlreadyExists)),
            Err(_) => fs::rename(&self.path, &self.target)?,
        }
        self.done = true;
        Ok(())
    }
}

impl Drop for Part {
    fn drop(&mut self) {
        if !self.done {
            let _ = fs::remove_file(&self.path);
        }
    }
}

impl Writing {
    /// Begins a file. Unless `overwrite` is given, its name must be free.
    pub(crate) async fn begin(target: &Path, overwrite: bool) -> Result<Self, Error> {
        if target.file_name().is_none() {
            return Err(Error::invalid(format!("{} names no file to write to", target.display())));
        }
        let wanted = target.to_owned();
        // Whoever gives up while it is created leaves it to the closure, which then drops it.
        let created = blocking(move || Part::create(wanted, overwrite));
        let (file, part) = created.await.map_err(|error| cannot_write(target, error))?;
        let (sender, receiver) = mpsc::channel(CHUNKS_WAITING);
        let writer = tokio::task::spawn_blocking(move || write_all(file, receiver));
        Ok(Self { sender: Some(sender), writer: Some(writer), part })
    }

    /// Hands over a chunk; waits while many are not yet written.
    pub(super) async fn write(&mut self, chunk: Bytes) -> Result<(), Error> {
        let sent = match &self.sender {
            Some(sender) => sender.send(chunk).await.is_ok(),
            None => false,
        };
        // Only a writer that failed stops listening; it knows why.
        if sent { Ok(()) } else { self.flush().await }
    }

    /// Waits until all is written, and gives the file its name.
    pub(super) async fn finish(mut self) -> Result<(), Error> {
        self.flush().await?;
        self.part.take_its_name().map_err(|error| cannot_write(&self.part.target, error))
    }

    async fn flush(&mut self) -> Result<(), Error> {
        self.sender = None;
        let written = match self.writer.take() {
            Some(writer) => writer.await.unwrap_or_else(|error| Err(io::Error::other(error))),
            None => Err(io::Error::other("the file could not be written before")),
        };
        written.map_err(|error| cannot_write(&self.part.target, error))
    }
}

fn write_all(mut file: File, mut receiver: mpsc::Receiver<Bytes>) -> io::Result<()> {
    while let Some(chunk) = receiver.blocking_recv() {
        file.write_all(&chunk)?;
    }
    // Late errors of the disk must not get lost.
    file.sync_all()
}

fn cannot_write(path: &Path, error: io::Error) -> Error {
    if error.kind() == io::ErrorKind::AlreadyExists {
        let message = format!("{} is there already; `overwrite` replaces it", path.display());
        return Error::new(ErrorKind::Local, message).with_source(error);
    }
    Error::local(format_args!("cannot write {}", path.display()), error)
}

async fn blocking<T: Send + 'static>(work: impl FnOnce() -> io::Result<T> + Send + 'static) -> io::Result<T> {
    tokio::task::spawn_blocking(work).await.unwrap_or_else(|error| Err(io::Error::other(error)))
}
