//! A stream out of something that is asked again and again.

use std::{
    future::Future,
    pin::Pin,
    task::{Context, Poll, ready},
};

use futures_core::Stream;

use crate::pending::BoxFuture;

/// What came, and what to ask next; `None` where there is nothing more to ask.
type Step<S, T> = BoxFuture<(Option<T>, Option<S>)>;

/// Asks, and asks again what is left of it.
pub(crate) struct Unfold<S, T> {
    idle: Option<S>,
    step: fn(S) -> Step<S, T>,
    busy: Option<Step<S, T>>,
}

impl<S, T> Unfold<S, T> {
    pub(crate) fn new(first: S, step: fn(S) -> Step<S, T>) -> Self {
        Self { idle: Some(first), step, busy: None }
    }
}

impl<S: Unpin, T> Stream for Unfold<S, T> {
    type Item = T;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<T>> {
        if let Some(state) = self.idle.take() {
            self.busy = Some((self.step)(state));
        }
        let Some(busy) = &mut self.busy else { return Poll::Ready(None) };
        let (item, state) = ready!(Future::poll(busy.as_mut(), cx));
        self.busy = None;
        self.idle = state;
        Poll::Ready(item)
    }
}
