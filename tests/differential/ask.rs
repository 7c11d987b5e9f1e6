//! A bare request to either server, and its answer as it came.

use lxd_storage::transport::{Body, Limits, Transport, http::Request};

/// Longer than any answer here.
const MAX: usize = 16 << 20;

/// The headers that are a part of the API.
const HEADERS: [&str; 4] = ["content-type", "location", "etag", "allow"];

pub(crate) struct Answer {
    pub(crate) status: u16,
    /// Those of [`HEADERS`] that there are.
    pub(crate) headers: Vec<(&'static str, String)>,
    pub(crate) body: String,
}

pub(crate) async fn ask(
    transport: &dyn Transport,
    method: &str,
    path: &str,
    body: Option<String>,
    if_match: Option<&str>,
) -> Answer {
    let mut request = Request::builder().method(method).uri(path);
    if body.is_some() {
        request = request.header("content-type", "application/json");
    }
    if let Some(etag) = if_match {
        request = request.header("if-match", etag);
    }
    let request = request.body(body.map_or_else(Body::empty, Body::from)).unwrap();
    let response = match transport.send_within(request, Limits::METADATA).await {
        Ok(response) => response,
        // Handlers of real servers can panic, which their HTTP server turns into this.
        Err(error) => return Answer { status: 0, headers: Vec::new(), body: error.to_string() },
    };
    let header =
        |name: &'static str| Some((name, response.headers().get(name)?.to_str().unwrap().to_owned()));
    let (status, headers) = (response.status().as_u16(), HEADERS.into_iter().filter_map(header).collect());
    let body = response.into_body().collect(MAX).await.unwrap();
    Answer { status, headers, body: String::from_utf8_lossy(&body).into_owned() }
}
