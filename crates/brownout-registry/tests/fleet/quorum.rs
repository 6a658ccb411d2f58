//! One of three replicas fails over and over, while whatever happens to the store and to the others that leaves at least
//! two of them alive: it is never a quorum.

use brownout_registry::fleet::{Saved, StoreErrorKind, StoreOp};
use brownout_testing::fleet::Fault;
use proptest::prelude::*;
use tokio::time::sleep;

use super::common::{Calls, Replica, SECOND, fleet};

#[derive(Debug, Clone)]
enum Step {
    Flush,
    Save,
    /// A server takes over that holds what was saved.
    Restore,
    /// The store's clock is set.
    Jump(u32),
    /// Nobody reaches the store.
    Outage(Fault, u32),
    /// One of those that do not fail is cut off for a while, and so is a part of what the failing one asks for.
    Away(Fault, u32),
    Op(usize, StoreOp, Fault),
    Cut(usize),
    Deafen(usize),
    /// Another process starts in its place.
    Crash(usize),
    Wait(u32),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let fault = || {
        prop_oneof![
            Just(Fault::Hang),
            Just(Fault::Fail(StoreErrorKind::Unreachable)),
            Just(Fault::Fail(StoreErrorKind::Full)),
            Just(Fault::LoseAnswer),
            Just(Fault::Delay(SECOND)),
            Just(Fault::Late(SECOND)),
            Just(Fault::None),
        ]
    };
    let step = prop_oneof![
        1 => Just(Step::Flush),
        1 => Just(Step::Save),
        1 => Just(Step::Restore),
        1 => (1..60_u32).prop_map(Step::Jump),
        1 => (fault(), 1..100_u32).prop_map(|(fault, time)| Step::Outage(fault, time)),
        1 => (fault(), 1..20_u32).prop_map(|(fault, time)| Step::Away(fault, time)),
        1 => (0..2_usize, prop::sample::select(StoreOp::ALL), fault())
            .prop_map(|(replica, op, fault)| Step::Op(replica, op, fault)),
        1 => (0..3_usize).prop_map(Step::Cut),
        1 => (0..3_usize).prop_map(Step::Deafen),
        1 => (1..3_usize).prop_map(Step::Crash),
        4 => prop_oneof![1..15_u32, 30..120_u32].prop_map(Step::Wait),
    ];
    prop::collection::vec(step, 1..20)
}

async fn run(steps: Vec<Step>) {
    let (server, mut replicas) = fleet::<3>().await;
    let calls = Calls::of(&replicas[0].registry, "search");
    let mut saved: Option<Saved> = None;
    let mut born = 3;
    for step in steps {
        let mut time = 1;
        match &step {
            Step::Flush => server.flush(),
            Step::Save => saved = Some(server.save()),
            Step::Restore => {
                if let Some(saved) = &saved {
                    server.restore(saved);
                    for replica in &replicas {
                        replica.faults.cut();
                    }
                }
            }
            Step::Jump(by) => server.set_forward(SECOND * *by),
            Step::Outage(fault, lasts) => {
                for replica in &replicas {
                    replica.faults.all(*fault);
                }
                time = *lasts;
            }
            Step::Away(fault, lasts) => {
                replicas[1].faults.all(*fault);
                time = *lasts;
            }
            Step::Op(replica, op, fault) => replicas[*replica].faults.one(*op, *fault),
            Step::Cut(replica) => replicas[*replica].faults.cut(),
            Step::Deafen(replica) => replicas[*replica].faults.deafen(),
            Step::Crash(replica) => {
                born += 1;
                replicas[*replica] = Replica::join(&server, born);
            }
            Step::Wait(lasts) => time = *lasts,
        }
        for _ in 0..time {
            calls.fail(1_000);
            sleep(SECOND).await;
            for replica in &replicas {
                assert!(replica.trip("search").get().is_none(), "after {step:?}");
            }
        }
        if matches!(step, Step::Outage(..) | Step::Away(..)) {
            for replica in &replicas {
                replica.faults.all(Fault::None);
            }
        }
    }
    // In the end everything works: a second one makes the quorum.
    for replica in &replicas {
        replica.faults.all(Fault::None);
    }
    let others = Calls::of(&replicas[2].registry, "search");
    for _ in 0..60 {
        calls.fail(1_000);
        sleep(SECOND).await;
    }
    others.fail(1);
    sleep(SECOND * 2).await;
    assert!(replicas[1].trip("search").get().is_some());
}

#[test]
fn one_of_three_is_never_a_quorum_whatever_becomes_of_the_store() {
    let mut config = ProptestConfig {
        failure_persistence: None,
        ..ProptestConfig::default()
    };
    if std::env::var_os("PROPTEST_CASES").is_none() {
        config.cases = 32;
    }
    proptest!(config, |(steps in steps())| {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .start_paused(true)
            .build()
            .unwrap();
        runtime.block_on(run(steps));
    });
}
