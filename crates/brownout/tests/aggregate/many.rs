//! Parts that are known only at run time.

use brownout::{
    aggregate::{AggregateLayer, PartOutcome, Parts},
    core::{BoxError, CauseKind},
};
use brownout_testing::drop_at_each_await;
use tokio::time::Instant;
use tower::{Layer, ServiceExt, service_fn};

use crate::common::{down, hanging, ms, probe, slow};

#[tokio::test(start_paused = true)]
async fn outcomes_come_in_the_order_in_which_parts_were_added() {
    let mut builder = AggregateLayer::for_many::<u32, _>().concurrency(10);
    for n in 0..10_u64 {
        let answer = u32::try_from(n).unwrap();
        builder = builder.optional(format!("shard-{n}"), slow(answer, 100 - 10 * n).0);
    }
    let parts = builder.into_service().unwrap().oneshot(7).await.unwrap();
    let seen: Vec<_> = parts
        .values
        .iter()
        .map(|part| (part.name().to_owned(), *part.value().unwrap()))
        .collect();
    let expected: Vec<_> = (0..10).map(|n| (format!("shard-{n}"), n)).collect();
    assert_eq!(seen, expected);
}

#[tokio::test(start_paused = true)]
async fn deadlines_and_missing_parts_are_as_with_any_others() {
    let service = AggregateLayer::for_many::<u32, _>()
        .part("a", slow(1, 10).0)
        .optional("b", hanging().0)
        .timeout(ms(20))
        .optional("c", down("gone").0)
        .optional("d", hanging().0)
        .within(ms(50))
        .into_service()
        .unwrap();
    let begun = Instant::now();
    let parts = service.oneshot(7).await.unwrap();
    assert_eq!(begun.elapsed(), ms(50));
    let kinds: Vec<_> = parts
        .failed()
        .map(|part| (part.name(), part.cause().kind(), part.elapsed()))
        .collect();
    let expected = [
        ("b", CauseKind::TimedOut, ms(20)),
        ("c", CauseKind::Failed, ms(0)),
        ("d", CauseKind::TimedOut, ms(50)),
    ];
    assert_eq!(kinds, expected);
}

#[tokio::test(start_paused = true)]
async fn a_required_one_that_fails_answers_at_once() {
    let (hangs, seen) = hanging();
    let service = AggregateLayer::for_many::<u32, _>()
        .optional("a", hangs)
        .part("b", down("gone").0)
        .into_service()
        .unwrap();
    let missing = service.oneshot(7).await.unwrap_err();
    assert_eq!((missing.name(), seen.counts().dropped), ("b", 1));
}

#[tokio::test]
async fn all_are_asked_read_and_stood_in_for_alike() {
    let fails = service_fn(|text: String| async move {
        if text == "1" {
            Err(std::fmt::Error)
        } else {
            Ok(text)
        }
    });
    let service = AggregateLayer::for_many()
        .optional("a", fails)
        .optional("b", fails)
        .asking(|n: &u32| n.to_string())
        .causes(|_: &std::fmt::Error| brownout::core::Cause::failed("format"))
        .or_with(|cause| cause.text().to_owned())
        .into_service()
        .unwrap();
    let values = service.oneshot(1).await.unwrap().into_values();
    let values: Vec<_> = values
        .into_iter()
        .filter_map(PartOutcome::into_value)
        .collect();
    assert_eq!(values, ["format", "format"]);
}

#[tokio::test]
async fn no_parts_are_no_answer_to_wait_for() {
    let service = AggregateLayer::for_many::<u32, crate::common::Probe>()
        .into_service()
        .unwrap();
    assert!(service.oneshot(7).await.unwrap().into_values().is_empty());
}

#[tokio::test]
async fn they_stand_before_a_service_too() {
    let sum = service_fn(
        |(n, parts): (u32, Parts<Vec<PartOutcome<u32>>>)| async move {
            let values = parts.into_values();
            Ok::<_, BoxError>(n + values.iter().filter_map(PartOutcome::value).sum::<u32>())
        },
    );
    let service = AggregateLayer::for_many::<u32, _>()
        .part("a", probe().0)
        .part("b", probe().0)
        .build()
        .unwrap()
        .layer(sum);
    assert_eq!(service.oneshot(7).await.unwrap(), 21);
}

#[tokio::test(start_paused = true)]
async fn a_call_dropped_at_any_await_drops_every_one() {
    let parts = [slow(1, 1), slow(2, 3), slow(3, 2)];
    let mut builder = AggregateLayer::for_many::<u32, _>().concurrency(2);
    for (name, (part, _)) in ["a", "b", "c"].into_iter().zip(&parts) {
        builder = builder.optional(name, part.clone()).timeout(ms(10));
    }
    let service = builder.into_service().unwrap();
    let before = parts
        .each_ref()
        .map(|(_, handle)| handle.counts().instances);
    drop_at_each_await(
        || service.clone().oneshot(7),
        |_| {
            for ((_, handle), before) in parts.iter().zip(before) {
                assert!(handle.counts().is_idle());
                assert_eq!(handle.counts().instances, before);
            }
        },
    )
    .await;
}
