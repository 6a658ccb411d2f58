//! A time in which a tier serves: what the event stream and the log hear of.

use std::{
    sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering},
    time::Duration,
};

use brownout_registry::{Dependency, EventKind, Ticks};
use tokio::time::Instant;

use crate::{core::DegradeReason, fallback::run::ServedBy};

/// How long a tier must not have served before it counts as no longer serving. A primary that fails now and then
/// would otherwise begin and end a spell with each failure: so a tier says at most two things in that time.
const QUIET: Duration = Duration::from_secs(10);

/// The spells of a chain's tiers.
pub(super) struct Spells {
    tiers: Box<[Spell]>,
    /// How many tiers are serving: all that a successful call reads.
    serving: AtomicUsize,
    clock: Ticks,
}

struct Spell {
    tier: &'static str,
    active: AtomicBool,
    calls: AtomicU64,
    /// By the chain's clock.
    last: AtomicU64,
}

impl Spells {
    pub(super) fn of(tiers: &[&'static str]) -> Self {
        let spell = |tier: &&'static str| Spell {
            tier,
            active: AtomicBool::new(false),
            calls: AtomicU64::new(0),
            last: AtomicU64::new(0),
        };
        Self {
            tiers: tiers.iter().map(spell).collect(),
            serving: AtomicUsize::new(0),
            clock: Ticks::since(Instant::now()),
        }
    }

    /// A call has been answered in whose way nothing was: by the primary, or by a tier for exercise.
    #[inline]
    pub(super) fn not_needed(&self, dependency: &Dependency) {
        if self.serving.load(Ordering::Relaxed) > 0 {
            self.end_quiet(None, dependency);
        }
    }

    /// A tier has answered in the primary's place.
    pub(super) fn served(&self, by: &ServedBy, dependency: &Dependency) {
        let Some(spell) = self.tiers.get(by.index) else {
            return;
        };
        spell.last.store(self.clock.now(), Ordering::Relaxed);
        spell.calls.fetch_add(1, Ordering::Relaxed);
        if !spell.active.swap(true, Ordering::AcqRel) {
            self.serving.fetch_add(1, Ordering::Relaxed);
            say_served(by.tier, by.reason, dependency);
        }
        if self.serving.load(Ordering::Relaxed) > 1 {
            self.end_quiet(Some(by.index), dependency);
        }
    }

    #[cold]
    fn end_quiet(&self, but: Option<usize>, dependency: &Dependency) {
        let now = self.clock.now();
        for (index, spell) in self.tiers.iter().enumerate() {
            // Read before its time: a spell that begins meanwhile is seen with a time of its own, or not at all.
            let is_active = spell.active.load(Ordering::Acquire);
            let quiet =
                Duration::from_nanos(now.saturating_sub(spell.last.load(Ordering::Relaxed)));
            if Some(index) != but
                && is_active
                && quiet >= QUIET
                && spell.active.swap(false, Ordering::AcqRel)
            {
                self.serving.fetch_sub(1, Ordering::Relaxed);
                say_ended(
                    spell.tier,
                    spell.calls.swap(0, Ordering::Relaxed),
                    dependency,
                );
            }
        }
    }
}

#[cold]
fn say_served(tier: &'static str, reason: DegradeReason, dependency: &Dependency) {
    let reason = reason.as_str();
    // Before the log, whose subscriber may panic.
    dependency.registry().record(EventKind::FallbackServed {
        dependency: dependency.shared_name(),
        tier: tier.into(),
        reason: reason.into(),
    });
    tracing::warn!(
        dependency = dependency.name(),
        tier,
        reason,
        "fallback serves"
    );
}

fn say_ended(tier: &'static str, calls: u64, dependency: &Dependency) {
    dependency.registry().record(EventKind::FallbackEnded {
        dependency: dependency.shared_name(),
        tier: tier.into(),
        calls,
    });
    tracing::info!(
        dependency = dependency.name(),
        tier,
        calls,
        "fallback no longer serves"
    );
}
