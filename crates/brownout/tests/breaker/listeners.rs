//! User code that a circuit runs may ask that very circuit: no lock is held meanwhile.

use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    task::{Context, Wake, Waker},
};

use brownout::{
    Registry,
    breaker::{Circuit, CircuitBreakerLayer},
    core::{BoxError, Rejected, Verdict},
    registry::{CircuitMode, CircuitState, Counts, DegradationLevel, LevelPolicy},
};
use tower::{Layer, Service, ServiceExt};
use tracing::{Event, Level, Metadata, Subscriber, span};

use crate::common::{HOUR, circuit, exact, fail, impose, pass_the_deadline, probe, succeed, trip};

/// Asks a circuit about everything, and uses it.
fn interrogate(circuit: &Circuit) -> CircuitState {
    let _ = circuit.stats();
    let _ = circuit.policy();
    let _ = format!("{circuit:?}");
    drop(circuit.admit());
    circuit.clear_counts();
    let policy = (*circuit.policy()).clone();
    circuit.reconfigure(policy);
    circuit.state()
}

/// A subscriber that asks the circuit about each event, even while it logs.
struct Curious {
    circuit: Circuit,
    seen: Arc<Mutex<Vec<CircuitState>>>,
}

impl Subscriber for Curious {
    /// Transitions; single calls are for those who listen closer.
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        *metadata.level() <= Level::INFO
    }

    fn new_span(&self, _: &span::Attributes<'_>) -> span::Id {
        span::Id::from_u64(1)
    }

    fn record(&self, _: &span::Id, _: &span::Record<'_>) {}

    fn record_follows_from(&self, _: &span::Id, _: &span::Id) {}

    fn event(&self, _: &Event<'_>) {
        let state = interrogate(&self.circuit);
        self.seen.lock().unwrap().push(state);
    }

    fn enter(&self, _: &span::Id) {}

    fn exit(&self, _: &span::Id) {}
}

#[tokio::test(start_paused = true)]
async fn a_log_subscriber_may_ask_the_circuit_and_sees_the_new_state() {
    let circuit = circuit(exact());
    let seen = Arc::default();
    let subscriber = Curious {
        circuit: circuit.clone(),
        seen: Arc::clone(&seen),
    };
    let guard = tracing::subscriber::set_default(subscriber);
    fail(&circuit, 5);
    assert_eq!(seen.lock().unwrap().first(), Some(&CircuitState::Open));
    pass_the_deadline(&circuit).await;
    succeed(&circuit, 2);
    drop(guard);
    assert_eq!(seen.lock().unwrap().last(), Some(&CircuitState::Closed));
}

#[tokio::test(start_paused = true)]
async fn a_classifier_may_ask_the_circuit() {
    let circuit = circuit(exact());
    let asked = circuit.clone();
    let layer =
        CircuitBreakerLayer::with(circuit.clone()).classify(move |_: Result<&u32, &BoxError>| {
            interrogate(&asked);
            Verdict::Failure
        });
    assert_eq!(layer.layer(probe().0).oneshot(1).await.unwrap(), 1);
    assert_eq!(circuit.stats().totals.failures, 1);
}

#[tokio::test(start_paused = true)]
async fn a_refusing_closure_may_ask_the_circuit() {
    let circuit = circuit(exact());
    let asked = circuit.clone();
    let layer = CircuitBreakerLayer::with(circuit.clone())
        .for_results()
        .reject_with(move |_: Rejected| {
            interrogate(&asked);
            Ok::<u32, BoxError>(0)
        });
    trip(&circuit);
    assert_eq!(layer.layer(probe().0).oneshot(1).await.unwrap(), 0);
}

/// Asks the circuit when it is woken, and when it is dropped.
struct AsksWhenWoken {
    circuit: Circuit,
    asked: Arc<AtomicUsize>,
}

impl Wake for AsksWhenWoken {
    fn wake(self: Arc<Self>) {
        interrogate(&self.circuit);
        self.asked.fetch_add(1, Ordering::Relaxed);
    }
}

impl Drop for AsksWhenWoken {
    fn drop(&mut self) {
        interrogate(&self.circuit);
    }
}

#[tokio::test(start_paused = true)]
async fn a_waker_may_ask_the_circuit() {
    let circuit = circuit(exact());
    let asked = Arc::default();
    trip(&circuit);
    let layer = CircuitBreakerLayer::with(circuit.clone())
        .for_results()
        .wait_while_open();
    let mut service = layer.layer(probe().0);
    for _ in 0..3 {
        let waker = Waker::from(Arc::new(AsksWhenWoken {
            circuit: circuit.clone(),
            asked: Arc::clone(&asked),
        }));
        assert!(
            service
                .poll_ready(&mut Context::from_waker(&waker))
                .is_pending()
        );
    }
    impose(circuit.dependency(), CircuitMode::ForcedClosed, HOUR);
    assert!(asked.load(Ordering::Relaxed) > 0);
    drop(service);
}

#[tokio::test(start_paused = true)]
async fn a_callback_on_the_operators_mode_may_ask_the_circuit() {
    let circuit = circuit(exact());
    let seen = Arc::<Mutex<Vec<CircuitState>>>::default();
    let cell = circuit.dependency().circuit_override();
    let _subscription = cell.on_change({
        let (circuit, seen) = (circuit.clone(), Arc::clone(&seen));
        move || seen.lock().unwrap().push(interrogate(&circuit))
    });
    impose(circuit.dependency(), CircuitMode::ForcedOpen, HOUR);
    assert_eq!(*seen.lock().unwrap(), [CircuitState::Closed]);
}

#[tokio::test(start_paused = true)]
async fn a_level_policy_may_ask_the_circuit() {
    struct Asking(Arc<Mutex<Option<Circuit>>>);

    impl LevelPolicy for Asking {
        fn level(&self, _: &Counts) -> DegradationLevel {
            let circuit = self.0.lock().unwrap().clone();
            match circuit.map(|circuit| circuit.state()) {
                Some(CircuitState::Open) => DegradationLevel::Minimal,
                _ => DegradationLevel::Full,
            }
        }
    }

    let asked = Arc::new(Mutex::new(None));
    let registry = Registry::builder()
        .level_policy(Asking(Arc::clone(&asked)))
        .build()
        .unwrap();
    let circuit = Circuit::new(&registry.dependency("search").register().unwrap());
    *asked.lock().unwrap() = Some(circuit.clone());
    fail(&circuit, 5);
    assert_eq!(registry.level(), DegradationLevel::Minimal);
    // The policy owns a handle of its own registry; taken out, so that both can go.
    *asked.lock().unwrap() = None;
}
