//! What the emulator answers otherwise than the real server, and why that stays.
//!
//! `docs/emulator.md` has the same reasons for readers.

use lxd_emulator::Personality;

use crate::{pair::Difference, step::Step};

/// A difference that is accepted.
struct Accepted {
    /// How the request begins, as `METHOD path`.
    request: &'static str,
    /// What the real server's answer has in it.
    real: &'static str,
    /// What the emulator's answer has in it.
    emulated: &'static str,
    reason: &'static str,
    /// Whether the two can answer the same too.
    may_be_same: bool,
    personalities: &'static [Personality],
}

const ACCEPTED: &[Accepted] = &[
    Accepted {
        request: "PATCH /1.0/instances/",
        real: "More than one disk device uses the same path",
        emulated: "More than one disk device uses the same path",
        reason: "of two devices with one path the servers name one by chance",
        // By chance it can be the same.
        may_be_same: true,
        personalities: &Personality::ALL,
    },
    Accepted {
        request: "GET /1.0/cluster",
        real: "member_config",
        emulated: "member_config",
        reason: "the servers list the keys of members in an order of chance",
        may_be_same: true,
        personalities: &Personality::ALL,
    },
    Accepted {
        request: "POST /1.0/storage-pools/#p/volumes/custom/",
        real: "the connection broke before the answer came",
        emulated: "Incus panics where a pattern has no number",
        reason: "Incus 6.0 panics at a snapshot pattern without %d, and breaks the connection",
        may_be_same: false,
        personalities: &[Personality::Incus6],
    },
];

/// Where readers find them.
const DOCS: &str = include_str!("../../docs/emulator.md");

/// The accepted differences of one kind of server, and how often each came.
pub(crate) struct Known(Vec<(&'static Accepted, usize)>);

impl Known {
    pub(crate) fn of(personality: Personality) -> Self {
        let accepted = ACCEPTED.iter().filter(|one| one.personalities.contains(&personality));
        Self(accepted.map(|one| (one, 0)).collect())
    }

    pub(crate) fn covers(&mut self, step: &Step, difference: &Difference) -> bool {
        let request = format!("{} {}", step.method, step.path);
        let has = |said: &[String], part: &str| said.iter().any(|line| line.contains(part));
        let found = self.0.iter_mut().find(|(one, _)| {
            request.starts_with(one.request)
                && has(&difference.real, one.real)
                && has(&difference.emulated, one.emulated)
        });
        found.map(|(_, count)| *count += 1).is_some()
    }

    /// The reasons that the docs don't give.
    pub(crate) fn undocumented() -> impl Iterator<Item = &'static str> {
        ACCEPTED.iter().map(|one| one.reason).filter(|reason| !DOCS.contains(reason))
    }

    pub(crate) fn count(&self) -> usize {
        self.0.iter().map(|(_, count)| count).sum()
    }

    pub(crate) fn unused(&self) -> impl Iterator<Item = &'static str> {
        self.0.iter().filter(|(one, count)| *count == 0 && !one.may_be_same).map(|(one, _)| one.reason)
    }
}
