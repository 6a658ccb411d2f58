//! The laws of a layer where calls fall through, as far as the contract's suite cannot see.

use std::sync::{
    Mutex,
    atomic::{AtomicUsize, Ordering::Relaxed},
};

use brownout::{
    core::{BoxError, Cause, Degraded, Verdict},
    flag::{Flag, FlagLayer},
    registry::FeatureState::Enabled,
};
use brownout_testing::{Behaviour, NotClone, NotSend, NotSync, probe_service::Borrowing};
use tower::{Layer, Service, ServiceExt};

use crate::common::{MINUTE, Probe, adding, exact, failing, probe};

/// A flag that the failures made here do not degrade.
fn patient() -> Flag {
    exact().errors(1_000).build().unwrap()
}

fn down() -> Probe {
    let (service, handle) = probe();
    handle.always(failing());
    service
}

#[tokio::test(start_paused = true)]
async fn neither_send_nor_sync_nor_static_is_asked_and_clone_only_of_who_is_fallen_to() {
    let flag = patient();
    let owner = String::from("lives as long as this function");
    let layer = || FlagLayer::for_results(flag.clone());
    let simpler = || adding(100).0;
    let not_send = layer().degraded(NotSend::new(simpler())).fall_through();
    let not_send = not_send.safe().layer(NotSend::new(down()));
    assert_eq!(not_send.oneshot(1).await.unwrap(), 101);
    let not_sync = layer().degraded(NotSync::new(simpler())).fall_through();
    let not_sync = not_sync.safe().layer(NotSync::new(down()));
    assert_eq!(not_sync.oneshot(2).await.unwrap(), 102);
    let borrowing = Borrowing::from(&owner, simpler());
    let borrowing = layer().degraded(borrowing).fall_through().safe();
    let borrowing = borrowing.layer(Borrowing::from(&owner, down()));
    assert_eq!(borrowing.oneshot(3).await.unwrap(), 103);
    let not_clone = layer().degraded(simpler()).fall_through().safe();
    let not_clone = not_clone.layer(NotClone::new(down()));
    assert_eq!(not_clone.oneshot(4).await.unwrap(), 104);
}

/// Closures that say when they are called, and ask the flag for all that it knows.
struct Asking {
    flag: Flag,
    judged: AtomicUsize,
    explained: AtomicUsize,
    marked: Mutex<Vec<String>>,
}

impl Asking {
    fn new(flag: &Flag) -> Self {
        Self {
            flag: flag.clone(),
            judged: AtomicUsize::new(0),
            explained: AtomicUsize::new(0),
            marked: Mutex::default(),
        }
    }

    fn ask(&self) {
        assert_eq!(self.flag.state(), Enabled);
        let _ = self.flag.stats();
        self.flag.admit().unwrap().settle(Verdict::Neutral);
        self.flag.configure(Enabled);
    }

    fn calls(&self) -> [usize; 3] {
        let marked = self.marked.lock().unwrap().len();
        [
            self.judged.load(Relaxed),
            self.explained.load(Relaxed),
            marked,
        ]
    }

    fn layer(
        &self,
        simpler: Probe,
    ) -> impl Layer<
        Probe,
        Service = impl Service<u32, Response = u32, Error = BoxError, Future: Send> + Clone,
    > {
        FlagLayer::for_results(self.flag.clone())
            .classify(|outcome: Result<&u32, &BoxError>| {
                self.ask();
                self.judged.fetch_add(1, Relaxed);
                match outcome {
                    Ok(_) => Verdict::Success,
                    Err(_) => Verdict::Failure,
                }
            })
            .mark_with(|_: &mut u32, mark: Degraded| {
                self.ask();
                self.marked.lock().unwrap().push(mark.to_string());
            })
            .degraded(simpler)
            .fall_through()
            .safe()
            .causes(|error: &BoxError| {
                self.ask();
                self.explained.fetch_add(1, Relaxed);
                Cause::describe(error)
            })
    }
}

#[tokio::test(start_paused = true)]
async fn closures_may_ask_the_flag_and_are_called_only_while_the_future_is_polled() {
    let asking = Asking::new(&patient());
    let (simpler, seen) = adding(100);
    let mut service = asking.layer(simpler).layer(down());
    // A buffer makes calls in its own worker; whatever a call does must be done where its caller polls.
    let call = service.ready().await.unwrap().call(1);
    assert_eq!((asking.calls(), seen.counts().calls), ([0, 0, 0], 0));
    assert_eq!(asking.flag.stats().totals.failures, 0);
    assert_eq!(call.await.unwrap(), 101);
    // Whoever stands in is judged as well, and nobody waits for the verdict.
    assert_eq!(asking.calls(), [2, 1, 1]);
    assert_eq!(asking.flag.stats().totals.failures, 1);
}

#[tokio::test(start_paused = true)]
async fn no_call_that_goes_on_spawns_a_task() {
    let tasks = || {
        tokio::runtime::Handle::current()
            .metrics()
            .num_alive_tasks()
    };
    let before = tasks();
    let (simpler, handle) = adding(100);
    handle.always(Behaviour::hang());
    let layer = FlagLayer::for_results(patient()).degraded(simpler);
    let layer = layer.fall_through().safe();
    for _ in 0..10 {
        let call = layer.layer(down()).oneshot(1);
        assert!(tokio::time::timeout(MINUTE, call).await.is_err());
    }
    assert_eq!((tasks(), handle.counts().calls), (before, 10));
    assert!(handle.counts().is_idle());
}
