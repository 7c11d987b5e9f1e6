//! The endpoints, a file for each area.

pub(crate) mod backups;
pub(crate) mod certificates;
pub(crate) mod cluster;
pub(crate) mod events;
pub(crate) mod export;
pub(crate) mod import;
pub(crate) mod instance_change;
pub(crate) mod instances;
pub(crate) mod migrations;
pub(crate) mod operations;
pub(crate) mod pool_create;
pub(crate) mod pools;
pub(crate) mod profiles;
pub(crate) mod projects;
pub(crate) mod server;
pub(crate) mod server_config;
pub(crate) mod snapshot_change;
pub(crate) mod snapshots;
pub(crate) mod volume_change;
pub(crate) mod volume_copy;
pub(crate) mod volume_create;
pub(crate) mod volume_move;
pub(crate) mod volume_state;
pub(crate) mod volumes;
