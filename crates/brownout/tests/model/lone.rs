//! A circuit without a model, for what holds whatever the policy.

use std::time::Duration;

use brownout::{
    Dependency, Registry,
    breaker::{Circuit, Policy, Stats, Ticket},
    core::RejectReason,
    registry::{Order, OverrideId},
};
use tokio::time::advance;

use crate::{
    ops::{Advance, Op},
    rules::{MS, Rules},
};

const TICKETS: usize = 20;

pub(crate) type Answer = Result<(), (RejectReason, Option<Duration>)>;

pub(crate) struct Lone {
    registry: Registry,
    pub(crate) dependency: Dependency,
    pub(crate) circuit: Circuit,
    pub(crate) tickets: Vec<Ticket>,
    orders: Vec<OverrideId>,
    /// How each call that asked for leave fared.
    pub(crate) answers: Vec<Answer>,
}

impl Lone {
    pub(crate) fn new(policy: Policy, seed: u64) -> Self {
        let registry = Registry::builder().seed(seed).build().unwrap();
        let dependency = registry.dependency("lone").register().unwrap();
        Self {
            circuit: Circuit::builder(&dependency).policy(policy).build(),
            registry,
            dependency,
            tickets: Vec::new(),
            orders: Vec::new(),
            answers: Vec::new(),
        }
    }

    /// Does what can be done without a model; `policy` is what a reconfiguration changes to.
    pub(crate) async fn apply(&mut self, op: &Op, policy: impl Fn(&Rules) -> Policy) {
        match op {
            Op::Admit | Op::AdmitElsewhere => {
                if self.tickets.len() < TICKETS {
                    let ticket = self.admit();
                    self.tickets.extend(ticket);
                }
            }
            Op::Call(verdict) => {
                if let Some(ticket) = self.admit() {
                    ticket.settle(*verdict);
                }
            }
            Op::Head(which, head) => {
                if let Some(index) = which.checked_rem(self.tickets.len()) {
                    self.tickets[index].head(*head);
                }
            }
            Op::Settle(which, verdict) => {
                if let Some(index) = which.checked_rem(self.tickets.len()) {
                    self.tickets.remove(index).settle(*verdict);
                }
            }
            Op::Drop(which) => {
                if let Some(index) = which.checked_rem(self.tickets.len()) {
                    drop(self.tickets.remove(index));
                }
            }
            Op::Advance(how) | Op::AdvanceUnseen(how) => {
                let distance = match how {
                    Advance::By(nanos) => Duration::from_nanos(*nanos),
                    Advance::Due(_) => self.stats().retry_after.unwrap_or_default(),
                    _ => Duration::from_nanos(MS / 2),
                };
                advance(distance).await;
            }
            Op::Reconfigure(rules) => self.circuit.reconfigure(policy(rules)),
            Op::ClearCounts => self.circuit.clear_counts(),
            Op::Impose(mode, ttl) => {
                let order = Order::new("model", "to see", Duration::from_nanos(*ttl));
                self.orders
                    .extend(self.dependency.override_circuit(*mode, order));
            }
            Op::Release(which) => {
                if let Some(index) = which.checked_rem(self.orders.len()) {
                    // It may have expired, which is as good.
                    let _ = self.registry.release(self.orders.remove(index));
                }
            }
        }
    }

    pub(crate) fn stats(&self) -> Stats {
        self.circuit.stats()
    }

    fn admit(&mut self) -> Option<Ticket> {
        let admitted = self.circuit.admit();
        self.answers.push(match &admitted {
            Ok(_) => Ok(()),
            Err(rejected) => Err((rejected.reason(), rejected.retry_after())),
        });
        admitted.ok()
    }
}
