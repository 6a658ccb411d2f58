//! How a circuit speaks: to the log, to the event stream, and to its dependency's slot in the registry.

use std::{sync::Arc, time::Duration};

use brownout_registry::{CircuitState, EventKind, Report, Reporter, ReporterKind, Status};

use crate::core::logged;

use super::{
    family::Family,
    machine::{Cause, Transition},
    shared::{Core, Shared},
};

#[allow(
    clippy::large_enum_variant,
    reason = "there is one for a handle, and it never moves"
)]
pub(super) enum Voice {
    /// The only circuit of its handle: the dependency is as well as the circuit says.
    Alone(Reporter),
    /// One of many, by key: the dependency is as well as the family is.
    Family(Family),
}

impl Voice {
    pub(super) fn alone(dependency: &brownout_registry::Dependency) -> Self {
        Self::Alone(dependency.reporter(ReporterKind::Circuit, "circuit breaker"))
    }

    /// Counts what happened, which must not be lost whatever telling it comes to.
    pub(super) fn count(&self, transitions: &[Transition]) {
        if let Self::Family(family) = self {
            family.count(transitions);
        }
    }

    /// Tells the registry what happened, after it was counted.
    pub(super) fn report(&self, shared: &Shared, key: Option<&str>, transitions: &[Transition]) {
        for transition in transitions {
            let now = shared.clock.now();
            let left = Duration::from_nanos(transition.until.saturating_sub(now));
            let registry = shared.dependency.registry();
            registry.record(event(shared, key, transition, left));
            match self {
                Self::Alone(reporter) => reporter.report(report(transition, left)),
                Self::Family(family) => family.renew(now),
            }
        }
    }
}

/// Says what came of a single call: of those that did not succeed, because the others have no instruction to spare.
#[cold]
pub(super) fn called(core: &Core, outcome: &'static str) {
    tracing::trace!(
        dependency = core.shared.dependency.name(),
        key = core.key.as_deref(),
        outcome,
        "call through a circuit"
    );
}

pub(super) fn would_open(shared: &Shared, key: Option<&str>, cause: Cause, generation: u64) {
    let event = EventKind::CircuitWouldOpen {
        dependency: shared.dependency.shared_name(),
        key: key.map(Arc::from),
        reason: cause.as_str().into(),
        generation,
    };
    shared.dependency.registry().record(event);
    logged(|| {
        tracing::warn!(
            dependency = shared.dependency.name(),
            key,
            reason = cause.as_str(),
            generation,
            "circuit would have opened, but only observes"
        );
    });
}

fn event(
    shared: &Shared,
    key: Option<&str>,
    transition: &Transition,
    retry_after: Duration,
) -> EventKind {
    let dependency = shared.dependency.shared_name();
    let key = key.map(Arc::from);
    let generation = transition.generation;
    match transition.to {
        CircuitState::Open => EventKind::CircuitOpened {
            dependency,
            key,
            reason: transition.cause.as_str().into(),
            retry_after,
            generation,
        },
        CircuitState::HalfOpen => EventKind::CircuitHalfOpened {
            dependency,
            key,
            generation,
        },
        CircuitState::Closed => EventKind::CircuitClosed {
            dependency,
            key,
            generation,
        },
    }
}

/// What a circuit says of its dependency. An open circuit's word counts only until a probe is due: from then on
/// nobody knows, and a dependency that nobody calls must not hold the system down.
fn report(transition: &Transition, left: Duration) -> Report {
    match transition.to {
        CircuitState::Closed => Report::healthy(),
        CircuitState::Open => Report::unhealthy("circuit open")
            .ttl(left)
            .then(Status::Degraded),
        CircuitState::HalfOpen => Report::unhealthy("circuit half-open")
            .ttl(left)
            .then(Status::Degraded),
    }
    .sequence(transition.generation)
}

pub(super) fn log(shared: &Shared, key: Option<&str>, transition: &Transition) {
    macro_rules! transition {
        ($level:ident, $text:literal) => {
            tracing::$level!(
                dependency = shared.dependency.name(),
                key,
                from = transition.from.as_str(),
                to = transition.to.as_str(),
                reason = transition.cause.as_str(),
                generation = transition.generation,
                $text
            )
        };
    }
    match transition.to {
        CircuitState::Open => transition!(warn, "circuit opened"),
        CircuitState::HalfOpen => transition!(info, "circuit half-open"),
        CircuitState::Closed => transition!(info, "circuit closed"),
    }
}
