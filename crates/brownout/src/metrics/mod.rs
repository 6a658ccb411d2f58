//! Metrics: what all layers count, for any exporter of the [`metrics`](https://docs.rs/metrics) facade.
//!
//! Layers know nothing of metrics. They count what they decide by, and a little more, on cache lines of each thread's
//! own; the [registry](crate::Registry::readings) knows where. A [`Metrics`] reads that from time to time and hands it
//! to the recorder that is installed. A call therefore pays for none of the exporter's maps, keys and labels.
//!
//! # By default
//!
//! ```
//! use brownout::{Registry, metrics::Metrics};
//!
//! # #[tokio::main(flavor = "current_thread")] async fn main() {
//! // Once an exporter is installed, such as `PrometheusBuilder::new().install()`:
//! let registry = Registry::new();
//! let collecting = Metrics::install(&registry); // every second, until this is dropped
//! # drop(collecting); }
//! ```
//!
//! # Customised
//!
//! Whoever renders a page for each scrape collects just before, and needs no task:
//!
//! ```
//! use brownout::{Registry, metrics::Metrics};
//!
//! # let registry = Registry::new();
//! let metrics = Metrics::new(&registry);
//! let scrape = move || {
//!     metrics.collect();
//!     // prometheus_handle.render()
//! };
//! # scrape();
//! ```
//!
//! # Names
//!
//! They are API, as are their labels.
//!
//! | name | type | labels | what it is |
//! |---|---|---|---|
//! | `brownout_calls_total` | counter | `dependency`, `layer`, `outcome` | calls a layer has seen: `success`, `failure`, `neutral`, `abandoned`; `rejected` by a `breaker`, `diverted` by a `flag` |
//! | `brownout_call_duration_seconds` | histogram | `dependency`, `layer` | how long judged calls took, from admission to verdict |
//! | `brownout_circuit_state` | gauge | `dependency`, `state` | 1 for the state it is in, 0 for the others |
//! | `brownout_circuit_transitions_total` | counter | `dependency`, `from`, `to`, `cause` | |
//! | `brownout_rejections_total` | counter | `dependency`, `cause` | calls refused, by [reason](crate::core::RejectReason) |
//! | `brownout_fallback_total` | counter | `dependency`, `tier`, `reason`, `outcome` | calls a tier has `answered`, by why it was asked, and `failed`, by how; of chains that [cover](crate::fallback::FallbackBuilder::covering) a dependency |
//! | `brownout_flag_state` | gauge | `flag`, `state` | as of circuits |
//! | `brownout_flag_changes_total` | counter | `flag`, `cause` | |
//! | `brownout_parts_total` | counter | `aggregate`, `part`, `outcome` | parts `answered`, stood in for (`fallback`) or `missing`; of aggregates that are [named](crate::aggregate::AggregateBuilder::named) |
//! | `brownout_dependency_status` | gauge | `dependency`, `status` | as of circuits |
//! | `brownout_degradation_level` | gauge | | 0 (full) to 3 (emergency) |
//! | `brownout_override_active` | gauge | `target` | how many overrides are in force, by kind: `status`, `circuit`, `flag`, `level` |
//! | `brownout_store_sync_age_seconds` | gauge | | how long ago this replica last knew that it holds what its [fleet](crate::registry::fleet)'s store does; a few seconds, while it is in touch |
//! | `brownout_store_errors_total` | counter | `op` | operations on the fleet's store that failed or took too long: `subscribe`, `changes`, `picture`, `write`, `count`, `report`, `replicas`, `ping` |
//!
//! Of a flag, `dependency` is the flag's name, as in its refusals. Circuits of one dependency are counted together, and
//! the worst of them is its state; so are those of a keyed family, which are never labelled by key. The number of series
//! is therefore bounded by what was registered, whatever traffic brings.
//!
//! # Defaults
//!
//! | what | default | why |
//! |---|---|---|
//! | collected | every second | fresher than any scrape, and far rarer than calls |
//! | times of calls | taken by all breakers from the first [`Metrics`] on | nobody pays for them unasked |
//! | buckets of times | eight a power of two, from 1 µs to an hour | a value is at most 6.3 % off |
//!
//! Totals begin with the registry and outlive the parts that counted them. How times become buckets or quantiles is
//! the exporter's to say; the Prometheus exporter makes a summary unless it is given buckets.
//!
//! # Cost
//!
//! Counts cost a call nothing that it does not pay anyway. Its time costs two readings of the clock and one addition to
//! a line of the thread's own, without allocation (`cargo xtask bench --rows breaker-window-metrics`). Collecting visits
//! every series, and hands the recorder one value for each call of the last second.

mod collecting;
mod names;
mod series;

use std::{
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use brownout_registry::Registry;

use crate::core::{ConfigError, config};

pub use self::collecting::Collecting;
use self::series::Series;

/// Hands what a registry's parts have counted to the recorder that is installed. Clones are the same.
///
/// Make one for a registry: what lies between two collections is known to each of them apart, so two would record the
/// times of calls twice.
#[derive(Clone)]
pub struct Metrics {
    registry: Registry,
    /// Away while somebody collects.
    series: Arc<Mutex<Option<Series>>>,
}

/// How often [`Metrics::install`] collects.
const EVERY: Duration = Duration::from_secs(1);

impl Metrics {
    /// Metrics of this registry, which somebody has to [collect](Self::collect). From now on breakers take the times of
    /// calls.
    pub fn new(registry: &Registry) -> Self {
        registry.time_calls();
        Self {
            registry: registry.clone(),
            series: Arc::new(Mutex::new(Some(Series::default()))),
        }
    }

    /// Collects every second, in a task that ends when what this returns is dropped.
    ///
    /// It needs a tokio runtime with time enabled; without one nothing is collected, and an error is logged.
    pub fn install(registry: &Registry) -> Collecting {
        Collecting::start(Self::new(registry), EVERY)
    }

    /// The same at another interval, between a millisecond and a year.
    ///
    /// # Errors
    ///
    /// The interval is out of range.
    pub fn install_every(registry: &Registry, every: Duration) -> Result<Collecting, ConfigError> {
        let every = config::duration("every", every)?;
        Ok(Collecting::start(Self::new(registry), every))
    }

    /// Hands everything to the recorder of the calling thread, or the global one: counters and gauges as they are, and
    /// the times of calls that have ended since the last collection.
    ///
    /// Where somebody else is collecting, this does nothing. Not for every call: it visits every series.
    pub fn collect(&self) {
        // Without the lock: a recorder is the user's code.
        let Some(series) = self.lock().take() else {
            return;
        };
        let mut away = Away {
            series,
            home: &self.series,
        };
        away.series.collect(&self.registry);
    }

    fn lock(&self) -> MutexGuard<'_, Option<Series>> {
        lock(&self.series)
    }
}

/// Comes back also when a recorder panics.
struct Away<'a> {
    series: Series,
    home: &'a Mutex<Option<Series>>,
}

impl Drop for Away<'_> {
    fn drop(&mut self) {
        *lock(self.home) = Some(std::mem::take(&mut self.series));
    }
}

fn lock(series: &Mutex<Option<Series>>) -> MutexGuard<'_, Option<Series>> {
    series.lock().unwrap_or_else(PoisonError::into_inner)
}

impl fmt::Debug for Metrics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Metrics").finish_non_exhaustive()
    }
}
