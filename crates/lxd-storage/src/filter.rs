//! Which objects of a list are wanted.

mod plan;

use std::{borrow::Cow, ops::Not};

use lxd_types::{StorageBucket, StoragePool, StorageVolume};

pub use self::plan::FilterPlan;

/// What of an object a [`Filter`] looks at. Objects that lack it never equal anything.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Field {
    /// The name.
    Name,
    /// The description.
    Description,
    /// A key of the config. A key that isn't set is like empty text.
    Config(String),
    /// A volume's type.
    VolumeType,
    /// A volume's content type.
    ContentType,
    /// The project of a volume or bucket.
    Project,
    /// The cluster member of a volume or bucket.
    Location,
    /// A pool's driver.
    Driver,
    /// A pool's status.
    Status,
}

impl Field {
    /// A key of the config.
    pub fn config(key: impl Into<String>) -> Self {
        Self::Config(key.into())
    }

    /// Exactly this text.
    pub fn eq(self, value: impl Into<String>) -> Filter {
        Filter(Term::Is { field: self, value: value.into(), equal: true })
    }

    /// Anything but this text.
    pub fn ne(self, value: impl Into<String>) -> Filter {
        Filter(Term::Is { field: self, value: value.into(), equal: false })
    }
}

/// Which objects of a list are wanted: comparisons joined by and, or and not.
///
/// The server filters what it can, so that less is sent; then everything is filtered here again, exactly: letter by
/// letter and with its case, which the servers by themselves don't do. [`plan`](Self::plan) tells which part goes to
/// the server.
///
/// ```
/// use lxd_storage::{Field, Filter};
///
/// let mine = Field::config("user.owner").eq("backup").and(!Field::Name.eq("scratch"));
/// assert!(mine.plan().is_complete());
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[must_use]
pub struct Filter(Term);

#[derive(Clone, Debug, PartialEq, Eq)]
enum Term {
    Is { field: Field, value: String, equal: bool },
    All(Vec<Term>),
    Any(Vec<Term>),
}

impl Filter {
    /// Both.
    pub fn and(self, other: Self) -> Self {
        Self(match (self.0, other.0) {
            (Term::All(mut terms), Term::All(more)) => {
                terms.extend(more);
                Term::All(terms)
            }
            (Term::All(mut terms), other) => {
                terms.push(other);
                Term::All(terms)
            }
            (one, other) => Term::All(vec![one, other]),
        })
    }

    /// Either or both.
    pub fn or(self, other: Self) -> Self {
        Self(match (self.0, other.0) {
            (Term::Any(mut terms), Term::Any(more)) => {
                terms.extend(more);
                Term::Any(terms)
            }
            (Term::Any(mut terms), other) => {
                terms.push(other);
                Term::Any(terms)
            }
            (one, other) => Term::Any(vec![one, other]),
        })
    }

    /// What of this a server can do.
    #[must_use]
    pub fn plan(&self) -> FilterPlan {
        FilterPlan::of(&self.0)
    }

    /// Whether a volume is wanted.
    #[must_use]
    pub fn matches_volume(&self, volume: &StorageVolume) -> bool {
        self.0.holds(&|field| match field {
            Field::Name => Some(Cow::Borrowed(&*volume.name)),
            Field::Description => Some(Cow::Borrowed(&*volume.description)),
            Field::Config(key) => Some(Cow::Borrowed(volume.config.text(key).unwrap_or_default())),
            Field::VolumeType => Some(Cow::Borrowed(volume.volume_type.as_str())),
            Field::ContentType => Some(Cow::Borrowed(volume.content_type.as_str())),
            Field::Project => Some(Cow::Borrowed(&*volume.project)),
            Field::Location => Some(Cow::Borrowed(&*volume.location)),
            Field::Driver | Field::Status => None,
        })
    }

    /// Whether a pool is wanted.
    #[must_use]
    pub fn matches_pool(&self, pool: &StoragePool) -> bool {
        self.0.holds(&|field| match field {
            Field::Name => Some(Cow::Borrowed(&*pool.name)),
            Field::Description => Some(Cow::Borrowed(&*pool.description)),
            Field::Config(key) => Some(Cow::Borrowed(pool.config.text(key).unwrap_or_default())),
            Field::Driver => Some(Cow::Borrowed(&*pool.driver)),
            Field::Status => Some(Cow::Borrowed(pool.status.as_str())),
            Field::VolumeType | Field::ContentType | Field::Project | Field::Location => None,
        })
    }

    /// Whether a bucket is wanted.
    #[must_use]
    pub fn matches_bucket(&self, bucket: &StorageBucket) -> bool {
        self.0.holds(&|field| match field {
            Field::Name => Some(Cow::Borrowed(&*bucket.name)),
            Field::Description => Some(Cow::Borrowed(&*bucket.description)),
            Field::Config(key) => Some(Cow::Borrowed(bucket.config.text(key).unwrap_or_default())),
            Field::Project => Some(Cow::Borrowed(&*bucket.project)),
            Field::Location => Some(Cow::Borrowed(&*bucket.location)),
            Field::VolumeType | Field::ContentType | Field::Driver | Field::Status => None,
        })
    }

    /// Refuses what no bucket has.
    pub(crate) fn check_for_buckets(&self) -> Result<(), crate::Error> {
        self.0.check("buckets", &|field| {
            !matches!(field, Field::VolumeType | Field::ContentType | Field::Driver | Field::Status)
        })
    }

    /// Refuses what no volume has.
    pub(crate) fn check_for_volumes(&self) -> Result<(), crate::Error> {
        self.0.check("volumes", &|field| !matches!(field, Field::Driver | Field::Status))
    }

    /// Refuses what no pool has.
    pub(crate) fn check_for_pools(&self) -> Result<(), crate::Error> {
        self.0.check("storage pools", &|field| {
            matches!(
                field,
                Field::Name | Field::Description | Field::Config(_) | Field::Driver | Field::Status
            )
        })
    }
}

impl Not for Filter {
    type Output = Self;

    fn not(self) -> Self {
        Self(self.0.negated())
    }
}

impl Term {
    /// Pushed down to the comparisons, since servers negate nothing larger.
    fn negated(self) -> Self {
        match self {
            Self::Is { field, value, equal } => Self::Is { field, value, equal: !equal },
            Self::All(terms) => Self::Any(terms.into_iter().map(Self::negated).collect()),
            Self::Any(terms) => Self::All(terms.into_iter().map(Self::negated).collect()),
        }
    }

    fn holds<'a>(&self, get: &impl Fn(&Field) -> Option<Cow<'a, str>>) -> bool {
        match self {
            Self::Is { field, value, equal } => get(field).is_some_and(|found| found == *value) == *equal,
            Self::All(terms) => terms.iter().all(|term| term.holds(get)),
            Self::Any(terms) => terms.iter().any(|term| term.holds(get)),
        }
    }

    fn check(&self, what: &str, has: &impl Fn(&Field) -> bool) -> Result<(), crate::Error> {
        match self {
            Self::Is { field, .. } if !has(field) => {
                Err(crate::Error::invalid(format!("{what} have no {field:?} to filter by")))
            }
            Self::Is { .. } => Ok(()),
            Self::All(terms) | Self::Any(terms) => terms.iter().try_for_each(|term| term.check(what, has)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn volume(name: &str, owner: &str) -> StorageVolume {
        let mut volume = StorageVolume::default();
        volume.name = name.to_owned();
        volume.config.set("user.owner", owner);
        volume
    }

    #[test]
    fn comparisons_join_as_they_read() {
        let filter = Field::Name.eq("a").or(Field::Name.eq("b")).and(Field::config("user.owner").ne("x"));
        assert!(filter.matches_volume(&volume("a", "y")) && filter.matches_volume(&volume("b", "")));
        assert!(!filter.matches_volume(&volume("a", "x")) && !filter.matches_volume(&volume("c", "y")));
        let not = !filter.clone();
        for volume in [volume("a", "y"), volume("a", "x"), volume("A", "y"), volume("c", "")] {
            assert_ne!(filter.matches_volume(&volume), not.matches_volume(&volume));
        }
    }

    #[test]
    fn a_field_that_objects_lack_is_refused() {
        assert!(Field::Driver.eq("zfs").check_for_volumes().is_err());
        assert!(Field::Name.eq("a").and(!Field::Project.eq("p")).check_for_pools().is_err());
        assert!(Field::Driver.eq("zfs").check_for_pools().is_ok());
        assert!(Field::VolumeType.eq("custom").check_for_buckets().is_err());
        assert!(Field::Location.eq("m").check_for_buckets().is_ok());
    }
}
