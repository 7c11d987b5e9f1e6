//! Names that try to leave their place: in a path, in a query, in a header. A call refuses them before it sends
//! anything, or sends them so that they arrive as the names that they are.

use std::{
    collections::BTreeSet,
    pin::Pin,
    sync::{Arc, Mutex, PoisonError},
};

use bytes::Bytes;
use http::Method;
use lxd_emulator::{Emulator, InProcess, Personality};
use lxd_storage::{
    Client, CopyTo, Disk, Error, Holder, MoveTo, Upload,
    transport::{
        Body, BoxFuture, Endpoint, Error as TransportError, Reached, Transport,
        http::{HeaderMap, Request, Response, Uri},
    },
    types::{
        BucketKeyRole, StorageBucketKeysPost, StorageBucketsPost, StoragePoolsPost, StorageVolumeBackupsPost,
        StorageVolumeSnapshotsPost, StorageVolumesPost, VolumeType,
    },
};

use crate::fixture::{pool, turn, volume};

const NAMES: &[&str] = &[
    ".",
    "..",
    "../../1.0/certificates",
    "../q",
    "a/b",
    "/",
    "a?recursion=1",
    "a&project=other",
    "a#b",
    "%2e%2e",
    "a%2fb",
    "a%00b",
    "a\0b",
    "a\r\nX-LXD-name: other",
    "a\nb",
    " a ",
    "a b",
    "a;b=c",
    "a\\b",
    "\u{e9}\u{4e2d}\u{1F600}",
    "\u{202e}txet",
    "\u{7f}",
    "*",
    "https://example.org/1.0",
    "@other",
];

/// Notes what is sent, and lets an emulator answer.
struct Recorder {
    inner: InProcess,
    sent: Arc<Mutex<Vec<(Uri, HeaderMap)>>>,
}

impl Transport for Recorder {
    fn send(&self, request: Request<Body>) -> BoxFuture<'_, Result<Response<Body>, TransportError>> {
        let seen = (request.uri().clone(), request.headers().clone());
        self.sent.lock().unwrap_or_else(PoisonError::into_inner).push(seen);
        self.inner.send(request)
    }

    fn endpoint(&self) -> &Endpoint {
        self.inner.endpoint()
    }
}

type Outcome = Pin<Box<dyn Future<Output = Result<(), Error>> + Send>>;

/// A call for each line, with a name where one goes.
macro_rules! calls {
    ($($what:literal: |$client:ident, $name:ident| $call:expr),* $(,)?) => {
        const CALLS: &[(&str, fn(Client, String) -> Outcome)] = &[$(($what, |$client, $name| {
            Box::pin(async move {
                let done: Result<_, Error> = $call.await;
                done.map(drop)
            })
        })),*];
    };
}

calls![
    "a pool": |client, name| async move { client.storage_pools().get(&name).await },
    "a new pool": |client, name| client.storage_pools().create(StoragePoolsPost::new(name, "dir")),
    "a pool's resources": |client, name| async move { client.storage_pool(name).resources().get().await },
    "a pool that goes": |client, name| client.storage_pool(name).delete(),
    "a volume": |client, name| async move { pool(&client).volumes().get(VolumeType::Custom, &name).await },
    "a volume of a type": |client, name| async move {
        pool(&client).volumes().get(VolumeType::from(name.as_str()), "v").await
    },
    "a new volume": |client, name| pool(&client).volumes().create(StorageVolumesPost::new(name)),
    "a volume that goes": |client, name| pool(&client).volume(VolumeType::Custom, name).delete(),
    "another name": |client, name| volume(&client).rename(name),
    "another pool": |client, name| volume(&client).move_to(MoveTo::pool(name)),
    "a copy": |client, name| volume(&client).copy_to(CopyTo::name(name)),
    "a copy in a project": |client, name| volume(&client).copy_to(CopyTo::name("copy").with_project(name)),
    "an upload": |client, name| async move {
        pool(&client).volumes().import_backup(Upload::from(Bytes::from_static(b"\x1f\x8b")), Some(&name)).await
    },
    "an image": |client, name| async move {
        pool(&client).volumes().import_iso(Upload::from(Bytes::from_static(b"iso")), &name).await
    },
    "a snapshot": |client, name| async move { volume(&client).snapshots().get(&name).await },
    "a new snapshot": |client, name| volume(&client).snapshots().create(StorageVolumeSnapshotsPost::new(name)),
    "a snapshot's volume": |client, name| async move {
        pool(&client).volume(VolumeType::Custom, name).snapshots().all().await
    },
    "a restore": |client, name| volume(&client).restore(&name),
    "a backup": |client, name| async move { volume(&client).backups().get(&name).await },
    "a new backup": |client, name| volume(&client).backups().create(StorageVolumeBackupsPost::new(name)),
    "a download": |client, name| async move { volume(&client).backup(name).download().await },
    "a bucket": |client, name| async move { pool(&client).buckets().get(&name).await },
    "a new bucket": |client, name| pool(&client).buckets().create(StorageBucketsPost::new(name)),
    "a key": |client, name| async move { pool(&client).bucket("photos").keys().get(&name).await },
    "a new key": |client, name| {
        pool(&client).bucket("photos").keys().create(StorageBucketKeysPost::new(name, BucketKeyRole::Admin))
    },
    "a project": |client, name| async move { pool(&client.with_project(name)).volumes().all().await },
    "a member": |client, name| async move { pool(&client.with_target(name)).volumes().all().await },
    "a profile": |client, name| async move {
        volume(&client).attach(&Holder::profile(name), Disk::at("/mnt")).await
    },
    "an instance": |client, name| async move { volume(&client).detach(&Holder::instance(name)).await },
    "an operation": |client, name| async move { client.operation(&name).await },
    "a value in a query": |client, name| async move {
        client.request(Method::GET, "/1.0/storage-pools").query("filter", &name).fetch::<serde_json::Value>().await
    },
];

/// The segments that no name made.
const OURS: &[&str] = &[
    "1.0",
    "storage-pools",
    "storage-volumes",
    "volumes",
    "custom",
    "snapshots",
    "backups",
    "buckets",
    "keys",
    "resources",
    "export",
    "state",
    "profiles",
    "instances",
    "operations",
    "wait",
    "p",
    "q",
    "v",
    "copy",
    "photos",
];

fn decoded(text: &str) -> String {
    let bytes = text.as_bytes();
    let (mut plain, mut at) = (Vec::new(), 0);
    while at < bytes.len() {
        match bytes[at] {
            b'%' => {
                let hex = std::str::from_utf8(&bytes[at + 1..at + 3]).unwrap();
                plain.push(u8::from_str_radix(hex, 16).unwrap());
                at += 3;
            }
            other => {
                plain.push(other);
                at += 1;
            }
        }
    }
    String::from_utf8(plain).unwrap()
}

/// Holds a request against what it may be: our own words, the name as a whole, and ids that the server gave.
fn check(uri: &Uri, headers: &HeaderMap, name: &str, ids: &BTreeSet<String>) -> Result<(), String> {
    for segment in uri.path().split('/').skip(1) {
        if matches!(segment, "" | "." | "..") {
            return Err(format!("{uri} leaves its path"));
        }
        let word = decoded(segment);
        if !OURS.contains(&&*word) && word != name && !ids.contains(&word) {
            return Err(format!("{uri} has {word:?} in it"));
        }
    }
    for (key, value) in uri
        .query()
        .into_iter()
        .flat_map(|query| query.split('&'))
        .map(|pair| pair.split_once('=').unwrap_or((pair, "")))
    {
        let known = matches!(key, "recursion" | "project" | "target" | "filter" | "timeout" | "all-projects");
        let value = decoded(&value.replace('+', " "));
        let right = match key {
            "project" | "target" | "filter" => value == name,
            _ => value.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-'),
        };
        if !known || !right {
            return Err(format!("{uri} asks for {key:?} = {value:?}"));
        }
    }
    for header in ["x-lxd-name", "x-incus-name"] {
        for value in headers.get_all(header) {
            if value.as_bytes() != name.as_bytes() {
                return Err(format!("{header}: {value:?}"));
            }
        }
    }
    Ok(())
}

/// Ids of operations, which the server makes up.
fn ids(sent: &[(Uri, HeaderMap)]) -> BTreeSet<String> {
    let is_id = |word: &&str| word.len() == 36 && word.bytes().filter(|byte| *byte == b'-').count() == 4;
    let words = sent.iter().flat_map(|(uri, _)| uri.path().split('/'));
    words.filter(is_id).map(str::to_owned).collect()
}

#[test]
fn no_name_leaves_its_place() {
    let _turn = turn();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let (mut refused, mut sent_on, mut wrong) = (0, 0, Vec::new());
        for personality in Personality::ALL {
            for name in NAMES {
                for (what, call) in CALLS {
                    let emulator = Emulator::new(personality).unwrap();
                    crate::fixture::fill(&Client::new(emulator.transport())).await;
                    let sent = Arc::new(Mutex::new(Vec::new()));
                    let client =
                        Client::new(Recorder { inner: emulator.transport(), sent: Arc::clone(&sent) });
                    let outcome = call(client, (*name).to_owned()).await;
                    let sent = std::mem::take(&mut *sent.lock().unwrap());
                    let ids = ids(&sent);
                    let found = sent.iter().find_map(|(uri, headers)| check(uri, headers, name, &ids).err());
                    if let Some(found) = found {
                        wrong.push(format!("{what} {name:?} of {personality:?}: {found}"));
                    }
                    match outcome {
                        Err(error) if error.request_reached_server() == Reached::No => refused += 1,
                        _ => sent_on += 1,
                    }
                }
            }
        }
        assert!(wrong.is_empty(), "{} of them:\n{}", wrong.len(), wrong.join("\n"));
        println!("{refused} refused, {sent_on} sent as they are");
        assert!(refused > 0 && sent_on > 0);
    });
}
