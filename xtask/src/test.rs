//! `cargo xtask test`: all tests, with private daemons around them.

use lxd_tests::{Lab, Slot};

use crate::command::{cargo, root, run as run_command};

pub(crate) fn run(arguments: &[&str]) -> Result<(), String> {
    // The lab is this process's own, so it ends here whatever becomes of the tests.
    let lab = Lab::attach(&Slot::ALL)?;
    let missing: Vec<String> = Slot::ALL
        .into_iter()
        .filter_map(|slot| Some(format!("{slot}: {}", lab.daemon(slot).err()?)))
        .collect();
    if !missing.is_empty() && std::env::var("CI").is_ok_and(|ci| ci == "true") {
        return Err(format!("CI=true and no real server for {}", missing.join("; ")));
    }

    let mut command = cargo(&["test", "--workspace", "--all-features"]);
    command.args(arguments);
    if !lab.daemons().is_empty() {
        let (variable, file) =
            lab.lend(&root().join("target").join(format!("lab-{}.json", std::process::id())))?;
        command.env(variable, &file);
        let outcome = run_command(&mut command);
        // It holds a private key, if only of a daemon that ends now.
        let _ = std::fs::remove_file(file);
        outcome?;
    } else {
        run_command(&mut command)?;
    }

    println!();
    for slot in Slot::ALL {
        match lab.daemon(slot) {
            Ok(daemon) => {
                println!("ran on a real {slot:<6} over Unix and TLS, pools {}", daemon.pools().join(", "))
            }
            Err(reason) => println!("SKIPPED           {slot:<6} {reason}"),
        }
    }
    Ok(())
}
