//! A policy that changes while calls are admitted and judged.

use std::{sync::Arc, time::Duration};

use brownout_registry::CircuitState;
use loom::thread;

use crate::{
    breaker::{
        engine::Engine,
        machine::Nanos,
        pass::Pass,
        policy::{Policy, PolicyBuilder},
    },
    core::{Verdict, sync::Ordering::Relaxed},
};

use super::{SECOND, admit, engine, explore, explore_with, refuses, settle, state};

/// Fails a call of a striped circuit by the short way, where that is open; says whether that opened the circuit.
fn fail_plainly(engine: &Engine, stripe: usize, now: Nanos) -> bool {
    let shared = engine.share_stripe(stripe).unwrap();
    let gate = engine.gate();
    match engine.failed_plainly(&shared, gate, now) {
        Ok(alarm) => alarm.is_some_and(|alarm| {
            let effects = engine.trip(alarm, None, now, || 0.5);
            !effects.transitions.is_empty()
        }),
        Err(()) => settle(engine, Pass::new(gate, now), Verdict::Failure, now) > 0,
    }
}

fn reconfigure(engine: &Engine, policy: PolicyBuilder, now: Nanos) {
    let policy = Arc::new(policy.jitter(0.0).build().unwrap());
    drop(engine.reconfigure(|| policy, now, || 0.5));
}

fn reconfiguring(
    engine: &Arc<Engine>,
    policy: PolicyBuilder,
    now: Nanos,
) -> thread::JoinHandle<()> {
    let engine = Arc::clone(engine);
    thread::spawn(move || reconfigure(&engine, policy, now))
}

/// A ratio of this share over a window of time, and nothing else.
fn ratio(share: f64) -> PolicyBuilder {
    Policy::builder()
        .no_consecutive_failures()
        .failure_ratio(share)
        .minimum_calls(10)
}

/// A circuit of that policy whose window holds ten successes and so many failures.
fn holding(policy: PolicyBuilder, failures: u64) -> Arc<Engine> {
    let engine = engine(policy);
    engine.stripe(0).successes.fetch_add(10, Relaxed);
    engine.stripe(0).failures.fetch_add(failures, Relaxed);
    engine
}

#[test]
fn a_failure_that_is_judged_while_a_ratio_is_lowered_grants_nothing_by_the_old_one() {
    explore(|| {
        let engine = holding(ratio(0.9), 8);
        let reconfiguring = reconfiguring(&engine, ratio(0.45), 0);
        let opened = fail_plainly(&engine, 0, 0);
        reconfiguring.join().unwrap();
        // Nine of nineteen have failed, which is enough: whoever comes next sees it.
        assert!(opened || fail_plainly(&engine, 0, 0));
        assert_eq!(state(&engine, 0), CircuitState::Open);
        assert!(refuses(&engine, 0));
    });
}

#[test]
fn a_success_is_looked_at_after_a_ratio_was_lowered_whatever_was_judged_meanwhile() {
    explore(|| {
        let engine = holding(ratio(0.9), 9);
        let reconfiguring = reconfiguring(&engine, ratio(0.45), 0);
        let opened = fail_plainly(&engine, 0, 0);
        reconfiguring.join().unwrap();
        assert!(
            opened || !engine.only_counts(0),
            "ten of twenty have failed"
        );
    });
}

#[test]
fn a_limit_that_is_lowered_while_failures_are_judged_opens_with_the_next_one_at_the_latest() {
    explore(|| {
        let failures = |n| Policy::builder().no_failure_ratio().consecutive_failures(n);
        let engine = engine(failures(3));
        let reconfiguring = reconfiguring(&engine, failures(1), 0);
        let pass = admit(&engine, 0, 0).unwrap();
        let opened = settle(&engine, pass, Verdict::Failure, 0);
        reconfiguring.join().unwrap();
        let later =
            admit(&engine, 1, 0).map_or(0, |pass| settle(&engine, pass, Verdict::Failure, 0));
        assert_eq!(opened + later, 1);
        assert_eq!(state(&engine, 0), CircuitState::Open);
        assert!(refuses(&engine, 0));
    });
}

#[test]
fn a_window_that_changes_its_length_while_outcomes_are_counted_keeps_them_for_as_long_as_it_says() {
    // The second time the window has to move on for the outcome: by the old length or the new one, not by both.
    for (before, after, moves) in [(10, 1, 0), (1, 10, 1)] {
        explore_with(1, move || {
            let window = |seconds| ratio(0.9).window(Duration::from_secs(seconds));
            let engine = engine(window(before));
            let now = 5 * SECOND / 2;
            // An outcome that comes while a window moves on counts for the time before.
            engine.counts(now);
            let reconfiguring = reconfiguring(&engine, window(after), now);
            let pass = admit(&engine, 0, now).unwrap();
            let now = now + moves * SECOND;
            settle(&engine, pass, Verdict::Failure, now);
            reconfiguring.join().unwrap();
            assert_eq!(engine.counts(now).0.failures, 1);
            let length = after * SECOND;
            assert_eq!(engine.counts(now + length * 8 / 10).0.failures, 1);
            assert_eq!(engine.counts(now + length * 2).0.failures, 0);
        });
    }
}

#[test]
fn calls_that_are_admitted_while_slowness_begins_or_ceases_to_count_do_not_hang_for_ever() {
    for begins in [true, false] {
        explore(move || {
            let timed = || ratio(0.9).slow_calls(Duration::from_secs(1), 0.9);
            let engine = engine(timed());
            let (before, after) = if begins {
                (ratio(0.9), timed())
            } else {
                (timed(), ratio(0.9))
            };
            reconfigure(&engine, before, 0);
            let reconfiguring = reconfiguring(&engine, after, 0);
            let pass = admit(&engine, 0, 0).unwrap();
            settle(&engine, pass, Verdict::Success, 0);
            reconfiguring.join().unwrap();
            reconfigure(&engine, timed(), 0);
            admit(&engine, 0, 5 * SECOND).unwrap();
            assert_eq!(engine.count_hanging(5 * SECOND), 0);
        });
    }
}
