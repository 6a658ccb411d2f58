//! What is known of each tier while calls come and go: switches, health, and spells.

use brownout::registry::Status;

use super::{
    super::{NAMES, TierSeen, case::Kind},
    Outcome, Spec,
};

/// "The tier has not been needed for 10 s."
const QUIET: u64 = 10_000;

#[derive(Default)]
pub(super) struct Tier {
    pub(super) off: bool,
    pub(super) answered: u64,
    pub(super) failed: u64,
    pub(super) failures_in_a_row: u32,
    pub(super) last_failure: Option<&'static str>,
    /// While it serves: when it did last, and how many calls.
    pub(super) serves: Option<(u64, u64)>,
}

impl Spec<'_> {
    pub(super) fn switch(&mut self, index: usize, on: bool) {
        let refused = !on && self.case.is_last(index + 1);
        let Some(tier) = self.tiers.get_mut(index) else {
            return;
        };
        if self.case.kind == Kind::Bare || refused || tier.off != on {
            return;
        }
        tier.off = !on;
        if self.case.covers {
            self.events
                .push(format!("{} switched {on}", NAMES[index + 1]));
        }
    }

    /// Each tier's own health.
    pub(super) fn note(&mut self, place: usize, outcome: &Outcome) {
        let tier = &mut self.tiers[place - 1];
        match outcome {
            Ok(_) => {
                tier.answered += 1;
                tier.failures_in_a_row = 0;
            }
            Err(failed) => {
                tier.failed += 1;
                tier.failures_in_a_row += 1;
                tier.last_failure = Some(failed.kind);
            }
        }
        if let Some(of) = self.case.tiers[place - 1].stands_for {
            self.world.hear(place - 1, of, tier.status(), self.now);
        }
    }

    pub(super) fn seen(&self) -> Vec<TierSeen> {
        let seen = |tier: &Tier| TierSeen {
            on: !tier.off,
            status: tier.status().as_str(),
            answered: tier.answered,
            failed: tier.failed,
            last_failure: tier.last_failure,
        };
        let has_handle = self.case.kind != Kind::Bare;
        self.tiers.iter().filter(|_| has_handle).map(seen).collect()
    }
}

/// Spells: "they tell of spells and not of calls".
impl Spec<'_> {
    pub(super) fn serve(&mut self, place: usize, reason: &'static str) {
        let serves = &mut self.tiers[place - 1].serves;
        if serves.is_none() && self.case.covers {
            self.events
                .push(format!("{} serves: {reason}", NAMES[place]));
        }
        *serves = Some((self.now, serves.map_or(1, |(_, calls)| calls + 1)));
        self.end_quiet_spells();
    }

    /// "A call has been answered, and the tier has not been needed for 10 s."
    pub(super) fn end_quiet_spells(&mut self) {
        for (tier, name) in self.tiers.iter_mut().zip(&NAMES[1..]) {
            let ended = tier.serves.take_if(|(last, _)| *last + QUIET <= self.now);
            if let Some((_, calls)) = ended.filter(|_| self.case.covers) {
                self.events.push(format!("{name} ended after {calls}"));
            }
        }
    }
}

impl Tier {
    pub(super) fn status(&self) -> Status {
        match self.failures_in_a_row {
            0 if self.answered == 0 => Status::Unknown,
            0 => Status::Healthy,
            1 | 2 => Status::Degraded,
            _ => Status::Unhealthy,
        }
    }
}
