//! Probes: checks of a dependency on their own schedule, and what follows from their results.

use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use crate::clock::DAY;
use crate::error::ProbeError;
use crate::report::Report;
use crate::text::{MAX_NAME, MAX_TEXT, bounded, said};

/// A check that runs at intervals, whether or not there is traffic, while a [`Driver`](crate::Driver) does.
///
/// | setting | default | why |
/// |---|---|---|
/// | [`interval`](Self::interval) | 30 s ± 10 % | often enough to notice, rarely enough not to be load; the jitter keeps replicas apart |
/// | [`timeout`](Self::timeout) | 5 s, or the interval where that is shorter | a check that hangs has failed |
/// | [`fall`](Self::fall) | 3 | one lost packet is no outage |
/// | [`rise`](Self::rise) | 2 | one lucky answer is no recovery |
///
/// The first run is due within a second of the driver's start, and its result decides at once. A check never overlaps
/// with itself, and at most sixteen probes of a registry run at the same time: a check that is due waits for a place.
/// Probes that timed out when they last ran, and those with a timeout of more than five seconds, share eight of the
/// places, so that checks that hang cannot keep all others waiting. A check that panics has failed; one that is running
/// when the driver is dropped is cancelled. The text of an error is private: it appears in snapshots for operators and
/// never in a public message. Checks are asynchronous: one that blocks its thread keeps it, and cannot be cancelled.
///
/// ```
/// use std::time::Duration;
/// use brownout_registry::{Probe, Registry};
///
/// # async fn ping() -> Result<(), std::io::Error> { Ok(()) }
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let registry = Registry::new();
/// let search = registry.dependency("search").register()?;
/// search.probe(Probe::new(|| async { ping().await }).interval(Duration::from_secs(10)))?;
/// let _driver = registry.drive(); // kept for as long as the process serves; without it the dependency stays `Unknown`
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
#[must_use = "a probe does nothing until it is attached to a dependency"]
pub struct Probe<F> {
    check: F,
    name: Arc<str>,
    interval: Duration,
    timeout: Option<Duration>,
    fall: u32,
    rise: u32,
}

/// The timeout of a probe that names none, where its interval is not shorter.
pub(crate) const TIMEOUT: Duration = Duration::from_secs(5);

/// The shortest interval: what wants to know more often than this is traffic, not a probe.
const MIN_INTERVAL: Duration = Duration::from_millis(10);

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
    /// Whether a run is under way, or a cancelled one has not come to its end yet.
    running: AtomicBool,
}

/// The right to run a check, which one run has at a time. Given back when dropped.
pub(crate) struct Run(Arc<Runner>);

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
    Failed { consecutive_failures: u32 },
    Recovered,
}

impl<F> Probe<F> {
    /// A probe that calls `check` at each run: `Ok` passes, `Err` fails.
    pub fn new(check: F) -> Self {
        Self {
            check,
            name: "probe".into(),
            interval: Duration::from_secs(30),
            timeout: None,
            fall: 3,
            rise: 2,
        }
    }

    /// What it is called in snapshots and events; the default is `probe`. Bounded to 128 bytes and cleaned as a
    /// [message](crate::Report::message) is.
    pub fn name(mut self, name: impl Into<Arc<str>>) -> Self {
        self.name = bounded(name.into(), MAX_NAME);
        self
    }

    /// The time from one start to the next, at least 10 ms and at most a day.
    pub fn interval(mut self, interval: Duration) -> Self {
        self.interval = interval;
        self
    }

    /// How long one run may take, more than zero and at most the interval.
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = Some(timeout);
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
        let timeout = timeout.unwrap_or(TIMEOUT.min(interval));
        let refuse = |field, allowed| ProbeError::Invalid {
            dependency: dependency.to_owned(),
            field,
            allowed,
        };
        if !(MIN_INTERVAL..=DAY).contains(&interval) {
            return Err(refuse("interval", "at least 10 ms and at most a day"));
        }
        if timeout.is_zero() || timeout > interval {
            return Err(refuse("timeout", "more than zero and at most the interval"));
        }
        for (field, count) in [("fall", fall), ("rise", rise)] {
            if count == 0 {
                return Err(refuse(field, "at least 1"));
            }
        }
        let check = Box::new(move || -> Pin<Box<dyn Future<Output = _> + Send>> {
            let run = check();
            Box::pin(async move { run.await.map_err(|error| said(&error, MAX_TEXT)) })
        });
        Ok(Runner {
            name,
            check,
            interval,
            timeout,
            fall,
            rise,
            running: AtomicBool::new(false),
        })
    }
}

impl Runner {
    /// The right to run the check, unless a run of it is still under way.
    pub(crate) fn begin(self: &Arc<Self>) -> Option<Run> {
        let busy = self.running.swap(true, Ordering::AcqRel);
        (!busy).then(|| Run(Arc::clone(self)))
    }
}

impl Run {
    /// Runs the check once, within its time.
    pub(crate) async fn check(self) -> Result<(), Failure> {
        match tokio::time::timeout(self.0.timeout, (self.0.check)()).await {
            Ok(result) => result.map_err(Failure::Error),
            Err(_) => Err(Failure::TimedOut),
        }
    }
}

impl Drop for Run {
    fn drop(&mut self) {
        self.0.running.store(false, Ordering::Release);
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

    /// Counts one result. Says what to report if it makes or confirms the verdict, and which way that has turned.
    pub(crate) fn take(&mut self, outcome: Outcome, now: u64) -> Option<(Report, Option<Turn>)> {
        self.last_check = Some(now);
        self.response_time = Some(outcome.elapsed);
        match outcome.result {
            Ok(()) => {
                (self.failures, self.error) = (0, None);
                self.successes = self.successes.saturating_add(1);
                let turn = match self.passing {
                    None | Some(true) => None,
                    Some(false) if self.successes >= self.runner.rise => Some(Turn::Recovered),
                    Some(false) => return None,
                };
                self.passing = Some(true);
                Some((Report::healthy(), turn))
            }
            Err(failure) => {
                let (message, error) = failure.texts();
                self.successes = 0;
                self.failures = self.failures.saturating_add(1);
                self.error = Some(Arc::clone(&error));
                let turn = match self.passing {
                    Some(false) => None,
                    Some(true) if self.failures < self.runner.fall => return None,
                    None | Some(true) => Some(Turn::Failed {
                        consecutive_failures: self.failures,
                    }),
                };
                self.passing = Some(false);
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
