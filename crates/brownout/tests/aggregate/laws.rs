//! The laws of a layer, checked over a strict probe service.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use brownout::{
    Registry,
    aggregate::{AggregateLayer, Parts},
    core::{BoxError, Cause},
    registry::{Report, ReporterKind},
};
use brownout_testing::{
    Behaviour,
    contract::{ContractProbe, check_layer_contract},
};
use tower::{Layer, Service, ServiceBuilder, ServiceExt, limit::ConcurrencyLimit};

use crate::common::{A, B, C, doing, down, ms, probe};

/// The composing service looks at nothing but the request.
fn request<T>((request, _): (u32, Parts<T>)) -> u32 {
    request
}

#[tokio::test(start_paused = true)]
async fn an_aggregate_keeps_the_contract_of_a_layer() {
    check_layer_contract(|inner: ContractProbe| {
        AggregateLayer::for_results::<u32>()
            .part(A, probe().0)
            .optional(B, down("gone").0)
            .build()
            .unwrap()
            .layer(inner.map_request(request))
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn an_aggregate_of_parts_that_take_their_time_keeps_the_contract_of_a_layer() {
    check_layer_contract(|inner: ContractProbe| {
        let yields = doing(Behaviour::answer(Ok).yielding(1));
        AggregateLayer::for_results::<u32>()
            .part(A, ConcurrencyLimit::new(yields.0, 2))
            .optional(B, crate::common::hanging().0)
            .timeout(ms(1))
            .part(C, crate::common::slow(1, 3).0)
            .within(ms(3_600_000))
            .concurrency(2)
            .build()
            .unwrap()
            .layer(inner.map_request(request))
    })
    .await;
}

/// The probe stands where a part stands: what the laws say of what is below holds for parts too.
#[tokio::test(start_paused = true)]
async fn parts_are_treated_as_the_contract_says() {
    check_layer_contract(|part: ContractProbe| {
        AggregateLayer::for_results::<u32>()
            .optional(B, probe().0)
            .part(A, part)
            .within(ms(3_600_000))
            .into_service()
            .unwrap()
            .map_response(|parts| parts.into_values().1)
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_part_is_called_only_on_the_instance_that_was_ready() {
    let (part, seen) = probe();
    let mut service = AggregateLayer::for_results::<u32>()
        .part(A, part)
        .into_service()
        .unwrap();
    for n in 0..10 {
        let parts = service.ready().await.unwrap().call(n).await.unwrap();
        assert_eq!(parts.into_values(), (n,));
    }
    seen.assert_contract_kept();
}

#[tokio::test(start_paused = true)]
async fn readiness_is_that_of_the_composing_service_and_asks_no_part() {
    let (part, seen) = probe();
    let (compose, composing) = probe();
    let mut service = AggregateLayer::for_results::<u32>()
        .part(A, part)
        .build()
        .unwrap()
        .layer(compose.map_request(request));
    seen.make_pending();
    assert!(service.ready().await.is_ok());
    assert_eq!(seen.counts().ready_polls, 0);
    composing.make_pending();
    let mut clone = service.clone();
    assert!(tokio::time::timeout(ms(1), clone.ready()).await.is_err());
}

#[tokio::test(start_paused = true)]
async fn a_composing_service_that_is_not_asked_gives_its_place_back() {
    let (part, seen) = down("gone");
    let (compose, composing) = probe();
    let mut service = AggregateLayer::for_results::<u32>()
        .part(A, part)
        .build()
        .unwrap()
        .layer(ConcurrencyLimit::new(compose.map_request(request), 1));
    for _ in 0..3 {
        assert!(service.ready().await.unwrap().call(1).await.is_err());
    }
    assert_eq!(composing.counts().calls, 0);
    seen.always(Behaviour::answer(Ok));
    assert_eq!(service.ready().await.unwrap().call(2).await.unwrap(), 2);
    composing.assert_contract_kept();
}

#[tokio::test(start_paused = true)]
async fn closures_of_a_part_may_ask_the_registry_what_is_said_of_it() {
    let registry = Registry::new();
    let search = registry.dependency("search").register().unwrap();
    let asked = Arc::new(AtomicUsize::new(0));
    let ask = || {
        let (search, asked) = (search.clone(), Arc::clone(&asked));
        move || {
            search.registry().recent_events();
            let picture = search.registry().snapshot();
            assert_eq!(picture.dependencies.len(), 1);
            search
                .reporter(ReporterKind::Code, "closure")
                .report(Report::healthy());
            asked.fetch_add(1, Ordering::Relaxed);
        }
    };
    let (asking, explaining, standing_in) = (ask(), ask(), ask());
    let service = AggregateLayer::for_results::<u32>()
        .optional(A, down("gone").0)
        .asking(move |n: &u32| {
            asking();
            *n
        })
        .causes(move |error: &BoxError| {
            explaining();
            Cause::describe(error)
        })
        .or_with(move |_| {
            standing_in();
            99
        })
        .covering(&search)
        .named(&registry, "page")
        .into_service()
        .unwrap();
    let (a,) = service.oneshot(7).await.unwrap().into_values();
    assert_eq!(
        (a.into_value(), asked.load(Ordering::Relaxed)),
        (Some(99), 3)
    );
}

#[tokio::test(start_paused = true)]
async fn a_part_that_answers_at_once_is_polled_once() {
    let (part, seen) = doing(Behaviour::answer(Ok).yielding(9));
    let service = AggregateLayer::for_results::<u32>()
        .part(A, part)
        .into_service()
        .unwrap();
    service.oneshot(1).await.unwrap();
    assert_eq!(seen.polls_of(0), Some(10));
}

#[tokio::test(start_paused = true)]
async fn it_works_below_a_buffer_and_a_buffer_is_a_part() {
    let (part, _) = probe();
    let service = AggregateLayer::for_results::<u32>()
        .part(A, tower::buffer::Buffer::new(part, 4))
        .into_service()
        .unwrap();
    let buffered = ServiceBuilder::new().buffer(4).service(service);
    let parts = buffered.oneshot(3).await.unwrap();
    assert_eq!(parts.into_values(), (3,));
}
