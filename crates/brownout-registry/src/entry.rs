//! One dependency's state: its slots, its overrides, and the status that follows from them. Pure functions of time.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use crate::clock::{Clock, NEVER};
use crate::dependency::DependencyCore;
use crate::overrides::OverrideValue;
use crate::probe::ProbeState;
use crate::report::{Report, ReporterKind, SlotTimes};
use crate::snapshot::DependencyView;
use crate::stack::Stack;
use crate::tally::Tally;
use crate::vocab::{CircuitMode, Status};

#[derive(Debug)]
pub(crate) struct Entry {
    pub(crate) core: Arc<DependencyCore>,
    pub(crate) status: Status,
    pub(crate) without_traffic: Status,
    pub(crate) since: u64,
    pub(crate) status_overrides: Stack,
    pub(crate) circuit_overrides: Stack,
    pub(crate) probes: Vec<ProbeState>,
    /// The dependency's place in the queue of all deadlines.
    pub(crate) queued: Option<u64>,
    /// Whether a time or measurement in the last picture of it is out of date.
    pub(crate) touched: bool,
    /// The last picture of it, until something visible changes.
    pub(crate) view: Option<Arc<DependencyView>>,
    slots: BTreeMap<u64, Slot>,
    /// When to look at which slot. An entry may be early (a report was renewed since), never late.
    deadlines: BTreeSet<(u64, u64)>,
    circuits: Tally,
    traffic: Tally,
    others: Tally,
    /// Whether anything but a circuit has ever reported.
    observed: bool,
}

/// One reporter's place.
#[derive(Debug)]
pub(crate) struct Slot {
    pub(crate) kind: ReporterKind,
    pub(crate) name: Arc<str>,
    pub(crate) times: Arc<SlotTimes>,
    pub(crate) said: Option<Said>,
    /// The time of its last report when the dependency was last drawn.
    shown: u64,
    sequence: Option<u64>,
    /// Its place in `deadlines`.
    queued: Option<u64>,
}

/// What a reporter has said, as far as it still counts.
#[derive(Debug)]
pub(crate) struct Said {
    pub(crate) status: Status,
    pub(crate) message: Option<Arc<str>>,
    pub(crate) detail: Option<Arc<str>>,
    /// When it expires, or [`NEVER`].
    pub(crate) deadline: u64,
    then: Option<Status>,
}

/// What a report has done to its slot.
#[derive(Debug)]
pub(crate) enum Taken {
    /// Nothing: a newer one was there already, or the slot is gone.
    Ignored,
    /// Only times have changed.
    Renewed,
    /// What the slot says has changed; here is what it said.
    Changed(#[allow(dead_code, reason = "held only to be dropped outside the lock")] Option<Said>),
}

impl Entry {
    pub(crate) fn new(core: Arc<DependencyCore>, now: u64) -> Self {
        Self {
            core,
            status: Status::Healthy,
            without_traffic: Status::Healthy,
            since: now,
            status_overrides: Stack::default(),
            circuit_overrides: Stack::default(),
            probes: Vec::new(),
            queued: None,
            touched: false,
            view: None,
            slots: BTreeMap::new(),
            deadlines: BTreeSet::new(),
            circuits: Tally::default(),
            traffic: Tally::default(),
            others: Tally::default(),
            observed: false,
        }
    }

    pub(crate) fn slots(&self) -> impl Iterator<Item = &Slot> {
        self.slots.values()
    }

    /// Forgets the last picture if a time or measurement in it is out of date; whether it was.
    pub(crate) fn forget_outdated(&mut self) -> bool {
        let outdated = |slot: &Slot| slot.said.is_some() && slot.times.last() != slot.shown;
        if !self.touched && !self.slots().any(outdated) {
            return false;
        }
        for slot in self.slots.values_mut() {
            slot.shown = slot.times.last();
        }
        self.touched = false;
        self.view = None;
        true
    }

    pub(crate) fn slot_name(&self, slot: u64) -> Option<Arc<str>> {
        self.slots.get(&slot).map(|slot| Arc::clone(&slot.name))
    }

    pub(crate) fn add_slot(
        &mut self,
        id: u64,
        kind: ReporterKind,
        name: Arc<str>,
        clock: Clock,
    ) -> Arc<SlotTimes> {
        let times = Arc::new(SlotTimes::new(clock));
        let slot = Slot {
            kind,
            name,
            times: Arc::clone(&times),
            said: None,
            shown: 0,
            sequence: None,
            queued: None,
        };
        self.tally(kind).add_slot();
        self.slots.insert(id, slot);
        times
    }

    /// Takes the slot out and returns what it said.
    pub(crate) fn drop_slot(&mut self, id: u64) -> Option<Said> {
        let slot = self.slots.remove(&id)?;
        if let Some(at) = slot.queued {
            self.deadlines.remove(&(at, id));
        }
        self.tally(slot.kind).drop_slot();
        if let Some(said) = &slot.said {
            self.tally(slot.kind).remove(id, said.status);
        }
        slot.said
    }

    pub(crate) fn report(&mut self, id: u64, report: Report, now: u64) -> Taken {
        let Some(slot) = self.slots.get_mut(&id) else {
            return Taken::Ignored;
        };
        if report.sequence.is_some() {
            if report.sequence < slot.sequence {
                return Taken::Ignored;
            }
            slot.sequence = report.sequence;
        }
        let plain = report.message.is_none() && report.detail.is_none() && report.ttl.is_none();
        slot.times.hold(plain.then_some(report.status), now);
        let new = Said::from(report, now);
        if let (Some(said), Some(new)) = (&mut slot.said, &new)
            && said.status == new.status
            && said.message == new.message
            && said.detail == new.detail
        {
            (said.deadline, said.then) = (new.deadline, new.then);
            Self::schedule(&mut self.deadlines, id, &mut slot.queued, new.deadline);
            return Taken::Renewed;
        }
        if slot.said.is_none() && new.is_none() {
            self.observed |= slot.kind != ReporterKind::Circuit;
            return Taken::Renewed;
        }
        let deadline = new.as_ref().map_or(NEVER, |new| new.deadline);
        Self::schedule(&mut self.deadlines, id, &mut slot.queued, deadline);
        let kind = slot.kind;
        let words = new.as_ref().map(|new| (new.status, new.message.is_some()));
        let before = std::mem::replace(&mut slot.said, new);
        self.observed |= kind != ReporterKind::Circuit;
        if let Some(before) = &before {
            self.tally(kind).remove(id, before.status);
        }
        if let Some((status, worded)) = words {
            self.tally(kind).add(id, status, worded);
        }
        Taken::Changed(before)
    }

    /// Lets the reports expire whose deadline is `at` or earlier; whether any did.
    pub(crate) fn expire(&mut self, at: u64) -> bool {
        let mut any = false;
        while let Some(&(queued, id)) = self.deadlines.first()
            && queued <= at
        {
            self.deadlines.pop_first();
            let Some(slot) = self.slots.get_mut(&id) else {
                continue;
            };
            slot.queued = None;
            let Some(said) = &mut slot.said else { continue };
            if said.deadline == NEVER {
                continue;
            }
            if said.deadline > at {
                Self::schedule(&mut self.deadlines, id, &mut slot.queued, said.deadline);
                continue;
            }
            any = true;
            let (kind, before, then) = (slot.kind, said.status, said.then.take());
            let worded = said.message.is_some();
            match then {
                Some(status) => (said.status, said.deadline) = (status, NEVER),
                None => slot.said = None,
            }
            self.tally(kind).remove(id, before);
            if let Some(status) = then {
                self.tally(kind).add(id, status, worded);
            }
        }
        any
    }

    /// Forgets what the probes have found, as if none had ever run.
    pub(crate) fn forget_probes(&mut self) {
        for index in 0..self.probes.len() {
            let probe = &mut self.probes[index];
            probe.forget();
            let id = probe.slot;
            if let Some(said) = self.slots.get_mut(&id).and_then(|slot| slot.said.take()) {
                self.others.remove(id, said.status);
            }
        }
        self.observed = self.others.worst().max(self.traffic.worst()).is_some();
    }

    /// The status, and the status without what depends on traffic: circuits and observed calls.
    pub(crate) fn statuses(&self) -> (Status, Status) {
        if let Some(status) = self.overridden() {
            return (status, status);
        }
        let unseen = !self.probes.is_empty() && !self.observed;
        let silent = if unseen {
            Status::Unknown
        } else {
            Status::Healthy
        };
        let others = self.others.worst();
        let all = others.max(self.traffic.worst()).max(self.circuits_say());
        (all.unwrap_or(silent), others.unwrap_or(silent))
    }

    /// Why the dependency has its status, in words fit for strangers.
    pub(crate) fn reason(&self) -> Option<Arc<str>> {
        if self.overridden().is_some() {
            return Some("overridden".into());
        }
        let mode = self.mode();
        if mode == Some(CircuitMode::ForcedOpen) && self.circuits.has_slots() {
            return Some("forced open".into());
        }
        // Under the milder modes a circuit's report counts as `Degraded` at most.
        let circuits: &[Status] = match (mode, self.status) {
            (None | Some(CircuitMode::ForcedOpen), _) => &[self.status],
            (Some(_), Status::Unhealthy) => &[],
            (Some(_), Status::Degraded) => &[Status::Degraded, Status::Unhealthy],
            (Some(_), _) => &[self.status],
        };
        let circuits = circuits
            .iter()
            .filter_map(|&status| self.circuits.first_worded(status));
        // Of the slots that explain it, the one that was made first.
        let slot = self
            .others
            .first_worded(self.status)
            .into_iter()
            .chain(self.traffic.first_worded(self.status))
            .chain(circuits)
            .min()?;
        self.slots.get(&slot)?.said.as_ref()?.message.clone()
    }

    /// When something about the dependency may expire.
    pub(crate) fn due(&self) -> Option<u64> {
        let slots = self.deadlines.first().map(|&(at, _)| at);
        [
            slots,
            self.status_overrides.due(),
            self.circuit_overrides.due(),
        ]
        .into_iter()
        .flatten()
        .min()
    }

    fn overridden(&self) -> Option<Status> {
        match self.status_overrides.top()?.value {
            OverrideValue::Status(status) => Some(status),
            _ => None,
        }
    }

    fn mode(&self) -> Option<CircuitMode> {
        match self.circuit_overrides.top()?.value {
            OverrideValue::Circuit(mode) => Some(mode),
            _ => None,
        }
    }

    /// What the circuits' reports amount to under the mode imposed on them.
    fn circuits_say(&self) -> Option<Status> {
        match self.mode() {
            None => self.circuits.worst(),
            Some(CircuitMode::ForcedOpen) => self.circuits.has_slots().then_some(Status::Unhealthy),
            Some(CircuitMode::ForcedClosed | CircuitMode::ObserveOnly) => self
                .circuits
                .worst()
                .map(|status| status.min(Status::Degraded)),
        }
    }

    fn tally(&mut self, kind: ReporterKind) -> &mut Tally {
        match kind {
            ReporterKind::Circuit => &mut self.circuits,
            ReporterKind::Traffic => &mut self.traffic,
            _ => &mut self.others,
        }
    }

    /// Sees to it that the slot is looked at by its deadline. A later deadline leaves an earlier place alone: renewing
    /// a report then costs nothing, and looking too early once in a time to live costs little.
    fn schedule(
        deadlines: &mut BTreeSet<(u64, u64)>,
        id: u64,
        queued: &mut Option<u64>,
        deadline: u64,
    ) {
        if deadline == NEVER || queued.is_some_and(|at| at <= deadline) {
            return;
        }
        if let Some(at) = queued.replace(deadline) {
            deadlines.remove(&(at, id));
        }
        deadlines.insert((deadline, id));
    }
}

impl Said {
    /// What a report says from `now` on. One without any time to live has decayed already: it must not even for an
    /// instant be seen, since the level would hold on to it for a dwell.
    fn from(report: Report, now: u64) -> Option<Self> {
        let Report {
            status,
            message,
            detail,
            ttl,
            then,
            ..
        } = report;
        let (status, deadline, then) = match ttl {
            Some(ttl) if ttl.is_zero() => (then?, NEVER, None),
            Some(ttl) => (status, Clock::deadline(now, ttl), then),
            None => (status, NEVER, None),
        };
        Some(Self {
            status,
            message,
            detail,
            deadline,
            then,
        })
    }
}
