//! What operators decide for a shop that runs, whether or not it is in a fleet, and how one is put into a fleet.

#![allow(
    clippy::unwrap_used,
    reason = "a test that unwraps says that something is wrong"
)]

mod shop;

use std::process::Command;

use self::shop::{Shop, ask, get, until};

/// Nobody listens there: it is reserved, and no Redis has it.
const NOWHERE: &str = "redis://127.0.0.1:1";

#[test]
fn a_shop_opens_without_its_redis_and_says_so() {
    let shop = Shop::start_with(&["--redis", NOWHERE, "--replica", "lonely"]);
    assert!(get(&shop.address, "/api/v1/recommendations").starts_with("HTTP/1.1 200"));
    let health = until("unreachable; not synchronised for", || {
        get(&shop.control, "/health")
    });
    assert!(health.starts_with("HTTP/1.1 200"), "{health}");
    let fleet = get(&shop.control, "/fleet");
    assert!(fleet.contains(r#""replica":"lonely""#), "{fleet}");
    assert!(fleet.contains(r#""in_touch":false"#), "{fleet}");

    let decide = |scope: &str| decide(&shop, "flag:ml_recommendations", "disabled", scope);
    let refused = decide("fleet");
    assert!(refused.starts_with("HTTP/1.1 503"), "{refused}");
    assert!(refused.contains("override of this replica"), "{refused}");
    assert!(decide("replica").starts_with("HTTP/1.1 201"));
    let page = get(&shop.address, "/api/v1/recommendations");
    assert!(page.contains("reason=flag-disabled"), "{page}");
}

#[test]
fn operators_set_list_and_release_overrides_of_a_shop_that_is_alone() {
    let shop = Shop::start();
    let set = decide(&shop, "status:users", "unhealthy", "replica");
    assert!(set.starts_with("HTTP/1.1 201"), "{set}");
    let page = get(&shop.address, "/api/v1/users/42/profile");
    assert!(page.contains("reason=unhealthy"), "{page}");
    let listed = get(&shop.control, "/overrides");
    for said in [
        r#""target":"status:users""#,
        r#""value":"unhealthy""#,
        r#""scope":"replica""#,
        r#""actor":"ops@example.com""#,
        r#""reason":"a test""#,
        r#""effective":true"#,
    ] {
        assert!(listed.contains(said), "{said}: {listed}");
    }
    let id = set.split("\"id\":").nth(1).unwrap();
    let id = id.split(',').next().unwrap();
    let release = || ask(&shop.control, "DELETE", &format!("/overrides/{id}"), "");
    assert!(release().starts_with("HTTP/1.1 204"));
    assert!(release().starts_with("HTTP/1.1 404"));
    let page = get(&shop.address, "/api/v1/users/42/profile");
    assert!(!page.contains("degraded:"), "{page}");
}

#[test]
fn decisions_that_cannot_be_made_are_answered_with_why() {
    let shop = Shop::start();
    for (target, value, scope, status, says) in [
        (
            "status:payroll",
            "unhealthy",
            "replica",
            404,
            "recommendations, users",
        ),
        (
            "flag:dark_mode",
            "disabled",
            "replica",
            404,
            "ml_recommendations",
        ),
        ("users", "unhealthy", "replica", 400, "`status`"),
        (
            "level",
            "disabled",
            "replica",
            400,
            "full, reduced, minimal, emergency",
        ),
        ("circuit:users", "shut", "replica", 400, "forced-open"),
        ("level", "reduced", "fleet", 409, "--redis URL"),
        ("level", "reduced", "galaxy", 400, "galaxy"),
    ] {
        let answer = decide(&shop, target, value, scope);
        assert!(
            answer.starts_with(&format!("HTTP/1.1 {status}")),
            "{target} {value}: {answer}"
        );
        assert!(answer.contains(says), "{says}: {answer}");
    }
    let forever = r#"{"value":"reduced","actor":"ops","reason":"why not","ttl":"forever"}"#;
    let nobody = r#"{"value":"reduced","actor":" ","reason":"why not","ttl":"5m"}"#;
    for (decision, says) in [(forever, "15m"), (nobody, "actor")] {
        let answer = put(&shop, "/overrides/level", decision);
        assert!(answer.starts_with("HTTP/1.1 400"), "{answer}");
        assert!(answer.contains(says), "{says}: {answer}");
    }
    let fleet = get(&shop.control, "/fleet");
    assert!(fleet.starts_with("HTTP/1.1 409"), "{fleet}");
    assert!(fleet.contains("--redis URL"), "{fleet}");
}

#[test]
fn options_of_a_fleet_that_make_no_sense_are_named() {
    for (arguments, code, says) in [
        (&["--redis", "http://localhost"][..], 1, "--redis: "),
        (
            &["--redis", NOWHERE, "--namespace", "a b"],
            1,
            "--namespace: ",
        ),
        (&["--redis", NOWHERE, "--replica", "a:b"], 1, "--replica: "),
        (&["--replica", "one"], 2, "--redis"),
        (&["--namespace", "shop"], 2, "--redis"),
    ] {
        let ports = ["--port", "0", "--control-port", "0", "--grpc-port", "0"];
        let output = Command::new(env!("CARGO_BIN_EXE_storefront"))
            .args(ports)
            .args(arguments)
            .output()
            .unwrap();
        let error = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(code), "{error}");
        assert!(error.contains(says), "{says}: {error}");
    }
}

fn decide(shop: &Shop, target: &str, value: &str, scope: &str) -> String {
    let decision = format!(
        r#"{{"value":"{value}","actor":"ops@example.com","reason":"a test","ttl":"5m","scope":"{scope}"}}"#
    );
    put(shop, &format!("/overrides/{target}"), &decision)
}

fn put(shop: &Shop, path: &str, json: &str) -> String {
    let (control, length) = (&shop.control, json.len());
    let head = format!(
        "PUT {path} HTTP/1.1\r\nhost: {control}\r\nconnection: close\r\ncontent-type: application/json\r\n"
    );
    shop::send(
        control,
        &format!("{head}content-length: {length}\r\n\r\n{json}"),
    )
}
