//! Tiers for heads, and exercised ones, on a tonic server.

use std::{convert::Infallible, time::Duration};

use ::tonic::{
    Code, Status,
    body::Body,
    metadata::MetadataMap,
    service::Routes,
    transport::{Channel, Endpoint, Server as TonicServer, server::TcpIncoming},
};
use brownout::{
    breaker::CircuitBreakerLayer,
    core::BoxError,
    fallback::{Exercise, Failed, FallbackLayer, Tier},
    http::ReplayLayer,
    report::DegradedLayer,
};
use brownout_tests::{
    Server,
    circuit::trip,
    grpc::{Ask, Meter, Tick, asked, tick},
    server::Hits,
};
use bytes::Bytes;
use http::{Request, Response, uri::PathAndQuery};
use tonic_prost::ProstCodec;
use tower::{Layer, Service, ServiceBuilder, service_fn};

use crate::common::recommendations;

/// A meter behind this layer, whose answers show what they lack.
async fn serve<L, S, B>(layer: L, meter: &Meter) -> Server
where
    L: Layer<Routes, Service = S> + Clone + Send + 'static,
    S: Service<Request<Body>, Response = Response<B>> + Clone + Send + 'static,
    S: Service<Request<Body>, Error: Into<BoxError> + Send, Future: Send>,
    B: http_body::Body<Data = Bytes, Error: Into<BoxError>> + Send + 'static,
{
    let service = meter.clone();
    let layers = ServiceBuilder::new()
        .layer(DegradedLayer::new())
        .layer(layer);
    Server::listening(|listener| async {
        let server = TonicServer::builder().layer(layers).add_service(service);
        let incoming = TcpIncoming::from(listener);
        server.serve_with_incoming(incoming).await.unwrap();
    })
    .await
}

fn kept() -> ReplayLayer {
    ReplayLayer::new().of_unknown_size()
}

async fn grpc(server: &Server) -> ::tonic::client::Grpc<Channel> {
    let endpoint = Endpoint::from_shared(server.uri("")).unwrap();
    let mut grpc = ::tonic::client::Grpc::new(endpoint.connect_lazy());
    grpc.ready().await.unwrap();
    grpc
}

fn degraded(metadata: &MetadataMap) -> String {
    let mark = metadata.get("degraded");
    mark.map_or("", |mark| mark.to_str().unwrap()).to_owned()
}

/// The number of the tick and what is said of the answer.
async fn read(server: &Server, ask: Ask) -> Result<(u32, String), Status> {
    let mut request = ::tonic::Request::new(ask);
    request
        .metadata_mut()
        .insert("x-user", "7".parse().unwrap());
    let path = PathAndQuery::from_static("/meter.Meter/Read");
    let codec = ProstCodec::<Ask, Tick>::default();
    let answer = grpc(server).await.unary(request, path, codec).await?;
    let marks = degraded(answer.metadata());
    Ok((answer.into_inner().number, marks))
}

async fn code(server: &Server, ask: Ask) -> Code {
    read(server, ask).await.unwrap_err().code()
}

fn said(number: u32, marks: &str) -> (u32, String) {
    (number, marks.to_owned())
}

/// A tier that answers with the number of ticks that was asked for, whatever else was.
async fn copy<B>(request: Request<B>) -> Result<Response<Body>, Infallible>
where
    B: http_body::Body<Error: std::fmt::Debug>,
{
    Ok(tick(asked(request).await.ticks))
}

const FAILED: Code = Code::Unavailable;

#[tokio::test]
async fn a_message_that_was_not_kept_goes_past_tiers_of_messages_to_one_of_heads_which_sees_them() {
    let (recs, _) = recommendations();
    let head = async |f: Failed<Request<()>>| {
        assert_eq!(f.request.uri().path(), "/meter.Meter/Read");
        let user = f.request.headers()["x-user"].to_str().unwrap();
        Ok::<_, BoxError>(tick(100 + user.parse::<u32>().unwrap()))
    };
    let copies = Hits::default();
    let counted = copies.clone();
    let chain = FallbackLayer::for_grpc()
        .safe()
        .covering(&recs)
        .tier(Tier::new(
            "copies",
            service_fn(move |request: Request<_>| {
                counted.hit();
                copy::<brownout::http::ReplayBody<Body>>(request)
            }),
        ))
        .head_tier_fn("users", head)
        .exhausted_answers()
        .build()
        .unwrap();
    // Kept up to three bytes, which are few for a message.
    let little = serve(
        ServiceBuilder::new()
            .layer(kept().limit(3))
            .layer(chain.clone()),
        &Meter::default(),
    )
    .await;
    let failed = Ask::ticks(7).then(FAILED);
    assert_eq!(
        read(&little, failed).await.unwrap(),
        said(107, "recommendations;tier=users;reason=failed;head-only")
    );
    assert_eq!(copies.count(), 0);
    let all = serve(
        ServiceBuilder::new().layer(kept()).layer(chain),
        &Meter::default(),
    )
    .await;
    assert_eq!(
        read(&all, failed).await.unwrap(),
        said(7, "recommendations;tier=copies;reason=failed")
    );
    assert_eq!(read(&all, Ask::ticks(7)).await.unwrap(), said(1, ""));
    assert_eq!(copies.count(), 1);
}

#[tokio::test]
async fn tiers_of_heads_fail_hang_and_are_followed_by_others() {
    let (recs, _) = recommendations();
    let unavailable = service_fn(|_: Request<()>| async {
        Ok::<_, Infallible>(Status::unavailable("10.9.8.7").into_http::<Body>())
    });
    let hung =
        service_fn(|_: Request<()>| std::future::pending::<Result<Response<Body>, Infallible>>());
    let chain = FallbackLayer::for_grpc()
        .safe()
        .covering(&recs)
        .head_tier(Tier::new("down", unavailable))
        .head_tier(Tier::new("hung", hung).timeout(Duration::from_millis(20)))
        .last_head("one", |_| async { tick(100) })
        .unwrap();
    let server = serve(chain, &Meter::default()).await;
    assert_eq!(
        read(&server, Ask::status(FAILED)).await.unwrap(),
        said(100, "recommendations;tier=one;reason=failed")
    );
    // The caller's own errors are answers.
    assert_eq!(
        code(&server, Ask::status(Code::NotFound)).await,
        Code::NotFound
    );
}

#[tokio::test]
async fn a_stream_that_fails_in_its_head_is_answered_from_the_requests() {
    let (recs, circuit) = recommendations();
    let chain = FallbackLayer::for_grpc()
        .safe()
        .covering(&recs)
        .last_head("one", |_| async { tick(100) })
        .unwrap();
    let layers = ServiceBuilder::new()
        .layer(chain)
        .layer(CircuitBreakerLayer::with(circuit.clone()).for_grpc());
    let meter = Meter::default();
    let server = serve(layers, &meter).await;
    trip(&circuit);
    let path = PathAndQuery::from_static("/meter.Meter/Watch");
    let codec = ProstCodec::<Ask, Tick>::default();
    let request = ::tonic::Request::new(Ask::ticks(3));
    let answer = grpc(&server)
        .await
        .server_streaming(request, path, codec)
        .await;
    let answer = answer.unwrap();
    assert_eq!(
        degraded(answer.metadata()),
        "recommendations;tier=one;reason=circuit-open"
    );
    let mut ticks = answer.into_inner();
    assert_eq!(ticks.message().await.unwrap(), Some(Tick { number: 100 }));
    assert_eq!(ticks.message().await.unwrap(), None);
    assert_eq!(meter.hits.count(), 0);
}

#[tokio::test]
async fn a_call_that_may_be_a_write_gets_to_a_tier_of_heads_only_where_it_was_not_sent() {
    let (recs, circuit) = recommendations();
    let chain = FallbackLayer::for_grpc()
        .covering(&recs)
        .last_head("queue", |_| async { tick(100) })
        .unwrap();
    let layers = ServiceBuilder::new()
        .layer(chain)
        .layer(CircuitBreakerLayer::with(circuit.clone()).for_grpc());
    let meter = Meter::default();
    let server = serve(layers, &meter).await;
    assert_eq!(code(&server, Ask::status(FAILED)).await, FAILED);
    circuit.clear_counts();
    trip(&circuit);
    let made = meter.hits.count();
    assert_eq!(
        read(&server, Ask::status(FAILED)).await.unwrap(),
        said(100, "recommendations;tier=queue;reason=circuit-open")
    );
    assert_eq!(meter.hits.count(), made);
}

/// All calls that may exercise the tier.
fn always() -> Exercise {
    Exercise::share(1.0).at_most(1_000)
}

const EXERCISED: &str = "recommendations;tier=copies;reason=exercise";

#[tokio::test]
async fn calls_exercise_a_tier_while_all_is_well_and_say_so() {
    let (recs, circuit) = recommendations();
    let chain = FallbackLayer::for_grpc()
        .safe()
        .covering(&recs)
        .exercise(always())
        .tier(Tier::new("copies", service_fn(copy)))
        .build()
        .unwrap();
    let tiers = chain.chain();
    let layers = ServiceBuilder::new()
        .layer(kept())
        .layer(chain)
        .layer(CircuitBreakerLayer::with(circuit.clone()).for_grpc());
    let meter = Meter::default();
    let server = serve(layers, &meter).await;
    for n in 5..8 {
        assert_eq!(
            read(&server, Ask::ticks(n)).await.unwrap(),
            said(n, EXERCISED)
        );
    }
    assert_eq!(meter.hits.count(), 0);
    let copies = tiers.tiers().find(|tier| tier.name() == "copies").unwrap();
    assert_eq!((copies.answered(), copies.failed()), (3, 0));
    // Neither the fallback's spells nor its alerts hear of it.
    assert!(crate::common::spells(&recs).is_empty());

    trip(&circuit);
    assert_eq!(
        read(&server, Ask::ticks(8)).await.unwrap(),
        said(8, "recommendations;tier=copies;reason=circuit-open")
    );
    assert_eq!(crate::common::spells(&recs), ["copies: circuit-open"]);
}

#[tokio::test]
async fn an_exercised_tier_that_fails_by_its_status_costs_nobody_an_answer() {
    for status in [Code::Unavailable, Code::Internal, Code::DeadlineExceeded] {
        let (recs, _) = recommendations();
        let broken = service_fn(move |_: Request<_>| async move {
            Ok::<_, Infallible>(Status::new(status, "10.9.8.7").into_http::<Body>())
        });
        let chain = FallbackLayer::for_grpc()
            .safe()
            .covering(&recs)
            .exercise(always())
            .tier(Tier::new("copies", broken))
            .build()
            .unwrap();
        let tiers = chain.chain();
        let meter = Meter::default();
        let server = serve(ServiceBuilder::new().layer(kept()).layer(chain), &meter).await;
        for n in 1..=3 {
            assert_eq!(read(&server, Ask::ticks(7)).await.unwrap(), said(1, ""));
            assert_eq!(meter.hits.count(), n);
        }
        let copies = tiers.tiers().find(|tier| tier.name() == "copies").unwrap();
        assert_eq!((copies.answered(), copies.failed()), (0, 3), "{status}");
        assert_eq!(recs.status(), brownout::registry::Status::Healthy);
    }
}

#[tokio::test]
async fn a_call_that_may_be_a_write_or_was_not_kept_exercises_nothing() {
    let (recs, _) = recommendations();
    let tier = || Tier::new("copies", service_fn(copy));
    let chain = || FallbackLayer::for_grpc().covering(&recs).exercise(always());
    let meter = Meter::default();
    let write = chain().tier(tier()).build().unwrap();
    let write = serve(ServiceBuilder::new().layer(kept()).layer(write), &meter).await;
    assert_eq!(read(&write, Ask::ticks(7)).await.unwrap(), said(1, ""));
    let little = chain().safe().tier(tier()).build().unwrap();
    let little = ServiceBuilder::new().layer(kept().limit(3)).layer(little);
    let little = serve(little, &meter).await;
    assert_eq!(read(&little, Ask::ticks(7)).await.unwrap(), said(1, ""));
    assert_eq!(meter.hits.count(), 2);
}

#[tokio::test]
async fn a_tier_of_heads_is_exercised_whatever_was_kept() {
    let (recs, _) = recommendations();
    let chain = FallbackLayer::for_grpc()
        .safe()
        .covering(&recs)
        .exercise(always())
        .last_head("copies", |_| async { tick(100) })
        .unwrap();
    let meter = Meter::default();
    let server = serve(chain, &meter).await;
    assert_eq!(
        read(&server, Ask::ticks(7)).await.unwrap(),
        said(100, EXERCISED)
    );
    assert_eq!(meter.hits.count(), 0);
}
