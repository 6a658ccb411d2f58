//! Nothing is asked of services that the code does not need, and types infer where inference is at its worst.

use std::{cell::Cell, convert::Infallible, rc::Rc};

use brownout::{
    Registry,
    breaker::CircuitBreakerLayer,
    core::BoxError,
    fallback::{Failed, FallbackLayer, Tier},
};
use tower::{Layer, Service, ServiceBuilder, ServiceExt, service_fn, util::BoxCloneService};

use crate::common::{down, probe};

#[tokio::test]
async fn neither_send_nor_sync_nor_static_is_asked_of_anybody() {
    let calls = Cell::new(0);
    let counted = &calls;
    let primary = service_fn(|_: Rc<u32>| async { Err::<Rc<u32>, &str>("down") });
    let tier = service_fn(|n: Rc<u32>| async move {
        counted.set(counted.get() + 1);
        Err::<Rc<u32>, String>(format!("{n} is too much"))
    });
    let chain = FallbackLayer::for_results()
        .safe()
        .tier(Tier::new("tier", tier))
        .last("last", |f: Failed<Rc<u32>>| async move { f.request })
        .unwrap()
        .layer(primary);
    let Ok::<_, Infallible>(answer) = chain.oneshot(Rc::new(3)).await;
    assert_eq!((*answer, calls.get()), (3, 1));
}

#[tokio::test]
async fn a_primary_need_not_be_clone() {
    struct Once;
    impl Service<u32> for Once {
        type Response = u32;
        type Error = BoxError;
        type Future = std::future::Ready<Result<u32, BoxError>>;
        fn poll_ready(
            &mut self,
            _: &mut std::task::Context<'_>,
        ) -> std::task::Poll<Result<(), BoxError>> {
            std::task::Poll::Ready(Ok(()))
        }
        fn call(&mut self, _: u32) -> Self::Future {
            std::future::ready(Err("down".into()))
        }
    }
    let layer = FallbackLayer::for_results()
        .safe()
        .last("last", |_| async { 1 })
        .unwrap();
    let Ok::<_, Infallible>(answer) = layer.layer(Once).oneshot(0).await;
    assert_eq!(answer, 1);
}

#[tokio::test(start_paused = true)]
async fn a_send_checked_async_function_over_boxed_errors_compiles_without_annotations() {
    let registry = Registry::new();
    let search = registry.dependency("search").register().unwrap();
    let service = ServiceBuilder::new()
        .layer(
            FallbackLayer::for_results()
                .safe()
                .covering(&search)
                .tier(Tier::new("mirror", probe().0))
                .tier_fn("list", |f| async move {
                    Err::<u32, _>(f.tiers().collect::<Vec<_>>().join(" "))
                })
                .last("none", |_| async { 0 })
                .unwrap(),
        )
        .layer(CircuitBreakerLayer::new(&search).for_results())
        .timeout(std::time::Duration::from_secs(1))
        .service(down("search").0);
    let task = tokio::spawn(async move {
        let mut service = service;
        let answer = service.ready().await?.call(1).await?;
        tokio::task::yield_now().await;
        drop(service);
        Ok::<_, Infallible>(answer)
    });
    assert_eq!(task.await.unwrap().unwrap(), 1);
}

#[tokio::test(start_paused = true)]
async fn boxed_services_go_under_a_chain_into_a_tier_and_chains_into_boxes() {
    let tier = BoxCloneService::new(probe().0);
    let layer = FallbackLayer::for_results()
        .safe()
        .tier(Tier::new("tier", tier))
        .build()
        .unwrap();
    let chain = BoxCloneService::new(layer.layer(BoxCloneService::new(down("primary").0)));
    assert_eq!(chain.clone().oneshot(4).await.unwrap(), 4);
    assert_eq!(layer.layer(chain).oneshot(5).await.unwrap(), 5);
}

#[test]
fn layers_do_not_change_the_error_type_however_many_there_are() {
    fn same_error<S: Service<u32, Error = BoxError>>(_: &S) {}
    let layer = || {
        FallbackLayer::for_results()
            .tier(Tier::new("tier", probe().0))
            .build()
            .unwrap()
    };
    same_error(&layer().layer(layer().layer(layer().layer(probe().0))));
}
