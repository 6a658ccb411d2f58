//! Requests a second of a real axum server on loopback, with the whole stack and without.
//!
//! Two servers run, each a process with one thread: one answers from a bare route, the other has everything around it
//! ([`app`]). They are put under load in turn, a second each, and what counts is the share of the bare one's rate that
//! the other reaches in each *pair* of runs: whatever slows the machine for longer than a second slows both. Who comes
//! first alternates, so that a machine which grows slower or faster throughout favours nobody. The median of all pairs is
//! printed with its [`interval`].
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

use self::interval::{Interval, median};
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
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Served {
    /// Requests a second of the bare route, the median of all runs.
    pub bare: f64,
    /// Those of the route with the whole stack.
    pub whole: f64,
    /// The second ÷ the first, over pairs of runs.
    pub share: Interval,
    /// How many pairs there were.
    pub pairs: usize,
    /// How sure the interval is to hold the true median, at least.
    pub confidence: f64,
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
    let load = |server: &Server| wrk::requests_per_second(server.uri());

    // The first run of each warms it up: connections, caches and the clock of a core that was idle.
    load(&bare)?;
    let warm = Instant::now();
    load(&whole)?;
    let pair_takes = warm.elapsed() * 2;

    let mut pairs = Vec::new();
    while pairs.len() < PAIRS && start.elapsed() + pair_takes < AT_MOST {
        let bare_first = pairs.len().is_multiple_of(2);
        pairs.push(if bare_first {
            let bare = load(&bare)?;
            (bare, load(&whole)?)
        } else {
            let whole = load(&whole)?;
            (load(&bare)?, whole)
        });
    }
    summary(&pairs)
}

fn summary(pairs: &[(f64, f64)]) -> Result<Served, String> {
    let shares: Vec<f64> = pairs.iter().map(|(bare, whole)| whole / bare).collect();
    let middle = |rates: Vec<f64>| {
        let mut sorted = rates;
        sorted.sort_by(f64::total_cmp);
        median(&sorted)
    };
    let bare = middle(pairs.iter().map(|pair| pair.0).collect());
    let whole = middle(pairs.iter().map(|pair| pair.1).collect());
    let (Some(bare), Some(whole), Some(share)) = (bare, whole, Interval::of(&shares)) else {
        return Err(format!("{} pairs of runs say nothing", pairs.len()));
    };
    Ok(Served {
        bare,
        whole,
        share,
        pairs: pairs.len(),
        confidence: interval::CONFIDENCE,
    })
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

    #[test]
    fn a_share_is_taken_of_each_pair_and_not_of_the_medians() {
        // A machine that grows slower by a tenth each time, under a stack that costs a fiftieth.
        let pairs: Vec<_> = (0..10)
            .map(|n| 1_000.0 * 0.9_f64.powi(n))
            .map(|bare| (bare, bare * 0.98))
            .collect();
        let served = summary(&pairs).expect("ten pairs are enough");
        for share in [served.share.low, served.share.median, served.share.high] {
            assert!((share - 0.98).abs() < 1e-9, "{share}");
        }
        assert_eq!(served.pairs, 10);
        assert!(served.whole < served.bare);
    }

    #[test]
    fn too_few_pairs_are_no_figure() {
        let why = summary(&[(1.0, 1.0); 5]).expect_err("five are too few");
        assert!(why.contains("5 pairs"), "{why}");
    }
}
