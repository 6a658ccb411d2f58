//! Falling through on HTTP: which requests go on, and what becomes of their bodies.

use std::sync::{Arc, Mutex};

use brownout::{
    breaker::{Circuit, CircuitBreakerLayer},
    core::{BoxError, Marks, Rejected, Verdict},
    flag::FlagLayer,
    http::{LocalBody, ObservedBody, ReplayBody, ReplayLayer},
    registry::FeatureState::Enabled,
};
use brownout_testing::{MockBody, TestError, body, body::BodyWatch};
use http::{Method, Request, Response, StatusCode};
use http_body::Body;
use tower::{Layer, Service, ServiceBuilder, ServiceExt, service_fn};

use crate::common::{MINUTE, exact_in, flag, registry};

type Answer = Response<MockBody>;
type Outcome = Result<Answer, TestError>;

/// Everything that somebody was sent.
type Seen = Arc<Mutex<Vec<String>>>;

async fn read<B: Body<Data: AsRef<[u8]>>>(body: B) -> String {
    let mut body = std::pin::pin!(body);
    let mut read = String::new();
    while let Some(Ok(frame)) = std::future::poll_fn(|cx| body.as_mut().poll_frame(cx)).await {
        if let Ok(data) = frame.into_data() {
            read.push_str(std::str::from_utf8(data.as_ref()).unwrap());
        }
    }
    read
}

/// Answers with this status, once it has read the request.
fn answering<B>(
    status: u16,
    seen: &Seen,
) -> impl Service<Request<B>, Response = Answer, Error = TestError, Future: Send> + Clone + use<B>
where
    B: Body<Data: AsRef<[u8]> + Send> + Send + 'static,
{
    let seen = Arc::clone(seen);
    service_fn(move |request: Request<B>| {
        let seen = Arc::clone(&seen);
        async move {
            let (head, body) = request.into_parts();
            let said = format!("{} {} {}", head.method, head.uri, read(body).await);
            seen.lock().unwrap().push(said);
            let mut response = Response::new(MockBody::full(status.to_string()));
            *response.status_mut() = StatusCode::from_u16(status).unwrap();
            Outcome::Ok(response)
        }
    })
}

fn request(method: Method) -> Request<MockBody> {
    let request = Request::builder().method(method).uri("/cart");
    request.body(MockBody::full("one two")).unwrap()
}

fn marks<B>(response: &Response<B>) -> Vec<String> {
    let marks = response.extensions().get::<Marks>();
    marks.map_or_else(Vec::new, |marks| {
        marks.iter().map(ToString::to_string).collect()
    })
}

#[tokio::test(start_paused = true)]
async fn a_read_below_a_replay_layer_goes_on_with_its_whole_body() {
    let (flag, seen) = (flag(), Seen::default());
    let service = ServiceBuilder::new()
        .layer(ReplayLayer::new())
        .layer(
            FlagLayer::for_http(flag.clone())
                .degraded(answering(200, &seen))
                .fall_through(),
        )
        .service(answering::<ReplayBody<MockBody>>(502, &seen));
    let answer = service.oneshot(request(Method::GET)).await.unwrap();
    assert_eq!(answer.status(), 200);
    assert_eq!(marks(&answer), ["unnamed;tier=degraded;reason=failed"]);
    assert_eq!(read(answer.into_body()).await, "200");
    assert_eq!(*seen.lock().unwrap(), ["GET /cart one two"; 2]);
    assert_eq!(flag.stats().totals.failures, 1);
    assert_eq!(flag.stats().totals.abandoned, 0);
}

#[tokio::test(start_paused = true)]
async fn a_write_that_fails_is_made_once() {
    let (flag, seen) = (flag(), Seen::default());
    let layer = FlagLayer::for_http(flag.clone())
        .degraded(answering(200, &seen))
        .fall_through();
    let service = ServiceBuilder::new()
        .layer(ReplayLayer::new())
        .layer(layer)
        .service(answering::<ReplayBody<MockBody>>(502, &seen));
    let answer = service.oneshot(request(Method::POST)).await.unwrap();
    assert_eq!(answer.status(), 502);
    assert_eq!(read(answer.into_body()).await, "502");
    assert_eq!(*seen.lock().unwrap(), ["POST /cart one two"]);
    assert_eq!(flag.stats().totals.failures, 1);
}

#[tokio::test(start_paused = true)]
async fn with_a_key_it_goes_on_where_the_flag_was_told_that_keys_are_heeded() {
    for (key, heeded, status) in [
        (Some("8e03978e"), true, 200),
        (Some("\"\""), true, 502),
        (None, true, 502),
        (Some("8e03978e"), false, 502),
    ] {
        let seen = Seen::default();
        let mut layer = FlagLayer::for_http(flag())
            .degraded(answering(200, &seen))
            .fall_through();
        if heeded {
            layer = layer.idempotent();
        }
        let service = ServiceBuilder::new()
            .layer(ReplayLayer::new())
            .layer(layer)
            .service(answering::<ReplayBody<MockBody>>(502, &seen));
        let mut request = request(Method::POST);
        if let Some(key) = key {
            let key = key.parse().unwrap();
            request.headers_mut().insert("idempotency-key", key);
        }
        let answer = service.oneshot(request).await.unwrap();
        assert_eq!(answer.status(), status, "{key:?} {heeded}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_body_that_was_not_kept_goes_nowhere_and_the_caller_gets_the_failure() {
    let (flag, seen) = (flag(), Seen::default());
    let service = ServiceBuilder::new()
        .layer(ReplayLayer::new().limit(3))
        .layer(
            FlagLayer::for_http(flag)
                .degraded(answering(200, &seen))
                .fall_through(),
        )
        .service(answering::<ReplayBody<MockBody>>(502, &seen));
    let answer = service.oneshot(request(Method::GET)).await.unwrap();
    assert_eq!(answer.status(), 502);
    assert_eq!(*seen.lock().unwrap(), ["GET /cart one two"]);
}

#[tokio::test(start_paused = true)]
async fn an_open_circuit_further_in_sends_writes_on_and_says_nothing_about_the_feature() {
    let registry = registry();
    let flag = exact_in(&registry).errors(1).build().unwrap();
    let circuit = Circuit::new(&registry.dependency("recs").register().unwrap());
    let seen = Seen::default();
    let service = ServiceBuilder::new()
        .layer(ReplayLayer::new())
        .layer(
            FlagLayer::for_http(flag.clone())
                .degraded(answering_local(&seen))
                .fall_through(),
        )
        .layer(CircuitBreakerLayer::with(circuit.clone()).for_http())
        .service(answering::<ReplayBody<MockBody>>(200, &seen));
    circuit
        .admit()
        .unwrap()
        .settle(Verdict::Trip { open_for: MINUTE });
    for _ in 0..5 {
        let answer = service.clone().oneshot(request(Method::POST)).await;
        let answer = answer.unwrap();
        assert_eq!(answer.status(), 203);
        assert_eq!(
            marks(&answer),
            ["unnamed;tier=degraded;reason=circuit-open"]
        );
        assert!(answer.extensions().get::<Rejected>().is_none());
    }
    assert_eq!(*seen.lock().unwrap(), ["POST"; 5]);
    assert_eq!((flag.state(), flag.stats().totals.failures), (Enabled, 0));
}

/// The answers of a service behind a circuit.
type Guarded = Response<LocalBody<ObservedBody<MockBody, brownout::breaker::Ticket>>>;

fn answering_local(
    seen: &Seen,
) -> impl Service<Request<ReplayBody<MockBody>>, Response = Guarded, Error = TestError, Future: Send>
+ Clone
+ use<> {
    let seen = Arc::clone(seen);
    service_fn(move |request: Request<ReplayBody<MockBody>>| {
        seen.lock().unwrap().push(request.method().to_string());
        let mut response = Response::new(LocalBody::own("simpler"));
        *response.status_mut() = StatusCode::NON_AUTHORITATIVE_INFORMATION;
        std::future::ready(Ok(response))
    })
}

#[tokio::test(start_paused = true)]
async fn a_failed_answer_is_dropped_with_its_body_before_the_degraded_service_is_asked() {
    let (answer, watch): (MockBody, BodyWatch) =
        MockBody::new([body::data("begin"), body::data("end")]).watched();
    let answer = Arc::new(Mutex::new(Some(answer)));
    let inner = service_fn(move |_: Request<String>| {
        let mut response = Response::new(answer.lock().unwrap().take().unwrap());
        *response.status_mut() = StatusCode::BAD_GATEWAY;
        std::future::ready(Outcome::Ok(response))
    });
    let simpler = service_fn(move |request: Request<String>| {
        assert!(watch.dropped());
        let answer = MockBody::full(request.into_body());
        std::future::ready(Outcome::Ok(Response::new(answer)))
    });
    let layer = FlagLayer::for_http(flag())
        .degraded(simpler)
        .fall_through()
        .cloning();
    let request = Request::new("again".to_owned());
    let answer = layer.layer(inner).oneshot(request).await.unwrap();
    assert_eq!(read(answer.into_body()).await, "again");
}

#[tokio::test(start_paused = true)]
async fn an_answer_that_breaks_off_half_way_comes_too_late_to_ask_anybody_else() {
    let (flag, seen) = (flag(), Seen::default());
    let inner = service_fn(|_: Request<String>| {
        let body = MockBody::new([body::data("begin"), body::error(TestError::new("reset"))]);
        std::future::ready(Outcome::Ok(Response::new(body)))
    });
    let layer = FlagLayer::for_http(flag.clone())
        .degraded(answering::<String>(200, &seen))
        .fall_through();
    let empty = Request::new(String::new());
    let answer = layer.layer(inner).oneshot(empty).await.unwrap();
    assert_eq!(read(answer.into_body()).await, "begin");
    assert_eq!(flag.stats().totals.failures, 1);
    assert_eq!(seen.lock().unwrap().len(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_refused_connection_is_found_among_the_sources_of_a_boxed_error() {
    #[derive(Debug)]
    struct Client(std::io::Error);
    impl std::fmt::Display for Client {
        fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            f.write_str("client error")
        }
    }
    impl std::error::Error for Client {
        fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
            Some(&self.0)
        }
    }
    for (kind, goes_on) in [
        (std::io::ErrorKind::ConnectionRefused, true),
        (std::io::ErrorKind::ConnectionReset, false),
    ] {
        let inner = service_fn(move |_: Request<String>| async move {
            Err::<Answer, BoxError>(Client(kind.into()).into())
        });
        let layer = FlagLayer::for_http(flag())
            .degraded(service_fn(|_: Request<String>| async {
                Ok::<_, BoxError>(Response::new(MockBody::empty()))
            }))
            .fall_through()
            .cloning();
        let mut request = Request::new("charge".to_owned());
        *request.method_mut() = Method::POST;
        let answer = layer.layer(inner).oneshot(request).await;
        assert_eq!(answer.is_ok(), goes_on, "{kind:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_refusing_answer_is_no_proof_that_nobody_made_a_write_which_the_service_may_have_made() {
    let refusing = || {
        let off = flag();
        off.configure(brownout::registry::FeatureState::Disabled);
        FlagLayer::for_http(off).layer(answering::<String>(200, &Seen::default()))
    };
    for (method, proof) in [(Method::GET, true), (Method::POST, false)] {
        let inner = refusing().map_response(|mut answer| {
            answer.extensions_mut().remove::<Rejected>();
            answer
        });
        let layer = FlagLayer::for_http(flag())
            .degraded(refusing())
            .fall_through()
            .cloning()
            .idempotent();
        let mut request = Request::new("charge".to_owned());
        *request.method_mut() = method;
        let key = "8e03978e".parse().unwrap();
        request.headers_mut().insert("idempotency-key", key);
        let answer = layer.layer(inner).oneshot(request).await.unwrap();
        assert_eq!(answer.status(), 503);
        assert_eq!(answer.extensions().get::<Rejected>().is_some(), proof);
    }
}
