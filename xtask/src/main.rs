//! The chores of this workspace: `cargo xtask help` lists them.

mod bench;
mod ci;
mod command;
mod config_keys;
mod failures;
mod fixtures;
mod layers;
mod servers;
mod test;

use std::process::ExitCode;

const HELP: &str = "\
cargo xtask servers up | status | down   private LXD and Incus daemons that stay until told to go
cargo xtask test [--no-servers] [ARGS]   all tests, on private daemons of its own or those that are up
cargo xtask ci [--list | STEP...]        every check that CI runs before the tests
cargo xtask layers [--check-readme]      who may depend on whom, and what each layer costs
cargo xtask config-keys [--check]        the typed configs and the driver table of lxd-types, from the list of facts
cargo xtask bench [--quick]              what a request costs, beside bare hyper and pylxd
cargo xtask bench transfer [--quick]     what exports, imports and relays cost, and their peak memory
cargo xtask fixtures                     captures the answers that the tests of lxd-types read";

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let outcome = match words[..] {
        ["servers", ref rest @ ..] => servers::run(rest),
        ["test", ref rest @ ..] => test::run(rest),
        ["ci", ref rest @ ..] => ci::run(rest),
        ["layers", ref rest @ ..] => layers::run(rest),
        ["config-keys", ref rest @ ..] => config_keys::run(rest),
        ["bench", ref rest @ ..] => bench::run(rest),
        ["fixtures"] => fixtures::run(),
        [] | ["help" | "--help" | "-h"] => {
            println!("{HELP}");
            Ok(())
        }
        ref other => Err(format!("{:?} is no command\n\n{HELP}", other.join(" "))),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("xtask: {error}");
            ExitCode::FAILURE
        }
    }
}
