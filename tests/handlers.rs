//! Chains and flags over errors of any type, awaited where inference is at its worst: in axum handlers and spawned tasks,
//! whose futures have to be `Send`. That they compile is most of what is tested.
//!
//! Each stack spells a `BoxError` in the type of a service or a closure. Tower's own `oneshot` compiles over none of them
//! ("higher-ranked lifetime error"), except where a type parameter hides it.
#![allow(
    clippy::unwrap_used,
    reason = "a test that unwraps says that something is wrong"
)]

use std::{convert::Infallible, io, time::Duration};

use axum::{
    Router,
    body::Body,
    extract::{Path, Request, State},
    response::{IntoResponse, Response},
    routing::get,
};
use brownout::{
    Dependency, Registry,
    breaker::CircuitBreakerLayer,
    core::{BoxError, Cause, CauseKind, Verdict, oneshot},
    fallback::{Failed, Failure, FallbackLayer, Tier},
    flag::{Flag, FlagLayer, Flags},
    registry::FeatureState,
};
use brownout_testing::ProbeService;
use brownout_tests::{
    Server,
    client::{self, HyperClient},
};
use http::{Method, StatusCode};
use tokio::time::timeout;
use tower::{
    Layer, Service, ServiceBuilder, ServiceExt, service_fn, timeout::Timeout,
    util::BoxCloneSyncService,
};

type Boxed = BoxCloneSyncService<u32, u32, BoxError>;

/// Fails for zero, by an error that is an `io::Error` in a box.
fn doubles() -> Boxed {
    BoxCloneSyncService::new(service_fn(|number: u32| async move {
        match number {
            0 => Err(io::Error::from(io::ErrorKind::BrokenPipe).into()),
            _ => Ok(2 * number),
        }
    }))
}

fn dependency() -> Dependency {
    let registry = Registry::new();
    registry.dependency("numbers").register().unwrap()
}

fn flag() -> Flag {
    Flags::new(&Registry::new()).flag("numbers").unwrap()
}

async fn read(app: Router, paths: [&str; 2]) -> [String; 2] {
    let server = Server::axum(app).await;
    let mut client = client::http1();
    let [first, second] = paths.map(|path| server.uri(path));
    [
        text(&mut client, &first).await,
        text(&mut client, &second).await,
    ]
}

async fn text(client: &mut HyperClient, uri: &str) -> String {
    let response = client::read(client, client::request(Method::GET, uri)).await;
    assert_eq!(response.status(), StatusCode::OK);
    String::from_utf8(response.body().to_vec()).unwrap()
}

#[tokio::test]
async fn a_handler_awaits_a_chain_that_looks_into_boxed_errors() {
    let chain = FallbackLayer::for_results()
        .safe()
        .covering(&dependency())
        .causes(|error: &BoxError| match error.downcast_ref::<io::Error>() {
            Some(_) => Cause::connect("the pipe is broken"),
            None => Cause::failed("it failed"),
        })
        .tier_fn("closure", |_| async { Err::<u32, _>(BoxError::from("no")) })
        .tier(Tier::new(
            "service",
            service_fn(|_: u32| async { Err(BoxError::from("no")) }),
        ))
        .last("last", |failed: Failed<u32>| async move {
            let primary = failed.failures().next().map(Failure::cause);
            match primary.map(Cause::kind) {
                Some(CauseKind::Connect) => 100,
                _ => 0,
            }
        })
        .unwrap()
        .layer(doubles());
    let app = Router::new().route(
        "/{number}",
        get(async move |Path(number): Path<u32>| {
            let Ok::<_, Infallible>(answer) = chain.oneshot(number).await;
            answer.to_string()
        }),
    );
    assert_eq!(read(app, ["/4", "/0"]).await, ["8", "100"]);
}

#[tokio::test]
async fn a_handler_awaits_a_chain_that_ends_with_the_errors_of_its_tiers() {
    let chain = FallbackLayer::for_results()
        .safe()
        .tier_fn("closure", |_| async { Err::<u32, BoxError>("no".into()) })
        .tier(Tier::new(
            "service",
            Timeout::new(doubles(), Duration::from_secs(1)),
        ))
        .build()
        .unwrap()
        .layer(doubles());
    let app = Router::new().route(
        "/{number}",
        get(
            async move |Path(number): Path<u32>| match chain.oneshot(number).await {
                Ok(answer) => answer.to_string(),
                Err(error) => error.to_string(),
            },
        ),
    );
    assert_eq!(read(app, ["/4", "/0"]).await, ["8", "broken pipe"]);
}

/// Here the chain is a type parameter, so that either `oneshot` will do.
async fn of_state<S>(State(chain): State<S>, Path(number): Path<u32>) -> String
where
    S: Service<u32, Response = u32, Error = Infallible>,
{
    let Ok(answer) = ServiceExt::oneshot(chain, number).await;
    answer.to_string()
}

#[tokio::test]
async fn a_chain_is_a_routers_state() {
    fn app<S>(chain: S) -> Router
    where
        S: Service<u32, Response = u32, Error = Infallible, Future: Send>,
        S: Clone + Send + Sync + 'static,
    {
        let route = get(of_state::<S>);
        Router::new().route("/{number}", route).with_state(chain)
    }

    let chain = FallbackLayer::for_results()
        .safe()
        .last("last", |_| async { 100 })
        .unwrap()
        .layer(doubles());
    assert_eq!(read(app(chain), ["/4", "/0"]).await, ["8", "100"]);
}

#[tokio::test]
async fn a_handler_awaits_a_flag_with_services_that_stand_in() {
    let flag = flag();
    let feature = FlagLayer::for_results(flag.clone())
        .degraded(service_fn(|number: u32| async move {
            Ok::<_, BoxError>(number + 1)
        }))
        .fall_through()
        .safe()
        .causes(|_: &BoxError| Cause::failed("it failed"))
        .disabled(doubles())
        .layer(doubles());
    let app = Router::new().route(
        "/{number}",
        get(async move |Path(number): Path<u32>| {
            feature.oneshot(number).await.unwrap().to_string()
        }),
    );
    assert_eq!(read(app.clone(), ["/4", "/0"]).await, ["8", "1"]);
    flag.configure(FeatureState::Degraded);
    assert_eq!(read(app, ["/4", "/0"]).await, ["5", "1"]);
}

#[tokio::test]
async fn a_handler_awaits_a_stack_of_four_in_front_of_a_client() {
    let registry = Registry::new();
    let shop = registry.dependency("shop").register().unwrap();
    let upstream = Router::new()
        .route("/fine", get(async || "fine"))
        .route("/broken", get(async || StatusCode::BAD_GATEWAY));
    let upstream = Server::axum(upstream).await;
    let client = ServiceBuilder::new()
        .layer(
            FallbackLayer::for_http()
                .covering(&shop)
                .causes(|error: &BoxError| Cause::describe(error))
                .tier(Tier::new(
                    "copy",
                    service_fn(|_: Request| async {
                        Err::<Response<String>, _>(BoxError::from("no"))
                    }),
                ))
                .last("last", |_| async { Response::new("last".to_owned()) })
                .unwrap(),
        )
        .layer(
            FlagLayer::for_http(flag()).degraded(service_fn(|_: Request| async {
                Err::<Response<_>, BoxError>("nobody".into())
            })),
        )
        .layer(CircuitBreakerLayer::new(&shop).for_http())
        .timeout(Duration::from_secs(10))
        .service(
            hyper_util::client::legacy::Client::builder(hyper_util::rt::TokioExecutor::new())
                .build_http::<Body>(),
        );
    let base = upstream.uri("");
    let app = Router::new().route(
        "/{path}",
        get(async move |mut request: Request| {
            *request.uri_mut() = format!("{base}{}", request.uri()).parse().unwrap();
            let Ok(response) = client.oneshot(request).await;
            response.map(Body::new).into_response()
        }),
    );
    assert_eq!(read(app, ["/fine", "/broken"]).await, ["fine", "last"]);
}

#[tokio::test(start_paused = true)]
async fn a_task_awaits_chains_and_flags_that_are_tiers_and_stand_in() {
    let spare = FallbackLayer::for_results()
        .safe()
        .tier(Tier::new("spare", doubles()))
        .build()
        .unwrap()
        .layer(doubles());
    let feature = FlagLayer::for_results(flag())
        .degraded(spare.clone())
        .layer(doubles());
    let chain = FallbackLayer::for_results()
        .safe()
        .tier(Tier::new("spare", spare))
        .tier(Tier::new("feature", feature))
        .last("last", |_| async { 100 })
        .unwrap()
        .layer(doubles());
    let answers = tokio::spawn(async move {
        let first = timeout(Duration::from_secs(1), chain.clone().oneshot(4)).await;
        let (second, third) = tokio::join!(
            // What is joined is asked again whether it is a service.
            async { chain.clone().oneshot(0).await },
            async { chain.clone().oneshot(1).await },
        );
        [first.unwrap(), second, third].map(|Ok(answer)| answer)
    });
    assert_eq!(answers.await.unwrap(), [8, 100, 2]);
}

#[tokio::test(start_paused = true)]
async fn a_task_awaits_a_stack_whose_outermost_layer_is_any() {
    let timed = Timeout::new(doubles(), Duration::from_secs(1));
    let judged = CircuitBreakerLayer::new(&dependency())
        .classify(|result: Result<&u32, &BoxError>| match result {
            Ok(_) => Verdict::Success,
            Err(_) => Verdict::Failure,
        })
        .reject_with(|rejected| Err::<u32, BoxError>(rejected.into()))
        .layer(timed.clone());
    let limited = ServiceBuilder::new()
        .timeout(Duration::from_secs(1))
        .concurrency_limit(1)
        .layer(
            FallbackLayer::for_results()
                .safe()
                .last("last", |_| async { 100 })
                .unwrap(),
        )
        .service(judged.clone());
    let answers = tokio::spawn(async move {
        let answers = [
            oneshot(timed, 1).await,
            oneshot(judged, 2).await,
            oneshot(limited, 0).await,
        ];
        answers.map(Result::unwrap)
    });
    assert_eq!(answers.await.unwrap(), [2, 4, 100]);
}

#[tokio::test(start_paused = true)]
async fn one_call_waits_for_readiness_and_is_made_once() {
    let (service, probe) = ProbeService::new(|number: u32| Ok::<_, &str>(2 * number));
    probe.make_pending();
    let call = tokio::spawn(oneshot(service.clone(), 4));
    tokio::task::yield_now().await;
    assert_eq!(probe.counts().calls, 0);
    probe.make_ready();
    assert_eq!(call.await.unwrap(), Ok(8));
    assert_eq!(probe.counts().calls, 1);

    probe.fail_readiness(|| "gone");
    assert_eq!(oneshot(service, 4).await, Err("gone"));
    assert_eq!(probe.counts().calls, 1);
    probe.assert_contract_kept();
}
