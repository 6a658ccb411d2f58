//! Many threads at once, on the real clock: whatever they do, changes are told in order and the last is what is so.

use std::{
    sync::atomic::{AtomicBool, Ordering},
    time::Duration,
};

use brownout::{
    core::Verdict,
    registry::{
        DegradationLevel::{Emergency, Full},
        FeatureState::{Degraded, Disabled, Enabled},
    },
};

use crate::common::{exact_in, history, impose, impose_level, registry};

const MS: Duration = Duration::from_millis(1);

/// Rounds of a thread at least: some tenths of a second.
const ROUNDS: u32 = 10_000;

/// So many changes have to have raced: as many rounds as it takes on a machine that is busy, and no more than this.
const ENOUGH: usize = 11;
const ROUNDS_AT_MOST: u32 = 100 * ROUNDS;

#[test]
fn changes_that_race_are_told_in_order_and_none_is_lost() {
    let registry = registry();
    let flag = exact_in(&registry)
        .errors(2)
        .window(MS * 20)
        .ttl(MS)
        .ttl_at_most(MS * 2)
        .ramp(MS)
        .disable_at(Emergency)
        .build()
        .unwrap();
    let (over, raced) = (AtomicBool::new(false), AtomicBool::new(false));
    std::thread::scope(|scope| {
        for thread in 0..3_u32 {
            let (flag, over) = (&flag, &over);
            scope.spawn(move || {
                for round in 0.. {
                    if round >= ROUNDS && over.load(Ordering::Relaxed) {
                        break;
                    }
                    if let Ok(ticket) = flag.admit() {
                        let failed = (thread + round % 3).is_multiple_of(3);
                        let verdict = [Verdict::Success, Verdict::Failure][usize::from(failed)];
                        ticket.settle(verdict);
                    }
                    flag.state();
                }
            });
        }
        let (flag, registry, over, raced) = (&flag, &registry, &over, &raced);
        scope.spawn(move || {
            for round in 0..ROUNDS_AT_MOST {
                let checks = round >= ROUNDS / 4 && round.is_multiple_of(100);
                if checks && history(registry).len() >= ENOUGH {
                    raced.store(true, Ordering::Relaxed);
                    break;
                }
                let id = impose(registry, [Enabled, Disabled][round as usize % 2], MS * 100);
                flag.configure([Degraded, Enabled][round as usize % 2]);
                registry.release(id).unwrap();
            }
            flag.configure(Enabled);
            over.store(true, Ordering::Relaxed);
        });
        scope.spawn(move || {
            while !over.load(Ordering::Relaxed) {
                for level in [Emergency, Full] {
                    let id = impose_level(registry, level, MS * 100);
                    registry.release(id).unwrap();
                }
            }
        });
    });
    let state = flag.state();
    let said = history(&registry);
    // Others than flags fill the history too, so what is left of it at the end may be less.
    assert!(raced.into_inner(), "{said:?}");
    for pair in said.windows(2) {
        assert_eq!(pair[0].1, pair[1].0, "{said:?}");
    }
    assert_eq!(said.last().map(|last| last.1), Some(state));
    // Nothing is left that would hold the flag. Slept for real: a paused clock is one thread's own.
    std::thread::sleep(MS * 5);
    assert_eq!(flag.state(), Enabled);
}
