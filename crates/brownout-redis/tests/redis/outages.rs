//! Servers that stand still, die, come back with nothing, and connections that break anywhere.

use std::net::Ipv4Addr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use brownout_registry::fleet::{Changes, FleetStore, Outcome, StackWrite, StoreErrorKind};
use tokio::net::TcpListener;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, timeout};

use crate::support::{
    Cable, PATIENCE, Server, change, count, flag, hasty, ids, kind, quorum, replica, rule, soon,
    stack, store, summary, written,
};

#[tokio::test]
async fn a_server_that_stands_still_is_given_up_in_time_and_does_nothing_later() {
    let server = Server::start();
    let before = written(&store(&server.url()), stack(flag("search"), None, &[1])).await;
    let shop = hasty(&server.url());
    let mut changes = soon(async || shop.subscribe(&replica("one")).await).await;
    soon(async || shop.picture().await).await;

    server.pause();
    let begun = Instant::now();
    let late = stack(flag("late"), None, &[1]);
    assert_eq!(
        kind(&shop.write(vec![late]).await),
        StoreErrorKind::TimedOut
    );
    assert!(begun.elapsed() < PATIENCE, "it may take 400 ms");
    let counts = vec![count("late", 0, 1_000, rule(1))];
    let counted = shop.count(&replica("one"), quorum(1), counts).await;
    assert_eq!(kind(&counted), StoreErrorKind::TimedOut);
    let told = timeout(PATIENCE, changes.next()).await;
    assert_eq!(kind(&told.expect("it finds out")), StoreErrorKind::TimedOut);

    // The commands lie in the server's sockets, and it reads them now.
    server.go_on();
    let picture = soon(async || shop.picture().await).await;
    sleep(Duration::from_millis(200)).await;
    assert_eq!(picture.version, before, "nothing was lost");
    let after = shop.picture().await.unwrap();
    assert_eq!(ids(&after, &flag("late")), None, "it was given up");
    assert_eq!((after.version, after.trips.len()), (before, 0));
}

#[tokio::test]
async fn a_server_that_is_killed_is_missed_at_once_and_comes_back_with_another_epoch() {
    let mut server = Server::start();
    let shop = store(&server.url());
    let first = written(&shop, stack(flag("search"), None, &[1])).await;
    let mut changes = shop.subscribe(&replica("one")).await.unwrap();

    server.kill();
    let begun = Instant::now();
    let told = timeout(PATIENCE, changes.next()).await;
    assert_eq!(kind(&told.expect("it hears")), StoreErrorKind::Unreachable);
    assert_eq!(kind(&shop.picture().await), StoreErrorKind::Unreachable);
    assert!(begun.elapsed() < PATIENCE, "nobody waits for a timeout");

    server.restart();
    let picture = soon(async || shop.picture().await).await;
    assert!(picture.version.epoch > first.epoch && picture.version.revision == 0);
    assert!(picture.stacks.is_empty());
    let over_the_old = stack(flag("search"), Some(first), &[2]);
    let outcomes = shop.write(vec![over_the_old]).await.unwrap();
    assert_eq!(
        outcomes,
        [Outcome::Stale],
        "that version is of another epoch"
    );
    let mut changes = shop.subscribe(&replica("one")).await.unwrap();
    let again = written(&shop, stack(flag("search"), None, &[1])).await;
    assert_eq!(change(&mut changes).await.0, again);
}

#[tokio::test]
async fn a_server_that_is_flushed_has_another_epoch_and_its_subscribers() {
    let server = Server::start();
    let shop = store(&server.url());
    let first = written(&shop, stack(flag("search"), None, &[1])).await;
    let mut changes = shop.subscribe(&replica("one")).await.unwrap();
    assert_eq!(server.run(&["FLUSHALL"]), "+OK");
    // Whoever writes first begins the epoch.
    let second = written(&shop, stack(flag("other"), None, &[1])).await;
    assert!(second.epoch > first.epoch && second.revision == 1);
    assert_eq!(change(&mut changes).await.0, second);
}

#[tokio::test]
async fn a_state_that_is_lost_alone_takes_its_values_with_it() {
    let server = Server::start();
    let shop = store(&server.url());
    written(&shop, stack(flag("search"), None, &[1])).await;
    written(&shop, stack(flag("other"), None, &[1])).await;
    // As an eviction of this one key would.
    assert_eq!(server.run(&["DEL", "{shop}:meta"]), ":1");
    let picture = shop.picture().await.unwrap();
    assert_eq!((picture.version.revision, picture.stacks.len()), (0, 0));
    assert_eq!(picture.damage, None);
    // Not even an index that names them brings them back, and they stand in nobody's way.
    let left = ["ZADD", "{shop}:index", "9999999999999", "o:flag:other"];
    assert_eq!(server.run(&left), ":1");
    assert!(shop.picture().await.unwrap().stacks.is_empty());
    written(&shop, stack(flag("search"), None, &[2])).await;
    let picture = shop.picture().await.unwrap();
    assert_eq!(ids(&picture, &flag("search")), Some(vec![2]));
    assert_eq!(picture.stacks.len(), 1, "the other is of the lost epoch");
}

#[tokio::test]
async fn a_value_that_ends_soon_takes_no_other_with_it() {
    let server = Server::start();
    let shop = store(&server.url());
    written(&shop, stack(flag("long"), None, &[1])).await;
    let short = StackWrite {
        keep: Duration::from_millis(200),
        ..stack(flag("short"), None, &[1])
    };
    written(&shop, short).await;
    shop.report(summary("long"), Duration::from_mins(1))
        .await
        .unwrap();
    shop.report(summary("short"), Duration::from_millis(200))
        .await
        .unwrap();
    // The server's clock is the real one.
    sleep(Duration::from_millis(400)).await;
    let picture = shop.picture().await.unwrap();
    assert_eq!(ids(&picture, &flag("short")), None);
    assert_eq!(ids(&picture, &flag("long")), Some(vec![1]));
    assert_eq!(shop.replicas().await.unwrap().live, 1);
}

#[tokio::test]
async fn a_connection_may_break_anywhere_in_an_answer() {
    let server = Server::start();
    let cable = Cable::to(server.port()).await;
    let near = store(&server.url());
    for id in 0..20 {
        written(&near, stack(flag(&format!("f-{id}")), None, &[1, 2, 3])).await;
    }
    for bytes in [1, 2, 7, 40, 100, 500, 2_000] {
        let far = store(&cable.url());
        far.picture().await.unwrap();
        cable.cut_after(bytes);
        let begun = Instant::now();
        let broken = far.picture().await;
        assert_eq!(
            kind(&broken),
            StoreErrorKind::Unreachable,
            "after {bytes} bytes"
        );
        assert!(begun.elapsed() < PATIENCE, "after {bytes} bytes");
        let picture = soon(async || far.picture().await).await;
        assert_eq!((picture.stacks.len(), picture.damage), (20, None));
    }
}

#[tokio::test]
async fn a_write_whose_answer_is_lost_has_happened_once() {
    let server = Server::start();
    let cable = Cable::to(server.port()).await;
    let far = hasty(&cable.url());
    // The script has to be known there, else the answer that is lost is that it is not.
    written(&store(&server.url()), stack(flag("before"), None, &[1])).await;
    soon(async || far.picture().await).await;
    cable.mute();
    let write = far.write(vec![stack(flag("search"), None, &[1])]).await;
    assert_eq!(kind(&write), StoreErrorKind::TimedOut);
    cable.mend();
    let picture = soon(async || far.picture().await).await;
    assert_eq!(picture.version.revision, 2, "it is not sent again");
    assert_eq!(ids(&picture, &flag("search")), Some(vec![1]));
}

#[tokio::test]
async fn a_dead_connection_is_replaced_although_every_caller_leaves_early() {
    let server = Server::start();
    let cable = Cable::to(server.port()).await;
    let far = hasty(&cable.url());
    soon(async || far.picture().await).await;
    cable.die();
    let connections = cable.accepted();
    let begun = Instant::now();
    while cable.accepted() == connections {
        assert!(
            begun.elapsed() < Duration::from_secs(5),
            "the dead one is waited for"
        );
        // Far less than the store's own 400 ms.
        let given_up = timeout(Duration::from_millis(50), far.picture()).await;
        assert!(!matches!(given_up, Ok(Ok(_))), "nothing comes through");
        sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test]
async fn a_connection_that_the_server_closed_in_the_meantime_costs_no_operation() {
    let server = Server::start();
    let cable = Cable::to(server.port()).await;
    let far = store(&cable.url());
    far.picture().await.unwrap();
    // Longer than what counts as hanging up at once.
    sleep(Duration::from_millis(5_100)).await;
    cable.cut();
    sleep(Duration::from_millis(100)).await;
    far.picture().await.unwrap();
}

#[tokio::test]
async fn two_hundred_stores_without_a_server_make_a_bounded_number_of_attempts() {
    const STORES: u64 = 200;
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let url = format!("redis://{}", listener.local_addr().unwrap());
    let attempts = Arc::new(AtomicU64::new(0));
    let counted = Arc::clone(&attempts);
    let mut tasks = JoinSet::new();
    tasks.spawn(async move {
        // Lets everybody in, and hangs up.
        while let Ok((socket, _)) = listener.accept().await {
            counted.fetch_add(1, Ordering::SeqCst);
            drop(socket);
        }
    });
    for number in 0..STORES {
        let shop = store(&url);
        tasks.spawn(async move {
            let name = replica(&format!("replica-{number}"));
            loop {
                // Asked for far more often than any fleet asks.
                let _refused = shop.subscribe(&name).await;
                let _refused = shop
                    .report(summary(name.as_str()), Duration::from_secs(1))
                    .await;
                let _refused = shop.picture().await;
                sleep(Duration::from_millis(20)).await;
            }
        });
    }
    // Until waits have grown to their bound.
    sleep(Duration::from_secs(6)).await;
    let before = attempts.load(Ordering::SeqCst);
    sleep(Duration::from_secs(4)).await;
    let made = attempts.load(Ordering::SeqCst) - before;
    tasks.shutdown().await;
    assert!(before >= 2 * STORES, "they have tried: {before}");
    assert!(
        made <= STORES * 4 / 2,
        "{made} attempts in four seconds, of which each store may make one in two"
    );
}

#[tokio::test]
async fn a_server_that_hangs_up_on_subscribers_again_and_again_is_not_stormed() {
    let server = Server::start();
    let shop = store(&server.url());
    shop.picture().await.unwrap();
    let begun = Instant::now();
    let mut subscribed = 0;
    while begun.elapsed() < Duration::from_secs(4) {
        if let Ok(mut changes) = shop.subscribe(&replica("one")).await {
            subscribed += 1;
            server.run(&["CLIENT", "KILL", "TYPE", "pubsub"]);
            let told = timeout(PATIENCE, changes.next()).await;
            assert_eq!(kind(&told.unwrap()), StoreErrorKind::Unreachable);
        }
        // Asked for at once again, by whoever does not wait by itself.
        sleep(Duration::from_millis(1)).await;
    }
    // Waits of 125 ms at least, then 250, 500, 1,000 and 1,500.
    assert!(
        (2..=6).contains(&subscribed),
        "{subscribed} times in four seconds"
    );
    // Commands have a connection of their own, which is well.
    shop.picture().await.unwrap();
}
