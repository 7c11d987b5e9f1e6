//! Whether a copy is what its source is, as far as the API shows.

use lxd_types::{Config, StorageVolume, StorageVolumeSnapshot};

/// The key by which a migration knows the volume that it makes, until all is there.
pub(super) const MARK: &str = "user.lxd-storage.migration";

/// The keys without those that the server keeps for itself, and without the mark of a migration that never ended.
pub(super) fn own_keys(config: &Config) -> Config {
    config
        .iter()
        .filter(|(key, _)| !key.starts_with("volatile.") && *key != MARK)
        .map(|(key, value)| (&**key, &**value))
        .collect()
}

/// What of the source the copy lacks or has otherwise. Keys that only the copy has come from defaults of its pool.
pub(super) fn difference(source: &StorageVolume, copy: &StorageVolume) -> Option<String> {
    if source.content_type != copy.content_type {
        return Some(format!("content type {:?} instead of {:?}", copy.content_type, source.content_type));
    }
    if source.description != copy.description {
        return Some(format!("description {:?} instead of {:?}", copy.description, source.description));
    }
    own_keys(&source.config).iter().find_map(|(key, value)| {
        let same = match (source.config.size(key), copy.config.size(key)) {
            // Some servers write a size back in bytes.
            (Ok(here), Ok(there)) if key == "size" => here == there,
            _ => copy.config.get(key) == Some(value),
        };
        (!same).then(|| format!("key {key:?} is {:?} instead of {value:?}", copy.config.get(key)))
    })
}

/// The same of snapshots: by their names, in order.
pub(super) fn difference_of_snapshots(
    source: &[StorageVolumeSnapshot],
    copy: &[StorageVolumeSnapshot],
) -> Option<String> {
    let names = |snapshots: &[StorageVolumeSnapshot]| -> Vec<String> {
        snapshots.iter().map(|snapshot| snapshot.short_name().to_owned()).collect()
    };
    let (here, there) = (names(source), names(copy));
    (here != there).then(|| format!("snapshots {there:?} instead of {here:?}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn volume(config: &[(&str, &str)]) -> StorageVolume {
        let mut volume = StorageVolume::default();
        volume.config = config.iter().copied().collect();
        volume
    }

    #[test]
    fn sizes_compare_as_bytes_and_volatile_keys_not_at_all() {
        let here = volume(&[("size", "1GiB"), ("volatile.uuid", "a")]);
        assert_eq!(difference(&here, &volume(&[("size", "1073741824"), ("extra", "x")])), None);
        assert!(difference(&here, &volume(&[("size", "1GB")])).unwrap().contains("\"size\""));
        assert!(difference(&here, &volume(&[])).unwrap().contains("None"));
    }

    #[test]
    fn content_and_description_count() {
        let (mut here, there) = (volume(&[]), volume(&[]));
        here.description = "d".to_owned();
        assert!(difference(&here, &there).unwrap().contains("description"));
    }

    #[test]
    fn snapshots_compare_by_short_name() {
        let snapshot = |name: &str| {
            let mut snapshot = StorageVolumeSnapshot::default();
            snapshot.name = name.to_owned();
            snapshot
        };
        assert_eq!(difference_of_snapshots(&[snapshot("a/s0")], &[snapshot("b/s0")]), None);
        assert!(difference_of_snapshots(&[snapshot("a/s0")], &[]).unwrap().contains("s0"));
    }
}
