//! What operators decide for a shop that runs, whether or not it is in a fleet, and how one is put into a fleet. Needs
//! `redis-server` on PATH.

#![allow(
    clippy::unwrap_used,
    reason = "a test that unwraps says that something is wrong"
)]

mod shop;

use std::process::Command;

use serde_json::Value;

use self::shop::{Shop, ask, get, redis::Redis, until};

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
    let lines = get(&shop.control, "/health?verbose");
    assert!(lines.contains("[+]fleet-store degraded\n"), "{lines}");
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
    let (set, listed) = (json(&set), json(&listed));
    let id = set["id"].as_str().unwrap();
    assert_eq!(listed[0]["id"], id);
    for its in [&set, &listed[0]] {
        assert_eq!(its["fleet_id"], Value::Null, "it is no fleet's");
    }
    let release = || release(&shop, id);
    assert!(release().starts_with("HTTP/1.1 204"));
    assert!(release().starts_with("HTTP/1.1 404"));
    let page = get(&shop.address, "/api/v1/users/42/profile");
    assert!(!page.contains("degraded:"), "{page}");
}

/// The fleet's ids are random: beyond 2^53, where jq and JavaScript round a JSON number.
#[test]
fn an_override_of_the_fleet_is_released_at_any_replica_by_the_id_that_was_answered() {
    let redis = Redis::start();
    let [one, two] = ["one", "two"]
        .map(|replica| Shop::start_with(&["--redis", &redis.url(), "--replica", replica]));
    let set = until("HTTP/1.1 201", || {
        decide(&one, "flag:ml_recommendations", "disabled", "fleet")
    });
    let set = json(&set);
    let id = set["id"].as_str().unwrap();
    assert!(id.parse::<u64>().is_ok(), "{id}");
    assert_eq!(set["fleet_id"], id);
    for shop in [&one, &two] {
        let listed = until(id, || get(&shop.control, "/overrides"));
        let listed = json(&listed);
        assert_eq!(listed[0]["scope"], "fleet");
        assert_eq!(
            (&listed[0]["id"], &listed[0]["fleet_id"]),
            (&set["id"], &set["id"])
        );
    }
    let released = release(&two, id);
    assert!(released.starts_with("HTTP/1.1 204"), "{released}");
    for shop in [&one, &two] {
        until("\r\n\r\n[]", || get(&shop.control, "/overrides"));
        assert!(release(shop, id).starts_with("HTTP/1.1 404"));
    }
}

#[test]
fn an_override_that_is_not_in_force_cannot_be_released_by_whatever_name() {
    let shop = Shop::start();
    for id in ["7", "-7", "99999999999999999999999", "level", "%22"] {
        let answer = release(&shop, id);
        assert!(answer.starts_with("HTTP/1.1 404"), "{id}: {answer}");
        assert!(
            answer.contains("application/problem+json"),
            "{id}: {answer}"
        );
        assert!(answer.contains("GET /overrides"), "{id}: {answer}");
    }
}

#[test]
fn a_value_that_its_target_does_not_take_is_named_beside_those_that_it_takes() {
    let shop = Shop::start();
    let levels = "full, reduced, minimal, emergency";
    for (target, value, takes) in [
        ("level", r#""disabled""#, levels),
        ("level", "5", levels),
        ("level", "null", levels),
        ("level", r#"{"level":"full"}"#, levels),
        (
            "flag:ml_recommendations",
            r#""unhealthy""#,
            "enabled, degraded, disabled",
        ),
        (
            "status:users",
            r#""forced-open""#,
            "healthy, unknown, degraded, unhealthy",
        ),
        (
            "circuit:users",
            r#""unhealthy""#,
            "forced-open, forced-closed, observe-only",
        ),
    ] {
        let says = format!("{target} does not take {value}; it takes {takes}");
        for scope in ["replica", "fleet"] {
            let decision = format!(
                r#"{{"value":{value},"actor":"ops","reason":"a test","ttl":"5m","scope":"{scope}"}}"#
            );
            let answer = put(&shop, &format!("/overrides/{target}"), &decision);
            assert!(answer.starts_with("HTTP/1.1 400"), "{answer}");
            assert_eq!(json(&answer)["detail"], says);
        }
    }
    let long = decide(&shop, "level", &"x".repeat(1000), "replica");
    let says = format!(
        "level does not take \"{}…; it takes {levels}",
        "x".repeat(63)
    );
    assert_eq!(json(&long)["detail"], says);
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

fn release(shop: &Shop, id: &str) -> String {
    ask(&shop.control, "DELETE", &format!("/overrides/{id}"), "")
}

/// The document of an answer.
fn json(answer: &str) -> Value {
    let (_, body) = answer.split_once("\r\n\r\n").unwrap();
    serde_json::from_str(body).unwrap()
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
