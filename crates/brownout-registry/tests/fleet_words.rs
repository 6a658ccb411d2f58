//! The words in which a store's values are written, and its time.

#![allow(
    clippy::unwrap_used,
    reason = "a test that unwraps says that something is wrong"
)]

use std::collections::BTreeSet;
use std::time::Duration;

use brownout_registry::fleet::{
    FleetError, ReplicaId, StoreError, StoreErrorKind, StoreOp, StoreTime,
};
use brownout_registry::{
    CircuitMode, DegradationLevel, FeatureState, OverrideValue, Status, Target,
};

#[test]
fn targets_and_values_can_be_read_back() {
    let name = r#"a/b"c\d"#;
    let targets = [
        (
            Target::Status(name.into()),
            Status::ALL
                .iter()
                .map(|&value| OverrideValue::Status(value))
                .collect::<Vec<_>>(),
        ),
        (
            Target::Circuit(name.into()),
            CircuitMode::ALL
                .iter()
                .map(|&value| OverrideValue::Circuit(value))
                .collect(),
        ),
        (
            Target::Flag(name.into()),
            FeatureState::ALL
                .iter()
                .map(|&value| OverrideValue::Flag(value))
                .collect(),
        ),
        (
            Target::Level,
            DegradationLevel::ALL
                .iter()
                .map(|&value| OverrideValue::Level(value))
                .collect(),
        ),
    ];
    for (target, values) in targets {
        assert_eq!(target.to_string().parse(), Ok(target.clone()));
        for value in values {
            assert_eq!(OverrideValue::named(&target, value.as_str()), Some(value));
        }
        assert_eq!(OverrideValue::named(&target, "nothing"), None);
    }
    for wrong in [
        "", "level:", "level:x", "flag", "flag:", "flag:a:b", "flag:a b", "dimmer:x", "Flag:x",
    ] {
        let error = wrong.parse::<Target>().unwrap_err();
        assert!(error.to_string().contains("target"), "{wrong}: {error}");
    }
}

#[test]
fn operations_have_names_of_their_own() {
    let names: BTreeSet<_> = StoreOp::ALL.iter().map(|op| op.as_str()).collect();
    assert_eq!(names.len(), StoreOp::ALL.len());
}

#[test]
fn the_stores_time_neither_overflows_nor_goes_below_zero() {
    let (first, last) = (StoreTime(0), StoreTime(u64::MAX));
    assert_eq!(first.since(last), Duration::ZERO);
    assert_eq!(last.since(first), Duration::from_millis(u64::MAX));
    assert_eq!(last.after(Duration::MAX), last);
    assert_eq!(first.before(Duration::MAX), first);
    assert_eq!(
        first.after(Duration::from_nanos(1)),
        StoreTime(1),
        "rounded up: never early"
    );
    assert_eq!(StoreTime(5).before(Duration::from_millis(2)), StoreTime(3));
}

#[test]
fn errors_say_what_is_wrong_and_what_to_do() {
    let error = StoreError::new(StoreErrorKind::Refused, "NOAUTH\r\nfor 10.0.0.7");
    assert_eq!(
        error.to_string(),
        "fleet store access refused: NOAUTH  for 10.0.0.7"
    );
    assert_eq!(error.private_detail(), "NOAUTH  for 10.0.0.7");
    assert_eq!(
        StoreError::new(StoreErrorKind::Other, "x".repeat(9_999))
            .private_detail()
            .len(),
        256
    );
    let text = error.to_string();
    assert_eq!(FleetError::Store(error).to_string(), text);
    for kind in [
        StoreErrorKind::Unreachable,
        StoreErrorKind::TimedOut,
        StoreErrorKind::Other,
    ] {
        let may_be_done = FleetError::Store(StoreError::new(kind, "gone"));
        let text = may_be_done.to_string();
        assert!(text.ends_with("look again before repeating it"), "{text}");
    }
    let stale = FleetError::Stale {
        target: Target::Level,
    };
    assert!(stale.to_string().contains("level"));
    assert!(
        FleetError::NotSynchronised
            .to_string()
            .contains("this replica alone")
    );
    assert_eq!(ReplicaId::new("shop-7").unwrap().as_str(), "shop-7");
}
