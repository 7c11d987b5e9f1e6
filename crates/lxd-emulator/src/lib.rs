//! An LXD or Incus server for storage, embedded: to try a client, to test it, and to break it.
//!
//! It serves the storage API statefully and needs neither LXD nor root: pools and volumes are entries of a database,
//! the content of volumes is files in a folder. What it answers is compared with the live servers.
//!
//! # Three ways in
//!
//! | way | how |
//! |---|---|
//! | in process | [`Emulator::transport`] is a transport for `lxd_storage::Client::new`: no socket at all |
//! | Unix socket, feature `unix` | `Emulator::listen_unix` |
//! | HTTPS with client certificates, feature `tls` | `Emulator::listen_tls` |
//!
//! Tools that are not written in Rust get the program `lxd-emulator --socket PATH | --listen ADDRESS`.
//!
//! # Personalities
//!
//! A [`Personality`] sets the API extensions and the habits that no extension tells: LXD 5.0.2, LXD 6.8 with its
//! asynchronous writes, and Incus 6.0.4.

mod api;
mod archive;
mod arrival;
mod buckets;
mod call;
mod clock;
mod config;
#[cfg(any(feature = "unix", feature = "tls"))]
mod connection;
mod content;
mod core;
mod decode;
mod devices;
mod emulator;
mod envelope;
mod etag;
mod events;
mod failure;
mod faults;
mod filter;
mod gojson;
mod in_process;
mod json_syntax;
mod keys;
#[cfg(feature = "unix")]
mod listeners;
mod lock;
mod maintenance;
mod migration;
mod misbehaving;
mod names;
mod operation_view;
mod operations;
mod personality;
mod plan;
mod projects;
mod recovery;
mod refresh;
mod route;
mod schedule;
mod scope;
mod service;
mod settings;
mod size;
mod snapshot_name;
mod state;
mod stop;
mod store;
#[cfg(feature = "tls")]
mod tls;
mod trust;
mod turns;
mod upgrade;
mod volume_view;

#[cfg(feature = "unix")]
pub use self::listeners::UnixListener;
#[cfg(feature = "tls")]
pub use self::tls::TlsListener;
pub use self::{
    emulator::{Emulator, EmulatorBuilder},
    faults::{Fault, OperationFault, Struck},
    in_process::InProcess,
    personality::Personality,
};
