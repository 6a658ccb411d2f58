//! What may happen to a call, and random sequences of it.

use std::{error::Error, fmt, io, time::Duration};

use brownout::{
    Registry,
    core::{BoxError, Origin, RejectReason, Rejected},
    registry::FeatureState,
};
use brownout_testing::{Behaviour, TestError};
use proptest::{collection::vec, option, prelude::*, sample::select};
use tokio::time::Instant;

use crate::common::Handle;

use self::Does::{
    Answers, Fails, FailsToBecomeReady, Hangs, Panics, Refuses, RefusesTheConnection,
};

pub(super) type Millis = u64;

/// How long errors degrade the flag.
pub(super) const TTL: Millis = 1_000;

/// What a flag may do with requests.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Kind {
    Writes,
    Idempotent,
    Safe,
}

/// What a service does with a call.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Does {
    Answers,
    Fails,
    /// A guard of this dependency refuses, with such an error or with one that has it among its sources.
    Refuses {
        guard: &'static str,
        hidden: bool,
    },
    RefusesTheConnection,
    Panics,
    Hangs,
    FailsToBecomeReady,
}

/// An error that has a refusal as its source.
#[derive(Debug)]
pub(super) struct Wrapped(Rejected);

impl fmt::Display for Wrapped {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("one of many calls was refused")
    }
}

impl Error for Wrapped {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        Some(&self.0)
    }
}

#[derive(Clone, Copy, Debug)]
pub(super) struct Call {
    /// What is configured before it.
    pub(super) configure: Option<FeatureState>,
    pub(super) pause: Millis,
    pub(super) service: (Does, Millis),
    pub(super) degraded: (Does, Millis),
    /// When its caller leaves.
    pub(super) patience: Millis,
}

#[derive(Clone, Debug)]
pub(super) struct Case {
    pub(super) kind: Kind,
    /// Whether the flag names its dependency, the ledger.
    pub(super) named: bool,
    pub(super) errors: u32,
    pub(super) calls: Vec<Call>,
}

impl Does {
    fn error(self) -> BoxError {
        match self {
            Refuses { guard, hidden } => {
                let dependency = Registry::new().dependency(guard).register().unwrap();
                let origin = Origin::new(&dependency, Instant::now());
                let refusal = Rejected::new(origin, RejectReason::CircuitOpen, None);
                if hidden {
                    Wrapped(refusal).into()
                } else {
                    refusal.into()
                }
            }
            RefusesTheConnection => io::Error::from(io::ErrorKind::ConnectionRefused).into(),
            FailsToBecomeReady => TestError::new("not ready").into(),
            _ => TestError::new("down").into(),
        }
    }

    pub(super) fn says(self, who: &str) -> String {
        match self {
            Fails | FailsToBecomeReady => format!("{who}: {}", self.error()),
            _ => self.error().to_string(),
        }
    }

    pub(super) fn set_up(self, handle: &Handle, who: &'static str, delay: Millis) {
        handle.make_ready();
        let behaviour = match self {
            Answers => Behaviour::answer(Ok),
            Panics => Behaviour::panic_in_poll(),
            Hangs => Behaviour::hang(),
            FailsToBecomeReady => {
                handle.fail_readiness(move || self.named_error(who));
                Behaviour::answer(Ok)
            }
            _ => Behaviour::answer(move |_| Err(self.named_error(who))),
        };
        handle.always(behaviour.after(Duration::from_millis(delay)));
    }

    /// Plain failures say whose they are.
    fn named_error(self, who: &str) -> BoxError {
        match self {
            Fails | FailsToBecomeReady => self.says(who).into(),
            _ => self.error(),
        }
    }
}

fn does() -> impl Strategy<Value = Does> {
    let refuses = (select(vec!["ledger", "mail"]), any::<bool>());
    prop_oneof![
        4 => Just(Answers),
        4 => Just(Fails),
        4 => refuses.prop_map(|(guard, hidden)| Refuses { guard, hidden }),
        2 => Just(RefusesTheConnection),
        2 => Just(FailsToBecomeReady),
        1 => Just(Panics),
        1 => Just(Hangs),
    ]
}

fn call() -> impl Strategy<Value = Call> {
    let configure = option::weighted(0.1, select(FeatureState::ALL.to_vec()));
    let pause = prop_oneof![3 => Just(0), 2 => 0..TTL / 2, 1 => 0..2 * TTL];
    let patience = prop_oneof![3 => Just(500_u64), 1 => 0..100_u64];
    let service = (does(), 0..50_u64);
    let degraded = (does(), 0..50_u64);
    (configure, pause, service, degraded, patience).prop_map(
        |(configure, pause, service, degraded, patience)| Call {
            configure,
            pause,
            service,
            degraded,
            patience,
        },
    )
}

pub(super) fn case() -> impl Strategy<Value = Case> {
    let kind = select(vec![Kind::Writes, Kind::Idempotent, Kind::Safe]);
    (kind, any::<bool>(), 1..5_u32, vec(call(), 1..12)).prop_map(|(kind, named, errors, calls)| {
        Case {
            kind,
            named,
            errors,
            calls,
        }
    })
}
