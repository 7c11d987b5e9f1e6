//! The emulator beside the real servers: the same requests to both, good and bad, fixed and drawn by lot, and what they
//! answer compared.
//!
//! `LXD_TESTS_STEPS` sets how many requests are drawn for each server and `LXD_TESTS_SEED` which ones. What may differ is
//! listed with its reason in [`known`]; an entry there that nothing needs any longer is a failure too.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

mod ask;
mod drawn;
mod known;
mod normal;
mod pair;
mod scenarios;
mod step;

use std::{collections::BTreeSet, env, process::ExitCode, sync::Arc};

use libtest_mimic::{Arguments, Failed, Trial};
use lxd_emulator::Personality;
use lxd_tests::{Lab, Slot};

use self::{known::Known, pair::Pair};

/// Requests that are drawn for each server where nobody says how many.
const STEPS: usize = 600;

fn main() -> ExitCode {
    let arguments = Arguments::from_args();
    let pairs = [(Slot::LxdA, Personality::Lxd5), (Slot::Incus, Personality::Incus6)];
    let lab = if arguments.list { None } else { Some(Lab::attach(&pairs.map(|(slot, _)| slot))) };
    let lab = match lab.transpose() {
        Ok(lab) => lab.map(Arc::new),
        Err(error) => {
            eprintln!("the servers did not start: {error}");
            return ExitCode::FAILURE;
        }
    };
    let documented = Trial::test("the_docs_name_what_differs", || {
        let undocumented: Vec<&str> = Known::undocumented().collect();
        if undocumented.is_empty() { Ok(()) } else { Err(format!("{undocumented:?}").into()) }
    });
    let trials = pairs.into_iter().map(|(slot, personality)| {
        let missing = lab.as_ref().and_then(|lab| lab.daemon(slot).err());
        let must = env::var("CI").is_ok_and(|ci| ci == "true");
        let skipped = missing.is_some() && !must;
        if let Some(reason) = &missing {
            eprintln!("SKIPPED, no {slot}: {reason}");
        }
        let lab = lab.clone();
        let run = move || lab.map_or(Ok(()), |lab| compare(&lab, slot, personality));
        Trial::test(format!("{personality:?}_is_like_{slot}"), run).with_ignored_flag(skipped)
    });
    libtest_mimic::run(&arguments, trials.chain([documented]).collect()).exit_code()
}

fn number(variable: &str, otherwise: usize) -> usize {
    env::var(variable).map_or(otherwise, |text| text.parse().unwrap())
}

fn compare(lab: &Lab, slot: Slot, personality: Personality) -> Result<(), Failed> {
    let (steps, seed) = (number("LXD_TESTS_STEPS", STEPS), number("LXD_TESTS_SEED", 1));
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let daemon = lab.daemon(slot).map_err(Failed::from)?;
    runtime.block_on(async {
        let pair = Pair::new(daemon, personality).await;
        let mut known = Known::of(personality);
        let (mut asked, mut wrong) = (0, Vec::new());
        let drawn = drawn::steps(seed as u64, steps);
        for (name, steps) in scenarios::all().into_iter().chain([("drawn", drawn)]) {
            for step in steps {
                asked += 1;
                if let Some(difference) = pair.difference(&step).await
                    && !known.covers(&step, &difference)
                {
                    wrong.push(format!("{name}: {step}\n{difference}"));
                }
            }
        }
        pair.clean_up().await;
        println!("{asked} requests to {slot} and the emulator, {} of them differ as known", known.count());
        if !wrong.is_empty() {
            return Err(
                format!("{} of {asked} requests differ:\n\n{}", wrong.len(), wrong.join("\n\n")).into()
            );
        }
        let unused: BTreeSet<&str> = known.unused().collect();
        let usual = env::var_os("LXD_TESTS_STEPS").is_none() && env::var_os("LXD_TESTS_SEED").is_none();
        if usual && !unused.is_empty() {
            return Err(format!(
                "these differences are gone, take them out of known.rs and the docs: {unused:?}"
            )
            .into());
        }
        Ok(())
    })
}
