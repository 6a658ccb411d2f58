//! What is tried.
//!
//! Every time of a chain and of its calls is even, and everything that happens from outside happens at odd times: so
//! calls meet their timeouts and deadlines to the millisecond, and never an order.

use brownout::registry::{DegradationLevel, Status};
use proptest::{collection::vec, option, prelude::*};

#[derive(Clone, Debug)]
pub(super) struct Case {
    pub(super) kind: Kind,
    pub(super) requests: Requests,
    pub(super) ending: Ending,
    pub(super) tiers: Vec<TierCase>,
    pub(super) covers: bool,
    /// Which dependencies have the primary passed over.
    pub(super) passes_over: [bool; 3],
    pub(super) within: Option<u64>,
    pub(super) at_most: u32,
    pub(super) patience: u64,
    pub(super) calls: Vec<Call>,
}

/// How a chain is watched.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Kind {
    /// Not at all: it covers nothing and has no times of its own.
    Bare,
    Watched,
    /// And every call exercises the first tier, while all is well.
    Exercised,
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Requests {
    Safe,
    Idempotent,
    Writes,
}

/// What comes of a call that nobody answers.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Ending {
    OwnError,
    /// `exhausted_with` a closure that answers, or fails.
    With(bool),
    Fails,
    /// There is none such: the last tier always answers.
    Last,
}

#[derive(Clone, Copy, Debug)]
pub(super) struct TierCase {
    pub(super) timeout: Option<u64>,
    /// By index.
    pub(super) stands_for: Option<usize>,
}

#[derive(Clone, Debug)]
pub(super) struct Call {
    /// How long nothing is called before.
    pub(super) gap: u64,
    /// When the caller leaves.
    pub(super) patience: u64,
    pub(super) parts: [Part; 4],
    /// What happens from outside, counted from the beginning of the gap.
    pub(super) order: Option<(u64, Order)>,
}

/// What one of a chain does with one call.
#[derive(Clone, Copy, Debug)]
pub(super) struct Part {
    pub(super) does: Does,
    pub(super) delay: u64,
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Does {
    Answers(Says),
    Fails(Says),
    /// With a refusal by the guard of the dependency with that index.
    Refuses(usize),
    CannotConnect,
    Hangs,
    /// Its readiness fails.
    IsNotReady,
    /// A tier never becomes ready; the primary hangs.
    NeverReady,
}

/// How the classifier judges it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Says {
    Success,
    Neutral,
    Failure,
}

#[derive(Clone, Copy, Debug)]
pub(super) enum Order {
    /// The tier of that index, to be on or off.
    Switch(usize, bool),
    Status(usize, Status, u64),
    Level(DegradationLevel, u64),
    /// A report on a dependency, by a circuit or by the user's code.
    Report(usize, Reporter, Status),
}

#[derive(Clone, Copy, Debug)]
pub(super) enum Reporter {
    Circuit,
    Code,
}

pub(super) fn case() -> impl Strategy<Value = Case> {
    let shape = (kind(), requests(), ending(), vec(tier(), 1..=3));
    let settings = (
        prop::bool::weighted(0.8),
        [
            prop::bool::weighted(0.3),
            prop::bool::weighted(0.2),
            prop::bool::weighted(0.1),
        ],
        option::weighted(0.4, even(2..=300)),
        1..4_u32,
        even(2..=100),
    );
    (shape, settings, vec(call(), 1..10)).prop_map(|(shape, settings, calls)| {
        let (kind, requests, ending, tiers) = shape;
        let (covers, passes_over, within, at_most, patience) = settings;
        Case {
            kind,
            requests,
            ending,
            tiers,
            covers,
            passes_over,
            within,
            at_most,
            patience,
            calls,
        }
        .made_sound()
    })
}

impl Case {
    /// Whether the one at this place always answers.
    pub(super) fn is_last(&self, place: usize) -> bool {
        self.ending == Ending::Last && place == self.tiers.len()
    }

    /// Whether the one at this place is a closure: it has no readiness of its own and no timeout.
    pub(super) fn is_closure(&self, place: usize) -> bool {
        place == 2 || self.is_last(place)
    }

    /// The same, without what no chain is allowed to be.
    fn made_sound(mut self) -> Self {
        if self.kind == Kind::Bare {
            self.covers = false;
            self.within = None;
            self.passes_over = [false; 3];
            self.ending = match self.ending {
                Ending::Last => Ending::Last,
                _ => Ending::OwnError,
            };
            for tier in &mut self.tiers {
                tier.stands_for = None;
            }
        }
        if self.kind == Kind::Exercised {
            self.covers = true;
            self.within = self.within.map(|within| within.max(self.patience + 2));
        }
        self
    }
}

fn kind() -> impl Strategy<Value = Kind> {
    prop_oneof![
        1 => Just(Kind::Bare),
        5 => Just(Kind::Watched),
        4 => Just(Kind::Exercised),
    ]
}

fn requests() -> impl Strategy<Value = Requests> {
    prop_oneof![
        4 => Just(Requests::Safe),
        1 => Just(Requests::Idempotent),
        3 => Just(Requests::Writes),
    ]
}

fn ending() -> impl Strategy<Value = Ending> {
    prop_oneof![
        3 => Just(Ending::OwnError),
        2 => any::<bool>().prop_map(Ending::With),
        1 => Just(Ending::Fails),
        3 => Just(Ending::Last),
    ]
}

fn tier() -> impl Strategy<Value = TierCase> {
    let stands_for = option::weighted(0.5, 0..3_usize);
    (option::of(even(2..=80)), stands_for).prop_map(|(timeout, stands_for)| TierCase {
        timeout,
        stands_for,
    })
}

fn call() -> impl Strategy<Value = Call> {
    let gap = prop_oneof![
        6 => even(0..=80),
        2 => even(0..=1_200),
        2 => even(9_900..=10_100),
        1 => Just(10_000_u64),
        1 => even(59_900..=60_100),
    ];
    let patience = prop_oneof![3 => Just(2_000_u64), 1 => even(0..=300)];
    let parts = [part(), part(), part(), part()];
    let order = option::weighted(0.6, (any::<bool>(), even(0..=60), order()));
    (gap, patience, parts, order).prop_map(|(gap, patience, parts, order)| Call {
        gap,
        patience,
        parts,
        order: order.map(|(before, at, order)| (if before { at + 1 } else { gap + at + 1 }, order)),
    })
}

fn part() -> impl Strategy<Value = Part> {
    let does = prop_oneof![
        8 => says().prop_map(Does::Answers),
        6 => says().prop_map(Does::Fails),
        3 => (0..2_usize).prop_map(Does::Refuses),
        1 => Just(Does::CannotConnect),
        2 => Just(Does::Hangs),
        2 => Just(Does::IsNotReady),
        1 => Just(Does::NeverReady),
    ];
    (does, even(0..=80)).prop_map(|(does, delay)| Part { does, delay })
}

fn says() -> impl Strategy<Value = Says> {
    prop_oneof![
        2 => Just(Says::Success),
        1 => Just(Says::Neutral),
        3 => Just(Says::Failure),
    ]
}

fn order() -> impl Strategy<Value = Order> {
    use {DegradationLevel as Level, Status::*};
    let status = prop_oneof![1 => Just(Healthy), 1 => Just(Degraded), 2 => Just(Unhealthy)];
    let level = prop_oneof![
        Just(Level::Full),
        Just(Level::Reduced),
        Just(Level::Emergency)
    ];
    let ttl = || prop_oneof![even(2..=200), even(9_000..=70_000)];
    let reporter = prop_oneof![Just(Reporter::Circuit), Just(Reporter::Code)];
    prop_oneof![
        4 => (0..3_usize, any::<bool>()).prop_map(|(tier, on)| Order::Switch(tier, on)),
        3 => (0..3_usize, status.clone(), ttl()).prop_map(|(on, to, ttl)| Order::Status(on, to, ttl)),
        1 => (level, ttl()).prop_map(|(to, ttl)| Order::Level(to, ttl)),
        2 => (0..3_usize, reporter, status).prop_map(|(on, by, says)| Order::Report(on, by, says)),
    ]
}

fn even(range: std::ops::RangeInclusive<u64>) -> impl Strategy<Value = u64> {
    (range.start() / 2..=range.end() / 2).prop_map(|half| 2 * half)
}
