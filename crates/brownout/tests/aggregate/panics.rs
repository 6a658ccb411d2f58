//! A part that panics is missing; nobody else notices.

use brownout::{
    aggregate::AggregateLayer,
    core::{BoxError, CauseKind},
};
use brownout_testing::Behaviour;
use tower::{Layer, ServiceExt, service_fn};

use crate::common::{A, B, C, D, doing, failing, ms, probe, slow};

struct PanicsWhenDropped;

impl Drop for PanicsWhenDropped {
    fn drop(&mut self) {
        panic!("dropped");
    }
}

#[tokio::test(start_paused = true)]
async fn a_part_that_panics_is_missing_and_the_others_are_there() {
    let in_poll = doing(Behaviour::panic_in_poll().after(ms(10)));
    let (ready, not_ready) = probe();
    not_ready.fail_readiness(|| panic!("in readiness"));
    let service = AggregateLayer::for_results::<u32>()
        .optional(A, in_poll.0)
        .optional(B, doing(Behaviour::panic_in_call()).0)
        .optional(C, ready)
        .part(D, slow(4, 20).0)
        .into_service()
        .unwrap();
    for _ in 0..2 {
        let (a, b, c, d) = service.clone().oneshot(7).await.unwrap().into_values();
        for outcome in [a, b, c] {
            assert_eq!(outcome.cause().unwrap().kind(), CauseKind::Panicked);
        }
        assert_eq!(d, 4);
    }
    assert!(in_poll.1.counts().is_idle());
}

#[tokio::test]
async fn a_required_part_that_panics_fails_the_call() {
    let service = AggregateLayer::for_results::<u32>()
        .part(A, doing(Behaviour::panic_in_poll()).0)
        .into_service()
        .unwrap();
    let missing = service.oneshot(7).await.unwrap_err();
    assert_eq!(missing.cause().kind(), CauseKind::Panicked);
    assert_eq!(missing.public_text(), "failed", "strangers need not know");
}

#[tokio::test]
async fn closures_of_a_part_that_panic_are_as_the_part() {
    let service = AggregateLayer::for_results::<u32>()
        .optional(A, probe().0)
        .asking(|_| -> u32 { panic!("asking") })
        .optional(B, crate::common::down("x").0)
        .or_with(|_| panic!("standing in"))
        .optional(C, crate::common::down("x").0)
        .causes(|_: &BoxError| panic!("explaining"))
        .optional(D, probe().0)
        .into_service()
        .unwrap();
    let (a, b, c, d) = service.oneshot(7).await.unwrap().into_values();
    assert_eq!(a.cause().unwrap().kind(), CauseKind::Panicked);
    assert!(b.is_missing());
    assert_eq!(c.cause().unwrap().kind(), CauseKind::Panicked);
    assert_eq!(d.into_value(), Some(7));
}

#[tokio::test(start_paused = true)]
async fn a_part_whose_drop_panics_ends_all_the_same() {
    let bomb = service_fn(|_: u32| async {
        let _bomb = PanicsWhenDropped;
        std::future::pending::<Result<u32, BoxError>>().await
    });
    let service = AggregateLayer::for_results::<u32>()
        .optional(A, bomb)
        .timeout(ms(10))
        .optional(B, slow(2, 20).0)
        .into_service()
        .unwrap();
    let (a, b) = service.oneshot(7).await.unwrap().into_values();
    assert_eq!(a.cause().unwrap().kind(), CauseKind::TimedOut);
    assert_eq!(b.into_value(), Some(2));
}

#[tokio::test(start_paused = true)]
async fn parts_whose_drops_panic_leave_a_missing_required_part_its_answer() {
    let bomb = service_fn(|_: u32| async {
        let _bomb = PanicsWhenDropped;
        std::future::pending::<Result<u32, BoxError>>().await
    });
    let service = AggregateLayer::for_results::<u32>()
        .optional(A, bomb)
        .optional(B, bomb)
        .part(C, doing(failing("gone").after(ms(10))).0)
        .into_service()
        .unwrap();
    let missing = service.oneshot(7).await.unwrap_err();
    assert_eq!(missing.name(), "c");
}

#[tokio::test]
async fn a_panic_of_the_composing_service_goes_on_to_the_caller() {
    let (compose, composing) = probe();
    composing.next(Behaviour::panic_in_poll());
    let service = AggregateLayer::for_results::<u32>()
        .part(A, probe().0)
        .build()
        .unwrap()
        .layer(compose.map_request(|(n, _): (u32, _)| n));
    let panicked = tokio::spawn(service.clone().oneshot(1)).await.unwrap_err();
    assert!(panicked.is_panic());
    assert_eq!(service.oneshot(1).await.unwrap(), 1);
}
