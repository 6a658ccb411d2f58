//! The laws of a layer, checked over a strict probe service.

use brownout::report::{AdoptDegradedLayer, DegradedBody, DegradedLayer, HealthLayer};
use brownout_testing::contract::{ContractProbe, check_layer_contract};
use http::{Request, Response};
use tower::{Layer, Service, ServiceBuilder, limit::ConcurrencyLimit};

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
