//! `wait_while_open`: not ready instead of refusing, woken at once by whatever changes, and never polling busily.

use std::{
    future::poll_fn,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    task::{Context, Wake, Waker},
    time::Duration,
};

use brownout::{
    breaker::{Circuit, CircuitBreaker, CircuitBreakerLayer, KeyedCircuits},
    core::{AtHead, BoxError, ErrIsFailure, Same},
    registry::{CircuitMode, CircuitState},
};
use brownout_testing::assert_no_busy_polling;
use tokio::{
    task::JoinHandle,
    time::{Instant, advance},
};
use tower::{Layer, Service, ServiceExt};

use crate::common::{
    HOUR, Probe, SECOND, answer_of, circuit, dependency, exact, half_open, impose, ms, probe,
    succeed, trip,
};

type Waiting = CircuitBreaker<Probe, AtHead<ErrIsFailure>, Same>;

fn waiting(circuit: &Circuit) -> Waiting {
    CircuitBreakerLayer::with(circuit.clone())
        .for_results()
        .wait_while_open()
        .layer(probe().0)
}

/// A crowd that calls, each from a task and with a service of its own.
async fn crowd(circuit: &Circuit, size: u32) -> Vec<JoinHandle<Result<u32, BoxError>>> {
    let crowd = (0..size)
        .map(|n| tokio::spawn(waiting(circuit).oneshot(n)))
        .collect();
    // Every one of them gets to wait.
    for _ in 0..4 {
        tokio::task::yield_now().await;
    }
    crowd
}

#[tokio::test(start_paused = true)]
async fn it_is_ready_as_soon_as_a_probe_is_due() {
    let circuit = circuit(exact());
    trip(&circuit);
    let asked = Instant::now();
    assert_eq!(waiting(&circuit).oneshot(1).await.unwrap(), 1);
    assert_eq!(asked.elapsed(), SECOND * 5);
    assert_eq!(circuit.state(), CircuitState::HalfOpen);
    assert_eq!(circuit.stats().totals.rejected, 0);
}

#[tokio::test(start_paused = true)]
async fn everyone_who_waits_is_let_in_once_the_circuit_has_closed() {
    let circuit = circuit(exact().probes(1));
    let probe = half_open(&circuit).await;
    let crowd = crowd(&circuit, 100).await;
    let closing = Instant::now();
    probe.success();
    succeed(&circuit, 1);
    assert_eq!(circuit.state(), CircuitState::Closed);
    for (n, call) in (0..).zip(crowd) {
        assert_eq!(answer_of(call).await.unwrap(), n);
    }
    assert_eq!(closing.elapsed(), Duration::ZERO);
}

#[tokio::test(start_paused = true)]
async fn a_place_that_a_probe_gives_back_wakes_those_who_wait() {
    for settle in [true, false] {
        let circuit = circuit(exact().probes(1));
        let probe = half_open(&circuit).await;
        let crowd = crowd(&circuit, 1).await;
        let freed = Instant::now();
        if settle {
            probe.success();
        } else {
            drop(probe);
        }
        for call in crowd {
            answer_of(call).await.unwrap();
        }
        assert_eq!(freed.elapsed(), Duration::ZERO);
    }
}

#[tokio::test(start_paused = true)]
async fn an_operator_who_forces_the_circuit_closed_lets_in_everyone_who_waits() {
    let circuit = circuit(exact());
    trip(&circuit);
    let crowd = crowd(&circuit, 20).await;
    let forced = Instant::now();
    impose(circuit.dependency(), CircuitMode::ForcedClosed, HOUR);
    for call in crowd {
        answer_of(call).await.unwrap();
    }
    assert_eq!(forced.elapsed(), Duration::ZERO);
}

#[tokio::test(start_paused = true)]
async fn an_operator_who_releases_the_circuit_lets_in_everyone_who_waits() {
    let circuit = circuit(exact());
    let id = impose(circuit.dependency(), CircuitMode::ForcedOpen, HOUR);
    let crowd = crowd(&circuit, 20).await;
    advance(SECOND * 60).await;
    assert!(crowd.iter().all(|call| !call.is_finished()));
    let released = Instant::now();
    circuit.dependency().registry().release(id).unwrap();
    for call in crowd {
        answer_of(call).await.unwrap();
    }
    assert_eq!(released.elapsed(), Duration::ZERO);
}

#[tokio::test(start_paused = true)]
async fn an_order_that_expires_lets_in_everyone_who_waits() {
    let circuit = circuit(exact());
    impose(circuit.dependency(), CircuitMode::ForcedOpen, HOUR);
    let asked = Instant::now();
    for call in crowd(&circuit, 20).await {
        answer_of(call).await.unwrap();
    }
    assert!(
        (HOUR..HOUR + ms(2)).contains(&asked.elapsed()),
        "{:?}",
        asked.elapsed()
    );
}

#[tokio::test(start_paused = true)]
async fn a_new_policy_with_more_probes_lets_in_those_who_wait_for_a_place() {
    let circuit = circuit(exact().probes(1));
    let _out = half_open(&circuit).await;
    let crowd = crowd(&circuit, 2).await;
    let changed = Instant::now();
    circuit.reconfigure(exact().probes(3).build().unwrap());
    for call in crowd {
        answer_of(call).await.unwrap();
    }
    assert_eq!(changed.elapsed(), Duration::ZERO);
}

#[tokio::test(start_paused = true)]
async fn an_operator_wakes_those_who_wait_for_one_circuit_of_a_keyed_family() {
    let dependency = dependency();
    let circuits = KeyedCircuits::<u32>::new(&dependency);
    let circuit = circuits.overflow();
    let id = impose(&dependency, CircuitMode::ForcedOpen, HOUR);
    let crowd = crowd(&circuit, 5).await;
    let released = Instant::now();
    dependency.registry().release(id).unwrap();
    for call in crowd {
        answer_of(call).await.unwrap();
    }
    assert_eq!(released.elapsed(), Duration::ZERO);
}

#[tokio::test(start_paused = true)]
async fn waiting_for_an_open_circuit_polls_once_and_is_woken_once() {
    let circuit = circuit(exact().open_for(HOUR).open_for_at_most(HOUR));
    trip(&circuit);
    let mut service = waiting(&circuit);
    let ready = poll_fn(|cx| service.poll_ready(cx));
    let outcome = assert_no_busy_polling(ready, HOUR * 2, 2).await;
    assert!(outcome.unwrap().is_ok());
}

#[tokio::test(start_paused = true)]
async fn waiting_for_an_operator_polls_once_and_is_woken_once() {
    let circuit = circuit(exact());
    impose(circuit.dependency(), CircuitMode::ForcedOpen, HOUR);
    let mut service = waiting(&circuit);
    let ready = poll_fn(|cx| service.poll_ready(cx));
    let outcome = assert_no_busy_polling(ready, HOUR * 2, 3).await;
    assert!(outcome.unwrap().is_ok());
}

#[tokio::test(start_paused = true)]
async fn waiting_spawns_no_task() {
    let circuit = circuit(exact());
    trip(&circuit);
    let tasks = || {
        tokio::runtime::Handle::current()
            .metrics()
            .num_alive_tasks()
    };
    let before = tasks();
    let mut services: Vec<_> = (0..10).map(|_| waiting(&circuit)).collect();
    for service in &mut services {
        let waker = Waker::noop();
        assert!(
            service
                .poll_ready(&mut Context::from_waker(waker))
                .is_pending()
        );
    }
    assert_eq!(tasks(), before);
}

#[derive(Default)]
struct CountWakes(AtomicUsize);

impl Wake for CountWakes {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

#[tokio::test(start_paused = true)]
async fn whoever_stops_waiting_leaves_nothing_behind() {
    let circuit = circuit(exact());
    trip(&circuit);
    let counter = Arc::new(CountWakes::default());
    for _ in 0..100 {
        let mut service = waiting(&circuit);
        let waker = Waker::from(Arc::clone(&counter));
        assert!(
            service
                .poll_ready(&mut Context::from_waker(&waker))
                .is_pending()
        );
    }
    assert_eq!(Arc::strong_count(&counter), 1, "no waker is kept");
    advance(SECOND * 5).await;
    succeed(&circuit, 2);
    assert_eq!(counter.0.load(Ordering::Relaxed), 0);
}

#[tokio::test(start_paused = true)]
async fn of_two_tasks_that_polled_one_service_the_later_is_woken() {
    let circuit = circuit(exact());
    trip(&circuit);
    let mut service = waiting(&circuit);
    let [first, last] = [(); 2].map(|()| Arc::new(CountWakes::default()));
    for wakes in [&first, &last] {
        let waker = Waker::from(Arc::clone(wakes));
        assert!(
            service
                .poll_ready(&mut Context::from_waker(&waker))
                .is_pending()
        );
    }
    impose(circuit.dependency(), CircuitMode::ForcedClosed, HOUR);
    assert_eq!(last.0.load(Ordering::Relaxed), 1);
    assert_eq!(first.0.load(Ordering::Relaxed), 0);
}
