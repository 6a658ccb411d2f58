use std::time::Duration;

use brownout_registry::{Report, Status};

use crate::core::Ratio;

use super::window::Held;

/// When calls say what of their dependency.
#[derive(Clone, Debug)]
pub(super) struct Rules {
    pub(super) window: Duration,
    pub(super) min_calls: u32,
    pub(super) degraded_at: Ratio,
    pub(super) unhealthy_at: Ratio,
    pub(super) slow: Option<(Duration, Ratio)>,
}

impl Rules {
    /// What these calls say; nothing where they are too few, unless each of them has succeeded: a service that is seldom
    /// used must find back as well.
    pub(super) fn judge(&self, held: Held) -> Option<Status> {
        if held.calls < u64::from(self.min_calls) {
            return (held.calls > 0 && held.failures == 0 && held.slow == 0)
                .then_some(Status::Healthy);
        }
        let slow = |(_, ratio)| reached(ratio, held.slow, held.calls);
        Some(if reached(self.unhealthy_at, held.failures, held.calls) {
            Status::Unhealthy
        } else if reached(self.degraded_at, held.failures, held.calls)
            || self.slow.is_some_and(slow)
        {
            Status::Degraded
        } else {
            Status::Healthy
        })
    }

    /// The same as a report. What is bad counts as long as the calls that show it are in the window, and not longer:
    /// calls that have ceased say nothing.
    pub(super) fn report(&self, status: Status, held: Held) -> Report {
        let detail = || match held.mean() {
            Some(mean) => format!(
                "{} of {} calls failed, {} were slow; successes took {mean:.1?} in the mean",
                held.failures, held.calls, held.slow
            ),
            None => format!("all of {} calls failed", held.calls),
        };
        match status {
            Status::Healthy | Status::Unknown => Report::healthy(),
            Status::Degraded if reached(self.degraded_at, held.failures, held.calls) => {
                Report::degraded("some calls fail")
                    .detail(detail())
                    .ttl(self.window)
            }
            Status::Degraded => Report::degraded("calls are slow")
                .detail(detail())
                .ttl(self.window),
            // Not tested since it failed.
            Status::Unhealthy => Report::unhealthy("calls fail")
                .detail(detail())
                .ttl(self.window)
                .then(Status::Degraded),
        }
    }
}

fn reached(ratio: Ratio, part: u64, whole: u64) -> bool {
    let count = |n| u32::try_from(n).unwrap_or(u32::MAX);
    ratio.reached_by(count(part), count(whole))
}
