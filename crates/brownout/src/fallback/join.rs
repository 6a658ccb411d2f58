//! One answer type for a chain whose tiers answer differently.

use super::judge::{EveryError, Results};

/// Brings the answers of those before a tier, `A`, and the tier's own, `B`, to one type.
///
/// Plain services must answer alike. HTTP answers may differ in their bodies: a chain's body is one or the other.
#[diagnostic::on_unimplemented(
    message = "this tier answers `{B}`, but its chain answers `{A}`",
    note = "tiers of plain services answer with the primary's own type (tower's `map_response` brings one there); tiers of HTTP and gRPC services answer `http::Response`, of any body"
)]
pub trait Join<A, B> {
    /// Either.
    type Both;

    /// What those before the tier answered.
    fn earlier(answer: A) -> Self::Both;

    /// What the tier answered.
    fn tier(answer: B) -> Self::Both;
}

impl<Res, C, X> Join<Res, Res> for Results<C, X> {
    type Both = Res;

    #[allow(clippy::inline_always, reason = "see `Fallback::poll_ready`")]
    #[inline(always)]
    fn earlier(answer: Res) -> Res {
        answer
    }

    #[allow(clippy::inline_always, reason = "see `Fallback::poll_ready`")]
    #[inline(always)]
    fn tier(answer: Res) -> Res {
        answer
    }
}

#[cfg(feature = "http")]
impl<A, B, C, X> Join<http::Response<A>, http::Response<B>> for super::judge::Responses<C, X> {
    type Both = http::Response<http_body_util::Either<A, B>>;

    #[inline]
    fn earlier(answer: http::Response<A>) -> Self::Both {
        answer.map(http_body_util::Either::Left)
    }

    #[inline]
    fn tier(answer: http::Response<B>) -> Self::Both {
        answer.map(http_body_util::Either::Right)
    }
}

impl<A, B, J: Join<A, B>> Join<A, B> for EveryError<J> {
    type Both = J::Both;

    #[allow(clippy::inline_always, reason = "see `Fallback::poll_ready`")]
    #[inline(always)]
    fn earlier(answer: A) -> J::Both {
        J::earlier(answer)
    }

    #[allow(clippy::inline_always, reason = "see `Fallback::poll_ready`")]
    #[inline(always)]
    fn tier(answer: B) -> J::Both {
        J::tier(answer)
    }
}
