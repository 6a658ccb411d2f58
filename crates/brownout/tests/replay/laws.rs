//! The laws of a layer, checked over a strict probe service.

use brownout::http::{ReplayBody, ReplayLayer};
use brownout_testing::{
    BodyWatch, MockBody, TestError, assert_no_busy_polling,
    body::{data, delay, hang, hold, panic, pending},
    contract::{ContractProbe, check_layer_contract},
    drop_at_each_await,
};
use http::Request;
use tower::{Layer, Service, ServiceBuilder, ServiceExt, limit::ConcurrencyLimit};

use crate::common::{SECOND, chunked, echo, echoing, read, text};

/// Calls with this number, which travels beside a body made for it.
async fn keeps_the_contract(layer: ReplayLayer, body: fn() -> MockBody) {
    check_layer_contract(move |inner: ContractProbe| {
        ServiceBuilder::new()
            .map_request(move |number: u32| {
                let mut request = Request::new(body());
                request.extensions_mut().insert(number);
                request
            })
            .layer(layer)
            .map_request(|request: Request<ReplayBody<MockBody>>| {
                *request.extensions().get::<u32>().unwrap()
            })
            .service(inner)
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn requests_without_a_body_keep_the_contract() {
    keeps_the_contract(ReplayLayer::new(), MockBody::empty).await;
}

#[tokio::test(start_paused = true)]
async fn requests_whose_bodies_are_kept_keep_the_contract() {
    keeps_the_contract(ReplayLayer::new(), || MockBody::full("kept")).await;
    keeps_the_contract(ReplayLayer::new(), || {
        MockBody::new([pending(), data("one"), delay(SECOND / 1_000), data("two")])
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn requests_whose_bodies_are_passed_on_keep_the_contract() {
    keeps_the_contract(ReplayLayer::new(), || chunked([data("passed")])).await;
    keeps_the_contract(ReplayLayer::new().limit(3).of_unknown_size(), || {
        chunked([data("one"), pending(), data("interrupted"), data("rest")])
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn the_instance_that_was_ready_waits_for_the_body_and_its_clone_stays() {
    let (inner, probe) = echo();
    let mut service = ReplayLayer::new().layer(ConcurrencyLimit::new(inner, 2));
    let held = || MockBody::new([data("one "), hold(), data("two")]).watched();
    let ((one, first), (two, second)) = (held(), held());
    let mut one = Box::pin(service.ready().await.unwrap().call(Request::new(one)));
    let mut two = Box::pin(service.ready().await.unwrap().call(Request::new(two)));
    assert!(poll(&mut one).is_pending());
    assert!(poll(&mut two).is_pending());
    assert_eq!(probe.counts().calls, 0);
    // Each holds its place.
    assert!(poll(&mut service.clone().ready()).is_pending());
    first.release();
    second.release();
    for call in [one, two] {
        assert_eq!(read(call.await.unwrap()).await, text("one two"));
    }
    probe.assert_contract_kept();
    service.ready().await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_call_dropped_at_any_await_leaves_nothing() {
    let (inner, probe) = echo();
    probe.always(echoing().yielding(2));
    let service = ReplayLayer::new().layer(inner);
    let watches = std::cell::RefCell::new(Vec::new());
    let polls = drop_at_each_await(
        || {
            let (body, watch) = MockBody::new([
                pending(),
                data("one"),
                pending(),
                data("two"),
                delay(SECOND),
                data("three"),
            ])
            .watched();
            watches.borrow_mut().push(watch);
            service.clone().oneshot(Request::new(body))
        },
        |polls| {
            assert!(watches.borrow().iter().all(BodyWatch::dropped));
            assert!(probe.counts().is_idle());
            // The one in `service`.
            assert_eq!(probe.counts().instances, 1);
            assert_eq!(probe.counts().calls, polls.saturating_sub(3));
        },
    )
    .await;
    // Three waits for the body, two for the answer.
    assert_eq!(polls, 6);
    probe.assert_contract_kept();
}

#[tokio::test(start_paused = true)]
async fn waiting_for_a_body_is_one_poll() {
    for body in [
        MockBody::new([hang()]),
        MockBody::new([data("one"), hang()]),
    ] {
        let body = body.with_size_hint(http_body::SizeHint::with_exact(9));
        let service = ReplayLayer::new().layer(echo().0);
        let call = service.oneshot(Request::new(body));
        let answer = assert_no_busy_polling(call, 60 * SECOND, 1).await;
        assert!(answer.is_none());
    }
}

#[tokio::test(start_paused = true)]
async fn a_body_is_read_by_the_task_that_polls_the_call() {
    let (body, watch) = MockBody::new([hold(), data("one")]).watched();
    let service = ReplayLayer::new().layer(echo().0);
    let mut call = Box::pin(service.oneshot(Request::new(body)));
    // Polled here first, and then by the task that shall be woken.
    assert!(poll(&mut call).is_pending());
    let call = tokio::spawn(call);
    tokio::task::yield_now().await;
    watch.release();
    assert_eq!(read(call.await.unwrap().unwrap()).await, text("one"));
}

#[tokio::test(start_paused = true)]
async fn a_panic_of_the_body_goes_on_to_the_caller_and_leaves_the_service_usable() {
    let (inner, probe) = echo();
    let service = ReplayLayer::new().layer(inner);
    let body =
        MockBody::new([data("one"), panic()]).with_size_hint(http_body::SizeHint::with_exact(9));
    let call = tokio::spawn(service.clone().oneshot(Request::new(body)));
    assert!(call.await.unwrap_err().is_panic());
    assert_eq!(probe.counts().calls, 0);
    let body = service.oneshot(Request::new(MockBody::full("two"))).await;
    assert_eq!(read(body.unwrap()).await, text("two"));
}

#[tokio::test(start_paused = true)]
async fn errors_of_readiness_and_of_calls_are_the_services_own() {
    let (inner, probe) = echo();
    let service = ReplayLayer::new().layer(inner);
    probe.fail_readiness(|| TestError::new("gone"));
    let body = || Request::new(MockBody::full("one"));
    let answer = service.clone().oneshot(body()).await;
    assert_eq!(answer.unwrap_err(), TestError::new("gone"));
    probe.make_ready();
    probe.always(brownout_testing::Behaviour::answer(|_| {
        Err(TestError::new("down"))
    }));
    let answer = service.oneshot(body()).await;
    assert_eq!(answer.unwrap_err(), TestError::new("down"));
}

#[test]
fn the_inner_service_can_be_reached() {
    let mut service = ReplayLayer::new().layer(7);
    assert_eq!(*service.get_ref(), 7);
    *service.get_mut() = 8;
    assert_eq!(service.clone().into_inner(), 8);
    assert!(format!("{service:?}").contains("65536"));
}

fn poll<F: Future + Unpin>(future: &mut F) -> std::task::Poll<F::Output> {
    std::pin::Pin::new(future).poll(&mut std::task::Context::from_waker(std::task::Waker::noop()))
}
