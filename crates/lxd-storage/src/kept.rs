//! Backups that a server keeps, whatever they are of.

use std::{fmt, sync::Arc};

use bytes::Bytes;
use http::{HeaderMap, Method};
use lxd_types::{Operation, Timestamp};
use serde::Serialize;

use crate::{
    Change, Download, Error, ErrorKind,
    created::told_name,
    doubt,
    exchange::Answer,
    object::Address,
    pending::{ChangeRequest, Done},
    route::{Route, check_name},
    transfer,
};

/// Something of which a server packs backups.
pub(crate) trait Packable: Address + fmt::Debug + Send + Sync + 'static {
    /// What asks for a backup.
    type Post: Clone + fmt::Debug + Default + Serialize + Send + Sync + 'static;

    /// The API extension that brought its backups.
    const BACKUPS: &'static str;

    /// The request for a backup, with all that is looked at before it is sent.
    fn packing(&self, post: &Self::Post) -> Result<ChangeRequest, Error>;

    /// Makes it a request for a backup that is to be fetched at once.
    fn temporary(post: &mut Self::Post, name: &str, expires_at: Option<Timestamp>);

    /// Where its backups are.
    fn backups_path(&self) -> Result<Route, Error> {
        Ok(self.path()?.literal("backups"))
    }
}

/// The address of a backup.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Kept<O> {
    of: O,
    name: Arc<str>,
}

impl<O: Packable> Kept<O> {
    pub(crate) fn new(of: O, name: Arc<str>) -> Self {
        Self { of, name }
    }

    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    pub(crate) fn of(&self) -> &O {
        &self.of
    }

    pub(crate) async fn read(&self) -> Result<Answer, Error> {
        self.of.server().get(self.scoped(), &[O::BACKUPS]).await
    }

    pub(crate) async fn exists(&self) -> Result<bool, Error> {
        match self.read().await {
            Ok(_) => Ok(true),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(false),
            Err(error) => Err(error),
        }
    }

    pub(crate) fn rename<P: Serialize, H: Send + 'static>(
        &self,
        name: Arc<str>,
        post: impl FnOnce(&str) -> P,
        handle: impl FnOnce(Self) -> H + Send + 'static,
    ) -> Change<H> {
        let renamed = Self { name, of: self.of.clone() };
        let request = check_name("backup", &renamed.name).and_then(|()| {
            let request = ChangeRequest::new(Method::POST, self.scoped()?).json(&post(&renamed.name))?;
            // Servers leave it to the file system to notice a taken name, which replaces the file.
            let request = request.leaving(doubt::moved(&self.in_words(), &renamed.in_words()));
            Ok(request.needs(O::BACKUPS).if_free(renamed.scoped()?, renamed.in_words()))
        });
        Change::new(self.of.server(), request, |_| async { Ok(handle(renamed)) })
    }

    pub(crate) fn delete(&self) -> Change<()> {
        let request = self.scoped().map(|route| ChangeRequest::new(Method::DELETE, route).needs(O::BACKUPS));
        Change::new(self.of.server(), request, |_| async { Ok(()) })
    }

    pub(crate) async fn download(&self) -> Result<Download, Error> {
        let client = self.of.server();
        client.require(&[O::BACKUPS]).await?;
        let uri = client.scoped(self.path()?.literal("export")).uri()?;
        let (method, headers, body) = (Method::GET, HeaderMap::new(), Bytes::new());
        Download::begin(transfer::From { client: client.clone(), method, headers, body }, uri).await
    }

    fn path(&self) -> Result<Route, Error> {
        self.of.backups_path()?.name("backup", &self.name)
    }

    pub(crate) fn scoped(&self) -> Result<Route, Error> {
        self.path().map(|route| self.of.server().scoped(route))
    }

    pub(crate) fn in_words(&self) -> String {
        format!("backup {:?} of {}", self.name, self.of.in_words())
    }
}

/// The request for a backup under a name, which must be free, or under one of the server's choice.
pub(crate) fn packing<O: Packable>(of: &O, post: &O::Post, name: &str) -> Result<ChangeRequest, Error> {
    let route = of.server().scoped(of.backups_path()?);
    let request = ChangeRequest::new(Method::POST, route).json(post)?.needs(O::BACKUPS);
    if name.is_empty() {
        return Ok(request.leaving(doubt::made(&format!("a backup of {}", of.in_words()))));
    }
    check_name("backup", name)?;
    let kept = Kept::new(of.clone(), name.into());
    // Servers say so only after they have packed it.
    Ok(request.if_free(kept.scoped()?, kept.in_words()).leaving(doubt::made(&kept.in_words())))
}

/// The name that a backup was asked for under, or else the one that the server gave it.
pub(crate) fn name(asked: String, done: Done) -> Result<String, Error> {
    if !asked.is_empty() {
        return Ok(asked);
    }
    let operation: Operation = match done {
        Done::Operation(operation) => *operation,
        Done::AtOnce(answer) => answer.decode()?,
    };
    told_name(&operation, "backups")
        .ok_or_else(|| Error::new(ErrorKind::Decode, "the server doesn't say how it named the backup"))
}
