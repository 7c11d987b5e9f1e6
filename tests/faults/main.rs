//! Bad and newer servers, scripted over a real Unix socket: what no healthy LXD or Incus of today answers.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

mod addresses;
mod answers;
mod bitmaps;
mod downloads;
mod dropped;
mod edits;
mod elsewhere;
mod events;
mod folders;
mod lost_backups;
mod members;
mod newer;
mod newest_buckets;
mod progress;
mod replacing;
mod script;
mod secrets;
mod slow;
