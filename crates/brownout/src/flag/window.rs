//! A sliding window of time over failures and over totals of successes.
//!
//! Failures are dated one by one. A success is only counted, without a look at the clock, because it never trips a
//! flag: it can only lower the share of failures. Whoever looks at the clock (each failure, and now and then a success)
//! dates the successes since the last look: they count as if they had come evenly since then. So a quiet service does
//! not charge the window with calls of an hour ago, and a busy one is dated so often that it makes no difference.

use super::settings::Nanos;

/// Sub-buckets of a window.
pub(super) const BUCKETS: usize = 12;

#[derive(Clone, Debug)]
pub(super) struct Window {
    bucket: Nanos,
    /// The sub-bucket that is being counted; its place is the remainder by twelve.
    epoch: u64,
    failures: [u32; BUCKETS],
    /// The total of successes when each sub-bucket began.
    successes: [u64; BUCKETS],
    /// When somebody last looked, and what the total was then.
    looked: (Nanos, u64),
}

/// What a window holds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Held {
    pub(super) failures: u32,
    pub(super) calls: u32,
}

impl Window {
    pub(super) fn new(length: Nanos) -> Self {
        Self {
            bucket: (length / BUCKETS as u64).max(1),
            epoch: 0,
            failures: [0; BUCKETS],
            successes: [0; BUCKETS],
            looked: (0, 0),
        }
    }

    /// When the present sub-bucket ends.
    pub(super) fn ends(&self) -> Nanos {
        (self.epoch + 1).saturating_mul(self.bucket)
    }

    /// Moves on to `now`, when so many successes have been counted in all. Never back: another thread's reading of the
    /// clock may be older than ours.
    pub(super) fn look(&mut self, now: Nanos, successes: u64) {
        let (since, seen) = self.looked;
        let epoch = now / self.bucket;
        if epoch > self.epoch {
            let new = successes.saturating_sub(seen);
            let oldest = epoch.saturating_sub(BUCKETS as u64 - 1);
            for begun in oldest.max(self.epoch + 1)..=epoch {
                let before = (begun * self.bucket).saturating_sub(since);
                self.failures[place(begun)] = 0;
                self.successes[place(begun)] = seen + share(new, before, now - since);
            }
            self.epoch = epoch;
        }
        self.looked = (now.max(since), successes.max(seen));
    }

    /// Counts a failure now. Look before.
    pub(super) fn fail(&mut self) {
        let failures = &mut self.failures[place(self.epoch)];
        *failures = failures.saturating_add(1);
    }

    /// What the window held when somebody last looked.
    pub(super) fn held(&self) -> Held {
        let failures = self
            .failures
            .iter()
            .fold(0, |sum: u32, &n| sum.saturating_add(n));
        // The place of the sub-bucket that comes next is still that of the oldest.
        let successes = self.looked.1 - self.successes[place(self.epoch + 1)];
        let calls = successes.saturating_add(u64::from(failures));
        Held {
            failures,
            calls: u32::try_from(calls).unwrap_or(u32::MAX),
        }
    }

    /// Forgets everything that came before.
    pub(super) fn clear(&mut self, now: Nanos, successes: u64) {
        self.look(now, successes);
        self.failures = [0; BUCKETS];
        self.successes = [self.looked.1; BUCKETS];
    }
}

#[expect(
    clippy::cast_possible_truncation,
    reason = "the remainder is below twelve"
)]
fn place(epoch: u64) -> usize {
    (epoch % BUCKETS as u64) as usize
}

/// The part of `n` that falls to the first `part` of `whole`.
fn share(n: u64, part: Nanos, whole: Nanos) -> u64 {
    let share = u128::from(n) * u128::from(part) / u128::from(whole.max(1));
    u64::try_from(share).unwrap_or(n)
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: Nanos = 3_600_000_000_000;

    fn held(window: &Window) -> (u32, u32) {
        let held = window.held();
        (held.failures, held.calls)
    }

    #[test]
    fn failures_leave_with_their_sub_bucket() {
        let mut window = Window::new(120);
        for now in [0, 9, 10, 119] {
            window.look(now, 0);
            window.fail();
        }
        assert_eq!(held(&window), (4, 4));
        window.look(120, 0);
        assert_eq!(held(&window), (2, 2));
        window.look(130, 0);
        assert_eq!(held(&window), (1, 1));
        window.look(239, 0);
        assert_eq!(held(&window), (0, 0));
    }

    #[test]
    fn successes_that_nobody_dated_count_as_if_they_had_come_evenly() {
        let mut window = Window::new(120);
        window.look(0, 0);
        // Eleven whole sub-buckets and one that has just begun, of a hundred.
        window.look(1_000, 1_000);
        assert_eq!(held(&window), (0, 110));
        window.look(1_005, 1_010);
        assert_eq!(held(&window), (0, 120));
    }

    #[test]
    fn successes_that_were_dated_leave_with_their_sub_bucket() {
        let mut window = Window::new(120);
        window.look(0, 50);
        window.look(5, 60);
        window.look(10, 60);
        assert_eq!(held(&window), (0, 60));
        window.look(120, 60);
        assert_eq!(held(&window), (0, 0));
    }

    #[test]
    fn a_reading_from_before_the_last_moves_nothing_back() {
        let mut window = Window::new(120);
        window.look(500, 10);
        window.look(400, 12);
        window.fail();
        assert_eq!(window.looked, (500, 12));
        assert_eq!(window.epoch, 50);
    }

    #[test]
    fn nothing_overflows_at_the_ends_of_time_and_traffic() {
        let mut window = Window::new(365 * 24 * HOUR);
        window.look(u64::MAX, u64::MAX);
        window.fail();
        assert!(window.held().calls > 0);
        let mut window = Window::new(1_000_000);
        window.look(u64::MAX - 1, u64::MAX);
        window.clear(u64::MAX, u64::MAX);
        assert_eq!(held(&window), (0, 0));
    }
}
