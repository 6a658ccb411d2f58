//! What becomes of parts: values, what stands in for them, and what is missing.

use std::convert::Infallible;

use brownout::{
    Registry,
    aggregate::{AggregateLayer, PartKey, PartOutcome, PartResult, Parts, RequiredPart},
    core::{BoxError, Cause, CauseKind, Fail, Origin, RejectReason, Rejected, refusal_of},
};
use tokio::time::Instant;
use tower::{Layer, ServiceExt, service_fn};

use crate::common::{A, B, C, D, down, ms, probe, slow};

#[tokio::test(start_paused = true)]
async fn required_parts_give_their_values_and_optional_ones_their_outcomes() {
    let service = AggregateLayer::for_results::<u32>()
        .part(A, slow(1, 30).0)
        .optional(B, slow(2, 20).0)
        .optional(C, down("no disk").0)
        .into_service()
        .unwrap();
    let parts = service.oneshot(7).await.unwrap();
    assert!(parts.is_partial());
    let failed: Vec<_> = parts.failed().map(|part| part.name().to_owned()).collect();
    assert_eq!(failed, ["c"]);
    let (a, b, c): (u32, PartOutcome<u32>, PartOutcome<u32>) = parts.into_values();
    assert_eq!(a, 1);
    assert_eq!((b.name(), b.value(), b.elapsed()), ("b", Some(&2), ms(20)));
    assert!(!b.failed());
    assert!(c.is_missing() && c.failed());
    let cause = c.cause().unwrap();
    assert_eq!((cause.kind(), cause.text()), (CauseKind::Failed, "no disk"));
}

#[tokio::test]
async fn an_answer_whose_parts_are_all_there_is_not_partial() {
    let service = AggregateLayer::for_results::<u32>()
        .part(A, probe().0)
        .optional(B, probe().0)
        .into_service()
        .unwrap();
    let parts = service.oneshot(7).await.unwrap();
    assert!(!parts.is_partial());
    assert_eq!(parts.failed().count(), 0);
}

#[tokio::test]
async fn a_part_is_asked_with_what_its_closure_makes_of_the_request() {
    struct Length;
    impl PartKey for Length {
        type Value = usize;
        const NAME: &'static str = "length";
    }
    let service = AggregateLayer::for_results::<String>()
        .part(
            Length,
            service_fn(|n: usize| async move { Ok::<_, Infallible>(n) }),
        )
        .asking(String::len)
        .part(A, probe().0)
        .asking(|text| u32::try_from(text.len()).unwrap() * 10)
        .into_service()
        .unwrap();
    let parts = service.oneshot("four".to_owned()).await.unwrap();
    assert_eq!(parts.into_values(), (4, 40));
}

#[tokio::test]
async fn a_value_stands_in_for_a_part_that_failed_and_the_cause_is_kept() {
    let service = AggregateLayer::for_results::<u32>()
        .optional(A, down("no disk").0)
        .or(99)
        .optional(B, down("no net").0)
        .or_with(|cause| u32::try_from(cause.text().len()).unwrap())
        .part(C, down("gone").0)
        .or(3)
        .optional(D, probe().0)
        .or(98)
        .into_service()
        .unwrap();
    let parts = service.oneshot(7).await.unwrap();
    let failed: Vec<_> = parts
        .failed()
        .map(|part| (part.name(), part.has_fallback(), part.cause().text()))
        .collect();
    let expected = [
        ("a", true, "no disk"),
        ("b", true, "no net"),
        ("c", true, "gone"),
    ];
    assert_eq!(failed, expected);
    let (a, b, c, d) = parts.into_values();
    match a.into_result() {
        PartResult::Fallback(99, cause) => assert_eq!(cause.text(), "no disk"),
        other => panic!("{other:?}"),
    }
    assert_eq!((b.into_value(), c, d.into_value()), (Some(6), 3, Some(7)));
}

#[tokio::test(start_paused = true)]
async fn a_required_part_that_fails_answers_at_once_and_drops_the_rest() {
    let (fails, _) = slow(0, 20);
    let fails = fails.and_then(|_| async { Err::<u32, BoxError>("no disk".into()) });
    let (other, seen) = slow(1, 1_000);
    let (waiting, unasked) = probe();
    let mut service = AggregateLayer::for_results::<u32>()
        .optional(B, other)
        .part(A, fails)
        .optional(C, waiting)
        .concurrency(2)
        .into_service()
        .unwrap();
    let begun = Instant::now();
    let mut call = Box::pin(tower::Service::call(service.ready().await.unwrap(), 7));
    let missing: RequiredPart = (&mut call).await.unwrap_err();
    assert_eq!(begun.elapsed(), ms(20));
    // Before the future itself is dropped.
    assert_eq!((seen.counts().dropped, seen.counts().in_flight), (1, 0));
    assert_eq!(
        (unasked.counts().calls, unasked.counts().ready_polls),
        (0, 0)
    );
    assert_eq!((missing.name(), missing.elapsed()), ("a", ms(20)));
    assert_eq!(
        missing.to_string(),
        "required part a is missing, failed after 20.0ms: no disk"
    );
}

#[tokio::test]
async fn the_composing_service_gets_request_and_parts_and_is_not_asked_without_a_required_one() {
    let compose = |(request, parts): (u32, Parts<(u32, PartOutcome<u32>)>)| async move {
        let (a, b) = parts.into_values();
        Ok::<_, BoxError>((request, a, b.into_value()))
    };
    let (part, handle) = probe();
    let service = AggregateLayer::for_results::<u32>()
        .part(A, part)
        .optional(B, down("no disk").0)
        .build()
        .unwrap()
        .layer(service_fn(compose));
    assert_eq!(service.clone().oneshot(7).await.unwrap(), (7, 7, None));
    handle.next(crate::common::failing("gone"));
    let error = service.oneshot(7).await.unwrap_err();
    assert_eq!(error.downcast_ref::<RequiredPart>().unwrap().name(), "a");
}

#[tokio::test]
async fn a_closure_may_answer_in_the_place_of_a_missing_required_part() {
    let service = AggregateLayer::for_results::<u32>()
        .part(A, down("gone").0)
        .reject_with(|missing: RequiredPart| Ok(missing.name().to_owned()))
        .build()
        .unwrap()
        .layer(service_fn(|_: (u32, Parts<(u32,)>)| async {
            Ok::<_, Infallible>(String::new())
        }));
    let Ok(answer) = service.oneshot(7).await;
    assert_eq!(answer, "a");
}

#[tokio::test]
async fn an_error_type_that_knows_no_missing_parts_can_be_boxed() {
    let service = AggregateLayer::for_results::<u32>()
        .part(A, down("gone").0)
        .reject(Fail)
        .build()
        .unwrap()
        .layer(service_fn(|_: (u32, Parts<(u32,)>)| async {
            Err::<(), _>(std::fmt::Error)
        }));
    let error = service.oneshot(7).await.unwrap_err();
    assert!(error.is::<RequiredPart>());
}

#[tokio::test]
async fn a_refusal_below_a_part_is_known_above() {
    let refused = service_fn(|_: u32| async {
        let ledger = Registry::new().dependency("ledger").register().unwrap();
        let origin = Origin::new(&ledger, Instant::now());
        let rejected = Rejected::new(origin, RejectReason::CircuitOpen, Some(ms(1_500)));
        Err::<u32, BoxError>(rejected.into())
    });
    let optional = AggregateLayer::for_results::<u32>()
        .optional(A, refused)
        .into_service()
        .unwrap();
    let (a,) = optional.oneshot(7).await.unwrap().into_values();
    assert_eq!(a.cause().unwrap().reason().as_str(), "circuit-open");
    let required = AggregateLayer::for_results::<u32>()
        .part(A, refused)
        .into_service()
        .unwrap();
    let missing = required.oneshot(7).await.unwrap_err();
    assert_eq!(missing.cause().kind(), CauseKind::Rejected);
    assert_eq!(missing.public_text(), "not available at the moment");
    assert_eq!(refusal_of(&missing).unwrap().dependency(), "ledger");
}

#[tokio::test]
async fn causes_say_what_errors_mean_that_do_not_print() {
    enum Fault {
        Disk,
    }
    let service = AggregateLayer::for_results::<u32>()
        .optional(A, service_fn(|_: u32| async { Err::<u32, _>(Fault::Disk) }))
        .causes(|error: &Fault| match error {
            Fault::Disk => Cause::connect("disk"),
        })
        .into_service()
        .unwrap();
    let (a,) = service.oneshot(7).await.unwrap().into_values();
    let cause = a.cause().unwrap();
    assert_eq!((cause.kind(), cause.text()), (CauseKind::Connect, "disk"));
}

/// An error whose `Display` fails, and one that would go on for ever.
#[derive(Clone, Copy, Debug)]
enum Odd {
    Mute,
    Endless,
}

impl std::fmt::Display for Odd {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Mute => Err(std::fmt::Error),
            Self::Endless => loop {
                f.write_str("down ")?;
            },
        }
    }
}

#[tokio::test]
async fn errors_that_say_nothing_or_too_much_are_failures_like_others() {
    for (odd, length) in [(Odd::Mute, 0), (Odd::Endless, 1_024)] {
        let service = AggregateLayer::for_results::<u32>()
            .optional(A, service_fn(move |_: u32| async move { Err(odd) }))
            .into_service()
            .unwrap();
        let (a,) = service.oneshot(7).await.unwrap().into_values();
        let cause = a.cause().unwrap();
        assert_eq!(
            (cause.kind(), cause.text().len()),
            (CauseKind::Failed, length)
        );
    }
}

#[tokio::test]
async fn a_part_that_passes_over_an_unhealthy_service_can_say_so() {
    let service = AggregateLayer::for_results::<u32>()
        .part(A, service_fn(|_: u32| async { Err::<u32, _>(()) }))
        .causes(|(): &()| Cause::unhealthy())
        .into_service()
        .unwrap();
    let missing = service.oneshot(7).await.unwrap_err();
    assert_eq!(missing.cause().reason().as_str(), "unhealthy");
    assert_eq!(missing.public_text(), "not available at the moment");
}

#[tokio::test]
async fn readiness_that_fails_is_an_outcome_of_its_own() {
    let (part, handle) = probe();
    handle.fail_readiness(|| "no connection".into());
    let service = AggregateLayer::for_results::<u32>()
        .optional(A, part)
        .into_service()
        .unwrap();
    let (a,) = service.oneshot(7).await.unwrap().into_values();
    assert_eq!(a.cause().unwrap().kind(), CauseKind::NotReady);
    assert_eq!(handle.counts().calls, 0);
}
