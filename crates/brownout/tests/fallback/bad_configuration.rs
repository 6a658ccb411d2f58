//! What is configured wrongly is refused where it is written, with the setter's name.

use std::time::Duration;

use brownout::fallback::{Failed, FallbackLayer, Tier};

use crate::common::{SECOND, ms, probe};

#[test]
fn two_tiers_of_one_name_are_refused() {
    let layer = FallbackLayer::for_results()
        .tier(Tier::new("cache", probe().0))
        .tier(Tier::new("cache", probe().0))
        .build();
    let error = layer.unwrap_err();
    assert_eq!(error.field(), "tier");
    assert_eq!(
        error.to_string(),
        "`tier` cannot be \"cache\": each tier of a chain needs a name of its own"
    );
    let layer = FallbackLayer::for_results()
        .safe()
        .tier(Tier::new("cache", probe().0))
        .last("cache", |_: Failed<u32>| async { 0_u32 });
    assert_eq!(layer.unwrap_err().field(), "tier");
}

#[test]
fn a_name_is_visible_ascii_and_not_the_primarys() {
    for name in ["", "primary", "two words", "naïve", "line\nbreak"] {
        let layer = FallbackLayer::for_results()
            .tier(Tier::new(name, probe().0))
            .build();
        assert_eq!(layer.unwrap_err().field(), "tier", "{name:?}");
    }
}

#[test]
fn a_time_is_between_a_millisecond_and_a_year() {
    for wrong in [Duration::ZERO, Duration::from_micros(999), Duration::MAX] {
        let tier = Tier::new("cache", probe().0).timeout(wrong);
        assert_eq!(
            FallbackLayer::for_results()
                .tier(tier)
                .build()
                .unwrap_err()
                .field(),
            "timeout"
        );
        let layer = FallbackLayer::for_results()
            .within(wrong)
            .last("zero", |_: Failed<u32>| async { 0_u32 });
        assert_eq!(layer.unwrap_err().field(), "within");
    }
    let tier = Tier::new("cache", probe().0).timeout(ms(1));
    assert!(
        FallbackLayer::for_results()
            .tier(tier)
            .within(SECOND)
            .build()
            .is_ok()
    );
}

#[test]
fn the_first_mistake_is_the_one_that_is_told() {
    let layer = FallbackLayer::for_results()
        .within(Duration::ZERO)
        .tier(Tier::new("", probe().0))
        .build();
    assert_eq!(layer.unwrap_err().field(), "within");
}
