use std::{fmt, time::Duration};

use tokio::{
    runtime::Handle,
    task::AbortHandle,
    time::{MissedTickBehavior, interval},
};

use crate::core::caught;

use super::Metrics;

/// Collects from time to time, until it is dropped. Made by [`Metrics::install`].
#[must_use = "collecting stops when this is dropped, and `let _ =` drops it at once: `let _collecting = …`"]
pub struct Collecting {
    metrics: Metrics,
    task: Option<AbortHandle>,
}

impl Collecting {
    pub(super) fn start(metrics: Metrics, every: Duration) -> Self {
        let runtime = Handle::try_current().ok();
        if runtime.is_none() {
            tracing::error!("no metrics are collected: this is outside a tokio runtime");
        }
        let task = runtime.map(|runtime| {
            let collecting = collect_every(metrics.clone(), every);
            runtime.spawn(collecting).abort_handle()
        });
        Self { metrics, task }
    }

    /// The metrics, to collect them at once besides.
    pub fn metrics(&self) -> &Metrics {
        &self.metrics
    }

    /// Whether the task runs. Not where there was no runtime, or where that has shut down.
    pub fn is_running(&self) -> bool {
        self.task.as_ref().is_some_and(|task| !task.is_finished())
    }
}

async fn collect_every(metrics: Metrics, every: Duration) {
    // tokio has no way to ask for timers but to make one, which panics without.
    let Some(mut ticks) = caught(|| interval(every)) else {
        tracing::error!(
            "no metrics are collected: this runtime has no timers; enable them with `enable_time` or `enable_all` on \
             its builder"
        );
        return;
    };
    // After a pause, one collection says it all.
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut failed = false;
    loop {
        ticks.tick().await;
        if caught(|| metrics.collect()).is_none() && !failed {
            failed = true;
            // Nobody would hear of a log that panics here, nor of anything that is counted from then on.
            caught(|| tracing::error!("the metrics recorder panicked (logged once)"));
        }
    }
}

impl Drop for Collecting {
    fn drop(&mut self) {
        if let Some(task) = &self.task {
            task.abort();
        }
    }
}

impl fmt::Debug for Collecting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Collecting")
            .field("is_running", &self.is_running())
            .finish_non_exhaustive()
    }
}
