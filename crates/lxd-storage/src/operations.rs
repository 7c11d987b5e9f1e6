//! The operations that a server knows of.

use std::collections::BTreeMap;

use lxd_types::Operation;

use crate::{Client, Error, route::Route};

/// The operations of a server (`/1.0/operations`): those under way, and those that ended within the last few seconds.
///
/// ```
/// # async fn example(client: lxd_storage::Client) -> Result<(), lxd_storage::Error> {
/// for operation in client.operations().all().await? {
///     println!("{} {} {}", operation.id, operation.description, operation.status_code);
///     if operation.may_cancel {
///         client.operation(&operation.id).await?.cancel().await?;
///     }
/// }
/// # Ok(()) }
/// # include!(concat!(env!("CARGO_MANIFEST_DIR"), "/doc/server.rs"));
/// # fn main() { on_emulator!(example(client)) }
/// ```
#[derive(Clone, Debug)]
pub struct Operations {
    client: Client,
}

impl Operations {
    pub(crate) fn new(client: Client) -> Self {
        Self { client }
    }

    /// The operations of the client's project (`GET /1.0/operations?recursion=1`), the oldest first.
    ///
    /// # Errors
    /// Trouble on the way.
    pub async fn all(&self) -> Result<Vec<Operation>, Error> {
        self.list(self.client.scoped_project(route()), &[]).await
    }

    /// The operations of all projects that the caller may see. Needs the API extension
    /// `operations_get_query_all_projects`, which LXD 5.0 lacks.
    ///
    /// # Errors
    /// [`UnsupportedExtension`](crate::ErrorKind::UnsupportedExtension); trouble on the way.
    pub async fn all_projects(&self) -> Result<Vec<Operation>, Error> {
        self.list(route().query("all-projects", "true"), &["operations_get_query_all_projects"]).await
    }

    async fn list(&self, route: Route, extensions: &[&'static str]) -> Result<Vec<Operation>, Error> {
        // By their status; nothing at all where there is none.
        let by_status: Option<BTreeMap<String, Vec<Operation>>> =
            self.client.get(Ok(route), extensions).await?.decode()?;
        let mut operations: Vec<Operation> = by_status.unwrap_or_default().into_values().flatten().collect();
        operations.sort_by_key(|operation| operation.created_at);
        Ok(operations)
    }
}

fn route() -> Route {
    Route::new("/1.0/operations").query("recursion", "1")
}
