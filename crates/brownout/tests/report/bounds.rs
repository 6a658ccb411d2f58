//! What these layers ask of the types around them: nothing that they do not need.

use std::{convert::Infallible, rc::Rc};

use brownout::{
    Registry,
    core::{AtHead, BoxError, ErrIsFailure},
    http::LocalBody,
    report::{
        AdoptDegradedLayer, DegradedBody, DegradedLayer, Health, HealthLayer, Lifecycle,
        ReportLayer, Traffic,
    },
};
use brownout_testing::{NotClone, NotSend, NotSync, probe_service::Borrowing};
use http::{Request, Response};
use tower::{Layer, Service, ServiceBuilder, ServiceExt, service_fn};

use crate::common::registry;

/// A body that can do nothing at all: it is no `Body`, not `Send`, not `Clone`.
struct Body(Rc<u32>);

async fn answer(request: Request<Body>) -> Result<Response<Body>, Infallible> {
    tokio::task::yield_now().await;
    Ok(Response::new(request.into_body()))
}

fn request(number: u32) -> Request<Body> {
    Request::new(Body(Rc::new(number)))
}

/// The number in the answer, whatever the layers have put around it.
trait Number {
    fn number(&self) -> u32;
}

impl Number for Body {
    fn number(&self) -> u32 {
        *self.0
    }
}

impl Number for DegradedBody<Body> {
    fn number(&self) -> u32 {
        self.get_ref().number()
    }
}

impl Number for LocalBody<Body> {
    fn number(&self) -> u32 {
        match self {
            Self::Inner(body) => body.number(),
            Self::Own(_) => 0,
        }
    }
}

async fn ask<S, B>(service: S) -> u32
where
    S: Service<Request<Body>, Response = Response<B>, Error = Infallible>,
    B: Number,
{
    let Ok(answer) = service.oneshot(request(7)).await;
    answer.body().number()
}

/// As its users have it, who must say how calls are judged.
type Reporting = ReportLayer<AtHead<ErrIsFailure>>;

fn reporting(registry: &Registry) -> Reporting {
    let search = registry.dependency("search").register().unwrap();
    ReportLayer::new(&search).for_results()
}

#[tokio::test]
async fn neither_send_nor_sync_nor_static_is_asked_of_services_and_nothing_of_bodies() {
    let owner = String::from("lives as long as this function");
    let registry = registry();
    let (health, degraded) = (HealthLayer::new(&registry), DegradedLayer::new());
    let adopting = AdoptDegradedLayer::new();
    let inner = || service_fn(answer);
    macro_rules! check {
        ($layer:expr) => {
            assert_eq!(ask($layer.layer(NotSend::new(inner()))).await, 7);
            assert_eq!(ask($layer.layer(NotSync::new(inner()))).await, 7);
            assert_eq!(ask($layer.layer(Borrowing::from(&owner, inner()))).await, 7);
        };
    }
    check!(health);
    check!(degraded);
    check!(adopting);
    check!(reporting(&registry));
}

#[tokio::test]
async fn clone_is_asked_of_what_the_health_layer_keeps_waiting_alone() {
    let inner = || NotClone::new(service_fn(answer));
    assert_eq!(ask(DegradedLayer::new().layer(inner())).await, 7);
    assert_eq!(ask(AdoptDegradedLayer::new().layer(inner())).await, 7);
    assert_eq!(ask(reporting(&registry()).layer(inner())).await, 7);
}

#[test]
fn handles_and_layers_go_anywhere() {
    fn anywhere<T: Clone + Send + Sync + Unpin + 'static>() {}
    anywhere::<HealthLayer>();
    anywhere::<Health<()>>();
    anywhere::<Lifecycle>();
    anywhere::<Traffic>();
    anywhere::<Reporting>();
    anywhere::<DegradedLayer>();
    anywhere::<AdoptDegradedLayer>();
}

/// A future that may move to another thread.
fn assert_send<T: Send>(value: T) -> T {
    value
}

#[tokio::test]
async fn a_send_checked_async_function_over_boxed_errors_compiles_without_annotations() {
    let registry = registry();
    let search = registry.dependency("search").register().unwrap();
    let answer = tokio::spawn(assert_send(async move {
        let mut service = ServiceBuilder::new()
            .layer(HealthLayer::new(&registry))
            .layer(DegradedLayer::new())
            .layer(AdoptDegradedLayer::new())
            .layer(ReportLayer::new(&search).for_results())
            .service(service_fn(|request: Request<u32>| async move {
                Ok::<_, BoxError>(Response::new(request.into_body()))
            }));
        service.ready().await?.call(Request::new(1)).await?;
        tokio::task::yield_now().await;
        service.ready().await?.call(Request::new(2)).await
    }));
    assert!(answer.await.unwrap().is_ok());
}
