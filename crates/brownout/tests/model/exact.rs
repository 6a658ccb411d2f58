//! The circuit against its model, operation by operation.

use crate::{check, ops::ops, paused, rules::rules, side_by_side::SideBySide, tally::Tally};

#[test]
fn a_circuit_does_what_its_model_does() {
    let tally = Tally::default();
    check(3_000, (rules(), ops()), |(rules, ops)| {
        tally.case();
        paused(async {
            let mut pair = SideBySide::new(rules, &tally);
            for op in &ops {
                pair.apply(op).await?;
            }
            Ok(())
        })
    });
    tally.is_worth_something();
}
