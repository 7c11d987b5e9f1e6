//! One request and its answer: the only caller of the transport.

use std::sync::Arc;

use bytes::Bytes;
use http::{HeaderValue, Method, Request, StatusCode, Uri, header};
use lxd_transport::{Body, Limits, Reached, Transport};
use lxd_types::{Envelope, Operation, ResponseType};
use serde::de::DeserializeOwned;

use crate::{ETag, Error, ErrorKind, classify::server_error};

/// How much of an answer that isn't ours goes into an error.
const SNIPPET_CHARS: usize = 200;

/// Error answers are short; an endless one must not be read to the end.
const ERROR_ANSWER_MAX: usize = 1 << 20;

/// What every request of a client shares.
pub(crate) struct Exchange {
    pub(crate) transport: Arc<dyn Transport>,
    pub(crate) user_agent: HeaderValue,
    pub(crate) limits: Limits,
    pub(crate) answer_max: usize,
}

/// A request, ready to go.
#[derive(Debug)]
pub(crate) struct Call {
    pub(crate) method: Method,
    pub(crate) uri: Uri,
    pub(crate) body: Bytes,
    pub(crate) if_match: Option<ETag>,
    pub(crate) limits: Limits,
}

/// An answer of type sync or async, with what is needed to explain trouble with it later.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) method: Method,
    pub(crate) uri: Uri,
    pub(crate) status: StatusCode,
    pub(crate) etag: Option<ETag>,
    body: Bytes,
}

impl Exchange {
    /// A read of `uri` within the limits for metadata.
    pub(crate) async fn get(&self, uri: Uri) -> Result<Answer, Error> {
        let (method, limits) = (Method::GET, self.limits);
        self.call(Call { method, uri, body: Bytes::new(), if_match: None, limits }).await
    }

    /// Sends a request and judges the answer by its type; error answers become errors.
    pub(crate) async fn call(&self, call: Call) -> Result<Answer, Error> {
        let Call { method, uri, body, if_match, limits } = call;
        let result = self.send(&method, &uri, body, if_match, limits).await;
        match &result {
            Ok(answer) => tracing::debug!(%method, %uri, status = answer.status.as_u16(), "answered"),
            Err(error) => tracing::debug!(%method, %uri, %error, "failed"),
        }
        result
    }

    async fn send(
        &self,
        method: &Method,
        uri: &Uri,
        body: Bytes,
        if_match: Option<ETag>,
        limits: Limits,
    ) -> Result<Answer, Error> {
        let has_body = !body.is_empty();
        let mut request = Request::new(if has_body { Body::from(body) } else { Body::empty() });
        *request.method_mut() = method.clone();
        *request.uri_mut() = uri.clone();
        let headers = request.headers_mut();
        headers.insert(header::USER_AGENT, self.user_agent.clone());
        if has_body {
            headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
        }
        if let Some(etag) = if_match {
            headers.insert(header::IF_MATCH, etag.header());
        }

        let response = self
            .transport
            .send_within(request, limits)
            .await
            .map_err(|error| Error::from(error).with_request(method, uri))?;
        let (head, body) = response.into_parts();
        let max =
            if head.status.is_success() { self.answer_max } else { ERROR_ANSWER_MAX.min(self.answer_max) };
        let body = body.collect(max).await.map_err(|error| {
            Error::from(error).with_request(method, uri).with_status(head.status).with_reached(Reached::Yes)
        })?;
        let etag = head.headers.get(header::ETAG).map(ETag::from_header);
        let answer = Answer { method: method.clone(), uri: uri.clone(), status: head.status, etag, body };
        answer.judged(head.headers.get(header::CONTENT_TYPE))
    }
}

impl Answer {
    /// Turns an error answer into an error, and anything that isn't an envelope too.
    fn judged(self, content_type: Option<&HeaderValue>) -> Result<Self, Error> {
        match Envelope::parse(&self.body) {
            Ok(envelope) => match envelope.response_type {
                ResponseType::Sync | ResponseType::Async => Ok(self),
                ResponseType::Error => Err(self.server_error(envelope.error_code, &envelope.error)),
                ref other => {
                    let message = format!("an answer of type {:?}", other.as_str());
                    Err(self.explain(Error::new(ErrorKind::Decode, message)))
                }
            },
            Err(error) => {
                let content_type =
                    content_type.map_or("no content type", |value| value.to_str().unwrap_or("?"));
                let text =
                    format!("{}, not an answer of LXD or Incus: {}", content_type, snippet(&self.body));
                // A proxy's refusal has a status worth more than its HTML.
                if self.status.is_client_error() || self.status.is_server_error() {
                    let text = format!("HTTP {} ({text})", self.status.as_u16());
                    return Err(self.server_error(0, &text));
                }
                Err(self.explain(Error::new(ErrorKind::Decode, text).with_source(error)))
            }
        }
    }

    fn server_error(&self, code: u16, text: &str) -> Error {
        let path = self.uri.path_and_query().map_or("", http::uri::PathAndQuery::as_str);
        self.explain(server_error(&self.method, path, self.status, code, text))
    }

    fn explain(&self, error: Error) -> Error {
        error.with_request(&self.method, &self.uri).with_status(self.status)
    }

    fn envelope(&self) -> Result<Envelope<'_>, Error> {
        Envelope::parse(&self.body).map_err(|error| self.not_as_expected(error))
    }

    fn not_as_expected(&self, error: serde_json::Error) -> Error {
        let message = format!("{error}: {}", snippet(&self.body));
        self.explain(Error::new(ErrorKind::Decode, message).with_source(error))
    }

    /// The metadata of a sync answer.
    pub(crate) fn decode<T: DeserializeOwned>(&self) -> Result<T, Error> {
        let envelope = self.envelope()?;
        if envelope.response_type != ResponseType::Sync {
            let message = format!(
                "an answer of type {:?} where a result was expected",
                envelope.response_type.as_str()
            );
            return Err(self.explain(Error::new(ErrorKind::Decode, message)));
        }
        envelope.decode().map_err(|error| self.not_as_expected(error))
    }

    /// The operation of an async answer; `None` where the work is already done.
    pub(crate) fn operation(&self) -> Result<Option<Operation>, Error> {
        let envelope = self.envelope()?;
        if envelope.response_type != ResponseType::Async {
            return Ok(None);
        }
        let mut operation: Operation = envelope.decode().map_err(|error| self.not_as_expected(error))?;
        if operation.id.is_empty() {
            operation.id = operation_id(&envelope.operation).to_owned();
        }
        if operation.id.is_empty() {
            return Err(
                self.explain(Error::new(ErrorKind::Decode, "an async answer that names no operation"))
            );
        }
        Ok(Some(operation))
    }
}

/// The id in an operation's URL: the last segment, without the query.
pub(crate) fn operation_id(url: &str) -> &str {
    let path = url.split('?').next().unwrap_or(url);
    path.trim_end_matches('/').rsplit('/').next().unwrap_or(path)
}

/// The beginning of a body, safe to print on one line.
fn snippet(body: &[u8]) -> String {
    let start = body.get(..SNIPPET_CHARS * 4).unwrap_or(body);
    let text = String::from_utf8_lossy(start);
    let cut: String = text.chars().take(SNIPPET_CHARS).collect();
    let more = if cut.len() < body.len() { "..." } else { "" };
    format!("{cut:?}{more}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(status: u16, body: &'static str) -> Result<Answer, Error> {
        let answer = Answer {
            method: Method::GET,
            uri: Uri::from_static("/1.0/x"),
            status: StatusCode::from_u16(status).unwrap(),
            etag: None,
            body: Bytes::from_static(body.as_bytes()),
        };
        answer.judged(Some(&HeaderValue::from_static("text/html")))
    }

    #[test]
    fn the_type_decides_and_not_the_status() {
        let error = answer(200, r#"{"type":"error","error_code":404,"error":"gone"}"#).unwrap_err();
        assert_eq!(
            (error.kind(), error.code(), error.server_message()),
            (ErrorKind::NotFound, Some(404), Some("gone"))
        );
        assert!(answer(200, r#"{"type":"sync","metadata":{}}"#).is_ok());
        assert_eq!(answer(200, r#"{"type":"novel"}"#).unwrap_err().kind(), ErrorKind::Decode);
    }

    #[test]
    fn a_proxys_html_keeps_status_and_a_bounded_snippet() {
        let error = answer(503, "<html>busy</html>").unwrap_err();
        assert_eq!(
            (error.kind(), error.status()),
            (ErrorKind::Server, Some(StatusCode::SERVICE_UNAVAILABLE))
        );
        assert!(error.to_string().contains("<html>busy"), "{error}");
        let error = answer(200, "<html>welcome</html>").unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Decode);
        assert!(error.to_string().contains("text/html"), "{error}");
        let long: &'static str = Box::leak("x".repeat(100_000).into_boxed_str());
        assert!(answer(502, long).unwrap_err().to_string().len() < 600);
    }

    #[test]
    fn a_wrong_type_names_the_field() {
        let error = answer(200, r#"{"type":"sync","metadata":{"name":7}}"#).unwrap();
        let error = error.decode::<lxd_types::StoragePool>().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Decode);
        assert!(error.to_string().contains("expected a string"), "{error}");
    }

    #[test]
    fn operation_ids_are_found_in_every_form() {
        for url in
            ["abc", "/1.0/operations/abc", "/1.0/operations/abc?project=p", "https://h:1/1.0/operations/abc/"]
        {
            assert_eq!(operation_id(url), "abc");
        }
    }
}
