//! What lies in our namespace and is not ours, or is damaged, or was written by a version to come.

use std::time::Duration;

use brownout_registry::fleet::{Changes, FleetStore, Message, Outcome, StoreErrorKind};
use tokio::time::timeout;

use crate::support::{
    Server, change, count, flag, ids, kind, quorum, replica, rule, said, stack, store, summary,
    written,
};

/// A key of the namespace that is of a type of its own.
fn spoil(server: &Server, key: &str) {
    server.run(&["DEL", key]);
    assert_eq!(server.run(&["GEOADD", key, "1", "1", "a"]), ":1");
    server.run(&["DEL", key]);
    assert_eq!(
        server.run(&["PFADD", "other", "x"]),
        server.run(&["PFADD", "other2", "x"])
    );
    assert_eq!(server.run(&["XADD", key, "1-1", "a", "b"]), "$3\r\n1-1");
}

#[tokio::test]
async fn a_state_of_another_type_is_damage_to_everything_and_named() {
    let server = Server::start();
    let shop = store(&server.url());
    spoil(&server, "{shop}:meta");
    let write = shop.write(vec![stack(flag("search"), None, &[1])]).await;
    let counted = shop
        .count(
            &replica("one"),
            quorum(1),
            vec![count("search", 1, 1, rule(9))],
        )
        .await;
    let reported = shop.report(summary("one"), Duration::from_secs(9)).await;
    for result in [
        shop.picture().await.map(drop),
        write.map(drop),
        counted,
        reported,
    ] {
        assert_eq!(kind(&result), StoreErrorKind::Damaged, "{result:?}");
        let said = said(result);
        assert!(
            said.contains("{shop}:meta") && said.contains("another type"),
            "{said}"
        );
    }
    server.run(&["DEL", "{shop}:meta"]);
    written(&shop, stack(flag("search"), None, &[1])).await;
}

#[tokio::test]
async fn a_state_with_garbage_in_it_is_damage_and_one_of_a_newer_version_is_not_touched() {
    let server = Server::start();
    let shop = store(&server.url());
    for (field, value) in [
        ("epoch", "hello"),
        ("revision", "-1"),
        ("format", "x"),
        ("other", "x"),
    ] {
        server.run(&["DEL", "{shop}:meta"]);
        server.run(&[
            "HSET",
            "{shop}:meta",
            "format",
            "1",
            "epoch",
            "5",
            field,
            value,
        ]);
        assert_eq!(
            kind(&shop.picture().await),
            StoreErrorKind::Damaged,
            "{field}"
        );
    }
    let newer = [
        "HSET",
        "{shop}:meta",
        "format",
        "2",
        "epoch",
        "5",
        "revision",
        "1",
    ];
    server.run(&["DEL", "{shop}:meta"]);
    server.run(&newer);
    let picture = shop.picture().await;
    assert_eq!(kind(&picture), StoreErrorKind::Unsupported);
    assert!(said(picture).contains("format 2"));
    let write = shop.write(vec![stack(flag("search"), None, &[1])]).await;
    assert_eq!(kind(&write), StoreErrorKind::Unsupported);
    assert_eq!(server.run(&["HGET", "{shop}:meta", "revision"]), "$1\r\n1");
}

#[tokio::test]
async fn a_state_whose_numbers_are_none_of_ours_is_damage_to_everything_and_named() {
    let server = Server::start();
    let shop = store(&server.url());
    // Larger than a script can count exactly, than the server can count at all, than we can read; and two that are
    // another number's text.
    for (epoch, revision) in [
        ("5", "9007199254740992"),
        ("5", "9223372036854775806"),
        ("5", "9223372036854775807"),
        ("5", "99999999999999999999999"),
        ("99999999999999999999999", "5"),
        ("5", "007"),
        ("007", "5"),
    ] {
        server.run(&["DEL", "{shop}:meta"]);
        let state = ["format", "1", "epoch", epoch, "revision", revision];
        server.run(&[&["HSET", "{shop}:meta"], &state[..]].concat());
        let write = shop.write(vec![stack(flag("search"), None, &[1])]).await;
        for result in [shop.picture().await.map(drop), write.map(drop)] {
            assert_eq!(
                kind(&result),
                StoreErrorKind::Damaged,
                "{epoch} {revision}: {result:?}"
            );
            assert!(said(result).contains("{shop}:meta"));
        }
    }
}

#[tokio::test]
async fn a_value_that_cannot_be_read_is_told_and_the_others_count() {
    let large = "x".repeat(20_000);
    let unknown = "1 EPOCH 1 9999999999999 5 [{\"id\":1,\"value\":\"dimmed\",\"actor\":\"a\",\"reason\":\"b\",\"set\":1,\"until\":2}]";
    let forged = "1 EPOCH 1 9999999999999 5 [{\"id\":1,\"value\":\"degraded\",\"actor\":\"a\\nb\",\"reason\":\"b\",\"set\":1,\"until\":2}]";
    let cases = [
        ("garbage", StoreErrorKind::Damaged),
        ("1 2", StoreErrorKind::Damaged),
        ("1 EPOCH 1 9999999999999 {", StoreErrorKind::Damaged),
        (unknown, StoreErrorKind::Damaged),
        (forged, StoreErrorKind::Damaged),
        (&large, StoreErrorKind::Damaged),
        ("2 something else altogether", StoreErrorKind::Unsupported),
    ];
    let server = Server::start();
    let shop = store(&server.url());
    let version = written(&shop, stack(flag("whole"), None, &[1])).await;
    for (value, expected) in cases {
        written_anew(
            &server,
            "o:flag:search",
            &value.replace("EPOCH", &version.epoch.to_string()),
        );
        let picture = shop.picture().await.unwrap();
        assert_eq!(ids(&picture, &flag("whole")), Some(vec![1]), "{value:.40}");
        assert_eq!(ids(&picture, &flag("search")), None, "{value:.40}");
        let damage = picture.damage.expect("it is told");
        assert_eq!(damage.kind(), expected, "{value:.40}: {damage}");
        assert!(
            damage.private_detail().contains("{shop}:o:flag:search"),
            "{damage}"
        );
        // Nobody writes over it.
        let held = server.run(&["GET", "{shop}:o:flag:search"]);
        let write = shop.write(vec![stack(flag("search"), None, &[1])]).await;
        assert!(
            !matches!(write.as_deref(), Ok([Outcome::Written(_)])),
            "{value:.40}"
        );
        assert_eq!(server.run(&["GET", "{shop}:o:flag:search"]), held);
        written_anew(&server, "t:search", value);
        let counts = vec![count("search", 0, 5, rule(5))];
        let counted = shop.count(&replica("one"), quorum(1), counts).await;
        assert_eq!(kind(&counted), expected, "{value:.40}");
        assert!(server.run(&["GET", "{shop}:t:search"]).contains(value));
        server.run(&["DEL", "{shop}:t:search"]);
    }
    spoil(&server, "{shop}:o:flag:search");
    let picture = shop.picture().await.unwrap();
    assert_eq!(ids(&picture, &flag("whole")), Some(vec![1]));
    let damage = picture.damage.expect("it is told");
    assert!(damage.private_detail().contains("another type"), "{damage}");

    // What cannot be read is not written over, and nothing else of the call is done.
    let writes = vec![
        stack(flag("other"), None, &[1]),
        stack(flag("search"), None, &[1]),
    ];
    let write = shop.write(writes).await;
    assert_eq!(kind(&write), StoreErrorKind::Damaged);
    let picture = shop.picture().await.unwrap();
    assert_eq!(
        (ids(&picture, &flag("other")), picture.version),
        (None, version)
    );
    server.run(&["DEL", "{shop}:o:flag:search"]);
    assert_eq!(shop.picture().await.unwrap().damage, None);
    written(&shop, stack(flag("search"), None, &[1])).await;
}

fn written_anew(server: &Server, member: &str, value: &str) {
    let key = format!("{{shop}}:{member}");
    assert_eq!(server.run(&["SET", &key, value]), "+OK");
    server.run(&["ZADD", "{shop}:index", "9999999999999", member]);
}

#[tokio::test]
async fn an_index_of_another_type_is_damage_and_named() {
    let server = Server::start();
    let shop = store(&server.url());
    written(&shop, stack(flag("search"), None, &[1])).await;
    spoil(&server, "{shop}:index");
    for result in [
        shop.picture().await.map(drop),
        shop.write(vec![stack(flag("other"), None, &[1])])
            .await
            .map(drop),
    ] {
        assert_eq!(kind(&result), StoreErrorKind::Damaged);
        assert!(said(result).contains("{shop}:index"));
    }
}

#[tokio::test]
async fn a_flag_whose_counts_are_damaged_keeps_no_other_from_being_counted() {
    let server = Server::start();
    let shop = store(&server.url());
    shop.report(summary("one"), Duration::from_secs(9))
        .await
        .unwrap();
    shop.picture().await.unwrap();
    spoil(&server, "{shop}:t:broken");
    let counts = vec![
        count("first", 0, 5, rule(5)),
        count("broken", 0, 5, rule(5)),
        count("last", 0, 5, rule(5)),
    ];
    let counted = shop.count(&replica("one"), quorum(1), counts).await;
    assert_eq!(kind(&counted), StoreErrorKind::Damaged);
    assert!(said(counted).contains("{shop}:t:broken"));
    let picture = shop.picture().await.unwrap();
    let mut tripped: Vec<_> = picture.trips.iter().map(|trip| &*trip.flag).collect();
    tripped.sort_unstable();
    assert_eq!(tripped, ["first", "last"]);
}

#[tokio::test]
async fn a_window_with_garbage_in_it_keeps_no_other_from_being_counted() {
    for garbage in ["hello", "9223372036854775807"] {
        let server = Server::start();
        let shop = store(&server.url());
        shop.report(summary("one"), Duration::from_secs(9))
            .await
            .unwrap();
        let now = shop.picture().await.unwrap().now.0;
        // A twelfth of the rule's window; the clock may pass from one to the next.
        let bucket = now / 5_000;
        for bucket in bucket..bucket + 3 {
            let key = format!("{{shop}}:w:broken:5000:{bucket}");
            server.run(&["HSET", &key, "err", garbage]);
        }
        let counts = vec![
            count("first", 0, 5, rule(5)),
            count("broken", 0, 5, rule(5)),
            count("last", 0, 5, rule(5)),
        ];
        let counted = shop.count(&replica("one"), quorum(1), counts).await;
        assert_eq!(kind(&counted), StoreErrorKind::Damaged, "{counted:?}");
        assert!(said(counted).contains("{shop}:w:broken"));
        let picture = shop.picture().await.unwrap();
        let mut tripped: Vec<_> = picture.trips.iter().map(|trip| &*trip.flag).collect();
        tripped.sort_unstable();
        assert_eq!(tripped, ["first", "last"], "{garbage}");
    }
}

#[tokio::test]
async fn a_summary_that_cannot_be_read_is_told_and_the_others_count() {
    let server = Server::start();
    let shop = store(&server.url());
    for name in ["one", "other", "third"] {
        shop.report(summary(name), Duration::from_secs(9))
            .await
            .unwrap();
    }
    server.run(&["SET", "{shop}:r:one", "garbage"]);
    spoil(&server, "{shop}:r:third");
    let replicas = shop.replicas().await.unwrap();
    assert_eq!((replicas.live, replicas.summaries.len()), (3, 1));
    assert!(replicas.damage.is_some());
    spoil(&server, "{shop}:replicas");
    assert_eq!(kind(&shop.replicas().await), StoreErrorKind::Damaged);
    let reported = shop.report(summary("one"), Duration::from_secs(9)).await;
    assert_eq!(kind(&reported), StoreErrorKind::Damaged);
}

#[tokio::test]
async fn messages_that_cannot_be_read_are_missed_with_the_reason() {
    let server = Server::start();
    let shop = store(&server.url());
    let mut changes = shop.subscribe(&replica("one")).await.unwrap();
    for (channel, message, expected) in [
        (
            "{shop}:changes",
            "2 of a version to come",
            StoreErrorKind::Unsupported,
        ),
        ("{shop}:changes", "garbage", StoreErrorKind::Damaged),
        (
            "{shop}:changes",
            "1 5 1 7\no:flag:search 9 garbage",
            StoreErrorKind::Damaged,
        ),
        ("{shop}:canary:one", "garbage", StoreErrorKind::Damaged),
        ("{shop}:canary:one", "3 ping 7", StoreErrorKind::Unsupported),
    ] {
        assert_eq!(server.run(&["PUBLISH", channel, message]), ":1");
        let told = timeout(Duration::from_secs(5), changes.next())
            .await
            .unwrap();
        let Ok(Message::Missed(Some(reason))) = told else {
            panic!("{message:?} was told as {told:?}");
        };
        assert_eq!(reason.kind(), expected, "{reason}");
        assert!(reason.private_detail().contains(channel), "{reason}");
    }
    written(&shop, stack(flag("search"), None, &[1])).await;
    change(&mut changes).await;
}

#[tokio::test]
async fn all_keys_are_of_the_namespace_and_all_have_an_end() {
    let server = Server::start();
    server.run(&["SET", "shop", "somebody else's"]);
    let shop = store(&server.url());
    shop.report(summary("one"), Duration::from_mins(1))
        .await
        .unwrap();
    written(&shop, stack(flag("search"), None, &[1])).await;
    let counts = vec![
        count("tripped", 3, 5, rule(5)),
        count("counted", 3, 2, rule(5)),
    ];
    shop.count(&replica("one"), quorum(1), counts)
        .await
        .unwrap();
    shop.subscribe(&replica("one")).await.unwrap();
    let keys = server.run(&["KEYS", "*"]);
    let keys: Vec<&str> = keys
        .lines()
        .filter(|line| !line.starts_with(['*', '$']))
        .collect();
    assert_eq!(keys.len(), 8, "{keys:?}");
    for key in keys {
        let ttl = server.run(&["TTL", key]);
        let ttl: i64 = ttl.trim_start_matches(':').parse().unwrap();
        if key == "shop" {
            assert_eq!(server.run(&["GET", key]), "$15\r\nsomebody else's");
        } else {
            assert!(
                key.starts_with("{shop}:") && ttl > 0,
                "{key} has {ttl} s left"
            );
        }
    }
}
