//! Asking a replica, as customers and operators do.

use std::{net::SocketAddr, time::Duration};

use axum::{
    body::{Body, to_bytes},
    http::{Method, Request, StatusCode, header},
};
use serde_json::{Value, json};
use tokio::time::{Instant, timeout};
use tower::BoxError;

use crate::{
    client::{HttpClient, http_client},
    notice::Notice,
};

/// Nobody waits longer than this.
const GIVES_UP_AFTER: Duration = Duration::from_secs(5);
const MAX_BODY: usize = 1024 * 1024;

/// Where a replica can be asked. Clones share their connections.
#[derive(Clone, Debug)]
pub(super) struct Phone {
    client: HttpClient,
    addresses: Notice,
}

/// An answer, as far as there was one.
#[derive(Clone, Debug, Default)]
pub(super) struct Heard {
    pub(super) status: Option<StatusCode>,
    /// The `Degraded` header.
    pub(super) degraded: Option<String>,
    pub(super) body: Value,
    pub(super) took: Duration,
}

/// Whom an override is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Scope {
    Replica,
    Fleet,
}

impl Scope {
    fn as_str(self) -> &'static str {
        match self {
            Self::Replica => "replica",
            Self::Fleet => "fleet",
        }
    }
}

impl Phone {
    pub(super) fn new(addresses: Notice) -> Self {
        Self {
            client: http_client(),
            addresses,
        }
    }

    /// A page of the shop.
    pub(super) async fn page(&self, path: &str) -> Heard {
        self.ask(self.addresses.shop, Method::GET, path, "").await
    }

    /// A page of the control server.
    pub(super) async fn details(&self, path: &str) -> Heard {
        self.ask(self.addresses.control, Method::GET, path, "")
            .await
    }

    /// Breaks a service behind the shop, or mends it.
    pub(super) async fn switch(&self, service: &str, fault: &str) -> Result<(), BoxError> {
        let path = format!("/{service}");
        let heard = self
            .ask(self.addresses.control, Method::PUT, &path, fault)
            .await;
        if heard.is_well() {
            Ok(())
        } else {
            Err(format!("{service} could not be switched: {}", heard.words()).into())
        }
    }

    /// Sets an override.
    pub(super) async fn decide(&self, target: &str, value: &str, scope: Scope) -> Heard {
        let decision = json!({
            "value": value,
            "actor": "tour@example.com",
            "reason": "the tour of the fleet",
            "ttl": "10m",
            "scope": scope.as_str(),
        });
        let path = format!("/overrides/{target}");
        let control = self.addresses.control;
        self.ask(control, Method::PUT, &path, &decision.to_string())
            .await
    }

    /// Releases the newest override of that target and scope, if this replica knows of any.
    pub(super) async fn release(&self, target: &str, scope: Scope) -> Heard {
        let listed = self.details("/overrides").await;
        let overrides = listed.body.as_array();
        let found = overrides.into_iter().flatten().rfind(|one| {
            one["target"].as_str() == Some(target) && one["scope"].as_str() == Some(scope.as_str())
        });
        let Some(id) = found.and_then(|one| one["id"].as_str()) else {
            return listed.without_status();
        };
        let path = format!("/overrides/{id}");
        self.ask(self.addresses.control, Method::DELETE, &path, "")
            .await
    }

    async fn ask(&self, to: SocketAddr, method: Method, path: &str, body: &str) -> Heard {
        let request = Request::builder()
            .method(method)
            .uri(format!("http://{to}{path}"))
            .header(header::CONTENT_TYPE, "application/json")
            .body(Body::from(body.to_owned()));
        let asked = Instant::now();
        let heard = timeout(GIVES_UP_AFTER, self.send(request)).await;
        Heard {
            took: asked.elapsed(),
            ..heard.ok().and_then(Result::ok).unwrap_or_default()
        }
    }

    async fn send(&self, request: axum::http::Result<Request<Body>>) -> Result<Heard, BoxError> {
        let (head, body) = self.client.request(request?).await?.into_parts();
        let body = to_bytes(Body::new(body), MAX_BODY).await?;
        let degraded = head.headers.get("degraded");
        Ok(Heard {
            status: Some(head.status),
            degraded: degraded.map(|mark| String::from_utf8_lossy(mark.as_bytes()).into_owned()),
            body: serde_json::from_slice(&body).unwrap_or_default(),
            took: Duration::ZERO,
        })
    }
}

impl Heard {
    pub(super) fn is_well(&self) -> bool {
        self.status.is_some_and(|status| status.is_success())
    }

    /// Whether somebody stood in, for this reason.
    pub(super) fn stands_in(&self, reason: &str) -> bool {
        let reason = format!("reason={reason}");
        self.is_well()
            && self
                .degraded
                .as_ref()
                .is_some_and(|marks| marks.split([';', ',']).any(|mark| mark.trim() == reason))
    }

    /// Whether nobody had to stand in.
    pub(super) fn is_whole(&self) -> bool {
        self.is_well() && self.degraded.is_none()
    }

    /// The answer, in short.
    pub(super) fn words(&self) -> String {
        let status = self
            .status
            .map_or_else(|| "no answer".to_owned(), |status| status.to_string());
        match (&self.degraded, self.body["detail"].as_str()) {
            (Some(marks), _) => format!("{status} ({marks})"),
            (None, Some(detail)) => format!("{status} ({detail})"),
            (None, None) => status,
        }
    }

    fn without_status(self) -> Self {
        Self {
            status: None,
            ..self
        }
    }
}
