//! Random policies, small enough that something happens all the time, in a form that the model can read.

use std::time::Duration;

use brownout::breaker::{Abandoned, Policy, PolicyBuilder};
use proptest::{option, prelude::*, sample::select};

/// Nanoseconds since the circuit was made.
pub(crate) type Nanos = u64;

pub(crate) const MS: Nanos = 1_000_000;

/// What a [`Policy`] says.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Rules {
    pub(crate) window: Window,
    /// In thousandths, like every share here.
    pub(crate) failure_ratio: Option<u32>,
    pub(crate) minimum_calls: u32,
    pub(crate) consecutive_failures: Option<u32>,
    pub(crate) slow: Option<Slow>,
    pub(crate) open_for: Nanos,
    pub(crate) open_for_at_most: Nanos,
    pub(crate) probes: u32,
    pub(crate) successes: u32,
    pub(crate) trials: u32,
    pub(crate) lease: Nanos,
    pub(crate) abandoned: Option<Abandoned>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Window {
    Time(Nanos),
    Calls(u32),
}

#[derive(Clone, Copy, Debug)]
pub(crate) struct Slow {
    pub(crate) threshold: Nanos,
    pub(crate) ratio: u32,
}

impl Rules {
    /// Whether outcomes are counted over a window at all.
    pub(crate) fn has_window(&self) -> bool {
        self.failure_ratio.is_some() || self.slow.is_some()
    }

    /// How long the circuit must have been closed for its back-off to start over.
    pub(crate) fn healthy_spell(&self) -> Nanos {
        match self.window {
            Window::Time(length) => length,
            Window::Calls(_) => 10_000 * MS,
        }
    }

    /// How long an eighth of the slow threshold is.
    pub(crate) fn step(&self) -> Option<Nanos> {
        self.slow.map(|slow| slow.threshold / 8)
    }

    /// Whether it matters how long a call takes.
    pub(crate) fn ask_for_times(&self) -> bool {
        self.slow.is_some() || matches!(self.abandoned(), Abandoned::FailureIfSlowerThan(_))
    }

    pub(crate) fn abandoned(&self) -> Abandoned {
        match (self.abandoned, self.slow) {
            (Some(choice), _) => choice,
            (None, Some(slow)) => {
                Abandoned::FailureIfSlowerThan(Duration::from_nanos(slow.threshold))
            }
            (None, None) => Abandoned::Neutral,
        }
    }

    /// These rules, with the other's window and its threshold between fast and slow: a change of policy that keeps
    /// the meaning of everything counted so far.
    pub(crate) fn over_the_window_of(mut self, first: &Self) -> Self {
        self.window = first.window;
        if let (Some(slow), Some(first)) = (&mut self.slow, first.slow) {
            slow.threshold = first.threshold;
        } else {
            self.slow = first.slow;
        }
        if self.has_window() != first.has_window() {
            self.failure_ratio = first.failure_ratio;
        }
        self.made_valid()
    }

    /// Mends the combinations that a builder refuses.
    fn made_valid(mut self) -> Self {
        if !self.has_window() && self.consecutive_failures.is_none() {
            self.consecutive_failures = Some(2);
        }
        if let Window::Calls(calls) = self.window {
            self.minimum_calls = self.minimum_calls.min(calls);
        }
        self
    }

    pub(crate) fn policy(&self) -> Policy {
        self.builder().build().unwrap()
    }

    /// These rules, with as much left to chance as can be.
    pub(crate) fn random_policy(&self) -> Policy {
        let ramp = Duration::from_nanos(self.lease);
        self.builder().jitter(1.0).ramp(ramp).build().unwrap()
    }

    fn builder(&self) -> PolicyBuilder {
        let share = |thousandths| f64::from(thousandths) / 1000.0;
        let mut policy = Policy::builder()
            .minimum_calls(self.minimum_calls)
            .open_for(Duration::from_nanos(self.open_for))
            .open_for_at_most(Duration::from_nanos(self.open_for_at_most))
            .jitter(0.0)
            .probes(self.probes)
            .close_after(self.successes, self.trials)
            .lease(Duration::from_nanos(self.lease));
        policy = match self.window {
            Window::Time(length) => policy.window(Duration::from_nanos(length)),
            Window::Calls(calls) => policy.window_of_calls(calls),
        };
        policy = match self.failure_ratio {
            Some(ratio) => policy.failure_ratio(share(ratio)),
            None => policy.no_failure_ratio(),
        };
        policy = match self.consecutive_failures {
            Some(failures) => policy.consecutive_failures(failures),
            None => policy.no_consecutive_failures(),
        };
        if let Some(slow) = self.slow {
            policy = policy.slow_calls(Duration::from_nanos(slow.threshold), share(slow.ratio));
        }
        if let Some(choice) = self.abandoned {
            policy = policy.abandoned(choice);
        }
        policy
    }
}

pub(crate) fn rules() -> impl Strategy<Value = Rules> {
    let trips = (
        window(),
        option::weighted(0.7, select(vec![1, 250, 333, 500, 667, 1000])),
        1..=6_u32,
        option::weighted(0.6, 1..=4_u32),
        option::weighted(0.4, slow()),
        option::weighted(0.5, abandoned()),
    );
    let opens = (select(vec![MS, 4 * MS, 7 * MS + 3, 30 * MS]), 1..=9_u64);
    let closes = (
        1..=3_u32,
        (1..=4_u32).prop_flat_map(|trials| (1..=trials, Just(trials))),
        select(vec![MS, 5 * MS, 20 * MS + 1]),
    );
    (trips, opens, closes).prop_map(
        |(
            (window, failure_ratio, minimum_calls, consecutive_failures, slow, abandoned),
            (open_for, times),
            (probes, (successes, trials), lease),
        )| {
            Rules {
                window,
                failure_ratio,
                minimum_calls,
                consecutive_failures,
                slow,
                open_for,
                open_for_at_most: open_for * times,
                probes,
                successes,
                trials,
                lease,
                abandoned,
            }
            .made_valid()
        },
    )
}

/// Lengths that ten does and does not divide, and counts.
fn window() -> impl Strategy<Value = Window> {
    prop_oneof![
        3 => select(vec![10 * MS, 50 * MS, 13 * MS + 7, MS]).prop_map(Window::Time),
        2 => (1..=7_u32).prop_map(Window::Calls),
    ]
}

fn slow() -> impl Strategy<Value = Slow> {
    let thresholds = select(vec![MS, 2 * MS + 5, 8 * MS]);
    (thresholds, select(vec![1, 400, 500, 1000]))
        .prop_map(|(threshold, ratio)| Slow { threshold, ratio })
}

fn abandoned() -> impl Strategy<Value = Abandoned> {
    prop_oneof![
        Just(Abandoned::Neutral),
        Just(Abandoned::Failure),
        select(vec![MS, 3 * MS + 1])
            .prop_map(|time| Abandoned::FailureIfSlowerThan(Duration::from_nanos(time))),
    ]
}
