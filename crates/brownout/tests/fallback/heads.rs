//! Tiers that answer from a request's head alone, where its body was not kept.

use std::convert::Infallible;

use brownout::{
    core::{BoxError, Origin, RejectReason, Rejected},
    fallback::{CauseKind, Exhausted, Failed, FallbackLayer, Tier},
    registry::Status,
};
use brownout_testing::{Behaviour, ProbeService, TestError};
use bytes::Bytes;
use http::{Method, Request, Response, StatusCode};
use http_body_util::Full;
use tokio::time::Instant;
use tower::{Layer, service_fn};

use crate::common::{
    SECOND, impose, ms, search, uncapped,
    uploads::{Upload, bad, broken, marks, request, server, text},
    view,
};

#[tokio::test(start_paused = true)]
async fn a_head_tier_answers_where_the_body_was_not_kept_and_its_mark_says_so() {
    let (mirror, seen) = server();
    let layer = FallbackLayer::for_http()
        .covering(&search())
        .tier(Tier::new("mirror", mirror))
        .head_tier_fn("cache", |f| async move {
            let path = f.request.uri().path();
            Ok::<_, TestError>(Response::new(format!("cached {path}")))
        })
        .build()
        .unwrap();
    let service = layer.layer(bad());
    let answer = service
        .clone()
        .oneshot(request(Method::GET, "a query"))
        .await
        .unwrap();
    assert_eq!(
        marks(&answer),
        ["search;tier=cache;reason=failed;head-only"]
    );
    assert_eq!(text(answer).await, "cached /users/7");
    assert_eq!(seen.counts().ready_polls, 0);
    let answer = service.oneshot(request(Method::GET, "")).await.unwrap();
    assert_eq!(marks(&answer), ["search;tier=mirror;reason=failed"]);
}

#[tokio::test(start_paused = true)]
async fn a_head_tier_is_given_the_whole_head() {
    let layer = FallbackLayer::for_http()
        .last_head("cache", |f: Failed<Request<()>>| async move {
            assert_eq!(f.request.method(), Method::GET);
            assert_eq!(f.request.uri(), "/users/7?full");
            assert_eq!(f.request.version(), http::Version::HTTP_2);
            assert_eq!(f.request.headers()["x-id"], "7");
            assert_eq!(f.request.extensions().get::<u8>(), Some(&3));
            assert_eq!(f.cause().kind(), CauseKind::Failed);
            Response::new("cached".to_owned())
        })
        .unwrap();
    let mut request = request(Method::GET, "a query");
    *request.version_mut() = http::Version::HTTP_2;
    request.extensions_mut().insert(3_u8);
    let Ok::<_, Infallible>(answer) = layer.layer(bad()).oneshot(request).await;
    assert_eq!(text(answer).await, "cached");
}

#[tokio::test(start_paused = true)]
async fn heads_and_whole_requests_are_asked_in_the_order_in_which_they_were_given() {
    for (body, asked) in [("", 1), ("a query", 0)] {
        let (head, one) = ProbeService::<Request<()>, Response<String>, TestError>::new(|_| {
            Err(TestError::new("miss"))
        });
        let (mirror, two) = broken(StatusCode::GATEWAY_TIMEOUT);
        let layer = FallbackLayer::for_http()
            .head_tier(Tier::new("memory", head.clone()))
            .tier(Tier::new("mirror", mirror))
            .head_tier(Tier::new("disk", head))
            .tier_fn("far", |_: Failed<Upload>| async {
                Err::<Response<Full<Bytes>>, _>(BoxError::from("too far"))
            })
            .exhausted_answers()
            .build()
            .unwrap();
        let Ok(answer) = layer.layer(bad()).oneshot(request(Method::GET, body)).await;
        assert_eq!(answer.status(), StatusCode::SERVICE_UNAVAILABLE);
        let exhausted = answer.extensions().get::<Exhausted>().unwrap();
        let told: Vec<_> = exhausted
            .failures()
            .map(|f| (f.tier(), f.cause().kind(), f.elapsed().is_some()))
            .collect();
        let (kind, timed) = match body {
            "" => (CauseKind::Failed, true),
            _ => (CauseKind::BodyNotKept, false),
        };
        assert_eq!(
            told,
            [
                ("primary", CauseKind::Failed, true),
                ("memory", CauseKind::Failed, true),
                ("mirror", kind, timed),
                ("disk", CauseKind::Failed, true),
                ("far", kind, timed),
            ]
        );
        assert_eq!((one.counts().calls, two.counts().calls), (2, asked));
        one.assert_contract_kept();
    }
}

#[tokio::test(start_paused = true)]
async fn where_nobody_better_was_passed_over_an_answer_is_not_head_only() {
    let layer = FallbackLayer::for_http()
        .covering(&search())
        .last_head("cache", |_| async { Response::new("cached".to_owned()) })
        .unwrap();
    let Ok(answer) = layer
        .layer(bad())
        .oneshot(request(Method::GET, "a query"))
        .await;
    assert_eq!(marks(&answer), ["search;tier=cache;reason=failed"]);
}

#[tokio::test(start_paused = true)]
async fn a_last_tier_of_heads_answers_what_one_of_whole_requests_cannot() {
    let whole = FallbackLayer::for_http()
        .last("cache", |_: Failed<Upload>| async {
            Response::new("cached".to_owned())
        })
        .unwrap();
    let head = FallbackLayer::for_http()
        .tier(Tier::new("mirror", server().0))
        .last_head("cache", |_| async { Response::new("cached".to_owned()) })
        .unwrap();
    let get = || request(Method::GET, "a query");
    let Ok(answer) = whole.layer(bad()).oneshot(get()).await;
    assert_eq!(answer.status(), StatusCode::BAD_GATEWAY);
    assert_eq!(text(answer).await, "broken");
    let Ok(answer) = head.layer(bad()).oneshot(get()).await;
    assert_eq!(answer.status(), StatusCode::OK);
    assert_eq!(
        marks(&answer),
        ["unnamed;tier=cache;reason=failed;head-only"]
    );
    // An error where even heads are not let through is a 503.
    let primary = service_fn(|_: Upload| async { Err::<Response<Full<Bytes>>, _>("reset") });
    let Ok(answer) = head
        .layer(primary)
        .oneshot(request(Method::POST, "a write"))
        .await;
    assert_eq!(answer.status(), StatusCode::SERVICE_UNAVAILABLE);
}

#[tokio::test(start_paused = true)]
async fn a_body_that_was_given_to_nobody_goes_to_the_first_whole_tier_and_to_no_other() {
    let (primary, inner) = server();
    inner.fail_readiness(|| TestError::new("gone"));
    let (mirror, seen) = server();
    let layer = FallbackLayer::for_http()
        .covering(&search())
        .head_tier_fn("memory", |_| async {
            Err::<Response<String>, _>("miss, and not sent").map_err(|_| BoxError::from("miss"))
        })
        .tier(Tier::new("mirror", mirror))
        .tier(Tier::new("far", server().0))
        .build()
        .unwrap();
    let service = layer.layer(primary);
    let get = || request(Method::GET, "an upload");
    let answer = service.clone().oneshot(get()).await.unwrap();
    assert_eq!(text(answer).await, "an upload");
    // The mirror has it now, and with it the last copy.
    seen.next(Behaviour::answer(|_| Err(TestError::new("reset"))));
    let error = service.oneshot(get()).await;
    let answer = error.unwrap();
    let exhausted = answer.extensions().get::<Exhausted>().unwrap();
    let last = exhausted.failures().last().unwrap();
    assert_eq!(
        (last.tier(), last.cause().kind()),
        ("far", CauseKind::BodyNotKept)
    );
}

#[tokio::test(start_paused = true)]
async fn a_tier_that_is_passed_over_takes_no_body_with_it() {
    for unhealthy in [false, true] {
        let search = search();
        let registry = search.registry();
        let mirror = registry.dependency("mirror").register().unwrap();
        let (primary, inner) = server();
        inner.fail_readiness(|| TestError::new("gone"));
        let layer = FallbackLayer::for_http()
            .covering(&search)
            .tier_stands_for("mirror", &mirror)
            .tier(Tier::new("mirror", server().0))
            .tier(Tier::new("far", server().0))
            .build()
            .unwrap();
        if unhealthy {
            impose(&mirror, Status::Unhealthy);
        } else {
            layer.chain().switch_off("mirror").unwrap();
        }
        let post = request(Method::POST, "an upload");
        let answer = layer.layer(primary).oneshot(post).await.unwrap();
        assert_eq!(marks(&answer), ["search;tier=far;reason=not-ready"]);
        assert_eq!(text(answer).await, "an upload");
    }
}

#[tokio::test(start_paused = true)]
async fn a_write_gets_to_a_head_tier_by_the_rules_for_writes() {
    let refusal = Rejected::new(
        Origin::new(&search(), Instant::now()),
        RejectReason::CircuitOpen,
        None,
    );
    let chain = || FallbackLayer::for_http();
    let cached = |_: Failed<Request<()>>| async { Response::new("queued".to_owned()) };
    let strict = chain().last_head("queue", cached).unwrap();
    let keyed = chain().idempotent().last_head("queue", cached).unwrap();
    let post = || request(Method::POST, "an order");
    let mut with_key = post();
    let key = "k-1".parse().unwrap();
    with_key.headers_mut().insert("idempotency-key", key);
    let Ok(sent) = strict.layer(bad()).oneshot(post()).await;
    assert_eq!(sent.status(), StatusCode::BAD_GATEWAY);
    let Ok(without_key) = keyed.layer(bad()).oneshot(post()).await;
    assert_eq!(without_key.status(), StatusCode::BAD_GATEWAY);
    let Ok(with_key) = keyed.layer(bad()).oneshot(with_key).await;
    assert_eq!(text(with_key).await, "queued");
    let refusing = service_fn(move |_: Upload| {
        let mut response = Response::new(Full::from(""));
        *response.status_mut() = StatusCode::SERVICE_UNAVAILABLE;
        response.extensions_mut().insert(refusal.clone());
        std::future::ready(Ok::<_, Infallible>(response))
    });
    let Ok(refused) = strict.layer(refusing).oneshot(post()).await;
    assert_eq!(text(refused).await, "queued");
}

#[tokio::test(start_paused = true)]
async fn a_head_tier_has_its_readiness_its_timeout_its_switch_and_its_health_as_any_other() {
    let (head, inner) =
        ProbeService::<Request<()>, Response<String>, TestError>::with(Behaviour::hang());
    let layer = FallbackLayer::for_http()
        .within(SECOND)
        .head_tier(Tier::new("memory", head).timeout(ms(40)))
        .last_head("empty", |_| async { Response::new("empty".to_owned()) })
        .unwrap();
    let chain = layer.chain();
    let service = layer.layer(bad());
    for off in [false, true] {
        if off {
            chain.switch_off("memory").unwrap();
        }
        let start = Instant::now();
        let get = request(Method::GET, "a query");
        let Ok(answer) = service.clone().oneshot(get).await;
        assert_eq!(text(answer).await, "empty");
        assert_eq!(start.elapsed(), ms(if off { 0 } else { 40 }));
        assert_eq!(view(&chain, "memory").failed(), 1);
        assert_eq!(inner.counts().calls, 1);
    }
}

#[tokio::test(start_paused = true)]
async fn an_exercise_that_would_need_the_body_leaves_it_to_the_primary() {
    let get = || request(Method::GET, "a query");
    let last = FallbackLayer::for_http()
        .covering(&search())
        .exercise(uncapped(1.0))
        .last("cache", |_: Failed<Upload>| async {
            Response::new("cached".to_owned())
        })
        .unwrap();
    let Ok(answer) = last.layer(server().0).oneshot(get()).await;
    assert_eq!(answer.status(), StatusCode::OK);
    assert_eq!(text(answer).await, "a query");
    let first = FallbackLayer::for_http()
        .covering(&search())
        .exercise(uncapped(1.0))
        .tier(Tier::new("mirror", bad()))
        .last_head("cache", |_| async { Response::new("cached".to_owned()) })
        .unwrap();
    let Ok(answer) = first.layer(server().0).oneshot(get()).await;
    assert_eq!(text(answer).await, "a query");
    assert_eq!(view(&first.chain(), "mirror").failed(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_head_tier_is_exercised_with_any_body_and_a_write_never() {
    let layer = FallbackLayer::for_http()
        .idempotent()
        .covering(&search())
        .exercise(uncapped(1.0))
        .last_head("cache", |_| async { Response::new("cached".to_owned()) })
        .unwrap();
    for (method, exercised) in [
        (Method::GET, true),
        (Method::HEAD, true),
        (Method::POST, false),
        (Method::PUT, false),
        (Method::DELETE, false),
    ] {
        let mut request = request(method.clone(), "a query");
        let key = "k-1".parse().unwrap();
        request.headers_mut().insert("idempotency-key", key);
        let Ok(answer) = layer.layer(server().0).oneshot(request).await;
        let marked = marks(&answer) == ["search;tier=cache;reason=exercise"];
        assert_eq!(marked, exercised, "{method}");
        let body = text(answer).await;
        assert_eq!(body, if exercised { "cached" } else { "a query" });
    }
}
