//! Aggregates in front of HTTP services.

use std::convert::Infallible;

use brownout::{
    Registry,
    aggregate::{AggregateLayer, PartKey, PartValues, RequiredPart},
    core::{Marks, Origin, RejectReason, Rejected},
    http::LocalBody,
    registry::{DegradationLevel, Order},
};
use http::{Request, Response, StatusCode};
use tokio::time::Instant;
use tower::{Layer, Service, ServiceExt, service_fn};

use crate::common::{A, B, C, down, ms, probe, slow};

/// A path and a body that nobody can clone.
#[derive(Debug, PartialEq)]
struct Body(&'static str);

fn get(path: &'static str) -> Request<Body> {
    Request::get(path).body(Body("kept")).unwrap()
}

fn length(head: &http::request::Parts) -> u32 {
    u32::try_from(head.uri.path().len()).unwrap()
}

#[tokio::test]
async fn parts_see_the_head_and_the_service_finds_them_in_the_requests_extensions() {
    let service = AggregateLayer::for_http()
        .part(A, probe().0)
        .asking(length)
        .optional(B, down("gone").0)
        .asking(length)
        .build()
        .unwrap()
        .layer(service_fn(|request: Request<Body>| async move {
            assert_eq!(request.uri().path(), "/users");
            let parts: &PartValues = request.extensions().get().unwrap();
            assert_eq!(parts.value::<A>(), Ok(6));
            assert!(parts.outcome::<B>().unwrap().is_missing());
            assert_eq!(parts.failed().iter().count(), 1);
            Ok::<_, Infallible>(Response::new(request.into_body()))
        }));
    let Ok(response) = service.oneshot(get("/users")).await;
    match response.into_body() {
        LocalBody::Inner(body) => assert_eq!(body, Body("kept")),
        LocalBody::Own(_) => panic!("the answer is the service's own"),
    }
}

#[tokio::test]
async fn each_part_is_taken_once_and_as_what_it_was_declared() {
    let service = AggregateLayer::for_http()
        .part(A, probe().0)
        .asking(length)
        .optional(B, probe().0)
        .asking(length)
        .build()
        .unwrap()
        .layer(service_fn(|request: Request<Body>| async move {
            let parts: PartValues = request.extensions().get().cloned().unwrap();
            let text = |error: &dyn std::fmt::Display| error.to_string();
            // Asked for wrongly, nothing is lost.
            let error = parts.outcome::<A>().unwrap_err();
            assert!(text(&error).starts_with("the part `a` is declared otherwise"));
            assert!(parts.value::<B>().is_err());
            assert_eq!(parts.value::<A>(), Ok(1));
            let error = parts.value::<A>().unwrap_err();
            assert_eq!(text(&error), "the part `a` has been taken before");
            assert_eq!(parts.outcome::<B>().unwrap().into_value(), Some(1));
            let error = parts.outcome::<C>().unwrap_err();
            assert_eq!(error.part(), "c");
            assert_eq!(
                text(&error),
                "no aggregate in front of this service declares the part `c`"
            );
            Ok::<_, Infallible>(Response::new(()))
        }));
    let Ok(response) = service.oneshot(get("/")).await;
    assert_eq!(response.status(), 200);
}

#[tokio::test]
async fn a_part_without_a_closure_is_asked_with_the_head() {
    struct Path;
    impl PartKey for Path {
        type Value = String;
        const NAME: &'static str = "path";
    }
    let echo = service_fn(|head: http::request::Parts| async move {
        Ok::<_, Infallible>(head.uri.to_string())
    });
    let service = AggregateLayer::for_http()
        .part(Path, echo)
        .build()
        .unwrap()
        .layer(service_fn(|request: Request<Body>| async move {
            let parts: &PartValues = request.extensions().get().unwrap();
            Ok::<_, Infallible>(Response::new(parts.value::<Path>().unwrap()))
        }));
    let Ok(response) = service.oneshot(get("/users?x=1")).await;
    assert!(matches!(response.into_body(), LocalBody::Inner(path) if path == "/users?x=1"));
}

async fn fine(_: Request<Body>) -> Result<Response<Body>, Infallible> {
    Ok(Response::new(Body("fine")))
}

#[tokio::test]
async fn a_missing_required_part_is_a_503_that_tells_strangers_little() {
    let registry = Registry::new();
    let users = registry
        .dependency("pg-users")
        .public_name("users")
        .register()
        .unwrap();
    let service = AggregateLayer::for_http()
        .part(A, down("10.0.0.7 said no").0)
        .asking(length)
        .covering(&users)
        .build()
        .unwrap()
        .layer(service_fn(fine));
    let Ok(response) = service.oneshot(get("/")).await;
    assert_eq!(response.status(), StatusCode::SERVICE_UNAVAILABLE);
    let headers = response.headers();
    assert_eq!(headers["content-type"], "application/problem+json");
    assert_eq!(headers["cache-control"], "no-store");
    assert!(headers.get("retry-after").is_none(), "nobody knows");
    let missing: &RequiredPart = response.extensions().get().unwrap();
    assert_eq!(
        (missing.name(), missing.cause().text()),
        ("a", "10.0.0.7 said no")
    );
    // Other parts may have done something: it is no proof that nothing was sent.
    assert!(response.extensions().get::<Rejected>().is_none());
    let LocalBody::Own(Some(body)) = response.into_body() else {
        panic!("a problem document");
    };
    assert_eq!(
        std::str::from_utf8(&body).unwrap(),
        r#"{"type":"urn:brownout:required-part","title":"Required part missing","status":503,"detail":"users is not available at the moment","dependency":"users"}"#
    );
}

#[tokio::test(start_paused = true)]
async fn a_refused_required_part_says_when_to_try_again() {
    let refuses = service_fn(|_: u32| async {
        let ledger = Registry::new().dependency("ledger").register().unwrap();
        let origin = Origin::new(&ledger, Instant::now());
        Err::<u32, _>(Rejected::new(
            origin,
            RejectReason::CircuitOpen,
            Some(ms(9_100)),
        ))
    });
    let service = AggregateLayer::for_http()
        .part(A, refuses)
        .asking(length)
        .build()
        .unwrap()
        .layer(service_fn(fine));
    let Ok(response) = service.oneshot(get("/")).await;
    let after: u64 = response.headers()["retry-after"]
        .to_str()
        .unwrap()
        .parse()
        .unwrap();
    assert!((10..=12).contains(&after), "{after}");
}

#[tokio::test(start_paused = true)]
async fn a_partial_answer_is_marked_with_what_it_lacks_and_a_whole_one_is_not() {
    let registry = Registry::new();
    let recs = registry
        .dependency("recs-db")
        .public_name("recommendations")
        .register()
        .unwrap();
    let order = Order::new("kim", "drill", ms(60_000));
    registry
        .override_level(DegradationLevel::Reduced, order)
        .unwrap();
    let (flaky, handle) = probe();
    let mut service = AggregateLayer::for_http()
        .optional(A, slow(1, 500).0)
        .asking(length)
        .timeout(ms(100))
        .covering(&recs)
        .optional(B, flaky)
        .asking(length)
        .or(7)
        .covering(&recs)
        .optional(C, down("x").0)
        .asking(length)
        .build()
        .unwrap()
        .layer(service_fn(fine));
    handle.next(crate::common::failing("x"));
    let Ok(response) = service.ready().await.unwrap().call(get("/")).await;
    let marks: &Marks = response.extensions().get().unwrap();
    let marks: Vec<_> = marks.iter().collect();
    let told: Vec<_> = marks.iter().map(ToString::to_string).collect();
    let expected = [
        "recommendations;reason=timed-out",
        "recommendations;tier=fallback;reason=failed",
        "unnamed;reason=failed",
    ];
    assert_eq!(told, expected);
    assert_eq!(marks[0].level, DegradationLevel::Reduced);
    assert!(marks[2].dependency.is_none());

    let service = AggregateLayer::for_http()
        .part(A, probe().0)
        .asking(length)
        .build()
        .unwrap()
        .layer(service_fn(fine));
    let Ok(response) = service.oneshot(get("/")).await;
    assert!(response.extensions().get::<Marks>().is_none());
}

#[tokio::test]
async fn marks_are_added_to_those_that_are_there() {
    let marked = service_fn(|_: Request<Body>| async {
        let mut response = Response::new(Body("fine"));
        let part = brownout::aggregate::AggregateLayer::for_results::<u32>()
            .optional(C, down("x").0)
            .into_service()
            .unwrap();
        let mut marks = Marks::default();
        for part in part.oneshot(1).await.unwrap().failed() {
            marks.push(part.mark());
        }
        response.extensions_mut().insert(marks);
        Ok::<_, Infallible>(response)
    });
    let service = AggregateLayer::for_http()
        .optional(A, down("x").0)
        .asking(length)
        .build()
        .unwrap()
        .layer(marked);
    let Ok(response) = service.oneshot(get("/")).await;
    assert_eq!(
        response.extensions().get::<Marks>().unwrap().iter().count(),
        2
    );
}

#[tokio::test]
async fn of_two_aggregates_one_behind_the_other_the_service_finds_all_parts() {
    let outer = AggregateLayer::for_http()
        .part(A, probe().0)
        .asking(length)
        .optional(B, down("x").0)
        .asking(length)
        .build()
        .unwrap();
    let inner = AggregateLayer::for_http()
        .optional(C, down("y").0)
        .asking(length)
        .build()
        .unwrap();
    let handler = service_fn(|request: Request<Body>| async move {
        let parts: &PartValues = request.extensions().get().unwrap();
        assert_eq!(parts.value::<A>(), Ok(1));
        assert!(parts.outcome::<B>().is_ok() && parts.outcome::<C>().is_ok());
        let failed: String = parts
            .failed()
            .iter()
            .map(brownout::aggregate::FailedPart::name)
            .collect();
        assert_eq!(failed, "bc");
        fine(request).await
    });
    let Ok(response) = outer.layer(inner.layer(handler)).oneshot(get("/")).await;
    assert_eq!(response.status(), 200);
}

#[cfg(feature = "grpc")]
#[tokio::test]
async fn on_grpc_a_missing_required_part_is_unavailable() {
    let service = AggregateLayer::for_grpc()
        .part(A, down("x").0)
        .asking(length)
        .build()
        .unwrap()
        .layer(service_fn(fine));
    let Ok(response) = service.oneshot(get("/")).await;
    assert_eq!(response.status(), 200);
    assert_eq!(response.headers()["grpc-status"], "14");
    assert_eq!(response.headers()["grpc-message"], "Required part missing");
    assert!(response.extensions().get::<RequiredPart>().is_some());
}
