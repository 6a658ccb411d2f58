//! Runs chosen steps one after another and stops at the first that fails.

use std::time::{Duration, Instant};

use crate::command::{Failure, Workspace};
use crate::install;
use crate::steps::{Outcome, Step};

/// Installs what the steps need, then runs them in order.
pub(crate) fn run(task: &str, steps: &[&Step], workspace: &Workspace) -> Result<(), Failure> {
    let began = Instant::now();
    let names: Vec<&str> = steps.iter().map(|step| step.name).collect();
    install::ensure_for(&names)?;

    let mut partly = Vec::new();
    for (index, step) in steps.iter().enumerate() {
        println!(
            "\n── {} ({} of {}): {}",
            step.name,
            index + 1,
            steps.len(),
            step.promise
        );
        let step_began = Instant::now();
        let outcome = (step.check)(workspace)
            .map_err(|failure| Failure::new(format!("step `{}`: {failure}", step.name)))?;
        let taken = shown(step_began.elapsed());
        match outcome {
            Outcome::Passed => println!("   {}: ok, {taken}", step.name),
            Outcome::InPart(reason) => {
                println!("   {}: ok IN PART, {taken}: {reason}", step.name);
                partly.push(step.name);
            }
        }
    }

    println!(
        "\nxtask {task}: {}",
        summary(steps.len(), &partly, began.elapsed())
    );
    Ok(())
}

/// Prints each step's name and promise; the steps of `lint` are marked.
pub(crate) fn list(steps: &[Step]) {
    for step in steps {
        let mark = if step.lint { "lint" } else { "" };
        println!("{:<12} {mark:<4}  {}", step.name, step.promise);
    }
}

fn summary(steps: usize, partly: &[&str], taken: Duration) -> String {
    let passed = steps - partly.len();
    let others = if partly.is_empty() {
        String::new()
    } else {
        format!(", in part: {}", partly.join(", "))
    };
    format!(
        "ok: {passed} of {steps} steps passed{others}, in {}",
        shown(taken)
    )
}

/// A time as people read it.
pub(crate) fn shown(taken: Duration) -> String {
    let seconds = taken.as_secs();
    if seconds < 60 {
        format!("{:.1} s", taken.as_secs_f64())
    } else {
        format!("{} min {} s", seconds / 60, seconds % 60)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_summary_names_every_step_that_did_not_pass_as_a_whole() {
        assert_eq!(
            summary(11, &["deny"], Duration::from_secs(192)),
            "ok: 10 of 11 steps passed, in part: deny, in 3 min 12 s"
        );
        assert_eq!(
            summary(2, &[], Duration::from_millis(1_250)),
            "ok: 2 of 2 steps passed, in 1.2 s"
        );
    }

    #[test]
    fn a_failing_step_ends_the_run_and_is_named() {
        fn fails(_: &Workspace) -> Result<Outcome, Failure> {
            Err(Failure::new("it broke"))
        }
        fn not_reached(_: &Workspace) -> Result<Outcome, Failure> {
            unreachable!("a step ran after one that failed")
        }
        let step = |name, check| Step {
            name,
            promise: "",
            lint: false,
            check,
        };
        let first = step("first", fails);
        let second = step("second", not_reached);
        let failure = run("test", &[&first, &second], &Workspace::find().unwrap()).unwrap_err();
        assert_eq!(failure.to_string(), "step `first`: it broke");
    }
}
