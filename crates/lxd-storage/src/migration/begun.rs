//! What a migration began on both servers, and how that is taken back when it fails or nobody waits for it any longer.

use std::{
    hash::{BuildHasher, RandomState},
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use http::StatusCode;
use lxd_types::{Config, Operation};
use tokio::{sync::oneshot, time::Instant};

use super::{compare::MARK, source::Source};
use crate::{Change, Error, ErrorKind, Pending, VolumeHandle, doubt, object::Address as _, wait};

/// So long a failed migration waits for the target to give up. After that it is taken back in the background.
const PATIENCE: Duration = Duration::from_secs(2);

/// A target that failed takes back what it has of a volume by itself, for so long at most. Who deletes it meanwhile and
/// tries again under its name gets the new one taken away, which the server takes for the old one.
const TAKES_BACK_WITHIN: Duration = Duration::from_secs(10);

/// So often the removal of what is left is tried: servers may still be busy with it.
const REMOVALS: u32 = 5;

/// One of the two servers.
#[derive(Clone, Copy, Debug)]
pub(super) enum End {
    Source,
    Target,
}

/// What was begun. Whoever is the last to let go of it takes it back, unless it is settled: a request that is under way
/// holds it too, so that nothing begins that nobody knows of.
pub(super) struct Begun {
    source: Source,
    copy: VolumeHandle,
    /// Whether there was no copy before.
    is_new: bool,
    /// What the volume that is made shows as long as it isn't complete.
    mark: String,
    state: Mutex<State>,
}

#[derive(Clone, Default)]
struct State {
    at_source: Vec<Part>,
    at_target: Vec<Part>,
    arrived: bool,
    settled: bool,
}

/// An operation, and when it was accepted.
type Part = (Operation, Instant);

impl Begun {
    pub(super) fn new(source: &Source, copy: &VolumeHandle, is_new: bool) -> Arc<Self> {
        let (source, copy) = (source.clone(), copy.clone());
        let mark = format!("{:016x}", RandomState::new().hash_one(Instant::now()));
        Arc::new(Self { source, copy, is_new, mark, state: Mutex::default() })
    }

    /// Marks the volume that is to be made, so that it can be told from one that somebody else makes meanwhile.
    pub(super) fn mark(&self, config: &mut Config) {
        if self.is_new {
            config.set(MARK, &self.mark);
        }
    }

    /// Waits until there is room for another try under the same name.
    pub(super) async fn clear(&self) {
        if self.is_new {
            // What is in its way tells the next try better than this one.
            let _ = self.leftover().vanishes().await;
        }
    }

    /// Asks one of the servers for its part, and notes the operation even if the caller goes away meanwhile.
    pub(super) async fn begin(self: &Arc<Self>, end: End, part: Change<()>) -> Result<Pending<()>, Error> {
        let (sender, receiver) = oneshot::channel();
        let begun = Arc::clone(self);
        tokio::spawn(async move {
            let started = part.start().await;
            if let Some(operation) = started.as_ref().ok().and_then(Pending::operation) {
                begun.note(end, operation);
            }
            // Whoever isn't there any longer need not know.
            let _ = sender.send(started);
        });
        receiver.await.unwrap_or_else(|error| {
            let message = "the request for a part of the migration was stopped";
            Err(Error::new(ErrorKind::Interrupted, message).with_source(error))
        })
    }

    fn note(&self, end: End, operation: &Operation) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let part = (operation.clone(), Instant::now());
        match end {
            End::Source => state.at_source.push(part),
            End::Target => state.at_target.push(part),
        }
    }

    /// All is at the target, to be compared.
    pub(super) fn arrived(&self) {
        self.state.lock().unwrap_or_else(PoisonError::into_inner).arrived = true;
    }

    /// From here on nothing is taken back.
    pub(super) fn settle(&self) {
        self.state.lock().unwrap_or_else(PoisonError::into_inner).settled = true;
    }

    /// Takes it back after an error, to which is added what stays. With `goes_on` servers can go on without us.
    pub(super) async fn fail(&self, error: Error, goes_on: bool) -> Error {
        let leftover = self.leftover();
        let lost_sight = matches!(error.kind(), ErrorKind::Timeout(_) | ErrorKind::Interrupted);
        let State { at_target, arrived, .. } = &leftover.state;
        if at_target.is_empty() && !lost_sight {
            // What the source has offered is stopped in the background.
            return error;
        }
        let error = error.having_changed();
        if lost_sight && (*arrived || goes_on) {
            self.settle();
            return error.with_note(leftover.in_words());
        }
        leftover.stop().await;
        let note = match leftover.targets_end(Some(PATIENCE)).await {
            // Now as before, the background has it.
            Err(_) if !self.is_new => return error.with_note(leftover.partly()),
            Err(_) => {
                return error.with_note(format!("what there is of {} will be removed", leftover.there()));
            }
            Ok(_) if !self.is_new => Some(leftover.partly()),
            Ok(Ended::ForAnother) => None,
            Ok(ended) => leftover.remove(ended).await.err().map(|cleanup| leftover.stays(&cleanup)),
        };
        self.settle();
        match note {
            Some(note) => error.with_note(note),
            None => error,
        }
    }

    fn leftover(&self) -> Leftover {
        Leftover {
            source: self.source.clone(),
            copy: self.copy.clone(),
            is_new: self.is_new,
            mark: self.mark.clone(),
            state: self.state.lock().unwrap_or_else(PoisonError::into_inner).clone(),
        }
    }
}

impl Drop for Begun {
    fn drop(&mut self) {
        let leftover = self.leftover();
        let State { at_source, at_target, settled, .. } = &leftover.state;
        if *settled || (at_source.is_empty() && at_target.is_empty()) {
            return;
        }
        // Without a runtime there is nobody to do it.
        let Ok(runtime) = tokio::runtime::Handle::try_current() else { return };
        runtime.spawn(leftover.take_back());
    }
}

/// How the target's part ended.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Ended {
    /// It made the volume.
    Well,
    /// It failed, and takes back what it has of the volume.
    InFailure,
    /// It was forgotten, with all that the server had to take back.
    Forgotten,
    /// Somebody else had taken the name.
    ForAnother,
}

/// What there is to take back.
struct Leftover {
    source: Source,
    copy: VolumeHandle,
    is_new: bool,
    mark: String,
    state: State,
}

impl Leftover {
    async fn take_back(self) {
        self.stop().await;
        let volume = self.copy.name().to_owned();
        match self.targets_end(None).await {
            Err(error) => tracing::warn!(volume, %error, "{}", self.in_words()),
            Ok(_) if self.state.at_target.is_empty() => {}
            Ok(_) if !self.is_new => {
                tracing::warn!(volume, "a migration was given up; {}", self.partly());
            }
            Ok(Ended::ForAnother) => {}
            Ok(ended) => {
                if let Err(error) = self.remove(ended).await {
                    tracing::warn!("a migration was given up; {}", self.stays(&error));
                }
            }
        }
    }

    /// Asks both servers to stop. Many can't, and those that did already refuse: how it ends tells.
    async fn stop(&self) {
        let ends =
            [(self.source.client(), &self.state.at_source), (self.copy.client(), &self.state.at_target)];
        for (client, parts) in ends {
            for (operation, accepted) in parts {
                if let Err(error) = wait::cancel(client, &operation.id, *accepted).await {
                    tracing::debug!(operation = operation.id, %error, "it does not stop");
                }
            }
        }
    }

    /// Waits until nothing goes on at the target, and says how the last of its parts ended.
    async fn targets_end(&self, patience: Option<Duration>) -> Result<Ended, Error> {
        let mut last = Ended::InFailure;
        for (operation, _) in &self.state.at_target {
            let ended = wait::wait(self.copy.client(), operation.clone(), patience, None, &[]).await;
            last = match ended {
                Ok(_) => Ended::Well,
                Err(error) if error.status() == Some(StatusCode::NOT_FOUND) => Ended::Forgotten,
                Err(error) if !is_the_end(&error) => return Err(error),
                Err(error) if says_it_exists(&error) => Ended::ForAnother,
                Err(_) => Ended::InFailure,
            }
        }
        Ok(last)
    }

    /// Waits a while until the copy is gone, and says whether it is.
    async fn vanishes(&self) -> Result<bool, Error> {
        let (began, mut pause) = (Instant::now(), Duration::from_millis(50));
        while self.copy.exists().await? {
            if began.elapsed() > TAKES_BACK_WITHIN {
                return Ok(false);
            }
            tokio::time::sleep(pause).await;
            pause = (pause * 2).min(Duration::from_secs(1));
        }
        Ok(true)
    }

    /// Removes the copy, be it half-made or complete.
    async fn remove(&self, ended: Ended) -> Result<(), Error> {
        if ended == Ended::InFailure && self.vanishes().await? {
            return Ok(());
        }
        let (mut pause, mut tries) = (Duration::from_millis(100), 1);
        while self.is_ours_to_remove(ended).await? {
            match self.copy.delete().await {
                Err(error) if error.is_not_found() => break,
                Err(_) if tries < REMOVALS => tokio::time::sleep(pause).await,
                done => return done,
            }
            (pause, tries) = (pause * 2, tries + 1);
        }
        Ok(())
    }

    /// Whether the copy is there. One that doesn't show that this migration made it, or whose source is no longer there,
    /// is an error.
    async fn is_ours_to_remove(&self, ended: Ended) -> Result<bool, Error> {
        let found = match self.copy.get().await {
            Err(error) if error.is_not_found() => return Ok(false),
            found => found?,
        };
        let began = self.state.at_target.iter().filter_map(|(operation, _)| operation.created_at).min();
        let is_older = found.created_at().zip(began).is_some_and(|(made, began)| made < began);
        let is_ours = ended == Ended::Well || found.config().text(MARK) == Some(&*self.mark);
        if is_older || !is_ours {
            return Err(Error::invalid("it may be somebody else's; delete it if it is not"));
        }
        match self.source.read().await {
            Err(error) if error.is_not_found() => {
                Err(Error::invalid("its source is gone, so it may be all that there is"))
            }
            source => source.map(|_| true),
        }
    }

    fn stays(&self, why: &Error) -> String {
        format!("{} is left: {why}", self.there())
    }

    fn partly(&self) -> String {
        doubt::refreshed(&self.there())
    }

    fn there(&self) -> String {
        format!("{} of the target", self.copy.in_words())
    }

    /// What goes on, or has arrived, without anybody who waits for it.
    fn in_words(&self) -> String {
        let there = self.there();
        if self.state.arrived {
            return format!("{there} has arrived and was not compared with its source");
        }
        let ids = |parts: &[Part]| {
            parts.last().map_or_else(|| "none".to_owned(), |(operation, _)| operation.id.clone())
        };
        format!(
            "the transfer may go on, look for {there} (operation of the source: {}, of the target: {})",
            ids(&self.state.at_source),
            ids(&self.state.at_target)
        )
    }
}

/// Whether a failed wait means that the operation has ended.
fn is_the_end(error: &Error) -> bool {
    matches!(error.kind(), ErrorKind::OperationFailed | ErrorKind::Cancelled)
}

/// Whether the name was taken by somebody else.
fn says_it_exists(error: &Error) -> bool {
    error.is_already_exists() || error.server_message().is_some_and(|text| text.contains("already exists"))
}
