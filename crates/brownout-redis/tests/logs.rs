//! What the log says of a server in trouble: each trouble once, in words that say what to do. Apart from other tests,
//! which would register the same places of the log with no subscriber at hand.

#![allow(
    clippy::unwrap_used,
    reason = "a test that unwraps says that something is wrong"
)]
#![allow(clippy::panic, reason = "a test that panics says what is wrong")]

#[allow(dead_code, unused_imports, reason = "other tests use the rest of it")]
#[path = "redis/support/mod.rs"]
mod support;

use std::sync::Arc;
use std::time::{Duration, Instant};

use brownout_registry::{FeatureState, Order, Status, SystemHealth};
use brownout_testing::LogCapture;
use tokio::time::sleep;
use tracing::Level;

use self::support::{Calls, Fake, Member, Server, hello, store, until};

/// What was said of the store at the level, each with its detail.
fn said(log: &LogCapture, level: Level) -> Vec<String> {
    let records = log.records().into_iter();
    let of_store =
        records.filter(|record| record.level == level && record.message.contains("fleet store"));
    of_store
        .map(|record| record.field("detail").unwrap_or_default().to_owned())
        .collect()
}

/// Waits for a trouble, then for as long as many further attempts take, and gives what was said of it.
async fn trouble(member: &Member, log: &LogCapture) -> String {
    until("there is trouble", || {
        member.store_status().0 == Status::Degraded
    })
    .await;
    // By the real clock, as the server's is.
    sleep(Duration::from_secs(4)).await;
    let told = said(log, Level::WARN);
    let [told] = &told[..] else {
        panic!("said {} times: {told:?}", told.len());
    };
    assert!(!told.contains("hunter2"), "{told}");
    told.clone()
}

fn run(server: &Server, command: &str) {
    server.run(&command.split(' ').collect::<Vec<_>>());
}

#[tokio::test]
async fn a_server_that_cannot_be_used_from_the_start_is_told_once() {
    let mut gone = Server::start();
    gone.kill();
    let strict = Server::with(&["--requirepass", "correct"]);
    let old = Fake::answering(|_| hello("6.2.14")).await;
    let wrong = format!("redis://shop:hunter2@127.0.0.1:{}", strict.port());
    for (url, words) in [
        (gone.url(), "cannot be reached"),
        (wrong, "refuses user `shop`"),
        (old.url(), "6.2.14"),
    ] {
        let log = LogCapture::start();
        let member = Member::join(store(&url), "one");
        let told = trouble(&member, &log).await;
        assert!(told.contains(words), "{told}");
    }
}

#[tokio::test]
async fn trouble_that_comes_later_is_told_once_and_so_is_its_end() {
    let indexed = "ZADD {shop}:index 9999999999999 o:flag:x";
    for (spoil, words, mend) in [
        (
            ["DEL {shop}:meta", "SET {shop}:meta x"],
            "{shop}:meta",
            "DEL {shop}:meta",
        ),
        (
            ["SET {shop}:o:flag:x garbage", indexed],
            "{shop}:o:flag:x",
            "DEL {shop}:o:flag:x",
        ),
        (
            ["SET {shop}:o:flag:x 2", indexed],
            "format 2",
            "DEL {shop}:o:flag:x",
        ),
        (
            ["ACL SETUSER default -publish", "PING"],
            "lacks a right",
            "ACL SETUSER default +publish",
        ),
        (
            ["CONFIG SET maxmemory 1", "PING"],
            "takes no writes",
            "CONFIG SET maxmemory 0",
        ),
        (
            ["ACL SETUSER default -zcount", "PING"],
            "lacks a right",
            "ACL SETUSER default +zcount",
        ),
        (
            ["DEL {shop}:replicas", "SET {shop}:replicas x"],
            "{shop}:replicas",
            "DEL {shop}:replicas",
        ),
        (
            [
                "SET {shop}:r:other x",
                "ZADD {shop}:replicas 9999999999999 other",
            ],
            "{shop}:r:other",
            "DEL {shop}:r:other",
        ),
    ] {
        let server = Server::start();
        let log = LogCapture::start();
        let member = Member::join(store(&server.url()), "one");
        until("it is in touch", || member.fleet.is_in_touch()).await;
        assert_eq!(said(&log, Level::WARN), [""; 0]);
        for command in spoil {
            run(&server, command);
        }
        let told = trouble(&member, &log).await;
        assert!(told.contains(words), "{told}");
        run(&server, mend);
        until("it is well again", || {
            member.store_status().0 == Status::Healthy
        })
        .await;
        assert_eq!(said(&log, Level::WARN).len(), 1);
    }
}

/// Two replicas that count calls of a flag, one of them as a user of its own.
struct Pair {
    members: [Member; 2],
    calls: [Arc<Calls>; 2],
}

impl Pair {
    async fn at(server: &Server) -> Self {
        run(
            server,
            "ACL SETUSER shop on >hunter2 ~{shop}:* &{shop}:* +@all",
        );
        let restricted = format!("redis://shop:hunter2@127.0.0.1:{}", server.port());
        let members = [
            Member::join(store(&restricted), "one"),
            Member::join(store(&server.url()), "other"),
        ];
        let calls = [0, 1].map(|number: usize| Calls::of(&members[number].registry, "search"));
        until("each knows that the other lives", || {
            members.iter().all(|member| member.fleet.view().live == 2)
        })
        .await;
        Self { members, calls }
    }

    /// Serves calls, of which some fail, until something is so.
    async fn serving(&self, what: &str, holds: impl Fn() -> bool) {
        let all = async {
            loop {
                for calls in &self.calls {
                    calls.add(1, 1);
                }
                // More often than they tell the store, so that no time is without failures.
                sleep(Duration::from_millis(20)).await;
            }
        };
        tokio::select! {
            () = until(what, holds) => {}
            () = all => {}
        }
    }
}

/// What becomes of two replicas when one of them, at least, cannot count for this reason, until that is mended.
async fn counting_fails(
    spoil: impl Fn(&Server),
    reason: &str,
    words: &str,
    mend: impl Fn(&Server),
) {
    let server = Server::start();
    let log = LogCapture::start();
    let pair = Pair::at(&server).await;
    let [one, other] = &pair.members;
    assert_eq!(said(&log, Level::WARN), [""; 0]);

    spoil(&server);
    pair.serving("one says so", || one.store_status().0 == Status::Degraded)
        .await;
    let said = one.store_status().1;
    assert!(
        said.contains(reason) && said.contains("count fails"),
        "{said}"
    );
    assert_eq!(one.registry.health(), SystemHealth::Degraded, "a warning");

    // Everything else goes on, here and with the others, and so does the trouble.
    assert!(one.fleet.is_in_touch());
    one.set("fleet", FeatureState::Disabled).await;
    let order = Order::new("ops", "drill", Duration::from_mins(1));
    one.registry
        .override_flag("own", FeatureState::Disabled, order)
        .unwrap();
    assert_eq!(one.imposed("own"), Some(FeatureState::Disabled));
    let fleets = || other.imposed("fleet") == Some(FeatureState::Disabled);
    pair.serving("the other has heard", fleets).await;
    let begun = Instant::now();
    pair.serving("it goes on", || begun.elapsed() > Duration::from_secs(3))
        .await;
    assert_eq!(one.store_status().0, Status::Degraded);
    assert!(!one.tripped("search") && !other.tripped("search"));

    mend(&server);
    let is_well = |member: &Member| member.store_status().0 == Status::Healthy;
    pair.serving("all are well, and count together", || {
        let counted = |member: &Member| is_well(member) && member.tripped("search");
        pair.members.iter().all(counted)
    })
    .await;
    assert_eq!(one.registry.health(), SystemHealth::Healthy);

    let told = log
        .records()
        .into_iter()
        .filter(|record| record.level == Level::WARN && record.field("replica") == Some("one"));
    let told: Vec<_> = told.collect();
    let [told] = &told[..] else {
        panic!("said {} times: {told:?}", told.len());
    };
    assert_eq!(told.field("reason"), Some(reason));
    assert_eq!(told.field("op"), Some("count"));
    let detail = told.field("detail").unwrap();
    assert!(
        detail.contains(words) && !detail.contains("hunter2"),
        "{detail}"
    );
}

#[tokio::test]
async fn a_missing_right_that_only_counting_needs_is_told_once() {
    let all_but_windows = "resetkeys ~{shop}:meta ~{shop}:index ~{shop}:o:* ~{shop}:t:* ~{shop}:r*";
    for (without, with) in [("-hlen", "+hlen"), (all_but_windows, "~{shop}:*")] {
        let set = |rules: &str| {
            let command = format!("ACL SETUSER shop {rules}");
            move |server: &Server| run(server, &command)
        };
        let words = "user `shop` lacks a right";
        counting_fails(set(without), "access refused", words, set(with)).await;
    }
}

#[tokio::test]
async fn garbage_that_only_counting_sees_is_told_once() {
    for garbage in [
        "redis.call('DEL', key) redis.call('SET', key, 'x')",
        "redis.call('HSET', key, 'err', 'x')",
    ] {
        // Those of the flag's window, and of as long after that as this takes.
        let buckets = |what: &str| {
            let script = format!(
                "local now = redis.call('TIME')[1] \
                 for number = math.floor(now / 5) - 12, math.floor(now / 5) + 24 do \
                 local key = string.format('{{shop}}:w:search:5000:%.0f', number) {what} end"
            );
            move |server: &Server| drop(server.run(&["EVAL", &script, "0"]))
        };
        let clear = buckets("redis.call('DEL', key)");
        counting_fails(buckets(garbage), "damaged data", "{shop}:w:search:", clear).await;
    }
}

#[tokio::test]
async fn a_right_that_only_failures_need_is_missed_once_however_calls_end() {
    let server = Server::start();
    let log = LogCapture::start();
    let pair = Pair::at(&server).await;
    run(&server, "ACL SETUSER shop -hlen");
    for _ in 0..10 {
        // One batch with a failure in it, which is refused, and then some without, which are not.
        pair.calls[0].add(0, 1);
        for _ in 0..10 {
            pair.calls[0].add(1, 0);
            sleep(Duration::from_millis(20)).await;
        }
    }
    assert_eq!(pair.members[0].store_status().0, Status::Degraded);
    let told = said(&log, Level::WARN);
    assert_eq!(told.len(), 1, "{told:?}");
}
