//! Private LXD and Incus daemons for tests, benchmarks and the tour.
//!
//! A [`Lab`] holds daemons in a folder of its own: two LXD and two Incus, so that volumes can move between servers, and
//! an LXD cluster of three. Nothing of the machine's own servers is touched. Each daemon lives in a mount namespace of its own and
//! dies with the thread that started it, so that even `kill -9` leaves no process, no mount and no loop device behind;
//! a left-over folder is removed by the next lab.
//!
//! Beside them stand emulators, in this process and so on every machine. A [`Server`] is either.
//!
//! This crate does not use the client that it helps to test: daemons are set up by the servers' own command line
//! clients.

mod again;
mod availability;
mod cluster;
mod daemon;
mod emulated;
mod lab;
mod minio;
mod record;
mod server;
mod slot;
mod starting;

pub use self::{
    again::{SECOND_TRY, tell_second_try, twice},
    availability::NO_SERVERS_VARIABLE,
    daemon::Daemon,
    emulated::{Emulated, why_no_loopback},
    lab::Lab,
    minio::why_no_buckets,
    record::state_file,
    server::Server,
    slot::{Family, Slot},
};
