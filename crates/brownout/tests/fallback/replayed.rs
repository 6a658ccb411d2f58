//! Chains below a replay layer: what tiers get of a request's body.

use std::{
    convert::Infallible,
    future::poll_fn,
    pin::pin,
    sync::{Arc, Mutex},
};

use brownout::{
    core::{Origin, RejectReason, Rejected},
    fallback::{Exhausted, Failed, FallbackLayer, Tier},
    http::{ReplayBody, ReplayLayer},
};
use brownout_testing::{
    MockBody, TestError,
    body::{Step, data, error, pending, trailers},
};
use http::{HeaderMap, Method, Request, Response, StatusCode};
use http_body::Body;
use tokio::time::Instant;
use tower::{Layer, Service, ServiceBuilder, ServiceExt, service_fn};

use crate::common::{search, uncapped, uploads::marks};

type Sent = Request<ReplayBody<MockBody>>;

/// What somebody read of a body until its end or its error.
#[derive(Clone, Debug, Default, PartialEq)]
struct Read {
    data: String,
    trailers: Option<HeaderMap>,
    error: Option<TestError>,
}

/// Who has read what, in order.
#[derive(Clone, Debug, Default)]
struct Readers(Arc<Mutex<Vec<(&'static str, Read)>>>);

impl Readers {
    fn seen(&self) -> Vec<(&'static str, Read)> {
        self.0.lock().unwrap().clone()
    }

    /// A server that reads so many frames of what it is sent, and answers with this status.
    fn server(
        &self,
        name: &'static str,
        frames: usize,
        status: StatusCode,
    ) -> impl Service<Sent, Response = Response<String>, Error = TestError, Future: Send> + Clone + use<>
    {
        let readers = self.clone();
        service_fn(move |request: Sent| {
            let readers = readers.clone();
            async move {
                let read = read(request.into_body(), frames).await;
                readers.0.lock().unwrap().push((name, read));
                let mut response = Response::new(name.to_owned());
                *response.status_mut() = status;
                Ok(response)
            }
        })
    }
}

async fn read(body: ReplayBody<MockBody>, frames: usize) -> Read {
    let mut body = pin!(body);
    let mut read = Read::default();
    for _ in 0..frames {
        let Some(frame) = poll_fn(|cx| body.as_mut().poll_frame(cx)).await else {
            break;
        };
        match frame.map(http_body::Frame::into_data) {
            Ok(Ok(data)) => read.data.push_str(std::str::from_utf8(&data).unwrap()),
            Ok(Err(frame)) => read.trailers = frame.into_trailers().ok(),
            Err(error) => {
                read.error = Some(error);
                break;
            }
        }
    }
    read
}

fn checksum() -> HeaderMap {
    let mut map = HeaderMap::new();
    map.insert("checksum", "7".parse().unwrap());
    map
}

fn steps() -> [Step<TestError>; 5] {
    [
        data("one "),
        pending(),
        data("two "),
        data("three"),
        trailers(checksum()),
    ]
}

fn whole() -> Read {
    Read {
        data: "one two three".to_owned(),
        trailers: Some(checksum()),
        error: None,
    }
}

fn request(method: Method, body: MockBody) -> Request<MockBody> {
    let request = Request::builder().method(method).uri("/cart");
    request.body(body).unwrap()
}

const ALL: usize = usize::MAX;
const BAD: StatusCode = StatusCode::BAD_GATEWAY;

#[tokio::test(start_paused = true)]
async fn each_tier_gets_the_body_byte_for_byte_whatever_those_before_it_have_read() {
    let readers = Readers::default();
    let late = readers.clone();
    let layer = FallbackLayer::for_http()
        .covering(&search())
        .tier(Tier::new("mirror", readers.server("mirror", 1, BAD)))
        .tier(Tier::new("far", readers.server("far", ALL, BAD)))
        .tier(Tier::new("unread", readers.server("unread", 0, BAD)))
        .last("queue", move |f: Failed<Sent>| {
            let readers = late.clone();
            async move {
                let read = read(f.request.into_body(), ALL).await;
                readers.0.lock().unwrap().push(("queue", read));
                Response::new("queued".to_owned())
            }
        })
        .unwrap();
    let service = ServiceBuilder::new()
        .layer(ReplayLayer::new())
        .layer(layer)
        .service(readers.server("primary", ALL, BAD));
    let get = request(Method::GET, MockBody::new(steps()));
    let Ok::<_, Infallible>(answer) = service.oneshot(get).await;
    assert_eq!(marks(&answer), ["search;tier=queue;reason=failed"]);
    let first = Read {
        data: "one two three".to_owned(),
        ..Read::default()
    };
    assert_eq!(
        readers.seen(),
        [
            ("primary", whole()),
            ("mirror", first),
            ("far", whole()),
            ("unread", Read::default()),
            ("queue", whole()),
        ]
    );
}

/// Sends a read whose body is not kept, and says what the primary got of it and how the answer is marked.
async fn not_kept(replay: ReplayLayer, body: MockBody) -> (Read, Vec<String>) {
    let readers = Readers::default();
    let layer = FallbackLayer::for_http()
        .covering(&search())
        .tier(Tier::new("mirror", readers.server("mirror", ALL, BAD)))
        .last_head("cache", |_| async { Response::new("cached".to_owned()) })
        .unwrap();
    let service = replay.layer(layer.layer(readers.server("primary", ALL, BAD)));
    let Ok(answer) = service.oneshot(request(Method::GET, body)).await;
    let seen = readers.seen();
    let [("primary", read)] = seen.as_slice() else {
        panic!("only the primary, and not {seen:?}");
    };
    (read.clone(), marks(&answer))
}

#[tokio::test(start_paused = true)]
async fn a_body_over_the_limit_or_of_unknown_size_reaches_the_primary_and_only_head_tiers_then() {
    let new = ReplayLayer::new;
    let chunked = || {
        MockBody::new(steps())
            .with_unknown_size()
            .with_end_stream(false)
    };
    let cases = [
        (new().limit(12), MockBody::new(steps())),
        (new(), chunked()),
        (new().of_unknown_size().limit(12), chunked()),
    ];
    for (replay, body) in cases {
        let (read, marks) = not_kept(replay, body).await;
        assert_eq!(read, whole());
        assert_eq!(marks, ["search;tier=cache;reason=failed;head-only"]);
    }
}

#[tokio::test(start_paused = true)]
async fn a_body_that_breaks_off_shows_its_error_to_the_primary_and_is_never_taken_for_whole() {
    let size = http_body::SizeHint::with_exact(13);
    let body = MockBody::new([data("one "), error(TestError::new("reset"))]).with_size_hint(size);
    let (read, marks) = not_kept(ReplayLayer::new(), body).await;
    assert_eq!(read.data, "one ");
    assert_eq!(read.error, Some(TestError::new("reset")));
    assert_eq!(marks, ["search;tier=cache;reason=failed;head-only"]);
}

#[tokio::test(start_paused = true)]
async fn what_the_limit_just_holds_is_kept_also_where_its_size_was_not_known() {
    let chunked = MockBody::new(steps())
        .with_unknown_size()
        .with_end_stream(false);
    let cases = [
        (ReplayLayer::new().limit(13), MockBody::new(steps())),
        (ReplayLayer::new().of_unknown_size().limit(13), chunked),
        (ReplayLayer::new().limit(0), MockBody::empty()),
    ];
    for (n, (replay, body)) in cases.into_iter().enumerate() {
        let readers = Readers::default();
        let layer = FallbackLayer::for_http()
            .tier(Tier::new(
                "mirror",
                readers.server("mirror", ALL, StatusCode::OK),
            ))
            .build()
            .unwrap();
        let service = replay.layer(layer.layer(readers.server("primary", ALL, BAD)));
        let answer = service.oneshot(request(Method::GET, body)).await.unwrap();
        assert_eq!(answer.status(), StatusCode::OK, "case {n}");
        let seen = readers.seen();
        assert_eq!(seen[0].1, seen[1].1);
        let expected = if n == 2 { Read::default() } else { whole() };
        assert_eq!(seen[1].1, expected, "case {n}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_write_takes_its_body_along_where_it_was_refused_or_carries_a_key() {
    let readers = Readers::default();
    let layer = FallbackLayer::for_http()
        .idempotent()
        .tier(Tier::new(
            "mirror",
            readers.server("mirror", ALL, StatusCode::OK),
        ))
        .build()
        .unwrap();
    let refusal = Rejected::new(
        Origin::new(&search(), Instant::now()),
        RejectReason::CircuitOpen,
        None,
    );
    let refusing = service_fn(move |_: Sent| {
        let mut response = Response::new("refused".to_owned());
        *response.status_mut() = StatusCode::SERVICE_UNAVAILABLE;
        response.extensions_mut().insert(refusal.clone());
        std::future::ready(Ok::<_, TestError>(response))
    });
    let post = || request(Method::POST, MockBody::new(steps()));
    let service = ReplayLayer::new().layer(layer.layer(refusing));
    let answer = service.oneshot(post()).await.unwrap();
    assert_eq!(answer.status(), StatusCode::OK);
    assert_eq!(readers.seen(), [("mirror", whole())]);
    let service = ReplayLayer::new().layer(layer.layer(readers.server("primary", 1, BAD)));
    let mut with_key = post();
    let key = "k-1".parse().unwrap();
    with_key.headers_mut().insert("idempotency-key", key);
    let answer = service.clone().oneshot(with_key).await.unwrap();
    assert_eq!(answer.status(), StatusCode::OK);
    assert_eq!(readers.seen()[2], ("mirror", whole()));
    let answer = service.oneshot(post()).await.unwrap();
    assert_eq!(answer.status(), BAD);
    assert_eq!(readers.seen().len(), 4);
}

#[tokio::test(start_paused = true)]
async fn an_exercised_tier_that_has_read_the_body_leaves_it_whole_to_the_primary() {
    let readers = Readers::default();
    let layer = FallbackLayer::for_http()
        .covering(&search())
        .exercise(uncapped(1.0))
        .tier(Tier::new("mirror", readers.server("mirror", ALL, BAD)))
        .build()
        .unwrap();
    let primary = readers.server("primary", ALL, StatusCode::OK);
    let service = ReplayLayer::new().layer(layer.layer(primary));
    let get = request(Method::GET, MockBody::new(steps()));
    let answer = service.oneshot(get).await.unwrap();
    assert_eq!(answer.status(), StatusCode::OK);
    assert!(marks(&answer).is_empty());
    assert_eq!(readers.seen(), [("mirror", whole()), ("primary", whole())]);
}

#[tokio::test(start_paused = true)]
async fn where_nobody_can_be_asked_without_the_body_the_list_says_why() {
    let readers = Readers::default();
    let layer = FallbackLayer::for_http()
        .tier(Tier::new("mirror", readers.server("mirror", ALL, BAD)))
        .exhausted_answers()
        .build()
        .unwrap();
    let service = ReplayLayer::new()
        .limit(4)
        .layer(layer.layer(readers.server("primary", ALL, BAD)));
    let get = request(Method::GET, MockBody::new(steps()));
    let Ok(answer) = service.oneshot(get).await;
    let exhausted = answer.extensions().get::<Exhausted>().unwrap();
    assert!(
        exhausted
            .to_string()
            .ends_with("mirror body-not-kept (skipped: the request's body was not kept)"),
        "{exhausted}"
    );
}
