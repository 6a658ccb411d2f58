//! The concurrent core of a flag: a word that calls read, counts that they add to, and a lock for everything else.
//!
//! A success reads the word and adds to a stripe. A failure takes the lock, because only failures trip a flag; while it
//! is tripped, they move nothing and take none. Whatever changes the effective state is queued under the lock, and told
//! to the world in that order once it is released.

use std::{collections::VecDeque, sync::Arc, time::Duration};

use brownout_registry::{DegradationLevel, FeatureState, fleet::Rule};

use crate::core::sync::{
    AtomicU64, Mutex, MutexGuard,
    Ordering::{Acquire, Relaxed, Release},
    lock, try_lock,
};

use super::{
    automatic::{Automatic, Course},
    counts::{Stripe, Totals, refusals, successes, totals},
    parts::{Change, Parts, View},
    settings::{Nanos, Settings, nanos},
    window::{Held, Window},
    word::Word,
};

#[derive(Debug)]
pub(super) struct Engine {
    word: AtomicU64,
    /// When what is automatic ends.
    until: AtomicU64,
    /// When the present sub-bucket of the window ends.
    bucket_ends: AtomicU64,
    /// How many views have been published.
    views: AtomicU64,
    pub(super) settings: Settings,
    stripes: Box<[Arc<Stripe>]>,
    guarded: Mutex<Guarded>,
}

#[derive(Debug)]
struct Guarded {
    automatic: Automatic,
    window: Window,
    /// The last view published.
    view: View,
    configured: FeatureState,
    /// What was announced last.
    told: Parts,
    unsaid: VecDeque<Change>,
    /// Whether somebody is telling the world of changes.
    speaking: bool,
}

/// Somebody else has published a view meanwhile: look again.
#[derive(Debug)]
pub(super) struct Stale;

/// More changes than this wait for whoever tells the world only while a log hangs; then the last two become one.
const MOST_UNSAID: usize = 16;

impl Engine {
    pub(super) fn new(settings: Settings, configured: FeatureState, stripes: usize) -> Self {
        let automatic = Automatic::new();
        // What is configured from the start is no change. All else is, and comes with the first view.
        let told = Parts {
            imposed: None,
            automatic: automatic.state(),
            by_fleet: false,
            gate: FeatureState::Enabled,
            configured,
        };
        let window = Window::new(nanos(settings.window));
        Self {
            word: AtomicU64::new(Word::new(&automatic, told, settings.is_gated()).0),
            until: AtomicU64::new(0),
            bucket_ends: AtomicU64::new(window.ends()),
            views: AtomicU64::new(0),
            stripes: (0..stripes).map(|_| Arc::new(Stripe::new())).collect(),
            guarded: Mutex::new(Guarded {
                automatic,
                window,
                view: View {
                    imposed: None,
                    level: DegradationLevel::Full,
                    fleet: None,
                },
                configured,
                told,
                unsaid: VecDeque::new(),
                speaking: false,
            }),
            settings,
        }
    }

    #[inline]
    pub(super) fn word(&self) -> Word {
        Word(self.word.load(Acquire))
    }

    /// When what is automatic ends. Read after the word: a later deadline than its own is that of a later word.
    pub(super) fn until(&self) -> Nanos {
        self.until.load(Acquire)
    }

    /// To be called before the view is taken that is to be published.
    pub(super) fn views(&self) -> u64 {
        self.views.load(Acquire)
    }

    /// Takes a view of the outside that was seen after [`views`](Self::views) said `views`, and catches up with time.
    pub(super) fn see(&self, views: u64, view: View, now: Nanos) -> Result<(), Stale> {
        let mut guarded = lock(&self.guarded);
        if self.views.load(Relaxed) != views {
            return Err(Stale);
        }
        self.views.store(views + 1, Release);
        guarded.view = view;
        self.advance(&mut guarded, now);
        if guarded.automatic.follow(view.fleet, now, &self.settings) {
            self.clear_window(&mut guarded, now);
        }
        self.publish(&mut guarded);
        Ok(())
    }

    pub(super) fn configure(&self, configured: FeatureState, now: Nanos) {
        let mut guarded = lock(&self.guarded);
        self.advance(&mut guarded, now);
        // Apart, so that each change has a cause of its own.
        self.publish(&mut guarded);
        guarded.configured = configured;
        self.publish(&mut guarded);
    }

    /// Counts a failure of a call that `word` let in. Says whether anything has changed.
    pub(super) fn failed(&self, word: Word, now: Nanos, draw: impl FnOnce() -> f64) -> bool {
        if self.word().is_tripped() && now < self.until() {
            return false;
        }
        let mut guarded = lock(&self.guarded);
        self.advance(&mut guarded, now);
        self.publish(&mut guarded);
        let tripped = matches!(guarded.automatic.course(), Course::Tripped { .. });
        if tripped || !word.is_of(self.word()) {
            return !guarded.unsaid.is_empty();
        }
        guarded.window.look(now, successes(&self.stripes));
        guarded.window.fail();
        if self.is_too_much(guarded.window.held()) {
            guarded.automatic.trip(now, &self.settings, draw);
            self.clear_window(&mut guarded, now);
            self.publish(&mut guarded);
        }
        self.bucket_ends.store(guarded.window.ends(), Relaxed);
        !guarded.unsaid.is_empty()
    }

    /// Whether a success that looks at the clock has to move the window on.
    pub(super) fn is_bucket_over(&self, now: Nanos) -> bool {
        now >= self.bucket_ends.load(Relaxed)
    }

    /// Dates the successes until now.
    #[cold]
    pub(super) fn date(&self, now: Nanos) {
        // Whoever holds the lock looks at the clock as well.
        if let Some(mut guarded) = try_lock(&self.guarded) {
            guarded.window.look(now, successes(&self.stripes));
            self.bucket_ends.store(guarded.window.ends(), Relaxed);
        }
    }

    /// The next change that the world has to be told of, unless somebody is telling already. Whoever gets one calls
    /// [`said`](Self::said) when it is told, and asks again.
    pub(super) fn unsaid(&self) -> Option<Change> {
        let mut guarded = lock(&self.guarded);
        if guarded.speaking {
            return None;
        }
        let change = guarded.unsaid.pop_front()?;
        guarded.speaking = true;
        Some(change)
    }

    pub(super) fn said(&self) {
        lock(&self.guarded).speaking = false;
    }

    pub(super) fn stripe(&self, number: usize) -> &Arc<Stripe> {
        &self.stripes[number]
    }

    /// What the window holds, and the totals since the flag was made.
    pub(super) fn counts(&self, now: Nanos) -> (Held, Totals) {
        let mut guarded = lock(&self.guarded);
        guarded.window.look(now, successes(&self.stripes));
        self.bucket_ends.store(guarded.window.ends(), Relaxed);
        (guarded.window.held(), totals(&self.stripes))
    }

    /// When the errors of a whole fleet are too many for it, and for how long the flag is then degraded.
    pub(super) fn rule(&self, now: Nanos) -> Rule {
        let settings = &self.settings;
        let trips = lock(&self.guarded).automatic.trips(now, settings);
        // Without jitter: one replica's draw would be that of all.
        let ttl = settings.degraded_for(trips, || 0.5);
        Rule {
            errors: settings.errors,
            window: settings.window,
            min_ratio_ppb: settings.min_ratio.billionths(),
            ttl: Duration::from_nanos(ttl),
        }
    }

    pub(super) fn totals(&self) -> Totals {
        totals(&self.stripes)
    }

    /// How many calls were refused: while the flag was degraded, and while it was off.
    pub(super) fn refusals(&self) -> [u64; 2] {
        refusals(&self.stripes)
    }

    fn is_too_much(&self, held: Held) -> bool {
        held.failures >= self.settings.errors
            && self
                .settings
                .min_ratio
                .reached_by(held.failures, held.calls)
    }

    fn advance(&self, guarded: &mut MutexGuard<'_, Guarded>, now: Nanos) {
        if guarded.automatic.advance(now, &self.settings) {
            self.clear_window(guarded, now);
        }
    }

    fn clear_window(&self, guarded: &mut MutexGuard<'_, Guarded>, now: Nanos) {
        guarded.window.clear(now, successes(&self.stripes));
        self.bucket_ends.store(guarded.window.ends(), Relaxed);
    }

    /// Shows readers how things stand, and notes what has changed by that.
    fn publish(&self, guarded: &mut MutexGuard<'_, Guarded>) {
        let parts = Parts {
            imposed: guarded.view.imposed,
            automatic: guarded.automatic.state(),
            by_fleet: guarded.automatic.is_by_fleet(),
            gate: self.settings.gate(guarded.view.level),
            configured: guarded.configured,
        };
        if let Some(change) = parts.change_from(guarded.told) {
            let full = guarded.unsaid.len() >= MOST_UNSAID;
            match guarded.unsaid.back_mut().filter(|_| full) {
                Some(last) => (last.to, last.cause) = (change.to, change.cause),
                None => guarded.unsaid.push_back(change),
            }
        }
        guarded.told = parts;
        match guarded.automatic.course() {
            Course::Tripped { until } | Course::Ramping { until } => {
                self.until.store(until, Release);
            }
            Course::Clear => {}
        }
        let word = Word::new(&guarded.automatic, parts, self.settings.is_gated());
        self.word.store(word.0, Release);
    }
}
