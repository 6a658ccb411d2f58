use std::convert::Infallible;

use http::Response;

use crate::http::LocalBody;

use super::{
    conclude::Conclude,
    descent::{Outcome, Spent},
    failed::{Exhausted, History},
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

/// The same, and answers too where an error would otherwise go to the caller. For `.exhausted(Unavailable)`.
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

    fn unavailable<B>(self, history: History) -> Response<LocalBody<B>> {
        let exhausted = Exhausted::from(history);
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

    fn own<B, E>(
        self,
        outcome: Outcome<Response<B>, E, Infallible>,
        history: History,
    ) -> Result<Response<LocalBody<B>>, E> {
        match outcome {
            Outcome::Answer(response) => Ok(response.map(LocalBody::Inner)),
            Outcome::Primary(error) => Err(error),
            Outcome::Tier(never) => match never {},
            Outcome::Nothing => Ok(self.unavailable(history)),
        }
    }
}

const TITLE: &str = "Fallbacks exhausted";

impl<B, E, N, St, K> Conclude<Response<B>, E, N, St, Spent<Response<B>, E, E, K>> for Answers {
    type Response = Response<LocalBody<B>>;
    type Error = E;

    fn answer(&self, response: Response<B>) -> Self::Response {
        response.map(LocalBody::Inner)
    }

    fn neutral(&self, _: N, error: E) -> Result<Self::Response, E> {
        Err(error)
    }

    fn stuck(
        &self,
        _: St,
        outcome: Outcome<Response<B>, E, Infallible>,
        history: History,
    ) -> Result<Self::Response, E> {
        self.own(outcome, history)
    }

    fn failed(&self, spent: Spent<Response<B>, E, E, K>) -> Result<Self::Response, E> {
        self.own(spent.outcome.map_tier(), spent.history)
    }
}

impl<B, E, St> Conclude<Response<B>, E, Infallible, St, Infallible> for Answers {
    type Response = Response<LocalBody<B>>;
    type Error = Infallible;

    #[inline]
    fn answer(&self, response: Response<B>) -> Self::Response {
        response.map(LocalBody::Inner)
    }

    fn neutral(&self, neutral: Infallible, _: E) -> Result<Self::Response, Infallible> {
        match neutral {}
    }

    fn stuck(
        &self,
        _: St,
        outcome: Outcome<Response<B>, E, Infallible>,
        history: History,
    ) -> Result<Self::Response, Infallible> {
        Ok(match outcome {
            Outcome::Answer(response) => response.map(LocalBody::Inner),
            _ => self.unavailable(history),
        })
    }

    fn failed(&self, failed: Infallible) -> Result<Self::Response, Infallible> {
        match failed {}
    }
}

impl<B, E, St, T, K> Conclude<Response<B>, E, Infallible, St, Spent<Response<B>, E, T, K>>
    for AlwaysAnswers
{
    type Response = Response<LocalBody<B>>;
    type Error = Infallible;

    fn answer(&self, response: Response<B>) -> Self::Response {
        response.map(LocalBody::Inner)
    }

    fn neutral(&self, neutral: Infallible, _: E) -> Result<Self::Response, Infallible> {
        match neutral {}
    }

    fn stuck(
        &self,
        _: St,
        outcome: Outcome<Response<B>, E, Infallible>,
        history: History,
    ) -> Result<Self::Response, Infallible> {
        Ok(match outcome {
            Outcome::Answer(response) => response.map(LocalBody::Inner),
            _ => self.0.unavailable(history),
        })
    }

    fn failed(&self, spent: Spent<Response<B>, E, T, K>) -> Result<Self::Response, Infallible> {
        Ok(self.0.unavailable(spent.history))
    }
}
