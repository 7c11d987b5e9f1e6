//! A transport that tries again where that can do no harm.

use std::{
    hash::{BuildHasher, RandomState},
    time::Duration,
};

use http::{Request, Response, StatusCode};
use tokio::time::{Instant, sleep};

use crate::{
    Body, BoxFuture, Endpoint, Error, ErrorKind, Limits, Phase, Reached, Transport,
    spare::{Spare, reads},
    watchdog::end_of,
};

/// The first pause, and the longest.
const PAUSES: [Duration; 2] = [Duration::from_millis(100), Duration::from_secs(2)];

/// Tries again, with growing pauses, where that can do no harm: a daemon that is being restarted or upgraded is away for
/// some seconds only.
///
/// | what went wrong | tried again |
/// |---|---|
/// | not a byte of the request left: no connection, no handshake in time | any request |
/// | the connection broke, nobody knows when | `GET` and `HEAD` |
/// | the server answers 503: it is starting | `GET` and `HEAD` |
/// | anything else, be it no trust, a time limit or a server's error | none |
///
/// A request whose body is a stream is never repeated. Each attempt has the limits `first_byte` and `idle` for itself;
/// `total` bounds all of them together. Without this wrapper nothing is tried again but what met a connection that had
/// been closed while it lay idle.
///
/// ```
/// use std::time::Duration;
/// use lxd_transport::{HttpTransport, Retrying};
///
/// # #[cfg(feature = "unix")]
/// let transport = Retrying::new(HttpTransport::unix("/var/lib/lxd/unix.socket")).with_patience(Duration::from_secs(30));
/// ```
#[derive(Clone, Debug)]
pub struct Retrying<T> {
    inner: T,
    patience: Duration,
}

impl<T: Transport> Retrying<T> {
    /// Tries again for ten seconds from the first failure on.
    #[must_use]
    pub fn new(inner: T) -> Self {
        Self { inner, patience: Duration::from_secs(10) }
    }

    /// Tries again for so long from the first failure on; the last attempt begins within that time.
    #[must_use]
    pub fn with_patience(mut self, patience: Duration) -> Self {
        self.patience = patience;
        self
    }

    /// The transport below.
    #[must_use]
    pub fn inner(&self) -> &T {
        &self.inner
    }

    async fn send_patiently(
        &self,
        request: Request<Body>,
        limits: Option<Limits>,
    ) -> Result<Response<Body>, Error> {
        let start = Instant::now();
        let mut next = request;
        let mut pauses = Pauses::new();
        let (mut tries, mut until) = (0, None);
        loop {
            let (spare, is_read) = (Spare::of(&next), reads(&next));
            let sent = match limits {
                Some(limits) => self.inner.send_within(next, left_of(limits, start)).await,
                None => self.inner.send(next).await,
            };
            tries += 1;
            let Some(spare) = spare.filter(|_| is_worth_another_try(&sent, is_read)) else {
                return sent.map_err(|error| error.after_tries(tries));
            };
            let now = Instant::now();
            let until = *until.get_or_insert_with(|| end_of(self.patience, now));
            let until = match limits.and_then(|limits| limits.total) {
                Some(total) => until.min(end_of(total, start)),
                None => until,
            };
            let pause = pauses.next();
            if end_of(pause, now) >= until {
                return sent.map_err(|error| error.after_tries(tries));
            }
            drop(sent);
            sleep(pause).await;
            next = spare.into_request();
        }
    }
}

impl<T: Transport> Transport for Retrying<T> {
    fn send(&self, request: Request<Body>) -> BoxFuture<'_, Result<Response<Body>, Error>> {
        Box::pin(self.send_patiently(request, None))
    }

    fn send_within(
        &self,
        request: Request<Body>,
        limits: Limits,
    ) -> BoxFuture<'_, Result<Response<Body>, Error>> {
        Box::pin(self.send_patiently(request, Some(limits)))
    }

    fn endpoint(&self) -> &Endpoint {
        self.inner.endpoint()
    }
}

fn is_worth_another_try(sent: &Result<Response<Body>, Error>, is_read: bool) -> bool {
    match sent {
        Ok(response) => is_read && response.status() == StatusCode::SERVICE_UNAVAILABLE,
        Err(error) => match error.kind() {
            ErrorKind::Connect | ErrorKind::Timeout(Phase::Dial) | ErrorKind::Interrupted => {
                error.reached() == Reached::No || is_read
            }
            _ => false,
        },
    }
}

/// The limits with what is left of the total.
fn left_of(limits: Limits, start: Instant) -> Limits {
    match limits.total {
        Some(total) => limits.with_total(total.saturating_sub(start.elapsed()).max(Duration::from_millis(1))),
        None => limits,
    }
}

/// Pauses that double, each of them cut by up to a half, so that many clients of one server don't come back as one.
struct Pauses {
    longest: Duration,
    seed: RandomState,
    count: u32,
}

impl Pauses {
    fn new() -> Self {
        Self { longest: PAUSES[0], seed: RandomState::new(), count: 0 }
    }

    fn next(&mut self) -> Duration {
        let longest = self.longest;
        self.longest = (longest * 2).min(PAUSES[1]);
        self.count += 1;
        let percent = 50 + u32::try_from(self.seed.hash_one(self.count) % 51).unwrap_or(50);
        longest * percent / 100
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_to_a_bound() {
        let mut pauses = Pauses::new();
        let all: Vec<_> = (0..20).map(|_| pauses.next()).collect();
        assert!((PAUSES[0] / 2..=PAUSES[0]).contains(&all[0]));
        assert!(all[10..].iter().all(|pause| (PAUSES[1] / 2..=PAUSES[1]).contains(pause)));
    }
}
