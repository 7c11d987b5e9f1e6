//! Long work on disks that ends early where nobody waits for it any longer, as at the end of the program.

use std::{
    io,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use crate::core::{Core, blocking};

/// Whether the work shall stop.
#[derive(Clone, Debug, Default)]
pub(crate) struct Stop(Arc<AtomicBool>);

impl Stop {
    fn check(&self) -> io::Result<()> {
        // Not `Interrupted`, after which writers try again.
        if self.0.load(Ordering::Relaxed) { Err(io::Error::other("nobody waits for it")) } else { Ok(()) }
    }
}

/// Asks for the stop when it is dropped.
struct Waiting(Stop);

impl Drop for Waiting {
    fn drop(&mut self) {
        self.0.0.store(true, Ordering::Relaxed);
    }
}

/// As [`blocking`], for work that looks whether it shall stop.
pub(crate) async fn stoppable<T, E>(
    core: &Arc<Core>,
    work: impl FnOnce(Stop) -> Result<T, E> + Send + 'static,
) -> Result<T, E>
where
    T: Send + 'static,
    E: From<io::Error> + Send + 'static,
{
    let stop = Stop::default();
    let _waiting = Waiting(stop.clone());
    blocking(core, move || work(stop)).await
}

/// Writes until it shall stop.
pub(crate) struct Writer<W> {
    pub(crate) inner: W,
    pub(crate) stop: Stop,
}

impl<W: io::Write> io::Write for Writer<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.stop.check()?;
        self.inner.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.inner.flush()
    }
}

#[cfg(test)]
mod tests {
    use std::{io::Write as _, sync::mpsc, time::Duration};

    use super::*;
    use crate::{Emulator, Personality};

    #[test]
    fn work_ends_when_nobody_waits_for_it() {
        let core = Emulator::new(Personality::Lxd5).unwrap().core;
        let (ended, end) = mpsc::channel();
        let (begun, begin) = mpsc::channel();
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).build().unwrap();
        runtime.spawn(async move {
            let work = move |stop| {
                let mut writer = Writer { inner: io::sink(), stop };
                begun.send(()).unwrap();
                while writer.write_all(b"content").is_ok() {}
                ended.send(()).unwrap();
                Ok::<(), io::Error>(())
            };
            stoppable(&core, work).await
        });
        begin.recv().unwrap();
        runtime.shutdown_background();
        end.recv_timeout(Duration::from_secs(10)).unwrap();
    }
}
