//! Dependencies, their reports and their probes.

use std::sync::Arc;

use super::{State, room};
use crate::dependency::{DependencyCore, Spec};
use crate::entry::{Entry, Said, Taken};
use crate::error::{ProbeError, RegisterError};
use crate::events::EventKind;
use crate::probe::{Outcome, ProbeState, Runner, Turn};
use crate::report::{Report, ReporterKind, SlotTimes};

/// A dependency has at most so many probes.
const MAX_PROBES: usize = 8;

impl State {
    pub(crate) fn register(
        &mut self,
        spec: Spec,
        now: u64,
    ) -> Result<Arc<DependencyCore>, RegisterError> {
        let known = self.names.get(spec.name.as_str()).copied();
        let index = match known {
            Some(index) => index,
            None => self.add_entry(&spec, now)?,
        };
        let core = Arc::clone(&self.entries[index as usize].core);
        let mut news = known.is_none();
        if let Some(requested) = spec.criticality {
            let before = core.criticality();
            let registered = *core.criticality.get_or_init(|| requested);
            if registered != requested {
                let dependency = spec.name;
                return Err(RegisterError::CriticalityConflict {
                    dependency,
                    registered,
                    requested,
                });
            }
            let status = self.entries[index as usize].status;
            self.counts.remove(before, status);
            self.counts.add(requested, status);
            news |= before != requested;
        }
        // Setting a cell fails where an earlier registration has said it already, and that stays.
        news |= spec
            .public_name
            .is_some_and(|text| core.public_name.set(text.into()).is_ok());
        news |= spec
            .description
            .is_some_and(|text| core.description.set(text.into()).is_ok());
        news |= spec
            .covered_by
            .is_some_and(|text| core.covered_by.set(text.into()).is_ok());
        let affects = spec
            .affects
            .into_iter()
            .map(Into::into)
            .collect::<Arc<[Arc<str>]>>();
        news |= !affects.is_empty() && core.affects.set(affects).is_ok();
        if news {
            self.show(index);
            self.refresh(index, now);
        }
        Ok(core)
    }

    fn add_entry(&mut self, spec: &Spec, now: u64) -> Result<u32, RegisterError> {
        let index = room(self.entries.len())?;
        let name: Arc<str> = spec.name.as_str().into();
        let entry = Entry::new(Arc::new(DependencyCore::new(index, Arc::clone(&name))), now);
        let criticality = spec.criticality.unwrap_or_default();
        self.counts.add(entry.core.criticality(), entry.status);
        self.entries.push(entry);
        self.names.insert(Arc::clone(&name), index);
        self.record(
            EventKind::DependencyRegistered {
                dependency: Arc::clone(&name),
                criticality,
            },
            now,
        );
        self.take_waiting(&name, now);
        Ok(index)
    }

    pub(crate) fn find(&self, name: &str) -> Option<Arc<DependencyCore>> {
        let index = *self.names.get(name)?;
        Some(Arc::clone(&self.entries[index as usize].core))
    }

    pub(crate) fn cores(&self) -> Vec<Arc<DependencyCore>> {
        self.names
            .values()
            .map(|&index| Arc::clone(&self.entries[index as usize].core))
            .collect()
    }

    pub(crate) fn add_slot(
        &mut self,
        index: u32,
        kind: ReporterKind,
        name: Arc<str>,
        now: u64,
    ) -> (u64, Arc<SlotTimes>) {
        let id = self.next_id();
        let times = self.entries[index as usize].add_slot(id, kind, name, self.clock);
        // A circuit that is forced open counts from the moment it exists.
        self.refresh(index, now);
        (id, times)
    }

    pub(crate) fn drop_slot(&mut self, index: u32, slot: u64, now: u64) -> Option<Said> {
        let said = self.entries[index as usize].drop_slot(slot);
        // A slot that said nothing was not to be seen.
        if said.is_some() {
            self.show(index);
        }
        self.refresh(index, now);
        said
    }

    pub(crate) fn report(&mut self, index: u32, slot: u64, report: Report, now: u64) -> Taken {
        let detail = report.detail.clone();
        let entry = &mut self.entries[index as usize];
        let taken = entry.report(slot, report, now);
        match taken {
            Taken::Ignored => return taken,
            Taken::Renewed => entry.touched = true,
            Taken::Changed(_) => {
                if let (Some(detail), Some(reporter)) = (detail, entry.slot_name(slot)) {
                    self.effects
                        .details
                        .push([Arc::clone(&entry.core.name), reporter, detail]);
                }
                self.show(index);
            }
        }
        self.refresh(index, now);
        taken
    }

    /// The caller keeps a hold on the runner, so that the user's closure is never dropped under the lock.
    pub(crate) fn add_probe(
        &mut self,
        index: u32,
        runner: &Arc<Runner>,
        now: u64,
    ) -> Result<(), ProbeError> {
        let id = self.next_id();
        let entry = &mut self.entries[index as usize];
        if entry.probes.len() >= MAX_PROBES {
            let dependency = entry.core.name.as_ref().to_owned();
            return Err(ProbeError::TooMany {
                dependency,
                limit: MAX_PROBES,
            });
        }
        entry.add_slot(
            id,
            ReporterKind::Probe,
            Arc::clone(&runner.name),
            self.clock,
        );
        entry.probes.push(ProbeState::new(id, Arc::clone(runner)));
        self.probes.push((index, entry.probes.len() - 1));
        self.show(index);
        self.refresh(index, now);
        Ok(())
    }

    /// The probes attached since there were `known` of them.
    pub(crate) fn probes_since(&self, known: usize) -> Vec<(u32, usize, Arc<Runner>)> {
        let new = self.probes.get(known..).unwrap_or_default();
        let runner = |&(index, probe): &(u32, usize)| {
            (
                index,
                probe,
                Arc::clone(&self.entries[index as usize].probes[probe].runner),
            )
        };
        new.iter().map(runner).collect()
    }

    /// Takes the result of one run of a probe that the driver of this epoch has run. What a driver that has ended still
    /// says is ignored, and so is one that a newer one has taken over from.
    pub(crate) fn probed(
        &mut self,
        epoch: u64,
        index: u32,
        probe: usize,
        outcome: Outcome,
        now: u64,
    ) {
        if epoch < self.epoch {
            return;
        }
        self.epoch = epoch;
        let entry = &mut self.entries[index as usize];
        let state = &mut entry.probes[probe];
        let (slot, name) = (state.slot, Arc::clone(&state.runner.name));
        let verdict = state.take(outcome, now);
        entry.touched = true;
        let Some((report, turn)) = verdict else {
            return;
        };
        let dependency = Arc::clone(&entry.core.name);
        match turn {
            Some(Turn::Failed {
                consecutive_failures,
            }) => {
                self.record(
                    EventKind::ProbeFailed {
                        dependency,
                        probe: name,
                        consecutive_failures,
                    },
                    now,
                );
            }
            Some(Turn::Recovered) => self.record(
                EventKind::ProbeRecovered {
                    dependency,
                    probe: name,
                },
                now,
            ),
            None => {}
        }
        self.report(index, slot, report, now);
    }

    /// The driver of this epoch has ended: nobody renews what its probes have said.
    pub(crate) fn forget_probes(&mut self, epoch: u64, now: u64) {
        if epoch < self.epoch {
            return;
        }
        self.epoch = epoch + 1;
        for position in 0..self.probes.len() {
            let (index, probe) = self.probes[position];
            if probe == 0 {
                self.entries[index as usize].forget_probes();
                self.show(index);
                self.refresh(index, now);
            }
        }
    }
}
