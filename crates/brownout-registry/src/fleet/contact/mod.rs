//! Whether a replica is in touch with the store, and how that is told: to the health report and to the log.

#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::Instant;

use super::error::{StoreError, StoreErrorKind};
use super::op::StoreOp;
use super::settings::FleetSettings;
use super::twins::Twins;
use crate::report::{Report, Reporter};

#[derive(Debug)]
pub(super) struct Contact {
    replica: String,
    /// What is refused now and then is refused: it is mended when it has gone well for so long.
    mended: Duration,
    joined: Instant,
    state: Mutex<State>,
    in_touch: watch::Sender<bool>,
}

#[derive(Debug)]
struct State {
    /// Withdrawn when the fleet is left.
    reporter: Option<Reporter>,
    /// Whether nobody keeps the replica in step any more.
    ended: bool,
    /// Since when it has been in touch.
    since: Option<Instant>,
    /// When the replica last knew that it holds what the store does.
    synchronised: Option<Instant>,
    /// Why it does not, since it does not.
    trouble: Option<StoreErrorKind>,
    /// What was read of the store, and is not ours or damaged.
    damage: Option<StoreError>,
    /// Of which of these the log has been told since it was in touch.
    mourned: BTreeSet<StoreErrorKind>,
    /// Whether it ever was in touch.
    found: bool,
    twins: Twins,
    /// What the store does not do although it is there, why, and when it last did not.
    refused: BTreeMap<StoreOp, (StoreError, Instant)>,
    /// Of what damage and refusals the log has been told since the store was last lost, and when they last were there.
    told: BTreeMap<StoreErrorKind, Instant>,
}

/// What was away for so long is news when it comes again: damage and refusals that come and go are told once.
pub(super) const NEWS_AGAIN: Duration = Duration::from_mins(10);

impl State {
    /// Whether the log has not been told of that lately: ask before it is noted down.
    fn is_news(&mut self, kind: StoreErrorKind) -> bool {
        let now = Instant::now();
        // What has stayed was never away, however seldom anybody has looked.
        let damage = self.damage.as_ref().map(StoreError::kind);
        let stays = damage == Some(kind) || self.is_refused(kind);
        let last = self.told.insert(kind, now);
        last.is_none_or(|last| !stays && now >= last + NEWS_AGAIN)
    }

    /// Whether the store does not do something for that reason.
    fn is_refused(&self, kind: StoreErrorKind) -> bool {
        self.refused
            .values()
            .any(|(refused, _)| refused.kind() == kind)
    }

    /// How the store is while it is there: what is wrong with it now, whatever else was.
    fn report(&self) -> Report {
        let (message, error) = match (&self.damage, self.refused.first_key_value()) {
            (Some(damage), _) => (format!("{}; the rest is in use", damage.kind()), damage),
            (None, Some((op, (error, _)))) => {
                let message = format!("{}: {op} fails; the rest is in use", error.kind());
                (message, error)
            }
            (None, None) => return Report::healthy(),
        };
        Report::degraded(message).detail(error.private_detail())
    }
}

impl Contact {
    pub(super) fn new(settings: &FleetSettings, reporter: Reporter) -> Self {
        let state = State {
            reporter: Some(reporter),
            ended: false,
            since: None,
            synchronised: None,
            trouble: None,
            damage: None,
            mourned: BTreeSet::new(),
            found: false,
            twins: Twins::default(),
            refused: BTreeMap::new(),
            told: BTreeMap::new(),
        };
        Self {
            replica: settings.replica.to_string(),
            mended: settings.report,
            joined: Instant::now(),
            state: Mutex::new(state),
            in_touch: watch::Sender::new(false),
        }
    }

    /// The replica holds what the store does, at this moment. Whether it hears of changes is not known by that.
    pub(super) fn synchronised(&self) {
        self.lock().synchronised = Some(Instant::now());
    }

    /// The replica holds what the store does, and has proof that it hears of changes.
    pub(super) fn heard(&self) {
        let mut state = self.lock();
        if state.ended {
            return;
        }
        state.synchronised = Some(Instant::now());
        state.trouble = None;
        state.mourned.clear();
        let again = std::mem::replace(&mut state.found, true);
        let (report, reporter) = (state.report(), state.reporter.clone());
        drop(state);
        let first = !self.in_touch.send_replace(true);
        let mut state = self.lock();
        if state.ended || state.reporter.is_none() {
            drop(state);
            // The fleet was left, or the runtime has shut down, perhaps just now.
            self.in_touch.send_replace(false);
            return;
        }
        if !first {
            return;
        }
        state.since = Some(Instant::now());
        drop(state);
        if let Some(reporter) = reporter {
            reporter.report(report);
        }
        let replica = &self.replica;
        if again {
            tracing::info!(%replica, "fleet store is back");
        } else {
            tracing::info!(%replica, "fleet store is there");
        }
    }

    /// The replica is lost for good: whatever is still under way, nobody keeps it in step any more.
    pub(super) fn ended(&self, error: &StoreError) {
        self.lock().ended = true;
        self.lost(error);
    }

    /// The replica cannot know what the store holds. Logged once for each reason.
    pub(super) fn lost(&self, error: &StoreError) {
        self.in_touch.send_replace(false);
        let age = self.age().as_secs();
        let mut state = self.lock();
        let never = state.synchronised.is_none();
        state.trouble = Some(error.kind());
        // Of a refusal the log has been told already; damage is another thing, since the rest was in use.
        let news = state.mourned.insert(error.kind()) && !state.is_refused(error.kind());
        if state.since.take().is_some() {
            // Whoever finds it refusing again will say so.
            state.refused.clear();
            state.told.clear();
        }
        let reporter = state.reporter.clone();
        drop(state);
        let Some(reporter) = reporter else { return };
        let in_use = if never {
            "never yet; defaults in use"
        } else {
            "last known state in use"
        };
        let message = format!("{}; not synchronised for {age} s, {in_use}", error.kind());
        reporter.report(Report::degraded(message).detail(error.private_detail()));
        let (replica, reason) = (&self.replica, error.kind().as_str());
        let detail = error.private_detail();
        match (news, never) {
            (false, _) => {}
            (true, true) => tracing::warn!(
                %replica, reason, detail,
                "fleet store not reached; the replica goes by its own defaults until it is"
            ),
            (true, false) => tracing::warn!(
                %replica, reason, detail,
                "fleet store lost; the replica goes on with what it knows"
            ),
        }
    }

    /// What could not be read of the store, if anything. Logged once for each reason, until that was away for long.
    pub(super) fn damaged(&self, damage: Option<&StoreError>) {
        let mut state = self.lock();
        let news = damage.filter(|damage| state.is_news(damage.kind()));
        let before = std::mem::replace(&mut state.damage, damage.cloned());
        let changed = before.as_ref() != damage;
        let (report, reporter) = (state.report(), state.reporter.clone());
        drop(state);
        let Some(reporter) = reporter else { return };
        if changed && self.is_in_touch() {
            reporter.report(report);
        }
        if let Some(error) = news {
            let (replica, detail) = (&self.replica, error.private_detail());
            tracing::warn!(
                %replica, reason = error.kind().as_str(), detail,
                "fleet store holds what cannot be read; the rest is used"
            );
        }
    }

    /// The store is there and does not do this, for a reason that will not go away by itself. Logged once for each reason.
    ///
    /// What is silent is left to the pings, which tell a store that is away from one that was slow once.
    pub(super) fn refuses(&self, op: StoreOp, error: &StoreError) {
        let kind = error.kind();
        if !self.is_in_touch() || error.is_silence() {
            return;
        }
        let mut state = self.lock();
        let news = state.is_news(kind);
        let before = state.refused.insert(op, (error.clone(), Instant::now()));
        let (report, reporter) = (state.report(), state.reporter.clone());
        drop(state);
        let Some(reporter) = reporter else { return };
        if before.is_none_or(|(before, _)| before.kind() != kind) {
            reporter.report(report);
        }
        if news {
            let (replica, detail) = (&self.replica, error.private_detail());
            tracing::warn!(
                %replica, %op, reason = kind.as_str(), detail,
                "fleet store refuses a part of its work; the rest is used"
            );
        }
    }

    /// The store has done this.
    pub(super) fn does(&self, op: StoreOp) {
        let mut state = self.lock();
        let last = state.refused.get(&op).map(|(_, last)| *last);
        if last.is_none_or(|last| last.elapsed() < self.mended) {
            return;
        }
        state.refused.remove(&op);
        let (report, reporter) = (state.report(), state.reporter.clone());
        drop(state);
        if let Some(reporter) = reporter
            && self.is_in_touch()
        {
            reporter.report(report);
        }
    }

    /// Somebody else sends messages to a replica of this name. Logged once in a while.
    pub(super) fn twin(&self) {
        let mut state = self.lock();
        let news = state.twins.heard(Instant::now()) && state.reporter.is_some();
        drop(state);
        if news {
            let replica = &self.replica;
            tracing::warn!(
                %replica,
                "another process takes part in the fleet under this replica's name; give each its own, or they replace \
                 each other's summaries and count as one in the quorum"
            );
        }
    }

    /// Withdraws what was reported.
    pub(super) fn leave(&self) {
        let reporter = self.lock().reporter.take();
        self.in_touch.send_replace(false);
        if reporter.is_some() {
            let replica = &self.replica;
            tracing::info!(%replica, "fleet left");
        }
    }

    /// How long ago the replica last knew that it holds what the store does; since it joined, where it never has.
    pub(super) fn age(&self) -> Duration {
        self.lock().synchronised.unwrap_or(self.joined).elapsed()
    }

    pub(super) fn was_synchronised(&self) -> bool {
        self.lock().synchronised.is_some()
    }

    pub(super) fn is_in_touch(&self) -> bool {
        *self.in_touch.borrow()
    }

    /// For how long it has been in touch.
    pub(super) fn lasts(&self) -> Duration {
        let since = self.lock().since;
        since.map_or(Duration::ZERO, |since| since.elapsed())
    }

    pub(super) fn trouble(&self) -> Option<StoreErrorKind> {
        let state = self.lock();
        let refused = || state.refused.values().next().map(|(error, _)| error.kind());
        let damage = state.damage.as_ref().map(StoreError::kind);
        state.trouble.or(damage).or_else(refused)
    }

    /// Waits until the replica is in touch.
    pub(super) async fn in_touch(&self) {
        let mut in_touch = self.in_touch.subscribe();
        // Its sender lives as long as this does.
        let _always = in_touch.wait_for(|in_touch| *in_touch).await;
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
