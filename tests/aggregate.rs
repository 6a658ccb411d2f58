//! Aggregates on real servers: on axum with parts as a handler's arguments, on hyper, on tonic.
#![allow(
    clippy::unwrap_used,
    reason = "a test that unwraps says that something is wrong"
)]

use std::{convert::Infallible, time::Duration};

use axum::{
    Json, Router,
    extract::Path,
    middleware::map_response,
    response::Response,
    routing::{get, post},
};
use brownout::{
    Registry,
    aggregate::{
        AggregateLayer, Envelope, FailedParts, MaybePart, Part, PartKey, PartValues, RequiredPart,
    },
    breaker::{Circuit, CircuitBreakerLayer},
    core::{BoxError, Marks, Rejected, Verdict},
    registry::EventKind,
};
use brownout_tests::{
    Server,
    client::{self, HyperClient},
    grpc::{Ask, Meter, MeterClient},
    server::{Hits, full},
};
use http::{Method, Request, StatusCode, request::Parts as Head};
use tonic::{Code, transport::server::TcpIncoming};
use tower::{ServiceBuilder, ServiceExt, service_fn};

struct Profile;

impl PartKey for Profile {
    type Value = String;
    const NAME: &'static str = "profile";
}

struct Recs;

impl PartKey for Recs {
    type Value = Vec<u32>;
    const NAME: &'static str = "recommendations";
}

/// What the marks of an answer say, in a header: a caller at the other end of a connection sees no extensions.
async fn show_marks(mut response: Response) -> Response {
    let marks = response.extensions().get::<Marks>().cloned();
    let marks = marks.unwrap_or_default();
    let marks: Vec<_> = marks.iter().map(ToString::to_string).collect();
    let shown = marks.join(",").parse().unwrap();
    response.headers_mut().insert("x-marks", shown);
    response
}

async fn call(client: &mut HyperClient, method: Method, uri: &str) -> (u16, String, String) {
    let response = client::read(client, client::request(method, uri)).await;
    let marks = response.headers().get("x-marks");
    let marks = marks.map_or("", |marks| marks.to_str().unwrap()).to_owned();
    let body = String::from_utf8(response.body().to_vec()).unwrap();
    (response.status().as_u16(), body, marks)
}

/// The whole of a handler: what is there, and what is not.
async fn dashboard(
    Part(profile): Part<Profile>,
    MaybePart(recs): MaybePart<Recs>,
    failed: FailedParts,
) -> Json<Envelope<(String, Vec<u32>)>> {
    let recs = recs.into_value().unwrap_or_default();
    Json(failed.envelope((profile, recs)))
}

/// A profile service that knows users 1 to 9.
async fn profile(user: u32) -> Result<String, BoxError> {
    match user {
        1..10 => Ok(format!("user {user}")),
        _ => Err("SELECT failed on 10.0.0.7".into()),
    }
}

/// A recommender that hangs for user 9.
async fn recommend(user: u32) -> Result<Vec<u32>, BoxError> {
    if user == 9 {
        std::future::pending::<()>().await;
    }
    Ok(vec![user, user + 1])
}

fn user(head: &Head) -> u32 {
    let path = head.uri.path();
    let user = path.rsplit('/').next().and_then(|user| user.parse().ok());
    user.unwrap_or_default()
}

#[tokio::test]
async fn a_handler_takes_parts_as_arguments_and_an_answer_says_what_it_lacks() {
    let registry = Registry::new();
    let recs = registry
        .dependency("recs-db")
        .public_name("recommendations")
        .register()
        .unwrap();
    let layer = AggregateLayer::for_http()
        .part(Profile, service_fn(profile))
        .asking(user)
        .optional(Recs, service_fn(recommend))
        .asking(user)
        .timeout(Duration::from_millis(50))
        .covering(&recs)
        .within(Duration::from_secs(3))
        .build()
        .unwrap();
    let app = Router::new()
        .route("/dashboard/{user}", get(dashboard))
        .route_layer(layer)
        .layer(map_response(show_marks));
    let server = Server::axum(app).await;
    for mut client in [client::http1(), client::http2()] {
        let mut see = async |path| call(&mut client, Method::GET, &server.uri(path)).await;
        let whole = r#"{"data":["user 7",[7,8]],"partial_failure":false,"failed_services":[]}"#;
        assert_eq!(
            see("/dashboard/7").await,
            (200, whole.into(), String::new())
        );
        let partial = r#"{"data":["user 9",[]],"partial_failure":true,"failed_services":[{"service":"recommendations","error":"no answer in time"}]}"#;
        let mark = "recommendations;reason=timed-out";
        assert_eq!(
            see("/dashboard/9").await,
            (200, partial.into(), mark.into())
        );
        let (status, problem, _) = see("/dashboard/0").await;
        let expected = r#"{"type":"urn:brownout:required-part","title":"Required part missing","status":503,"detail":"A service behind this one is not available at the moment"}"#;
        assert_eq!((status, problem.as_str()), (503, expected));
    }
    let missing = registry.recent_events();
    let missing = missing
        .iter()
        .filter(|event| matches!(event.kind, EventKind::PartMissing { .. }));
    assert_eq!(missing.count(), 1, "two answers lacked it, in one spell");
}

#[tokio::test]
async fn a_route_that_does_not_exist_fans_nothing_out() {
    let hits = Hits::default();
    let counted = hits.clone();
    let part = service_fn(move |user| {
        counted.hit();
        profile(user)
    });
    let layer = AggregateLayer::for_http()
        .part(Profile, part)
        .asking(|_| 1)
        .build()
        .unwrap();
    let app = Router::new()
        .route("/", get(|Part(profile): Part<Profile>| async { profile }))
        .route_layer(layer);
    let server = Server::axum(app).await;
    let mut client = client::http1();
    let (status, _, _) = call(&mut client, Method::GET, &server.uri("/missing")).await;
    assert_eq!((status, hits.count()), (404, 0));
    let (status, body, _) = call(&mut client, Method::GET, &server.uri("/")).await;
    assert_eq!((status, body.as_str(), hits.count()), (200, "user 1", 1));
}

#[tokio::test]
async fn a_method_that_the_route_does_not_take_fans_nothing_out() {
    let hits = Hits::default();
    let counted = hits.clone();
    let part = service_fn(move |user| {
        counted.hit();
        profile(user)
    });
    let layer = AggregateLayer::for_http()
        .part(Profile, part)
        .asking(|_| 1)
        .build()
        .unwrap();
    let handler = get(|Part(profile): Part<Profile>| async { profile });
    // On the route's methods: on the router, a 405 would come from behind the layer.
    let app = Router::new().route("/", handler.route_layer(layer));
    let server = Server::axum(app).await;
    for mut client in [client::http1(), client::http2()] {
        let before = hits.count();
        for method in [Method::POST, Method::OPTIONS, Method::DELETE] {
            let (status, _, _) = call(&mut client, method, &server.uri("/")).await;
            assert_eq!((status, hits.count()), (405, before));
        }
        let (status, body, _) = call(&mut client, Method::HEAD, &server.uri("/")).await;
        assert_eq!((status, body.as_str(), hits.count()), (200, "", before + 1));
    }
}

#[tokio::test]
async fn a_handler_whose_layer_was_forgotten_is_a_500_that_names_the_part() {
    let layer = AggregateLayer::for_http()
        .optional(Recs, service_fn(recommend))
        .asking(user)
        .build()
        .unwrap();
    let app = Router::new()
        .route("/with", get(dashboard))
        .route(
            "/otherwise",
            get(|Part(recs): Part<Recs>| async move { format!("{recs:?}") }),
        )
        .route_layer(layer)
        .route("/without", get(dashboard))
        .route(
            "/summary",
            get(|failed: FailedParts| async move { failed.is_partial().to_string() }),
        );
    let server = Server::axum(app).await;
    let mut client = client::http1();
    for path in ["/with", "/without"] {
        let (status, text, _) = call(&mut client, Method::GET, &server.uri(path)).await;
        let expected = "no aggregate in front of this service declares the part `profile`";
        assert_eq!((status, text.as_str()), (500, expected), "{path}");
    }
    let (status, text, _) = call(&mut client, Method::GET, &server.uri("/otherwise")).await;
    assert_eq!(status, 500);
    assert!(
        text.contains("`recommendations` is declared otherwise"),
        "{text}"
    );
    let (status, text, _) = call(&mut client, Method::GET, &server.uri("/summary")).await;
    assert_eq!((status, text.as_str()), (200, "false"));
}

#[tokio::test]
async fn the_body_and_the_other_extractors_are_the_handlers_own() {
    let layer = AggregateLayer::for_http()
        .part(Profile, service_fn(profile))
        .asking(user)
        .build()
        .unwrap();
    let handler = |Path(user): Path<u32>, Part(profile): Part<Profile>, body: String| async move {
        format!("{user}: {profile}, {body}")
    };
    let app = Router::new()
        .route("/{user}", post(handler))
        .route_layer(layer);
    let server = Server::axum(app).await;
    let answer = reqwest::Client::new()
        .post(server.uri("/3"))
        .body("hello")
        .send()
        .await
        .unwrap();
    assert_eq!(answer.text().await.unwrap(), "3: user 3, hello");
}

/// Parts that are clients of other servers, behind breakers, with answers decoded by their own stacks.
#[tokio::test]
async fn parts_are_clients_with_stacks_of_their_own() {
    let good = Server::axum(Router::new().fallback(|| async { "ann" })).await;
    let bad = Server::axum(Router::new().fallback(|| async { StatusCode::BAD_GATEWAY })).await;
    let registry = Registry::new();
    let users = registry.dependency("users").register().unwrap();
    let recs = registry.dependency("recs").register().unwrap();
    let circuit = Circuit::new(&recs);

    let (users_at, recs_at) = (good.uri("/"), bad.uri("/"));
    let profiles = ServiceBuilder::new()
        .layer(CircuitBreakerLayer::new(&users).for_http())
        .service(client::http1())
        .map_err(BoxError::from)
        .and_then(async |response: http::Response<_>| {
            let bytes = http_body_util::BodyExt::collect(response.into_body()).await?;
            Ok::<_, BoxError>(String::from_utf8(bytes.to_bytes().to_vec())?)
        });
    let recommender = ServiceBuilder::new()
        .layer(CircuitBreakerLayer::with(circuit.clone()).for_http())
        .service(client::http1())
        .map_err(BoxError::from)
        .and_then(async |response: http::Response<_>| {
            // A part fails by an error alone: a refusal and a bad status are made one.
            match response.extensions().get::<Rejected>() {
                Some(rejected) => Err(BoxError::from(rejected.clone())),
                None if response.status().is_success() => Ok(vec![1]),
                None => Err(format!("{} from upstream", response.status()).into()),
            }
        });
    let layer = AggregateLayer::for_http()
        .part(Profile, profiles)
        .asking(move |_| client::get(&users_at))
        .optional(Recs, recommender)
        .asking(move |_| client::get(&recs_at))
        .or(vec![0])
        .build()
        .unwrap();
    let app = Router::new()
        .route("/", get(dashboard))
        .route_layer(layer)
        .layer(map_response(show_marks));
    let server = Server::axum(app).await;
    let mut client = client::http1();
    let (status, body, marks) = call(&mut client, Method::GET, &server.uri("/")).await;
    let partial = r#"{"data":["ann",[0]],"partial_failure":true,"failed_services":[{"service":"recommendations","error":"failed"}]}"#;
    assert_eq!((status, body.as_str()), (200, partial));
    assert_eq!(marks, "unnamed;tier=fallback;reason=failed");
    circuit.admit().unwrap().settle(Verdict::Trip {
        open_for: Duration::from_mins(1),
    });
    let (status, _, marks) = call(&mut client, Method::GET, &server.uri("/")).await;
    assert_eq!(
        (status, marks.as_str()),
        (200, "unnamed;tier=fallback;reason=circuit-open")
    );
}

#[tokio::test]
async fn a_plain_hyper_service_takes_parts_out_of_its_requests_extensions() {
    let layer = AggregateLayer::for_http()
        .part(Profile, service_fn(profile))
        .asking(user)
        .build()
        .unwrap();
    let service = ServiceBuilder::new().layer(layer).service_fn(
        |request: Request<hyper::body::Incoming>| async move {
            let parts: &PartValues = request.extensions().get().unwrap();
            let found = parts.value::<Profile>().unwrap() == "user 4";
            let body = full(if found { "four" } else { "another" });
            Ok::<_, Infallible>(http::Response::new(body))
        },
    );
    let server = Server::hyper(service).await;
    for mut client in [client::http1(), client::http2()] {
        let (status, body, _) = call(&mut client, Method::GET, &server.uri("/4")).await;
        assert_eq!((status, body.as_str()), (200, "four"));
    }
}

#[tokio::test]
async fn on_tonic_a_missing_required_part_is_unavailable_and_a_call_without_one_goes_through() {
    let layer = AggregateLayer::for_grpc()
        .part(Profile, service_fn(profile))
        .asking(|head| u32::from(head.uri.path().ends_with("Read")))
        .build()
        .unwrap();
    let meter = Meter::default();
    let service = meter.clone();
    let server = Server::listening(|listener| async {
        let server = tonic::transport::Server::builder()
            .layer(layer)
            .add_service(service);
        let incoming = TcpIncoming::from(listener);
        server.serve_with_incoming(incoming).await.unwrap();
    })
    .await;
    let channel = tonic::transport::Endpoint::from_shared(server.uri(""))
        .unwrap()
        .connect_lazy();
    let mut client = MeterClient::new(channel);
    assert_eq!(client.read(Ask::default()).await.unwrap().number, 1);
    let status = client.watch(Ask::ticks(1)).await.unwrap_err();
    assert_eq!(status.code(), Code::Unavailable);
    assert_eq!(status.message(), "Required part missing");
    assert_eq!(meter.hits.count(), 1);
}

#[test]
fn a_missing_required_part_is_an_error_like_any_other() {
    fn is_error<T: std::error::Error + Clone + Send + Sync + 'static>() {}
    is_error::<RequiredPart>();
}
