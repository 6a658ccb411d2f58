//! The shop in front of real services, asked without a socket of its own.

use std::time::Duration;

use axum::{
    Router,
    body::{Body, to_bytes},
    http::{HeaderMap, Request, StatusCode},
};
use brownout::{breaker::Policy, registry::CircuitState};
use serde_json::Value;
use tower::ServiceExt;

use super::router;
use crate::{
    settings::{Safeguard, Safeguards, Settings},
    system::System,
    upstream::Fault,
};

const RECOMMENDATIONS: &str = "/api/v1/recommendations";
const PROFILE: &str = "/api/v1/users/42/profile";

/// A system whose circuits open after two failures.
async fn system(without: &[Safeguard]) -> (System, Router) {
    let settings = Settings {
        patience: Duration::from_millis(200),
        circuit: Policy::builder()
            .no_failure_ratio()
            .consecutive_failures(2)
            .build()
            .unwrap(),
        dwell: Duration::from_secs(1),
    };
    let system = System::start(&settings, &Safeguards::all_but(without))
        .await
        .unwrap();
    let app = router(&system);
    (system, app)
}

async fn ask(app: &Router, path: &str) -> (StatusCode, HeaderMap, Value) {
    let request = Request::get(path).body(Body::empty()).unwrap();
    let response = app.clone().oneshot(request).await.unwrap();
    let (head, body) = response.into_parts();
    let body = to_bytes(body, usize::MAX).await.unwrap();
    let json = serde_json::from_slice(&body).unwrap_or_default();
    (head.status, head.headers, json)
}

#[tokio::test]
async fn what_the_services_know_is_passed_on() {
    let (_system, app) = system(&[]).await;
    let (status, _, recommendations) = ask(&app, RECOMMENDATIONS).await;
    assert_eq!(status, StatusCode::OK);
    assert!(recommendations["items"].is_array(), "{recommendations}");
    let (status, _, profile) = ask(&app, PROFILE).await;
    assert_eq!(status, StatusCode::OK);
    assert_eq!(profile["id"], 42);
}

#[tokio::test]
async fn every_fault_becomes_a_clear_problem() {
    let (system, app) = system(&[Safeguard::Breaker]).await;
    for (fault, expected) in [
        (
            Fault::Status(StatusCode::INTERNAL_SERVER_ERROR),
            StatusCode::BAD_GATEWAY,
        ),
        (
            Fault::Latency(Duration::from_mins(1)),
            StatusCode::GATEWAY_TIMEOUT,
        ),
        (Fault::Hang, StatusCode::GATEWAY_TIMEOUT),
        (Fault::ClosedPort, StatusCode::BAD_GATEWAY),
        (Fault::HalfBody, StatusCode::BAD_GATEWAY),
    ] {
        system.upstreams.users.set_fault(fault).await.unwrap();
        let (status, headers, problem) = ask(&app, PROFILE).await;
        assert_eq!(status, expected, "{fault}");
        assert_eq!(
            headers["content-type"], "application/problem+json",
            "{fault}"
        );
        assert_eq!(problem["dependency"], "users", "{fault}: {problem}");
        let text = problem.to_string();
        assert!(!text.contains("127.0.0.1"), "{fault}: {text}");
    }
}

#[tokio::test]
async fn an_open_circuit_says_when_to_come_back_and_spares_the_service() {
    let (system, app) = system(&[]).await;
    let upstream = &system.upstreams.recommendations;
    upstream.set_fault(Fault::HalfBody).await.unwrap();
    for _ in 0..2 {
        let (status, ..) = ask(&app, RECOMMENDATIONS).await;
        assert_eq!(status, StatusCode::BAD_GATEWAY);
    }
    let circuit = system.backends.recommendations.circuit();
    assert_eq!(circuit.state(), CircuitState::Open);

    let before = upstream.calls();
    let (status, headers, problem) = ask(&app, RECOMMENDATIONS).await;
    assert_eq!(status, StatusCode::SERVICE_UNAVAILABLE);
    assert!(headers.contains_key("retry-after"));
    assert_eq!(problem["type"], "urn:brownout:circuit-open");
    assert_eq!(problem["dependency"], "recommendations");
    assert_eq!(upstream.calls(), before);

    let (status, ..) = ask(&app, PROFILE).await;
    assert_eq!(
        status,
        StatusCode::OK,
        "profiles have a circuit of their own"
    );
}

#[tokio::test]
async fn without_its_breaker_the_shop_goes_on_calling() {
    let (system, app) = system(&[Safeguard::Breaker]).await;
    let upstream = &system.upstreams.recommendations;
    upstream
        .set_fault(Fault::Status(StatusCode::INTERNAL_SERVER_ERROR))
        .await
        .unwrap();
    for _ in 0..4 {
        ask(&app, RECOMMENDATIONS).await;
    }
    assert_eq!(upstream.calls(), 4);
}

#[tokio::test]
async fn unknown_customers_and_wrong_ids_are_no_failures_of_the_service() {
    let (system, app) = system(&[]).await;
    for _ in 0..4 {
        let (status, _, problem) = ask(&app, "/api/v1/users/999999/profile").await;
        assert_eq!(status, StatusCode::NOT_FOUND);
        assert_eq!(problem["dependency"], "users");
    }
    assert_eq!(
        system.backends.users.circuit().state(),
        CircuitState::Closed
    );

    let before = system.upstreams.users.calls();
    for id in ["me", "-1", "1.5", "99999999999999999999", "%20"] {
        let (status, _, problem) = ask(&app, &format!("/api/v1/users/{id}/profile")).await;
        assert_eq!(status, StatusCode::BAD_REQUEST, "{id}");
        let detail = problem["detail"].as_str().unwrap();
        assert!(detail.contains("whole number"), "{detail}");
    }
    assert_eq!(system.upstreams.users.calls(), before);
}

#[tokio::test]
async fn unknown_paths_and_wrong_methods_are_told_so() {
    let (_system, app) = system(&[]).await;
    let (status, headers, problem) = ask(&app, "/nothing/here").await;
    assert_eq!(status, StatusCode::NOT_FOUND);
    assert_eq!(headers["content-type"], "application/problem+json");
    assert!(
        problem["detail"]
            .as_str()
            .unwrap()
            .contains("/nothing/here")
    );

    let request = Request::delete(PROFILE).body(Body::empty()).unwrap();
    let response = app.oneshot(request).await.unwrap();
    assert_eq!(response.status(), StatusCode::METHOD_NOT_ALLOWED);
    assert!(response.headers().contains_key("allow"));
}

#[tokio::test]
async fn health_answers_while_everything_else_is_down() {
    let (system, app) = system(&[]).await;
    for upstream in system.upstreams.all() {
        upstream.set_fault(Fault::ClosedPort).await.unwrap();
    }
    for path in [RECOMMENDATIONS, RECOMMENDATIONS, PROFILE, PROFILE] {
        ask(&app, path).await;
    }
    let (status, _, health) = ask(&app, "/health").await;
    assert_eq!(status, StatusCode::OK);
    assert_eq!(health["level"], "reduced", "{health}");
    assert_eq!(health["dependencies"][1]["name"], "users");
    assert_eq!(health["dependencies"][1]["status"], "unhealthy");
}
