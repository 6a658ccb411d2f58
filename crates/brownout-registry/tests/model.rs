//! The registry against a model that is slow and obvious: it keeps the whole history and computes everything anew from
//! it at each question.

#![allow(
    clippy::unwrap_used,
    reason = "a test that unwraps says that something is wrong"
)]

use std::time::Duration;

use brownout_registry::{
    CircuitMode, Criticality, DegradationLevel, Dependency, Order, OverrideId, Registry, Report,
    Reporter, ReporterKind, Status, SystemHealth,
};
use proptest::prelude::*;

const DEPENDENCIES: usize = 3;
const CRITICALITY: [Criticality; DEPENDENCIES] = [
    Criticality::Critical,
    Criticality::Important,
    Criticality::Important,
];
/// Slots a dependency; the first is a circuit's, the second observes calls.
const SLOTS: usize = 3;
const DWELL: u64 = 15;

#[derive(Debug, Clone)]
enum Step {
    Report {
        slot: usize,
        status: Status,
        ttl: Option<u64>,
        then: Option<Status>,
        sequence: Option<u64>,
    },
    /// Drops the slot's reporter and makes a new one.
    Withdraw {
        slot: usize,
    },
    Status {
        dependency: usize,
        status: Status,
        ttl: u64,
    },
    Circuit {
        dependency: usize,
        mode: CircuitMode,
        ttl: u64,
    },
    Level {
        level: DegradationLevel,
        ttl: u64,
    },
    /// Releases one of the overrides set so far, which may be gone.
    Release {
        nth: usize,
    },
    /// Lets time pass and, perhaps, nobody look.
    Advance {
        seconds: u64,
        look: bool,
    },
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let status = || prop::sample::select(Status::ALL);
    let ttl = || prop_oneof![Just(0_u64), 1..6_u64, 1..40_u64];
    let report = (
        0..DEPENDENCIES * SLOTS,
        status(),
        prop::option::of(ttl()),
        prop::option::of(status()),
        prop::option::weighted(0.3, 0..6_u64),
    )
        .prop_map(|(slot, status, ttl, then, sequence)| Step::Report {
            slot,
            status,
            ttl,
            then,
            sequence,
        });
    let life = || 1..40_u64;
    prop::collection::vec(
        prop_oneof![
            8 => report,
            1 => (0..DEPENDENCIES * SLOTS).prop_map(|slot| Step::Withdraw { slot }),
            1 => (0..DEPENDENCIES, status(), life())
                .prop_map(|(dependency, status, ttl)| Step::Status { dependency, status, ttl }),
            1 => (0..DEPENDENCIES, prop::sample::select(CircuitMode::ALL), life())
                .prop_map(|(dependency, mode, ttl)| Step::Circuit { dependency, mode, ttl }),
            1 => (prop::sample::select(DegradationLevel::ALL), life())
                .prop_map(|(level, ttl)| Step::Level { level, ttl }),
            1 => (0..20_usize).prop_map(|nth| Step::Release { nth }),
            6 => (prop_oneof![1..4_u64, 1..30_u64, 1..4000_u64], any::<bool>())
                .prop_map(|(seconds, look)| Step::Advance { seconds, look }),
        ],
        1..60,
    )
}

/// What was said in a slot, from when on, until when the slot was withdrawn.
struct Said {
    slot: usize,
    from: (u64, usize),
    status: Status,
    ttl: Option<u64>,
    then: Option<Status>,
}

#[derive(Clone, Copy, PartialEq)]
enum On {
    Status(usize, Status),
    Circuit(usize, CircuitMode),
    Level(DegradationLevel),
}

struct Imposed {
    on: On,
    from: (u64, usize),
    until: u64,
    released: Option<(u64, usize)>,
}

/// The history. A point in time is a second and the number of the step; expiries come before any step of their second.
#[derive(Default)]
struct Model {
    said: Vec<Said>,
    withdrawn: Vec<(usize, (u64, usize))>,
    imposed: Vec<Imposed>,
    points: Vec<(u64, usize)>,
}

impl Model {
    fn slot_says(&self, slot: usize, point: (u64, usize)) -> Option<Status> {
        let withdrawn = self
            .withdrawn
            .iter()
            .filter(|(of, at)| *of == slot && *at <= point)
            .map(|(_, at)| *at)
            .max();
        let said = self
            .said
            .iter()
            .rfind(|said| said.slot == slot && said.from <= point)?;
        if withdrawn.is_some_and(|at| at > said.from) {
            return None;
        }
        match said.ttl {
            Some(ttl) if said.from.0 + ttl <= point.0 => said.then,
            _ => Some(said.status),
        }
    }

    fn imposed<T>(&self, point: (u64, usize), on: impl Fn(On) -> Option<T>) -> Option<T> {
        let active = |imposed: &&Imposed| {
            imposed.from <= point
                && point.0 < imposed.until
                && imposed.released.is_none_or(|at| at > point)
        };
        self.imposed
            .iter()
            .rev()
            .filter(active)
            .find_map(|imposed| on(imposed.on))
    }

    /// The status, and the status without circuits and observed calls.
    fn statuses(&self, dependency: usize, point: (u64, usize)) -> (Status, Status) {
        let imposed = |on| match on {
            On::Status(of, status) if of == dependency => Some(status),
            _ => None,
        };
        if let Some(status) = self.imposed(point, imposed) {
            return (status, status);
        }
        let mode = self.imposed(point, |on| match on {
            On::Circuit(of, mode) if of == dependency => Some(mode),
            _ => None,
        });
        let first = dependency * SLOTS;
        let circuit = match (mode, self.slot_says(first, point)) {
            (Some(CircuitMode::ForcedOpen), _) => Some(Status::Unhealthy),
            (Some(_), said) => said.map(|status| status.min(Status::Degraded)),
            (None, said) => said,
        };
        let traffic = self.slot_says(first + 1, point);
        let others = (first + 2..first + SLOTS)
            .filter_map(|slot| self.slot_says(slot, point))
            .max();
        (
            circuit.max(traffic).max(others).unwrap_or(Status::Healthy),
            others.unwrap_or(Status::Healthy),
        )
    }

    fn raw(&self, point: (u64, usize)) -> DegradationLevel {
        let unhealthy = |of| {
            (0..DEPENDENCIES)
                .filter(|&each| {
                    CRITICALITY[each] == of && self.statuses(each, point).0 == Status::Unhealthy
                })
                .count()
        };
        match (
            unhealthy(Criticality::Critical),
            unhealthy(Criticality::Important),
        ) {
            (1.., _) => DegradationLevel::Emergency,
            (_, 2..) => DegradationLevel::Minimal,
            (_, 1) => DegradationLevel::Reduced,
            _ => DegradationLevel::Full,
        }
    }

    /// Everything at which anything may have changed, up to the point.
    fn turns(&self, until: (u64, usize)) -> Vec<(u64, usize)> {
        let expiries = self
            .said
            .iter()
            .filter_map(|said| Some((said.from.0 + said.ttl?, 0)));
        let ends = self.imposed.iter().map(|imposed| (imposed.until, 0));
        let mut turns: Vec<_> = expiries
            .chain(ends)
            .chain(self.points.iter().copied())
            .collect();
        turns.retain(|turn| *turn <= until);
        turns.sort_unstable();
        turns.dedup();
        turns
    }

    fn level(&self, point: (u64, usize)) -> DegradationLevel {
        let imposed = self.imposed(point, |on| {
            if let On::Level(level) = on {
                Some(level)
            } else {
                None
            }
        });
        imposed.unwrap_or_else(|| {
            let turns = self.turns(point);
            // The raw level of a turn held until the next one; the last holds still.
            let held = |(index, turn): (usize, &(u64, usize))| {
                let counts = turns
                    .get(index + 1)
                    .is_none_or(|next| next.0 + DWELL > point.0);
                counts.then(|| self.raw(*turn))
            };
            turns
                .iter()
                .enumerate()
                .filter_map(held)
                .max()
                .unwrap_or(DegradationLevel::Full)
        })
    }

    fn health(&self, point: (u64, usize)) -> SystemHealth {
        let statuses: Vec<_> = (0..DEPENDENCIES)
            .map(|each| self.statuses(each, point).0)
            .collect();
        if (0..DEPENDENCIES).any(|each| {
            CRITICALITY[each] == Criticality::Critical && statuses[each] == Status::Unhealthy
        }) {
            SystemHealth::Critical
        } else if statuses.iter().any(|status| *status != Status::Healthy) {
            SystemHealth::Degraded
        } else {
            SystemHealth::Healthy
        }
    }
}

struct Run {
    registry: Registry,
    dependencies: Vec<Dependency>,
    reporters: Vec<Reporter>,
    ids: Vec<Option<OverrideId>>,
    /// The highest sequence of each slot.
    sequences: Vec<Option<u64>>,
    model: Model,
    now: u64,
}

impl Run {
    fn new() -> Self {
        let registry = Registry::builder()
            .dwell(Duration::from_secs(DWELL))
            .build()
            .unwrap();
        let dependencies: Vec<_> = (0..DEPENDENCIES)
            .map(|each| {
                registry
                    .dependency(format!("d{each}"))
                    .criticality(CRITICALITY[each])
                    .register()
                    .unwrap()
            })
            .collect();
        let reporters = (0..DEPENDENCIES * SLOTS)
            .map(|slot| reporter(&dependencies, slot))
            .collect();
        Self {
            registry,
            dependencies,
            reporters,
            ids: Vec::new(),
            sequences: vec![None; DEPENDENCIES * SLOTS],
            model: Model::default(),
            now: 0,
        }
    }

    async fn take(&mut self, number: usize, step: Step) {
        let point = (self.now, number);
        self.model.points.push(point);
        match step {
            Step::Report {
                slot,
                status,
                ttl,
                then,
                sequence,
            } => {
                let mut report = Report::new(status);
                report = ttl
                    .into_iter()
                    .fold(report, |report, ttl| report.ttl(Duration::from_secs(ttl)));
                report = then.into_iter().fold(report, Report::then);
                report = sequence.into_iter().fold(report, Report::sequence);
                self.reporters[slot].report(report);
                if sequence.is_none_or(|number| Some(number) >= self.sequences[slot]) {
                    self.sequences[slot] = sequence.or(self.sequences[slot]);
                    self.model.said.push(Said {
                        slot,
                        from: point,
                        status,
                        ttl,
                        then,
                    });
                }
            }
            Step::Withdraw { slot } => {
                // The new one is made first, so that a circuit that is forced open never goes missing in between.
                let new = reporter(&self.dependencies, slot);
                drop(std::mem::replace(&mut self.reporters[slot], new));
                self.sequences[slot] = None;
                self.model.withdrawn.push((slot, point));
            }
            Step::Status {
                dependency,
                status,
                ttl,
            } => {
                let set = self.dependencies[dependency].override_status(status, order(ttl));
                self.imposed(set.ok(), On::Status(dependency, status), point, ttl);
            }
            Step::Circuit {
                dependency,
                mode,
                ttl,
            } => {
                let set = self.dependencies[dependency].override_circuit(mode, order(ttl));
                self.imposed(set.ok(), On::Circuit(dependency, mode), point, ttl);
            }
            Step::Level { level, ttl } => {
                let set = self.registry.override_level(level, order(ttl));
                self.imposed(set.ok(), On::Level(level), point, ttl);
            }
            Step::Release { nth } => {
                if let Some(Some(id)) = self.ids.get(nth) {
                    let imposed = &mut self.model.imposed[nth];
                    let active = self.now < imposed.until && imposed.released.is_none();
                    assert_eq!(self.registry.release(*id).is_ok(), active);
                    if active {
                        imposed.released = Some(point);
                    }
                }
            }
            Step::Advance { seconds, .. } => {
                tokio::time::advance(Duration::from_secs(seconds)).await;
                self.now += seconds;
            }
        }
    }

    fn imposed(&mut self, id: Option<OverrideId>, on: On, from: (u64, usize), ttl: u64) {
        // A full stack refuses; the model then knows nothing of it.
        let until = if id.is_some() { self.now + ttl } else { 0 };
        self.ids.push(id);
        self.model.imposed.push(Imposed {
            on,
            from,
            until,
            released: None,
        });
    }

    fn compare(&self, number: usize) {
        let point = (self.now, number);
        for (index, dependency) in self.dependencies.iter().enumerate() {
            let real = (dependency.status(), dependency.status_without_traffic());
            assert_eq!(
                real,
                self.model.statuses(index, point),
                "status of d{index} at {point:?}"
            );
        }
        assert_eq!(
            self.registry.health(),
            self.model.health(point),
            "health at {point:?}"
        );
        assert_eq!(
            self.registry.level(),
            self.model.level(point),
            "level at {point:?}"
        );
        let picture = self.registry.snapshot();
        assert_eq!(
            picture.raw_level,
            self.model.raw(point),
            "raw level at {point:?}"
        );
        let active = |each: &&Imposed| self.now < each.until && each.released.is_none();
        assert_eq!(
            picture.overrides.len(),
            self.model.imposed.iter().filter(active).count()
        );
    }
}

fn reporter(dependencies: &[Dependency], slot: usize) -> Reporter {
    let kind = match slot % SLOTS {
        0 => ReporterKind::Circuit,
        1 => ReporterKind::Traffic,
        _ => ReporterKind::Code,
    };
    dependencies[slot / SLOTS].reporter(kind, "slot")
}

fn order(ttl: u64) -> Order {
    Order::new("model", "test", Duration::from_secs(ttl))
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(600) })]

    #[test]
    fn whoever_looks_whenever_sees_what_the_history_says(steps in steps()) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
        runtime.block_on(async move {
            let mut run = Run::new();
            for (number, step) in steps.into_iter().enumerate() {
                let look = matches!(step, Step::Advance { look: true, .. });
                run.take(number + 1, step).await;
                if look {
                    run.compare(number + 1);
                }
            }
            run.compare(usize::MAX);
        });
    }
}
