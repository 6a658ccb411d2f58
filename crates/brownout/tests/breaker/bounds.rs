//! What the breaker asks of the types around it: nothing that it does not need.

use std::marker::PhantomData;

use brownout::{
    breaker::{Circuit, CircuitBreakerLayer, KeyedCircuits},
    core::{AtHead, BoxError, ErrIsFailure, Fail, Rejected},
};
use brownout_testing::{NotClone, NotSend, NotSync, probe_service::Borrowing};
use tower::{Layer, Service, ServiceBuilder, ServiceExt, service_fn, util::BoxCloneService};

use crate::common::{breaker, circuit, dependency, exact, probe, trip};

/// A future that may move to another thread.
fn assert_send<T: Send>(value: T) -> T {
    value
}

#[tokio::test(start_paused = true)]
async fn a_send_checked_async_function_over_boxed_errors_compiles_without_annotations() {
    let open = circuit(exact());
    let steered = open.clone();
    let answer = tokio::spawn(assert_send(async move {
        let mut service = ServiceBuilder::new()
            .layer(CircuitBreakerLayer::with(steered).for_results())
            .service(service_fn(|n: u32| async move { Ok::<_, BoxError>(n + 1) }));
        let first = service.ready().await?.call(1).await?;
        tokio::task::yield_now().await;
        service.ready().await?.call(first).await
    }));
    assert_eq!(answer.await.unwrap().unwrap(), 3);

    let boxed = BoxCloneService::new(breaker(&open, probe().0));
    let answer = tokio::spawn(assert_send(async move {
        let mut service = ServiceBuilder::new()
            .layer(
                CircuitBreakerLayer::new(&dependency())
                    .for_results()
                    .reject(Fail),
            )
            .service(boxed);
        service.ready().await?.call(7).await
    }));
    assert_eq!(answer.await.unwrap().unwrap(), 7);
}

#[tokio::test(start_paused = true)]
async fn a_keyed_breaker_lives_in_a_send_checked_async_function() {
    let circuits = KeyedCircuits::new(&dependency());
    let answer = tokio::spawn(assert_send(async move {
        let mut service = ServiceBuilder::new()
            .layer(CircuitBreakerLayer::keyed(circuits, |n: &u32| n % 8).for_results())
            .service(service_fn(|n: u32| async move { Ok::<_, BoxError>(n) }));
        let first = service.ready().await?.call(1).await?;
        tokio::task::yield_now().await;
        service.ready().await?.call(first).await
    }));
    assert_eq!(answer.await.unwrap().unwrap(), 1);
}

#[tokio::test(start_paused = true)]
async fn neither_send_nor_sync_nor_clone_nor_static_is_asked_of_a_service() {
    let circuit = circuit(exact());
    let owner = String::from("lives as long as this function");
    let inner = || probe().0;

    assert_eq!(
        breaker(&circuit, NotSend::new(inner()))
            .oneshot(1)
            .await
            .unwrap(),
        1
    );
    assert_eq!(
        breaker(&circuit, NotClone::new(inner()))
            .oneshot(2)
            .await
            .unwrap(),
        2
    );
    let borrowing = breaker(&circuit, Borrowing::from(&owner, inner()));
    assert_eq!(borrowing.oneshot(3).await.unwrap(), 3);
    // What is not `Sync` still makes a future that is `Send`.
    let not_sync = assert_send(breaker(&circuit, NotSync::new(inner())));
    let call = assert_send(not_sync.oneshot(4));
    assert_eq!(tokio::spawn(call).await.unwrap().unwrap(), 4);
}

#[tokio::test(start_paused = true)]
async fn nor_of_a_service_behind_keyed_circuits() {
    let owner = String::from("lives as long as this function");
    // The closure that finds the key borrows too.
    let layer = || {
        let key = |n: &u32| u64::from(*n) % owner.len() as u64;
        CircuitBreakerLayer::keyed(KeyedCircuits::new(&dependency()), key).for_results()
    };
    let inner = || probe().0;
    assert_eq!(
        layer()
            .layer(NotSend::new(inner()))
            .oneshot(1)
            .await
            .unwrap(),
        1
    );
    assert_eq!(
        layer()
            .layer(NotSync::new(inner()))
            .oneshot(2)
            .await
            .unwrap(),
        2
    );
    assert_eq!(
        layer()
            .layer(NotClone::new(inner()))
            .oneshot(3)
            .await
            .unwrap(),
        3
    );
    let borrowing = layer().layer(Borrowing::from(&owner, inner()));
    assert_eq!(borrowing.oneshot(4).await.unwrap(), 4);
}

#[tokio::test(start_paused = true)]
async fn requests_and_answers_may_borrow_and_need_no_capability_at_all() {
    struct Plain<'a>(&'a str, std::rc::Rc<()>);

    let text = String::from("borrowed");
    let service = service_fn(|plain: Plain<'_>| {
        let length = plain.0.len();
        async move { Ok::<_, BoxError>(NotClone::new((length, plain.1))) }
    });
    let answer = breaker(&circuit(exact()), service)
        .oneshot(Plain(&text, std::rc::Rc::default()))
        .await
        .unwrap();
    assert_eq!(answer.get_ref().0, 8);
}

/// A service with an error of its own, which a refusal turns into.
#[derive(Debug, PartialEq)]
enum ShopError {
    Refused(String),
}

impl From<Rejected> for ShopError {
    fn from(rejected: Rejected) -> Self {
        Self::Refused(rejected.dependency().to_owned())
    }
}

#[tokio::test(start_paused = true)]
async fn layers_do_not_change_the_error_type_however_many_there_are() {
    let [outer, middle, inner] = [(); 3].map(|()| circuit(exact()));
    let service = ServiceBuilder::new()
        .layer(CircuitBreakerLayer::with(outer).for_results())
        .layer(CircuitBreakerLayer::with(middle).for_results())
        .layer(CircuitBreakerLayer::with(inner.clone()).for_results())
        .service(service_fn(|()| async { Ok::<(), ShopError>(()) }));
    trip(&inner);
    let outcome: Result<(), ShopError> = service.oneshot(()).await;
    assert_eq!(outcome, Err(ShopError::Refused("search".into())));
}

/// Handles are `Send + Sync + 'static` whatever the services are.
#[test]
fn handles_go_anywhere() {
    fn anywhere<T: Clone + Send + Sync + 'static>() {}
    anywhere::<Circuit>();
    anywhere::<KeyedCircuits<String>>();
    anywhere::<CircuitBreakerLayer<AtHead<ErrIsFailure>>>();
    anywhere::<Rejected>();
}

/// Says of a type whether it is a layer: the inherent constant hides the trait's wherever its bound holds.
struct Asked<T>(PhantomData<T>);

trait OrNot {
    const IS_LAYER: bool = false;
}

impl<T> OrNot for Asked<T> {}

impl<T: Layer<()>> Asked<T> {
    const IS_LAYER: bool = true;
}

#[test]
fn nobody_gets_a_breaker_that_was_not_told_how_to_judge() {
    type Judged = CircuitBreakerLayer<AtHead<ErrIsFailure>>;
    let layers = [
        Asked::<CircuitBreakerLayer>::IS_LAYER,
        Asked::<Judged>::IS_LAYER,
    ];
    assert_eq!(layers, [false, true]);
}
