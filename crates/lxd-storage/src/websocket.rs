//! Websockets over whatever transport the client has, and so under the same trust as all else.

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, StatusCode, header};
use lxd_transport::{Limits, Upgraded, upgrade};
use tokio_websockets::{ClientBuilder, WebSocketStream};

use crate::{Client, Error, ErrorKind, route::Route};

/// The nonce of RFC 6455's own example and the answer to it. Nonces keep caches from answering in a server's place; a
/// connection to a daemon has none, and whoever answers like this speaks the protocol.
const NONCE: HeaderValue = HeaderValue::from_static("dGhlIHNhbXBsZSBub25jZQ==");
const NONCE_ANSWER: &[u8] = b"s3pPLMBiTxaQ9kYGzzhZRbK+xOo=";

pub(crate) type Socket = WebSocketStream<Upgraded>;

/// Opens a websocket.
pub(crate) async fn open(client: &Client, route: Route) -> Result<Socket, Error> {
    let mut headers = HeaderMap::new();
    headers.insert(header::CONNECTION, HeaderValue::from_static("Upgrade"));
    headers.insert(header::UPGRADE, HeaderValue::from_static("websocket"));
    headers.insert(header::SEC_WEBSOCKET_VERSION, HeaderValue::from_static("13"));
    headers.insert(header::SEC_WEBSOCKET_KEY, NONCE);
    let (response, method, uri) = client.exchange().upgrade(route.uri()?, headers, Limits::METADATA).await?;
    let accepted = response.status() == StatusCode::SWITCHING_PROTOCOLS
        && response.headers().get(header::SEC_WEBSOCKET_ACCEPT).is_some_and(|value| value == NONCE_ANSWER);
    if !accepted {
        let message = "the answer to a websocket's handshake is not one";
        return Err(Error::new(ErrorKind::Decode, message).with_request(&method, &uri));
    }
    let connection =
        upgrade(response).await.map_err(|error| Error::from(error).with_request(&method, &uri))?;
    Ok(ClientBuilder::new().take_over(connection))
}

/// One message's bytes.
pub(crate) fn bytes_of(message: tokio_websockets::Message) -> Bytes {
    message.into_payload().into()
}
