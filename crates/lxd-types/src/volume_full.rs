//! A volume together with all that belongs to it, as newer servers list it.

use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error as _, ser::Error as _};

use crate::{
    StorageVolume, StorageVolumeBackup, StorageVolumeSnapshot, StorageVolumeState,
    beside::{put, take},
};

/// A volume with how full it is, its snapshots and its backups, as `GET .../volumes?recursion=2` lists it. Needs the
/// API extension `storage_volume_full`.
///
/// ```
/// use lxd_types::StorageVolumeFull;
///
/// let text = r#"{"name":"data","type":"custom","snapshots":[{"name":"data/before"}],"state":{"usage":{"used":7}}}"#;
/// let full: StorageVolumeFull = serde_json::from_str(text)?;
/// assert_eq!(full.volume.name, "data");
/// assert_eq!(full.snapshots[0].short_name(), "before");
/// # Ok::<(), serde_json::Error>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq)]
#[non_exhaustive]
pub struct StorageVolumeFull {
    /// The volume itself.
    pub volume: StorageVolume,
    /// How full it is; `None` where the driver can't tell.
    pub state: Option<StorageVolumeState>,
    /// Its snapshots.
    pub snapshots: Vec<StorageVolumeSnapshot>,
    /// Its backups.
    pub backups: Vec<StorageVolumeBackup>,
}

impl<'de> Deserialize<'de> for StorageVolumeFull {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        // On the wire the lists lie beside the volume's own fields, to which they are unknown.
        let mut volume = StorageVolume::deserialize(deserializer)?;
        let extra = &mut volume.extra;
        let (state, snapshots, backups) =
            (take(extra, "state"), take(extra, "snapshots"), take(extra, "backups"));
        Ok(Self {
            volume,
            state: state.map_err(D::Error::custom)?,
            snapshots: snapshots.map_err(D::Error::custom)?.unwrap_or_default(),
            backups: backups.map_err(D::Error::custom)?.unwrap_or_default(),
        })
    }
}

impl Serialize for StorageVolumeFull {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut volume = self.volume.clone();
        put(&mut volume.extra, "backups", &self.backups).map_err(S::Error::custom)?;
        put(&mut volume.extra, "snapshots", &self.snapshots).map_err(S::Error::custom)?;
        put(&mut volume.extra, "state", &self.state).map_err(S::Error::custom)?;
        volume.serialize(serializer)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn null_and_absent_are_empty() {
        for text in [r#"{"name":"v"}"#, r#"{"name":"v","state":null,"snapshots":null,"backups":null}"#] {
            let full: StorageVolumeFull = serde_json::from_str(text).unwrap();
            assert_eq!(full.volume.name, "v");
            assert_eq!((full.state, full.snapshots, full.backups), (None, Vec::new(), Vec::new()));
        }
    }

    #[test]
    fn what_is_written_is_read_again_with_unknown_fields() {
        let text = r#"{"name":"v","new":1,"backups":[{"name":"b"}],"snapshots":[{"name":"v/s"}],"state":{"usage":{"used":5,"total":9}}}"#;
        let full: StorageVolumeFull = serde_json::from_str(text).unwrap();
        assert_eq!(full.volume.extra["new"], 1);
        assert_eq!(full.volume.extra.len(), 1);
        let again =
            serde_json::from_str::<StorageVolumeFull>(&serde_json::to_string(&full).unwrap()).unwrap();
        assert_eq!(again, full);
    }

    #[test]
    fn a_wrong_type_is_an_error() {
        let error = serde_json::from_str::<StorageVolumeFull>(r#"{"snapshots":7}"#).unwrap_err().to_string();
        assert!(error.contains("integer `7`"), "{error}");
    }
}
