//! Sequences that were written down: each endpoint as it is meant, and each mistake that comes to mind.
//!
//! A line of a file is a request: `METHOD path body`, with `@etag` behind the method for `If-Match`. They build on each
//! other in this order.

use crate::step::Step;

const FILES: [(&str, &str); 7] = [
    ("pools", include_str!("scenarios/pools.txt")),
    ("volumes", include_str!("scenarios/volumes.txt")),
    ("snapshots", include_str!("scenarios/snapshots.txt")),
    ("backups", include_str!("scenarios/backups.txt")),
    ("copies", include_str!("scenarios/copies.txt")),
    ("instances", include_str!("scenarios/instances.txt")),
    ("odds", include_str!("scenarios/odds.txt")),
];

pub(crate) fn all() -> Vec<(&'static str, Vec<Step>)> {
    FILES.map(|(name, text)| (name, text.lines().map(step).collect())).into()
}

fn step(line: &'static str) -> Step {
    let mut parts = line.splitn(3, ' ');
    let (method, path) = (parts.next().unwrap(), parts.next().unwrap());
    let (method, if_match) = match method.split_once('@') {
        Some((method, etag)) => (method, Some(etag)),
        None => (method, None),
    };
    Step { method, path: path.to_owned(), body: parts.next().map(str::to_owned), if_match }
}
