//! `cargo xtask bench`: what a request costs. The benchmark itself is in `tests/benches`, for `cargo bench` to run too.

use crate::command::{cargo, run as run_command};

pub(crate) fn run(arguments: &[&str]) -> Result<(), String> {
    run_command(cargo(&["bench", "--package", "lxd-tests", "--bench", "request", "--"]).args(arguments))
}
