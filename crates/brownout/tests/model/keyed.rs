//! Circuits by key: each is a circuit of its own, bounded in number, and never forgotten while it matters.

use std::{
    collections::{BTreeMap, BTreeSet},
    future::pending,
    pin::Pin,
    task::{Context, Poll, Waker},
    time::Duration,
};

use brownout::{
    Dependency, Registry,
    breaker::{Circuit, CircuitBreakerLayer, KeyedCircuits},
    core::{BoxError, Rejected, Verdict, refusal_of},
    registry::{CircuitState, Status},
};
use proptest::{collection::vec, prelude::*, sample::select, test_runner::TestCaseError};
use tokio::time::{Instant, advance};
use tower::{Layer, Service, service_fn};

use crate::{
    check,
    orders::Orders,
    paused,
    reference::{Counters, Held, Model},
    rules::{MS, Nanos, Rules, rules},
};

type Key = u8;
type Call = Pin<Box<dyn Future<Output = Result<(), BoxError>>>>;

const KEYS: Key = 48;
const SECOND: Nanos = 1_000 * MS;

#[derive(Clone, Copy, Debug)]
enum Op {
    Call(Key, Outcome),
    /// Gives up one of the calls that hang.
    GiveUp(usize),
    Advance(Nanos),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Outcome {
    Works,
    Fails,
    Hangs,
}

#[test]
fn each_key_has_a_circuit_of_its_own_or_shares_the_overflow() {
    check(
        400,
        (rules(), 1..40_u32, ops()),
        |(rules, capacity, ops)| {
            paused(async {
                let registry = Registry::new();
                let dependency = registry.dependency("shards").register().unwrap();
                let circuits = KeyedCircuits::with(&dependency, rules.policy(), capacity).unwrap();
                let layer =
                    CircuitBreakerLayer::keyed(circuits.clone(), |call: &(Key, Outcome)| call.0);
                let service = layer.for_results().layer(service_fn(answer));
                let mut family = Family {
                    dependency,
                    circuits,
                    rules,
                    at_most: capacity.next_multiple_of(16) as usize,
                    made: Instant::now(),
                    own: BTreeMap::new(),
                    overflow: Model::new(rules),
                    hanging: Vec::new(),
                    asked: Vec::new(),
                    mostly_refused: None,
                };
                let mut service = service;
                for op in ops {
                    family.apply(op, &mut service).await?;
                    family.compare()?;
                }
                Ok(())
            })
        },
    );
}

async fn answer((_, outcome): (Key, Outcome)) -> Result<(), BoxError> {
    match outcome {
        Outcome::Works => Ok(()),
        Outcome::Fails => Err("no".into()),
        Outcome::Hangs => pending().await,
    }
}

struct Family {
    dependency: Dependency,
    circuits: KeyedCircuits<Key>,
    rules: Rules,
    at_most: usize,
    made: Instant,
    own: BTreeMap<Key, Model>,
    overflow: Model,
    hanging: Vec<Hanging>,
    /// When calls asked for leave, and whether they were refused.
    asked: Vec<(Nanos, bool)>,
    /// When it was last true that half of the recent calls were refused.
    mostly_refused: Option<Nanos>,
}

struct Hanging {
    /// Of whose circuit; none for the overflow's.
    key: Option<Key>,
    /// The model's name for it.
    name: usize,
    call: Call,
}

impl Family {
    async fn apply<S>(&mut self, op: Op, service: &mut S) -> Result<(), TestCaseError>
    where
        S: Service<(Key, Outcome), Response = (), Error = BoxError>,
        S::Future: 'static,
    {
        match op {
            Op::Call(key, outcome) => {
                let call = Box::pin(service.call((key, outcome)));
                self.called(key, outcome, call)?;
            }
            Op::GiveUp(which) => {
                if let Some(index) = which.checked_rem(self.hanging.len()) {
                    let Hanging { key, name, call } = self.hanging.remove(index);
                    drop(call);
                    self.settle(key, name, None);
                }
            }
            Op::Advance(nanos) => advance(Duration::from_nanos(nanos)).await,
        }
        Ok(())
    }

    /// The call has asked for leave; sees how it fares, and whose circuit it went through.
    fn called(&mut self, key: Key, outcome: Outcome, mut call: Call) -> Result<(), TestCaseError> {
        let present = self.present();
        let gone: Vec<Key> = self
            .own
            .keys()
            .copied()
            .filter(|k| !present.contains(k))
            .collect();
        for evicted in gone {
            prop_assert_ne!(evicted, key, "its own circuit made room for it");
            prop_assert_eq!(self.own[&evicted].state(), CircuitState::Closed);
            let has_call_out = self.hanging.iter().any(|call| call.key == Some(evicted));
            prop_assert!(!has_call_out, "a circuit with a call out has gone");
            self.own.remove(&evicted);
        }
        let owner = present.contains(&key).then_some(key);
        if let Some(key) = owner {
            self.own
                .entry(key)
                .or_insert_with(|| Model::new(self.rules));
        }
        let now = self.now();
        let admitted = self.model(owner).admit(now, &Orders::default());
        self.asked.push((now, admitted.is_err()));

        let result = call.as_mut().poll(&mut Context::from_waker(Waker::noop()));
        match (admitted, result) {
            (Ok(name), Poll::Pending) => {
                prop_assert_eq!(outcome, Outcome::Hangs);
                self.hanging.push(Hanging {
                    key: owner,
                    name,
                    call,
                });
            }
            (Ok(name), Poll::Ready(result)) => {
                prop_assert_eq!(result.is_ok(), outcome == Outcome::Works);
                let refused = result.as_ref().err().and_then(|e| refusal_of(e.as_ref()));
                prop_assert!(refused.is_none(), "{:?}", refused);
                let verdict = match outcome {
                    Outcome::Works => Verdict::Success,
                    _ => Verdict::Failure,
                };
                self.settle(owner, name, Some(verdict));
            }
            (Err(refusal), Poll::Ready(Err(error))) => {
                let rejected = refusal_of(error.as_ref());
                prop_assert_eq!(rejected.map(Rejected::reason), Some(refusal.reason));
            }
            (expected, seen) => prop_assert!(false, "{:?} instead of {:?}", seen, expected),
        }
        Ok(())
    }

    fn settle(&mut self, owner: Option<Key>, name: usize, verdict: Option<Verdict>) {
        let now = self.now();
        let circuit = match owner {
            Some(key) => self.circuits.get(&key),
            None => Some(self.circuits.overflow()),
        };
        self.model(owner).settle(now, name, verdict, None, || {
            circuit.map_or(0, |circuit| circuit.stats().generation)
        });
    }

    fn model(&mut self, owner: Option<Key>) -> &mut Model {
        match owner {
            Some(key) => self
                .own
                .entry(key)
                .or_insert_with(|| Model::new(self.rules)),
            None => &mut self.overflow,
        }
    }

    fn present(&self) -> BTreeSet<Key> {
        let has_circuit = |key: &Key| self.circuits.get(key).is_some();
        (0..KEYS).filter(has_circuit).collect()
    }

    fn compare(&mut self) -> Result<(), TestCaseError> {
        let now = self.now();
        let own: BTreeSet<Key> = self.own.keys().copied().collect();
        prop_assert_eq!(self.present(), own);
        prop_assert_eq!(self.circuits.len(), self.own.len());
        prop_assert!(self.own.len() <= self.at_most);
        agree(&self.circuits.overflow(), &mut self.overflow, now)?;
        for (key, model) in &mut self.own {
            agree(&self.circuits.get(key).unwrap(), model, now)?;
        }
        self.compare_status(now)
    }

    fn compare_status(&mut self, now: Nanos) -> Result<(), TestCaseError> {
        let mut models = self.own.values().chain([&self.overflow]);
        let any_open = models.any(|model| model.state() != CircuitState::Closed);
        let recent = self
            .asked
            .iter()
            .filter(|(at, _)| at / SECOND + 9 >= now / SECOND);
        let (calls, refused) = recent.fold((0, 0), |(calls, refused), (_, was_refused)| {
            (calls + 1, refused + u32::from(*was_refused))
        });
        if calls >= 20 && refused * 2 >= calls {
            self.mostly_refused = Some(now);
        }
        let may_be_unhealthy = self.mostly_refused.is_some_and(|at| now < at + 10 * SECOND);
        let status = self.dependency.status();
        prop_assert_eq!(status != Status::Healthy, any_open, "{:?}", status);
        prop_assert!(status != Status::Unhealthy || may_be_unhealthy);
        Ok(())
    }

    fn now(&self) -> Nanos {
        u64::try_from(self.made.elapsed().as_nanos()).unwrap()
    }
}

fn agree(circuit: &Circuit, model: &mut Model, now: Nanos) -> Result<(), TestCaseError> {
    model.end_round(now);
    let stats = circuit.stats();
    let seen = Held {
        calls: stats.window_calls,
        failures: stats.window_failures,
        slow: stats.window_slow,
    };
    prop_assert_eq!(
        (
            stats.state,
            stats.generation,
            seen,
            Counters::from(stats.totals)
        ),
        (
            model.state(),
            model.generation,
            model.held(now),
            model.totals
        ),
        "circuit left, model right"
    );
    Ok(())
}

fn ops() -> impl Strategy<Value = Vec<Op>> {
    let outcome = select(vec![
        Outcome::Works,
        Outcome::Works,
        Outcome::Fails,
        Outcome::Fails,
        Outcome::Hangs,
    ]);
    let op = prop_oneof![
        12 => (0..KEYS, outcome.clone()).prop_map(|(key, outcome)| Op::Call(key, outcome)),
        // A few keys are called more than others.
        8 => (0..4_u8, outcome).prop_map(|(key, outcome)| Op::Call(key, outcome)),
        2 => (0..64_usize).prop_map(Op::GiveUp),
        3 => select(vec![1, MS, 10 * MS, SECOND, 11 * SECOND]).prop_map(Op::Advance),
    ];
    vec(op, 1..120)
}
