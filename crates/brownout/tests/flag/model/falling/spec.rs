//! What the chapter says, as slowly and obviously as possible.

use brownout::registry::FeatureState::{self, Degraded, Disabled, Enabled};

use super::{
    Counted, End, Seen,
    case::{
        Call, Case,
        Does::{self, Answers, FailsToBecomeReady, Hangs, Panics, Refuses, RefusesTheConnection},
        Kind, Millis, TTL,
    },
};

/// What the chapter says.
pub(super) struct Model<'a> {
    case: &'a Case,
    now: Millis,
    configured: FeatureState,
    degraded_until: Millis,
    /// Failures since the flag was enabled.
    failures: u32,
    counted: Counted,
}

impl<'a> Model<'a> {
    pub(super) fn new(case: &'a Case) -> Self {
        Self {
            case,
            now: 0,
            configured: Enabled,
            degraded_until: 0,
            failures: 0,
            counted: Counted::default(),
        }
    }
}

impl Model<'_> {
    fn state(&self) -> FeatureState {
        match self.configured {
            Enabled if self.now < self.degraded_until => Degraded,
            configured => configured,
        }
    }

    fn fail(&mut self) {
        self.counted.failures += 1;
        self.failures += 1;
        if self.failures >= self.case.errors {
            self.degraded_until = self.now + TTL;
            self.failures = 0;
        }
    }

    /// The reason of the mark if the call goes on, and whether it is certain that it was not sent.
    fn cause(&self, does: Does) -> (&'static str, bool) {
        match does {
            FailsToBecomeReady => ("not-ready", true),
            RefusesTheConnection => ("unreachable", true),
            // A refusal proves something where it is the error itself, by a guard of what the flag is about.
            Refuses { guard, hidden } => {
                let trusted = !self.case.named || guard == "ledger";
                ("circuit-open", trusted && !hidden)
            }
            _ => ("failed", false),
        }
    }

    pub(super) fn call(&mut self, call: Call) -> Seen {
        if let Some(state) = call.configure {
            self.configured = state;
        }
        self.now += call.pause;
        let begun = self.now;
        let leaves = begun + call.patience;
        let (end, mark) = match self.state() {
            Enabled => self.full(call, leaves),
            Degraded => self.instead(call, leaves, "flag-degraded"),
            Disabled => (
                End::Answer(1_007),
                Some("disabled flag-disabled".to_owned()),
            ),
        };
        Seen {
            end,
            took: self.now - begun,
            mark,
            state: self.state(),
            counted: self.counted,
        }
    }

    /// Whether the caller is still there when this is over.
    fn wait(&mut self, does: Does, delay: Millis, leaves: Millis) -> bool {
        let end = match does {
            FailsToBecomeReady => self.now,
            Hangs => Millis::MAX,
            _ => self.now + delay,
        };
        self.now = end.min(leaves);
        end <= leaves
    }

    fn full(&mut self, call: Call, leaves: Millis) -> (End, Option<String>) {
        let (does, delay) = call.service;
        self.counted.service += usize::from(does != FailsToBecomeReady);
        if !self.wait(does, delay, leaves) {
            self.counted.abandoned += 1;
            return (End::Left, None);
        }
        if does == Answers {
            self.counted.successes += 1;
            return (End::Answer(7), None);
        }
        self.fail();
        if does == Panics {
            return (End::Panic, None);
        }
        let (reason, not_sent) = self.cause(does);
        if self.case.kind == Kind::Writes && !not_sent {
            return (End::Error(does.says("service")), None);
        }
        // A readiness that fails comes before the call, which finds the flag as that has left it.
        let reason = match does {
            FailsToBecomeReady if self.state() == Degraded => "flag-degraded",
            _ => reason,
        };
        let (end, mark) = self.instead(call, leaves, reason);
        // Of a write that the service may have made nobody above may learn that nobody made it.
        let may_be_made = self.case.kind == Kind::Idempotent && !not_sent;
        // Of two errors that somebody may take for proof, the service's own is what its caller gets anyway.
        let is_proof = |does| matches!(does, Refuses { .. } | RefusesTheConnection);
        match end {
            End::Error(_) if may_be_made && (!is_proof(does) || is_proof(call.degraded.0)) => {
                (End::Error(does.says("service")), mark)
            }
            end => (end, mark),
        }
    }

    fn instead(&mut self, call: Call, leaves: Millis, reason: &str) -> (End, Option<String>) {
        let (does, delay) = call.degraded;
        self.counted.degraded += usize::from(does != FailsToBecomeReady);
        if !self.wait(does, delay, leaves) {
            return (End::Left, None);
        }
        match does {
            Answers => (End::Answer(107), Some(format!("degraded {reason}"))),
            Panics => (End::Panic, None),
            _ => (End::Error(does.says("degraded")), None),
        }
    }
}
