//! What holds whatever the policies are, and however they follow one another.

use std::time::Duration;

use brownout::{breaker::Stats, registry::CircuitState};
use proptest::{prelude::*, test_runner::TestCaseError};
use tokio::time::advance;

use crate::{
    check,
    lone::Lone,
    ops::{Op, ops},
    paused,
    rules::{Rules, Window, rules},
};

#[test]
fn a_change_of_policy_keeps_the_state_and_never_adds_to_counts() {
    check(600, (rules(), ops()), |(first, ops)| {
        paused(async {
            let mut rules = first;
            let mut lone = Lone::new(rules.random_policy(), 1);
            let mut before = lone.stats();
            for op in &ops {
                lone.apply(op, Rules::random_policy).await;
                let after = lone.stats();
                is_sound(&before, &after)?;
                if let Op::Reconfigure(next) = op {
                    keeps(&before, &after, &rules, next)?;
                    rules = **next;
                }
                before = after;
            }
            Ok(())
        })
    });
}

/// Nothing that happens before can wedge a circuit: a lost probe, a mode, a change of policy.
#[test]
fn a_dependency_that_works_again_has_its_circuit_closed() {
    check(400, (rules(), ops()), |(first, ops)| {
        paused(async {
            let mut lone = Lone::new(first.policy(), 1);
            for op in &ops {
                lone.apply(op, Rules::policy).await;
            }
            lone.tickets.clear();
            // Orders, a round and the open time after it are over; nobody has looked.
            advance(Duration::from_hours(24)).await;
            // A success may still be what finds the ratio reached that was ignored by order; from then on all is well.
            for _ in 0..30 {
                match lone.circuit.admit() {
                    Ok(ticket) => ticket.success(),
                    Err(rejected) => advance(rejected.retry_after().unwrap()).await,
                }
            }
            prop_assert_eq!(lone.circuit.state(), CircuitState::Closed);
            Ok(())
        })
    });
}

fn is_sound(before: &Stats, after: &Stats) -> Result<(), TestCaseError> {
    let (old, new) = (before.totals, after.totals);
    prop_assert!(after.generation >= before.generation);
    prop_assert!(new.successes >= old.successes && new.failures >= old.failures);
    prop_assert!(new.slow >= old.slow && new.neutral >= old.neutral);
    prop_assert!(new.abandoned >= old.abandoned && new.rejected >= old.rejected);
    prop_assert!(after.window_failures <= after.window_calls);
    prop_assert!(after.window_slow <= after.window_calls);
    prop_assert!(u64::from(after.window_calls) <= new.successes + new.failures);
    prop_assert!(u64::from(after.consecutive_failures) <= new.failures);
    let closed = after.state == CircuitState::Closed;
    prop_assert_eq!(closed, after.retry_after.is_none());
    Ok(())
}

fn keeps(before: &Stats, after: &Stats, old: &Rules, new: &Rules) -> Result<(), TestCaseError> {
    prop_assert_eq!(before.state, after.state);
    prop_assert_eq!(before.generation, after.generation);
    prop_assert_eq!(before.retry_after, after.retry_after);
    prop_assert_eq!(before.totals, after.totals);
    prop_assert_eq!(before.consecutive_failures, after.consecutive_failures);
    prop_assert!(after.window_calls <= before.window_calls);
    prop_assert!(after.window_failures <= before.window_failures);
    // A policy that does not mind slowness need not show what the window knows of it.
    prop_assert!(after.window_slow <= before.window_slow || old.slow.is_none());
    let same_kind = matches!(
        (old.window, new.window),
        (Window::Time(_), Window::Time(_)) | (Window::Calls(_), Window::Calls(_))
    );
    if !(same_kind && old.has_window() && new.has_window()) {
        prop_assert_eq!(after.window_calls, 0);
    }
    Ok(())
}
