//! Devices of instances and profiles that are custom volumes.

use crate::{
    config::Config,
    scope::volume_project,
    state::{Database, Devices, VolumeKey, VolumeKind},
};

/// Whether a device is that volume, or a folder in it.
fn is(device: &Config, key: &VolumeKey) -> bool {
    let field = |name: &str| device.get(name).map_or("", String::as_str);
    let source = field("source").split('/').next().unwrap_or_default();
    field("type") == "disk" && field("pool") == key.pool && source == key.name
}

pub(crate) fn attach(devices: &Devices, key: &VolumeKey) -> bool {
    devices.values().any(|device| is(device, key))
}

/// Whether volumes of a project are what a device of another means by its source.
fn sees(database: &Database, project: &str, key: &VolumeKey) -> bool {
    volume_project(database, project, VolumeKind::Custom).is_ok_and(|project| project == key.project)
}

/// Projects and names of the profiles that have a volume as a device.
pub(crate) fn profiles<'a>(
    database: &'a Database,
    key: &'a VolumeKey,
) -> impl Iterator<Item = &'a (String, String)> {
    let using = database
        .profiles
        .iter()
        .filter(move |((project, _), known)| attach(&known.devices, key) && sees(database, project, key));
    using.map(|(name, _)| name)
}

/// Projects and names of the instances that have a volume as a device of their own.
pub(crate) fn instances<'a>(
    database: &'a Database,
    key: &'a VolumeKey,
) -> impl Iterator<Item = &'a (String, String)> {
    let using = database
        .instances
        .iter()
        .filter(move |((project, _), known)| attach(&known.devices, key) && sees(database, project, key));
    using.map(|(name, _)| name)
}

/// Makes devices that are a volume the same one at its new place.
pub(crate) fn follow(database: &mut Database, from: &VolumeKey, to: &VolumeKey) {
    let profiles: Vec<_> = profiles(database, from).cloned().collect();
    let instances: Vec<_> = instances(database, from).cloned().collect();
    let moved = |devices: &mut Devices| {
        for device in devices.values_mut().filter(|device| is(device, from)) {
            let path = device
                .get("source")
                .and_then(|source| source.split_once('/'))
                .map(|(_, path)| path.to_owned());
            let source = path.map_or_else(|| to.name.clone(), |path| format!("{}/{path}", to.name));
            device.insert("source".to_owned(), source);
            device.insert("pool".to_owned(), to.pool.clone());
        }
    };
    for name in profiles {
        if let Some(known) = database.profiles.get_mut(&name) {
            moved(&mut known.devices);
        }
    }
    for name in instances {
        if let Some(instance) = database.instances.get_mut(&name) {
            moved(&mut instance.devices);
        }
    }
}
