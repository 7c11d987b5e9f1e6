//! ETags: SHA-256 over the Go-JSON of an array, and `If-Match` against them.

use http::HeaderMap;
use serde::Serialize;

use crate::{failure::Failure, gojson};

/// The ETag of what an object's recipe lists.
pub(crate) fn of(parts: &impl Serialize) -> Result<String, Failure> {
    let text = format!("{}\n", gojson::text(parts)?);
    Ok(hex(&hmac_sha256::Hash::hash(text.as_bytes())))
}

/// Refuses a request that is about another state of the object than it has. Quotes are optional; neither `*` nor lists
/// are understood by the servers.
pub(crate) fn check(headers: &HeaderMap, parts: &impl Serialize) -> Result<(), Failure> {
    let Some(wanted) = headers.get(http::header::IF_MATCH) else { return Ok(()) };
    let wanted = String::from_utf8_lossy(wanted.as_bytes()).into_owned();
    let wanted = wanted.trim_matches('"');
    let etag = of(parts)?;
    if wanted.is_empty() || wanted == etag {
        return Ok(());
    }
    Err(Failure::new(412, format!("ETag doesn't match: {etag} vs {wanted}")))
}

pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::of;
    use crate::config::config;

    /// The value that LXD 5.0.2 and Incus 6.0.4 both answered.
    #[test]
    fn a_volumes_etag_is_the_live_servers() {
        let etag = of(&("v1", "custom", config([("user.a", "1")]))).unwrap();
        assert_eq!(etag, "06f2425b914e4621e041dea1e1c4944fa2c5a4350045ff947259553aec6ff241");
    }
}
