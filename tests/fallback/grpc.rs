//! Chains on a tonic server.

use std::{convert::Infallible, future::pending, time::Duration};

use ::tonic::{
    Code,
    body::Body,
    service::Routes,
    transport::{Channel, Endpoint, Server as TonicServer, server::TcpIncoming},
};
use brownout::{
    breaker::CircuitBreakerLayer,
    core::BoxError,
    fallback::{FallbackLayer, Tier},
    http::{ReplayBody, ReplayLayer},
};
use brownout_tests::{
    Server,
    circuit::trip,
    client,
    grpc::{Ask, Meter, MeterClient, Tick, asked, tick},
    server::Hits,
};
use bytes::Bytes;
use http::{HeaderValue, Method, Request, Response, StatusCode};
use http_body::Body as _;
use tonic_types::StatusExt;
use tower::{Layer, Service, ServiceBuilder, layer::layer_fn, service_fn};

use crate::common::recommendations;

/// A meter behind this layer.
async fn serve<L, S, B>(layer: L, meter: &Meter) -> Server
where
    L: Layer<Routes, Service = S> + Clone + Send + 'static,
    S: Service<Request<Body>, Response = Response<B>> + Clone + Send + 'static,
    S: Service<Request<Body>, Error: Into<BoxError> + Send, Future: Send>,
    B: http_body::Body<Data = Bytes, Error: Into<BoxError>> + Send + 'static,
{
    let service = meter.clone();
    Server::listening(|listener| async {
        let server = TonicServer::builder().layer(layer).add_service(service);
        server
            .serve_with_incoming(TcpIncoming::from(listener))
            .await
            .unwrap();
    })
    .await
}

fn channel(server: &Server) -> Channel {
    Endpoint::from_shared(server.uri(""))
        .unwrap()
        .connect_lazy()
}

/// The number of the tick, or the code of the status.
async fn read(server: &Server, ask: Ask) -> Result<u32, Code> {
    let answer = MeterClient::new(channel(server)).read(ask).await;
    answer
        .map(|Tick { number }| number)
        .map_err(|status| status.code())
}

/// Answers with the number of ticks that was asked for, whatever else was.
async fn copy<B>(request: Request<B>) -> Result<Response<Body>, Infallible>
where
    B: http_body::Body<Error: std::fmt::Debug>,
{
    Ok(tick(asked(request).await.ticks))
}

#[tokio::test]
async fn a_failed_read_falls_to_a_tier_that_gets_the_same_message() {
    let (recs, _) = recommendations();
    let tiers = Hits::default();
    let counted = tiers.clone();
    let copies = service_fn(move |request: Request<ReplayBody<_>>| {
        counted.hit();
        copy(request)
    });
    let layers = ServiceBuilder::new()
        .layer(ReplayLayer::new().of_unknown_size())
        .layer(
            FallbackLayer::for_grpc()
                .safe()
                .covering(&recs)
                .tier(Tier::new("copies", copies))
                .build()
                .unwrap(),
        );
    let meter = Meter::default();
    let server = serve(layers, &meter).await;
    assert_eq!(read(&server, Ask::ticks(7)).await, Ok(1));
    for code in [Code::NotFound, Code::Cancelled, Code::Unauthenticated] {
        assert_eq!(read(&server, Ask::ticks(7).then(code)).await, Err(code));
    }
    assert_eq!(tiers.count(), 0);
    for (n, code) in (1..).zip([Code::Unavailable, Code::Internal, Code::DeadlineExceeded]) {
        assert_eq!(read(&server, Ask::ticks(7).then(code)).await, Ok(7));
        assert_eq!(tiers.count(), n);
    }
    assert_eq!(meter.hits.count(), 7);
}

#[tokio::test]
async fn a_stream_that_fails_after_its_head_is_the_callers_as_it_is() {
    let layers = ServiceBuilder::new()
        .layer(ReplayLayer::new().of_unknown_size())
        .layer(
            FallbackLayer::for_grpc()
                .safe()
                .last("one", |_| async { tick(100) })
                .unwrap(),
        );
    let server = serve(layers, &Meter::default()).await;
    let mut client = MeterClient::new(channel(&server));
    for ticks in [0, 2] {
        let ask = Ask::ticks(ticks).then(Code::Unavailable);
        let mut stream = client.watch(ask).await.unwrap();
        for number in 1..=ticks {
            assert_eq!(stream.message().await.unwrap(), Some(Tick { number }));
        }
        let end = stream.message().await.unwrap_err();
        assert_eq!((end.code(), end.message()), (Code::Unavailable, "as asked"));
    }
}

#[tokio::test]
async fn a_message_that_was_not_kept_goes_nowhere_but_to_a_tier_for_heads() {
    let chain = || FallbackLayer::for_grpc().safe();
    let whole = chain().last("one", |_| async { tick(100) }).unwrap();
    let head = chain().last_head("one", |_| async { tick(100) }).unwrap();
    let failed = Ask::status(Code::Unavailable);
    let meter = Meter::default();
    let server = serve(whole, &meter).await;
    assert_eq!(read(&server, failed).await, Err(Code::Unavailable));
    let server = serve(head, &meter).await;
    assert_eq!(read(&server, failed).await, Ok(100));
}

#[tokio::test]
async fn a_call_that_may_be_a_write_descends_with_a_key_or_if_it_was_refused() {
    let (recs, circuit) = recommendations();
    let layers = ServiceBuilder::new()
        .layer(ReplayLayer::new().of_unknown_size())
        .layer(
            FallbackLayer::for_grpc()
                .idempotent()
                .covering(&recs)
                .last("one", |_| async { tick(100) })
                .unwrap(),
        )
        .layer(CircuitBreakerLayer::with(circuit.clone()).for_grpc());
    let meter = Meter::default();
    let server = serve(layers, &meter).await;
    let failed = Ask::status(Code::Unavailable);
    assert_eq!(read(&server, failed).await, Err(Code::Unavailable));
    let mut with_key = MeterClient::new(
        ServiceBuilder::new()
            .map_request(|mut request: Request<_>| {
                let key = HeaderValue::from_static("k-1");
                request.headers_mut().insert("idempotency-key", key);
                request
            })
            .service(channel(&server)),
    );
    assert_eq!(with_key.read(failed).await.unwrap(), Tick { number: 100 });
    assert_eq!(meter.hits.count(), 2);

    circuit.clear_counts();
    trip(&circuit);
    assert_eq!(read(&server, Ask::default()).await, Ok(100));
    assert_eq!(meter.hits.count(), 2);
}

#[tokio::test]
async fn a_server_that_hangs_answers_by_its_last_tier_when_the_time_is_over() {
    let layers = ServiceBuilder::new()
        .layer(ReplayLayer::new().of_unknown_size())
        .layer(
            FallbackLayer::for_grpc()
                .safe()
                .within(Duration::from_millis(50))
                .last("one", |_| async { tick(100) })
                .unwrap(),
        )
        .layer(layer_fn(|_: Routes| {
            service_fn(|_| pending::<Result<Response<Body>, Infallible>>())
        }));
    let server = serve(layers, &Meter::default()).await;
    assert_eq!(read(&server, Ask::default()).await, Ok(100));
}

#[tokio::test]
async fn grpc_strangers_learn_from_an_exhausted_chain_only_what_is_public() {
    let (recs, circuit) = recommendations();
    let layers = ServiceBuilder::new()
        .layer(ReplayLayer::new().of_unknown_size())
        .layer(
            FallbackLayer::for_grpc()
                .safe()
                .covering(&recs)
                .tier_fn("mirror", |_| async {
                    Err::<Response<Body>, _>("mirror-3.internal: no route")
                })
                .exhausted_answers()
                .build()
                .unwrap(),
        )
        .layer(CircuitBreakerLayer::with(circuit.clone()).for_grpc());
    let server = serve(layers, &Meter::default()).await;
    let mut client = MeterClient::new(channel(&server));

    let failed = Ask::status(Code::Internal);
    let status = client.read(failed).await.unwrap_err();
    assert_eq!(
        (status.code(), status.message()),
        (Code::Unavailable, "Fallbacks exhausted")
    );
    // Nobody has said when to come back.
    assert!(status.get_details_retry_info().is_none());

    circuit.clear_counts();
    trip(&circuit);
    for _ in 0..2 {
        let status = client.read(Ask::default()).await.unwrap_err();
        assert_eq!(
            (status.code(), status.message()),
            (Code::Unavailable, "Fallbacks exhausted (recommendations)")
        );
        let retry = status.get_details_retry_info().unwrap();
        let after = retry.retry_delay.unwrap().as_secs();
        assert!((59..=73).contains(&after), "{after}");
        let everything = format!("{status:?}");
        assert!(!everything.contains("internal"), "{everything}");
        let status = client.watch(Ask::ticks(3)).await.unwrap_err();
        assert_eq!(status.code(), Code::Unavailable);
    }
    // On the wire it is a head, and nothing else.
    let request = client::request(Method::POST, &server.uri("/meter.Meter/Read"));
    let answer = client::http2().request(request).await.unwrap();
    assert_eq!(answer.status(), StatusCode::OK);
    assert_eq!(answer.headers()["content-type"], "application/grpc");
    assert_eq!(answer.headers()["grpc-status"], "14");
    assert!(answer.into_body().is_end_stream());
}
