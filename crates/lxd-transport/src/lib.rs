//! HTTP to an LXD or Incus daemon: over a Unix socket, over TLS, or over anything that you bring.
//!
//! This crate moves requests and answers. It knows no storage, no JSON and no API; `lxd-storage` puts those on top.
//!
//! # Two seams
//!
//! | to change | implement | by |
//! |---|---|---|
//! | what a request means: record, replay, proxy, fake | [`Transport`] | two methods, see its example |
//! | where the bytes go: vsock, SSH, a pipe | [`Dial`] | two methods, under [`HttpTransport`] |
//!
//! `Unix` and `Tls` are dialers under the same [`HttpTransport`], so that connections,
//! time limits and upgrades have one code path. Any `tower` service is a transport through
//! `tower::Tower`.
//!
//! # Trying again
//!
//! A transport by itself sends a read once more where the connection that it reused turns out dead, and nothing else twice.
//! [`Retrying`] tries again for some seconds, where that can do no harm.
//!
//! # Time limits
//!
//! | limit | what it bounds | metadata | long poll | transfer |
//! |---|---|---|---|---|
//! | dial ([`HttpTransportBuilder::dial_timeout`]) | resolve, connect and handshake together | 10 s | 10 s | 10 s |
//! | [`first_byte`](Limits::first_byte) | from the request, or the last chunk of it, to the head of the answer | 30 s | slice + 15 s | 60 s |
//! | [`idle`](Limits::idle) | between two chunks of the answer | 30 s | slice + 15 s | 60 s |
//! | [`total`](Limits::total) | everything, dialling included | none | none | none |
//!
//! # Features
//!
//! | feature | default | what |
//! |---|---|---|
//! | `unix` | yes | `Unix`, dialled by hyperlocal, and `discover` |
//! | `ring` | no | `Tls` with cryptography by ring |
//! | `aws-lc-rs` | no | `Tls` with cryptography by aws-lc-rs; where both are on, ring is used |
//! | `tls` | no | `Tls` alone; building one without a provider is an error that says so |
//! | `system-roots` | no | `ServerTrust::system` |
//! | `tower` | no | module `tower` |
//!
//! Features only add. Without any, [`HttpTransport`] works over a [`Dial`] of your own.

mod authorized;
mod body;
mod connection;
mod dial;
mod endpoint;
mod error;
mod heard;
mod http_transport;
mod limits;
mod pool;
mod retrying;
mod spare;
mod transport;
mod upgrade;
mod watchdog;

#[cfg(feature = "unix")]
pub mod discover;
#[cfg(feature = "tls")]
mod tls;
#[cfg(feature = "tower")]
pub mod tower;

pub use bytes;
pub use http;

#[cfg(feature = "unix")]
pub use self::dial::unix::Unix;
#[cfg(feature = "tls")]
pub use self::dial::{
    proxy::Proxy,
    tls::{Tls, TlsBuilder},
};
#[cfg(feature = "tls")]
pub use self::tls::{
    identity::Identity,
    presented::Presented,
    trust::{ServerTrust, fingerprint},
};
pub use self::{
    authorized::{Authorized, Token, TokenSource},
    body::Body,
    dial::{Dial, Io},
    endpoint::Endpoint,
    error::{Error, ErrorKind, Phase, Reached},
    http_transport::{HttpTransport, HttpTransportBuilder},
    limits::Limits,
    retrying::Retrying,
    transport::{BoxFuture, Transport},
    upgrade::{OnUpgrade, Upgraded, upgrade},
};
