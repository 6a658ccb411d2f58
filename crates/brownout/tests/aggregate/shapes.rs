//! Parts of every shape, and where inference is at its worst.

use std::{cell::Cell, rc::Rc};

use brownout::{
    aggregate::{AggregateLayer, PartKey, PartOutcome, Parts},
    core::{BoxError, Cause},
};
use brownout_testing::{NotSend, NotSync};
use tower::{
    Layer, ServiceBuilder, ServiceExt, service_fn,
    util::{BoxCloneService, BoxCloneSyncService},
};

use crate::common::{A, B, C, D, E, ms, probe};

#[tokio::test]
async fn a_part_that_is_not_send_needs_no_wrapping() {
    let calls = Rc::new(Cell::new(0));
    let counter = Rc::clone(&calls);
    let service = AggregateLayer::for_results::<Rc<u32>>()
        .part(
            A,
            service_fn(move |n: Rc<u32>| {
                let counter = Rc::clone(&counter);
                async move {
                    counter.set(counter.get() + 1);
                    Ok::<_, BoxError>(*n)
                }
            }),
        )
        .optional(B, NotSend::new(probe().0))
        .asking(|n| **n)
        .into_service()
        .unwrap();
    let (a, b) = service.oneshot(Rc::new(7)).await.unwrap().into_values();
    assert_eq!((a, b.into_value(), calls.get()), (7, Some(7), 1));
}

#[tokio::test]
async fn what_is_not_send_runs_in_the_tasks_of_a_local_set() {
    let service = AggregateLayer::for_results::<Rc<u32>>()
        .optional(A, NotSend::new(probe().0))
        .asking(|n| **n)
        .timeout(ms(50))
        .optional(B, NotSend::new(crate::common::hanging().0))
        .asking(|n| **n)
        .within(ms(80))
        .into_service()
        .unwrap();
    let tasks = tokio::task::LocalSet::new();
    let all = tasks.run_until(async {
        let calls = [1, 2, 3].map(|n| {
            let call = service.clone().oneshot(Rc::new(n));
            tokio::task::spawn_local(async { call.await.unwrap().into_values() })
        });
        let mut answers = Vec::new();
        for call in calls {
            let (a, b) = call.await.unwrap();
            answers.push((a.into_value(), b.is_missing()));
        }
        answers
    });
    assert_eq!(all.await, [1, 2, 3].map(|n| (Some(n), true)));
}

#[tokio::test]
async fn a_part_that_is_not_sync_can_be_sent() {
    let service = AggregateLayer::for_results::<u32>()
        .part(A, NotSync::new(probe().0))
        .part(B, BoxCloneService::new(probe().0))
        .part(C, BoxCloneSyncService::new(probe().0))
        .into_service()
        .unwrap();
    let parts = tokio::spawn(service.oneshot(7)).await.unwrap().unwrap();
    assert_eq!(parts.into_values(), (7, 7, 7));
}

#[tokio::test]
async fn a_value_need_not_be_sync_or_clone() {
    struct Cells;
    impl PartKey for Cells {
        type Value = Cell<u32>;
        const NAME: &'static str = "cells";
    }
    let service = AggregateLayer::for_results::<u32>()
        .part(
            Cells,
            service_fn(|n: u32| async move { Ok::<_, BoxError>(Cell::new(n)) }),
        )
        .into_service()
        .unwrap();
    let (cell,) = service.oneshot(7).await.unwrap().into_values();
    assert_eq!(cell.get(), 7);
}

type Two = Parts<(u32, PartOutcome<u32>)>;

async fn sum((user, parts): (u32, Two)) -> Result<u32, BoxError> {
    let (a, b) = parts.into_values();
    Ok(user + a + b.into_value().unwrap_or_default())
}

/// Nothing is spelled out, errors are boxed throughout, and the whole is spawned.
#[tokio::test]
async fn an_aggregate_infers_inside_a_spawned_async_function() {
    async fn page(user: u32) -> Result<u32, BoxError> {
        let twice = |n: u32| async move { Ok::<_, BoxError>(2 * n) };
        let timed = ServiceBuilder::new().timeout(ms(500)).service_fn(twice);
        let mut stack = ServiceBuilder::new()
            .buffer(4)
            .layer(
                AggregateLayer::for_results()
                    .part(A, service_fn(twice))
                    .optional(B, timed)
                    .asking(|n: &u32| n + 1)
                    .or(9)
                    .causes(|error: &BoxError| Cause::describe(error))
                    .timeout(ms(500))
                    .within(ms(1_000))
                    .build()?,
            )
            .timeout(ms(2_000))
            .service_fn(sum);
        let first = tower::Service::call(stack.ready().await?, user).await?;
        let again = stack.clone();
        again.oneshot(first).await
    }
    // 1 + 2 + 4 = 7, and 7 + 14 + 16 = 37.
    assert_eq!(tokio::spawn(page(1)).await.unwrap().unwrap(), 37);
}

/// The compiler proves less of a service that lives across an await than of one that is only called.
#[tokio::test]
async fn an_aggregate_of_timed_parts_with_boxed_errors_is_asked_once_inside_a_spawned_function() {
    async fn page(user: u32) -> Result<u32, BoxError> {
        let twice = |n: u32| async move { Ok::<_, BoxError>(2 * n) };
        let timed = ServiceBuilder::new().timeout(ms(500)).service_fn(twice);
        let service = AggregateLayer::for_results::<u32>()
            .part(A, timed)
            .optional(B, service_fn(twice))
            .asking(|n| n + 1)
            .into_service()?;
        let (a, b) = service.clone().oneshot(user).await?.into_values();
        let layer = AggregateLayer::for_results::<u32>()
            .part(A, service_fn(twice))
            .build()?;
        let composed = layer.layer(service_fn(|(_, parts): (u32, Parts<(u32,)>)| async move {
            Ok::<_, BoxError>(parts.into_values().0)
        }));
        let c = composed.oneshot(user).await?;
        let shards = AggregateLayer::for_many::<u32, _>().part("x", service_fn(twice));
        let d = shards
            .into_service()?
            .oneshot(user)
            .await?
            .into_values()
            .len();
        Ok(a + b.into_value().unwrap_or_default() + c + u32::try_from(d)?)
    }
    assert_eq!(tokio::spawn(page(1)).await.unwrap().unwrap(), 9);
}

#[tokio::test]
async fn an_aggregate_is_a_part_of_another() {
    struct Inner;
    impl PartKey for Inner {
        type Value = Parts<(u32, PartOutcome<u32>)>;
        const NAME: &'static str = "inner";
    }
    let inner = AggregateLayer::for_results::<u32>()
        .part(A, probe().0)
        .optional(B, crate::common::down("gone").0)
        .into_service()
        .unwrap();
    let outer = AggregateLayer::for_results::<u32>()
        .part(Inner, inner)
        .part(A, probe().0)
        .into_service()
        .unwrap();
    let (inner, a) = outer.oneshot(7).await.unwrap().into_values();
    assert!(inner.is_partial());
    assert_eq!((inner.values.0, a), (7, 7));
}

#[tokio::test]
async fn a_builder_can_be_cloned_and_gone_on_with() {
    let base = AggregateLayer::for_results::<u32>().part(A, probe().0);
    let short = base.clone().into_service().unwrap();
    let long = base
        .part(B, probe().0)
        .part(C, probe().0)
        .part(D, probe().0)
        .part(E, probe().0)
        .into_service()
        .unwrap();
    assert_eq!(short.oneshot(1).await.unwrap().into_values(), (1,));
    assert_eq!(
        long.oneshot(2).await.unwrap().into_values(),
        (2, 2, 2, 2, 2)
    );
}
