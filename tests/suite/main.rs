//! One behavioural suite over {LXD, Incus 6, Incus 7, LXD cluster} x {Unix socket, TLS}, on real servers.
//!
//! Every case is an async function of a [`Ctx`] and runs once for each server and transport. Where a server can't be
//! had, its cases are reported as ignored together with the reason; with `CI=true` that is a failure.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

mod attach;
mod backups;
mod blocking;
mod broken_migrations;
mod broken_transfers;
mod buckets;
mod cluster;
mod content;
mod copies;
mod ctx;
mod cut;
mod defects;
mod ensure;
mod events;
mod files;
mod images;
mod isos;
mod left_out;
mod lists;
mod meddling;
mod migration;
mod moves;
mod names;
mod no_buckets;
mod objects;
mod operations;
mod pools;
mod progress;
mod raw;
mod remotes;
mod requests;
mod s3;
mod scope;
mod sizes;
mod snapshots;
mod table;
mod trust;
mod turns;
mod two_programs;
mod typed_config;
mod upgrade;
mod uploads;
mod volumes;

use std::{
    collections::BTreeMap,
    process::ExitCode,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use ctx::{Case, Ctx, Wire};
use libtest_mimic::{Arguments, Trial};
use lxd_tests::{Lab, Slot, twice, why_no_buckets};
use table::Table;
use turns::Turns;

/// No case takes a tenth of this; a hang must end in a failure that names the case.
const CASE_LIMIT: Duration = Duration::from_secs(120);

/// The same where nothing is real that could take its time.
const EMULATED_LIMIT: Duration = Duration::from_secs(30);

/// So many cases run on real servers at a time, and as many on emulators, which mostly wait.
const AT_A_TIME: usize = 2;

fn main() -> ExitCode {
    let mut arguments = Arguments::from_args();
    arguments.test_threads.get_or_insert(2 * AT_A_TIME);
    let needs_servers = !arguments.list;
    let lab = needs_servers.then(|| Lab::attach(&[&Slot::REAL[..], &Slot::EMULATED].concat())).transpose();
    let lab = match lab {
        Ok(lab) => lab.map(Arc::new),
        Err(error) => {
            eprintln!("the servers did not start: {error}");
            return ExitCode::FAILURE;
        }
    };

    let modules: &[(&str, &[Case])] = &[
        ("pools", pools::CASES),
        ("volumes", volumes::CASES),
        ("names", names::CASES),
        ("sizes", sizes::CASES),
        ("operations", operations::CASES),
        ("scope", scope::CASES),
        ("raw", raw::CASES),
        ("trust", trust::CASES),
        ("upgrade", upgrade::CASES),
        ("defects", defects::CASES),
        ("migration", migration::CASES),
        ("moves", moves::CASES),
        ("snapshots", snapshots::CASES),
        ("backups", backups::CASES),
        ("uploads", uploads::CASES),
        ("blocking", blocking::CASES),
        ("broken_migrations", broken_migrations::CASES),
        ("broken_transfers", broken_transfers::CASES),
        ("buckets", buckets::CASES),
        ("no_buckets", no_buckets::CASES),
        ("attach", attach::CASES),
        ("cluster", cluster::CASES),
        ("ensure", ensure::CASES),
        ("two_programs", two_programs::CASES),
        ("events", events::CASES),
        ("progress", progress::CASES),
        ("files", files::CASES),
        ("images", images::CASES),
        ("isos", isos::CASES),
        ("copies", copies::CASES),
        ("lists", lists::CASES),
        ("typed_config", typed_config::CASES),
        ("remotes", remotes::CASES),
        ("requests", requests::CASES),
    ];
    let has_buckets = |slot| matches!(slot, Slot::Incus | Slot::Incus7 | Slot::EmulatedIncus6);
    let is_of = |module: &str, slot: Slot| match module {
        "buckets" => has_buckets(slot),
        "no_buckets" => !has_buckets(slot),
        _ => true,
    };
    let no_buckets = |slot| why_no_buckets(slot).filter(|_| has_buckets(slot));
    let (mut real, mut emulated) = (Vec::new(), Vec::new());
    let turns = Arc::new(Turns::new(AT_A_TIME));
    let table = Arc::new(Table::default());
    let (mut missing, mut required) = (Vec::new(), false);
    let mut reasons: BTreeMap<Option<&str>, usize> = BTreeMap::new();
    // A client of a cluster talks to one of its members.
    let servers = [
        ("lxd", Slot::LxdA),
        ("incus", Slot::Incus),
        ("incus7", Slot::Incus7),
        ("cluster", Slot::Member1),
        ("emu-lxd5", Slot::EmulatedLxd5),
        ("emu-lxd", Slot::EmulatedLxdNew),
        ("emu-incus6", Slot::EmulatedIncus6),
    ];
    for (server, slot) in servers {
        let absent = lab.as_ref().and_then(|lab| lab.server(slot).err());
        if let Some(reason) = &absent {
            missing.push(format!("{server}: {reason}"));
            required |= slot.is_required();
        }
        for wire in wires(slot) {
            for (module, cases) in modules.iter().filter(|(module, _)| is_of(module, slot)) {
                let skipped = absent.is_some() || (*module == "buckets" && no_buckets(slot).is_some());
                for case in *cases {
                    let lab = lab.clone();
                    let name = format!("{server}::{wire}::{module}::{}", case.name);
                    let one_by_one = *module == "buckets" && slot == Slot::Incus;
                    let whole = format!("{module}::{}", case.name);
                    let left_out = left_out::why(server, &wire.to_string(), &whole);
                    *reasons.entry(left_out).or_insert(0) += 1;
                    let skipped = skipped || left_out.is_some();
                    let (table, module, column) =
                        (Arc::clone(&table), *module, format!("{server}/{}", wire.short()));
                    let turns = slot.personality().is_none().then(|| Arc::clone(&turns));
                    let trial = Trial::test(name.clone(), move || {
                        let _turn = turns.as_deref().map(Turns::take);
                        // MinIO's programs stumble over each other.
                        static TURN: Mutex<()> = Mutex::new(());
                        let _turn = one_by_one.then(|| TURN.lock().unwrap_or_else(PoisonError::into_inner));
                        let running = table.begin(module, column);
                        let once = || run(case, lab.clone(), slot, *wire);
                        if slot.personality().is_some() {
                            once()
                        } else {
                            twice(&name, once)
                        }
                        running.passed();
                        Ok(())
                    });
                    let trials = if slot.personality().is_some() { &mut emulated } else { &mut real };
                    trials.push(trial.with_ignored_flag(skipped));
                }
            }
        }
    }
    for (reason, count) in reasons.iter().filter_map(|(reason, count)| Some(((*reason)?, count))) {
        eprintln!("SKIPPED, {count} cases on emulators: {reason}");
    }
    for reason in &missing {
        eprintln!("SKIPPED, no real server: {reason}");
    }
    for reason in Slot::REAL.into_iter().filter_map(no_buckets) {
        // No archive of a distribution has MinIO, so this is no failure anywhere.
        eprintln!("SKIPPED, no buckets: {reason}");
    }

    let conclusion = libtest_mimic::run(&arguments, turns::mixed(real, emulated));
    if !arguments.list {
        println!("{table}");
    }
    // The servers end here, before the process does, whatever the cases did.
    drop(lab);
    if required && std::env::var("CI").is_ok_and(|ci| ci == "true") {
        eprintln!("CI=true: a missing real server is an error");
        return ExitCode::FAILURE;
    }
    conclusion.exit_code()
}

/// The ways in: only what is in this process can be reached without a socket.
fn wires(slot: Slot) -> &'static [Wire] {
    if slot.personality().is_some() {
        &[Wire::InProcess, Wire::Unix, Wire::Tls]
    } else {
        &[Wire::Unix, Wire::Tls]
    }
}

fn run(case: &'static Case, lab: Option<Arc<Lab>>, slot: Slot, wire: Wire) {
    let lab = lab.expect("there are servers where cases run");
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let ctx = Ctx::new(lab, slot, wire, case.name);
        let limit = if slot.personality().is_some() { EMULATED_LIMIT } else { CASE_LIMIT };
        let ran = tokio::time::timeout(limit, (case.run)(ctx)).await;
        ran.unwrap_or_else(|_| panic!("still running after {limit:?}"));
    });
}
