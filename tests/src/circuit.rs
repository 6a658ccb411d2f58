//! Circuits that decide within milliseconds.

use std::time::Duration;

use brownout::{
    Registry,
    breaker::{Circuit, Policy, PolicyBuilder},
    registry::CircuitState,
};

/// How many failures open the circuits made here.
pub const TRIPS_AT: u32 = 3;

/// Opens after three failures in a row and stays open for a minute: for tests that look at an open circuit.
pub fn lasting() -> PolicyBuilder {
    Policy::builder()
        .no_failure_ratio()
        .consecutive_failures(TRIPS_AT)
        .open_for(Duration::from_mins(1))
        .jitter(0.0)
}

/// Opens after three failures in a row, is due for a probe 20 ms later, and closes with the first that succeeds.
pub fn swift() -> PolicyBuilder {
    lasting()
        .open_for(Duration::from_millis(20))
        .open_for_at_most(Duration::from_millis(20))
        .close_after(1, 1)
}

/// As [`swift`], but open for long enough that a test can look at it in that state, however busy the machine.
pub fn brief() -> PolicyBuilder {
    swift()
        .open_for(Duration::from_millis(300))
        .open_for_at_most(Duration::from_millis(300))
}

/// A circuit of a registry of its own.
pub fn circuit(name: &str, policy: PolicyBuilder) -> Circuit {
    let dependency = Registry::new().dependency(name).register().unwrap();
    Circuit::builder(&dependency)
        .policy(policy.build().unwrap())
        .build()
}

/// Opens a closed circuit by three failed calls.
pub fn trip(circuit: &Circuit) {
    for _ in 0..TRIPS_AT {
        circuit.admit().unwrap().failure();
    }
    assert_eq!(
        circuit.state(),
        CircuitState::Open,
        "three failures open it"
    );
}

/// Waits until an open circuit is due for a probe.
pub async fn probe_due(circuit: &Circuit) {
    until("the circuit is due for a probe", || {
        circuit.stats().retry_after == Some(Duration::ZERO)
    })
    .await;
}

/// Waits until a condition holds, for at most a second and a half.
///
/// What a server's task does after its answer has reached the client, such as settling a ticket, cannot be awaited
/// from here, so this looks again and again.
pub async fn until(what: &str, mut holds: impl FnMut() -> bool) {
    for _ in 0..750 {
        if holds() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    assert!(holds(), "waited in vain until {what}");
}
