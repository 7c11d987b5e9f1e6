//! Paths and queries. The only place where a name becomes part of a URL.

use std::fmt::Write;

use http::Uri;

use crate::Error;

/// A request target under construction: path segments, then query parameters.
#[derive(Clone, Debug)]
pub(crate) struct Route {
    text: String,
    has_query: bool,
}

impl Route {
    /// Begins with a fixed path such as `/1.0/storage-pools`.
    pub(crate) fn new(path: &'static str) -> Self {
        // Room for a usual path, so that names seldom make it grow.
        let mut text = String::with_capacity(96);
        text.push_str(path);
        Self { text, has_query: false }
    }

    /// Begins with a path that a caller wrote, query included.
    pub(crate) fn from_caller(path: &str) -> Result<Self, Error> {
        if !path.starts_with('/') {
            return Err(Error::invalid(format!("the path {path:?} doesn't begin with \"/\"")));
        }
        // What follows it is never sent, nor are the parameters that are added here.
        if path.contains('#') {
            return Err(Error::invalid(format!("the path {path:?} has a \"#\" in it; write it as %23")));
        }
        Ok(Self { text: path.to_owned(), has_query: path.contains('?') })
    }

    /// Appends a fixed segment.
    pub(crate) fn literal(mut self, segment: &'static str) -> Self {
        debug_assert!(!self.has_query, "segments come before the query");
        self.text.push('/');
        self.text.push_str(segment);
        self
    }

    /// Appends a name as one segment. `what` says in the error what the name is for.
    ///
    /// Only what can't be a name anywhere is refused; the rest is the server's to judge and goes out encoded.
    pub(crate) fn name(mut self, what: &str, name: &str) -> Result<Self, Error> {
        check_name(what, name)?;
        self.text.push('/');
        // Dots alone would be taken for "here" and "up" by anything on the way that tidies paths.
        if name == "." || name == ".." {
            self.text.push_str(&name.replace('.', "%2E"));
        } else {
            encode(&mut self.text, name);
        }
        Ok(self)
    }

    /// Appends a query parameter.
    pub(crate) fn query(mut self, key: &str, value: &str) -> Self {
        self.text.push(if self.has_query { '&' } else { '?' });
        self.has_query = true;
        encode(&mut self.text, key);
        self.text.push('=');
        encode(&mut self.text, value);
        self
    }

    /// The finished target.
    pub(crate) fn uri(self) -> Result<Uri, Error> {
        let shown = self.text.len().min(200);
        let start = self.text.get(..shown).unwrap_or_default().to_owned();
        let length = self.text.len();
        let uri = Uri::try_from(self.text)
            .map_err(|error| Error::invalid(format!("{start:?} is no request target")).with_source(error))?;
        // Half a target would act on something else.
        match uri.path_and_query() {
            Some(whole) if whole.as_str().len() == length => Ok(uri),
            _ => Err(Error::invalid(format!("{start:?} is no request target as a whole"))),
        }
    }
}

/// Refuses what no server could take as a name of `what`.
pub(crate) fn check_name(what: &str, name: &str) -> Result<(), Error> {
    if name.is_empty() {
        return Err(Error::invalid(format!("the name of the {what} is empty")));
    }
    if let Some(bad) = name.chars().find(|c| *c == '/' || c.is_control()) {
        return Err(Error::invalid(format!(
            "the name {name:?} of the {what} has the character {bad:?} in it"
        )));
    }
    Ok(())
}

/// Percent-encodes every byte outside RFC 3986's unreserved set, so that nothing in a name can mean anything.
fn encode(into: &mut String, text: &str) {
    for byte in text.bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => {
                into.push(char::from(byte))
            }
            // Writing to a String cannot fail.
            _ => {
                let _ = write!(into, "%{byte:02X}");
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn target(name: &str) -> String {
        Route::new("/1.0/x").name("volume", name).unwrap().uri().unwrap().to_string()
    }

    #[test]
    fn names_are_encoded_whole() {
        for (name, encoded) in [
            ("plain-1.x_~", "plain-1.x_~"),
            ("a b", "a%20b"),
            ("100%", "100%25"),
            ("a+b?c#d&e=f", "a%2Bb%3Fc%23d%26e%3Df"),
            ("é", "%C3%A9"),
            (".", "%2E"),
            ("..", "%2E%2E"),
            ("...", "..."),
        ] {
            assert_eq!(target(name), format!("/1.0/x/{encoded}"));
        }
    }

    #[test]
    fn what_cannot_be_a_name_is_refused_by_value() {
        for name in ["", "a/b", "/", "..\u{0}", "a\nb", "\u{7f}"] {
            let error = Route::new("/1.0/x").name("volume", name).unwrap_err();
            assert_eq!(error.kind(), crate::ErrorKind::InvalidInput);
            let message = error.to_string();
            assert!(name.is_empty() || message.contains(&format!("{name:?}")), "{message}");
        }
    }

    #[test]
    fn query_values_are_encoded() {
        let route = Route::new("/1.0").query("project", "a&b").query("target", "é");
        assert_eq!(route.uri().unwrap().to_string(), "/1.0?project=a%26b&target=%C3%A9");
    }

    #[test]
    fn a_callers_query_is_continued() {
        let route = Route::from_caller("/1.0/x?recursion=1").unwrap().query("a", "b");
        assert_eq!(route.uri().unwrap().to_string(), "/1.0/x?recursion=1&a=b");
        assert!(Route::from_caller("1.0").is_err());
        assert!(Route::from_caller("/1.0/a b").unwrap().uri().is_err());
    }

    #[test]
    fn no_part_of_a_target_gets_lost() {
        for path in ["/1.0/x#y", "/1.0/x#", "/1.0/x?recursion=1#y"] {
            let route = Route::from_caller(path).map(|route| route.query("project", "mine"));
            let error = route.and_then(Route::uri).unwrap_err();
            assert_eq!(error.kind(), crate::ErrorKind::InvalidInput);
            assert!(error.to_string().contains("%23"), "{error}");
        }
        let cut = Route::new("/1.0/x#y").query("project", "mine").uri().unwrap_err();
        assert!(cut.to_string().contains("as a whole"), "{cut}");
    }

    #[test]
    fn a_very_long_name_is_an_error_and_no_panic() {
        let name = "é".repeat(50_000);
        let error = Route::new("/1.0/x").name("volume", &name).unwrap().uri().unwrap_err();
        assert_eq!(error.kind(), crate::ErrorKind::InvalidInput);
    }
}
