//! Interleavings of the concurrent core, explored by loom: `cargo xtask test --only loom`.

use std::sync::Arc;

use brownout_registry::{
    DegradationLevel,
    FeatureState::{Degraded, Disabled, Enabled},
};
use loom::thread;

use crate::core::{
    Ratio,
    sync::{
        AtomicU64, Mutex,
        Ordering::{Relaxed, SeqCst},
        lock,
    },
};

use super::{
    engine::Engine,
    parts::{Change, View},
    settings::{Nanos, Settings},
    word::Word,
};

const SECOND: Nanos = 1_000_000_000;

/// Loom explores all schedules with up to this many preemptions: enough for every known bug of this kind (Musuvathi
/// and Qadeer, "Iterative context bounding", PLDI 2007), and minutes instead of days.
fn explore(test: impl Fn() + Send + Sync + 'static) {
    let mut model = loom::model::Builder::new();
    model.preemption_bound = Some(3);
    model.check(test);
}

/// A flag, the level that it follows, and what it tells the world.
struct Flag {
    engine: Engine,
    level: AtomicU64,
    /// Until when the fleet degrades it, or 0.
    fleet: AtomicU64,
    told: Mutex<Vec<Change>>,
}

fn flag(errors: u32) -> Arc<Flag> {
    let settings = Settings {
        errors,
        min_ratio: Ratio::ZERO,
        jitter: Ratio::ZERO,
        ramp: None,
        disable_at: Some(DegradationLevel::Emergency),
        ..Settings::default()
    };
    Arc::new(Flag {
        engine: Engine::new(settings, Enabled, 2),
        level: AtomicU64::new(0),
        fleet: AtomicU64::new(0),
        told: Mutex::new(Vec::new()),
    })
}

impl Flag {
    /// As a flag looks at the outside.
    fn see(&self, now: Nanos) {
        loop {
            let views = self.engine.views();
            let level = match self.level.load(SeqCst) {
                0 => DegradationLevel::Full,
                _ => DegradationLevel::Emergency,
            };
            let view = View {
                imposed: None,
                level,
                fleet: Some(self.fleet.load(SeqCst)).filter(|until| *until > now),
            };
            if self.engine.see(views, view, now).is_ok() {
                break;
            }
        }
        self.tell();
    }

    fn fail(&self, word: Word, now: Nanos) {
        if self.engine.failed(word, now, || 0.5) {
            self.tell();
        }
    }

    fn tell(&self) {
        while let Some(change) = self.engine.unsaid() {
            lock(&self.told).push(change);
            self.engine.said();
        }
    }

    /// Each change that was told begins where the one before ended, and none is missing.
    fn assert_told_in_order(&self) {
        let mut state = Enabled;
        for change in lock(&self.told).iter() {
            assert_eq!(change.from, state);
            assert_ne!(change.to, state);
            state = change.to;
        }
        assert_eq!(state, self.engine.word().told());
    }
}

#[test]
fn failures_that_race_degrade_the_flag_once() {
    explore(|| {
        let flag = flag(2);
        let word = flag.engine.word();
        let other = Arc::clone(&flag);
        let failing = thread::spawn(move || other.fail(word, 0));
        flag.fail(word, 0);
        failing.join().unwrap();
        assert_eq!(flag.engine.word().rest(), Degraded);
        assert_eq!(lock(&flag.told).len(), 1);
    });
}

#[test]
fn what_is_told_is_in_order_and_ends_with_what_is_so() {
    explore(|| {
        let flag = flag(1);
        let word = flag.engine.word();
        let (failing, following) = (Arc::clone(&flag), Arc::clone(&flag));
        let failing = thread::spawn(move || failing.fail(word, 0));
        let following = thread::spawn(move || {
            following.level.store(1, SeqCst);
            following.see(0);
        });
        failing.join().unwrap();
        following.join().unwrap();
        assert_eq!(flag.engine.word().told(), Disabled);
        flag.assert_told_in_order();
    });
}

#[test]
fn of_two_views_the_later_one_stays() {
    explore(|| {
        let flag = flag(1);
        let rising = Arc::clone(&flag);
        let rising = thread::spawn(move || {
            rising.level.store(1, SeqCst);
            rising.see(0);
        });
        flag.level.store(0, SeqCst);
        flag.see(0);
        rising.join().unwrap();
        let expected = if flag.level.load(SeqCst) == 0 {
            Enabled
        } else {
            Disabled
        };
        assert_eq!(flag.engine.word().told(), expected);
        flag.assert_told_in_order();
    });
}

#[test]
fn a_late_failure_does_not_degrade_a_flag_that_comes_back() {
    explore(|| {
        let flag = flag(1);
        let early = flag.engine.word();
        flag.fail(early, 0);
        let tripped = flag.engine.word();
        let end = flag.engine.until();
        let others: Vec<_> = [early, tripped]
            .into_iter()
            .map(|word| {
                let flag = Arc::clone(&flag);
                thread::spawn(move || flag.fail(word, end))
            })
            .collect();
        flag.see(end);
        for other in others {
            other.join().unwrap();
        }
        assert_eq!(flag.engine.word().told(), Enabled);
        flag.assert_told_in_order();
    });
}

#[test]
fn a_reader_never_sees_the_end_of_a_spell_before_it_began() {
    explore(|| {
        let flag = flag(1);
        let word = flag.engine.word();
        let other = Arc::clone(&flag);
        let failing = thread::spawn(move || other.fail(word, SECOND));
        let seen = flag.engine.word();
        if seen.is_tripped() {
            assert!(flag.engine.until() > SECOND);
        }
        failing.join().unwrap();
    });
}

#[test]
fn of_the_flags_own_trip_and_the_fleets_the_later_end_counts() {
    explore(|| {
        let flag = flag(1);
        let word = flag.engine.word();
        let other = Arc::clone(&flag);
        let following = thread::spawn(move || {
            other.fleet.store(SECOND * 1_000, SeqCst);
            other.see(0);
        });
        flag.fail(word, 0);
        following.join().unwrap();
        // Of 300 and 1,000 seconds; where the fleet was first, the failure came too late.
        assert_eq!(flag.engine.until(), SECOND * 1_000);
        assert_eq!(flag.engine.word().rest(), Degraded);
        flag.fleet.store(0, SeqCst);
        flag.see(SECOND * 400);
        assert_eq!(flag.engine.word().told(), Enabled);
        flag.assert_told_in_order();
    });
}

#[test]
fn successes_are_dated_while_others_count() {
    explore(|| {
        let flag = flag(5);
        let counting = Arc::clone(&flag);
        let counting = thread::spawn(move || {
            counting.engine.stripe(1).successes.fetch_add(1, Relaxed);
            counting.engine.date(SECOND * 30);
        });
        flag.engine.stripe(0).successes.fetch_add(1, Relaxed);
        flag.engine.date(SECOND * 20);
        counting.join().unwrap();
        let (held, totals) = flag.engine.counts(SECOND * 30);
        assert_eq!((held.calls, totals.successes), (2, 2));
    });
}
