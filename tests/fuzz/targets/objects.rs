//! Answers of servers. What is decoded is encoded so that it decodes to the same, since a `PUT` sends it back.
#![no_main]

use std::fmt::Debug;

use libfuzzer_sys::fuzz_target;
use lxd_storage::types::{
    Envelope, Event, Operation, ResourcesStoragePool, Server, StorageBucket, StorageBucketKey, StoragePool,
    StorageVolume, StorageVolumeBackup, StorageVolumeSnapshot, StorageVolumeState,
};
use serde::{Serialize, de::DeserializeOwned};

fn decode<T: DeserializeOwned>(envelope: &Envelope<'_>) {
    let _ = envelope.decode::<T>();
    let _ = envelope.decode::<Vec<T>>();
}

fn there_and_back<T: DeserializeOwned + Serialize + PartialEq + Debug>(body: &[u8]) {
    let Ok(value) = serde_json::from_slice::<T>(body) else { return };
    let written = serde_json::to_vec(&value).unwrap();
    let again = serde_json::from_slice::<T>(&written).unwrap();
    assert_eq!(value, again);
    let _ = format!("{value:?}");
}

fuzz_target!(|body: &[u8]| {
    if let Ok(envelope) = Envelope::parse(body) {
        decode::<StoragePool>(&envelope);
        decode::<StorageVolume>(&envelope);
        decode::<Operation>(&envelope);
        decode::<Server>(&envelope);
        decode::<ResourcesStoragePool>(&envelope);
        decode::<StorageVolumeState>(&envelope);
    }
    there_and_back::<StoragePool>(body);
    there_and_back::<StorageVolume>(body);
    there_and_back::<StorageVolumeSnapshot>(body);
    there_and_back::<StorageVolumeBackup>(body);
    there_and_back::<StorageBucket>(body);
    there_and_back::<StorageBucketKey>(body);
    there_and_back::<Operation>(body);
    there_and_back::<Event>(body);
});
