//! Exports, imports, copies and moves within a server that is killed.

use std::{future::IntoFuture, time::Duration};

use lxd_storage::{
    CopyTo, ErrorKind, MoveTo, Upload,
    transport::Reached,
    types::{Compression, VolumeType},
};

use crate::servers::{FAMILIES, Folder, Servers, WIRES, noise, on_servers, slow_pool, until_begun};

#[test]
fn an_export_leaves_no_file_and_names_what_is_on_the_server() {
    on_servers(async || {
        for (slot, _) in FAMILIES {
            let Some(servers) = Servers::start(&[slot]) else { continue };
            for wire in WIRES {
                let (folder, noise) = (Folder::new(&format!("export{wire}")), noise(24 << 20));
                let client = servers.client(slot, wire);
                let volume = servers.volume_with(slot, &client.storage_pool("dir0"), &noise).await;
                let mut killer = servers.killer(slot, 1 << 20);
                let export = volume.export().with_compression(Compression::None);
                let export = export.with_progress(move |done| killer(done.bytes));
                let error = export.to_file(folder.file("data.tar")).await.unwrap_err();
                assert_eq!(error.kind(), ErrorKind::Interrupted, "{slot} {wire}: {error:?}");
                assert!(folder.names().is_empty(), "{:?}", folder.names());
                let text = error.to_string();
                let direct = client.server().await.unwrap().api_extensions.has("direct_backup");
                assert_eq!(text.contains("is left on the server"), !direct, "{text}");

                servers.start_again(slot);
                // What the message named is what there is, and it goes by that name.
                let left = volume.backups().all().await.unwrap();
                assert_eq!(left.len(), usize::from(!direct), "{left:?}");
                for left in left {
                    assert!(text.contains(left.name()), "{text}");
                    left.delete().await.unwrap();
                }
                // The same client goes on, and so does the volume.
                volume.export().to_file(folder.file("data.tar")).await.unwrap();
                assert!(volume.backups().all().await.unwrap().is_empty());
                volume.handle().delete().await.unwrap();
            }
        }
    });
}

#[test]
fn an_export_goes_on_after_a_restart() {
    on_servers(async || {
        for (slot, _) in FAMILIES {
            let Some(servers) = Servers::start(&[slot]) else { continue };
            for wire in WIRES {
                let client = servers.client(slot, wire);
                if client.server().await.unwrap().api_extensions.has("direct_backup") {
                    // What is packed straight into the connection is lost with it.
                    continue;
                }
                let (folder, noise) = (Folder::new(&format!("restart{wire}")), noise(24 << 20));
                let pool = client.storage_pool("dir0");
                let volume = servers.volume_with(slot, &pool, &noise).await;
                let (mut killer, mut restarted) = (servers.killer(slot, 1 << 20), Some(servers.clone()));
                let export = volume.export().with_compression(Compression::None).with_progress(move |done| {
                    killer(done.bytes);
                    if done.bytes >= 1 << 20
                        && let Some(servers) = restarted.take()
                    {
                        servers.start_again(slot);
                    }
                });
                let exported = export.to_file(folder.file("data.tar")).await.unwrap();
                assert_eq!(exported.leftover, None);
                assert!(volume.backups().all().await.unwrap().is_empty());
                let upload = Upload::file(folder.file("data.tar")).await.unwrap();
                let copy = pool.volumes().import_backup(upload, Some("copy")).await.unwrap();
                assert!(servers.holds(slot, &copy, &noise));
                for volume in [volume, copy] {
                    volume.handle().delete().await.unwrap();
                }
            }
        }
    });
}

#[test]
fn an_import_leaves_no_volume() {
    on_servers(async || {
        for (slot, _) in FAMILIES {
            let Some(servers) = Servers::start(&[slot]) else { continue };
            for wire in WIRES {
                let (folder, noise) = (Folder::new(&format!("import{wire}")), noise(16 << 20));
                let client = servers.client(slot, wire);
                let pool = client.storage_pool("dir0");
                let volume = servers.volume_with(slot, &pool, &noise).await;
                let file = folder.file("data.tar");
                volume.export().with_compression(Compression::None).to_file(&file).await.unwrap();

                let mut killer = servers.killer(slot, 1 << 20);
                let upload = Upload::file(&file).await.unwrap().with_progress(move |done| killer(done.bytes));
                let volumes = pool.volumes();
                let error = volumes.import_backup(upload, Some("copy")).await.unwrap_err();
                assert!(matches!(error.kind(), ErrorKind::Interrupted | ErrorKind::Connect), "{error:?}");
                assert!(
                    error.request_reached_server() == Reached::No || error.to_string().contains("\"copy\"")
                );
                servers.start_again(slot);
                assert!(!volumes.exists(VolumeType::Custom, "copy").await.unwrap());

                // The file is as good as before. Now the server dies once it has all of it.
                let upload = Upload::file(&file).await.unwrap();
                let pending = volumes.import_backup(upload, Some("copy")).start().await.unwrap();
                let id = pending.operation().unwrap().id.clone();
                servers.kill(slot);
                servers.start_again(slot);
                let error = pending.await.unwrap_err();
                assert_eq!(
                    (error.kind(), error.operation()),
                    (ErrorKind::Interrupted, Some(&*id)),
                    "{error:?}"
                );
                assert!(error.to_string().contains("volume \"copy\" in pool \"dir0\""), "{error}");
                pool.volume(VolumeType::Custom, "copy").ensure_absent().await.unwrap();

                let upload = Upload::file(&file).await.unwrap();
                let copy = volumes.import_backup(upload, Some("copy")).await.unwrap();
                assert!(servers.holds(slot, &copy, &noise));
                for volume in [volume, copy] {
                    volume.handle().delete().await.unwrap();
                }
            }
        }
    });
}

#[test]
fn a_copy_that_was_lost_names_its_operation_and_leaves_the_source() {
    on_servers(async || {
        for (slot, _) in FAMILIES {
            let Some(servers) = Servers::start(&[slot]) else { continue };
            let pool = slow_pool(&servers.client(slot, WIRES[0])).await;
            for wire in WIRES {
                let (client, noise) = (servers.client(slot, wire), noise(4 << 20));
                let pool = client.storage_pool(pool.name());
                let volume = servers.volume_with(slot, &pool, &noise).await;
                let pending = volume.copy_to(CopyTo::name("copy")).start().await.unwrap();
                let id = pending.operation().unwrap().id.clone();
                let waiting = tokio::spawn(pending.wait());
                let copy = pool.volume(VolumeType::Custom, "copy");
                until_begun(&copy).await;
                servers.kill(slot);
                servers.start_again(slot);
                let error = waiting.await.unwrap().unwrap_err();
                assert_eq!(
                    (error.kind(), error.operation()),
                    (ErrorKind::Interrupted, Some(&*id)),
                    "{error:?}"
                );
                assert!(error.to_string().contains("volume \"copy\" in pool \"slow\""), "{error}");
                assert!(servers.holds(slot, &volume, &noise));
                // Whatever the daemon left of the copy can be taken away, and then it works.
                copy.ensure_absent().await.unwrap();
                let copy = volume.copy_to(CopyTo::name("copy")).await.unwrap();
                assert!(servers.holds(slot, &copy, &noise));
                for volume in [volume, copy] {
                    volume.handle().delete().await.unwrap();
                }
            }
        }
    });
}

#[test]
fn a_move_that_was_lost_names_both_places_and_loses_nothing() {
    on_servers(async || {
        for (slot, _) in FAMILIES {
            let Some(servers) = Servers::start(&[slot]) else { continue };
            let slow = slow_pool(&servers.client(slot, WIRES[0])).await;
            for wire in WIRES {
                let (client, noise) = (servers.client(slot, wire), noise(4 << 20));
                let (from, to) = (client.storage_pool(slow.name()), client.storage_pool("dir0"));
                let volume = servers.volume_with(slot, &from, &noise).await;
                let moving = tokio::spawn(volume.handle().move_to(MoveTo::pool("dir0")).into_future());
                let arriving = to.volume(VolumeType::Custom, "data");
                until_begun(&arriving).await;
                servers.kill(slot);
                servers.start_again(slot);
                let error = tokio::time::timeout(Duration::from_secs(100), moving).await.unwrap().unwrap();
                let error = error.unwrap_err();
                assert_eq!(error.kind(), ErrorKind::Interrupted, "{error:?}");
                let text = error.to_string();
                for pool in ["slow", "dir0"] {
                    assert!(text.contains(&format!("volume \"data\" in pool {pool:?}")), "{text}");
                }
                assert!(servers.holds(slot, &volume, &noise));
                arriving.ensure_absent().await.unwrap();
                let moved = volume.handle().move_to(MoveTo::pool("dir0")).await.unwrap();
                assert!(servers.holds(slot, &moved, &noise));
                assert!(!volume.exists().await.unwrap());
                moved.handle().delete().await.unwrap();
            }
        }
    });
}
