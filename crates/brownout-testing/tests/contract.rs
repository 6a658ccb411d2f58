//! The contract suite passes layers that keep it, whatever they are for.
#![allow(
    clippy::unwrap_used,
    reason = "a test that meets the unexpected should stop there"
)]

use std::cell::Cell;
use std::convert::Infallible;
use std::task::{Context, Poll};

use brownout_testing::contract::{Contract, ContractProbe, Law};
use brownout_testing::{
    BoxError, NotSend, NotSync, TestError, check_layer_contract, probe_service::Borrowing,
};
use tower::buffer::Buffer;
use tower::limit::ConcurrencyLimit;
use tower::util::BoxCloneService;
use tower::{Service, ServiceBuilder};

#[tokio::test(start_paused = true)]
async fn no_layer_at_all_keeps_it() {
    check_layer_contract(|inner: ContractProbe| inner).await;
}

#[derive(Debug)]
struct Mine;

impl From<TestError> for Mine {
    fn from(_: TestError) -> Self {
        Self
    }
}

#[tokio::test(start_paused = true)]
async fn any_error_type_made_of_a_test_error_will_do() {
    check_layer_contract(|inner: ContractProbe<TestError>| inner).await;
    check_layer_contract(|inner: ContractProbe<Mine>| inner).await;
}

#[tokio::test(start_paused = true)]
async fn a_concurrency_limit_keeps_it_even_with_one_permit() {
    for limit in [1, 2, 100] {
        check_layer_contract(|inner: ContractProbe| ConcurrencyLimit::new(inner, limit)).await;
    }
}

#[tokio::test(start_paused = true)]
async fn services_without_send_sync_or_static_can_be_checked() {
    let owner = 7;
    check_layer_contract(|inner: ContractProbe| {
        ConcurrencyLimit::new(
            Borrowing::from(&owner, NotSync::new(NotSend::new(inner))),
            3,
        )
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn boxed_services_and_stacks_keep_it() {
    check_layer_contract(|inner: ContractProbe| {
        BoxCloneService::new(
            ServiceBuilder::new()
                .map_request(|request: u32| request)
                .concurrency_limit(8)
                .map_response(|response: u32| response)
                .service(inner),
        )
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_buffer_keeps_all_laws_but_those_it_is_known_to_break() {
    let buffer = Contract::new(|inner: ContractProbe| Buffer::new(inner, 4));
    assert_eq!(
        buffer.check().await.unwrap_err().law(),
        Law::ReadinessErrorStaysLocal
    );
    let buffer = buffer.except(Law::ReadinessErrorStaysLocal);
    assert_eq!(buffer.check().await.unwrap_err().law(), Law::SurvivesPanic);
    buffer.except(Law::SurvivesPanic).check().await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_layer_below_a_real_buffer_is_seen_through_it() {
    let below_a_buffer = |inner: ContractProbe| Buffer::new(ConcurrencyLimit::new(inner, 2), 4);
    Contract::new(below_a_buffer)
        .except(Law::ReadinessErrorStaysLocal)
        .except(Law::SurvivesPanic)
        .check()
        .await
        .unwrap();
}

/// Answers 0 where its inner service can't.
#[derive(Clone, Debug)]
struct OrZero<S> {
    inner: S,
    failed: bool,
}

impl<S: Service<u32, Response = u32, Error = BoxError>> Service<u32> for OrZero<S>
where
    S::Future: 'static,
{
    type Response = u32;
    type Error = Infallible;
    type Future = std::pin::Pin<Box<dyn Future<Output = Result<u32, Infallible>>>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        self.inner.poll_ready(cx).map(|ready| {
            self.failed = ready.is_err();
            Ok(())
        })
    }

    fn call(&mut self, request: u32) -> Self::Future {
        if self.failed {
            return Box::pin(async { Ok(0) });
        }
        let answer = self.inner.call(request);
        Box::pin(async { Ok(answer.await.unwrap_or(0)) })
    }
}

#[tokio::test(start_paused = true)]
async fn a_fallback_is_excepted_from_surfacing_readiness_errors_and_from_nothing_else() {
    let fallback = Contract::new(|inner: ContractProbe| OrZero {
        inner,
        failed: false,
    });
    assert_eq!(
        fallback.check().await.unwrap_err().law(),
        Law::ReadinessErrorSurfaces
    );
    fallback
        .except(Law::ReadinessErrorSurfaces)
        .check()
        .await
        .unwrap();
}

#[tokio::test(start_paused = true)]
async fn each_check_gets_a_service_of_its_own() {
    let built = Cell::new(0);
    check_layer_contract(|inner: ContractProbe| {
        built.set(built.get() + 1);
        inner
    })
    .await;
    assert!(built.get() > 10, "{}", built.get());
}

#[tokio::test(start_paused = true)]
#[should_panic(
    expected = "law broken (DropReleases): dropping a future or a service releases everything; after the \
                           service and all its clones"
)]
async fn the_shorthand_panics_with_the_law() {
    check_layer_contract(|inner: ContractProbe| {
        std::mem::forget(inner.clone());
        inner
    })
    .await;
}
