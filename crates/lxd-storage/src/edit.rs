//! Read, change, write back, and begin again when somebody else was faster.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError, Weak},
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use lxd_types::Config;

use crate::{Error, ErrorKind};

/// One turn at a time for the edits of an object through one client.
///
/// Servers look at `If-Match` first and write a moment later, so that of two requests on their way at the same time
/// both can pass. Tasks of one program don't run into that if they queue here.
#[derive(Debug, Default)]
pub(crate) struct Turns(Mutex<HashMap<String, Weak<tokio::sync::Mutex<()>>>>);

impl Turns {
    /// The queue for one object.
    pub(crate) fn of(&self, object: &str) -> Arc<tokio::sync::Mutex<()>> {
        let mut queues = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(queue) = queues.get(object).and_then(Weak::upgrade) {
            return queue;
        }
        // Queues that nobody stands in go when another comes, so that the map stays as small as what is being edited.
        queues.retain(|_, queue| queue.strong_count() > 0);
        let queue = Arc::default();
        queues.insert(object.to_owned(), Arc::downgrade(&queue));
        queue
    }
}

/// Fails as a lost race does if what an edit set is not there afterwards: then somebody whose request passed the
/// server's check together with ours wrote last.
pub(crate) fn confirm(before: &Config, put: &Config, after: &Config) -> Result<(), Error> {
    let set = put.iter().filter(|(key, value)| !value.is_empty() && before.get(*key) != Some(value));
    match set.into_iter().find(|(key, value)| after.get(*key) != Some(value)) {
        None => Ok(()),
        Some((key, _)) => {
            let message = format!("the key {key:?} was overwritten at the same moment");
            Err(Error::new(ErrorKind::PreconditionFailed, message).with_reached(lxd_transport::Reached::Yes))
        }
    }
}

/// So many times an edit begins again. With the pauses between them that is many seconds of losing every race.
const ROUNDS: u32 = 64;

/// Counts the races that one edit lost.
///
/// A closure for the attempt would read nicer; but futures of async closures that borrow cannot be shown to be
/// `Send` for every lifetime today, and an edit that can't be spawned is of little use.
#[derive(Debug, Default)]
pub(crate) struct Races {
    lost: u32,
}

impl Races {
    /// `Ok` after a pause if the attempt lost a race and may begin again; the error if it failed for good.
    pub(crate) async fn again_after(&mut self, error: Error) -> Result<(), Error> {
        self.lost += 1;
        if error.kind() != ErrorKind::PreconditionFailed || self.lost >= ROUNDS {
            return Err(error);
        }
        tracing::debug!(lost = self.lost, "somebody else changed the object, beginning again");
        tokio::time::sleep(pause(self.lost)).await;
        Ok(())
    }
}

/// Grows with the rounds and differs between tasks that lost the same race, so that they don't meet again.
fn pause(round: u32) -> Duration {
    let longest = 10 * u64::from(round);
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Duration::from_millis(1 + u64::from(now.subsec_nanos()) % longest)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_set_must_be_there_afterwards() {
        let config = |pairs: &[(&str, &str)]| pairs.iter().copied().collect::<Config>();
        let (before, put) = (config(&[("a", "1"), ("b", "1")]), config(&[("a", "2"), ("b", "1"), ("c", "")]));
        assert!(confirm(&before, &put, &config(&[("a", "2"), ("added", "x")])).is_ok());
        assert!(confirm(&before, &put, &config(&[("a", "1"), ("b", "1")])).is_err());
    }

    #[tokio::test]
    async fn turns_are_taken_one_by_one_and_forgotten() {
        let turns = Turns::default();
        let (first, second) = (turns.of("/a"), turns.of("/a"));
        let turn = first.lock().await;
        assert!(second.try_lock().is_err());
        assert!(turns.of("/b").try_lock().is_ok());
        drop(turn);
        drop((first, second));
        let _other = turns.of("/c");
        assert_eq!(turns.0.lock().unwrap().len(), 1);
    }

    #[tokio::test(start_paused = true)]
    async fn only_lost_races_are_run_again_and_not_for_ever() {
        let mut races = Races::default();
        for _ in 1..ROUNDS {
            races.again_after(Error::new(ErrorKind::PreconditionFailed, "")).await.unwrap();
        }
        let last = races.again_after(Error::new(ErrorKind::PreconditionFailed, "")).await.unwrap_err();
        assert_eq!(last.kind(), ErrorKind::PreconditionFailed);

        let error = Races::default().again_after(Error::new(ErrorKind::NotFound, "")).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::NotFound);
    }
}
