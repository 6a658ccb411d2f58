//! How fast a fleet hears, as a part of the report that people read.

use std::fmt::Write as _;

use super::{FLIPS, Fleet, Heard};
use crate::figure::Figure;
use crate::table::grouped;

/// A table of its own; nothing where nobody asked.
pub fn markdown(fleets: &[Fleet]) -> String {
    let mut text = String::new();
    if fleets.iter().any(|fleet| fleet.heard.known().is_some()) {
        let _ = write!(
            text,
            "\nOne flip of a flag through a Redis on loopback, replicas with a connection each, all on this machine's cores: \
             milliseconds from before the write until a replica has it. *Median* and *last* are the medians of {FLIPS} \
             flips, *worst* is the last replica of the worst flip; the aim is for that and is never asserted. Processor \
             time is the server's, for one flip.\n\n\
             | replicas | median | last | worst | aim | Redis's processor time |\n|---|---|---|---|---|---|\n"
        );
    }
    for fleet in fleets {
        if let Figure::Known(heard) = &fleet.heard {
            row(&mut text, fleet, heard);
        }
    }
    for fleet in fleets {
        let replicas = grouped(fleet.replicas as u64);
        match &fleet.heard {
            Figure::Unknown(reason) => {
                let _ = writeln!(text, "\n- {replicas} replicas not measured: {reason}");
            }
            Figure::Known(heard) if heard.flips < FLIPS => {
                let flips = heard.flips;
                let _ = writeln!(
                    text,
                    "\n- {replicas} replicas: there was time for {flips} flips only"
                );
            }
            Figure::Known(_) | Figure::Skipped => {}
        }
    }
    text
}

fn row(text: &mut String, fleet: &Fleet, heard: &Heard) {
    let _ = writeln!(
        text,
        "| {} | {:.1} ms | {:.1} ms | {:.1} ms | ≤ {:.0} ms | {:.1} ms |",
        grouped(fleet.replicas as u64),
        heard.median,
        heard.last,
        heard.worst,
        fleet.aim,
        heard.processor,
    );
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fleet(heard: Figure<Heard>) -> Fleet {
        Fleet {
            replicas: 1_000,
            aim: 50.0,
            heard,
        }
    }

    fn heard(flips: usize) -> Heard {
        Heard {
            flips,
            median: 9.04,
            last: 15.26,
            worst: 33.0,
            processor: 8.5,
        }
    }

    #[test]
    fn a_fleet_is_a_row_with_its_aim() {
        let text = markdown(&[fleet(Figure::Known(heard(FLIPS)))]);
        let row = "| 1,000 | 9.0 ms | 15.3 ms | 33.0 ms | ≤ 50 ms | 8.5 ms |\n";
        assert!(text.ends_with(row), "{text}");
    }

    #[test]
    fn what_is_missing_says_why_unless_nobody_asked() {
        let text = markdown(&[fleet(Figure::Unknown("no server".to_owned()))]);
        assert_eq!(text, "\n- 1,000 replicas not measured: no server\n");
        assert_eq!(markdown(&[fleet(Figure::Skipped)]), "");
        assert_eq!(markdown(&[]), "");
    }

    #[test]
    fn a_run_that_was_cut_short_says_so() {
        let text = markdown(&[fleet(Figure::Known(heard(7)))]);
        assert!(text.contains("there was time for 7 flips only"), "{text}");
    }
}
