//! The traps of Redis clients that reconnect by themselves: each is sprung here, and must let go.

use std::time::Duration;

use brownout_registry::fleet::{Changes, FleetStore, StoreErrorKind};
use futures_util::future::join_all;
use tokio::time::{Instant, sleep, timeout};

use crate::support::{
    Cable, Fake, PATIENCE, Server, builder, change, flag, hasty, hello, kind, replica, said, soon,
    stack, store, written,
};

#[tokio::test]
async fn an_idle_subscriber_that_has_gone_deaf_finds_out_and_can_begin_anew() {
    let server = Server::start();
    let cable = Cable::to(server.port()).await;
    let far = hasty(&cable.url());
    let mut changes = soon(async || far.subscribe(&replica("far")).await).await;

    // Nobody closes anything: the packets go nowhere.
    cable.die();
    let begun = Instant::now();
    let told = timeout(PATIENCE, changes.next()).await;
    let told = told.expect("it finds out by itself");
    assert_eq!(kind(&told), StoreErrorKind::TimedOut, "{told:?}");
    assert!(
        begun.elapsed() < PATIENCE,
        "400 ms of silence, and 400 ms for its message to itself"
    );

    cable.mend();
    let mut changes = soon(async || far.subscribe(&replica("far")).await).await;
    written(&store(&server.url()), stack(flag("search"), None, &[1])).await;
    change(&mut changes).await;
}

#[tokio::test]
async fn a_subscriber_in_a_quiet_fleet_stays_subscribed() {
    let server = Server::start();
    let silence = Duration::from_millis(300);
    let quiet = builder(&server.url()).silence(silence).build().unwrap();
    let mut changes = quiet.subscribe(&replica("quiet")).await.unwrap();
    // Several times as long as it takes to doubt itself.
    let silence = timeout(Duration::from_secs(3), changes.next()).await;
    assert!(silence.is_err(), "nothing was said, but told {silence:?}");
    written(&quiet, stack(flag("search"), None, &[1])).await;
    change(&mut changes).await;
}

#[tokio::test]
async fn commands_during_a_reconnect_end_in_their_time() {
    let server = Server::start();
    let cable = Cable::to(server.port()).await;
    let far = hasty(&cable.url());
    soon(async || far.picture().await).await;

    // The old connection is gone, and a new one is let in but never answered.
    cable.die();
    cable.cut();
    let begun = Instant::now();
    let all = (0..20).map(|_| far.picture());
    for result in join_all(all).await {
        assert!(matches!(
            kind(&result),
            StoreErrorKind::TimedOut | StoreErrorKind::Unreachable
        ));
    }
    assert!(
        begun.elapsed() < PATIENCE,
        "each may take 400 ms, connecting included, and they wait side by side"
    );
    cable.mend();
    soon(async || far.picture().await).await;
}

#[tokio::test]
async fn a_subscription_that_fails_at_the_start_says_so_and_is_there_when_asked_again() {
    let mut server = Server::start();
    server.kill();
    let early = store(&server.url());
    let refused = early.subscribe(&replica("early")).await;
    assert_eq!(kind(&refused), StoreErrorKind::Unreachable);
    server.restart();
    let mut changes = soon(async || early.subscribe(&replica("early")).await).await;
    written(&early, stack(flag("search"), None, &[1])).await;
    change(&mut changes).await;
}

#[tokio::test]
async fn a_subscription_that_is_confirmed_and_hears_nothing_is_none() {
    // Everything is answered as it should be; only the messages never come.
    let fake = Fake::answering(|command| match command[0].as_str() {
        "HELLO" => hello("7.2.4"),
        "TIME" => "*2\r\n$10\r\n1790000000\r\n$1\r\n0\r\n".to_owned(),
        "SUBSCRIBE" => {
            let confirmed = |(number, channel): (usize, &String)| {
                let length = channel.len();
                format!(">3\r\n$9\r\nsubscribe\r\n${length}\r\n{channel}\r\n:{number}\r\n")
            };
            (1..).zip(&command[1..]).map(confirmed).collect()
        }
        _ => ":0\r\n".to_owned(),
    })
    .await;
    let subscribed = hasty(&fake.url()).subscribe(&replica("one")).await;
    assert_eq!(kind(&subscribed), StoreErrorKind::TimedOut);
}

#[tokio::test]
async fn a_subscription_that_the_server_refuses_says_which_right_is_missing() {
    let server = Server::start();
    // All rights but those on channels.
    let rules = [
        "ACL",
        "SETUSER",
        "shop",
        "on",
        ">secret",
        "~*",
        "+@all",
        "resetchannels",
    ];
    assert_eq!(server.run(&rules), "+OK");
    let cable = Cable::to(server.port()).await;
    let url = cable.url().replace("redis://", "redis://shop:secret@");
    let shop = builder(&url).build().unwrap();
    let begun = Instant::now();
    let mut refused = shop.subscribe(&replica("one")).await;
    while begun.elapsed() < Duration::from_secs(2) {
        refused = shop.subscribe(&replica("one")).await;
        sleep(Duration::from_millis(1)).await;
    }
    let tried = cable.accepted();
    assert!(
        (2..=5).contains(&tried),
        "{tried} connections in two seconds"
    );
    assert_eq!(kind(&refused), StoreErrorKind::Refused);
    let said = said(refused);
    assert!(
        said.contains("channel") && said.contains("`shop`"),
        "{said}"
    );
}
