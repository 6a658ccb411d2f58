//! What a server under load kept, as a part of the report that people read.

use std::fmt::Write as _;

use super::interval::Interval;
use super::{Kept, ROUNDS, Served, TARGET};
use crate::figure::Figure;
use crate::table::{grouped, whole};

/// A table of its own, because requests a second fit no cell of the other; nothing where nobody asked.
pub fn markdown(served: &Figure<Served>) -> String {
    match served {
        Figure::Skipped => String::new(),
        Figure::Unknown(reason) => format!("\n- requests a second not measured: {reason}\n"),
        Figure::Known(served) => table(served),
    }
}

fn table(served: &Served) -> String {
    let cut_short = if served.rounds < ROUNDS {
        " The machine left no time for more."
    } else {
        ""
    };
    let mut text = format!(
        "\nAxum on loopback, a server of one thread under load from the other core, a handler that does nothing: medians of \
         {} rounds, and the share of the bare route's requests that is kept, with its {:.0} % interval. The whole stack \
         should keep {:.0} %, which is never asserted. Processor time is the server's, and what is kept by it are the \
         requests that the same time is enough for.{cut_short}\n\n\
         | route | requests a second | kept | processor time a request | kept |\n|---|---|---|---|---|\n",
        served.rounds,
        100.0 * served.confidence,
        100.0 * TARGET,
    );
    for (number, route) in served.routes.iter().enumerate() {
        let kept = |kept: &Kept| {
            if number == 0 {
                String::new()
            } else {
                percent(kept.share)
            }
        };
        let (cost, kept_by_cost) = match &route.processor {
            Figure::Known(cost) => (format!("{:.2} µs", cost.median), kept(cost)),
            Figure::Unknown(_) | Figure::Skipped => ("?".to_owned(), String::new()),
        };
        let _ = writeln!(
            text,
            "| {} | {} | {} | {cost} | {kept_by_cost} |",
            route.title,
            grouped(whole(route.rate.median)),
            kept(&route.rate),
        );
    }
    // The same for all: what keeps a system from telling is no affair of a route.
    if let Some(reason) = served
        .routes
        .iter()
        .find_map(|route| route.processor.unknown())
    {
        let _ = writeln!(text, "\n- processor time not measured: {reason}");
    }
    text
}

fn percent(share: Interval) -> String {
    let [low, median, high] = [share.low, share.median, share.high].map(|share| 100.0 * share);
    format!("{median:.1} % ({low:.1}–{high:.1} %)")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::load::Route;
    use crate::load::interval::CONFIDENCE;

    fn kept(median: f64, share: f64) -> Kept {
        Kept {
            median,
            share: Interval {
                low: share - 0.01,
                median: share,
                high: share + 0.005,
            },
        }
    }

    fn served() -> Served {
        let route = |title, rate, cost| Route {
            name: title,
            title,
            rate,
            processor: Figure::Known(cost),
        };
        Served {
            rounds: ROUNDS,
            confidence: CONFIDENCE,
            routes: vec![
                route("bare", kept(41_234.4, 1.0), kept(16.0, 1.0)),
                route("all", kept(40_800.4, 0.9896), kept(16.666, 0.96)),
            ],
        }
    }

    #[test]
    fn shares_are_shown_with_their_intervals() {
        let text = markdown(&Figure::Known(served()));
        for shown in [
            "15 rounds,",
            "its 95 % interval. The whole stack should keep 98 %",
            "| bare | 41,234 |  | 16.00 µs |  |",
            "| all | 40,800 | 99.0 % (98.0–99.5 %) | 16.67 µs | 96.0 % (95.0–96.5 %) |",
        ] {
            assert!(text.contains(shown), "{text}");
        }
        assert!(!text.contains("no time"), "{text}");
    }

    #[test]
    fn a_run_that_was_cut_short_says_so() {
        let text = markdown(&Figure::Known(Served {
            rounds: 7,
            ..served()
        }));
        assert!(
            text.contains("The machine left no time for more."),
            "{text}"
        );
    }

    #[test]
    fn what_is_missing_says_why_unless_nobody_asked() {
        let text = markdown(&Figure::Unknown("wrk is not installed".to_owned()));
        assert!(
            text.contains("not measured: wrk is not installed"),
            "{text}"
        );
        assert_eq!(markdown(&Figure::Skipped), "");
    }

    #[test]
    fn processor_times_that_are_missing_say_why_once() {
        let mut served = served();
        for route in &mut served.routes {
            route.processor = Figure::Unknown("no such file".to_owned());
        }
        let text = markdown(&Figure::Known(served));
        assert!(
            text.contains("| all | 40,800 | 99.0 % (98.0–99.5 %) | ? |  |"),
            "{text}"
        );
        assert_eq!(text.matches("no such file").count(), 1, "{text}");
    }
}
