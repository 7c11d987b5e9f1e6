//! `/1.0/projects`, as far as storage needs them.

use serde::Serialize;

use crate::{
    call::Call,
    config::{Config, cleaned},
    core::Core,
    envelope::Reply,
    etag,
    failure::Failure,
    names,
    route::path_escaped,
    state::{DEFAULT, Database, Profile, Project, VolumeKind},
    volume_view,
};

#[derive(Serialize)]
struct View {
    config: Config,
    description: String,
    name: String,
    used_by: Vec<String>,
}

impl View {
    fn of(core: &Core, database: &Database, name: &str, project: &Project) -> Self {
        Self {
            config: project.config.clone(),
            description: project.description.clone(),
            name: name.to_owned(),
            used_by: used_by(core, database, name),
        }
    }
}

/// Everything that is in a project.
fn used_by(core: &Core, database: &Database, name: &str) -> Vec<String> {
    let has = |feature: &str| {
        let project = database.projects.get(name);
        project.is_some_and(|project| crate::config::is_true(project.config.get(feature)))
    };
    let instances = database.instances.keys().filter(|(project, _)| project == name);
    let mut urls: Vec<String> =
        instances.map(|(project, instance)| volume_view::url("instances", project, instance)).collect();
    if has("features.profiles") {
        let profiles = database.profiles.keys().filter(|(project, _)| project == name);
        urls.extend(profiles.map(|(project, profile)| volume_view::url("profiles", project, profile)));
    }
    let volumes = database.volumes.keys();
    let volumes = volumes.filter(|key| key.project == name && key.kind == VolumeKind::Custom);
    urls.extend(volumes.map(|key| names::volume_in(core, database, key)));
    let buckets = database.buckets.keys().filter(|key| key.project == name);
    urls.extend(buckets.map(|key| crate::buckets::url(database, key)));
    urls
}

fn find<'a>(database: &'a Database, name: &str) -> Result<&'a Project, Failure> {
    database.projects.get(name).ok_or_else(|| Failure::not_found("Project not found"))
}

/// `GET /1.0/projects`.
pub(crate) fn list(call: &Call) -> Result<Reply, Failure> {
    let core = &call.core;
    core.store.read(|database| {
        if call.query.recursion() == 0 {
            let urls: Vec<String> = database
                .projects
                .keys()
                .map(|name| format!("/1.0/projects/{}", path_escaped(name)))
                .collect();
            return Reply::of(&urls);
        }
        let views = database.projects.iter().map(|(name, project)| View::of(core, database, name, project));
        Reply::of(&views.collect::<Vec<_>>())
    })
}

/// `GET /1.0/projects/PROJECT`.
pub(crate) fn get(call: &Call, name: &str) -> Result<Reply, Failure> {
    let core = &call.core;
    core.store.read(|database| {
        let project = find(database, name)?;
        Reply::with_etag(&View::of(core, database, name, project), &(&project.description, &project.config))
    })
}

/// `POST /1.0/projects`.
pub(crate) async fn create(call: Call) -> Result<Reply, Failure> {
    let fields = call.fields("ProjectsPost").await?;
    let (name, description) = (fields.text("name")?, fields.text("description")?);
    let mut config = fields.config("config")?.unwrap_or_default();
    check_name(&name)?;
    let core = &call.core;
    let mut features = vec!["images", "profiles", "storage.volumes"];
    if core.has("storage_buckets") {
        features.push("storage.buckets");
    }
    for feature in features {
        config.entry(format!("features.{feature}")).or_insert_with(|| "true".to_owned());
    }
    check_config(&config)?;
    core.store.change(|database| {
        if database.projects.contains_key(&name) {
            return Err(duplicate(core, &name));
        }
        let description_of_profile = format!("Default {} profile for project {name}", core.brand());
        let profile = Profile { description: description_of_profile, ..Profile::default() };
        if crate::config::is_true(config.get("features.profiles")) {
            database.profiles.insert((name.clone(), DEFAULT.to_owned()), profile);
        }
        database.projects.insert(name.clone(), Project { description, config: cleaned(&config) });
        Ok(())
    })?;
    let url = format!("/1.0/projects/{}", path_escaped(&name));
    core.happened(&name, "project-created", url.clone(), None, call.requestor());
    Ok(Reply::created(url))
}

fn duplicate(core: &Core, name: &str) -> Failure {
    let failure = if core.behaviour.incus {
        Failure::internal("Failed to create \"projects\" entry: UNIQUE constraint failed: projects.name")
    } else {
        Failure::conflict("This \"projects\" entry already exists")
    };
    failure.within("Failed adding database record").within(&format!("Failed creating project {name:?}"))
}

fn check_name(name: &str) -> Result<(), Failure> {
    let wrong = match name {
        "" => "No name provided",
        name if name.contains('/') => "Project names may not contain slashes",
        name if name.contains(' ') => "Project names may not contain spaces",
        name if name.contains('_') => "Project names may not contain underscores",
        name if name.contains('\'') || name.contains('"') => "Project names may not contain quotes",
        "*" => "Reserved project name",
        "." | ".." => return Err(Failure::bad_request(format!("Invalid project name \"{name}\""))),
        _ => return Ok(()),
    };
    Err(Failure::bad_request(wrong))
}

fn check_config(config: &Config) -> Result<(), Failure> {
    for key in config.keys() {
        let known = ["features.", "limits.", "restricted", "user.", "backups.", "images."];
        if !known.iter().any(|start| key.starts_with(start)) {
            return Err(Failure::bad_request(format!("Invalid project configuration key {key:?}")));
        }
    }
    Ok(())
}

/// `PUT` and `PATCH /1.0/projects/PROJECT`.
pub(crate) async fn update(call: Call, name: &str) -> Result<Reply, Failure> {
    let core = &call.core;
    let old = core.store.read(|database| {
        let project = find(database, name)?;
        etag::check(&call.headers, &(&project.description, &project.config))?;
        Ok::<_, Failure>(project.clone())
    })?;
    let fields = call.fields("ProjectPut").await?;
    let patch = call.method == http::Method::PATCH;
    let description =
        if patch && !fields.has("description") { old.description } else { fields.text("description")? };
    // A PATCH with some keys drops the others on all these servers.
    let config = match fields.config("config")? {
        None if patch => old.config,
        config => config.unwrap_or_default(),
    };
    check_config(&config)?;
    core.store.change(|database| {
        database.projects.insert(name.to_owned(), Project { description, config: cleaned(&config) });
        Ok::<(), Failure>(())
    })?;
    core.happened(
        name,
        "project-updated",
        format!("/1.0/projects/{}", path_escaped(name)),
        None,
        call.requestor(),
    );
    Ok(Reply::done())
}

/// `POST /1.0/projects/PROJECT`: a new name.
pub(crate) async fn rename(call: Call, name: &str) -> Result<Reply, Failure> {
    let fields = call.fields("ProjectPost").await?;
    let to = fields.text("name")?;
    if name == DEFAULT {
        return Err(Failure::forbidden("The 'default' project cannot be renamed"));
    }
    let core = std::sync::Arc::clone(&call.core);
    let plan = call.plan("Renaming project").of_project("");
    let (from, requestor) = (name.to_owned(), call.requestor());
    let operation = core.operations.start(plan, |_| {
        let core = std::sync::Arc::clone(&core);
        async move {
            core.store.change(|database| {
                let project = find(database, &from)?.clone();
                if database.projects.contains_key(&to) {
                    return Err(Failure::conflict(format!("A project named {to:?} already exists")));
                }
                let used = used_by(&core, database, &from);
                if used.len() > 1 {
                    return Err(Failure::internal("Only empty projects can be renamed"));
                }
                check_name(&to)?;
                database.projects.remove(&from);
                database.projects.insert(to.clone(), project);
                if let Some(profile) = database.profiles.remove(&(from.clone(), DEFAULT.to_owned())) {
                    database.profiles.insert((to.clone(), DEFAULT.to_owned()), profile);
                }
                Ok(())
            })?;
            let context = serde_json::json!({"old_name": from});
            let url = format!("/1.0/projects/{}", path_escaped(&to));
            core.happened(&to, "project-renamed", url, Some(context), requestor);
            Ok(())
        }
    });
    call.accepted(&operation)
}

/// `DELETE /1.0/projects/PROJECT`.
pub(crate) fn delete(call: &Call, name: &str) -> Result<Reply, Failure> {
    if name == DEFAULT {
        return Err(Failure::forbidden("The 'default' project cannot be deleted"));
    }
    let core = &call.core;
    core.store.change(|database| {
        find(database, name).map_err(|failure| failure.within(&format!("Fetch project {name:?}")))?;
        let used = used_by(core, database, name);
        let default = volume_view::url("profiles", name, DEFAULT);
        if used.iter().any(|url| *url != default) {
            let end = if core.behaviour.incus { "." } else { "" };
            return Err(Failure::internal(format!("Only empty projects can be removed{end}")));
        }
        database.profiles.remove(&(name.to_owned(), DEFAULT.to_owned()));
        database.projects.remove(name);
        Ok(())
    })?;
    core.happened(
        name,
        "project-deleted",
        format!("/1.0/projects/{}", path_escaped(name)),
        None,
        call.requestor(),
    );
    Ok(Reply::done())
}
