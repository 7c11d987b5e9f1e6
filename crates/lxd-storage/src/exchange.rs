//! One request and its answer: the only caller of the transport.

use std::{fmt, ops::Range, sync::Arc};

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Method, Request, Response, StatusCode, Uri, header};
use lxd_transport::{Body, Limits, Reached, Transport};
use lxd_types::{Envelope, Operation, ResponseType, Secret};
use serde::de::{self, DeserializeOwned};

use crate::{ETag, Error, ErrorKind, classify::server_error, conceal::conceal};

/// How much of an answer that isn't ours goes into an error.
const SNIPPET_CHARS: usize = 200;

/// What stands in an operation before the secrets of its websockets, if it has any.
const OF_WEBSOCKETS: &[u8] = b"\"websocket\"";

/// Error answers are short; an endless one must not be read to the end.
const ERROR_ANSWER_MAX: usize = 1 << 20;

/// What every request of a client shares.
pub(crate) struct Exchange {
    pub(crate) transport: Arc<dyn Transport>,
    pub(crate) user_agent: HeaderValue,
    pub(crate) limits: Limits,
    /// For requests whose answer may be the end of long work.
    pub(crate) change_limits: Limits,
    pub(crate) answer_max: usize,
}

/// A request, ready to go.
pub(crate) struct Call {
    pub(crate) method: Method,
    pub(crate) uri: Uri,
    pub(crate) body: Bytes,
    pub(crate) if_match: Option<ETag>,
    pub(crate) limits: Limits,
    /// What is in the body and must not come back in an error.
    pub(crate) secrets: Vec<Secret>,
}

/// An answer of type sync or async, with what is needed to explain trouble with it later.
pub(crate) struct Answer {
    pub(crate) method: Method,
    pub(crate) uri: Uri,
    pub(crate) status: StatusCode,
    pub(crate) etag: Option<ETag>,
    body: Bytes,
    content: Content,
}

/// What a request for content brought.
pub(crate) enum Opened {
    /// Content of any length.
    Content(Response<Body>),
    /// An answer of the API instead.
    Answer(Answer),
}

/// What was found in the envelope, which is read once.
enum Content {
    /// A result: where in the body its metadata is, if there is any.
    Sync(Option<Range<usize>>),
    /// An operation: the same, and the URL beside it.
    Async(Option<Range<usize>>, String),
}

impl Exchange {
    /// A read of `uri` within the limits for metadata.
    pub(crate) async fn get(&self, uri: Uri) -> Result<Answer, Error> {
        let (method, limits) = (Method::GET, self.limits);
        self.call(Call { method, uri, body: Bytes::new(), if_match: None, limits, secrets: Vec::new() }).await
    }

    /// Sends a request and judges the answer by its type; error answers become errors.
    pub(crate) async fn call(&self, mut call: Call) -> Result<Answer, Error> {
        let request = self.request(&mut call);
        let Call { method, uri, limits, secrets, .. } = call;
        self.exchange(request, method, uri, limits, &secrets).await
    }

    /// Sends any request and judges the answer by its type.
    async fn exchange(
        &self,
        request: Request<Body>,
        method: Method,
        uri: Uri,
        limits: Limits,
        secrets: &[Secret],
    ) -> Result<Answer, Error> {
        let response = match self.transport.send_within(request, limits).await {
            Ok(response) => response,
            Err(error) => return Err(noted(Error::from(error).with_request(&method, &uri))),
        };
        self.judge(response, method, uri, secrets).await
    }

    async fn judge(
        &self,
        response: Response<Body>,
        method: Method,
        uri: Uri,
        secrets: &[Secret],
    ) -> Result<Answer, Error> {
        let (head, body) = response.into_parts();
        let max =
            if head.status.is_success() { self.answer_max } else { ERROR_ANSWER_MAX.min(self.answer_max) };
        let body = match body.collect(max).await {
            Ok(body) => body,
            Err(error) => {
                let error = Error::from(error).with_request(&method, &uri);
                return Err(noted(error.with_status(head.status).with_reached(Reached::Yes)));
            }
        };
        let answered = Answered { method: &method, uri: &uri, status: head.status, body: &body, secrets };
        let content = answered.judge(head.headers.get(header::CONTENT_TYPE)).map_err(noted)?;
        tracing::debug!(%method, %uri, status = head.status.as_u16(), "answered");
        let etag = head.headers.get(header::ETAG).map(ETag::from_header);
        Ok(Answer { method, uri, status: head.status, etag, body, content })
    }

    /// Sends content of any length with headers of its own, and judges the answer by its type.
    pub(crate) async fn upload(
        &self,
        method: Method,
        uri: Uri,
        headers: HeaderMap,
        content: Body,
    ) -> Result<Answer, Error> {
        let request = self.request_with(&method, &uri, headers, content);
        self.exchange(request, method, uri, Limits::TRANSFER, &[]).await
    }

    /// Sends a request whose answer is content of any length; whatever else comes back is an error.
    pub(crate) async fn stream(
        &self,
        method: Method,
        uri: Uri,
        headers: HeaderMap,
        body: Bytes,
    ) -> Result<Response<Body>, Error> {
        match self.open(method, uri, headers, body).await? {
            Opened::Content(response) => Ok(response),
            Opened::Answer(answer) => {
                let message = "an answer of the API where content was expected";
                Err(answer.answered().explain(Error::new(ErrorKind::Decode, message)))
            }
        }
    }

    /// Sends a request whose answer is either content of any length or a result of the API.
    pub(crate) async fn open(
        &self,
        method: Method,
        uri: Uri,
        headers: HeaderMap,
        body: Bytes,
    ) -> Result<Opened, Error> {
        let content = if body.is_empty() { Body::empty() } else { Body::from(body) };
        let request = self.request_with(&method, &uri, headers, content);
        let response = match self.transport.send_within(request, Limits::TRANSFER).await {
            Ok(response) => response,
            Err(error) => return Err(noted(Error::from(error).with_request(&method, &uri))),
        };
        let content_type = response.headers().get(header::CONTENT_TYPE);
        // HTML is what somebody on the way says, a proxy or a login page, and never what was asked for.
        let is_answer = content_type.is_some_and(|content_type| {
            [&b"application/json"[..], b"text/html"]
                .iter()
                .any(|begin| content_type.as_bytes().starts_with(begin))
        });
        if matches!(response.status(), StatusCode::OK | StatusCode::PARTIAL_CONTENT) && !is_answer {
            tracing::debug!(%method, %uri, status = response.status().as_u16(), "streaming");
            return Ok(Opened::Content(response));
        }
        self.judge(response, method, uri, &[]).await.map(Opened::Answer)
    }

    /// Asks for the headers alone. An error has no text of the server's then, only its status.
    pub(crate) async fn head(&self, uri: Uri) -> Result<HeaderMap, Error> {
        let method = Method::HEAD;
        let request = self.request_with(&method, &uri, HeaderMap::new(), Body::empty());
        let response = match self.transport.send_within(request, self.limits).await {
            Ok(response) => response,
            Err(error) => return Err(noted(Error::from(error).with_request(&method, &uri))),
        };
        let status = response.status();
        if status.is_success() {
            return Ok(response.into_parts().0.headers);
        }
        let text = status.canonical_reason().unwrap_or("no reason given");
        Err(noted(
            Answered { method: &method, uri: &uri, status, body: b"", secrets: &[] }.server_error(0, text),
        ))
    }

    /// Asks for another protocol. Anything but that is an error. What goes out is `full`; errors and logs show `uri`,
    /// which is the same without secrets.
    pub(crate) async fn upgrade(
        &self,
        full: &Uri,
        uri: Uri,
        headers: HeaderMap,
        limits: Limits,
    ) -> Result<(Response<Body>, Method, Uri), Error> {
        let method = Method::GET;
        let request = self.request_with(&method, full, headers, Body::empty());
        let response = match self.transport.send_within(request, limits).await {
            Ok(response) => response,
            Err(error) => return Err(noted(Error::from(error).with_request(&method, &uri))),
        };
        if response.status() == StatusCode::SWITCHING_PROTOCOLS {
            return Ok((response, method, uri));
        }
        let answer = self.judge(response, method, uri, &[]).await?;
        let message = "an answer of the API where the protocol was to change";
        Err(answer.answered().explain(Error::new(ErrorKind::Decode, message)))
    }

    fn request_with(&self, method: &Method, uri: &Uri, headers: HeaderMap, body: Body) -> Request<Body> {
        let mut request = Request::new(body);
        *request.method_mut() = method.clone();
        *request.uri_mut() = uri.clone();
        *request.headers_mut() = headers;
        request.headers_mut().insert(header::USER_AGENT, self.user_agent.clone());
        request
    }

    fn request(&self, call: &mut Call) -> Request<Body> {
        let body = std::mem::take(&mut call.body);
        let has_body = !body.is_empty();
        let mut request = Request::new(if has_body { Body::from(body) } else { Body::empty() });
        *request.method_mut() = call.method.clone();
        *request.uri_mut() = call.uri.clone();
        let headers = request.headers_mut();
        headers.insert(header::USER_AGENT, self.user_agent.clone());
        if has_body {
            headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
        }
        if let Some(etag) = &call.if_match {
            headers.insert(header::IF_MATCH, etag.header());
        }
        request
    }
}

/// Leaves a trace of an error on its way to the caller.
fn noted(error: Error) -> Error {
    tracing::debug!(%error, "failed");
    error
}

/// An answer that is being judged, or explained.
struct Answered<'a> {
    method: &'a Method,
    uri: &'a Uri,
    status: StatusCode,
    body: &'a [u8],
    secrets: &'a [Secret],
}

impl Answered<'_> {
    /// Turns an error answer into an error, and anything that isn't an envelope too.
    fn judge(&self, content_type: Option<&HeaderValue>) -> Result<Content, Error> {
        let envelope = match Envelope::parse(self.body) {
            Ok(envelope) => envelope,
            Err(error) => return Err(self.not_an_envelope(error, content_type)),
        };
        let metadata = envelope.metadata.map(|raw| self.place_of(raw.get()));
        match envelope.response_type {
            ResponseType::Sync => Ok(Content::Sync(metadata)),
            ResponseType::Async => Ok(Content::Async(metadata, envelope.operation.into_owned())),
            ResponseType::Error => Err(self.server_error(envelope.error_code, &envelope.error)),
            ref other => {
                let message = format!("an answer of type {:?}", other.as_str());
                Err(self.explain(Error::new(ErrorKind::Decode, message)))
            }
        }
    }

    /// Where in the body a text is that was borrowed from it.
    fn place_of(&self, part: &str) -> Range<usize> {
        let start = part.as_ptr().addr() - self.body.as_ptr().addr();
        start..start + part.len()
    }

    fn not_an_envelope(&self, error: serde_json::Error, content_type: Option<&HeaderValue>) -> Error {
        let content_type = content_type.map_or("no content type", |value| value.to_str().unwrap_or("?"));
        let text = format!("{content_type}, not an answer of LXD or Incus: {}", snippet(self.body));
        // A proxy's refusal has a status worth more than its HTML.
        if self.status.is_client_error() || self.status.is_server_error() {
            return self.server_error(0, &format!("HTTP {} ({text})", self.status.as_u16()));
        }
        self.explain(Error::new(ErrorKind::Decode, text).with_source(error))
    }

    fn server_error(&self, code: u16, text: &str) -> Error {
        let path = self.uri.path_and_query().map_or("", http::uri::PathAndQuery::as_str);
        self.explain(server_error(self.method, path, self.status, code, text))
    }

    fn explain(&self, error: Error) -> Error {
        error.without_secrets(self.secrets).with_request(self.method, self.uri).with_status(self.status)
    }
}

impl fmt::Debug for Answer {
    /// Without the body, which can hold secrets.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Answer").field("uri", &self.uri).field("status", &self.status).finish_non_exhaustive()
    }
}

impl Answer {
    /// The metadata of a sync answer.
    pub(crate) fn decode<T: DeserializeOwned>(&self) -> Result<T, Error> {
        match &self.content {
            Content::Sync(metadata) => self.decode_at(metadata.as_ref()),
            Content::Async(..) => {
                let message = "an operation where a result was expected";
                Err(self.answered().explain(Error::new(ErrorKind::Decode, message)))
            }
        }
    }

    /// The operation of an async answer; `None` where the work is already done.
    pub(crate) fn operation(&self) -> Result<Option<Operation>, Error> {
        let Content::Async(metadata, url) = &self.content else { return Ok(None) };
        let mut operation: Operation = self.decode_at(metadata.as_ref())?;
        if operation.id.is_empty() {
            operation.id = operation_id(url).to_owned();
        }
        if operation.id.is_empty() {
            let message = "an async answer that names no operation";
            return Err(self.answered().explain(Error::new(ErrorKind::Decode, message)));
        }
        Ok(Some(operation))
    }

    fn decode_at<T: DeserializeOwned>(&self, metadata: Option<&Range<usize>>) -> Result<T, Error> {
        let metadata = metadata.and_then(|place| self.body.get(place.clone())).unwrap_or(b"null");
        // Checked once as a whole, text decodes faster than bytes whose every string is checked by itself.
        let decoded = str::from_utf8(metadata).map_err(de::Error::custom).and_then(serde_json::from_str);
        decoded.map_err(|error: serde_json::Error| {
            // What an operation holds opens websockets, under names that differ.
            if matches!(self.content, Content::Async(..)) || self.uri.path().starts_with("/1.0/operations") {
                let place = format!("line {} column {}", error.line(), error.column());
                let message = format!("an operation that makes no sense at {place}");
                return self.answered().explain(Error::new(ErrorKind::Decode, message));
            }
            let message = format!("{error}: {}", snippet(metadata));
            self.answered().explain(Error::new(ErrorKind::Decode, message).with_source(error))
        })
    }

    fn answered(&self) -> Answered<'_> {
        Answered { method: &self.method, uri: &self.uri, status: self.status, body: &self.body, secrets: &[] }
    }
}

/// The id in an operation's URL: the last segment, without the query.
fn operation_id(url: &str) -> &str {
    let path = url.split('?').next().unwrap_or(url);
    path.trim_end_matches('/').rsplit('/').next().unwrap_or(path)
}

/// The beginning of a body, safe to print on one line.
fn snippet(body: &[u8]) -> String {
    let start = body.get(..SNIPPET_CHARS * 4).unwrap_or(body);
    // An operation that is cut off: see `decode_at`.
    if start.windows(OF_WEBSOCKETS.len()).any(|part| part == OF_WEBSOCKETS) {
        return "an operation with websockets".to_owned();
    }
    // Before it is cut, since half a secret is known by its beginning no longer.
    let whole = String::from_utf8_lossy(start);
    let text = conceal(&whole, &[]);
    let cut: String = text.chars().take(SNIPPET_CHARS).collect();
    let more = if cut.len() < body.len() { "..." } else { "" };
    format!("{cut:?}{more}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(status: u16, body: &'static str) -> Result<Answer, Error> {
        let (method, uri, body) =
            (Method::GET, Uri::from_static("/1.0/x"), Bytes::from_static(body.as_bytes()));
        let status = StatusCode::from_u16(status).unwrap();
        let answered = Answered { method: &method, uri: &uri, status, body: &body, secrets: &[] };
        let content = answered.judge(Some(&HeaderValue::from_static("text/html")))?;
        Ok(Answer { method, uri, status, etag: None, body, content })
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
    fn no_error_quotes_the_credentials_of_a_bucket() {
        let key = r#"{"type":"sync","metadata":{"name":7,"access-key":"AKAKAK","secret-key":"SKSKSK"}}"#;
        let decoded = answer(200, key).unwrap().decode::<lxd_types::StorageBucketKey>().unwrap_err();
        let cut = answer(200, &key[..key.len() - 4]).unwrap_err();
        let said =
            r#"{"type":"error","error_code":500,"error":"mc --access-key AKAKAK --secret-key SKSKSK"}"#;
        for error in [decoded, cut, answer(500, said).unwrap_err()] {
            let text = format!("{error} {error:#} {error:?}");
            assert!(!text.contains("AKAKAK") && !text.contains("SKSKSK") && text.contains("***"), "{text}");
        }
    }

    #[test]
    fn no_error_quotes_an_operation_that_is_cut_off() {
        let cut = r#"{"type":"async","metadata":{"class":"websocket","metadata":{"control":"WSWSWS","#;
        let error = answer(200, cut).unwrap_err();
        let text = format!("{error} {error:#} {error:?}");
        assert!(!text.contains("WSWSWS") && text.contains("websockets"), "{text}");
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
