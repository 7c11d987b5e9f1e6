//! Volumes that belong to images and virtual machines, which nobody makes directly.

use std::{fs, process::Command};

use http::{Method, header};
use lxd_storage::{
    ErrorKind, PoolHandle,
    transport::{Body, Transport as _, http::Request},
    types::{ContentType, Entity, StorageVolumePut, VolumeType},
};
use serde_json::{Value, json};

use crate::ctx::{Ctx, cases, transport_to};

cases![an_image_has_a_volume_where_its_driver_keeps_one, a_machine_has_a_volume];

/// The smallest image of a container, made on the spot: one file, which makes it another one for each case.
fn tarball(ctx: &Ctx) -> Vec<u8> {
    let folder = std::env::temp_dir().join(ctx.name("lxdrs-image"));
    fs::create_dir_all(folder.join("rootfs/etc")).unwrap();
    fs::write(folder.join("rootfs/etc/hostname"), ctx.name("")).unwrap();
    let about = format!("architecture: {}\ncreation_date: 1700000000\n", std::env::consts::ARCH);
    fs::write(folder.join("metadata.yaml"), about).unwrap();
    let mut tar = Command::new("tar");
    let packed =
        tar.args(["-c", "-z", "-C"]).arg(&folder).args(["metadata.yaml", "rootfs"]).output().unwrap();
    fs::remove_dir_all(&folder).unwrap();
    assert!(packed.status.success(), "{}", String::from_utf8_lossy(&packed.stderr));
    packed.stdout
}

/// Gives an image to the server, and gives its fingerprint.
async fn import(ctx: &Ctx) -> String {
    let request = Request::post("/1.0/images").header(header::CONTENT_TYPE, "application/octet-stream");
    let request = request.body(Body::from(tarball(ctx))).unwrap();
    let answer = transport_to(ctx.server(), ctx.wire).send(request).await.unwrap();
    let answer: Value = serde_json::from_slice(&answer.into_body().collect(1 << 20).await.unwrap()).unwrap();
    let id = answer["operation"].as_str().unwrap_or_else(|| panic!("{answer}"));
    let operation = ctx.client.operation(id).await.unwrap().await.unwrap();
    operation.metadata.get("fingerprint").and_then(Value::as_str).unwrap().to_owned()
}

async fn new_instance(ctx: &Ctx, pool: &PoolHandle, post: Value) -> Result<String, lxd_storage::Error> {
    let name = ctx.name("i").to_ascii_lowercase();
    let client = if ctx.is_cluster() { ctx.client.with_target("member1") } else { ctx.client.clone() };
    let root = json!({"root": {"type": "disk", "path": "/", "pool": pool.name(), "size": "32MiB"}});
    let mut whole = json!({"name": name, "devices": root, "profiles": []});
    whole.as_object_mut().unwrap().extend(post.as_object().unwrap().clone());
    client.request(Method::POST, "/1.0/instances").json(&whole).change().await.map(|_| name)
}

async fn an_image_has_a_volume_where_its_driver_keeps_one(ctx: Ctx) {
    let fingerprint = import(&ctx).await;
    for pool in ctx.ready_pools() {
        let post = json!({"source": {"type": "image", "fingerprint": fingerprint}});
        let instance = new_instance(&ctx, &pool, post).await.unwrap();
        let listed = pool.volumes().all_of(&VolumeType::Image).await.unwrap();
        let mut mine = listed.into_iter().filter(|volume| volume.name() == fingerprint);
        if pool.get().await.unwrap().driver() == "dir" {
            assert!(mine.next().is_none(), "it unpacks every instance from the image itself");
            ctx.delete_instance(&instance).await;
            continue;
        }
        let volume = mine.next().unwrap();
        assert_eq!(
            (volume.volume_type(), volume.content_type()),
            (&VolumeType::Image, &ContentType::Filesystem)
        );
        let read = volume.handle().get().await.unwrap();
        assert_eq!((read.name(), read.volume_type()), (&*fingerprint, &VolumeType::Image));
        assert!(volume.exists().await.unwrap());
        let users = read.used_by().await.unwrap();
        assert!(
            matches!(&users[..], [user] if matches!(&user.entity, Entity::Image { fingerprint: one, .. } if *one == fingerprint)),
            "{users:?}"
        );
        let all = pool.volumes().all().await.unwrap();
        assert!(all.iter().any(|one| *one.volume_type() == VolumeType::Image && one.name() == fingerprint));
        let full = volume.full().await.unwrap();
        // Of its state there is nothing, or a newer server says that it has none.
        assert!(full.state.is_none_or(|state| state.usage.is_none()));
        assert!(full.snapshots.is_empty() && full.backups.is_empty());
        assert_eq!(volume.state().await.unwrap_err().kind(), ErrorKind::InvalidInput);
        let edited =
            volume.handle().edit(|put: &mut StorageVolumePut| put.description = "d".to_owned()).await;
        assert_eq!(edited.unwrap().description(), "d");

        ctx.delete_instance(&instance).await;
        // The image stays, and its volume comes back with the next instance.
        volume.handle().delete().await.unwrap();
        assert!(!volume.exists().await.unwrap());
    }
    let image = format!("/1.0/images/{fingerprint}");
    ctx.client.request(Method::DELETE, &image).change().await.unwrap();
}

async fn a_machine_has_a_volume(ctx: Ctx) {
    for pool in ctx.ready_pools() {
        let post = json!({"type": "virtual-machine", "source": {"type": "none"}});
        let machine = match new_instance(&ctx, &pool, post).await {
            Ok(machine) => machine,
            // Servers make none where the kernel could not run it.
            Err(error) => return eprintln!("SKIPPED: a_machine_has_a_volume: {error}"),
        };
        let listed = pool.volumes().all_of(&VolumeType::VirtualMachine).await.unwrap();
        let volume = listed.into_iter().find(|volume| volume.name() == machine).unwrap();
        assert_eq!(*volume.content_type(), ContentType::Block);
        let read = pool.volumes().get(VolumeType::VirtualMachine, &machine).await.unwrap();
        let users = read.used_by().await.unwrap();
        assert!(
            matches!(&users[..], [user] if matches!(&user.entity, Entity::Instance { name, .. } if *name == machine)),
            "{users:?}"
        );
        assert!(read.snapshots().all().await.unwrap().is_empty());
        ctx.delete_instance(&machine).await;
        assert!(!volume.exists().await.unwrap());
    }
}
