//! The two ends of a migration, and which of them is believed.

use std::{future::poll_fn, pin::pin, task::Poll, time::Duration};

use tokio::time::timeout;

use crate::{Error, ErrorKind};

/// So long the other end gets to say how it ended, once one has.
const HEARD_FOR: Duration = Duration::from_secs(2);

/// Waits for both ends. What counts is whether the target has everything: Incus 6.0 doesn't tell its partner so after a
/// transfer of more than half a minute, and then the source calls a complete one a failure.
///
/// Who only lost its partner can be the first to say so, hence the other end is heard too.
pub(super) async fn both(
    source: impl Future<Output = Result<(), Error>>,
    sink: impl Future<Output = Result<(), Error>>,
) -> Result<(), Error> {
    let (mut source, mut sink) = (pin!(source), pin!(sink));
    let first = poll_fn(|cx| match sink.as_mut().poll(cx) {
        Poll::Ready(received) => Poll::Ready(First::Sink(received)),
        Poll::Pending => source.as_mut().poll(cx).map(First::Source),
    });
    match first.await {
        First::Source(Ok(())) => sink.await,
        First::Source(Err(sent)) => match timeout(HEARD_FOR, sink).await {
            Ok(Ok(())) => Ok(()),
            // That the target failed is certain, whatever part the source has in it.
            Ok(Err(received)) if received.kind() == ErrorKind::OperationFailed => {
                Err(received.with_note(format!("the source: {sent}")))
            }
            Ok(Err(received)) => Err(by_source(sent).with_note(format!("the target: {received}"))),
            Err(_) => Err(by_source(sent)),
        },
        First::Sink(received) => {
            // After a success too: the source may have to be deleted next, which a busy one can't be.
            let sent = timeout(HEARD_FOR, source).await;
            match (received, sent) {
                (Ok(()), _) => Ok(()),
                (Err(received), Ok(Err(sent))) => Err(received.with_note(format!("the source: {sent}"))),
                (Err(received), _) => Err(received),
            }
        }
    }
}

fn by_source(error: Error) -> Error {
    error.with_note("so says the source")
}

/// The end that ended first, and how.
enum First {
    Source(Result<(), Error>),
    Sink(Result<(), Error>),
}

#[cfg(test)]
mod tests {
    use tokio::time::{Instant, sleep};

    use super::*;

    type End = (u64, Result<(), &'static str>);

    async fn ended((after, how): End) -> Result<(), Error> {
        sleep(Duration::from_secs(after)).await;
        how.map_err(|text| Error::new(ErrorKind::OperationFailed, text))
    }

    async fn outcome(source: End, sink: End) -> (Result<(), String>, u64) {
        let began = Instant::now();
        let outcome = both(ended(source), ended(sink)).await;
        (outcome.map_err(|error| error.to_string()), began.elapsed().as_secs())
    }

    const NEVER: u64 = 1_000_000;

    #[tokio::test(start_paused = true)]
    async fn the_target_is_believed_that_it_has_everything() {
        let lost = Err("lost my partner");
        for (source, sink, took) in [
            ((1, Ok(())), (9, Ok(())), 9),
            ((9, lost), (8, Ok(())), 9),
            ((8, lost), (9, Ok(())), 9),
            ((NEVER, Ok(())), (1, Ok(())), 3),
        ] {
            assert_eq!(outcome(source, sink).await, (Ok(()), took), "{source:?} {sink:?}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_failure_is_told_by_whoever_knows_it() {
        let (lost, full) = (Err("lost my partner"), Err("disk full"));
        for (source, sink) in [((1, lost), (2, full)), ((2, lost), (1, full)), ((1, Ok(())), (9, full))] {
            let text = outcome(source, sink).await.0.unwrap_err();
            assert!(text.contains("disk full"), "{text}");
            assert_eq!(text.contains("the source: "), source.1.is_err(), "{text}");
        }
        // A target that never notices keeps nobody waiting.
        let (text, took) = outcome((1, full), (NEVER, lost)).await;
        assert_eq!((text.unwrap_err().contains("disk full"), took), (true, 3));
    }
}
