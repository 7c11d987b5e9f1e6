//! The server: what it is, where it listens, and which API extensions it has.

use std::{collections::BTreeMap, ops::RangeInclusive};

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::Value;

open_enum! {
    /// Which of the two families a server belongs to.
    pub enum ServerFamily {
        /// Canonical's LXD.
        Lxd = "lxd",
        /// The Incus fork.
        Incus = "incus",
    }
}

open_enum! {
    /// Whether the server knows who is asking.
    pub enum Auth {
        /// The caller may use the API.
        Trusted = "trusted",
        /// The caller sees a short description of the server and little else.
        Untrusted = "untrusted",
    }
}

/// The API extensions of a server, in its own order.
///
/// Features are found by these names, never by version numbers: long-term branches get single features backported.
///
/// ```
/// use lxd_types::Extensions;
///
/// let extensions: Extensions = serde_json::from_str(r#"["etag","storage","resources"]"#)?;
/// assert!(extensions.has("storage"));
/// assert_eq!(extensions.first_missing(&["etag", "storage_buckets"]), Some("storage_buckets"));
/// # Ok::<(), serde_json::Error>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Extensions(Vec<String>);

impl Extensions {
    /// Whether the server has the extension.
    #[must_use]
    pub fn has(&self, name: &str) -> bool {
        self.0.iter().any(|extension| extension == name)
    }

    /// The first of these extensions that the server lacks.
    #[must_use]
    pub fn first_missing<'a>(&self, names: &[&'a str]) -> Option<&'a str> {
        names.iter().find(|name| !self.has(name)).copied()
    }

    /// All of them.
    pub fn iter(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(String::as_str)
    }

    /// How many there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl<S: Into<String>> FromIterator<S> for Extensions {
    fn from_iter<I: IntoIterator<Item = S>>(names: I) -> Self {
        Self(names.into_iter().map(Into::into).collect())
    }
}

impl Serialize for Extensions {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.0.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Extensions {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Vec::deserialize(deserializer).map(Self)
    }
}

object! {
    /// A storage driver that the server could use.
    pub struct StorageDriver {
        /// The driver's name: `dir`, `btrfs`, `zfs`, ...
        pub name: String = "Name",
        /// The version of the tools behind it.
        pub version: String = "Version",
        /// Whether its pools are shared by all members of a cluster.
        pub remote: bool = "Remote",
    }
}

object! {
    /// The part of [`Server`] that only trusted callers see filled.
    pub struct Environment {
        /// The family: `lxd` or `incus`.
        pub server: ServerFamily = "server",
        /// The version, for people. Ask [`Extensions`] what the server can do.
        pub server_version: String = "server_version",
        /// The name of this cluster member, or the host name.
        pub server_name: String = "server_name",
        /// Whether the server belongs to a cluster.
        pub server_clustered: bool = "server_clustered",
        /// The project that this answer is about.
        pub project: String = "project",
        /// `host:port` pairs on which the server listens for HTTPS.
        pub addresses: Vec<String> = "addresses",
        /// The server's certificate, as PEM.
        pub certificate: String = "certificate",
        /// The SHA-256 of that certificate, as hex.
        pub certificate_fingerprint: String = "certificate_fingerprint",
        /// The drivers that have a pool, joined by ` | ` in varying order.
        pub storage: String = "storage",
        /// Their versions, in the same order.
        pub storage_version: String = "storage_version",
        /// All drivers that the server could use.
        pub storage_supported_drivers: Vec<StorageDriver> = "storage_supported_drivers",
        /// The lowest and the highest version that the metadata inside a backup can be asked to have; see
        /// [`backup_metadata_versions`](Self::backup_metadata_versions). Needs `backup_metadata_version` (LXD).
        pub backup_metadata_version_range: Option<Vec<u32>> = optional "backup_metadata_version_range",
    }
}

impl Environment {
    /// Which versions of a backup's metadata this server can write and read; `None` where it doesn't say.
    ///
    /// ```
    /// let environment: lxd_types::Environment = serde_json::from_str(r#"{"backup_metadata_version_range":[1,2]}"#)?;
    /// assert_eq!(environment.backup_metadata_versions(), Some(1..=2));
    /// # Ok::<(), serde_json::Error>(())
    /// ```
    #[must_use]
    pub fn backup_metadata_versions(&self) -> Option<RangeInclusive<u32>> {
        match self.backup_metadata_version_range.as_deref() {
            Some(&[lowest, highest]) => Some(lowest..=highest),
            _ => None,
        }
    }
}

object! {
    /// The server, as `GET /1.0` describes it. Callers without trust get it too, without most of the environment.
    pub struct Server {
        /// What the server can do.
        pub api_extensions: Extensions = "api_extensions",
        /// `stable`, `development` or `deprecated`.
        pub api_status: String = "api_status",
        /// `1.0`.
        pub api_version: String = "api_version",
        /// Whether the caller is trusted.
        pub auth: Auth = "auth",
        /// Ways to authenticate: `tls`, `oidc`, ...
        pub auth_methods: Vec<String> = "auth_methods",
        /// Whether it serves public images to anyone.
        pub public: bool = "public",
        /// Who the caller is to the server, where it says.
        pub auth_user_name: Option<String> = optional "auth_user_name",
        /// How the caller was recognised, where it says.
        pub auth_user_method: Option<String> = optional "auth_user_method",
        /// Whether the caller showed a client certificate, trusted or not. Needs `client_cert_presence` (LXD).
        pub client_certificate: Option<bool> = optional "client_certificate",
        /// The server's own configuration; values may be other than text.
        pub config: Option<BTreeMap<String, Value>> = optional "config",
        /// Versions, addresses, drivers.
        pub environment: Environment = "environment",
    }
}

impl Server {
    /// Whether the caller is trusted.
    #[must_use]
    pub fn is_trusted(&self) -> bool {
        self.auth == Auth::Trusted
    }
}
