//! What an operator imposes: forced open, forced closed, observe only; and `clear_counts`.

use brownout::{
    breaker::{Circuit, CircuitBreakerLayer},
    core::RejectReason,
    registry::{CircuitMode, CircuitState, Status},
};
use brownout_testing::LogCapture;
use tokio::time::advance;
use tower::{Layer, ServiceExt};

use crate::common::{
    HOUR, SECOND, breaker, circuit, exact, fail, failing, half_open, history, impose,
    open_and_close, pass_the_deadline, probe, reason_of, refused, succeed, trip,
};

fn release(circuit: &Circuit, id: brownout::registry::OverrideId) {
    circuit.dependency().registry().release(id).unwrap();
}

#[tokio::test(start_paused = true)]
async fn forced_open_refuses_at_once_and_touches_no_inner_service() {
    let circuit = circuit(exact());
    let (service, inner) = probe();
    impose(circuit.dependency(), CircuitMode::ForcedOpen, HOUR);
    let outcome = breaker(&circuit, service).oneshot(1).await;
    assert_eq!(reason_of(outcome), RejectReason::CircuitForcedOpen);
    assert_eq!(inner.counts().ready_polls, 0);
    assert_eq!(
        circuit.state(),
        CircuitState::Closed,
        "its own state is what it was"
    );
    assert_eq!(circuit.stats().mode, Some(CircuitMode::ForcedOpen));
    assert_eq!(circuit.stats().totals.rejected, 1);
}

#[tokio::test(start_paused = true)]
async fn forced_open_says_when_it_ends_but_never_sends_anybody_away_for_more_than_a_minute() {
    let circuit = circuit(exact());
    impose(circuit.dependency(), CircuitMode::ForcedOpen, SECOND * 90);
    assert_eq!(refused(&circuit).retry_after(), Some(SECOND * 60));
    advance(SECOND * 80).await;
    assert_eq!(refused(&circuit).retry_after(), Some(SECOND * 10));
}

#[tokio::test(start_paused = true)]
async fn no_timer_and_no_outcome_undoes_forced_open() {
    let circuit = circuit(exact());
    let [early, probe] = [circuit.admit().unwrap(), half_open(&circuit).await];
    impose(circuit.dependency(), CircuitMode::ForcedOpen, HOUR * 24);
    early.success();
    probe.success();
    for _ in 0..23 {
        advance(HOUR).await;
        assert_eq!(refused(&circuit).reason(), RejectReason::CircuitForcedOpen);
    }
    advance(HOUR).await;
    succeed(&circuit, 1);
}

#[tokio::test(start_paused = true)]
async fn a_released_circuit_goes_by_its_own_state_again() {
    let closed = circuit(exact());
    let id = impose(closed.dependency(), CircuitMode::ForcedOpen, HOUR);
    refused(&closed);
    release(&closed, id);
    succeed(&closed, 1);

    let open = circuit(exact());
    trip(&open);
    let id = impose(open.dependency(), CircuitMode::ForcedClosed, HOUR);
    succeed(&open, 1);
    release(&open, id);
    assert_eq!(refused(&open).reason(), RejectReason::CircuitOpen);
}

#[tokio::test(start_paused = true)]
async fn forced_closed_admits_everything_and_goes_on_counting() {
    let circuit = circuit(exact());
    let id = impose(circuit.dependency(), CircuitMode::ForcedClosed, HOUR);
    fail(&circuit, 100);
    let stats = circuit.stats();
    assert_eq!(stats.state, CircuitState::Closed);
    assert_eq!((stats.window_failures, stats.totals.failures), (100, 100));
    assert!(history(circuit.dependency()).is_empty());
    release(&circuit, id);
    fail(&circuit, 1);
    assert_eq!(
        circuit.state(),
        CircuitState::Open,
        "what was counted still counts"
    );
}

#[tokio::test(start_paused = true)]
async fn forced_closed_admits_everything_though_the_circuit_is_open_or_probing() {
    let circuit = circuit(exact().probes(1));
    trip(&circuit);
    let id = impose(circuit.dependency(), CircuitMode::ForcedClosed, SECOND);
    let (service, _) = probe();
    assert!(breaker(&circuit, service).oneshot(1).await.is_ok());
    succeed(&circuit, 10);
    assert_eq!(circuit.state(), CircuitState::Open);
    release(&circuit, id);

    pass_the_deadline(&circuit).await;
    let _probe = circuit.admit().unwrap();
    impose(circuit.dependency(), CircuitMode::ForcedClosed, SECOND);
    fail(&circuit, 10);
    assert_eq!(
        circuit.state(),
        CircuitState::HalfOpen,
        "these are no probes"
    );
}

#[tokio::test(start_paused = true)]
async fn forced_closed_does_not_ramp() {
    let circuit = circuit(exact().ramp(HOUR));
    open_and_close(&circuit).await;
    impose(circuit.dependency(), CircuitMode::ForcedClosed, HOUR);
    succeed(&circuit, 1_000);
}

#[tokio::test(start_paused = true)]
async fn observe_only_refuses_nothing_and_says_when_it_would_have_opened() {
    let circuit = circuit(exact());
    impose(circuit.dependency(), CircuitMode::ObserveOnly, HOUR);
    let logs = LogCapture::start();
    fail(&circuit, 12);
    assert_eq!(circuit.state(), CircuitState::Closed);
    assert_eq!(
        history(circuit.dependency()),
        [
            "1 would open: consecutive failures",
            "2 would open: consecutive failures"
        ],
        "once for each run of five, not once a failure"
    );
    assert_eq!(logs.find_all("would have opened").len(), 2);
    assert_eq!(circuit.stats().totals.rejected, 0);
}

#[tokio::test(start_paused = true)]
async fn a_circuit_that_only_observes_opens_for_real_once_released() {
    let circuit = circuit(exact());
    let id = impose(circuit.dependency(), CircuitMode::ObserveOnly, HOUR);
    let early: Vec<_> = (0..10).map(|_| circuit.admit().unwrap()).collect();
    fail(&circuit, 5);
    release(&circuit, id);
    for ticket in early {
        ticket.failure();
    }
    assert_eq!(
        circuit.state(),
        CircuitState::Closed,
        "those came before it would have opened"
    );
    fail(&circuit, 5);
    assert_eq!(circuit.state(), CircuitState::Open);
}

#[tokio::test(start_paused = true)]
async fn a_mode_ends_by_itself_with_its_order() {
    let circuit = circuit(exact());
    for mode in [
        CircuitMode::ForcedOpen,
        CircuitMode::ForcedClosed,
        CircuitMode::ObserveOnly,
    ] {
        impose(circuit.dependency(), mode, SECOND);
        assert_eq!(circuit.stats().mode, Some(mode));
        advance(SECOND).await;
        assert_eq!(circuit.stats().mode, None);
        succeed(&circuit, 1);
    }
}

#[tokio::test(start_paused = true)]
async fn forced_open_is_unhealthy_and_what_admits_everything_is_degraded_at_most() {
    let circuit = circuit(exact());
    let dependency = circuit.dependency();
    let id = impose(dependency, CircuitMode::ForcedOpen, HOUR);
    assert_eq!(dependency.status(), Status::Unhealthy);
    release(&circuit, id);
    assert_eq!(dependency.status(), Status::Healthy);

    trip(&circuit);
    assert_eq!(dependency.status(), Status::Unhealthy);
    for mode in [CircuitMode::ForcedClosed, CircuitMode::ObserveOnly] {
        let id = impose(dependency, mode, HOUR);
        assert_eq!(dependency.status(), Status::Degraded);
        release(&circuit, id);
    }
}

#[tokio::test(start_paused = true)]
async fn a_mode_holds_for_circuits_made_after_it() {
    let first = circuit(exact());
    impose(first.dependency(), CircuitMode::ForcedOpen, HOUR);
    let layer = CircuitBreakerLayer::new(first.dependency()).for_results();
    let outcome = layer.layer(probe().0).oneshot(1).await;
    assert_eq!(reason_of(outcome), RejectReason::CircuitForcedOpen);
}

#[tokio::test(start_paused = true)]
async fn a_call_under_way_is_still_judged_while_forced_open() {
    let circuit = circuit(exact());
    let (service, inner) = probe();
    let early: Vec<_> = (0..5).map(|_| circuit.admit().unwrap()).collect();
    impose(circuit.dependency(), CircuitMode::ForcedOpen, HOUR);
    for ticket in early {
        ticket.failure();
    }
    assert_eq!(circuit.state(), CircuitState::Open);
    inner.always(failing());
    let outcome = breaker(&circuit, service).oneshot(1).await;
    assert_eq!(reason_of(outcome), RejectReason::CircuitForcedOpen);
}

#[tokio::test(start_paused = true)]
async fn counts_can_be_cleared_while_closed() {
    let circuit = circuit(exact());
    fail(&circuit, 4);
    circuit.clear_counts();
    let stats = circuit.stats();
    assert_eq!((stats.window_calls, stats.consecutive_failures), (0, 0));
    assert_eq!(stats.totals.failures, 4);
    fail(&circuit, 4);
    assert_eq!(circuit.state(), CircuitState::Closed);
}

#[tokio::test(start_paused = true)]
async fn counts_of_a_window_of_calls_can_be_cleared() {
    let circuit = circuit(exact().window_of_calls(30).no_consecutive_failures());
    fail(&circuit, 19);
    circuit.clear_counts();
    assert_eq!(circuit.stats().window_calls, 0);
    fail(&circuit, 19);
    assert_eq!(circuit.state(), CircuitState::Closed);
    fail(&circuit, 1);
    assert_eq!(circuit.state(), CircuitState::Open);
}

#[tokio::test(start_paused = true)]
async fn clearing_counts_forgets_the_back_off_in_any_state() {
    for half in [false, true] {
        let circuit = circuit(exact());
        half_open(&circuit).await.failure();
        if half {
            pass_the_deadline(&circuit).await;
            drop(circuit.admit().unwrap());
        }
        let before = circuit.stats();
        circuit.clear_counts();
        let after = circuit.stats();
        assert_eq!(
            (after.state, after.retry_after),
            (before.state, before.retry_after)
        );
        if !half {
            pass_the_deadline(&circuit).await;
        }
        fail(&circuit, 1);
        assert_eq!(circuit.stats().retry_after, Some(SECOND * 5), "not 20");
    }
}

#[tokio::test(start_paused = true)]
async fn counts_can_be_cleared_under_every_mode() {
    for mode in [
        CircuitMode::ForcedOpen,
        CircuitMode::ForcedClosed,
        CircuitMode::ObserveOnly,
    ] {
        let circuit = circuit(exact());
        fail(&circuit, 4);
        let id = impose(circuit.dependency(), mode, HOUR);
        circuit.clear_counts();
        release(&circuit, id);
        fail(&circuit, 4);
        assert_eq!(circuit.state(), CircuitState::Closed, "{mode}");
    }
}
