//! Carrying out what the rules of [`faults`](crate::faults) say.

use std::{fmt, io, sync::Arc};

use bytes::Bytes;
use futures_util::stream;
use http::{HeaderValue, Request, Response, header};
use lxd_transport::Body;

use crate::{
    Emulator,
    call::{Caller, drain},
    core::Core,
    failure::Failure,
    faults::What,
    service,
};

/// There is no answer: the connection breaks.
#[derive(Debug)]
pub(crate) struct Broken;

impl fmt::Display for Broken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the connection broke on purpose")
    }
}

impl std::error::Error for Broken {}

/// Answers a request, unless a rule has it otherwise.
pub(crate) async fn answer(
    core: &Arc<Core>,
    mut request: Request<Body>,
    caller: Caller,
) -> Result<Response<Body>, Broken> {
    let Some(rule) = core.faults.strike(request.method(), request.uri().path()) else {
        return Ok(service::answer(core, request, caller).await);
    };
    match &rule.fault.what {
        What::Delay(time) => tokio::time::sleep(*time).await,
        What::Deed(deed) => deed(Emulator { core: Arc::clone(core) }).await,
        What::Operation(how) => {
            request.extensions_mut().insert(how.clone());
        }
        What::Answer { status, text, unread } => {
            if !unread {
                drain(request.into_body()).await;
            }
            return Ok(Failure::new(status.as_u16(), text).into_response());
        }
        _ => {}
    }
    let mut response = service::answer(core, request, caller).await;
    match &rule.fault.what {
        What::Stall => std::future::pending().await,
        What::Cut => Err(Broken),
        What::ContentType(value) => {
            if let Ok(value) = HeaderValue::try_from(value) {
                response.headers_mut().insert(header::CONTENT_TYPE, value);
            }
            Ok(response)
        }
        What::Garbage => {
            Ok(response.map(|_| Body::from(r#"{"type":"sync","status_code":200,"metadata":[{"#)))
        }
        What::Endless => Ok(response.map(|_| endless())),
        What::StallAfter(bytes) => Ok(response.map(|body| first(body, *bytes, false))),
        What::CutAfter(bytes) => Ok(response.map(|body| first(body, *bytes, true))),
        _ => Ok(response),
    }
}

/// Spaces without end, which JSON would allow.
fn endless() -> Body {
    let spaces = Bytes::from(vec![b' '; 64 << 10]);
    Body::from_stream(stream::repeat_with(move || Ok::<_, io::Error>(spaces.clone())))
}

/// The first bytes of a body whose whole length is told; after them it breaks, or nothing more comes.
fn first(body: Body, bytes: u64, breaks: bool) -> Body {
    let length = body.length();
    let chunks = stream::unfold((body, bytes), move |(mut body, left)| async move {
        if left == 0 {
            if breaks {
                return Some((Err(io::Error::other(Broken)), (body, left)));
            }
            return std::future::pending().await;
        }
        let mut chunk = match body.chunk().await? {
            Ok(chunk) => chunk,
            Err(error) => return Some((Err(io::Error::other(error)), (body, left))),
        };
        chunk.truncate(usize::try_from(left).unwrap_or(usize::MAX));
        let left = left - chunk.len() as u64;
        Some((Ok(chunk), (body, left)))
    });
    match length {
        Some(length) => Body::from_sized_stream(length, Box::pin(chunks)),
        None => Body::from_stream(Box::pin(chunks)),
    }
}
