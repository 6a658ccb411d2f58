//! The stream of events.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test that unwraps or panics says that something is wrong"
)]

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use brownout_registry::{
    Criticality, DegradationLevel, Event, EventKind, Events, FeatureState, FlagCause, Order,
    Received, Registry, Report, ReporterKind, Status, SystemHealth,
};
use tokio::time::{Instant, advance};

const SECOND: Duration = Duration::from_secs(1);

fn drain(events: &mut Events) -> Vec<Arc<Event>> {
    let mut all = Vec::new();
    while let Some(received) = events.try_recv() {
        match received {
            Received::Event(event) => all.push(event),
            Received::Missed(missed) => panic!("{missed} missed"),
        }
    }
    all
}

#[tokio::test(start_paused = true)]
async fn each_transition_is_one_numbered_event() {
    let registry = Registry::new();
    let mut events = registry.events();
    let payments = registry
        .dependency("payments")
        .criticality(Criticality::Critical)
        .register()
        .unwrap();
    let reporter = payments.reporter(ReporterKind::Code, "one");
    reporter.report(Report::unhealthy("gone"));
    reporter.report(Report::unhealthy("gone").detail("and now a detail"));
    let all = drain(&mut events);
    let (dependency, message): (Arc<str>, Option<Arc<str>>) =
        ("payments".into(), Some("gone".into()));
    let expected = [
        EventKind::DependencyRegistered {
            dependency: dependency.clone(),
            criticality: Criticality::Critical,
        },
        EventKind::StatusChanged {
            dependency,
            from: Status::Healthy,
            to: Status::Unhealthy,
            message,
        },
        EventKind::HealthChanged {
            from: SystemHealth::Healthy,
            to: SystemHealth::Critical,
        },
        EventKind::LevelChanged {
            from: DegradationLevel::Full,
            to: DegradationLevel::Emergency,
        },
    ];
    assert_eq!(
        all.iter()
            .map(|event| event.kind.clone())
            .collect::<Vec<_>>(),
        expected
    );
    assert_eq!(
        all.iter().map(|event| event.sequence).collect::<Vec<_>>(),
        [1, 2, 3, 4]
    );
    assert_eq!(registry.recent_events(), all);
}

#[tokio::test(start_paused = true)]
async fn an_expiry_noticed_late_happened_at_its_deadline() {
    let registry = Registry::new();
    let start = Instant::now();
    let payments = registry
        .dependency("payments")
        .criticality(Criticality::Critical)
        .register()
        .unwrap();
    let reporter = payments.reporter(ReporterKind::Code, "one");
    reporter.report(
        Report::unhealthy("gone")
            .ttl(SECOND * 10)
            .then(Status::Degraded),
    );
    payments
        .override_circuit(
            brownout_registry::CircuitMode::ObserveOnly,
            Order::new("a", "b", SECOND * 12),
        )
        .unwrap();
    let mut events = registry.events();
    advance(SECOND * 3600).await;
    assert_eq!(registry.level(), DegradationLevel::Full);
    let times: Vec<_> = drain(&mut events)
        .iter()
        .map(|event| (event.at - start).as_secs())
        .collect();
    assert_eq!(times, [10, 10, 12, 25], "status, health, override, level");
}

#[tokio::test(start_paused = true)]
async fn what_expires_at_one_instant_is_derived_once() {
    let registry = Registry::new();
    let payments = registry
        .dependency("payments")
        .criticality(Criticality::Critical)
        .register()
        .unwrap();
    let reporter = payments.reporter(ReporterKind::Code, "one");
    payments
        .override_status(Status::Healthy, Order::new("a", "b", SECOND * 10))
        .unwrap();
    reporter.report(Report::unhealthy("gone").ttl(SECOND * 10));
    advance(SECOND * 11).await;
    assert_eq!(
        registry.level(),
        DegradationLevel::Full,
        "the report never counted"
    );
    let changes = registry.recent_events();
    assert!(
        !changes
            .iter()
            .any(|event| matches!(event.kind, EventKind::StatusChanged { .. })),
        "{changes:?}"
    );
}

#[tokio::test(start_paused = true)]
async fn a_slow_reader_is_told_how_many_it_missed() {
    let registry = Registry::new();
    let mut slow = registry.events();
    let mut quick = registry.events();
    for number in 0..300 {
        registry.dependency(number.to_string()).register().unwrap();
        assert!(matches!(quick.recv().await, Some(Received::Event(_))));
    }
    assert_eq!(slow.recv().await, Some(Received::Missed(44)));
    let Some(Received::Event(next)) = slow.recv().await else {
        panic!("the oldest kept event comes next")
    };
    assert_eq!(next.sequence, 45);
    assert_eq!(drain(&mut slow).len(), 255);
    assert_eq!(registry.recent_events().len(), 256);
}

#[tokio::test(start_paused = true)]
async fn the_stream_ends_with_the_registry_after_what_was_left_to_read() {
    let registry = Registry::new();
    let mut events = registry.events();
    registry.dependency("search").register().unwrap();
    drop(registry);
    assert!(matches!(events.recv().await, Some(Received::Event(_))));
    assert_eq!(events.recv().await, None);
}

#[tokio::test(start_paused = true)]
async fn a_reader_that_waits_is_woken_and_may_be_cancelled() {
    let registry = Registry::new();
    let mut events = registry.events();
    assert!(tokio::time::timeout(SECOND, events.recv()).await.is_err());
    let waiting = tokio::spawn(async move { events.recv().await });
    tokio::task::yield_now().await;
    registry.dependency("search").register().unwrap();
    assert!(matches!(waiting.await.unwrap(), Some(Received::Event(_))));
}

#[tokio::test(start_paused = true)]
async fn other_components_record_their_own_transitions() {
    let registry = Registry::new();
    let mut events = registry.events();
    let kind = EventKind::CircuitClosed {
        dependency: "search".into(),
        key: None,
        generation: 3,
    };
    registry.record(kind.clone());
    assert_eq!(drain(&mut events)[0].kind, kind);
}

#[tokio::test(start_paused = true)]
async fn the_wall_clock_decides_nothing() {
    let registry = Registry::new();
    let payments = registry.dependency("payments").register().unwrap();
    let reporter = payments.reporter(ReporterKind::Code, "one");
    reporter.report(Report::unhealthy("gone").ttl(SECOND * 100));
    // tokio's clock is far ahead of the wall's here, as it would be after somebody set the wall clock back.
    advance(SECOND * 100).await;
    assert_eq!(payments.status(), Status::Healthy);
    let events = registry.recent_events();
    let late = events.last().unwrap().wall;
    assert!(
        late <= SystemTime::now(),
        "display time is this moment's wall clock less the distance"
    );
}

#[test]
fn nobody_can_record_what_is_the_registrys_own_to_say() {
    let registry = Registry::new();
    registry.record(EventKind::LevelChanged {
        from: DegradationLevel::Full,
        to: DegradationLevel::Emergency,
    });
    assert_eq!(registry.recent_events(), []);
}

#[test]
fn what_flags_do_is_theirs_to_record() {
    let registry = Registry::new();
    let event = EventKind::FlagChanged {
        flag: "recommendations".into(),
        from: FeatureState::Enabled,
        to: FeatureState::Degraded,
        cause: FlagCause::Errors,
    };
    registry.record(event.clone());
    assert_eq!(registry.recent_events()[0].kind, event);
}
