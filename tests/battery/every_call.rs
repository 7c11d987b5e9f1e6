//! The calls on one side, the faults on the other.

use std::time::Instant;

use futures_util::future::join_all;
use lxd_emulator::{Fault, Personality};
use lxd_storage::transport::Reached;
use lxd_tests::tell_second_try;

use crate::{
    calls::{Call, calls_of},
    faults::{FAULTS, Met},
    fixture::{DEADLINE, Fixture, LONG, Place, Wire, turn},
    leaks::Left,
};

/// Which requests of a call meet the fault.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Hit {
    All,
    /// The one after so many.
    One(usize),
}

impl Hit {
    fn on(self, fault: Fault) -> Fault {
        match self {
            Self::All => fault,
            Self::One(spared) => fault.after(spared).times(1),
        }
    }
}

/// Where, and which requests meet the faults.
const PLACES: &[(Place, &[Hit])] = &[
    (Place::new(Personality::LxdNew, Wire::Unix), &[Hit::All, Hit::One(0), Hit::One(1)]),
    (Place::new(Personality::LxdNew, Wire::Tls), &[Hit::All, Hit::One(1)]),
    (Place::new(Personality::Lxd5, Wire::Unix), &[Hit::All]),
    (Place::new(Personality::Incus6, Wire::Unix), &[Hit::All]),
    (Place::cluster(Personality::LxdNew, Wire::Unix), &[Hit::All, Hit::One(1)]),
    (Place::cluster(Personality::Incus6, Wire::Tls), &[Hit::All, Hit::One(1)]),
];

#[test]
fn every_call_meets_every_fault() {
    let _turn = turn();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        // What is made once only: the runtime of the servers, the random numbers of the cryptography.
        drop(Fixture::new(PLACES[1].0).await.client.server().await.unwrap());
        let mut failures = Vec::new();
        for (place, hits) in PLACES {
            for met in FAULTS {
                for hit in *hits {
                    let what = format!("{} ({hit:?}) of {place}", met.name);
                    let mut found = all_calls(*place, met, *hit, &what).await;
                    if !found.is_empty() {
                        // Much of this goes by the clock, which on a busy machine is no judge.
                        tell_second_try(&what, &found.join("; "));
                        found = all_calls(*place, met, *hit, &what).await;
                    }
                    failures.extend(found);
                }
            }
        }
        assert!(failures.is_empty(), "{} failures:\n{}", failures.len(), failures.join("\n"));
    });
}

/// All calls at once, each on a server of its own, and what went wrong.
async fn all_calls(place: Place, met: &Met, hit: Hit, what: &str) -> Vec<String> {
    let before = Left::now();
    let calls = calls_of(&place);
    let outcomes = join_all(calls.iter().map(|call| one(place, met, hit, call))).await;
    let (fixtures, outcomes): (Vec<Fixture>, Vec<_>) = outcomes.into_iter().unzip();
    let mut failures: Vec<String> = outcomes
        .into_iter()
        .zip(calls)
        .filter_map(|(outcome, call)| Some(format!("{} meets {what}: {}", call.name, outcome.err()?)))
        .collect();
    if met.goes_on {
        // What never ends is forgotten by that.
        fixtures.iter().for_each(|fixture| fixture.emulator.restart());
    }
    let kept = || fixtures.iter().map(Fixture::kept).sum();
    let settled =
        before.gone(true, kept).await.map_err(|left| format!("{what}: with the clients there {left}"));
    failures.extend(settled.err());
    drop(fixtures);
    let gone = before.gone(false, || 0).await.map_err(|left| format!("{what}: without the clients {left}"));
    failures.extend(gone.err());
    failures
}

async fn one(place: Place, met: &Met, hit: Hit, call: &Call) -> (Fixture, Result<(), String>) {
    let fixture = Fixture::new(place).await;
    let outcome = on(&fixture, met, hit, call).await;
    (fixture, outcome)
}

async fn on(fixture: &Fixture, met: &Met, hit: Hit, call: &Call) -> Result<(), String> {
    // The extensions are read once; what fails there fails as any read does.
    if hit != Hit::All {
        fixture.client.server().await.map_err(|error| error.to_string())?;
    }
    let before = fixture.state().await;
    let struck = fixture.emulator.fault(hit.on((met.fault)()));
    let began = Instant::now();
    let goes_on = met.goes_on || (met.stalls() && (call.is_transfer() || call.waits()));
    let limit = if goes_on { DEADLINE * 2 } else { LONG };
    let outcome = tokio::time::timeout(limit, (call.run)(fixture.client.clone())).await;
    let (took, count) = (began.elapsed(), struck.count());
    struck.remove();
    let outcome = match outcome {
        // Whoever waits no longer drops it, which leaves nothing either.
        Err(_) if goes_on => Ok(()),
        Err(_) => return Err(format!("still running after {took:?}")),
        Ok(outcome) => outcome,
    };
    match outcome {
        // Behind the head of a websocket's answer comes no body.
        Ok(()) if hit == Hit::All && met.always_fails && count > 0 && call.name != "events" => {
            return Err("a success".to_owned());
        }
        Ok(()) => {}
        Err(error) if count == 0 => return Err(format!("an error by itself: {error:?}")),
        Err(error) => {
            if !met.allows(error.kind()) {
                return Err(format!("{:?}: {error}", error.kind()));
            }
            if error.request_reached_server() == Reached::No && fixture.state().await != before {
                return Err(format!(
                    "it changed something, and says that nothing reached the server: {error}"
                ));
            }
        }
    }
    if took > call.limit() {
        return Err(format!("it took {took:?}"));
    }
    // The same client goes on.
    let pools = fixture.client.storage_pools().all().await.map_err(|error| format!("afterwards: {error}"))?;
    if pools.is_empty() {
        return Err("afterwards there are no pools".to_owned());
    }
    Ok(())
}
