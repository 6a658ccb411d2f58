//! A flag under random operations, beside a slow and obvious model of what the documentation says.

mod falling;
mod reference;

use std::time::Duration;

use brownout::{
    Registry,
    core::Verdict,
    flag::{Flag, Flags, Ticket},
    registry::{
        DegradationLevel, FeatureState, Order,
        fleet::{
            Count, FleetGuard, FleetSettings, FleetStore, MemoryStore, Quorum, ReplicaId, Rule,
        },
    },
};
use proptest::{collection::vec, option, prelude::*, sample::select, test_runner::Config};
use tokio::time::advance;

use crate::common::history;

use self::reference::{Millis, Model, Rules};

#[derive(Clone, Debug)]
enum Op {
    Admit,
    Settle(usize, Verdict),
    Drop(usize),
    /// So many calls that are over at once.
    Calls(u32, Verdict),
    Advance(Millis),
    /// To the end of what is automatic, and so much further.
    AdvanceToEnd(Millis),
    /// As before; nobody looks until the next call.
    AdvanceUnseen(Millis),
    Impose(FeatureState, Millis),
    Release(usize),
    ImposeLevel(DegradationLevel, Millis),
    Configure(FeatureState),
    /// The fleet's errors degrade the flag for so long.
    FleetTrip(Millis),
    /// Leaves the fleet, and joins another.
    Leave,
    /// Compares what the window holds, and by that dates successes.
    Look,
}

const DAY: Duration = Duration::from_hours(24);

struct SideBySide {
    registry: Registry,
    flag: Flag,
    /// The store of the fleet, and what keeps the registry in that.
    fleet: (MemoryStore, FleetGuard),
    model: Model,
    tickets: Vec<(Ticket, u64)>,
}

impl SideBySide {
    fn new(rules: Rules) -> Self {
        let registry = Registry::builder().seed(7).build().unwrap();
        let mut builder = Flags::new(&registry)
            .builder("ml_recs")
            .jitter(0.0)
            .errors(rules.errors)
            .min_ratio(rules.min_ratio)
            .window(Duration::from_millis(rules.bucket * 12))
            .ttl(Duration::from_millis(rules.ttl))
            .ttl_at_most(Duration::from_millis(rules.ttl_at_most));
        builder = match rules.ramp {
            Some(ramp) => builder.ramp(Duration::from_millis(ramp)),
            None => builder.no_ramp(),
        };
        if let Some(level) = rules.degrade_at {
            builder = builder.degrade_at(level);
        }
        if let Some(level) = rules.disable_at {
            builder = builder.disable_at(level);
        }
        Self {
            flag: builder.build().unwrap(),
            fleet: joined(&registry),
            registry,
            model: Model::new(rules),
            tickets: Vec::new(),
        }
    }

    fn admit(&mut self) -> Result<Option<Ticket>, TestCaseError> {
        let ticket = self.flag.admit().ok();
        if let Some(expected) = self.model.lets_in() {
            prop_assert_eq!(ticket.is_some(), expected);
        }
        Ok(ticket)
    }

    async fn advance(&mut self, by: Millis) {
        advance(Duration::from_millis(by)).await;
        self.model.advance(by);
    }

    async fn run(&mut self, op: Op) -> Result<(), TestCaseError> {
        match op {
            Op::Admit => {
                if let Some(ticket) = self.admit()? {
                    self.tickets.push((ticket, self.model.generation));
                }
            }
            Op::Settle(which, verdict) => {
                if let Some((ticket, generation)) = self.pick(which) {
                    ticket.settle(verdict);
                    self.model.settle(generation, verdict);
                }
            }
            Op::Drop(which) => drop(self.pick(which)),
            Op::Calls(calls, verdict) => {
                for _ in 0..calls {
                    if let Some(ticket) = self.admit()? {
                        ticket.settle(verdict);
                        self.model.settle(self.model.generation, verdict);
                    }
                }
            }
            Op::Advance(by) => self.advance(by).await,
            Op::AdvanceToEnd(further) => {
                let end = self.model.degraded_until.unwrap_or(self.model.ramps_until);
                let by = end.saturating_sub(self.model.now) + further;
                self.advance(by.saturating_sub(1)).await;
            }
            Op::AdvanceUnseen(by) => {
                self.advance(by).await;
                return self.admit().map(drop);
            }
            Op::Impose(state, ttl) => {
                let order = Order::new("kim", "rehearsal", Duration::from_millis(ttl));
                if let Ok(id) = self.registry.override_flag("ml_recs", state, order) {
                    self.model.states.push((state, self.model.now + ttl, id));
                }
            }
            Op::Release(which) => {
                if !self.model.states.is_empty() {
                    let index = which % self.model.states.len();
                    let (_, _, id) = self.model.states.remove(index);
                    self.registry.release(id).unwrap();
                }
            }
            Op::ImposeLevel(level, ttl) => {
                let order = Order::new("kim", "rehearsal", Duration::from_millis(ttl));
                if let Ok(id) = self.registry.override_level(level, order) {
                    self.model.levels.push((level, self.model.now + ttl, id));
                }
            }
            Op::Configure(state) => {
                self.flag.configure(state);
                self.model.configured = state;
            }
            Op::FleetTrip(ttl) => {
                let elsewhere = ReplicaId::new("elsewhere").unwrap();
                let count = Count {
                    flag: "ml_recs".into(),
                    successes: 0,
                    failures: 1,
                    rule: Rule {
                        errors: 1,
                        window: Duration::from_secs(1),
                        min_ratio_ppb: 0,
                        ttl: Duration::from_millis(ttl),
                    },
                };
                let (store, _guard) = &self.fleet;
                let quorum = Quorum {
                    replicas: 1,
                    fewer_after: Duration::ZERO,
                };
                store.count(&elsewhere, quorum, vec![count]).await.unwrap();
                arrive().await;
                self.model.fleet_trips(ttl);
            }
            Op::Leave => {
                // One after the other: a registry is in one fleet.
                let left = Registry::new();
                self.fleet = joined(&left);
                self.fleet = joined(&self.registry);
                arrive().await;
                self.model.leave();
            }
            Op::Look => {
                let stats = self.flag.stats();
                self.model.look();
                let held = (stats.window_failures.into(), stats.window_calls.into());
                prop_assert_eq!(held, self.model.held());
                if self.model.imposed().is_none() {
                    let ramps = self.model.state() == FeatureState::Enabled
                        && self.model.now < self.model.ramps_until;
                    prop_assert_eq!(stats.ramping, ramps);
                }
            }
        }
        prop_assert_eq!(self.flag.state(), self.model.state());
        Ok(())
    }

    fn pick(&mut self, which: usize) -> Option<(Ticket, u64)> {
        let tickets = self.tickets.len();
        (tickets > 0).then(|| self.tickets.remove(which % tickets))
    }

    /// Each change is one event, and begins where the one before ended.
    fn check_history(&self) -> Result<(), TestCaseError> {
        let history = history(&self.registry);
        // The stream keeps so many events, ours among others.
        if self.registry.recent_events().len() == 256 {
            return Ok(());
        }
        let mut state = FeatureState::Enabled;
        for (from, to, _) in history {
            prop_assert_eq!(from, state);
            prop_assert_ne!(from, to);
            state = to;
        }
        prop_assert_eq!(state, self.model.state());
        Ok(())
    }
}

fn joined(registry: &Registry) -> (MemoryStore, FleetGuard) {
    let store = MemoryStore::new();
    // Out of the way: what the flag itself counts is not what is looked at here.
    let settings = FleetSettings::new(ReplicaId::new("here").unwrap()).flush(DAY);
    let guard = registry.join_fleet(store.clone(), settings).unwrap();
    (store, guard)
}

/// Lets the registry's tasks take what they are told.
async fn arrive() {
    for _ in 0..20 {
        tokio::task::yield_now().await;
    }
}

fn rules() -> impl Strategy<Value = Rules> {
    use DegradationLevel::{Emergency, Minimal, Reduced};
    (
        (1..6_u32, select(vec![0.0, 0.05, 0.25, 1.0]), 1..50_u64),
        (1..2_000_u64, 1..5_u64),
        option::of(1..500_u64),
        option::of(select(vec![Reduced, Minimal])),
        option::of(Just(Emergency)),
    )
        .prop_map(
            |((errors, min_ratio, bucket), (ttl, times), ramp, degrade_at, disable_at)| Rules {
                errors,
                min_ratio,
                bucket,
                ttl,
                ttl_at_most: ttl * times,
                ramp,
                degrade_at,
                disable_at,
            },
        )
}

fn ops() -> impl Strategy<Value = Vec<Op>> {
    let verdict = || {
        select(vec![
            Verdict::Success,
            Verdict::Failure,
            Verdict::Failure,
            Verdict::Neutral,
            Verdict::Trip {
                open_for: Duration::from_secs(1),
            },
        ])
    };
    let state = || select(FeatureState::ALL);
    let op = prop_oneof![
        4 => Just(Op::Admit),
        4 => (any::<usize>(), verdict()).prop_map(|(which, verdict)| Op::Settle(which, verdict)),
        1 => any::<usize>().prop_map(Op::Drop),
        8 => (1..10_u32, verdict()).prop_map(|(calls, verdict)| Op::Calls(calls, verdict)),
        4 => (1..300_u32).prop_map(|calls| Op::Calls(calls, Verdict::Success)),
        8 => (0..600_u64).prop_map(Op::Advance),
        2 => (0..20_000_u64).prop_map(Op::Advance),
        4 => (0..3_u64).prop_map(Op::AdvanceToEnd),
        2 => (0..3_000_u64).prop_map(Op::AdvanceUnseen),
        2 => (state(), 1..2_000_u64).prop_map(|(state, ttl)| Op::Impose(state, ttl)),
        1 => any::<usize>().prop_map(Op::Release),
        2 => (select(DegradationLevel::ALL), 1..2_000_u64)
            .prop_map(|(level, ttl)| Op::ImposeLevel(level, ttl)),
        1 => state().prop_map(Op::Configure),
        3 => (1..2_000_u64).prop_map(Op::FleetTrip),
        1 => Just(Op::Leave),
        4 => Just(Op::Look),
    ];
    vec(op, 1..150)
}

#[test]
fn a_flag_does_what_its_documentation_says() {
    let mut config = Config {
        failure_persistence: None,
        ..Config::default()
    };
    if std::env::var_os("PROPTEST_CASES").is_none() {
        config.cases = 512;
    }
    proptest!(config, |(rules in rules(), ops in ops())| {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .start_paused(true)
            .build()
            .unwrap();
        runtime.block_on(async {
            let mut both = SideBySide::new(rules);
            arrive().await;
            for op in ops {
                both.run(op).await?;
            }
            both.check_history()
        })?;
    });
}
