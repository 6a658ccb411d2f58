//! What is left to chance stays within its bounds, and can be replayed.

use std::time::Duration;

use brownout::{
    breaker::{Policy, Stats},
    core::{RejectReason, Verdict},
    registry::CircuitState,
};
use proptest::{collection::vec, option, prelude::*, sample::select};
use tokio::time::advance;

use crate::{
    check,
    lone::{Answer, Lone},
    ops::{Op, ops},
    paused,
    rules::{Rules, rules},
};

const MS: Duration = Duration::from_millis(1);

/// Duration arithmetic in floating point may round by a nanosecond.
const ROUNDING: Duration = Duration::from_nanos(1);

#[test]
fn open_times_are_spread_by_their_share_and_no_more() {
    let asked = option::of(select(vec![3_u32, 30, 300, 3_000]));
    let openings = vec(asked, 1..8);
    let case = (any::<u64>(), 0..=100_u32, 2..50_u32, 1..=20_u32, openings);
    check(500, case, |(seed, percent, first, times, openings)| {
        let share = f64::from(percent) / 100.0;
        let (open_for, longest) = (first * MS, first * times * MS);
        let policy = Policy::builder()
            .open_for(open_for)
            .open_for_at_most(longest)
            .jitter(share)
            .close_after(1, 1)
            .build()
            .unwrap();
        paused(async {
            let circuit = Lone::new(policy, seed).circuit;
            for (number, asked) in openings.into_iter().enumerate() {
                let asked = asked.map(|millis| millis * MS);
                circuit.admit().unwrap().settle(Verdict::Trip {
                    open_for: asked.unwrap_or_default(),
                });
                let seen = circuit.stats().retry_after.unwrap();
                let doubled = open_for * 2_u32.pow(u32::try_from(number).unwrap());
                // Nobody comes back earlier than the dependency has asked for.
                let (base, earlier) = match asked {
                    Some(asked) => (asked.min(longest), 0.0),
                    None => (doubled.min(longest), share),
                };
                let least = base.mul_f64(1.0 - earlier).max(MS).saturating_sub(ROUNDING);
                let most = base.mul_f64(1.0 + share).max(MS) + ROUNDING;
                prop_assert!(
                    (least..=most).contains(&seen),
                    "opening {}: {:?} is not within {:?} and {:?}",
                    number,
                    seen,
                    least,
                    most
                );
                advance(seen).await;
            }
            Ok(())
        })
    });
}

#[test]
fn the_same_seed_gives_the_same_history() {
    let case = (any::<u64>(), rules(), ops());
    check(300, case, |(seed, rules, ops)| {
        let history = || paused(history(seed, rules.random_policy(), &ops));
        prop_assert_eq!(history(), history());
        Ok(())
    });
}

async fn history(seed: u64, policy: Policy, ops: &[Op]) -> (Vec<Stats>, Vec<Answer>) {
    let mut lone = Lone::new(policy, seed);
    let mut pictures = Vec::new();
    for op in ops {
        lone.apply(op, Rules::random_policy).await;
        pictures.push(lone.stats());
    }
    (pictures, lone.answers)
}

#[test]
fn a_ramp_admits_a_share_that_climbs_to_all() {
    let case = (any::<u64>(), 2..10_000_u32, 0..=130_u32);
    check(200, case, |(seed, length, percent)| {
        let ramp = length * MS;
        let policy = Policy::builder()
            .close_after(1, 1)
            .ramp(ramp)
            .build()
            .unwrap();
        paused(async {
            let circuit = Lone::new(policy, seed).circuit;
            circuit
                .admit()
                .unwrap()
                .settle(Verdict::Trip { open_for: MS });
            advance(circuit.stats().retry_after.unwrap()).await;
            circuit.admit().unwrap().success();
            prop_assert_eq!(circuit.state(), CircuitState::Closed);
            let passed = ramp * percent / 100;
            advance(passed).await;
            let mut admitted = 0;
            for _ in 0..600 {
                match circuit.admit() {
                    Ok(_) => admitted += 1,
                    Err(rejected) => {
                        prop_assert_eq!(rejected.reason(), RejectReason::CircuitRamping);
                        prop_assert_eq!(rejected.retry_after(), ramp.checked_sub(passed));
                    }
                }
            }
            let share = (f64::from(percent) / 100.0).clamp(0.1, 1.0);
            let expected = 600.0 * share;
            // Six standard deviations of 600 throws: once in a billion.
            let spread = 6.0 * (expected * (1.0 - share)).sqrt();
            prop_assert!(
                (f64::from(admitted) - expected).abs() <= spread,
                "{} of 600 calls were admitted at {} % of the ramp",
                admitted,
                percent
            );
            Ok(())
        })
    });
}
