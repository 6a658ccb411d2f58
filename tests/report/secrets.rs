//! What strangers may never read: an upstream's error text, its address, a secret in either, the names that operators use.

use std::panic;

use axum::{Json, Router, response::Response, routing::get};
use brownout::{
    Criticality, Dependency, Registry,
    aggregate::{AggregateLayer, FailedParts, PartKey},
    breaker::{Circuit, CircuitBreakerLayer},
    core::BoxError,
    fallback::{FallbackLayer, Tier},
    flag::{Flag, FlagLayer, Flags},
    http::ReplayLayer,
    metrics::Metrics,
    registry::{FeatureState, Probe, Report, ReporterKind},
    report::{DegradedLayer, HealthLayer, ReportLayer},
};
use brownout_tests::{
    Server,
    circuit::{lasting, trip, until},
    grpc::{Ask, Meter, MeterClient, tick},
};
use metrics_exporter_prometheus::PrometheusBuilder;
use tonic::{
    Code,
    body::Body,
    service::Routes,
    transport::{Endpoint, Server as TonicServer, server::TcpIncoming},
};
use tower::{Layer, Service, ServiceBuilder, ServiceExt, service_fn};

use crate::raw::{Raw, send};

/// What an upstream says when it fails.
const TEXT: &str = "password hunter2 refused by 10.9.8.7:5432";
/// What operators call it.
const NAME: &str = "ledger-db-7.internal";

/// No answer at all may hold these, whoever asks.
const SECRETS: [&str; 3] = ["hunter2", "10.9.8.7", "5432"];

fn assert_keeps_secrets(what: &str, text: &str) {
    for secret in SECRETS {
        assert!(!text.contains(secret), "{what} tells {secret}: {text}");
    }
}

fn assert_public(what: &str, text: &str) {
    assert_keeps_secrets(what, text);
    assert!(!text.contains("internal"), "{what} tells a name: {text}");
}

struct Profile;

impl PartKey for Profile {
    type Value = u32;
    const NAME: &'static str = "profile";
}

struct Recs;

impl PartKey for Recs {
    type Value = u32;
    const NAME: &'static str = "recs";
}

/// A dependency of which everybody who can has said something with a secret in it.
struct World {
    registry: Registry,
    ledger: Dependency,
    nameless: Dependency,
    circuit: Circuit,
    flag: Flag,
    _kept: Box<dyn Send>,
}

impl World {
    async fn new() -> Self {
        let registry = Registry::new();
        let ledger = registry
            .dependency(NAME)
            .public_name("ledger")
            .description(TEXT)
            .criticality(Criticality::Critical);
        let ledger = ledger.register().unwrap();
        let nameless = registry.dependency("nameless-3.internal").register();
        let nameless = nameless.unwrap();

        let says = ledger.reporter(ReporterKind::Code, TEXT);
        says.report(Report::unhealthy("cannot be reached").detail(TEXT));
        let traffic = ReportLayer::new(&ledger).for_results();
        let mut failing = traffic.layer(service_fn(|_: u32| async { Err::<u32, _>(TEXT) }));
        for _ in 0..20 {
            assert!(failing.ready().await.unwrap().call(1).await.is_err());
        }
        let fails = Probe::new(|| async { Err::<(), _>(TEXT) }).name("fails");
        ledger.probe(fails).unwrap();
        let panics = Probe::new(|| async { panicking(()).await.map(drop) }).name("panics");
        nameless.probe(panics).unwrap();
        let driver = registry.drive();
        until("both probes have run", || {
            let picture = registry.snapshot();
            let mut probes = picture.dependencies.iter().flat_map(|view| &view.probes);
            probes.all(|probe| probe.last_check.is_some())
        })
        .await;

        let circuit = Circuit::builder(&ledger).policy(lasting().build().unwrap());
        let circuit = circuit.build();
        trip(&circuit);
        let flag = Flags::new(&registry).builder("ml.internal");
        let flag = flag.dependency(&ledger).build().unwrap();
        flag.configure(FeatureState::Disabled);
        Self {
            registry,
            ledger,
            nameless,
            circuit,
            flag,
            _kept: Box::new((says, failing, driver)),
        }
    }

    fn health(&self) -> HealthLayer {
        HealthLayer::new(&self.registry)
            .ready_when(&self.ledger)
            .ready_when(&self.nameless)
            .authorise(|head| head.headers.contains_key("x-operator"))
    }

    /// A path for each way in which an answer can be none, or less than it could be.
    fn app(&self) -> Router {
        let home = || get(|| async { "home" });
        let failing = || get(|| async { (http::StatusCode::BAD_GATEWAY, TEXT) });
        let chain = || FallbackLayer::for_http().covering(&self.ledger);
        let mirror = |_| async { Err::<Response, _>(TEXT) };
        let parts = AggregateLayer::for_http()
            .optional(
                Profile,
                service_fn(|()| async { Err::<u32, BoxError>(TEXT.into()) }),
            )
            .asking(|_| ())
            .covering(&self.ledger)
            .optional(Recs, service_fn(panicking))
            .asking(|_| ())
            .covering(&self.nameless)
            .build()
            .unwrap();
        let required = AggregateLayer::for_http()
            .part(
                Profile,
                service_fn(|()| async { Err::<u32, BoxError>(TEXT.into()) }),
            )
            .asking(|_| ())
            .covering(&self.ledger)
            .build()
            .unwrap();
        let circuit = CircuitBreakerLayer::with(self.circuit.clone()).for_http();
        Router::new()
            .route("/circuit", home().layer(circuit))
            .route(
                "/flag",
                home().layer(FlagLayer::for_http(self.flag.clone())),
            )
            .route(
                "/exhausted",
                failing().layer(
                    chain()
                        .tier_fn("mirror", mirror)
                        .exhausted_answers()
                        .build()
                        .unwrap(),
                ),
            )
            .route(
                "/degraded",
                failing().layer(
                    chain()
                        .tier_fn("mirror", mirror)
                        .last("popular", |_| async {
                            Response::new(axum::body::Body::from("popular"))
                        })
                        .unwrap(),
                ),
            )
            .route("/required", home().layer(required))
            .route(
                "/partial",
                get(async |failed: FailedParts| Json(failed.envelope(()))).layer(parts),
            )
            .layer(DegradedLayer::new())
            .layer(self.health())
    }
}

async fn panicking((): ()) -> Result<u32, BoxError> {
    panic::resume_unwind(Box::new(TEXT))
}

/// Each header and the body.
fn text(answer: &Raw) -> String {
    format!("{answer:?}")
}

#[tokio::test]
async fn strangers_find_no_secret_and_no_operators_name_in_any_answer_of_a_router() {
    let world = World::new().await;
    let server = Server::axum(world.app()).await;
    for path in ["/livez", "/readyz", "/startupz", "/health"] {
        for method in ["GET", "HEAD", "POST"] {
            for query in ["", "?verbose", "?verbose&hunter2=10.9.8.7:5432"] {
                let line = format!("{method} {path}{query}");
                assert_public(&line, &text(&send(&server, &line, "").await));
            }
        }
    }
    for (path, problem, name) in [
        ("/circuit", "urn:brownout:circuit-open", Some("ledger")),
        ("/flag", "urn:brownout:flag-disabled", Some("ledger")),
        // Nobody has refused, so nobody is named.
        ("/exhausted", "urn:brownout:exhausted", None),
        ("/required", "urn:brownout:required-part", Some("ledger")),
    ] {
        let answer = send(&server, &format!("GET {path}"), "").await;
        assert_eq!(answer.status, "HTTP/1.1 503 Service Unavailable", "{path}");
        let document: serde_json::Value = serde_json::from_str(&answer.body).unwrap();
        assert_eq!(
            (&document["type"], &document["dependency"]),
            (&problem.into(), &name.into())
        );
        assert_public(path, &text(&answer));
    }
    let degraded = send(&server, "GET /degraded", "").await;
    assert_eq!(
        degraded.headers["degraded"],
        "ledger;tier=popular;reason=failed"
    );
    assert_public("/degraded", &text(&degraded));
    let partial = send(&server, "GET /partial", "").await;
    assert_eq!(partial.headers["degraded"], "ledger;reason=failed");
    assert_public("/partial", &text(&partial));
    let body: serde_json::Value = serde_json::from_str(&partial.body).unwrap();
    assert_eq!(body["failed_services"].as_array().unwrap().len(), 2);
}

#[tokio::test]
async fn those_who_are_known_read_names_and_public_messages_but_no_secret() {
    let world = World::new().await;
    let server = Server::axum(world.app()).await;
    let document = send(&server, "GET /health", "x-operator: kim\r\n")
        .await
        .body;
    assert!(
        document.contains(NAME) && document.contains("probe failed"),
        "{document}"
    );
    assert_keeps_secrets("/health", &document);
    for path in ["/livez", "/readyz", "/startupz", "/health"] {
        let line = format!("GET {path}?verbose");
        let answer = send(&server, &line, "x-operator: kim\r\n").await;
        assert!(answer.body.contains("check"), "{answer:?}");
        assert_keeps_secrets(&line, &text(&answer));
    }
}

#[tokio::test]
async fn strangers_find_no_secret_and_no_operators_name_in_any_grpc_answer() {
    let world = World::new().await;
    let chain = || FallbackLayer::for_grpc().safe().covering(&world.ledger);
    let mirror = || {
        Tier::new(
            "mirror",
            service_fn(|_| async { Err::<http::Response<Body>, _>(TEXT) }),
        )
    };
    let part = service_fn(|()| async { Err::<u32, BoxError>(TEXT.into()) });
    let required = AggregateLayer::for_grpc()
        .part(Profile, part)
        .asking(|_| ())
        .covering(&world.ledger)
        .build()
        .unwrap();
    let circuit = CircuitBreakerLayer::with(world.circuit.clone()).for_grpc();
    assert_refused("circuit", circuit, true).await;
    assert_refused("flag", FlagLayer::for_grpc(world.flag.clone()), true).await;
    let exhausted = chain().tier(mirror()).exhausted_answers().build().unwrap();
    let exhausted = ServiceBuilder::new()
        .layer(ReplayLayer::new().of_unknown_size())
        .layer(exhausted);
    assert_refused("exhausted", exhausted, false).await;
    assert_refused("required", required, true).await;

    // And of one that is answered by somebody else.
    let popular = chain().last("popular", |_| async { tick(7) }).unwrap();
    let layers = ServiceBuilder::new()
        .layer(DegradedLayer::new())
        .layer(ReplayLayer::new().of_unknown_size())
        .layer(popular);
    let server = serve(layers).await;
    let channel = Endpoint::from_shared(server.uri(""))
        .unwrap()
        .connect_lazy();
    let mut grpc = tonic::client::Grpc::new(channel);
    grpc.ready().await.unwrap();
    let path = http::uri::PathAndQuery::from_static("/meter.Meter/Read");
    let codec = tonic_prost::ProstCodec::<Ask, brownout_tests::grpc::Tick>::default();
    let request = tonic::Request::new(Ask::status(Code::Internal));
    let answer = grpc.unary(request, path, codec).await.unwrap();
    assert_eq!(
        answer.metadata().get("degraded").unwrap(),
        "ledger;tier=popular;reason=failed"
    );
    assert_public("degraded", &format!("{answer:?}"));
}

/// A meter behind these layers.
async fn serve<L, S, B>(layers: L) -> Server
where
    L: Layer<Routes, Service = S> + Clone + Send + 'static,
    S: Service<http::Request<Body>, Response = http::Response<B>> + Clone + Send + 'static,
    S: Service<http::Request<Body>, Error: Into<BoxError> + Send, Future: Send>,
    B: http_body::Body<Data = bytes::Bytes, Error: Into<BoxError>> + Send + 'static,
{
    Server::listening(|listener| async {
        let server = TonicServer::builder()
            .layer(layers)
            .add_service(Meter::default());
        let incoming = TcpIncoming::from(listener);
        server.serve_with_incoming(incoming).await.unwrap();
    })
    .await
}

async fn assert_refused<L, S, B>(what: &str, layers: L, names: bool)
where
    L: Layer<Routes, Service = S> + Clone + Send + 'static,
    S: Service<http::Request<Body>, Response = http::Response<B>> + Clone + Send + 'static,
    S: Service<http::Request<Body>, Error: Into<BoxError> + Send, Future: Send>,
    B: http_body::Body<Data = bytes::Bytes, Error: Into<BoxError>> + Send + 'static,
{
    let server = serve(layers).await;
    let channel = Endpoint::from_shared(server.uri(""))
        .unwrap()
        .connect_lazy();
    let asked = MeterClient::new(channel)
        .read(Ask::status(Code::Internal))
        .await;
    let status = asked.unwrap_err();
    assert_eq!(status.code(), Code::Unavailable, "{what}");
    assert!(
        !names || status.message().contains("ledger"),
        "{what}: {status:?}"
    );
    assert_public(
        what,
        &format!("{status:?} {}", String::from_utf8_lossy(status.details())),
    );
}

#[tokio::test]
async fn the_metrics_page_is_for_operators_and_has_their_names_but_no_secret() {
    let world = World::new().await;
    let server = Server::axum(world.app()).await;
    for path in [
        "/circuit",
        "/flag",
        "/exhausted",
        "/degraded",
        "/required",
        "/partial",
    ] {
        send(&server, &format!("GET {path}"), "").await;
    }
    let recorder = PrometheusBuilder::new().build_recorder();
    let collecting = Metrics::new(&world.registry);
    metrics::with_local_recorder(&recorder, || collecting.collect());
    let page = recorder.handle().render();
    assert!(
        page.contains(NAME) && page.contains("ml.internal"),
        "{page}"
    );
    assert_keeps_secrets("the page", &page);
}
