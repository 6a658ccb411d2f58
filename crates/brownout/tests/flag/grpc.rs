//! Flags in front of gRPC services.

use brownout::{
    core::Marks,
    flag::FlagLayer,
    registry::FeatureState::{Degraded, Enabled},
};
use brownout_testing::{MockBody, TestError};
use http::{Request, Response};
use tower::{Layer, Service, ServiceExt, service_fn};

use crate::common::{exact, flag};

fn ending(
    status: &'static str,
) -> impl Service<
    Request<()>,
    Response = Response<MockBody>,
    Error = TestError,
    Future = std::future::Ready<Result<Response<MockBody>, TestError>>,
> + Clone {
    service_fn(move |_: Request<()>| {
        let mut response = Response::new(MockBody::empty());
        response
            .headers_mut()
            .insert("grpc-status", status.parse().unwrap());
        std::future::ready(Ok(response))
    })
}

#[tokio::test(start_paused = true)]
async fn calls_are_judged_by_their_status() {
    for (status, expected) in [
        ("14", Degraded),
        ("13", Degraded),
        ("5", Enabled),
        ("1", Enabled),
        ("0", Enabled),
    ] {
        let flag = flag();
        let mut service = FlagLayer::for_grpc(flag.clone()).layer(ending(status));
        for _ in 0..10 {
            let _ = service.ready().await.unwrap().call(Request::new(())).await;
        }
        assert_eq!(flag.state(), expected, "after {status}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_refusal_is_unavailable_and_names_the_feature_publicly() {
    let flag = exact().public_name("recommendations").build().unwrap();
    flag.configure(Degraded);
    let service = FlagLayer::for_grpc(flag).layer(ending("0"));
    let response = service.oneshot(Request::new(())).await.unwrap();
    assert_eq!(response.headers()["grpc-status"], "14");
    assert_eq!(
        response.headers()["grpc-message"],
        "Feature degraded (recommendations)"
    );
}

#[tokio::test(start_paused = true)]
async fn answers_of_whoever_stands_in_are_marked() {
    let flag = flag();
    flag.configure(Degraded);
    let layer = FlagLayer::for_grpc(flag).degraded(ending("0"));
    let response = layer
        .layer(ending("0"))
        .oneshot(Request::new(()))
        .await
        .unwrap();
    assert_eq!(response.headers()["grpc-status"], "0");
    assert_eq!(
        response.extensions().get::<Marks>().unwrap().iter().count(),
        1
    );
}

#[tokio::test(start_paused = true)]
async fn a_call_goes_on_only_where_it_was_named_safe() {
    let layer = FlagLayer::for_grpc(flag()).degraded(ending("0"));
    let layer = layer.fall_through().cloning();
    let service = layer.clone().layer(ending("14"));
    let response = service.oneshot(Request::new(())).await.unwrap();
    assert_eq!(response.headers()["grpc-status"], "14");
    let service = layer.safe().layer(ending("14"));
    let response = service.oneshot(Request::new(())).await.unwrap();
    assert_eq!(response.headers()["grpc-status"], "0");
}
