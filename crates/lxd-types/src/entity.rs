//! What URLs of the API stand for, by its names.

use crate::VolumeType;

/// One object of a server, by its names.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Entity {
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
    /// A storage pool.
    Pool {
        /// Its name.
        name: String,
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
    /// A backup of a volume.
    VolumeBackup {
        /// The volume's pool.
        pool: String,
        /// The volume's type.
        volume_type: VolumeType,
        /// The volume.
        volume: String,
        /// The backup.
        name: String,
    },
    /// A bucket.
    Bucket {
        /// Its pool.
        pool: String,
        /// Its name.
        name: String,
    },
    /// A key of a bucket.
    BucketKey {
        /// The bucket's pool.
        pool: String,
        /// The bucket.
        bucket: String,
        /// The key.
        name: String,
    },
    /// A backup of a bucket.
    BucketBackup {
        /// The bucket's pool.
        pool: String,
        /// The bucket.
        bucket: String,
        /// The backup.
        name: String,
    },
    /// The daemon itself, which can keep backups and images on a volume.
    Server,
    /// A URL of another form; see [`Reference::url`](crate::Reference::url).
    Other,
}

/// How often a server percent-encoded the names in a URL.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Encoded {
    Once,
    Twice,
}

impl Entity {
    pub(crate) fn from_path(path: &str, encoded: Encoded) -> Self {
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
            ["1.0", "storage-pools", name] => Self::Pool { name: text(name) },
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
            ["1.0", "storage-pools", pool, "volumes", volume_type, volume, "backups", name] => {
                Self::VolumeBackup {
                    pool: text(pool),
                    volume_type: VolumeType::from(volume_type),
                    volume: volume_text(volume),
                    name: volume_text(name),
                }
            }
            ["1.0", "storage-pools", pool, "buckets", name] => {
                Self::Bucket { pool: text(pool), name: text(name) }
            }
            ["1.0", "storage-pools", pool, "buckets", bucket, "keys", name] => {
                Self::BucketKey { pool: text(pool), bucket: text(bucket), name: text(name) }
            }
            ["1.0", "storage-pools", pool, "buckets", bucket, "backups", name] => {
                Self::BucketBackup { pool: text(pool), bucket: text(bucket), name: text(name) }
            }
            _ => Self::Other,
        }
    }
}

/// Decodes `%41` and leaves alone what isn't of that form, since some servers write names unencoded. Bytes that are
/// no UTF-8 become replacement characters: no server accepts such names.
pub(crate) fn percent_decode(text: &str) -> String {
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
    use crate::Reference;

    #[test]
    fn every_form_is_read() {
        let entity = |url: &str| Reference::parse(url).entity;
        assert_eq!(entity("/1.0/instances/c1"), Entity::Instance { name: "c1".into() });
        assert_eq!(
            entity("/1.0/instances/c1/snapshots/s0"),
            Entity::InstanceSnapshot { instance: "c1".into(), name: "s0".into() }
        );
        assert_eq!(entity("/1.0/profiles/default?project=p"), Entity::Profile { name: "default".into() });
        assert_eq!(entity("/1.0/images/abc"), Entity::Image { fingerprint: "abc".into() });
        assert_eq!(
            entity("/1.0/storage-pools/p/buckets/b"),
            Entity::Bucket { pool: "p".into(), name: "b".into() }
        );
        assert_eq!(
            entity("/1.0/storage-pools/p/volumes/custom/v/snapshots/s"),
            Entity::VolumeSnapshot {
                pool: "p".into(),
                volume_type: VolumeType::Custom,
                volume: "v".into(),
                name: "s".into()
            }
        );
        assert_eq!(entity("/1.0/storage-pools/a%20b"), Entity::Pool { name: "a b".into() });
        assert_eq!(
            entity("/1.0/storage-pools/p/volumes/custom/v/backups/b"),
            Entity::VolumeBackup {
                pool: "p".into(),
                volume_type: VolumeType::Custom,
                volume: "v".into(),
                name: "b".into()
            }
        );
        for (list, expected) in [
            ("keys", Entity::BucketKey { pool: "p".into(), bucket: "b".into(), name: "n".into() }),
            ("backups", Entity::BucketBackup { pool: "p".into(), bucket: "b".into(), name: "n".into() }),
        ] {
            assert_eq!(entity(&format!("/1.0/storage-pools/p/buckets/b/{list}/n")), expected);
        }
        assert_eq!(entity("/1.0?target=m#storage.images_volume"), Entity::Server);
        for odd in [
            "",
            "/",
            "/1.0/",
            "/2.0/instances/c",
            "/1.0/instances",
            "/1.0/storage-pools/p/volumes/custom",
            "http://x/1.0",
        ] {
            assert_eq!(entity(odd), Entity::Other, "{odd}");
        }
    }

    #[test]
    fn a_stray_percent_stays() {
        assert_eq!(percent_decode("100%"), "100%");
        assert_eq!(percent_decode("%zz%4"), "%zz%4");
        assert_eq!(percent_decode("%41%e9"), "A\u{FFFD}");
    }
}
