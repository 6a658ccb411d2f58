//! A time in which something that should not happen happens to one call or another: what the event stream and the log
//! hear of, where they would drown in the calls.

use std::{
    sync::atomic::{AtomicBool, AtomicU64, Ordering},
    time::Duration,
};

use super::striped::Striped;

/// How long it must not have happened before the spell counts as over. What happens now and then would otherwise begin
/// and end a spell each time: so there are at most two things to say in that time.
const QUIET: Duration = Duration::from_secs(10);

#[derive(Debug)]
pub(crate) struct Spell {
    lasts: AtomicBool,
    /// By thread, because in an outage every call writes to them.
    calls: Striped<Calls>,
}

#[derive(Debug, Default)]
struct Calls {
    count: AtomicU64,
    /// When it last happened, in nanoseconds by its owner's clock.
    last: AtomicU64,
}

impl Default for Spell {
    fn default() -> Self {
        Self {
            lasts: AtomicBool::new(false),
            calls: Striped::new(Calls::default),
        }
    }
}

impl Spell {
    /// It has happened to a call. Whether that begins a spell.
    #[inline]
    pub(crate) fn happened(&self, now: u64) -> bool {
        let calls = self.calls.mine();
        calls.last.store(now, Ordering::Relaxed);
        calls.count.fetch_add(1, Ordering::Relaxed);
        // Read first: written by every call, it would be what all threads contend for.
        !self.lasts() && !self.lasts.swap(true, Ordering::AcqRel)
    }

    /// Whether there is a spell, which may be over but for somebody who notices.
    #[inline]
    pub(crate) fn lasts(&self) -> bool {
        self.lasts.load(Ordering::Relaxed)
    }

    /// Notices that the spell is over, if so, and to how many calls it happened: to one alone who asks.
    #[cold]
    pub(crate) fn end(&self, now: u64) -> Option<u64> {
        // Read before its time: a spell that begins meanwhile is seen with a time of its own, or not at all.
        let lasts = self.lasts.load(Ordering::Acquire);
        let last = self.calls.iter().map(|it| it.last.load(Ordering::Relaxed));
        let quiet = Duration::from_nanos(now.saturating_sub(last.max().unwrap_or(0)));
        let ends = lasts && quiet >= QUIET && self.lasts.swap(false, Ordering::AcqRel);
        let counts = self.calls.iter();
        ends.then(|| counts.map(|it| it.count.swap(0, Ordering::Relaxed)).sum())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: u64 = 1_000_000_000;

    #[test]
    fn a_spell_begins_once_and_ends_once_after_ten_quiet_seconds() {
        let spell = Spell::default();
        assert!(spell.happened(0));
        assert!(!spell.happened(5 * SECOND));
        assert_eq!(spell.end(15 * SECOND - 1), None);
        assert!(spell.lasts());
        assert_eq!(spell.end(15 * SECOND), Some(2));
        assert_eq!(spell.end(16 * SECOND), None);
        assert!(!spell.lasts());
        assert!(spell.happened(17 * SECOND));
    }

    #[test]
    fn threads_that_write_apart_make_one_spell() {
        let spell = Spell::default();
        std::thread::scope(|scope| {
            for second in 0..12 {
                let spell = &spell;
                scope.spawn(move || spell.happened(second * SECOND));
            }
        });
        assert_eq!(spell.end(21 * SECOND - 1), None);
        assert_eq!(spell.end(21 * SECOND), Some(12));
    }

    #[test]
    fn a_clock_that_is_read_out_of_order_ends_nothing() {
        let spell = Spell::default();
        spell.happened(60 * SECOND);
        assert_eq!(spell.end(0), None);
    }
}
