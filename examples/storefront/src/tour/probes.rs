//! What probes know though nobody asks for anything: that services are down, and that they are back.
//!
//! This shop has no visitors until they are known to be down, and none again until they are known to be back. So whatever
//! is seen is the probes' doing.

use std::{fmt, io::Write, time::Duration};

use axum::http::StatusCode;
use tower::BoxError;

use super::{
    answers::Answers,
    checks::{QUICK, limit},
    details::Details,
    ears::Ears,
    health::Word,
    opening::Opening,
    promises::Promises,
    stage::Stage,
    steps::{Guide, VISITS},
    visitor::{Crowd, Wish},
    watches::Watches,
};
use crate::{
    probes::ProbeTimes,
    settings::{Safeguards, Settings},
    upstream::Fault,
};

/// Often enough for a tour. A probe has all of that time, and a busy machine takes some.
pub(super) const OFTEN: ProbeTimes = ProbeTimes {
    every: Duration::from_millis(300),
    fall: 2,
    rise: 2,
};
/// How soon probes know: the times above, the dwell of the level, and what a busy machine adds.
const SOON: Duration = Duration::from_secs(5);

const FAULTS: [Fault; 3] = [
    Fault::Status(StatusCode::INTERNAL_SERVER_ERROR),
    Fault::Hang,
    Fault::ClosedPort,
];
/// Pages, and where what they show comes from while nobody behind them is asked.
const PAGES: [(&str, &str); 3] = [
    ("/api/v1/recommendations", "popular"),
    ("/api/v1/users/999999/profile", "minimal"),
    ("/api/v1/dashboard?user_id=42", "fallback"),
];

/// Services that all fail in one way. Printed as the subject of a sentence.
#[derive(Clone, Copy, Debug)]
struct Outage(Fault);

/// Visits a shop of its own, and says which promises it kept.
pub(super) async fn visit(
    settings: &Settings,
    safeguards: &Safeguards,
    ears: &Ears,
    opening: &Opening,
) -> Result<Promises, BoxError> {
    let settings = Settings {
        probes: OFTEN,
        ..settings.clone()
    };
    let stage = opening.set(0, &settings, safeguards, ears).await?;
    let mut promises = Promises::default();
    let mut watches = Watches::of(stage.machine()).await;
    for outage in FAULTS.map(Outage) {
        stage.details_when(SOON, Details::is_well).await;
        let calls = stage.calls();
        stage.break_all(outage.0).await?;
        if !known_to_be_down(&stage, outage, &mut watches, &mut promises).await {
            // What follows would only be waited for.
            break;
        }
        not_asked(&stage, outage, calls, &mut promises).await;
        stage.break_all(Fault::None).await?;
        if !known_to_be_back(&stage, outage, calls, &mut watches, &mut promises).await {
            break;
        }
        served_again(&stage, outage, &mut promises).await;
    }
    Ok(promises)
}

async fn known_to_be_down(
    stage: &Stage,
    outage: Outage,
    watches: &mut Watches,
    promises: &mut Promises,
) -> bool {
    let seen = stage
        .details_when(SOON, |seen| seen.are_all("unhealthy"))
        .await;
    promises.check(
        format!(
            "{outage} are known to be down within {}, though nobody asks for them",
            limit(SOON)
        ),
        seen.are_all("unhealthy"),
        seen.states(),
    );
    if !seen.are_all("unhealthy") {
        return false;
    }
    promises.health(
        &format!("while {outage} are known to be down"),
        &stage.health().await,
        Word::Fail,
    );
    promises.check(
        format!("while {outage} are known to be down, the level is emergency"),
        seen.level == "emergency",
        format!("it was {}", seen.level),
    );
    watches
        .hear(
            "NOT_SERVING",
            &format!("that {outage} are down"),
            SOON,
            promises,
        )
        .await;
    true
}

/// Customers are served by others at once, and nobody waits for a circuit to open.
async fn not_asked(stage: &Stage, outage: Outage, calls: u64, promises: &mut Promises) {
    for (page, tier) in PAGES {
        let answers = stage
            .ask_all(Crowd::InTurn(VISITS), vec![Wish::Page(page); VISITS])
            .await;
        let mark = format!(";tier={tier};reason=unhealthy");
        promises.check(
            format!("while {outage} are known to be down, {page} comes from {tier} and says why"),
            answers.are_all(StatusCode::OK)
                && answers.iter().all(|answer| {
                    answer
                        .degraded
                        .as_ref()
                        .is_some_and(|said| said.contains(&mark))
                }),
            told(&answers),
        );
        promises.check(
            format!(
                "while {outage} are known to be down, {page} costs at most {}",
                limit(QUICK)
            ),
            answers.median() <= QUICK,
            format!("the median was {:?}", answers.median()),
        );
    }
    let asked = stage.calls() - calls;
    promises.check(
        format!("{outage} are not asked while they are known to be down"),
        asked == 0,
        format!("they saw {asked} calls"),
    );
}

/// What degradation switched off is not needed to see the recovery.
async fn known_to_be_back(
    stage: &Stage,
    outage: Outage,
    calls: u64,
    watches: &mut Watches,
    promises: &mut Promises,
) -> bool {
    let seen = stage.details_when(SOON, Details::is_well).await;
    let when = format!("once {outage} are healed");
    promises.check(
        format!(
            "{when}, that is known within {}, though nobody asks for them",
            limit(SOON)
        ),
        seen.are_all("healthy") && seen.is_full() && stage.calls() == calls,
        format!(
            "{}, the level was {}, and there were {} calls",
            seen.states(),
            seen.level,
            stage.calls() - calls
        ),
    );
    if !seen.is_well() {
        return false;
    }
    promises.health(&when, &stage.health().await, Word::Pass);
    watches
        .hear(
            "SERVING",
            &format!("that {outage} are healed"),
            SOON,
            promises,
        )
        .await;
    true
}

async fn served_again(stage: &Stage, outage: Outage, promises: &mut Promises) {
    let before = stage.calls();
    let wishes = PAGES.map(|(page, _)| Wish::Page(page)).into();
    let answers = stage.ask_all(Crowd::InTurn(PAGES.len()), wishes).await;
    let asked = stage.calls() - before;
    promises.check(
        format!("once {outage} are healed, they are asked again"),
        // A page each, and a dashboard of five; of customer 999999 the users service knows that there is none.
        answers.are_unmarked() && asked == 7,
        format!(
            "they saw {asked} calls, and the answers were {}",
            told(&answers)
        ),
    );
}

impl<W: Write> Guide<'_, W> {
    /// Takes over what was seen in the shop that is probed often.
    pub(super) fn probed(&mut self, seen: Promises) -> Result<(), BoxError> {
        self.promises.add(seen);
        let tally = self.promises.tally();
        Ok(self.table.note("a shop whose services are probed", tally)?)
    }
}

fn told(answers: &Answers) -> String {
    let marks = answers
        .iter()
        .map(|answer| answer.degraded.as_deref().unwrap_or("nothing"));
    format!(
        "{answers}, saying {}",
        marks.collect::<Vec<_>>().join(" and ")
    )
}

impl fmt::Display for Outage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.0 {
            Fault::Status(_) => "services that answer 500",
            Fault::Hang => "services that hang",
            Fault::ClosedPort => "dead services",
            _ => "services that fail",
        })
    }
}
