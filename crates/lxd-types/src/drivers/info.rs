//! The table of drivers and keys, for programs.

use std::fmt;

use crate::{ContentType, ServerFamily, VolumeType};

/// A line of server versions that agree on their config keys.
///
/// This says where a key is known to exist. Whether a server has a feature is told by its
/// [`Extensions`](crate::Extensions) alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Release {
    /// LXD 5.0 with long-term support.
    Lxd50,
    /// LXD 5.21 with long-term support.
    Lxd521,
    /// The latest LXD, 6.9 when this was written.
    LxdLatest,
    /// Incus 6.0 with long-term support.
    Incus60,
    /// The latest Incus, 7.3 when this was written.
    IncusLatest,
}

impl Release {
    /// All of them.
    pub const ALL: &[Self] = &[Self::Lxd50, Self::Lxd521, Self::LxdLatest, Self::Incus60, Self::IncusLatest];

    /// A short name: `lxd-5.0`, `incus-latest`, ...
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Lxd50 => "lxd-5.0",
            Self::Lxd521 => "lxd-5.21",
            Self::LxdLatest => "lxd-latest",
            Self::Incus60 => "incus-6.0",
            Self::IncusLatest => "incus-latest",
        }
    }

    /// Whose server it is.
    #[must_use]
    pub const fn server(self) -> ServerFamily {
        match self {
            Self::Lxd50 | Self::Lxd521 | Self::LxdLatest => ServerFamily::Lxd,
            Self::Incus60 | Self::IncusLatest => ServerFamily::Incus,
        }
    }
}

impl fmt::Display for Release {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// What a key holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Kind {
    /// Any text.
    Text,
    /// Text that nobody else may see.
    Secret,
    /// The path of a file on the server.
    Path,
    /// A URL.
    Url,
    /// A UUID.
    Uuid,
    /// JSON.
    Json,
    /// A duration such as `90s` or `1h30m`.
    Duration,
    /// A boolean, see [`Config::bool`](crate::Config::bool).
    Bool,
    /// A whole number from zero on.
    Int,
    /// A number of bytes, see [`Size`](crate::Size).
    Size,
    /// See [`FileMode`](crate::FileMode).
    FileMode,
    /// See [`Lifespan`](crate::Lifespan).
    Lifespan,
    /// See [`Schedule`](crate::Schedule).
    Schedule,
    /// See [`NamePattern`](crate::NamePattern).
    NamePattern,
    /// A list of texts with commas between them.
    List,
    /// One of these words; the type of that name in the driver's module keeps words beyond them.
    Choice(&'static [&'static str]),
}

/// To which part of a cluster a key belongs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Scope {
    /// One value for all members.
    Global,
    /// Each member has its own: in a cluster it is set and shown only where a member is named.
    Local,
    /// [`Local`](Self::Local) on servers of these releases, [`Global`](Self::Global) on others.
    LocalOn(&'static [Release]),
}

/// What is known of a config key of a driver.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Key {
    /// The name; one that ends in `.*` stands for all names that begin like it.
    pub name: &'static str,
    /// What it holds.
    pub kind: Kind,
    /// What servers take where it is unset, as text that could be set; `None` where it depends or there is nothing.
    pub default: Option<&'static str>,
    /// To which part of a cluster it belongs.
    pub scope: Scope,
    /// The releases that know it for this driver.
    pub releases: &'static [Release],
    /// The API extension that brought it.
    pub extension: Option<&'static str>,
    /// Which pools or volumes take it, or what else a value has to satisfy, in a few words.
    pub condition: Option<&'static str>,
    /// Whether a pool of this driver can't be made without it.
    pub required: bool,
    /// Whether it stays as it was at creation.
    pub immutable: bool,
    /// Whether the server sets it, and nobody else should.
    pub computed: bool,
    /// Whether a pool takes it under `volume.`, as the default of its new volumes.
    pub has_pool_default: bool,
}

impl Key {
    /// Whether servers of a release know it.
    #[must_use]
    pub fn is_known_by(&self, release: Release) -> bool {
        self.releases.contains(&release)
    }

    /// Whether each member of a cluster of that release has its own value.
    #[must_use]
    pub fn is_local(&self, release: Release) -> bool {
        match self.scope {
            Scope::Global => false,
            Scope::Local => true,
            Scope::LocalOn(releases) => releases.contains(&release),
        }
    }

    fn matches(&self, name: &str) -> bool {
        match self.name.strip_suffix('*') {
            Some(start) => name.len() > start.len() && name.starts_with(start),
            None => self.name == name,
        }
    }
}

/// The generated tables are written with these.
impl Key {
    pub(super) const fn new(name: &'static str, kind: Kind) -> Self {
        Self {
            name,
            kind,
            default: None,
            scope: Scope::Global,
            releases: Release::ALL,
            extension: None,
            condition: None,
            required: false,
            immutable: false,
            computed: false,
            has_pool_default: false,
        }
    }

    pub(super) const fn default(mut self, default: &'static str) -> Self {
        self.default = Some(default);
        self
    }

    pub(super) const fn scope(mut self, scope: Scope) -> Self {
        self.scope = scope;
        self
    }

    pub(super) const fn only(mut self, releases: &'static [Release]) -> Self {
        self.releases = releases;
        self
    }

    pub(super) const fn extension(mut self, extension: &'static str) -> Self {
        self.extension = Some(extension);
        self
    }

    pub(super) const fn condition(mut self, condition: &'static str) -> Self {
        self.condition = Some(condition);
        self
    }

    pub(super) const fn required(mut self) -> Self {
        self.required = true;
        self
    }

    pub(super) const fn immutable(mut self) -> Self {
        self.immutable = true;
        self
    }

    pub(super) const fn computed(mut self) -> Self {
        self.computed = true;
        self
    }

    pub(super) const fn pool_default(mut self) -> Self {
        self.has_pool_default = true;
        self
    }
}

/// What is known of a storage driver.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct DriverInfo {
    /// The name, as in a pool's `driver`.
    pub name: &'static str,
    /// The releases that have it.
    pub releases: &'static [Release],
    /// The API extension that brought it, where one did.
    pub extension: Option<&'static str>,
    /// Whether its pools are reached from all members of a cluster.
    pub remote: bool,
    /// Whether it packs backups in a form of its own (`optimized`).
    pub optimized_backup: bool,
    /// What its volumes can hold. [`ContentType::Iso`] needs the API extension `custom_volume_iso`.
    pub content_types: &'static [ContentType],
    /// The types of volumes it has.
    pub volume_types: &'static [VolumeType],
    /// The releases that have buckets in its pools.
    pub buckets: &'static [Release],
    /// The keys of its pools, by name. Keys under `volume.` are not among them, see [`pool_key`](Self::pool_key).
    pub pool: &'static [Key],
    /// The keys of its volumes, by name.
    pub volume: &'static [Key],
    /// The keys of its buckets, by name.
    pub bucket: &'static [Key],
}

impl DriverInfo {
    pub(super) const fn empty(name: &'static str) -> Self {
        Self {
            name,
            releases: Release::ALL,
            extension: None,
            remote: false,
            optimized_backup: false,
            content_types: &[],
            volume_types: &[],
            buckets: &[],
            pool: &[],
            volume: &[],
            bucket: &[],
        }
    }

    /// A key of pools. For a default of new volumes, such as `volume.size`, this is the volumes' key.
    ///
    /// ```
    /// let driver = lxd_types::drivers::find("zfs").unwrap();
    /// assert!(driver.pool_key("zfs.pool_name").is_some());
    /// assert_eq!(driver.pool_key("volume.zfs.blocksize"), driver.volume_key("zfs.blocksize"));
    /// assert_eq!(driver.pool_key("zfs.blocksize"), None);
    /// ```
    #[must_use]
    pub fn pool_key(&self, name: &str) -> Option<&'static Key> {
        match name.strip_prefix("volume.") {
            Some(name) => self.volume_key(name).filter(|key| key.has_pool_default),
            None => find(self.pool, name),
        }
    }

    /// A key of volumes.
    #[must_use]
    pub fn volume_key(&self, name: &str) -> Option<&'static Key> {
        find(self.volume, name)
    }

    /// A key of buckets.
    #[must_use]
    pub fn bucket_key(&self, name: &str) -> Option<&'static Key> {
        find(self.bucket, name)
    }
}

fn find(keys: &'static [Key], name: &str) -> Option<&'static Key> {
    keys.iter().find(|key| key.matches(name))
}
