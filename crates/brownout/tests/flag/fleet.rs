//! A flag in a fleet: it counts for all replicas, follows what they decide together, and waits for nobody.

use std::time::Duration;

use brownout::{
    Registry,
    breaker::CircuitBreakerLayer,
    core::RejectReason,
    flag::{Flag, FlagLayer, Flags},
    registry::{
        FeatureState::{Degraded, Disabled, Enabled},
        FlagCause, Order, OverrideValue, Target,
        fleet::{FleetGuard, FleetSettings, FleetStore, MemoryStore, ReplicaId},
    },
};
use brownout_testing::fleet::{Fault, FaultyStore};
use tokio::time::{Instant, advance, sleep};
use tower::ServiceBuilder;

use crate::common::{
    MINUTE, RAMP, SECOND, TTL, exact_in, fail, flagged, history, impose, probe, reason_of,
    registry, succeed,
};

/// Longer than a flush, shorter than two.
const FLUSH: Duration = Duration::from_millis(1_300);

struct Replica {
    registry: Registry,
    flag: Flag,
    guard: FleetGuard,
}

impl Replica {
    fn join(name: &str, store: impl FleetStore) -> Self {
        let registry = registry();
        let id = ReplicaId::new(name).unwrap();
        let guard = registry.join_fleet(store, FleetSettings::new(id)).unwrap();
        Self {
            flag: exact_in(&registry).build().unwrap(),
            registry,
            guard,
        }
    }
}

async fn fleet() -> (MemoryStore, [Replica; 3]) {
    let server = MemoryStore::new();
    let replicas = ["one", "other", "third"].map(|name| Replica::join(name, server.clone()));
    // Each has said that it lives.
    sleep(SECOND * 3).await;
    (server, replicas)
}

/// Fails the two calls and three that degrade the flags of all.
async fn trip(replicas: &[Replica; 3]) {
    fail(&replicas[0].flag, 2);
    fail(&replicas[1].flag, 3);
    sleep(FLUSH).await;
    for replica in replicas {
        assert_eq!(replica.flag.state(), Degraded);
    }
}

#[tokio::test(start_paused = true)]
async fn errors_of_several_replicas_degrade_the_flag_of_all() {
    let (_server, replicas) = fleet().await;
    trip(&replicas).await;
    let third = &replicas[2];
    assert_eq!(
        history(&third.registry),
        [(Enabled, Degraded, FlagCause::Fleet)]
    );
    let refused = third.flag.admit().unwrap_err();
    assert_eq!(refused.reason(), RejectReason::FlagDegraded);
    let left = third.flag.stats().ends_after.unwrap();
    assert!(left <= TTL && left > TTL - SECOND * 2, "{left:?}");
    assert_eq!(refused.retry_after(), Some(left));
}

#[tokio::test(start_paused = true)]
async fn errors_that_are_few_among_many_calls_degrade_nobody() {
    let (_server, replicas) = fleet().await;
    for replica in &replicas {
        succeed(&replica.flag, 40);
        fail(&replica.flag, 2);
    }
    sleep(FLUSH).await;
    assert!(
        replicas
            .iter()
            .all(|replica| replica.flag.state() == Enabled)
    );
    // Six of 126 were less than a twentieth; seven of 127 are more.
    fail(&replicas[2].flag, 1);
    sleep(FLUSH).await;
    assert!(
        replicas
            .iter()
            .all(|replica| replica.flag.state() == Degraded)
    );
}

#[tokio::test(start_paused = true)]
async fn it_comes_back_by_a_ramp() {
    let (_server, replicas) = fleet().await;
    trip(&replicas).await;
    let flag = &replicas[2].flag;
    sleep(flag.stats().ends_after.unwrap()).await;
    assert_eq!(flag.state(), Enabled);
    assert!(flag.stats().ramping);
    let entered = (0..1_000).filter(|_| flag.admit().is_ok()).count();
    assert!(
        (50..200).contains(&entered),
        "{entered} of 1000 at the beginning"
    );
    sleep(RAMP).await;
    assert!((0..1_000).all(|_| flag.admit().is_ok()));
    let causes: Vec<_> = history(&replicas[2].registry)
        .iter()
        .map(|change| change.2)
        .collect();
    assert_eq!(causes, [FlagCause::Fleet, FlagCause::Expiry]);
}

#[tokio::test(start_paused = true)]
async fn its_own_errors_act_at_once_and_the_later_end_counts() {
    let (server, replicas) = fleet().await;
    let flag = &replicas[0].flag;
    fail(flag, 5);
    assert_eq!(flag.state(), Degraded, "nobody was asked");
    sleep(MINUTE).await;
    // A minute later the fleet follows, for five minutes from now.
    fail(&replicas[1].flag, 4);
    fail(&replicas[2].flag, 4);
    sleep(FLUSH).await;
    assert_eq!(replicas[1].flag.state(), Degraded);
    let left = flag.stats().ends_after.unwrap();
    assert!(left > TTL - SECOND * 2, "{left:?}");
    assert_eq!(
        history(&replicas[0].registry).len(),
        1,
        "it was degraded already"
    );
    // The store forgets; its own errors are still five minutes' worth.
    server.flush();
    sleep(MINUTE).await;
    assert_eq!(flag.state(), Degraded);
    let left = flag.stats().ends_after.unwrap();
    assert!(
        left < TTL - MINUTE * 2 && left > TTL - MINUTE * 3,
        "{left:?}"
    );
    assert_eq!(replicas[1].flag.state(), Enabled);
}

#[tokio::test(start_paused = true)]
async fn whoever_leaves_the_fleet_comes_back_at_once_by_the_ramp() {
    let (_server, replicas) = fleet().await;
    trip(&replicas).await;
    let [one, other, third] = replicas;
    drop(third.guard);
    assert_eq!(third.flag.state(), Enabled);
    assert!(third.flag.stats().ramping);
    assert_eq!(other.flag.state(), Degraded);
    drop((one, other));
}

#[tokio::test(start_paused = true)]
async fn people_count_before_the_fleets_automation_and_their_own_before_the_fleets() {
    let (_server, replicas) = fleet().await;
    let search = Target::Flag("ml_recs".into());
    let on = OverrideValue::Flag(Enabled);
    let order = Order::new("kim", "rehearsal", MINUTE * 30);
    let fleet = replicas[0].guard.fleet();
    fleet.set(search, on, order).await.unwrap();
    sleep(SECOND).await;
    fail(&replicas[0].flag, 2);
    fail(&replicas[1].flag, 3);
    sleep(FLUSH).await;
    assert!(
        replicas
            .iter()
            .all(|replica| replica.flag.state() == Enabled)
    );
    assert!(replicas[2].flag.admit().is_ok());
    impose(&replicas[2].registry, Disabled, MINUTE);
    assert_eq!(replicas[2].flag.state(), Disabled);
    assert_eq!(replicas[1].flag.state(), Enabled);
}

#[tokio::test(start_paused = true)]
async fn outcomes_from_before_the_fleets_trip_move_nothing_after_it() {
    let (_server, replicas) = fleet().await;
    let flag = &replicas[2].flag;
    let early: Vec<_> = (0..5).map(|_| flag.admit().unwrap()).collect();
    trip(&replicas).await;
    sleep(TTL + RAMP).await;
    assert_eq!(flag.state(), Enabled);
    for ticket in early {
        ticket.failure();
    }
    assert_eq!(flag.state(), Enabled);
    assert_eq!(flag.stats().window_failures, 0);
}

#[tokio::test(start_paused = true)]
async fn trips_of_the_fleet_that_follow_one_another_last_longer() {
    let (_server, replicas) = fleet().await;
    trip(&replicas).await;
    sleep(TTL + RAMP).await;
    trip(&replicas).await;
    let left = replicas[2].flag.stats().ends_after.unwrap();
    assert!(left > TTL * 2 - SECOND * 2 && left <= TTL * 2, "{left:?}");
    // A healthy spell resets it.
    sleep(TTL * 2 + RAMP + MINUTE).await;
    trip(&replicas).await;
    let left = replicas[2].flag.stats().ends_after.unwrap();
    assert!(left <= TTL, "{left:?}");
}

#[tokio::test(start_paused = true)]
async fn a_flag_that_is_made_after_a_trip_finds_it() {
    let (_server, replicas) = fleet().await;
    trip(&replicas).await;
    let again = Flags::new(&replicas[2].registry).flag("ml_recs").unwrap();
    assert_eq!(again.state(), Degraded);
}

#[tokio::test(start_paused = true)]
async fn calls_through_the_layer_are_refused_when_the_fleet_has_degraded_it() {
    let (_server, replicas) = fleet().await;
    let (inner, handle) = probe();
    let service = flagged(&replicas[2].flag, inner);
    assert_eq!(service.clone().oneshot(1).await.unwrap(), 1);
    trip(&replicas).await;
    let refused = reason_of(service.oneshot(2).await);
    assert_eq!(
        (refused, handle.counts().calls),
        (RejectReason::FlagDegraded, 1)
    );
}

#[tokio::test(start_paused = true)]
async fn no_call_waits_for_a_store_that_hangs_for_ever() {
    let (store, faults) = FaultyStore::new(MemoryStore::new());
    faults.all(Fault::Hang);
    let replica = Replica::join("one", store);
    let search = replica.registry.dependency("search").register().unwrap();
    let (inner, handle) = probe();
    let service = ServiceBuilder::new()
        .layer(FlagLayer::for_results(replica.flag.clone()))
        .layer(CircuitBreakerLayer::new(&search).for_results())
        .service(inner);
    for minute in 0..10 {
        for request in 0..100 {
            let begun = Instant::now();
            if request < 97 {
                assert_eq!(service.clone().oneshot(request).await.unwrap(), request);
            } else {
                handle.next(crate::common::failing());
                assert!(service.clone().oneshot(request).await.is_err());
            }
            assert_eq!(replica.flag.state(), Enabled);
            assert_eq!(search.status(), brownout::registry::Status::Healthy);
            assert_eq!(begun.elapsed(), Duration::ZERO, "in minute {minute}");
        }
        advance(MINUTE).await;
    }
    drop(replica.guard);
}
