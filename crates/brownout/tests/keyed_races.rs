//! Keyed circuits while others change them.
#![allow(
    clippy::unwrap_used,
    reason = "a test that meets the unexpected should stop there"
)]

use std::{
    fmt,
    sync::{Arc, Mutex, mpsc},
    thread,
    time::Duration,
};

use brownout::{
    Registry,
    breaker::{CircuitBreakerLayer, KeyedCircuits, Policy},
    core::BoxError,
    registry::{CircuitState, Status},
};
use tower::{Layer, Service, ServiceExt};

fn policy(window: u64) -> Policy {
    Policy::builder()
        .window(Duration::from_millis(window))
        .build()
        .unwrap()
}

#[derive(Clone)]
struct Key(&'static str, Arc<Mutex<Option<KeyedCircuits<Key>>>>);
impl PartialEq for Key {
    fn eq(&self, o: &Self) -> bool {
        self.0 == o.0
    }
}
impl Eq for Key {}
impl std::hash::Hash for Key {
    fn hash<H: std::hash::Hasher>(&self, h: &mut H) {
        self.0.hash(h);
    }
}
impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Stands for another thread that reconfigures at this moment.
        if let Some(c) = self.1.lock().unwrap().take() {
            thread::spawn(move || c.reconfigure(policy(7_000)))
                .join()
                .unwrap();
        }
        f.write_str(self.0)
    }
}

#[tokio::test]
async fn a_key_made_while_the_family_is_reconfigured_gets_the_new_policy() {
    let dep = Registry::new().dependency("s").register().unwrap();
    let circuits = KeyedCircuits::<Key>::with(&dep, policy(1_000), 16).unwrap();
    let hook = Arc::new(Mutex::new(Some(circuits.clone())));
    let h = hook.clone();
    let layer = CircuitBreakerLayer::keyed(circuits.clone(), move |(): &()| Key("a", h.clone()))
        .for_results();
    let mut s = layer.layer(tower::service_fn(|(): ()| async { Ok::<_, BoxError>(()) }));
    let _ = s.ready().await.map(|s| s.call(())).ok().unwrap().await;
    let c = circuits.get(&Key("a", hook)).unwrap();
    assert_eq!(format!("{:?}", c.policy()), format!("{:?}", policy(7_000)));
}

struct Blocking(Mutex<Option<(mpsc::Sender<()>, mpsc::Receiver<()>)>>);
impl tracing::Subscriber for Blocking {
    fn enabled(&self, _: &tracing::Metadata<'_>) -> bool {
        true
    }
    fn new_span(&self, _: &tracing::span::Attributes<'_>) -> tracing::span::Id {
        tracing::span::Id::from_u64(1)
    }
    fn record(&self, _: &tracing::span::Id, _: &tracing::span::Record<'_>) {}
    fn record_follows_from(&self, _: &tracing::span::Id, _: &tracing::span::Id) {}
    fn event(&self, e: &tracing::Event<'_>) {
        if *e.metadata().level() != tracing::Level::WARN {
            return;
        }
        if let Some((at, go)) = self.0.lock().unwrap().take() {
            at.send(()).unwrap();
            go.recv().unwrap();
        }
    }
    fn enter(&self, _: &tracing::span::Id) {}
    fn exit(&self, _: &tracing::span::Id) {}
}

/// A log that takes its time with "circuit opened" lets "closed" overtake it: the count of open keys stays at one.
#[tokio::test]
async fn a_family_whose_circuits_are_all_closed_is_healthy_however_slow_the_log() {
    let registry = Registry::new();
    let dep = registry.dependency("s").register().unwrap();
    let policy = Policy::builder()
        .consecutive_failures(1)
        .open_for(Duration::from_millis(1))
        .jitter(0.0)
        .close_after(1, 1)
        .build()
        .unwrap();
    let circuits = KeyedCircuits::<u32>::with(&dep, policy, 16).unwrap();
    let circuit = circuits.overflow();
    let (at, reached) = mpsc::channel();
    let (go, wait) = mpsc::channel();
    let slow = {
        let circuit = circuit.clone();
        thread::spawn(move || {
            tracing::subscriber::with_default(Blocking(Mutex::new(Some((at, wait)))), || {
                circuit.admit().unwrap().failure();
            });
        })
    };
    reached.recv().unwrap();
    // A real sleep, past the open time: the other thread, which holds the log, has no runtime whose clock could pause.
    thread::sleep(Duration::from_millis(20));
    circuit.admit().unwrap().success();
    assert_eq!(circuit.state(), CircuitState::Closed);
    go.send(()).unwrap();
    slow.join().unwrap();
    assert_eq!(dep.status(), Status::Healthy);
}
