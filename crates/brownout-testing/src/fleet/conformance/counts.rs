//! Counts: sums, thresholds, quorum, windows.

use std::time::Duration;

use brownout_registry::fleet::{Change, FleetStore, Quorum, Rule};
use tokio::time::sleep;

use super::rig::{
    Rig, alive, change, count, counted, done, is_tripped, nothing_is_told, picture, quorum,
    replica, rule, subscribe, summary,
};

pub(super) async fn a_flag_is_tripped_at_the_number_of_errors<S: FleetStore>(
    rig: &Rig<impl AsyncFn(&str) -> S>,
) {
    let namespace = rig.namespace();
    let (one, other) = (namespace.store().await, namespace.store().await);
    alive(&one, &["one", "other"]).await;
    for _ in 0..2 {
        counted(&one, "one", 2, count("search", 10, 1, rule(5))).await;
        counted(&other, "other", 2, count("search", 10, 1, rule(5))).await;
    }
    assert!(!is_tripped(&one, "search").await, "four errors of five");
    counted(&one, "one", 2, count("search", 0, 1, rule(5))).await;
    assert!(
        is_tripped(&other, "search").await,
        "the fifth error of five"
    );
}

pub(super) async fn a_flag_is_tripped_at_the_share_of_errors<S: FleetStore>(
    rig: &Rig<impl AsyncFn(&str) -> S>,
) {
    let store = rig.store().await;
    alive(&store, &["one", "other"]).await;
    let twentieth = Rule {
        min_ratio_ppb: 50_000_000,
        ..rule(2)
    };
    counted(&store, "one", 2, count("search", 400, 10, twentieth)).await;
    counted(&store, "other", 2, count("search", 0, 11, twentieth)).await;
    assert!(
        !is_tripped(&store, "search").await,
        "21 of 421 are less than a twentieth"
    );
    counted(&store, "one", 2, count("search", 0, 1, twentieth)).await;
    assert!(
        is_tripped(&store, "search").await,
        "22 of 422 are more than a twentieth"
    );
    counted(&store, "one", 2, count("exact", 38, 1, twentieth)).await;
    counted(&store, "other", 2, count("exact", 0, 1, twentieth)).await;
    assert!(
        is_tripped(&store, "exact").await,
        "two of forty are a twentieth"
    );
}

pub(super) async fn one_replica_alone_trips_nothing_unless_it_is_alone<S: FleetStore>(
    rig: &Rig<impl AsyncFn(&str) -> S>,
) {
    let fleet = rig.store().await;
    alive(&fleet, &["one", "other"]).await;
    counted(&fleet, "one", 2, count("search", 0, 1_000, rule(5))).await;
    assert!(
        !is_tripped(&fleet, "search").await,
        "one of two is no quorum of two"
    );
    counted(&fleet, "other", 2, count("search", 10, 0, rule(5))).await;
    assert!(
        !is_tripped(&fleet, "search").await,
        "the other has had no failure"
    );
    counted(&fleet, "other", 2, count("search", 0, 1, rule(5))).await;
    assert!(
        is_tripped(&fleet, "search").await,
        "two are a quorum of two"
    );

    let alone = rig.store().await;
    alive(&alone, &["one"]).await;
    counted(&alone, "one", 2, count("search", 0, 5, rule(5))).await;
    assert!(
        is_tripped(&alone, "search").await,
        "of one that lives, one is the quorum"
    );
}

pub(super) async fn who_has_not_been_heard_of_yet_may_live<S: FleetStore>(
    rig: &Rig<impl AsyncFn(&str) -> S>,
) {
    let nobody = rig.store().await;
    counted(&nobody, "one", 2, count("search", 0, 9, rule(5))).await;
    assert!(
        !is_tripped(&nobody, "search").await,
        "nobody has reported, so one may be one of many"
    );
    counted(&nobody, "other", 2, count("search", 0, 1, rule(5))).await;
    assert!(
        is_tripped(&nobody, "search").await,
        "two are two all the same"
    );

    let store = rig.store().await;
    alive(&store, &["one"]).await;
    picture(&store).await;
    let settled = Quorum {
        fewer_after: Duration::from_millis(600),
        ..quorum(2)
    };
    let fails = async || {
        let counts = vec![count("search", 0, 9, rule(5))];
        done("count", store.count(&replica("one"), settled, counts)).await;
        is_tripped(&store, "search").await
    };
    assert!(
        !fails().await,
        "the epoch is too young to know that it is alone"
    );
    sleep(Duration::from_millis(700)).await;
    assert!(fails().await, "it is the only one");
    let never = Quorum {
        fewer_after: Duration::MAX,
        ..quorum(2)
    };
    let counts = vec![count("other", 0, 9, rule(5))];
    done("count", store.count(&replica("one"), never, counts)).await;
    assert!(
        !is_tripped(&store, "other").await,
        "no epoch is as old as that"
    );
}

/// Whoever counts lives, whether its reports come or not.
pub(super) async fn one_without_a_report_is_no_quorum_of_those_with_one<S: FleetStore>(
    rig: &Rig<impl AsyncFn(&str) -> S>,
) {
    let store = rig.store().await;
    alive(&store, &["one"]).await;
    counted(&store, "other", 2, count("search", 0, 9, rule(5))).await;
    assert!(
        !is_tripped(&store, "search").await,
        "of the two, one has had no failures"
    );
    counted(&store, "one", 2, count("search", 0, 1, rule(5))).await;
    assert!(is_tripped(&store, "search").await, "now it has");
    alive(&store, &["two"]).await;
    counted(&store, "two", 3, count("other", 0, 9, rule(5))).await;
    counted(&store, "gone", 3, count("other", 0, 9, rule(5))).await;
    assert!(
        !is_tripped(&store, "other").await,
        "it is not the same one that is missing"
    );
    counted(&store, "one", 5, count("other", 0, 1, rule(5))).await;
    assert!(
        is_tripped(&store, "other").await,
        "all that live have had some"
    );
}

/// However the quorum has changed meanwhile.
pub(super) async fn successes_alone_trip_nothing<S: FleetStore>(
    rig: &Rig<impl AsyncFn(&str) -> S>,
) {
    let store = rig.store().await;
    counted(&store, "one", 2, count("search", 0, 9, rule(5))).await;
    alive(&store, &["one"]).await;
    counted(&store, "one", 2, count("search", 1, 0, rule(5))).await;
    assert!(
        !is_tripped(&store, "search").await,
        "nothing has become worse"
    );
    counted(&store, "one", 2, count("search", 0, 1, rule(5))).await;
    assert!(is_tripped(&store, "search").await, "now it has");
}

/// It may live on: the store's clock may have been set.
pub(super) async fn who_has_fallen_silent_just_now_may_live<S: FleetStore>(
    rig: &Rig<impl AsyncFn(&str) -> S>,
) {
    let store = rig.store().await;
    picture(&store).await;
    alive(&store, &["one"]).await;
    let brief = Duration::from_millis(400);
    done("report", store.report(summary("other"), brief)).await;
    let settled = Quorum {
        fewer_after: Duration::from_millis(600),
        ..quorum(2)
    };
    let fails = async || {
        let counts = vec![count("search", 0, 9, rule(5))];
        done("count", store.count(&replica("one"), settled, counts)).await;
        is_tripped(&store, "search").await
    };
    sleep(Duration::from_millis(700)).await;
    assert!(!fails().await, "the other one was there a moment ago");
    alive(&store, &["one"]).await;
    assert!(!fails().await, "and still was");
    sleep(Duration::from_millis(700)).await;
    assert!(fails().await, "it is gone");
}

pub(super) async fn a_trip_is_told_once_and_ends_and_clears_the_counts<S: FleetStore>(
    rig: &Rig<impl AsyncFn(&str) -> S>,
) {
    let store = rig.store().await;
    alive(&store, &["one"]).await;
    let mut changes = subscribe(&store, "one").await;
    let brief = Rule {
        ttl: Duration::from_millis(600),
        ..rule(3)
    };
    counted(&store, "one", 1, count("search", 0, 3, brief)).await;
    let (version, values) = change(&mut changes).await;
    assert_eq!(version.revision, 1, "a trip is a write like any other");
    let now = picture(&store).await;
    let [Change::Trip(trip)] = &values[..] else {
        panic!("a trip was told as {values:?}");
    };
    assert_eq!(
        (&*trip.flag, &now.trips[..]),
        ("search", std::slice::from_ref(trip))
    );
    let left = trip.until.since(now.now);
    assert!(
        left <= brief.ttl,
        "it lasts {left:?} in place of {:?}",
        brief.ttl
    );

    counted(&store, "one", 1, count("search", 0, 50, brief)).await;
    nothing_is_told(&mut changes, "the flag was tripped already").await;
    assert_eq!(
        picture(&store).await.trips,
        now.trips,
        "a trip is not made longer"
    );

    sleep(Duration::from_millis(1_600)).await;
    assert!(!is_tripped(&store, "search").await, "its time is over");
    counted(&store, "one", 1, count("search", 0, 2, brief)).await;
    assert!(
        !is_tripped(&store, "search").await,
        "what was counted before and during the trip counts no more"
    );
    counted(&store, "one", 1, count("search", 0, 1, brief)).await;
    assert!(is_tripped(&store, "search").await);
}

pub(super) async fn counts_leave_with_the_window<S: FleetStore>(
    rig: &Rig<impl AsyncFn(&str) -> S>,
) {
    let store = rig.store().await;
    alive(&store, &["one"]).await;
    let sliding = Rule {
        window: Duration::from_millis(1_200),
        ..rule(4)
    };
    counted(&store, "one", 1, count("search", 0, 3, sliding)).await;
    sleep(Duration::from_millis(1_400)).await;
    counted(&store, "one", 1, count("search", 0, 2, sliding)).await;
    assert!(
        !is_tripped(&store, "search").await,
        "the first three are out of the window"
    );
    counted(&store, "one", 1, count("search", 0, 2, sliding)).await;
    assert!(
        is_tripped(&store, "search").await,
        "these four are within it"
    );
}

pub(super) async fn flags_are_counted_apart<S: FleetStore>(rig: &Rig<impl AsyncFn(&str) -> S>) {
    let store = rig.store().await;
    alive(&store, &["one"]).await;
    let counts = vec![
        count("first", 0, 3, rule(4)),
        count("second", 0, 4, rule(4)),
        count("third", 1 << 40, 3, rule(4)),
    ];
    done("count", store.count(&replica("one"), quorum(1), counts)).await;
    let tripped = picture(&store).await.trips;
    let tripped: Vec<_> = tripped.iter().map(|trip| &*trip.flag).collect();
    assert_eq!(tripped, ["second"]);
}
