//! One connection, served by hyper to its end.

use std::sync::Arc;

use http::{Request, Response};
use hyper::body::Incoming;
use hyper_util::rt::{TokioIo, TokioTimer};
use lxd_transport::{Body, Io};
use tokio::io::{AsyncRead, AsyncWrite};

use crate::{
    call::Caller,
    core::Core,
    misbehaving::{self, Broken},
    upgrade::Takeover,
};

/// Serves HTTP on a stream.
pub(crate) async fn connection(
    stream: impl AsyncRead + AsyncWrite + Send + Unpin + 'static,
    core: Arc<Core>,
    caller: Caller,
) {
    let cut = core.faults.next_cut();
    let service = hyper::service::service_fn(|request: Request<Incoming>| {
        let (core, caller) = (Arc::clone(&core), caller.clone());
        async move { respond(&core, request, caller).await }
    });
    let serving = hyper::server::conn::http1::Builder::new()
        .title_case_headers(true)
        .timer(TokioTimer::new())
        // From the end of one answer to the head of the next request.
        .header_read_timeout(core.idle_timeout)
        .serve_connection(TokioIo::new(stream), service)
        .with_upgrades();
    tokio::select! {
        // What breaks a connection is the client's affair.
        _ = serving => {}
        () = cut => {}
    }
}

async fn respond(
    core: &Arc<Core>,
    mut request: Request<Incoming>,
    caller: Caller,
) -> Result<Response<Body>, Broken> {
    let upgrade = hyper::upgrade::on(&mut request);
    let takeover = Takeover::new();
    let mut request = request.map(Body::new);
    request.extensions_mut().insert(takeover.clone());
    let response = misbehaving::answer(core, request, caller).await?;
    if let Some(user) = takeover.user() {
        tokio::spawn(async move {
            if let Ok(upgraded) = upgrade.await {
                let io: Box<dyn Io> = Box::new(TokioIo::new(upgraded));
                user(io).await;
            }
        });
    }
    Ok(response)
}
