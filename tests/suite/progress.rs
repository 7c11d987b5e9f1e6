//! Progress of migrations, also of a server that tells it in events only: each server here is made to look like one.

use std::sync::{Arc, Mutex};

use lxd_storage::{
    Client,
    transport::{
        self, Body, BoxFuture, Endpoint, Limits, Transport,
        http::{Request, Response, StatusCode},
    },
};

use crate::{
    content::noise,
    ctx::{Ctx, cases, transport_to},
    migration::MODES,
};

cases![progress_in_events_alone_is_heard, every_mode_tells_how_far_it_is];

/// Hides the progress that is in answers, and says that the server has the extension that comes with that.
struct Newer(Box<dyn Transport>);

impl Transport for Newer {
    fn send(&self, request: Request<Body>) -> BoxFuture<'_, Result<Response<Body>, transport::Error>> {
        self.send_within(request, Limits::METADATA)
    }

    fn send_within(
        &self,
        request: Request<Body>,
        limits: Limits,
    ) -> BoxFuture<'_, Result<Response<Body>, transport::Error>> {
        let path = request.uri().path().to_owned();
        Box::pin(async move {
            let response = self.0.send_within(request, limits).await?;
            if response.status() == StatusCode::SWITCHING_PROTOCOLS {
                return Ok(response);
            }
            let (mut head, body) = response.into_parts();
            head.headers.remove("content-length");
            let text = String::from_utf8(body.collect(1 << 20).await?.to_vec()).unwrap();
            let text = match path == "/1.0" {
                true => text.replace(r#""api_extensions":["#, r#""api_extensions":["bulk_operations","#),
                false => text.replace("progress\":", "hidden\":"),
            };
            Ok(Response::from_parts(head, Body::from(text)))
        })
    }

    fn endpoint(&self) -> &Endpoint {
        self.0.endpoint()
    }
}

async fn progress_in_events_alone_is_heard(ctx: Ctx) {
    let mut volume = ctx.new_volume(&ctx.ready_pools()[0], "v").await;
    // Servers report once a second, and send less than this in one.
    let noise = (0..24_u32 << 20).flat_map(|i| i.wrapping_mul(2_246_822_519).rotate_left(7).to_le_bytes());
    std::fs::write(ctx.content(&volume).join("noise"), noise.collect::<Vec<_>>()).unwrap();

    let newer = Client::new(Newer(transport_to(ctx.other_server(), ctx.wire)));
    let there = newer.storage_pool(ctx.other_server().pools()[0].as_str());
    let told = Arc::new(Mutex::new(Vec::new()));
    let noted = Arc::clone(&told);
    let copy = volume.copy_to_server(&there);
    let copy = copy.with_progress(move |progress| noted.lock().unwrap().push(progress.processed_bytes));
    let mut copy = copy.await.unwrap();
    let told = told.lock().unwrap().clone();
    assert!(!told.is_empty() && told[0].is_some() && told.is_sorted(), "{told:?}");
    copy.delete().await.unwrap();
    volume.delete().await.unwrap();
}

async fn every_mode_tells_how_far_it_is(ctx: Ctx) {
    const LENGTH: u32 = 12_000_000;
    // For three seconds at least, of which servers report each.
    let mut pool = ctx.slow_pool().await;
    let mut volume = ctx.new_volume(&pool, "v").await;
    std::fs::write(ctx.content(&volume).join("noise"), noise(LENGTH)).unwrap();
    let there = ctx.other().storage_pool(ctx.other_server().pools()[0].as_str());
    for (mode, choose) in MODES {
        let told = Arc::new(Mutex::new(Vec::new()));
        let noted = Arc::clone(&told);
        let copy = choose(volume.copy_to_server(&there));
        let copy = copy.with_progress(move |progress| noted.lock().unwrap().push(progress.clone()));
        let mut copy = copy.await.unwrap_or_else(|error| panic!("{mode}: {error}"));
        let told = told.lock().unwrap().clone();
        let bytes: Vec<u64> = told.iter().map(|progress| progress.processed_bytes.unwrap()).collect();
        // Nothing compresses the noise, and what goes around it is little.
        let sum = u64::from(LENGTH);
        let last = bytes.last().copied().unwrap_or_default();
        assert!(bytes.is_sorted() && last > 1_000_000 && last < sum + sum / 10, "{mode}: {told:?}");
        // Who relays sees the end too.
        assert!(mode != "relay" || last >= sum, "{told:?}");
        copy.delete().await.unwrap();
    }
    volume.delete().await.unwrap();
    pool.delete().await.unwrap();
}
