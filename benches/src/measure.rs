//! Puts the instruments to the subjects, and keeps what they read.

use std::path::PathBuf;
use std::sync::Mutex;
use std::sync::PoisonError;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use crate::drive::Shape;
use crate::figure::{Figure, Figures};
use crate::fleet::Fleet;
use crate::load::Served;
use crate::subjects::{Column, Subject};
use crate::{alloc, count, scaling, time};

/// Which instruments are used, and what callgrind needs.
#[derive(Debug, Clone)]
pub struct Plan {
    /// Only instructions and allocations, which are the same on every run.
    pub deterministic: bool,
    /// The program to run under callgrind, or why that cannot be done.
    pub callgrind: Result<Callgrind, String>,
}

/// What is run under callgrind.
#[derive(Debug, Clone)]
pub struct Callgrind {
    /// This program, which answers to `--marked`.
    pub program: PathBuf,
    /// A folder for callgrind's output.
    pub scratch: PathBuf,
}

/// A subject in one shape, and what was read of it.
#[derive(Debug, Clone)]
pub struct Reading {
    /// What was measured.
    pub subject: &'static Subject,
    /// In which shape.
    pub shape: Shape,
    /// What came out.
    pub figures: Figures,
}

/// The readings of one run.
#[derive(Debug, Clone)]
pub struct Run {
    readings: Vec<Reading>,
    served: Figure<Served>,
    fleet: Vec<Fleet>,
}

impl Run {
    /// Measures `subjects` by `plan`, telling `progress` what is being done.
    pub fn new(subjects: &[&'static Subject], plan: &Plan, progress: impl Fn(&str) + Sync) -> Self {
        let wanted: Vec<_> = subjects
            .iter()
            .flat_map(|subject| Shape::ALL.map(|shape| (*subject, shape)))
            .filter(|(subject, shape)| subject.has(*shape))
            .collect();

        if !wanted.is_empty() {
            progress("instructions, by callgrind");
        }
        let mut instructions = count_all(&wanted, plan);
        let mut readings = Vec::with_capacity(wanted.len());
        for (index, (subject, shape)) in wanted.into_iter().enumerate() {
            progress(&format!("{}, {}", subject.id(), shape.name()));
            let timed = !plan.deterministic;
            let figures = Figures {
                instructions: std::mem::replace(&mut instructions[index], Figure::Skipped),
                allocations: alloc::measure(subject, shape),
                scaling: if timed {
                    scaling::measure(subject, shape)
                } else {
                    Figure::Skipped
                },
                time: if timed {
                    time::measure(subject, shape)
                } else {
                    Figure::Skipped
                },
            };
            readings.push(Reading {
                subject,
                shape,
                figures,
            });
        }
        Self::of(readings)
    }

    /// A run made of known readings.
    pub fn of(readings: Vec<Reading>) -> Self {
        Self {
            readings,
            served: Figure::Skipped,
            fleet: Vec::new(),
        }
    }

    /// The same, with what a server under load kept of its rate.
    pub fn with_served(self, served: Figure<Served>) -> Self {
        Self { served, ..self }
    }

    /// The same, with how fast fleets heard.
    pub fn with_fleet(self, fleet: Vec<Fleet>) -> Self {
        Self { fleet, ..self }
    }

    /// All readings, in the order of measuring.
    pub fn readings(&self) -> &[Reading] {
        &self.readings
    }

    /// What a server under load kept of its rate.
    pub fn served(&self) -> &Figure<Served> {
        &self.served
    }

    /// How fast fleets heard, the smallest first; none, if nobody asked.
    pub fn fleet(&self) -> &[Fleet] {
        &self.fleet
    }

    /// What was read for a row and column.
    pub fn get(&self, path: &str, column: Column, shape: Shape) -> Option<&Figures> {
        let cell = |reading: &&Reading| {
            reading.subject.path == path
                && reading.subject.column == column
                && reading.shape == shape
        };
        self.readings
            .iter()
            .find(cell)
            .map(|reading| &reading.figures)
    }

    /// What was read for a subject's id, in the reused shape.
    pub fn find(&self, id: &str) -> Option<&Figures> {
        let same =
            |reading: &&Reading| reading.shape == Shape::Reused && reading.subject.id() == id;
        self.readings
            .iter()
            .find(same)
            .map(|reading| &reading.figures)
    }
}

// Instructions do not mind a neighbour, so callgrind runs on every core; whatever is timed comes afterwards, alone.
fn count_all(wanted: &[(&'static Subject, Shape)], plan: &Plan) -> Vec<Figure<u64>> {
    let callgrind = match &plan.callgrind {
        Ok(callgrind) => callgrind,
        Err(reason) => return vec![Figure::Unknown(reason.clone()); wanted.len()],
    };
    let next = AtomicUsize::new(0);
    let counts = Mutex::new(vec![Figure::Skipped; wanted.len()]);
    let workers = thread::available_parallelism()
        .map_or(1, usize::from)
        .min(8);
    thread::scope(|scope| {
        for _ in 0..workers {
            scope.spawn(|| {
                while let Some((index, (subject, shape))) = take(&next, wanted) {
                    let figure =
                        count::measure(subject, *shape, &callgrind.program, &callgrind.scratch);
                    counts.lock().unwrap_or_else(PoisonError::into_inner)[index] = figure;
                }
            });
        }
    });
    counts.into_inner().unwrap_or_else(PoisonError::into_inner)
}

fn take<'a, T>(next: &AtomicUsize, items: &'a [T]) -> Option<(usize, &'a T)> {
    let index = next.fetch_add(1, Ordering::Relaxed);
    items.get(index).map(|item| (index, item))
}
