//! Connections that stop speaking HTTP after an answer.

use std::{
    fmt,
    sync::{Arc, Mutex, PoisonError},
};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use http::{HeaderMap, HeaderValue, Response, StatusCode, header};
use lxd_transport::{Body, BoxFuture, Io};
use tokio_websockets::{ServerBuilder, WebSocketStream};

use crate::failure::Failure;

/// A websocket of a listener.
pub(crate) type Socket = WebSocketStream<Box<dyn Io>>;

type User = Box<dyn FnOnce(Box<dyn Io>) -> BoxFuture<'static, ()> + Send>;

/// The promise of a raw connection, in the extensions of a request. Whoever brought the request serves it.
#[derive(Clone)]
pub(crate) struct Takeover(Arc<Mutex<Option<User>>>);

impl Takeover {
    pub(crate) fn new() -> Self {
        Self(Arc::new(Mutex::new(None)))
    }

    /// What is to be done with the connection once the answer went out; `None` where nobody wants it.
    pub(crate) fn user(&self) -> Option<User> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    fn set(&self, user: User) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(user);
    }
}

impl fmt::Debug for Takeover {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Takeover")
    }
}

/// Whether a request asks for a websocket.
pub(crate) fn is_websocket(headers: &HeaderMap) -> bool {
    let names = |name: header::HeaderName, word: &str| {
        headers
            .get_all(name)
            .iter()
            .filter_map(|value| value.to_str().ok())
            .any(|value| value.split(',').any(|one| one.trim().eq_ignore_ascii_case(word)))
    };
    names(header::CONNECTION, "upgrade")
        && names(header::UPGRADE, "websocket")
        && headers.contains_key(header::SEC_WEBSOCKET_KEY)
}

/// Answers the handshake of a websocket, and says what is then done with it.
pub(crate) fn websocket<W>(
    headers: &HeaderMap,
    takeover: Option<Takeover>,
    user: impl FnOnce(Socket) -> W + Send + 'static,
) -> Result<Response<Body>, Failure>
where
    W: Future<Output = ()> + Send + 'static,
{
    let (Some(key), Some(takeover), true) =
        (headers.get(header::SEC_WEBSOCKET_KEY), takeover, is_websocket(headers))
    else {
        return Ok(refused());
    };
    let mut hash = sha1_smol::Sha1::new();
    hash.update(key.as_bytes());
    hash.update(b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11");
    let accept = HeaderValue::from_str(&STANDARD.encode(hash.digest().bytes()))
        .map_err(|error| Failure::internal(error.to_string()))?;
    takeover.set(Box::new(move |io| Box::pin(async move { user(ServerBuilder::new().serve(io)).await })));
    let mut response = Response::new(Body::empty());
    *response.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
    let headers = response.headers_mut();
    headers.insert(header::UPGRADE, HeaderValue::from_static("websocket"));
    headers.insert(header::CONNECTION, HeaderValue::from_static("Upgrade"));
    headers.insert(header::SEC_WEBSOCKET_ACCEPT, accept);
    Ok(response)
}

/// What is no handshake is refused as text and not as an envelope.
fn refused() -> Response<Body> {
    let mut response = Response::new(Body::from("Bad Request\n"));
    *response.status_mut() = StatusCode::BAD_REQUEST;
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=utf-8"));
    headers.insert(header::SEC_WEBSOCKET_VERSION, HeaderValue::from_static("13"));
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    response
}
