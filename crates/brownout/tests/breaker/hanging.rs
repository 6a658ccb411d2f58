//! Calls that neither fail nor answer: with a slow threshold they open the circuit while they hang.

use brownout::{
    breaker::{Circuit, Ticket},
    core::{RejectReason, Verdict},
    registry::CircuitState,
};
use brownout_testing::Behaviour;
use tokio::time::advance;
use tower::{Service, ServiceExt};

use crate::common::{SECOND, breaker, circuit, exact, history, ms, probe, refused, succeed};

/// Slow from one second on; noticed in steps of an eighth, so by nine eighths to ten.
fn sensitive() -> Circuit {
    circuit(exact().slow_calls(SECOND, 0.5))
}

fn out(circuit: &Circuit, calls: usize) -> Vec<Ticket> {
    (0..calls).map(|_| circuit.admit().unwrap()).collect()
}

#[tokio::test(start_paused = true)]
async fn a_total_hang_opens_the_circuit_without_a_single_outcome() {
    let circuit = sensitive();
    let _hanging = out(&circuit, 20);
    advance(ms(1_250)).await;
    assert_eq!(refused(&circuit).reason(), RejectReason::CircuitOpen);
    assert_eq!(history(circuit.dependency()), ["1 opened: slow ratio"]);
}

#[tokio::test(start_paused = true)]
async fn calls_that_are_not_yet_slow_do_not_count() {
    let circuit = sensitive();
    let _out = out(&circuit, 100);
    advance(SECOND - ms(1)).await;
    assert!(circuit.admit().is_ok());
    succeed(&circuit, 1);
    assert_eq!(circuit.state(), CircuitState::Closed);
}

#[tokio::test(start_paused = true)]
async fn fewer_hanging_calls_than_the_minimum_open_nothing() {
    let circuit = sensitive();
    let _hanging = out(&circuit, 19);
    advance(SECOND * 60).await;
    assert!(circuit.admit().is_ok());
    assert_eq!(circuit.state(), CircuitState::Closed);
}

#[tokio::test(start_paused = true)]
async fn hanging_calls_are_weighed_against_those_that_answer() {
    let circuit = sensitive();
    let _hanging = out(&circuit, 19);
    advance(ms(1_250)).await;
    succeed(&circuit, 20);
    assert_eq!(circuit.state(), CircuitState::Closed, "19 of 39");
    let _one_more = circuit.admit().unwrap();
    advance(ms(1_250)).await;
    assert!(circuit.admit().is_err(), "20 of 40");
}

#[tokio::test(start_paused = true)]
async fn a_call_that_hung_and_then_answered_counts_once() {
    let circuit = sensitive();
    let hanging = out(&circuit, 10);
    advance(ms(1_250)).await;
    for ticket in hanging {
        ticket.success();
    }
    let stats = circuit.stats();
    assert_eq!((stats.window_slow, stats.window_calls), (10, 10));
    // Were they counted twice, 20 of 20 would be slow.
    advance(ms(1_250)).await;
    assert!(circuit.admit().is_ok());
}

#[tokio::test(start_paused = true)]
async fn calls_that_were_dropped_or_have_their_head_hang_no_more() {
    let circuit = sensitive();
    drop(out(&circuit, 50));
    let mut streams = out(&circuit, 50);
    for stream in &mut streams {
        stream.head(Verdict::Success);
    }
    advance(SECOND * 60).await;
    assert!(circuit.admit().is_ok());
    assert_eq!(circuit.state(), CircuitState::Closed);
}

#[tokio::test(start_paused = true)]
async fn calls_that_hang_for_ever_do_not_open_the_circuit_again() {
    let circuit = sensitive();
    let _hanging = out(&circuit, 20);
    advance(ms(1_250)).await;
    assert!(circuit.admit().is_err());
    advance(SECOND * 5).await;
    succeed(&circuit, 2);
    assert_eq!(circuit.state(), CircuitState::Closed);
    for _ in 0..100 {
        succeed(&circuit, 1);
        advance(ms(100)).await;
    }
    assert_eq!(
        circuit.state(),
        CircuitState::Closed,
        "an earlier generation moves nothing"
    );
}

#[tokio::test(start_paused = true)]
async fn a_hung_service_is_refused_to_all_but_those_who_wait_already() {
    let circuit = sensitive();
    let (service, inner) = probe();
    inner.always(Behaviour::hang());
    let mut service = breaker(&circuit, service);
    let mut hanging = Vec::new();
    for n in 0..20 {
        let call = service.ready().await.unwrap().call(n);
        hanging.push(tokio::spawn(call));
    }
    tokio::task::yield_now().await;
    advance(ms(1_250)).await;
    // The circuit finds out when somebody asks, and that one is refused already.
    assert!(service.ready().await.unwrap().call(1).await.is_err());
    assert_eq!(inner.counts().calls, 20);
    for call in hanging {
        call.abort();
    }
}
