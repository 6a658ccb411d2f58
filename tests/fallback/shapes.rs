//! Chains around plain services of every shape: boxed, buffered, retried, neither `Sync` nor `Send`.
//!
//! No socket here, so the clock is paused.

use std::{
    cell::Cell,
    convert::Infallible,
    rc::Rc,
    task::{Context, Poll},
    time::Duration,
};

use brownout::{
    Registry,
    breaker::CircuitBreakerLayer,
    core::BoxError,
    fallback::{Failed, FallbackLayer, Tier},
};
use brownout_tests::server::Hits;
use futures_util::future::join_all;
use tokio::task::LocalSet;
use tower::{
    Layer, Service, ServiceBuilder, ServiceExt,
    buffer::Buffer,
    layer::layer_fn,
    retry::Policy,
    service_fn,
    util::{BoxCloneSyncService, option_layer},
};

use crate::common::{recommendations, spells};

/// Doubles a number; fails for zero.
async fn double(number: u32) -> Result<u32, BoxError> {
    match number {
        0 => Err("nothing to double".into()),
        _ => Ok(2 * number),
    }
}

#[tokio::test(start_paused = true)]
async fn a_buffer_goes_around_a_chain_below_it_and_around_a_tier() {
    let primary = Buffer::new(service_fn(double), 4);
    let tier = Buffer::new(
        service_fn(|n: u32| async move { Ok::<_, BoxError>(n + 1) }),
        4,
    );
    let layer = FallbackLayer::for_results()
        .safe()
        .tier(Tier::new("next", tier))
        .build()
        .unwrap();
    let chain = Buffer::new(layer.layer(primary), 4);
    let calls = (0..4).map(|n| chain.clone().oneshot(n));
    let answers: Result<Vec<_>, _> = join_all(calls).await.into_iter().collect();
    assert_eq!(answers.unwrap(), [1, 2, 4, 6]);
}

#[tokio::test(start_paused = true)]
async fn a_buffer_whose_worker_has_died_is_a_readiness_error_and_even_a_write_descends() {
    let worker = service_fn(|n: u32| async move {
        assert_ne!(n, 0, "a panic that ends nobody's worker");
        Ok::<_, BoxError>(n)
    });
    let dead = ServiceBuilder::new()
        .layer(layer_fn(|service| Dying { service, left: 1 }))
        .service(worker);
    let primary = Buffer::new(dead, 4);
    let mut chain = FallbackLayer::for_results()
        .last("last", |_| async { 100 })
        .unwrap()
        .layer(primary);
    assert_eq!(chain.ready().await.unwrap().call(1).await.unwrap(), 1);
    // This one was already in the buffer when its worker died: the chain cannot know how far it came.
    let caught = chain.ready().await.unwrap().call(2).await.unwrap_err();
    assert!(
        caught.is::<tower::buffer::error::ServiceError>(),
        "{caught}"
    );
    assert_eq!(chain.ready().await.unwrap().call(3).await.unwrap(), 100);
}

/// Is ready so many times, and then never again.
#[derive(Debug)]
struct Dying<S> {
    service: S,
    left: u32,
}

impl<S: Service<Req, Error = BoxError>, Req> Service<Req> for Dying<S> {
    type Response = S::Response;
    type Error = BoxError;
    type Future = S::Future;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        if self.left == 0 {
            return Poll::Ready(Err("the connection is gone".into()));
        }
        self.service.poll_ready(cx)
    }

    fn call(&mut self, request: Req) -> S::Future {
        self.left -= 1;
        self.service.call(request)
    }
}

#[tokio::test(start_paused = true)]
async fn tiers_and_chains_go_into_boxes() {
    let tier = |add: u32| {
        BoxCloneSyncService::new(service_fn(move |n: u32| async move {
            match n {
                7 => Err("seven".into()),
                _ => Ok::<_, BoxError>(n + add),
            }
        }))
    };
    let layer = FallbackLayer::for_results()
        .safe()
        .tier(Tier::new("ten", tier(10)))
        .tier(Tier::new("hundred", tier(100)))
        .build()
        .unwrap();
    let primary = service_fn(|_: u32| async { Err::<u32, BoxError>("down".into()) });
    let chain = BoxCloneSyncService::new(layer.layer(primary));
    assert_eq!(chain.clone().oneshot(1).await.unwrap(), 11);
    assert_eq!(chain.oneshot(7).await.unwrap_err().to_string(), "seven");
}

/// Tries a failed call once more.
#[derive(Clone)]
struct Again(u32);

impl<E> Policy<u32, u32, E> for Again {
    type Future = std::future::Ready<()>;

    fn retry(&mut self, _: &mut u32, result: &mut Result<u32, E>) -> Option<Self::Future> {
        (result.is_err() && self.0 > 0).then(|| {
            self.0 -= 1;
            std::future::ready(())
        })
    }

    fn clone_request(&mut self, request: &u32) -> Option<u32> {
        Some(*request)
    }
}

#[tokio::test(start_paused = true)]
async fn towers_own_layers_go_above_a_chain_and_below_it() {
    let (recs, _) = recommendations();
    let hits = Hits::default();
    let counted = hits.clone();
    let primary = service_fn(move |n: u32| {
        counted.hit();
        double(n)
    });
    let below = ServiceBuilder::new()
        .layer(
            FallbackLayer::for_results()
                .safe()
                .covering(&recs)
                .last("last", |_| async { 100 })
                .unwrap(),
        )
        .timeout(Duration::from_secs(1))
        .concurrency_limit(2)
        .retry(Again(2))
        .service(primary.clone());
    assert_eq!(below.oneshot(0).await.unwrap(), 100);
    assert_eq!(hits.count(), 3, "retried below, the chain sees one failure");
    assert_eq!(spells(&recs), ["last: failed"]);

    let above = ServiceBuilder::new()
        .load_shed()
        .timeout(Duration::from_secs(1))
        .retry(Again(2))
        .concurrency_limit(2)
        .layer(
            FallbackLayer::for_results()
                .safe()
                .tier_fn("other", |_| async { Err::<u32, BoxError>("no".into()) })
                .build()
                .unwrap(),
        )
        .service(primary);
    assert_eq!(above.oneshot(0).await.unwrap_err().to_string(), "no");
    assert_eq!(
        hits.count(),
        6,
        "retried above, the chain is asked each time"
    );
}

#[tokio::test(start_paused = true)]
async fn a_timeout_above_a_chain_ends_the_tier_that_works() {
    let primary = service_fn(|_: u32| async { Err::<u32, BoxError>("down".into()) });
    let working = Rc::new(());
    let works = Rc::clone(&working);
    let chain = ServiceBuilder::new()
        .timeout(Duration::from_secs(1))
        .layer(
            FallbackLayer::for_results()
                .safe()
                .last("slow", move |_| {
                    let works = Rc::clone(&works);
                    async move {
                        std::future::pending::<()>().await;
                        drop(works);
                        0
                    }
                })
                .unwrap(),
        )
        .service(primary);
    let error = chain.oneshot(1).await.unwrap_err();
    assert!(error.is::<tower::timeout::error::Elapsed>());
    assert_eq!(Rc::strong_count(&working), 1);
}

#[tokio::test(start_paused = true)]
async fn services_that_are_not_send_live_on_a_local_set() {
    let calls = Rc::new(Cell::new(0));
    let counter = Rc::clone(&calls);
    let tier = service_fn(move |number: Rc<u32>| {
        counter.set(counter.get() + 1);
        async move { Ok::<_, BoxError>(Rc::new(*number + 1)) }
    });
    let chain = ServiceBuilder::new()
        .layer(
            FallbackLayer::for_results()
                .safe()
                .tier(Tier::new("next", tier).timeout(Duration::from_secs(1)))
                .last("same", |f: Failed<Rc<u32>>| async move { f.request })
                .unwrap(),
        )
        .service_fn(|number: Rc<u32>| async move { double(*number).await.map(Rc::new) });
    let local = LocalSet::new();
    let calling = (0..10).map(|number| {
        let chain = chain.clone();
        local.spawn_local(async move {
            let Ok::<_, Infallible>(answer) = chain.oneshot(Rc::new(number)).await;
            *answer
        })
    });
    let calling: Vec<_> = calling.collect();
    let answers = local.run_until(join_all(calling)).await;
    let answers: Vec<_> = answers.into_iter().map(Result::unwrap).collect();
    assert_eq!(answers, [1, 2, 4, 6, 8, 10, 12, 14, 16, 18]);
    assert_eq!(calls.get(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_chain_is_switched_by_configuration_and_made_by_a_function() {
    for (on, expected) in [(true, Some(1)), (false, None)] {
        let chain = on.then(|| {
            FallbackLayer::for_results()
                .safe()
                .tier_fn("one", |_| async { Ok::<_, BoxError>(1) })
                .build()
                .unwrap()
        });
        let service = ServiceBuilder::new()
            .layer(option_layer(chain))
            .service(service_fn(double));
        assert_eq!(service.oneshot(0).await.ok(), expected);
    }

    let with_default = |default: u32| {
        layer_fn(move |service| {
            FallbackLayer::for_results()
                .safe()
                .last("default", move |_| async move { default })
                .unwrap()
                .layer(service)
        })
    };
    let service = ServiceBuilder::new()
        .layer(with_default(42))
        .service(service_fn(double));
    let Ok::<_, Infallible>(answer) = service.oneshot(0).await;
    assert_eq!(answer, 42);
}

/// What an application writes: one function, checked to be `Send` because it is spawned. Inference is at its worst
/// here, and nothing is spelled out.
#[tokio::test(start_paused = true)]
async fn a_chain_with_boxed_errors_infers_inside_a_spawned_async_function() {
    async fn fetch(number: u32) -> Result<u32, BoxError> {
        let registry = Registry::new();
        let numbers = registry.dependency("numbers").register()?;
        let mut stack = ServiceBuilder::new()
            .layer(
                FallbackLayer::for_results()
                    .safe()
                    .covering(&numbers)
                    .tier(Tier::new("again", service_fn(double)))
                    .tier_fn("never", |_| async { Err::<u32, BoxError>("no".into()) })
                    .build()?,
            )
            .layer(CircuitBreakerLayer::new(&numbers).for_results())
            .timeout(Duration::from_secs(1))
            .concurrency_limit(4)
            .service_fn(double);
        let doubled = stack.ready().await?.call(number).await?;
        tokio::task::yield_now().await;
        stack.ready().await?.call(doubled).await
    }

    assert_eq!(tokio::spawn(fetch(1)).await.unwrap().unwrap(), 4);
    let error = tokio::spawn(fetch(0)).await.unwrap().unwrap_err();
    assert_eq!(error.to_string(), "no");
}

/// With a box outside, the chain's type is not there to be checked for errors of every lifetime, and tower's own
/// `oneshot` will do. Without one see `handlers.rs`.
#[tokio::test(start_paused = true)]
async fn a_chain_with_boxed_errors_in_a_box_may_be_owned_by_a_spawned_future() {
    let chain = ServiceBuilder::new()
        .buffer(4)
        .boxed_clone_sync()
        .layer(
            FallbackLayer::for_results()
                .safe()
                .tier(Tier::new(
                    "one",
                    service_fn(|_: u32| async { Ok::<_, BoxError>(1) }),
                ))
                .build()
                .unwrap(),
        )
        .service(service_fn(double));
    for (number, answer) in [(0, 1), (2, 4)] {
        let task = tokio::spawn(chain.clone().oneshot(number));
        assert_eq!(task.await.unwrap().unwrap(), answer);
        let chain = chain.clone();
        let task = tokio::spawn(async move { chain.oneshot(number).await });
        assert_eq!(task.await.unwrap().unwrap(), answer);
    }
}
