use std::{fmt, time::Duration};

use brownout_registry::Dependency;

use crate::core::{ConfigError, Ratio, config};

use super::{handle::Traffic, judge::Rules};

/// Configures a [`Traffic`]. Made by [`Traffic::builder`].
///
/// | setting | default | why |
/// |---|---|---|
/// | [`window`](Self::window) | 10 s, ten sub-buckets | as a circuit's: what was longer ago says little |
/// | [`min_calls`](Self::min_calls) | 20 | one failure of two calls is chance |
/// | [`degraded_at`](Self::degraded_at) | 10 % | people notice |
/// | [`unhealthy_at`](Self::unhealthy_at) | 50 % | as a circuit's |
/// | [`slow_calls`](Self::slow_calls) | off | what is slow, only the user knows |
#[derive(Clone)]
#[must_use = "nothing is built until `build` is called"]
pub struct TrafficBuilder {
    dependency: Dependency,
    rules: Rules,
    refused: Option<ConfigError>,
}

impl TrafficBuilder {
    pub(super) const fn defaults() -> Rules {
        Rules {
            window: Duration::from_secs(10),
            min_calls: 20,
            degraded_at: Ratio::from_billionths(100_000_000),
            unhealthy_at: Ratio::HALF,
            slow: None,
        }
    }

    pub(super) const fn new(dependency: Dependency) -> Self {
        Self {
            dependency,
            rules: Self::defaults(),
            refused: None,
        }
    }

    /// How long a call counts, at least a second and at most 365 days.
    pub fn window(self, window: Duration) -> Self {
        let checked = config::duration("window", window).and_then(|window| {
            if window < Duration::from_secs(1) {
                let given = format!("{window:?}");
                return Err(ConfigError::new("window", given, "it must be at least 1 s"));
            }
            Ok(window)
        });
        self.set(checked, |rules, window| rules.window = window)
    }

    /// With fewer calls than this in the window nothing is said, unless all of them succeed. At least 1.
    pub fn min_calls(self, calls: u32) -> Self {
        let checked = config::count("min_calls", calls, u32::MAX);
        self.set(checked, |rules, calls| rules.min_calls = calls)
    }

    /// From which share of failures on the dependency is degraded: above 0.0, at most 1.0.
    pub fn degraded_at(self, share: f64) -> Self {
        let checked = config::threshold("degraded_at", share);
        self.set(checked, |rules, share| rules.degraded_at = share)
    }

    /// From which share of failures on the dependency is unhealthy: above 0.0, at most 1.0.
    pub fn unhealthy_at(self, share: f64) -> Self {
        let checked = config::threshold("unhealthy_at", share);
        self.set(checked, |rules, share| rules.unhealthy_at = share)
    }

    /// From which share of calls that take longer than this, up to the head of their answer, the dependency is degraded.
    pub fn slow_calls(self, longer_than: Duration, share: f64) -> Self {
        let checked = config::duration("slow_calls", longer_than)
            .and_then(|longest| Ok((longest, config::threshold("slow_calls", share)?)));
        self.set(checked, |rules, slow| rules.slow = Some(slow))
    }

    /// The handle. Fails with the first setting that was refused, or if what is unhealthy would not be degraded.
    pub fn build(self) -> Result<Traffic, ConfigError> {
        if let Some(refused) = self.refused {
            return Err(refused);
        }
        if self.rules.degraded_at > self.rules.unhealthy_at {
            return Err(ConfigError::new(
                "degraded_at",
                self.rules.degraded_at,
                "it must not lie above `unhealthy_at`",
            ));
        }
        Ok(Traffic::with(&self.dependency, self.rules))
    }

    fn set<T>(mut self, checked: Result<T, ConfigError>, set: impl FnOnce(&mut Rules, T)) -> Self {
        match checked {
            Ok(value) => set(&mut self.rules, value),
            Err(error) => self.refused = self.refused.or(Some(error)),
        }
        self
    }
}

impl fmt::Debug for TrafficBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TrafficBuilder")
            .field("dependency", &self.dependency.name())
            .field("rules", &self.rules)
            .finish_non_exhaustive()
    }
}
