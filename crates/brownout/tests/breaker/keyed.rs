//! A circuit for each key.

use std::{fmt, sync::mpsc, time::Duration};

use brownout::{
    breaker::{CircuitBreakerLayer, KeyedCircuits},
    core::RejectReason,
    registry::{CircuitMode, CircuitState},
};
use brownout_testing::{Behaviour, TestError};
use tokio::time::advance;
use tower::{Layer, ServiceExt};

use crate::{
    common::{SECOND, dependency, exact, fail, impose, probe, reason_of, succeed},
    family::{BAD, family},
};

#[tokio::test(start_paused = true)]
async fn one_dead_key_of_eight_leaves_the_others_alone() {
    let family = family(exact(), 100);
    for _ in 0..5 {
        family.fail(3).await;
    }
    for key in 0..8 {
        let outcome = family.call(key).await;
        if key == 3 {
            assert_eq!(reason_of(outcome), RejectReason::CircuitOpen);
        } else {
            assert_eq!(outcome.unwrap(), key);
        }
    }
    assert_eq!(family.inner.counts().calls, 12);
}

#[tokio::test(start_paused = true)]
async fn circuits_are_made_on_first_use_and_shared_by_all_services_of_a_layer() {
    let family = family(exact(), 100);
    assert!(family.circuits().is_empty());
    assert!(family.circuits().get(&1).is_none());
    family.call(1).await.unwrap();
    family.call(1).await.unwrap();
    family.call(2).await.unwrap();
    assert_eq!(family.circuits().len(), 2);
    let circuit = family.circuits().get(&1).unwrap();
    assert_eq!(circuit.stats().totals.successes, 2);
}

#[tokio::test(start_paused = true)]
async fn a_key_recovers_by_its_own_probes() {
    let family = family(exact(), 100);
    for _ in 0..5 {
        family.fail(3).await;
    }
    advance(SECOND * 5).await;
    family.call(3).await.unwrap();
    assert_eq!(
        family.circuits().get(&3).unwrap().state(),
        CircuitState::HalfOpen
    );
    family.call(3).await.unwrap();
    assert_eq!(
        family.circuits().get(&3).unwrap().state(),
        CircuitState::Closed
    );
}

#[tokio::test(start_paused = true)]
async fn there_are_never_more_circuits_than_their_capacity() {
    let family = family(exact(), 32);
    for key in 0..5_000 {
        family.call(key).await.unwrap();
        assert!(family.circuits().len() <= 32);
    }
    assert_eq!(family.circuits().len(), 32);
    let overflow = family.circuits().overflow().stats().totals;
    assert_eq!(
        overflow.successes, 0,
        "idle ones made room for every newcomer"
    );
}

#[tokio::test(start_paused = true)]
async fn an_open_circuit_is_never_evicted_and_newcomers_share_one_instead() {
    let family = family(exact().consecutive_failures(1), 16);
    for key in 0..1_000 {
        // Fails, or is refused by the overflow circuit that an earlier newcomer has opened.
        family.call(BAD + key).await.unwrap_err();
    }
    assert_eq!(family.circuits().len(), 16);
    let open = (0..1_000)
        .filter_map(|key| family.circuits().get(&key))
        .filter(|circuit| circuit.state() == CircuitState::Open)
        .count();
    assert_eq!(open, 16);
    let overflow = family.circuits().overflow();
    assert_eq!(overflow.state(), CircuitState::Open);
    assert_eq!(overflow.stats().totals.rejected, 1_000 - 16 - 1);
}

#[tokio::test(start_paused = true)]
async fn a_circuit_with_a_call_out_is_not_evicted() {
    let family = family(exact(), 16);
    family.inner.next(Behaviour::hold(Ok));
    let held = tokio::spawn(family.layer.layer(family.service.clone()).oneshot(7));
    family.inner.wait_for(|counts| counts.in_flight == 1).await;
    for key in 1_000..2_000 {
        family.call(key).await.unwrap();
    }
    assert!(family.circuits().get(&7).is_some());
    family.inner.release_all();
    assert_eq!(held.await.unwrap().unwrap(), 7);
}

#[tokio::test(start_paused = true)]
async fn an_evicted_key_starts_anew() {
    let family = family(exact().consecutive_failures(2), 16);
    family.fail(7).await;
    for key in 1_000..2_000 {
        family.call(key).await.unwrap();
    }
    assert!(family.circuits().get(&7).is_none());
    family.fail(7).await;
    assert_eq!(
        family.circuits().get(&7).unwrap().state(),
        CircuitState::Closed
    );
}

#[tokio::test(start_paused = true)]
async fn an_operators_mode_holds_for_all_keys() {
    let family = family(exact().consecutive_failures(1), 16);
    family.fail(1).await;
    let overflow = family.circuits().overflow();
    let dependency = overflow.dependency();
    impose(dependency, CircuitMode::ForcedOpen, SECOND);
    for key in 0..100 {
        assert_eq!(
            reason_of(family.call(key).await),
            RejectReason::CircuitForcedOpen
        );
    }
    advance(SECOND).await;
    impose(dependency, CircuitMode::ForcedClosed, SECOND);
    for key in 0..100 {
        assert!(family.call(key).await.is_ok());
    }
}

#[tokio::test(start_paused = true)]
async fn a_new_policy_holds_for_all_keys_present_and_to_come() {
    let family = family(exact(), 100);
    family.fail(1).await;
    family
        .circuits()
        .reconfigure(exact().consecutive_failures(2).build().unwrap());
    family.fail(1).await;
    assert_eq!(reason_of(family.call(1).await), RejectReason::CircuitOpen);
    family.fail(2).await;
    family.fail(2).await;
    assert_eq!(reason_of(family.call(2).await), RejectReason::CircuitOpen);
    fail(&family.circuits().overflow(), 2);
    assert_eq!(family.circuits().overflow().state(), CircuitState::Open);
}

#[tokio::test(start_paused = true)]
async fn a_handle_on_one_key_steers_that_key() {
    let family = family(exact(), 100);
    family.call(1).await.unwrap();
    let circuit = family.circuits().get(&1).unwrap();
    fail(&circuit, 5);
    assert_eq!(reason_of(family.call(1).await), RejectReason::CircuitOpen);
    advance(SECOND * 5).await;
    succeed(&circuit, 2);
    assert!(family.call(1).await.is_ok());
}

#[tokio::test(start_paused = true)]
async fn readiness_is_the_inner_services_own() {
    let family = family(exact(), 100);
    family
        .inner
        .fail_readiness(|| TestError::new("the connection is gone").into());
    for _ in 0..10 {
        let error = family.call(1).await.unwrap_err();
        assert_eq!(error.to_string(), "the connection is gone");
    }
    assert!(
        family.circuits().is_empty(),
        "nobody knows whose failure it is"
    );
}

/// A key whose text is made by code that panics, or that asks for the circuits.
#[derive(Clone)]
struct Curious(KeyedCircuits<Self>, u32);

impl PartialEq for Curious {
    fn eq(&self, other: &Self) -> bool {
        self.1 == other.1
    }
}

impl Eq for Curious {}

impl std::hash::Hash for Curious {
    fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
        self.1.hash(state);
    }
}

impl fmt::Display for Curious {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        assert_ne!(self.1, 13, "scripted panic in `Display`");
        write!(f, "one more than {}", self.0.len())
    }
}

#[test]
fn a_keys_text_may_ask_for_the_circuits() {
    let (done, finished) = mpsc::channel();
    // In a thread of its own: where a lock is held meanwhile, it never comes back.
    std::thread::spawn(move || {
        let circuits = KeyedCircuits::<Curious>::new(&dependency());
        let key = {
            let circuits = circuits.clone();
            move |n: &u32| Curious(circuits.clone(), *n)
        };
        let layer = CircuitBreakerLayer::keyed(circuits, key).for_results();
        let runtime = tokio::runtime::Builder::new_current_thread()
            .build()
            .unwrap();
        let answer = runtime.block_on(layer.layer(probe().0).oneshot(1));
        done.send(answer.unwrap()).unwrap();
    });
    let patience = Duration::from_secs(5);
    assert_eq!(finished.recv_timeout(patience), Ok(1), "deadlocked");
}

#[tokio::test(start_paused = true)]
async fn a_panic_of_the_users_key_leaves_the_other_keys_usable() {
    let circuits = KeyedCircuits::<u32>::new(&dependency());
    let key = |n: &u32| {
        assert_ne!(*n, 13, "scripted panic in the key's closure");
        *n
    };
    let layer = CircuitBreakerLayer::keyed(circuits.clone(), key).for_results();
    let call = tokio::spawn(layer.layer(probe().0).oneshot(13));
    assert!(call.await.unwrap_err().is_panic());
    assert_eq!(layer.layer(probe().0).oneshot(1).await.unwrap(), 1);
    let call = tokio::spawn(layer.layer(probe().0).oneshot(13));
    assert!(call.await.unwrap_err().is_panic());
    assert_eq!(circuits.len(), 1);
}
