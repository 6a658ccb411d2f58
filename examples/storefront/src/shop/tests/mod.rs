//! The shop in front of real services, asked without a socket of its own.

mod bad_payments;
mod dashboard;
mod known_down;
mod payments;
mod profiles;
mod recommendations;
mod storm;

use std::{sync::Arc, time::Duration};

use axum::{
    Router,
    body::{Body, to_bytes},
    http::{HeaderMap, Request, StatusCode},
};
use brownout::{breaker::Policy, flag::FlagBuilder};
use serde_json::{Value, json};
use tempfile::TempDir;
use tower::ServiceExt;

use super::router;
use crate::{
    control,
    outbox::ReplayTimes,
    probes::ProbeTimes,
    settings::{Patience, Safeguard, Safeguards, Settings},
    system::System,
    upstream::Fault,
};

/// How long the flag of the model stays degraded.
const FLAG_FOR: Duration = Duration::from_secs(1);

/// A shop whose circuits open after two failures.
struct Shop {
    system: Arc<System>,
    app: Router,
    data_dir: TempDir,
}

fn patience_of(each: Duration, dashboard: Duration) -> Patience {
    Patience {
        recommendations: each,
        users: each,
        payments: each,
        orders: each,
        notifications: each,
        balance: each,
        dashboard,
    }
}

/// Errors count as long as a test takes, and then the flag is soon back.
fn short_flag(flag: FlagBuilder) -> FlagBuilder {
    flag.ttl(FLAG_FOR).jitter(0.0).no_ramp()
}

/// What the shop says to a request.
struct Said {
    status: StatusCode,
    headers: HeaderMap,
    json: Value,
}

impl Shop {
    async fn open(without: &[Safeguard]) -> Self {
        // More than any answer takes that is not held back on purpose, even where the machine is busy.
        let second = Duration::from_secs(1);
        Self::with_times(without, second, second).await
    }

    /// It waits so long for an answer, and its circuits open for so long.
    async fn with_times(without: &[Safeguard], patience: Duration, open_for: Duration) -> Self {
        let times = patience_of(patience, Patience::DASHBOARD);
        Self::start(without, times, open_for).await
    }

    /// It waits so long for an answer, and so long for all that a dashboard is made of.
    async fn in_haste(without: &[Safeguard], patience: Duration, dashboard: Duration) -> Self {
        let times = patience_of(patience, dashboard);
        Self::start(without, times, Duration::from_secs(1)).await
    }

    async fn start(without: &[Safeguard], patience: Patience, open_for: Duration) -> Self {
        let data_dir = tempfile::tempdir().unwrap();
        let settings = Settings {
            patience,
            circuit: Policy::builder()
                .no_failure_ratio()
                .consecutive_failures(2)
                .open_for(open_for)
                .open_for_at_most(open_for)
                .jitter(0.0)
                .build()
                .unwrap(),
            flag: short_flag,
            dwell: Duration::from_secs(1),
            probes: ProbeTimes {
                every: Duration::from_hours(1),
                fall: 1,
                rise: 1,
            },
            replay: ReplayTimes {
                pace: Duration::from_millis(1),
                after_failure: Duration::from_millis(20),
            },
            data_dir: data_dir.path().to_owned(),
            fleet: None,
        };
        let system = System::start(&settings, &Safeguards::all_but(without))
            .await
            .unwrap();
        Self {
            app: router(&system),
            system: Arc::new(system),
            data_dir,
        }
    }

    async fn get(&self, path: &str) -> Said {
        self.send(Request::get(path).body(Body::empty()).unwrap())
            .await
    }

    async fn send(&self, request: Request<Body>) -> Said {
        said(self.app.clone(), request).await
    }
}

async fn said(app: Router, request: Request<Body>) -> Said {
    let response = app.oneshot(request).await.unwrap();
    let (head, body) = response.into_parts();
    let body = to_bytes(body, usize::MAX).await.unwrap();
    Said {
        status: head.status,
        headers: head.headers,
        json: serde_json::from_slice(&body).unwrap_or_default(),
    }
}

impl Said {
    fn source(&self) -> &str {
        self.json["source"].as_str().unwrap_or_default()
    }

    fn degraded(&self) -> &str {
        let header = self.headers.get("degraded");
        header
            .map(|value| value.to_str().unwrap())
            .unwrap_or_default()
    }

    fn detail(&self) -> &str {
        self.json["detail"].as_str().unwrap_or_default()
    }
}

#[tokio::test]
async fn unknown_paths_and_wrong_methods_are_told_so() {
    let shop = Shop::open(&[]).await;
    let said = shop.get("/nothing/here").await;
    assert_eq!(said.status, StatusCode::NOT_FOUND);
    assert_eq!(said.headers["content-type"], "application/problem+json");
    assert!(said.detail().contains("/nothing/here"));

    for path in ["/api/v1/users/42/profile", "/api/v1/payments"] {
        let request = Request::delete(path).body(Body::empty()).unwrap();
        let said = shop.send(request).await;
        assert_eq!(said.status, StatusCode::METHOD_NOT_ALLOWED);
        assert!(said.headers.contains_key("allow"));
        assert!(said.detail().contains("DELETE"), "{}", said.detail());
    }
}

#[tokio::test]
async fn nobody_but_the_shop_says_that_an_answer_is_degraded() {
    let shop = Shop::open(&[]).await;
    let forged = |path| {
        let request = Request::get(path).header("degraded", "payments;tier=forged;reason=failed");
        request.body(Body::empty()).unwrap()
    };
    let whole = shop.send(forged("/api/v1/recommendations")).await;
    assert!(!whole.headers.contains_key("degraded"));
    assert!(!whole.headers.contains_key("cache-control"));

    let model = &shop.system.upstreams.recommendations;
    model.set_fault(Fault::ClosedPort).await.unwrap();
    let degraded = shop.send(forged("/api/v1/recommendations")).await;
    assert_eq!(
        degraded.degraded(),
        "recommendations;tier=popular;reason=unreachable"
    );
    assert_eq!(degraded.headers["cache-control"], "no-store");
}

#[tokio::test]
async fn health_answers_while_everything_else_is_down() {
    let shop = Shop::open(&[]).await;
    for upstream in shop.system.upstreams.all() {
        upstream.set_fault(Fault::ClosedPort).await.unwrap();
    }
    for _ in 0..2 {
        shop.get("/api/v1/recommendations").await;
        shop.get("/api/v1/users/42/profile").await;
    }
    let health = shop.get("/health").await;
    assert_eq!(health.status, StatusCode::OK);
    assert_eq!(health.json, json!({ "status": "warn" }));
    assert_eq!(shop.get("/livez").await.status, StatusCode::OK);

    let operators = control::router(&shop.system);
    let request = Request::get("/health").header("host", "localhost");
    let seen = said(operators, request.body(Body::empty()).unwrap()).await;
    assert_eq!(seen.json["level"], "reduced", "{}", seen.json);
    for (name, checks) in seen.json["checks"].as_object().unwrap() {
        // What nobody has asked for may be down too, and nobody knows.
        let known = ["recommendations", "users"].contains(&name.as_str());
        assert_eq!(checks[0]["state"] == "unhealthy", known, "{checks}");
    }
}
