//! The laws of a layer, checked over a strict probe service, and once more where the type checker is at its worst.

use std::{
    sync::atomic::{AtomicBool, Ordering},
    task::{Context, Poll},
};

use brownout::{
    breaker::{CircuitBreakerLayer, KeyedCircuits, PolicyBuilder},
    core::{BoxError, Fail, RejectReason},
    registry::CircuitState,
};
use brownout_testing::{Behaviour, TestError, check_layer_contract, contract::ContractProbe};
use tower::{
    Layer, Service, ServiceBuilder, ServiceExt, buffer::Buffer, limit::ConcurrencyLimit,
    util::BoxCloneService,
};

use crate::common::{
    SECOND, answering, breaker, circuit, dependency, exact, failing, half_open, ms, open_and_close,
    pass_the_deadline, probe, reason_of, trip,
};

/// Thresholds that the failures which the suite makes do not reach.
fn patient() -> PolicyBuilder {
    exact().consecutive_failures(1_000).minimum_calls(1_000)
}

fn policies() -> Vec<PolicyBuilder> {
    vec![
        patient(),
        patient().no_failure_ratio(),
        patient().window_of_calls(2_000),
        patient().slow_calls(SECOND * 3600, 1.0),
    ]
}

#[tokio::test(start_paused = true)]
async fn the_breaker_keeps_the_contract_under_every_kind_of_policy() {
    for policy in policies() {
        check_layer_contract(|inner: ContractProbe| {
            let layer = CircuitBreakerLayer::with(circuit(policy.clone()));
            layer.for_results().layer(inner)
        })
        .await;
    }
}

#[tokio::test(start_paused = true)]
async fn the_breaker_keeps_the_contract_with_every_choice_about_readiness() {
    check_layer_contract(|inner: ContractProbe| {
        let layer = CircuitBreakerLayer::with(circuit(patient()));
        layer.for_results().wait_while_open().layer(inner)
    })
    .await;
    check_layer_contract(|inner: ContractProbe| {
        let layer = CircuitBreakerLayer::with(circuit(patient()));
        layer.for_results().ready_within(SECOND * 30).layer(inner)
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn the_breaker_keeps_the_contract_with_every_way_to_refuse() {
    check_layer_contract(|inner: ContractProbe| {
        let layer = CircuitBreakerLayer::with(circuit(patient()));
        layer.for_results().reject(Fail).layer(inner)
    })
    .await;
    check_layer_contract(|inner: ContractProbe<TestError>| {
        let layer = CircuitBreakerLayer::with(circuit(patient()));
        let refusing = layer
            .for_results()
            .reject_with(|_| Err(TestError::new("refused")));
        refusing.layer(inner)
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn the_breaker_keeps_the_contract_while_it_ramps() {
    // At the end of its ramp, so that it asks the slow path and refuses (nearly) nobody.
    let almost_over = circuit(patient().ramp(SECOND * 1_000));
    open_and_close(&almost_over).await;
    tokio::time::advance(SECOND * 1_000 - ms(1)).await;
    let (service, inner) = probe();
    let mut service = breaker(&almost_over, service);
    for n in 0..100 {
        assert_eq!(service.ready().await.unwrap().call(n).await.unwrap(), n);
    }
    inner.assert_contract_kept();
}

#[tokio::test(start_paused = true)]
async fn the_keyed_breaker_keeps_the_contract() {
    // One key for all, a key a request, and more keys than there is room for.
    for (modulus, capacity) in [(1, 16), (1_000_000, 1_000), (1_000_000, 16)] {
        check_layer_contract(|inner: ContractProbe| {
            let policy = patient().build().unwrap();
            let circuits = KeyedCircuits::with(&dependency(), policy, capacity).unwrap();
            let layer = CircuitBreakerLayer::keyed(circuits, move |n: &u32| n % modulus);
            layer.for_results().layer(inner)
        })
        .await;
    }
}

#[tokio::test(start_paused = true)]
async fn stacks_of_breakers_and_towers_own_layers_keep_the_contract() {
    check_layer_contract(|inner: ContractProbe| {
        BoxCloneService::new(
            ServiceBuilder::new()
                .layer(CircuitBreakerLayer::with(circuit(patient())).for_results())
                .layer(CircuitBreakerLayer::with(circuit(patient())).for_results())
                .concurrency_limit(1)
                .service(inner),
        )
    })
    .await;
    check_layer_contract(|inner: ContractProbe| {
        let layer = CircuitBreakerLayer::with(circuit(patient())).for_results();
        ConcurrencyLimit::new(layer.layer(inner), 3)
    })
    .await;
}

/// What the suite cannot do: hold a circuit to the contract while it refuses.
#[tokio::test(start_paused = true)]
async fn the_contract_is_kept_through_all_states() {
    let circuit = circuit(exact().open_for(SECOND).open_for_at_most(SECOND));
    let (service, inner) = probe();
    let mut services: Vec<_> = (0..3).map(|_| breaker(&circuit, service.clone())).collect();
    for round in 0..200_u32 {
        inner.always(if round % 10 < 5 {
            failing()
        } else {
            answering()
        });
        for service in &mut services {
            let _ = service.ready().await.unwrap().call(round).await;
        }
        tokio::time::advance(ms(700)).await;
    }
    inner.assert_contract_kept();
    assert!(
        circuit.stats().generation > 50,
        "it has been through all states, often"
    );
    assert_eq!(circuit.state(), CircuitState::Closed);
    assert!(inner.counts().is_idle());
}

#[tokio::test(start_paused = true)]
async fn a_clone_shares_the_circuit_and_copies_no_readiness() {
    let circuit = circuit(exact());
    let (service, inner) = probe();
    let mut original = breaker(&circuit, service);
    trip(&circuit);
    original.ready().await.unwrap();
    let mut clone = original.clone();
    // The bypass is the original's. The clone has not been polled, and is in its own right once it is.
    pass_the_deadline(&circuit).await;
    assert_eq!(clone.ready().await.unwrap().call(1).await.unwrap(), 1);
    assert!(original.call(2).await.is_err());
    assert_eq!(inner.counts().calls, 1);
}

#[tokio::test(start_paused = true)]
async fn a_buffer_above_survives_an_open_circuit() {
    let circuit = circuit(exact());
    let (service, inner) = probe();
    let mut buffer = Buffer::new(breaker(&circuit, service), 4);
    trip(&circuit);
    for n in 0..10 {
        assert!(buffer.ready().await.unwrap().call(n).await.is_err());
    }
    pass_the_deadline(&circuit).await;
    assert_eq!(buffer.ready().await.unwrap().call(1).await.unwrap(), 1);
    inner.assert_contract_kept();
}

#[tokio::test(start_paused = true)]
async fn leave_is_taken_by_the_call_and_not_by_readiness() {
    let circuit = circuit(exact().probes(1));
    drop(half_open(&circuit).await);
    let (service, inner) = probe();
    inner.always(Behaviour::hang());
    let mut first = breaker(&circuit, service.clone());
    let mut second = breaker(&circuit, service);
    first.ready().await.unwrap();
    second.ready().await.unwrap();
    // Both are ready, one gets the only place, and it gives it back when it is dropped.
    let out = second.call(1);
    assert!(circuit.admit().is_err());
    assert_eq!(
        reason_of(first.call(2).await),
        RejectReason::CircuitHalfOpen
    );
    drop(out);
    assert!(circuit.admit().is_ok());
    assert_eq!(circuit.state(), CircuitState::HalfOpen);
}

#[tokio::test(start_paused = true)]
async fn nothing_is_judged_or_answered_before_the_future_is_polled() {
    // A buffer makes calls in its own worker; whatever a call records must be recorded where its caller polls.
    let answered = AtomicBool::new(false);
    let circuit = circuit(exact());
    let layer = CircuitBreakerLayer::with(circuit.clone())
        .for_results()
        .reject_with(|_| {
            answered.store(true, Ordering::Relaxed);
            Ok::<u32, BoxError>(0)
        });
    let mut service = layer.layer(probe().0);
    let call = service.ready().await.unwrap().call(1);
    assert_eq!(circuit.stats().totals.successes, 0);
    assert_eq!(call.await.unwrap(), 1);
    assert_eq!(circuit.stats().totals.successes, 1);

    trip(&circuit);
    let refusal = service.ready().await.unwrap().call(1);
    assert!(!answered.load(Ordering::Relaxed));
    assert_eq!(refusal.await.unwrap(), 0);
    assert!(answered.load(Ordering::Relaxed));
}

/// Ready once, then never asked for readiness again.
struct Once(bool);

impl Service<u32> for Once {
    type Response = u32;
    type Error = BoxError;
    type Future = std::future::Ready<Result<u32, BoxError>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        assert!(
            !std::mem::replace(&mut self.0, true),
            "asked for readiness twice"
        );
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: u32) -> Self::Future {
        std::future::ready(Ok(request))
    }
}

#[tokio::test(start_paused = true)]
async fn one_question_for_readiness_is_passed_on_as_one() {
    let mut service = breaker(&circuit(exact()), Once(false));
    assert_eq!(service.ready().await.unwrap().call(1).await.unwrap(), 1);
}

#[tokio::test(start_paused = true)]
async fn the_future_of_a_call_polls_its_inner_future_once_a_poll() {
    let (service, inner) = probe();
    inner.always(Behaviour::answer(Ok::<u32, BoxError>).yielding(9));
    assert_eq!(
        breaker(&circuit(exact()), service)
            .oneshot(1)
            .await
            .unwrap(),
        1
    );
    assert_eq!(inner.polls_of(0), Some(10));
}

#[tokio::test(start_paused = true)]
async fn no_call_spawns_a_task() {
    let circuit = circuit(exact());
    let tasks = || {
        tokio::runtime::Handle::current()
            .metrics()
            .num_alive_tasks()
    };
    let before = tasks();
    let (service, inner) = probe();
    inner.always(Behaviour::hang());
    let calls: Vec<_> = (0..10)
        .map(|_| {
            let mut service = breaker(&circuit, service.clone());
            async move { service.ready().await?.call(1).await }
        })
        .collect();
    for call in calls {
        let _ = tokio::time::timeout(ms(1), call).await;
    }
    assert_eq!(tasks(), before);
}
