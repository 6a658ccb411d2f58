//! Who decides: people before automation, and else the worst.

use brownout::{
    breaker::Circuit,
    flag::Flags,
    registry::{
        DegradationLevel::{Emergency, Full, Minimal, Reduced},
        FeatureState::{Degraded, Disabled, Enabled},
        FlagCause, Report, ReporterKind,
    },
};
use tokio::time::advance;

use crate::common::{
    MINUTE, RAMP, SECOND, TTL, critical, exact_in, fail, history, impose, impose_level, registry,
    trip,
};

#[tokio::test(start_paused = true)]
async fn what_an_operator_imposes_counts_until_it_expires_or_is_released() {
    let registry = registry();
    let flag = exact_in(&registry).build().unwrap();
    for state in [Degraded, Disabled, Enabled] {
        let id = impose(&registry, state, MINUTE);
        assert_eq!(flag.state(), state);
        assert_eq!(flag.stats().ends_after, Some(MINUTE));
        registry.release(id).unwrap();
        assert_eq!(flag.state(), Enabled);
    }
    impose(&registry, Disabled, MINUTE);
    advance(MINUTE).await;
    assert_eq!(flag.state(), Enabled);
    assert!(flag.admit().is_ok());
}

#[tokio::test(start_paused = true)]
async fn an_operator_enables_what_automation_has_degraded() {
    let registry = registry();
    let flag = exact_in(&registry).build().unwrap();
    trip(&flag);
    let id = impose(&registry, Enabled, MINUTE);
    assert_eq!(flag.state(), Enabled);
    // Calls fail on, and nothing overrules the operator.
    fail(&flag, 100);
    assert_eq!(flag.state(), Enabled);
    registry.release(id).unwrap();
    assert_eq!(flag.state(), Degraded);
    assert_eq!(flag.stats().ends_after, Some(TTL));
}

#[tokio::test(start_paused = true)]
async fn automation_goes_on_beneath_an_order_and_counts_when_it_is_over() {
    let registry = registry();
    let flag = exact_in(&registry).build().unwrap();
    impose(&registry, Enabled, MINUTE);
    fail(&flag, 5);
    assert_eq!(flag.state(), Enabled);
    advance(MINUTE).await;
    assert_eq!(flag.state(), Degraded);
    advance(TTL - MINUTE).await;
    assert_eq!(flag.state(), Enabled);
}

#[tokio::test(start_paused = true)]
async fn an_operator_who_enables_it_overrules_the_ramp() {
    let registry = registry();
    let flag = exact_in(&registry).build().unwrap();
    trip(&flag);
    advance(TTL).await;
    impose(&registry, Enabled, RAMP);
    assert!((0..1_000).all(|_| flag.admit().is_ok()));
}

#[tokio::test(start_paused = true)]
async fn an_order_given_before_the_flag_exists_holds() {
    let registry = registry();
    impose(&registry, Disabled, MINUTE);
    let flag = exact_in(&registry).build().unwrap();
    assert_eq!(flag.state(), Disabled);
}

#[tokio::test(start_paused = true)]
async fn what_is_configured_is_never_made_better() {
    let registry = registry();
    let flag = exact_in(&registry)
        .configured(Disabled)
        .degrade_at(Minimal)
        .build()
        .unwrap();
    impose_level(&registry, Emergency, MINUTE);
    assert_eq!(flag.state(), Disabled);
    flag.configure(Degraded);
    assert_eq!(flag.state(), Degraded);
    flag.configure(Enabled);
    assert_eq!(flag.state(), Degraded, "the level asks for it");
    advance(MINUTE).await;
    assert_eq!(flag.state(), Enabled);
}

#[tokio::test(start_paused = true)]
async fn what_is_configured_has_no_end_though_errors_would() {
    let registry = registry();
    let flag = exact_in(&registry).build().unwrap();
    trip(&flag);
    flag.configure(Degraded);
    assert_eq!(flag.stats().ends_after, None);
    assert_eq!(flag.admit().unwrap_err().retry_after(), None);
    advance(TTL * 2).await;
    assert_eq!(flag.state(), Degraded);
}

#[tokio::test(start_paused = true)]
async fn a_flag_steps_back_with_the_level_and_returns_with_it() {
    let registry = registry();
    let flag = exact_in(&registry)
        .degrade_at(Reduced)
        .disable_at(Emergency)
        .build()
        .unwrap();
    for (level, state) in [
        (Full, Enabled),
        (Reduced, Degraded),
        (Minimal, Degraded),
        (Emergency, Disabled),
        (Reduced, Degraded),
        (Full, Enabled),
    ] {
        impose_level(&registry, level, MINUTE);
        assert_eq!(flag.state(), state, "at {level}");
        assert_eq!(flag.admit().is_ok(), state == Enabled);
    }
}

#[tokio::test(start_paused = true)]
async fn without_a_gate_the_level_is_nothing_to_a_flag() {
    let registry = registry();
    let flag = exact_in(&registry).build().unwrap();
    impose_level(&registry, Emergency, MINUTE);
    assert_eq!(flag.state(), Enabled);
}

#[tokio::test(start_paused = true)]
async fn nothing_latches_when_an_outage_ends_without_any_traffic() {
    let registry = registry();
    let flag = exact_in(&registry).disable_at(Emergency).build().unwrap();
    let ledger = critical(&registry);
    ledger.report(Report::unhealthy("gone").ttl(SECOND * 30));
    assert_eq!(flag.state(), Disabled);
    // The report expires, and after the dwell the level falls. Nobody calls, no driver runs.
    advance(SECOND * 30 + SECOND * 15).await;
    assert_eq!(flag.state(), Enabled);
    assert!(flag.admit().is_ok());
}

#[tokio::test(start_paused = true)]
async fn a_gate_never_acts_on_what_the_circuits_of_its_own_dependency_say() {
    let registry = registry();
    let recs = registry.dependency("recs").register().unwrap();
    let flags = Flags::new(&registry);
    let gated = |name: &str| flags.builder(name).degrade_at(Reduced);
    let own = gated("own").dependency(&recs).build().unwrap();
    let other = gated("other").build().unwrap();
    let circuit = Circuit::new(&recs);
    let probe = recs.reporter(ReporterKind::Probe, "test");

    fail_circuit(&circuit);
    assert_eq!(registry.level(), Reduced);
    assert_eq!((own.state(), other.state()), (Enabled, Degraded));
    assert!(own.admit().is_ok());
    // Anything else that is as bad counts, what others say of the dependency among it.
    probe.report(Report::unhealthy("gone"));
    assert_eq!(own.state(), Degraded);
    probe.report(Report::healthy());
    assert_eq!(own.state(), Enabled);
    let ledger = critical(&registry);
    ledger.report(Report::unhealthy("gone").ttl(SECOND));
    assert_eq!(own.state(), Degraded);
    advance(SECOND).await;
    assert_eq!(own.state(), Enabled);

    // It closes. For a dwell the level remembers, and the circuit is still to blame.
    advance(circuit.stats().retry_after.unwrap()).await;
    for _ in 0..2 {
        circuit.admit().unwrap().success();
    }
    assert_ne!(registry.level(), Full);
    assert_eq!((own.state(), other.state()), (Enabled, Degraded));
    advance(MINUTE).await;
    assert_eq!((own.state(), other.state()), (Enabled, Enabled));
    let said = history(&registry);
    assert!(said.contains(&(Enabled, Degraded, FlagCause::Level)));

    // Once that is over, the level is what it is.
    probe.report(Report::unhealthy("gone"));
    assert_eq!(own.state(), Degraded);
    probe.report(Report::healthy());
    assert_eq!(registry.level(), Reduced);
    assert_eq!(own.state(), Degraded, "there is a dwell");
}

#[tokio::test(start_paused = true)]
async fn an_excuse_does_not_outlast_what_others_say() {
    let registry = registry();
    let recs = registry.dependency("recs").register().unwrap();
    let builder = exact_in(&registry).dependency(&recs);
    let flag = builder.degrade_at(Reduced).build().unwrap();
    let circuit = Circuit::new(&recs);
    fail_circuit(&circuit);
    assert_eq!(flag.state(), Enabled, "its own circuit is to blame");
    advance(circuit.stats().retry_after.unwrap()).await;
    for _ in 0..2 {
        circuit.admit().unwrap().success();
    }
    // Another dependency comes and goes, and the level never comes down in between.
    let ledger = registry.dependency("ledger").register().unwrap();
    let ledger = ledger.reporter(ReporterKind::Code, "test");
    for _ in 0..10 {
        ledger.report(Report::unhealthy("gone"));
        assert_eq!(flag.state(), Degraded);
        advance(SECOND).await;
        ledger.report(Report::healthy());
        assert_eq!(flag.state(), Degraded, "there is a dwell");
        advance(SECOND).await;
    }
    assert_eq!(history(&registry).len(), 1, "nothing flaps");
    advance(SECOND * 15).await;
    assert_eq!(flag.state(), Enabled);
}

#[tokio::test(start_paused = true)]
async fn an_order_on_the_level_counts_whatever_the_circuits_say() {
    let registry = registry();
    let recs = registry.dependency("recs").register().unwrap();
    let builder = exact_in(&registry).dependency(&recs);
    let flag = builder.degrade_at(Reduced).build().unwrap();
    let circuit = Circuit::new(&recs);
    fail_circuit(&circuit);
    assert_eq!(flag.state(), Enabled);
    impose_level(&registry, Minimal, MINUTE);
    assert_eq!(flag.state(), Degraded);
}

fn fail_circuit(circuit: &Circuit) {
    while let Ok(ticket) = circuit.admit() {
        ticket.failure();
    }
}

#[tokio::test(start_paused = true)]
async fn the_worst_of_all_counts_and_each_ends_for_itself() {
    let registry = registry();
    let flag = exact_in(&registry)
        .disable_at(Emergency)
        .no_ramp()
        .build()
        .unwrap();
    trip(&flag);
    impose_level(&registry, Emergency, MINUTE);
    assert_eq!(flag.state(), Disabled);
    advance(MINUTE).await;
    assert_eq!(flag.state(), Degraded);
    advance(TTL - MINUTE).await;
    assert_eq!(flag.state(), Enabled);
}

#[tokio::test(start_paused = true)]
async fn clones_and_those_who_ask_the_set_have_the_same_flag() {
    let flags = Flags::new(&registry());
    let flag = flags.flag("ml_recs").unwrap();
    let same = flags.clone().flag("ml_recs").unwrap();
    trip(&flag);
    assert_eq!(same.state(), Degraded);
    assert_eq!(flags.get("ml_recs").unwrap().state(), Degraded);
    assert_eq!(flags.get("another").map(|flag| flag.state()), None);
    flags.flag("avatars").unwrap();
    let all = flags.all();
    let names: Vec<_> = all.iter().map(brownout::flag::Flag::name).collect();
    assert_eq!(names, ["avatars", "ml_recs"]);
}
