//! What callers are told of a change when the way to the server failed them: what may be left, and what is done.

use lxd_transport::Reached;

use crate::{Error, ErrorKind};

/// What something new may be like.
pub(crate) fn made(what: &str) -> String {
    format!("{what} may be there or still come; delete it if it is not whole")
}

/// Where something may be that was on its way.
pub(crate) fn moved(from: &str, to: &str) -> String {
    format!("it may be {to} by now, or still {from}, or on its way")
}

/// What something that was there before may be like.
pub(crate) fn refreshed(what: &str) -> String {
    format!("{what} may be refreshed in part; refresh it again")
}

/// An error of a request that may have arrived, or of the waiting for its work: says what may be left.
pub(crate) fn in_doubt(error: Error, leaves: Option<&str>) -> Error {
    let unknown = matches!(error.kind(), ErrorKind::Interrupted | ErrorKind::Timeout(_) | ErrorKind::Decode);
    match leaves {
        Some(leaves) if unknown && error.request_reached_server() != Reached::No => error.with_note(leaves),
        _ => error,
    }
}

/// An error of what follows a change that is done, such as reading the outcome.
pub(crate) fn after(error: Error) -> Error {
    let error = error.having_changed();
    match error.kind() {
        ErrorKind::Connect | ErrorKind::Tls | ErrorKind::Interrupted | ErrorKind::Timeout(_) => {
            error.with_note("the change itself is done")
        }
        _ => error,
    }
}

#[cfg(test)]
mod tests {
    use http::{Method, Uri};

    use super::*;

    fn error(kind: ErrorKind, reached: Reached) -> Error {
        Error::new(kind, "why").with_reached(reached)
    }

    #[test]
    fn what_may_be_left_is_told_only_where_something_may_be() {
        let leaves = made("volume \"v\"");
        for (kind, reached, told) in [
            (ErrorKind::Interrupted, Reached::Maybe, true),
            (ErrorKind::Decode, Reached::Yes, true),
            (ErrorKind::Connect, Reached::No, false),
            (ErrorKind::AlreadyExists, Reached::Yes, false),
        ] {
            let text = in_doubt(error(kind, reached), Some(&leaves)).to_string();
            assert_eq!(text.contains("volume \"v\" may be there"), told, "{text}");
        }
        assert_eq!(
            in_doubt(error(ErrorKind::Interrupted, Reached::Maybe), None).to_string(),
            "interrupted: why"
        );
    }

    #[test]
    fn reading_the_outcome_is_no_reason_to_change_again() {
        let uri = Uri::from_static("/1.0/x");
        for kind in [ErrorKind::Connect, ErrorKind::Interrupted] {
            let error = after(error(kind, Reached::No).with_request(&Method::GET, &uri));
            assert!(!error.is_retry_safe());
            assert!(error.to_string().contains("the change itself is done"), "{error}");
        }
    }
}
