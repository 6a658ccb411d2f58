//! Breakers among tower's own layers: who sees what, in which order.
//!
//! No socket here, so the clock is paused.
#![allow(
    clippy::unwrap_used,
    reason = "a test that unwraps says that something is wrong"
)]

use std::{future, time::Duration};

use ::tower::{
    BoxError, Service, ServiceBuilder, ServiceExt,
    retry::{Policy, RetryLayer},
    service_fn,
    timeout::{TimeoutLayer, error::Elapsed},
};
use brownout::{
    breaker::CircuitBreakerLayer,
    core::{Classify, Verdict, refusal_of},
    registry::CircuitState,
};
use brownout_testing::{Behaviour, ProbeHandle, ProbeService};
use brownout_tests::circuit::{TRIPS_AT, circuit, lasting, trip};

const SECOND: Duration = Duration::from_secs(1);

/// A service that answers with its name, and a handle to steer it.
fn named(
    name: &'static str,
) -> (
    ProbeService<(), &'static str, BoxError>,
    ProbeHandle<(), &'static str, BoxError>,
) {
    ProbeService::new(move |()| Ok(name))
}

/// Retries what failed, twice, but never a refusal: the circuit has said when to come back.
#[derive(Clone, Debug)]
struct TwiceUnlessRefused(u8);

impl<Req: Clone, Res> Policy<Req, Res, BoxError> for TwiceUnlessRefused {
    type Future = future::Ready<()>;

    fn retry(&mut self, _: &mut Req, outcome: &mut Result<Res, BoxError>) -> Option<Self::Future> {
        let error = outcome.as_ref().err()?;
        if refusal_of(error.as_ref()).is_some() || self.0 == 0 {
            return None;
        }
        self.0 -= 1;
        Some(future::ready(()))
    }

    fn clone_request(&mut self, request: &Req) -> Option<Req> {
        Some(request.clone())
    }
}

#[tokio::test(start_paused = true)]
async fn a_failure_is_retried_and_a_refusal_never_is() {
    let (service, probe) = named("a");
    probe.always(Behaviour::answer(|()| Err("down".into())));
    let circuit = circuit("a", lasting());
    let mut stack = ServiceBuilder::new()
        .layer(RetryLayer::new(TwiceUnlessRefused(2)))
        .layer(CircuitBreakerLayer::with(circuit.clone()).for_results())
        .service(service);

    let error = stack.ready().await.unwrap().call(()).await.unwrap_err();
    assert_eq!(error.to_string(), "down");
    assert_eq!(
        (probe.counts().calls, circuit.state()),
        (3, CircuitState::Open)
    );
    let error = stack.ready().await.unwrap().call(()).await.unwrap_err();
    assert!(refusal_of(error.as_ref()).is_some());
    assert_eq!(
        (probe.counts().calls, circuit.stats().totals.rejected),
        (3, 1)
    );
}

#[tokio::test(start_paused = true)]
async fn retries_inside_a_breaker_are_one_call_to_it() {
    let (service, probe) = named("a");
    probe.always(Behaviour::answer(|()| Err("down".into())));
    let circuit = circuit("a", lasting());
    let mut stack = ServiceBuilder::new()
        .layer(CircuitBreakerLayer::with(circuit.clone()).for_results())
        .layer(RetryLayer::new(TwiceUnlessRefused(2)))
        .service(service);
    stack.ready().await.unwrap().call(()).await.unwrap_err();
    assert_eq!(
        (probe.counts().calls, circuit.stats().totals.failures),
        (3, 1)
    );
}

#[tokio::test(start_paused = true)]
async fn a_timeout_inside_the_breaker_is_a_failure() {
    let (service, probe) = named("a");
    probe.always(Behaviour::hang());
    let circuit = circuit("a", lasting());
    let mut stack = ServiceBuilder::new()
        .layer(CircuitBreakerLayer::with(circuit.clone()).for_results())
        .layer(TimeoutLayer::new(SECOND))
        .service(service);
    for _ in 0..TRIPS_AT {
        let error = stack.ready().await.unwrap().call(()).await.unwrap_err();
        assert!(error.is::<Elapsed>());
    }
    assert_eq!(circuit.state(), CircuitState::Open);
    assert!(probe.counts().is_idle());
}

#[tokio::test(start_paused = true)]
async fn a_timeout_outside_the_breaker_abandons_the_call_which_by_itself_counts_nothing() {
    let (service, probe) = named("a");
    probe.always(Behaviour::hang());
    let circuit = circuit("a", lasting());
    let mut stack = ServiceBuilder::new()
        .layer(TimeoutLayer::new(SECOND))
        .layer(CircuitBreakerLayer::with(circuit.clone()).for_results())
        .service(service);
    for _ in 0..10 {
        stack.ready().await.unwrap().call(()).await.unwrap_err();
    }
    let totals = circuit.stats().totals;
    assert_eq!(
        (circuit.state(), totals.abandoned, totals.failures),
        (CircuitState::Closed, 10, 0)
    );
    assert!(probe.counts().is_idle());
}

#[tokio::test(start_paused = true)]
async fn a_timeout_outside_the_breaker_is_a_failure_where_slowness_has_a_threshold() {
    let (service, probe) = named("a");
    probe.always(Behaviour::hang());
    let circuit = circuit("a", lasting().slow_calls(SECOND / 2, 1.0));
    let mut stack = ServiceBuilder::new()
        .layer(TimeoutLayer::new(SECOND))
        .layer(CircuitBreakerLayer::with(circuit.clone()).for_results())
        .service(service);
    for _ in 0..TRIPS_AT {
        stack.ready().await.unwrap().call(()).await.unwrap_err();
    }
    assert_eq!(circuit.state(), CircuitState::Open);
}

#[tokio::test(start_paused = true)]
async fn who_waits_for_a_full_concurrency_limit_is_refused_when_the_circuit_opens() {
    let (service, probe) = named("a");
    probe.always(Behaviour::hold(|()| Ok("held")));
    let circuit = circuit("a", lasting());
    let mut stack = ServiceBuilder::new()
        .layer(CircuitBreakerLayer::with(circuit.clone()).for_results())
        .concurrency_limit(1)
        .service(service);

    let held = tokio::spawn(stack.ready().await.unwrap().call(()));
    let waiting = tokio::spawn(stack.clone().oneshot(()));
    tokio::time::sleep(SECOND).await;
    assert!(!waiting.is_finished());
    trip(&circuit);
    let error = waiting.await.unwrap().unwrap_err();
    assert!(refusal_of(error.as_ref()).is_some());

    assert_eq!(probe.release_all(), 1);
    assert_eq!(held.await.unwrap().unwrap(), "held");
    assert_eq!(probe.counts().calls, 1);
}

#[tokio::test(start_paused = true)]
async fn a_concurrency_limit_loses_no_permit_to_refusals_on_either_side() {
    let (service, probe) = named("a");
    let circuit = circuit("a", lasting().open_for(SECOND).close_after(1, 1));
    let mut stack = ServiceBuilder::new()
        .concurrency_limit(1)
        .layer(CircuitBreakerLayer::with(circuit.clone()).for_results())
        .concurrency_limit(1)
        .service(service);
    for round in 1..=3 {
        trip(&circuit);
        for _ in 0..100 {
            stack.ready().await.unwrap().call(()).await.unwrap_err();
        }
        // Dropped before it was polled.
        drop(stack.ready().await.unwrap().call(()));
        tokio::time::sleep(circuit.stats().retry_after.unwrap()).await;
        assert_eq!(stack.ready().await.unwrap().call(()).await.unwrap(), "a");
        assert_eq!(
            (probe.counts().calls, circuit.state()),
            (round, CircuitState::Closed)
        );
    }
}

#[tokio::test(start_paused = true)]
async fn who_was_made_ready_past_a_service_never_calls_it_even_if_the_circuit_closes_meanwhile() {
    let (service, probe) = named("a");
    let circuit = circuit("a", lasting().open_for(SECOND).close_after(1, 1));
    let mut stack = ServiceBuilder::new()
        .layer(CircuitBreakerLayer::with(circuit.clone()).for_results())
        // Panics when it is called without having been polled ready.
        .concurrency_limit(1)
        .service(service);
    trip(&circuit);
    stack.ready().await.unwrap();
    tokio::time::sleep(SECOND).await;
    circuit.admit().unwrap().success();
    assert_eq!(circuit.state(), CircuitState::Closed);

    let error = stack.call(()).await.unwrap_err();
    assert!(refusal_of(error.as_ref()).is_some());
    assert_eq!(probe.counts().calls, 0);
    assert_eq!(stack.ready().await.unwrap().call(()).await.unwrap(), "a");
}

#[tokio::test(start_paused = true)]
async fn load_that_is_shed_above_a_breaker_gets_the_refusal_and_not_an_overload() {
    let (service, probe) = named("a");
    probe.make_pending();
    let circuit = circuit("a", lasting());
    let mut stack = ServiceBuilder::new()
        .load_shed()
        .layer(CircuitBreakerLayer::with(circuit.clone()).for_results())
        .service(service);

    let error = stack.ready().await.unwrap().call(()).await.unwrap_err();
    assert!(
        error.is::<::tower::load_shed::error::Overloaded>(),
        "closed: it waits for its service"
    );
    trip(&circuit);
    let error = stack.ready().await.unwrap().call(()).await.unwrap_err();
    assert!(
        refusal_of(error.as_ref()).is_some(),
        "open: it is ready to refuse"
    );
}

#[tokio::test(start_paused = true)]
async fn load_that_is_shed_below_a_breaker_is_what_its_classifier_says() {
    #[derive(Clone, Copy, Debug)]
    struct OverloadIsNeutral;

    impl<Res> Classify<Res, BoxError> for OverloadIsNeutral {
        fn classify(&self, outcome: Result<&Res, &BoxError>) -> Verdict {
            match outcome {
                Ok(_) => Verdict::Success,
                Err(error) if error.is::<::tower::load_shed::error::Overloaded>() => {
                    Verdict::Neutral
                }
                Err(_) => Verdict::Failure,
            }
        }
    }

    let (service, probe) = named("a");
    probe.make_pending();
    let circuit = circuit("a", lasting());
    let layer = CircuitBreakerLayer::with(circuit.clone()).classify(OverloadIsNeutral);
    let mut stack = ServiceBuilder::new()
        .layer(layer)
        .load_shed()
        .service(service);
    for _ in 0..10 {
        stack.ready().await.unwrap().call(()).await.unwrap_err();
    }
    assert_eq!(
        (circuit.state(), circuit.stats().totals.neutral),
        (CircuitState::Closed, 10)
    );
}

#[tokio::test(start_paused = true)]
async fn a_call_that_is_dropped_through_a_buffer_is_abandoned() {
    let (service, probe) = named("a");
    probe.always(Behaviour::hang());
    let circuit = circuit("a", lasting());
    let mut stack = ServiceBuilder::new()
        .buffer(4)
        .layer(CircuitBreakerLayer::with(circuit.clone()).for_results())
        .service(service);
    let call = stack.ready().await.unwrap().call(());
    assert!(tokio::time::timeout(SECOND, call).await.is_err());
    assert_eq!(circuit.stats().totals.abandoned, 1);
    assert!(probe.counts().is_idle());
}

#[tokio::test(start_paused = true)]
async fn a_service_that_is_broken_for_good_is_counted_and_then_refused() {
    let (service, probe) = named("a");
    probe.fail_readiness(|| "the connection is gone".into());
    let circuit = circuit("a", lasting());
    let mut stack = ServiceBuilder::new()
        .layer(CircuitBreakerLayer::with(circuit.clone()).for_results())
        .service(service);
    for _ in 0..TRIPS_AT {
        assert_eq!(
            stack.ready().await.unwrap_err().to_string(),
            "the connection is gone"
        );
    }
    let error = stack.ready().await.unwrap().call(()).await.unwrap_err();
    assert!(refusal_of(error.as_ref()).is_some());
    assert_eq!(probe.counts().calls, 0);
}

#[tokio::test(start_paused = true)]
async fn the_whole_stack_of_the_readme_answers_and_refuses() {
    let circuit = circuit("greeter", lasting());
    let mut stack = ServiceBuilder::new()
        .buffer(16)
        .load_shed()
        .layer(RetryLayer::new(TwiceUnlessRefused(2)))
        .layer(CircuitBreakerLayer::with(circuit.clone()).for_results())
        .timeout(SECOND)
        .concurrency_limit(16)
        .service(service_fn(|name: String| async move {
            Ok::<_, BoxError>(format!("hello {name}"))
        }));
    let hello = stack
        .ready()
        .await
        .unwrap()
        .call("world".into())
        .await
        .unwrap();
    assert_eq!(hello, "hello world");
    trip(&circuit);
    let error = stack
        .ready()
        .await
        .unwrap()
        .call("world".into())
        .await
        .unwrap_err();
    assert!(refusal_of(error.as_ref()).is_some());
}
