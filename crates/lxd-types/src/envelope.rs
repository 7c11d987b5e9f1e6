//! The wrapper around every JSON answer.

use std::{borrow::Cow, fmt};

use serde::{Deserialize, Deserializer, de};
use serde_json::value::RawValue;

open_enum! {
    /// What kind of answer an [`Envelope`] is. Judge an answer by this and never by its HTTP status: a failed
    /// operation arrives as an `error` under HTTP 200 from some servers.
    pub enum ResponseType {
        /// The work is done and its result stands in the metadata.
        Sync = "sync",
        /// The work goes on in the background; the metadata is an [`Operation`](crate::Operation).
        Async = "async",
        /// The request was refused or failed.
        Error = "error",
    }
}

/// The wrapper around every JSON answer, borrowing from the received bytes.
///
/// The metadata stays undecoded until [`decode`](Self::decode) says as what: which type it holds depends on
/// [`response_type`](Self::response_type).
///
/// ```
/// use lxd_types::{Envelope, ResponseType};
///
/// let body = br#"{"type":"error","status":"","status_code":0,"operation":"","error_code":404,
///                 "error":"Storage pool not found","metadata":null}"#;
/// let envelope = Envelope::parse(body)?;
/// assert_eq!(envelope.response_type, ResponseType::Error);
/// assert_eq!((envelope.error_code, &*envelope.error), (404, "Storage pool not found"));
/// # Ok::<(), serde_json::Error>(())
/// ```
#[derive(Clone, Default)]
#[non_exhaustive]
pub struct Envelope<'a> {
    /// Sync, async or error.
    pub response_type: ResponseType,
    /// `/1.0/operations/<id>` of an async answer, with a query in projects other than `default`; else empty.
    pub operation: Cow<'a, str>,
    /// The code of an error, in the manner of HTTP; else zero.
    pub error_code: u16,
    /// The server's own text of an error; else empty. It may have several lines.
    pub error: Cow<'a, str>,
    /// The payload, as JSON text; `None` where it is `null` or absent.
    pub metadata: Option<&'a RawValue>,
}

impl<'a> Envelope<'a> {
    /// Reads the wrapper and leaves the metadata alone.
    ///
    /// # Errors
    /// Where the bytes are not one JSON object with a `type`.
    pub fn parse(body: &'a [u8]) -> Result<Self, serde_json::Error> {
        serde_json::from_slice(body)
    }

    /// Decodes the metadata. An absent one decodes as `null` does: empty lists and maps, default objects, and an
    /// error for types that have no such form.
    ///
    /// # Errors
    /// Where the metadata is not a `T`; the error names field and place.
    pub fn decode<T: Deserialize<'a>>(&self) -> Result<T, serde_json::Error> {
        serde_json::from_str(self.metadata.map_or("null", RawValue::get))
    }
}

impl fmt::Debug for Envelope<'_> {
    /// Without the metadata, which can hold secrets.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Envelope")
            .field("response_type", &self.response_type)
            .field("operation", &self.operation)
            .field("error_code", &self.error_code)
            .field("error", &self.error)
            .finish_non_exhaustive()
    }
}

/// Text that borrows from the input where it holds no escapes.
struct Text<'a>(Cow<'a, str>);

impl<'de: 'a, 'a> Deserialize<'de> for Text<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct TextVisitor;
        impl<'de> de::Visitor<'de> for TextVisitor {
            type Value = Text<'de>;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a string")
            }
            fn visit_borrowed_str<E>(self, text: &'de str) -> Result<Text<'de>, E> {
                Ok(Text(Cow::Borrowed(text)))
            }
            fn visit_str<E>(self, text: &str) -> Result<Text<'de>, E> {
                Ok(Text(Cow::Owned(text.to_owned())))
            }
        }
        deserializer.deserialize_str(TextVisitor)
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for Envelope<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct EnvelopeVisitor;
        impl<'de> de::Visitor<'de> for EnvelopeVisitor {
            type Value = Envelope<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an answer of an LXD or Incus server")
            }

            fn visit_map<A: de::MapAccess<'de>>(self, mut map: A) -> Result<Envelope<'de>, A::Error> {
                let mut envelope = Envelope::default();
                let mut typed = false;
                while let Some(key) = map.next_key::<Text<'de>>()? {
                    match &*key.0 {
                        "type" => {
                            envelope.response_type = map.next_value()?;
                            typed = true;
                        }
                        "operation" => envelope.operation = text_or_empty(map.next_value()?),
                        "error_code" => {
                            envelope.error_code = map.next_value::<Option<u16>>()?.unwrap_or_default();
                        }
                        "error" => envelope.error = text_or_empty(map.next_value()?),
                        "metadata" => {
                            // Raw JSON takes `null` for a value of its own, so it is told apart here.
                            let raw: &RawValue = map.next_value()?;
                            envelope.metadata = (raw.get() != "null").then_some(raw);
                        }
                        _ => {
                            map.next_value::<de::IgnoredAny>()?;
                        }
                    }
                }
                // JSON that lacks it came from something else than the server we talk to.
                if typed { Ok(envelope) } else { Err(de::Error::missing_field("type")) }
            }
        }

        fn text_or_empty(text: Option<Text<'_>>) -> Cow<'_, str> {
            text.map(|text| text.0).unwrap_or_default()
        }

        deserializer.deserialize_map(EnvelopeVisitor)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn an_async_answer_names_its_operation() {
        let envelope =
            Envelope::parse(br#"{"type":"async","operation":"/1.0/operations/x","metadata":{"id":"x"}}"#)
                .unwrap();
        assert_eq!(envelope.response_type, ResponseType::Async);
        assert_eq!(envelope.operation, "/1.0/operations/x");
        assert!(matches!(envelope.operation, Cow::Borrowed(_)));
        assert_eq!(envelope.decode::<crate::Operation>().unwrap().id, "x");
    }

    #[test]
    fn escapes_and_nulls_are_read() {
        let envelope = Envelope::parse(
            br#"{"type":"error","operation":null,"error":"a\n\"b\"","error_code":null,"metadata":null}"#,
        )
        .unwrap();
        assert_eq!(envelope.error, "a\n\"b\"");
        assert_eq!(envelope.decode::<Vec<String>>().unwrap_or_default(), Vec::<String>::new());
        assert!(envelope.metadata.is_none());
    }

    #[test]
    fn json_of_somebody_else_is_refused() {
        for body in ["{}", "[]", "null", "\"x\"", "{\"type\":7}", "{\"type\":\"sync\"", "<html>"] {
            assert!(Envelope::parse(body.as_bytes()).is_err(), "{body}");
        }
    }

    #[test]
    fn debug_keeps_the_metadata_to_itself() {
        let envelope = Envelope::parse(br#"{"type":"sync","metadata":{"secret":"s3cret"}}"#).unwrap();
        assert!(!format!("{envelope:?}").contains("s3cret"));
    }

    proptest! {
        #[test]
        fn no_bytes_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = Envelope::parse(&bytes).map(|envelope| envelope.decode::<crate::StoragePool>().is_ok());
        }
    }
}
