//! Every call in every state, what is told to strangers, and the end of the server.

use std::convert::Infallible;

use brownout::{
    Registry,
    registry::{Probe, Report, Reporter, ReporterKind, Status as Health},
    report::Lifecycle,
};
use brownout_tonic::HealthService;
use tokio::{net::TcpListener, time::timeout};
use tonic::transport::{Endpoint, Server, server::TcpIncoming};
use tonic_health::pb::{
    health_check_response::ServingStatus::{NotServing, Serving, Unknown},
    health_client::HealthClient,
};

use crate::served::{Served, WHILE, critical, next, request, say, silent};
/// Whatever has happened to the process and to the ledger, which readiness and payments need.
#[derive(Clone, Copy, Debug)]
enum State {
    Starting,
    Healthy,
    Degraded,
    Critical,
    /// There is a probe of the ledger that has never run.
    Unknown,
    Paused,
    Stopped,
}

impl State {
    fn serve(self) -> (HealthService, Option<Reporter>) {
        let (registry, process) = (Registry::new(), Lifecycle::new());
        let ledger = critical(&registry, "ledger");
        let says = |status| Some(say(&ledger, ReporterKind::Code, status));
        if !matches!(self, Self::Starting) {
            process.started();
        }
        let kept = match self {
            Self::Degraded => says(Health::Degraded),
            Self::Critical => says(Health::Unhealthy),
            Self::Starting | Self::Healthy => says(Health::Healthy),
            Self::Unknown => {
                let check = || async { Ok::<_, Infallible>(()) };
                ledger.probe(Probe::new(check)).unwrap();
                None
            }
            Self::Paused => {
                process.pause();
                None
            }
            Self::Stopped => {
                process.stop();
                None
            }
        };
        let service = HealthService::new(&registry, &process)
            .ready_when(&ledger)
            .service("shop.Orders", [])
            .and_then(|service| service.service("shop.Payments", [&ledger]));
        (service.unwrap(), kept)
    }
}

#[tokio::test]
async fn a_check_a_watch_and_a_list_say_the_same_of_each_name_in_each_state() {
    // Of "", liveness, readiness, a service that needs nothing, and one that needs what readiness does.
    let names = ["", "liveness", "readiness", "shop.Orders", "shop.Payments"];
    let table = [
        (
            State::Starting,
            [NotServing, Serving, NotServing, NotServing, NotServing],
        ),
        (
            State::Healthy,
            [Serving, Serving, Serving, Serving, Serving],
        ),
        (
            State::Degraded,
            [Serving, Serving, Serving, Serving, Serving],
        ),
        (
            State::Critical,
            [NotServing, Serving, NotServing, Serving, NotServing],
        ),
        (
            State::Unknown,
            [Serving, Serving, Unknown, Serving, Unknown],
        ),
        (
            State::Paused,
            [NotServing, Serving, NotServing, NotServing, NotServing],
        ),
        (
            State::Stopped,
            [NotServing, NotServing, NotServing, NotServing, NotServing],
        ),
    ];
    for (state, conditions) in table {
        let (service, _kept) = state.serve();
        let served = Served::new(service).await;
        let mut listed = served.list().await.unwrap();
        for (name, condition) in names.into_iter().zip(conditions) {
            assert_eq!(
                served.check(name).await,
                Ok(condition),
                "{state:?} {name:?}"
            );
            let mut watch = served.watch(name).await;
            assert_eq!(next(&mut watch).await, condition, "{state:?} {name:?}");
            let in_list = listed.remove(name);
            assert_eq!(in_list, Some(condition.into()), "{state:?} {name:?}");
        }
        assert!(listed.is_empty(), "{listed:?}");
    }
}

#[tokio::test]
async fn a_graceful_shutdown_tells_watchers_first_and_waits_for_them_to_leave() {
    let process = Lifecycle::serving();
    let service = HealthService::new(&Registry::new(), &process);
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let uri = format!("http://{}", listener.local_addr().unwrap());
    let (end, ended) = tokio::sync::oneshot::channel::<()>();
    let incoming = TcpIncoming::from(listener);
    let server = Server::builder().add_service(service);
    let mut server = tokio::spawn(server.serve_with_incoming_shutdown(incoming, async {
        ended.await.unwrap();
    }));
    let channel = Endpoint::from_shared(uri).unwrap().connect_lazy();
    let mut client = HealthClient::new(channel);
    let mut watch = client.watch(request("")).await.unwrap().into_inner();
    assert_eq!(next(&mut watch).await, Serving);

    process.stop();
    assert_eq!(next(&mut watch).await, NotServing);
    end.send(()).unwrap();
    // The stream has no end of its own, so that the server has none either: its shutdown needs a limit of time.
    assert!(silent(&mut watch).await);
    assert!(timeout(WHILE, &mut server).await.is_err());
    drop(watch);
    let finished = timeout(10 * WHILE, server).await;
    finished.unwrap().unwrap().unwrap();
}

#[tokio::test]
async fn strangers_are_told_names_that_clients_have_and_nothing_of_dependencies() {
    let (registry, process) = (Registry::new(), Lifecycle::serving());
    let ledger = critical(&registry, "ledger-db-7.internal");
    let reporter = ledger.reporter(ReporterKind::Code, "hunter2");
    let report = Report::unhealthy("ledger-db-7.internal is gone");
    reporter.report(report.detail("password hunter2 refused by 10.9.8.7"));
    let service = HealthService::new(&registry, &process).ready_when(&ledger);
    let served = Served::new(service.service("shop.Payments", [&ledger]).unwrap()).await;
    let assert_public = |told: String| {
        for private in ["internal", "hunter2", "10.9.8.7"] {
            assert!(!told.contains(private), "{told}");
        }
    };
    for name in ["", "readiness", "shop.Payments", "hunter2"] {
        let answer = served.client.clone().check(request(name)).await;
        assert_public(format!("{answer:?}"));
        let answer = served.client.clone().watch(request(name)).await;
        assert_public(format!("{:?}", answer.unwrap().metadata()));
    }
    assert_public(format!("{:?}", served.list().await));
    assert_eq!(served.check("shop.Payments").await, Ok(NotServing));
}
