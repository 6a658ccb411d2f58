//! Breakers under tower's balancer: an endpoint whose circuit is open is not picked.
//!
//! No socket here, so the clock is paused.
#![allow(
    clippy::unwrap_used,
    reason = "a test that unwraps says that something is wrong"
)]

use std::time::Duration;

use brownout::{
    breaker::{Circuit, CircuitBreakerLayer},
    registry::{CircuitMode, CircuitState, Order},
};
use brownout_testing::{ProbeHandle, ProbeService};
use brownout_tests::circuit::{circuit, lasting, trip};
use tokio::time::Instant;
use tower::{
    BoxError, Service, ServiceBuilder, ServiceExt, balance::p2c::Balance, discover::ServiceList,
    load::Constant,
};

const SECOND: Duration = Duration::from_secs(1);

type Named = ProbeService<(), &'static str, BoxError>;

/// A service that answers with its name, and a handle to observe it.
fn named(name: &'static str) -> (Named, ProbeHandle<(), &'static str, BoxError>) {
    ProbeService::new(move |()| Ok(name))
}

/// A balancer over two endpoints, each behind a circuit of its own that waits while open.
fn balanced(
    circuits: [&Circuit; 2],
    services: [Named; 2],
) -> impl Service<(), Response = &'static str, Error = BoxError> {
    let endpoints = std::iter::zip(circuits, services).map(|(circuit, service)| {
        let breaker = ServiceBuilder::new()
            .layer(
                CircuitBreakerLayer::with(circuit.clone())
                    .for_results()
                    .wait_while_open(),
            )
            .service(service);
        Constant::new(breaker, 1)
    });
    Balance::new(ServiceList::new(endpoints.collect::<Vec<_>>()))
}

#[tokio::test(start_paused = true)]
async fn a_balancer_picks_the_other_endpoint_while_one_circuit_is_open() {
    let policy = || lasting().open_for(SECOND).close_after(1, 1);
    let (a, b) = (circuit("a", policy()), circuit("b", policy()));
    let ((service_a, probe_a), (service_b, probe_b)) = (named("a"), named("b"));
    let mut balance = balanced([&a, &b], [service_a, service_b]);

    for _ in 0..100 {
        balance.ready().await.unwrap().call(()).await.unwrap();
    }
    assert!(probe_a.counts().calls > 0 && probe_b.counts().calls > 0);
    trip(&a);
    let before = Instant::now();
    for _ in 0..100 {
        assert_eq!(balance.ready().await.unwrap().call(()).await.unwrap(), "b");
    }
    assert_eq!(before.elapsed(), Duration::ZERO, "nobody waits");
    assert_eq!(a.stats().totals.rejected, 0, "and nobody is refused");

    tokio::time::sleep(SECOND).await;
    let served = probe_a.counts().calls;
    for _ in 0..100 {
        balance.ready().await.unwrap().call(()).await.unwrap();
    }
    assert!(
        probe_a.counts().calls > served,
        "the endpoint is back in use"
    );
    assert_eq!(a.state(), CircuitState::Closed);
}

#[tokio::test(start_paused = true)]
async fn a_balancer_whose_endpoints_are_all_open_waits_for_the_first_that_may_be_tried() {
    let policy = |seconds| {
        let time = SECOND * seconds;
        lasting().open_for(time).close_after(1, 1)
    };
    let (a, b) = (circuit("a", policy(30)), circuit("b", policy(2)));
    let ((service_a, _), (service_b, _)) = (named("a"), named("b"));
    let mut balance = balanced([&a, &b], [service_a, service_b]);
    trip(&a);
    trip(&b);
    let before = Instant::now();
    assert_eq!(balance.ready().await.unwrap().call(()).await.unwrap(), "b");
    let waited = before.elapsed();
    assert!((2 * SECOND..3 * SECOND).contains(&waited), "{waited:?}");
}

#[tokio::test(start_paused = true)]
async fn a_balancer_that_waits_is_woken_by_an_operator() {
    let (a, b) = (circuit("a", lasting()), circuit("b", lasting()));
    let ((service_a, _), (service_b, _)) = (named("a"), named("b"));
    let mut balance = balanced([&a, &b], [service_a, service_b]);
    trip(&a);
    trip(&b);
    let before = Instant::now();
    let call = async { balance.ready().await.unwrap().call(()).await.unwrap() };
    let operator = async {
        tokio::time::sleep(SECOND).await;
        let order = Order::new("kim", "it is the monitoring that is broken", 60 * SECOND);
        b.dependency()
            .override_circuit(CircuitMode::ForcedClosed, order)
            .unwrap();
    };
    let (answer, ()) = tokio::join!(call, operator);
    assert_eq!(answer, "b");
    assert!(before.elapsed() < 2 * SECOND, "it waits for no probe");
}
