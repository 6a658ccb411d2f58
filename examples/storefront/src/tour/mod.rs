//! The tour: a scripted outage of a running shop, by real requests, with the shop's promises checked at each step.
//!
//! What happens is written in [`steps`], and what the shop promises in [`checks`]; without the safeguard that keeps it, a promise is broken, and the
//! tour says so.

mod answers;
mod checks;
mod dashboard;
mod details;
mod ears;
mod feature;
mod health;
mod machine;
mod metrics;
mod opening;
mod outages;
mod probes;
pub(crate) mod promises;
mod purchases;
mod sights;
mod spell;
mod stage;
mod steps;
pub(crate) mod table;
mod visitor;
mod watches;

use std::{
    io::{self, Write},
    path::Path,
    time::Duration,
};

use brownout::{breaker::Policy, core::ConfigError, flag::FlagBuilder};
use tower::BoxError;

use self::{
    ears::Ears, opening::Opening, outages::outages, promises::Promises, stage::Stage, steps::Guide,
    table::Table,
};
use crate::{
    outbox::ReplayTimes,
    probes::ProbeTimes,
    settings::{Patience, Safeguards, Settings},
};

/// So many failures in a row open a circuit of the tour.
const FAILURES: u32 = 3;
/// How long a circuit of the tour stays open.
const OPEN_FOR: Duration = Duration::from_secs(1);
/// So many errors degrade the flag of the model.
const ERRORS: u32 = 5;
/// How long an error counts for it: less than a circuit stays open, so that one outage is not added to the next.
const ERRORS_COUNT_FOR: Duration = Duration::from_millis(900);
/// How long the flag then stays degraded.
const DEGRADED_FOR: Duration = Duration::from_secs(1);
/// How long the shop of the tour waits for an answer.
const PATIENCE: Duration = Duration::from_millis(500);
/// How long the level of the tour's shop lingers.
const DWELL: Duration = Duration::from_millis(500);
/// The tour's first shop is probed once, when it opens, so that what its circuits do is seen alone. Others are probed
/// [often](probes::OFTEN).
const RARELY: ProbeTimes = ProbeTimes {
    every: Duration::from_hours(1),
    fall: 1,
    rise: 1,
};
/// How long the tour's shop waits between payments that it makes up for.
const PACE: Duration = Duration::from_millis(50);

/// How a tour ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    AllKept,
    Broken,
}

/// Runs the tour and writes what happens to `out`.
///
/// # Errors
///
/// The tour could not be run to its end; that says nothing about the promises.
pub(crate) async fn run(
    safeguards: &Safeguards,
    out: &mut impl Write,
) -> Result<Verdict, BoxError> {
    introduce(safeguards, out)?;
    // Dropped last, when nobody uses the database any more.
    let data_dir = tempfile::tempdir()?;
    let settings = settings(data_dir.path())?;
    let ears = Ears::default();
    let mut guide = Guide {
        stage: Stage::set(&settings, safeguards, &ears).await?,
        promises: Promises::default(),
        table: Table::new(out)?,
    };
    guide.all_well("before").await?;
    for outage in outages() {
        guide.outage(&outage).await?;
    }
    guide.feature().await?;
    let opening = Opening::of(dashboard::SHOPS + 1);
    let probed = probes::visit(&settings, safeguards, &ears, &opening);
    let dashboards = guide.dashboards(&settings, safeguards, &ears, &opening);
    let (probed, ()) = tokio::try_join!(probed, dashboards)?;
    guide.probed(probed)?;
    guide.all_well("afterwards").await?;
    let page = guide.stage.metrics().await;
    guide.promises.metrics_are_named(&page);
    let audit = guide.stage.purchases.audit(guide.stage.ledger());
    guide.promises.ledger(&audit);
    ears.judge(&mut guide.promises);

    let promises = guide.promises;
    writeln!(
        out,
        "\nOf the payments, {} were charged at once and {} queued; {} were charged twice, and {} were lost.\n",
        audit.charged,
        audit.queued,
        audit.twice,
        audit.charged_and_lost + audit.queued_and_lost,
    )?;
    promises.conclude(out)
}

fn introduce(safeguards: &Safeguards, out: &mut impl Write) -> io::Result<()> {
    writeln!(
        out,
        "A shop and the services behind it run on loopback; each service is broken in turn, and then all at once, under\n\
         real requests.\n\
         So that healing shows, the times here are short: the shop waits {PATIENCE:?} for an answer, a circuit opens\n\
         after {FAILURES} failures and stays open for {OPEN_FOR:?}, a flag degrades after {ERRORS} errors for {DEGRADED_FOR:?}, and the\n\
         level lingers for {DWELL:?}. Services are probed once an hour, but for one shop, which probes them every {:?}.",
        probes::OFTEN.every,
    )?;
    if let Some(left_out) = safeguards.left_out() {
        writeln!(out, "WITHOUT: {left_out}")?;
    }
    writeln!(out)
}

/// Short times, so that healing shows.
fn settings(data_dir: &Path) -> Result<Settings, ConfigError> {
    Ok(Settings {
        patience: Patience {
            recommendations: PATIENCE,
            users: PATIENCE,
            payments: PATIENCE,
            orders: PATIENCE,
            notifications: PATIENCE,
            balance: PATIENCE,
            dashboard: Patience::DASHBOARD,
        },
        circuit: Policy::builder()
            .no_failure_ratio()
            .consecutive_failures(FAILURES)
            .open_for(OPEN_FOR)
            .open_for_at_most(OPEN_FOR)
            .jitter(0.0)
            .build()?,
        flag: short_flag,
        dwell: DWELL,
        probes: RARELY,
        replay: ReplayTimes {
            pace: PACE,
            after_failure: PACE,
        },
        data_dir: data_dir.to_owned(),
        fleet: None,
    })
}

fn short_flag(flag: FlagBuilder) -> FlagBuilder {
    flag.errors(ERRORS)
        .window(ERRORS_COUNT_FOR)
        .ttl(DEGRADED_FOR)
        .ttl_at_most(DEGRADED_FOR)
        .jitter(0.0)
        .no_ramp()
}
