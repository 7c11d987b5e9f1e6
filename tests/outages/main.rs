//! What happens to transfers, migrations and lists whose server is killed in the middle of them: each ends in a typed
//! error in time, says what is left, and the same client goes on once the server is there again.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

mod buckets;
mod cluster;
mod crowd;
mod migrations;
#[path = "../suite/s3.rs"]
mod s3;
mod servers;
mod transfers;
