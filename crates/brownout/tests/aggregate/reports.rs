//! Events and log lines: spells, not calls.

use brownout::{Dependency, Registry, aggregate::AggregateLayer, registry::EventKind};
use brownout_testing::LogCapture;
use tokio::time::advance;
use tower::{Service, ServiceExt};

use crate::common::{A, B, failing, ms, probe};

fn dependency() -> Dependency {
    let registry = Registry::new();
    registry.dependency("recs-db").register().unwrap()
}

fn history(dependency: &Dependency) -> Vec<String> {
    let events = dependency.registry().recent_events();
    let said = events.iter().filter_map(|event| match &event.kind {
        EventKind::PartMissing {
            dependency,
            part,
            reason,
        } => Some(format!("{dependency}: {part} missing: {reason}")),
        EventKind::PartReturned { part, calls, .. } => Some(format!("{part} back after {calls}")),
        _ => None,
    });
    said.collect()
}

#[tokio::test(start_paused = true)]
async fn a_spell_of_a_missing_part_is_two_events_and_two_lines_however_many_calls_lack_it() {
    let recs = dependency();
    let (part, handle) = probe();
    let mut service = AggregateLayer::for_results::<u32>()
        .part(A, probe().0)
        .optional(B, part)
        .covering(&recs)
        .into_service()
        .unwrap();
    let log = LogCapture::start();
    let mut call = async |fails: bool| {
        if fails {
            handle.next(failing("down"));
        }
        let _ = service.ready().await.unwrap().call(1).await.unwrap();
    };
    for n in 0..1_000 {
        // Half of the calls lack it: still one spell.
        call(n % 2 == 0).await;
        advance(ms(100)).await;
    }
    assert_eq!(history(&recs), ["recs-db: b missing: failed"]);
    advance(ms(9_700)).await;
    call(false).await;
    assert_eq!(history(&recs).len(), 1, "9.9 s after the last failure");
    advance(ms(100)).await;
    call(false).await;
    call(false).await;
    assert_eq!(history(&recs)[1..], ["b back after 500"]);
    call(true).await;
    assert_eq!(history(&recs)[2..], ["recs-db: b missing: failed"]);
    let missing = log.find_all("part missing");
    assert_eq!(missing.len(), 2);
    // The part's own words, which strangers never read.
    let said = ["dependency", "part", "reason", "cause"].map(|field| missing[0].field(field));
    let expected = ["recs-db", "b", "failed", "down"];
    assert_eq!(said, expected.map(Some));
    let back = log.find_all("part no longer missing");
    assert_eq!(back.len(), 1);
    assert_eq!(back[0].field("calls"), Some("500"));
}

#[tokio::test(start_paused = true)]
async fn a_part_that_another_value_stands_in_for_and_a_required_one_are_told_too() {
    let recs = dependency();
    let fails = || crate::common::down("x").0;
    let service = AggregateLayer::for_results::<u32>()
        .optional(A, fails())
        .or(1)
        .covering(&recs)
        .part(B, fails())
        .covering(&recs)
        .into_service()
        .unwrap();
    assert!(service.oneshot(1).await.is_err());
    let expected = ["recs-db: a missing: failed", "recs-db: b missing: failed"];
    assert_eq!(history(&recs), expected);
}

#[tokio::test(start_paused = true)]
async fn nothing_is_recorded_before_the_future_is_polled_or_after_it_was_dropped() {
    let recs = dependency();
    let mut service = AggregateLayer::for_results::<u32>()
        .optional(A, crate::common::down("x").0)
        .covering(&recs)
        .into_service()
        .unwrap();
    drop(service.ready().await.unwrap().call(1));
    assert!(history(&recs).is_empty());
}

#[tokio::test(start_paused = true)]
async fn services_made_by_one_layer_share_their_spells() {
    let recs = dependency();
    let layer = AggregateLayer::for_results::<u32>()
        .optional(A, crate::common::down("x").0)
        .covering(&recs)
        .build()
        .unwrap();
    for _ in 0..3 {
        let (compose, _) = probe();
        let service = tower::Layer::layer(&layer, compose.map_request(|(n, _): (u32, _)| n));
        service.oneshot(1).await.unwrap();
    }
    assert_eq!(history(&recs).len(), 1);
}
