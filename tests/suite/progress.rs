//! Progress of a server that tells it in events only: each server here is made to look like one.

use std::sync::{Arc, Mutex};

use lxd_storage::{
    Client,
    transport::{
        self, Body, BoxFuture, Endpoint, HttpTransport, Limits, Transport,
        http::{Request, Response, StatusCode},
    },
};

use crate::ctx::{Ctx, cases, http_transport};

cases![progress_in_events_alone_is_heard];

/// Hides the progress that is in answers, and says that the server has the extension that comes with that.
struct Newer(HttpTransport);

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

    let newer = Client::new(Newer(http_transport(ctx.other_daemon(), ctx.wire)));
    let there = newer.storage_pool(ctx.other_daemon().pools()[0].as_str());
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
