//! Requests that this crate doesn't model.

use std::fmt;

use http::Method;
use serde::{Serialize, de::DeserializeOwned};
use serde_json::Value;

use crate::{
    Change, Client, ETag, Error,
    pending::{ChangeRequest, Done},
    route::Route,
};

/// A request to an endpoint that this crate doesn't model. Envelope, errors, operations, project and cluster member
/// are handled as everywhere.
///
/// ```
/// # async fn example(client: lxd_storage::Client) -> Result<(), lxd_storage::Error> {
/// use http::Method;
/// use serde_json::{Value, json};
///
/// let profiles = client.request(Method::GET, "/1.0/profiles").query("recursion", "1").fetch::<Vec<Value>>().await?;
/// println!("{} profiles", profiles.value.len());
///
/// client.request(Method::POST, "/1.0/profiles").json(&json!({"name": "web"})).change().await?;
/// # Ok(()) }
/// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doc/server.rs"));
/// # fn main() { on_emulator!(example(client)) }
/// ```
#[must_use = "nothing is sent until `fetch` or `change` is called"]
pub struct RawRequest {
    client: Client,
    method: Method,
    route: Result<Route, Error>,
    body: Option<Result<Value, Error>>,
    extensions: Vec<&'static str>,
}

impl fmt::Debug for RawRequest {
    /// Without the body, which can hold secrets.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RawRequest")
            .field("method", &self.method)
            .field("route", &self.route)
            .finish_non_exhaustive()
    }
}

/// A decoded answer and the version of the object in it.
///
/// ```
/// # async fn example(client: lxd_storage::Client) -> Result<(), lxd_storage::Error> {
/// use lxd_storage::{Fetched, transport::http::Method};
///
/// let profile: Fetched<serde_json::Value> = client.request(Method::GET, "/1.0/profiles/default").fetch().await?;
/// println!("{} {:?}", profile.value, profile.etag);
/// # Ok(()) }
/// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doc/server.rs"));
/// # fn main() { on_emulator!(example(client)) }
/// ```
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Fetched<T> {
    /// The metadata of the answer.
    pub value: T,
    /// The object's version, where the server sent one.
    pub etag: Option<ETag>,
}

impl RawRequest {
    pub(crate) fn new(client: Client, method: Method, path: &str) -> Self {
        let route = Route::from_caller(path).map(|route| client.scoped(route));
        Self { client, method, route, body: None, extensions: Vec::new() }
    }

    /// Adds a query parameter; it is percent-encoded here.
    pub fn query(mut self, key: &str, value: &str) -> Self {
        self.route = self.route.map(|route| route.query(key, value));
        self
    }

    /// Sets the body.
    pub fn json(mut self, body: &impl Serialize) -> Self {
        let body = serde_json::to_value(body)
            .map_err(|error| Error::invalid("the body cannot be written as JSON").with_source(error));
        self.body = Some(body);
        self
    }

    /// Names an API extension that the server must have for this.
    pub fn needs(mut self, extension: &'static str) -> Self {
        self.extensions.push(extension);
        self
    }

    /// Sends the request and decodes the metadata of a sync answer.
    ///
    /// # Errors
    /// Those of every call; [`Decode`](crate::ErrorKind::Decode) if the answer is an operation, for which
    /// [`change`](Self::change) is made, or no `T`.
    pub async fn fetch<T: DeserializeOwned>(self) -> Result<Fetched<T>, Error> {
        if self.method == Method::GET && self.body.is_none() {
            let answer = self.client.get(self.route, &self.extensions).await?;
            return Ok(Fetched { value: answer.decode()?, etag: answer.etag });
        }
        let etag_and_value = |done: Done| async move {
            match done {
                Done::AtOnce(answer) => Ok(Fetched { value: answer.decode()?, etag: answer.etag }),
                Done::Operation(_) => Err(Error::new(
                    crate::ErrorKind::Decode,
                    "an operation where a result was expected; use `change`",
                )),
            }
        };
        let client = self.client.clone();
        let done = Change::new(&client, self.into_change_request(), |done| async { Ok(done) }).await?;
        etag_and_value(done).await
    }

    /// The request as a change, for work that the server may do in the background. Its result is the metadata of the
    /// answer, or the finished operation, as JSON.
    pub fn change(self) -> Change<Value> {
        let client = self.client.clone();
        Change::new(&client, self.into_change_request(), |done| async move {
            match done {
                Done::AtOnce(answer) => answer.decode(),
                Done::Operation(operation) => serde_json::to_value(*operation).map_err(|error| {
                    Error::new(crate::ErrorKind::Decode, "the operation has no JSON form").with_source(error)
                }),
            }
        })
    }

    fn into_change_request(self) -> Result<ChangeRequest, Error> {
        let mut request = ChangeRequest::new(self.method, self.route?);
        if let Some(body) = self.body {
            request = request.json(&body?)?;
        }
        Ok(self.extensions.into_iter().fold(request, ChangeRequest::needs))
    }
}
