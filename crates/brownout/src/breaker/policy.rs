use std::{num::NonZeroU32, time::Duration};

use crate::core::{
    ConfigError, Ratio,
    config::{count, duration, ratio, threshold},
};

/// When a circuit opens, how long it stays open, and how it closes again.
///
/// [`Policy::default`] suits most dependencies; the [module documentation](crate::breaker) has the table of its
/// values with their reasons. [`Policy::consecutive`] is the classic breaker, [`Policy::builder`] sets the rest.
///
/// ```
/// use std::time::Duration;
/// use brownout::breaker::Policy;
///
/// let policy = Policy::builder()
///     .failure_ratio(0.25)
///     .window(Duration::from_secs(30))
///     .slow_calls(Duration::from_millis(800), 0.6)
///     .build()?;
/// # Ok::<(), brownout::core::ConfigError>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct Policy {
    pub(super) failure_ratio: Option<Ratio>,
    pub(super) window: Window,
    pub(super) minimum_calls: u32,
    pub(super) consecutive_failures: Option<NonZeroU32>,
    pub(super) slow: Option<Slow>,
    pub(super) open_for: Duration,
    pub(super) open_for_at_most: Duration,
    pub(super) jitter: Ratio,
    pub(super) probes: u32,
    pub(super) trials: u32,
    pub(super) successes: u32,
    pub(super) lease: Duration,
    pub(super) ramp: Option<Duration>,
    pub(super) abandoned: Option<Abandoned>,
}

/// What the failure and slow ratios are taken over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Window {
    Time(Duration),
    Calls(NonZeroU32),
}

/// Calls whose answer's head takes `threshold` or longer count as slow; they trip at `ratio`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Slow {
    pub(super) threshold: Duration,
    pub(super) ratio: Ratio,
}

/// What a call that was dropped before it was judged counts as.
///
/// A caller that gives up says little about the dependency, unless it gave up because it had waited too long.
/// Better than any of these is a timeout *inside* the breaker: then the dependency's slowness is a failure with a
/// verdict of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Abandoned {
    /// It changes no count. The default where no slow threshold is set.
    Neutral,
    /// It is a failure.
    Failure,
    /// It is a failure if the head of the answer had not come after this time. The default where a slow threshold
    /// is set, with that threshold.
    FailureIfSlowerThan(Duration),
}

impl Policy {
    /// Starts from the defaults.
    pub fn builder() -> PolicyBuilder {
        PolicyBuilder {
            policy: Self::default(),
            error: None,
        }
    }

    /// The classic breaker: `failures` failures without a success between them open the circuit, and nothing else.
    /// The cheapest policy: a success reads no clock.
    pub fn consecutive(failures: NonZeroU32) -> Self {
        Self {
            failure_ratio: None,
            consecutive_failures: Some(failures),
            ..Self::default()
        }
    }

    /// Whether outcomes are counted over a window at all.
    pub(super) fn needs_window(&self) -> bool {
        self.failure_ratio.is_some() || self.slow.is_some()
    }

    pub(super) fn abandoned(&self) -> Abandoned {
        match (self.abandoned, self.slow) {
            (Some(choice), _) => choice,
            (None, Some(slow)) => Abandoned::FailureIfSlowerThan(slow.threshold),
            (None, None) => Abandoned::Neutral,
        }
    }
}

impl Default for Policy {
    fn default() -> Self {
        Self {
            failure_ratio: Some(Ratio::HALF),
            window: Window::Time(Duration::from_secs(10)),
            minimum_calls: 20,
            consecutive_failures: NonZeroU32::new(5),
            slow: None,
            open_for: Duration::from_secs(5),
            open_for_at_most: Duration::from_mins(1),
            jitter: Ratio::from_billionths(200_000_000),
            probes: 3,
            trials: 2,
            successes: 2,
            lease: Duration::from_secs(5),
            ramp: None,
            abandoned: None,
        }
    }
}

/// Builds a [`Policy`]. The first value out of range is reported by [`build`](Self::build), with its field.
#[derive(Clone, Debug)]
#[must_use]
pub struct PolicyBuilder {
    policy: Policy,
    error: Option<ConfigError>,
}

impl PolicyBuilder {
    /// Opens when this share of the calls in the window failed, 0.0 < `share` ≤ 1.0. Default 0.5.
    pub fn failure_ratio(self, share: f64) -> Self {
        self.set(threshold("failure_ratio", share), |policy, share| {
            policy.failure_ratio = Some(share);
        })
    }

    /// Never opens for a share of failures.
    pub fn no_failure_ratio(mut self) -> Self {
        self.policy.failure_ratio = None;
        self
    }

    /// Takes ratios over the calls of the last `length`, in ten sub-buckets. Default 10 s.
    pub fn window(self, length: Duration) -> Self {
        self.set(duration("window", length), |policy, length| {
            policy.window = Window::Time(length);
        })
    }

    /// Takes ratios over the last `calls` judged calls, 1 to 1,000,000, at a byte of memory each.
    ///
    /// One ring shared by all threads: exact, but with traffic from many cores a window of time scales better.
    pub fn window_of_calls(self, calls: u32) -> Self {
        self.set(
            count("window_of_calls", calls, 1_000_000),
            |policy, calls| {
                policy.window = NonZeroU32::new(calls).map_or(policy.window, Window::Calls);
            },
        )
    }

    /// Judges by ratio only once the window holds this many calls, 1 to 1,000,000. Default 20.
    pub fn minimum_calls(self, calls: u32) -> Self {
        self.set(count("minimum_calls", calls, 1_000_000), |policy, calls| {
            policy.minimum_calls = calls;
        })
    }

    /// Opens after this many failures without a success between them, 1 to 1,000,000, while the window holds fewer
    /// calls than its minimum: little traffic still trips, busy traffic is judged by its ratio. Default 5.
    pub fn consecutive_failures(self, failures: u32) -> Self {
        self.set(
            count("consecutive_failures", failures, 1_000_000),
            |policy, failures| policy.consecutive_failures = NonZeroU32::new(failures),
        )
    }

    /// Never opens for a run of failures.
    pub fn no_consecutive_failures(mut self) -> Self {
        self.policy.consecutive_failures = None;
        self
    }

    /// Opens when this share of the calls in the window took `threshold` or longer to the head of their answer,
    /// 0.0 < `share` ≤ 1.0. Calls that are still out after `threshold` count as slow while they hang, noticed in
    /// steps of an eighth of it. Off by default.
    ///
    /// A circuit that slowness opened is not closed by slow probes. Where one outcome reaches several thresholds, the
    /// failure ratio names the cause, then the slow ratio, then the run of failures.
    pub fn slow_calls(self, slower_than: Duration, share: f64) -> Self {
        let slow = duration("slow_calls", slower_than).and_then(|limit| {
            Ok(Slow {
                threshold: limit,
                ratio: threshold("slow_calls", share)?,
            })
        });
        self.set(slow, |policy, slow| policy.slow = Some(slow))
    }

    /// How long the circuit stays open the first time. Each reopening doubles it. Never less than 1 ms after jitter.
    /// Default 5 s.
    pub fn open_for(self, time: Duration) -> Self {
        self.set(duration("open_for", time), |policy, time| {
            policy.open_for = time;
        })
    }

    /// Where doubling ends, before jitter. Default 60 s.
    pub fn open_for_at_most(self, time: Duration) -> Self {
        self.set(duration("open_for_at_most", time), |policy, time| {
            policy.open_for_at_most = time;
        })
    }

    /// Spreads open times by this share in both directions, 0.0 ≤ `share` ≤ 1.0, so that replicas do not probe in
    /// step. Default 0.2.
    pub fn jitter(self, share: f64) -> Self {
        self.set(ratio("jitter", share), |policy, share| {
            policy.jitter = share;
        })
    }

    /// How many probes may be out at once while half-open, 1 to 1,000. Default 3.
    pub fn probes(self, probes: u32) -> Self {
        self.set(count("probes", probes, 1_000), |policy, probes| {
            policy.probes = probes;
        })
    }

    /// Closes after `successes` of `trials` judged probes, 1 ≤ `successes` ≤ `trials` ≤ 1,000. Decided as soon as
    /// the answer cannot change. Default 2 of 2: any failure reopens.
    pub fn close_after(self, successes: u32, trials: u32) -> Self {
        let pair = count("close_after", trials, 1_000)
            .and_then(|trials| Ok((count("close_after", successes, trials)?, trials)));
        self.set(pair, |policy, (successes, trials)| {
            (policy.successes, policy.trials) = (successes, trials);
        })
    }

    /// How long a half-open round lasts at most, from its first probe. A probe that is lost or hangs costs this
    /// much. Default 5 s.
    pub fn lease(self, time: Duration) -> Self {
        self.set(duration("lease", time), |policy, time| policy.lease = time)
    }

    /// After closing, lets the admitted share of calls climb to all over this time, so that a dependency which
    /// comes back cold is not stampeded. Off by default.
    pub fn ramp(self, time: Duration) -> Self {
        self.set(duration("ramp", time), |policy, time| {
            policy.ramp = Some(time);
        })
    }

    /// What calls that are dropped unjudged count as.
    pub fn abandoned(self, choice: Abandoned) -> Self {
        let choice = match choice {
            Abandoned::FailureIfSlowerThan(limit) => {
                duration("abandoned", limit).map(Abandoned::FailureIfSlowerThan)
            }
            Abandoned::Neutral | Abandoned::Failure => Ok(choice),
        };
        self.set(choice, |policy, choice| policy.abandoned = Some(choice))
    }

    /// The finished policy.
    ///
    /// # Errors
    ///
    /// The first value that was out of range, or a combination that could never open or never decide.
    pub fn build(self) -> Result<Policy, ConfigError> {
        if let Some(error) = self.error {
            return Err(error);
        }
        let policy = self.policy;
        if !policy.needs_window() && policy.consecutive_failures.is_none() {
            return Err(ConfigError::new(
                "consecutive_failures",
                "off together with every ratio",
                "nothing would ever open the circuit",
            ));
        }
        if policy.open_for > policy.open_for_at_most {
            return Err(ConfigError::new(
                "open_for",
                format_args!("{:?}", policy.open_for),
                format!(
                    "it must be at most `open_for_at_most`, which is {:?}",
                    policy.open_for_at_most
                ),
            ));
        }
        if let Window::Calls(calls) = policy.window
            && policy.needs_window()
            && policy.minimum_calls > calls.get()
        {
            return Err(ConfigError::new(
                "minimum_calls",
                policy.minimum_calls,
                format!("a window of {calls} calls never holds that many"),
            ));
        }
        Ok(policy)
    }

    fn set<T>(mut self, value: Result<T, ConfigError>, apply: impl FnOnce(&mut Policy, T)) -> Self {
        match value {
            Ok(value) => apply(&mut self.policy, value),
            Err(error) => {
                self.error.get_or_insert(error);
            }
        }
        self
    }
}
