//! ETags: which version of an object was read.

use std::fmt;

use http::HeaderValue;
use lxd_types::StoragePool;

/// Which version of an object was read. Sent back as `If-Match`, it lets the server refuse a write that would undo
/// somebody else's.
///
/// The ETag of a pool covers its configuration, and its description from LXD 5.0.3 and in Incus; the ETag of a volume
/// covers its configuration alone.
#[derive(Clone, PartialEq, Eq)]
pub struct ETag(HeaderValue);

impl ETag {
    pub(crate) fn from_header(value: &HeaderValue) -> Self {
        Self(value.clone())
    }

    pub(crate) fn header(&self) -> HeaderValue {
        self.0.clone()
    }

    /// The ETag that LXD up to 5.0.2 checks for a pool and never sends: the SHA-256 of Go's JSON of name, driver and
    /// config.
    pub(crate) fn of_pool(pool: &StoragePool) -> Option<Self> {
        let mut text = String::from("[");
        push_go_string(&mut text, &pool.name);
        text.push(',');
        push_go_string(&mut text, &pool.driver);
        text.push_str(",{");
        for (index, (key, value)) in pool.config.iter().enumerate() {
            if index > 0 {
                text.push(',');
            }
            push_go_string(&mut text, key);
            text.push(':');
            push_go_string(&mut text, value);
        }
        text.push_str("}]\n");
        let hash = hmac_sha256::Hash::hash(text.as_bytes());
        let hex: String = hash.iter().map(|byte| format!("{byte:02x}")).collect();
        HeaderValue::try_from(hex).ok().map(Self)
    }
}

impl fmt::Display for ETag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.0.to_str().unwrap_or("?"))
    }
}

impl fmt::Debug for ETag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ETag({self})")
    }
}

/// Writes a JSON string byte for byte as Go's encoder does, which also escapes what HTML would read.
fn push_go_string(into: &mut String, text: &str) {
    into.push('"');
    for c in text.chars() {
        match c {
            '"' => into.push_str("\\\""),
            '\\' => into.push_str("\\\\"),
            '\n' => into.push_str("\\n"),
            '\r' => into.push_str("\\r"),
            '\t' => into.push_str("\\t"),
            '<' | '>' | '&' | '\u{2028}' | '\u{2029}' | '\u{0}'..='\u{1f}' => {
                into.push_str(&format!("\\u{:04x}", u32::from(c)))
            }
            other => into.push(other),
        }
    }
    into.push('"');
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn strings_come_out_as_go_writes_them() {
        let mut text = String::new();
        push_go_string(&mut text, "a\"\\<&>\n\u{1}\u{2028}é");
        assert_eq!(text, r#""a\"\\\u003c\u0026\u003e\n\u0001\u2028é""#);
    }

    #[test]
    fn the_hash_is_of_name_driver_and_config() {
        let pool: StoragePool =
            serde_json::from_str(r#"{"name":"p","driver":"dir","description":"not covered"}"#).unwrap();
        // printf '["p","dir",{}]\n' | sha256sum
        let known = "dbb029152a923080136e606ca49e0f7d123897b53f1b66c86e21506faef9c564";
        assert_eq!(ETag::of_pool(&pool).unwrap().to_string(), known);
    }
}
