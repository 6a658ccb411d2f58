//! The fleet as each replica sees it.

use brownout_registry::fleet::Sick;
use brownout_registry::{DegradationLevel, Report, ReporterKind, Status, SystemHealth};
use brownout_testing::fleet::Fault;
use tokio::time::sleep;

use super::common::{Replica, SECOND, fleet, registry, settings, soon};

/// Longer than two reports.
const REPORTS: std::time::Duration = std::time::Duration::from_secs(25);

fn names(replica: &Replica) -> Vec<String> {
    let view = replica.fleet.view();
    let name = |view: &brownout_registry::fleet::ReplicaView| view.summary.replica.to_string();
    view.replicas.iter().map(name).collect()
}

#[tokio::test(start_paused = true)]
async fn each_replica_sees_how_the_others_are_and_is_not_changed_by_that() {
    let (_server, [one, other]) = fleet().await;
    let search = one.registry.dependency("search").register().unwrap();
    other.registry.dependency("search").register().unwrap();
    let reporter = search.reporter(ReporterKind::Code, "test");
    reporter.report(Report::unhealthy("gone"));
    sleep(REPORTS).await;
    let view = other.fleet.view();
    assert_eq!((view.live, view.in_touch), (2, true));
    let said = &view.replicas[0].summary;
    assert_eq!(said.replica.as_str(), "replica-1");
    assert_eq!(
        (said.level, said.health),
        (DegradationLevel::Reduced, SystemHealth::Degraded)
    );
    let sick = Sick {
        dependency: "search".into(),
        status: Status::Unhealthy,
    };
    assert_eq!((&said.sick[..], said.dependencies), (&[sick][..], 2));
    assert_eq!(other.registry.health(), SystemHealth::Healthy);
    assert_eq!(other.registry.level(), DegradationLevel::Full);
}

#[tokio::test(start_paused = true)]
async fn a_replica_that_vanishes_ages_out_also_where_the_store_is_away() {
    let (_server, [one, other, third]) = fleet().await;
    sleep(REPORTS).await;
    assert_eq!(names(&one), ["replica-1", "replica-2", "replica-3"]);
    drop(third);
    sleep(SECOND * 45).await;
    assert_eq!(names(&one), ["replica-1", "replica-2"]);
    one.faults.all(Fault::Hang);
    sleep(SECOND * 45).await;
    assert_eq!(names(&one), [""; 0]);
    assert_eq!(names(&other), ["replica-2"]);
}

#[tokio::test(start_paused = true)]
async fn most_of_the_others_are_heeded_a_little_where_that_is_asked_for() {
    let server = brownout_registry::fleet::MemoryStore::new();
    let mut replicas = Vec::new();
    let mut reporters = Vec::new();
    for n in 0..5 {
        let registry = registry(n);
        let search = registry.dependency("search").register().unwrap();
        reporters.push(search.reporter(ReporterKind::Code, "test"));
        let heeds = settings(&format!("replica-{n}")).opinions(n == 0);
        replicas.push(Replica::join_as(&server, registry, heeds));
    }
    let status = |nth: usize| replicas[nth].registry.get("search").unwrap().status();
    reporters[1].report(Report::unhealthy("gone"));
    reporters[2].report(Report::unhealthy("gone"));
    sleep(REPORTS).await;
    assert_eq!(status(0), Status::Healthy, "two of four are not most");
    reporters[3].report(Report::unhealthy("gone"));
    sleep(REPORTS).await;
    assert_eq!(status(0), Status::Degraded, "three of four are");
    assert_eq!(status(4), Status::Healthy, "this one has not asked");
    assert_eq!(replicas[0].registry.level(), DegradationLevel::Full);
    reporters[1].report(Report::healthy());
    sleep(REPORTS).await;
    assert_eq!(status(0), Status::Healthy);

    // It ends by itself where nobody is heard of any more.
    reporters[1].report(Report::unhealthy("gone"));
    sleep(REPORTS).await;
    assert_eq!(status(0), Status::Degraded);
    replicas[0].faults.all(Fault::Hang);
    sleep(SECOND * 60).await;
    assert_eq!(status(0), Status::Healthy);
    soon().await;
}
