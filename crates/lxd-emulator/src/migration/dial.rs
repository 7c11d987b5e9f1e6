//! Coming to the websockets that another server offers.

use crate::failure::Failure;

use super::Wires;

/// Where to come, and by what one is let in.
#[cfg_attr(not(feature = "tls"), expect(dead_code, reason = "servers meet over TLS only"))]
pub(crate) struct Invitation {
    /// The URL of the operation there.
    pub(crate) operation: String,
    pub(crate) control: String,
    pub(crate) content: String,
    /// The server's certificate, in PEM.
    pub(crate) certificate: String,
}

impl Invitation {
    /// Out of what a client says of the other server.
    pub(crate) fn parse(fields: &crate::decode::Fields, secrets: &str) -> Result<Self, Failure> {
        let mut secrets = fields.config(secrets)?.unwrap_or_default();
        let mut secret = |name: &str| {
            secrets.remove(name).ok_or_else(|| Failure::internal(format!("Missing {name} secret")))
        };
        Ok(Self {
            control: secret(super::offer::CONTROL)?,
            content: secret(super::offer::CONTENT)?,
            operation: fields.text("operation")?,
            certificate: fields.text("certificate")?,
        })
    }
}

#[cfg(not(feature = "tls"))]
pub(crate) async fn dial(_: &Invitation) -> Result<Wires, Failure> {
    Err(Failure::internal("this emulator was built without TLS, by which servers meet"))
}

/// Comes to both websockets.
#[cfg(feature = "tls")]
pub(crate) async fn dial(invitation: &Invitation) -> Result<Wires, Failure> {
    use lxd_transport::{HttpTransport, ServerTrust, Tls};

    let unusable = || Failure::internal("Invalid certificate");
    let trust = ServerTrust::certificate(invitation.certificate.as_bytes()).map_err(|_| unusable())?;
    let url = &invitation.operation;
    let at = url.find("/1.0/").ok_or_else(|| Failure::internal(format!("{url:?} is no operation")))?;
    let (base, path) = url.split_at(at);
    let said = |error: lxd_transport::Error| Failure::internal(format!("Failed to connect: {error}"));
    let tls = Tls::builder(base).trust(trust).build().map_err(said)?;
    let transport = HttpTransport::new(tls);
    let control = open(&transport, path, &invitation.control).await?;
    let content = open(&transport, path, &invitation.content).await?;
    Ok(Wires::new(control, content))
}

#[cfg(feature = "tls")]
async fn open(
    transport: &lxd_transport::HttpTransport,
    operation: &str,
    secret: &str,
) -> Result<crate::upgrade::Socket, Failure> {
    use http::{Request, header};
    use lxd_transport::{Body, Io, Transport as _, upgrade};

    let said = |error: &dyn std::fmt::Display| Failure::internal(format!("Failed to connect: {error}"));
    let request =
        Request::get(format!("{operation}/websocket?secret={}", crate::route::query_escaped(secret)))
            .header(header::CONNECTION, "Upgrade")
            .header(header::UPGRADE, "websocket")
            .header(header::SEC_WEBSOCKET_VERSION, "13")
            .header(header::SEC_WEBSOCKET_KEY, base64_nonce())
            .body(Body::empty())
            .map_err(|error| said(&error))?;
    let response = transport.send(request).await.map_err(|error| said(&error))?;
    let connection = upgrade(response).await.map_err(|error| said(&error))?;
    let connection: Box<dyn Io> = Box::new(connection);
    Ok(tokio_websockets::ClientBuilder::new().take_over(connection))
}

/// Sixteen random bytes in base64, as handshakes have them.
#[cfg(feature = "tls")]
fn base64_nonce() -> String {
    use base64::Engine as _;

    base64::engine::general_purpose::STANDARD.encode(fastrand::u128(..).to_le_bytes())
}
