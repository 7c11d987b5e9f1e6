//! `/1.0/images`, as far as volumes are concerned: uploaded, listed, deleted.

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::{
    api::{import::receive, volume_change},
    archive::{self, Unreadable},
    call::Call,
    clock::Moment,
    config::Config,
    core::blocking,
    envelope::Reply,
    etag,
    failure::Failure,
    state::{Database, Image, VolumeKey, VolumeKind},
};

/// What an image says of itself.
#[derive(Deserialize)]
struct Metadata {
    architecture: String,
    creation_date: i64,
    #[serde(default)]
    properties: Config,
}

fn view(fingerprint: &str, image: &Image) -> Value {
    json!({
        "auto_update": false,
        "properties": image.properties,
        "public": false,
        "expires_at": "1970-01-01T00:00:00Z",
        "profiles": ["default"],
        "aliases": [],
        "architecture": image.architecture,
        "cached": false,
        "filename": fingerprint,
        "fingerprint": fingerprint,
        "size": image.size,
        "type": "container",
        "created_at": Moment(i128::from(image.created_at) * 1_000_000_000).to_string(),
        "last_used_at": "0001-01-01T00:00:00Z",
        "uploaded_at": image.uploaded_at.to_string(),
    })
}

fn recipe(image: &Image) -> impl Serialize {
    json!([false, false, image.properties])
}

/// The image of a fingerprint, or of one that begins like it.
pub(crate) fn find<'a>(database: &'a Database, start: &str) -> Result<(&'a str, &'a Image), Failure> {
    let mut found = database.images.iter().filter(|(print, _)| !start.is_empty() && print.starts_with(start));
    match (found.next(), found.next()) {
        (Some((print, image)), None) => Ok((print, image)),
        (None, _) => Err(Failure::not_found("Image not found")),
        _ => Err(Failure::bad_request("More than one image matches")),
    }
}

/// `GET /1.0/images`.
pub(crate) fn list(call: &Call) -> Result<Reply, Failure> {
    call.core.store.read(|database| {
        let images = database.images.iter();
        if call.query.recursion() == 0 {
            return Reply::of(&images.map(|(print, _)| format!("/1.0/images/{print}")).collect::<Vec<_>>());
        }
        Reply::of(&images.map(|(print, image)| view(print, image)).collect::<Vec<_>>())
    })
}

/// `GET /1.0/images/FINGERPRINT`.
pub(crate) fn get(call: &Call, print: &str) -> Result<Reply, Failure> {
    call.core.store.read(|database| {
        let (print, image) = find(database, print)?;
        Reply::with_etag(&view(print, image), &recipe(image))
    })
}

/// `POST /1.0/images` with the image itself: an archive with `metadata.yaml` and the files of a container.
pub(crate) async fn create(call: Call) -> Result<Reply, Failure> {
    if !super::import::is_upload(&call, true) {
        return Err(Failure::bad_request("The emulator takes images only as they are, in one archive"));
    }
    let upload = receive(&call).await?;
    let core = Arc::clone(&call.core);
    let plan = call.plan("Downloading image");
    let (working, requestor) = (Arc::clone(&core), call.requestor());
    let operation = core.operations.start(plan, |operation| async move {
        let path = upload.path().to_owned();
        let read = blocking(&working, move || {
            let metadata = archive::yaml::<Metadata>(&path, "metadata.yaml");
            let content = std::fs::read(&path)?;
            Ok::<_, std::io::Error>((metadata, etag::hex(&hmac_sha256::Hash::hash(&content)), content.len()))
        });
        let (metadata, print, size) = read.await?;
        let metadata = metadata.map_err(|unreadable| match unreadable {
            Unreadable::Compression => Failure::internal("Unsupported compression"),
            Unreadable::NoIndex => Failure::internal("Metadata tarball is missing metadata.yaml"),
            Unreadable::Broken(error) => Failure::internal(error.to_string()),
        })?;
        let image = Image {
            architecture: metadata.architecture,
            properties: metadata.properties,
            created_at: metadata.creation_date,
            uploaded_at: working.clock.now(),
            size: size as u64,
        };
        working.store.change(|database| {
            if database.images.contains_key(&print) {
                return Err(Failure::conflict("Image with same fingerprint already exists"));
            }
            database.images.insert(print.clone(), image);
            Ok(())
        })?;
        let (file, from) = (working.content.image_file(&print), upload.path().to_owned());
        blocking(&working, move || {
            if let Some(folder) = file.parent() {
                std::fs::create_dir_all(folder)?;
            }
            std::fs::rename(from, file).map_err(Failure::from)
        })
        .await?;
        operation.report("fingerprint", print.clone());
        operation.report("size", size.to_string());
        working.happened("default", "image-created", format!("/1.0/images/{print}"), None, requestor);
        Ok(())
    });
    call.accepted(&operation)
}

/// `DELETE /1.0/images/FINGERPRINT`, with the volumes that pools have of it.
pub(crate) fn delete(call: &Call, print: &str) -> Result<Reply, Failure> {
    let core = Arc::clone(&call.core);
    let print = core.store.read(|database| find(database, print).map(|(print, _)| print.to_owned()))?;
    let url = format!("/1.0/images/{print}");
    let plan = call.plan("Deleting image").about(&core, &[("images", &url)], ("images", &url), &url);
    let (working, requestor) = (Arc::clone(&core), call.requestor());
    let operation = core.operations.start(plan, |_| async move {
        let volumes: Vec<VolumeKey> = working.store.change(|database| {
            database.images.remove(&print).ok_or_else(|| Failure::not_found("Image not found"))?;
            let of_it = |key: &&VolumeKey| key.kind == VolumeKind::Image && key.name == print;
            Ok::<_, Failure>(database.volumes.keys().filter(of_it).cloned().collect())
        })?;
        for volume in volumes {
            volume_change::forget(&working, &volume).await?;
        }
        let file = working.content.image_file(&print);
        blocking(&working, move || std::fs::remove_file(file).map_err(Failure::from)).await?;
        working.happened("default", "image-deleted", url, None, requestor);
        Ok(())
    });
    call.accepted(&operation)
}
