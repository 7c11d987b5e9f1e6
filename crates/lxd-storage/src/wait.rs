//! Waiting for long work on the server to end.
//!
//! Servers disagree on how `/wait` tells a failure: as the finished operation, or as an error answer under HTTP 200
//! that holds the real code and nothing else. They disagree on what the end of the waiting time looks like too. All
//! of that ends here.

use std::time::Duration;

use bytes::Bytes;
use http::{Method, StatusCode};
use lxd_transport::{Limits, Reached};
use lxd_types::{Operation, Secret};
use tokio::time::Instant;

use crate::{
    Client, Error, ErrorKind,
    exchange::Call,
    progress::{OnProgress, Teller},
    route::Route,
};

/// One `/wait` request lasts so long at most: shorter than what proxies on the way usually allow.
const SLICE: Duration = Duration::from_secs(30);

/// With somebody watching, the server is asked this often.
const WATCHED_SLICE: Duration = Duration::from_secs(1);

/// A lost connection is taken up again for so long before we say that we lost sight of the work.
const PATIENCE: Duration = Duration::from_secs(60);

/// Between requests that fail or come back too early: at first, and at most.
const FIRST_PAUSE: Duration = Duration::from_millis(50);
const LONGEST_PAUSE: Duration = Duration::from_secs(2);

/// So old must an operation be to be stopped. Incus 7.0 falls over as a whole when it is to stop what it has accepted and
/// not yet begun.
const FIRST_MOMENT: Duration = Duration::from_millis(500);

/// A `/wait` that takes longer than this has waited.
const SLACK: Duration = Duration::from_millis(500);

/// What the servers write when the time given to `/wait` is over. The one text that has to be compared: its code,
/// 500, is also that of any failure.
const SLICE_IS_OVER: &str = "context deadline exceeded";

/// Waits until the operation ends, at most until the deadline. `Ok` is success. No error or log shows the secrets.
pub(crate) async fn wait(
    client: &Client,
    operation: Operation,
    deadline: Option<Duration>,
    on_progress: Option<OnProgress>,
    secrets: &[Secret],
) -> Result<Operation, Error> {
    let id = operation.id.clone();
    let teller = on_progress.map(Teller::new);
    let waiting = Waiting { client, operation, teller: teller.as_ref(), lost: None, secrets }.run();
    let waiting = async {
        match &teller {
            Some(teller) => teller.listen_during(client, &id, waiting).await,
            None => waiting.await,
        }
    };
    match deadline {
        None => waiting.await,
        Some(deadline) => tokio::time::timeout(deadline, waiting).await.unwrap_or_else(|_| {
            let message = format!("it goes on after {deadline:?}");
            let kind = ErrorKind::Timeout(lxd_transport::Phase::Wait);
            Err(Error::new(kind, message).with_reached(Reached::Yes).with_operation(&id))
        }),
    }
}

/// Asks once how an operation stands, without waiting.
pub(crate) async fn look(client: &Client, id: &str) -> Result<Operation, Error> {
    let uri = client.scoped_project(Route::new("/1.0/operations").name("operation", id)?).uri()?;
    let answer = client.exchange().get(uri).await;
    let mut operation: Operation =
        answer.and_then(|answer| answer.decode()).map_err(|error| sight(error, id))?;
    if operation.id.is_empty() {
        id.clone_into(&mut operation.id);
    }
    Ok(operation)
}

/// Asks the server to stop an operation that it accepted at this time, a moment later at the earliest.
pub(crate) async fn cancel(client: &Client, id: &str, accepted: Instant) -> Result<(), Error> {
    tokio::time::sleep_until(accepted + FIRST_MOMENT).await;
    let uri = client.scoped_project(Route::new("/1.0/operations").name("operation", id)?).uri()?;
    let limits = client.exchange().limits;
    let call =
        Call { method: Method::DELETE, uri, body: Bytes::new(), if_match: None, limits, secrets: Vec::new() };
    client.exchange().call(call).await.map(drop).map_err(|error| sight(error, id))
}

/// What the end of an operation means.
pub(crate) fn judge(operation: Operation) -> Result<Operation, Error> {
    match operation.status_code {
        lxd_types::StatusCode::SUCCESS => Ok(operation),
        lxd_types::StatusCode::CANCELLED => Err(Error::new(ErrorKind::Cancelled, operation.err)
            .with_reached(Reached::Yes)
            .with_operation(&operation.id)),
        code => {
            let code = operation.err_code.filter(|code| *code != 0).unwrap_or(code.as_u16());
            Err(failed(&operation.id, code, &operation.err))
        }
    }
}

fn failed(id: &str, code: u16, text: &str) -> Error {
    let error = Error::new(ErrorKind::OperationFailed, text).without_secrets(&[]);
    error.said_by_server(code).with_operation(id)
}

/// An error on the way to an operation. Where the operation is gone, its outcome is unknown, which isn't the same as
/// an object that doesn't exist.
fn sight(error: Error, id: &str) -> Error {
    let error = error.with_operation(id);
    if error.kind() == ErrorKind::NotFound {
        return error.with_kind(ErrorKind::Interrupted).with_note(
            "the server knows no such operation, or no longer; look at the object to see how it ended",
        );
    }
    error
}

struct Waiting<'a> {
    client: &'a Client,
    operation: Operation,
    teller: Option<&'a Teller>,
    /// Since when the server can't be reached.
    lost: Option<Instant>,
    /// What the operation may repeat.
    secrets: &'a [Secret],
}

impl Waiting<'_> {
    async fn run(mut self) -> Result<Operation, Error> {
        let mut pause = FIRST_PAUSE;
        loop {
            if let Some(teller) = self.teller {
                teller.tell(&self.operation);
            }
            if self.operation.status_code.is_final() {
                return judge(self.operation).map_err(|error| error.without_secrets(self.secrets));
            }
            let asked = Instant::now();
            match self.slice().await {
                Ok(mut operation) => {
                    // Whatever an answer leaves out: it is about what was asked for.
                    operation.id.clone_from(&self.operation.id);
                    self.operation = operation;
                    self.lost = None;
                    let waited = asked.elapsed() > SLACK;
                    if waited || self.operation.status_code.is_final() {
                        pause = FIRST_PAUSE;
                        continue;
                    }
                    // A server, or somebody on the way, that doesn't wait must not be asked without end.
                    tokio::time::sleep(pause).await;
                    pause = (pause * 2).min(LONGEST_PAUSE);
                }
                Err(error) if is_passing(&error) && self.lost_for() < PATIENCE => {
                    tracing::debug!(operation = %self.operation.id, %error, "lost sight, trying again");
                    tokio::time::sleep(pause).await;
                    pause = (pause * 2).min(LONGEST_PAUSE);
                }
                Err(error) if is_passing(&error) => {
                    let note = format!("lost sight of the operation for {PATIENCE:?}, it may go on");
                    let error = error.with_kind(ErrorKind::Interrupted).with_note(note);
                    // Whatever the last try met: the request for the work itself did arrive.
                    return Err(error.with_reached(Reached::Yes));
                }
                Err(error) => return Err(error),
            }
        }
    }

    /// How long ago trouble began, which is now if there was none.
    fn lost_for(&mut self) -> Duration {
        self.lost.get_or_insert_with(Instant::now).elapsed()
    }

    /// One `/wait` request; gives the operation as it stands afterwards.
    async fn slice(&mut self) -> Result<Operation, Error> {
        let (client, id) = (self.client, &*self.operation.id);
        let length = if self.teller.is_some() { WATCHED_SLICE } else { SLICE };
        let route = Route::new("/1.0/operations").name("operation", id)?.literal("wait");
        let uri = client.scoped_project(route).query("timeout", &length.as_secs().to_string()).uri()?;
        let (limits, secrets) = (Limits::long_poll(length), self.secrets.to_vec());
        let call = Call { method: Method::GET, uri, body: Bytes::new(), if_match: None, limits, secrets };
        match client.exchange().call(call).await {
            Ok(answer) => answer.decode().map_err(|error| error.with_operation(id)),
            // Under HTTP 200 it is the operation that failed; under any other status it is this request.
            Err(error) if error.status() == Some(StatusCode::OK) && error.server_message().is_some() => {
                if error.server_message() == Some(SLICE_IS_OVER) {
                    // The work itself can fail with these words too, so the operation has the last word.
                    return look(client, id).await;
                }
                Err(failed(id, error.code().unwrap_or(500), error.server_message().unwrap_or_default()))
            }
            Err(error) => Err(sight(error, id)),
        }
    }
}

/// Whether trouble on the way to the server may pass: a restart of the daemon, a proxy that cut a long request.
fn is_passing(error: &Error) -> bool {
    let gone = error.status() == Some(StatusCode::NOT_FOUND);
    match error.kind() {
        ErrorKind::Connect | ErrorKind::Timeout(_) => true,
        ErrorKind::Interrupted => !gone,
        // 500 is trouble with the database, in a cluster say; of the work it says nothing.
        ErrorKind::Server => matches!(error.status().map(|status| status.as_u16()), Some(500 | 502..=504)),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use lxd_transport::{Body, BoxFuture, Endpoint, Transport};

    use super::*;

    fn operation(status_code: u16, err: &str) -> Operation {
        serde_json::from_value(serde_json::json!({"id": "x", "status_code": status_code, "err": err}))
            .unwrap()
    }

    #[test]
    fn the_end_of_an_operation_is_told_apart() {
        assert!(judge(operation(200, "")).is_ok());
        let error = judge(operation(401, "")).unwrap_err();
        assert_eq!((error.kind(), error.operation()), (ErrorKind::Cancelled, Some("x")));
        let error = judge(operation(400, "disk full")).unwrap_err();
        assert_eq!(
            (error.kind(), error.code(), error.server_message()),
            (ErrorKind::OperationFailed, Some(400), Some("disk full"))
        );
    }
    /// In trouble for ever: nobody is there, or somebody who answers like this.
    struct Trouble(Endpoint, Option<&'static str>);

    impl Transport for Trouble {
        fn send(
            &self,
            _: http::Request<Body>,
        ) -> BoxFuture<'_, Result<http::Response<Body>, lxd_transport::Error>> {
            let nobody = lxd_transport::Error::new(lxd_transport::ErrorKind::Connect, "nobody listens");
            let response = self.1.map(|text| http::Response::builder().status(500).body(Body::from(text)));
            Box::pin(async { response.and_then(Result::ok).ok_or(nobody) })
        }

        fn endpoint(&self) -> &Endpoint {
            &self.0
        }
    }

    #[tokio::test(start_paused = true)]
    async fn work_that_is_out_of_sight_is_not_to_be_asked_for_again() {
        let client = Client::new(Trouble(Endpoint::custom("test"), None));
        let begun = Instant::now();
        let error = wait(&client, operation(103, ""), None, None, &[]).await.unwrap_err();
        assert!((PATIENCE..PATIENCE + Duration::from_secs(5)).contains(&begun.elapsed()));
        assert_eq!((error.kind(), error.operation()), (ErrorKind::Interrupted, Some("x")));
        // The last try reached nobody, but the request for the work had.
        assert!(!error.is_retry_safe(), "{error:?}");
    }

    #[tokio::test(start_paused = true)]
    async fn a_server_in_lasting_trouble_is_quoted_without_secrets() {
        let said = r#"{"type":"error","error_code":500,"error":"cannot sign with SKSKSK"}"#;
        let client = Client::new(Trouble(Endpoint::custom("test"), Some(said)));
        let error = wait(&client, operation(103, ""), None, None, &["SKSKSK".into()]).await.unwrap_err();
        let text = format!("{error} {error:#} {error:?} {:?}", error.server_message());
        assert!(text.contains("cannot sign with ***") && !text.contains("SKSKSK"), "{text}");
    }

    #[test]
    fn a_forgotten_operation_is_not_a_missing_object() {
        let gone = Error::new(ErrorKind::NotFound, "Operation not found").with_status(StatusCode::NOT_FOUND);
        let error = sight(gone, "x");
        assert_eq!(error.kind(), ErrorKind::Interrupted);
        assert!(!is_passing(&error));
        assert!(!error.is_not_found());
    }
}
