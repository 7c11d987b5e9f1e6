//! Answers as the servers write them: sync, async and error envelopes with all seven fields.

use std::{
    pin::Pin,
    task::{Context, Poll},
};

use bytes::Bytes;
use futures_util::Stream;
use http::{HeaderValue, Response, StatusCode, header};
use lxd_transport::Body;
use serde::Serialize;

use crate::{failure::Failure, gojson};

/// What a handler answers.
pub(crate) enum Reply {
    /// 200, or 201 where a location of something new goes along.
    Sync { metadata: String, etag: Option<String>, location: Option<String> },
    /// 202: the operation as JSON and its URL.
    Operation { metadata: String, url: String },
    /// Anything that is no envelope.
    Raw(Response<Body>),
}

impl Reply {
    /// 200 with metadata.
    pub(crate) fn of(metadata: &impl Serialize) -> Result<Self, Failure> {
        Ok(Self::Sync { metadata: gojson::plain(metadata)?, etag: None, location: None })
    }

    /// 200 with metadata and the ETag of what the recipe lists.
    pub(crate) fn with_etag(metadata: &impl Serialize, recipe: &impl Serialize) -> Result<Self, Failure> {
        let etag = Some(crate::etag::of(recipe)?);
        Ok(Self::Sync { metadata: gojson::plain(metadata)?, etag, location: None })
    }

    /// 200 with nothing to say.
    pub(crate) fn done() -> Self {
        Self::Sync { metadata: "{}".to_owned(), etag: None, location: None }
    }

    /// 201 with the URL of what is there now.
    pub(crate) fn created(location: impl Into<String>) -> Self {
        Self::Sync { metadata: "null".to_owned(), etag: None, location: Some(location.into()) }
    }

    pub(crate) fn into_response(self) -> Response<Body> {
        match self {
            Self::Raw(response) => response,
            Self::Sync { metadata, etag, location } => {
                let status = if location.is_some() { StatusCode::CREATED } else { StatusCode::OK };
                let mut response = json(status, sync_body(&metadata));
                if let Some(etag) = etag {
                    set(&mut response, header::ETAG, &format!("\"{etag}\""));
                }
                if let Some(location) = location {
                    set(&mut response, header::LOCATION, &location);
                }
                response
            }
            Self::Operation { metadata, url } => {
                let body = format!(
                    r#"{{"type":"async","status":"Operation created","status_code":100,"operation":{},"error_code":0,"error":"","metadata":{metadata}}}{}"#,
                    quoted(&url),
                    '\n',
                );
                let mut response = json(StatusCode::ACCEPTED, body);
                set(&mut response, header::LOCATION, &url);
                response
            }
        }
    }
}

impl Failure {
    pub(crate) fn into_response(self) -> Response<Body> {
        let status = StatusCode::from_u16(self.code).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        // Errors end with a second newline: they go through Go's `http.Error`.
        let mut response = json(status, format!("{}\n", error_body(&self)));
        set(&mut response, header::X_CONTENT_TYPE_OPTIONS, "nosniff");
        response
    }
}

/// The body of a synchronous answer.
pub(crate) fn sync_body(metadata: &str) -> String {
    format!(
        r#"{{"type":"sync","status":"Success","status_code":200,"operation":"","error_code":0,"error":"","metadata":{metadata}}}{}"#,
        '\n'
    )
}

/// The body of an error, with one newline.
pub(crate) fn error_body(failure: &Failure) -> String {
    format!(
        r#"{{"type":"error","status":"","status_code":0,"operation":"","error_code":{},"error":{},"metadata":null}}{}"#,
        failure.code,
        quoted(&failure.text),
        '\n',
    )
}

/// Go tells no length of what is longer.
const TOLD: usize = 2048;

/// An answer of JSON.
pub(crate) fn json(status: StatusCode, body: String) -> Response<Body> {
    let told = body.len() <= TOLD;
    let body = Body::from(body);
    let mut response = Response::new(if told { body } else { untold(body) });
    *response.status_mut() = status;
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}

/// A body of which no length is told.
pub(crate) fn untold(body: Body) -> Body {
    Body::from_stream(Chunks(body))
}

struct Chunks(Body);

impl Stream for Chunks {
    type Item = Result<Bytes, lxd_transport::Error>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.0.poll_chunk(cx)
    }
}

fn quoted(text: &str) -> String {
    gojson::text(&text).unwrap_or_else(|_| "\"\"".to_owned())
}

/// Sets a header; Go replaces what no header can carry, too.
fn set(response: &mut Response<Body>, name: header::HeaderName, value: &str) {
    let value = value.replace(['\r', '\n'], " ");
    if let Ok(value) = HeaderValue::from_bytes(value.as_bytes()) {
        response.headers_mut().insert(name, value);
    }
}
