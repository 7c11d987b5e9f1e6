//! `cargo xtask test`: all tests, with private daemons around them.

use std::process::Command;

use lxd_tests::{Lab, NO_SERVERS_VARIABLE, Slot};

use crate::{
    command::{cargo, root},
    failures::run as run_tests,
};

pub(crate) fn run(arguments: &[&str]) -> Result<(), String> {
    let mut command = cargo(&["test", "--workspace", "--all-features", "--no-fail-fast"]);
    let Some(("--no-servers", arguments)) = arguments.split_first().map(|(first, rest)| (*first, rest))
    else {
        // The lab is this process's own, so it ends here whatever becomes of the tests.
        return run_on(&Lab::attach(&Slot::REAL)?, command.args(arguments));
    };
    if is_ci() {
        return Err("CI=true, which wants real servers, and --no-servers".to_owned());
    }
    let outcome = run_tests(command.args(arguments).env(NO_SERVERS_VARIABLE, "1"));
    println!("\nSKIPPED           all real servers: --no-servers");
    outcome
}

fn run_on(lab: &Lab, command: &mut Command) -> Result<(), String> {
    let missing: Vec<String> = Slot::REAL
        .into_iter()
        .filter_map(|slot| Some(format!("{slot}: {}", lab.daemon(slot).err()?)))
        .collect();
    let is_required = |slot: &Slot| slot.is_required() && lab.daemon(*slot).is_err();
    if Slot::REAL.iter().any(is_required) && is_ci() {
        return Err(format!("CI=true and no real server for {}", missing.join("; ")));
    }

    let outcome = if lab.daemons().is_empty() {
        run_tests(command)
    } else {
        let (variable, file) =
            lab.lend(&root().join("target").join(format!("lab-{}.json", std::process::id())))?;
        let outcome = run_tests(command.env(variable, &file));
        // It holds a private key, if only of a daemon that ends now.
        let _ = std::fs::remove_file(file);
        outcome
    };

    println!();
    for slot in Slot::REAL {
        match lab.daemon(slot) {
            Ok(daemon) => {
                println!("ran on a real {slot:<6} over Unix and TLS, pools {}", daemon.pools().join(", "))
            }
            Err(reason) => println!("SKIPPED           {slot:<6} {reason}"),
        }
    }
    outcome
}

fn is_ci() -> bool {
    std::env::var("CI").is_ok_and(|ci| ci == "true")
}
