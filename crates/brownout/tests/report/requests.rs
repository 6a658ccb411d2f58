//! Which requests are the layer's own, and what becomes of all others.

use brownout::report::{Endpoint, HealthLayer};
use brownout_testing::{Behaviour, MockBody, TestError, body::data};
use http::{Method, Request, Response};
use tower::ServiceExt;

use crate::common::{Inner, ask, get, in_front, registry, request, seen};

fn layer() -> HealthLayer {
    HealthLayer::new(&registry())
}

#[tokio::test]
async fn other_methods_are_refused_and_told_which_there_are() {
    let mut methods = vec![
        Method::POST,
        Method::PUT,
        Method::DELETE,
        Method::OPTIONS,
        Method::TRACE,
        Method::PATCH,
        Method::CONNECT,
    ];
    methods.push(Method::from_bytes(b"get").unwrap());
    methods.push(Method::from_bytes(&[b'X'; 4096]).unwrap());
    for uri in ["/livez", "/readyz", "/startupz", "/health"] {
        for method in &methods {
            let answer = ask(&layer(), method.clone(), uri).await;
            assert_eq!((answer.status, &*answer.text), (405, ""), "{method} {uri}");
            assert_eq!(answer.header("allow"), Some("GET, HEAD"));
            assert_eq!(answer.header("cache-control"), Some("no-store"));
            assert_eq!(answer.header("content-length"), Some("0"));
        }
    }
}

#[tokio::test]
async fn all_other_paths_are_passed_on_as_they_are() {
    for uri in [
        "/",
        "*",
        "/livez/",
        "/livezz",
        "/api/livez",
        "//livez",
        "/LIVEZ",
        "/%2Flivez",
        "/livez%",
        "/livez%2",
        "/live%00",
        "/health;a=b",
        "/?/livez",
        "/index.html?path=/health",
        "example.com:443",
    ] {
        for method in [Method::GET, Method::POST, Method::HEAD, Method::CONNECT] {
            let answer = ask(&layer(), method.clone(), uri).await;
            let passed = (answer.status, &*answer.text, answer.headers.len());
            assert_eq!(passed, (200, "inner", 0), "{method} {uri}");
        }
    }
}

#[tokio::test]
async fn a_path_is_the_same_percent_encoded_or_in_absolute_form() {
    for uri in [
        "/%6c%69%76%65%7a",
        "/live%7A",
        "/livez?",
        "/livez?a=b&c",
        "/livez?%00%ff%zz",
        "http://example.com/livez",
        "https://example.com:8443/livez?x",
    ] {
        assert_eq!(
            get(&layer(), uri).await.text,
            r#"{"status":"pass"}"#,
            "{uri}"
        );
    }
}

#[tokio::test]
async fn the_longest_query_there_can_be_is_read() {
    let known = layer().authorise(|_| true);
    let long = "a&".repeat(32_000);
    let answer = get(&known, &format!("/livez?{long}")).await;
    assert_eq!(answer.text, r#"{"status":"pass"}"#);
    let answer = get(&known, &format!("/livez?{long}verbose")).await;
    assert_eq!(answer.text, "[+]process ok\nlivez check passed\n");
    let path = format!("/livez{}", "%7A".repeat(20_000));
    assert_eq!(get(&known, &path).await.text, "inner");
}

#[tokio::test]
async fn requests_and_answers_pass_through_untouched() {
    let (inner, probe) = Inner::with(Behaviour::answer(|call: Request<MockBody>| {
        let mut answer = Response::builder().status(418).header("x-from", "inner");
        if let Some(n) = call.extensions().get::<u32>() {
            answer = answer.header("x-seen", *n);
        }
        Ok(answer.extension(7_u8).body(call.into_body()).unwrap())
    }));
    let service = tower::Layer::layer(&layer(), inner);
    let mut call = request(Method::PUT, "/orders?id=1");
    *call.body_mut() = MockBody::new([data("one "), data("two")]);
    call.extensions_mut().insert(5_u32);
    let answer = service.oneshot(call).await.unwrap();
    assert_eq!(answer.extensions().get::<u8>(), Some(&7));
    let answer = seen(answer).await;
    assert_eq!((answer.status, &*answer.text), (418, "one two"));
    assert_eq!(answer.header("x-from"), Some("inner"));
    assert_eq!(answer.header("x-seen"), Some("5"));
    assert_eq!(answer.headers.len(), 2);
    probe.assert_contract_kept();
}

#[tokio::test]
async fn health_is_answered_without_the_inner_service_even_while_that_is_not_ready() {
    let layer = layer();
    let (service, probe) = in_front(&layer);
    probe.make_pending();
    let answer = service
        .clone()
        .oneshot(request(Method::GET, "/livez"))
        .await;
    assert_eq!(answer.unwrap().status(), 200);
    assert_eq!(probe.counts().calls, 0);

    // Other requests wait, on an instance of their own.
    let waiting = tokio::spawn(service.clone().oneshot(request(Method::GET, "/")));
    tokio::task::yield_now().await;
    assert!(!waiting.is_finished());
    probe.make_ready();
    assert_eq!(seen(waiting.await.unwrap().unwrap()).await.text, "inner");
    probe.assert_contract_kept();
}

#[tokio::test]
async fn an_error_of_readiness_that_comes_while_a_call_waits_is_the_calls() {
    let (service, probe) = in_front(&layer());
    probe.make_pending();
    let waiting = tokio::spawn(service.oneshot(request(Method::GET, "/")));
    tokio::task::yield_now().await;
    probe.fail_readiness(|| TestError::new("gone"));
    let error = waiting.await.unwrap().unwrap_err();
    assert_eq!(error, TestError::new("gone"));
}

#[tokio::test]
async fn endpoints_can_be_moved_and_taken_away() {
    let layer = layer()
        .path(Endpoint::Live, "/internal/alive")
        .unwrap()
        .without(Endpoint::Health);
    assert_eq!(
        get(&layer, "/internal/alive").await.text,
        r#"{"status":"pass"}"#
    );
    for uri in ["/livez", "/health"] {
        assert_eq!(get(&layer, uri).await.text, "inner");
    }
    // What has moved or gone makes room for others.
    let layer = layer.path(Endpoint::Ready, "/livez").unwrap();
    assert_eq!(get(&layer, "/livez").await.text, r#"{"status":"pass"}"#);
    assert_eq!(get(&layer, "/readyz").await.text, "inner");
}

#[test]
fn a_path_that_no_request_could_have_is_refused_by_name() {
    let long = format!("/{}", "x".repeat(256));
    for path in [
        "", "livez", "/a b", "/a?b", "/a#b", "/%61", "/ä", "/a\n", &long,
    ] {
        let error = layer().path(Endpoint::Live, path).unwrap_err();
        assert_eq!(error.field(), "path");
    }
    for taken in ["/readyz", "/startupz", "/health"] {
        let error = layer().path(Endpoint::Live, taken).unwrap_err().to_string();
        assert!(error.ends_with("another endpoint is there"), "{error}");
    }
    assert!(layer().path(Endpoint::Live, "/livez").is_ok());
}
