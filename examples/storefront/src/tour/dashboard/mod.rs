//! The dashboard, while the services behind it fail: each alone, and all at once.
//!
//! Each has a shop of its own, so that nobody waits for the circuits of the others.

mod checks;
mod part;

use std::{fmt, io::Write, time::Duration};

use axum::http::StatusCode;
use brownout::registry::CircuitState;
use tokio::{task::JoinSet, time::sleep};
use tower::BoxError;

use self::part::{PAGE, Part};
use super::{
    FAILURES,
    answers::Answers,
    ears::Ears,
    opening::Opening,
    promises::{Promises, Tally},
    spell::{Spells, TRIES},
    stage::Stage,
    steps::{Guide, VISITS},
    table::Row,
    visitor::{Crowd, Wish},
};
use crate::{
    settings::{Safeguards, Settings},
    upstream::Fault,
};

/// One for each service that is broken alone, and one for all of them.
pub(super) const SHOPS: usize = Part::ALL.len() + 1;

const FAULTS: [Fault; 4] = [
    Fault::Status(StatusCode::INTERNAL_SERVER_ERROR),
    // Longer than the shop waits, shorter than a visitor does.
    Fault::Latency(Duration::from_secs(3)),
    Fault::Hang,
    Fault::ClosedPort,
];

/// What was seen and checked in one shop.
#[derive(Debug, Default)]
struct Report {
    steps: Vec<Step>,
    promises: Promises,
}

/// A row of the table, for later.
#[derive(Debug)]
struct Step {
    name: String,
    sight: Sight,
    tally: Tally,
}

/// What came of some requests for the dashboard.
#[derive(Debug)]
struct Sight {
    answers: Answers,
    /// Calls that the broken services saw.
    calls: u64,
    /// That of the broken services: open only if all of theirs are.
    circuit: CircuitState,
    level: String,
}

/// Services that fail in the same way at the same time. Printed as the subject of a sentence.
#[derive(Clone, Copy, Debug)]
struct Outage {
    broken: &'static [Part],
    fault: Fault,
}

impl<W: Write> Guide<'_, W> {
    /// Each service fails in each way, and then all of them do.
    pub(super) async fn dashboards(
        &mut self,
        settings: &Settings,
        safeguards: &Safeguards,
        ears: &Ears,
        opening: &Opening,
    ) -> Result<(), BoxError> {
        let alone = Part::ALL.chunks(1);
        let mut shops = JoinSet::new();
        for (n, broken) in (1..).zip(alone.chain([&Part::ALL[..]])) {
            let (settings, safeguards) = (settings.clone(), safeguards.clone());
            let (ears, opening) = (ears.clone(), opening.clone());
            shops.spawn(async move {
                let stage = opening.set(n, &settings, &safeguards, &ears).await;
                (n, visit(stage, broken).await)
            });
        }
        let mut reports = shops.join_all().await;
        reports.sort_unstable_by_key(|(n, _)| *n);
        for (_, report) in reports {
            let Report { steps, promises } = report?;
            self.promises.add(promises);
            for step in steps {
                self.table.row(&step.row())?;
            }
        }
        // They have rows of their own.
        self.promises.tally();
        Ok(())
    }
}

/// Breaks these services of a new shop in each way.
async fn visit(
    stage: Result<Stage, BoxError>,
    broken: &'static [Part],
) -> Result<Report, BoxError> {
    let stage = stage?;
    let mut report = Report::default();
    for fault in FAULTS {
        let outage = Outage { broken, fault };

        let sight = look(&stage, Crowd::InTurn(VISITS), broken).await;
        report.promises.whole(&outage, "before that", &sight);

        set_fault(&stage, &outage, fault).await?;
        let sight = look(&stage, Crowd::Together(FAILURES as usize), broken).await;
        report.promises.dashboard_failing(&outage, &sight);
        report.step(outage.to_string(), sight);

        let mut tries = TRIES;
        let sight = loop {
            let spells = spells(&stage, broken);
            let sight = look(&stage, Crowd::InTurn(VISITS), broken).await;
            tries -= 1;
            if tries == 0 || spells == self::spells(&stage, broken) {
                break sight;
            }
        };
        report.promises.dashboard_open(&outage, &sight);
        report.step("  with its circuit open".to_owned(), sight);

        set_fault(&stage, &outage, Fault::None).await?;
        sleep(due(&stage, broken)).await;
        let sight = look(&stage, Crowd::InTurn(VISITS), broken).await;
        report.promises.whole(&outage, "once healed", &sight);
        report.step("  healed, and seen to be".to_owned(), sight);
    }
    Ok(report)
}

async fn look(stage: &Stage, crowd: Crowd, broken: &[Part]) -> Sight {
    let calls = || -> u64 {
        let seen = broken.iter().map(|part| part.of(stage).0.calls());
        seen.sum()
    };
    let before = calls();
    let answers = stage
        .ask_all(crowd, vec![Wish::Page(PAGE); crowd.size()])
        .await;
    let states = broken.iter().map(|part| part.of(stage).1.circuit().state());
    Sight {
        answers,
        calls: calls() - before,
        circuit: states
            .min_by_key(|state| *state == CircuitState::Open)
            .unwrap_or(CircuitState::Closed),
        level: stage.details().await.level,
    }
}

async fn set_fault(stage: &Stage, outage: &Outage, fault: Fault) -> Result<(), BoxError> {
    for part in outage.broken {
        part.of(stage).0.set_fault(fault).await?;
    }
    Ok(())
}

fn spells(stage: &Stage, broken: &[Part]) -> Spells {
    Spells::of(broken.iter().map(|part| part.of(stage).1.circuit()))
}

/// When the services are called again. Without the breaker the model has failed so often that its flag has stepped back.
fn due(stage: &Stage, broken: &[Part]) -> Duration {
    let circuits = broken.iter().map(|part| part.of(stage).1.circuit());
    let circuits = circuits.filter_map(|circuit| circuit.stats().retry_after);
    let flag = stage.flag().stats().ends_after;
    circuits.chain(flag).max().unwrap_or_default()
}

impl Report {
    fn step(&mut self, name: String, sight: Sight) {
        let tally = self.promises.tally();
        self.steps.push(Step { name, sight, tally });
    }
}

impl Step {
    fn row(&self) -> Row<'_> {
        Row {
            step: &self.name,
            answers: &self.sight.answers,
            from: part::count(&self.sight.answers),
            calls: self.sight.calls,
            circuit: self.sight.circuit,
            level: &self.sight.level,
            promises: self.tally,
        }
    }
}

impl fmt::Display for Outage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a dashboard whose ")?;
        match self.broken {
            [part] => write!(f, "{} service", part.name())?,
            _ => f.write_str("every service")?,
        }
        match self.fault {
            Fault::Status(status) => write!(f, " answers {}", status.as_u16()),
            Fault::Latency(_) => f.write_str(" is slow"),
            Fault::Hang => f.write_str(" hangs"),
            Fault::ClosedPort => f.write_str(" is dead"),
            other => write!(f, " has the fault {other}"),
        }
    }
}
