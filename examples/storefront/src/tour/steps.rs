//! The script: what happens in an outage, step by step, and what the shop promises meanwhile.

use std::{io::Write, time::Duration};

use axum::http::StatusCode;
use brownout::registry::CircuitState;
use tokio::time::{Instant, sleep};
use tower::BoxError;

use super::{
    FAILURES,
    outages::Outage,
    promises::Promises,
    stage::{Service, Sight, Stage},
    table::{Row, Table, millis},
};
use crate::upstream::Fault;

/// What a request may cost once its circuit is open. Unprotected it costs the shop's whole patience, five times that.
const QUICK: Duration = Duration::from_millis(100);
/// What a page may cost that has nothing to do with what is broken.
const UNAFFECTED: Duration = Duration::from_millis(250);
/// What a request may cost before the circuit is open: the shop's patience, and what a busy machine adds.
const BOUNDED: Duration = Duration::from_secs(2);
/// How soon the level is back: the dwell, and what a busy machine adds.
const LEVEL_BACK: Duration = Duration::from_secs(5);
/// How often a page is asked for in a step; odd, for the median's sake.
const VISITS: u32 = 5;

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
        for (field, value) in [("health", "healthy"), ("level", "full")] {
            let seen = self.stage.health(field).await;
            self.promise(
                format!("{when}, the {field} is {value}"),
                seen == value,
                format!("it was {seen}"),
            );
        }
        for service in [Service::Recommendations, Service::Users] {
            let sight = self.stage.look(service, VISITS).await;
            self.promise(
                format!("{when}, every request for {service} is answered"),
                sight.answers.are_all(StatusCode::OK),
                format!("the answers were {}", sight.answers),
            );
            self.promise(
                format!("{when}, each request for {service} is one call to the service behind it"),
                sight.calls == u64::from(VISITS),
                format!("it saw {} calls", sight.calls),
            );
            self.promise(
                format!("{when}, the circuit for {service} is closed"),
                sight.circuit == CircuitState::Closed,
                format!("it was {}", sight.circuit),
            );
            self.row(&format!("{when}: {service}"), Fault::None, &sight)?;
        }
        Ok(())
    }

    /// A service fails, is left alone by its circuit, and heals.
    pub(super) async fn outage(&mut self, outage: &Outage) -> Result<(), BoxError> {
        self.set_fault(outage, outage.fault).await?;
        self.failing(outage).await?;
        self.open(outage).await?;
        self.set_fault(outage, Fault::None).await?;
        self.healing(outage).await?;
        if outage.service.level_without_it() != "full" {
            self.level_returns(outage).await?;
        }
        Ok(())
    }

    /// The first failures reach the callers, in bounded time, and open the circuit.
    async fn failing(
        &mut self,
        Outage {
            service,
            who,
            fault,
            answer,
        }: &Outage,
    ) -> Result<(), BoxError> {
        let sight = self.stage.look(*service, FAILURES).await;
        self.promise(
            format!("{who} is reported as {}", answer.as_u16()),
            sight.answers.are_all(*answer),
            format!("the answers were {}", sight.answers),
        );
        self.promise(
            format!(
                "{who} costs a request at most {} before its circuit opens",
                limit(BOUNDED)
            ),
            sight.answers.slowest() <= BOUNDED,
            format!("the slowest took {}", millis(sight.answers.slowest())),
        );
        self.promise(
            format!("{who} opens its circuit by {FAILURES} failures"),
            sight.circuit == CircuitState::Open,
            format!("it was {}", sight.circuit),
        );
        self.promise_others(
            &format!("while {who} is still being called"),
            *service,
            &sight,
        );
        self.row(who, *fault, &sight)
    }

    /// Nobody waits for the service, and it is left in peace.
    async fn open(
        &mut self,
        Outage {
            service,
            who,
            fault,
            ..
        }: &Outage,
    ) -> Result<(), BoxError> {
        let sight = self.stage.look(*service, VISITS).await;
        self.promise(
            format!(
                "{who} costs a request at most {} once its circuit is open",
                limit(QUICK)
            ),
            sight.answers.median() <= QUICK,
            format!("the median was {}", millis(sight.answers.median())),
        );
        self.promise(
            format!("{who} is answered for with 503 and Retry-After while its circuit is open"),
            sight.answers.are_all(StatusCode::SERVICE_UNAVAILABLE)
                && sight.answers.say_when_to_retry(),
            format!("the answers were {}", sight.answers),
        );
        // Through a closed port nothing would be seen anyway.
        if *fault != Fault::ClosedPort {
            self.promise(
                format!("{who} gets no calls while its circuit is open"),
                sight.calls == 0,
                format!("it saw {}", sight.calls),
            );
        }
        let level = service.level_without_it();
        self.promise(
            format!("while the circuit of {who} is open, the level is {level}"),
            sight.level == level,
            format!("it was {}", sight.level),
        );
        self.promise_others(
            &format!("while the circuit of {who} is open"),
            *service,
            &sight,
        );
        self.row("  its circuit is open", *fault, &sight)
    }

    /// The first calls that are let through show that the service is back.
    async fn healing(&mut self, Outage { service, who, .. }: &Outage) -> Result<(), BoxError> {
        let due = self.stage.backend(*service).circuit().stats().retry_after;
        sleep(due.unwrap_or_default()).await;
        let sight = self.stage.look(*service, VISITS).await;
        self.promise(
            format!("{who}, once healed, serves every request again"),
            sight.answers.are_all(StatusCode::OK),
            format!("the answers were {}", sight.answers),
        );
        self.promise(
            format!("{who}, once healed, gets every call again"),
            sight.calls == u64::from(VISITS),
            format!("it saw {} of {VISITS}", sight.calls),
        );
        self.promise(
            format!("{who}, once healed, has its circuit closed"),
            sight.circuit == CircuitState::Closed,
            format!("it was {}", sight.circuit),
        );
        self.row("  healed, and seen to be", Fault::None, &sight)
    }

    /// The level falls by itself when it has been quiet for the dwell.
    async fn level_returns(
        &mut self,
        Outage { service, who, .. }: &Outage,
    ) -> Result<(), BoxError> {
        let start = Instant::now();
        while self.stage.health("level").await != "full" && start.elapsed() < LEVEL_BACK {
            sleep(Duration::from_millis(50)).await;
        }
        let sight = self.stage.look(*service, VISITS).await;
        self.promise(
            format!(
                "{who}, once healed, lets the level return to full within {}",
                limit(LEVEL_BACK)
            ),
            sight.level == "full",
            format!("it was {}", sight.level),
        );
        self.row("  after the dwell", Fault::None, &sight)
    }

    async fn set_fault(&self, outage: &Outage, fault: Fault) -> Result<(), BoxError> {
        Ok(self.stage.upstream(outage.service).set_fault(fault).await?)
    }

    fn promise(&mut self, promise: String, kept: bool, seen: String) {
        self.promises.check(promise, kept, seen);
    }

    fn promise_others(&mut self, when: &str, broken: Service, sight: &Sight) {
        let (others, median) = (&sight.others, sight.others.median());
        self.promise(
            format!(
                "{when}, {} come within {}",
                broken.other(),
                limit(UNAFFECTED)
            ),
            others.are_all(StatusCode::OK) && median <= UNAFFECTED,
            format!(
                "the answers were {others} with a median of {}",
                millis(median)
            ),
        );
    }

    fn row(&mut self, step: &str, broken: Fault, sight: &Sight) -> Result<(), BoxError> {
        let row = Row {
            step,
            broken,
            answers: &sight.answers,
            calls: sight.calls,
            circuit: sight.circuit,
            level: &sight.level,
            promises: self.promises.tally(),
        };
        Ok(self.table.row(&row)?)
    }
}

/// A bound, as a promise states it.
fn limit(time: Duration) -> String {
    format!("{} ms", time.as_millis())
}
