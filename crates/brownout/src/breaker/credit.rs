//! Leave to skip judging.
//!
//! Judging adds up all stripes, which fetches lines that other threads write to: done for every failure, it would make
//! threads that count failures wait for each other. But whoever has just judged knows how many failures more it takes
//! at least to reach the ratio. As long as no outcome leaves the window, fewer than that cannot, whatever else
//! happens: successes only make it more. So a share of that number is granted to the stripe, to be spent without
//! looking at the others.
//!
//! All grants of one *version* come from the same base, a quarter of it in sum; when what is missing has fallen to half
//! the base, a new version begins and voids them. So at least a quarter of the base is always missing while grants are
//! out. A version also ends with each sub-bucket, and with whatever else changes the window or the policy.

use crate::core::{
    Ratio,
    sync::{
        AtomicU64,
        Ordering::{Acquire, Relaxed, Release},
    },
};

use super::counts::Sums;

/// The version in the upper half, its base in the lower; no base, no grants yet.
#[derive(Debug)]
pub(super) struct Credit(AtomicU64);

/// What a stripe was granted and has not spent: in the upper half, the version that granted it.
#[derive(Debug)]
pub(super) struct Purse(AtomicU64);

/// The credit as it was before the sums were taken that a grant is based on.
#[derive(Clone, Copy, Debug)]
pub(super) struct Seen(u64);

const ONE_VERSION: u64 = 1 << 32;
const AMOUNT: u64 = ONE_VERSION - 1;

impl Credit {
    pub(super) fn new() -> Self {
        Self(AtomicU64::new(ONE_VERSION))
    }

    /// Spends one failure of the purse, if there is one.
    #[inline]
    pub(super) fn spend(&self, purse: &Purse) -> bool {
        let version = self.0.load(Relaxed) & !AMOUNT;
        let left = purse.0.load(Relaxed);
        let covered = left > version && left - version <= AMOUNT;
        if covered {
            // Two threads may spend the last one: the second takes it below its version, which is worth nothing.
            purse.0.fetch_sub(1, Relaxed);
        }
        covered
    }

    /// To be called before the sums are taken.
    #[inline]
    pub(super) fn see(&self) -> Seen {
        // Pairs with `void`: who sees a version sees the policy that it began with.
        Seen(self.0.load(Acquire))
    }

    /// Whether nothing has changed since.
    #[inline]
    pub(super) fn is_still(&self, seen: Seen) -> bool {
        self.0.load(Relaxed) == seen.0
    }

    /// Grants the purse its share of the `missing` failures, unless something has changed since `seen`.
    #[inline]
    pub(super) fn grant(&self, seen: Seen, purse: &Purse, missing: u32, stripes: usize) {
        let base = seen.0 & AMOUNT;
        let missing = u64::from(missing);
        let word = if base == 0 || missing < base / 2 || missing / 4 > base {
            let next = (seen.0 & !AMOUNT).wrapping_add(ONE_VERSION) | missing;
            match self.0.compare_exchange(seen.0, next, Relaxed, Relaxed) {
                Ok(_) => next,
                Err(_) => return,
            }
        } else {
            seen.0
        };
        // If the version ends here, this is worth nothing.
        purse.0.store(
            (word & !AMOUNT) | ((word & AMOUNT) / (4 * stripes as u64)),
            Relaxed,
        );
    }

    /// Ends the version. Called under the circuit's lock.
    pub(super) fn void(&self) {
        let next = |word: u64| Some((word & !AMOUNT).wrapping_add(ONE_VERSION));
        // The update never declines, so this never fails.
        let _ = self.0.fetch_update(Release, Relaxed, next);
    }
}

impl Purse {
    pub(super) fn new() -> Self {
        Self(AtomicU64::new(0))
    }
}

/// How many failures more it takes at least until `held` reaches the ratio, at most 2³¹.
#[inline]
pub(super) fn missing(held: Sums, ratio: Ratio) -> u32 {
    const MOST: u64 = 1 << 31;
    let whole = u64::from(Ratio::ONE.billionths());
    let share = u64::from(ratio.billionths());
    // (failures + k) ⁄ (calls + k) ≥ share ⁄ whole, solved for k.
    let short = (share * u64::from(held.calls())).saturating_sub(whole * u64::from(held.failures));
    let missing = short.div_ceil((whole - share).max(1));
    missing.min(MOST) as u32
}

#[cfg(all(test, not(brownout_loom)))]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn fewer_than_the_missing_failures_never_reach_the_ratio_and_as_many_do(
            successes in 0..10_000_u32,
            failures in 0..10_000_u32,
            share in 1..1_000_000_000_u32,
        ) {
            let ratio = Ratio::from_billionths(share);
            let held = Sums { successes, failures, slow: 0 };
            prop_assume!(held.calls() > 0 && !ratio.reached_by(failures, held.calls()));
            let missing = missing(held, ratio);
            prop_assert!(missing > 0);
            prop_assert!(!ratio.reached_by(failures + missing - 1, held.calls() + missing - 1));
            if missing < 1 << 30 {
                prop_assert!(ratio.reached_by(failures + missing, held.calls() + missing));
            }
        }
    }

    #[test]
    fn a_grant_is_spent_and_ends_with_its_version() {
        let (credit, purse) = (Credit::new(), Purse::new());
        assert!(!credit.spend(&purse));
        credit.grant(credit.see(), &purse, 80, 2);
        for _ in 0..10 {
            assert!(credit.spend(&purse));
        }
        assert!(!credit.spend(&purse));
        credit.grant(credit.see(), &purse, 70, 2);
        credit.void();
        assert!(!credit.spend(&purse));
    }

    #[test]
    fn a_grant_on_sums_from_before_a_change_is_worth_nothing() {
        let (credit, purse) = (Credit::new(), Purse::new());
        let seen = credit.see();
        credit.void();
        credit.grant(seen, &purse, 1_000, 1);
        assert!(!credit.spend(&purse));
    }

    #[test]
    fn grants_never_exceed_what_is_missing_however_stripes_take_turns() {
        const STRIPES: usize = 4;
        for start in [5_u32, 16, 100, 1_000, 12_345] {
            let credit = Credit::new();
            let purses: Vec<_> = (0..STRIPES).map(|_| Purse::new()).collect();
            let mut missing = start;
            let mut judged = 0;
            let mut turn = 0x9e37_79b9_u32;
            while missing > 0 {
                turn = turn.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                let purse = &purses[(turn >> 28) as usize % STRIPES];
                // One failure: covered, or judged.
                missing -= 1;
                if credit.spend(purse) {
                    assert!(
                        missing > 0,
                        "a failure that reaches the ratio is always judged"
                    );
                } else {
                    judged += 1;
                    if missing > 0 {
                        credit.grant(credit.see(), purse, missing, STRIPES);
                    }
                }
            }
            assert!(
                judged <= 40 + 40 * start.ilog2(),
                "{judged} of {start} were judged"
            );
        }
    }
}
