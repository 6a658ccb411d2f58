//! Interleavings of the concurrent core, explored by loom: `cargo xtask test --only loom`.

mod reconfigure;

use std::{sync::Arc, time::Duration};

use brownout_registry::CircuitState;
use loom::thread;

use crate::core::{
    Verdict,
    sync::{
        AtomicU64,
        Ordering::{Relaxed, SeqCst},
    },
};

use super::{
    counts::Stripes,
    engine::{Effects, Engine},
    hanging::{Hanging, Steps},
    machine::Nanos,
    pass::{Pass, refuses_plainly},
    policy::{Policy, PolicyBuilder},
    waiters::Waiters,
    window::{Baselines, TimeWindow},
};

const SECOND: Nanos = 1_000_000_000;

/// Loom explores all schedules with up to this many preemptions: enough for every known bug of this kind (Musuvathi
/// and Qadeer, "Iterative context bounding", PLDI 2007), and minutes instead of days.
fn explore_with(preemptions: usize, test: impl Fn() + Send + Sync + 'static) {
    let mut model = loom::model::Builder::new();
    model.preemption_bound = Some(preemptions);
    model.check(test);
}

fn explore(test: impl Fn() + Send + Sync + 'static) {
    explore_with(3, test);
}

fn engine(policy: PolicyBuilder) -> Arc<Engine> {
    Arc::new(Engine::new(
        &Arc::new(policy.jitter(0.0).build().unwrap()),
        2,
    ))
}

fn admit(engine: &Engine, stripe: usize, now: Nanos) -> Option<Pass> {
    let stripe = engine.stripe(stripe);
    let pass = engine
        .admit_fast(stripe, || now)
        .unwrap_or_else(|| engine.admit(stripe, None, now, || 0.5).0);
    pass.refusal().is_none().then_some(pass)
}

/// Settles as a ticket does; says how many transitions that made.
fn settle(engine: &Engine, mut pass: Pass, verdict: Verdict, now: Nanos) -> usize {
    let stripe = engine.stripe(0);
    engine.returned(stripe, &mut pass);
    let effects = if pass.is_probe() {
        stripe.count_apart(verdict);
        engine.probe(&pass, true, Some((verdict, false)), now, || 0.5)
    } else {
        match engine.judged(stripe, &pass, verdict, false, now) {
            Some(alarm) => engine.trip(alarm, None, now, || 0.5),
            None => Effects::default(),
        }
    };
    effects.transitions.len()
}

fn state(engine: &Engine, now: Nanos) -> CircuitState {
    engine.look(now, || 0.5, &mut Effects::default()).0
}

/// Whether the gate refuses by itself.
fn refuses(engine: &Engine, now: Nanos) -> bool {
    refuses_plainly(engine.gate()) && now < engine.refuses_until()
}

fn opened(engine: &Engine) {
    let pass = admit(engine, 0, 0).unwrap();
    assert_eq!(
        settle(
            engine,
            pass,
            Verdict::Trip {
                open_for: Duration::from_secs(1)
            },
            0
        ),
        1
    );
}

#[test]
fn failures_that_race_open_the_circuit_once() {
    explore(|| {
        let engine = engine(Policy::builder().consecutive_failures(2));
        let threads: Vec<_> = (0..2)
            .map(|stripe| {
                let engine = Arc::clone(&engine);
                thread::spawn(move || {
                    let pass = admit(&engine, stripe, 0);
                    pass.map_or(0, |pass| settle(&engine, pass, Verdict::Failure, 0))
                })
            })
            .collect();
        let transitions: usize = threads
            .into_iter()
            .map(|thread| thread.join().unwrap())
            .sum();
        assert_eq!(transitions, 1);
        assert_eq!(state(&engine, 0), CircuitState::Open);
        assert!(refuses(&engine, 0), "the gate knows what the machine knows");
    });
}

#[test]
fn a_half_open_circuit_lets_no_excess_probe_through() {
    explore(|| {
        let engine = engine(Policy::builder().probes(1));
        opened(&engine);
        let now = 2 * SECOND;
        let threads: Vec<_> = (0..2)
            .map(|stripe| {
                let engine = Arc::clone(&engine);
                thread::spawn(move || admit(&engine, stripe, now).is_some())
            })
            .collect();
        let probes = threads.into_iter().map(|thread| thread.join().unwrap());
        assert_eq!(probes.filter(|admitted| *admitted).count(), 1);
        assert_eq!(state(&engine, now), CircuitState::HalfOpen);
        assert!(refuses(&engine, now));
    });
}

#[test]
fn a_place_that_is_given_back_is_not_lost_to_a_verdict_that_races() {
    explore(|| {
        let engine = engine(Policy::builder().probes(2));
        opened(&engine);
        let now = 2 * SECOND;
        let (one, other) = (
            admit(&engine, 0, now).unwrap(),
            admit(&engine, 1, now).unwrap(),
        );
        assert!(admit(&engine, 0, now).is_none());
        let abandoning = {
            let engine = Arc::clone(&engine);
            thread::spawn(move || {
                engine.stripe(1).abandoned.fetch_add(1, Relaxed);
                drop(engine.probe(&other, true, None, now, || 0.5));
            })
        };
        settle(&engine, one, Verdict::Success, now);
        abandoning.join().unwrap();
        // Both places are free again, and one more success closes.
        let last = admit(&engine, 0, now).unwrap();
        assert!(admit(&engine, 1, now).is_some());
        assert_eq!(settle(&engine, last, Verdict::Success, now), 1);
        assert_eq!(state(&engine, now), CircuitState::Closed);
    });
}

#[test]
fn an_outcome_of_an_earlier_generation_cannot_open_the_circuit_again() {
    explore(|| {
        let engine = engine(Policy::builder().consecutive_failures(1).close_after(1, 1));
        let (early, late) = (admit(&engine, 0, 0).unwrap(), admit(&engine, 1, 0).unwrap());
        settle(&engine, early, Verdict::Failure, 0);
        let now = 100 * SECOND;
        let probe = admit(&engine, 0, now).unwrap();
        let closing = {
            let engine = Arc::clone(&engine);
            thread::spawn(move || settle(&engine, probe, Verdict::Success, now))
        };
        assert_eq!(settle(&engine, late, Verdict::Failure, now), 0);
        assert_eq!(closing.join().unwrap(), 1);
        assert_eq!(state(&engine, now), CircuitState::Closed);
    });
}

#[test]
fn a_window_that_moves_on_while_it_is_counted_loses_nothing_and_never_holds_more_than_happened() {
    explore(|| {
        let shared = Arc::new((Stripes::many(2), TimeWindow::new()));
        let mut baselines = Baselines::new();
        let counting = {
            let shared = Arc::clone(&shared);
            thread::spawn(move || {
                for stripe in shared.0.iter() {
                    stripe.failures.fetch_add(1, Relaxed);
                }
            })
        };
        let rotating = {
            let shared = Arc::clone(&shared);
            thread::spawn(move || {
                let (stripes, window) = &*shared;
                baselines.rotate(11, 1, window, stripes);
                baselines
            })
        };
        let (stripes, window) = &*shared;
        // A base newer than the sums it is taken from would make this four billion.
        assert!(window.held(stripes, true).failures <= 2);
        counting.join().unwrap();
        baselines = rotating.join().unwrap();
        assert!(window.held(stripes, true).failures <= 2);
        baselines.rotate(30, 1, window, stripes);
        assert_eq!(window.held(stripes, true).failures, 0);
    });
}

/// Starts a call in step 0, ends it while the steps move on from `from` to `to`, and starts another there. Says how many
/// hang by then; that the other one alone is counted once it hangs too, and none when it has ended, is the same for all.
fn hanging_when_another_starts(from: u64, to: u64) -> i64 {
    const STEP: Nanos = 10;
    let shared = Arc::new((Steps::new(), Hanging::new()));
    let (steps, hanging) = &*shared;
    let move_on = |step| steps.move_on(step * STEP, STEP, [hanging].into_iter());
    let count = |step| hanging.count(steps.last(), steps.passed(step * STEP, STEP));
    assert!(move_on(0));
    let old = steps.present(0).unwrap();
    hanging.started(old);
    assert_eq!(move_on(from), from > 0);
    let ending = {
        let shared = Arc::clone(&shared);
        thread::spawn(move || shared.1.ended(old, shared.0.last()))
    };
    assert!(move_on(to));
    let new = steps.present(to * STEP).unwrap();
    hanging.started(new);
    ending.join().unwrap();
    let hang = count(to);
    assert_eq!(count(to + 9), 1);
    assert!(move_on(to + 40));
    assert_eq!(count(to + 40), 1);
    hanging.ended(new, steps.last());
    assert_eq!(count(to + 40), 0);
    hang
}

#[test]
fn hanging_calls_are_counted_until_they_end_while_steps_move_on() {
    // Before the call hangs, when it begins to, and up to the last step before its bucket is used again.
    for (from, to) in [(0, 8), (8, 9), (0, 15)] {
        explore(move || assert_eq!(hanging_when_another_starts(from, to), 0));
    }
}

#[test]
fn hanging_calls_that_end_late_do_not_take_from_whoever_takes_over_their_bucket() {
    for (from, to) in [(12, 16), (15, 16), (12, 30)] {
        explore(move || assert_eq!(hanging_when_another_starts(from, to), 0));
    }
}

#[test]
fn hanging_calls_that_end_when_all_buckets_are_used_again_are_not_lost() {
    // All at once: for a while the old call may count.
    explore(|| assert!((0..=1).contains(&hanging_when_another_starts(0, 16))));
}

#[test]
fn a_waiter_that_joins_while_the_circuit_changes_sees_the_change_or_is_woken() {
    explore(|| {
        let waiters = Arc::new(Waiters::default());
        let changed = Arc::new(AtomicU64::new(0));
        let changing = {
            let (waiters, changed) = (Arc::clone(&waiters), Arc::clone(&changed));
            thread::spawn(move || {
                changed.store(1, SeqCst);
                waiters.wake_all();
            })
        };
        let mut place = None;
        loom::future::block_on(std::future::poll_fn(|cx| {
            waiters.join(&mut place, cx.waker());
            if changed.load(SeqCst) == 1 {
                std::task::Poll::Ready(())
            } else {
                std::task::Poll::Pending
            }
        }));
        changing.join().unwrap();
        waiters.leave(place.unwrap());
        assert_eq!(waiters.waiting(), 0);
    });
}
