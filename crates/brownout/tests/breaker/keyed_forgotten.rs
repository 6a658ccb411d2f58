//! Keys that are gone for good while their circuit is open.

use std::time::Duration;

use brownout::registry::{CircuitState, EventKind, Status};
use brownout_testing::LogCapture;
use tokio::time::advance;

use crate::{
    common::{HOUR, SECOND, exact, history, ms},
    family::{BAD, Family, family},
};

const OPEN_FOR: Duration = Duration::from_secs(5);
/// How long after it was due a circuit counts without a call.
const FORGOTTEN_AFTER: Duration = Duration::from_mins(10);

/// A family whose circuits open at once.
fn brittle(capacity: u32) -> Family<impl Fn(&u32) -> u32 + Clone> {
    let policy = exact().consecutive_failures(1).open_for(OPEN_FOR);
    family(policy, capacity)
}

/// Opens circuits until there is no room for more, and says of which keys.
async fn fill_with_open_ones<F: Fn(&u32) -> u32 + Clone>(family: &Family<F>) -> Vec<u32> {
    for key in 0..1_000 {
        family.call(BAD + key).await.unwrap_err();
    }
    let keys: Vec<_> = (0..1_000)
        .filter(|key| family.circuits().get(key).is_some())
        .collect();
    assert_eq!(keys.len(), 16);
    keys
}

fn kept<F: Fn(&u32) -> u32 + Clone>(family: &Family<F>, keys: &[u32]) -> usize {
    let kept = keys
        .iter()
        .filter(|key| family.circuits().get(key).is_some());
    kept.count()
}

#[tokio::test(start_paused = true)]
async fn an_open_circuit_makes_room_ten_minutes_after_it_was_due() {
    let family = brittle(16);
    let gone = fill_with_open_ones(&family).await;
    advance(OPEN_FOR + FORGOTTEN_AFTER - ms(1)).await;
    for key in 2_000..3_000 {
        family.call(key).await.unwrap();
    }
    assert_eq!(kept(&family, &gone), 16, "not yet");
    advance(ms(1)).await;
    for key in 2_000..3_000 {
        family.call(key).await.unwrap();
    }
    assert_eq!(kept(&family, &gone), 0);
    assert_eq!(family.circuits().len(), 16);
}

#[tokio::test(start_paused = true)]
async fn an_open_circuit_that_made_room_counts_as_closed_and_is_said_to_be() {
    let family = brittle(16);
    let gone = fill_with_open_ones(&family).await;
    advance(OPEN_FOR + FORGOTTEN_AFTER).await;
    let logs = LogCapture::start();
    for key in 2_000..3_000 {
        family.call(key).await.unwrap();
    }
    let said = logs.find("circuit closed").unwrap();
    assert_eq!(said.field("reason"), Some("not called any more"));
    let overflow = family.circuits().overflow();
    let closed: Vec<_> = overflow
        .dependency()
        .registry()
        .recent_events()
        .iter()
        .filter_map(|event| match &event.kind {
            EventKind::CircuitClosed { key, .. } => key.as_deref()?.parse().ok(),
            _ => None,
        })
        .collect();
    for key in &gone {
        assert!(closed.contains(key), "{key} of {closed:?}");
    }
    // The key starts anew.
    let policy = exact().consecutive_failures(2).build().unwrap();
    family.circuits().reconfigure(policy);
    family.fail(gone[0]).await;
    let circuit = family.circuits().get(&gone[0]).unwrap();
    assert_eq!(circuit.state(), CircuitState::Closed);
}

#[tokio::test(start_paused = true)]
async fn the_dependency_is_healthy_again_ten_minutes_after_an_open_key_was_due_without_any_call() {
    let family = brittle(100);
    family.fail(1).await;
    advance(OPEN_FOR + FORGOTTEN_AFTER - ms(1)).await;
    assert_eq!(family.status(), Status::Degraded);
    advance(ms(1)).await;
    assert_eq!(family.status(), Status::Healthy);
}

#[tokio::test(start_paused = true)]
async fn calls_of_other_keys_do_not_keep_a_forgotten_one_counting() {
    let family = brittle(100);
    family.fail(1).await;
    advance(FORGOTTEN_AFTER).await;
    family.fail(2).await;
    advance(OPEN_FOR).await;
    assert_eq!(family.status(), Status::Degraded, "for the second key");
    for _ in 0..2 {
        family.call(2).await.unwrap();
    }
    assert_eq!(family.status(), Status::Healthy);
    family.fail(3).await;
    assert_eq!(family.status(), Status::Degraded);
    advance(OPEN_FOR).await;
    for _ in 0..2 {
        family.call(3).await.unwrap();
    }
    assert_eq!(family.status(), Status::Healthy);
}

#[tokio::test(start_paused = true)]
async fn a_family_that_refused_most_calls_is_healthy_when_its_keys_are_forgotten() {
    let family = brittle(100);
    family.fail(1).await;
    for _ in 0..3 {
        for _ in 0..20 {
            family.call(1).await.unwrap_err();
        }
        advance(SECOND).await;
    }
    assert_eq!(family.status(), Status::Unhealthy);
    advance(SECOND * 10).await;
    assert_eq!(family.status(), Status::Degraded);
    advance(FORGOTTEN_AFTER).await;
    assert_eq!(family.status(), Status::Healthy);
}

#[tokio::test(start_paused = true)]
async fn a_key_that_is_called_again_begins_with_a_probe_and_counts_again() {
    let family = brittle(100);
    family.fail(1).await;
    advance(HOUR).await;
    assert_eq!(family.status(), Status::Healthy);
    family.fail(1).await;
    assert_eq!(family.status(), Status::Degraded);
    let overflow = family.circuits().overflow();
    assert_eq!(
        history(overflow.dependency()),
        [
            "1 opened: consecutive failures",
            "2 half-open",
            "3 opened: probe failed"
        ]
    );
    // The second time it is open for twice as long.
    advance(OPEN_FOR * 2 + FORGOTTEN_AFTER - ms(1)).await;
    assert_eq!(family.status(), Status::Degraded);
    advance(ms(1)).await;
    assert_eq!(family.status(), Status::Healthy);
}

#[tokio::test(start_paused = true)]
async fn a_half_open_circuit_whose_probe_was_lost_is_forgotten_too() {
    let family = brittle(16);
    let gone = fill_with_open_ones(&family).await;
    advance(OPEN_FOR).await;
    // One good probe of the two that it takes.
    for key in &gone {
        family.call(*key).await.unwrap();
    }
    let lease = SECOND * 5;
    advance(lease + FORGOTTEN_AFTER - ms(1)).await;
    assert_eq!(family.status(), Status::Degraded);
    advance(ms(1)).await;
    assert_eq!(family.status(), Status::Healthy);
    for key in 2_000..3_000 {
        family.call(key).await.unwrap();
    }
    assert_eq!(kept(&family, &gone), 0);
}

#[tokio::test(start_paused = true)]
async fn a_forgotten_circuit_that_somebody_holds_keeps_its_place() {
    let family = brittle(16);
    let gone = fill_with_open_ones(&family).await;
    let held = family.circuits().get(&gone[0]).unwrap();
    advance(HOUR).await;
    for key in 2_000..3_000 {
        family.call(key).await.unwrap();
    }
    assert_eq!(held.state(), CircuitState::Open);
    assert_eq!(kept(&family, &gone), 1);
}

#[tokio::test(start_paused = true)]
async fn the_circuit_that_newcomers_share_is_forgotten_by_the_dependency_as_well() {
    let family = brittle(16);
    fill_with_open_ones(&family).await;
    assert_eq!(family.circuits().overflow().state(), CircuitState::Open);
    advance(OPEN_FOR + FORGOTTEN_AFTER).await;
    assert_eq!(family.status(), Status::Healthy);
}
