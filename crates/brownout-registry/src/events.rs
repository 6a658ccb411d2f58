//! The numbered stream of what has happened.

use std::collections::VecDeque;
use std::fmt;
use std::pin::pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

use tokio::sync::Notify;
use tokio::time::Instant;

use crate::overrides::{OverrideId, OverrideValue, Target};
use crate::snapshot::Moment;
use crate::vocab::{Criticality, DegradationLevel, FeatureState, FlagCause, Status, SystemHealth};

/// How many events can be read back.
pub(crate) const KEPT: usize = 256;

/// Something that happened.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Event {
    /// Its number: 1 for the registry's first event, and no number is left out.
    pub sequence: u64,
    /// When it happened, on tokio's clock. An expiry happens at its deadline, however late it is noticed.
    pub at: Instant,
    /// When it happened, on the wall clock; for display only.
    pub wall: SystemTime,
    /// What happened.
    pub kind: EventKind,
}

/// What happened. Names are the operators' ones, not the public ones.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
#[allow(
    missing_docs,
    reason = "the fields say what they are; units are in their types"
)]
pub enum EventKind {
    /// A dependency was registered.
    DependencyRegistered {
        dependency: Arc<str>,
        criticality: Criticality,
    },
    /// A dependency's status changed; the message is that of the report which decides.
    StatusChanged {
        dependency: Arc<str>,
        from: Status,
        to: Status,
        message: Option<Arc<str>>,
    },
    /// The system's health changed.
    HealthChanged {
        from: SystemHealth,
        to: SystemHealth,
    },
    /// The published degradation level changed.
    LevelChanged {
        from: DegradationLevel,
        to: DegradationLevel,
    },
    /// Somebody set an override.
    OverrideSet {
        id: OverrideId,
        target: Target,
        value: OverrideValue,
        actor: Arc<str>,
        reason: Arc<str>,
        ttl: Duration,
    },
    /// Somebody released an override before its end.
    OverrideReleased {
        id: OverrideId,
        target: Target,
        value: OverrideValue,
        actor: Arc<str>,
    },
    /// An override ended by itself.
    OverrideExpired {
        id: OverrideId,
        target: Target,
        value: OverrideValue,
        actor: Arc<str>,
    },
    /// A probe has turned from passing (or from nothing) to failing.
    ProbeFailed {
        dependency: Arc<str>,
        probe: Arc<str>,
        consecutive_failures: u32,
    },
    /// A probe has turned from failing to passing.
    ProbeRecovered {
        dependency: Arc<str>,
        probe: Arc<str>,
    },
    /// A circuit opened. The key names one circuit of a keyed family.
    CircuitOpened {
        dependency: Arc<str>,
        key: Option<Arc<str>>,
        reason: Arc<str>,
        retry_after: Duration,
        generation: u64,
    },
    /// A circuit lets probes through.
    CircuitHalfOpened {
        dependency: Arc<str>,
        key: Option<Arc<str>>,
        generation: u64,
    },
    /// A circuit closed.
    CircuitClosed {
        dependency: Arc<str>,
        key: Option<Arc<str>>,
        generation: u64,
    },
    /// A circuit that only observes would have opened.
    CircuitWouldOpen {
        dependency: Arc<str>,
        key: Option<Arc<str>>,
        reason: Arc<str>,
        generation: u64,
    },
    /// A tier has begun to answer in the place of a dependency that cannot. Recorded once for a spell, not for a call.
    FallbackServed {
        dependency: Arc<str>,
        tier: Arc<str>,
        reason: Arc<str>,
    },
    /// A tier no longer has to; it has answered so many calls.
    FallbackEnded {
        dependency: Arc<str>,
        tier: Arc<str>,
        calls: u64,
    },
    /// Somebody has switched a tier of a fallback chain on or off.
    TierSwitched {
        dependency: Arc<str>,
        tier: Arc<str>,
        on: bool,
    },
    /// A part of an aggregate has begun to be missing, or to be stood in for. Recorded once for a spell, not for a call.
    PartMissing {
        dependency: Arc<str>,
        part: Arc<str>,
        reason: Arc<str>,
    },
    /// A part answers again; it was missing in so many calls.
    PartReturned {
        dependency: Arc<str>,
        part: Arc<str>,
        calls: u64,
    },
    /// A feature's state changed: what its calls and those who ask for it are told from now on.
    FlagChanged {
        flag: Arc<str>,
        from: FeatureState,
        to: FeatureState,
        cause: FlagCause,
    },
}

/// What [`Events::recv`] yields.
#[derive(Debug, Clone, PartialEq)]
pub enum Received {
    /// The next event.
    Event(Arc<Event>),
    /// The reader was too slow: so many events are gone. Reading goes on with the oldest that is still there.
    Missed(u64),
}

/// A reader of the stream of events, from the moment it was made.
///
/// Readers are independent of one another and never slow a writer: a reader that lags by more than 256 events is told
/// how many it missed.
#[derive(Clone)]
pub struct Events {
    log: Arc<EventLog>,
    next: u64,
}

impl Events {
    pub(crate) fn new(log: Arc<EventLog>) -> Self {
        let next = log.lock().next;
        Self { log, next }
    }

    /// The next event; `None` once the registry is gone and everything has been read.
    ///
    /// Cancel safe: an event that was not returned is returned by the next call. Expiries appear when something reads
    /// the registry, or promptly where a [`Driver`](crate::Driver) runs.
    pub async fn recv(&mut self) -> Option<Received> {
        loop {
            let log = Arc::clone(&self.log);
            let mut pushed = pin!(log.pushed.notified());
            // Enlisted before looking, so that what is pushed in between is not slept through.
            pushed.as_mut().enable();
            match self.read() {
                Ok(received) => return Some(received),
                Err(Closed(true)) => return None,
                Err(Closed(false)) => pushed.await,
            }
        }
    }

    /// The next event, if it has happened already.
    pub fn try_recv(&mut self) -> Option<Received> {
        self.read().ok()
    }

    fn read(&mut self) -> Result<Received, Closed> {
        let ring = self.log.lock();
        let oldest = ring.next - ring.kept.len() as u64;
        if self.next < oldest {
            let missed = oldest - self.next;
            self.next = oldest;
            return Ok(Received::Missed(missed));
        }
        let index = usize::try_from(self.next - oldest).unwrap_or(usize::MAX);
        let event = ring.kept.get(index).cloned().ok_or(Closed(ring.closed))?;
        drop(ring);
        self.next += 1;
        Ok(Received::Event(event))
    }
}

/// Nothing to read: whether for good.
struct Closed(bool);

impl fmt::Debug for Events {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Events")
            .field("next", &self.next)
            .finish_non_exhaustive()
    }
}

/// The ring of the last events. It outlives the registry for as long as somebody reads it.
#[derive(Debug)]
pub(crate) struct EventLog {
    ring: Mutex<Ring>,
    pushed: Notify,
}

#[derive(Debug)]
struct Ring {
    kept: VecDeque<Arc<Event>>,
    next: u64,
    closed: bool,
}

impl EventLog {
    pub(crate) fn new() -> Self {
        let ring = Ring {
            kept: VecDeque::with_capacity(KEPT),
            next: 1,
            closed: false,
        };
        Self {
            ring: Mutex::new(ring),
            pushed: Notify::new(),
        }
    }

    /// Numbers and keeps the event. Whoever pushes wakes the readers later, when it holds no lock.
    pub(crate) fn push(&self, when: Moment, kind: EventKind) -> Arc<Event> {
        let mut ring = self.lock();
        let event = Arc::new(Event {
            sequence: ring.next,
            at: when.at,
            wall: when.wall,
            kind,
        });
        ring.next += 1;
        if ring.kept.len() == KEPT {
            ring.kept.pop_front();
        }
        ring.kept.push_back(Arc::clone(&event));
        event
    }

    pub(crate) fn wake(&self) {
        self.pushed.notify_waiters();
    }

    pub(crate) fn recent(&self) -> Vec<Arc<Event>> {
        self.lock().kept.iter().cloned().collect()
    }

    pub(crate) fn close(&self) {
        self.lock().closed = true;
        self.wake();
    }

    fn lock(&self) -> MutexGuard<'_, Ring> {
        self.ring.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl EventKind {
    /// Whether it is another component's to say, not the registry's own.
    pub(crate) const fn is_from_outside(&self) -> bool {
        matches!(
            self,
            Self::CircuitOpened { .. }
                | Self::CircuitHalfOpened { .. }
                | Self::CircuitClosed { .. }
                | Self::CircuitWouldOpen { .. }
                | Self::FallbackServed { .. }
                | Self::FallbackEnded { .. }
                | Self::TierSwitched { .. }
                | Self::PartMissing { .. }
                | Self::PartReturned { .. }
                | Self::FlagChanged { .. }
        )
    }
}

impl Event {
    /// Says it in the log: WARN for what got worse, INFO for the rest. The transitions of circuits,
    /// fallbacks, parts and flags are logged by whoever records them.
    pub(crate) fn log(&self) {
        match &self.kind {
            EventKind::StatusChanged {
                dependency,
                from,
                to,
                message,
            } => {
                let reason = message.as_deref();
                if *to > *from && *to != Status::Unknown {
                    tracing::warn!(%dependency, %from, %to, reason, "dependency status changed");
                } else {
                    tracing::info!(%dependency, %from, %to, reason, "dependency status changed");
                }
            }
            EventKind::HealthChanged { from, to } if to > from => {
                tracing::warn!(%from, %to, "system health changed");
            }
            EventKind::HealthChanged { from, to } => {
                tracing::info!(%from, %to, "system health changed");
            }
            EventKind::LevelChanged { from, to } if to > from => {
                tracing::warn!(%from, %to, "degradation level changed");
            }
            EventKind::LevelChanged { from, to } => {
                tracing::info!(%from, %to, "degradation level changed");
            }
            EventKind::OverrideSet {
                id,
                target,
                value,
                actor,
                reason,
                ttl,
            } => {
                tracing::info!(%id, %target, %value, %actor, %reason, ?ttl, "override set");
            }
            EventKind::OverrideReleased {
                id,
                target,
                value,
                actor,
            } => {
                tracing::info!(%id, %target, %value, %actor, "override released");
            }
            EventKind::OverrideExpired {
                id,
                target,
                value,
                actor,
            } => {
                tracing::info!(%id, %target, %value, %actor, "override expired");
            }
            EventKind::ProbeFailed {
                dependency,
                probe,
                consecutive_failures,
            } => {
                tracing::warn!(%dependency, %probe, consecutive_failures, "probe fails");
            }
            EventKind::ProbeRecovered { dependency, probe } => {
                tracing::info!(%dependency, %probe, "probe passes");
            }
            EventKind::DependencyRegistered {
                dependency,
                criticality,
            } => {
                tracing::debug!(%dependency, %criticality, "dependency registered");
            }
            EventKind::CircuitOpened { .. }
            | EventKind::CircuitHalfOpened { .. }
            | EventKind::CircuitClosed { .. }
            | EventKind::CircuitWouldOpen { .. }
            | EventKind::FallbackServed { .. }
            | EventKind::FallbackEnded { .. }
            | EventKind::TierSwitched { .. }
            | EventKind::PartMissing { .. }
            | EventKind::PartReturned { .. }
            | EventKind::FlagChanged { .. } => {}
        }
    }
}
