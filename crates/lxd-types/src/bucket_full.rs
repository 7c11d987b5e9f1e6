//! A bucket together with its keys and backups, as newer Incus lists it.

use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error as _, ser::Error as _};

use crate::{
    StorageBucket, StorageBucketBackup, StorageBucketKey,
    beside::{put, take},
};

/// A bucket with its keys and backups, as `GET .../buckets?recursion=2` lists it. Needs the API extension
/// `storage_bucket_full`.
///
/// ```
/// use lxd_types::{BucketKeyRole, StorageBucketFull};
///
/// let text = r#"{"name":"photos","keys":[{"name":"viewer","role":"read-only"}],"backups":null}"#;
/// let full: StorageBucketFull = serde_json::from_str(text)?;
/// assert_eq!(full.bucket.name, "photos");
/// assert_eq!(full.keys[0].role, BucketKeyRole::ReadOnly);
/// # Ok::<(), serde_json::Error>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq)]
#[non_exhaustive]
pub struct StorageBucketFull {
    /// The bucket itself.
    pub bucket: StorageBucket,
    /// The keys that open it.
    pub keys: Vec<StorageBucketKey>,
    /// The backups that the server keeps of it.
    pub backups: Vec<StorageBucketBackup>,
}

impl<'de> Deserialize<'de> for StorageBucketFull {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let mut bucket = StorageBucket::deserialize(deserializer)?;
        let (keys, backups) = (take(&mut bucket.extra, "keys"), take(&mut bucket.extra, "backups"));
        Ok(Self {
            bucket,
            keys: keys.map_err(D::Error::custom)?.unwrap_or_default(),
            backups: backups.map_err(D::Error::custom)?.unwrap_or_default(),
        })
    }
}

impl Serialize for StorageBucketFull {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut bucket = self.bucket.clone();
        put(&mut bucket.extra, "backups", &self.backups).map_err(S::Error::custom)?;
        put(&mut bucket.extra, "keys", &self.keys).map_err(S::Error::custom)?;
        bucket.serialize(serializer)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = r#"{"name":"b","new":1,"keys":[{"name":"k","access-key":"AKAKAKAK","secret-key":"SKSKSKSK"}],"backups":[{"name":"b"}]}"#;

    #[test]
    fn what_is_written_is_read_again_with_unknown_fields() {
        let full: StorageBucketFull = serde_json::from_str(TEXT).unwrap();
        assert_eq!((full.bucket.extra.len(), &full.bucket.extra["new"]), (1, &1.into()));
        let again = serde_json::to_string(&full).unwrap();
        assert!(again.contains("SKSKSKSK"));
        assert_eq!(serde_json::from_str::<StorageBucketFull>(&again).unwrap(), full);
    }

    #[test]
    fn credentials_are_not_shown() {
        let full: StorageBucketFull = serde_json::from_str(TEXT).unwrap();
        let debug = format!("{full:?} {full:#?}");
        assert!(debug.contains("***") && !debug.contains("AKAK") && !debug.contains("SKSK"), "{debug}");
    }
}
