//! Five replicas over a real server, cut off, crashing and coming back, while the server is flushed or killed: once all is
//! well again, all agree, and what was acknowledged is there unless the server has lost it since.

use std::collections::BTreeSet;
use std::time::Duration;

use brownout_registry::{FeatureState, FleetOverrideId};
use proptest::prelude::*;
use proptest::test_runner::TestRunner;
use tokio::time::sleep;

use crate::support::{Cable, Member, Server, flag, hasty, until};

const REPLICAS: usize = 5;
const FLAGS: [&str; 3] = ["first", "second", "third"];

#[derive(Debug, Clone)]
enum Step {
    Set {
        replica: usize,
        flag: usize,
    },
    /// Connections are closed.
    Cut {
        replica: usize,
    },
    /// Nothing comes through any more.
    Die {
        replica: usize,
    },
    /// Answers and messages do not come through.
    Mute {
        replica: usize,
    },
    Mend {
        replica: usize,
    },
    /// The process ends, and another starts in its place.
    Crash {
        replica: usize,
    },
    Flush,
    /// The server dies, and comes back empty.
    Restart,
    Wait {
        millis: u64,
    },
}

fn step() -> impl Strategy<Value = Step> {
    let replica = || 0..REPLICAS;
    prop_oneof![
        8 => (replica(), 0..FLAGS.len()).prop_map(|(replica, flag)| Step::Set { replica, flag }),
        2 => replica().prop_map(|replica| Step::Cut { replica }),
        1 => replica().prop_map(|replica| Step::Die { replica }),
        1 => replica().prop_map(|replica| Step::Mute { replica }),
        3 => replica().prop_map(|replica| Step::Mend { replica }),
        1 => replica().prop_map(|replica| Step::Crash { replica }),
        1 => Just(Step::Flush),
        1 => Just(Step::Restart),
        3 => (50..500u64).prop_map(|millis| Step::Wait { millis }),
    ]
}

struct Fleet {
    server: Server,
    cables: Vec<Cable>,
    members: Vec<Member>,
    /// What was acknowledged, since the server last lost anything.
    kept: BTreeSet<(usize, FleetOverrideId)>,
}

impl Fleet {
    async fn start() -> Self {
        let server = Server::start();
        let mut cables = Vec::new();
        for _ in 0..REPLICAS {
            cables.push(Cable::to(server.port()).await);
        }
        let members = (0..REPLICAS).map(|replica| join(&cables[replica], replica));
        let fleet = Self {
            members: members.collect(),
            server,
            cables,
            kept: BTreeSet::new(),
        };
        until("all are in touch", || {
            fleet.all(|member| member.fleet.is_in_touch())
        })
        .await;
        fleet
    }

    async fn take(&mut self, step: &Step) {
        match *step {
            Step::Set { replica, flag } => {
                let state = FeatureState::Degraded;
                // Of one that is cut off nothing is acknowledged.
                if let Ok(id) = self.members[replica].try_set(FLAGS[flag], state).await {
                    self.kept.insert((flag, id));
                }
            }
            Step::Cut { replica } => self.cables[replica].cut(),
            Step::Die { replica } => self.cables[replica].die(),
            Step::Mute { replica } => self.cables[replica].mute(),
            Step::Mend { replica } => self.cables[replica].mend(),
            Step::Crash { replica } => {
                self.members[replica] = join(&self.cables[replica], replica);
            }
            Step::Flush => {
                self.server.run(&["FLUSHALL"]);
                self.kept.clear();
            }
            Step::Restart => {
                self.server.kill();
                self.server.restart();
                self.kept.clear();
            }
            // The server's clock is the real one.
            Step::Wait { millis } => sleep(Duration::from_millis(millis)).await,
        }
    }

    async fn agrees(&self) {
        for cable in &self.cables {
            cable.mend();
        }
        until("all are in touch again", || {
            self.all(|member| member.fleet.is_in_touch())
        })
        .await;
        until("all agree, and on all that is kept", || {
            let held = self.members[0].held();
            let kept = self.kept.iter();
            self.all(|member| member.held() == held)
                && kept
                    .map(|&(number, id)| (flag(FLAGS[number]), id))
                    .all(|kept| held.contains(&kept))
        })
        .await;
    }

    fn all(&self, holds: impl Fn(&Member) -> bool) -> bool {
        self.members.iter().all(holds)
    }
}

fn join(cable: &Cable, replica: usize) -> Member {
    Member::join(hasty(&cable.url()), &format!("replica-{replica}"))
}

#[test]
fn whatever_happens_replicas_agree_when_it_is_over() {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    let config = ProptestConfig {
        // Each waits for real servers and real clocks; the fleet over the store in memory is put through many more.
        cases: 4,
        max_shrink_iters: 0,
        failure_persistence: None,
        ..ProptestConfig::default()
    };
    let steps = prop::collection::vec(step(), 10..30);
    TestRunner::new(config)
        .run(&steps, |steps| {
            runtime.block_on(async {
                let mut fleet = Fleet::start().await;
                for step in &steps {
                    fleet.take(step).await;
                }
                fleet.agrees().await;
            });
            Ok(())
        })
        .unwrap();
}
