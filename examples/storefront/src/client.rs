//! How the shop calls the services behind it. This is the part to copy.

use std::{net::SocketAddr, time::Duration};

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
use tower::{ServiceBuilder, ServiceExt, util::BoxCloneSyncService};
use tower_http::{
    map_response_body::MapResponseBodyLayer,
    timeout::{ResponseBodyDeadlineLayer, TimeoutLayer},
};

use crate::settings::{Safeguard, Safeguards, Settings};

pub(crate) type HttpClient = Client<HttpConnector, Body>;

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
        client: HttpClient,
        patience: Duration,
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
            .layer(ResponseBodyDeadlineLayer::new(patience))
            .layer(TimeoutLayer::with_status_code(
                StatusCode::GATEWAY_TIMEOUT,
                patience,
            ))
            .layer(MapResponseBodyLayer::new(Body::new))
            .service(client);

        Self {
            address,
            circuit,
            service: BoxCloneSyncService::new(service),
        }
    }

    /// Sends a request. A refusal by the circuit and a timeout are answers, 503 and 504; an error is a connection that
    /// failed.
    pub(crate) async fn send(&self, request: Request<Body>) -> Result<Response<Body>, Error> {
        self.service.clone().oneshot(request).await
    }

    /// Where a path of the service is.
    pub(crate) fn uri(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    /// The circuit that guards the service, to look at.
    pub(crate) fn circuit(&self) -> &Circuit {
        &self.circuit
    }

    /// The service, as the registry knows it.
    pub(crate) fn dependency(&self) -> &Dependency {
        self.circuit.dependency()
    }

    /// What the service is called in answers to strangers.
    pub(crate) fn public_name(&self) -> &str {
        let name = self.circuit.dependency().public_name();
        name.unwrap_or("a service behind this one")
    }
}

/// A plain client, with a pool of connections and no safeguard at all.
pub(crate) fn http_client() -> HttpClient {
    Client::builder(TokioExecutor::new()).build_http()
}

/// A client that makes a connection for each call, for calls that have effects: a connection that died while it was idle
/// would leave it open whether such a call was sent.
pub(crate) fn connecting_client() -> HttpClient {
    Client::builder(TokioExecutor::new())
        .pool_max_idle_per_host(0)
        .build_http()
}

#[cfg(test)]
mod tests {
    use axum::{Router, body::to_bytes, extract::ConnectInfo, routing::get, serve};
    use tokio::{net::TcpListener, task::JoinSet};

    use super::*;

    /// Whether a client asks twice over one connection.
    async fn uses_a_connection_again(client: HttpClient) -> bool {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let peer = async |ConnectInfo(peer): ConnectInfo<SocketAddr>| peer.to_string();
        let app = Router::new().route("/", get(peer));
        let mut server = JoinSet::new();
        server.spawn(async move {
            let app = app.into_make_service_with_connect_info::<SocketAddr>();
            serve(listener, app).await
        });
        let mut peers = Vec::new();
        for _ in 0..2 {
            let request = Request::get(format!("http://{address}/")).body(Body::empty());
            let response = client.request(request.unwrap()).await.unwrap();
            let body = to_bytes(Body::new(response.into_body()), 1_024).await;
            peers.push(body.unwrap());
        }
        peers[0] == peers[1]
    }

    #[tokio::test]
    async fn calls_with_effects_are_made_over_connections_of_their_own() {
        assert!(!uses_a_connection_again(connecting_client()).await);
        assert!(uses_a_connection_again(http_client()).await);
    }
}
