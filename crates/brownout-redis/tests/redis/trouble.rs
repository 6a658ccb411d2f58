//! What is wrong with a server, an address or a user is said once, clearly, and without a password.

use std::net::Ipv4Addr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use brownout_redis::{RedisStore, RedisStoreError};
use brownout_registry::fleet::{FleetStore, StoreErrorKind};
use tokio::net::TcpListener;

use crate::support::{
    Cable, Fake, PATIENCE, Server, builder, bulk, flag, hello, kind, replica, said, soon, stack,
    store, summary, until, written,
};

#[test]
fn what_is_wrong_with_a_url_is_said_without_the_url() {
    let urls = [
        "",
        "hunter2",
        "localhost:6379",
        "http://user:hunter2@localhost",
        "redis://user:hunter2@",
        "redis://user:hunter2@host:port",
        "redis://user:hunter2@host:99999",
        "redis://user:hunter2@host/hunter2",
        "redis://user:hunter2@0.0.0.0:6379",
        "redis://user:hunter2@host?protocol=hunter2",
        "redis://user:hunter2@ho st",
    ];
    for url in urls {
        let error = builder(url).build().unwrap_err();
        let said = error.to_string();
        assert!(
            matches!(error, RedisStoreError::InvalidUrl { .. }),
            "{url}: {said}"
        );
        assert!(!said.contains("hunter2"), "{said}");
        assert!(!format!("{error:?}").contains("hunter2"), "{error:?}");
        assert!(!format!("{:?}", builder(url)).contains("hunter2"));
    }
    let made = builder("redis://user:hunter2@localhost").build().unwrap();
    assert!(!format!("{made:?}").contains("hunter2"), "{made:?}");
}

#[test]
fn settings_that_make_no_sense_are_refused_by_name() {
    let url = "redis://localhost";
    let nameless = RedisStore::builder(url).build().unwrap_err();
    assert_eq!(nameless, RedisStoreError::NoNamespace);
    let error = builder(url).namespace("a:b").build().unwrap_err();
    assert!(error.to_string().contains("\"a:b\""), "{error}");
    for (error, field) in [
        (builder(url).timeout(Duration::ZERO).build(), "timeout"),
        (builder(url).silence(Duration::MAX).build(), "silence"),
        (builder(url).sentinels([""; 0]).build(), "sentinels"),
    ] {
        let error = error.unwrap_err();
        assert!(matches!(error, RedisStoreError::Invalid { field: it, .. } if it == field));
    }
}

#[cfg(not(feature = "tls"))]
#[test]
fn tls_without_its_feature_is_refused_when_the_store_is_made() {
    let error = builder("rediss://localhost").build().unwrap_err();
    let said = error.to_string();
    assert!(said.contains("feature `tls`"), "{said}");
    assert!(!said.contains("redis://"), "{said}");
}

#[tokio::test]
async fn a_wrong_password_is_named_with_the_user_and_not_shown() {
    let server = Server::with(&["--requirepass", "correct"]);
    for (credentials, user) in [
        (":hunter2@", "default"),
        ("shop:hunter2@", "shop"),
        ("", "default"),
    ] {
        let url = format!("redis://{credentials}127.0.0.1:{}", server.port());
        let picture = store(&url).picture().await;
        assert_eq!(kind(&picture), StoreErrorKind::Refused, "{url}");
        let said = said(picture);
        let named = format!("`{user}`");
        assert!(said.contains(&named) && said.contains("password"), "{said}");
        assert!(said.contains(&server.port().to_string()), "{said}");
        assert!(!said.contains("hunter2"), "{said}");
    }
    let url = format!("redis://:correct@127.0.0.1:{}", server.port());
    store(&url).picture().await.unwrap();
}

#[test]
fn a_password_that_would_be_taken_for_a_port_is_not_shown() {
    for url in [
        "redis://shop:1234#rest@host",
        "redis://shop:1234?rest@host",
        "redis://shop:1234/rest@host",
    ] {
        let error = RedisStore::builder(url)
            .namespace("shop")
            .build()
            .expect_err(url);
        let said = format!("{error} {error:?}");
        assert!(said.contains("%23") && !said.contains("1234"), "{said}");
    }
    let escaped = RedisStore::builder("redis://shop:12%2334@host/2").namespace("shop");
    assert!(escaped.build().is_ok());
}

#[tokio::test]
async fn an_address_where_nobody_listens_is_unreachable_and_named() {
    let mut server = Server::start();
    server.kill();
    let picture = store(&server.url()).picture().await;
    assert_eq!(kind(&picture), StoreErrorKind::Unreachable);
    let said = said(picture);
    let address = format!("127.0.0.1:{}", server.port());
    assert!(
        said.contains(&address) && said.contains("refused"),
        "{said}"
    );
    assert!(
        !said.contains("TLS"),
        "nobody was there to speak it: {said}"
    );
}

#[tokio::test]
async fn what_hangs_up_on_a_greeting_may_speak_tls_only() {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let hanging_up = tokio::spawn(async move { drop(listener.accept().await) });
    let picture = store(&format!("redis://127.0.0.1:{port}")).picture().await;
    hanging_up.await.unwrap();
    assert_eq!(kind(&picture), StoreErrorKind::Unreachable, "{picture:?}");
    let said = said(picture);
    assert!(said.contains("may speak TLS only"), "{said}");
    assert!(said.contains("`rediss://`"), "{said}");
}

#[tokio::test]
async fn a_server_that_has_greeted_and_hangs_up_does_not_speak_tls() {
    let server = Server::start();
    let cable = Cable::to(server.port()).await;
    let shop = store(&cable.url());
    shop.picture().await.unwrap();
    cable.cut_after(1);
    let picture = shop.picture().await;
    assert_eq!(kind(&picture), StoreErrorKind::Unreachable, "{picture:?}");
    let said = said(picture);
    assert!(!said.contains("TLS"), "{said}");
}

#[tokio::test]
async fn a_server_that_is_too_old_is_told_from_one_that_is_away() {
    let six = Fake::answering(|_| hello("6.2.14")).await;
    let five = Fake::answering(|_| {
        "-ERR unknown command `HELLO`, with args beginning with: `3`, \r\n".to_owned()
    })
    .await;
    for (fake, version) in [(six, "6.2.14"), (five, "before 6")] {
        let picture = store(&fake.url()).picture().await;
        assert_eq!(kind(&picture), StoreErrorKind::Unsupported);
        let said = said(picture);
        assert!(said.contains(version) && said.contains("Redis 7"), "{said}");
    }
}

#[tokio::test]
async fn what_is_no_redis_at_all_is_not_supported() {
    let web = Fake::answering(|_| "HTTP/1.1 400 Bad Request\r\n\r\n".to_owned()).await;
    let picture = store(&web.url()).picture().await;
    assert_eq!(kind(&picture), StoreErrorKind::Unsupported, "{picture:?}");
    let told = said(picture);
    assert!(
        told.contains("`rediss://`"),
        "an alert of TLS looks the same: {told}"
    );
    let odd = Fake::answering(|command| match command[0].as_str() {
        "HELLO" => hello("7.4.0"),
        "TIME" => "*2\r\n$1\r\n5\r\n$1\r\n0\r\n".to_owned(),
        _ => "+OK\r\n".to_owned(),
    })
    .await;
    let picture = store(&odd.url()).picture().await;
    assert_eq!(kind(&picture), StoreErrorKind::Unsupported, "{picture:?}");
}

#[tokio::test]
async fn a_right_that_is_missing_is_known_by_every_servers_words() {
    for (named, words) in [
        (
            true,
            "ERR ACL failure in script: User shop has no permissions to run the 'del' command script: on @user_script:66.",
        ),
        (
            false,
            "ERR ACL failure in script: No permissions to access a key script: on @user_script:66.",
        ),
        (
            false,
            "ERR The user executing the script can't run this command or subcommand script: 1f, on @user_script:66.",
        ),
        (
            false,
            "ERR The user executing the script can't publish to the channel mentioned in the command script: 1f, on @user_script:66.",
        ),
        (
            true,
            "NOPERM User shop has no permissions to run the 'evalsha' command",
        ),
        (false, "NOPERM No permissions to access a key"),
    ] {
        let fake = Fake::answering(move |command| match command[0].as_str() {
            "HELLO" => hello("7.4.0"),
            "TIME" => "*2\r\n$1\r\n5\r\n$1\r\n0\r\n".to_owned(),
            _ => format!("-{words}\r\n"),
        })
        .await;
        let picture = store(&fake.url()).picture().await;
        assert_eq!(kind(&picture), StoreErrorKind::Refused, "{picture:?}");
        let said = said(picture);
        assert!(said.contains(&words[4..30]), "{said}");
        // Where the server leaves open which right it is.
        assert_eq!(said.contains("`ACL LOG`"), !named, "{said}");
    }
}

#[tokio::test]
async fn the_right_to_a_database_is_named_in_every_servers_words() {
    for words in [
        "this user has no permissions to run the 'select' command",
        "User shop has no permissions to run the 'select' command",
    ] {
        let fake = Fake::answering(move |command| match command[0].as_str() {
            "SELECT" => format!("-NOPERM {words}\r\n"),
            _ => hello("7.4.0"),
        })
        .await;
        let picture = store(&format!("{}/2", fake.url())).picture().await;
        assert_eq!(kind(&picture), StoreErrorKind::Refused, "{picture:?}");
        let said = said(picture);
        assert!(said.contains("`default` lacks a right"), "{said}");
        assert!(said.contains("'select'"), "{said}");
    }
}

#[tokio::test]
async fn a_clock_that_is_years_off_does_no_harm() {
    // The year 1970, where a command may still run until a moment in it.
    let latest = Arc::new(AtomicU64::new(0));
    let asked = Arc::clone(&latest);
    let fake = Fake::answering(move |command| match command[0].as_str() {
        "HELLO" => hello("7.4.0"),
        "TIME" => "*2\r\n$4\r\n5000\r\n$1\r\n0\r\n".to_owned(),
        _ => {
            asked.store(command[4].parse().unwrap(), Ordering::SeqCst);
            format!("*2\r\n{}{}", bulk("ok"), bulk("5000001"))
        }
    })
    .await;
    let shop = store(&fake.url());
    shop.report(summary("one"), Duration::from_secs(1))
        .await
        .unwrap();
    let latest = Duration::from_millis(latest.load(Ordering::SeqCst) - 5_000_000);
    assert!(
        PATIENCE <= latest && latest < 2 * PATIENCE,
        "{latest:?} from now"
    );
}

#[tokio::test]
async fn a_clock_that_is_set_costs_no_operation() {
    // An hour passes on the server between the connection and the first command.
    const LATER: u64 = 5_000_000 + 3_600_000;
    let scripts = Arc::new(AtomicU64::new(0));
    let asked = Arc::clone(&scripts);
    let fake = Fake::answering(move |command| match command[0].as_str() {
        "HELLO" => hello("7.4.0"),
        "TIME" => "*2\r\n$4\r\n5000\r\n$1\r\n0\r\n".to_owned(),
        _ => {
            asked.fetch_add(1, Ordering::SeqCst);
            let latest: u64 = command[4].parse().unwrap();
            let word = if latest < LATER { "late" } else { "ok" };
            format!("*2\r\n{}{}", bulk(word), bulk(&LATER.to_string()))
        }
    })
    .await;
    let shop = store(&fake.url());
    for runs in [2, 3] {
        let report = shop.report(summary("one"), Duration::from_secs(1));
        report.await.unwrap();
        assert_eq!(
            scripts.load(Ordering::SeqCst),
            runs,
            "the time is known by then"
        );
    }
}

#[tokio::test]
async fn a_replica_of_the_server_is_refused_as_it_takes_no_writes() {
    let (server, copy) = (Server::start(), Server::start());
    written(&store(&server.url()), stack(flag("search"), None, &[1])).await;
    let port = server.port().to_string();
    assert_eq!(copy.run(&["REPLICAOF", "127.0.0.1", &port]), "+OK");
    until("it has copied all", || {
        copy.run(&["EXISTS", "{shop}:meta"]) == ":1"
    })
    .await;
    // It could be read, but lags behind, and nobody could write.
    let picture = store(&copy.url()).picture().await;
    assert_eq!(kind(&picture), StoreErrorKind::Full);
    assert!(said(picture).contains("replica"));
}

#[tokio::test]
async fn a_server_that_becomes_a_replica_is_left() {
    let (server, other) = (Server::start(), Server::start());
    let shop = store(&server.url());
    written(&shop, stack(flag("search"), None, &[1])).await;
    let port = other.port().to_string();
    assert_eq!(server.run(&["REPLICAOF", "127.0.0.1", &port]), "+OK");
    let write = shop.write(vec![stack(flag("other"), None, &[1])]).await;
    assert_eq!(kind(&write), StoreErrorKind::Full, "{write:?}");
    assert_eq!(server.run(&["REPLICAOF", "NO", "ONE"]), "+OK");
    soon(async || shop.write(vec![stack(flag("other"), None, &[1])]).await).await;
}

#[tokio::test]
async fn a_server_out_of_memory_takes_no_writes_and_is_still_read() {
    let server = Server::start();
    let shop = store(&server.url());
    let before = written(&shop, stack(flag("search"), None, &[1])).await;
    assert_eq!(server.run(&["CONFIG", "SET", "maxmemory", "1"]), "+OK");
    let write = shop.write(vec![stack(flag("other"), None, &[1])]).await;
    assert_eq!(kind(&write), StoreErrorKind::Full);
    assert!(said(write).contains("OOM"));
    let report = shop.report(summary("one"), Duration::from_secs(1)).await;
    assert_eq!(kind(&report), StoreErrorKind::Full);
    let picture = shop.picture().await.unwrap();
    assert_eq!((picture.version, picture.stacks.len()), (before, 1));
    let mut changes = shop.subscribe(&replica("one")).await.unwrap();

    assert_eq!(server.run(&["CONFIG", "SET", "maxmemory", "0"]), "+OK");
    soon(async || shop.write(vec![stack(flag("other"), None, &[1])]).await).await;
    crate::support::change(&mut changes).await;
}
