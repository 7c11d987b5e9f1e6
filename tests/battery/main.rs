//! Calls of the client meet faults of the emulator, over a Unix socket and TLS: each ends in a typed error within its time, nothing is changed behind an error that says that nothing reached the server, the next call
//! of the same client works, and no task, connection or file is left.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

mod archive_calls;
mod bucket_calls;
mod calls;
mod cluster_calls;
mod crowd;
mod every_call;
mod faults;
mod fixture;
mod impostors;
mod leaks;
mod migration_calls;
mod object_calls;
mod odd_names;
mod redirects;
