//! Breakers on tonic: around a channel, and on a server.
#![allow(
    clippy::unwrap_used,
    reason = "a test that unwraps says that something is wrong"
)]

use std::time::Duration;

use ::tonic::{
    Code, Status,
    transport::{Channel, Endpoint, server::TcpIncoming},
};
use brownout::{
    Registry,
    breaker::{Circuit, CircuitBreaker, CircuitBreakerLayer},
    grpc::{GrpcStatus, GrpcUnavailable},
    http::AtEnd,
    registry::CircuitState,
};
use brownout_tests::{
    Server,
    circuit::{TRIPS_AT, circuit, lasting, probe_due, swift, trip, until},
    grpc::{Ask, Meter, MeterClient, Tick},
};
use http::Response;
use tonic_types::{ErrorDetails, StatusExt};
use tower::{Layer, ServiceBuilder, service_fn};

async fn meter(meter: &Meter) -> Server {
    let service = meter.clone();
    Server::listening(|listener| async {
        let server = tonic::transport::Server::builder().add_service(service);
        server
            .serve_with_incoming(TcpIncoming::from(listener))
            .await
            .unwrap();
    })
    .await
}

async fn guarded_meter(circuit: &Circuit, meter: &Meter) -> Server {
    let layer = CircuitBreakerLayer::with(circuit.clone()).for_grpc();
    let service = meter.clone();
    Server::listening(|listener| async {
        let server = tonic::transport::Server::builder()
            .layer(layer)
            .add_service(service);
        server
            .serve_with_incoming(TcpIncoming::from(listener))
            .await
            .unwrap();
    })
    .await
}

/// A server whose every answer is this one, without a status in its trailers.
async fn answering(
    answer: impl Fn() -> Response<tonic::body::Body> + Clone + Send + 'static,
) -> Server {
    Server::hyper(service_fn(move |_| {
        let answer = answer();
        async { Ok::<_, std::convert::Infallible>(answer) }
    }))
    .await
}

fn channel(server: &Server) -> Channel {
    Endpoint::from_shared(server.uri(""))
        .unwrap()
        .connect_lazy()
}

/// A client whose type can be written down, for those who keep it in a struct.
type Guarded = MeterClient<CircuitBreaker<Channel, AtEnd<GrpcStatus>, GrpcUnavailable>>;

fn guarded(circuit: &Circuit, channel: Channel) -> Guarded {
    let layer = CircuitBreakerLayer::with(circuit.clone()).for_grpc();
    MeterClient::new(layer.layer(channel))
}

/// Successes, failures, neutral and abandoned calls so far.
fn totals(circuit: &Circuit) -> (u64, u64, u64, u64) {
    let totals = circuit.stats().totals;
    (
        totals.successes,
        totals.failures,
        totals.neutral,
        totals.abandoned,
    )
}

#[tokio::test]
async fn unavailable_opens_the_circuit_around_a_channel_and_not_found_does_not() {
    let service = Meter::default();
    let server = meter(&service).await;
    let circuit = circuit("meter", lasting());
    let transport = ServiceBuilder::new()
        .layer(CircuitBreakerLayer::with(circuit.clone()).for_grpc())
        .service(channel(&server));
    let mut client = MeterClient::new(transport);

    for _ in 0..=TRIPS_AT {
        let status = client.read(Ask::status(Code::NotFound)).await.unwrap_err();
        assert_eq!(status.code(), Code::NotFound);
    }
    assert_eq!(circuit.state(), CircuitState::Closed);
    assert_eq!(
        client.read(Ask::status(Code::Ok)).await.unwrap(),
        Tick { number: 1 }
    );
    for _ in 0..TRIPS_AT {
        let status = client
            .read(Ask::status(Code::Unavailable))
            .await
            .unwrap_err();
        assert_eq!(status.message(), "as asked");
    }
    assert_eq!(circuit.state(), CircuitState::Open);
    let calls = service.hits.count();
    let refusal = client.read(Ask::status(Code::Ok)).await.unwrap_err();
    assert_eq!(
        (refusal.code(), refusal.message()),
        (Code::Unavailable, "Circuit open")
    );
    assert_eq!(service.hits.count(), calls);
}

#[tokio::test]
async fn every_status_counts_as_the_table_says_in_the_head_and_in_the_trailers() {
    let server = meter(&Meter::default()).await;
    let success = [
        Code::Ok,
        Code::InvalidArgument,
        Code::NotFound,
        Code::AlreadyExists,
        Code::PermissionDenied,
        Code::FailedPrecondition,
        Code::OutOfRange,
        Code::Unimplemented,
        Code::Unauthenticated,
    ];
    let failure = [
        Code::Unknown,
        Code::DeadlineExceeded,
        Code::Internal,
        Code::Unavailable,
        Code::DataLoss,
    ];
    let neutral = [Code::Cancelled, Code::Aborted, Code::ResourceExhausted];
    let expected = success
        .map(|code| (code, (1, 0, 0, 0)))
        .into_iter()
        .chain(failure.map(|code| (code, (0, 1, 0, 0))))
        .chain(neutral.map(|code| (code, (0, 0, 1, 0))));

    let transport = channel(&server);
    for (code, verdict) in expected {
        let circuit = circuit("meter", lasting());
        let mut client = guarded(&circuit, transport.clone());

        let answer = client.read(Ask::status(code)).await;
        assert_eq!(answer.err().map_or(Code::Ok, |status| status.code()), code);
        assert_eq!(totals(&circuit), verdict, "{code:?} in the head");

        let mut ticks = client.watch(Ask::ticks(1).then(code)).await.unwrap();
        ticks.message().await.unwrap();
        let end = ticks.message().await;
        assert_eq!(end.err().map_or(Code::Ok, |status| status.code()), code);
        let (successes, failures, neutrals, _) = verdict;
        assert_eq!(
            totals(&circuit),
            (2 * successes, 2 * failures, 2 * neutrals, 0),
            "{code:?} in the trailers"
        );
    }
}

#[tokio::test]
async fn a_stream_is_judged_when_its_trailers_have_come() {
    let server = meter(&Meter::default()).await;
    let circuit = circuit("meter", lasting());
    let mut client = guarded(&circuit, channel(&server));

    for failures in 1..=TRIPS_AT {
        let mut ticks = client
            .watch(Ask::ticks(2).then(Code::Internal))
            .await
            .unwrap();
        for number in 1..=2 {
            assert_eq!(ticks.message().await.unwrap(), Some(Tick { number }));
        }
        assert_eq!(
            totals(&circuit).1,
            u64::from(failures - 1),
            "so far all is well"
        );
        assert_eq!(ticks.message().await.unwrap_err().code(), Code::Internal);
        assert_eq!(totals(&circuit).1, u64::from(failures));
    }
    assert_eq!(circuit.state(), CircuitState::Open);
}

#[tokio::test]
async fn a_stream_that_its_client_drops_half_way_is_abandoned() {
    let server = meter(&Meter::default()).await;
    let circuit = circuit("meter", lasting());
    let mut client = guarded(&circuit, channel(&server));

    for abandoned in 1..=u64::from(2 * TRIPS_AT) {
        let mut ticks = client.watch(Ask::ticks(1).then_nothing()).await.unwrap();
        ticks.message().await.unwrap();
        drop(ticks);
        assert_eq!(totals(&circuit), (0, 0, 0, abandoned));
    }
    assert_eq!(circuit.state(), CircuitState::Closed);
}

#[tokio::test]
async fn an_endless_healthy_stream_closes_a_half_open_circuit_by_its_head() {
    let server = meter(&Meter::default()).await;
    let circuit = circuit("meter", swift().probes(1).close_after(2, 2));
    let mut client = guarded(&circuit, channel(&server));
    trip(&circuit);
    probe_due(&circuit).await;

    let mut first = client.watch(Ask::ticks(1).then_nothing()).await.unwrap();
    first.message().await.unwrap();
    assert_eq!(circuit.state(), CircuitState::HalfOpen);
    // The one place for a probe is free again, although the first stream goes on.
    let mut second = client.watch(Ask::ticks(1).then_nothing()).await.unwrap();
    second.message().await.unwrap();
    assert_eq!(circuit.state(), CircuitState::Closed);
    drop((first, second));
    assert_eq!(
        circuit.state(),
        CircuitState::Closed,
        "what was a probe's moves nothing any more"
    );
}

#[tokio::test]
async fn a_missing_status_is_mapped_from_the_http_status() {
    for (status, verdict) in [
        // Unauthenticated, permission denied, unimplemented: the caller's own.
        (401, (1, 0, 0, 0)),
        (403, (1, 0, 0, 0)),
        (404, (1, 0, 0, 0)),
        // Internal, unavailable, unknown.
        (400, (0, 1, 0, 0)),
        (429, (0, 1, 0, 0)),
        (500, (0, 1, 0, 0)),
        (502, (0, 1, 0, 0)),
        (503, (0, 1, 0, 0)),
        (504, (0, 1, 0, 0)),
    ] {
        assert_eq!(
            judged_without_a_status(status, "").await,
            verdict,
            "an empty HTTP {status}"
        );
        assert_eq!(
            judged_without_a_status(status, "<h1>proxy</h1>").await,
            verdict,
            "an HTTP {status} with a body"
        );
    }
}

#[tokio::test]
async fn a_stream_that_ends_without_a_status_is_broken() {
    for body in ["", "\0\0\0\0\0"] {
        assert_eq!(
            judged_without_a_status(200, body).await,
            (0, 1, 0, 0),
            "{body:?}"
        );
    }
}

/// What an answer counts as that has neither a status nor trailers.
async fn judged_without_a_status(status: u16, body: &'static str) -> (u64, u64, u64, u64) {
    let server = answering(move || {
        Response::builder()
            .status(status)
            .header("content-type", "application/grpc")
            .body(tonic::body::Body::new(brownout_tests::server::full(body)))
            .unwrap()
    })
    .await;
    let circuit = circuit("meter", lasting());
    // What tonic makes of it is tonic's affair, and so is when it drops the body.
    let _ = guarded(&circuit, channel(&server))
        .read(Ask::default())
        .await;
    until("the call was judged", || totals(&circuit) != (0, 0, 0, 0)).await;
    totals(&circuit)
}

#[tokio::test]
async fn an_exhausted_resource_is_a_failure_where_the_server_says_when_to_come_back() {
    let server = answering(|| {
        let details = ErrorDetails::with_retry_info(Some(Duration::from_secs(3)));
        Status::with_error_details(Code::ResourceExhausted, "overloaded", details).into_http()
    })
    .await;
    let circuit = circuit("meter", lasting());
    let mut client = guarded(&circuit, channel(&server));
    let status = client.read(Ask::default()).await.unwrap_err();
    assert_eq!(status.code(), Code::ResourceExhausted);
    assert_eq!(totals(&circuit), (0, 1, 0, 0));
}

#[tokio::test]
async fn a_server_that_refuses_arrives_at_its_clients_as_unavailable_with_retry_info() {
    let registry = Registry::new();
    let dependency = registry
        .dependency("meter-db-7.internal")
        .public_name("meters")
        .register()
        .unwrap();
    let circuit = Circuit::builder(&dependency)
        .policy(lasting().build().unwrap())
        .build();
    let service = Meter::default();
    let server = guarded_meter(&circuit, &service).await;
    let mut client = MeterClient::new(channel(&server));

    client.read(Ask::default()).await.unwrap();
    for _ in 0..TRIPS_AT {
        let mut ticks = client
            .watch(Ask::ticks(1).then(Code::DataLoss))
            .await
            .unwrap();
        while let Ok(Some(_)) = ticks.message().await {}
    }
    until("all were judged", || circuit.state() == CircuitState::Open).await;
    let calls = service.hits.count();

    // On a connection of its own: the circuit is the server's, not the connection's.
    for client in [&mut client, &mut MeterClient::new(channel(&server))] {
        let refusal = client.read(Ask::default()).await.unwrap_err();
        assert_eq!(
            (refusal.code(), refusal.message()),
            (Code::Unavailable, "Circuit open (meters)")
        );
        let after = refusal
            .get_details_retry_info()
            .unwrap()
            .retry_delay
            .unwrap();
        assert!((59..=73).contains(&after.as_secs()), "{after:?}");
        let everything = format!("{refusal:?}");
        assert!(!everything.contains("db-7"), "{everything}");
        let refusal = client.watch(Ask::ticks(3)).await.unwrap_err();
        assert_eq!(refusal.code(), Code::Unavailable);
    }
    assert_eq!(service.hits.count(), calls);
}

#[tokio::test]
async fn a_client_that_goes_away_is_abandoned_on_the_server_too() {
    let circuit = circuit("meter", lasting());
    let server = guarded_meter(&circuit, &Meter::default()).await;
    let mut client = MeterClient::new(channel(&server));
    let mut ticks = client.watch(Ask::ticks(1).then_nothing()).await.unwrap();
    ticks.message().await.unwrap();
    assert_eq!(totals(&circuit), (0, 0, 0, 0));
    drop(ticks);
    until("the server has noticed", || {
        totals(&circuit) == (0, 0, 0, 1)
    })
    .await;
}

#[tokio::test]
async fn a_server_that_is_gone_opens_the_circuit_around_its_channel() {
    let server = Server::hung().await;
    let transport = channel(&server);
    server.stop().await;
    let circuit = circuit("meter", lasting());
    let mut client = guarded(&circuit, transport);
    for _ in 0..TRIPS_AT {
        assert_eq!(
            client.read(Ask::default()).await.unwrap_err().code(),
            Code::Unavailable
        );
    }
    assert_eq!(circuit.state(), CircuitState::Open);
    assert_eq!(
        client.read(Ask::default()).await.unwrap_err().message(),
        "Circuit open"
    );
}
