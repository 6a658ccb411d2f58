//! What a circuit tells the registry and the log.

use brownout::{
    Registry,
    breaker::{Circuit, CircuitBreakerLayer},
    registry::{CircuitState, Criticality, DegradationLevel, Status, SystemHealth},
};
use brownout_testing::LogCapture;
use tokio::time::advance;
use tower::{Layer, ServiceExt};
use tracing::Level;

use crate::common::{
    HOUR, SECOND, circuit, exact, fail, failing, half_open, history, ms, pass_the_deadline, probe,
    refused, succeed, trip,
};

#[tokio::test(start_paused = true)]
async fn an_open_circuit_reports_unhealthy_until_a_probe_is_due_and_degraded_after_that() {
    let circuit = circuit(exact());
    let dependency = circuit.dependency();
    assert_eq!(dependency.status(), Status::Healthy);
    trip(&circuit);
    assert_eq!(dependency.status(), Status::Unhealthy);
    advance(SECOND * 5 - ms(1)).await;
    assert_eq!(dependency.status(), Status::Unhealthy);
    advance(ms(1)).await;
    assert_eq!(
        dependency.status(),
        Status::Degraded,
        "nobody knows any more"
    );
    advance(HOUR * 24).await;
    assert_eq!(dependency.status(), Status::Degraded);
}

#[tokio::test(start_paused = true)]
async fn a_half_open_circuit_still_reports_unhealthy_and_closing_reports_healthy() {
    let circuit = circuit(exact());
    let dependency = circuit.dependency();
    half_open(&circuit).await.success();
    assert_eq!(dependency.status(), Status::Unhealthy);
    succeed(&circuit, 1);
    assert_eq!(dependency.status(), Status::Healthy);
}

#[tokio::test(start_paused = true)]
async fn a_half_open_circuit_that_nobody_calls_any_more_is_degraded() {
    let circuit = circuit(exact());
    drop(half_open(&circuit).await);
    advance(SECOND * 5).await;
    assert_eq!(circuit.dependency().status(), Status::Degraded);
}

#[tokio::test(start_paused = true)]
async fn an_outage_with_no_traffic_after_it_does_not_hold_the_system_down() {
    let registry = Registry::new();
    let payments = registry
        .dependency("payments")
        .criticality(Criticality::Critical);
    let circuit = Circuit::new(&payments.register().unwrap());
    fail(&circuit, 5);
    assert_eq!(registry.level(), DegradationLevel::Emergency);
    assert_eq!(registry.health(), SystemHealth::Critical);
    // Gates close on the level and let no call through any more. No driver runs, and nobody asks the circuit.
    advance(SECOND * 6 + SECOND * 15).await;
    assert_eq!(registry.level(), DegradationLevel::Full);
    assert_eq!(registry.health(), SystemHealth::Degraded);
    // So the gates open, the traffic returns, and with it the truth.
    succeed(&circuit, 2);
    assert_eq!(registry.health(), SystemHealth::Healthy);
}

#[tokio::test(start_paused = true)]
async fn the_status_that_gates_act_on_knows_nothing_of_the_circuit() {
    let circuit = circuit(exact());
    trip(&circuit);
    assert_eq!(circuit.dependency().status(), Status::Unhealthy);
    assert_eq!(
        circuit.dependency().status_without_traffic(),
        Status::Healthy
    );
}

#[tokio::test(start_paused = true)]
async fn one_open_circuit_of_an_optional_dependency_does_not_take_the_system_down() {
    let registry = Registry::new();
    let recs = registry
        .dependency("recommendations")
        .criticality(Criticality::Optional);
    let circuit = Circuit::new(&recs.register().unwrap());
    fail(&circuit, 5);
    assert_eq!(registry.level(), DegradationLevel::Full);
    assert_eq!(registry.health(), SystemHealth::Degraded);
}

#[tokio::test(start_paused = true)]
async fn every_transition_is_an_event_in_order_with_its_reason() {
    let circuit = circuit(exact());
    fail(&circuit, 5);
    pass_the_deadline(&circuit).await;
    fail(&circuit, 1);
    pass_the_deadline(&circuit).await;
    succeed(&circuit, 1);
    advance(SECOND * 5).await;
    succeed(&circuit, 1);
    assert_eq!(
        history(circuit.dependency()),
        [
            "1 opened: consecutive failures",
            "2 half-open",
            "3 opened: probe failed",
            "4 half-open",
            "5 closed",
        ]
    );
}

#[tokio::test(start_paused = true)]
async fn a_transition_is_one_log_line_with_its_fields() {
    let logs = LogCapture::start();
    let circuit = circuit(exact());
    fail(&circuit, 5);
    pass_the_deadline(&circuit).await;
    succeed(&circuit, 2);

    let opened = logs.find_all("circuit opened");
    assert_eq!(opened.len(), 1);
    assert_eq!(opened[0].level, Level::WARN);
    for (field, value) in [
        ("dependency", "search"),
        ("from", "closed"),
        ("to", "open"),
        ("reason", "consecutive failures"),
        ("generation", "1"),
    ] {
        assert_eq!(opened[0].field(field), Some(value));
    }
    for message in ["circuit half-open", "circuit closed"] {
        let lines = logs.find_all(message);
        assert_eq!(lines.len(), 1, "{message}");
        assert_eq!(lines[0].level, Level::INFO);
    }
}

#[tokio::test(start_paused = true)]
async fn refusals_are_not_logged_one_by_one() {
    let circuit = circuit(exact());
    trip(&circuit);
    let (service, inner) = probe();
    inner.always(failing());
    let layer = CircuitBreakerLayer::with(circuit.clone()).for_results();
    let logs = LogCapture::at(Level::DEBUG);
    for _ in 0..1_000 {
        layer.layer(service.clone()).oneshot(1).await.unwrap_err();
        refused(&circuit);
    }
    assert_eq!(logs.records(), []);
    assert_eq!(history(circuit.dependency()).len(), 1);
}

#[tokio::test(start_paused = true)]
async fn all_services_of_a_layer_share_its_circuit() {
    let circuit = circuit(exact());
    let layer = CircuitBreakerLayer::with(circuit.clone()).for_results();
    let (service, inner) = probe();
    inner.always(failing());
    for n in 0..5 {
        // Applied anew for each call, as a router does for each route or connection.
        assert!(
            layer
                .clone()
                .layer(service.clone())
                .oneshot(n)
                .await
                .is_err()
        );
    }
    assert_eq!(circuit.state(), CircuitState::Open);
    assert!(layer.layer(service).oneshot(1).await.is_err());
    assert_eq!(inner.counts().calls, 5);
}

#[tokio::test(start_paused = true)]
async fn dropping_the_last_handle_withdraws_what_the_circuit_said() {
    let circuit = circuit(exact());
    let dependency = circuit.dependency().clone();
    let service = CircuitBreakerLayer::with(circuit.clone())
        .for_results()
        .layer(probe().0);
    trip(&circuit);
    drop(circuit);
    assert_eq!(dependency.status(), Status::Unhealthy);
    drop(service);
    assert_eq!(dependency.status(), Status::Healthy);
}

#[tokio::test(start_paused = true)]
async fn two_circuits_of_one_dependency_are_as_well_as_the_worse() {
    let first = circuit(exact());
    let dependency = first.dependency().clone();
    let second = Circuit::builder(&dependency)
        .policy(exact().build().unwrap())
        .build();
    trip(&first);
    succeed(&second, 100);
    assert_eq!(dependency.status(), Status::Unhealthy);
    drop(first);
    assert_eq!(dependency.status(), Status::Healthy);
}

#[tokio::test(start_paused = true)]
async fn late_outcomes_report_nothing() {
    let circuit = circuit(exact());
    let early: Vec<_> = (0..10).map(|_| circuit.admit().unwrap()).collect();
    half_open(&circuit).await.success();
    succeed(&circuit, 1);
    let before = history(circuit.dependency());
    for ticket in early {
        ticket.failure();
    }
    assert_eq!(history(circuit.dependency()), before);
    assert_eq!(circuit.dependency().status(), Status::Healthy);
}
