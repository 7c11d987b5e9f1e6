//! The config file of `lxc` and `incus`.
#![no_main]

use std::fs;

use libfuzzer_sys::fuzz_target;
use lxd_remotes::Remotes;

fuzz_target!(|file: &[u8]| {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("config.yml"), file).unwrap();
    let Ok(mut remotes) = Remotes::open(folder.path()) else { return };
    let names: Vec<String> = remotes.names().map(str::to_owned).collect();
    let _ = format!("{:?}", remotes.iter().collect::<Vec<_>>());
    // What was read can be written, and then has one remote less and all others.
    if let Some(name) = names.iter().find(|name| *name != remotes.default_remote()).cloned()
        && remotes.remove(&name).is_ok()
    {
        let again = Remotes::open(folder.path()).unwrap();
        assert!(again.get(&name).is_err(), "{name:?} is still there");
        for other in names.iter().filter(|other| **other != name) {
            again.get(other).unwrap();
        }
    }
});
