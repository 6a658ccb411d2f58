//! The flag of the model: it steps back when the model fails in a way that no circuit notices, and returns by itself.

use std::io::Write;

use axum::http::StatusCode;
use brownout::registry::{CircuitState, FeatureState};
use tokio::time::sleep;
use tower::BoxError;

use super::{
    ERRORS,
    outages::Service,
    promises::Promises,
    sights::Sights,
    steps::{Guide, VISITS},
    visitor::Crowd,
};
use crate::upstream::Fault;

/// The model lives and turns the shop away, so that its circuit has no reason to open: a 429 is no failure of the
/// service, but it is one of the feature.
const TURNS_AWAY: Fault = Fault::Status(StatusCode::TOO_MANY_REQUESTS);
const WHO: &str = "a recommender that answers 429";

impl<W: Write> Guide<'_, W> {
    /// Errors degrade the flag; then rules stand in for the model, for a while.
    pub(super) async fn feature(&mut self) -> Result<(), BoxError> {
        let model = Service::Recommendations;
        self.stage.upstream(model).set_fault(TURNS_AWAY).await?;
        let sights = self.crowd(ERRORS as usize - 1).await?;
        self.promises.not_yet(self.stage.flag().state(), &sights);
        self.row(WHO, model, &sights)?;

        let sights = self.crowd(1).await?;
        self.promises.degrades(self.stage.flag().state(), &sights);
        self.row("  the last error", model, &sights)?;

        // It is well again at once, and the flag does not know.
        self.stage.upstream(model).set_fault(Fault::None).await?;
        let sights = self.crowd(VISITS).await?;
        self.promises.stepped_back(&sights);
        self.row("  its flag is degraded", model, &sights)?;

        let due = self.stage.flag().stats().ends_after;
        sleep(due.unwrap_or_default()).await;
        let sights = self.crowd(VISITS).await?;
        let state = self.stage.flag().state();
        self.promises.flag_returns(state, &sights);
        self.row("  its flag is back", model, &sights)
    }

    async fn crowd(&mut self, size: usize) -> Result<Sights, BoxError> {
        self.stage.look(Crowd::Together(size), None).await
    }
}

impl Promises {
    /// Fewer errors than the flag is told to bear.
    fn not_yet(&mut self, flag: FeatureState, sights: &Sights) {
        let bears = ERRORS - 1;
        self.rules_stand_in(
            &format!("{WHO} is stood in for from the first error"),
            sights,
        );
        self.check(
            format!("{WHO} does not degrade its flag by {bears} errors"),
            flag == FeatureState::Enabled,
            format!("it was {flag}"),
        );
    }

    fn degrades(&mut self, flag: FeatureState, sights: &Sights) {
        let circuit = sights.of(Service::Recommendations).circuit;
        self.check(
            format!("{WHO} degrades its flag by {ERRORS} errors"),
            flag == FeatureState::Degraded,
            format!("it was {flag}"),
        );
        self.check(
            format!("{WHO} is alive, and its circuit stays closed"),
            circuit == CircuitState::Closed,
            format!("it was {circuit}"),
        );
    }

    fn stepped_back(&mut self, sights: &Sights) {
        let sight = sights.of(Service::Recommendations);
        self.rules_stand_in(
            &format!("{WHO} is stood in for while its flag is degraded"),
            sights,
        );
        let because = sight.answers.iter().all(|answer| {
            let mark = answer.degraded.as_deref();
            mark.is_some_and(|mark| mark.contains("reason=flag-degraded"))
        });
        self.check(
            format!("{WHO} is stood in for on account of its flag"),
            because,
            "the answers do not say so",
        );
        self.check(
            format!("{WHO} gets no calls while its flag is degraded"),
            sight.calls == 0,
            format!("it saw {}", sight.calls),
        );
    }

    fn flag_returns(&mut self, flag: FeatureState, sights: &Sights) {
        let sight = sights.of(Service::Recommendations);
        self.check(
            format!("{WHO}, once healed, is asked again when its flag is back"),
            flag == FeatureState::Enabled
                && sight.answers.are_all(StatusCode::OK)
                && sight.answers.are_unmarked()
                && sight.calls == VISITS as u64,
            format!(
                "the flag was {flag}, and the answers were {} from {}",
                sight.answers,
                sight.answers.sources()
            ),
        );
    }

    fn rules_stand_in(&mut self, promise: &str, sights: &Sights) {
        let model = Service::Recommendations.dependency();
        let answers = &sights.of(Service::Recommendations).answers;
        self.check(
            format!("{promise}: 200 from rules"),
            answers.are_all(StatusCode::OK)
                && answers.are_marked(model, &["failed", "flag-degraded"])
                && answers.sources() == "rules",
            format!(
                "the answers were {answers} from {}, saying {}",
                answers.sources(),
                answers.marks()
            ),
        );
    }
}
