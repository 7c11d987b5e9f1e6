//! Work that is to stop when nobody waits for it any longer.

use tokio::time::Instant;

use crate::{Client, Error, ErrorKind, wait};

/// Asks the server to stop an operation when it is dropped before the operation's end.
pub(crate) struct CancelOnDrop {
    operation: Option<(Client, String, Instant)>,
}

impl CancelOnDrop {
    pub(crate) fn new(client: &Client, operation: &str, accepted: Instant) -> Self {
        Self { operation: Some((client.clone(), operation.to_owned(), accepted)) }
    }

    /// Notes how waiting ended: after the operation's own end there is nothing to stop.
    pub(crate) fn note<T>(&mut self, result: &Result<T, Error>) {
        let ended = match result {
            Ok(_) => true,
            Err(error) => matches!(error.kind(), ErrorKind::OperationFailed | ErrorKind::Cancelled),
        };
        if ended {
            self.operation = None;
        }
    }
}

impl Drop for CancelOnDrop {
    fn drop(&mut self) {
        let Some((client, operation, accepted)) = self.operation.take() else { return };
        // Without a runtime there is nobody to do it.
        let Ok(runtime) = tokio::runtime::Handle::try_current() else { return };
        runtime.spawn(async move {
            if let Err(error) = wait::cancel(&client, &operation, accepted).await {
                tracing::warn!(operation, %error, "nobody waits for it any longer, and it goes on");
            }
        });
    }
}
