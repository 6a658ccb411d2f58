//! The names, which are API, and what exporters say of them.

use metrics::{Unit, describe_counter, describe_gauge, describe_histogram};

pub(super) const CALLS: &str = "brownout_calls_total";
pub(super) const DURATION: &str = "brownout_call_duration_seconds";
pub(super) const CIRCUIT_STATE: &str = "brownout_circuit_state";
pub(super) const TRANSITIONS: &str = "brownout_circuit_transitions_total";
pub(super) const REJECTIONS: &str = "brownout_rejections_total";
pub(super) const FALLBACK: &str = "brownout_fallback_total";
pub(super) const FLAG_STATE: &str = "brownout_flag_state";
pub(super) const FLAG_CHANGES: &str = "brownout_flag_changes_total";
pub(super) const PARTS: &str = "brownout_parts_total";
pub(super) const STATUS: &str = "brownout_dependency_status";
pub(super) const LEVEL: &str = "brownout_degradation_level";
pub(super) const OVERRIDES: &str = "brownout_override_active";
pub(super) const STORE_AGE: &str = "brownout_store_sync_age_seconds";
pub(super) const STORE_ERRORS: &str = "brownout_store_errors_total";

/// Tells the recorder what the names mean. With each collection, because nobody knows when it was installed.
pub(super) fn describe() {
    describe_counter!(CALLS, "Calls that a layer has seen, by what came of them.");
    describe_histogram!(
        DURATION,
        Unit::Seconds,
        "How long judged calls took, from admission to verdict."
    );
    describe_gauge!(
        CIRCUIT_STATE,
        "1 for the state that the dependency's circuit is in, 0 for the others."
    );
    describe_counter!(TRANSITIONS, "Transitions of the dependency's circuits.");
    describe_counter!(REJECTIONS, "Calls that were refused before they were made.");
    describe_counter!(
        FALLBACK,
        "Calls that a tier has answered in the dependency's place, or failed."
    );
    describe_gauge!(
        FLAG_STATE,
        "1 for the state that the flag is in, 0 for the others."
    );
    describe_counter!(FLAG_CHANGES, "Changes of the flag's state.");
    describe_counter!(
        PARTS,
        "Parts of an aggregate's answers, by what became of them."
    );
    describe_gauge!(
        STATUS,
        "1 for the status that the dependency has, 0 for the others."
    );
    describe_gauge!(
        LEVEL,
        "The degradation level, from 0 (full) to 3 (emergency)."
    );
    describe_gauge!(OVERRIDES, "Overrides in force, by what they are set on.");
    describe_gauge!(
        STORE_AGE,
        Unit::Seconds,
        "How long ago this replica last knew that it holds what the fleet's store does."
    );
    describe_counter!(
        STORE_ERRORS,
        "Operations on the fleet's store that failed, or took too long."
    );
}
