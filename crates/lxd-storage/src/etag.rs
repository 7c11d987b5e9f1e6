//! ETags: which version of an object was read.

use std::fmt;

use http::HeaderValue;
use lxd_types::{Config, StorageBucket, StorageBucketKey, StoragePool};

/// Which version of an object was read. Sent back as `If-Match`, it lets the server refuse a write that would undo
/// somebody else's.
///
/// The ETag of a pool covers its configuration, and its description from LXD 5.0.3 and in Incus; the ETag of a volume
/// covers its configuration alone. Those of a bucket and of its keys cover all that can be changed.
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
        Self::of(&[Part::Text(&pool.name), Part::Text(&pool.driver), Part::Config(&pool.config)])
    }

    /// The ETag of a bucket, for a server that doesn't send it.
    pub(crate) fn of_bucket(bucket: &StorageBucket) -> Option<Self> {
        Self::of(&[Part::Text(&bucket.name), Part::Text(&bucket.description), Part::Config(&bucket.config)])
    }

    /// The ETag of a key of a bucket, for a server that doesn't send it.
    pub(crate) fn of_bucket_key(key: &StorageBucketKey) -> Option<Self> {
        let texts = [
            &key.name,
            &key.description,
            key.role.as_str(),
            key.access_key.expose(),
            key.secret_key.expose(),
        ];
        Self::of(&texts.map(Part::Text))
    }

    /// The SHA-256 of Go's JSON of a list.
    fn of(parts: &[Part<'_>]) -> Option<Self> {
        let mut text = String::from("[");
        for (index, part) in parts.iter().enumerate() {
            if index > 0 {
                text.push(',');
            }
            match part {
                Part::Text(part) => push_go_string(&mut text, part),
                Part::Config(config) => push_go_map(&mut text, config),
            }
        }
        text.push_str("]\n");
        let hash = hmac_sha256::Hash::hash(text.as_bytes());
        let hex: String = hash.iter().map(|byte| format!("{byte:02x}")).collect();
        HeaderValue::try_from(hex).ok().map(Self)
    }

    /// Whether both are of the same version. Servers put theirs in quotes, ours have none.
    pub(crate) fn matches(&self, other: &Self) -> bool {
        let bare = |etag: &Self| etag.0.to_str().map(|text| text.trim_matches('"').to_owned()).ok();
        self == other || (bare(self).is_some() && bare(self) == bare(other))
    }
}

/// What goes into an ETag.
enum Part<'a> {
    Text(&'a str),
    Config(&'a Config),
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

/// Writes an object of strings as Go's encoder does.
fn push_go_map(into: &mut String, config: &Config) {
    into.push('{');
    for (index, (key, value)) in config.iter().enumerate() {
        if index > 0 {
            into.push(',');
        }
        push_go_string(into, key);
        into.push(':');
        push_go_string(into, value);
    }
    into.push('}');
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

    #[test]
    fn buckets_and_keys_have_the_etags_that_incus_sends() {
        let bucket = r#"{"name":"bk1","description":"d","config":{"user.a":"1"},"s3_url":"not covered"}"#;
        let bucket = ETag::of_bucket(&serde_json::from_str(bucket).unwrap()).unwrap();
        let sent = "\"0410aed4bbd674d5549bd0b34bc3c902ea382d489d816106a80c4e3077b10bc6\"";
        let sent = ETag::from_header(&HeaderValue::from_static(sent));
        assert!(bucket.matches(&sent) && sent.matches(&sent) && bucket != sent);

        // printf '["k","d","admin","a<b","s"]\n' | sed 's/</\\u003c/' | sha256sum
        let key = r#"{"name":"k","description":"d","role":"admin","access-key":"a<b","secret-key":"s"}"#;
        let key = ETag::of_bucket_key(&serde_json::from_str(key).unwrap()).unwrap();
        assert_eq!(key.to_string(), "d197a5151a1e2aec18aa758b800f15610900963a031054b72695b86a566c3f33");
        assert!(!key.matches(&bucket));
    }
}
