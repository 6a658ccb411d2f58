//! What cannot be meant is refused where it is written.

use std::time::Duration;

use brownout::{
    aggregate::{AggregateLayer, PartKey},
    core::ConfigError,
};

use crate::common::{A, B, ms, probe};

fn refused<T: std::fmt::Debug>(built: Result<T, ConfigError>) -> (&'static str, String) {
    let error = built.unwrap_err();
    (error.field(), error.to_string())
}

#[test]
fn two_parts_of_one_name_are_refused() {
    let built = AggregateLayer::for_results::<u32>()
        .part(A, probe().0)
        .optional(A, probe().0)
        .build();
    assert_eq!(
        refused(built).1,
        "`part` cannot be named \"a\": each part of an aggregate needs a name of its own"
    );
}

#[test]
fn a_name_that_cannot_be_printed_in_a_header_is_refused() {
    struct Odd;
    impl PartKey for Odd {
        type Value = u32;
        const NAME: &'static str = "two words";
    }
    let built = AggregateLayer::for_results::<u32>()
        .part(Odd, probe().0)
        .build();
    assert_eq!(refused(built).0, "part");
    for name in ["", "naïve", "a\n", &"x".repeat(129)] {
        let built = AggregateLayer::for_many::<u32, _>()
            .part(name, probe().0)
            .build();
        assert_eq!(refused(built).0, "part", "{name:?}");
    }
}

#[test]
fn times_that_are_none_are_refused() {
    for time in [Duration::ZERO, Duration::from_micros(999), Duration::MAX] {
        let builder = || AggregateLayer::for_results::<u32>().part(A, probe().0);
        assert_eq!(refused(builder().timeout(time).build()).0, "timeout");
        assert_eq!(refused(builder().within(time).build()).0, "within");
    }
}

#[test]
fn a_part_that_may_take_longer_than_the_whole_is_refused() {
    let builder = || {
        AggregateLayer::for_results::<u32>()
            .part(A, probe().0)
            .timeout(ms(200))
    };
    let text =
        "`timeout` cannot be 200ms for the part \"a\": the whole has to be done within 100ms";
    // In whichever order they are said.
    assert_eq!(refused(builder().within(ms(100)).build()).1, text);
    let before = AggregateLayer::for_results::<u32>()
        .within(ms(100))
        .part(A, probe().0)
        .timeout(ms(200))
        .part(B, probe().0);
    assert_eq!(refused(before.build()).1, text);
    assert!(builder().within(ms(200)).build().is_ok());
}

#[test]
fn no_part_at_a_time_is_refused() {
    for parts in [0, 1_025] {
        let built = AggregateLayer::for_results::<u32>()
            .part(A, probe().0)
            .concurrency(parts)
            .build();
        assert_eq!(refused(built).0, "concurrency");
    }
}

#[test]
fn what_is_said_of_the_latest_part_needs_one() {
    let built = AggregateLayer::for_many::<u32, _>()
        .timeout(ms(10))
        .part("a", probe().0)
        .build();
    assert_eq!(
        refused(built).1,
        "`timeout` cannot be said yet: it is about the latest part, and there is none"
    );
}

#[test]
fn the_first_mistake_is_the_one_that_is_told() {
    let built = AggregateLayer::for_results::<u32>()
        .part(A, probe().0)
        .timeout(Duration::ZERO)
        .concurrency(0)
        .build();
    assert_eq!(refused(built).0, "timeout");
}
