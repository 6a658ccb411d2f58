//! Compares our column with its budgets.

use std::fmt;

use serde::Serialize;

use crate::budget::{self, Ceiling, Floor};
use crate::drive::Shape;
use crate::figure::Figures;
use crate::measure::{Reading, Run};
use crate::subjects::Column;

/// What is wrong with a run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// The subject and its shape.
    pub subject: String,
    /// What was read, and what it should have been.
    pub text: String,
    /// Whether a budget was missed. Otherwise a figure is missing that a budget needs.
    pub missed: bool,
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kind = if self.missed {
            "budget missed"
        } else {
            "not measured"
        };
        write!(f, "{kind}: {}: {}", self.subject, self.text)
    }
}

/// Everything that is wrong with `run`: budgets missed, and figures missing that a budget needs.
pub fn findings(run: &Run) -> Vec<Finding> {
    run.readings()
        .iter()
        .filter(|reading| reading.subject.column == Column::Brownout)
        .flat_map(|reading| judge(run, reading))
        .collect()
}

fn judge(run: &Run, reading: &Reading) -> Vec<Finding> {
    let Some(path) = budget::find(reading.subject.path) else {
        return Vec::new();
    };
    let budget = path.budget(reading.shape);
    let verdicts = [
        budget
            .instructions
            .and_then(|ceiling| instructions(run, &reading.figures, ceiling)),
        budget
            .allocations
            .and_then(|most| allocations(&reading.figures, most)),
        budget
            .scaling
            .and_then(|floor| scaling(&reading.figures, floor)),
    ];
    let subject = match reading.shape {
        Shape::Reused => reading.subject.id(),
        Shape::Cloned => format!("{}, cloned for each call", reading.subject.id()),
    };
    verdicts
        .into_iter()
        .flatten()
        .map(|(missed, text)| Finding {
            subject: subject.clone(),
            text,
            missed,
        })
        .collect()
}

type Verdict = Option<(bool, String)>;

fn instructions(run: &Run, figures: &Figures, ceiling: Ceiling) -> Verdict {
    if let Some(reason) = figures.instructions.unknown() {
        return Some((false, format!("instructions: {reason}")));
    }
    let own = *figures.instructions.known()?;
    let (most, why) = match ceiling {
        Ceiling::AtMost(most) => (most, String::new()),
        Ceiling::Beyond(extra, other) => match other_instructions(run, other) {
            Ok(base) => (
                base + extra,
                format!(" ({extra} beyond the {base} of {other})"),
            ),
            Err(reason) => return Some((false, reason)),
        },
        Ceiling::Times(factor, other) => match other_instructions(run, other) {
            Ok(base) => (
                base * factor,
                format!(" ({factor} times the {base} of {other})"),
            ),
            Err(reason) => return Some((false, reason)),
        },
    };
    (own > most).then(|| (true, format!("{own} instructions, at most {most}{why}")))
}

fn other_instructions(run: &Run, id: &str) -> Result<u64, String> {
    let figures = run
        .find(id)
        .ok_or_else(|| format!("its budget leans on {id}, which was left out of this run"))?;
    figures
        .instructions
        .known()
        .copied()
        .ok_or_else(|| format!("its budget leans on {id}, whose instructions are unknown"))
}

fn allocations(figures: &Figures, most: u32) -> Verdict {
    let own = *figures.allocations.known()?;
    (own > f64::from(most)).then(|| (true, format!("{own} allocations a call, at most {most}")))
}

// The budget is written for a machine whose control reaches 2; what is asked for is the same share of what it reaches.
fn scaling(figures: &Figures, floor: Floor) -> Verdict {
    let Floor::Gated(least) = floor else {
        return None;
    };
    let own = figures.scaling.known()?;
    (own.share() < least / 2.0).then(|| {
        let needed = own.control * least / 2.0;
        (
            true,
            format!(
                "two threads reach {:.2}, at least {needed:.2} where the control reaches {:.2}",
                own.ratio, own.control
            ),
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::figure::{Figure, Scaling};
    use crate::subjects;

    fn figures(instructions: u64, allocations: f64, ratio: f64) -> Figures {
        Figures {
            instructions: Figure::Known(instructions),
            allocations: Figure::Known(allocations),
            scaling: Figure::Known(Scaling {
                ratio,
                control: 1.9,
            }),
            time: Figure::Skipped,
        }
    }

    fn run(id: &str, shape: Shape, figures: Figures) -> Run {
        let subject = subjects::find(id).expect("is listed");
        Run::of(vec![Reading {
            subject,
            shape,
            figures,
        }])
    }

    #[test]
    fn a_miss_in_our_column_is_found_with_its_name() {
        let dear = findings(&run(
            "health-level/brownout",
            Shape::Reused,
            figures(1_000, 0.0, 1.9),
        ));
        assert_eq!(dear.len(), 1);
        assert!(dear[0].missed);
        assert_eq!(
            dear[0].to_string(),
            "budget missed: health-level/brownout: 1000 instructions, at most 10"
        );
    }

    #[test]
    fn a_peer_has_no_budget() {
        let dear = run(
            "health-status/tower-resilience",
            Shape::Reused,
            figures(1_000, 9.0, 0.1),
        );
        assert_eq!(findings(&dear), []);
    }

    #[test]
    fn what_is_at_the_budget_is_within_it() {
        assert_eq!(
            instructions(
                &Run::of(Vec::new()),
                &figures(70, 0.0, 1.9),
                Ceiling::AtMost(70)
            ),
            None
        );
        assert_eq!(allocations(&figures(70, 1.0, 1.9), 1), None);
    }

    #[test]
    fn one_instruction_too_many_is_a_miss() {
        let verdict = instructions(
            &Run::of(Vec::new()),
            &figures(71, 0.0, 1.9),
            Ceiling::AtMost(70),
        );
        assert!(verdict.is_some_and(|(missed, text)| missed && text.contains("at most 70")));
    }

    #[test]
    fn an_allocation_now_and_then_is_a_miss_where_none_is_allowed() {
        assert!(allocations(&figures(0, 0.001, 1.9), 0).is_some_and(|(missed, _)| missed));
    }

    #[test]
    fn scaling_is_judged_by_its_share_of_the_control() {
        assert_eq!(scaling(&figures(0, 0.0, 1.62), Floor::Gated(1.7)), None);
        assert!(scaling(&figures(0, 0.0, 1.6), Floor::Gated(1.7)).is_some());
        assert_eq!(scaling(&figures(0, 0.0, 0.2), Floor::Shown(1.8)), None);
    }

    #[test]
    fn instructions_that_could_not_be_counted_are_found_but_are_no_miss() {
        let unknown = Figures {
            instructions: Figure::Unknown("no valgrind".to_owned()),
            ..figures(0, 0.0, 1.9)
        };
        let verdict = instructions(&Run::of(Vec::new()), &unknown, Ceiling::AtMost(70));
        assert!(verdict.is_some_and(|(missed, text)| !missed && text.contains("no valgrind")));
    }

    #[test]
    fn what_a_stack_may_cost_is_its_difference_to_the_layer_that_is_not_ours() {
        let timeout = run("timeout/tower", Shape::Reused, figures(144, 0.0, 1.9));
        let budget = Ceiling::Beyond(350, "timeout/tower");
        assert_eq!(
            instructions(&timeout, &figures(494, 0.0, 1.9), budget),
            None
        );
        assert_eq!(
            instructions(&timeout, &figures(495, 0.0, 1.9), budget),
            Some((
                true,
                "495 instructions, at most 494 (350 beyond the 144 of timeout/tower)".to_owned()
            ))
        );
    }

    #[test]
    fn a_budget_cannot_lean_on_what_was_left_out() {
        let verdict = instructions(
            &Run::of(Vec::new()),
            &figures(0, 0.0, 1.9),
            Ceiling::Beyond(350, "timeout/tower"),
        );
        assert!(verdict.is_some_and(|(missed, text)| !missed && text.contains("timeout/tower")));
    }
}
