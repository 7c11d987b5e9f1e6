//! From a raw path to decoded segments, from a query to its parameters, and names back into URLs.

use std::fmt::Write as _;

/// The decoded segments of a path. An empty one stays: the servers know no path with a slash at its end.
pub(crate) fn segments(path: &str) -> Vec<String> {
    path.strip_prefix('/').unwrap_or(path).split('/').map(|segment| decoded(segment, false)).collect()
}

/// The parameters of a query, of each the first.
#[derive(Clone, Debug, Default)]
pub(crate) struct Query(Vec<(String, String)>);

impl Query {
    pub(crate) fn parse(query: &str) -> Self {
        let pairs = query.split('&').filter(|pair| !pair.is_empty()).map(|pair| {
            let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
            (decoded(key, true), decoded(value, true))
        });
        Self(pairs.collect())
    }

    /// A parameter's value; empty is as good as absent.
    pub(crate) fn get(&self, key: &str) -> Option<&str> {
        let (_, value) = self.0.iter().find(|(one, _)| one == key)?;
        (!value.is_empty()).then_some(value)
    }

    /// What the servers' `IsTrue` makes of a parameter.
    pub(crate) fn is_true(&self, key: &str) -> bool {
        self.get(key).is_some_and(|value| crate::config::is_true(Some(&value.to_owned())))
    }

    /// Whether lists shall hold objects; what is no number counts as zero.
    pub(crate) fn recursion(&self) -> u32 {
        self.get("recursion").and_then(|value| value.parse().ok()).unwrap_or(0)
    }
}

/// Percent-decoding. What is no escape stays as it is.
pub(crate) fn decoded(text: &str, plus_is_space: bool) -> String {
    let bytes = text.as_bytes();
    let mut out = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while let Some(&byte) = bytes.get(at) {
        let escape = (byte == b'%')
            .then(|| bytes.get(at + 1..at + 3))
            .flatten()
            .and_then(|digits| std::str::from_utf8(digits).ok())
            .filter(|digits| digits.bytes().all(|digit| digit.is_ascii_hexdigit()))
            .and_then(|digits| u8::from_str_radix(digits, 16).ok());
        match escape {
            Some(decoded) => {
                out.push(decoded);
                at += 3;
            }
            None => {
                out.push(if byte == b'+' && plus_is_space { b' ' } else { byte });
                at += 1;
            }
        }
    }
    String::from_utf8_lossy(&out).into_owned()
}

/// What Go's `url.PathEscape` makes of a segment.
pub(crate) fn path_escaped(segment: &str) -> String {
    escaped(segment, b"-_.~$&+=:@")
}

/// What Go's `url.QueryEscape` makes of a value.
pub(crate) fn query_escaped(value: &str) -> String {
    escaped(value, b"-_.~ ").replace(' ', "+")
}

fn escaped(text: &str, plain: &[u8]) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || plain.contains(&byte) {
            out.push(char::from(byte));
        } else {
            let _ = write!(out, "%{byte:02X}");
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn segments_are_decoded_one_by_one() {
        assert_eq!(segments("/1.0/a%2Fb/c+d/%zz"), ["1.0", "a/b", "c+d", "%zz"]);
        assert_eq!(segments("/1.0/"), ["1.0", ""]);
    }

    #[test]
    fn of_a_parameter_the_first_counts() {
        let query = Query::parse("a=1&a=2&b=x+y%26&c");
        assert_eq!((query.get("a"), query.get("b"), query.get("c")), (Some("1"), Some("x y&"), None));
    }

    #[test]
    fn names_are_escaped_as_go_does() {
        assert_eq!(path_escaped("ra é%&/"), "ra%20%C3%A9%25&%2F");
    }
}
