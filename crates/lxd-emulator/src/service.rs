//! One request to one answer: routing, and what is said where nothing fits.

use std::sync::Arc;

use http::{Method, Request, Response};
use lxd_transport::Body;

use crate::{
    api,
    call::{Call, Caller},
    core::Core,
    envelope::Reply,
    failure::Failure,
};

/// Answers a request. The work goes on when nobody waits for the answer any longer, as on a real server.
pub(crate) async fn answer(core: &Arc<Core>, request: Request<Body>, caller: Caller) -> Response<Body> {
    let head = request.method() == Method::HEAD;
    let (call, segments) = Call::new(Arc::clone(core), request, caller);
    let handled = tokio::spawn(async move {
        let segments: Vec<&str> = segments.iter().map(String::as_str).collect();
        handle(call, &segments).await
    });
    let mut response = match handled.await {
        Ok(Ok(reply)) => reply.into_response(),
        Ok(Err(failure)) => failure.into_response(),
        // Where a handler panics Go closes the connection; here the text helps whoever tests with this.
        Err(error) => Failure::internal(format!("the emulator failed: {error}")).into_response(),
    };
    if head {
        *response.body_mut() = Body::empty();
    }
    response
}

async fn handle(call: Call, segments: &[&str]) -> Result<Reply, Failure> {
    let method = call.method.clone();
    match (method.as_str(), segments) {
        ("GET", [""]) => Reply::of(&["/1.0"]),
        (_, ["1.0", "storage-pools", rest @ ..]) => pools(call, method.as_str(), rest).await,
        ("GET", ["1.0"]) => api::server::get(&call),
        (_, ["1.0", "operations", rest @ ..]) => operations(call, method.as_str(), rest).await,
        ("GET", ["1.0", "events"]) => api::events::listen(call),
        (_, [""] | ["1.0"] | ["1.0", "events"]) => Err(not_implemented()),
        _ => Err(no_route()),
    }
}

async fn operations(call: Call, method: &str, rest: &[&str]) -> Result<Reply, Failure> {
    match (method, rest) {
        ("GET", []) => api::operations::list(&call),
        ("GET", [id]) => api::operations::get(&call, id),
        ("DELETE", [id]) => api::operations::cancel(&call, id),
        ("GET", [id, "wait"]) => api::operations::wait(&call, id).await,
        (_, [] | [_] | [_, "wait"]) => Err(not_implemented()),
        _ => Err(no_route()),
    }
}

async fn pools(call: Call, method: &str, rest: &[&str]) -> Result<Reply, Failure> {
    match (method, rest) {
        ("GET", []) => api::pools::list(&call),
        ("POST", []) => api::pools::create(call).await,
        ("GET", [pool]) => api::pools::get(&call, pool),
        ("PUT" | "PATCH", [pool]) => api::pools::update(call, pool).await,
        ("DELETE", [pool]) => api::pools::delete(call, pool).await,
        ("GET", [pool, "resources"]) => api::pools::resources(&call, pool),
        (_, [pool, "volumes", rest @ ..]) => volumes(call, method, pool, rest).await,
        (_, [] | [_] | [_, "resources"]) => Err(not_implemented()),
        _ => Err(no_route()),
    }
}

async fn volumes(call: Call, method: &str, pool: &str, rest: &[&str]) -> Result<Reply, Failure> {
    match (method, rest) {
        ("GET", []) => api::volumes::list(&call, pool, None),
        ("GET", [kind]) => api::volumes::list(&call, pool, Some(kind)),
        ("POST", []) => api::volume_create::create(call, pool, None).await,
        ("POST", [kind]) => api::volume_create::create(call, pool, Some(kind)).await,
        ("GET", [kind, name]) => api::volumes::get(&call, pool, kind, name),
        ("PUT", [kind, name]) => api::volume_change::put(call, pool, kind, name).await,
        ("PATCH", [kind, name]) => api::volume_change::patch(call, pool, kind, name).await,
        ("POST", [kind, name]) => api::volume_change::post(call, pool, kind, name).await,
        ("DELETE", [kind, name]) => api::volume_change::delete(call, pool, kind, name).await,
        (_, [] | [_] | [_, _]) => Err(not_implemented()),
        _ => Err(no_route()),
    }
}

fn no_route() -> Failure {
    Failure::not_found("not found")
}

fn not_implemented() -> Failure {
    Failure::new(501, "not implemented")
}
