//! What it takes to send a request once more.

use http::{Extensions, HeaderMap, Method, Request, Uri, Version};

use crate::Body;

/// A request to be sent should the first one come to nothing.
pub(crate) struct Spare {
    method: Method,
    uri: Uri,
    version: Version,
    headers: HeaderMap,
    extensions: Extensions,
    body: Body,
}

impl Spare {
    /// `None` where the body can be read only once.
    pub(crate) fn of(request: &Request<Body>) -> Option<Self> {
        Some(Self {
            body: request.body().try_clone()?,
            method: request.method().clone(),
            uri: request.uri().clone(),
            version: request.version(),
            headers: request.headers().clone(),
            extensions: request.extensions().clone(),
        })
    }

    /// The same of requests that only read.
    pub(crate) fn of_a_read(request: &Request<Body>) -> Option<Self> {
        reads(request).then(|| Self::of(request)).flatten()
    }

    pub(crate) fn into_request(self) -> Request<Body> {
        let mut request = Request::new(self.body);
        *request.method_mut() = self.method;
        *request.uri_mut() = self.uri;
        *request.version_mut() = self.version;
        *request.headers_mut() = self.headers;
        *request.extensions_mut() = self.extensions;
        request
    }
}

/// Whether sending the request twice does no more than sending it once.
pub(crate) fn reads(request: &Request<Body>) -> bool {
    matches!(*request.method(), Method::GET | Method::HEAD)
}
