//! The endpoints, a file for each area.

pub(crate) mod events;
pub(crate) mod operations;
pub(crate) mod pools;
pub(crate) mod server;
pub(crate) mod volume_change;
pub(crate) mod volume_create;
pub(crate) mod volumes;
