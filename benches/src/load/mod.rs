//! Requests a second of a real axum server on loopback, with the whole stack and without.
//!
//! Three servers run, each a process with one thread: one answers from a bare route, one has tower-http's timeout around
//! it, the one layer of the stack that is not ours, and one has everything ([`app`]). They are put under load in turn, a
//! second each, and what counts is the share of the bare one's rate that each of the others reaches in the same *round*:
//! whatever slows the machine for longer than a second slows all. Who comes first changes from round to round, so that a
//! machine which grows slower or faster throughout favours nobody. The median of all rounds is printed with its
//! [`interval`].
//!
//! On a machine whose cores are not all free the rate is that of what the neighbours leave. So the server's own processor
//! time is read as well, and how far it goes: of two routes that take 20 and 25 µs a request, the second keeps 80 %.
//!
//! The handler does nothing, so a share of its requests is the least that any service keeps. What a stack costs is the
//! difference in microseconds, and that is the same in front of a handler that takes a hundred of them.
//!
//! With one thread the server is what limits the rate, and the other core is the load's. On a machine with a single core
//! the two take turns; a share is still one, of less precise readings.
//!
//! Like every time it is never asserted. The instructions and allocations of the same three routes, which do not depend
//! on the machine, are the row `axum-stack`.

pub mod app;
pub mod interval;
pub mod section;
mod server;
mod wrk;

use std::path::Path;
use std::time::{Duration, Instant};

use axum::Router;
use serde::Serialize;

pub use self::server::serve;

use self::interval::{Interval, median};
use self::server::Server;
use crate::figure::Figure;

/// Its name among the rows.
pub const ROW: &str = "served";

/// What a reader sees of that row.
pub const TITLE: &str = "requests a second of axum on loopback, bare and with the whole stack";

/// The share of the bare server's requests a second that the whole stack should keep.
pub const TARGET: f64 = 0.98;

/// How often each is measured: with so many the interval leaves out the three best and the three worst.
const ROUNDS: usize = 15;

/// No round is begun that could end later than this.
const AT_MOST: Duration = Duration::from_secs(58);

/// What is served: its name on the command line and in JSON, what a reader sees, and the routes. All are compared with
/// the first.
const VARIANTS: [Variant; 3] = [
    ("bare", "bare", app::bare),
    ("timeout", "tower-http's timeout alone", app::with_timeout),
    (
        "whole",
        "whole stack: health, degraded, fallback, flag, breaker, timeout",
        app::whole,
    ),
];

type Variant = (&'static str, &'static str, fn() -> Router);

/// What came of all rounds.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Served {
    /// How many there were.
    pub rounds: usize,
    /// How sure each interval is to hold the true median, at least.
    pub confidence: f64,
    /// What each route kept, the bare one first.
    pub routes: Vec<Route>,
}

/// What one route kept of the bare one's requests.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Route {
    /// Its name on the command line.
    pub name: &'static str,
    /// What a reader sees.
    #[serde(skip)]
    pub title: &'static str,
    /// Requests a second.
    pub rate: Kept,
    /// Microseconds of processor time a request, of the server alone; what is kept are the requests that the same time is
    /// enough for.
    pub processor: Figure<Kept>,
}

/// A median of all rounds, and what it says of the requests that are kept.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Kept {
    /// What was read.
    pub median: f64,
    /// The share of the bare route's requests, over rounds; one for the bare route itself.
    pub share: Interval,
}

/// The routes that go by `name` on the command line.
pub fn routes(name: &str) -> Option<Router> {
    let variant = VARIANTS.iter().find(|(known, ..)| *known == name);
    variant.map(|(_, _, routes)| routes())
}

/// Runs the servers as `program` (which must call [`serve`] with the [`routes`] that `--serve` names) and loads them.
///
/// It takes a minute at most.
pub fn measure(program: &Path) -> Figure<Served> {
    match run(program) {
        Ok(served) => Figure::Known(served),
        Err(reason) => Figure::Unknown(reason),
    }
}

/// One second of load on each server.
type Round = [Reading; VARIANTS.len()];

/// One second of load on one server.
#[derive(Debug, Clone)]
struct Reading {
    rate: f64,
    /// Microseconds a request.
    processor: Result<f64, String>,
}

fn run(program: &Path) -> Result<Served, String> {
    wrk::available()?;
    let start = Instant::now();
    let servers = VARIANTS
        .iter()
        .map(|(name, ..)| Server::start(program, name))
        .collect::<Result<Vec<_>, _>>()?;

    // The first run of each warms it up: connections, caches and the clock of a core that was idle.
    let warm = Instant::now();
    round(&servers, 0)?;
    let takes = warm.elapsed();

    let mut rounds = Vec::new();
    while rounds.len() < ROUNDS && start.elapsed() + takes < AT_MOST {
        rounds.push(round(&servers, rounds.len())?);
    }
    summary(&rounds)
}

fn round(servers: &[Server], number: usize) -> Result<Round, String> {
    let mut round = VARIANTS.map(|_| None);
    for which in order(number) {
        round[which] = Some(Reading::of(&servers[which])?);
    }
    Ok(round.map(|reading| reading.unwrap_or_else(|| unreachable!("each had its turn"))))
}

/// Each comes first, in the middle and last equally often.
fn order(number: usize) -> impl Iterator<Item = usize> {
    (0..VARIANTS.len()).map(move |turn| (number + turn) % VARIANTS.len())
}

impl Reading {
    fn of(server: &Server) -> Result<Self, String> {
        let before = server.processor_time();
        let answered = wrk::load(server.uri())?;
        let after = server.processor_time();
        let run = before.and_then(|before| Ok(after? - before));
        Ok(Self {
            rate: answered.per_second,
            processor: run.map(|seconds| seconds * 1e6 / answered.requests),
        })
    }
}

fn summary(rounds: &[Round]) -> Result<Served, String> {
    let route = |(which, (name, title, _)): (usize, &Variant)| {
        let rates = rounds
            .iter()
            .map(|round| Ok((round[which].rate, round[which].rate / round[0].rate)));
        let costs = rounds.iter().map(|round| {
            let cost = round[which].processor.clone()?;
            Ok((cost, round[0].processor.clone()? / cost))
        });
        Ok(Route {
            name,
            title,
            rate: Kept::over(rates)?,
            processor: Kept::over(costs).map_or_else(Figure::Unknown, Figure::Known),
        })
    };
    Ok(Served {
        rounds: rounds.len(),
        confidence: interval::CONFIDENCE,
        routes: VARIANTS
            .iter()
            .enumerate()
            .map(route)
            .collect::<Result<_, String>>()?,
    })
}

impl Kept {
    /// Of what was read in each round, and the share that this is.
    fn over(rounds: impl Iterator<Item = Result<(f64, f64), String>>) -> Result<Self, String> {
        let (read, shares): (Vec<_>, Vec<_>) = rounds.collect::<Result<_, _>>()?;
        match (median(&read), Interval::of(&shares)) {
            (Some(median), Some(share)) => Ok(Self { median, share }),
            _ => Err(format!("{} rounds say nothing", shares.len())),
        }
    }
}

#[cfg(test)]
mod tests;
