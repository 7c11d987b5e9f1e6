//! Time limits on reading a body.

use std::{
    future::Future,
    pin::Pin,
    task::{Context, Poll, ready},
    time::Duration,
};

use tokio::time::{Instant, Sleep, sleep_until};

use crate::{Error, Limits, Phase, Reached, watchdog::end_of};

/// Runs out when nothing comes for too long, or when the whole takes too long.
///
/// The timer is made only when a read has to wait: answers that are there at once cost none.
#[derive(Default)]
pub(super) struct Clock {
    idle: Option<Duration>,
    /// Seldom there, so it takes no room where it isn't.
    total: Option<Box<(Duration, Instant)>>,
    timer: Option<Pin<Box<Sleep>>>,
    waiting: Option<Phase>,
}

impl Clock {
    pub(super) const NONE: Self = Self { idle: None, total: None, timer: None, waiting: None };

    pub(super) fn new(limits: Limits, start: Instant) -> Self {
        let total = limits.total.map(|total| Box::new((total, end_of(total, start))));
        Self { idle: limits.idle, total, timer: None, waiting: None }
    }

    /// Something came. A server that never lets us wait must still end at the total.
    pub(super) fn check<T>(&mut self, came: T) -> Result<T, Error> {
        self.waiting = None;
        match self.total.as_deref() {
            Some((limit, end)) if Instant::now() >= *end => Err(expired(Phase::Total, *limit)),
            _ => Ok(came),
        }
    }

    /// Nothing came yet: ready with an error once it is too late.
    pub(super) fn poll_expired(&mut self, cx: &mut Context<'_>) -> Poll<Error> {
        if self.waiting.is_none() {
            let idle = self.idle.map(|idle| (Phase::Idle, end_of(idle, Instant::now())));
            let total = self.total.as_deref().map(|(_, end)| (Phase::Total, *end));
            let Some((phase, end)) = idle.into_iter().chain(total).min_by_key(|(_, end)| *end) else {
                return Poll::Pending;
            };
            match &mut self.timer {
                Some(timer) => timer.as_mut().reset(end),
                None => self.timer = Some(Box::pin(sleep_until(end))),
            }
            self.waiting = Some(phase);
        }
        let (Some(timer), Some(phase)) = (&mut self.timer, self.waiting) else { return Poll::Pending };
        ready!(timer.as_mut().poll(cx));
        let limit =
            if phase == Phase::Idle { self.idle } else { self.total.as_deref().map(|(total, _)| *total) };
        Poll::Ready(expired(phase, limit.unwrap_or_default()))
    }
}

fn expired(phase: Phase, limit: Duration) -> Error {
    Error::timeout(phase, limit).with_reached(Reached::Yes)
}
