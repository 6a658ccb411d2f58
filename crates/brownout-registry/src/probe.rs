//! Probes: checks of a dependency on their own schedule, and what follows from their results.

use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use crate::clock::DAY;
use crate::error::ProbeError;
use crate::report::{MAX_TEXT, Report, bounded};

/// A check that runs at intervals, whether or not there is traffic, while a [`Driver`](crate::Driver) does.
///
/// | setting | default | why |
/// |---|---|---|
/// | [`interval`](Self::interval) | 30 s ± 10 % | often enough to notice, rarely enough not to be load; the jitter keeps replicas apart |
/// | [`timeout`](Self::timeout) | 5 s | a check that hangs has failed |
/// | [`fall`](Self::fall) | 3 | one lost packet is no outage |
/// | [`rise`](Self::rise) | 2 | one lucky answer is no recovery |
///
/// The first result decides at once. A check never overlaps with itself; at most sixteen probes of a registry run at
/// the same time. A check that panics has failed; one that is running when the driver is dropped is cancelled. The text
/// of an error is private: it appears in snapshots for operators and never in a public message.
///
/// ```
/// use std::time::Duration;
/// use brownout_registry::{Probe, Registry};
///
/// # async fn ping() -> Result<(), std::io::Error> { Ok(()) }
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let registry = Registry::new();
/// let search = registry.dependency("search").register()?;
/// search.probe(Probe::new(|| async { ping().await }).interval(Duration::from_secs(10)))?;
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
#[must_use = "a probe does nothing until it is attached to a dependency"]
pub struct Probe<F> {
    check: F,
    name: Arc<str>,
    interval: Duration,
    timeout: Duration,
    fall: u32,
    rise: u32,
}

/// How far intervals stray, so that the replicas of a service do not probe in step.
pub(crate) const JITTER: f64 = 0.1;

type Check = dyn Fn() -> Pin<Box<dyn Future<Output = Result<(), Arc<str>>> + Send>> + Send + Sync;

/// A probe with the types of its closure erased.
pub(crate) struct Runner {
    pub(crate) name: Arc<str>,
    pub(crate) check: Box<Check>,
    pub(crate) interval: Duration,
    pub(crate) timeout: Duration,
    fall: u32,
    rise: u32,
}

/// How one run of a check ended.
#[derive(Debug)]
pub(crate) struct Outcome {
    pub(crate) result: Result<(), Failure>,
    pub(crate) elapsed: Duration,
}

#[derive(Debug)]
pub(crate) enum Failure {
    Error(Arc<str>),
    TimedOut,
    Panicked,
}

/// What the runs so far amount to.
#[derive(Debug)]
pub(crate) struct ProbeState {
    pub(crate) slot: u64,
    pub(crate) runner: Arc<Runner>,
    pub(crate) passing: Option<bool>,
    pub(crate) failures: u32,
    successes: u32,
    pub(crate) last_check: Option<u64>,
    pub(crate) response_time: Option<Duration>,
    pub(crate) error: Option<Arc<str>>,
}

/// Which way a probe's verdict has turned.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Turn {
    First,
    Failed { consecutive_failures: u32 },
    Recovered,
}

impl<F> Probe<F> {
    /// A probe that calls `check` at each run: `Ok` passes, `Err` fails.
    pub fn new(check: F) -> Self {
        let (interval, timeout) = (Duration::from_secs(30), Duration::from_secs(5));
        Self {
            check,
            name: "probe".into(),
            interval,
            timeout,
            fall: 3,
            rise: 2,
        }
    }

    /// What it is called in snapshots and events; the default is `probe`. Cut off after 128 bytes.
    pub fn name(mut self, name: impl Into<Arc<str>>) -> Self {
        self.name = bounded(name.into(), 128);
        self
    }

    /// The time from one start to the next, more than zero and at most a day.
    pub fn interval(mut self, interval: Duration) -> Self {
        self.interval = interval;
        self
    }

    /// How long one run may take, more than zero and at most a day.
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }

    /// How many failures in a row make a passing probe fail, at least one.
    pub fn fall(mut self, fall: u32) -> Self {
        self.fall = fall;
        self
    }

    /// How many successes in a row make a failing probe pass, at least one.
    pub fn rise(mut self, rise: u32) -> Self {
        self.rise = rise;
        self
    }

    pub(crate) fn erase<Fut, E>(self, dependency: &str) -> Result<Runner, ProbeError>
    where
        F: Fn() -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<(), E>> + Send + 'static,
        E: fmt::Display + 'static,
    {
        let Self {
            check,
            name,
            interval,
            timeout,
            fall,
            rise,
        } = self;
        let time = |time: Duration| !time.is_zero() && time <= DAY;
        let refuse = |field, allowed| ProbeError::Invalid {
            dependency: dependency.to_owned(),
            field,
            allowed,
        };
        for (field, holds) in [("interval", time(interval)), ("timeout", time(timeout))] {
            if !holds {
                return Err(refuse(field, "more than zero and at most a day"));
            }
        }
        for (field, count) in [("fall", fall), ("rise", rise)] {
            if count == 0 {
                return Err(refuse(field, "at least 1"));
            }
        }
        let check = Box::new(move || -> Pin<Box<dyn Future<Output = _> + Send>> {
            let run = check();
            Box::pin(async move {
                run.await
                    .map_err(|error| bounded(error.to_string().into(), MAX_TEXT))
            })
        });
        Ok(Runner {
            name,
            check,
            interval,
            timeout,
            fall,
            rise,
        })
    }
}

impl Runner {
    /// Runs the check once, within its time.
    pub(crate) async fn run(&self) -> Result<(), Failure> {
        match tokio::time::timeout(self.timeout, (self.check)()).await {
            Ok(result) => result.map_err(Failure::Error),
            Err(_) => Err(Failure::TimedOut),
        }
    }
}

impl ProbeState {
    pub(crate) fn new(slot: u64, runner: Arc<Runner>) -> Self {
        Self {
            slot,
            runner,
            passing: None,
            failures: 0,
            successes: 0,
            last_check: None,
            response_time: None,
            error: None,
        }
    }

    /// Counts one result, and says what to report if it turns the verdict.
    pub(crate) fn take(&mut self, outcome: Outcome, now: u64) -> Option<(Report, Turn)> {
        self.last_check = Some(now);
        self.response_time = Some(outcome.elapsed);
        match outcome.result {
            Ok(()) => {
                (self.failures, self.error) = (0, None);
                self.successes = self.successes.saturating_add(1);
                let first = match self.passing {
                    None => true,
                    Some(false) if self.successes >= self.runner.rise => false,
                    Some(_) => return None,
                };
                self.passing = Some(true);
                Some((
                    Report::healthy(),
                    if first { Turn::First } else { Turn::Recovered },
                ))
            }
            Err(failure) => {
                let (message, error) = failure.texts();
                self.successes = 0;
                self.failures = self.failures.saturating_add(1);
                self.error = Some(Arc::clone(&error));
                if self.passing == Some(false)
                    || (self.passing == Some(true) && self.failures < self.runner.fall)
                {
                    return None;
                }
                self.passing = Some(false);
                let turn = Turn::Failed {
                    consecutive_failures: self.failures,
                };
                Some((Report::unhealthy(message).detail(error), turn))
            }
        }
    }

    /// Forgets the verdict, not the record: what was measured stays true, with its age.
    pub(crate) fn forget(&mut self) {
        (self.passing, self.failures, self.successes) = (None, 0, 0);
    }
}

impl Failure {
    /// What strangers may read, and what operators may.
    fn texts(self) -> (&'static str, Arc<str>) {
        match self {
            Self::Error(text) => ("probe failed", text),
            Self::TimedOut => ("probe timed out", "no answer in time".into()),
            Self::Panicked => ("probe failed", "the check panicked".into()),
        }
    }
}

impl<F> fmt::Debug for Probe<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Probe")
            .field("name", &self.name)
            .field("interval", &self.interval)
            .field("timeout", &self.timeout)
            .field("fall", &self.fall)
            .field("rise", &self.rise)
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for Runner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Runner")
            .field("name", &self.name)
            .finish_non_exhaustive()
    }
}
