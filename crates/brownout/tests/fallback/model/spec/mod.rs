//! The model: one call after another, by the sentences of the documentation.

mod exercise;
mod outcome;
mod tiers;
mod world;

use brownout::registry::DegradationLevel;

use self::{
    outcome::{Failed, Leaves, Outcome, outcome},
    tiers::Tier,
    world::World,
};
use super::{
    DEPENDENCIES, Fail, Mark, NAMES, NOBODY, Seen, Wrong,
    case::{Call, Case, Does, Ending, Kind, Order, Requests, Says},
};

/// What each call of the case should look like.
pub(super) fn run(case: &Case) -> Vec<Seen> {
    let mut spec = Spec {
        case,
        now: 0,
        orders: Vec::new(),
        world: World::default(),
        tiers: case.tiers.iter().map(|_| Tier::default()).collect(),
        exercised: (0, 0),
        events: Vec::new(),
    };
    (0..)
        .zip(&case.calls)
        .map(|(n, call)| spec.call(n, call))
        .collect()
}

struct Spec<'a> {
    case: &'a Case,
    now: u64,
    /// Those to come, and when.
    orders: Vec<(u64, Order)>,
    world: World,
    tiers: Vec<Tier>,
    /// In which second tiers have been exercised, and how often.
    exercised: (u64, u32),
    events: Vec<String>,
}

/// What is known of a call as it goes down.
struct Going<'a> {
    n: u32,
    call: &'a Call,
    start: u64,
    polled: bool,
    called: [usize; 4],
    told: Vec<(&'static str, Vec<Fail>)>,
    mark: Option<Mark>,
}

/// The caller has left.
struct Left;

impl Spec<'_> {
    fn call(&mut self, n: u32, call: &Call) -> Seen {
        if let Some((after, order)) = call.order {
            self.orders.push((self.now + after, order));
            self.orders.sort_by_key(|(at, _)| *at);
        }
        self.now += call.gap;
        self.look();
        let mut going = Going {
            n,
            call,
            start: self.now,
            polled: false,
            called: [0; 4],
            told: Vec::new(),
            mark: None,
        };
        let answer = self.answer(&mut going).ok();
        Seen {
            answer,
            took: self.now - going.start,
            polled: going.polled,
            called: going.called,
            mark: going.mark,
            told: going.told,
            events: std::mem::take(&mut self.events),
            tiers: self.seen(),
            statuses: [0, 1, 2].map(|of| self.world.status(of, self.now).as_str()),
            level: self.world.level(self.now).as_str(),
        }
    }

    fn answer(&mut self, going: &mut Going<'_>) -> Result<Result<u32, Wrong>, Left> {
        let passed_over =
            (0..3).any(|of| self.case.passes_over[of] && self.world.is_unhealthy(of, self.now));
        going.polled = !passed_over;
        let ready = going.call.parts[0].does != Does::IsNotReady;
        if !passed_over
            && ready
            && self.may_exercise()
            && let Some(answer) = self.exercise(going)?
        {
            return Ok(Ok(answer));
        }
        let since = self.now;
        let failed = if passed_over {
            Failed::unasked("unhealthy", "unhealthy")
        } else if !ready {
            Failed::unasked("not-ready", "not-ready")
        } else {
            match self.ask_primary(going)? {
                Ok(answer) => {
                    self.end_quiet_spells();
                    return Ok(Ok(answer));
                }
                Err(failed) => failed,
            }
        };
        // What the caller is to have is the caller's, where the chain can hand it on.
        if failed.kind == "neutral" {
            let Leaves::Error(error) = failed.left else {
                unreachable!("only errors are neutral")
            };
            return Ok(Err(error));
        }
        let asked = !passed_over && ready;
        let fails = vec![self.fail(0, &failed, asked.then_some(since))];
        self.descend(going, failed, fails)
    }

    fn ask_primary(&mut self, going: &mut Going<'_>) -> Result<Outcome, Left> {
        let part = going.call.parts[0];
        going.called[0] += 1;
        let takes = match part.does {
            Does::Hangs | Does::NeverReady => None,
            _ => Some(part.delay),
        };
        let deadline = self.deadline(going);
        if !self.passes(going, takes, deadline)? {
            return Ok(Err(Failed::timed_out()));
        }
        let chain_can_fail =
            self.case.ending != Ending::Last || self.case.requests == Requests::Writes;
        Ok(match outcome(0, part, going.n) {
            Err(mut failed) => {
                let is_callers = matches!(part.does, Does::Fails(Says::Neutral | Says::Success));
                if is_callers && chain_can_fail {
                    failed.kind = "neutral";
                }
                doubt(part.does, &mut failed, self.case.covers.then_some(0));
                Err(failed)
            }
            answer => answer,
        })
    }

    /// One tier after another, until one answers.
    fn descend(
        &mut self,
        going: &mut Going<'_>,
        mut failed: Failed,
        mut fails: Vec<Fail>,
    ) -> Result<Result<u32, Wrong>, Left> {
        let reason = failed.reason;
        let mut may_be_done = !failed.not_sent;
        for place in 1..=self.tiers.len() {
            if self.case.requests == Requests::Writes && !failed.not_sent {
                // It gets what it would have got without a chain; but a tier's error has another type.
                return Ok(match failed.left {
                    Leaves::Answer(answer) => Ok(answer),
                    Leaves::Error(error) => Err(error),
                    Leaves::TierError(_) | Leaves::Nothing => self.exhausted(fails),
                });
            }
            if let Some(kind) = self.skips(place, going) {
                // A tier that is absent changes nothing; one for which there is no time has failed.
                let left = match failed.left {
                    _ if kind == "timed-out" => Leaves::Nothing,
                    Leaves::TierError(_) => Leaves::Nothing,
                    left => left,
                };
                failed = Failed {
                    left,
                    ..Failed::unasked(kind, "")
                };
                fails.push(self.fail(place, &failed, None));
                continue;
            }
            self.tell(place, going, &fails);
            let since = self.now;
            let due = if self.case.is_last(place) {
                u64::MAX
            } else {
                let own = since.saturating_add(self.timeout(place));
                own.min(self.deadline(going))
            };
            match self.ask_tier(place, going, due)? {
                Ok(answer) => {
                    going.mark = Some(self.mark(place, reason));
                    self.serve(place, reason);
                    return Ok(Ok(answer));
                }
                Err(tier_failed) => failed = tier_failed,
            }
            // A write that may have been made leaves nothing by which it would look to those above as if it had not.
            let doubted = failed.kind == "rejected" && !failed.not_sent;
            if self.case.requests != Requests::Safe
                && (may_be_done || doubted)
                && matches!(
                    failed.left,
                    Leaves::TierError(Wrong::Refused | Wrong::Unreachable)
                )
            {
                failed.left = Leaves::Nothing;
            }
            may_be_done |= !failed.not_sent;
            fails.push(self.fail(place, &failed, Some(since)));
        }
        Ok(match (self.case.ending, failed.left) {
            (Ending::OwnError, Leaves::Answer(answer)) => Ok(answer),
            (Ending::OwnError, Leaves::Error(error) | Leaves::TierError(error)) => Err(error),
            _ => self.exhausted(fails),
        })
    }

    fn exhausted(&self, fails: Vec<Fail>) -> Result<u32, Wrong> {
        match self.case.ending {
            Ending::With(true) => Ok(NOBODY),
            _ => Err(Wrong::Exhausted(fails)),
        }
    }

    /// Why a tier is not asked.
    fn skips(&self, place: usize, going: &Going<'_>) -> Option<&'static str> {
        if self.case.is_last(place) {
            None
        } else if self.tiers[place - 1].off {
            Some("switched-off")
        } else if self.stands_for_unhealthy(place) {
            Some("unhealthy")
        } else if self.deadline(going) <= self.now {
            Some("timed-out")
        } else {
            None
        }
    }

    fn stands_for_unhealthy(&self, place: usize) -> bool {
        let of = self.case.tiers[place - 1].stands_for;
        of.is_some_and(|of| self.world.is_unhealthy(of, self.now))
    }

    /// A closure learns who has failed.
    fn tell(&self, place: usize, going: &mut Going<'_>, fails: &[Fail]) {
        if self.case.is_closure(place) {
            going.told.push((NAMES[place], fails.to_vec()));
        }
    }

    fn timeout(&self, place: usize) -> u64 {
        let timeout = self.case.tiers[place - 1].timeout;
        let own = timeout.filter(|_| !self.case.is_closure(place));
        own.unwrap_or(u64::MAX)
    }

    fn ask_tier(&mut self, place: usize, going: &mut Going<'_>, due: u64) -> Result<Outcome, Left> {
        let mut part = going.call.parts[place];
        if self.case.is_last(place) {
            part.does = match part.does {
                Does::Hangs | Does::NeverReady => Does::Hangs,
                Does::Answers(says) => Does::Answers(says),
                _ => Does::Answers(Says::Success),
            };
        }
        if !matches!(part.does, Does::IsNotReady | Does::NeverReady) {
            going.called[place] += 1;
        }
        let takes = match part.does {
            Does::Hangs | Does::NeverReady => None,
            Does::IsNotReady => Some(0),
            _ => Some(part.delay),
        };
        let outcome = if self.passes(going, takes, due)? {
            match outcome(place, part, going.n) {
                // Nobody judges the last.
                Err(Failed {
                    left: Leaves::Answer(answer),
                    ..
                }) if self.case.is_last(place) => Ok(answer),
                Err(failed) if self.case.is_closure(place) && part.does == Does::IsNotReady => {
                    Err(Failed {
                        kind: "failed",
                        reason: "failed",
                        not_sent: false,
                        ..failed
                    })
                }
                Err(mut failed) => {
                    doubt(
                        part.does,
                        &mut failed,
                        self.case.tiers[place - 1].stands_for,
                    );
                    Err(failed)
                }
                answer => answer,
            }
        } else {
            Err(Failed::timed_out())
        };
        self.note(place, &outcome);
        Ok(outcome)
    }

    fn mark(&self, place: usize, reason: &'static str) -> Mark {
        let level = if self.case.covers {
            self.world.level(self.now)
        } else {
            DegradationLevel::Full
        };
        Mark {
            dependency: self.case.covers.then(|| DEPENDENCIES[0].to_owned()),
            tier: NAMES[place].to_owned(),
            reason,
            level: level.as_str(),
        }
    }
}

/// Time, and what happens meanwhile.
impl Spec<'_> {
    /// Lets so much time pass, but not beyond that moment; whether all of it has passed.
    fn passes(&mut self, going: &Going<'_>, takes: Option<u64>, due: u64) -> Result<bool, Left> {
        let done = takes.map_or(u64::MAX, |takes| self.now + takes);
        let leaves = going.start + going.call.patience;
        if done.min(due) > leaves {
            self.now = leaves;
            self.look();
            return Err(Left);
        }
        self.now = done.min(due);
        self.look();
        Ok(done <= due)
    }

    fn deadline(&self, going: &Going<'_>) -> u64 {
        self.case
            .within
            .map_or(u64::MAX, |within| going.start + within)
    }

    /// Takes note of what has happened outside.
    fn look(&mut self) {
        while self.orders.first().is_some_and(|(at, _)| *at <= self.now) {
            let (at, order) = self.orders.remove(0);
            self.world.obey(order, at);
            if let Order::Switch(index, on) = order {
                self.switch(index, on);
            }
        }
    }

    fn fail(&self, place: usize, failed: &Failed, since: Option<u64>) -> Fail {
        let timed = self.case.within.is_some()
            || self.case.kind == Kind::Exercised
            || matches!(self.case.ending, Ending::With(_) | Ending::Fails);
        let elapsed = since.filter(|_| timed).map(|since| self.now - since);
        Fail {
            who: NAMES[place],
            kind: failed.kind,
            elapsed,
        }
    }
}

/// "One by another dependency's guard does not prove it either", where it is known which dependency is meant.
fn doubt(does: Does, failed: &mut Failed, dependency: Option<usize>) {
    if let (Does::Refuses(by), Some(of)) = (does, dependency) {
        failed.not_sent = by == of;
    }
}
