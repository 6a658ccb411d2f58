//! The health service on a real tonic server, asked by the health client that tonic's users have.
#![allow(
    clippy::unwrap_used,
    reason = "a test that unwraps says that something is wrong"
)]

mod served;
mod states;

use std::convert::Infallible;

use brownout::{
    Registry,
    registry::{Order, Probe, ReporterKind, Status as Health},
    report::Lifecycle,
};
use brownout_tonic::HealthService;
use tokio::time::timeout;
use tonic::{Code, transport::Endpoint};
use tonic_health::pb::health_check_response::ServingStatus::{
    self, NotServing, ServiceUnknown, Serving, Unknown,
};

use self::served::{Served, WHILE, critical, next, say, silent};

#[tokio::test]
async fn nothing_but_life_is_served_before_the_start_while_paused_and_after_the_end() {
    let (registry, process) = (Registry::new(), Lifecycle::new());
    let service = HealthService::new(&registry, &process).service("shop.Orders", []);
    let served = Served::new(service.unwrap()).await;
    let expect = async |rest: ServingStatus, liveness: ServingStatus| {
        for name in ["", "readiness", "shop.Orders"] {
            assert_eq!(served.check(name).await, Ok(rest), "{name:?}");
        }
        assert_eq!(served.check("liveness").await, Ok(liveness));
    };
    expect(NotServing, Serving).await;
    process.started();
    expect(Serving, Serving).await;
    process.pause();
    expect(NotServing, Serving).await;
    process.resume();
    expect(Serving, Serving).await;
    process.stop();
    expect(NotServing, NotServing).await;
    process.resume();
    process.started();
    expect(NotServing, NotServing).await;
}

#[tokio::test]
async fn each_name_follows_its_own_dependencies() {
    let (registry, process) = (Registry::new(), Lifecycle::serving());
    let (ledger, disk) = (critical(&registry, "ledger"), critical(&registry, "disk"));
    let service = HealthService::new(&registry, &process)
        .ready_when(&disk)
        .service("shop.Orders", [])
        .and_then(|service| service.service("shop.Payments", [&ledger]))
        .unwrap();
    let served = Served::new(service).await;
    let expect = async |table: [(&str, ServingStatus); 4]| {
        for (name, status) in table {
            assert_eq!(served.check(name).await, Ok(status), "{name:?}");
        }
    };
    let all = ["", "readiness", "shop.Orders", "shop.Payments"];
    expect(all.map(|name| (name, Serving))).await;
    let degraded = say(&ledger, ReporterKind::Code, Health::Degraded);
    expect(all.map(|name| (name, Serving))).await;
    drop(degraded);
    let gone = say(&ledger, ReporterKind::Code, Health::Unhealthy);
    expect([
        ("", NotServing),
        ("readiness", Serving),
        ("shop.Orders", Serving),
        ("shop.Payments", NotServing),
    ])
    .await;
    drop(gone);
    let full = say(&disk, ReporterKind::Code, Health::Unhealthy);
    expect([
        ("", NotServing),
        ("readiness", NotServing),
        ("shop.Orders", Serving),
        ("shop.Payments", Serving),
    ])
    .await;
    drop(full);
    // What a server without requests could not take back.
    let _open = say(&ledger, ReporterKind::Circuit, Health::Unhealthy);
    expect([
        ("", NotServing),
        ("readiness", Serving),
        ("shop.Orders", Serving),
        ("shop.Payments", Serving),
    ])
    .await;
}

#[tokio::test]
async fn what_nobody_has_observed_is_unknown() {
    let (registry, process) = (Registry::new(), Lifecycle::serving());
    let ledger = critical(&registry, "ledger");
    ledger
        .probe(Probe::new(|| async { Ok::<_, Infallible>(()) }))
        .unwrap();
    let service = HealthService::new(&registry, &process).ready_when(&ledger);
    let served = Served::new(service).await;
    let mut watch = served.watch("readiness").await;
    assert_eq!(next(&mut watch).await, Unknown);
    assert_eq!(served.check("readiness").await, Ok(Unknown));
    assert_eq!(served.check("").await, Ok(Serving));
    let _driver = registry.drive();
    assert_eq!(next(&mut watch).await, Serving);
}

#[tokio::test]
async fn an_unknown_name_is_not_found_but_may_be_watched() {
    let process = Lifecycle::serving();
    let served = Served::new(HealthService::new(&Registry::new(), &process)).await;
    assert_eq!(served.check("shop.Nobody").await, Err(Code::NotFound));
    let mut watch = served.watch("shop.Nobody").await;
    assert_eq!(next(&mut watch).await, ServiceUnknown);
    process.pause();
    process.resume();
    assert!(silent(&mut watch).await);
}

#[tokio::test]
async fn watchers_are_told_what_is_so_and_then_of_changes_alone() {
    let (registry, process) = (Registry::new(), Lifecycle::new());
    let ledger = critical(&registry, "ledger");
    let served = Served::new(HealthService::new(&registry, &process)).await;
    let mut watches = [served.watch("").await, served.watch("").await];
    let mut expect = async |status: ServingStatus| {
        for watch in &mut watches {
            assert_eq!(next(watch).await, status);
        }
    };
    expect(NotServing).await;
    process.started();
    expect(Serving).await;
    // Much happens that changes nothing for them.
    for _ in 0..100 {
        drop(say(&ledger, ReporterKind::Code, Health::Degraded));
    }
    let gone = say(&ledger, ReporterKind::Code, Health::Unhealthy);
    expect(NotServing).await;
    drop(gone);
    expect(Serving).await;
    // An override that ends by itself, though nothing drives the registry.
    let order = Order::new("kim", "rehearsal", WHILE);
    ledger.override_status(Health::Unhealthy, order).unwrap();
    expect(NotServing).await;
    expect(Serving).await;
    process.stop();
    expect(NotServing).await;
    for watch in &mut watches {
        assert!(silent(watch).await);
    }
}

#[tokio::test]
async fn watchers_cost_no_task_and_leave_nothing() {
    let (registry, process) = (Registry::new(), Lifecycle::serving());
    let served = Served::new(HealthService::new(&registry, &process)).await;
    assert_eq!(served.check("").await, Ok(Serving));
    let tasks = || {
        tokio::runtime::Handle::current()
            .metrics()
            .num_alive_tasks()
    };
    let mut watches = Vec::new();
    let open = async |watches: &mut Vec<_>| {
        let mut watch = served.watch("").await;
        assert_eq!(next(&mut watch).await, Serving);
        watches.push(watch);
    };
    open(&mut watches).await;
    // hyper has a task for each HTTP/2 stream at either end; there is no third.
    let with_one = tasks();
    for _ in 0..20 {
        open(&mut watches).await;
    }
    assert!(tasks() <= with_one + 2 * 20, "{} after {with_one}", tasks());
    drop(watches);
    let settled = async {
        while tasks() >= with_one {
            tokio::task::yield_now().await;
        }
    };
    timeout(10 * WHILE, settled).await.unwrap();
}

#[tokio::test]
async fn a_list_has_every_name() {
    let process = Lifecycle::serving();
    let service = HealthService::new(&Registry::new(), &process).service("shop.Orders", []);
    let served = Served::new(service.unwrap()).await;
    let all = ["", "liveness", "readiness", "shop.Orders"];
    let expected = |status: ServingStatus| all.map(|name| (name.to_owned(), status.into())).into();
    assert_eq!(served.list().await, Ok(expected(Serving)));
    process.stop();
    assert_eq!(served.list().await, Ok(expected(NotServing)));
}

#[tokio::test]
async fn a_list_of_more_than_a_hundred_names_is_refused() {
    let with = |services: usize| {
        let service = HealthService::new(&Registry::new(), &Lifecycle::serving());
        let mut names = (0..services).map(|n| format!("shop.S{n}"));
        names
            .try_fold(service, |service, name| service.service(name, []))
            .unwrap()
    };
    let served = Served::new(with(97)).await;
    assert_eq!(served.list().await.unwrap().len(), 100);
    let served = Served::new(with(98)).await;
    assert_eq!(served.list().await, Err(Code::ResourceExhausted));
}

#[tokio::test]
async fn a_name_that_is_longer_than_names_are_is_not_read() {
    let process = Lifecycle::serving();
    let served = Served::new(HealthService::new(&Registry::new(), &process)).await;
    assert_eq!(served.check(&"x".repeat(4_000)).await, Err(Code::NotFound));
    assert_eq!(
        served.check(&"x".repeat(5_000)).await,
        Err(Code::OutOfRange)
    );
}

#[test]
fn a_service_cannot_take_the_names_of_the_server_itself() {
    let service = HealthService::new(&Registry::new(), &Lifecycle::new());
    for name in ["", "liveness", "readiness"] {
        let error = service.clone().service(name, []).unwrap_err();
        assert!(error.to_string().contains(&format!("{name:?}")), "{error}");
    }
    let shown = format!("{:?}", service.service("shop.Orders", []).unwrap());
    assert!(
        shown.contains("shop.Orders") && shown.contains("Starting"),
        "{shown}"
    );
}

#[tokio::test]
async fn a_check_passes_where_the_server_says_that_it_serves() {
    let process = Lifecycle::new();
    let service = HealthService::new(&Registry::new(), &process).service("shop.Orders", []);
    let served = Served::new(service.unwrap()).await;
    let said = async |name: &str| {
        let check = brownout_tonic::check(served.channel.clone(), name);
        check().await.err().map(|failed| failed.to_string())
    };
    for name in ["", "shop.Orders"] {
        assert_eq!(said(name).await.as_deref(), Some("answered NOT_SERVING"));
    }
    process.started();
    for name in ["", "shop.Orders"] {
        assert_eq!(said(name).await, None);
    }
    assert!(
        said("shop.Nobody")
            .await
            .unwrap()
            .contains("unknown service")
    );

    // As a probe, and with nobody there.
    let registry = Registry::new();
    let [here, gone] = ["here", "gone"].map(|name| registry.dependency(name).register().unwrap());
    let nobody = Endpoint::from_static("http://127.0.0.1:1").connect_lazy();
    here.probe(Probe::new(brownout_tonic::check(
        served.channel.clone(),
        "",
    )))
    .unwrap();
    gone.probe(Probe::new(brownout_tonic::check(nobody, "")))
        .unwrap();
    let _driver = registry.drive();
    let known = async {
        while [&here, &gone]
            .iter()
            .any(|dependency| dependency.status() == Health::Unknown)
        {
            tokio::time::sleep(WHILE / 10).await;
        }
    };
    timeout(30 * WHILE, known).await.unwrap();
    assert_eq!(
        (here.status(), gone.status()),
        (Health::Healthy, Health::Unhealthy)
    );
}
