//! The source connects to the target.

use std::sync::Arc;

use lxd_types::{StorageVolumePostTarget, StorageVolumesPost};

use super::{
    Migration,
    begun::Begun,
    ends::both,
    pull::{offered, operation_url},
};
use crate::{Error, ErrorKind};

impl Migration {
    /// Lets the source send the volume, to the first address under which it reaches the target.
    pub(super) async fn push_over(&self, post: &StorageVolumesPost, begun: &Arc<Begun>) -> Result<(), Error> {
        let client = self.pool.client();
        let addresses = self.addresses_of(client, "target").await?;
        let certificate = client.server().await?.environment.certificate.clone();
        let mut failure = Error::invalid("there is no address to send the volume to");
        for address in addresses {
            // A target that nobody came to has given up; each address gets a fresh one.
            let sink = self.receive(post, begun).await?;
            let offer = offered(sink.operation())?;
            let mut target = StorageVolumePostTarget::default();
            target.certificate.clone_from(&certificate);
            target.operation = Some(operation_url(&address, &offer));
            target.secrets = Some(offer.secrets());
            let sent = async {
                both(self.hand_over(Some(target), begun).await?.wait(), self.watched(sink).wait()).await
            };
            match sent.await {
                Ok(()) => return Ok(()),
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
