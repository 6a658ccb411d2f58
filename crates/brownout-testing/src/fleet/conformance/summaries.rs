//! Summaries of replicas.

use std::time::Duration;

use brownout_registry::fleet::{FleetStore, Sick, Summary, limits};
use brownout_registry::{DegradationLevel, FeatureState, Status, SystemHealth};
use tokio::time::sleep;

use super::rig::{LONG, Rig, done, summary};

pub(super) async fn a_summary_comes_back_and_is_replaced<S: FleetStore>(
    rig: &Rig<impl AsyncFn(&str) -> S>,
) {
    let namespace = rig.namespace();
    let (one, other) = (namespace.store().await, namespace.store().await);
    let sick = |n: usize| Sick {
        dependency: format!("dependency-{n}").into(),
        status: Status::Unhealthy,
    };
    let flag = |n: usize| (format!("flag-{n}").into(), FeatureState::Disabled);
    let ill = Summary {
        level: DegradationLevel::Emergency,
        health: SystemHealth::Critical,
        sick: (0..limits::NAMED).map(sick).collect(),
        flags: (0..limits::NAMED).map(flag).collect(),
        ..summary("one")
    };
    done("report", one.report(summary("one"), LONG)).await;
    done("report", one.report(ill.clone(), LONG)).await;
    done("report", other.report(summary("other"), LONG)).await;
    let mut replicas = done("replicas", other.replicas()).await;
    replicas
        .summaries
        .sort_by(|(one, _), (other, _)| one.replica.cmp(&other.replica));
    let (said, untils): (Vec<_>, Vec<_>) = replicas.summaries.into_iter().unzip();
    assert_eq!(said, [ill, summary("other")]);
    assert_eq!((replicas.live, replicas.damage), (2, None));
    for until in untils {
        let left = until.since(replicas.now);
        assert!(
            left <= LONG && left > LONG / 2,
            "it is kept for {LONG:?}, and has {left:?} left"
        );
    }
}

pub(super) async fn a_replica_that_falls_silent_is_gone<S: FleetStore>(
    rig: &Rig<impl AsyncFn(&str) -> S>,
) {
    let store = rig.store().await;
    let brief = Duration::from_millis(400);
    done("report", store.report(summary("silent"), brief)).await;
    done("report", store.report(summary("renewed"), brief)).await;
    done("report", store.report(summary("renewed"), LONG)).await;
    assert_eq!(done("replicas", store.replicas()).await.live, 2);
    sleep(Duration::from_millis(1_400)).await;
    let replicas = done("replicas", store.replicas()).await;
    let names: Vec<_> = replicas
        .summaries
        .iter()
        .map(|(summary, _)| summary.replica.as_str())
        .collect();
    assert_eq!((replicas.live, names), (1, vec!["renewed"]));
}

pub(super) async fn of_many_replicas_all_are_counted_and_some_are_named<S: FleetStore>(
    rig: &Rig<impl AsyncFn(&str) -> S>,
) {
    let store = rig.store().await;
    let many = limits::SUMMARIES + 20;
    for n in 0..many {
        let report = store.report(summary(&format!("replica-{n}")), LONG);
        done("report", report).await;
    }
    let replicas = done("replicas", store.replicas()).await;
    assert_eq!(usize::try_from(replicas.live).ok(), Some(many));
    assert_eq!(replicas.summaries.len(), limits::SUMMARIES);
}
