//! The vocabulary, texts of errors, and random numbers.

#![allow(
    clippy::unwrap_used,
    reason = "a test that unwraps says that something is wrong"
)]

use std::collections::HashSet;
use std::time::Duration;

use brownout_registry::{
    CircuitMode, CircuitState, Criticality, DegradationLevel, FeatureState, FlagCause, Order,
    Random, Registry, Status, SystemHealth,
};

#[test]
fn the_worse_is_the_greater() {
    assert!(Status::Healthy < Status::Unknown);
    assert!(Status::Unknown < Status::Degraded);
    assert!(Status::Degraded < Status::Unhealthy);
    assert!(SystemHealth::Degraded < SystemHealth::Critical);
    assert!(DegradationLevel::Minimal < DegradationLevel::Emergency);
    assert!(FeatureState::Degraded < FeatureState::Disabled);
    assert!(Criticality::Optional < Criticality::Critical);
    assert_eq!(Criticality::default(), Criticality::Important);
}

#[test]
fn names_can_be_read_back() {
    macro_rules! read_back {
        ($($kind:ty),+) => {$(
            for value in <$kind>::ALL {
                assert_eq!(<$kind>::from_name(&value.to_string()), Some(*value));
            }
            assert_eq!(<$kind>::from_name("Healthy"), None);
        )+};
    }
    read_back!(
        Criticality,
        Status,
        SystemHealth,
        DegradationLevel,
        CircuitState,
        CircuitMode,
        FeatureState,
        FlagCause
    );
    assert_eq!(CircuitState::HalfOpen.as_str(), "half-open");
    assert_eq!(format!("{:>12}|", CircuitMode::ForcedOpen), " forced-open|");
}

#[test]
fn errors_say_what_is_wrong_where_and_what_to_do() {
    let registry = Registry::new();
    let name = registry.dependency("a b").register().unwrap_err();
    assert_eq!(
        name.to_string(),
        "dependency \"a b\": name is not valid; it takes 1 to 128 visible ASCII characters other than ':'"
    );
    let order = Order::new("ops", "", Duration::from_secs(1));
    let reason = registry
        .override_level(DegradationLevel::Full, order)
        .unwrap_err();
    assert_eq!(
        reason.to_string(),
        "override: reason is not valid; it takes 1 to 256 bytes, not all invisible, without control characters"
    );
}

#[test]
fn the_same_seed_gives_the_same_numbers() {
    // The first numbers of SplitMix64 from seed 0, as its reference implementation gives them.
    let random = Random::from_seed(0);
    assert_eq!(
        [random.next_u64(), random.next_u64()],
        [0xe220_a839_7b1d_cdaf, 0x6e78_9e6a_a1b9_65f4]
    );
    let child = |seed| {
        Registry::builder()
            .seed(seed)
            .build()
            .unwrap()
            .random()
            .next_u64()
    };
    assert_eq!(child(7), child(7));
    assert_ne!(child(7), child(8));
}

#[test]
fn jitter_stays_within_its_ratio_and_spreads() {
    let random = Random::from_seed(1);
    let base = Duration::from_secs(10);
    let drawn: Vec<_> = (0..1000).map(|_| random.jitter(base, 0.1)).collect();
    let (low, high) = (*drawn.iter().min().unwrap(), *drawn.iter().max().unwrap());
    assert!(
        low >= Duration::from_secs(9) && low < Duration::from_millis(9_050),
        "{low:?}"
    );
    assert!(
        high <= Duration::from_secs(11) && high > Duration::from_millis(10_950),
        "{high:?}"
    );
    assert_eq!(random.jitter(base, 0.0), base);
    assert_eq!(random.jitter(base, f64::NAN), base);
    assert!(random.jitter(base, f64::INFINITY) <= base * 2);
    assert_eq!(random.jitter(Duration::MAX, 0.0), Duration::MAX);
    let _ = random.jitter(Duration::MAX, 1.0);
}

#[test]
fn threads_share_a_generator_without_repeating_numbers() {
    let random = Random::from_seed(1);
    let drawn: Vec<u64> = std::thread::scope(|scope| {
        let draw = || (0..1000).map(|_| random.next_u64()).collect::<Vec<_>>();
        let threads: Vec<_> = (0..4).map(|_| scope.spawn(draw)).collect();
        threads
            .into_iter()
            .flat_map(|thread| thread.join().unwrap())
            .collect()
    });
    assert_eq!(drawn.iter().collect::<HashSet<_>>().len(), 4000);
}
