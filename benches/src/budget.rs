//! The rows of the table, in order, and what each may cost in our column.

use crate::drive::Shape;

/// One row: something that a service does, which several crates offer.
#[derive(Debug, Clone, Copy)]
pub struct Path {
    /// Its name on the command line and in a subject's id.
    pub id: &'static str,
    /// What a reader sees.
    pub title: &'static str,
    /// What our column may cost, with one instance used again and again.
    pub budget: Budget,
}

/// What our column may cost; `None` is no budget.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Budget {
    /// Instructions a call.
    pub instructions: Option<Ceiling>,
    /// Allocations a call.
    pub allocations: Option<u32>,
    /// Two threads ÷ one.
    pub scaling: Option<Floor>,
}

/// The most instructions a call may take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ceiling {
    /// So many.
    AtMost(u64),
    /// So many more than another subject takes in the same run.
    Beyond(u64, &'static str),
    /// So many times what another subject takes in the same run.
    Times(u64, &'static str),
}

impl Ceiling {
    /// The subject without which it says nothing.
    pub const fn leans_on(self) -> Option<&'static str> {
        match self {
            Self::AtMost(_) => None,
            Self::Beyond(_, other) | Self::Times(_, other) => Some(other),
        }
    }
}

/// The least that a second thread must add, where two private counters reach 2.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Floor {
    /// A miss fails the run.
    Gated(f64),
    /// Printed only: a plain read is a load, and its ratio is the machine's, not ours.
    Shown(f64),
}

impl Path {
    /// What our column may cost in `shape`. A clone for each call must not allocate; its scaling is only shown, and its
    /// instructions have no budget.
    pub fn budget(&self, shape: Shape) -> Budget {
        match shape {
            Shape::Reused => self.budget,
            Shape::Cloned => Budget {
                allocations: self.budget.allocations,
                ..NONE
            },
        }
    }
}

/// The path of that id.
pub fn find(id: &str) -> Option<&'static Path> {
    PATHS.iter().find(|path| path.id == id)
}

const NONE: Budget = Budget {
    instructions: None,
    allocations: None,
    scaling: None,
};

/// A layer's law, whatever else it costs.
const ALLOCATES_NOTHING: Budget = Budget {
    allocations: Some(0),
    ..NONE
};

const fn gated(instructions: Ceiling, scaling: f64) -> Budget {
    Budget {
        instructions: Some(instructions),
        allocations: Some(0),
        scaling: Some(Floor::Gated(scaling)),
    }
}

const fn read(instructions: u64) -> Budget {
    Budget {
        instructions: Some(Ceiling::AtMost(instructions)),
        allocations: Some(0),
        scaling: Some(Floor::Shown(1.8)),
    }
}

const fn path(id: &'static str, title: &'static str, budget: Budget) -> Path {
    Path { id, title, budget }
}

/// Every row, in the order of the table.
pub const PATHS: &[Path] = &[
    path("bare", "bare inner service", NONE),
    path(
        "breaker-consecutive",
        "breaker closed, consecutive failures, success",
        gated(Ceiling::AtMost(70), 1.7),
    ),
    path(
        "breaker-count",
        "breaker closed, count window of 100, success",
        ALLOCATES_NOTHING,
    ),
    path(
        "breaker-window",
        "breaker closed, time window holding 100 calls, success",
        gated(Ceiling::AtMost(160), 1.7),
    ),
    path(
        "breaker-window-1000",
        "… holding 1,000 calls",
        gated(Ceiling::AtMost(160), 1.7),
    ),
    path(
        "breaker-window-10000",
        "… holding 10,000 calls",
        gated(Ceiling::AtMost(160), 1.7),
    ),
    path(
        "breaker-window-failure",
        "… failure",
        gated(Ceiling::AtMost(300), 1.7),
    ),
    path(
        "breaker-window-failure-64",
        "… failure, counted in 64 stripes",
        ALLOCATES_NOTHING,
    ),
    path(
        "breaker-window-slow",
        "… with slow ratio, success",
        gated(Ceiling::AtMost(230), 1.7),
    ),
    path(
        "breaker-window-coarse",
        "… with the coarse clock, success",
        gated(Ceiling::AtMost(120), 1.7),
    ),
    path(
        "breaker-window-metrics",
        "… with metrics recorded, success",
        Budget {
            instructions: Some(Ceiling::Beyond(120, "breaker-window/brownout")),
            allocations: Some(0),
            scaling: None,
        },
    ),
    path(
        "breaker-open",
        "breaker open, rejected",
        gated(Ceiling::AtMost(130), 1.7),
    ),
    path(
        "breaker-open-boxed",
        "breaker open, rejected with a boxed error",
        // What a box costs is the allocator's affair, so it is shown; that there is one at most is ours.
        Budget {
            instructions: None,
            allocations: Some(1),
            ..gated(Ceiling::AtMost(130), 1.7)
        },
    ),
    path(
        "fallback-untaken",
        "fallback not taken",
        gated(Ceiling::AtMost(25), 1.8),
    ),
    path(
        "fallback-taken",
        "fallback taken",
        gated(Ceiling::AtMost(60), 1.8),
    ),
    path(
        "pair",
        "breaker with fallback, closed, success",
        ALLOCATES_NOTHING,
    ),
    path(
        "pair-open",
        "breaker with fallback, open, the fallback answers",
        ALLOCATES_NOTHING,
    ),
    path(
        "flag-enabled",
        "flag enabled, counting by ratio, success",
        gated(Ceiling::AtMost(100), 1.7),
    ),
    path("flag-state", "flag's state read", read(20)),
    path("health-level", "health level read", read(10)),
    path(
        "health-status",
        "dependency status read (ours by handle, theirs by name)",
        read(10),
    ),
    path("health-pick", "one healthy resource of three", NONE),
    path(
        "report-unchanged",
        "report that changes nothing",
        gated(Ceiling::AtMost(100), 1.0),
    ),
    path(
        "report-changed-10",
        "report that changes a status, 10 dependencies registered",
        NONE,
    ),
    path(
        "report-changed-100000",
        "… 100,000 dependencies registered",
        Budget {
            instructions: Some(Ceiling::Times(2, "report-changed-10/brownout")),
            ..NONE
        },
    ),
    path(
        "aggregate-5",
        "aggregate of five ready parts",
        Budget {
            instructions: Some(Ceiling::AtMost(1_500)),
            allocations: Some(2),
            scaling: None,
        },
    ),
    path(
        "stack",
        "stack of four on success: fallback, breaker, timeout, and flag (ours) or bulkhead (theirs)",
        gated(Ceiling::Beyond(350, "timeout/tower"), 1.7),
    ),
    path("http", "bare HTTP exchange, body read to its end", NONE),
    path("health-livez", "`/livez` answered", NONE),
    path(
        "health-readyz",
        "`/readyz` answered, one dependency needed",
        NONE,
    ),
    path("health-word", "`/health` answered with one word", NONE),
    path(
        "health-details",
        "details of three dependencies (ours as the JSON of `/health`, theirs as a list)",
        NONE,
    ),
    path(
        "health-passed",
        "HTTP exchange through the health layer, another path",
        ALLOCATES_NOTHING,
    ),
    path(
        "degraded-passed",
        "HTTP exchange through the layer that collects marks, none made",
        ALLOCATES_NOTHING,
    ),
    path(
        "report-success",
        "passive report, success",
        ALLOCATES_NOTHING,
    ),
    path(
        "axum-stack",
        "axum route with the whole stack around it (tower: with tower-http's timeout alone; floor: bare)",
        NONE,
    ),
    path("timeout", "timeout", NONE),
    path("retry", "retry", NONE),
    path("load-shed", "load shed", NONE),
    path("concurrency-limit", "concurrency limit", NONE),
    path("fetch-add", "one shared counter, relaxed `fetch_add`", NONE),
    path("mutex", "one shared mutex", NONE),
    path("arc-clone", "clone and drop an `Arc`", NONE),
    path("arc-swap-cache", "arc-swap `Cache` load", NONE),
    path("coarse-clock", "coarse clock", NONE),
    path("instant-now", "`Instant::now`", NONE),
    path("box-future", "box a future", NONE),
    path("string-clone", "clone a 9-byte `String`", NONE),
];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::subjects;
    use std::collections::HashSet;

    #[test]
    fn no_two_rows_share_a_name() {
        let names: HashSet<_> = PATHS.iter().map(|path| path.id).collect();
        assert_eq!(names.len(), PATHS.len());
    }

    #[test]
    fn a_budget_that_leans_on_another_subject_names_it() {
        for path in PATHS {
            if let Some(other) = path.budget.instructions.and_then(Ceiling::leans_on) {
                assert!(
                    subjects::find(other).is_some(),
                    "{} leans on {other}, which is not measured",
                    path.id
                );
            }
        }
    }

    #[test]
    fn a_clone_for_each_call_has_a_budget_of_allocations_only() {
        let cloned = find("breaker-open")
            .expect("is a row")
            .budget(Shape::Cloned);
        assert_eq!(
            cloned,
            Budget {
                allocations: Some(0),
                ..NONE
            }
        );
    }
}
