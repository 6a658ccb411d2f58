//! The list of parts, left-nested: each holds all those before it.

use std::{fmt, marker::PhantomData, ops::Range, pin::Pin, task::Context};

use pin_project::pin_project;
use tower_service::Service;

use super::{
    ask::{Ask, Explain, StandIn},
    key::{Need, PartKey},
    outcome::Name,
    part::PartRun,
    round::Round,
    source::{Fit, Fitted, Given},
};

/// Parts that can be asked on behalf of a request, of which they see a `Seen`.
#[diagnostic::on_unimplemented(
    message = "these parts cannot be asked on behalf of a `{Seen}`",
    note = "an aggregate is for requests of the type that it was built for: `AggregateLayer::for_results::<Request>()`"
)]
pub trait Gather<Seen> {
    /// What the parts leave.
    type Slots;
    /// The parts in one call.
    type Run: Run<Seen, Slots = Self::Slots>;

    /// Prepares a call. Nothing is asked yet.
    fn start(self) -> Self::Run;
}

/// The parts in one call.
pub trait Run<Seen> {
    /// What they leave.
    type Slots;

    /// Begins parts while there are places, in the order in which they were declared.
    fn begin(self: Pin<&mut Self>, cx: &mut Context<'_>, seen: &Seen, round: &mut Round<'_>);

    /// Polls those of these parts that run.
    fn go_on(
        self: Pin<&mut Self>,
        parts: &Range<usize>,
        cx: &mut Context<'_>,
        seen: &Seen,
        round: &mut Round<'_>,
    );

    /// Ends those whose time is over; drops all, where a required one has failed.
    fn expire(self: Pin<&mut Self>, round: &mut Round<'_>);

    /// What they leave, once all have ended and no required one is missing.
    fn take(self: Pin<&mut Self>) -> Option<Self::Slots>;
}

/// No parts yet.
#[derive(Clone, Copy, Debug, Default)]
pub struct NoParts(pub(super) ());

/// The part `K` after those of `L`.
pub struct And<L, K, N, P> {
    pub(super) earlier: L,
    pub(super) source: P,
    pub(super) index: usize,
    pub(super) key: PhantomData<fn() -> (K, N)>,
}

/// The part `K` after those of `L`, in one call.
#[pin_project]
pub struct AndRun<L, K, N, P> {
    #[pin]
    earlier: L,
    #[pin]
    part: P,
    key: PhantomData<fn() -> (K, N)>,
}

/// Nothing is left.
#[derive(Clone, Copy, Debug, Default)]
pub struct NoSlots(());

/// What the part `K` left, after those of `L`.
pub struct Slots<L, K: PartKey, N: Need> {
    pub(super) earlier: L,
    /// `None` once somebody has taken it.
    pub(super) out: Option<N::Out<K::Value>>,
}

impl<Seen> Gather<Seen> for NoParts {
    type Slots = NoSlots;
    type Run = Self;

    fn start(self) -> Self {
        self
    }
}

impl<Seen> Run<Seen> for NoParts {
    type Slots = NoSlots;

    #[inline]
    fn begin(self: Pin<&mut Self>, _: &mut Context<'_>, _: &Seen, _: &mut Round<'_>) {}

    #[inline]
    fn go_on(
        self: Pin<&mut Self>,
        _: &Range<usize>,
        _: &mut Context<'_>,
        _: &Seen,
        _: &mut Round<'_>,
    ) {
    }

    #[inline]
    fn expire(self: Pin<&mut Self>, _: &mut Round<'_>) {}

    #[allow(clippy::inline_always, reason = "see `ResponseFuture::new`")]
    #[inline(always)]
    fn take(self: Pin<&mut Self>) -> Option<NoSlots> {
        Some(NoSlots(()))
    }
}

impl<Seen> Fit<Seen> for NoParts {
    type Fitted = Self;

    fn fit(self) -> Self {
        self
    }
}

impl<Seen, L, K, N, S, A, E, O> Fit<Seen> for And<L, K, N, Given<S, A, E, O>>
where
    L: Fit<Seen>,
    K: PartKey,
    N: Need,
    A: Ask<Seen>,
    S: Service<A::Request, Response = K::Value>,
    E: Explain<S::Error>,
    O: StandIn<K::Value>,
{
    type Fitted = And<L::Fitted, K, N, Fitted<S, A, E, O, S::Future, K::Value, Seen>>;

    fn fit(self) -> Self::Fitted {
        And {
            earlier: self.earlier.fit(),
            source: self.source.fit(),
            index: self.index,
            key: PhantomData,
        }
    }
}

impl<Seen, L, K, N, S, A, E, O, Fut> Gather<Seen>
    for And<L, K, N, Fitted<S, A, E, O, Fut, K::Value, Seen>>
where
    L: Gather<Seen>,
    K: PartKey,
    N: Need,
    O: StandIn<K::Value>,
{
    type Slots = Slots<L::Slots, K, N>;
    type Run = AndRun<L::Run, K, N, PartRun<S, A, E, O, Fut, K::Value, Seen>>;

    #[allow(clippy::inline_always, reason = "see `ResponseFuture::new`")]
    #[inline(always)]
    fn start(self) -> Self::Run {
        AndRun {
            earlier: self.earlier.start(),
            part: PartRun::new(self.index, self.source),
            key: PhantomData,
        }
    }
}

impl<Seen, L, K, N, S, A, E, O, Fut> Run<Seen>
    for AndRun<L, K, N, PartRun<S, A, E, O, Fut, K::Value, Seen>>
where
    L: Run<Seen>,
    K: PartKey,
    N: Need,
    O: StandIn<K::Value>,
{
    type Slots = Slots<L::Slots, K, N>;

    #[inline]
    fn begin(self: Pin<&mut Self>, cx: &mut Context<'_>, seen: &Seen, round: &mut Round<'_>) {
        let this = self.project();
        this.earlier.begin(cx, seen, round);
        this.part.begin(cx, seen, round);
    }

    fn go_on(
        self: Pin<&mut Self>,
        parts: &Range<usize>,
        cx: &mut Context<'_>,
        seen: &Seen,
        round: &mut Round<'_>,
    ) {
        let this = self.project();
        this.earlier.go_on(parts, cx, seen, round);
        this.part.go_on(parts, cx, seen, round);
    }

    fn expire(self: Pin<&mut Self>, round: &mut Round<'_>) {
        let this = self.project();
        this.earlier.expire(round);
        this.part.expire(round);
    }

    #[allow(clippy::inline_always, reason = "see `ResponseFuture::new`")]
    #[inline(always)]
    fn take(self: Pin<&mut Self>) -> Option<Self::Slots> {
        let this = self.project();
        Some(Slots {
            earlier: this.earlier.take()?,
            out: Some(N::out(this.part.take()?.of(Name::Static(K::NAME)))?),
        })
    }
}

impl<L: Clone, K, N, P: Clone> Clone for And<L, K, N, P> {
    fn clone(&self) -> Self {
        Self {
            earlier: self.earlier.clone(),
            source: self.source.clone(),
            index: self.index,
            key: PhantomData,
        }
    }
}

impl<L: fmt::Debug, K: PartKey, N: Need, P> fmt::Debug for And<L, K, N, P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let need = if N::REQUIRED { "required" } else { "optional" };
        write!(f, "{:?}, {need} {}", self.earlier, K::NAME)
    }
}

impl<L: fmt::Debug, K: PartKey, N, P: fmt::Debug> fmt::Debug for AndRun<L, K, N, P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}, {} {:?}", self.earlier, K::NAME, self.part)
    }
}

impl<L: fmt::Debug, K: PartKey, N: Need> fmt::Debug for Slots<L, K, N> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}, {}", self.earlier, K::NAME)
    }
}
