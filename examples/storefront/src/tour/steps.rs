//! The script: what happens in an outage, step by step. What the shop promises meanwhile is in [`checks`](super::checks).

use std::{io::Write, time::Duration};

use axum::http::StatusCode;
use tokio::time::{Instant, sleep};
use tower::BoxError;

use super::{
    FAILURES,
    details::Details,
    health::Word,
    metrics::Page,
    outages::{Outage, Patient, Service},
    promises::Promises,
    sights::Sights,
    spell::{Spells, TRIES},
    stage::Stage,
    table::{Row, Table},
    visitor::{Crowd, Wish},
};
use crate::upstream::Fault;

/// How soon the level is back, and how soon payments are made up for: the dwell and the pace, and what a busy machine
/// adds.
pub(super) const SOON: Duration = Duration::from_secs(5);
/// How often something is asked for in a step: once for each of the tiers behind it, and odd, for the median's sake.
pub(super) const VISITS: usize = 3;
/// A page that is asked for with a header that only answers should have.
const FORGED: &str = "/api/v1/recommendations";

/// Walks through the script and keeps the books.
#[derive(Debug)]
pub(super) struct Guide<'a, W> {
    pub(super) stage: Stage,
    pub(super) promises: Promises,
    pub(super) table: Table<'a, W>,
}

impl<W: Write> Guide<'_, W> {
    /// Nothing is broken, and everything works.
    pub(super) async fn all_well(&mut self, when: &str) -> Result<(), BoxError> {
        self.stage.details_when(SOON, Details::is_well).await;
        let seen = self.stage.health().await;
        self.promises.health(when, &seen, Word::Pass);
        self.promises.check(
            format!("{when}, the level is full"),
            seen.details.is_full(),
            format!("it was {}", seen.details.level),
        );
        let answer = self.stage.ask(Wish::Forged(FORGED)).await;
        self.promises.not_forged(when, &answer);
        let sights = self.stage.look(Crowd::InTurn(VISITS), None).await?;
        for service in Service::ALL {
            self.promises.all_well(when, service, sights.of(service));
            self.row(&format!("{when}: {service}"), service, &sights)?;
        }
        Ok(())
    }

    /// Services fail, are stood in for, are left alone by their circuits, and heal.
    pub(super) async fn outage(&mut self, outage: &Outage) -> Result<(), BoxError> {
        let before = self.stage.metrics().await;
        for Patient { service, fault, .. } in outage.patients() {
            self.stage.upstream(service).set_fault(fault).await?;
        }
        self.failing(outage).await?;
        self.open(outage, &before).await?;
        for service in outage.broken {
            self.stage.upstream(*service).set_fault(Fault::None).await?;
        }
        self.healing(outage).await?;
        if outage.breaks(Service::Payments) {
            self.payments_made_up_for(outage).await?;
        }
        if outage.level() != "full" {
            self.level_returns(outage).await?;
        }
        Ok(())
    }

    /// The first failures cost time, but no customer an answer; and they open the circuits.
    async fn failing(&mut self, outage: &Outage) -> Result<(), BoxError> {
        let crowd = Crowd::Together(FAILURES as usize);
        let sights = self.stage.look(crowd, Some(outage)).await?;
        for patient in outage.patients() {
            self.promises.failing(&patient, sights.of(patient.service));
            if patient.fault == Fault::HangAfterCharge {
                self.promise_nothing_is_queued_that_was_charged(&patient)
                    .await;
            }
            self.row(&patient.to_string(), patient.service, &sights)?;
        }
        self.promises
            .others("while it is still called", outage, &sights);
        Ok(())
    }

    /// Nobody waits for the services, and they are left in peace.
    async fn open(&mut self, outage: &Outage, before: &Page) -> Result<(), BoxError> {
        let mut tries = TRIES;
        let (sights, page) = loop {
            let spells = self.spells(outage);
            let sights = self.stage.look(Crowd::InTurn(VISITS), Some(outage)).await?;
            let page = self.stage.metrics().await;
            tries -= 1;
            if tries == 0 || spells == self.spells(outage) {
                break (sights, page);
            }
        };
        for patient in outage.patients() {
            self.promises.open(&patient, sights.of(patient.service));
            self.promises
                .health_while_open(&patient, outage, &sights.health);
            self.promises.metrics_while_open(&patient, before, &page);
            self.row("  its circuit is open", patient.service, &sights)?;
        }
        self.promises
            .others("while its circuit is open", outage, &sights);
        Ok(())
    }

    fn spells(&self, outage: &Outage) -> Spells {
        let broken = outage.broken.iter();
        Spells::of(broken.map(|service| self.stage.backend(*service).circuit()))
    }

    /// The first calls that are let through show that the services are back.
    async fn healing(&mut self, outage: &Outage) -> Result<(), BoxError> {
        let circuits = outage
            .broken
            .iter()
            .map(|service| self.stage.backend(*service).circuit());
        let due = circuits
            .filter_map(|circuit| circuit.stats().retry_after)
            .max();
        // Without the breaker the model has failed so often that its flag has stepped back as well.
        let flag_due = self.stage.flag().stats().ends_after;
        sleep(due.max(flag_due).unwrap_or_default()).await;
        let sights = self.stage.look(Crowd::InTurn(VISITS), None).await?;
        let page = self.stage.metrics().await;
        for patient in outage.patients() {
            self.promises.healed(&patient, sights.of(patient.service));
            self.promises.metrics_once_healed(&patient, &page);
            self.row("  healed, and seen to be", patient.service, &sights)?;
        }
        Ok(())
    }

    /// A charge that was made although its answer never came is the caller's to repeat. The shop does not know better,
    /// and says so.
    async fn promise_nothing_is_queued_that_was_charged(&mut self, patient: &Patient) {
        let hung = self
            .stage
            .purchases
            .last_answered(&[StatusCode::GATEWAY_TIMEOUT]);
        let mut states = Vec::new();
        let mut charged = 0;
        for purchase in &hung {
            let answer = self.stage.ask(Wish::State(purchase.key.clone())).await;
            states.push(answer.says("state").unwrap_or_default());
            charged += self.stage.ledger().times_charged(&purchase.order);
        }
        self.promises.check(
            format!("{patient} leaves its payments charged, not queued, and the shop says that it does not know"),
            hung.len() == FAILURES as usize
                && charged == hung.len()
                && states.iter().all(|state| state == "unknown"),
            format!("{charged} of {} were charged, and their states were {}", hung.len(), states.join(", ")),
        );
    }

    /// What was queued is charged without anybody asking; what nobody knows of is repeated by its caller.
    async fn payments_made_up_for(&mut self, outage: &Outage) -> Result<(), BoxError> {
        let Some(patient) = outage
            .patients()
            .find(|patient| patient.service == Service::Payments)
        else {
            return Ok(());
        };
        let start = Instant::now();
        let queued = self.stage.purchases.last_answered(&[StatusCode::ACCEPTED]);
        let mut charged = 0;
        for purchase in &queued {
            while start.elapsed() < SOON {
                let answer = self.stage.ask(Wish::State(purchase.key.clone())).await;
                if answer.says("state").as_deref() == Some("charged") {
                    charged += 1;
                    break;
                }
                sleep(Duration::from_millis(20)).await;
            }
        }
        self.promises.check(
            format!(
                "{patient}, once healed, charges what was queued within {} ms",
                SOON.as_millis()
            ),
            charged == queued.len(),
            format!("{charged} of {} were charged", queued.len()),
        );

        let unknown = [StatusCode::BAD_GATEWAY, StatusCode::GATEWAY_TIMEOUT];
        for purchase in self.stage.purchases.last_answered(&unknown) {
            let answers = self.stage.pay_again(&purchase, 2).await;
            let times = self.stage.ledger().times_charged(&purchase.order);
            self.promises.check(
                format!("{patient}, once healed, charges once what is repeated by the same key, twice at a time"),
                answers.are_all(StatusCode::CREATED) && times == 1,
                format!("the answers were {answers}, and it was charged {times} times"),
            );
        }
        Ok(())
    }

    /// The level falls by itself when it has been quiet for the dwell.
    async fn level_returns(&mut self, outage: &Outage) -> Result<(), BoxError> {
        let seen = self.stage.details_when(SOON, Details::is_full).await;
        for patient in outage.patients() {
            self.promises.check(
                format!(
                    "{patient}, once healed, lets the level return to full within {} ms",
                    SOON.as_millis()
                ),
                seen.is_full(),
                format!("it was {}", seen.level),
            );
        }
        Ok(())
    }

    pub(super) fn row(
        &mut self,
        step: &str,
        service: Service,
        sights: &Sights,
    ) -> Result<(), BoxError> {
        let sight = sights.of(service);
        let row = Row {
            step,
            answers: &sight.answers,
            from: sight.answers.sources(),
            calls: sight.calls,
            circuit: sight.circuit,
            level: &sights.health.details.level,
            promises: self.promises.tally(),
        };
        Ok(self.table.row(&row)?)
    }
}
