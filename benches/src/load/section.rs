//! What a server under load kept, as a part of the report that people read.

use std::fmt::Write as _;

use super::{Compared, PAIRS, Served, TARGET};
use crate::figure::Figure;
use crate::table::{grouped, whole};

const PROCESSOR: &str = "processor time a request";

/// A table of its own, because requests a second fit no cell of the other; nothing where nobody asked.
pub fn markdown(served: &Figure<Served>) -> String {
    match served {
        Figure::Skipped => String::new(),
        Figure::Unknown(reason) => format!("\n- requests a second not measured: {reason}\n"),
        Figure::Known(served) => table(served),
    }
}

fn table(served: &Served) -> String {
    let cut_short = if served.pairs < PAIRS {
        " The machine left no time for more."
    } else {
        ""
    };
    let mut text = format!(
        "\nAxum on loopback, a server of one thread under load from the other core: medians of {} pairs of runs, with the \
         {:.0} % interval of the share that the whole stack (health, degraded, fallback, flag, breaker, timeout) keeps. \
         {:.0} % is what it should keep; it is never asserted.{cut_short}\n\n\
         | | bare | whole stack | requests kept |\n|---|---|---|---|\n",
        served.pairs,
        100.0 * served.confidence,
        100.0 * TARGET,
    );
    let rate = &served.rate;
    let thousands = |rate| grouped(whole(rate));
    text.push_str(&row("requests a second", rate, thousands));
    match &served.processor {
        Figure::Known(cost) => {
            text.push_str(&row(PROCESSOR, cost, |cost| format!("{cost:.2} µs")));
        }
        Figure::Unknown(reason) => {
            let _ = write!(text, "\n- {PROCESSOR} not measured: {reason}\n");
        }
        Figure::Skipped => {}
    }
    text
}

fn row(what: &str, compared: &Compared, show: impl Fn(f64) -> String) -> String {
    let Compared { bare, whole, share } = *compared;
    format!(
        "| {what} | {} | {} | {:.1} % ({:.1}–{:.1} %) |\n",
        show(bare),
        show(whole),
        100.0 * share.median,
        100.0 * share.low,
        100.0 * share.high,
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::load::interval::{CONFIDENCE, Interval};

    const SHARE: Interval = Interval {
        low: 0.9812,
        median: 0.9896,
        high: 0.9949,
    };

    fn served() -> Served {
        Served {
            pairs: PAIRS,
            confidence: CONFIDENCE,
            rate: Compared {
                bare: 41_234.4,
                whole: 40_800.4,
                share: SHARE,
            },
            processor: Figure::Known(Compared {
                bare: 16.0,
                whole: 16.666,
                share: SHARE,
            }),
        }
    }

    #[test]
    fn a_share_is_shown_with_its_interval() {
        let text = markdown(&Figure::Known(served()));
        for shown in [
            "24 pairs of runs, with the 95 % interval",
            "| requests a second | 41,234 | 40,800 | 99.0 % (98.1–99.5 %) |",
            "| processor time a request | 16.00 µs | 16.67 µs | 99.0 % (98.1–99.5 %) |",
        ] {
            assert!(text.contains(shown), "{text}");
        }
        assert!(!text.contains("no time"), "{text}");
    }

    #[test]
    fn a_run_that_was_cut_short_says_so() {
        let text = markdown(&Figure::Known(Served {
            pairs: 7,
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
        let text = markdown(&Figure::Known(Served {
            processor: Figure::Unknown("no such file".to_owned()),
            ..served()
        }));
        assert!(
            text.contains("request not measured: no such file"),
            "{text}"
        );
        assert_eq!(markdown(&Figure::Skipped), "");
    }
}
