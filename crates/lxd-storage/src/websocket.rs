//! Websockets over whatever transport the client has, and so under the same trust as all else.

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, StatusCode, Uri, header};
use lxd_transport::{Upgraded, upgrade};
use tokio_websockets::{ClientBuilder, WebSocketStream};

use crate::{Client, Error, ErrorKind, route::Route};

/// The nonce of RFC 6455's own example and the answer to it. Nonces keep caches from answering in a server's place; a
/// connection to a daemon has none, and whoever answers like this speaks the protocol.
const NONCE: HeaderValue = HeaderValue::from_static("dGhlIHNhbXBsZSBub25jZQ==");
const NONCE_ANSWER: &[u8] = b"s3pPLMBiTxaQ9kYGzzhZRbK+xOo=";

pub(crate) type Socket = WebSocketStream<Upgraded>;

/// Opens a websocket.
pub(crate) async fn open(client: &Client, route: Route) -> Result<Socket, Error> {
    let uri = route.uri()?;
    open_as(client, &uri, uri.clone()).await
}

/// Opens a websocket of an operation, which its secret opens to anybody.
pub(crate) async fn open_with_secret(
    client: &Client,
    operation: &str,
    secret: &str,
) -> Result<Socket, Error> {
    let route = Route::new("/1.0/operations").name("operation", operation)?.literal("websocket");
    let shown = route.clone().uri()?;
    open_as(client, &route.query("secret", secret).uri()?, shown).await
}

/// What goes out is `full`; errors show `shown`.
async fn open_as(client: &Client, full: &Uri, shown: Uri) -> Result<Socket, Error> {
    let mut headers = HeaderMap::new();
    headers.insert(header::CONNECTION, HeaderValue::from_static("Upgrade"));
    headers.insert(header::UPGRADE, HeaderValue::from_static("websocket"));
    headers.insert(header::SEC_WEBSOCKET_VERSION, HeaderValue::from_static("13"));
    headers.insert(header::SEC_WEBSOCKET_KEY, NONCE);
    let exchange = client.exchange();
    let (response, method, uri) = exchange.upgrade(full, shown, headers, exchange.limits).await?;
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

#[cfg(test)]
mod tests {
    use http::{Request, Response};
    use lxd_transport::{Body, BoxFuture, Endpoint, Transport};

    use super::*;

    /// Refuses, after noting whether the secret was there.
    struct Refusing(Endpoint);

    impl Transport for Refusing {
        fn send(
            &self,
            request: Request<Body>,
        ) -> BoxFuture<'_, Result<Response<Body>, lxd_transport::Error>> {
            assert_eq!(request.uri().query(), Some("secret=c0ffee"));
            let text = r#"{"type":"error","error_code":403,"error":"permission denied"}"#;
            let mut response = Response::new(Body::from(Bytes::from_static(text.as_bytes())));
            *response.status_mut() = StatusCode::FORBIDDEN;
            Box::pin(async { Ok(response) })
        }

        fn endpoint(&self) -> &Endpoint {
            &self.0
        }
    }

    #[tokio::test]
    async fn errors_do_not_show_the_secret() {
        let client = Client::new(Refusing(Endpoint::custom("test")));
        let error = open_with_secret(&client, "0815", "c0ffee").await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Forbidden);
        for text in [error.to_string(), format!("{error:?}")] {
            assert!(text.contains("0815") && !text.contains("c0ffee"), "{text}");
        }
    }
}
