//! The laws of a layer, checked over a strict probe service.

use std::{
    convert::Infallible,
    future::pending,
    sync::{Arc, Mutex},
    task::{Context, Waker},
    time::Duration,
};

use brownout::{
    core::{DegradeReason, Degraded, Verdict},
    registry::DegradationLevel,
    report::{
        AdoptDegradedLayer, DegradedBody, DegradedLayer, HealthLayer, ReportLayer, Traffic, carry,
        note,
    },
};
use brownout_testing::contract::{ContractProbe, check_layer_contract};
use http::{Request, Response};
use tower::{
    BoxError, Layer, Service, ServiceBuilder, ServiceExt, buffer::Buffer, limit::ConcurrencyLimit,
    service_fn,
};

use crate::common::registry;

/// A number in an HTTP request.
fn wrap(number: u32) -> Request<u32> {
    Request::new(number)
}

#[tokio::test(start_paused = true)]
async fn the_health_layer_keeps_the_contract() {
    let layer = HealthLayer::new(&registry());
    check_layer_contract(|inner: ContractProbe| {
        ServiceBuilder::new()
            .map_request(wrap)
            .map_response(|answer: Response<brownout::http::LocalBody<u32>>| {
                match answer.into_body() {
                    brownout::http::LocalBody::Inner(number) => number,
                    brownout::http::LocalBody::Own(_) => 0,
                }
            })
            .layer(layer.clone())
            .map_request(Request::into_body)
            .map_response(Response::new)
            .service(inner)
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn limits_below_the_health_layer_keep_their_count() {
    let layer = HealthLayer::new(&registry());
    check_layer_contract(|inner: ContractProbe| {
        ServiceBuilder::new()
            .map_request(wrap)
            .map_response(|answer: Response<brownout::http::LocalBody<u32>>| {
                match answer.into_body() {
                    brownout::http::LocalBody::Inner(number) => number,
                    brownout::http::LocalBody::Own(_) => 0,
                }
            })
            .layer(layer.clone())
            .map_request(Request::into_body)
            .map_response(Response::new)
            .service(ConcurrencyLimit::new(inner, 2))
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn the_degraded_layers_keep_the_contract() {
    check_layer_contract(|inner: ContractProbe| {
        ServiceBuilder::new()
            .map_request(wrap)
            .map_response(|answer: Response<DegradedBody<u32>>| *answer.body().get_ref())
            .layer(DegradedLayer::new())
            .layer(AdoptDegradedLayer::new())
            .map_request(Request::into_body)
            .map_response(Response::new)
            .service(inner)
    })
    .await;
}

#[test]
fn the_inner_service_can_be_reached() {
    let mut service = HealthLayer::new(&registry()).layer(7);
    assert_eq!(*service.get_ref(), 7);
    *service.get_mut() = 8;
    assert_eq!(service.clone().into_inner(), 8);
    assert!(format!("{service:?}").contains("livez"));
    let mut service = DegradedLayer::new().layer(7);
    *service.get_mut() = 8;
    assert_eq!((*service.get_ref(), service.into_inner()), (8, 8));
    let mut service = AdoptDegradedLayer::new().layer(7);
    *service.get_mut() = 8;
    assert_eq!((*service.get_ref(), service.into_inner()), (8, 8));
}

/// Where inference is at its worst: a `Send`-checked async function with errors that are boxed.
#[tokio::test]
async fn a_service_with_boxed_errors_lives_across_an_await_of_a_task() {
    let layer = HealthLayer::new(&registry());
    let answer = tokio::spawn(async move {
        let service = tower::service_fn(|_: Request<String>| async {
            tokio::task::yield_now().await;
            Ok::<_, tower::BoxError>(Response::new(String::from("inner")))
        });
        let mut service = layer.layer(service);
        std::future::poll_fn(|cx| Service::<Request<String>>::poll_ready(&mut service, cx)).await?;
        service.call(Request::new(String::new())).await
    });
    assert!(answer.await.unwrap().is_ok());
}

fn mark(name: &str) -> Degraded {
    let mut mark = Degraded::new(DegradeReason::Failed);
    mark.dependency = Some(name.into());
    mark
}

/// A buffer makes calls in its own worker, where nobody knows whose they are; their futures are polled by the callers.
#[tokio::test]
async fn marks_that_are_made_while_polling_arrive_through_a_buffer() {
    let service = service_fn(|_: Request<()>| {
        note(&mark("in-the-worker"));
        async {
            note(&mark("polled"));
            Ok::<_, Infallible>(Response::new(()))
        }
    });
    let service = DegradedLayer::new().layer(Buffer::new(service, 4));
    let answer = service.oneshot(Request::new(())).await.unwrap();
    assert_eq!(answer.headers()["degraded"], "polled;reason=failed");
}

/// And where the buffer is outside, the layer's own call is made in the worker.
#[tokio::test]
async fn a_layer_below_a_buffer_collects_where_its_future_is_polled() {
    let service = DegradedLayer::new().layer(service_fn(|_: Request<()>| async {
        tokio::task::yield_now().await;
        note(&mark("polled"));
        Ok::<_, Infallible>(Response::new(()))
    }));
    let answer = Buffer::new(service, 4).oneshot(Request::new(())).await;
    assert_eq!(
        answer.unwrap().headers()["degraded"],
        "polled;reason=failed"
    );
}

fn somebody_collects() -> bool {
    format!("{:?}", carry(async {})).contains("true")
}

#[tokio::test]
async fn a_call_that_is_dropped_half_way_leaves_no_collector_behind() {
    let service = service_fn(|_: Request<()>| async {
        assert!(somebody_collects());
        pending::<Result<Response<()>, Infallible>>().await
    });
    let stack = ServiceBuilder::new()
        .layer(DegradedLayer::new())
        .layer(AdoptDegradedLayer::new())
        .layer(DegradedLayer::new())
        .service(service);
    let mut call = Box::pin(stack.oneshot(Request::new(())));
    let mut cx = Context::from_waker(Waker::noop());
    for _ in 0..3 {
        assert!(call.as_mut().poll(&mut cx).is_pending());
        assert!(!somebody_collects());
    }
    drop(call);
    assert!(!somebody_collects());
}

#[tokio::test(start_paused = true)]
async fn no_call_spawns_a_task() {
    let tasks = || {
        tokio::runtime::Handle::current()
            .metrics()
            .num_alive_tasks()
    };
    let before = tasks();
    let registry = registry();
    let search = registry.dependency("search").register().unwrap();
    let hung = service_fn(|_: Request<()>| pending::<Result<Response<()>, Infallible>>());
    let stack = ServiceBuilder::new()
        .layer(HealthLayer::new(&registry))
        .layer(DegradedLayer::new())
        .layer(AdoptDegradedLayer::new())
        .layer(ReportLayer::new(&search).for_results())
        .concurrency_limit(1)
        .service(hung);
    for _ in 0..10 {
        let call = stack.clone().oneshot(Request::new(()));
        let waited = tokio::time::timeout(Duration::from_mins(1), call).await;
        assert!(waited.is_err());
    }
    assert_eq!(tasks(), before);
}

#[tokio::test(start_paused = true)]
async fn a_call_is_counted_while_its_future_is_polled_and_not_before() {
    let search = registry().dependency("search").register().unwrap();
    let traffic = Traffic::new(&search);
    let mut service = ReportLayer::with(traffic.clone())
        .for_results()
        .layer(service_fn(|_: u32| async {
            Err::<u32, BoxError>("down".into())
        }));
    let call = service.ready().await.unwrap().call(1);
    assert_eq!(traffic.stats().calls, 0);
    assert!(call.await.is_err());
    assert_eq!((traffic.stats().calls, traffic.stats().failures), (1, 1));
}

#[tokio::test(start_paused = true)]
async fn a_callback_on_the_level_may_ask_and_feed_what_is_reporting() {
    let registry = registry();
    let search = registry.dependency("search").register().unwrap();
    let traffic = Traffic::new(&search);
    let asked = Arc::new(Mutex::new(Vec::new()));
    let _subscription = registry.on_level_change({
        let (traffic, asked, registry) = (traffic.clone(), Arc::clone(&asked), registry.clone());
        move || {
            traffic.begin().settle(Verdict::Failure);
            let calls = traffic.stats().calls;
            asked.lock().unwrap().push((registry.level(), calls));
        }
    });
    for _ in 0..20 {
        traffic.begin().settle(Verdict::Failure);
    }
    assert_eq!(*asked.lock().unwrap(), [(DegradationLevel::Reduced, 21)]);
}
