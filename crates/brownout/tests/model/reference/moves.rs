//! How the model moves from state to state.

use std::time::Duration;

use brownout::{core::Verdict, registry::CircuitMode};

use super::{Answer, Model, State, Told, counts::small};
use crate::rules::{MS, Nanos};

impl Model {
    /// A reason to open has come up while closed.
    pub(super) fn trip(
        &mut self,
        now: Nanos,
        open_for: Option<Duration>,
        slowness: bool,
        mode: Option<CircuitMode>,
    ) {
        let State::Closed { since } = self.state else {
            return;
        };
        match mode {
            Some(CircuitMode::ForcedClosed) => return,
            Some(CircuitMode::ObserveOnly) => {
                self.generation += 1;
                self.forget();
                self.told.push(Told::WouldOpen {
                    generation: self.generation,
                });
                return;
            }
            Some(CircuitMode::ForcedOpen) | None => {}
        }
        let healthy = now - since >= self.rules.healthy_spell();
        self.doublings = match self.doublings {
            Some(doublings) if !healthy => Some(doublings + 1),
            _ => Some(0),
        };
        self.opened_by_slowness = slowness;
        self.open(now, now, open_for);
    }

    /// A probe of this round has said something.
    pub(super) fn probed(&mut self, now: Nanos, verdict: Verdict, slow: bool) {
        match verdict {
            Verdict::Trip { open_for } => self.reopen(now, now, Some(open_for), true),
            Verdict::Failure => self.answer(now, Answer::Bad),
            _ if self.is_too_slow(slow) => self.answer(now, Answer::Bad),
            Verdict::Success => self.answer(now, Answer::Good),
            Verdict::Neutral => self.answer(now, Answer::Neutral),
        }
    }

    /// A slow probe is a failure in a circuit that slowness opened.
    pub(super) fn is_too_slow(&self, slow: bool) -> bool {
        slow && self.opened_by_slowness
    }

    fn answer(&mut self, now: Nanos, answer: Answer) {
        let State::HalfOpen { answers, .. } = &mut self.state else {
            return;
        };
        answers.push(answer);
        let many = |wanted| small(answers.iter().filter(|&&answer| answer == wanted).count());
        let (good, bad) = (many(Answer::Good), many(Answer::Bad));
        if bad > self.rules.trials - self.rules.successes {
            self.reopen(now, now, None, true);
        } else if good >= self.rules.successes {
            self.close(now);
        }
    }

    /// A round ends when its lease does, even if somebody looks only later.
    pub(crate) fn end_round(&mut self, now: Nanos) {
        let State::HalfOpen { end, answers } = &self.state else {
            return;
        };
        let end = *end;
        if now < end {
            return;
        }
        if answers.contains(&Answer::Bad) {
            self.reopen(end, now, None, true);
        } else if answers.is_empty() {
            self.reopen(end, now, None, false);
        } else {
            self.close(end);
        }
    }

    pub(super) fn half_open(&mut self, now: Nanos) {
        self.generation += 1;
        self.state = State::HalfOpen {
            end: now + self.rules.lease,
            answers: Vec::new(),
        };
        self.told.push(Told::HalfOpened {
            generation: self.generation,
        });
    }

    fn close(&mut self, at: Nanos) {
        self.generation += 1;
        self.state = State::Closed { since: at };
        self.forget();
        self.opened_by_slowness = false;
        self.told.push(Told::Closed {
            generation: self.generation,
        });
    }

    fn reopen(&mut self, at: Nanos, now: Nanos, open_for: Option<Duration>, doubles: bool) {
        self.doublings = Some(match self.doublings {
            Some(doublings) => doublings + u32::from(doubles),
            None => 0,
        });
        self.open(at, now, open_for);
    }

    fn open(&mut self, at: Nanos, now: Nanos, asked: Option<Duration>) {
        let longest = self.rules.open_for_at_most;
        let open_for = match asked {
            Some(asked) if !asked.is_zero() => {
                let asked = u64::try_from(asked.as_nanos()).unwrap_or(u64::MAX);
                // A circuit that opens is open for a millisecond at least, the shortest time that a policy can name.
                asked.min(longest).max(MS)
            }
            _ => (0..self.doublings.unwrap_or(0))
                .try_fold(self.rules.open_for, |time, _| {
                    (time < longest).then(|| time * 2)
                })
                .map_or(longest, |time| time.min(longest)),
        };
        let until = at + open_for;
        self.generation += 1;
        self.state = State::Open { until };
        self.told.push(Told::Opened {
            retry_after: until.saturating_sub(now),
            generation: self.generation,
        });
    }
}
