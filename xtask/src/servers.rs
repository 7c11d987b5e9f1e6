//! `cargo xtask servers`: private daemons that stay until told to go.

use lxd_tests::{Family, Lab, Slot};

pub(crate) fn run(arguments: &[&str]) -> Result<(), String> {
    match arguments {
        ["up"] => up(),
        ["status"] => {
            match Lab::running() {
                Some(lab) => print(&lab),
                None => println!("No servers are up."),
            }
            Ok(())
        }
        ["down"] => {
            println!("{}", if Lab::down() { "The servers are gone." } else { "No servers were up." });
            Ok(())
        }
        _ => Err("servers wants one of: up, status, down".to_owned()),
    }
}

fn up() -> Result<(), String> {
    if let Some(lab) = Lab::running() {
        println!("They are up already.");
        print(&lab);
        return Ok(());
    }
    let lab = Lab::up(&Slot::REAL)?;
    print(&lab);
    if lab.daemons().is_empty() { Err("no server can be had on this machine".to_owned()) } else { Ok(()) }
}

fn print(lab: &Lab) {
    for slot in Slot::REAL {
        match lab.daemon(slot) {
            Err(reason) => println!("{slot:<8} none: {reason}"),
            Ok(daemon) => {
                let variable = match slot.family() {
                    Family::Lxd => "LXD_SOCKET",
                    Family::Incus => "INCUS_SOCKET",
                };
                println!(
                    "{slot:<8} process {}, {}, pools {}",
                    daemon.pid(),
                    daemon.https_url(),
                    daemon.pools().join(" ")
                );
                let (socket, client) = (daemon.socket(), slot.client_program());
                println!("{:<8} {variable}={} {} storage list", "", socket.display(), client.display());
            }
        }
    }
}
