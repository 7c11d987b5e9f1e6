//! What requests meet, and the errors that this may end in.

use std::time::Duration;

use lxd_emulator::{Fault, OperationFault};
use lxd_storage::ErrorKind;

use crate::fixture::SHORT;

/// A fault, and what it may be called.
pub(crate) struct Met {
    pub(crate) name: &'static str,
    pub(crate) fault: fn() -> Fault,
    /// How the kinds of error begin that it may end in.
    pub(crate) kinds: &'static [&'static str],
    /// Whether no call whose every request meets it can be a success.
    pub(crate) always_fails: bool,
    /// Whether who sets no deadline waits for ever, as for any long work.
    pub(crate) goes_on: bool,
}

const fn met(
    name: &'static str,
    fault: fn() -> Fault,
    kinds: &'static [&'static str],
    always_fails: bool,
) -> Met {
    Met { name, fault, kinds, always_fails, goes_on: false }
}

pub(crate) const FAULTS: &[Met] = &[
    met("a stall", Fault::stall, &["Timeout"], true),
    met("a stall in the body", || Fault::stall_after(10), &["Timeout"], true),
    met("a cut before the head", Fault::cut, &["Interrupted"], true),
    met("a cut in the body", || Fault::cut_after(10), &["Interrupted"], true),
    met("another content type", || Fault::content_type("text/html"), &["Decode"], false),
    met("garbage", Fault::garbage, &["Decode", "Interrupted", "Server"], true),
    met("an endless body", Fault::endless, &["Decode", "InvalidInput", "Interrupted", "Timeout"], true),
    met("a full disk", || Fault::answer(500, "no space left on device"), &["NoSpace"], true),
    met("a starting server", || Fault::answer(503, "LXD daemon is starting up"), &["Server"], true),
    met("what is forbidden", || Fault::answer(403, "not authorized"), &["Forbidden"], true),
    met("what is not there", || Fault::answer(404, "not found"), &["NotFound", "Interrupted"], false),
    met("a short delay", || Fault::delay(SHORT / 6), &[], false),
    met("a long delay", || Fault::delay(Duration::from_secs(60)), &["Timeout"], true),
    met(
        "an operation that vanishes",
        || Fault::operation(OperationFault::Vanishes),
        &["Interrupted", "NotFound"],
        false,
    ),
    met(
        "an operation that fails late",
        || Fault::operation(OperationFault::FailsLate("disk gone".to_owned())),
        &["OperationFailed"],
        false,
    ),
    Met {
        name: "an operation that never ends",
        fault: || Fault::operation(OperationFault::NeverEnds),
        // The other end of a migration notices it, and fails.
        kinds: &["Timeout", "OperationFailed"],
        always_fails: false,
        goes_on: true,
    },
];

impl Met {
    /// Whether it may only be noticed by the time that it takes.
    pub(crate) fn stalls(&self) -> bool {
        self.kinds.contains(&"Timeout")
    }

    pub(crate) fn allows(&self, kind: ErrorKind) -> bool {
        let kind = format!("{kind:?}");
        self.kinds.iter().any(|allowed| kind.starts_with(allowed))
    }
}
