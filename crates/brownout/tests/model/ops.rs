//! What can be done to a circuit, at random.

use std::time::Duration;

use brownout::{core::Verdict, registry::CircuitMode};
use proptest::{prelude::*, sample::select};

use crate::rules::{MS, Nanos, Rules, rules};

/// Which of the tickets or overrides that are out; any number will do.
pub(crate) type Which = usize;

#[derive(Clone, Debug)]
pub(crate) enum Op {
    Admit,
    /// By another thread, which counts on a stripe of its own.
    AdmitElsewhere,
    /// A call that is over at once.
    Call(Verdict),
    Head(Which, Verdict),
    Settle(Which, Verdict),
    Drop(Which),
    Advance(Advance),
    /// As `Advance`, but nothing looks at the circuit before the next operation.
    AdvanceUnseen(Advance),
    Reconfigure(Box<Rules>),
    ClearCounts,
    Impose(CircuitMode, Nanos),
    Release(Which),
}

/// How far the clock moves. Most faults live at a boundary, so most of these lead to one: right before, at it, after.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Advance {
    By(Nanos),
    /// To a boundary of sub-buckets, so many further on.
    SubBucket(u64, Side),
    /// To the end of the open time or of the round.
    Due(Side),
    /// To a boundary between eighths of the slow threshold, so many further on.
    Step(u64, Side),
    /// To where the oldest call that is out becomes slow.
    Slow(Side),
    /// To where the newest override ends.
    OverrideEnd(Side),
    /// To where the back-off starts over.
    Healthy(Side),
}

#[derive(Clone, Copy, Debug)]
pub(crate) enum Side {
    Before,
    At,
    After,
}

impl Side {
    pub(crate) fn of(self, time: Nanos) -> Nanos {
        match self {
            Self::Before => time.saturating_sub(1),
            Self::At => time,
            Self::After => time.saturating_add(1),
        }
    }
}

pub(crate) fn ops() -> impl Strategy<Value = Vec<Op>> {
    prop::collection::vec(op(), 1..100)
}

fn op() -> impl Strategy<Value = Op> {
    let which = 0..64_usize;
    prop_oneof![
        28 => Just(Op::Admit),
        2 => Just(Op::AdmitElsewhere),
        14 => verdict().prop_map(Op::Call),
        6 => (which.clone(), head()).prop_map(|(which, head)| Op::Head(which, head)),
        26 => (which.clone(), verdict()).prop_map(|(which, verdict)| Op::Settle(which, verdict)),
        5 => which.clone().prop_map(Op::Drop),
        20 => advance().prop_map(Op::Advance),
        6 => advance().prop_map(Op::AdvanceUnseen),
        2 => rules().prop_map(|rules| Op::Reconfigure(Box::new(rules))),
        1 => Just(Op::ClearCounts),
        2 => (mode(), select(vec![1, MS, 20 * MS, 80_000 * MS])).prop_map(|(mode, ttl)| Op::Impose(mode, ttl)),
        2 => which.prop_map(Op::Release),
    ]
}

fn verdict() -> impl Strategy<Value = Verdict> {
    prop_oneof![
        8 => Just(Verdict::Success),
        9 => Just(Verdict::Failure),
        3 => Just(Verdict::Neutral),
        1 => select(vec![0, 1, 3 * MS, 100 * MS, u64::MAX])
            .prop_map(|nanos| Verdict::Trip { open_for: Duration::from_nanos(nanos) }),
    ]
}

/// Most heads look well; what fails at its head is usually settled there.
fn head() -> impl Strategy<Value = Verdict> {
    prop_oneof![
        6 => Just(Verdict::Success),
        2 => Just(Verdict::Neutral),
        1 => verdict(),
    ]
}

fn advance() -> impl Strategy<Value = Advance> {
    prop_oneof![
        2 => select(vec![0, 1, MS, 2 * MS, 40 * MS, 10_000 * MS]).prop_map(Advance::By),
        3 => (1..=11_u64, side()).prop_map(|(further, side)| Advance::SubBucket(further, side)),
        4 => side().prop_map(Advance::Due),
        3 => (1..=10_u64, side()).prop_map(|(further, side)| Advance::Step(further, side)),
        1 => side().prop_map(Advance::Slow),
        1 => side().prop_map(Advance::OverrideEnd),
        1 => side().prop_map(Advance::Healthy),
    ]
}

fn side() -> impl Strategy<Value = Side> {
    prop_oneof![1 => Just(Side::Before), 3 => Just(Side::At), 1 => Just(Side::After)]
}

fn mode() -> impl Strategy<Value = CircuitMode> {
    select(CircuitMode::ALL)
}
