//! The source connects to the target.

use std::sync::Arc;

use lxd_types::{StorageVolumePostTarget, StorageVolumesPost};
use tokio::task::JoinSet;

use super::{
    Migration,
    begun::Begun,
    pull::{offered, operation_url},
};
use crate::{Error, ErrorKind, Pending};

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
            let sent = async { both(self.hand_over(Some(target), begun).await?, self.watched(sink)).await };
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

/// Waits for both ends. The first failure is the one that tells what happened; the other end only lost its partner.
pub(super) async fn both(source: Pending<()>, sink: Pending<()>) -> Result<(), Error> {
    let mut ends = JoinSet::new();
    ends.spawn(async { source.await.map_err(|error| error.with_note("so says the source")) });
    ends.spawn(sink.wait());
    while let Some(ended) = ends.join_next().await {
        ended.map_err(|error| {
            Error::new(ErrorKind::Interrupted, "the waiting for one end was stopped").with_source(error)
        })??;
    }
    Ok(())
}
