//! The one trait between a fleet and whatever it shares its state through.

use std::time::Duration;

use super::counted::{Count, Quorum, Replicas, Summary};
use super::error::StoreError;
use super::pushed::{Message, Outcome, Picture, StackWrite};
use super::values::ReplicaId;

/// Where a fleet keeps what it shares. One value is one replica's access to one namespace.
///
/// Implementations connect lazily, and on their own: each operation tries anew, and fails with a typed error where the
/// store is away. They do not retry and need no timeouts: whoever calls wraps each operation in one, and drops it when
/// the time is over. What was dropped may have happened or not, but must not leave the access unusable, nor happen later
/// than a moment after. Operations run at the same time as one another.
///
/// # What a store promises
///
/// - Each write that changes pushed values ([`write`](Self::write), and a [`count`](Self::count) that trips a flag) takes
///   the next revision of the epoch, and is published to all subscribers as *one* [`Message::Changed`], whole values and
///   all, atomically with the write.
/// - Revisions of an epoch begin with 1 and leave out none. An epoch that begins anew, because the data was lost, has a
///   number that none had before.
/// - Whatever has an end is there until then, and gone when it is over, at the latest a second after, without a revision
///   and without a message: readers know the end too. So what is missing before its end has been lost, and is written
///   again by whoever still has it.
/// - A [`Picture`] is of one moment: all values of its version, and none that is later.
/// - Nothing of other namespaces or other users of the store is touched.
///
/// `brownout-testing` has a suite that checks all this (`fleet::conforms`).
pub trait FleetStore: Send + Sync + 'static {
    /// What [`subscribe`](Self::subscribe) yields.
    type Changes: Changes;

    /// Follows all changes from now on: whatever is written after this has returned is told.
    fn subscribe(
        &self,
        replica: &ReplicaId,
    ) -> impl Future<Output = Result<Self::Changes, StoreError>> + Send;

    /// Everything that is pushed, at one moment. Begins an epoch where there is none.
    fn picture(&self) -> impl Future<Output = Result<Picture, StoreError>> + Send;

    /// Writes stacks, each only if its present version is the expected one, at most [`limits::WRITES`] at once. Says of
    /// each what came of it, in order.
    ///
    /// All that are written have one revision, and are told in one message.
    ///
    /// [`limits::WRITES`]: super::limits::WRITES
    fn write(
        &self,
        writes: Vec<StackWrite>,
    ) -> impl Future<Output = Result<Vec<Outcome>, StoreError>> + Send;

    /// Adds outcomes of flags' calls to what the fleet has counted, at most [`limits::COUNTS`] flags at once, and trips
    /// the flags of which that is too much.
    ///
    /// Counts lie in sub-buckets of a twelfth of the rule's window, by the store's clock, and slide with it. A flag is
    /// tripped for the rule's time to live, if it is not tripped already, when in the window
    ///
    /// - at least `rule.errors` calls have failed,
    /// - they are at least `rule.min_ratio_ppb` billionths of all calls, and
    /// - at least `quorum.replicas` have had failures; or all that live, where those are fewer, the epoch is at least
    ///   `quorum.fewer_after` old, and no replica's report has ended by itself for as long.
    ///
    /// A replica lives while its [`report`](Self::report) lasts. Where none does, nothing is known of who lives, and the
    /// quorum is as many as it says. A count without failures trips nothing. Outcomes that come while the flag is tripped
    /// count for nothing, and a trip clears the flag's counts.
    ///
    /// [`limits::COUNTS`]: super::limits::COUNTS
    fn count(
        &self,
        replica: &ReplicaId,
        quorum: Quorum,
        counts: Vec<Count>,
    ) -> impl Future<Output = Result<(), StoreError>> + Send;

    /// Keeps a replica's summary for so long, in place of its last one. Tells nobody.
    fn report(
        &self,
        summary: Summary,
        ttl: Duration,
    ) -> impl Future<Output = Result<(), StoreError>> + Send;

    /// How many replicas live, and the summaries of at most [`limits::SUMMARIES`] of them; of more, any.
    ///
    /// [`limits::SUMMARIES`]: super::limits::SUMMARIES
    fn replicas(&self) -> impl Future<Output = Result<Replicas, StoreError>> + Send;

    /// Proves that the store answers, and sends a [`Message::Canary`] of this number to the subscribers of this replica,
    /// and to no others: on the way that changes take.
    fn ping(
        &self,
        replica: &ReplicaId,
        canary: u64,
    ) -> impl Future<Output = Result<(), StoreError>> + Send;
}

/// What a store tells one subscriber.
pub trait Changes: Send + 'static {
    /// The next message, in the order of revisions. An error ends the subscription: whoever wants more subscribes anew.
    ///
    /// Cancel safe: a message that was not returned is returned by the next call. What waits to be read is bounded; a
    /// reader that is too slow gets [`Message::Missed`] in place of what is gone.
    fn next(&mut self) -> impl Future<Output = Result<Message, StoreError>> + Send;
}
