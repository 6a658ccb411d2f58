//! Chains around tonic channels.

use std::{
    convert::Infallible,
    sync::{Arc, Mutex},
    time::Duration,
};

use ::tonic::{
    Code,
    body::Body,
    transport::{Channel, Endpoint},
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
    grpc::{Ask, Meter, MeterClient, Tick, asked, tick},
    server::Hits,
};
use http::{Request, Response};
use hyper::body::Incoming;
use tower::{Service, ServiceBuilder, service_fn};

use crate::common::{marks, nowhere, recommendations};

const LONG: Duration = Duration::from_secs(5);
const SHORT: Duration = Duration::from_millis(50);

/// A server that answers with the number of ticks that was asked for, whatever else was.
async fn mirror(hits: &Hits) -> Server {
    let hits = hits.clone();
    Server::hyper(service_fn(move |request: Request<Incoming>| {
        hits.hit();
        async { Ok::<_, Infallible>(tick(asked(request).await.ticks)) }
    }))
    .await
}

async fn meter(meter: &Meter) -> Server {
    let service = meter.clone();
    Server::hyper(service_fn(move |request: Request<Incoming>| {
        service.clone().call(request.map(Body::new))
    }))
    .await
}

fn channel(uri: String) -> Channel {
    Endpoint::from_shared(uri).unwrap().connect_lazy()
}

/// A channel that takes bodies which have been kept, and puts its errors into boxes, which show their sources.
fn boxed(
    channel: Channel,
) -> impl Service<Request<ReplayBody<Body>>, Response = Response<Body>, Error = BoxError, Future: Send>
+ Clone
+ Send {
    ServiceBuilder::new()
        .map_request(|request: Request<ReplayBody<Body>>| request.map(Body::new))
        .map_err(BoxError::from)
        .service(channel)
}

#[tokio::test]
async fn a_channel_has_another_channel_behind_it() {
    let (recs, circuit) = recommendations();
    let (meter_service, hits) = (Meter::default(), Hits::default());
    let (primary, mirror) = (meter(&meter_service).await, mirror(&hits).await);
    let at_mirror = ServiceBuilder::new()
        .map_request(|request: Request<ReplayBody<_>>| request.map(Body::new))
        .service(channel(mirror.uri("")));
    let seen = Arc::new(Mutex::new(Vec::new()));
    let noted = Arc::clone(&seen);
    let mut client = MeterClient::new(
        ServiceBuilder::new()
            .map_response(move |response: Response<_>| {
                noted.lock().unwrap().push(marks(&response));
                response
            })
            .layer(ReplayLayer::new().of_unknown_size())
            .layer(
                FallbackLayer::for_grpc()
                    .safe()
                    .covering(&recs)
                    .tier(Tier::new("mirror", at_mirror).timeout(LONG))
                    .build()
                    .unwrap(),
            )
            .layer(CircuitBreakerLayer::with(circuit.clone()).for_grpc())
            .map_request(|request: Request<ReplayBody<_>>| request.map(Body::new))
            .service(channel(primary.uri(""))),
    );
    let mut number = async |ask| client.read(ask).await.map(|tick: Tick| tick.number);

    assert_eq!(number(Ask::ticks(7)).await.unwrap(), 1);
    let failed = Ask::ticks(7).then(Code::Unavailable);
    assert_eq!(number(failed).await.unwrap(), 7);
    let missing = Ask::ticks(7).then(Code::NotFound);
    assert_eq!(number(missing).await.unwrap_err().message(), "as asked");
    let made = meter_service.hits.count();
    trip(&circuit);
    assert_eq!(number(Ask::ticks(8)).await.unwrap(), 8);
    assert_eq!((meter_service.hits.count(), hits.count()), (made, 2));
    assert_eq!(
        *seen.lock().unwrap(),
        [
            "",
            "recommendations;tier=mirror;reason=failed",
            "",
            "recommendations;tier=mirror;reason=circuit-open"
        ]
    );
}

#[tokio::test]
async fn a_call_that_may_be_a_write_descends_where_it_was_refused_or_nobody_listened() {
    let (recs, circuit) = recommendations();
    let (meter_service, hits) = (Meter::default(), Hits::default());
    let (primary, mirror) = (meter(&meter_service).await, mirror(&hits).await);
    let stack = |uri: String| {
        let circuit = circuit.clone();
        ServiceBuilder::new()
            .layer(ReplayLayer::new().of_unknown_size())
            .layer(
                FallbackLayer::for_grpc()
                    .covering(&recs)
                    .tier(Tier::new("mirror", boxed(channel(mirror.uri("")))).timeout(LONG))
                    .build()
                    .unwrap(),
            )
            .layer(CircuitBreakerLayer::with(circuit).for_grpc())
            .service(boxed(channel(uri)))
    };
    let mut client = MeterClient::new(stack(primary.uri("")));
    let failed = Ask::ticks(7).then(Code::Unavailable);
    assert_eq!(client.read(failed).await.unwrap_err().message(), "as asked");
    assert_eq!(hits.count(), 0);

    let mut unreachable = MeterClient::new(stack(nowhere()));
    let answer = unreachable.read(Ask::ticks(8)).await;
    assert_eq!(answer.unwrap(), Tick { number: 8 });

    circuit.clear_counts();
    trip(&circuit);
    let answer = client.read(Ask::ticks(9)).await;
    assert_eq!(answer.unwrap(), Tick { number: 9 });
    assert_eq!((meter_service.hits.count(), hits.count()), (1, 2));
}

#[tokio::test]
async fn a_stream_that_has_begun_stays_with_the_server_that_began_it() {
    let (meter_service, hits) = (Meter::default(), Hits::default());
    let (primary, mirror) = (meter(&meter_service).await, mirror(&hits).await);
    let mut client = MeterClient::new(
        ServiceBuilder::new()
            .layer(ReplayLayer::new().of_unknown_size())
            .layer(
                FallbackLayer::for_grpc()
                    .safe()
                    .tier(Tier::new("mirror", boxed(channel(mirror.uri("")))))
                    .build()
                    .unwrap(),
            )
            .service(boxed(channel(primary.uri("")))),
    );
    let ask = Ask::ticks(2).then(Code::Unavailable);
    let mut stream = client.watch(ask).await.unwrap();
    for number in 1..=2 {
        assert_eq!(stream.message().await.unwrap(), Some(Tick { number }));
    }
    assert_eq!(
        stream.message().await.unwrap_err().code(),
        Code::Unavailable
    );
    assert_eq!(hits.count(), 0);
}

#[tokio::test]
async fn a_channel_that_hangs_is_given_up_at_its_own_timeout_or_at_the_chains() {
    let hits = Hits::default();
    let (hung, mirror) = (Server::hung().await, mirror(&hits).await);
    let chain = || FallbackLayer::for_grpc().safe();
    let impatient = Endpoint::from_shared(hung.uri("")).unwrap().timeout(SHORT);
    let mut client = MeterClient::new(
        ServiceBuilder::new()
            .layer(ReplayLayer::new().of_unknown_size())
            .layer(
                chain()
                    .tier(Tier::new("mirror", boxed(channel(mirror.uri("")))).timeout(LONG))
                    .build()
                    .unwrap(),
            )
            .service(boxed(impatient.connect_lazy())),
    );
    let answer = client.read(Ask::ticks(7)).await;
    assert_eq!(answer.unwrap(), Tick { number: 7 });

    let mut client = MeterClient::new(
        ServiceBuilder::new()
            .layer(ReplayLayer::new().of_unknown_size())
            .layer(
                chain()
                    .within(SHORT)
                    .tier(Tier::new("mirror", boxed(channel(mirror.uri("")))).timeout(LONG))
                    .last("none", |_| async { tick(0) })
                    .unwrap(),
            )
            .service(boxed(channel(hung.uri("")))),
    );
    let answer = client.read(Ask::ticks(7)).await;
    assert_eq!(answer.unwrap(), Tick { number: 0 });
    assert_eq!(hits.count(), 1, "the mirror was skipped: no time was left");
}

#[tokio::test]
async fn a_client_of_an_exhausted_chain_sees_unavailable_or_the_last_error_as_the_chain_says() {
    let chain = || {
        FallbackLayer::for_grpc()
            .safe()
            .tier(Tier::new("mirror", boxed(channel(nowhere()))))
    };
    let replay = || ServiceBuilder::new().layer(ReplayLayer::new().of_unknown_size());
    let mut answers = MeterClient::new(
        replay()
            .layer(chain().exhausted_answers().build().unwrap())
            .service(boxed(channel(nowhere()))),
    );
    let status = answers.read(Ask::default()).await.unwrap_err();
    assert_eq!(
        (status.code(), status.message()),
        (Code::Unavailable, "Fallbacks exhausted")
    );
    let mut fails = MeterClient::new(
        replay()
            .layer(chain().build().unwrap())
            .service(boxed(channel(nowhere()))),
    );
    let status = fails.read(Ask::default()).await.unwrap_err();
    assert_eq!(status.code(), Code::Unavailable);
    assert_ne!(status.message(), "Fallbacks exhausted");
}

/// What an application writes, checked to be `Send` because it is spawned.
#[tokio::test]
async fn a_chain_of_channels_infers_inside_a_spawned_async_function() {
    async fn fetch(primary: String, mirror: String) -> Result<u32, BoxError> {
        let registry = brownout::Registry::new();
        let meters = registry.dependency("meters").register()?;
        let at_mirror = ServiceBuilder::new()
            .map_request(|request: Request<ReplayBody<_>>| request.map(Body::new))
            .service(Endpoint::from_shared(mirror)?.connect_lazy());
        let stack = ServiceBuilder::new()
            .layer(ReplayLayer::new().of_unknown_size())
            .layer(
                FallbackLayer::for_grpc()
                    .safe()
                    .covering(&meters)
                    .tier(Tier::new("mirror", at_mirror))
                    .last("none", |_| async { tick(0) })?,
            )
            .layer(CircuitBreakerLayer::new(&meters).for_grpc())
            .map_request(|request: Request<ReplayBody<_>>| request.map(Body::new))
            .service(Endpoint::from_shared(primary)?.connect_lazy());
        Ok(MeterClient::new(stack).read(Ask::ticks(7)).await?.number)
    }

    let mirror = mirror(&Hits::default()).await;
    let answer = tokio::spawn(fetch(nowhere(), mirror.uri("")));
    assert_eq!(answer.await.unwrap().unwrap(), 7);
}
