//! How the shop calls the services behind it. This is the part to copy.

use std::net::SocketAddr;

use axum::{
    body::Body,
    http::{Request, Response, StatusCode},
};
use brownout::{
    Dependency,
    breaker::{Circuit, CircuitBreakerLayer},
};
use hyper_util::{
    client::legacy::{Client, Error, connect::HttpConnector},
    rt::TokioExecutor,
};
use tower::{BoxError, ServiceBuilder, ServiceExt, util::BoxCloneSyncService};
use tower_http::{
    map_response_body::MapResponseBodyLayer,
    timeout::{ResponseBodyDeadlineLayer, TimeoutLayer},
};

use crate::settings::{Safeguard, Safeguards, Settings};

/// A service behind the shop, as the shop calls it. Clones share its connections and its circuit.
#[derive(Clone, Debug)]
pub(crate) struct Backend {
    address: SocketAddr,
    circuit: Circuit,
    service: BoxCloneSyncService<Request<Body>, Response<Body>, Error>,
}

impl Backend {
    pub(crate) fn new(
        dependency: &Dependency,
        address: SocketAddr,
        settings: &Settings,
        safeguards: &Safeguards,
    ) -> Self {
        let breaker = CircuitBreakerLayer::new(dependency)
            .policy(settings.circuit.clone())
            .for_http();
        let circuit = breaker.circuit().clone();

        // A layer that can be left out may not change the type of the answer, so its body becomes axum's again.
        let breaker = ServiceBuilder::new()
            .layer(MapResponseBodyLayer::new(Body::new))
            .layer(breaker);

        // The timeouts stand inside the breaker: what is too slow then fails, and the breaker sees it. One is for the
        // head of an answer, one for its body.
        let service = ServiceBuilder::new()
            .option_layer(safeguards.keep(Safeguard::Breaker, breaker))
            .layer(MapResponseBodyLayer::new(Body::new))
            .layer(ResponseBodyDeadlineLayer::new(settings.patience))
            .layer(TimeoutLayer::with_status_code(
                StatusCode::GATEWAY_TIMEOUT,
                settings.patience,
            ))
            .layer(MapResponseBodyLayer::new(Body::new))
            .service(http_client());

        Self {
            address,
            circuit,
            service: BoxCloneSyncService::new(service),
        }
    }

    /// Gets a path of the service.
    ///
    /// A refusal by the circuit and a timeout are answers, 503 and 504; an error is a connection that failed.
    pub(crate) async fn get(&self, path: &str) -> Result<Response<Body>, BoxError> {
        let request = Request::get(format!("http://{}{path}", self.address)).body(Body::empty())?;
        Ok(self.service.clone().oneshot(request).await?)
    }

    /// The circuit that guards the service, to look at.
    pub(crate) fn circuit(&self) -> &Circuit {
        &self.circuit
    }

    /// What the service is called in answers to strangers.
    pub(crate) fn public_name(&self) -> &str {
        let name = self.circuit.dependency().public_name();
        name.unwrap_or("a service behind this one")
    }
}

/// A plain client, with a pool of connections and no safeguard at all.
pub(crate) fn http_client() -> Client<HttpConnector, Body> {
    Client::builder(TokioExecutor::new()).build_http()
}
