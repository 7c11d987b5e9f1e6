//! What all requests to one emulator share.

use std::{path::PathBuf, sync::Arc};

use crate::{
    clock::Clock,
    content::Content,
    events::{Events, Lifecycle, Requestor},
    failure::Failure,
    faults::Faults,
    operations::Operations,
    personality::{Behaviour, Extensions},
    state::{ContentType, Database, VolumeKey},
    store::Store,
    turns::Turns,
};

/// The member that a server alone is.
pub(crate) const ALONE: &str = "none";

#[derive(Debug)]
pub(crate) struct Core {
    pub(crate) behaviour: Arc<Behaviour>,
    pub(crate) extensions: Extensions,
    pub(crate) store: Store,
    pub(crate) content: Content,
    pub(crate) clock: Arc<Clock>,
    pub(crate) events: Arc<Events>,
    pub(crate) operations: Operations,
    pub(crate) faults: Faults,
    pub(crate) turns: Turns,
    /// How long a connection may wait for a request.
    #[cfg(any(feature = "unix", feature = "tls"))]
    pub(crate) idle_timeout: std::time::Duration,
    /// Names of the drivers that pools may have.
    pub(crate) drivers: Vec<String>,
    pub(crate) maintained: crate::maintenance::Last,
    /// Held while the volume of an image is made.
    pub(crate) unpacking: tokio::sync::Mutex<()>,
    #[cfg(feature = "tls")]
    pub(crate) certificate: crate::tls::ServerCertificate,
}

impl Core {
    pub(crate) fn has(&self, extension: &str) -> bool {
        self.extensions.has(extension)
    }

    /// The member that answers: the first of a cluster, or the server alone.
    pub(crate) fn here(&self, database: &Database) -> String {
        database.members.first().map_or_else(|| ALONE.to_owned(), Clone::clone)
    }

    /// The server's certificate; empty where it cannot listen for HTTPS.
    pub(crate) fn certificate_pem(&self) -> &str {
        #[cfg(feature = "tls")]
        return &self.certificate.pem;
        #[cfg(not(feature = "tls"))]
        return "";
    }

    /// The fingerprint of the same.
    pub(crate) fn certificate_fingerprint(&self) -> String {
        #[cfg(feature = "tls")]
        return self.certificate.fingerprint();
        #[cfg(not(feature = "tls"))]
        return String::new();
    }

    /// The folder of a volume as the database knows it.
    pub(crate) fn folder(&self, key: &VolumeKey) -> PathBuf {
        let known = self.store.read(|database| database.volumes.get(key).map(|volume| volume.content_type));
        self.content.volume(key, known.unwrap_or(ContentType::Filesystem))
    }

    /// The name that a server has in texts.
    pub(crate) fn brand(&self) -> &'static str {
        if self.behaviour.incus { "Incus" } else { "LXD" }
    }

    /// Where a member listens, as `/1.0/cluster/members` says.
    pub(crate) fn address(&self, database: &Database, index: usize) -> String {
        let listening = database.config.get("core.https_address").filter(|_| index == 0);
        listening.cloned().unwrap_or_else(|| format!("127.0.1.{}:8443", index + 1))
    }

    /// Says that somebody did something to an object.
    pub(crate) fn happened(
        &self,
        project: &str,
        action: &str,
        source: String,
        context: Option<serde_json::Value>,
        requestor: impl Into<Option<Requestor>>,
    ) {
        let event =
            Lifecycle { action, source, context, requestor: requestor.into(), name: None, project: None };
        let location = self.store.read(|database| self.here(database));
        self.events.send(&self.clock, "lifecycle", Some(project), &location, &event);
    }
}

/// Runs what waits for disks apart from the tasks of the runtime. The folder stays until it is done, even if everybody
/// else has gone.
pub(crate) async fn blocking<T, E>(
    core: &Arc<Core>,
    work: impl FnOnce() -> Result<T, E> + Send + 'static,
) -> Result<T, E>
where
    T: Send + 'static,
    E: From<std::io::Error> + Send + 'static,
{
    let folder = Arc::clone(core);
    let work = move || {
        let result = work();
        drop(folder);
        result
    };
    match tokio::task::spawn_blocking(work).await {
        Ok(result) => result,
        Err(error) => Err(std::io::Error::other(error).into()),
    }
}

/// Puts a copy of a folder in the place of another, as [`Content::replace`] does.
pub(crate) async fn replace(core: &Arc<Core>, from: PathBuf, to: PathBuf) -> Result<(), Failure> {
    let working = Arc::clone(core);
    blocking(core, move || working.content.replace(&from, &to).map_err(Failure::from)).await
}
