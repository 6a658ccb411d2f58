//! The laws a layer is held to, and what it means to break one.

use std::error::Error;
use std::fmt;

/// A law that every tower middleware must keep, whatever its purpose.
///
/// `Display` gives the law as a sentence.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Law {
    /// `call` reaches an instance only after that same instance was polled ready.
    CallAfterReadiness,
    /// A clone starts without readiness.
    CloneCopiesNoReadiness,
    /// A future is never polled after it has ended.
    NoPollAfterEnd,
    /// A ready service answers, each request with its own answer.
    AnswersItsRequest,
    /// Readiness may be polled again, or dropped unused, and holds nothing afterwards.
    ReadinessIsReleased,
    /// A dropped future or service releases everything.
    DropReleases,
    /// A panic below leaves the service usable.
    SurvivesPanic,
    /// An error of the inner service's readiness reaches the caller, as an error.
    ReadinessErrorSurfaces,
    /// An instance whose readiness failed spoils no other.
    ReadinessErrorStaysLocal,
    /// An error of the inner service ends the call.
    ErrorEndsTheCall,
    /// Everyone who waits for readiness is woken.
    WakesEveryWaiter,
    /// What was polled by two tasks wakes the one that polled it last.
    WakesLastPoller,
    /// A waiting call that is dropped passes on the wake-up it got.
    PassesOnWakeUps,
    /// Waiting is by wakers: nothing polls busily.
    NoBusyPolling,
    /// It works below a buffer, where one task makes the calls and others poll the futures.
    WorksBelowABuffer,
    /// Many clones work at the same time.
    WorksConcurrently,
}

/// A law that was broken, and what was seen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Breach {
    law: Law,
    detail: String,
}

impl Breach {
    pub(super) const fn new(law: Law, detail: String) -> Self {
        Self { law, detail }
    }

    /// The law that was broken.
    pub const fn law(&self) -> Law {
        self.law
    }

    /// What was done, and what was seen.
    pub fn detail(&self) -> &str {
        &self.detail
    }
}

impl fmt::Display for Law {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::CallAfterReadiness => {
                "`call` may reach an instance only after that same instance was polled ready"
            }
            Self::CloneCopiesNoReadiness => "a clone copies no readiness",
            Self::NoPollAfterEnd => "a future may not be polled after it has ended",
            Self::AnswersItsRequest => "a ready service answers, each request with its own answer",
            Self::ReadinessIsReleased => {
                "readiness that is polled again or dropped unused holds nothing"
            }
            Self::DropReleases => "dropping a future or a service releases everything",
            Self::SurvivesPanic => "a panic below leaves the service usable",
            Self::ReadinessErrorSurfaces => {
                "an error of the inner service's readiness reaches the caller, as an error"
            }
            Self::ReadinessErrorStaysLocal => {
                "an instance whose readiness failed spoils no other"
            }
            Self::ErrorEndsTheCall => "an error of the inner service ends the call",
            Self::WakesEveryWaiter => "everyone who waits for readiness is woken",
            Self::WakesLastPoller => "what two tasks have polled wakes the one that polled it last",
            Self::PassesOnWakeUps => "a waiting call that is dropped passes on the wake-up it got",
            Self::NoBusyPolling => "waiting is by wakers, never by busy polling",
            Self::WorksBelowABuffer => {
                "it works below a buffer, where one task makes the calls and others poll the futures"
            }
            Self::WorksConcurrently => "many clones work at the same time",
        })
    }
}

impl fmt::Display for Breach {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "law broken ({:?}): {}; {}",
            self.law, self.law, self.detail
        )
    }
}

impl Error for Breach {}
