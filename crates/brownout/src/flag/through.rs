use std::fmt;

use tower_service::Service;

use crate::core::{Cause, DegradeReason, Oneshot, oneshot, requests::Requests};

use super::{
    fall::{Causes, Degrade, Fall},
    standby::Standby,
};

/// A service stands in, and calls that the full one has failed go on to it as well. `Q` keeps requests and says which may
/// go on after which cause; `C` reads causes.
#[derive(Clone)]
pub struct FallThrough<T, Q, C> {
    pub(super) service: T,
    pub(super) requests: Q,
    pub(super) causes: C,
}

/// A call that may go on. `K` is its kept request, `F` the failure that its caller would get.
pub struct Falling<T, K, Q, C, F> {
    next: Option<(T, K)>,
    requests: Q,
    causes: C,
    /// Whether it has gone on as a write that the service may have made.
    may_be_done: bool,
    /// Held back for its caller then, in case the degraded service fails too.
    failed: Option<Box<F>>,
    /// Whether that is a refusal, if none that proves anything here.
    is_refusal: bool,
}

impl<T, Req, Q, C> Standby<Req, T::Response, T::Error> for FallThrough<T, Q, C>
where
    T: Service<Req> + Clone,
{
    type Future = Oneshot<T, Req, T::Future>;

    #[inline]
    fn answer(&self, request: Req) -> Option<Self::Future> {
        Some(oneshot(self.service.clone(), request))
    }
}

impl<T, Req, Q, C> Degrade<Req, T::Response, T::Error> for FallThrough<T, Q, C>
where
    T: Service<Req> + Clone,
    Q: Requests<Req> + Clone,
    C: Causes<T::Response, T::Error> + Clone,
{
    type Falling<P> = Falling<T, Q::Kept, Q, C, Result<P, T::Error>>;
    const FALLS: bool = true;

    #[inline]
    fn keep<P>(&self, request: &Req) -> Self::Falling<P> {
        let kept = self.requests.keep(request);
        Falling {
            next: Some((self.service.clone(), kept)),
            ..self.keep_nothing()
        }
    }

    #[inline]
    fn keep_nothing<P>(&self) -> Self::Falling<P> {
        Falling {
            next: None,
            requests: self.requests.clone(),
            causes: self.causes.clone(),
            may_be_done: false,
            failed: None,
            is_refusal: false,
        }
    }

    #[cold]
    fn not_ready(&self, error: &T::Error) -> Option<DegradeReason> {
        Some(Cause::not_ready(self.causes.explain(error)).reason())
    }
}

impl<T, Req, Q, C, P> Fall<T::Response, T::Error, P, Oneshot<T, Req, T::Future>>
    for Falling<T, Q::Kept, Q, C, Result<P, T::Error>>
where
    T: Service<Req>,
    Q: Requests<Req>,
    C: Causes<T::Response, T::Error>,
{
    const FALLS: bool = true;

    #[inline]
    fn refusal(&self, response: &T::Response) -> Option<Cause> {
        self.causes.refusal(response)
    }

    fn explain(&self, error: &T::Error) -> Cause {
        self.causes.explain(error)
    }

    #[cold]
    fn go_on(
        &mut self,
        cause: &Cause,
        failed: Result<P, T::Error>,
    ) -> Result<Oneshot<T, Req, T::Future>, Result<P, T::Error>> {
        let Some((service, kept)) = self.next.take() else {
            return Err(failed);
        };
        if self.requests.may_descend(&kept, cause).is_err() {
            return Err(failed);
        }
        self.may_be_done = self.requests.has_effect(&kept) && !cause.proves_not_sent();
        let Ok(request) = self.requests.last(kept) else {
            return Err(failed);
        };
        self.failed = self.may_be_done.then(|| Box::new(failed));
        self.is_refusal = cause.refusal().is_some();
        Ok(oneshot(service, request))
    }

    fn ended(
        &mut self,
        outcome: Result<T::Response, T::Error>,
    ) -> Result<Result<T::Response, T::Error>, Result<P, T::Error>> {
        let failed = self.failed.take();
        match (outcome, failed) {
            (Ok(mut response), _) => {
                if self.may_be_done {
                    self.causes.disprove(&mut response);
                }
                Ok(Ok(response))
            }
            // A layer above may trust the guard whose refusal this is, where we do not. An error that is none is better.
            (Err(error), Some(_)) if self.is_refusal && !self.is_proof(&error) => Ok(Err(error)),
            // Whether a layer above would take the other error for proof, nobody here can know.
            (Err(_), Some(failed)) => Err(*failed),
            (Err(error), None) => Ok(Err(error)),
        }
    }
}

impl<T, K, Q, C, F> Falling<T, K, Q, C, F> {
    /// Whether anybody might take this error for proof that a call was not sent.
    fn is_proof<Res, E>(&self, error: &E) -> bool
    where
        C: Causes<Res, E>,
    {
        let cause = self.causes.explain(error);
        cause.proves_not_sent() || cause.refusal().is_some()
    }
}

impl<T: fmt::Debug, Q, C> fmt::Debug for FallThrough<T, Q, C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FallThrough")
            .field("service", &self.service)
            .finish_non_exhaustive()
    }
}

impl<T, K, Q, C, F> fmt::Debug for Falling<T, K, Q, C, F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Falling").finish_non_exhaustive()
    }
}
