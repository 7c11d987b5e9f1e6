//! The way in without a socket: a transport that calls the service itself.

use std::sync::Arc;

use http::{Request, Response};
use lxd_transport::{Body, BoxFuture, Endpoint, Error, ErrorKind, Io, OnUpgrade, Reached, Transport};

use crate::{call::Caller, core::Core, misbehaving, upgrade::Takeover};

/// How much an upgraded connection holds before its writer waits.
const PIPE: usize = 64 << 10;

/// A transport to an [`Emulator`](crate::Emulator) in the same process.
#[derive(Clone, Debug)]
pub struct InProcess {
    core: Arc<Core>,
    endpoint: Endpoint,
}

impl InProcess {
    pub(crate) fn new(core: Arc<Core>) -> Self {
        Self { core, endpoint: Endpoint::custom("emulator") }
    }
}

impl Transport for InProcess {
    fn send(&self, mut request: Request<Body>) -> BoxFuture<'_, Result<Response<Body>, Error>> {
        Box::pin(async move {
            let takeover = Takeover::new();
            request.extensions_mut().insert(takeover.clone());
            let answered = misbehaving::answer(&self.core, request, Caller::Local).await;
            let mut response = answered.map_err(|broken| {
                Error::new(ErrorKind::Interrupted, "the connection broke before the answer came")
                    .with_reached(Reached::Maybe)
                    .with_source(broken)
            })?;
            if let Some(user) = takeover.user() {
                let (ours, theirs) = tokio::io::duplex(PIPE);
                tokio::spawn(user(Box::new(ours)));
                let theirs: Box<dyn Io> = Box::new(theirs);
                response.extensions_mut().insert(OnUpgrade::new(async { Ok(theirs) }));
            }
            Ok(response)
        })
    }

    fn endpoint(&self) -> &Endpoint {
        &self.endpoint
    }
}
