//! `/1.0/profiles`.

use serde::Serialize;

use crate::{
    call::Call,
    config::{Config, cleaned, merged},
    core::Core,
    envelope::Reply,
    etag,
    failure::Failure,
    route::path_escaped,
    state::{DEFAULT, Database, Devices, Profile},
    volume_view,
};

#[derive(Serialize)]
struct View {
    config: Config,
    description: String,
    devices: Devices,
    name: String,
    used_by: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    project: Option<String>,
}

impl View {
    fn of(core: &Core, database: &Database, (project, name): &(String, String), profile: &Profile) -> Self {
        let sees = |of: &str| effective(database, of).is_ok_and(|effective| effective == *project);
        let users = database
            .instances
            .iter()
            .filter(|((of, _), instance)| instance.profiles.contains(name) && sees(of))
            .map(|((of, instance), _)| volume_view::url("instances", of, instance));
        Self {
            config: profile.config.clone(),
            description: profile.description.clone(),
            devices: profile.devices.clone(),
            name: name.clone(),
            used_by: users.collect(),
            project: (core.behaviour.incus || core.has("storage_volatile_uuid")).then(|| project.clone()),
        }
    }
}

/// The project whose profiles a project has.
fn effective(database: &Database, project: &str) -> Result<String, Failure> {
    let known = database.projects.get(project).ok_or_else(|| {
        Failure::not_found("Project not found").within(&format!("Failed loading project {project:?}"))
    })?;
    let own = crate::config::is_true(known.config.get("features.profiles"));
    Ok(if own { project } else { DEFAULT }.to_owned())
}

fn key(call: &Call, database: &Database, name: &str) -> Result<(String, String), Failure> {
    Ok((effective(database, call.project())?, name.to_owned()))
}

fn find<'a>(database: &'a Database, key: &(String, String)) -> Result<&'a Profile, Failure> {
    database.profiles.get(key).ok_or_else(|| Failure::not_found("Profile not found"))
}

fn recipe(profile: &Profile) -> impl Serialize {
    (profile.config.clone(), profile.description.clone(), profile.devices.clone())
}

/// `GET /1.0/profiles`.
pub(crate) fn list(call: &Call) -> Result<Reply, Failure> {
    let core = &call.core;
    core.store.read(|database| {
        let project = effective(database, call.project())?;
        let profiles = database.profiles.iter().filter(|((of, _), _)| *of == project);
        if call.query.recursion() == 0 {
            let urls: Vec<String> =
                profiles.map(|((of, name), _)| volume_view::url("profiles", of, name)).collect();
            return Reply::of(&urls);
        }
        let views: Vec<View> =
            profiles.map(|(key, profile)| View::of(core, database, key, profile)).collect();
        Reply::of(&views)
    })
}

/// `GET /1.0/profiles/PROFILE`.
pub(crate) fn get(call: &Call, name: &str) -> Result<Reply, Failure> {
    call.core.store.read(|database| {
        let key = key(call, database, name)?;
        let profile = find(database, &key)?;
        Reply::with_etag(&View::of(&call.core, database, &key, profile), &recipe(profile))
    })
}

/// `POST /1.0/profiles`.
pub(crate) async fn create(call: Call) -> Result<Reply, Failure> {
    let fields = call.fields("ProfilesPost").await?;
    let name = fields.text("name")?;
    let profile = Profile {
        description: fields.text("description")?,
        config: cleaned(&fields.config("config")?.unwrap_or_default()),
        devices: fields.configs("devices")?.unwrap_or_default(),
    };
    if name.is_empty() {
        return Err(Failure::bad_request("No name provided"));
    }
    if name.contains('/') {
        return Err(Failure::bad_request("Profile names may not contain slashes"));
    }
    call.core.store.change(|database| {
        let key = key(&call, database, &name)?;
        if database.profiles.contains_key(&key) {
            let text = format!("Error inserting {name:?} into database: The profile already exists");
            return Err(Failure::internal(text));
        }
        database.profiles.insert(key, profile);
        Ok(())
    })?;
    tell(&call, &name, "profile-created");
    Ok(Reply::created(format!("/1.0/profiles/{}", path_escaped(&name))))
}

fn tell(call: &Call, name: &str, action: &str) {
    let url = volume_view::url("profiles", call.project(), name);
    call.core.happened(call.project(), action, url, None, call.requestor());
}

/// `PUT` and `PATCH /1.0/profiles/PROFILE`.
pub(crate) async fn update(call: Call, name: &str) -> Result<Reply, Failure> {
    let core = std::sync::Arc::clone(&call.core);
    let (key, old) = core.store.read(|database| {
        let key = key(&call, database, name)?;
        let profile = find(database, &key)?;
        etag::check(&call.headers, &recipe(profile))?;
        Ok::<_, Failure>((key, profile.clone()))
    })?;
    let fields = call.fields("ProfilePut").await?;
    let patch = call.method == http::Method::PATCH;
    let (config, devices) = (fields.config("config")?, fields.configs("devices")?);
    let new = if patch {
        let mut all = old.devices;
        all.extend(devices.unwrap_or_default());
        Profile {
            description: if fields.has("description") {
                fields.text("description")?
            } else {
                old.description
            },
            config: merged(&old.config, &config.unwrap_or_default()),
            devices: all,
        }
    } else {
        Profile {
            description: fields.text("description")?,
            config: cleaned(&config.unwrap_or_default()),
            devices: devices.unwrap_or_default(),
        }
    };
    let asynchronous = core.has("storage_and_profile_operations");
    let plan = call.plan("Updating profile");
    let reply = call.change(asynchronous, plan, async move {
        core.store.change(|database| {
            let profile = database.profiles.get_mut(&key);
            *profile.ok_or_else(|| Failure::not_found("Profile not found"))? = new;
            Ok::<(), Failure>(())
        })?;
        Ok(Reply::done())
    });
    let reply = reply.await?;
    tell(&call, name, "profile-updated");
    Ok(reply)
}

/// `DELETE /1.0/profiles/PROFILE`.
pub(crate) fn delete(call: &Call, name: &str) -> Result<Reply, Failure> {
    if name == DEFAULT {
        return Err(Failure::forbidden("The \"default\" profile cannot be deleted"));
    }
    call.core.store.change(|database| {
        let key = key(call, database, name)?;
        let profile = find(database, &key)?;
        if !View::of(&call.core, database, &key, profile).used_by.is_empty() {
            return Err(Failure::internal("Profile is currently in use"));
        }
        database.profiles.remove(&key);
        Ok(())
    })?;
    tell(call, name, "profile-deleted");
    Ok(Reply::done())
}
