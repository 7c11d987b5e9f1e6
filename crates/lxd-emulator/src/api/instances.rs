//! `/1.0/instances`, as far as volumes are concerned: never started.

use std::sync::Arc;

use serde::Serialize;

use crate::{
    api::{
        image_volume,
        volume_create::{created_at, finish, insert},
    },
    call::Call,
    clock,
    config::{Config, cleaned},
    core::Core,
    decode::Fields,
    envelope::Reply,
    failure::Failure,
    plan::Plan,
    scope,
    state::{ContentType, Database, Devices, Instance, Volume, VolumeKey, VolumeKind},
    volume_view,
};

#[derive(Serialize)]
struct View {
    architecture: &'static str,
    config: Config,
    devices: Devices,
    ephemeral: bool,
    profiles: Vec<String>,
    stateful: bool,
    description: String,
    created_at: String,
    expanded_config: Config,
    expanded_devices: Devices,
    name: String,
    status: &'static str,
    status_code: u16,
    last_used_at: &'static str,
    location: String,
    #[serde(rename = "type")]
    kind: &'static str,
    project: String,
}

impl View {
    fn of(database: &Database, project: &str, name: &str, instance: &Instance) -> Self {
        let profiles: Vec<_> = instance
            .profiles
            .iter()
            .filter_map(|profile| scope::profile(database, project, profile))
            .collect();
        let mut expanded_config = Config::new();
        profiles.iter().for_each(|profile| expanded_config.extend(profile.config.clone()));
        expanded_config.extend(instance.config.clone());
        Self {
            architecture: "x86_64",
            config: instance.config.clone(),
            devices: instance.devices.clone(),
            ephemeral: instance.ephemeral,
            profiles: instance.profiles.clone(),
            stateful: false,
            description: instance.description.clone(),
            created_at: clock::text(instance.created_at),
            expanded_config,
            expanded_devices: expanded(database, project, instance),
            name: name.to_owned(),
            status: "Stopped",
            status_code: 102,
            last_used_at: "1970-01-01T00:00:00Z",
            location: instance.location.clone(),
            kind: instance.kind.name(),
            project: project.to_owned(),
        }
    }
}

/// Devices with those of the profiles.
pub(crate) fn expanded(database: &Database, project: &str, instance: &Instance) -> Devices {
    let mut devices = Devices::new();
    for profile in &instance.profiles {
        let known = scope::profile(database, project, profile);
        devices.extend(known.map(|profile| profile.devices.clone()).unwrap_or_default());
    }
    devices.extend(instance.devices.clone());
    devices
}

/// The pool of the root disk.
pub(crate) fn root_pool(devices: &Devices) -> Option<&String> {
    let is_root = |device: &&Config| {
        device.get("type").is_some_and(|kind| kind == "disk")
            && device.get("path").is_some_and(|path| path == "/")
    };
    devices.values().find(is_root)?.get("pool")
}

pub(crate) fn no_instance(core: &Core, project: &str, name: &str) -> Failure {
    let failure = Failure::not_found("Instance not found");
    if core.behaviour.incus {
        failure.within(&format!("Failed to fetch instance {name:?} in project {project:?}"))
    } else {
        failure
    }
}

pub(crate) fn find(call: &Call, database: &Database, name: &str) -> Result<Instance, Failure> {
    let known = database.instances.get(&(call.project().to_owned(), name.to_owned()));
    known.cloned().ok_or_else(|| no_instance(&call.core, call.project(), name))
}

pub(crate) fn recipe(instance: &Instance) -> impl Serialize {
    serde_json::json!([
        "x86_64",
        instance.config,
        instance.devices,
        instance.ephemeral,
        instance.profiles,
        instance.description
    ])
}

/// `GET /1.0/instances`.
pub(crate) fn list(call: &Call) -> Result<Reply, Failure> {
    call.core.store.read(|database| {
        let all = call.query.is_true("all-projects");
        let chosen = database.instances.iter().filter(|((project, _), _)| all || project == call.project());
        if call.query.recursion() == 0 {
            let urls: Vec<String> =
                chosen.map(|((project, name), _)| volume_view::url("instances", project, name)).collect();
            return Reply::of(&urls);
        }
        let views: Vec<View> =
            chosen.map(|((project, name), one)| View::of(database, project, name, one)).collect();
        Reply::of(&views)
    })
}

/// `GET /1.0/instances/INSTANCE`.
pub(crate) fn get(call: &Call, name: &str) -> Result<Reply, Failure> {
    call.core.store.read(|database| {
        let instance = find(call, database, name)?;
        Reply::with_etag(&View::of(database, call.project(), name, &instance), &recipe(&instance))
    })
}

/// An operation about an instance, which has two URLs on LXD.
pub(crate) fn plan(call: &Call, description: &'static str, name: &str) -> Plan {
    let url = volume_view::url("instances", call.project(), name);
    let mut plan =
        call.plan(description).about(&call.core, &[("instances", &url)], ("instances", &url), &url);
    if call.core.behaviour.raw_operation_urls {
        let url = volume_view::url("containers", call.project(), name);
        plan.resources.insert("containers".to_owned(), vec![url]);
    }
    plan
}

/// The image of a new instance, if it has one.
fn image(core: &Core, fields: &Fields) -> Result<Option<String>, Failure> {
    let source = fields.object("source", "InstanceSource")?;
    let kind = source.as_ref().map(|source| source.text("type")).transpose()?.unwrap_or_default();
    match (&*kind, source) {
        ("none", _) => Ok(None),
        ("image", Some(source)) => {
            let fingerprint = source.text("fingerprint")?;
            core.store.read(|database| super::images::find(database, &fingerprint).map(drop))?;
            Ok(Some(fingerprint))
        }
        _ => Err(Failure::bad_request(format!(
            "The emulator makes instances of source type \"none\" or \"image\" only, not {kind:?}"
        ))),
    }
}

/// `POST /1.0/instances` with a source of type `none`, or of an image that the server has.
pub(crate) async fn create(call: Call) -> Result<Reply, Failure> {
    let fields = call.fields("InstancesPost").await?;
    let core = Arc::clone(&call.core);
    let image = image(&core, &fields)?;
    let name = match fields.text("name")? {
        name if name.is_empty() => format!("emulated-{}", fastrand::u32(..)),
        name => name,
    };
    check_name(&name)?;
    let kind = match fields.text("type")?.as_str() {
        "virtual-machine" => VolumeKind::VirtualMachine,
        _ => VolumeKind::Container,
    };
    let profiles = fields.texts("profiles")?.unwrap_or_else(|| vec!["default".to_owned()]);
    let project = call.project().to_owned();
    let location = core.store.read(|database| {
        scope::volume_project(database, &project, kind)?;
        for profile in &profiles {
            if scope::profile(database, &project, profile).is_none() {
                return Err(Failure::internal(format!("Requested profile {profile:?} doesn't exist")));
            }
        }
        Ok(call.target(database)?.unwrap_or_else(|| core.here(database)))
    })?;
    let mut config = cleaned(&fields.config("config")?.unwrap_or_default());
    config.insert("volatile.apply_template".to_owned(), "create".to_owned());
    config.insert("volatile.uuid".to_owned(), crate::operations::uuid());
    let instance = Instance {
        kind,
        description: fields.text("description")?,
        config,
        devices: fields.configs("devices")?.unwrap_or_default(),
        profiles,
        ephemeral: fields.flag("ephemeral")?,
        location,
        created_at: Some(core.clock.now()),
    };
    let (plan, requestor) = (plan(&call, "Creating instance", &name), call.requestor());
    let operation = core.operations.start(plan, |_| {
        let core = Arc::clone(&core);
        async move {
            make(&core, &project, &name, instance, image.as_deref()).await?;
            let url = volume_view::url("instances", &project, &name);
            core.happened(&project, "instance-created", url, None, requestor);
            Ok(())
        }
    });
    call.accepted(&operation)
}

fn check_name(name: &str) -> Result<(), Failure> {
    let plain = name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-');
    if plain {
        return Ok(());
    }
    let text = "Invalid instance name: Name can only contain alphanumeric and hyphen characters";
    Err(Failure::bad_request(text))
}

async fn make(
    core: &Arc<Core>,
    project: &str,
    name: &str,
    instance: Instance,
    image: Option<&str>,
) -> Result<(), Failure> {
    let initialise = if core.behaviour.incus { "initializing" } else { "initialising" };
    let failed = format!("Failed {initialise} instance");
    let key = core.store.change(|database| {
        let name_of = (project.to_owned(), name.to_owned());
        if database.instances.contains_key(&name_of) {
            let failure = if core.behaviour.incus {
                Failure::internal("Failed to create \"instances\" entry: UNIQUE constraint failed: instances.project_id, instances.name")
            } else {
                Failure::conflict("This \"instances\" entry already exists")
            };
            let failure = failure.within("Add instance info to the database");
            return Err(failure.within("Failed creating instance record"));
        }
        let devices = expanded(database, project, &instance);
        let pool = root_pool(&devices).cloned().ok_or_else(|| {
            let why = if devices.is_empty() {
                "Failed getting root disk"
            } else {
                "Invalid devices: Failed detecting root disk device"
            };
            Failure::internal("No root device could be found").within(why)
        });
        let pool = pool.and_then(|pool| {
            scope::pool(database, &pool).map_err(|failure| failure.within("Failed loading storage pool"))?;
            check_devices(database, project, &devices).map(|()| pool)
        });
        let pool = pool.map_err(|failure| failure.within(&failed).within("Failed creating instance record"))?;
        let driver = scope::pool(database, &pool)?.driver.clone();
        let key = VolumeKey {
            member: scope::home(core, database, &driver, Some(instance.location.clone())),
            pool,
            project: project.to_owned(),
            kind: instance.kind,
            name: name.to_owned(),
        };
        database.instances.insert(name_of, instance.clone());
        Ok::<_, Failure>(key)
    })?;
    let content_type =
        if key.kind == VolumeKind::VirtualMachine { ContentType::Block } else { ContentType::Filesystem };
    let volume = Volume {
        description: String::new(),
        config: Config::new(),
        content_type,
        created_at: created_at(core),
        snapshots: Vec::new(),
        backups: Vec::new(),
    };
    let made = async {
        insert(core, &key, volume).await?;
        if let Some(image) = image {
            image_volume::unpack(core, image, &key).await?;
        }
        finish(core, &key)
    };
    let made = made.await;
    if made.is_err() {
        super::volume_change::forget(core, &key).await.ok();
        core.store.change(|database| {
            database.instances.remove(&(project.to_owned(), name.to_owned()));
            Ok::<(), Failure>(())
        })?;
    }
    made
}

/// Refuses disks that are not there, and two at one place.
pub(crate) fn check_devices(database: &Database, project: &str, devices: &Devices) -> Result<(), Failure> {
    let mut paths = std::collections::BTreeSet::new();
    for (name, device) in
        devices.iter().filter(|(_, device)| device.get("type").is_some_and(|kind| kind == "disk"))
    {
        if let Some(path) = device.get("path").filter(|path| !paths.insert((*path).clone())) {
            let text = format!("More than one disk device uses the same path {path:?}");
            let failure = Failure::internal(text).within(&format!("Device validation failed for {name:?}"));
            return Err(failure.within("Invalid devices"));
        }
        let (Some(pool), Some(source)) = (device.get("pool"), device.get("source")) else { continue };
        let within = |failure: Failure| failure.within(&format!("Failed add validation for device {name:?}"));
        let known = scope::pool(database, pool)
            .map_err(|failure| within(failure.within(&format!("Failed to get storage pool {pool:?}"))))?;
        let of = scope::volume_project(database, project, VolumeKind::Custom)?;
        let source = source.split('/').next().unwrap_or_default();
        scope::locate(database, known, pool, &of, VolumeKind::Custom, source, None).map_err(|_| {
            within(Failure::not_found("Failed loading custom volume: Storage volume not found"))
        })?;
    }
    Ok(())
}
