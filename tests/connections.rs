//! Breakers over connections that are dead, busy for ever, or never answer.
#![allow(
    clippy::unwrap_used,
    reason = "a test that unwraps says that something is wrong"
)]

use std::{
    task::{Context, Poll},
    time::Duration,
};

use brownout::{
    breaker::{Circuit, CircuitBreakerLayer},
    core::{RejectReason, Rejected},
    registry::CircuitState,
};
use brownout_tests::{
    Server,
    circuit::{TRIPS_AT, circuit, lasting, probe_due, swift, trip},
    client,
    server::FINE,
};
use bytes::Bytes;
use http::{Request, Response, StatusCode};
use http_body_util::{BodyExt, Empty};
use hyper::{
    body::Incoming,
    client::conn::http1::{self, SendRequest},
};
use hyper_util::rt::TokioIo;
use tokio::{io::AsyncWriteExt, net::TcpStream};
use tower::{BoxError, Service, ServiceBuilder, ServiceExt};

/// One connection: while it is busy it is not ready, and once it is closed it never is again.
#[derive(Debug)]
struct Connection(SendRequest<Empty<Bytes>>);

impl Connection {
    async fn to(server: &Server) -> Self {
        let stream = TcpStream::connect(server.address()).await.unwrap();
        let (sender, connection) = http1::handshake(TokioIo::new(stream)).await.unwrap();
        tokio::spawn(connection);
        Self(sender)
    }
}

impl Service<Request<Empty<Bytes>>> for Connection {
    type Response = Response<Incoming>;
    type Error = hyper::Error;
    type Future =
        futures_util::future::BoxFuture<'static, Result<Response<Incoming>, hyper::Error>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), hyper::Error>> {
        self.0.poll_ready(cx)
    }

    fn call(&mut self, request: Request<Empty<Bytes>>) -> Self::Future {
        Box::pin(self.0.send_request(request))
    }
}

fn refusal<B>(response: &Response<B>) -> Option<RejectReason> {
    response
        .extensions()
        .get::<Rejected>()
        .map(Rejected::reason)
}

fn get() -> Request<Empty<Bytes>> {
    client::get("/")
}

#[tokio::test]
async fn a_closed_connection_counts_until_its_circuit_opens_and_is_passed_by_from_then_on() {
    let server = Server::saying(FINE).await;
    let circuit = circuit("backend", lasting());
    let mut service = ServiceBuilder::new()
        .layer(CircuitBreakerLayer::with(circuit.clone()).for_http())
        .service(Connection::to(&server).await);

    client::call(&mut service, get()).await;
    for _ in 0..TRIPS_AT {
        assert!(
            service.ready().await.unwrap_err().is_closed(),
            "the error is the connection's own"
        );
    }
    assert_eq!(circuit.state(), CircuitState::Open);
    for _ in 0..TRIPS_AT {
        let answer = client::call(&mut service, get()).await;
        assert_eq!(refusal(&answer), Some(RejectReason::CircuitOpen));
    }
}

#[tokio::test]
async fn who_waits_for_a_busy_connection_is_refused_as_soon_as_the_circuit_opens() {
    let server = Server::hung().await;
    let circuit = circuit("backend", lasting());
    let mut service = ServiceBuilder::new()
        .layer(CircuitBreakerLayer::with(circuit.clone()).for_http())
        .service(Connection::to(&server).await);

    let _hangs = tokio::spawn(service.ready().await.unwrap().call(get()));
    let waiting = tokio::spawn(async move { client::call(&mut service, get()).await });
    // Let it come as far as it can.
    for _ in 0..10 {
        tokio::task::yield_now().await;
    }
    assert!(!waiting.is_finished(), "the connection is busy");
    trip(&circuit);
    let answer = waiting.await.unwrap();
    assert_eq!(refusal(&answer), Some(RejectReason::CircuitOpen));
}

#[tokio::test]
async fn a_wait_for_a_busy_connection_that_has_a_bound_counts_and_is_refused() {
    let server = Server::hung().await;
    let circuit = circuit("backend", lasting());
    let mut service = ServiceBuilder::new()
        .layer(
            CircuitBreakerLayer::with(circuit.clone())
                .for_http()
                .ready_within(Duration::from_millis(20)),
        )
        .service(Connection::to(&server).await);

    let _hangs = tokio::spawn(service.ready().await.unwrap().call(get()));
    for _ in 0..TRIPS_AT {
        let answer = client::call(&mut service, get()).await;
        assert_eq!(refusal(&answer), Some(RejectReason::NotReady));
    }
    assert_eq!(circuit.state(), CircuitState::Open);
    let answer = client::call(&mut service, get()).await;
    assert_eq!(refusal(&answer), Some(RejectReason::CircuitOpen));
}

#[tokio::test]
async fn a_hung_dependency_opens_the_circuit_by_the_timeout_inside_it() {
    let server = Server::hung().await;
    let circuit = circuit("backend", lasting());
    let mut service = ServiceBuilder::new()
        .layer(CircuitBreakerLayer::with(circuit.clone()).for_http())
        .timeout(Duration::from_millis(20))
        .service(client::http1());

    for _ in 0..TRIPS_AT {
        let error: BoxError = service
            .ready()
            .await
            .unwrap()
            .call(client::get(&server.uri("/")))
            .await
            .unwrap_err();
        assert!(error.is::<tower::timeout::error::Elapsed>());
    }
    let answer = client::call(&mut service, client::get(&server.uri("/"))).await;
    assert_eq!(answer.status(), StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(server.connections(), TRIPS_AT as usize);
}

/// Opens when half of at least four calls are slow, which is after 40 ms, and by nothing else.
fn slow_calls(name: &str) -> Circuit {
    circuit(
        name,
        lasting()
            .no_consecutive_failures()
            .minimum_calls(4)
            .slow_calls(Duration::from_millis(40), 0.5),
    )
}

#[tokio::test]
async fn calls_that_hang_open_the_circuit_by_themselves() {
    let server = Server::hung().await;
    let circuit = slow_calls("backend");
    let service = ServiceBuilder::new()
        .layer(CircuitBreakerLayer::with(circuit.clone()).for_http())
        .service(client::http1());
    let call = || tokio::spawn(service.clone().oneshot(client::get(&server.uri("/"))));

    let hanging: Vec<_> = (0..4).map(|_| call()).collect();
    // Nothing has to end for this: one of the calls that follow notices.
    for _ in 0..40 {
        let answer = tokio::time::timeout(
            Duration::from_millis(5),
            service.clone().oneshot(client::get(&server.uri("/"))),
        );
        if let Ok(answer) = answer.await {
            assert_eq!(refusal(&answer.unwrap()), Some(RejectReason::CircuitOpen));
            break;
        }
    }
    assert_eq!(circuit.state(), CircuitState::Open);
    assert!(
        hanging.iter().all(|call| !call.is_finished()),
        "those that hang are left alone"
    );
    assert_eq!(circuit.stats().totals.failures, 0);
    for call in hanging {
        call.abort();
    }
}

#[tokio::test]
async fn a_call_hangs_until_the_head_of_its_answer_has_come_whatever_its_status() {
    for head in ["HTTP/1.1 200 OK", "HTTP/1.1 404 Not Found"] {
        let server = Server::raw(move |mut stream| async move {
            brownout_tests::server::read_head(&mut stream).await;
            let answer = format!("{head}\r\ncontent-length: 100\r\n\r\nonly so much");
            stream.write_all(answer.as_bytes()).await.unwrap();
            std::future::pending::<()>().await;
        })
        .await;
        let circuit = slow_calls("backend");
        let service = ServiceBuilder::new()
            .layer(CircuitBreakerLayer::with(circuit.clone()).for_http())
            .service(client::http1());
        let call = || service.clone().oneshot(client::get(&server.uri("/")));

        let mut streaming = Vec::new();
        for _ in 0..6 {
            let mut answer = call().await.unwrap();
            answer.body_mut().frame().await.unwrap().unwrap();
            streaming.push(answer);
        }
        // Three thresholds of real time: what hangs is told from what streams by waiting alone.
        tokio::time::sleep(Duration::from_millis(120)).await;
        for _ in 0..2 {
            assert_eq!(refusal(&call().await.unwrap()), None, "{head}");
        }
        assert_eq!(circuit.state(), CircuitState::Closed, "{head}");
    }
}

#[tokio::test]
async fn a_server_that_comes_back_is_found_by_a_probe() {
    let (server, switch) = Server::switched(FINE).await;
    let circuit = circuit("backend", swift());
    let mut service = ServiceBuilder::new()
        .layer(CircuitBreakerLayer::with(circuit.clone()).for_http())
        .service(client::http1());
    let get = || client::get(&server.uri("/"));

    assert_eq!(
        client::read(&mut service, get()).await.status(),
        StatusCode::OK
    );
    switch.off();
    for _ in 0..TRIPS_AT {
        service
            .ready()
            .await
            .unwrap()
            .call(get())
            .await
            .unwrap_err();
    }
    probe_due(&circuit).await;
    service
        .ready()
        .await
        .unwrap()
        .call(get())
        .await
        .unwrap_err();
    assert_eq!(
        circuit.state(),
        CircuitState::Open,
        "one failed probe reopens it"
    );

    switch.on();
    probe_due(&circuit).await;
    assert_eq!(
        client::read(&mut service, get()).await.status(),
        StatusCode::OK
    );
    assert_eq!(circuit.state(), CircuitState::Closed);
}
