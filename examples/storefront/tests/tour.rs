//! The tour as people run it: it keeps its promises, and it can fail.

use std::process::{Command, Output};

fn storefront(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_storefront"))
        .args(arguments)
        .output()
        .expect("the binary was built for this test")
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

#[test]
fn with_all_safeguards_every_promise_is_kept() {
    let tour = storefront(&["tour"]);
    let seen = text(&tour.stdout);
    assert_eq!(tour.status.code(), Some(0), "{seen}{}", text(&tour.stderr));
    assert!(seen.contains("promises kept"), "{seen}");
    assert!(!seen.contains("BROKEN"), "{seen}");
}

#[test]
fn without_the_breaker_the_tour_fails_and_says_which_promises_broke() {
    let tour = storefront(&["tour", "--without", "breaker"]);
    let seen = text(&tour.stdout);
    assert_eq!(tour.status.code(), Some(1), "{seen}{}", text(&tour.stderr));
    for promise in [
        "BROKEN: a payment service that hangs gets no calls while its circuit is open",
        "BROKEN: a recommender that hangs costs a request at most 200 ms once its circuit is open",
        "BROKEN: a slow recommender costs a request at most 200 ms once its circuit is open",
        "BROKEN: a recommender that answers 500 gets no calls while its circuit is open",
        "BROKEN: a recommender that breaks off opens its circuit",
        "BROKEN: a dashboard whose orders service hangs makes no calls to it while its circuit is open",
        "BROKEN: while the circuit of a users service that hangs is open, the level is reduced",
    ] {
        assert!(seen.contains(promise), "not named: {promise}\n{seen}");
    }
    assert!(!seen.contains("BROKEN: before"), "{seen}");
    // What has nothing to do with the breaker holds without it.
    assert!(!seen.contains("come as ever within"), "{seen}");
    assert!(!seen.contains("BROKEN: at the end"), "{seen}");
}

#[test]
fn without_the_fallbacks_the_tour_fails_and_says_which_promises_broke() {
    let tour = storefront(&["tour", "--without", "fallback"]);
    let seen = text(&tour.stdout);
    assert_eq!(tour.status.code(), Some(1), "{seen}{}", text(&tour.stderr));
    for promise in [
        "BROKEN: a slow recommender is stood in for from the first failure: 200 from rules/popular",
        "BROKEN: a users service that breaks off is stood in for while its circuit is open: 200 from \
         cache/database/minimal",
        "BROKEN: a dead payment service is stood in for from the first failure: 202 from outbox",
        "BROKEN: payments were queued",
    ] {
        assert!(seen.contains(promise), "not named: {promise}\n{seen}");
    }
    assert!(!seen.contains("BROKEN: before"), "{seen}");
    // A dashboard has values of its own to fall back on.
    assert!(!seen.contains("BROKEN: a dashboard"), "{seen}");
    // What the breaker promises holds without the fallbacks, and no payment is charged twice.
    assert!(!seen.contains("opens its circuit by"), "{seen}");
    assert!(!seen.contains("gets no calls while"), "{seen}");
    assert!(!seen.contains("BROKEN: at the end"), "{seen}");
}

#[test]
fn without_the_flag_the_tour_fails_and_says_which_promises_broke() {
    let tour = storefront(&["tour", "--without", "flag"]);
    let seen = text(&tour.stdout);
    assert_eq!(tour.status.code(), Some(1), "{seen}{}", text(&tour.stderr));
    for promise in [
        "BROKEN: a recommender that answers 429 degrades its flag by 5 errors",
        "BROKEN: a recommender that answers 429 gets no calls while its flag is degraded",
    ] {
        assert!(seen.contains(promise), "not named: {promise}\n{seen}");
    }
    // Nothing else depends on it.
    for broken in seen.lines().filter(|line| line.starts_with("BROKEN")) {
        assert!(broken.contains("answers 429"), "{broken}");
    }
}

#[test]
fn without_the_aggregate_the_tour_fails_and_says_which_promises_broke() {
    let tour = storefront(&["tour", "--without", "aggregate"]);
    let seen = text(&tour.stdout);
    assert_eq!(tour.status.code(), Some(1), "{seen}{}", text(&tour.stderr));
    for promise in [
        "BROKEN: a dashboard whose balance service hangs is answered with 200 from the first failure",
        "BROKEN: a dashboard whose orders service is dead shows all that it knows, and else a sensible value, while its \
         circuit is open",
        "BROKEN: a dashboard whose every service answers 500 says what it lacks, and nothing else, from the first failure",
    ] {
        assert!(seen.contains(promise), "not named: {promise}\n{seen}");
    }
    // Nothing else depends on it, and a dashboard of which nothing is broken is whole without it.
    for broken in seen.lines().filter(|line| line.starts_with("BROKEN")) {
        let is_its = [
            "a dashboard whose",
            "/api/v1/dashboard",
            "brownout_parts_total",
        ];
        assert!(is_its.iter().any(|its| broken.contains(its)), "{broken}");
        assert!(!broken.contains("is whole"), "{broken}");
    }
}

#[test]
fn without_the_health_paths_the_tour_fails_and_says_which_promises_broke() {
    let tour = storefront(&["tour", "--without", "health"]);
    let seen = text(&tour.stdout);
    assert_eq!(tour.status.code(), Some(1), "{seen}{}", text(&tour.stderr));
    for promise in [
        "BROKEN: before, /livez answers 200",
        "BROKEN: while the circuit of a users service that hangs is open, /readyz answers 200",
        "BROKEN: while the circuit of a dead payment service is open, /health answers 503 {\"status\":\"fail\"}, and \
         strangers no more",
        "BROKEN: while the circuit of a slow payment service is open, gRPC health is NOT_SERVING",
        "BROKEN: afterwards, /startupz answers 200",
    ] {
        assert!(seen.contains(promise), "not named: {promise}\n{seen}");
    }
    // The shop serves as well as ever.
    for kept in [
        "is stood in for",
        "a dashboard whose",
        "its circuit by",
        "BROKEN: at the end",
    ] {
        let broken = |line: &str| line.starts_with("BROKEN") && line.contains(kept);
        assert!(!seen.lines().any(broken), "{kept}\n{seen}");
    }
}

#[test]
fn without_the_layer_of_marks_the_tour_fails_and_says_which_promises_broke() {
    let tour = storefront(&["tour", "--without", "degraded"]);
    let seen = text(&tour.stdout);
    assert_eq!(tour.status.code(), Some(1), "{seen}{}", text(&tour.stderr));
    for promise in [
        "BROKEN: a slow recommender is stood in for from the first failure, and the header names recommendations, the \
         tier, and why: timed-out",
        "BROKEN: a users service that breaks off is stood in for while its circuit is open, and the header names users, \
         the tier, and why: circuit-open",
        "BROKEN: a dashboard whose orders service is dead says what it lacks, and nothing else, from the first failure",
        "BROKEN: while services that hang are known to be down, /api/v1/dashboard?user_id=42 comes from fallback and \
         says why",
    ] {
        assert!(seen.contains(promise), "not named: {promise}\n{seen}");
    }
    // The answers are the same.
    for kept in [
        ": 200 from",
        ": 202 from",
        "sensible value",
        "/health",
        "/metrics",
    ] {
        let broken = |line: &str| line.starts_with("BROKEN: a ") && line.contains(kept);
        let flag = |line: &str| line.contains("answers 429");
        assert!(
            !seen.lines().any(|line| broken(line) && !flag(line)),
            "{kept}\n{seen}"
        );
    }
}

#[test]
fn without_metrics_the_tour_fails_and_says_which_promises_broke() {
    let tour = storefront(&["tour", "--without", "metrics"]);
    let seen = text(&tour.stdout);
    assert_eq!(tour.status.code(), Some(1), "{seen}{}", text(&tour.stderr));
    for promise in [
        "BROKEN: a recommender that answers 500 has an open circuit on /metrics",
        "BROKEN: a dead payment service adds fallbacks to /metrics",
        "BROKEN: a slow users service, once healed, has a closed circuit on /metrics",
        "BROKEN: after all that, /metrics has brownout_parts_total",
    ] {
        assert!(seen.contains(promise), "not named: {promise}\n{seen}");
    }
    for broken in seen.lines().filter(|line| line.starts_with("BROKEN")) {
        assert!(broken.contains("/metrics"), "{broken}");
    }
}

#[test]
fn without_probes_the_tour_fails_and_says_which_promises_broke() {
    let tour = storefront(&["tour", "--without", "probes"]);
    let seen = text(&tour.stdout);
    assert_eq!(tour.status.code(), Some(1), "{seen}{}", text(&tour.stderr));
    let promise = "BROKEN: services that answer 500 are known to be down within 5000 ms, though nobody asks for them";
    assert!(seen.contains(promise), "not named: {promise}\n{seen}");
    // Circuits and chains do without.
    assert_eq!(seen.matches("BROKEN").count(), 1, "{seen}");
}

#[test]
fn an_unknown_safeguard_is_a_wrong_argument_and_no_broken_promise() {
    let tour = storefront(&["tour", "--without", "sense"]);
    assert_eq!(tour.status.code(), Some(2));
    let error = text(&tour.stderr);
    let known = "breaker, fallback, flag, aggregate, health, degraded, metrics, probes, sync]";
    assert!(
        error.contains(known),
        "for each there is a test, here or in `fleet`: {error}"
    );
}
