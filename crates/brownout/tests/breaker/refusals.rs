//! What a refused call turns into, and what it tells whom.

use std::{convert::Infallible, error::Error, fmt, io};

use brownout::{
    breaker::CircuitBreakerLayer,
    core::{BoxError, Fail, RejectReason, Rejected, Verdict, refusal_of},
    registry::{CircuitMode, CircuitState},
};
use brownout_testing::TestError;
use tokio::time::advance;
use tower::{Layer, ServiceExt, service_fn};

use crate::common::{SECOND, breaker, circuit, exact, impose, ms, probe, refused, trip};

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
    // An `io::Error` passes over what it holds when it is asked for its source; connectors make such errors.
    let held = io::Error::other(io::Error::other(refused(&circuit)));
    assert_eq!(refusal_of(&held).unwrap().dependency(), "search");
    assert!(refusal_of(&io::Error::other("down")).is_none());
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
