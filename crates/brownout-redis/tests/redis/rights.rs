//! Users with the rights that the documentation names, and with one of them missing.

use std::time::Duration;

use brownout_redis::RedisStore;
use brownout_registry::fleet::{FleetStore, Outcome, StoreErrorKind};
use brownout_testing::fleet::conforms;

use crate::support::{
    Server, builder, count, flag, kind, quorum, replica, rule, said, stack, store, summary,
};

/// The rules that the crate's documentation gives, word for word, for a namespace.
fn documented(namespace: &str) -> Vec<String> {
    let chapter = include_str!("../../src/lib.rs");
    let (_, rules) = chapter
        .split_once("ACL SETUSER shop on >secret ")
        .expect("the chapter shows the command");
    let (rules, _) = rules.split_once("```").expect("the command ends");
    let words = rules.replace("//!", " ").replace('\\', " ");
    words
        .split_whitespace()
        .map(|word| word.replace("{shop}", &format!("{{{namespace}}}")))
        .collect()
}

fn allow(server: &Server, rules: &[String]) {
    let mut command = vec!["ACL", "SETUSER", "shop", "on", ">secret"];
    command.extend(rules.iter().map(String::as_str));
    assert_eq!(server.run(&command), "+OK");
}

fn url(server: &Server) -> String {
    format!("redis://shop:secret@127.0.0.1:{}", server.port())
}

/// Everything that a store can be asked, in the namespace `shop`; the first error.
async fn everything(store: &RedisStore) -> Result<(), brownout_registry::fleet::StoreError> {
    let one = replica("one");
    store.subscribe(&one).await?;
    store.report(summary("one"), Duration::from_secs(9)).await?;
    store.picture().await?;
    store.write(vec![stack(flag("search"), None, &[1])]).await?;
    let version = store.picture().await?.version;
    store
        .write(vec![stack(flag("search"), Some(version), &[1])])
        .await?;
    store
        .count(&one, quorum(1), vec![count("search", 5, 5, rule(9))])
        .await?;
    store
        .count(&one, quorum(1), vec![count("search", 5, 5, rule(9))])
        .await?;
    store.replicas().await?;
    store.ping(&one, 7).await
}

#[tokio::test]
async fn the_documented_rights_suffice_for_all_that_a_store_promises() {
    let server = Server::start();
    conforms(async |namespace: &str| {
        allow(&server, &documented(namespace));
        let builder = RedisStore::builder(url(&server)).namespace(namespace);
        builder.timeout(Duration::from_secs(4)).build().unwrap()
    })
    .await;
}

#[tokio::test]
async fn each_documented_right_is_needed_and_named_when_it_is_missing() {
    let server = Server::start();
    let rules = documented("shop");
    assert!(rules.len() > 10, "{rules:?}");
    for missing in 0..rules.len() {
        assert_eq!(server.run(&["FLUSHALL"]), "+OK");
        // A script that the server knows is run by its digest; one that it has forgotten is sent whole.
        assert_eq!(server.run(&["SCRIPT", "FLUSH"]), "+OK");
        assert_eq!(server.run(&["ACL", "LOG", "RESET"]), "+OK");
        server.run(&["ACL", "DELUSER", "shop"]);
        let mut rules = rules.clone();
        let missing = rules.remove(missing);
        allow(&server, &rules);
        let refused = everything(&builder(&url(&server)).build().unwrap()).await;
        assert!(refused.is_err(), "without {missing} everything works");
        assert_eq!(
            kind(&refused),
            StoreErrorKind::Refused,
            "{missing}: {refused:?}"
        );
        let said = said(refused);
        assert!(said.contains("`shop` lacks a right"), "{missing}: {said}");
        assert!(!said.contains("secret"), "{said}");
        names(&server, &missing, &said);
    }
    assert_eq!(server.run(&["SCRIPT", "FLUSH"]), "+OK");
    allow(&server, &rules);
    everything(&builder(&url(&server)).build().unwrap())
        .await
        .unwrap();
}

/// That the error names the right, or says who does: the server's log, which does indeed.
fn names(server: &Server, missing: &str, said: &str) {
    let command = missing.strip_prefix('+');
    if command.is_some_and(|command| said.contains(&format!("'{command}'"))) {
        return;
    }
    assert!(
        said.ends_with("; `ACL LOG` on the server names it"),
        "{missing}: {said}"
    );
    let log = server.run(&["ACL", "LOG"]);
    let named = match command {
        Some(command) => format!("\r\n{command}\r\n"),
        None => "\r\n{shop}:".to_owned(),
    };
    assert!(log.contains(&named), "{missing}: {log}");
}

#[tokio::test]
async fn the_right_to_a_database_other_than_0_is_named_when_it_is_missing() {
    let server = Server::start();
    let mut rules = documented("shop");
    allow(&server, &rules);
    let url = format!("{}/2", url(&server));
    let picture = store(&url).picture().await;
    assert_eq!(kind(&picture), StoreErrorKind::Refused, "{picture:?}");
    let told = said(picture);
    assert!(told.contains("`shop` lacks a right"), "{told}");
    assert!(told.contains("'select'"), "{told}");
    assert!(!told.contains("secret"), "{told}");

    rules.push("+select".to_owned());
    allow(&server, &rules);
    store(&url).picture().await.unwrap();
    // A database that does not exist is another matter.
    let other = store(&url.replace("/2", "/99")).picture().await;
    assert_eq!(kind(&other), StoreErrorKind::Other, "{other:?}");
}

#[tokio::test]
async fn a_user_of_one_namespace_cannot_reach_another() {
    let server = Server::start();
    allow(&server, &documented("shop"));
    let other = builder(&url(&server)).namespace("other").build().unwrap();
    assert_eq!(kind(&other.picture().await), StoreErrorKind::Refused);
    assert_eq!(
        kind(&other.subscribe(&replica("one")).await),
        StoreErrorKind::Refused
    );
}

#[tokio::test]
async fn a_check_says_the_version_or_what_is_missing() {
    let server = Server::start();
    allow(&server, &documented("shop"));
    let shop = builder(&url(&server)).build().unwrap();
    let version = shop.check().await.unwrap();
    assert!(
        version.starts_with(|first: char| first.is_ascii_digit()),
        "{version}"
    );
    let rules: Vec<String> = documented("shop")
        .into_iter()
        .filter(|rule| rule != "+publish")
        .collect();
    server.run(&["ACL", "DELUSER", "shop"]);
    allow(&server, &rules);
    let error = builder(&url(&server))
        .build()
        .unwrap()
        .check()
        .await
        .unwrap_err();
    assert_eq!(error.kind(), StoreErrorKind::Refused, "{error}");
}

#[tokio::test]
async fn what_was_left_half_done_without_a_right_ends_and_is_in_nobodys_way() {
    let server = Server::start();
    let rules = documented("shop");
    let mut left = Vec::new();
    for missing in 0..rules.len() {
        assert_eq!(server.run(&["FLUSHALL"]), "+OK");
        store(&server.url()).picture().await.unwrap();
        server.run(&["ACL", "DELUSER", "shop"]);
        let mut rules = rules.clone();
        let missing = rules.remove(missing);
        allow(&server, &rules);
        let restricted = builder(&url(&server)).build().unwrap();
        let one = replica("one");
        let _refused = restricted
            .write(vec![stack(flag("search"), None, &[1])])
            .await;
        let counts = vec![count("search", 5, 5, rule(9))];
        let _refused = restricted.count(&one, quorum(1), counts).await;
        let _refused = restricted
            .report(summary("one"), Duration::from_secs(9))
            .await;

        let keys = server.run(&["KEYS", "*"]);
        for key in keys.lines().filter(|line| line.starts_with('{')) {
            if server.run(&["PTTL", key]) == ":-1" {
                left.push(format!("without {missing}: {key} never ends"));
            }
        }
        // Somebody who has all rights decides, knowing what the store shows.
        let shop = store(&server.url());
        let picture = shop.picture().await.unwrap();
        let shown = picture
            .stacks
            .iter()
            .find(|stack| stack.target == flag("search"));
        let shown = shown.map(|stack| stack.stamp.version);
        let outcomes = shop.write(vec![stack(flag("search"), shown, &[2])]).await;
        if !matches!(outcomes.as_deref(), Ok([Outcome::Written(_)])) {
            left.push(format!("without {missing}: a write comes to {outcomes:?}"));
        }
    }
    assert_eq!(left, [""; 0]);
}
