//! What a store promises, checked in one call.

mod changes;
mod counts;
mod rig;
mod stacks;
mod summaries;

use brownout_registry::fleet::FleetStore;

use self::rig::Rig;

/// Checks that a store keeps the promises of [`FleetStore`].
///
/// `make` gives an access to the namespace of that name, a new one each time; accesses to one namespace share its data.
/// Each check has namespaces of its own, which must be empty at first. Some checks wait for things to end, for a few
/// seconds of tokio's clock altogether: a store that lives in this process may run under a paused one.
///
/// ```
/// use std::{cell::RefCell, collections::BTreeMap};
/// use brownout_registry::fleet::MemoryStore;
/// use brownout_testing::fleet::conforms;
///
/// # #[tokio::main(flavor = "current_thread", start_paused = true)] async fn main() {
/// let servers = RefCell::new(BTreeMap::<String, MemoryStore>::new());
/// conforms(async |namespace: &str| {
///     servers.borrow_mut().entry(namespace.to_owned()).or_default().clone()
/// })
/// .await;
/// # }
/// ```
///
/// # Panics
///
/// At the first promise that is broken, with a sentence that says which.
pub async fn conforms<S: FleetStore>(make: impl AsyncFn(&str) -> S) {
    let rig = Rig::new(make);
    stacks::an_empty_namespace_has_an_epoch_and_nothing_in_it(&rig).await;
    stacks::a_stack_is_written_only_over_the_version_that_was_expected(&rig).await;
    stacks::a_stack_of_the_same_version_but_another_tag_is_another(&rig).await;
    stacks::one_call_writes_what_it_may_in_one_revision(&rig).await;
    stacks::of_those_who_write_at_once_one_wins(&rig).await;
    stacks::what_is_written_comes_back_as_it_was(&rig).await;
    stacks::a_stack_ends_when_its_time_is_over(&rig).await;
    stacks::namespaces_are_apart(&rig).await;
    stacks::an_operation_that_is_dropped_leaves_the_store_usable(&rig).await;
    changes::every_subscriber_is_told_of_every_write(&rig).await;
    changes::revisions_of_many_writers_leave_out_none(&rig).await;
    changes::a_picture_and_what_follows_make_the_next_picture(&rig).await;
    changes::waiting_for_a_message_may_be_given_up(&rig).await;
    changes::a_canary_comes_to_its_own_replica_only(&rig).await;
    counts::a_flag_is_tripped_at_the_number_of_errors(&rig).await;
    counts::a_flag_is_tripped_at_the_share_of_errors(&rig).await;
    counts::one_replica_alone_trips_nothing_unless_it_is_alone(&rig).await;
    counts::who_has_not_been_heard_of_yet_may_live(&rig).await;
    counts::one_without_a_report_is_no_quorum_of_those_with_one(&rig).await;
    counts::successes_alone_trip_nothing(&rig).await;
    counts::who_has_fallen_silent_just_now_may_live(&rig).await;
    counts::a_trip_is_told_once_and_ends_and_clears_the_counts(&rig).await;
    counts::counts_leave_with_the_window(&rig).await;
    counts::flags_are_counted_apart(&rig).await;
    summaries::a_summary_comes_back_and_is_replaced(&rig).await;
    summaries::a_replica_that_falls_silent_is_gone(&rig).await;
    summaries::of_many_replicas_all_are_counted_and_some_are_named(&rig).await;
}
