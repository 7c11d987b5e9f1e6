//! Volumes on their way between two emulators: one offers websockets, the other comes to them, or somebody in the middle
//! joins those of both.
//!
//! What the two say to each other is their own affair, as it is between real servers, whose rsync and btrfs streams
//! these are not: a real server is no partner. Over `control` the source says what the volume is, the target which
//! snapshots it lacks and in the end how it went; over `fs` goes one archive.

mod dial;
mod offer;
mod sink;
mod source;
mod wires;

use std::sync::Arc;

pub(crate) use self::{
    dial::{Invitation, dial},
    offer::Offer,
    sink::Receiving,
    source::Sending,
    wires::Wires,
};
use crate::{core::Core, failure::Failure, operations::Operation};

/// Does some part of a migration, unless the operation is cancelled or all connections break meanwhile.
async fn unless_stopped<T>(
    core: &Arc<Core>,
    operation: &Operation,
    work: impl Future<Output = Result<T, Failure>>,
) -> Result<T, Failure> {
    tokio::select! {
        done = work => done,
        () = operation.unwanted() => Err(Failure::internal("context canceled")),
        () = core.faults.next_cut() => Err(wires::lost()),
    }
}
