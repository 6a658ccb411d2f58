//! Flags of which nothing is left give their places to others, and nothing of their own with them.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test that panics says what is wrong"
)]

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use brownout_registry::{FeatureState, Order, OverrideCell, OverrideId, OverrideValue, Registry};
use proptest::prelude::*;
use tokio::time::{Instant, advance};

const SECOND: Duration = Duration::from_secs(1);

/// Decides about a flag for so long.
fn decide(registry: &Registry, flag: &str, state: FeatureState, ttl: Duration) {
    let order = Order::new("ops", "drill", ttl);
    registry.override_flag(flag, state, order).unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_flag_that_is_being_asked_for_keeps_its_place_whatever_happens_meanwhile() {
    let registry = Registry::new();
    // Many places to give away.
    for number in 0..10_000 {
        let flag = format!("brief-{number}");
        decide(&registry, &flag, FeatureState::Disabled, SECOND);
    }
    let watched = registry.flag_override("watched").unwrap();
    decide(&registry, "watched", FeatureState::Disabled, SECOND);
    let called = Arc::new(AtomicBool::new(false));
    let (others, once) = (registry.clone(), Arc::clone(&called));
    // Called from within whatever notices first that this is over.
    let _callback = watched.on_change(move || {
        if !once.swap(true, Ordering::Relaxed) {
            for number in 0..50_000 {
                let flag = format!("other-{number}");
                decide(&others, &flag, FeatureState::Disabled, SECOND * 600);
            }
        }
    });
    advance(SECOND * 2).await;
    let asked_for = registry.flag_override("asked-for").unwrap();
    assert!(called.load(Ordering::Relaxed), "it was noticed in there");
    let imposed = asked_for.get().map(|imposed| imposed.value);
    assert_eq!(imposed, None, "nobody has decided about it");
    decide(&registry, "asked-for", FeatureState::Enabled, SECOND);
    let imposed = asked_for.get().map(|imposed| imposed.value);
    assert_eq!(imposed, Some(FeatureState::Enabled));
}

/// A cell that a layer holds, and what it has to read.
struct Watched {
    flag: String,
    decided: OverrideCell<FeatureState>,
    until: Option<Instant>,
    /// That some of them ask for as well.
    tripped: Option<OverrideCell<FeatureState>>,
}

/// Thousands of names that come and go, in an order of their own each time, and some that somebody watches.
#[test]
fn nothing_of_one_flag_is_ever_seen_on_another() {
    let config = ProptestConfig {
        cases: 8,
        failure_persistence: None,
        ..ProptestConfig::default()
    };
    let steps = prop::collection::vec((0..5_u8, 0..4_000_usize, 1..30_u32), 10..60);
    proptest!(config, |(steps in steps)| {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .start_paused(true)
            .build()
            .unwrap();
        runtime.block_on(walk(steps));
    });
}

async fn walk(steps: Vec<(u8, usize, u32)>) {
    let registry = Registry::new();
    let mut watched: Vec<Watched> = Vec::new();
    let mut own: Vec<OverrideId> = Vec::new();
    let mut named = 0;
    for (step, number, seconds) in steps {
        let ttl = SECOND * seconds;
        match step {
            // Names that nobody watches, for a while.
            0 | 1 => {
                for _ in 0..number {
                    named += 1;
                    let order = Order::new("ops", "drill", ttl);
                    let flag = format!("brief-{named}");
                    let id = registry.override_flag(&flag, FeatureState::Disabled, order);
                    own.push(id.unwrap());
                }
            }
            2 => {
                named += 1;
                let flag = format!("watched-{named}");
                watched.push(Watched {
                    decided: registry.flag_override(&flag).unwrap(),
                    tripped: (number % 2 == 0).then(|| registry.flag_trip(&flag).unwrap()),
                    until: None,
                    flag,
                });
            }
            3 => {
                let count = watched.len();
                if let Some(watched) = watched.get_mut(number % count.max(1)) {
                    decide(&registry, &watched.flag, FeatureState::Degraded, ttl);
                    let until = Instant::now() + ttl;
                    watched.until = Some(watched.until.map_or(until, |before| before.max(until)));
                }
            }
            _ => {
                for id in own.drain(..number.min(own.len())) {
                    // It may have ended.
                    let _released = registry.release(id);
                }
                advance(ttl).await;
            }
        }
        for watched in &watched {
            let decided = watched.decided.get().map(|imposed| imposed.value);
            let alive = watched.until.is_some_and(|until| until > Instant::now());
            assert_eq!(decided, alive.then_some(FeatureState::Degraded));
            let tripped = watched.tripped.as_ref();
            assert!(tripped.is_none_or(|tripped| tripped.get().is_none()));
        }
        for info in registry.overrides() {
            let name = info.target.name().unwrap();
            let state = match info.value {
                OverrideValue::Flag(state) => state,
                other => panic!("{name} is {other:?}"),
            };
            let brief = name.starts_with("brief");
            assert_eq!(state == FeatureState::Disabled, brief, "{name}");
        }
    }
}
