//! A call on its way down: the primary's part, and each tier's.

mod last;
mod or;
mod primary;

use std::{
    convert::Infallible,
    pin::Pin,
    task::{Context, Poll},
};

use super::{chain::Step, failed::History, requests::Requests};
use crate::core::DegradeReason;

pub use self::{last::LastRun, or::OrRun, primary::PrimaryRun};

/// What the primary is called among those who failed.
pub(super) const PRIMARY: &str = "primary";

/// The part of a call that has come so far down as `Self`.
pub trait Run<Req, J, Q, W>
where
    Q: Requests<Req>,
{
    /// How many tiers there are so far.
    const TIERS: usize;
    /// How far it can come: an [`End`]. It is one type, because the compiler works each out anew from those of the tiers
    /// before: with four, a chain took two to three times as long to compile with every tier.
    type End;

    /// Polls whoever is asked at the moment, and goes on to the next one when it fails.
    fn poll_run(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        judge: &J,
        requests: &Q,
        watch: &mut W,
    ) -> Poll<Self::End>;
}

/// How far a call has come.
#[derive(Debug)]
pub enum End<Res, E, N, St, F> {
    /// The primary answered.
    Answer(Res),
    /// A tier answered.
    Served(Res, ServedBy),
    /// The primary failed, but in a way that is the caller's affair.
    Neutral(N, E),
    /// Somebody failed, and the request may not go further.
    Stuck(St, Outcome<Res, E, Infallible>, History),
    /// A tier that was exercised did not answer. It is the primary's turn.
    Exercised,
    /// All failed.
    Failed(F),
}

/// Which tier served a call, and why it was asked.
#[derive(Clone, Copy, Debug)]
pub struct ServedBy {
    pub(super) tier: &'static str,
    pub(super) index: usize,
    pub(super) reason: DegradeReason,
    pub(super) head_only: bool,
}

/// What is left of a call that has failed so far.
#[derive(Debug)]
pub struct Spent<Res, E, T, K> {
    pub(super) outcome: Outcome<Res, E, T>,
    pub(super) history: History,
    pub(super) kept: K,
}

/// What the one who failed last has left.
#[derive(Debug)]
pub enum Outcome<Res, E, T> {
    /// An answer that was judged a failure.
    Answer(Res),
    /// The primary's error.
    Primary(E),
    /// The tier's error.
    Tier(T),
    /// Nothing: there was no time, or the error was one of the primary's readiness.
    Nothing,
}

/// What is left when all have failed, if all can.
pub trait Unanswered<Res, E> {
    /// Shows that all can fail.
    type Proof;
    /// The last tier's error.
    type Tier;

    /// Takes it apart.
    fn split(self) -> (Self::Proof, Outcome<Res, E, Self::Tier>, History);
}

/// Shows that all tiers can fail.
#[derive(Clone, Copy, Debug)]
pub struct AllFailed(());

/// A tier that waits for its turn.
#[derive(Debug)]
pub struct Waiting<T>(pub(super) Step<T>);

impl<Res, E, T, K> Unanswered<Res, E> for Spent<Res, E, T, K> {
    type Proof = AllFailed;
    type Tier = T;

    fn split(self) -> (AllFailed, Outcome<Res, E, T>, History) {
        (AllFailed(()), self.outcome, self.history)
    }
}

impl<Res, E> Unanswered<Res, E> for Infallible {
    type Proof = Infallible;
    type Tier = Infallible;

    fn split(self) -> (Infallible, Outcome<Res, E, Infallible>, History) {
        match self {}
    }
}

impl<Res, E, T> Outcome<Res, E, T> {
    /// The same to those who know nothing of the tier's error type; an error of a tier is lost on them.
    pub(super) fn forget_tier<U>(self) -> Outcome<Res, E, U> {
        match self {
            Self::Answer(response) => Outcome::Answer(response),
            Self::Primary(error) => Outcome::Primary(error),
            Self::Tier(_) | Self::Nothing => Outcome::Nothing,
        }
    }

    pub(super) fn map<A>(self, answer: impl FnOnce(Res) -> A) -> Outcome<A, E, T> {
        match self {
            Self::Answer(response) => Outcome::Answer(answer(response)),
            Self::Primary(error) => Outcome::Primary(error),
            Self::Tier(error) => Outcome::Tier(error),
            Self::Nothing => Outcome::Nothing,
        }
    }
}

/// Tells whoever wonders why a tier is not asked; a reader who has not named requests safe sees nothing else of it.
#[cold]
fn say_stuck(tier: &'static str, history: &History) {
    tracing::debug!(
        tier,
        cause = history.cause().kind().as_str(),
        "fallback tier not asked: the request may be a write that was sent (`.safe()` and `.idempotent()` say otherwise)"
    );
}

#[allow(clippy::inline_always, reason = "see `Fallback::poll_ready`")]
#[inline(always)]
fn served_by(tier: &'static str, index: usize, head: bool, history: &History) -> ServedBy {
    ServedBy {
        tier,
        index,
        reason: history.first_cause().reason(),
        head_only: head && history.lacked_body(),
    }
}
