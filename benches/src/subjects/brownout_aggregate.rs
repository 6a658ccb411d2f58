//! Our aggregate of five parts that are ready at once, and what one would write by hand in its place.

use std::convert::Infallible;
use std::future::poll_fn;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use brownout::aggregate::{AggregateLayer, PartKey};
use tokio::time::timeout;
use tower_service::Service;

use super::backend::{Answering, Request, Response, configured};
use super::{Column, Subject};
use crate::drive::{Drive, ServiceDrive};

pub(super) const SUBJECTS: &[Subject] = &[
    Subject::service("aggregate-5", Column::Brownout, aggregate),
    Subject::service("aggregate-5", Column::Floor, by_hand),
];

const WITHIN: Duration = Duration::from_secs(3);
const EACH: Duration = Duration::from_secs(1);

macro_rules! keys {
    ($($key:ident $name:literal)*) => {$(
        #[derive(Debug)]
        struct $key;

        impl PartKey for $key {
            type Value = Response;
            const NAME: &'static str = $name;
        }
    )*};
}

keys!(Profile "profile" Orders "orders" Stock "stock" Reviews "reviews" Recs "recommendations");

fn aggregate() -> Box<dyn Drive> {
    ServiceDrive::boxed(configured(
        AggregateLayer::for_results::<Request>()
            .part(Profile, Answering)
            .timeout(EACH)
            .part(Orders, Answering)
            .timeout(EACH)
            .optional(Stock, Answering)
            .timeout(EACH)
            .optional(Reviews, Answering)
            .timeout(EACH)
            .optional(Recs, Answering)
            .timeout(EACH)
            .within(WITHIN)
            .into_service(),
    ))
}

fn by_hand() -> Box<dyn Drive> {
    ServiceDrive::boxed(ByHand(Answering))
}

/// `tokio::join!` of calls with a timeout each, all in one: no panic is caught, nothing is timed or reported, and a
/// required part that fails ends nothing early.
#[derive(Debug, Clone)]
struct ByHand(Answering);

type Five = (
    Response,
    Response,
    Option<Response>,
    Option<Response>,
    Option<Response>,
);

impl Service<Request> for ByHand {
    type Response = Five;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Five, Infallible>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request) -> Self::Future {
        let service = self.0;
        Box::pin(async move {
            let part = async || {
                let mut service = service;
                let call = async {
                    poll_fn(|cx| service.poll_ready(cx)).await?;
                    service.call(request).await
                };
                timeout(EACH, call).await.ok()?.ok()
            };
            let all = async { tokio::join!(part(), part(), part(), part(), part()) };
            let (profile, orders, stock, reviews, recs) =
                timeout(WITHIN, all).await.unwrap_or_default();
            let (profile, orders) = (profile.unwrap_or_default(), orders.unwrap_or_default());
            Ok((profile, orders, stock, reviews, recs))
        })
    }
}
