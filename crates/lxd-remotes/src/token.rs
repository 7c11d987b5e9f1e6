//! Tokens that let a client become trusted by a server, once.

use std::{fmt, str::FromStr, time::SystemTime};

use base64::{
    Engine,
    alphabet::STANDARD as ALPHABET,
    engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig, general_purpose::STANDARD},
};
use lxd_storage::types::Timestamp;
use serde_json::{Value, json};

use crate::{Error, ErrorKind};

/// Tokens are copied by hand, and the padding is what gets lost.
const LENIENT: GeneralPurpose = GeneralPurpose::new(
    &ALPHABET,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

const HOW_TO_GET_ONE: &str =
    "make one on the server with `lxc config trust add --name NAME` or `incus config trust add NAME`";

/// A token as `lxc config trust add` and `incus config trust add` print it: who may join, which server, and a secret.
///
/// It is good for one client and, on some servers, for some time. [`Debug`](fmt::Debug) doesn't show the secret.
///
/// ```
/// use lxd_remotes::{ErrorKind, JoinToken};
///
/// let error = "not a token".parse::<JoinToken>().unwrap_err();
/// assert_eq!(error.kind(), ErrorKind::BadToken);
/// assert!(error.to_string().contains("config trust add"));
/// ```
#[derive(Clone)]
pub struct JoinToken {
    text: String,
    client_name: String,
    fingerprint: String,
    addresses: Vec<String>,
    expires_at: Option<Timestamp>,
}

impl JoinToken {
    /// The name that the client will have on the server.
    #[must_use]
    pub fn client_name(&self) -> &str {
        &self.client_name
    }

    /// The SHA-256 of the server's certificate, as hex.
    #[must_use]
    pub fn fingerprint(&self) -> &str {
        &self.fingerprint
    }

    /// `host:port` pairs where the server listens.
    #[must_use]
    pub fn addresses(&self) -> &[String] {
        &self.addresses
    }

    /// When the token ceases to be good; `None` for one that doesn't, and from servers that don't tell.
    #[must_use]
    pub fn expires_at(&self) -> Option<Timestamp> {
        self.expires_at
    }

    /// The text to hand to whoever may join. It is a secret: whoever has it first becomes a trusted client.
    #[must_use]
    pub fn reveal(&self) -> &str {
        &self.text
    }

    /// Whether the token's time is over.
    #[must_use]
    pub fn is_expired(&self) -> bool {
        self.expires_at.is_some_and(|end| SystemTime::from(end) <= SystemTime::now())
    }

    /// From the metadata of the operation that a server made for it.
    pub(crate) fn from_metadata(get: impl Fn(&str) -> Option<Value>) -> Result<Self, Error> {
        let name = get("request").and_then(|request| request.get("name").cloned());
        let content = json!({
            "client_name": name.unwrap_or_else(|| "".into()),
            "fingerprint": get("fingerprint"),
            "addresses": get("addresses"),
            "secret": get("secret"),
            // Go writes "never" like this, and wants a time here.
            "expires_at": get("expiresAt").unwrap_or_else(|| "0001-01-01T00:00:00Z".into()),
        });
        STANDARD.encode(content.to_string()).parse()
    }
}

impl FromStr for JoinToken {
    type Err = Error;

    /// # Errors
    /// [`BadToken`](ErrorKind::BadToken) for other text, which is not repeated in the error. An expired token is no
    /// error here: [`is_expired`](Self::is_expired) tells, and adding a remote refuses it.
    fn from_str(text: &str) -> Result<Self, Error> {
        let text: String = text.split_whitespace().collect();
        let bytes = LENIENT.decode(&text).map_err(|_| bad("it isn't base64"))?;
        let content: Value = serde_json::from_slice(&bytes).map_err(|_| bad("there is no JSON in it"))?;
        let field = |key: &str| content.get(key).and_then(Value::as_str).unwrap_or_default().to_owned();
        if content.get("server_name").is_some() && content.get("client_name").is_none() {
            return Err(bad("it is one for joining a cluster"));
        }
        let (secret, fingerprint) = (field("secret"), field("fingerprint").to_ascii_lowercase());
        if secret.is_empty() {
            return Err(bad("it has no secret"));
        }
        if fingerprint.len() != 64 || !fingerprint.bytes().all(|digit| digit.is_ascii_hexdigit()) {
            return Err(bad("it has no SHA-256 fingerprint of a server"));
        }
        let addresses =
            content.get("addresses").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
        let addresses: Vec<String> = addresses.iter().filter_map(Value::as_str).map(str::to_owned).collect();
        if addresses.is_empty() {
            return Err(bad("it has no address: set core.https_address on the server"));
        }
        let expires_at = match &*field("expires_at") {
            "" => None,
            time => {
                let time: Timestamp = time.parse().map_err(|_| bad("its expiry is no time"))?;
                Some(time).filter(|time| !time.is_zero())
            }
        };
        Ok(Self { text, client_name: field("client_name"), fingerprint, addresses, expires_at })
    }
}

impl fmt::Debug for JoinToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("JoinToken")
            .field("client_name", &self.client_name)
            .field("fingerprint", &self.fingerprint)
            .field("addresses", &self.addresses)
            .field("expires_at", &self.expires_at)
            .finish_non_exhaustive()
    }
}

fn bad(why: &str) -> Error {
    Error::new(ErrorKind::BadToken, format!("{why}; {HOW_TO_GET_ONE}"))
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    pub(crate) fn text(change: impl FnOnce(&mut Value)) -> String {
        let mut content = json!({
            "client_name": "me",
            "fingerprint": "AB".repeat(32),
            "addresses": ["10.0.0.7:8443", "[::1]:8443"],
            "secret": "c0ffee",
            "expires_at": "0001-01-01T00:00:00Z",
        });
        change(&mut content);
        STANDARD.encode(content.to_string())
    }

    #[test]
    fn a_token_is_read_and_shows_no_secret() {
        let text = text(|_| {});
        let token: JoinToken = text.parse().unwrap();
        assert_eq!((token.client_name(), token.fingerprint()), ("me", &*"ab".repeat(32)));
        assert_eq!(token.addresses(), ["10.0.0.7:8443", "[::1]:8443"]);
        assert_eq!((token.expires_at(), token.is_expired(), token.reveal()), (None, false, &*text));
        let shown = format!("{token:?}");
        assert!(!shown.contains("c0ffee") && !shown.contains(&text), "{shown}");
    }

    #[test]
    fn line_breaks_and_lost_padding_are_forgiven() {
        let text = text(|content| content["client_name"] = "m".into());
        let (left, right) = text.split_at(20);
        let token: JoinToken = format!("  {left}\n{}", right.trim_end_matches('=')).parse().unwrap();
        assert_eq!(token.client_name(), "m");
    }

    #[test]
    fn the_expiry_is_minded() {
        let at = |time: &str| -> JoinToken {
            text(|content| content["expires_at"] = time.into()).parse().unwrap()
        };
        assert!(at("2020-01-01T00:00:00Z").is_expired());
        assert!(!at("2900-01-01T00:00:00+02:00").is_expired());
    }

    #[test]
    fn what_is_no_token_is_refused_with_what_to_do() {
        for (text, words) in [
            (String::new(), "no JSON"),
            ("secret!".to_owned(), "base64"),
            (STANDARD.encode("secret"), "no JSON"),
            (text(|content| content["secret"] = "".into()), "no secret"),
            (text(|content| content["fingerprint"] = "ab".into()), "fingerprint"),
            (text(|content| content["addresses"] = json!([])), "core.https_address"),
            (text(|content| content["expires_at"] = "soon".into()), "no time"),
            (STANDARD.encode(r#"{"server_name":"m2","secret":"secret"}"#), "cluster"),
        ] {
            let error = text.parse::<JoinToken>().unwrap_err();
            let shown = format!("{error} {error:?}");
            assert_eq!(error.kind(), ErrorKind::BadToken);
            assert!(shown.contains(words) && shown.contains("config trust add"), "{shown}");
            assert!(!shown.contains("c0ffee") && !shown.contains("secret!"), "{shown}");
        }
    }
}
