//! Letting somebody else join a server.

use lxd_storage::{Client, transport::http::Method};
use serde_json::json;

use crate::{Error, ErrorKind, JoinToken};

/// A token to be made on a server, for one new client.
///
/// ```no_run
/// # async fn example(client: lxd_storage::Client) -> Result<(), lxd_remotes::Error> {
/// use lxd_remotes::Grant;
///
/// let token = Grant::new("laptop").restricted_to(["blue"]).issue(&client).await?;
/// println!("{}", token.reveal());
/// # Ok(()) }
/// ```
#[derive(Clone, Debug)]
#[must_use = "nothing is sent until `issue` is called"]
pub struct Grant {
    name: String,
    projects: Option<Vec<String>>,
}

impl Grant {
    /// For a client that the server is to know by this name.
    pub fn new(name: impl Into<String>) -> Self {
        Self { name: name.into(), projects: None }
    }

    /// Lets the client into these projects only. Needs the API extension `certificate_project`.
    pub fn restricted_to<P: Into<String>>(mut self, projects: impl IntoIterator<Item = P>) -> Self {
        self.projects = Some(projects.into_iter().map(Into::into).collect());
        self
    }

    /// Makes the token (`POST /1.0/certificates`). Each call makes another one. Needs the API extension
    /// `certificate_token`.
    ///
    /// # Errors
    /// [`Server`](ErrorKind::Server) with what the storage client said; [`BadToken`](ErrorKind::BadToken) where the
    /// server made one without an address, since it doesn't listen for HTTPS.
    pub async fn issue(&self, client: &Client) -> Result<JoinToken, Error> {
        let failed = |error: lxd_storage::Error| {
            Error::new(ErrorKind::Server, format!("no token for {:?}: {error}", self.name)).with_source(error)
        };
        let mut body = json!({ "type": "client", "token": true, "name": self.name });
        let mut request = client.request(Method::POST, "/1.0/certificates").needs("certificate_token");
        if let (Some(projects), Some(fields)) = (&self.projects, body.as_object_mut()) {
            fields.insert("restricted".to_owned(), true.into());
            fields.insert("projects".to_owned(), json!(projects));
            request = request.needs("certificate_project");
        }
        // The token is an operation that runs until somebody uses it, so there is no waiting for its end.
        let pending = request.json(&body).change().start().await.map_err(failed)?;
        let Some(operation) = pending.operation() else {
            let message = "the server made no operation for the token, which only servers of another kind do";
            return Err(Error::new(ErrorKind::Server, message));
        };
        JoinToken::from_metadata(|key| operation.metadata.get(key).cloned())
    }
}
