use http::{HeaderMap, Response, StatusCode};
use http_body::Body;

use crate::core::{Classify, Observe, Settle, Verdict};

use super::observed::ObservedBody;

/// Judges an HTTP call when its body has ended.
///
/// A head that fails is judged at once. One that looks well lets its ticket travel in the body, which is judged
///
/// * at its end, its trailers included, by the [`EndRule`]; a body that is empty from the start ends with the head;
/// * as a failure when it breaks off with an error;
/// * by its head when it is dropped before anybody read from it (the answer to a HEAD, or a caller to whom the status
///   was enough);
/// * not at all when it is dropped half-way: the call is abandoned.
#[derive(Clone, Copy, Debug)]
pub struct AtEnd<C> {
    classify: C,
    rule: EndRule,
}

/// What the end of a body makes of the verdict on its head. Plain functions, so that the body's type does not depend
/// on them.
#[derive(Clone, Copy, Debug)]
pub struct EndRule {
    /// The body ended without trailers: the verdict on the head, and the head's status and headers.
    pub without_trailers: fn(Verdict, StatusCode, &HeaderMap) -> Verdict,
    /// The body ended with these trailers.
    pub with_trailers: fn(Verdict, &HeaderMap) -> Verdict,
}

impl EndRule {
    /// The verdict on the head stands.
    pub const BY_HEAD: Self = Self {
        without_trailers: |head, _, _| head,
        with_trailers: |head, _| head,
    };
}

impl<C> AtEnd<C> {
    /// Judges heads by `classify`; a body that ends confirms the verdict.
    pub const fn new(classify: C) -> Self {
        Self {
            classify,
            rule: EndRule::BY_HEAD,
        }
    }

    /// Lets the end of the body have a say.
    pub const fn rule(mut self, rule: EndRule) -> Self {
        self.rule = rule;
        self
    }
}

impl<T, B, E, C> Observe<T, Response<B>, E> for AtEnd<C>
where
    T: Settle,
    B: Body,
    C: Classify<Response<B>, E>,
{
    type Response = Response<ObservedBody<B, T>>;

    #[inline]
    fn observe(
        &self,
        ticket: &mut T,
        outcome: Result<Response<B>, E>,
    ) -> Result<Self::Response, E> {
        let head = self.classify.classify(outcome.as_ref());
        let response = match outcome {
            Ok(response) => response,
            Err(error) => {
                ticket.settle(head);
                return Err(error);
            }
        };
        let without_trailers =
            (self.rule.without_trailers)(head, response.status(), response.headers());
        let waiting = if head.is_failure() {
            ticket.settle(head);
            None
        } else if response.body().is_end_stream() {
            ticket.settle(without_trailers);
            None
        } else {
            ticket.head(head);
            Some(ticket.take())
        };
        Ok(response.map(|body| {
            ObservedBody::new(
                body,
                waiting,
                head,
                without_trailers,
                self.rule.with_trailers,
            )
        }))
    }
}
