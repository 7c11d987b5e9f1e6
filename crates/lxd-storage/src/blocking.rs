//! This crate from code that isn't async.

use std::{fmt, future::IntoFuture, io, pin::pin};

use futures_core::Stream;
use tokio::runtime::{Builder, Runtime};

/// Runs the calls of this crate from code that isn't async: each call blocks the thread until it is done.
///
/// The methods are the same ones: what would be awaited is given to [`run`](Self::run), what would be a stream to
/// [`iter`](Self::iter). One `Blocking` serves a whole program; threads share it by reference. A thread of its own
/// keeps connections and clean-up going between the calls; it ends with the `Blocking`.
///
/// ```no_run
/// # #[cfg(feature = "unix")]
/// # fn example() -> Result<(), Box<dyn std::error::Error>> {
/// use lxd_storage::{Blocking, Client, types::{StorageVolumesPost, VolumeType}};
///
/// let blocking = Blocking::new()?;
/// let client = blocking.run(Client::local())?;
/// let volumes = client.storage_pool("fast").volumes();
/// let mut data = blocking.run(volumes.create(StorageVolumesPost::new("data")))?;
/// data.set_description("written without async");
/// blocking.run(data.save())?;
/// let mut file = std::fs::File::create("data.tar.gz")?;
/// let export = blocking.run(data.export().open())?;
/// for chunk in blocking.iter(export.into_stream()) {
///     std::io::Write::write_all(&mut file, &chunk?)?;
/// }
/// # Ok(()) }
/// ```
pub struct Blocking {
    runtime: Runtime,
}

impl Blocking {
    /// Starts the thread behind the calls.
    ///
    /// # Errors
    /// Those of the operating system, out of threads or of file descriptors.
    pub fn new() -> io::Result<Self> {
        let runtime =
            Builder::new_multi_thread().worker_threads(1).thread_name("lxd-storage").enable_all().build()?;
        Ok(Self { runtime })
    }

    /// Does a call to its end and gives what it gives: anything that could be awaited, of this crate or of the
    /// caller's own.
    ///
    /// # Panics
    /// Inside an async runtime, whose other work would stand still; there, await the call.
    pub fn run<C: IntoFuture>(&self, call: C) -> C::Output {
        self.runtime.block_on(call.into_future())
    }

    /// The items of a stream, one at a time as they are asked for.
    ///
    /// # Panics
    /// The iterator does so inside an async runtime, as [`run`](Self::run).
    pub fn iter<S: Stream + Unpin>(&self, stream: S) -> impl Iterator<Item = S::Item> {
        let mut stream = stream;
        std::iter::from_fn(move || {
            self.run(std::future::poll_fn(|context| pin!(&mut stream).poll_next(context)))
        })
    }
}

impl fmt::Debug for Blocking {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Blocking").finish_non_exhaustive()
    }
}
