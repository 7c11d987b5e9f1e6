//! Pools and volumes as they are wanted: created where they are absent, changed where they differ, left alone else.

mod compare;
mod pool;
mod volume;

use std::{
    fmt,
    future::{Future, IntoFuture},
};

use lxd_types::Config;

use self::compare::Allowed;
use crate::{Error, ErrorKind, Pool, Volume, check, pending::BoxFuture};

pub use self::{pool::EnsurePool, volume::EnsureVolume};

/// So often is it begun anew when somebody else creates or deletes at the same time.
const AGAIN: usize = 8;

/// One thing in which an object differs from what is wanted of it.
///
/// Neither its text nor [`Debug`](fmt::Debug) shows passwords, tokens and keys of storage appliances.
#[derive(Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Drift {
    /// The object isn't there, or a pool not on all members of its cluster.
    Absent,
    /// The description is another.
    #[non_exhaustive]
    Description {
        /// What it is.
        is: String,
        /// What it should be.
        wanted: String,
    },
    /// A key has another value.
    #[non_exhaustive]
    Key {
        /// The cluster member on which, for keys that each member has for itself.
        member: Option<String>,
        /// The key.
        key: String,
        /// What it is; `None` where it is unset.
        is: Option<String>,
        /// What it should be; `None` where it should be unset.
        wanted: Option<String>,
    },
}

impl fmt::Display for Drift {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Absent => f.write_str("it is not there"),
            Self::Description { is, wanted } => write!(f, "the description is {is:?}, wanted {wanted:?}"),
            Self::Key { member, key, is, wanted } => {
                let value = |value: &Option<String>| match value {
                    Some(value) => check::shown(key, value),
                    None => "unset".to_owned(),
                };
                write!(f, "key {key:?} is {}, wanted {}", value(is), value(wanted))?;
                match member {
                    Some(member) => write!(f, " on member {member:?}"),
                    None => Ok(()),
                }
            }
        }
    }
}

impl fmt::Debug for Drift {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Absent => f.write_str("Absent"),
            Self::Description { is, wanted } => {
                f.debug_struct("Description").field("is", is).field("wanted", wanted).finish()
            }
            Self::Key { member, key, is, wanted } => {
                let shown = |value: &Option<String>| match value {
                    Some(_) if Config::hides(key) => Some("***".to_owned()),
                    value => value.clone(),
                };
                f.debug_struct("Key")
                    .field("member", member)
                    .field("key", key)
                    .field("is", &shown(is))
                    .field("wanted", &shown(wanted))
                    .finish()
            }
        }
    }
}

/// An object that is as it was wanted, and what had to be changed for that.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Ensured<T> {
    /// The object as it is now.
    pub object: T,
    /// What was changed, in the order in which it was; nothing where all was well.
    pub changes: Vec<Drift>,
}

impl<T> Ensured<T> {
    /// Whether anything was changed.
    #[must_use]
    pub fn is_changed(&self) -> bool {
        !self.changes.is_empty()
    }
}

/// What would be changed, and the means to do that and nothing else. Comes from [`EnsurePool::diff`] and
/// [`EnsureVolume::diff`].
#[derive(Clone, Debug)]
#[must_use = "it changes nothing until it is applied"]
pub struct Diff<E> {
    ensure: E,
    changes: Vec<Drift>,
}

impl<E> Diff<E> {
    /// What would be changed; nothing where all is as it is wanted.
    #[must_use]
    pub fn changes(&self) -> &[Drift] {
        &self.changes
    }

    /// Whether all is as it is wanted.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.changes.is_empty()
    }
}

impl Diff<EnsurePool> {
    /// Makes these changes.
    ///
    /// # Errors
    /// [`PreconditionFailed`](ErrorKind::PreconditionFailed) if something else would have to be changed by now; what is
    /// in this list and still needed may have been changed then. Those of the changes.
    pub async fn apply(self) -> Result<Ensured<Pool>, Error> {
        run(&self.ensure, &Allowed::Only(self.changes)).await
    }
}

impl Diff<EnsureVolume> {
    /// Makes these changes.
    ///
    /// # Errors
    /// [`PreconditionFailed`](ErrorKind::PreconditionFailed) if something else would have to be changed by now. Those
    /// of the changes.
    pub async fn apply(self) -> Result<Ensured<Volume>, Error> {
        run(&self.ensure, &Allowed::Only(self.changes)).await
    }
}

/// What pools and volumes have in common here.
trait Attempt: Sync {
    type Object: Send;

    /// What would have to be changed now.
    fn drift(&self) -> impl Future<Output = Result<Vec<Drift>, Error>> + Send;

    /// Changes it, once.
    fn once(&self, allowed: &Allowed) -> impl Future<Output = Result<Ensured<Self::Object>, Error>> + Send;
}

/// Begins anew where somebody else created or deleted the object meanwhile.
async fn run<E: Attempt>(ensure: &E, allowed: &Allowed) -> Result<Ensured<E::Object>, Error> {
    let mut tries = 0;
    loop {
        tries += 1;
        match ensure.once(allowed).await {
            Err(error) if tries < AGAIN && (error.is_already_exists() || error.is_lost()) => {}
            done => return done,
        }
    }
}

async fn diff<E: Attempt>(ensure: E) -> Result<Diff<E>, Error> {
    let changes = ensure.drift().await?;
    Ok(Diff { ensure, changes })
}

impl Error {
    /// Whether the object itself was gone by the time that it was to be changed.
    fn is_lost(&self) -> bool {
        self.kind() == ErrorKind::NotFound && self.method().is_some_and(|method| method != "POST")
    }
}

impl IntoFuture for EnsurePool {
    type Output = Result<Ensured<Pool>, Error>;
    type IntoFuture = BoxFuture<Self::Output>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(async move { run(&self, &Allowed::Any).await })
    }
}

impl IntoFuture for EnsureVolume {
    type Output = Result<Ensured<Volume>, Error>;
    type IntoFuture = BoxFuture<Self::Output>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(async move { run(&self, &Allowed::Any).await })
    }
}
