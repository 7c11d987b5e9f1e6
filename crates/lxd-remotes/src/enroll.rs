//! Asking a server to trust this client.

use std::sync::Arc;

use lxd_storage::{Client, transport::http::Method, types::Server};
use serde_json::{Value, json};

use crate::{Error, ErrorKind, JoinToken, connect::Source};

/// Why the server should trust us.
pub(crate) enum Credential {
    Token(JoinToken),
    Password(String),
    /// It does already.
    None,
    /// Whoever has such tokens is trusted.
    Tokens(Source),
}

impl Credential {
    /// How the remote's clients show who they are, by the word of config files.
    pub(crate) fn auth_type(&self) -> &'static str {
        if matches!(self, Self::Tokens(_)) { "oidc" } else { "tls" }
    }
}

/// Makes the server behind this client trust it, and gives what the server then says of itself.
///
/// The certificate is not in the request: the server takes the one of the connection, which proves that we have its key.
pub(crate) async fn enroll(client: &Client, credential: &Credential) -> Result<Arc<Server>, Error> {
    let server = client.refresh_server().await.map_err(|error| {
        let refused = error.is_forbidden() && matches!(credential, Credential::Tokens(_));
        let kind = if refused { ErrorKind::Refused } else { ErrorKind::Server };
        Error::new(kind, error.to_string()).with_source(error)
    })?;
    // A token would be used up for nothing.
    if server.is_trusted() {
        return Ok(server);
    }
    let body = match credential {
        Credential::None => {
            let message =
                "it doesn't trust this folder's client.crt; add that on the server, or join with a token";
            return Err(Error::new(ErrorKind::Refused, message));
        }
        Credential::Tokens(_) => {
            let methods = server.auth_methods.join(", ");
            let message =
                format!("it doesn't trust the bearer token; its ways to authenticate are {methods}");
            return Err(Error::new(ErrorKind::Refused, message));
        }
        Credential::Password(password) => json!({ "type": "client", "password": password }),
        Credential::Token(token) => {
            by_token(token.reveal(), server.api_extensions.has("explicit_trust_token"))
        }
    };
    let sent = client.request(Method::POST, "/1.0/certificates").json(&body).change().await;
    sent.map_err(|error| {
        let refused = matches!(error.code(), Some(400..=404));
        trouble(if refused { ErrorKind::Refused } else { ErrorKind::Server }, error)
    })?;
    let server = client.refresh_server().await.map_err(|error| trouble(ErrorKind::Server, error))?;
    if server.is_trusted() {
        return Ok(server);
    }
    Err(Error::new(ErrorKind::Refused, "it took the request and still doesn't trust this client"))
}

fn by_token(token: &str, explicit: bool) -> Value {
    let mut body = json!({ "type": "client", "trust_token": token });
    // LXD 5.0 wants the token as the password, and the newest LXD refuses whatever comes as one. Incus ignores it, and
    // doesn't tell strangers that it is Incus.
    if !explicit && let Some(fields) = body.as_object_mut() {
        fields.insert("password".to_owned(), token.into());
    }
    body
}

fn trouble(kind: ErrorKind, error: lxd_storage::Error) -> Error {
    let hint = match kind {
        ErrorKind::Refused => {
            "; a token is good for one client and for some time only, so ask for another one"
        }
        _ => "",
    };
    Error::new(kind, format!("{error}{hint}")).with_source(error)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_servers_get_no_password() {
        assert_eq!(by_token("t", true), json!({ "type": "client", "trust_token": "t" }));
        assert_eq!(by_token("t", false), json!({ "type": "client", "trust_token": "t", "password": "t" }));
    }
}
