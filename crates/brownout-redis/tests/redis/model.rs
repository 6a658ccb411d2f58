//! Random operations, on a real server and on the store in memory: both say the same of each, and hold the same after it.

use std::collections::BTreeMap;
use std::time::Duration;

use brownout_redis::RedisStore;
use brownout_registry::Target;
use brownout_registry::fleet::{
    Count, FleetStore, MemoryStore, Outcome, Picture, StackWrite, Version,
};
use proptest::prelude::*;
use proptest::test_runner::TestRunner;

use crate::support::{Server, count, flag, quorum, replica, rule, stack, store, summary};

const FLAGS: [&str; 3] = ["first", "second", "third"];
const REPLICAS: [&str; 3] = ["one", "two", "three"];

#[derive(Debug, Clone)]
enum Step {
    Write(Vec<Write>),
    Count {
        replica: usize,
        counts: Vec<(usize, u64, u64)>,
    },
    Report(usize),
    Flush,
}

#[derive(Debug, Clone)]
struct Write {
    flag: usize,
    expected: Expected,
    entries: u64,
}

#[derive(Debug, Clone, Copy)]
enum Expected {
    Nothing,
    /// What is there, if anything.
    Present,
    /// What was there before that, if anything.
    Replaced,
}

/// One store, and the versions that it gave.
struct Side<S> {
    store: S,
    versions: BTreeMap<usize, Vec<Version>>,
}

fn step() -> impl Strategy<Value = Step> {
    let expected = prop_oneof![
        1 => Just(Expected::Nothing),
        4 => Just(Expected::Present),
        1 => Just(Expected::Replaced),
    ];
    let write = (0..FLAGS.len(), expected, 0..4u64).prop_map(|(flag, expected, entries)| Write {
        flag,
        expected,
        entries,
    });
    let counted = (0..FLAGS.len(), 0..20u64, 0..3u64);
    prop_oneof![
        8 => prop::collection::vec(write, 1..4).prop_map(Step::Write),
        6 => (0..REPLICAS.len(), prop::collection::vec(counted, 1..4))
            .prop_map(|(replica, counts)| Step::Count { replica, counts }),
        2 => (0..REPLICAS.len()).prop_map(Step::Report),
        1 => Just(Step::Flush),
    ]
}

impl<S: FleetStore> Side<S> {
    fn new(store: S) -> Self {
        Self {
            store,
            versions: BTreeMap::new(),
        }
    }

    /// What came of it: of writes, for each whether it was done.
    async fn take(&mut self, step: &Step) -> Vec<bool> {
        match step {
            Step::Write(writes) => self.write(writes).await,
            Step::Count {
                replica: number,
                counts,
            } => {
                let counts = counts
                    .iter()
                    .map(|&(flag, successes, failures)| counted(flag, successes, failures));
                let replica = replica(REPLICAS[*number]);
                self.store
                    .count(&replica, quorum(2), counts.collect())
                    .await
                    .unwrap();
                Vec::new()
            }
            Step::Report(number) => {
                let summary = summary(REPLICAS[*number]);
                self.store
                    .report(summary, Duration::from_mins(1))
                    .await
                    .unwrap();
                Vec::new()
            }
            Step::Flush => Vec::new(),
        }
    }

    async fn write(&mut self, writes: &[Write]) -> Vec<bool> {
        let write = |write: &Write| {
            let versions = self.versions.get(&write.flag);
            let nth =
                |back: usize| versions.and_then(|versions| versions.iter().nth_back(back).copied());
            let expected = match write.expected {
                Expected::Nothing => None,
                Expected::Present => nth(0),
                Expected::Replaced => nth(1),
            };
            let ids: Vec<u64> = (0..write.entries).collect();
            stack(flag(FLAGS[write.flag]), expected, &ids)
        };
        let asked: Vec<StackWrite> = writes.iter().map(write).collect();
        let outcomes = self.store.write(asked).await.unwrap();
        for (write, outcome) in writes.iter().zip(&outcomes) {
            if let Outcome::Written(version) = outcome {
                self.versions.entry(write.flag).or_default().push(*version);
            }
        }
        outcomes
            .iter()
            .map(|outcome| *outcome != Outcome::Stale)
            .collect()
    }

    /// What it holds, as far as two stores can agree on that: not on epochs and times.
    async fn holds(&self) -> (u64, Vec<(Target, usize, u64)>, Vec<String>, u32) {
        let picture: Picture = self.store.picture().await.unwrap();
        assert_eq!(picture.damage, None);
        let stacks = picture.stacks.into_iter();
        let mut stacks: Vec<_> = stacks
            .map(|stack| {
                (
                    stack.target,
                    stack.entries.len(),
                    stack.stamp.version.revision,
                )
            })
            .collect();
        stacks.sort();
        let mut trips: Vec<_> = picture
            .trips
            .iter()
            .map(|trip| trip.flag.to_string())
            .collect();
        trips.sort();
        let live = self.store.replicas().await.unwrap().live;
        (picture.version.revision, stacks, trips, live)
    }
}

/// Each flag has a rule of its own; the second needs a fifth of errors.
fn counted(flag: usize, successes: u64, failures: u64) -> Count {
    let mut rule = rule([3, 5, 8][flag]);
    rule.min_ratio_ppb = [0, 200_000_000, 50_000_000][flag];
    count(FLAGS[flag], successes, failures, rule)
}

async fn agree(server: &Server, redis: RedisStore, steps: Vec<Step>) {
    server.run(&["FLUSHALL"]);
    let memory = MemoryStore::new();
    let (mut redis, mut model) = (Side::new(redis), Side::new(memory.clone()));
    for step in &steps {
        if let Step::Flush = step {
            server.run(&["FLUSHALL"]);
            memory.flush();
        }
        assert_eq!(redis.take(step).await, model.take(step).await, "{step:?}");
        assert_eq!(redis.holds().await, model.holds().await, "after {step:?}");
    }
}

#[test]
fn redis_does_what_the_store_in_memory_does() {
    let server = Server::start();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    let redis = store(&server.url());
    let config = ProptestConfig {
        cases: 60,
        failure_persistence: None,
        ..ProptestConfig::default()
    };
    let steps = prop::collection::vec(step(), 1..25);
    TestRunner::new(config)
        .run(&steps, |steps| {
            runtime.block_on(agree(&server, redis.clone(), steps));
            Ok(())
        })
        .unwrap();
}
