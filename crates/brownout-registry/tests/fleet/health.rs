//! What the health report and the metrics say of the store.

use std::collections::BTreeMap;

use brownout_registry::fleet::{StoreErrorKind, StoreOp};
use brownout_registry::{Counted, DegradationLevel, Status, SystemHealth};
use brownout_testing::fleet::Fault;
use tokio::time::sleep;

use super::common::{REPAIR, Replica, SECOND, fleet};

fn said(replica: &Replica) -> (Status, Option<String>) {
    let snapshot = replica.registry.snapshot();
    let store = snapshot.dependency("fleet-store").unwrap();
    let message = store
        .reports
        .first()
        .and_then(|report| report.message.as_deref());
    (store.status, message.map(str::to_owned))
}

fn errors(replica: &Replica) -> BTreeMap<&'static str, u64> {
    let readings = replica.registry.readings();
    let of_store = |(what, count): (&Counted, u64)| match what {
        Counted::StoreErrors { op } => Some((*op, count)),
        _ => None,
    };
    readings.counts().filter_map(of_store).collect()
}

#[tokio::test(start_paused = true)]
async fn a_store_that_is_there_is_healthy_and_its_age_small() {
    let (_server, [one]) = fleet().await;
    for _ in 0..120 {
        assert_eq!(said(&one), (Status::Healthy, None));
        // A ping, and its jitter.
        let age = one.registry.readings().sync_age().unwrap();
        assert!(age <= SECOND * 6, "{age:?}");
        assert_eq!(one.fleet.sync_age(), age);
        sleep(SECOND).await;
    }
    let all: BTreeMap<_, _> = StoreOp::ALL.iter().map(|op| (op.as_str(), 0)).collect();
    assert_eq!(errors(&one), all);
}

#[tokio::test(start_paused = true)]
async fn a_store_that_is_lost_is_a_warning_with_its_age_and_no_more() {
    let (_server, [one]) = fleet().await;
    one.faults.all(Fault::Fail(StoreErrorKind::Unreachable));
    sleep(SECOND * 100).await;
    let (status, message) = said(&one);
    assert_eq!(status, Status::Degraded);
    let message = message.unwrap();
    let words: Vec<_> = message.split(' ').collect();
    assert_eq!(words[0], "unreachable;");
    let age: u64 = words[4].parse().unwrap();
    assert!((75..=100).contains(&age), "{message}");
    assert_eq!(one.registry.health(), SystemHealth::Degraded);
    assert_eq!(one.registry.level(), DegradationLevel::Full);
    assert_eq!(one.fleet.sync_age().as_secs(), 100);
    let view = one.fleet.view();
    assert_eq!(
        (view.in_touch, view.trouble),
        (false, Some(StoreErrorKind::Unreachable))
    );
    let counted = errors(&one);
    assert!(
        counted["subscribe"] > 3 && counted["changes"] == 1,
        "{counted:?}"
    );

    one.faults.all(Fault::None);
    sleep(REPAIR).await;
    assert_eq!(said(&one), (Status::Healthy, None));
    assert!(one.fleet.is_in_touch());
}

#[tokio::test(start_paused = true)]
async fn operations_are_counted_by_their_names_and_totals_outlive_the_fleet() {
    let (_server, [one]) = fleet().await;
    one.faults.one(StoreOp::Report, Fault::Hang);
    sleep(SECOND * 20).await;
    one.faults.one(StoreOp::Ping, Fault::Hang);
    sleep(SECOND * 20).await;
    let counted = errors(&one);
    assert!(counted["report"] > 0 && counted["ping"] > 0, "{counted:?}");
    assert_eq!(counted["picture"], 0);
    let Replica {
        registry,
        fleet,
        guard,
        ..
    } = one;
    drop((guard, fleet));
    // The tasks are gone when the runtime has come to it.
    sleep(SECOND).await;
    let readings = registry.readings();
    let total: u64 = readings
        .counts()
        .filter(|(what, _)| matches!(what, Counted::StoreErrors { .. }))
        .map(|(_, count)| count)
        .sum();
    assert_eq!(total, counted.values().sum::<u64>());
    assert_eq!(readings.sync_age(), None);
}
