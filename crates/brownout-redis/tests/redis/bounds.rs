//! How much a namespace holds at most.

use std::time::Duration;

use brownout_registry::fleet::{Changes, FleetStore, Message, StoreErrorKind, limits};
use tokio::time::{sleep, timeout};

use crate::support::{
    PATIENCE, Server, count, flag, ids, kind, quorum, replica, rule, said, stack, store, summary,
    written,
};

/// Names so many members in a sorted set, none of which ends soon.
fn crowd(server: &Server, key: &str, members: usize) {
    let script =
        "for n = 1, ARGV[1] do redis.call('ZADD', KEYS[1], 9999999999999, 'o:flag:x' .. n) end";
    server.run(&["EVAL", script, "1", key, &members.to_string()]);
    assert_eq!(server.run(&["ZCARD", key]), format!(":{members}"));
}

#[tokio::test]
async fn a_namespace_that_is_full_takes_nothing_new_and_lets_go_of_what_it_has() {
    let server = Server::start();
    let shop = store(&server.url());
    shop.picture().await.unwrap();
    crowd(&server, "{shop}:index", limits::VALUES - 1);
    let last = written(&shop, stack(flag("last"), None, &[1])).await;
    let both = vec![
        stack(flag("last"), Some(last), &[2]),
        stack(flag("new"), None, &[1]),
    ];
    let write = shop.write(both).await;
    assert_eq!(kind(&write), StoreErrorKind::Full);
    assert!(said(write).contains("10000"));
    let picture = shop.picture().await.unwrap();
    assert_eq!(
        ids(&picture, &flag("last")),
        Some(vec![1]),
        "nothing was done by half"
    );
    // What is there already can be changed: somebody must be able to release it.
    written(&shop, stack(flag("last"), Some(last), &[])).await;

    shop.report(summary("one"), Duration::from_mins(1))
        .await
        .unwrap();
    let counted = shop
        .count(
            &replica("one"),
            quorum(1),
            vec![count("search", 0, 9, rule(5))],
        )
        .await;
    assert_eq!(kind(&counted), StoreErrorKind::Full);
    assert!(shop.picture().await.unwrap().trips.is_empty());
}

#[tokio::test]
async fn an_index_that_somebody_else_has_filled_is_damage() {
    let server = Server::start();
    let shop = store(&server.url());
    written(&shop, stack(flag("search"), None, &[1])).await;
    crowd(&server, "{shop}:crowd", limits::VALUES);
    let union = [
        "ZUNIONSTORE",
        "{shop}:index",
        "2",
        "{shop}:index",
        "{shop}:crowd",
    ];
    assert_eq!(server.run(&union), format!(":{}", limits::VALUES + 1));
    let damage = shop.picture().await.unwrap().damage.expect("it is told");
    assert_eq!(damage.kind(), StoreErrorKind::Damaged);
    assert!(damage.private_detail().contains("{shop}:index"));
    server.run(&["ZREM", "{shop}:index", "o:flag:x1"]);
    assert_eq!(shop.picture().await.unwrap().damage, None);
}

#[tokio::test]
async fn replicas_beyond_all_reason_are_refused_and_those_known_live_on() {
    let server = Server::start();
    let shop = store(&server.url());
    shop.report(summary("known"), Duration::from_mins(1))
        .await
        .unwrap();
    crowd(&server, "{shop}:crowd", 99_999);
    let union = [
        "ZUNIONSTORE",
        "{shop}:replicas",
        "2",
        "{shop}:replicas",
        "{shop}:crowd",
    ];
    assert_eq!(server.run(&union), ":100000");
    let report = shop.report(summary("new"), Duration::from_mins(1)).await;
    assert_eq!(kind(&report), StoreErrorKind::Full);
    shop.report(summary("known"), Duration::from_mins(1))
        .await
        .unwrap();
    let replicas = shop.replicas().await.unwrap();
    assert_eq!(replicas.live, 100_000);
    assert!(replicas.summaries.len() <= limits::SUMMARIES);
}

#[tokio::test]
async fn a_message_larger_than_all_that_may_wait_is_told_as_missed_at_once() {
    let server = Server::start();
    let shop = store(&server.url());
    let mut changes = shop.subscribe(&replica("one")).await.unwrap();
    let told = tokio::spawn(async move { changes.next().await });
    // Nothing else is said, and it waits by then.
    sleep(PATIENCE / 8).await;
    let large = "x".repeat(5 << 20);
    assert_eq!(server.run(&["PUBLISH", "{shop}:changes", &large]), ":1");
    let told = timeout(PATIENCE / 2, told).await;
    let told = told.expect("before it would doubt itself").unwrap();
    assert!(matches!(told, Ok(Message::Missed(None))), "{told:?}");
}
