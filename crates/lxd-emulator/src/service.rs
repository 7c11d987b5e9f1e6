//! One request to one answer: routing, and what is said where nothing fits.

use std::sync::Arc;

use http::{Method, Request, Response};
use lxd_transport::Body;
use tokio::task::AbortHandle;

use crate::{
    api,
    call::{Call, Caller},
    core::Core,
    envelope::Reply,
    failure::Failure,
    maintenance,
};

/// Stops the reading for somebody who has gone: a long poll would keep the whole server.
struct Reading(AbortHandle);

impl Drop for Reading {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// Answers a request. What it changes goes on when nobody waits for the answer any longer, as on a real server.
pub(crate) async fn answer(core: &Arc<Core>, request: Request<Body>, caller: Caller) -> Response<Body> {
    let head = request.method() == Method::HEAD;
    let (call, segments) = Call::new(Arc::clone(core), request, caller);
    let body = call.body();
    let maintained = Arc::clone(core);
    // It reports to nobody, and is not for one request alone.
    let _ = tokio::spawn(async move { maintenance::run_if_due(&maintained).await }).await;
    let reads = call.method == Method::GET;
    let handled = tokio::spawn(async move {
        let segments: Vec<&str> = segments.iter().map(String::as_str).collect();
        handle(call, &segments).await
    });
    let _reading = reads.then(|| Reading(handled.abort_handle()));
    let handled = handled.await;
    body.drain().await;
    let mut response = match handled {
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
    call.check_trust(segments)?;
    match (method.as_str(), segments) {
        ("OPTIONS", _) => Ok(Reply::Raw(Response::new(Body::empty()))),
        (_, [""]) => Reply::of(&["/1.0"]),
        (_, ["1.0", "storage-pools", rest @ ..]) => pools(call, method.as_str(), rest).await,
        ("GET", ["1.0", "storage-volumes"]) if call.core.has("storage_volumes_all") => {
            api::volumes::list_all(&call, None)
        }
        ("GET", ["1.0", "storage-volumes", kind]) if call.core.has("storage_volumes_all") => {
            api::volumes::list_all(&call, Some(kind))
        }
        ("GET", ["1.0"]) => api::server::get(&call),
        ("PUT" | "PATCH", ["1.0"]) => api::server_config::update(call).await,
        (
            _,
            [
                "1.0",
                area @ ("certificates" | "projects" | "profiles" | "instances" | "images" | "cluster"),
                rest @ ..,
            ],
        ) => others(call, method.as_str(), area, rest).await,
        (_, ["1.0", "operations", rest @ ..]) => operations(call, method.as_str(), rest).await,
        ("GET", ["1.0", "events"]) => api::events::listen(call),
        (_, ["1.0"] | ["1.0", "events"]) => Err(not_implemented()),
        _ => Err(no_route()),
    }
}

async fn others(call: Call, method: &str, area: &str, rest: &[&str]) -> Result<Reply, Failure> {
    match (area, method, rest) {
        ("certificates", "GET", []) => api::certificates::list(&call),
        ("certificates", "POST", []) => api::certificates::create(call).await,
        ("certificates", "GET", [print]) => api::certificates::get(&call, print),
        ("certificates", "PUT" | "PATCH", [print]) => api::certificates::update(call, print).await,
        ("certificates", "DELETE", [print]) => api::certificates::delete(&call, print),
        ("projects", "GET", []) => api::projects::list(&call),
        ("projects", "POST", []) => api::projects::create(call).await,
        ("projects", "GET", [name]) => api::projects::get(&call, name),
        ("projects", "PUT" | "PATCH", [name]) => api::projects::update(call, name).await,
        ("projects", "POST", [name]) => api::projects::rename(call, name).await,
        ("projects", "DELETE", [name]) => api::projects::delete(&call, name),
        ("profiles", "GET", []) => api::profiles::list(&call),
        ("profiles", "POST", []) => api::profiles::create(call).await,
        ("profiles", "GET", [name]) => api::profiles::get(&call, name),
        ("profiles", "PUT" | "PATCH", [name]) => api::profiles::update(call, name).await,
        ("profiles", "DELETE", [name]) => api::profiles::delete(&call, name),
        ("instances", "GET", []) => api::instances::list(&call),
        ("instances", "POST", []) => api::instances::create(call).await,
        ("instances", "GET", [name]) => api::instances::get(&call, name),
        ("instances", "PUT" | "PATCH", [name]) => api::instance_change::update(call, name).await,
        ("instances", "DELETE", [name]) => api::instance_change::delete(&call, name),
        ("images", "GET", []) => api::images::list(&call),
        ("images", "POST", []) => api::images::create(call).await,
        ("images", "GET", [print]) => api::images::get(&call, print),
        ("images", "DELETE", [print]) => api::images::delete(&call, print),
        ("cluster", "GET", []) => api::cluster::get(&call),
        ("cluster", "GET", ["members"]) => api::cluster::members(&call),
        ("cluster", "GET", ["members", name]) => api::cluster::member(&call, name),
        ("cluster", "GET", ["members", name, "state"]) if call.core.has("cluster_member_state") => {
            api::cluster::state(&call, name)
        }
        (_, _, [] | [_]) | ("cluster", _, ["members", _] | ["members", _, "state"]) => Err(not_implemented()),
        _ => Err(no_route()),
    }
}

async fn operations(call: Call, method: &str, rest: &[&str]) -> Result<Reply, Failure> {
    match (method, rest) {
        ("GET", []) => api::operations::list(&call),
        ("GET", [id]) => api::operations::get(&call, id),
        ("DELETE", [id]) => api::operations::cancel(&call, id).await,
        ("GET", [id, "wait"]) => api::operations::wait(&call, id).await,
        ("GET", [id, "websocket"]) => api::operations::connect(&call, id),
        (_, [] | [_] | [_, "wait" | "websocket"]) => Err(not_implemented()),
        _ => Err(no_route()),
    }
}

async fn pools(call: Call, method: &str, rest: &[&str]) -> Result<Reply, Failure> {
    match (method, rest) {
        ("GET", []) => api::pools::list(&call),
        ("POST", []) => api::pool_create::create(call).await,
        ("GET", [pool]) => api::pools::get(&call, pool),
        ("PUT" | "PATCH", [pool]) => api::pools::update(call, pool).await,
        ("DELETE", [pool]) => api::pools::delete(call, pool).await,
        ("GET", [pool, "resources"]) => api::pools::resources(&call, pool),
        (_, [pool, "volumes", rest @ ..]) => volumes(call, method, pool, rest).await,
        (_, [pool, "buckets", rest @ ..]) if call.core.has("storage_buckets") => {
            buckets(call, method, pool, rest).await
        }
        (_, [] | [_] | [_, "resources"]) => Err(not_implemented()),
        _ => Err(no_route()),
    }
}

async fn volumes(call: Call, method: &str, pool: &str, rest: &[&str]) -> Result<Reply, Failure> {
    match (method, rest) {
        ("GET", []) => api::volumes::list(&call, pool, None),
        ("GET", [kind]) => api::volumes::list(&call, pool, Some(kind)),
        ("POST", []) if api::import::is_upload(&call, false) => api::import::create(call, pool).await,
        ("POST", [_]) if api::import::is_upload(&call, true) => api::import::create(call, pool).await,
        ("POST", []) => api::volume_create::create(call, pool, None).await,
        ("POST", [kind]) => api::volume_create::create(call, pool, Some(kind)).await,
        ("GET", [kind, name]) => api::volumes::get(&call, pool, kind, name),
        ("PUT", [kind, name]) => api::volume_change::put(call, pool, kind, name).await,
        ("PATCH", [kind, name]) => api::volume_change::patch(call, pool, kind, name).await,
        ("POST", [kind, name]) => api::volume_move::post(call, pool, kind, name).await,
        ("DELETE", [kind, name]) => api::volume_change::delete(call, pool, kind, name).await,
        (_, [kind, name, "snapshots", rest @ ..]) => {
            let volume = (pool, *kind, *name);
            snapshots(call, method, volume, rest).await
        }
        ("GET", [kind, name, "backups"]) => api::backups::list(&call, pool, kind, name),
        ("POST", [kind, name, "backups"]) => api::backups::create(call, pool, kind, name).await,
        ("GET", [kind, name, "backups", backup]) => api::backups::get(&call, pool, kind, name, backup),
        ("POST", [kind, name, "backups", backup]) => {
            api::backups::rename(call, pool, kind, name, backup).await
        }
        ("DELETE", [kind, name, "backups", backup]) => api::backups::delete(&call, pool, kind, name, backup),
        ("GET", [kind, name, "backups", backup, "export"]) => {
            api::export::get(call, pool, kind, name, backup).await
        }
        ("GET", [kind, name, "state"]) => api::volume_state::get(&call, pool, kind, name),
        (
            _,
            []
            | [_]
            | [_, _]
            | [_, _, "state" | "backups"]
            | [_, _, "backups", _]
            | [_, _, "backups", _, "export"],
        ) => Err(not_implemented()),
        _ => Err(no_route()),
    }
}

async fn buckets(call: Call, method: &str, pool: &str, rest: &[&str]) -> Result<Reply, Failure> {
    match (method, rest) {
        ("GET", []) => api::buckets::list(&call, pool),
        ("POST", []) if call.core.has("storage_bucket_backup") && api::import::is_upload(&call, true) => {
            api::bucket_import::create(call, pool).await
        }
        ("POST", []) => api::buckets::create(call, pool).await,
        ("GET", [name]) => api::buckets::get(&call, pool, name),
        ("PUT" | "PATCH", [name]) => api::buckets::update(call, pool, name).await,
        ("DELETE", [name]) => api::buckets::delete(call, pool, name).await,
        ("GET", [name, "keys"]) => api::bucket_keys::list(&call, pool, name),
        ("POST", [name, "keys"]) => api::bucket_keys::create(call, pool, name).await,
        ("GET", [name, "keys", key]) => api::bucket_keys::get(&call, pool, name, key),
        ("PUT", [name, "keys", key]) => api::bucket_keys::update(call, pool, name, key).await,
        ("DELETE", [name, "keys", key]) => api::bucket_keys::delete(call, pool, name, key).await,
        (_, [name, "backups", rest @ ..]) if call.core.has("storage_bucket_backup") => {
            bucket_backups(call, method, pool, name, rest).await
        }
        (_, [] | [_] | [_, "keys"] | [_, "keys", _]) => Err(not_implemented()),
        _ => Err(no_route()),
    }
}

async fn bucket_backups(
    call: Call,
    method: &str,
    pool: &str,
    name: &str,
    rest: &[&str],
) -> Result<Reply, Failure> {
    match (method, rest) {
        // Incus 6.0 took the one for the other until 6.0.5.
        ("GET", []) => api::buckets::get(&call, pool, name),
        ("POST", []) => api::bucket_backups::create(call, pool, name).await,
        ("GET", [backup]) => api::bucket_backups::get(&call, pool, name, backup),
        ("POST", [backup]) => api::bucket_backups::rename(call, pool, name, backup).await,
        ("DELETE", [backup]) => api::bucket_backups::delete(&call, pool, name, backup),
        ("GET", [backup, "export"]) => api::bucket_backups::export(call, pool, name, backup).await,
        (_, [] | [_] | [_, "export"]) => Err(not_implemented()),
        _ => Err(no_route()),
    }
}

async fn snapshots(
    call: Call,
    method: &str,
    (pool, kind, name): (&str, &str, &str),
    rest: &[&str],
) -> Result<Reply, Failure> {
    match (method, rest) {
        ("GET", []) => api::snapshots::list(&call, pool, kind, name),
        ("POST", []) => api::snapshots::create(call, pool, kind, name).await,
        ("GET", [short]) => api::snapshots::get(&call, pool, kind, name, short),
        ("PUT" | "PATCH", [short]) => api::snapshot_change::update(call, pool, kind, name, short).await,
        ("POST", [short]) => api::snapshot_change::post(call, pool, kind, name, short).await,
        ("DELETE", [short]) => api::snapshot_change::delete(&call, pool, kind, name, short),
        (_, [] | [_]) => Err(not_implemented()),
        _ => Err(no_route()),
    }
}

fn no_route() -> Failure {
    Failure::not_found("not found")
}

fn not_implemented() -> Failure {
    Failure::new(501, "not implemented")
}
