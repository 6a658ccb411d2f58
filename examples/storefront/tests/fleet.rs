//! The tour of the fleet as people run it: it keeps its promises, and it can fail. Needs `redis-server` on PATH.

#![allow(
    clippy::unwrap_used,
    reason = "a test that unwraps says that something is wrong"
)]

use std::process::{Command, Output};

fn storefront(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_storefront"))
        .args(arguments)
        .output()
        .unwrap()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

#[test]
fn a_fleet_keeps_every_promise_while_redis_and_a_replica_are_killed() {
    let tour = storefront(&["fleet"]);
    let seen = text(&tour.stdout);
    assert_eq!(tour.status.code(), Some(0), "{seen}{}", text(&tour.stderr));
    assert!(seen.contains("promises kept"), "{seen}");
    assert!(!seen.contains("BROKEN"), "{seen}");
}

#[test]
fn replicas_that_share_nothing_break_what_a_fleet_promises() {
    let tour = storefront(&["fleet", "--without", "sync"]);
    let seen = text(&tour.stdout);
    assert_eq!(tour.status.code(), Some(1), "{seen}{}", text(&tour.stderr));
    for promise in [
        "BROKEN: replicas that have opened see each other",
        "BROKEN: a flag that is switched off at one replica is off at all",
        "BROKEN: a dependency that is declared down at one replica is asked by none",
        "BROKEN: six errors, two at each of three replicas, degrade the flag at all",
        "BROKEN: a replica that was killed ages out of the view of all",
        "BROKEN: a Redis that was killed is a warning in the health report",
        "BROKEN: all agree on what was decided once a Redis is back that has lost it",
        "BROKEN: a Redis that hangs is a warning in the health report",
    ] {
        assert!(seen.contains(promise), "not named: {promise}\n{seen}");
    }
    // What a replica does by itself needs no fleet, and nobody is kept waiting.
    for kept in [
        "BROKEN: a replica's own override beats",
        "BROKEN: a replica's own errors",
        "BROKEN: what a replica has degraded comes back",
        "customer",
        "keeps nobody from",
    ] {
        assert!(!seen.contains(kept), "{kept}\n{seen}");
    }
}

#[test]
fn without_a_redis_server_the_tour_says_how_to_get_one_and_has_no_verdict() {
    let tour = Command::new(env!("CARGO_BIN_EXE_storefront"))
        .arg("fleet")
        .env("PATH", "")
        .output()
        .unwrap();
    let error = text(&tour.stderr);
    assert_eq!(tour.status.code(), Some(3), "{error}");
    assert!(error.contains("apt-get install redis-server"), "{error}");
}
