//! How long calls take.

use std::{num::NonZeroU32, time::Duration};

use brownout::{
    breaker::{Circuit, CircuitBreakerLayer, KeyedCircuits, Policy, Ticket},
    core::Verdict,
    metrics::Metrics,
};
use tokio::time::advance;

use crate::common::{Page, registry, search};

const TOOK: &str = "brownout_call_duration_seconds dependency=search layer=breaker";

/// Under each kind of policy a circuit admits and counts calls in another way.
fn policies() -> Vec<Policy> {
    let slow = Duration::from_mins(1);
    vec![
        Policy::default(),
        Policy::consecutive(NonZeroU32::new(5).unwrap()),
        Policy::builder().window_of_calls(50).build().unwrap(),
        Policy::builder().slow_calls(slow, 0.5).build().unwrap(),
    ]
}

async fn call(circuit: &Circuit, took: Duration, ends: impl FnOnce(Ticket)) {
    let ticket = circuit.admit().unwrap();
    advance(took).await;
    ends(ticket);
}

#[tokio::test(start_paused = true)]
async fn every_judged_call_is_recorded_once_whatever_the_policy_and_the_verdict() {
    for policy in policies() {
        let (registry, page) = (registry(), Page::default());
        let circuit = Circuit::builder(&search(&registry)).policy(policy).build();
        let metrics = Metrics::new(&registry);
        let long = Duration::from_millis(100);
        // So many that a window has nothing to watch out for: then successes take the shortest way.
        for _ in 0..50 {
            call(&circuit, long, Ticket::success).await;
        }
        for _ in 0..3 {
            call(&circuit, long, Ticket::success).await;
            call(&circuit, long, |ticket| ticket.settle(Verdict::Neutral)).await;
            call(&circuit, long, Ticket::failure).await;
            call(&circuit, long, drop).await;
        }
        page.collect(&metrics);
        page.collect(&metrics);
        let took = page.values(TOOK);
        assert_eq!(took.len(), 59, "{:?}", circuit.policy());
        assert!(
            took.iter().all(|took| (took - 0.1).abs() < 0.0063),
            "{took:?}"
        );
    }
}

#[tokio::test(start_paused = true)]
async fn keyed_circuits_record_times_together_those_made_before_anybody_asked_among_them() {
    let (registry, page) = (registry(), Page::default());
    let dependency = search(&registry);
    let circuits = KeyedCircuits::<u32>::new(&dependency);
    let metrics = Metrics::new(&registry);
    call(&circuits.overflow(), Duration::from_secs(1), |ticket| {
        ticket.success();
    })
    .await;
    page.collect(&metrics);
    assert_eq!(page.values(TOOK).len(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_service_that_failed_to_become_ready_took_no_time() {
    use tower::{BoxError, Layer, Service, ServiceExt};
    #[derive(Clone)]
    struct NeverReady;
    impl Service<u32> for NeverReady {
        type Response = u32;
        type Error = BoxError;
        type Future = std::future::Ready<Result<u32, BoxError>>;
        fn poll_ready(
            &mut self,
            _: &mut std::task::Context<'_>,
        ) -> std::task::Poll<Result<(), BoxError>> {
            std::task::Poll::Ready(Err("not connected".into()))
        }
        fn call(&mut self, n: u32) -> Self::Future {
            std::future::ready(Ok(n))
        }
    }
    let (registry, page) = (registry(), Page::default());
    let circuit = Circuit::new(&search(&registry));
    let metrics = Metrics::new(&registry);
    let layer = CircuitBreakerLayer::with(circuit).for_results();
    assert!(layer.layer(NeverReady).ready().await.is_err());
    page.collect(&metrics);
    assert_eq!(page.values(TOOK), []);
    let failures = "brownout_calls_total dependency=search layer=breaker outcome=failure";
    assert_eq!(page.value(failures), Some(1.0));
}

#[tokio::test(start_paused = true)]
async fn nobody_reads_the_clock_for_it_unasked() {
    let (registry, page) = (registry(), Page::default());
    let circuit = Circuit::new(&search(&registry));
    call(&circuit, Duration::from_secs(1), Ticket::success).await;
    page.collect(&Metrics::new(&registry));
    assert_eq!(page.values(TOOK), []);
}
