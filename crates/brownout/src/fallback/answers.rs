use std::convert::Infallible;

use http::Response;

use crate::http::LocalBody;

use super::{
    conclude::{Conclude, Missed},
    failed::{Exhausted, History},
    run::Outcome,
};

/// Answers where nobody did: a 503 with a problem document on HTTP, `UNAVAILABLE` on gRPC.
///
/// The last tier's own error or failed answer goes to the caller as it is, and so does a failed answer to a request
/// that may not descend. The answer made here carries the [`Exhausted`] in its extensions, and never a
/// [`Rejected`](crate::core::Rejected): some of those who failed may have done their work.
#[derive(Clone, Copy, Debug)]
pub struct Answers {
    kind: Kind,
}

/// The same, and answers too where an error would otherwise go to the caller: the chain is infallible.
#[derive(Clone, Copy, Debug)]
pub struct AlwaysAnswers(pub(super) Answers);

#[derive(Clone, Copy, Debug)]
enum Kind {
    Http,
    #[cfg(feature = "grpc")]
    Grpc,
}

impl Answers {
    pub(super) const HTTP: Self = Self { kind: Kind::Http };
    #[cfg(feature = "grpc")]
    pub(super) const GRPC: Self = Self { kind: Kind::Grpc };

    fn unavailable<B>(self, history: Option<History>) -> Response<LocalBody<B>> {
        let exhausted = Exhausted::of(history);
        let refusal = exhausted
            .failures()
            .find_map(|failure| failure.cause().refusal());
        let retry_after = refusal.and_then(crate::core::Rejected::retry_after_seconds);
        let name = refusal.and_then(crate::core::Rejected::public_name);
        let mut response = match self.kind {
            Kind::Http => crate::http::unavailable::respond("exhausted", TITLE, name, retry_after),
            #[cfg(feature = "grpc")]
            Kind::Grpc => crate::grpc::unavailable::respond(TITLE, name, retry_after),
        };
        response.extensions_mut().insert(exhausted);
        response
    }
}

const TITLE: &str = "Fallbacks exhausted";

impl<B, E> Conclude<Response<B>, E, E> for Answers {
    type Response = Response<LocalBody<B>>;
    type Error = E;
    type Proof = Missed;

    #[inline]
    fn answer(&self, response: Response<B>) -> Self::Response {
        response.map(LocalBody::Inner)
    }

    fn missed(
        &self,
        _: Missed,
        error: Option<E>,
        history: Option<History>,
    ) -> Result<Self::Response, E> {
        error.map_or_else(|| Ok(self.unavailable(history)), Err)
    }

    fn left(&self, outcome: Outcome<Response<B>, E, E>) -> Outcome<Response<B>, E, Infallible> {
        match outcome {
            Outcome::Answer(response) => Outcome::Answer(response),
            Outcome::Primary(error) | Outcome::Tier(error) => Outcome::Primary(error),
            Outcome::Nothing => Outcome::Nothing,
        }
    }
}

impl<B, E, T> Conclude<Response<B>, E, T> for AlwaysAnswers {
    type Response = Response<LocalBody<B>>;
    type Error = Infallible;
    type Proof = Missed;

    #[inline]
    fn answer(&self, response: Response<B>) -> Self::Response {
        response.map(LocalBody::Inner)
    }

    fn missed(
        &self,
        _: Missed,
        _: Option<E>,
        history: Option<History>,
    ) -> Result<Self::Response, Infallible> {
        Ok(self.0.unavailable(history))
    }

    fn left(&self, _: Outcome<Response<B>, E, T>) -> Outcome<Response<B>, E, Infallible> {
        Outcome::Nothing
    }
}
