//! A share of calls goes to the first tier though the primary is well: here, all that may.

use brownout::registry::{DegradationLevel, Status};

use super::{
    super::{
        Fail, NAMES,
        case::{Kind, Requests},
    },
    Going, Left, Spec,
};

impl Spec<'_> {
    /// "Only safe requests, while the covered dependency is healthy and the level is `Full`"; so many a second.
    pub(super) fn may_exercise(&mut self) -> bool {
        let all_well = self.case.kind == Kind::Exercised
            && self.case.requests == Requests::Safe
            && self.world.status(0, self.now) == Status::Healthy
            && self.world.level(self.now) == DegradationLevel::Full;
        if !all_well || self.tiers[0].off || self.stands_for_unhealthy(1) {
            return false;
        }
        let second = self.now / 1_000;
        if self.exercised.0 != second {
            self.exercised = (second, 0);
        }
        self.exercised.1 += 1;
        self.exercised.1 <= self.case.at_most
    }

    pub(super) fn exercise(&mut self, going: &mut Going<'_>) -> Result<Option<u32>, Left> {
        let why = Fail {
            who: NAMES[0],
            kind: "exercise",
            elapsed: None,
        };
        self.tell(1, going, &[why]);
        let patience = self.timeout(1).min(self.case.patience);
        let outcome = self.ask_tier(1, going, self.now + patience)?;
        Ok(outcome.ok().inspect(|_| {
            going.mark = Some(self.mark(1, "exercise"));
            self.end_quiet_spells();
        }))
    }
}
