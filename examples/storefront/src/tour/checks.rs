//! What the shop promises at each step of an outage.

use std::time::Duration;

use axum::http::StatusCode;
use brownout::registry::CircuitState;

use super::{
    FAILURES,
    outages::{Outage, Patient, Service},
    promises::Promises,
    purchases::Audit,
    sights::{Sight, Sights},
    steps::VISITS,
    table::millis,
};
use crate::upstream::Fault;

/// What a request may cost once its circuit is open, on a busy machine. Unprotected it costs the shop's whole patience.
pub(super) const QUICK: Duration = Duration::from_millis(200);
/// What a page may cost that has nothing to do with what is broken.
const UNAFFECTED: Duration = Duration::from_millis(250);
/// What a request may cost before the circuit is open: the shop's patience, and what a busy machine adds.
const BOUNDED: Duration = Duration::from_secs(2);

impl Promises {
    /// Everything comes from where it should.
    pub(super) fn all_well(&mut self, when: &str, service: Service, sight: &Sight) {
        let Sight {
            answers,
            calls,
            circuit,
        } = sight;
        self.check(
            format!(
                "{when}, every request for {service} is answered, and by the service behind it"
            ),
            answers.are_all(service.success()) && answers.are_unmarked(),
            format!("the answers were {answers} from {}", answers.sources()),
        );
        self.check(
            format!("{when}, each request for {service} is one call to the service behind it"),
            *calls == VISITS as u64,
            format!("it saw {calls} calls"),
        );
        self.check(
            format!("{when}, the circuit for {service} is closed"),
            *circuit == CircuitState::Closed,
            format!("it was {circuit}"),
        );
    }

    /// The service is still being called.
    pub(super) fn failing(&mut self, who: &Patient, sight: &Sight) {
        let Sight {
            answers, circuit, ..
        } = sight;
        match payment_answer(who) {
            Some(status) => self.check(
                format!(
                    "{who} is reported as {}, until its circuit opens",
                    status.as_u16()
                ),
                answers.are_all(status),
                format!("the answers were {answers}"),
            ),
            None => self.stood_in_for(
                &format!("{who} is stood in for from the first failure"),
                who,
                who.reasons(),
                sight,
            ),
        }
        self.check(
            format!(
                "{who} costs a request at most {} before its circuit opens",
                limit(BOUNDED)
            ),
            answers.slowest() <= BOUNDED,
            format!("the slowest took {}", millis(answers.slowest())),
        );
        self.check(
            format!("{who} opens its circuit by {FAILURES} failures"),
            *circuit == CircuitState::Open,
            format!("it was {circuit}"),
        );
    }

    /// The circuit is open.
    pub(super) fn open(&mut self, who: &Patient, sight: &Sight) {
        let Sight { answers, calls, .. } = sight;
        self.stood_in_for(
            &format!("{who} is stood in for while its circuit is open"),
            who,
            &["circuit-open"],
            sight,
        );
        self.check(
            format!(
                "{who} costs a request at most {} once its circuit is open",
                limit(QUICK)
            ),
            answers.median() <= QUICK,
            format!("the median was {}", millis(answers.median())),
        );
        // Through a closed port nothing would be seen anyway.
        if who.fault != Fault::ClosedPort {
            self.check(
                format!("{who} gets no calls while its circuit is open"),
                *calls == 0,
                format!("it saw {calls}"),
            );
        }
    }

    /// The service is called again, and answers for itself.
    pub(super) fn healed(&mut self, who: &Patient, sight: &Sight) {
        let Sight {
            answers,
            calls,
            circuit,
        } = sight;
        self.check(
            format!("{who}, once healed, serves every request again"),
            answers.are_all(who.service.success()) && answers.are_unmarked(),
            format!("the answers were {answers} from {}", answers.sources()),
        );
        // Payments that were queued come on top.
        self.check(
            format!("{who}, once healed, gets every call again"),
            *calls == VISITS as u64 || who.service == Service::Payments && *calls > VISITS as u64,
            format!("it saw {calls} of {VISITS}"),
        );
        self.check(
            format!("{who}, once healed, has its circuit closed"),
            *circuit == CircuitState::Closed,
            format!("it was {circuit}"),
        );
    }

    /// What does not need the broken service does not notice.
    pub(super) fn others(&mut self, when: &str, outage: &Outage, sights: &Sights) {
        for who in outage.patients().filter(|_| outage.broken.len() == 1) {
            for service in Service::ALL
                .into_iter()
                .filter(|service| !outage.breaks(*service))
            {
                let answers = &sights.of(service).answers;
                self.check(
                    format!(
                        "{who}: {when}, {service} come as ever within {}",
                        limit(UNAFFECTED)
                    ),
                    answers.are_all(service.success())
                        && answers.are_unmarked()
                        && answers.median() <= UNAFFECTED,
                    format!(
                        "the answers were {answers} with a median of {}",
                        millis(answers.median())
                    ),
                );
            }
        }
    }

    /// At the end: the shop's word against the ledger.
    pub(super) fn ledger(&mut self, audit: &Audit) {
        for (promise, broken) in [
            ("no payment is charged twice", audit.twice),
            (
                "each payment that was answered with 201 is in the ledger",
                audit.charged_and_lost,
            ),
            (
                "each payment that was queued is in the ledger",
                audit.queued_and_lost,
            ),
            (
                "nothing is in the ledger that nobody paid for",
                audit.unasked,
            ),
        ] {
            self.check(
                format!("at the end, {promise}"),
                broken == 0,
                format!("there are {broken} of which that is not true"),
            );
        }
        self.check(
            "payments were queued, so that there is something to compare",
            audit.queued > 0 && audit.charged > 0,
            format!(
                "{} were charged at once and {} queued",
                audit.charged, audit.queued
            ),
        );
    }

    /// The tiers answer, all that there are, and say so.
    fn stood_in_for(&mut self, promise: &str, who: &Patient, reasons: &[&str], sight: &Sight) {
        let answers = &sight.answers;
        let (status, tiers) = (who.service.stand_in(), who.service.tiers());
        self.check(
            format!("{promise}: {} from {tiers}", status.as_u16()),
            answers.are_all(status) && answers.sources() == tiers,
            format!("the answers were {answers} from {}", answers.sources()),
        );
        let dependency = who.service.dependency();
        self.check(
            format!(
                "{promise}, and the header names {dependency}, the tier, and why: {}",
                reasons.join(" or ")
            ),
            answers.are_marked(dependency, reasons),
            format!("it said {}", answers.marks()),
        );
    }
}

/// The answer to a payment that may have been charged. None for one that was certainly not, and is stood in for, and for
/// what is no payment.
fn payment_answer(who: &Patient) -> Option<StatusCode> {
    match (who.service, who.fault) {
        (Service::Recommendations | Service::Users, _) | (_, Fault::None | Fault::ClosedPort) => {
            None
        }
        (_, Fault::Status(_) | Fault::HalfBody) => Some(StatusCode::BAD_GATEWAY),
        (_, Fault::Latency(_) | Fault::Hang | Fault::HangAfterCharge) => {
            Some(StatusCode::GATEWAY_TIMEOUT)
        }
    }
}

/// A bound, as a promise states it.
pub(super) fn limit(time: Duration) -> String {
    format!("{} ms", time.as_millis())
}
