//! Upgrades pass through the transport: the events websocket opens and speaks.

use http::Method;
use lxd_storage::transport::{
    self, Body, Limits, Transport,
    http::{Request, StatusCode, header},
};
use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::ctx::{Ctx, cases, transport_to};

cases![the_events_websocket_opens_and_speaks];

async fn the_events_websocket_opens_and_speaks(ctx: Ctx) {
    let transport = transport_to(ctx.server(), ctx.wire);
    let request = Request::builder()
        .uri("/1.0/events?type=lifecycle")
        .header(header::CONNECTION, "Upgrade")
        .header(header::UPGRADE, "websocket")
        .header("Sec-WebSocket-Version", "13")
        .header("Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ==")
        .body(Body::empty())
        .unwrap();
    let response = transport.send_within(request, Limits::METADATA).await.unwrap();
    assert_eq!(response.status(), StatusCode::SWITCHING_PROTOCOLS);
    let mut socket = transport::upgrade(response).await.unwrap();

    let profile = ctx.name("event");
    ctx.client.request(Method::POST, "/1.0/profiles").json(&json!({"name": profile})).change().await.unwrap();
    let mut seen = Vec::new();
    while !String::from_utf8_lossy(&seen).contains(&profile) {
        let mut chunk = [0; 4096];
        let count = socket.read(&mut chunk).await.unwrap();
        assert!(count > 0, "the server closed the websocket");
        seen.extend_from_slice(&chunk[..count]);
    }
    // A masked close frame, so that the server doesn't wait for its next ping to notice.
    socket.write_all(&[0x88, 0x80, 0, 0, 0, 0]).await.unwrap();
    ctx.client.request(Method::DELETE, &format!("/1.0/profiles/{profile}")).change().await.unwrap();
}
