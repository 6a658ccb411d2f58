//! Flags and services to test with, and the steps that most tests begin with.

use std::time::Duration;

use brownout::{
    Criticality, Registry,
    core::{AtHead, BoxError, ErrIsFailure, RejectReason, Same, Unmarked, refusal_of},
    flag::{Flag, FlagBuilder, FlagLayer, Flagged, Flags},
    registry::{DegradationLevel, EventKind, FeatureState, FlagCause, Order, OverrideId},
};
use brownout_testing::{Behaviour, ProbeHandle, ProbeService, TestError};
use tokio::time::advance;
use tower::Layer;

pub(crate) const SECOND: Duration = Duration::from_secs(1);
pub(crate) const MINUTE: Duration = Duration::from_mins(1);
/// How long errors degrade a flag the first time.
pub(crate) const TTL: Duration = Duration::from_mins(5);
pub(crate) const RAMP: Duration = Duration::from_secs(30);

pub(crate) type Probe = ProbeService<u32, u32, BoxError>;
pub(crate) type Handle = ProbeHandle<u32, u32, BoxError>;
pub(crate) type Plain = Flagged<Probe, AtHead<ErrIsFailure>, Same, Unmarked>;

/// A registry whose random choices are always the same.
pub(crate) fn registry() -> Registry {
    Registry::builder().seed(7).build().unwrap()
}

/// A set of flags, and what describes one that has the defaults but for exact times.
pub(crate) fn exact() -> FlagBuilder {
    Flags::new(&registry()).builder("ml_recs").jitter(0.0)
}

/// The same, in a given registry.
pub(crate) fn exact_in(registry: &Registry) -> FlagBuilder {
    Flags::new(registry).builder("ml_recs").jitter(0.0)
}

pub(crate) fn flag() -> Flag {
    exact().build().unwrap()
}

pub(crate) fn succeed(flag: &Flag, calls: u32) {
    for _ in 0..calls {
        flag.admit().unwrap().success();
    }
}

pub(crate) fn fail(flag: &Flag, calls: u32) {
    for _ in 0..calls {
        flag.admit().unwrap().failure();
    }
}

/// Degrades the flag by as many errors as it takes by default.
pub(crate) fn trip(flag: &Flag) {
    fail(flag, 5);
    assert_eq!(flag.state(), FeatureState::Degraded);
}

/// Lets the time pass for which errors degrade the flag, and the ramp.
pub(crate) async fn come_back(flag: &Flag) {
    advance(flag.stats().ends_after.unwrap()).await;
    if flag.stats().ramping {
        advance(flag.stats().ends_after.unwrap()).await;
    }
    assert_eq!(flag.state(), FeatureState::Enabled);
    assert!(!flag.stats().ramping);
}

pub(crate) fn impose(registry: &Registry, state: FeatureState, ttl: Duration) -> OverrideId {
    let order = Order::new("kim", "rehearsal", ttl);
    registry.override_flag("ml_recs", state, order).unwrap()
}

pub(crate) fn impose_level(
    registry: &Registry,
    level: DegradationLevel,
    ttl: Duration,
) -> OverrideId {
    let order = Order::new("kim", "rehearsal", ttl);
    registry.override_level(level, order).unwrap()
}

/// A dependency whose health moves the level.
pub(crate) fn critical(registry: &Registry) -> brownout::registry::Reporter {
    let dependency = registry
        .dependency("ledger")
        .criticality(Criticality::Critical)
        .register()
        .unwrap();
    dependency.reporter(brownout::registry::ReporterKind::Code, "test")
}

/// What the registry has heard of flags.
pub(crate) fn history(registry: &Registry) -> Vec<(FeatureState, FeatureState, FlagCause)> {
    let events = registry.recent_events();
    let changes = events.iter().filter_map(|event| match event.kind {
        EventKind::FlagChanged {
            from, to, cause, ..
        } => Some((from, to, cause)),
        _ => None,
    });
    changes.collect()
}

/// A service that answers each request with itself, and the handle that makes it do otherwise.
pub(crate) fn probe() -> (Probe, Handle) {
    ProbeService::new(Ok)
}

/// One that adds to each request, so that its answers are told from others.
pub(crate) fn adding(n: u32) -> (Probe, Handle) {
    ProbeService::new(move |request: u32| Ok(request + n))
}

pub(crate) fn failing() -> Behaviour<u32, u32, BoxError> {
    Behaviour::answer(|_| Err(TestError::new("down").into()))
}

pub(crate) fn flagged(flag: &Flag, inner: Probe) -> Plain {
    FlagLayer::for_results(flag.clone()).layer(inner)
}

/// Why the call was refused; it must have been.
pub(crate) fn reason_of<T: std::fmt::Debug>(outcome: Result<T, BoxError>) -> RejectReason {
    let error = outcome.unwrap_err();
    refusal_of(error.as_ref())
        .unwrap_or_else(|| panic!("not a refusal: {error}"))
        .reason()
}
