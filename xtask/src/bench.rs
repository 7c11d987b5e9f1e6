//! `cargo xtask bench`: what a request costs, and `cargo xtask bench transfer`: what bulk data costs. The benchmarks
//! themselves are in `tests/benches`, for `cargo bench` to run too.

use crate::command::{cargo, run as run_command};

pub(crate) fn run(arguments: &[&str]) -> Result<(), String> {
    let (bench, rest) = match arguments {
        [bench @ ("request" | "transfer"), rest @ ..] => (*bench, rest),
        _ => ("request", arguments),
    };
    run_command(cargo(&["bench", "--package", "lxd-tests", "--bench", bench, "--"]).args(rest))
}
