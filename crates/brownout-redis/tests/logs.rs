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

use std::time::Duration;

use brownout_registry::Status;
use brownout_testing::LogCapture;
use tokio::time::sleep;
use tracing::Level;

use self::support::{Fake, Member, Server, hello, store, until};

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
