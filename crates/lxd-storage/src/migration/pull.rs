//! The target connects to the source.

use std::sync::Arc;

use lxd_types::{Operation, StorageVolumesPost};

use super::{Migration, begun::Begun, ends::both};
use crate::{Error, ErrorKind};

impl Migration {
    /// Lets the target fetch the volume, from the first address under which it reaches the source.
    pub(super) async fn pull(&self, mut post: StorageVolumesPost, begun: &Arc<Begun>) -> Result<(), Error> {
        let client = self.source.client();
        let addresses = self.addresses_of(client, "source").await?;
        let certificate = client.server().await?.environment.certificate.clone();
        let mut failure = Error::invalid("there is no address to fetch the volume from");
        for address in addresses {
            // An offer that nobody came for soon ends; each address gets a fresh one.
            let source_end = self.hand_over(None, begun).await?;
            let offer = offered(source_end.operation())?;
            if let Some(source) = &mut post.source {
                source.secrets = Some(offer.secrets());
                source.certificate = Some(certificate.clone());
                source.operation = Some(operation_url(&address, &offer));
            }
            let sent = async {
                both(source_end.wait(), self.watched(self.receive(&post, begun).await?).wait()).await
            };
            match sent.await {
                Ok(()) => return Ok(()),
                // Only a failure of the work itself says something about this address; the next one may do better.
                Err(error) if matches!(error.kind(), ErrorKind::OperationFailed | ErrorKind::Server) => {
                    failure = error;
                    begun.clear().await;
                }
                Err(error) => return Err(error),
            }
        }
        Err(failure)
    }
}

/// An operation with websockets to connect to.
pub(super) fn offered(operation: Option<&Operation>) -> Result<Operation, Error> {
    match operation {
        Some(operation) if !operation.secrets().is_empty() => Ok(operation.clone()),
        _ => Err(Error::new(ErrorKind::Decode, "the server offers no websockets for the migration")),
    }
}

pub(super) fn operation_url(address: &str, operation: &Operation) -> String {
    format!("{}/1.0/operations/{}", address.trim_end_matches('/'), operation.id)
}
