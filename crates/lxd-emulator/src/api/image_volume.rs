//! Instances out of images: most drivers keep an unpacked volume of the image, from which they copy.

use std::sync::Arc;

use crate::{
    api::volume_create::{created_at, exists, finish, insert},
    archive::{self, Unreadable},
    config::Config,
    core::{Core, blocking, replace},
    failure::Failure,
    scope,
    state::{ContentType, DEFAULT, Volume, VolumeKey, VolumeKind},
};

/// Fills the volume of an instance with the files of an image.
pub(crate) async fn unpack(core: &Arc<Core>, fingerprint: &str, instance: &VolumeKey) -> Result<(), Failure> {
    let driver =
        core.store.read(|database| scope::pool(database, &instance.pool).map(|pool| pool.driver.clone()))?;
    let target = core.folder(instance);
    if driver == "dir" {
        return unpack_into(core, fingerprint, target).await;
    }
    let key = VolumeKey {
        project: DEFAULT.to_owned(),
        kind: VolumeKind::Image,
        name: fingerprint.to_owned(),
        ..instance.clone()
    };
    {
        let _alone = core.unpacking.lock().await;
        ensure(core, &key).await?;
    }
    let source = core.content.volume(&key, ContentType::Filesystem);
    replace(core, source, target).await
}

/// Makes the volume of an image where there is none yet.
async fn ensure(core: &Arc<Core>, key: &VolumeKey) -> Result<(), Failure> {
    let volume = Volume {
        description: String::new(),
        config: Config::new(),
        content_type: ContentType::Filesystem,
        created_at: created_at(core),
        snapshots: Vec::new(),
        backups: Vec::new(),
    };
    match insert(core, key, volume).await {
        Err(failure) if failure.code == exists().code && failure.text == exists().text => Ok(()),
        Err(failure) => Err(failure),
        Ok(()) => {
            unpack_into(core, &key.name, core.content.volume(key, ContentType::Filesystem)).await?;
            finish(core, key)
        }
    }
}

async fn unpack_into(core: &Arc<Core>, fingerprint: &str, folder: std::path::PathBuf) -> Result<(), Failure> {
    let file = core.content.image_file(fingerprint);
    blocking(core, move || {
        archive::unpack(&file, &folder).map_err(|unreadable| match unreadable {
            Unreadable::Broken(error) => Failure::from(error),
            Unreadable::Compression | Unreadable::NoIndex => Failure::internal("no image any more"),
        })
    })
    .await
}
