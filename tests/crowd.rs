//! A thousand tasks at once, through one trip after the other: nothing is lost, and no probe is one too many.
#![allow(
    clippy::unwrap_used,
    reason = "a test that unwraps says that something is wrong"
)]

use std::{
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering::SeqCst},
    },
    time::Duration,
};

use brownout::{
    breaker::{Circuit, CircuitBreakerLayer},
    core::{BoxError, refusal_of},
    registry::CircuitState,
};
use brownout_tests::circuit::{TRIPS_AT, circuit, lasting, until};
use tokio::{
    sync::watch,
    task::JoinHandle,
    time::{Instant, sleep, timeout},
};
use tower::{ServiceBuilder, ServiceExt};

const TASKS: usize = 1_000;
const PROBES: u32 = 3;
const MILLISECOND: Duration = Duration::from_millis(1);

/// What the dependency does with a call.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Mood {
    #[default]
    Answers,
    Fails,
    /// Hangs until the mood changes.
    Hangs,
}

/// A dependency with moods, which knows how many calls are in it at once.
#[derive(Debug, Default)]
struct Dependency {
    mood: watch::Sender<Mood>,
    running: AtomicU32,
    /// The most that ran at once since somebody last looked.
    peak: AtomicU32,
}

impl Dependency {
    async fn call(self: Arc<Self>) -> Result<(), BoxError> {
        let running = Running::in_(&self);
        // A call takes a little, so that calls meet in it.
        sleep(MILLISECOND).await;
        let mood = *self
            .mood
            .subscribe()
            .wait_for(|&mood| mood != Mood::Hangs)
            .await?;
        drop(running);
        if mood == Mood::Fails {
            Err("down".into())
        } else {
            Ok(())
        }
    }

    fn set(&self, mood: Mood) {
        self.peak.store(0, SeqCst);
        self.mood.send_replace(mood);
    }

    fn running(&self) -> u32 {
        self.running.load(SeqCst)
    }
}

/// Counts a call for as long as it runs, also where it is dropped.
struct Running<'a>(&'a Dependency);

impl<'a> Running<'a> {
    fn in_(dependency: &'a Dependency) -> Self {
        let now = dependency.running.fetch_add(1, SeqCst) + 1;
        dependency.peak.fetch_max(now, SeqCst);
        Self(dependency)
    }
}

impl Drop for Running<'_> {
    fn drop(&mut self) {
        self.0.running.fetch_sub(1, SeqCst);
    }
}

/// What became of a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Outcome {
    Answered,
    Failed,
    Refused,
    Dropped,
}

/// One call from each of a thousand tasks; every tenth gives up on its call at once.
fn crowd(circuit: &Circuit, dependency: &Arc<Dependency>) -> Vec<JoinHandle<Outcome>> {
    let service = ServiceBuilder::new()
        .layer(CircuitBreakerLayer::with(circuit.clone()).for_results())
        .service_fn({
            let dependency = Arc::clone(dependency);
            move |()| Arc::clone(&dependency).call()
        });
    let call = |number| {
        let call = service.clone().oneshot(());
        let patience = if number % 10 == 0 {
            Duration::ZERO
        } else {
            Duration::MAX
        };
        async move {
            match timeout(patience, call).await {
                Ok(Ok(())) => Outcome::Answered,
                Ok(Err(error)) if refusal_of(error.as_ref()).is_some() => Outcome::Refused,
                Ok(Err(_)) => Outcome::Failed,
                Err(_) => Outcome::Dropped,
            }
        }
    };
    (0..TASKS)
        .map(|number| tokio::spawn(call(number)))
        .collect()
}

/// How many of the crowd's calls ended in which way: answered, failed, refused.
async fn count(crowd: Vec<JoinHandle<Outcome>>) -> (u32, u32, u32) {
    let mut counts = (0, 0, 0);
    for task in crowd {
        match task.await.unwrap() {
            Outcome::Answered => counts.0 += 1,
            Outcome::Failed => counts.1 += 1,
            Outcome::Refused => counts.2 += 1,
            Outcome::Dropped => {}
        }
    }
    counts
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_thousand_tasks_through_repeated_trips_lose_no_permit_and_admit_no_probe_too_many() {
    let circuit = circuit(
        "crowded",
        lasting()
            .open_for(10 * MILLISECOND)
            .open_for_at_most(10 * MILLISECOND)
            .probes(PROBES)
            .close_after(2, 2)
            // So long that no round ends by itself: a place that is lost wedges the circuit, and the test fails.
            .lease(Duration::from_mins(1)),
    );
    let dependency = Arc::new(Dependency::default());
    for _ in 0..8 {
        // The outage begins, and a crowd runs into it.
        dependency.set(Mood::Fails);
        let (answered, failed, _) = count(crowd(&circuit, &dependency)).await;
        assert!(answered == 0 && failed >= TRIPS_AT);
        assert_ne!(circuit.state(), CircuitState::Closed);

        // All that is let through now are probes, and none of them ends.
        until("probes are let through", || {
            circuit.state() == CircuitState::HalfOpen
                || circuit.stats().retry_after == Some(Duration::ZERO)
        })
        .await;
        assert_eq!(dependency.running(), 0);
        dependency.set(Mood::Hangs);
        let probing = crowd(&circuit, &dependency);
        until("the crowd is gone, but for the probes", || {
            let left = probing.iter().filter(|task| !task.is_finished()).count();
            left == dependency.running() as usize
        })
        .await;
        let probes = dependency.running();
        assert!((1..=PROBES).contains(&probes), "{probes} probes are out");
        let peak = dependency.peak.load(SeqCst);
        assert!(peak <= PROBES, "{peak} probes were out at once");
        dependency.set(Mood::Fails);
        let (answered, failed, refused) = count(probing).await;
        assert!(answered == 0 && (1..=probes).contains(&failed) && refused > 0);

        // It is over. Each crowd brings more than enough probes.
        dependency.set(Mood::Answers);
        let patience = Instant::now() + Duration::from_secs(1);
        while circuit.state() != CircuitState::Closed {
            assert!(Instant::now() < patience, "wedged: {:?}", circuit.stats());
            let (_, failed, _) = count(crowd(&circuit, &dependency)).await;
            assert_eq!(failed, 0);
        }
        let (_, failed, refused) = count(crowd(&circuit, &dependency)).await;
        assert_eq!((failed, refused), (0, 0), "nothing is left of the outage");
    }
    assert_eq!(dependency.running(), 0);
}
