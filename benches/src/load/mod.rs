//! Requests a second of a real axum server on loopback, with the whole stack and without.
//!
//! Two servers run, each a process with one thread: one answers from a bare route, the other has everything around it
//! ([`app`]). They are put under load in turn, a second each, and what counts is the share of the bare one's rate that
//! the other reaches in each *pair* of runs: whatever slows the machine for longer than a second slows both. Who comes
//! first alternates, so that a machine which grows slower or faster throughout favours nobody. The median of all pairs is
//! printed with its [`interval`].
//!
//! On a machine whose cores are not all free the rate is that of what the neighbours leave. So the server's own processor
//! time is read as well, and how far it goes: of two routes that take 20 and 25 µs a request, the second keeps 80 %.
//!
//! With one thread the server is what limits the rate, and the other core is the load's. On a machine with a single core
//! the two take turns; a share is still one, of less precise readings.
//!
//! Like every time it is never asserted. The instructions and allocations of the same two routes, which do not depend on
//! the machine, are the row `axum-stack`.

pub mod app;
pub mod interval;
pub mod section;
mod server;
mod wrk;

use std::path::Path;
use std::time::{Duration, Instant};

use serde::Serialize;

pub use self::server::serve;

use self::interval::Interval;
use self::server::Server;
use crate::figure::Figure;

/// Its name among the rows.
pub const ROW: &str = "served";

/// What a reader sees of that row.
pub const TITLE: &str = "requests a second of axum on loopback, bare and with the whole stack";

/// The share of the bare server's requests a second that the whole stack should keep.
pub const TARGET: f64 = 0.98;

/// How often both are measured: with so many the interval leaves out the six best and the six worst.
const PAIRS: usize = 24;

/// No pair is begun that could end later than this.
const AT_MOST: Duration = Duration::from_secs(58);

/// What is measured, each by its name on the command line.
const BARE: &str = "bare";
const WHOLE: &str = "whole";

/// What the whole stack leaves of a server's rate.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Served {
    /// How many pairs of runs there were.
    pub pairs: usize,
    /// How sure each interval is to hold the true median, at least.
    pub confidence: f64,
    /// Requests a second.
    pub rate: Compared,
    /// Microseconds of processor time a request, of the server alone. The share is that of the requests which the same
    /// time is enough for.
    pub processor: Figure<Compared>,
}

/// Both routes, by their medians, and the share of the bare one's requests that the whole stack keeps.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Compared {
    /// The bare route.
    pub bare: f64,
    /// The route with the whole stack.
    pub whole: f64,
    /// Over pairs of runs.
    pub share: Interval,
}

/// The route that goes by `name` on the command line.
pub fn routes(name: &str) -> Option<axum::Router> {
    match name {
        BARE => Some(app::bare()),
        WHOLE => Some(app::whole()),
        _ => None,
    }
}

/// Runs both servers as `program` (which must call [`serve`] with the [`routes`] that `--serve` names) and loads them.
///
/// It takes a minute at most.
pub fn measure(program: &Path) -> Figure<Served> {
    match run(program) {
        Ok(served) => Figure::Known(served),
        Err(reason) => Figure::Unknown(reason),
    }
}

fn run(program: &Path) -> Result<Served, String> {
    wrk::available()?;
    let start = Instant::now();
    let bare = Server::start(program, BARE)?;
    let whole = Server::start(program, WHOLE)?;
    // The first run of each warms it up: connections, caches and the clock of a core that was idle.
    Reading::of(&bare)?;
    let warm = Instant::now();
    Reading::of(&whole)?;
    let pair_takes = warm.elapsed() * 2;

    let mut pairs = Vec::new();
    while pairs.len() < PAIRS && start.elapsed() + pair_takes < AT_MOST {
        let bare_first = pairs.len().is_multiple_of(2);
        pairs.push(if bare_first {
            let bare = Reading::of(&bare)?;
            (bare, Reading::of(&whole)?)
        } else {
            let whole = Reading::of(&whole)?;
            (Reading::of(&bare)?, whole)
        });
    }
    summary(&pairs)
}

/// One run on one server.
#[derive(Debug, Clone)]
struct Reading {
    rate: f64,
    /// Microseconds a request.
    processor: Result<f64, String>,
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

fn summary(pairs: &[(Reading, Reading)]) -> Result<Served, String> {
    let rates: Vec<_> = pairs
        .iter()
        .map(|(bare, whole)| (bare.rate, whole.rate))
        .collect();
    let costs: Result<Vec<_>, _> = pairs
        .iter()
        .map(|(bare, whole)| Ok((bare.processor.clone()?, whole.processor.clone()?)))
        .collect();
    let rate = Compared::of(&rates, |(bare, whole)| whole / bare)?;
    let processor =
        costs.and_then(|costs: Vec<_>| Compared::of(&costs, |(bare, whole)| bare / whole));
    Ok(Served {
        pairs: pairs.len(),
        confidence: interval::CONFIDENCE,
        rate,
        processor: processor.map_or_else(Figure::Unknown, Figure::Known),
    })
}

impl Compared {
    fn of(pairs: &[(f64, f64)], share: impl Fn(&(f64, f64)) -> f64) -> Result<Self, String> {
        let shares: Vec<_> = pairs.iter().map(share).collect();
        let (bare, whole): (Vec<_>, Vec<_>) = pairs.iter().copied().unzip();
        match (median(bare), median(whole), Interval::of(&shares)) {
            (Some(bare), Some(whole), Some(share)) => Ok(Self { bare, whole, share }),
            _ => Err(format!("{} pairs of runs say nothing", pairs.len())),
        }
    }
}

fn median(mut readings: Vec<f64>) -> Option<f64> {
    readings.sort_by(f64::total_cmp);
    interval::median(&readings)
}

#[cfg(test)]
mod tests {
    use axum::body::{Body, to_bytes};
    use http::{Request, StatusCode};
    use tower::ServiceExt;

    use super::*;
    use crate::drive::runtime;

    fn asked(name: &str, path: &str) -> (StatusCode, String) {
        let routes = routes(name).expect("is a name");
        runtime().block_on(async {
            let request = Request::get(path).body(Body::empty()).expect("is a path");
            let answer = routes.oneshot(request).await.expect("cannot fail");
            let status = answer.status();
            let body = to_bytes(answer.into_body(), 1_024).await.expect("arrives");
            (status, String::from_utf8_lossy(&body).into_owned())
        })
    }

    #[test]
    fn both_routes_answer_alike_and_only_one_has_the_stack() {
        let hello = (StatusCode::OK, "hello".to_owned());
        assert_eq!(asked("bare", "/"), hello);
        assert_eq!(asked("whole", "/"), hello);
        assert_eq!(asked("bare", "/livez").0, StatusCode::NOT_FOUND);
        assert_eq!(asked("whole", "/livez").0, StatusCode::OK);
        assert!(routes("half").is_none());
    }

    fn reading(rate: f64) -> Reading {
        Reading {
            rate,
            processor: Ok(1e6 / rate),
        }
    }

    #[test]
    fn a_share_is_taken_of_each_pair_and_not_of_the_medians() {
        // A machine that grows slower by a tenth each time, under a stack that costs a fiftieth.
        let pairs: Vec<_> = (0..10)
            .map(|n| 1_000.0 * 0.9_f64.powi(n))
            .map(|bare| (reading(bare), reading(bare * 0.98)))
            .collect();
        let served = summary(&pairs).expect("ten pairs are enough");
        let processor = served.processor.known().expect("all runs told it");
        for Interval { low, median, high } in [served.rate.share, processor.share] {
            for share in [low, median, high] {
                assert!((share - 0.98).abs() < 1e-9, "{share}");
            }
        }
        assert_eq!(served.pairs, 10);
        assert!(served.rate.whole < served.rate.bare);
        assert!(processor.whole > processor.bare);
    }

    #[test]
    fn too_few_pairs_are_no_figure() {
        let pairs = vec![(reading(1.0), reading(1.0)); 5];
        let why = summary(&pairs).expect_err("five are too few");
        assert!(why.contains("5 pairs"), "{why}");
    }

    #[test]
    fn a_system_that_does_not_tell_processor_times_still_has_rates() {
        let silent = Reading {
            processor: Err("no such file".to_owned()),
            ..reading(1.0)
        };
        let pairs = vec![(reading(1.0), silent); 6];
        let served = summary(&pairs).expect("six pairs are enough");
        assert_eq!(served.processor.unknown(), Some("no such file"));
        assert!((served.rate.share.median - 1.0).abs() < f64::EPSILON);
    }
}
