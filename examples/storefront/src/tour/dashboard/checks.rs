//! What the shop promises of its dashboard.

use axum::http::StatusCode;
use brownout::registry::CircuitState;

use super::{
    Outage, Sight,
    part::{names_exactly, wrong_value},
};
use crate::{
    settings::Patience,
    tour::{
        FAILURES,
        checks::{QUICK, limit},
        promises::Promises,
        table::millis,
    },
    upstream::Fault,
};

impl Promises {
    /// Everything is there, and from where it should be.
    pub(super) fn whole(&mut self, who: &Outage, when: &str, sight: &Sight) {
        let answers = &sight.answers;
        let wrong = wrong_value(answers, &[]);
        self.check(
            format!("{who} is whole {when}"),
            answers.are_all(StatusCode::OK) && wrong.is_none() && names_exactly(answers, &[]),
            format!("the answers were {answers}{}", of(wrong)),
        );
        self.check(
            format!("{who} has its circuit closed {when}"),
            sight.circuit == CircuitState::Closed,
            format!("one was {}", sight.circuit),
        );
    }

    /// The services are still being called.
    pub(super) fn dashboard_failing(&mut self, who: &Outage, sight: &Sight) {
        let (answers, circuit) = (&sight.answers, sight.circuit);
        self.partial(who, "from the first failure", sight);
        self.check(
            format!("{who} comes within {}", limit(Patience::DASHBOARD)),
            answers.slowest() <= Patience::DASHBOARD,
            format!("the slowest took {}", millis(answers.slowest())),
        );
        self.check(
            format!("{who} opens its circuit by {FAILURES} failures"),
            circuit == CircuitState::Open,
            format!("it was {circuit}"),
        );
    }

    /// The circuits are open.
    pub(super) fn dashboard_open(&mut self, who: &Outage, sight: &Sight) {
        let answers = &sight.answers;
        self.partial(who, "while its circuit is open", sight);
        self.check(
            format!(
                "{who} comes within {} once its circuit is open",
                limit(QUICK)
            ),
            answers.median() <= QUICK,
            format!("the median was {}", millis(answers.median())),
        );
        // Through a closed port nothing would be seen anyway.
        if who.fault != Fault::ClosedPort {
            self.check(
                format!("{who} makes no calls to it while its circuit is open"),
                sight.calls == 0,
                format!("it saw {}", sight.calls),
            );
        }
    }

    /// There is a page, with a value for everything, that says what it lacks.
    fn partial(&mut self, who: &Outage, when: &str, sight: &Sight) {
        let answers = &sight.answers;
        self.check(
            format!("{who} is answered with 200 {when}"),
            answers.are_all(StatusCode::OK),
            format!("the answers were {answers}"),
        );
        let wrong = wrong_value(answers, who.broken);
        self.check(
            format!("{who} shows all that it knows, and else a sensible value, {when}"),
            wrong.is_none(),
            format!("the answers were {answers}{}", of(wrong)),
        );
        self.check(
            format!("{who} says what it lacks, and nothing else, {when}"),
            names_exactly(answers, who.broken),
            format!(
                "one said {}",
                answers
                    .iter()
                    .find_map(|answer| answer.degraded.clone())
                    .unwrap_or_else(|| "nothing".to_owned())
            ),
        );
    }
}

fn of(wrong: Option<&str>) -> String {
    wrong.map_or_else(String::new, |part| format!(" with a wrong {part}"))
}
