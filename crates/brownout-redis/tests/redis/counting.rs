//! Many replicas that count together.

use std::time::Duration;

use brownout_registry::fleet::{FleetStore, Rule, StoreErrorKind};

use crate::support::{
    Cable, Server, count, flag, hasty, kind, quorum, replica, rule, soon, stack, store, summary,
    written,
};

const FORTY: usize = 40;

async fn is_tripped(store: &impl FleetStore, flag: &str) -> bool {
    let picture = store.picture().await.unwrap();
    picture.trips.iter().any(|trip| &*trip.flag == flag)
}

#[tokio::test]
async fn forty_replicas_trip_a_flag_at_the_right_total() {
    let server = Server::start();
    let stores: Vec<_> = (0..FORTY).map(|_| store(&server.url())).collect();
    let name = |number: usize| format!("replica-{number}");
    for (number, store) in stores.iter().enumerate() {
        let report = store.report(summary(&name(number)), Duration::from_mins(1));
        report.await.unwrap();
    }
    // One failure in ten calls of each: together they are exactly the tenth that is too much, at the fortieth.
    let tenth = Rule {
        min_ratio_ppb: 100_000_000,
        ..rule(40)
    };
    for (number, store) in stores.iter().enumerate() {
        assert!(
            !is_tripped(store, "search").await,
            "after {number} of forty"
        );
        let counts = vec![count("search", 9, 1, tenth)];
        store
            .count(&replica(&name(number)), quorum(2), counts)
            .await
            .unwrap();
    }
    assert!(is_tripped(&stores[0], "search").await);
    // The same, but of eleven calls: never.
    for (number, store) in stores.iter().enumerate() {
        let counts = vec![count("other", 10, 1, tenth)];
        store
            .count(&replica(&name(number)), quorum(2), counts)
            .await
            .unwrap();
    }
    assert!(!is_tripped(&stores[0], "other").await);
    // One alone sees a thousand failures: that is its own affair.
    for _ in 0..10 {
        let counts = vec![count("alone", 0, 100, rule(40))];
        stores[7]
            .count(&replica(&name(7)), quorum(2), counts)
            .await
            .unwrap();
    }
    assert!(!is_tripped(&stores[0], "alone").await);
    let counts = vec![count("alone", 0, 1, rule(40))];
    stores[8]
        .count(&replica(&name(8)), quorum(2), counts)
        .await
        .unwrap();
    assert!(
        is_tripped(&stores[0], "alone").await,
        "a second one makes the quorum"
    );
}

#[tokio::test]
async fn counts_whose_answer_is_lost_are_counted_once() {
    let server = Server::start();
    let cable = Cable::to(server.port()).await;
    let (near, far) = (store(&server.url()), hasty(&cable.url()));
    near.report(summary("one"), Duration::from_mins(1))
        .await
        .unwrap();
    written(&near, stack(flag("begun"), None, &[1])).await;
    // So that the script is known, and the connection made.
    let other = async || {
        let counts = vec![count("other", 1, 0, rule(9))];
        far.count(&replica("one"), quorum(1), counts).await
    };
    soon(other).await;
    cable.mute();
    let counted = far
        .count(
            &replica("one"),
            quorum(1),
            vec![count("search", 0, 4, rule(5))],
        )
        .await;
    assert_eq!(kind(&counted), StoreErrorKind::TimedOut);
    cable.mend();
    assert!(
        !is_tripped(&near, "search").await,
        "four of five, and not eight"
    );
    near.count(
        &replica("one"),
        quorum(1),
        vec![count("search", 0, 1, rule(5))],
    )
    .await
    .unwrap();
    assert!(is_tripped(&near, "search").await, "the four were counted");
}

#[tokio::test]
async fn a_quorum_of_replicas_that_live_no_more_is_that_of_those_who_do() {
    let server = Server::start();
    let shop = store(&server.url());
    shop.report(summary("gone"), Duration::from_millis(300))
        .await
        .unwrap();
    shop.report(summary("here"), Duration::from_mins(1))
        .await
        .unwrap();
    shop.count(
        &replica("here"),
        quorum(2),
        vec![count("search", 0, 9, rule(5))],
    )
    .await
    .unwrap();
    assert!(!is_tripped(&shop, "search").await, "one of two");
    // The server's clock is the real one.
    tokio::time::sleep(Duration::from_millis(400)).await;
    shop.count(
        &replica("here"),
        quorum(2),
        vec![count("search", 0, 1, rule(5))],
    )
    .await
    .unwrap();
    assert!(is_tripped(&shop, "search").await, "one of one");
}

/// An eviction, say: whoever reports next is not the only one for that.
#[tokio::test]
async fn who_is_alone_because_the_index_of_replicas_was_lost_is_no_quorum() {
    let server = Server::start();
    let shop = store(&server.url());
    shop.picture().await.unwrap();
    let minute = Duration::from_mins(1);
    shop.report(summary("here"), minute).await.unwrap();
    shop.report(summary("there"), minute).await.unwrap();
    tokio::time::sleep(Duration::from_millis(400)).await;
    server.run(&["DEL", "{shop}:replicas"]);
    shop.report(summary("here"), minute).await.unwrap();
    let settled = brownout_registry::fleet::Quorum {
        fewer_after: Duration::from_millis(300),
        ..quorum(2)
    };
    let counts = vec![count("search", 0, 9, rule(5))];
    shop.count(&replica("here"), settled, counts).await.unwrap();
    assert!(!is_tripped(&shop, "search").await, "one of two");
}
