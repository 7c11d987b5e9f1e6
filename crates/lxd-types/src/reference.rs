//! Who uses a pool or a volume: the URLs of `used_by`, typed.

use crate::VolumeType;

/// One user of a pool or volume: what it is, and in which project and on which cluster member.
///
/// ```
/// use lxd_types::{Reference, UsedBy, VolumeType};
///
/// let user = Reference::parse("/1.0/storage-pools/fast/volumes/custom/my%20data?project=blue&target=node1");
/// assert_eq!(user.project(), "blue");
/// assert_eq!(user.member.as_deref(), Some("node1"));
/// assert_eq!(
///     user.used_by,
///     UsedBy::Volume { pool: "fast".into(), volume_type: VolumeType::Custom, name: "my data".into() }
/// );
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Reference {
    /// What uses it.
    pub used_by: UsedBy,
    /// The project, where the server named one. It names none for `default`.
    pub project: Option<String>,
    /// The cluster member, where the server named one.
    pub member: Option<String>,
    /// The URL as the server wrote it. Not safe to send back: some servers encode it twice, some not at all.
    pub url: String,
}

/// What uses a pool or volume.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum UsedBy {
    /// An instance.
    #[non_exhaustive]
    Instance {
        /// Its name.
        name: String,
    },
    /// A snapshot of an instance.
    #[non_exhaustive]
    InstanceSnapshot {
        /// The instance.
        instance: String,
        /// The snapshot.
        name: String,
    },
    /// A profile.
    #[non_exhaustive]
    Profile {
        /// Its name.
        name: String,
    },
    /// An image.
    #[non_exhaustive]
    Image {
        /// Its SHA-256, as hex.
        fingerprint: String,
    },
    /// A volume.
    Volume {
        /// The volume's pool.
        pool: String,
        /// Its type.
        volume_type: VolumeType,
        /// Its name.
        name: String,
    },
    /// A snapshot of a volume.
    VolumeSnapshot {
        /// The volume's pool.
        pool: String,
        /// The volume's type.
        volume_type: VolumeType,
        /// The volume.
        volume: String,
        /// The snapshot.
        name: String,
    },
    /// A bucket.
    #[non_exhaustive]
    Bucket {
        /// Its pool.
        pool: String,
        /// Its name.
        name: String,
    },
    /// The daemon itself, which can keep backups and images on a volume.
    Server,
    /// A URL of another form; see [`Reference::url`].
    Other,
}

/// How often a server percent-encoded the names in a URL.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Encoded {
    Once,
    Twice,
}

impl Reference {
    /// Reads a URL of `used_by`. Nothing is an error: a form that we don't know is [`UsedBy::Other`].
    #[must_use]
    pub fn parse(url: &str) -> Self {
        Self::read(url, Encoded::Once)
    }

    /// Reads a URL of `used_by` from LXD 5.0.0 to 5.0.2, which encode the names of volumes twice.
    #[must_use]
    pub fn parse_twice_encoded(url: &str) -> Self {
        Self::read(url, Encoded::Twice)
    }

    /// The project: `default` where the server named none.
    #[must_use]
    pub fn project(&self) -> &str {
        self.project.as_deref().unwrap_or("default")
    }

    fn read(url: &str, encoded: Encoded) -> Self {
        let without_fragment = url.split_once('#').map_or(url, |(url, _)| url);
        let (path, query) = without_fragment.split_once('?').unwrap_or((without_fragment, ""));
        let parameter = |name: &str| {
            let value = query.split('&').find_map(|pair| pair.strip_prefix(name)?.strip_prefix('='));
            value.map(|value| percent_decode(&value.replace('+', " ")))
        };
        Self {
            used_by: UsedBy::from_path(path, encoded),
            project: parameter("project"),
            member: parameter("target"),
            url: url.to_owned(),
        }
    }
}

impl UsedBy {
    fn from_path(path: &str, encoded: Encoded) -> Self {
        let segments: Vec<&str> = path.split('/').skip(1).collect();
        let text = |segment: &str| percent_decode(segment);
        let volume_text = |segment: &str| match encoded {
            Encoded::Once => percent_decode(segment),
            Encoded::Twice => percent_decode(&percent_decode(segment)),
        };
        match segments[..] {
            ["1.0"] => Self::Server,
            ["1.0", "instances" | "containers" | "virtual-machines", name] => {
                Self::Instance { name: text(name) }
            }
            ["1.0", "instances" | "containers" | "virtual-machines", instance, "snapshots", name] => {
                Self::InstanceSnapshot { instance: text(instance), name: text(name) }
            }
            ["1.0", "profiles", name] => Self::Profile { name: text(name) },
            ["1.0", "images", fingerprint] => Self::Image { fingerprint: text(fingerprint) },
            ["1.0", "storage-pools", pool, "volumes", volume_type, name] => Self::Volume {
                pool: text(pool),
                volume_type: VolumeType::from(volume_type),
                name: volume_text(name),
            },
            ["1.0", "storage-pools", pool, "volumes", volume_type, volume, "snapshots", name] => {
                Self::VolumeSnapshot {
                    pool: text(pool),
                    volume_type: VolumeType::from(volume_type),
                    volume: volume_text(volume),
                    name: volume_text(name),
                }
            }
            ["1.0", "storage-pools", pool, "buckets", name] => {
                Self::Bucket { pool: text(pool), name: text(name) }
            }
            _ => Self::Other,
        }
    }
}

/// Decodes `%41` and leaves alone what isn't of that form, since some servers write names unencoded. Bytes that are
/// no UTF-8 become replacement characters: no server accepts such names.
fn percent_decode(text: &str) -> String {
    if !text.contains('%') {
        return text.to_owned();
    }
    let hex = |byte: u8| char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
    let bytes = text.as_bytes();
    let mut decoded = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while at < bytes.len() {
        let pair = bytes.get(at + 1).copied().and_then(hex).zip(bytes.get(at + 2).copied().and_then(hex));
        match (bytes[at], pair) {
            (b'%', Some((high, low))) => {
                decoded.push(high * 16 + low);
                at += 3;
            }
            (byte, _) => {
                decoded.push(byte);
                at += 1;
            }
        }
    }
    String::from_utf8(decoded).unwrap_or_else(|error| String::from_utf8_lossy(error.as_bytes()).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn every_form_is_read() {
        let used_by = |url: &str| Reference::parse(url).used_by;
        assert_eq!(used_by("/1.0/instances/c1"), UsedBy::Instance { name: "c1".into() });
        assert_eq!(
            used_by("/1.0/instances/c1/snapshots/s0"),
            UsedBy::InstanceSnapshot { instance: "c1".into(), name: "s0".into() }
        );
        assert_eq!(used_by("/1.0/profiles/default?project=p"), UsedBy::Profile { name: "default".into() });
        assert_eq!(used_by("/1.0/images/abc"), UsedBy::Image { fingerprint: "abc".into() });
        assert_eq!(
            used_by("/1.0/storage-pools/p/buckets/b"),
            UsedBy::Bucket { pool: "p".into(), name: "b".into() }
        );
        assert_eq!(
            used_by("/1.0/storage-pools/p/volumes/custom/v/snapshots/s"),
            UsedBy::VolumeSnapshot {
                pool: "p".into(),
                volume_type: VolumeType::Custom,
                volume: "v".into(),
                name: "s".into()
            }
        );
        assert_eq!(used_by("/1.0?target=m#storage.images_volume"), UsedBy::Server);
        for odd in [
            "",
            "/",
            "/1.0/",
            "/2.0/instances/c",
            "/1.0/instances",
            "/1.0/storage-pools/p/volumes/custom",
            "http://x/1.0",
        ] {
            assert_eq!(used_by(odd), UsedBy::Other, "{odd}");
        }
    }

    #[test]
    fn project_and_member_are_read() {
        let reference = Reference::parse("/1.0/instances/c1?project=a%20b&target=m+1");
        assert_eq!((reference.project(), reference.member.as_deref()), ("a b", Some("m 1")));
        assert_eq!(Reference::parse("/1.0/instances/c1").project(), "default");
    }

    #[test]
    fn old_servers_encode_twice() {
        let url = "/1.0/storage-pools/p/volumes/custom/ra%2520%25C3%25A9%2525";
        let UsedBy::Volume { name, .. } = Reference::parse_twice_encoded(url).used_by else { panic!() };
        assert_eq!(name, "ra é%");
        let UsedBy::Volume { name, .. } = Reference::parse(url).used_by else { panic!() };
        assert_eq!(name, "ra%20%C3%A9%25");
    }

    #[test]
    fn a_stray_percent_stays() {
        assert_eq!(percent_decode("100%"), "100%");
        assert_eq!(percent_decode("%zz%4"), "%zz%4");
        assert_eq!(percent_decode("%41%e9"), "A\u{FFFD}");
    }

    proptest! {
        #[test]
        fn no_url_panics(url in ".{0,80}") {
            let _ = (Reference::parse(&url), Reference::parse_twice_encoded(&url));
        }
    }
}
