//! Flags of which nothing is left give their places to others, and nothing of their own with them.

#![allow(clippy::unwrap_used, reason = "a test that panics says what is wrong")]

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use brownout_registry::{FeatureState, Order, Registry};
use tokio::time::advance;

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
