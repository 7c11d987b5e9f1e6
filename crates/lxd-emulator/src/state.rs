//! The database: everything that the server knows, under one lock.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use crate::{clock::Moment, config::Config, size};

/// The project that is always there.
pub(crate) const DEFAULT: &str = "default";

#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Database {
    pub(crate) config: Config,
    pub(crate) projects: BTreeMap<String, Project>,
    pub(crate) pools: BTreeMap<String, Pool>,
    #[serde(with = "pairs")]
    pub(crate) volumes: BTreeMap<VolumeKey, Volume>,
    #[serde(with = "pairs")]
    pub(crate) buckets: BTreeMap<BucketKey, Bucket>,
    /// By project and name.
    #[serde(with = "pairs")]
    pub(crate) instances: BTreeMap<(String, String), Instance>,
    /// By project and name.
    #[serde(with = "pairs")]
    pub(crate) profiles: BTreeMap<(String, String), Profile>,
    /// By fingerprint; those of all projects are in one place.
    #[serde(default)]
    pub(crate) images: BTreeMap<String, Image>,
    /// By fingerprint.
    pub(crate) certificates: BTreeMap<String, Certificate>,
    /// Empty where the server is no cluster.
    pub(crate) members: Vec<String>,
    #[serde(default)]
    pub(crate) unfinished: Unfinished,
}

/// What has an entry already while its content is being made. A server that starts over a folder takes it away.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Unfinished {
    pub(crate) volumes: BTreeSet<VolumeKey>,
    pub(crate) buckets: BTreeSet<BucketKey>,
    /// With their names.
    pub(crate) backups: BTreeSet<(VolumeKey, String)>,
    /// The same of buckets.
    pub(crate) bucket_backups: BTreeSet<(BucketKey, String)>,
}

#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Project {
    pub(crate) description: String,
    pub(crate) config: Config,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Pool {
    pub(crate) driver: String,
    pub(crate) description: String,
    /// What all members share.
    pub(crate) config: Config,
    /// What each member has of its own; alone, the server is a member named `none`.
    pub(crate) local: BTreeMap<String, Config>,
    pub(crate) status: PoolStatus,
}

impl Pool {
    /// How many bytes a second its volumes are copied with, where that is limited.
    pub(crate) fn bandwidth(&self) -> Option<u64> {
        size::parse(self.config.get("rsync.bwlimit")?).ok().filter(|limit| *limit > 0)
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum PoolStatus {
    Pending,
    Created,
    Errored,
}

impl PoolStatus {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Pending => "Pending",
            Self::Created => "Created",
            Self::Errored => "Errored",
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(crate) enum VolumeKind {
    Container,
    Image,
    Custom,
    VirtualMachine,
}

impl VolumeKind {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Container => "container",
            Self::Image => "image",
            Self::Custom => "custom",
            Self::VirtualMachine => "virtual-machine",
        }
    }

    /// Whether it is the volume of an instance.
    pub(crate) fn is_instance(self) -> bool {
        matches!(self, Self::Container | Self::VirtualMachine)
    }

    pub(crate) fn from_name(name: &str) -> Option<Self> {
        [Self::Container, Self::Image, Self::Custom, Self::VirtualMachine]
            .into_iter()
            .find(|kind| kind.name() == name)
    }
}

/// Which volume: names are unique by pool, project, type and member.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(crate) struct VolumeKey {
    pub(crate) pool: String,
    pub(crate) project: String,
    pub(crate) kind: VolumeKind,
    pub(crate) name: String,
    /// The member that has it; `none` on a server alone, empty where all members reach it.
    pub(crate) member: String,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Volume {
    pub(crate) description: String,
    pub(crate) config: Config,
    pub(crate) content_type: ContentType,
    pub(crate) created_at: Option<Moment>,
    /// In the order of their creation.
    pub(crate) snapshots: Vec<Snapshot>,
    pub(crate) backups: Vec<Backup>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum ContentType {
    Filesystem,
    Block,
    Iso,
}

impl ContentType {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Filesystem => "filesystem",
            Self::Block => "block",
            Self::Iso => "iso",
        }
    }
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Snapshot {
    pub(crate) name: String,
    pub(crate) description: String,
    pub(crate) config: Config,
    pub(crate) created_at: Option<Moment>,
    pub(crate) expires_at: Option<Moment>,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Backup {
    pub(crate) name: String,
    pub(crate) created_at: Option<Moment>,
    pub(crate) expires_at: Option<Moment>,
    pub(crate) volume_only: bool,
    pub(crate) optimized_storage: bool,
    pub(crate) compression_algorithm: String,
}

/// Which bucket.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(crate) struct BucketKey {
    pub(crate) pool: String,
    pub(crate) project: String,
    pub(crate) name: String,
    /// As in [`VolumeKey`].
    pub(crate) member: String,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Bucket {
    pub(crate) description: String,
    pub(crate) config: Config,
    pub(crate) created_at: Option<Moment>,
    pub(crate) keys: BTreeMap<String, AccessKey>,
    pub(crate) backups: Vec<Backup>,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct AccessKey {
    pub(crate) description: String,
    pub(crate) role: String,
    #[serde(rename = "access-key")]
    pub(crate) access_key: String,
    #[serde(rename = "secret-key")]
    pub(crate) secret_key: String,
}

/// Devices of an instance or a profile.
pub(crate) type Devices = BTreeMap<String, Config>;

#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Instance {
    pub(crate) kind: VolumeKind,
    pub(crate) description: String,
    pub(crate) config: Config,
    pub(crate) devices: Devices,
    pub(crate) profiles: Vec<String>,
    pub(crate) ephemeral: bool,
    pub(crate) location: String,
    pub(crate) created_at: Option<Moment>,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Image {
    pub(crate) architecture: String,
    pub(crate) properties: Config,
    /// Seconds since 1970.
    pub(crate) created_at: i64,
    pub(crate) uploaded_at: Moment,
    /// In bytes.
    pub(crate) size: u64,
}

#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Profile {
    pub(crate) description: String,
    pub(crate) config: Config,
    pub(crate) devices: Devices,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Certificate {
    pub(crate) name: String,
    pub(crate) kind: String,
    pub(crate) description: String,
    pub(crate) restricted: bool,
    pub(crate) projects: Vec<String>,
    pub(crate) pem: String,
}

/// Maps whose keys are no text, as lists of pairs.
mod pairs {
    use std::collections::BTreeMap;

    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    pub(super) fn serialize<K: Serialize, V: Serialize, S: Serializer>(
        map: &BTreeMap<K, V>,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(map)
    }

    pub(super) fn deserialize<'de, K: Deserialize<'de> + Ord, V: Deserialize<'de>, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<BTreeMap<K, V>, D::Error> {
        Ok(Vec::<(K, V)>::deserialize(deserializer)?.into_iter().collect())
    }
}
