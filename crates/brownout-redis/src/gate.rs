//! How often a connection may be tried: the state machine alone, a pure function of `now`.

use std::time::Duration;

use brownout_registry::Random;
use tokio::time::Instant;

use crate::error::RedisStoreError;

/// Lets one attempt through after another has failed only when a wait is over.
///
/// Waits grow from 250 ms to 3 s, each ± 50 %: 200 stores that are asked all the time then make 67 attempts a second.
/// Whoever keeps a subscription waits longer than that by itself, so this holds up only what is asked beside it.
#[derive(Debug, Default)]
pub(crate) struct Gate {
    failures: u32,
    closed: Option<(Instant, RedisStoreError)>,
}

const FIRST: Duration = Duration::from_millis(250);
const LONGEST: Duration = Duration::from_secs(3);
const JITTER: f64 = 0.5;

/// A connection that lasted less than this counts as an attempt that failed: a server that lets us in and hangs up
/// would be stormed otherwise.
const BRIEF: Duration = Duration::from_secs(5);

impl Gate {
    /// Whether an attempt may be made, or why not.
    pub(crate) fn admits(&self, now: Instant) -> Result<(), RedisStoreError> {
        match &self.closed {
            Some((until, error)) if now < *until => Err(error.clone()),
            _ => Ok(()),
        }
    }

    /// An attempt has failed.
    pub(crate) fn failed(&mut self, error: RedisStoreError, now: Instant, random: &Random) {
        let wait = FIRST.saturating_mul(1 << self.failures.min(8)).min(LONGEST);
        self.failures = self.failures.saturating_add(1);
        self.closed = Some((now + random.jitter(wait, JITTER), error));
    }

    /// An attempt has succeeded.
    pub(crate) fn connected(&mut self) {
        self.closed = None;
    }

    /// A connection that was there since `begun` is of no use any more.
    pub(crate) fn lost(
        &mut self,
        begun: Instant,
        error: RedisStoreError,
        now: Instant,
        random: &Random,
    ) {
        if now.saturating_duration_since(begun) < BRIEF {
            self.failed(error, now, random);
        } else {
            self.failures = 0;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn error() -> RedisStoreError {
        RedisStoreError::Late {
            address: String::new(),
        }
    }

    #[tokio::test(start_paused = true)]
    async fn waits_grow_to_their_bound_and_are_over_some_time() {
        let (mut gate, random) = (Gate::default(), Random::from_seed(7));
        let mut now = Instant::now();
        for failures in 0..20u32 {
            assert_eq!(gate.admits(now), Ok(()));
            gate.failed(error(), now, &random);
            let wait = FIRST.saturating_mul(1 << failures.min(8)).min(LONGEST);
            assert_eq!(gate.admits(now), Err(error()));
            assert_eq!(gate.admits(now + wait.mul_f64(0.49)), Err(error()));
            now += wait.mul_f64(1.51);
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_brief_connection_is_a_failure_and_a_long_one_forgives_all() {
        let (mut gate, random) = (Gate::default(), Random::from_seed(7));
        let now = Instant::now();
        gate.connected();
        gate.lost(now, error(), now + BRIEF / 2, &random);
        assert_eq!(gate.admits(now + BRIEF / 2), Err(error()));
        gate.connected();
        gate.lost(now, error(), now + BRIEF, &random);
        assert_eq!(gate.admits(now + BRIEF), Ok(()));
        assert_eq!(gate.failures, 0);
    }
}
