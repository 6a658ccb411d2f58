//! Five replicas, cut off, crashing and coming back, over a store that may be flushed: once all is well again, all agree.
//!
//! Writes go through whichever replica, sometimes two at once. The model knows one rule: what was acknowledged is there
//! in the end, unless the store has lost it since (flushed, restored, its clock set forward), it was released, or its time
//! is over.

use std::collections::BTreeSet;

use brownout_registry::fleet::{FleetError, MemoryStore, Saved, StoreErrorKind, StoreOp};
use brownout_registry::{FeatureState, FleetOverrideId, OverrideValue};
use brownout_testing::fleet::Fault;
use proptest::prelude::*;
use tokio::time::{Instant, sleep, timeout};

use super::common::{Calls, REPAIR, Replica, SECOND, order, settings, soon, target};

const REPLICAS: usize = 5;
const FLAGS: [&str; 3] = ["first", "second", "third"];

#[derive(Debug, Clone)]
enum Step {
    Set {
        replica: usize,
        flag: usize,
        state: FeatureState,
        seconds: u32,
    },
    /// Two replicas decide on the same flag at the same moment.
    Race {
        replicas: (usize, usize),
        flag: usize,
    },
    Release {
        replica: usize,
        nth: usize,
    },
    /// Several decisions on one flag go with one write.
    Batch {
        replica: usize,
        flag: usize,
        states: Vec<FeatureState>,
    },
    /// Whoever decides goes away before there is an answer.
    Abandon {
        replica: usize,
        flag: usize,
        millis: u32,
    },
    Fault {
        replica: usize,
        fault: Fault,
    },
    /// One operation fares so.
    Op {
        replica: usize,
        op: StoreOp,
        fault: Fault,
    },
    /// Messages are lost.
    Lose {
        replica: usize,
        messages: u64,
    },
    /// It leaves the fleet and joins it again.
    Rejoin {
        replica: usize,
    },
    Deafen {
        replica: usize,
    },
    Cut {
        replica: usize,
    },
    /// The process ends, and another starts in its place.
    Crash {
        replica: usize,
    },
    Fail {
        replica: usize,
        flag: usize,
        times: u64,
    },
    Flush,
    /// Keeps what the store holds, for later.
    Save,
    /// Goes back to that.
    Restore,
    /// The store's clock jumps.
    Jump {
        seconds: u32,
    },
    Wait {
        seconds: u64,
    },
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let replica = || 0..REPLICAS;
    let flag = || 0..FLAGS.len();
    let state = prop::sample::select(FeatureState::ALL);
    let fault = || {
        prop_oneof![
            4 => Just(Fault::None),
            2 => Just(Fault::Hang),
            2 => Just(Fault::Fail(StoreErrorKind::Unreachable)),
            1 => Just(Fault::Fail(StoreErrorKind::Full)),
            1 => Just(Fault::LoseAnswer),
            1 => Just(Fault::Delay(SECOND)),
            1 => Just(Fault::Late(SECOND)),
        ]
    };
    let states = prop::collection::vec(prop::sample::select(FeatureState::ALL), 2..5);
    prop::collection::vec(
        prop_oneof![
            6 => (replica(), flag(), state, prop_oneof![5..60_u32, 10_000..20_000_u32])
                .prop_map(|(replica, flag, state, seconds)| Step::Set { replica, flag, state, seconds }),
            1 => ((replica(), replica()), flag())
                .prop_map(|(replicas, flag)| Step::Race { replicas, flag }),
            2 => (replica(), 0..8_usize).prop_map(|(replica, nth)| Step::Release { replica, nth }),
            4 => (replica(), fault()).prop_map(|(replica, fault)| Step::Fault { replica, fault }),
            2 => (replica(), prop::sample::select(StoreOp::ALL), fault())
                .prop_map(|(replica, op, fault)| Step::Op { replica, op, fault }),
            1 => (replica(), 1..4_u64)
                .prop_map(|(replica, messages)| Step::Lose { replica, messages }),
            1 => replica().prop_map(|replica| Step::Rejoin { replica }),
            1 => (replica(), flag(), states)
                .prop_map(|(replica, flag, states)| Step::Batch { replica, flag, states }),
            1 => (replica(), flag(), 0..3_000_u32)
                .prop_map(|(replica, flag, millis)| Step::Abandon { replica, flag, millis }),
            1 => replica().prop_map(|replica| Step::Deafen { replica }),
            1 => replica().prop_map(|replica| Step::Cut { replica }),
            1 => replica().prop_map(|replica| Step::Crash { replica }),
            2 => (replica(), flag(), 1..4_u64)
                .prop_map(|(replica, flag, times)| Step::Fail { replica, flag, times }),
            1 => Just(Step::Flush),
            1 => Just(Step::Save),
            1 => Just(Step::Restore),
            1 => (1..4_000_u32).prop_map(|seconds| Step::Jump { seconds }),
            6 => prop_oneof![0..3_u64, 1..60_u64].prop_map(|seconds| Step::Wait { seconds }),
        ],
        1..40,
    )
}

/// An override that a caller was told is in force.
struct Acknowledged {
    flag: usize,
    id: FleetOverrideId,
    until: Instant,
    /// Whether the store may have lost it since.
    flushed: bool,
    /// Whether a release of it was tried, which may have been done.
    released: bool,
}

struct Fleet {
    server: MemoryStore,
    replicas: Vec<Replica>,
    calls: Vec<Vec<std::sync::Arc<Calls>>>,
    acknowledged: Vec<Acknowledged>,
    saved: Option<Saved>,
    born: u64,
}

impl Fleet {
    async fn new() -> Self {
        let mut fleet = Self {
            server: MemoryStore::new(),
            replicas: Vec::new(),
            calls: Vec::new(),
            acknowledged: Vec::new(),
            saved: None,
            born: 0,
        };
        for _ in 0..REPLICAS {
            let (replica, calls) = fleet.born();
            fleet.replicas.push(replica);
            fleet.calls.push(calls);
        }
        soon().await;
        fleet
    }

    fn born(&mut self) -> (Replica, Vec<std::sync::Arc<Calls>>) {
        self.born += 1;
        let replica = Replica::join(&self.server, self.born);
        let calls = FLAGS.map(|flag| Calls::of(&replica.registry, flag));
        (replica, calls.into())
    }

    fn note(&mut self, flag: usize, set: &Result<FleetOverrideId, FleetError>, until: Instant) {
        if let Ok(id) = *set {
            self.acknowledged.push(Acknowledged {
                flag,
                id,
                until,
                flushed: false,
                released: false,
            });
        }
    }

    async fn step(&mut self, step: Step) {
        match step {
            Step::Set {
                replica,
                flag,
                state,
                seconds,
            } => {
                let until = Instant::now() + SECOND * seconds;
                let set = self.replicas[replica].set(FLAGS[flag], state, seconds);
                // No decision takes longer than that, whatever the store does.
                let set = timeout(SECOND * 4, set)
                    .await
                    .expect("a decision ends in time");
                if set.is_ok() {
                    let imposed = self.replicas[replica].imposed(FLAGS[flag]);
                    assert_eq!(imposed, Some(state), "what is acknowledged is in force");
                }
                self.note(flag, &set, until);
            }
            Step::Race {
                replicas: (one, other),
                flag,
            } => {
                let until = Instant::now() + SECOND * 5_000;
                let (one, other) = tokio::join!(
                    self.replicas[one].set(FLAGS[flag], FeatureState::Degraded, 5_000),
                    self.replicas[other].set(FLAGS[flag], FeatureState::Disabled, 5_000),
                );
                self.note(flag, &one, until);
                self.note(flag, &other, until);
            }
            Step::Release { replica, nth } => {
                let Some(known) = self.acknowledged.get_mut(nth) else {
                    return;
                };
                known.released = true;
                let (flag, id) = (target(FLAGS[known.flag]), known.id);
                let _released = self.replicas[replica].fleet.release(flag, id).await;
            }
            Step::Batch {
                replica,
                flag,
                states,
            } => self.decide_together(replica, flag, states).await,
            Step::Abandon {
                replica,
                flag,
                millis,
            } => {
                let set = self.replicas[replica].set(FLAGS[flag], FeatureState::Disabled, 5_000);
                let _abandoned = timeout(SECOND * millis / 1_000, set).await;
            }
            Step::Op { replica, op, fault } => self.replicas[replica].faults.one(op, fault),
            Step::Lose { replica, messages } => self.replicas[replica].faults.lose(messages),
            Step::Rejoin { replica } => self.rejoin(replica),
            Step::Fault { replica, fault } => self.replicas[replica].faults.all(fault),
            Step::Deafen { replica } => self.replicas[replica].faults.deafen(),
            Step::Cut { replica } => self.replicas[replica].faults.cut(),
            Step::Crash { replica } => {
                let (new, calls) = self.born();
                self.replicas[replica] = new;
                self.calls[replica] = calls;
            }
            Step::Fail {
                replica,
                flag,
                times,
            } => self.calls[replica][flag].fail(times),
            Step::Flush => {
                self.server.flush();
                self.forgets();
            }
            Step::Save => self.saved = Some(self.server.save()),
            Step::Restore => {
                if let Some(saved) = &self.saved {
                    self.server.restore(saved);
                    self.forgets();
                }
            }
            Step::Jump { seconds } => {
                self.server.set_forward(SECOND * seconds);
                self.forgets();
                // What is decided before anybody has noticed has its end by the clock of before.
                for replica in &self.replicas {
                    for op in [StoreOp::Subscribe, StoreOp::Changes, StoreOp::Picture] {
                        replica.faults.one(op, Fault::None);
                    }
                }
                sleep(REPAIR).await;
            }
            Step::Wait { seconds } => sleep(SECOND * u32::try_from(seconds).unwrap()).await,
        }
        soon().await;
    }

    /// Several people decide on the same flag at the same replica.
    async fn decide_together(&mut self, replica: usize, flag: usize, states: Vec<FeatureState>) {
        let until = Instant::now() + SECOND * 5_000;
        let deciding: Vec<_> = states
            .into_iter()
            .map(|state| {
                let fleet = self.replicas[replica].fleet.clone();
                let value = OverrideValue::Flag(state);
                tokio::spawn(async move {
                    let flag = target(FLAGS[flag]);
                    fleet.set(flag, value, order(5_000)).await
                })
            })
            .collect();
        for deciding in deciding {
            self.note(flag, &deciding.await.unwrap(), until);
        }
    }

    /// Leaves the fleet, and joins it again under another name.
    fn rejoin(&mut self, replica: usize) {
        let left = self.replicas.remove(replica);
        let registry = left.registry.clone();
        drop(left);
        assert!(registry.overrides().is_empty(), "it has left");
        self.born += 1;
        let name = settings(&format!("replica-{}", self.born));
        let joined = Replica::join_as(&self.server, registry, name);
        self.replicas.insert(replica, joined);
    }

    /// The store may have lost anything.
    fn forgets(&mut self) {
        for known in &mut self.acknowledged {
            known.flushed = true;
        }
    }

    async fn heal(&mut self) {
        for replica in &self.replicas {
            replica.faults.all(Fault::None);
            replica.faults.lose(0);
        }
        sleep(REPAIR).await;
        // What was offered to a new epoch is told to those who looked first.
        sleep(REPAIR).await;
    }

    fn assert_agreed(&self) {
        let held: Vec<_> = self.replicas.iter().map(Replica::held).collect();
        for other in &held[1..] {
            assert_eq!(&held[0], other, "all hold the same");
        }
        for flag in FLAGS {
            let imposed: BTreeSet<_> = self.replicas.iter().map(|one| one.imposed(flag)).collect();
            assert_eq!(imposed.len(), 1, "{flag} is {imposed:?}");
            let tripped = |replica: &Replica| replica.trip(flag).get().is_some();
            let tripped: BTreeSet<_> = self.replicas.iter().map(tripped).collect();
            assert_eq!(tripped.len(), 1, "{flag} is tripped here and not there");
        }
        let now = Instant::now();
        for known in &self.acknowledged {
            let there = held[0].contains(&(target(FLAGS[known.flag]), known.id));
            if known.until <= now {
                assert!(!there, "its time is over");
            } else if !known.flushed && !known.released {
                assert!(there, "what was acknowledged is lost");
            }
        }
        for replica in &self.replicas {
            assert!(replica.fleet.is_in_touch());
            assert!(replica.faults.asked(StoreOp::Subscribe) > 0);
        }
    }
}

#[test]
fn once_all_is_well_again_all_agree() {
    let mut config = ProptestConfig {
        failure_persistence: None,
        ..ProptestConfig::default()
    };
    if std::env::var_os("PROPTEST_CASES").is_none() {
        config.cases = 64;
    }
    proptest!(config, |(steps in steps())| {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .start_paused(true)
            .build()
            .unwrap();
        runtime.block_on(async {
            let mut fleet = Fleet::new().await;
            for step in steps {
                fleet.step(step).await;
            }
            fleet.heal().await;
            fleet.assert_agreed();
        });
    });
}
