//! Read, change, write back, and begin again when somebody else was faster.

use std::{
    collections::{BTreeMap, HashMap},
    sync::{Arc, Mutex, PoisonError, Weak},
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use lxd_types::{Config, Patch};
use serde::Serialize;
use serde_json::Value;

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

/// So many times an edit begins again. With the pauses between them that is many seconds of losing every race.
const ROUNDS: u32 = 64;

/// Counts the races that one edit lost.
///
/// A closure for the attempt would read nicer; but futures of async closures that borrow cannot be shown to be
/// `Send` for every lifetime today, and an edit that can't be spawned is of little use.
#[derive(Debug, Default)]
pub(crate) struct Races {
    lost: u32,
    /// How often in a row nothing at all came of a write.
    without_effect: u32,
}

impl Races {
    /// Fails as a lost race does if what an edit changed is not there afterwards: then somebody whose request passed
    /// the server's check together with ours wrote last. `but` names fields that show nothing.
    ///
    /// Somebody who wrote left a change of theirs. Where there is none, twice, it is the server that makes something
    /// else of what it is sent, such as another way to write a number, and the edit has ended.
    pub(crate) fn confirm<P: Serialize + PartialEq>(
        &mut self,
        before: &P,
        put: &P,
        after: &P,
        but: &[&str],
    ) -> Result<(), Error> {
        let differs = overwritten(before, put, after, but)?;
        self.judge(differs, before == after)
    }

    /// The same for a patch: what it has must be there.
    pub(crate) fn confirm_patch<P: PartialEq>(
        &mut self,
        before: &P,
        patch: &Patch,
        (config, description): (&Config, &str),
        after: &P,
    ) -> Result<(), Error> {
        let key = patch.config.iter().find(|(key, value)| config.text(key).unwrap_or_default() != **value);
        let described = patch.description.as_deref().is_none_or(|wanted| wanted == description);
        let differs = key.map(|(key, _)| key.clone()).or((!described).then(|| "description".to_owned()));
        self.judge(differs, before == after)
    }

    fn judge(&mut self, differs: Option<String>, without_effect: bool) -> Result<(), Error> {
        let Some(what) = differs else { return Ok(()) };
        self.without_effect = if without_effect { self.without_effect + 1 } else { 0 };
        if self.without_effect >= 2 {
            tracing::debug!(what, "the server makes something else of it");
            return Ok(());
        }
        let message = format!("{what:?} was overwritten at the same moment");
        Err(Error::new(ErrorKind::PreconditionFailed, message).with_reached(lxd_transport::Reached::Yes))
    }

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

/// The first key or field that was to become another and isn't what it was to become.
fn overwritten<P: Serialize>(before: &P, put: &P, after: &P, but: &[&str]) -> Result<Option<String>, Error> {
    let (before, put, after) = (flat(before)?, flat(put)?, flat(after)?);
    let changed = put.keys().chain(before.keys()).filter(|name| before.get(*name) != put.get(*name));
    let lost =
        changed.filter(|name| !but.contains(&name.as_str())).find(|name| after.get(*name) != put.get(*name));
    Ok(lost.cloned())
}

/// The fields of an object, with each key of the config as one. What is empty is not there.
fn flat(object: &impl Serialize) -> Result<BTreeMap<String, Value>, Error> {
    let object = serde_json::to_value(object)
        .map_err(|error| Error::invalid("the request cannot be written as JSON").with_source(error))?;
    let Value::Object(mut fields) = object else { return Ok(BTreeMap::new()) };
    if let Some(Value::Object(config)) = fields.remove("config") {
        fields.extend(config.into_iter().map(|(key, value)| (format!("config.{key}"), value)));
    }
    Ok(fields.into_iter().filter(|(_, value)| !value.is_null() && value != "").collect())
}

/// Grows with the rounds and differs between tasks that lost the same race, so that they don't meet again.
fn pause(round: u32) -> Duration {
    let longest = 10 * u64::from(round);
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Duration::from_millis(1 + u64::from(now.subsec_nanos()) % longest)
}

#[cfg(test)]
mod tests {
    use lxd_types::StoragePoolPut;

    use super::*;

    fn put(description: &str, pairs: &[(&str, &str)]) -> StoragePoolPut {
        let mut put = StoragePoolPut::default();
        put.description = description.to_owned();
        put.config = pairs.iter().copied().collect();
        put
    }

    #[test]
    fn what_was_changed_must_be_so_afterwards() {
        let before = put("d", &[("a", "1"), ("b", "1")]);
        let wanted = put("e", &[("a", "2"), ("c", "")]);
        for (after, lost) in [
            (put("e", &[("a", "2"), ("added", "x")]), None),
            (put("e", &[("a", "1")]), Some("config.a")),
            (put("e", &[("a", "2"), ("b", "1")]), Some("config.b")),
            (put("d", &[("a", "2")]), Some("description")),
        ] {
            assert_eq!(overwritten(&before, &wanted, &after, &[]).unwrap().as_deref(), lost);
            assert_eq!(Races::default().confirm(&before, &wanted, &after, &[]).is_err(), lost.is_some());
        }
        assert_eq!(overwritten(&before, &wanted, &put("d", &[("a", "2")]), &["description"]).unwrap(), None);
    }

    #[test]
    fn what_the_server_makes_of_it_is_no_race() {
        let (is, wanted) = (put("", &[("size", "1024")]), put("", &[("size", "1KiB")]));
        let mut races = Races::default();
        assert!(races.confirm(&put("", &[]), &wanted, &is, &[]).is_err(), "somebody may have set it");
        assert!(races.confirm(&is, &wanted, &is, &[]).is_err());
        assert!(races.confirm(&is, &wanted, &is, &[]).is_ok());
        assert!(Races::default().confirm(&is, &wanted, &put("", &[]), &[]).is_err());
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
