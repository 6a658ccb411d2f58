//! Breakers around HTTP clients: what an answer from a real server counts as.
#![allow(
    clippy::unwrap_used,
    reason = "a test that unwraps says that something is wrong"
)]

use std::{convert::Infallible, num::NonZeroU32, time::Duration};

use ::http::{Method, Request, Response, StatusCode};
use brownout::{
    breaker::{Circuit, CircuitBreakerLayer, Policy, Totals},
    core::{BoxError, RejectReason, Rejected},
    http::HttpStatus,
    registry::CircuitState,
};
use brownout_tests::{
    Server,
    circuit::{TRIPS_AT, circuit, lasting, probe_due, swift, trip, until},
    client,
    server::{Hits, full},
};
use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use tower::{Service, ServiceBuilder, ServiceExt, service_fn};

/// Answers with the status that the path names, and a body where there may be one.
async fn server(hits: &Hits) -> Server {
    let hits = hits.clone();
    Server::hyper(service_fn(move |request: Request<Incoming>| {
        hits.hit();
        let status: u16 = request.uri().path()[1..].parse().unwrap();
        let body = full(if matches!(status, 204 | 304) {
            ""
        } else {
            "some text"
        });
        let response = Response::builder().status(status).body(body).unwrap();
        async { Ok::<_, Infallible>(response) }
    }))
    .await
}

/// Totals of a circuit, without what was refused.
fn totals(circuit: &Circuit) -> (u64, u64, u64, u64) {
    let Totals {
        successes,
        failures,
        neutral,
        abandoned,
        ..
    } = circuit.stats().totals;
    (successes, failures, neutral, abandoned)
}

#[tokio::test]
async fn a_hyper_client_is_kept_from_a_server_that_fails() {
    let hits = Hits::default();
    let server = server(&hits).await;
    for client in [client::http1(), client::http2()] {
        let before = hits.count();
        let circuit = circuit("backend", lasting());
        let mut client = ServiceBuilder::new()
            .layer(CircuitBreakerLayer::with(circuit.clone()).for_http())
            .service(client);

        for _ in 0..TRIPS_AT {
            let answer = client::read(&mut client, client::get(&server.uri("/502"))).await;
            assert_eq!(
                (answer.status(), &answer.body()[..]),
                (StatusCode::BAD_GATEWAY, &b"some text"[..])
            );
        }
        assert_eq!(circuit.state(), CircuitState::Open);
        let refusal = client::call(&mut client, client::get(&server.uri("/200"))).await;
        assert_eq!(refusal.status(), StatusCode::SERVICE_UNAVAILABLE);
        let rejected = refusal.extensions().get::<Rejected>().unwrap();
        assert_eq!(rejected.reason(), RejectReason::CircuitOpen);
        assert!(rejected.retry_after().unwrap() > Duration::from_secs(58));
        assert_eq!(hits.count() - before, TRIPS_AT as usize);
    }
}

#[tokio::test]
async fn a_reqwest_client_takes_the_same_layer() {
    let hits = Hits::default();
    let server = server(&hits).await;
    let circuit = circuit("backend", lasting());
    let mut client = ServiceBuilder::new()
        .layer(CircuitBreakerLayer::with(circuit.clone()).for_http())
        .map_response(Response::<reqwest::Body>::from)
        .filter(reqwest::Request::try_from)
        .service(reqwest::Client::new());

    let get = |path| Request::get(server.uri(path)).body("").unwrap();
    let answer = client::read(&mut client, get("/200")).await;
    assert_eq!(answer.body(), "some text");
    for _ in 0..TRIPS_AT {
        client::read(&mut client, get("/500")).await;
    }
    assert_eq!(totals(&circuit), (1, TRIPS_AT.into(), 0, 0));
    assert_eq!(
        client::read(&mut client, get("/200")).await.status(),
        StatusCode::SERVICE_UNAVAILABLE
    );
    assert_eq!(hits.count(), 1 + TRIPS_AT as usize);
}

#[tokio::test]
async fn answers_without_a_body_are_judged_by_their_head() {
    let server = server(&Hits::default()).await;
    for client in [client::http1(), client::http2()] {
        let circuit = circuit("backend", lasting());
        let mut client = ServiceBuilder::new()
            .layer(CircuitBreakerLayer::with(circuit.clone()).for_http())
            .service(client);
        for (judged, (method, path)) in (1..).zip([
            (Method::HEAD, "/200"),
            (Method::GET, "/204"),
            (Method::GET, "/304"),
        ]) {
            let request = client::request(method, &server.uri(path));
            let answer = client::call(&mut client, request).await;
            // Nobody polls the body.
            drop(answer);
            assert_eq!(totals(&circuit), (judged, 0, 0, 0), "{path}");
        }
    }
    let circuit = circuit("backend", lasting());
    let server = Server::saying(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n").await;
    let mut client = ServiceBuilder::new()
        .layer(CircuitBreakerLayer::with(circuit.clone()).for_http())
        .service(client::http1());
    let answer = client::call(&mut client, client::get(&server.uri("/"))).await;
    assert_eq!(
        totals(&circuit),
        (1, 0, 0, 0),
        "judged while the answer is still held"
    );
    drop(answer);
}

#[tokio::test]
async fn a_body_that_breaks_off_is_a_failure() {
    for answer in [
        &b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\nonly so much"[..],
        b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhello\r\n",
        b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhello\r\nnot a chunk\r\n",
    ] {
        let server = Server::saying(answer).await;
        let circuit = circuit("backend", lasting());
        let mut client = ServiceBuilder::new()
            .layer(CircuitBreakerLayer::with(circuit.clone()).for_http())
            .service(client::http1());
        for failures in 1..=TRIPS_AT {
            let answer = client::call(&mut client, client::get(&server.uri("/"))).await;
            assert_eq!(answer.status(), StatusCode::OK, "the head looks well");
            assert!(answer.into_body().collect().await.is_err());
            assert_eq!(totals(&circuit), (0, failures.into(), 0, 0));
        }
        assert_eq!(circuit.state(), CircuitState::Open);
    }
}

#[tokio::test]
async fn a_body_that_is_dropped_unread_is_judged_by_its_head_and_one_dropped_half_way_is_abandoned()
{
    let server =
        Server::saying(b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\nonly so much").await;
    let circuit = circuit("backend", lasting());
    let mut client = ServiceBuilder::new()
        .layer(CircuitBreakerLayer::with(circuit.clone()).for_http())
        .service(client::http1());

    let unread = client::call(&mut client, client::get(&server.uri("/"))).await;
    assert_eq!(
        totals(&circuit),
        (0, 0, 0, 0),
        "not judged while somebody may read it"
    );
    drop(unread);
    assert_eq!(totals(&circuit), (1, 0, 0, 0));

    let mut read = client::call(&mut client, client::get(&server.uri("/"))).await;
    assert!(read.body_mut().frame().await.unwrap().is_ok());
    drop(read);
    assert_eq!(totals(&circuit), (1, 0, 0, 1));
}

#[tokio::test]
async fn a_port_that_nobody_listens_on_is_a_failure() {
    let server = Server::hung().await;
    let uri = server.uri("/");
    server.stop().await;
    let circuit = circuit("backend", lasting());
    let mut client = ServiceBuilder::new()
        .layer(CircuitBreakerLayer::with(circuit.clone()).for_http())
        .service(client::http1());

    for _ in 0..TRIPS_AT {
        let error = client
            .ready()
            .await
            .unwrap()
            .call(client::get(&uri))
            .await
            .unwrap_err();
        assert!(error.is_connect(), "the error is the client's own");
    }
    assert_eq!(
        client::read(&mut client, client::get(&uri)).await.status(),
        StatusCode::SERVICE_UNAVAILABLE
    );
}

#[tokio::test]
async fn a_dependency_that_only_answers_404_leaves_half_open() {
    let server = server(&Hits::default()).await;
    let circuit = circuit("backend", swift().lease(Duration::from_millis(300)));
    let mut client = ServiceBuilder::new()
        .layer(CircuitBreakerLayer::with(circuit.clone()).for_http())
        .service(client::http1());
    trip(&circuit);
    probe_due(&circuit).await;

    let answer = client::read(&mut client, client::get(&server.uri("/404"))).await;
    assert_eq!(answer.status(), StatusCode::NOT_FOUND);
    assert_eq!(
        circuit.state(),
        CircuitState::HalfOpen,
        "a 404 proves nothing by itself"
    );
    until("the round is over", || {
        circuit.state() == CircuitState::Closed
    })
    .await;
    for _ in 0..10 {
        client::read(&mut client, client::get(&server.uri("/404"))).await;
    }
    assert_eq!(circuit.state(), CircuitState::Closed);
    assert_eq!(circuit.stats().totals.neutral, 11);
}

#[tokio::test]
async fn a_probes_place_is_free_again_from_the_head_of_its_answer_on() {
    for answer in [
        &b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\nonly so much"[..],
        b"HTTP/1.1 404 Not Found\r\ncontent-length: 100\r\n\r\nonly so much",
    ] {
        let server = Server::saying(answer).await;
        let circuit = circuit("backend", swift().probes(1).close_after(3, 3));
        let client = ServiceBuilder::new()
            .layer(CircuitBreakerLayer::with(circuit.clone()).for_http())
            .service(client::http1());
        trip(&circuit);
        probe_due(&circuit).await;
        let probe = || client.clone().oneshot(client::get(&server.uri("/")));

        let first = probe().await.unwrap();
        let second = probe().await.unwrap();
        assert_eq!(
            second.status(),
            first.status(),
            "the second call is a probe too"
        );
        assert_eq!(circuit.state(), CircuitState::HalfOpen);
    }
}

#[tokio::test]
async fn statuses_of_the_callers_own_doing_never_open_the_circuit() {
    let server = server(&Hits::default()).await;
    let circuit = circuit("backend", lasting());
    let mut client = ServiceBuilder::new()
        .layer(CircuitBreakerLayer::with(circuit.clone()).for_http())
        .service(client::http1());
    for _ in 0..TRIPS_AT {
        for path in ["/400", "/401", "/404", "/429"] {
            client::read(&mut client, client::get(&server.uri(path))).await;
        }
    }
    assert_eq!(totals(&circuit), (0, 0, u64::from(4 * TRIPS_AT), 0));
}

#[tokio::test]
async fn a_503_with_retry_after_opens_at_once_where_that_is_asked_for() {
    let server = Server::saying(
        b"HTTP/1.1 503 Service Unavailable\r\nretry-after: 30\r\ncontent-length: 0\r\n\r\n",
    )
    .await;
    let circuit = circuit("backend", lasting());
    let mut client = ServiceBuilder::new()
        .layer(
            CircuitBreakerLayer::with(circuit.clone())
                .for_http()
                .observe(brownout::http::AtEnd::new(
                    HttpStatus::new().trip_on_retry_after(),
                )),
        )
        .service(client::http1());
    client::read(&mut client, client::get(&server.uri("/"))).await;
    assert_eq!(circuit.state(), CircuitState::Open);
    let left = circuit.stats().retry_after.unwrap();
    assert!((28..=30).contains(&left.as_secs()), "{left:?}");
}

#[tokio::test]
async fn a_closure_judges_and_refuses_with_the_types_of_the_client() {
    let server = server(&Hits::default()).await;
    let circuit = circuit("backend", lasting());
    circuit.reconfigure(Policy::consecutive(NonZeroU32::MIN));
    let mut client = ServiceBuilder::new()
        .layer(
            CircuitBreakerLayer::with(circuit.clone())
                .classify(
                    |answer: Result<&Response<Full<Bytes>>, &BoxError>| match answer {
                        Ok(response) if response.status() == StatusCode::IM_A_TEAPOT => {
                            brownout::core::Verdict::Failure
                        }
                        Ok(_) => brownout::core::Verdict::Success,
                        Err(_) => brownout::core::Verdict::Failure,
                    },
                )
                .reject_with(|rejected| {
                    let text = format!("{}: {}", rejected.dependency(), rejected.reason());
                    Ok(Response::new(Full::new(Bytes::from(text))))
                }),
        )
        .service(
            ServiceBuilder::new()
                .map_err(BoxError::from)
                .service(collected(client::http1())),
        );

    client::read(&mut client, client::get(&server.uri("/200"))).await;
    assert_eq!(circuit.state(), CircuitState::Closed);
    client::read(&mut client, client::get(&server.uri("/418"))).await;
    let refusal = client::read(&mut client, client::get(&server.uri("/200"))).await;
    assert_eq!(refusal.body(), "backend: circuit-open");
}

/// A client that reads answers to their end before it hands them out.
fn collected<Req: Send + 'static>(
    client: impl Service<Req, Response = Response<Incoming>, Error: Into<BoxError>, Future: Send>
    + Clone
    + Send
    + 'static,
) -> impl Service<Req, Response = Response<Full<Bytes>>, Error = BoxError> {
    client
        .map_err(Into::into)
        .and_then(|response: Response<Incoming>| async {
            let (head, body) = response.into_parts();
            let bytes = body.collect().await?.to_bytes();
            Ok(Response::from_parts(head, Full::new(bytes)))
        })
}
