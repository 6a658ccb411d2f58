//! What a flag asks of the types around it: nothing that it does not need.

use brownout::{
    core::{BoxError, Fail, Rejected},
    flag::{Flag, FlagLayer, Flags, Ticket},
    registry::FeatureState::Degraded,
};
use brownout_testing::{NotClone, NotSend, NotSync, probe_service::Borrowing};
use tower::{Layer, Service, ServiceBuilder, ServiceExt, service_fn, util::BoxCloneService};

use crate::common::{adding, flag, probe};

/// A future that may move to another thread.
fn assert_send<T: Send>(value: T) -> T {
    value
}

#[test]
fn handles_go_anywhere() {
    fn anywhere<T: Send + Sync + Unpin + 'static>() {}
    anywhere::<Flag>();
    anywhere::<Flags>();
    anywhere::<Ticket>();
    anywhere::<FlagLayer>();
}

/// As a router asks it of layers' services.
fn fits_a_router<S: Clone + Send + Sync + 'static>(_: &S) {}

#[test]
fn services_go_onto_routers() {
    let service = FlagLayer::for_results(flag())
        .degraded(adding(100).0)
        .layer(probe().0);
    fits_a_router(&service);
}

#[tokio::test(start_paused = true)]
async fn a_send_checked_async_function_over_boxed_errors_compiles_without_annotations() {
    let shared = flag();
    let steered = shared.clone();
    let answer = tokio::spawn(assert_send(async move {
        let mut service = ServiceBuilder::new()
            .layer(
                FlagLayer::for_results(steered)
                    .degraded(service_fn(|n: u32| async move { Ok::<_, BoxError>(n) })),
            )
            .service(service_fn(|n: u32| async move { Ok::<_, BoxError>(n + 1) }));
        let first = service.ready().await?.call(1).await?;
        tokio::task::yield_now().await;
        service.ready().await?.call(first).await
    }));
    assert_eq!(answer.await.unwrap().unwrap(), 3);

    let boxed = BoxCloneService::new(FlagLayer::for_results(shared.clone()).layer(probe().0));
    let answer = tokio::spawn(assert_send(async move {
        let mut service = ServiceBuilder::new()
            .layer(FlagLayer::for_results(shared).reject(Fail))
            .service(boxed);
        service.ready().await?.call(7).await
    }));
    assert_eq!(answer.await.unwrap().unwrap(), 7);
}

#[tokio::test(start_paused = true)]
async fn neither_send_nor_sync_nor_clone_nor_static_is_asked_of_a_service() {
    let flag = flag();
    let owner = String::from("lives as long as this function");
    let inner = || probe().0;
    let layer = || FlagLayer::for_results(flag.clone());
    let not_send = layer().layer(NotSend::new(inner()));
    assert_eq!(not_send.oneshot(1).await.unwrap(), 1);
    let not_clone = layer().layer(NotClone::new(inner()));
    assert_eq!(not_clone.oneshot(2).await.unwrap(), 2);
    let not_sync = layer().layer(NotSync::new(inner()));
    assert_eq!(not_sync.oneshot(3).await.unwrap(), 3);
    let borrowing = layer().layer(Borrowing::from(&owner, inner()));
    assert_eq!(borrowing.oneshot(4).await.unwrap(), 4);
}

#[tokio::test(start_paused = true)]
async fn only_clone_is_asked_of_whoever_stands_in() {
    let flag = flag();
    flag.configure(Degraded);
    let owner = String::from("lives as long as this function");
    let layer = || FlagLayer::for_results(flag.clone());
    let inner = || NotClone::new(probe().0);
    let simpler = || adding(100).0;
    let layer_not_send = layer().degraded(NotSend::new(simpler()));
    assert_eq!(layer_not_send.layer(inner()).oneshot(1).await.unwrap(), 101);
    let layer_not_sync = layer().degraded(NotSync::new(simpler()));
    assert_eq!(layer_not_sync.layer(inner()).oneshot(2).await.unwrap(), 102);
    let borrowing = layer().degraded(Borrowing::from(&owner, simpler()));
    assert_eq!(borrowing.layer(inner()).oneshot(3).await.unwrap(), 103);
}

/// A request that cannot be cloned.
struct Once(u32);

#[derive(Debug)]
struct OwnError;

impl From<Rejected> for OwnError {
    fn from(_: Rejected) -> Self {
        Self
    }
}

#[tokio::test(start_paused = true)]
async fn requests_need_not_be_clone_and_errors_stay_what_they_were() {
    let flag = flag();
    let service = ServiceBuilder::new()
        .layer(FlagLayer::for_results(flag.clone()))
        .layer(
            FlagLayer::for_results(flag.clone())
                .degraded(service_fn(|Once(n)| async move { Ok(n + 100) })),
        )
        .service(service_fn(|Once(n)| async move { Ok::<_, OwnError>(n) }));
    assert_eq!(service.clone().oneshot(Once(1)).await.unwrap(), 1);
    flag.configure(Degraded);
    let refused: Result<u32, OwnError> = service.oneshot(Once(1)).await;
    assert!(refused.is_err());
}
