//! Names of anything in the path of a request: they are refused, or arrive as they were and where they belong.
#![no_main]

use std::sync::{Arc, Mutex};

use libfuzzer_sys::fuzz_target;
use lxd_storage::{
    Client,
    transport::{
        Body, BoxFuture, Endpoint, Error, Transport,
        http::{Request, Response},
    },
    types::VolumeType,
};

/// Answers everything with an error and keeps what was asked for.
struct Noted(Endpoint, Arc<Mutex<Vec<String>>>);

impl Transport for Noted {
    fn send(&self, request: Request<Body>) -> BoxFuture<'_, Result<Response<Body>, Error>> {
        self.1.lock().unwrap().push(request.uri().to_string());
        Box::pin(async { Ok(Response::builder().status(404).body(Body::from("{}")).unwrap()) })
    }

    fn endpoint(&self) -> &Endpoint {
        &self.0
    }
}

thread_local! {
    static RUNTIME: tokio::runtime::Runtime =
        tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
}

fn decoded(segment: &str) -> Vec<u8> {
    let (bytes, mut out, mut at) = (segment.as_bytes(), Vec::new(), 0);
    while at < bytes.len() {
        match bytes[at] {
            b'%' => {
                out.push(u8::from_str_radix(&segment[at + 1..at + 3], 16).unwrap());
                at += 3;
            }
            byte => {
                out.push(byte);
                at += 1;
            }
        }
    }
    out
}

fuzz_target!(|names: (&str, &str, &str, &str)| {
    let (pool, volume, snapshot, project) = names;
    let asked = Arc::new(Mutex::new(Vec::new()));
    let client = Client::new(Noted(Endpoint::custom("fuzz"), Arc::clone(&asked)));
    RUNTIME.with(|runtime| {
        runtime.block_on(async {
            let handle = client.with_project(project).storage_pool(pool).volume(VolumeType::Custom, volume);
            let _ = handle.snapshot(snapshot).exists().await;
        })
    });
    for uri in asked.lock().unwrap().iter().filter(|uri| *uri != "/1.0") {
        let (path, query) = uri.split_once('?').map_or((&**uri, None), |(path, query)| (path, Some(query)));
        let segments: Vec<&str> = path.split('/').collect();
        let ["", "1.0", "storage-pools", one, "volumes", "custom", two, "snapshots", three] = segments[..]
        else {
            panic!("{names:?} led to {uri}");
        };
        assert_eq!(
            (decoded(one), decoded(two), decoded(three)),
            (pool.into(), volume.into(), snapshot.into())
        );
        for segment in [one, two, three] {
            assert!(segment != "." && segment != ".." && !segment.is_empty(), "{uri}");
        }
        let sent = query.map(|query| decoded(query.strip_prefix("project=").unwrap()));
        assert_eq!(sent.unwrap_or_default(), project.as_bytes(), "{uri}");
    }
});
