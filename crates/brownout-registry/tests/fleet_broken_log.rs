//! A fleet whose log panics. In a test binary of its own: tracing remembers what is enabled for a whole process.

#![allow(
    dead_code,
    reason = "it shares a module with the other tests of fleets, and does not use all of it"
)]
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "these tests panic on purpose, and where something is wrong"
)]

#[path = "fleet/common.rs"]
mod common;

use std::panic::{AssertUnwindSafe, catch_unwind};

use brownout_registry::FeatureState;
use brownout_registry::fleet::{StoreErrorKind, StoreOp};
use brownout_testing::fleet::Fault;
use tokio::time::sleep;

use self::common::{REPAIR, Replica, SECOND, fleet, soon};

struct Broken;

impl tracing::Subscriber for Broken {
    fn enabled(&self, _: &tracing::Metadata<'_>) -> bool {
        true
    }
    fn event(&self, _: &tracing::Event<'_>) {
        panic!("the log is gone");
    }
    fn new_span(&self, _: &tracing::span::Attributes<'_>) -> tracing::span::Id {
        tracing::span::Id::from_u64(1)
    }
    fn record(&self, _: &tracing::span::Id, _: &tracing::span::Record<'_>) {}
    fn record_follows_from(&self, _: &tracing::span::Id, _: &tracing::span::Id) {}
    fn enter(&self, _: &tracing::span::Id) {}
    fn exit(&self, _: &tracing::span::Id) {}
}

#[tokio::test(start_paused = true)]
async fn a_log_that_panicked_for_a_while_keeps_no_replica_from_its_fleet_for_good() {
    let (_server, [one, other]) = fleet().await;
    let broken = tracing::subscriber::set_default(Broken);
    one.faults.all(Fault::Fail(StoreErrorKind::Unreachable));
    sleep(SECOND * 60).await;
    drop(broken);
    one.faults.all(Fault::None);
    sleep(REPAIR).await;
    assert!(one.fleet.is_in_touch());
    other
        .set("search", FeatureState::Disabled, 600)
        .await
        .unwrap();
    soon().await;
    assert_eq!(one.imposed("search"), Some(FeatureState::Disabled));
}

#[tokio::test(start_paused = true)]
async fn whoever_leaves_while_the_log_panics_has_left() {
    let (_server, [one]) = fleet().await;
    one.set("search", FeatureState::Disabled, 600)
        .await
        .unwrap();
    sleep(SECOND).await;
    let Replica {
        guard,
        fleet,
        faults,
        registry,
    } = one;
    let left = catch_unwind(AssertUnwindSafe(|| {
        let _broken = tracing::subscriber::set_default(Broken);
        drop(guard);
    }));
    // Which would end the process if a panic was on its way already.
    assert!(left.is_ok(), "leaving panics at nobody");
    assert!(registry.overrides().is_empty());
    assert!(registry.fleet().is_none());
    soon().await;
    let asked = || {
        StoreOp::ALL
            .iter()
            .map(|&op| faults.asked(op))
            .collect::<Vec<_>>()
    };
    let before = asked();
    sleep(SECOND * 60).await;
    assert_eq!(asked(), before, "nobody asks the store for anything");
    let view = fleet.view();
    assert_eq!((view.live, view.version), (0, None), "and nothing is known");
}
