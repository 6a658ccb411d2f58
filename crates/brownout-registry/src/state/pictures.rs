//! Pictures of the state, made when asked for and kept until something changes.

use std::sync::Arc;

use super::{Place, State};
use crate::clock::NEVER;
use crate::entry::{Entry, Slot};
use crate::snapshot::{DependencyView, ProbeView, ReportView, Snapshot};
use crate::watch::View;

/// How long a picture is good whose times alone have changed, in nanoseconds: one second.
const FRESH: u64 = 1_000_000_000;

/// The last picture.
#[derive(Debug, Default)]
pub(super) struct Pictures {
    last: Option<Arc<Snapshot>>,
    /// When it was last compared with the state.
    checked: u64,
}

impl State {
    pub(crate) fn view(&self) -> View {
        View {
            level: self.level,
            health: self.health,
            revision: self.revision,
        }
    }

    /// The picture of now, and the one it replaces: freeing that takes as long as making one, and is better done
    /// outside the lock. Only the dependencies that have changed since the last one are drawn anew.
    pub(crate) fn snapshot(&mut self, now: u64) -> (Arc<Snapshot>, Option<Arc<Snapshot>>) {
        let last = self
            .pictures
            .last
            .clone()
            .filter(|last| last.revision == self.revision);
        if let Some(last) = &last
            && now < self.pictures.checked.saturating_add(FRESH)
        {
            return (Arc::clone(last), None);
        }
        self.pictures.checked = now;
        let mut outdated = false;
        for entry in &mut self.entries {
            outdated |= entry.forget_outdated();
        }
        let picture = last.filter(|_| !outdated).unwrap_or_else(|| self.draw(now));
        let replaced = self.pictures.last.replace(Arc::clone(&picture));
        (picture, replaced)
    }

    fn draw(&mut self, now: u64) -> Arc<Snapshot> {
        let mut dependencies = Vec::with_capacity(self.names.len());
        let mut drawn = Vec::new();
        for &index in self.names.values() {
            let view = self.entries[index as usize].view.clone();
            dependencies.push(view.unwrap_or_else(|| {
                let view = Arc::new(self.draw_dependency(index));
                drawn.push((index, Arc::clone(&view)));
                view
            }));
        }
        for (index, view) in drawn {
            self.entries[index as usize].view = Some(view);
        }
        Arc::new(Snapshot {
            revision: self.revision,
            made: self.clock.moment(now),
            level: self.level,
            raw_level: self.dwell.raw(),
            health: self.health,
            dependencies,
            overrides: self.overrides(),
        })
    }

    fn draw_dependency(&self, index: u32) -> DependencyView {
        let entry = &self.entries[index as usize];
        let core = &entry.core;
        DependencyView {
            name: Arc::clone(&core.name),
            public_name: core.public_name.get().cloned(),
            description: core.description.get().cloned(),
            criticality: core.criticality(),
            status: entry.status,
            status_without_traffic: entry.without_traffic,
            since: self.clock.moment(entry.since),
            affects: core.affects.get().cloned().unwrap_or_default(),
            covered_by: core.covered_by.get().cloned(),
            reports: entry
                .slots()
                .filter_map(|slot| self.draw_report(slot))
                .collect(),
            probes: self.draw_probes(entry),
            status_override: self.in_force(Place::Status(index)),
            circuit_override: self.in_force(Place::Circuit(index)),
        }
    }

    fn draw_report(&self, slot: &Slot) -> Option<ReportView> {
        let said = slot.said.as_ref()?;
        Some(ReportView {
            kind: slot.kind,
            reporter: Arc::clone(&slot.name),
            status: said.status,
            message: said.message.clone(),
            private_detail: said.detail.clone(),
            last: self.clock.moment(slot.times.last()),
            until: (said.deadline != NEVER).then(|| self.clock.moment(said.deadline)),
        })
    }

    fn draw_probes(&self, entry: &Entry) -> Vec<ProbeView> {
        let draw = |probe: &crate::probe::ProbeState| ProbeView {
            name: Arc::clone(&probe.runner.name),
            passing: probe.passing,
            last_check: probe.last_check.map(|at| self.clock.moment(at)),
            response_time: probe.response_time,
            consecutive_failures: probe.failures,
            private_error: probe.error.clone(),
        };
        entry.probes.iter().map(draw).collect()
    }
}
