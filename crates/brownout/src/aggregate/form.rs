use super::{
    failed::FailedParts,
    list::Gather,
    parts::{IntoValues, Parts},
};

/// How an aggregate receives requests of a kind.
pub trait Receive<Req> {
    /// What is held while the parts run.
    type Held: Held;

    /// Takes the request.
    fn hold(&self, request: Req) -> Self::Held;
}

/// A request that is held while the parts run.
pub trait Held {
    /// What parts see of it.
    type Seen;

    /// What parts see of it.
    fn seen(&self) -> &Self::Seen;
}

/// How the service that composes the answer is asked, once the parts are there.
pub trait Compose<Held, Slots> {
    /// Its request.
    type Request;

    /// Makes it; `None` if the parts were taken before, which nobody does.
    fn compose(&self, held: Held, slots: Slots, failed: FailedParts) -> Option<Self::Request>;
}

/// How an answer says that it is partial.
pub trait MarkPartial<Res> {
    /// Marks it.
    fn mark(&self, response: &mut Res, failed: &FailedParts);
}

/// What parts see, where the form `F` receives `Req`.
pub(super) type SeenBy<F, Req> = <<F as Receive<Req>>::Held as Held>::Seen;

/// What the parts `L` leave, where the form `F` receives `Req`.
pub(super) type SlotsOf<L, F, Req> = <L as Gather<SeenBy<F, Req>>>::Slots;

/// The parts `L` in one call, where the form `F` receives `Req`.
pub(super) type RunOf<L, F, Req> = <L as Gather<SeenBy<F, Req>>>::Run;

/// The request of the service that composes the answer.
pub(super) type Composed<L, F, Req> =
    <F as Compose<<F as Receive<Req>>::Held, SlotsOf<L, F, Req>>>::Request;

/// Any requests: parts see the whole of them, and the composing service gets `(Request, Parts)`.
///
/// What it answers is its own affair: it knows from its [`Parts`] what is missing.
#[derive(Clone, Copy, Debug, Default)]
pub struct Pairs(pub(super) ());

/// A request of which parts see the whole.
#[derive(Clone, Copy, Debug)]
pub struct Request<Req>(Req);

impl<Req> Receive<Req> for Pairs {
    type Held = Request<Req>;

    #[inline]
    fn hold(&self, request: Req) -> Request<Req> {
        Request(request)
    }
}

impl<Req> Held for Request<Req> {
    type Seen = Req;

    #[inline]
    fn seen(&self) -> &Req {
        &self.0
    }
}

impl<Req, Slots: IntoValues> Compose<Request<Req>, Slots> for Pairs {
    type Request = (Req, Parts<Slots::Values>);

    #[allow(clippy::inline_always, reason = "see `ResponseFuture::new`")]
    #[inline(always)]
    fn compose(
        &self,
        held: Request<Req>,
        slots: Slots,
        failed: FailedParts,
    ) -> Option<Self::Request> {
        Some((held.0, Parts::new(slots.into_values()?, failed)))
    }
}

impl<Res> MarkPartial<Res> for Pairs {
    #[inline]
    fn mark(&self, _: &mut Res, _: &FailedParts) {}
}
