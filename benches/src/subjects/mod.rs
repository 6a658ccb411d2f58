//! Everything that is measured: one file a peer or pattern, each configured alike.
//!
//! Alike means: breakers trip at 50 % of at least 20 calls in ten seconds, or at five consecutive failures; they stay
//! open for an hour, so that an open one is open throughout; no listener, no metrics, no log; errors are values without
//! data. What a peer cannot be told stays at its default.

use std::fmt;

use crate::drive::{Answer, Drive, Shape};

mod axum_stack;
pub mod backend;
mod brownout_aggregate;
mod brownout_breaker;
mod brownout_fallback;
mod brownout_flag;
mod brownout_registry;
mod brownout_report;
mod brownout_stack;
mod exchange;
mod failsafe;
mod limits;
mod recloser;
mod seatbelt;
mod tower_resilience;
mod tower_resilience_health;
mod tower_stack;

/// A column of the table: who made what is measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Column {
    /// Our own.
    Brownout,
    /// tower's own layers.
    Tower,
    /// The tower-resilience crates, 0.14.
    TowerResilience,
    /// seatbelt 0.11, used as tower services.
    Seatbelt,
    /// failsafe 1.3.
    Failsafe,
    /// recloser 1.4.
    Recloser,
    /// What no layer can beat: the bare service, single operations that layers are made of, and what one would write by
    /// hand instead.
    Floor,
}

impl Column {
    /// All columns, in the order of the table.
    pub const ALL: [Self; 7] = [
        Self::Brownout,
        Self::Tower,
        Self::TowerResilience,
        Self::Seatbelt,
        Self::Failsafe,
        Self::Recloser,
        Self::Floor,
    ];

    /// The word in a subject's id.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Brownout => "brownout",
            Self::Tower => "tower",
            Self::TowerResilience => "tower-resilience",
            Self::Seatbelt => "seatbelt",
            Self::Failsafe => "failsafe",
            Self::Recloser => "recloser",
            Self::Floor => "floor",
        }
    }

    /// The heading in the table.
    pub const fn heading(self) -> &'static str {
        match self {
            Self::Brownout => "**brownout**",
            Self::Tower => "tower 0.5",
            Self::TowerResilience => "tower-resilience 0.14",
            Self::Seatbelt => "seatbelt 0.11",
            Self::Failsafe => "failsafe 1.3",
            Self::Recloser => "recloser 1.4",
            Self::Floor => "floor",
        }
    }
}

/// One service or operation under test.
#[derive(Clone, Copy)]
pub struct Subject {
    /// The row it fills: a path of [`budget::PATHS`](crate::budget::PATHS).
    pub path: &'static str,
    /// The column it fills.
    pub column: Column,
    /// What each call must answer, if it is in the state that its row names.
    pub answer: Answer,
    /// Whether it is a service, which callers clone; an operation is not.
    pub is_service: bool,
    /// Whether two threads are run on it. Not where each call changes what the next one costs.
    pub scales: bool,
    /// After how many calls it must be built anew, because each call makes the next one dearer.
    pub span: Option<u64>,
    build: fn() -> Box<dyn Drive>,
}

impl Subject {
    /// A service that succeeds.
    pub(crate) const fn service(
        path: &'static str,
        column: Column,
        build: fn() -> Box<dyn Drive>,
    ) -> Self {
        Self {
            path,
            column,
            answer: Answer::Success,
            is_service: true,
            scales: true,
            span: None,
            build,
        }
    }

    /// An operation that is no service.
    pub(crate) const fn operation(
        path: &'static str,
        column: Column,
        build: fn() -> Box<dyn Drive>,
    ) -> Self {
        Self {
            is_service: false,
            ..Self::service(path, column, build)
        }
    }

    /// The same, each call answering an error.
    pub(crate) const fn failing(self) -> Self {
        Self {
            answer: Answer::Failure,
            ..self
        }
    }

    /// The same, to be built anew after so many calls.
    pub(crate) const fn spanning(self, calls: u64) -> Self {
        Self {
            span: Some(calls),
            scales: false,
            ..self
        }
    }

    /// Builds it, in the state that its row names.
    pub fn build(&self) -> Box<dyn Drive> {
        (self.build)()
    }

    /// Its name on the command line: `path/column`.
    pub fn id(&self) -> String {
        format!("{}/{}", self.path, self.column.name())
    }

    /// Whether `shape` means anything for it. A subject that must be built anew is measured in one shape only: what it
    /// shows is growth, not cloning.
    pub fn has(&self, shape: Shape) -> bool {
        shape == Shape::Reused || (self.is_service && self.span.is_none())
    }
}

impl fmt::Debug for Subject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Subject").field(&self.id()).finish()
    }
}

/// All subjects, ours first.
pub fn all() -> impl Iterator<Item = &'static Subject> {
    [
        brownout_breaker::SUBJECTS,
        brownout_fallback::SUBJECTS,
        brownout_flag::SUBJECTS,
        brownout_registry::SUBJECTS,
        brownout_aggregate::SUBJECTS,
        brownout_report::SUBJECTS,
        brownout_stack::SUBJECTS,
        axum_stack::SUBJECTS,
        tower_stack::SUBJECTS,
        tower_resilience::SUBJECTS,
        tower_resilience_health::SUBJECTS,
        seatbelt::SUBJECTS,
        failsafe::SUBJECTS,
        recloser::SUBJECTS,
        limits::SUBJECTS,
    ]
    .into_iter()
    .flatten()
}

/// The subject of that id.
pub fn find(id: &str) -> Option<&'static Subject> {
    all().find(|subject| subject.id() == id)
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;
    use crate::budget::PATHS;
    use crate::drive::runtime;

    #[test]
    fn every_subject_is_in_the_state_that_its_row_names() {
        let _context = runtime().enter();
        for subject in all() {
            let mut drive = subject.build();
            let calls = subject.span.unwrap_or(1_000);
            assert_eq!(drive.answer(), subject.answer, "{subject:?}, first call");
            for shape in Shape::ALL.into_iter().filter(|shape| subject.has(*shape)) {
                drive.run(shape, calls);
            }
            assert_eq!(drive.answer(), subject.answer, "{subject:?}, last call");
            assert_eq!(
                drive.fork().answer(),
                subject.answer,
                "{subject:?}, on a clone"
            );
        }
    }

    #[test]
    fn the_headings_name_the_versions_that_are_measured() {
        let lock = concat!(env!("CARGO_MANIFEST_DIR"), "/../Cargo.lock");
        let lock = std::fs::read_to_string(lock).expect("the workspace has a lock file");
        let measured = [
            (Column::Tower, "tower"),
            (Column::TowerResilience, "tower-resilience-circuitbreaker"),
            (Column::Seatbelt, "seatbelt"),
            (Column::Failsafe, "failsafe"),
            (Column::Recloser, "recloser"),
        ];
        for (column, package) in measured {
            let heading = column.heading();
            let version = heading.rsplit(' ').next().unwrap_or_default();
            let entry = format!("name = \"{package}\"\nversion = \"{version}.");
            assert!(
                lock.contains(&entry),
                "the lock file holds another {package} than `{heading}`"
            );
        }
    }

    #[test]
    fn every_subject_has_an_id_and_a_row_of_its_own() {
        let mut ids = HashSet::new();
        for subject in all() {
            assert!(ids.insert(subject.id()), "{subject:?} is listed twice");
            assert!(
                PATHS.iter().any(|path| path.id == subject.path),
                "{subject:?} fills no row"
            );
        }
    }
}
