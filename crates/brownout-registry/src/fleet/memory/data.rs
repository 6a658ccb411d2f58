//! What a store in memory holds: a pure state machine over the store's time.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use crate::fleet::counted::{Count, Quorum, Replicas, Rule, Summary};
use crate::fleet::pushed::{Change, Message, Outcome, Picture, Stack, StackWrite, Stamp, Trip};
use crate::fleet::values::{ReplicaId, StoreTime, Version, limits};
use crate::overrides::Target;

#[derive(Clone)]
pub(super) struct Data {
    version: Version,
    /// Since when all who have told of themselves are known to live: since its epoch began, one of them fell silent, or
    /// there was nobody.
    complete: StoreTime,
    stacks: BTreeMap<Target, Stack>,
    trips: BTreeMap<Arc<str>, StoreTime>,
    /// By flag and the length of a sub-bucket: a rule that changes begins anew.
    windows: BTreeMap<(Arc<str>, u64), BTreeMap<u64, Bucket>>,
    summaries: BTreeMap<ReplicaId, (Summary, StoreTime)>,
}

/// Outcomes of one sub-bucket.
#[derive(Clone, Default)]
struct Bucket {
    successes: u64,
    failures: u64,
    /// Who had failures.
    failing: BTreeSet<ReplicaId>,
}

/// Sub-buckets of a window.
const BUCKETS: u64 = 12;

impl Data {
    pub(super) fn new(epoch: u64, begun: StoreTime) -> Self {
        Self {
            version: Version { epoch, revision: 0 },
            complete: begun,
            stacks: BTreeMap::new(),
            trips: BTreeMap::new(),
            windows: BTreeMap::new(),
            summaries: BTreeMap::new(),
        }
    }

    pub(super) fn version(&self) -> Version {
        self.version
    }

    /// Forgets what is over.
    pub(super) fn expire(&mut self, now: StoreTime) {
        self.stacks.retain(|_, stack| stack.until > now);
        self.trips.retain(|_, until| *until > now);
        let told = self.summaries.len();
        self.summaries.retain(|_, (_, until)| *until > now);
        if self.summaries.len() < told {
            self.complete = now;
        }
        self.windows.retain(|(_, length), buckets| {
            *buckets = buckets.split_off(&oldest(now, *length));
            !buckets.is_empty()
        });
    }

    pub(super) fn picture(&self, now: StoreTime) -> Picture {
        let trip = |(flag, until): (&Arc<str>, &StoreTime)| Trip {
            flag: Arc::clone(flag),
            until: *until,
        };
        Picture {
            version: self.version,
            now,
            stacks: self.stacks.values().cloned().collect(),
            trips: self.trips.iter().map(trip).collect(),
            damage: None,
        }
    }

    pub(super) fn write(
        &mut self,
        writes: Vec<StackWrite>,
        now: StoreTime,
    ) -> (Vec<Outcome>, Option<Message>) {
        let mut version = self.version;
        version.revision += 1;
        let mut changes = Vec::new();
        let mut outcomes = Vec::new();
        for write in writes.into_iter().take(limits::WRITES) {
            let present = self.stacks.get(&write.target).map(|stack| stack.stamp);
            if present != write.expected {
                outcomes.push(Outcome::Stale);
                continue;
            }
            let stack = Stack {
                target: write.target.clone(),
                stamp: Stamp {
                    version,
                    tag: write.tag,
                },
                entries: write.entries,
                until: now.after(write.keep),
            };
            self.stacks.insert(write.target, stack.clone());
            changes.push(Change::Stack(stack));
            outcomes.push(Outcome::Written(version));
        }
        (outcomes, self.published(changes, now))
    }

    pub(super) fn count(
        &mut self,
        replica: &ReplicaId,
        quorum: Quorum,
        counts: Vec<Count>,
        now: StoreTime,
    ) -> Option<Message> {
        let mut changes = Vec::new();
        for count in counts.into_iter().take(limits::COUNTS) {
            if self.trips.contains_key(&count.flag)
                || !self.is_too_much(replica, quorum, &count, now)
            {
                continue;
            }
            self.windows.retain(|(flag, _), _| *flag != count.flag);
            let (flag, until) = (count.flag, now.after(count.rule.ttl));
            self.trips.insert(Arc::clone(&flag), until);
            changes.push(Change::Trip(Trip { flag, until }));
        }
        self.published(changes, now)
    }

    pub(super) fn report(&mut self, summary: Summary, until: StoreTime, now: StoreTime) {
        if self.summaries.is_empty() {
            self.complete = now;
        }
        self.summaries
            .insert(summary.replica.clone(), (summary, until));
    }

    pub(super) fn replicas(&self, now: StoreTime) -> Replicas {
        let summaries = self.summaries.values().take(limits::SUMMARIES);
        Replicas {
            now,
            live: self.live(),
            summaries: summaries.cloned().collect(),
            damage: None,
        }
    }

    /// Adds the count, and says whether the flag has to be tripped.
    fn is_too_much(
        &mut self,
        replica: &ReplicaId,
        quorum: Quorum,
        count: &Count,
        now: StoreTime,
    ) -> bool {
        let length = bucket_length(&count.rule);
        // Where nobody has told of himself, nothing is known of who lives.
        let is_known = !self.summaries.is_empty() && now.since(self.complete) >= quorum.fewer_after;
        let quorum = usize::try_from(quorum.replicas).unwrap_or(usize::MAX);
        let window = self
            .windows
            .entry((Arc::clone(&count.flag), length))
            .or_default();
        let bucket = window.entry(now.0 / length).or_default();
        bucket.successes = bucket.successes.saturating_add(count.successes);
        bucket.failures = bucket.failures.saturating_add(count.failures);
        if count.failures > 0 {
            bucket.failing.insert(replica.clone());
        } else {
            // Successes alone make nothing worse.
            return false;
        }
        let failures = sum(window, |bucket| bucket.failures);
        let calls = failures.saturating_add(sum(window, |bucket| bucket.successes));
        let failing: BTreeSet<_> = window.values().flat_map(|bucket| &bucket.failing).collect();
        let share = u128::from(failures) * 1_000_000_000;
        failures >= u64::from(count.rule.errors)
            && share >= u128::from(calls) * u128::from(count.rule.min_ratio_ppb)
            && (failing.len() >= quorum
                || is_known && self.summaries.keys().all(|live| failing.contains(live)))
    }

    fn live(&self) -> u32 {
        u32::try_from(self.summaries.len()).unwrap_or(u32::MAX)
    }

    /// Takes the next revision, if anything has changed.
    fn published(&mut self, changes: Vec<Change>, now: StoreTime) -> Option<Message> {
        if changes.is_empty() {
            return None;
        }
        self.version.revision += 1;
        Some(Message::Changed {
            version: self.version,
            now,
            changes,
        })
    }
}

fn bucket_length(rule: &Rule) -> u64 {
    let millis = u64::try_from(rule.window.as_millis()).unwrap_or(u64::MAX);
    (millis / BUCKETS).max(1)
}

/// The oldest sub-bucket that still counts.
fn oldest(now: StoreTime, length: u64) -> u64 {
    (now.0 / length).saturating_sub(BUCKETS - 1)
}

fn sum(window: &BTreeMap<u64, Bucket>, of: impl Fn(&Bucket) -> u64) -> u64 {
    window
        .values()
        .fold(0, |sum: u64, bucket| sum.saturating_add(of(bucket)))
}
