//! What a server under load kept, as a part of the report that people read.

use super::{PAIRS, Served, TARGET};
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
    let share = served.share;
    format!(
        "\nRequests a second of axum on loopback, a server of one thread under load from the other core: the median of \
         {pairs} pairs of runs with the {confidence:.0} % interval of their share, never asserted.{short}\n\n\
         | route | requests/s | share of bare | target |\n|---|---|---|---|\n\
         | bare | {bare} |  |  |\n\
         | whole stack (health, degraded, fallback, flag, breaker, timeout) | {whole} | \
         {median:.1} % ({low:.1}–{high:.1} %) | ≥ {target:.0} % |\n",
        pairs = served.pairs,
        confidence = 100.0 * served.confidence,
        short = if served.pairs < PAIRS {
            " The machine left no time for more."
        } else {
            ""
        },
        bare = grouped(whole(served.bare)),
        whole = grouped(whole(served.whole)),
        median = 100.0 * share.median,
        low = 100.0 * share.low,
        high = 100.0 * share.high,
        target = 100.0 * TARGET,
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::load::interval::{CONFIDENCE, Interval};

    fn served(pairs: usize) -> Figure<Served> {
        Figure::Known(Served {
            bare: 41_234.4,
            whole: 40_800.4,
            share: Interval {
                low: 0.9812,
                median: 0.9896,
                high: 0.9949,
            },
            pairs,
            confidence: CONFIDENCE,
        })
    }

    #[test]
    fn a_share_is_shown_with_its_interval_beside_its_target() {
        let text = markdown(&served(PAIRS));
        assert!(
            text.contains("24 pairs of runs with the 95 % interval"),
            "{text}"
        );
        assert!(text.contains("| bare | 41,234 |"), "{text}");
        assert!(
            text.contains("| 40,800 | 99.0 % (98.1–99.5 %) | ≥ 98 % |"),
            "{text}"
        );
        assert!(!text.contains("no time"), "{text}");
    }

    #[test]
    fn a_run_that_was_cut_short_says_so() {
        assert!(markdown(&served(7)).contains("The machine left no time for more."));
    }

    #[test]
    fn a_share_that_is_missing_says_why_unless_nobody_asked() {
        let text = markdown(&Figure::Unknown("wrk is not installed".to_owned()));
        assert!(
            text.contains("not measured: wrk is not installed"),
            "{text}"
        );
        assert_eq!(markdown(&Figure::Skipped), "");
    }
}
