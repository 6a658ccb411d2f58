//! What a refused call turns into, and what it tells whom.

use std::{convert::Infallible, error::Error, fmt};

use brownout::{
    Registry,
    breaker::{Circuit, CircuitBreakerLayer},
    core::{BoxError, Fail, RejectReason, Rejected, Verdict, refusal_of},
    registry::{CircuitMode, CircuitState},
};
use brownout_testing::TestError;
use tokio::time::advance;
use tower::{Layer, ServiceExt, service_fn};

use crate::common::{SECOND, breaker, circuit, exact, half_open, impose, ms, probe, refused, trip};

#[tokio::test(start_paused = true)]
async fn a_refusal_says_which_dependency_why_and_when_to_come_back() {
    let circuit = circuit(exact());
    trip(&circuit);
    advance(SECOND).await;
    let rejected = refused(&circuit);
    assert_eq!(rejected.dependency(), "search");
    assert_eq!(rejected.reason(), RejectReason::CircuitOpen);
    assert_eq!(rejected.retry_after(), Some(SECOND * 4));
    assert_eq!(
        rejected.to_string(),
        "call to search refused: circuit-open, retry in 4.0s"
    );
}

#[tokio::test(start_paused = true)]
async fn each_reason_has_its_name() {
    let circuit = circuit(exact().probes(1));
    trip(&circuit);
    assert_eq!(refused(&circuit).reason().as_str(), "circuit-open");
    advance(SECOND * 5).await;
    let _probe = circuit.admit().unwrap();
    assert_eq!(refused(&circuit).reason().as_str(), "circuit-half-open");
    impose(circuit.dependency(), CircuitMode::ForcedOpen, SECOND);
    assert_eq!(refused(&circuit).reason().as_str(), "circuit-forced-open");
}

#[tokio::test(start_paused = true)]
async fn seconds_are_rounded_up_with_up_to_a_fifth_of_jitter_and_never_zero() {
    let circuit = circuit(exact());
    trip(&circuit);
    let mut seen = Vec::new();
    for _ in 0..200 {
        seen.push(refused(&circuit).retry_after_seconds().unwrap());
    }
    seen.sort_unstable();
    seen.dedup();
    assert_eq!(seen, [6], "5 s and something, rounded up, up to 6");

    advance(SECOND * 5 - ms(1)).await;
    assert_eq!(refused(&circuit).retry_after_seconds(), Some(1));
}

#[tokio::test(start_paused = true)]
async fn those_who_were_refused_together_do_not_come_back_together() {
    let circuit = circuit(exact().open_for(SECOND * 60));
    trip(&circuit);
    let mut seen: Vec<_> = (0..500)
        .map(|_| refused(&circuit).retry_after_seconds().unwrap())
        .collect();
    seen.sort_unstable();
    seen.dedup();
    assert_eq!(seen, (61..=72).collect::<Vec<_>>());
}

#[tokio::test(start_paused = true)]
async fn by_default_a_refusal_is_the_services_own_error() {
    #[derive(Debug)]
    enum ShopError {
        Closed(Rejected),
    }
    impl From<Rejected> for ShopError {
        fn from(rejected: Rejected) -> Self {
            Self::Closed(rejected)
        }
    }

    let circuit = circuit(exact());
    trip(&circuit);
    let layer = CircuitBreakerLayer::with(circuit).for_results();
    let service = layer.layer(service_fn(|()| async { Ok::<(), ShopError>(()) }));
    let ShopError::Closed(rejected) = service.oneshot(()).await.unwrap_err();
    assert_eq!(rejected.reason(), RejectReason::CircuitOpen);
}

#[tokio::test(start_paused = true)]
async fn fail_boxes_refusals_and_the_services_own_errors() {
    let circuit = circuit(exact());
    let layer = CircuitBreakerLayer::with(circuit.clone())
        .for_results()
        .reject(Fail);
    let service = || {
        layer.layer(service_fn(|()| async {
            Err::<(), _>(TestError::new("down"))
        }))
    };
    let error: BoxError = service().oneshot(()).await.unwrap_err();
    assert!(error.is::<TestError>());
    trip(&circuit);
    let error: BoxError = service().oneshot(()).await.unwrap_err();
    assert_eq!(
        error.downcast_ref::<Rejected>().unwrap().dependency(),
        "search"
    );
}

#[tokio::test(start_paused = true)]
async fn a_closure_may_answer_in_the_services_place() {
    let circuit = circuit(exact());
    trip(&circuit);
    let layer = CircuitBreakerLayer::with(circuit)
        .for_results()
        .reject_with(|rejected| Ok(format!("without {}", rejected.dependency())));
    let service = layer.layer(service_fn(|()| async {
        Ok::<_, Infallible>("hello".to_owned())
    }));
    let Ok(answer) = service.oneshot(()).await;
    assert_eq!(answer, "without search");
}

#[derive(Debug)]
struct Wrapped(BoxError);

impl fmt::Display for Wrapped {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("wrapped")
    }
}

impl Error for Wrapped {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        Some(&*self.0)
    }
}

#[tokio::test(start_paused = true)]
async fn a_refusal_is_found_however_deep_it_is_wrapped() {
    let circuit = circuit(exact());
    trip(&circuit);
    let error = Wrapped(Box::new(Wrapped(refused(&circuit).into())));
    assert_eq!(refusal_of(&error).unwrap().dependency(), "search");
    assert!(refusal_of(&TestError::new("down")).is_none());
}

#[tokio::test(start_paused = true)]
async fn a_refusal_by_an_inner_breaker_can_be_neutral_to_an_outer_one() {
    let [outer, inner] = [circuit(exact()), circuit(exact())];
    let layer =
        CircuitBreakerLayer::with(outer.clone()).classify(|outcome: Result<&u32, &BoxError>| {
            match outcome {
                Err(error) if refusal_of(error.as_ref()).is_some() => Verdict::Neutral,
                Err(_) => Verdict::Failure,
                Ok(_) => Verdict::Success,
            }
        });
    trip(&inner);
    for n in 0..20 {
        let service = layer.layer(breaker(&inner, probe().0));
        assert!(service.oneshot(n).await.is_err());
    }
    assert_eq!(outer.state(), CircuitState::Closed);
    assert_eq!(outer.stats().totals.neutral, 20);
}

#[tokio::test(start_paused = true)]
async fn an_operators_order_for_days_sends_nobody_away_for_days() {
    let circuit = circuit(exact());
    impose(
        circuit.dependency(),
        CircuitMode::ForcedOpen,
        SECOND * 86_400,
    );
    let seconds = refused(&circuit).retry_after_seconds().unwrap();
    assert!((60..=72).contains(&seconds), "{seconds}");
}

/// A circuit of a dependency that has a public name, or none.
#[cfg(feature = "http")]
fn named(public_name: Option<&str>) -> Circuit {
    let registry = Registry::builder().seed(7).build().unwrap();
    let mut dependency = registry.dependency("pg-primary.internal");
    if let Some(name) = public_name {
        dependency = dependency.public_name(name);
    }
    Circuit::builder(&dependency.register().unwrap())
        .policy(exact().build().unwrap())
        .build()
}

#[cfg(feature = "http")]
mod http_answers {
    use brownout::{breaker::Circuit, http::LocalBody};
    use brownout_testing::MockBody;
    use http::{Response, StatusCode, header};
    use http_body::Body;

    use super::*;

    type Answer = Response<MockBody>;

    async fn refusal(circuit: &Circuit) -> Response<String> {
        let layer = CircuitBreakerLayer::with(circuit.clone()).for_http();
        let service =
            service_fn(|()| async { Ok::<Answer, Infallible>(Response::new(MockBody::empty())) });
        let Ok(response) = layer.layer(service).oneshot(()).await;
        let (head, body) = response.into_parts();
        let length = body.size_hint().exact();
        let LocalBody::Own(Some(bytes)) = body else {
            panic!("not an answer of our own: {body:?}");
        };
        assert_eq!(length, Some(bytes.len() as u64));
        let text = String::from_utf8(bytes.to_vec()).unwrap();
        Response::from_parts(head, text)
    }

    #[tokio::test(start_paused = true)]
    async fn a_refused_http_call_is_a_503_with_a_problem_document() {
        let circuit = named(Some("search"));
        trip(&circuit);
        let response = refusal(&circuit).await;
        assert_eq!(response.status(), StatusCode::SERVICE_UNAVAILABLE);
        let headers = response.headers();
        assert_eq!(headers[header::CONTENT_TYPE], "application/problem+json");
        assert_eq!(headers[header::CACHE_CONTROL], "no-store");
        assert_eq!(headers[header::RETRY_AFTER], "6");
        assert_eq!(
            response.body(),
            r#"{"type":"urn:brownout:circuit-open","title":"Circuit open","status":503,"detail":"search is not available at the moment","dependency":"search"}"#
        );
        let rejected = response.extensions().get::<Rejected>().unwrap();
        assert_eq!(rejected.dependency(), "pg-primary.internal");
    }

    #[tokio::test(start_paused = true)]
    async fn strangers_never_read_the_name_that_operators_use() {
        for public_name in [None, Some("search")] {
            let circuit = named(public_name);
            trip(&circuit);
            let response = refusal(&circuit).await;
            assert!(
                !response.body().contains("pg-primary"),
                "{}",
                response.body()
            );
            for value in response.headers().values() {
                assert!(!value.to_str().unwrap().contains("pg-primary"));
            }
        }
        let unnamed = named(None);
        trip(&unnamed);
        assert!(!refusal(&unnamed).await.body().contains("\"dependency\""));
    }

    #[tokio::test(start_paused = true)]
    async fn a_public_name_cannot_break_out_of_the_document() {
        let circuit = named(Some(r#"a"},"b",{"\c"#));
        trip(&circuit);
        let body = refusal(&circuit).await.into_body();
        let escaped = r#"a\"},\"b\",{\"\\c"#;
        assert!(
            body.ends_with(&format!(r#""dependency":"{escaped}"}}"#)),
            "{body}"
        );
        assert!(
            body.contains(&format!(r#""detail":"{escaped} is not"#)),
            "{body}"
        );
    }

    #[tokio::test(start_paused = true)]
    async fn each_reason_has_a_problem_type_of_its_own() {
        let circuit = named(None);
        let mut half_open_one = half_open(&circuit).await;
        let _others = [circuit.admit().unwrap(), circuit.admit().unwrap()];
        let body = refusal(&circuit).await.into_body();
        assert!(body.contains("urn:brownout:circuit-half-open"), "{body}");
        half_open_one.head(Verdict::Success);
        impose(circuit.dependency(), CircuitMode::ForcedOpen, SECOND);
        let body = refusal(&circuit).await.into_body();
        assert!(body.contains("urn:brownout:circuit-forced-open"), "{body}");
    }

    #[tokio::test(start_paused = true)]
    async fn answers_of_the_service_pass_with_their_own_error_type() {
        let layer = CircuitBreakerLayer::with(named(None)).for_http();
        let service = service_fn(|fails: bool| async move {
            if fails {
                return Err(TestError::new("reset"));
            }
            let answer = Response::builder().status(201).header("x-mine", "1");
            Ok(answer.body(MockBody::full("made")).unwrap())
        });
        let response = layer.layer(service).oneshot(false).await.unwrap();
        assert_eq!(response.status(), 201);
        assert_eq!(response.headers()["x-mine"], "1");
        assert_eq!(response.body().size_hint().exact(), Some(4));
        let error: TestError = layer.layer(service).oneshot(true).await.unwrap_err();
        assert_eq!(error, TestError::new("reset"));
    }
}

#[cfg(feature = "grpc")]
mod grpc_answers {
    use brownout::{breaker::Circuit, core::Classify, grpc::GrpcStatus, http::LocalBody};
    use brownout_testing::MockBody;
    use http::{HeaderMap, Response};
    use http_body::Body;

    use super::*;

    async fn refusal(circuit: &Circuit) -> HeaderMap {
        let layer = CircuitBreakerLayer::with(circuit.clone()).for_grpc();
        let service = service_fn(|()| async {
            Ok::<Response<MockBody>, Infallible>(Response::new(MockBody::empty()))
        });
        let Ok(response) = layer.layer(service).oneshot(()).await;
        assert_eq!(response.status(), 200);
        assert!(
            matches!(response.body(), LocalBody::Own(None)),
            "trailers only"
        );
        assert!(response.body().is_end_stream());
        let rejected = response.extensions().get::<Rejected>().unwrap();
        assert_eq!(rejected.reason(), RejectReason::CircuitOpen);
        response.headers().clone()
    }

    #[tokio::test(start_paused = true)]
    async fn a_refused_grpc_call_is_a_trailers_only_unavailable_with_retry_info() {
        let circuit = named(Some("search"));
        trip(&circuit);
        let headers = refusal(&circuit).await;
        assert_eq!(headers["content-type"], "application/grpc");
        assert_eq!(headers["grpc-status"], "14");
        assert_eq!(headers["grpc-message"], "Circuit open (search)");
        // A server that says when to come back: our own classifier reads it.
        let mut exhausted = Response::new(());
        exhausted
            .headers_mut()
            .insert("grpc-status", "8".parse().unwrap());
        let judge = |answer: &Response<()>| {
            Classify::<_, Infallible>::classify(&GrpcStatus::new(), Ok(answer))
        };
        assert_eq!(judge(&exhausted), Verdict::Neutral);
        let details = headers["grpc-status-details-bin"].clone();
        exhausted
            .headers_mut()
            .insert("grpc-status-details-bin", details);
        assert_eq!(judge(&exhausted), Verdict::Failure);
    }

    #[tokio::test(start_paused = true)]
    async fn grpc_strangers_never_read_the_name_that_operators_use() {
        let circuit = named(None);
        trip(&circuit);
        let headers = refusal(&circuit).await;
        assert_eq!(headers["grpc-message"], "Circuit open");
        for value in headers.values() {
            assert!(!value.to_str().unwrap().contains("pg-primary"));
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_percent_sign_in_a_public_name_is_encoded() {
        let circuit = named(Some("50%off"));
        trip(&circuit);
        assert_eq!(
            refusal(&circuit).await["grpc-message"],
            "Circuit open (50%25off)"
        );
    }
}
