//! The remotes that `lxc` and `incus` know: reading their config folders, and adding servers to them.
//!
//! A config folder has `config.yml` with the remotes, the client's certificate and key, and the certificates of the
//! servers. [`Remotes`] reads it as the command line clients do, gives a [`Client`](lxd_storage::Client) for a remote,
//! and adds remotes so that the command line clients can use them too.
//!
//! ```no_run
//! # async fn example() -> Result<(), lxd_remotes::Error> {
//! use lxd_remotes::{Cli, Join, Remotes};
//!
//! let mut remotes = Remotes::load(Cli::Incus)?;
//! remotes.add("backup", Join::token("eyJjbGllbnRfbmFtZSI6...".parse()?)).await?;
//!
//! let client = remotes.client("backup").await?;
//! for pool in client.storage_pools().all().await? {
//!     println!("{}", pool.name());
//! }
//! # Ok(()) }
//! ```
//!
//! The storage client is here as [`storage`], so that this crate is the only one to depend on; `?` takes its errors too.
//!
//! # Trust
//!
//! No server is trusted because it answers. A token brings the fingerprint of its server along, and the certificate is
//! compared with it before the token is sent. Without a token the caller gives the fingerprint, or looks at the one that
//! was found and decides: see [`Expect`].
//!
//! # What this crate leaves to its caller
//!
//! It prints nothing, asks nobody and opens no browser. For a remote with OIDC the caller brings the source of the
//! tokens: [`Join::oidc`] to add it, [`Connect::tokens`] for its clients. What else the environment says is left alone
//! unless the caller asks for it: [`Remotes::with_environment`].

mod add;
mod cli;
mod client_key;
mod config;
mod connect;
mod edit;
mod enroll;
mod environment;
mod error;
mod folder;
mod grant;
mod join;
mod pem;
mod plan;
mod remote;
mod remotes;
mod token;

pub use lxd_storage as storage;

pub use self::{
    cli::Cli,
    connect::Connect,
    error::{Error, ErrorKind},
    grant::Grant,
    join::{Expect, Join},
    remote::{Auth, Protocol, Remote},
    remotes::Remotes,
    token::JoinToken,
};
