//! What a chain tells the registry and the log: that a tier has begun to serve, and that it no longer does.

use std::sync::atomic::{AtomicUsize, Ordering};

use brownout_registry::{Dependency, EventKind, Ticks};
use tokio::time::Instant;

use crate::{
    core::{DegradeReason, spell::Spell},
    fallback::run::ServedBy,
};

/// The spells of a chain's tiers.
pub(super) struct Spells {
    tiers: Box<[(&'static str, Spell)]>,
    /// How many tiers are serving: all that a successful call reads.
    serving: AtomicUsize,
    clock: Ticks,
}

impl Spells {
    pub(super) fn of(tiers: &[&'static str]) -> Self {
        Self {
            tiers: tiers.iter().map(|&tier| (tier, Spell::default())).collect(),
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
        let Some((_, spell)) = self.tiers.get(by.index) else {
            return;
        };
        if spell.happened(self.clock.now()) {
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
        for (index, (tier, spell)) in self.tiers.iter().enumerate() {
            if Some(index) == but {
                continue;
            }
            if let Some(calls) = spell.end(now) {
                self.serving.fetch_sub(1, Ordering::Relaxed);
                say_ended(tier, calls, dependency);
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
