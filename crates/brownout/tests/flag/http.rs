//! Flags in front of HTTP services: how calls are judged, what refusals look like, how answers are marked.

use brownout::{
    breaker::{Circuit, CircuitBreakerLayer},
    core::{Marks, Rejected, Verdict},
    flag::{Flag, FlagLayer},
    http::LocalBody,
    registry::FeatureState::{Degraded, Disabled, Enabled},
};
use brownout_testing::{MockBody, TestError, body};
use http::{Request, Response, StatusCode, header};
use http_body::Body;
use tokio::time::advance;
use tower::{Layer, Service, ServiceBuilder, ServiceExt, service_fn};

use crate::common::{MINUTE, SECOND, TTL, exact, exact_in, flag, registry, trip};

type Answer = Response<MockBody>;
type Asked = Request<()>;

fn answering(
    status: u16,
) -> impl Service<
    Asked,
    Response = Answer,
    Error = TestError,
    Future = std::future::Ready<Result<Answer, TestError>>,
> + Clone {
    service_fn(move |_: Asked| {
        let mut response = Response::new(MockBody::empty());
        *response.status_mut() = StatusCode::from_u16(status).unwrap();
        std::future::ready(Ok(response))
    })
}

fn public(flag: &str) -> Flag {
    exact().public_name(flag).build().unwrap()
}

#[tokio::test(start_paused = true)]
async fn server_errors_count_and_client_errors_say_nothing() {
    for (status, expected) in [
        (503, Degraded),
        (500, Degraded),
        (404, Enabled),
        (429, Enabled),
        (200, Enabled),
    ] {
        let flag = flag();
        let mut service = FlagLayer::for_http(flag.clone()).layer(answering(status));
        for _ in 0..10 {
            let _ = service.ready().await.unwrap().call(Request::new(())).await;
        }
        assert_eq!(flag.state(), expected, "after {status}");
    }
}

#[tokio::test(start_paused = true)]
async fn an_answer_that_breaks_off_half_way_is_a_failure_and_a_whole_one_a_success() {
    let flag = flag();
    let service = service_fn(|request: Request<bool>| {
        let broken = *request.body();
        let end = if broken {
            body::error(TestError::new("reset"))
        } else {
            body::data("end")
        };
        let answer = Response::new(MockBody::new([body::data("begin"), end]));
        std::future::ready(Ok::<_, TestError>(answer))
    });
    let service = FlagLayer::for_http(flag.clone()).layer(service);
    for (broken, failures, successes) in [(true, 1, 0), (false, 1, 1)] {
        let answer = service.clone().oneshot(Request::new(broken)).await.unwrap();
        let mut answer = std::pin::pin!(answer.into_body());
        while let Some(Ok(_)) = std::future::poll_fn(|cx| answer.as_mut().poll_frame(cx)).await {}
        let totals = flag.stats().totals;
        assert_eq!((totals.failures, totals.successes), (failures, successes));
    }
}

#[tokio::test(start_paused = true)]
async fn refusals_of_a_circuit_further_in_say_nothing_about_the_feature() {
    // The circuit's own trouble is the circuit's: a flag that counted it would keep away the traffic with which the
    // circuit finds out about recovery.
    let registry = registry();
    let flag = exact_in(&registry).errors(6).build().unwrap();
    let circuit = Circuit::new(&registry.dependency("recs").register().unwrap());
    let mut service = ServiceBuilder::new()
        .layer(FlagLayer::for_http(flag.clone()))
        .layer(CircuitBreakerLayer::with(circuit.clone()).for_http())
        .service(answering(500));
    for _ in 0..100 {
        let _ = service.ready().await.unwrap().call(Request::new(())).await;
    }
    assert!(circuit.admit().is_err());
    assert_eq!(flag.state(), Enabled);
    assert_eq!(flag.stats().totals.failures, 5);
    assert_eq!(flag.stats().totals.neutral, 95);
}

#[tokio::test(start_paused = true)]
async fn a_refusal_is_a_503_with_a_problem_document() {
    let flag = public("recommendations");
    let service = FlagLayer::for_http(flag.clone()).layer(answering(200));
    flag.configure(Disabled);
    let off = service.clone().oneshot(Request::new(())).await.unwrap();
    flag.configure(Enabled);
    trip(&flag);
    let stepped_back = service.oneshot(Request::new(())).await.unwrap();
    let texts = [
        (off, "disabled", None),
        (stepped_back, "degraded", Some(300..=360)),
    ];
    for (response, state, retry_after) in texts {
        assert_eq!(response.status(), StatusCode::SERVICE_UNAVAILABLE);
        let headers = response.headers();
        assert_eq!(headers[header::CONTENT_TYPE], "application/problem+json");
        let seconds = headers.get(header::RETRY_AFTER);
        let seconds: Option<u64> = seconds.map(|value| value.to_str().unwrap().parse().unwrap());
        assert_eq!(seconds.is_some(), retry_after.is_some());
        assert!(seconds.is_none_or(|seconds| retry_after.unwrap().contains(&seconds)));
        assert_eq!(
            response
                .extensions()
                .get::<Rejected>()
                .unwrap()
                .dependency(),
            "ml_recs"
        );
        let LocalBody::Own(Some(bytes)) = response.into_body() else {
            panic!("not an answer of our own");
        };
        assert_eq!(
            bytes,
            format!(
                r#"{{"type":"urn:brownout:flag-{state}","title":"Feature {state}","status":503,"detail":"recommendations is not available at the moment","dependency":"recommendations"}}"#
            )
        );
    }
}

#[tokio::test(start_paused = true)]
async fn answers_of_whoever_stands_in_are_marked_and_others_are_not() {
    for (flag, name) in [
        (public("recommendations"), "recommendations"),
        (flag(), "unnamed"),
    ] {
        let layer = FlagLayer::for_http(flag.clone())
            .degraded(answering(200))
            .disabled(answering(204));
        let service = layer.layer(answering(201));
        for (state, status, mark) in [
            (Enabled, 201, None),
            (Degraded, 200, Some("tier=degraded;reason=flag-degraded")),
            (Disabled, 204, Some("tier=disabled;reason=flag-disabled")),
        ] {
            flag.configure(state);
            let response = service.clone().oneshot(Request::new(())).await.unwrap();
            assert_eq!(response.status(), status);
            let marks = response.extensions().get::<Marks>();
            let marks = marks.map(|marks| marks.iter().map(ToString::to_string).collect());
            let expected = mark.map(|mark| vec![format!("{name};{mark}")]);
            assert_eq!(marks, expected);
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_flag_without_a_public_name_has_that_of_its_dependency() {
    let registry = registry();
    let named = registry.dependency("recs-7.internal").public_name("recs");
    let flag = exact_in(&registry).dependency(&named.register().unwrap());
    let flag = flag.configured(Degraded).build().unwrap();
    let service = FlagLayer::for_http(flag).layer(answering(200));
    let response = service.oneshot(Request::new(())).await.unwrap();
    let rejected = response.extensions().get::<Rejected>().unwrap();
    assert_eq!(
        (rejected.dependency(), rejected.public_name()),
        ("ml_recs", Some("recs"))
    );
}

#[tokio::test(start_paused = true)]
async fn a_failing_answer_of_whoever_stands_in_is_passed_on_and_counts_for_nothing() {
    let flag = exact().errors(1).build().unwrap();
    flag.configure(Degraded);
    let layer = FlagLayer::for_http(flag.clone()).degraded(answering(500));
    let response = layer
        .layer(answering(200))
        .oneshot(Request::new(()))
        .await
        .unwrap();
    assert_eq!(response.status(), 500);
    drop(response);
    flag.configure(Enabled);
    assert_eq!(flag.state(), Enabled);
    assert_eq!(flag.stats().totals.failures, 0);
}

#[tokio::test(start_paused = true)]
async fn a_body_that_is_dropped_half_way_counts_for_nothing_and_late_ones_move_nothing() {
    let flag = exact().no_ramp().build().unwrap();
    let service = service_fn(|_: Asked| {
        let body = MockBody::new([body::data("begin"), body::error(TestError::new("reset"))]);
        std::future::ready(Ok::<_, TestError>(Response::new(body)))
    });
    let service = FlagLayer::for_http(flag.clone()).layer(service);
    let late = service.clone().oneshot(Request::new(())).await.unwrap();
    let answer = service.oneshot(Request::new(())).await.unwrap();
    let mut answer = Box::pin(answer.into_body());
    let _ = std::future::poll_fn(|cx| answer.as_mut().poll_frame(cx)).await;
    drop(answer);
    assert_eq!(flag.stats().totals.abandoned, 1);

    trip(&flag);
    advance(TTL).await;
    let mut late = Box::pin(late.into_body());
    while let Some(Ok(_)) = std::future::poll_fn(|cx| late.as_mut().poll_frame(cx)).await {}
    assert_eq!(flag.stats().window_failures, 0);
    advance(SECOND).await;
    assert_eq!(flag.state(), Enabled);
    advance(MINUTE).await;
}

#[tokio::test(start_paused = true)]
async fn another_classifier_and_the_usual_refusal_go_together() {
    let flag = exact().errors(1).build().unwrap();
    let layer =
        FlagLayer::for_http(flag.clone()).classify(|r: Result<&Answer, &TestError>| match r {
            Ok(response) if response.status() == StatusCode::NOT_FOUND => Verdict::Failure,
            _ => Verdict::Success,
        });
    let mut service = layer.layer(answering(404));
    let first = service.ready().await.unwrap().call(Request::new(())).await;
    assert_eq!(first.unwrap().status(), 404);
    let second = service.ready().await.unwrap().call(Request::new(())).await;
    assert_eq!(second.unwrap().status(), 503);
}
