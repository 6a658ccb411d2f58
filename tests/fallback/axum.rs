//! Chains on axum: as it is documented, `Router::layer` and nothing else.

use std::{convert::Infallible, io, sync::Arc, time::Duration};

use ::axum::{
    Router,
    body::Body,
    extract::Request,
    middleware::map_response,
    response::{IntoResponse, Response},
    routing::get,
};
use brownout::{
    breaker::CircuitBreakerLayer,
    core::Rejected,
    fallback::{Exhausted, Failed, FallbackLayer, Tier},
    registry::{CircuitMode, Order},
};
use brownout_tests::{
    Server,
    circuit::{trip, until},
    client,
    server::{Hits, full},
};
use bytes::Bytes;
use futures_util::{StreamExt, stream};
use http::{Method, StatusCode, header};
use http_body_util::{BodyExt, Full};
use tokio::sync::Notify;
use tower::{Service, ServiceBuilder, service_fn};

use crate::common::{fine, recommendations, see, show_marks};

#[tokio::test]
async fn breaker_with_fallback_on_a_router_is_two_layers_and_no_handler_of_errors() {
    let hits = Hits::default();
    let (recs, circuit) = recommendations();
    let counted = hits.clone();
    let route = get(|| async { "for you" }).post(async move || {
        counted.hit();
        StatusCode::BAD_GATEWAY
    });
    let app = Router::new()
        .route("/", route)
        .route(
            "/broken",
            get(|| async { StatusCode::INTERNAL_SERVER_ERROR }),
        )
        .layer(CircuitBreakerLayer::with(circuit.clone()).for_http())
        .layer(
            FallbackLayer::for_http()
                .covering(&recs)
                .last("popular", |_| async { "popular".into_response() })
                .unwrap(),
        )
        .layer(map_response(show_marks));
    let server = Server::axum(app).await;
    for mut client in [client::http1(), client::http2()] {
        let mut call = async |method, path| {
            let request = client::request(method, &server.uri(path));
            see(&mut client, request).await
        };
        assert_eq!(call(Method::GET, "/").await, fine("for you", ""));
        assert_eq!(call(Method::GET, "/missing").await.0, 404);
        let popular = |reason| {
            fine(
                "popular",
                &format!("recommendations;tier=popular;reason={reason}"),
            )
        };
        assert_eq!(call(Method::GET, "/broken").await, popular("failed"));
        // The write was made, and failed: its failure is all there is.
        assert_eq!(
            call(Method::POST, "/").await,
            (502, String::new(), String::new())
        );
        let order = Order::new("kim", "drill", Duration::from_mins(1));
        let held = recs
            .override_circuit(CircuitMode::ForcedOpen, order)
            .unwrap();
        let made = hits.count();
        assert_eq!(call(Method::GET, "/").await, popular("circuit-forced-open"));
        // This one was refused, and so not made.
        assert_eq!(
            call(Method::POST, "/").await,
            popular("circuit-forced-open")
        );
        assert_eq!(hits.count(), made);
        recs.registry().release(held).unwrap();
    }
}

#[tokio::test]
async fn one_chain_goes_on_routes_method_routers_and_nested_routers_and_leaves_missing_paths_alone()
{
    let (recs, circuit) = recommendations();
    let layers = ServiceBuilder::new()
        .layer(
            FallbackLayer::for_http()
                .covering(&recs)
                .last("popular", |_| async { "popular".into_response() })
                .unwrap(),
        )
        .layer(CircuitBreakerLayer::with(circuit.clone()).for_http());
    let works = || get(|| async { "for you" });
    let app = Router::new()
        .route("/route", works())
        .route_layer(layers.clone())
        .route("/method", works().layer(layers.clone()))
        .nest("/nested", Router::new().route("/", works()).layer(layers));
    let server = Server::axum(app).await;
    let paths = ["/route", "/method", "/nested"];
    let mut clients = [client::http1(), client::http2()];
    for client in &mut clients {
        for path in paths {
            let answer = see(client, client::get(&server.uri(path))).await;
            assert_eq!(answer, fine("for you", ""));
        }
    }
    trip(&circuit);
    for client in &mut clients {
        for path in paths {
            let answer = see(client, client::get(&server.uri(path))).await;
            assert_eq!(answer, fine("popular", ""));
        }
        let missing = see(client, client::get(&server.uri("/missing"))).await;
        assert_eq!(missing.0, 404);
    }
}

#[tokio::test]
async fn an_answer_to_head_has_the_head_of_the_tiers_answer_and_no_body() {
    let app = Router::new()
        .route("/", get(|| async { "for you" }))
        .route("/broken", get(|| async { StatusCode::BAD_GATEWAY }))
        .layer(
            FallbackLayer::for_http()
                .last("popular", |_| async {
                    ([("x-from", "popular")], "popular").into_response()
                })
                .unwrap(),
        )
        .layer(map_response(show_marks));
    let server = Server::axum(app).await;
    for mut client in [client::http1(), client::http2()] {
        for (path, from, marked) in [
            ("/", None, ""),
            (
                "/broken",
                Some("popular"),
                "unnamed;tier=popular;reason=failed",
            ),
        ] {
            let request = client::request(Method::HEAD, &server.uri(path));
            let answer = client::read(&mut client, request).await;
            assert_eq!(answer.status(), StatusCode::OK);
            assert_eq!(answer.headers()[header::CONTENT_LENGTH], "7");
            assert_eq!(
                answer
                    .headers()
                    .get("x-from")
                    .map(http::HeaderValue::as_bytes),
                from.map(str::as_bytes)
            );
            assert_eq!(answer.headers()["x-marks"], marked);
            assert_eq!(answer.body(), "");
        }
    }
}

#[tokio::test]
async fn a_large_answer_of_the_primary_reaches_its_caller_while_it_is_still_being_made() {
    const PIECE: Bytes = Bytes::from_static(&[7; 64 * 1024]);
    const PIECES: usize = 500;
    let first_seen = Arc::new(Notify::new());
    let seen = Arc::clone(&first_seen);
    let large = async move || {
        let rest = stream::once(async move {
            seen.notified().await;
            PIECE
        });
        let rest = rest.chain(stream::iter([PIECE; PIECES - 2]));
        Body::from_stream(stream::iter([PIECE]).chain(rest).map(Ok::<_, Infallible>))
    };
    let app = Router::new().route("/", get(large)).layer(
        FallbackLayer::for_http()
            .last("none", |_| async { "".into_response() })
            .unwrap(),
    );
    let server = Server::axum(app).await;
    for mut client in [client::http1(), client::http2()] {
        let request = client::get(&server.uri("/"));
        let mut body = client.call(request).await.unwrap().into_body();
        let first = body.frame().await.unwrap().unwrap().into_data().unwrap();
        assert!(!first.is_empty());
        // Had the chain collected the body, there would have been no first piece before this.
        first_seen.notify_one();
        let rest = body.collect().await.unwrap().to_bytes();
        assert_eq!(first.len() + rest.len(), PIECES * PIECE.len());
    }
}

#[tokio::test]
async fn every_tier_on_a_router_may_have_bodies_of_its_own_type() {
    let copies = service_fn(|request: Request| async move {
        match request.uri().path() {
            "/copied" => Ok(http::Response::new(full("a copy"))),
            _ => Err::<http::Response<Full<Bytes>>, _>(io::Error::other("no copy")),
        }
    });
    let app = Router::new()
        .fallback(|| async { StatusCode::BAD_GATEWAY })
        .layer(
            FallbackLayer::for_http()
                .tier(Tier::new("copy", copies))
                .last("minimal", |_| async {
                    http::Response::new(String::from("minimal"))
                })
                .unwrap(),
        );
    let server = Server::axum(app).await;
    for mut client in [client::http1(), client::http2()] {
        for (path, body) in [("/copied", "a copy"), ("/other", "minimal")] {
            let answer = see(&mut client, client::get(&server.uri(path))).await;
            assert_eq!(answer, fine(body, ""));
        }
    }
}

#[tokio::test]
async fn a_chain_that_is_a_service_of_its_own_is_served_as_it_is() {
    let (recs, circuit) = recommendations();
    trip(&circuit);
    let service = ServiceBuilder::new()
        .layer(
            FallbackLayer::for_http()
                .covering(&recs)
                .last("minimal", |f: Failed<http::Request<_>>| async move {
                    let body = format!("{{\"path\":\"{}\"}}", f.request.uri().path());
                    http::Response::new(body)
                })
                .unwrap(),
        )
        .layer(CircuitBreakerLayer::with(circuit).for_http())
        .service(service_fn(|_: Request| async {
            Ok::<_, Infallible>("all".into_response())
        }));
    let app = Router::new()
        .route_service("/route", service.clone())
        .nest_service("/nested", service.clone())
        .fallback_service(service);
    let server = Server::axum(app).await;
    for (path, seen) in [
        ("/route", "/route"),
        ("/nested/7", "/7"),
        ("/else", "/else"),
    ] {
        let answer = client::read(&mut client::http1(), client::get(&server.uri(path))).await;
        assert_eq!(answer.body(), &format!("{{\"path\":\"{seen}\"}}"));
    }
}

#[tokio::test]
async fn strangers_learn_from_an_exhausted_chain_only_what_is_public() {
    let (recs, circuit) = recommendations();
    let app = Router::new()
        .route("/", get(|| async { "for you" }))
        .layer(CircuitBreakerLayer::with(circuit.clone()).for_http())
        .layer(
            FallbackLayer::for_http()
                .covering(&recs)
                .tier_fn("mirror", |_| async {
                    Err::<Response, _>("mirror-3.internal: no route")
                })
                .exhausted_answers()
                .build()
                .unwrap(),
        )
        .layer(map_response(async |response: Response| {
            if let Some(exhausted) = response.extensions().get::<Exhausted>() {
                assert!(exhausted.to_string().contains("mirror-3.internal"));
                assert!(response.extensions().get::<Rejected>().is_none());
            }
            response
        }));
    let server = Server::axum(app).await;
    trip(&circuit);
    for mut client in [client::http1(), client::http2()] {
        let answer = client::read(&mut client, client::get(&server.uri("/"))).await;
        assert_eq!(answer.status(), StatusCode::SERVICE_UNAVAILABLE);
        let header = |name| answer.headers()[name].to_str().unwrap();
        assert_eq!(header(header::CONTENT_TYPE), "application/problem+json");
        let retry_after: u64 = header(header::RETRY_AFTER).parse().unwrap();
        assert!((59..=73).contains(&retry_after), "{retry_after}");
        let problem: serde_json::Value = serde_json::from_slice(answer.body()).unwrap();
        assert_eq!(problem["type"], "urn:brownout:exhausted");
        assert_eq!(problem["dependency"], "recommendations");
        let everything = format!("{answer:?}");
        assert!(!everything.contains("internal"), "{everything}");
    }
}

#[tokio::test]
async fn a_client_that_goes_away_ends_the_tier_that_works_for_it() {
    struct Working(Hits);
    impl Drop for Working {
        fn drop(&mut self) {
            self.0.hit();
        }
    }
    let (begun, ended) = (Hits::default(), Hits::default());
    let (begins, ends) = (begun.clone(), ended.clone());
    let app = Router::new()
        .fallback(|| async { StatusCode::BAD_GATEWAY })
        .layer(
            FallbackLayer::for_http()
                .last("slow", move |_| {
                    let working = Working(ends.clone());
                    begins.hit();
                    async move {
                        std::future::pending::<()>().await;
                        drop(working);
                        "at last".into_response()
                    }
                })
                .unwrap(),
        );
    let server = Server::axum(app).await;
    for (calls, mut client) in (1..).zip([client::http1(), client::http2()]) {
        let call = tokio::spawn(client.call(client::get(&server.uri("/"))));
        until("the tier works", || begun.count() == calls).await;
        assert_eq!(ended.count(), calls - 1);
        call.abort();
        until("it has stopped", || ended.count() == calls).await;
    }
}
