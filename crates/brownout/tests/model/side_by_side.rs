//! A circuit and its model, put through the same operations and compared after each.

use std::{thread, time::Duration};

use brownout::{
    Dependency, Registry,
    breaker::{Circuit, Ticket},
    core::{Rejected, Verdict},
    registry::{
        CircuitMode, CircuitState, Event, EventKind, Events, Order, OverrideError, Received, Status,
    },
};
use proptest::{prop_assert, prop_assert_eq, test_runner::TestCaseError};
use tokio::{
    runtime::Handle,
    time::{Instant, advance},
};

use crate::{
    ops::{Advance, Op},
    orders::Orders,
    reference::{Counters, Held, Model, Refusal, Told},
    rules::{Nanos, Rules, Window},
    tally::Tally,
};

/// More tickets than this are never out.
const TICKETS: usize = 20;

pub(crate) struct SideBySide<'a> {
    registry: Registry,
    dependency: Dependency,
    circuit: Circuit,
    events: Events,
    model: Model,
    orders: Orders,
    tickets: Vec<(Ticket, usize)>,
    made: Instant,
    first: Rules,
    tally: &'a Tally,
}

/// All that can be seen of a circuit.
#[derive(Debug, PartialEq)]
struct Picture {
    state: CircuitState,
    mode: Option<CircuitMode>,
    generation: u64,
    retry_after: Option<Nanos>,
    held: Held,
    run: u32,
    totals: Counters,
    status: Status,
    told: Vec<Told>,
}

impl<'a> SideBySide<'a> {
    pub(crate) fn new(rules: Rules, tally: &'a Tally) -> Self {
        let registry = Registry::builder().seed(1).build().unwrap();
        let dependency = registry.dependency("model").register().unwrap();
        Self {
            events: registry.events(),
            circuit: Circuit::builder(&dependency).policy(rules.policy()).build(),
            registry,
            dependency,
            model: Model::new(rules),
            orders: Orders::default(),
            tickets: Vec::new(),
            made: Instant::now(),
            first: rules,
            tally,
        }
    }

    pub(crate) async fn apply(&mut self, op: &Op) -> Result<(), TestCaseError> {
        match op {
            Op::Admit | Op::AdmitElsewhere => {
                if self.tickets.len() < TICKETS {
                    let elsewhere = matches!(op, Op::AdmitElsewhere);
                    let admitted = self.admit(elsewhere)?;
                    self.tickets.extend(admitted);
                }
            }
            Op::Call(verdict) => {
                if let Some((ticket, call)) = self.admit(false)? {
                    self.settle(ticket, call, Some(*verdict));
                }
            }
            Op::Head(which, head) => {
                let (now, mode) = (self.now(), self.mode());
                if let Some(index) = which.checked_rem(self.tickets.len()) {
                    let (ticket, call) = &mut self.tickets[index];
                    ticket.head(*head);
                    let circuit = &self.circuit;
                    self.model
                        .head(now, *call, *head, mode, || circuit.stats().generation);
                }
            }
            Op::Settle(which, verdict) => {
                if let Some((ticket, call)) = self.take(*which) {
                    self.settle(ticket, call, Some(*verdict));
                }
            }
            Op::Drop(which) => {
                if let Some((ticket, call)) = self.take(*which) {
                    self.settle(ticket, call, None);
                }
            }
            Op::Advance(how) | Op::AdvanceUnseen(how) => self.advance(*how).await?,
            Op::Reconfigure(rules) => {
                let rules = rules.over_the_window_of(&self.first);
                self.circuit.reconfigure(rules.policy());
                let now = self.now();
                self.model.reconfigure(now, rules);
            }
            Op::ClearCounts => {
                self.circuit.clear_counts();
                let now = self.now();
                self.model.clear_counts(now);
            }
            Op::Impose(mode, ttl) => self.impose(*mode, *ttl)?,
            Op::Release(which) => {
                let now = self.now();
                if let Some(id) = self.orders.take(now, *which) {
                    self.registry.release(id).unwrap();
                }
            }
        }
        if matches!(op, Op::AdvanceUnseen(_)) {
            return Ok(());
        }
        self.compare()
    }

    fn admit(&mut self, elsewhere: bool) -> Result<Option<(Ticket, usize)>, TestCaseError> {
        let now = self.now();
        let expected = self.model.admit(now, &self.orders);
        let admitted = if elsewhere {
            on_another_thread(|| self.circuit.admit())
        } else {
            self.circuit.admit()
        };
        prop_assert_eq!(
            admitted.as_ref().map(drop).map_err(refusal),
            expected.map(drop),
            "whether the call is admitted, at {} ns: circuit left, model right",
            now
        );
        Ok(admitted.ok().zip(expected.ok()))
    }

    fn settle(&mut self, ticket: Ticket, call: usize, verdict: Option<Verdict>) {
        match verdict {
            Some(verdict) => ticket.settle(verdict),
            None => drop(ticket),
        }
        let (now, mode) = (self.now(), self.mode());
        let circuit = &self.circuit;
        self.model
            .settle(now, call, verdict, mode, || circuit.stats().generation);
    }

    fn take(&mut self, which: usize) -> Option<(Ticket, usize)> {
        let index = which.checked_rem(self.tickets.len())?;
        Some(self.tickets.remove(index))
    }

    fn impose(&mut self, mode: CircuitMode, ttl: Nanos) -> Result<(), TestCaseError> {
        let now = self.now();
        let order = Order::new("model", "to see what happens", Duration::from_nanos(ttl));
        let imposed = self.dependency.override_circuit(mode, order);
        if self.orders.are_full(now) {
            let refused = matches!(imposed, Err(OverrideError::TooMany { .. }));
            prop_assert!(refused, "a ninth order was taken");
        } else {
            self.orders.push(imposed.unwrap(), mode, now + ttl);
        }
        Ok(())
    }

    async fn advance(&mut self, how: Advance) -> Result<(), TestCaseError> {
        let (now, rules) = (self.now(), self.model.rules);
        let target = match how {
            Advance::By(nanos) => Some(now + nanos),
            Advance::SubBucket(further, side) => match rules.window {
                Window::Time(length) => {
                    Some(side.of((now / (length / 10) + further) * (length / 10)))
                }
                Window::Calls(_) => None,
            },
            Advance::Due(side) => self.model.due().map(|due| side.of(due)),
            Advance::Step(further, side) => rules
                .step()
                .map(|step| side.of((now / step + further) * step)),
            Advance::Slow(side) => self.model.slow_at().map(|time| side.of(time)),
            Advance::OverrideEnd(side) => self.orders.end(now).map(|end| side.of(end)),
            Advance::Healthy(side) => self.model.healthy_at().map(|time| side.of(time)),
        };
        let distance = target.unwrap_or(now).saturating_sub(now);
        advance(Duration::from_nanos(distance)).await;
        // What the registry was told of a round's or an open time's end counts by itself, before anybody looks.
        let (now, mode) = (self.now(), self.mode());
        prop_assert_eq!(
            self.dependency.status(),
            self.model.status(now, mode),
            "status after the clock has moved to {} ns: registry left, model right",
            now
        );
        Ok(())
    }

    fn compare(&mut self) -> Result<(), TestCaseError> {
        let (now, mode) = (self.now(), self.mode());
        self.model.end_round(now);
        let expected = Picture {
            state: self.model.state(),
            mode,
            generation: self.model.generation,
            retry_after: self.model.due().map(|due| due.saturating_sub(now)),
            held: self.model.held(now),
            run: self.model.run(),
            totals: self.model.totals,
            status: self.model.status(now, mode),
            told: std::mem::take(&mut self.model.told),
        };
        prop_assert_eq!(self.circuit.state(), expected.state);
        let stats = self.circuit.stats();
        let seen = Picture {
            state: stats.state,
            mode: stats.mode,
            generation: stats.generation,
            retry_after: stats.retry_after.map(nanos),
            held: Held {
                calls: stats.window_calls,
                failures: stats.window_failures,
                slow: stats.window_slow,
            },
            run: stats.consecutive_failures,
            totals: stats.totals.into(),
            status: self.dependency.status(),
            told: self.told(),
        };
        prop_assert_eq!(&seen, &expected, "at {} ns: circuit left, model right", now);
        self.tally.note(&expected.told);
        Ok(())
    }

    /// The circuit's events since the last look.
    fn told(&mut self) -> Vec<Told> {
        let mut told = Vec::new();
        while let Some(received) = self.events.try_recv() {
            if let Received::Event(event) = received {
                told.extend(transition(&event));
            }
        }
        told
    }

    fn mode(&self) -> Option<CircuitMode> {
        self.orders.mode(self.now())
    }

    fn now(&self) -> Nanos {
        nanos(self.made.elapsed())
    }
}

fn on_another_thread<T: Send>(work: impl FnOnce() -> T + Send) -> T {
    let runtime = Handle::current();
    thread::scope(|scope| {
        let thread = scope.spawn(|| {
            // For the paused clock.
            let _entered = runtime.enter();
            work()
        });
        thread.join().unwrap()
    })
}

fn transition(event: &Event) -> Option<Told> {
    match event.kind {
        EventKind::CircuitOpened {
            retry_after,
            generation,
            ..
        } => Some(Told::Opened {
            retry_after: nanos(retry_after),
            generation,
        }),
        EventKind::CircuitHalfOpened { generation, .. } => Some(Told::HalfOpened { generation }),
        EventKind::CircuitClosed { generation, .. } => Some(Told::Closed { generation }),
        EventKind::CircuitWouldOpen { generation, .. } => Some(Told::WouldOpen { generation }),
        _ => None,
    }
}

fn refusal(rejected: &Rejected) -> Refusal {
    Refusal {
        reason: rejected.reason(),
        retry_after: rejected.retry_after().map(nanos),
    }
}

fn nanos(time: Duration) -> Nanos {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}
