use std::{fmt, sync::Arc, time::Duration};

use brownout_registry::{Dependency, FeatureState, OverrideCell, Registry, Subscription};
use tokio::{sync::Notify, time::Instant};

use crate::core::{Rejected, tally::Tally, threads};

use super::{
    cell::{Cell, Leave},
    counts::{STRIPES, Totals},
    engine::Engine,
    outside::Outside,
    settings::Settings,
    shared::{Shared, Why},
    ticket::Ticket,
};

/// A feature flag that degrades by itself when the feature's calls fail: a handle to read and steer it from anywhere.
///
/// Clones are cheap and share the state. [`Flags`](super::Flags) makes it.
#[derive(Clone)]
pub struct Flag {
    handles: Arc<Handles>,
}

struct Handles {
    shared: Arc<Shared>,
    /// By thread.
    cells: [Arc<Cell>; STRIPES],
    /// Tell the flag when an operator or the fleet steps in, and when the system's level changes.
    _subscriptions: [Option<Subscription>; 3],
}

/// What describes a new flag.
pub(super) struct Description {
    pub(super) name: String,
    pub(super) public_name: Option<String>,
    pub(super) dependency: Option<Dependency>,
    pub(super) configured: FeatureState,
    pub(super) settings: Settings,
}

/// A picture of a flag at one moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Stats {
    /// The effective state.
    pub state: FeatureState,
    /// How long it will stay so, as far as is known: errors degrade a flag for some time, and so do operators. While
    /// the flag comes back by a ramp, how long that will last.
    pub ends_after: Option<Duration>,
    /// Whether the flag comes back by a ramp.
    pub ramping: bool,
    /// Calls in the window.
    pub window_calls: u32,
    /// Failures in the window.
    pub window_failures: u32,
    /// What all calls came to.
    pub totals: Totals,
}

impl Flag {
    pub(super) fn new(
        registry: &Registry,
        cells: [OverrideCell<FeatureState>; 2],
        described: Description,
    ) -> Self {
        let settings = described.settings;
        let gated = settings.is_gated();
        let public_name = described.public_name.or_else(|| {
            let public_name = described.dependency.as_ref()?.public_name()?;
            Some(public_name.to_owned())
        });
        let shared = Arc::new(Shared {
            name: described.name.into(),
            public_name: public_name.map(Arc::from),
            engine: Engine::new(settings, described.configured, STRIPES),
            outside: Outside::new(registry, cells, described.dependency),
            random: registry.random(),
            epoch: Instant::now(),
            changed: Arc::new(Notify::new()),
            changes: Tally::new(),
        });
        let see = || {
            let shared = Arc::downgrade(&shared);
            move || {
                if let Some(shared) = shared.upgrade() {
                    shared.see();
                }
            }
        };
        let subscriptions = [
            Some(shared.outside.imposed.on_change(see())),
            Some(shared.outside.fleet.on_change(see())),
            gated.then(|| registry.on_level_change(see())),
        ];
        // Something may have been imposed before we listened.
        shared.see();
        registry.attach_meter(&shared);
        Self {
            handles: Arc::new(Handles {
                cells: std::array::from_fn(|stripe| Arc::new(Cell::new(&shared, stripe))),
                shared,
                _subscriptions: subscriptions,
            }),
        }
    }

    /// The name, by which operators find it.
    pub fn name(&self) -> &str {
        &self.shared().name
    }

    /// The effective state, also when nobody calls: what is imposed, else the worst of what is configured, of what
    /// errors made of it, and of what the system's level asks for.
    ///
    /// One atomic load; a second one where the flag has a level gate; and the clock, where the state will end by
    /// itself. While the flag comes back by a ramp it is `Enabled`, though not for every call.
    #[inline]
    pub fn state(&self) -> FeatureState {
        self.shared().state()
    }

    /// Asks for leave to make one call of the feature in full: for code that is no tower service.
    ///
    /// # Errors
    ///
    /// [`Rejected`] while the feature is degraded or disabled, which its [reason](Rejected::reason) tells; and for a
    /// share of calls while it comes back.
    pub fn admit(&self) -> Result<Ticket, Rejected> {
        let cell = self.cell();
        match cell.admit(None) {
            Leave::Enter(word) => Ok(Ticket::new(Arc::clone(cell), word)),
            Leave::Divert(state, until) => Err(cell.rejected(state, until)),
        }
    }

    /// Changes the state that the flag has where nothing makes it worse.
    pub fn configure(&self, state: FeatureState) {
        self.shared().configure(state);
    }

    /// A picture of the flag at this moment. Adds up all counters: for pages and tests, not for every call.
    pub fn stats(&self) -> Stats {
        let shared = self.shared();
        let standing = shared.standing();
        let now = shared.now();
        let (held, totals) = shared.engine.counts(now);
        let ends_after = match standing.why {
            Why::Errors(until) | Why::Ramp(until) => {
                Some(Duration::from_nanos(until.saturating_sub(now)))
            }
            Why::Imposed(until) => Some(until.saturating_duration_since(Instant::now())),
            Why::Default | Why::Configured | Why::Level => None,
        };
        Stats {
            state: standing.state,
            ends_after,
            ramping: matches!(standing.why, Why::Ramp(_)),
            window_calls: held.calls,
            window_failures: held.failures,
            totals,
        }
    }

    /// The calling thread's cell.
    #[inline]
    pub(super) fn cell(&self) -> &Arc<Cell> {
        &self.handles.cells[threads::number() % STRIPES]
    }

    #[inline]
    pub(super) fn is_plainly_enabled(&self) -> bool {
        self.shared().engine.word().is_plainly_enabled()
    }

    /// Tells when the effective state has changed.
    pub(super) fn changed(&self) -> &Arc<Notify> {
        &self.shared().changed
    }

    #[inline]
    fn shared(&self) -> &Shared {
        &self.handles.shared
    }
}

impl fmt::Debug for Flag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Flag")
            .field("name", &self.name())
            .field("state", &self.state())
            .finish_non_exhaustive()
    }
}
