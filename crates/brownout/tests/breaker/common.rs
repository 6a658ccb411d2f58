//! Circuits and services to test with, and the steps that most tests begin with.

use std::time::Duration;

use brownout::{
    Dependency, Registry,
    breaker::{Circuit, CircuitBreaker, CircuitBreakerLayer, Policy, PolicyBuilder, Ticket},
    core::{AtHead, BoxError, ErrIsFailure, RejectReason, Rejected, Same, Verdict, refusal_of},
    registry::{CircuitMode, EventKind, Order, OverrideId},
};
use brownout_testing::{Behaviour, ProbeHandle, ProbeService, TestError};
use tokio::{task::JoinHandle, time::advance};
use tower::Layer;

pub(crate) const SECOND: Duration = Duration::from_secs(1);
pub(crate) const HOUR: Duration = Duration::from_hours(1);

pub(crate) type Probe = ProbeService<u32, u32, BoxError>;
pub(crate) type Handle = ProbeHandle<u32, u32, BoxError>;
pub(crate) type Breaker<S> = CircuitBreaker<S, AtHead<ErrIsFailure>, Same>;

pub(crate) fn ms(milliseconds: u64) -> Duration {
    Duration::from_millis(milliseconds)
}

/// A dependency in a registry of its own, whose random choices are always the same.
pub(crate) fn dependency() -> Dependency {
    let registry = Registry::builder().seed(7).build().unwrap();
    registry.dependency("search").register().unwrap()
}

/// The default policy, but open times are exact.
pub(crate) fn exact() -> PolicyBuilder {
    Policy::builder().jitter(0.0)
}

pub(crate) fn circuit(policy: PolicyBuilder) -> Circuit {
    Circuit::builder(&dependency())
        .policy(policy.build().unwrap())
        .build()
}

/// A circuit of a dependency that has a public name, or none.
#[cfg(feature = "http")]
pub(crate) fn named(public_name: Option<&str>) -> Circuit {
    let registry = Registry::builder().seed(7).build().unwrap();
    let mut dependency = registry.dependency("pg-primary.internal");
    if let Some(name) = public_name {
        dependency = dependency.public_name(name);
    }
    Circuit::builder(&dependency.register().unwrap())
        .policy(exact().build().unwrap())
        .build()
}

pub(crate) fn succeed(circuit: &Circuit, calls: u32) {
    for _ in 0..calls {
        circuit.admit().unwrap().success();
    }
}

pub(crate) fn fail(circuit: &Circuit, calls: u32) {
    for _ in 0..calls {
        circuit.admit().unwrap().failure();
    }
}

/// Opens the circuit whatever its thresholds are, for its ordinary open time.
pub(crate) fn trip(circuit: &Circuit) {
    let open_for = Duration::ZERO;
    circuit.admit().unwrap().settle(Verdict::Trip { open_for });
}

/// Lets the open time or the round pass.
pub(crate) async fn pass_the_deadline(circuit: &Circuit) {
    advance(circuit.stats().retry_after.unwrap()).await;
}

/// Opens the circuit, waits until it is due, and takes the first probe.
pub(crate) async fn half_open(circuit: &Circuit) -> Ticket {
    trip(circuit);
    pass_the_deadline(circuit).await;
    circuit.admit().unwrap()
}

/// Opens the circuit and closes it again by two good probes.
pub(crate) async fn open_and_close(circuit: &Circuit) {
    half_open(circuit).await.success();
    succeed(circuit, 1);
}

pub(crate) fn refused(circuit: &Circuit) -> Rejected {
    circuit.admit().unwrap_err()
}

/// A service that answers each request with itself, and the handle that makes it do otherwise.
pub(crate) fn probe() -> (Probe, Handle) {
    ProbeService::new(Ok)
}

pub(crate) fn failing() -> Behaviour<u32, u32, BoxError> {
    Behaviour::answer(|_| Err(TestError::new("down").into()))
}

pub(crate) fn answering() -> Behaviour<u32, u32, BoxError> {
    Behaviour::answer(Ok)
}

pub(crate) fn breaker<S>(circuit: &Circuit, inner: S) -> Breaker<S> {
    CircuitBreakerLayer::with(circuit.clone())
        .for_results()
        .layer(inner)
}

/// Why the call was refused; it must have been.
pub(crate) fn reason_of<T: std::fmt::Debug>(outcome: Result<T, BoxError>) -> RejectReason {
    let error = outcome.unwrap_err();
    refusal_of(error.as_ref())
        .unwrap_or_else(|| panic!("not a refusal: {error}"))
        .reason()
}

pub(crate) fn impose(dependency: &Dependency, mode: CircuitMode, ttl: Duration) -> OverrideId {
    let order = Order::new("kim", "maintenance", ttl);
    dependency.override_circuit(mode, order).unwrap()
}

/// What the registry has heard of the circuits, in words.
pub(crate) fn history(dependency: &Dependency) -> Vec<String> {
    let said = |kind: &EventKind| match kind {
        EventKind::CircuitOpened {
            reason, generation, ..
        } => Some(format!("{generation} opened: {reason}")),
        EventKind::CircuitHalfOpened { generation, .. } => Some(format!("{generation} half-open")),
        EventKind::CircuitClosed { generation, .. } => Some(format!("{generation} closed")),
        EventKind::CircuitWouldOpen {
            reason, generation, ..
        } => Some(format!("{generation} would open: {reason}")),
        _ => None,
    };
    let events = dependency.registry().recent_events();
    events
        .iter()
        .filter_map(|event| said(&event.kind))
        .collect()
}

/// The answer of a call in a task of its own. One that is never woken fails the test, after a day of paused time,
/// instead of hanging it.
pub(crate) async fn answer_of<T>(call: JoinHandle<T>) -> T {
    let answer = tokio::time::timeout(HOUR * 24, call).await;
    answer.expect("the call was never woken").unwrap()
}
