//! A timer that lives as long as its connection.

use std::{
    future::Future,
    pin::Pin,
    task::{Context, Poll, ready},
    time::Duration,
};

use tokio::time::{Instant, Sleep, sleep_until};

/// Runs out at a deadline that may be moved ahead for nothing.
///
/// Setting a timer and taking it away again costs more than the rest of waiting for a quick answer. This one stays set
/// from one request to the next: it is early then, finds that it is, and only then is set anew.
#[derive(Default)]
pub(crate) struct Watchdog(Option<Pin<Box<Sleep>>>);

impl Watchdog {
    /// Ready once the deadline has passed.
    pub(crate) fn poll_expired(&mut self, cx: &mut Context<'_>, deadline: Instant) -> Poll<()> {
        let sleep = self.0.get_or_insert_with(|| Box::pin(sleep_until(deadline)));
        if sleep.deadline() > deadline {
            sleep.as_mut().reset(deadline);
        }
        loop {
            ready!(sleep.as_mut().poll(cx));
            if Instant::now() >= deadline {
                return Poll::Ready(());
            }
            sleep.as_mut().reset(deadline);
        }
    }
}

/// The end of a limit, as far away as can be told where the limit is absurd.
pub(crate) fn end_of(limit: Duration, start: Instant) -> Instant {
    start.checked_add(limit).unwrap_or_else(|| start + Duration::from_secs(86_400 * 365))
}
